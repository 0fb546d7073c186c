#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# What Redis may do to us: come back with less, forget by retention, be unsafe; and the configuration.
from dibao_test import *


class Rollback:
    """Redis, as it was at an earlier time."""

    def __init__(self, b):
        self.b, self.kept = b, b.path("kept")
        shutil.copytree(b.path("appendonlydir"), self.kept)

    def back(self):
        self.b.redis.kill()
        shutil.rmtree(self.b.path("appendonlydir"))
        shutil.copytree(self.kept, self.b.path("appendonlydir"))
        self.b.start_redis()


def rolled_back(b, publisher_first=0, ahead_ms=0):
    b.expected, b.ordered = "Redis came back" + ("|its newest id is .* ahead" if ahead_ms else ""), False
    b.start()
    b.durable("gateway"), b.durable("away")
    durable, plain, away = (b.recorder("durable", "-d", "gateway"), b.recorder("plain"), b.recorder("away", "-d", "away"))
    first, second, third = generated(500, "first"), generated(400, "second"), generated(300, "third")
    b.publish_many(500, "first", types=("penalty", "award"))
    for r in (durable, plain, away):
        r.wait_for(first)
    away.stop()
    rollback = Rollback(b)
    b.publish_many(400, "second", types=("penalty", "award"), more=("-x", "5"))
    b.publish(event("taken-back", badge="F000000", retracts="first-0"))
    if ahead_ms:  # ids go ahead of the clock, so that later ones, after the rollback, are smaller
        t = b.r.time()
        b.r.xadd(b.key("private"), {"e": event("ahead")}, id=f"{t[0] * 1000 + t[1] // 1000 + ahead_ms}-0")
        second.add("ahead")
    for r in (durable, plain):
        r.wait_for(first | second | {"taken-back"})
    b.d.pause()
    rollback.back()
    if publisher_first:
        # So many of those that are missing come from their publisher again, then something new.
        b.publish_many(publisher_first, "second", types=("penalty", "award"), more=("-x", "5"))
        b.publish_many(300, "third", types=("penalty", "award"))
    b.d.go_on()
    until(lambda: int(b.r.get(b.key("epoch"))) == 2, "the epoch is the next one", 120)
    if not publisher_first:
        b.publish_many(300, "third", types=("penalty", "award"))
    everything = first | second | third | {"taken-back"}
    for r in (durable, plain):
        r.wait_for(everything)
    away.start()
    away.wait_for(everything)
    b.recorder("late", "-s", "time:1000").wait_for(everything)
    assert set(b.outcomes("second").values()) == {"new"}
    assert b.publish(event("taken-back", badge="F000000", retracts="first-0")) == "repeat"
    assert [l[2:] for l in b.recorders["late"].lines() if l[1] == "first-0"] == [["w"]], "it stays withdrawn"
    b.publish_many(100, "fourth")
    for r in (durable, plain, away):
        r.wait_for(everything | generated(100, "fourth"))
        r.in_order("third"), r.in_order("fourth")
    b.recorders["late"].want = None


@test(fsync="always")
def redis_rolled_back_to_an_earlier_file_is_healed(b):
    rolled_back(b)


@test(fsync="always")
def redis_rolled_back_and_a_publisher_back_before_the_daemon_is_healed(b):
    rolled_back(b, 200)


@test(fsync="always")
def redis_rolled_back_and_all_put_back_by_its_publisher_repeats_no_effect(b):
    rolled_back(b, 400)


@test(fsync="always")
def redis_rolled_back_and_new_ids_below_those_that_were_read_are_healed(b):
    rolled_back(b, 200, 600_000)  # all that is published in this test is below


def ctl(b, *args, code=0):
    p = subprocess.run([BUILD + "/bin/dibaoctl", "-c", b.d.config, *args], capture_output=True, text=True, timeout=80 * SLOW)
    assert p.returncode == code, f"{args}: {p.returncode}\n{p.stdout}{p.stderr}"
    return p.stdout


