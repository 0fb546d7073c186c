# SPDX-License-Identifier: Apache-2.0
"""Random kills and pauses of daemons, Redis (appendfsync always) and subscribers while events flow.

Two daemons; durable subscribers, two instances under one name, and one without a name. What is checked
in the end: each subscriber has what was published, nothing else, nothing twice, in order per channel;
the two instances together have it all. A seed chooses victims and pauses (not their exact instants).
"""
import random

from dibao_test import *

RATE = 400  # events a second


class Chaos:
    def __init__(self, b, seed):
        self.b, self.random, self.seed = b, random.Random(seed), seed
        self.n_acts, self.marks = 0, set()
        fast = dict(lease_ms=1000, heartbeat_ms=200, silence_ms=3000, command_timeout_ms=1500,
                    connect_timeout_ms=500, ring_bytes="512K", slice_bytes="2M", log_level="info")
        b.start(**fast)
        b.expected = "."  # with Redis gone there is much to complain of
        b.daemon(**fast).start()
        for name in ("all", "half", "pair"):
            b.durable(name)
        ipc, tcp = [d.ipc for d in b.daemons], [d.tcp for d in b.daemons]
        self.recorders = [b.recorder("all", "-d", "all", endpoints=ipc),
                          b.recorder("half", "-d", "half", "-t", "award", "-v", endpoints=tcp[::-1]),
                          b.recorder("plain", "-s", "time:1000", endpoints=tcp)]
        self.pair = [b.recorder(name, "-d", "pair", endpoints=ipc, start=False).start() for name in ("pair1", "pair2")]
        until(lambda: any(r.said("^active") for r in self.pair), "one of the pair is active")

    # ---- the acts ----

    def redis_is_killed(self):
        self.b.redis.kill()
        self.rest(0.3)
        self.b.start_redis(wait=self.random.random() < 0.5)

    def redis_is_paused(self):
        self.pause(self.b.redis, 2.5)

    def a_daemon_is_killed(self):
        d = self.random.choice(self.b.daemons)
        d.kill()
        self.rest(0.5)
        d.start(wait=False)

    def a_daemon_is_paused(self):
        self.pause(self.random.choice(self.b.daemons).process, 2.5)

    def both_daemons_are_killed(self):
        for d in self.b.daemons:
            d.kill()
        self.rest(0.3)
        for d in self.b.daemons:
            d.start(wait=False)

    def a_subscriber_is_killed(self):
        r = self.random.choice(self.recorders + self.pair)
        r.kill()
        self.rest(0.5)
        r.start()

    def a_subscriber_is_paused(self):
        self.pause(self.random.choice(self.recorders + self.pair).process, 4)

    ACTS = (redis_is_killed, redis_is_paused, a_daemon_is_killed, a_daemon_is_killed, a_daemon_is_paused,
            both_daemons_are_killed, a_subscriber_is_killed, a_subscriber_is_killed, a_subscriber_is_paused)

    def rest(self, most):
        """The pause is the act itself here, not a wait for something."""
        time.sleep(self.random.random() * most)

    def pause(self, process, most):
        process.signal(signal.SIGSTOP)
        try:
            self.rest(most)
        finally:
            if process.alive():
                process.signal(signal.SIGCONT)

    def revive(self):
        """A daemon that gave up (Redis was away at its start) is what systemd would start again."""
        for d in self.b.daemons:
            if not d.process.alive():
                d.process.wait()
                d.start(wait=False)

    # ---- the run ----

    def run(self, kills):
        """Events flow from before the first act until after the last."""
        b, publisher, sizes = self.b, None, []
        while self.n_acts < kills:
            if publisher is None or not publisher.alive():
                if publisher:
                    b.published(publisher)
                publisher = b.publish_many(4 * RATE, f"c{len(sizes)}", types=("penalty", "award"), wait=False,
                                           more=("-r", str(RATE), "-x", "11", "-w", "32", "-g", "60"))
                sizes.append(4 * RATE)
            self.revive()
            act = self.random.choice(self.ACTS)
            act(self)
            self.n_acts += 1
            if self.random.random() < 0.5:
                self.moves_on(act)
        until(self.b.redis_answers, "Redis answers")
        self.revive()
        b.published(publisher, 90)
        flow = set().union(*(generated(n, f"c{i}") for i, n in enumerate(sizes)))
        everything = flow | self.marks
        awards = {u for u in flow if int(u.rsplit("-", 1)[1]) % 2}
        for r in self.recorders:
            r.wait_for(awards if r.name == "half" else everything, 60)
            for i in range(len(sizes)):
                r.in_order(f"c{i}")
        until(lambda: set(self.pair[0].uids()) | set(self.pair[1].uids()) == everything,
              lambda: f"the pair has {some(everything - set(self.pair[0].uids()) - set(self.pair[1].uids()))}", 60, 0.05)
        for r in self.pair:
            got = r.uids()
            assert len(got) == len(set(got)), f"{r.name} has some twice"
        return len(everything)

    def moves_on(self, act):
        """All is well again: who wants all gets a fresh event."""
        uid, r = f"mark{self.n_acts}", self.recorders[0]
        self.marks.add(uid)
        until(lambda: self.put(uid), "Redis takes an event", 20, 0.05)
        until(lambda: self.revive() or uid in r.uids(), lambda: f"after {act.__name__} (act {self.n_acts}) "
              f"{r.name} gets a fresh event", 30, 0.1)

    def put(self, uid):
        try:
            return self.b.publish(event(uid, "penalty"))
        except redis_client.exceptions.RedisError:
            return None