@test(fsync="always")
def scheduled_events_that_redis_came_back_without_are_alarmed_until_somebody_saw_to_it(b):
    b.expected, b.ordered = "Redis came back|scheduled events are lost", False
    b.start()
    r = b.recorder("r")
    far = int(time.time() * 1000) + 3600_000
    assert ctl(b, "lost", "list") == "none\n"
    for uid in ("kept", "doomed"):
        assert b.publish(event(uid, not_before=far)) == "scheduled"
    b.publish(event("plain"))
    r.wait_for({"plain"})
    rollback = Rollback(b)
    b.call("dibao_cancel", "doomed")
    since = b.r.time()[0] * 1000
    late = [event(f"late-{i}", not_before=far) for i in range(7)]
    for e in late:
        assert b.publish(e) == "scheduled"
    # One that waits for a moment: for a longer one where Redis took longer to be told.
    early, ms = {"plain"}, 250
    while b.publish(event(f"soon-{ms}", not_before=int(time.time() * 1000) + ms)) != "scheduled":
        early.add(f"soon-{ms}")
        ms *= 2
    early.add(f"soon-{ms}")
    r.wait_for(early)
    assert "ALARM" not in ctl(b, "status")
    seen = len(b.d.log())
    b.r.client_kill_filter(_type="normal", skipme=True)  # another connection tells it all again
    b.d.wait_log("tail link is up", since=seen)
    until(lambda: b.publish(event("plain2")) and "plain2" in r.uids(), "the tail goes on")
    b.d.pause()
    rollback.back()
    assert b.r.zcard(b.key("scheduled")) == 2, "so it was then"
    assert b.publish(late[6]) == "scheduled", "one is published again before the daemon looks"
    b.d.go_on()
    alert, = b.d.wait_log(r"alert (.*scheduled events.*)", 20).groups()
    assert alert.startswith("6 scheduled events are lost") and "Publish again" in alert, alert
    until(lambda: b.d.ask("status")["alarms"], "the status alarms")
    assert re.search("ALARM  1 losses .*dibaoctl lost list", ctl(b, "status", code=1))
    loss = json.loads(ctl(b, "--json", "lost", "list"))
    assert loss["uids"] == [f"late-{i}" for i in range(6)] and loss["channel"] == "scheduled", loss
    assert since <= loss["from"] <= loss["to"] <= b.r.time()[0] * 1000, loss
    assert all(u in ctl(b, "lost", "list") for u in loss["uids"])
    assert b.r.hget(b.key("uid:doomed"), "s") == b"cancelled", "what was cancelled is so again"
    assert [b.publish(e) for e in late] == ["scheduled"] * 6 + ["repeat"]
    assert set(b.r.zrange(b.key("scheduled"), 0, -1)) == {b"kept", *(b"late-%d" % i for i in range(7))}
    ctl(b, "lost", "settle", loss["id"])
    until(lambda: not b.d.ask("status")["alarms"], "the alarm ends")
    assert "ALARM" not in ctl(b, "status") and ctl(b, "lost", "list") == "none\n"
    ctl(b, "lost", "settle", loss["id"], code=65)
    ctl(b, "lost", "settle", "x", code=64)
    assert b.r.xrevrange(b.key("audit"), count=2)[0][1][b"act"] == b"lost settle"
    r.wait_for(early | {"plain2"})


@test(fsync="always")
def redis_that_refuses_to_be_healed_is_asked_again_now_and_then(b):
    b.expected, b.ordered = "Redis came back|NOREPLICAS|OOM", False
    b.start()
    r = b.recorder("r")
    b.publish_many(100, "first")
    r.wait_for(generated(100, "first"))
    rollback = Rollback(b)
    b.publish_many(100, "second")
    r.wait_for(generated(100, "first") | generated(100, "second"))
    b.d.pause()
    rollback.back()
    b.r.config_set("min-replicas-to-write", 1)
    b.d.go_on()
    b.d.wait_log("after a loss of Redis, cannot .*: NOREPLICAS")

    def looked():
        return b.r.info("commandstats").get("cmdstat_xinfo|stream", {}).get("calls", 0)
    n = looked()
    holds(lambda: looked() <= n + 2 * len(CHANNELS), "it is not asked without end", 1.5)
    assert int(b.r.get(b.key("epoch"))) == 1
    b.r.config_set("min-replicas-to-write", 0)
    b.r.config_set("maxmemory", 1)  # a full Redis is no reason to stop
    until(lambda: int(b.r.get(b.key("epoch"))) == 2, "it is healed", 120)
    b.r.config_set("maxmemory", 0)
    b.publish_many(100, "third")
    r.wait_for(set().union(*(generated(100, p) for p in ("first", "second", "third"))))
    b.recorder("late", "-s", "time:1000").wait_for(r.want)


@test(fsync="always")
def redis_rolled_back_under_two_daemons_is_healed_once(b):
    b.expected, b.ordered = "Redis came back", False
    b.start()
    other = b.daemon().start()
    b.durable("gateway")
    rs = [b.recorder("durable", "-d", "gateway", endpoints=[b.d.ipc, other.ipc]),
          b.recorder("plain", endpoints=[other.tcp]), b.recorder("here", endpoints=[b.d.tcp])]
    board = b.recorder("board", "-p", "-s", "last:1000", endpoints=[other.ipc])
    b.publish(event("shown", "award", badge="F000007"))
    b.publish_many(300, "first", types=("penalty", "award"))
    until(lambda: len(board.uids()) == 151, "the board shows the awards")
    for r in rs:
        r.wait_for(generated(300, "first") | {"shown"})
    rollback = Rollback(b)
    b.publish_many(300, "second", types=("penalty", "award"), more=("-x", "5"))
    b.publish(event("not-shown", "award", private=True, corrects="shown", badge="F000007"))
    everything = generated(300, "first") | generated(300, "second") | {"shown", "not-shown"}
    for r in rs:
        r.wait_for(everything)
    until(lambda: len(board.withdrawn()) == 1, "the board takes it down")
    for d in (b.d, other):
        d.pause()
    rollback.back()
    for d in (b.d, other):
        d.go_on()
    until(lambda: int(b.r.get(b.key("epoch"))) == 2, "the epoch is the next one", 120)
    b.publish_many(200, "third", types=("penalty", "award"))
    everything |= generated(200, "third")
    for r in rs:
        r.wait_for(everything)
        r.in_order("third")
    b.recorder("late", "-s", "time:1000").wait_for(everything)
    uids = [msgpack.unpackb(f[b"e"])["uid"] for c in CHANNELS for _, f in b.r.xrange(b.key(c)) if b"e" in f]
    assert sorted(uids) == sorted(everything), "each is in the queue once"
    assert int(b.r.get(b.key("epoch"))) == 2, "both agree"
    late = b.recorder("late-board", "-p", "-s", "time:1000")
    until(lambda: len(late.uids()) == 400, "a late board is shown what is public and was not taken back", 120)
    assert not set(late.uids()) & board.withdrawn()


@test(fsync="always")
def redis_rolled_back_while_no_daemon_ran_loses_nothing_that_came_after(b):
    b.expected, b.ordered = ".", False
    b.start()
    b.durable("gateway"), b.durable("away")
    durable, plain, away = (b.recorder("durable", "-d", "gateway"), b.recorder("plain"), b.recorder("away", "-d", "away"))
    b.publish_many(300, "first", types=("penalty", "award"))
    for r in (durable, plain, away):
        r.wait_for(generated(300, "first"))
    away.stop()
    rollback = Rollback(b)
    b.publish_many(300, "second", types=("penalty", "award"))
    for r in (durable, plain):
        r.wait_for(generated(300, "first") | generated(300, "second"))
        r.unknown = generated(300, "second")
    b.d.kill()
    rollback.back()
    b.publish_many(200, "third", types=("penalty", "award"))
    b.d.start()
    for r in (durable, plain):
        r.wait_for(generated(300, "first") | generated(300, "second") | generated(200, "third"))
        r.in_order("third")
    away.start()
    away.wait_for(generated(300, "first") | generated(200, "third"))
    b.publish_many(300, "second", types=("penalty", "award"))
    away.wait_for(generated(300, "first") | generated(300, "second") | generated(200, "third"))
    for r in (durable, plain):
        r.has_exactly(r.want)


@test(fsync="always")
def redis_that_lost_all_is_not_taken_for_an_empty_queue(b):
    b.expected = "Redis came back|functions|Redis:|setup|cannot"
    b.start()
    r = b.recorder("r")
    b.publish_many(300)
    r.wait_for(generated(300))
    b.d.pause()
    b.redis.kill()
    shutil.rmtree(b.path("appendonlydir"))
    b.start_redis()
    b.d.go_on()
    b.d.wait_log("dibaoctl setup")
    b.setup()
    until(lambda: int(b.r.get(b.key("epoch")) or 0) >= 2, "it is healed", 120)
    late = b.recorder("late", "-s", "time:1000")
    late.wait_for(generated(300))


@test
def who_falls_behind_retention_is_told_what_it_lost(b):
    b.start(private_ms=1000)
    b.durable("short", 0), b.durable("long", 10**9)
    short, long_ = b.recorder("short", "-d", "short"), b.recorder("long", "-d", "long")
    b.publish_many(100, "had")
    for r in (short, long_):
        r.wait_for(generated(100, "had")).stop()
    b.call("dibao_durable", "forget", "long")
    b.publish_many(200, "gone")
    last = int(b.r.xrevrange(b.key("private"), count=1)[0][0].split(b"-")[0])
    until(lambda: b.r.time()[0] * 1000 + b.r.time()[1] / 1000 > last + 1100, "they are old")
    b.d.stop().start()
    until(lambda: b.r.xlen(b.key("private")) == 0, "they are trimmed")
    b.publish_many(50, "kept")
    short.start()
    short.wait_for(generated(100, "had") | generated(50, "kept"))
    short.wait_said(r"^lost private \d+ \d+ .")
    from_ms, to_ms = map(int, short.said(r"^lost private (\d+) (\d+)")[0])
    assert from_ms % 3600000 == 0 and to_ms % 3600000 == 0 and from_ms <= last < to_ms
    assert set(short.said(r"^lost (\S+)")) == {"private"}, "the other channels lost nothing"
    b.d.wait_log(rf"private is lost from \d+-\d+ to {last}-\d+")
    assert not b.r.exists(b.key("uid:gone-0")), "the record goes with the event"
    assert b.publish(event("gone-0")) == "new"
    short.wait_for(generated(100, "had") | generated(50, "kept") | {"gone-0"})


@test
def a_registered_name_within_its_limit_keeps_what_it_has_not_had(b):
    b.start(private_ms=1000)
    b.durable("away")
    away = b.recorder("away", "-d", "away")
    b.publish_many(100, "had")
    away.wait_for(generated(100, "had")).stop()
    b.publish_many(200, "waits")
    last = int(b.r.xrevrange(b.key("private"), count=1)[0][0].split(b"-")[0])
    until(lambda: b.r.time()[0] * 1000 + b.r.time()[1] / 1000 > last + 1100, "they are old")
    b.d.stop().start()
    until(lambda: b.r.xlen(b.key("private")) == 200, "what it had is trimmed, what it waits for is not")
    away.start()
    away.wait_for(generated(100, "had") | generated(200, "waits"))
    assert not away.said("^lost")


@test
def a_reload_with_a_bad_file_keeps_the_old_one_and_a_good_one_is_taken_up(b):
    b.expected = "old|keep|refused|reload"
    b.start(heartbeat_ms=300)
    r = b.recorder("r")
    with open(b.d.config) as f:
        good = f.read()
    for bad in (good + "[fanout]\nno_such_option = 1\n", good.replace("lease_ms = 2000", "lease_ms = soon"), "[dibao\n\xff"):
        with open(b.d.config, "w") as f:
            f.write(bad)
        seen = len(b.d.log())
        b.d.process.signal(signal.SIGHUP)
        b.d.wait_log("keep", since=seen)
    b.publish_many(100, "one")
    r.wait_for(generated(100, "one"))
    b.d.configure(max_sessions=1)
    seen = len(b.d.log())
    b.d.process.signal(signal.SIGHUP)
    b.d.wait_log("reloaded|taken up|new configuration", since=seen)
    more = b.recorder("more", start=False).start()
    more.wait_said("^connecting busy")
    b.publish_many(100, "two")
    r.wait_for(generated(100, "one") | generated(100, "two"))


@test
def an_unsafe_redis_is_refused_with_the_cure(b):
    b.expected = "."
    b.start_redis()
    b.setup()
    d = b.daemon()
    for name, bad, good in (("appendonly", "no", "yes"), ("maxmemory-policy", "allkeys-lru", "noeviction")):
        b.r.config_set(name, bad)
        d.start(wait=False)
        assert d.process.wait() == 78, d.log()
        assert f"CONFIG SET {name} {good}" in d.log(), d.log()
        b.r.config_set(name, good)
    b.r.execute_command("FUNCTION", "FLUSH")
    d.start(wait=False)
    assert d.process.wait() == 78
    assert "dibaoctl setup" in d.log()
    b.setup()
    d.start().stop()


@test
def slow_and_stopped_subscribers_harm_nobody_and_lose_nothing(b):
    b.start(ring_bytes="256K", slice_bytes="1M", budget_bytes="1M", window_bytes="128K", lease_ms=1000)
    for name in ("stopped", "hung", "slow"):
        b.durable(name)
    stopped, hung = b.recorder("stopped", "-d", "stopped"), b.recorder("hung", "-d", "hung", "--hang-after", "100")
    slow = b.recorder("slow", "-d", "slow", "-w", "131072")
    others = [b.recorder(f"other{i}") for i in range(3)]
    b.publish_many(500, "one")
    for r in (*others, stopped, slow):
        r.wait_for(generated(500, "one"))
    stopped.process.signal(signal.SIGSTOP)
    p = b.publish_many(30000, "two", types=("penalty", "award"), wait=False, more=("-x", "50"))
    for _ in range(10):  # stops and starts
        n = len(slow.lines())
        slow.process.signal(signal.SIGSTOP)
        until(lambda: len(others[0].lines()) > n + 1000, "the others have more")
        slow.process.signal(signal.SIGCONT)
        until(lambda: len(slow.lines()) > n, "the slow one goes on")
    b.published(p)
    everything = generated(500, "one") | generated(30000, "two")
    for r in others:
        r.wait_for(everything, 120)
        r.in_order("two")
    assert len(stopped.lines()) == 500
    stopped.process.signal(signal.SIGCONT)
    hung.kill()
    hung.args.clear()
    hung.args += ["-d", "hung"]
    hung.start()
    for r in (stopped, hung, slow):
        r.wait_for(everything, 120)
        r.in_order("two")


run()
