#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# No side channel: what a board or a reader hears is the same, byte for byte, whether or not thousands of events
# that it may not see flow at the same time. dibao-access(7), SIDE CHANNELS, says what is compared here.
import statistics

import private
from office import *
from zmtp import *

STEPS, HIDDEN = 50, 5000
BEAT = 400


def public_step(i):
    """The i-th thing that happens in public."""
    if i % 10 == 9:
        return event(f"back-{i}", "award" if i % 20 == 9 else "promotion", retracts=f"pub-{i - 4 if i % 20 == 9 else i - 3}",
                     body={"reason": "误发"}, urgent=True)
    return event(f"pub-{i}", "promotion" if i % 2 == 0 else "award", urgent=i % 7 == 3, badge="F000001")


def hide(b, i):
    """A hundred things that happen in private, of every kind, between two public ones."""
    p = b.r.pipeline(transaction=False)
    for k in range(HIDDEN // STEPS):
        t = ("penalty", "welfare_visit", "mailbox_reply", "penalty")[k % 4]
        p.execute_command("FCALL", "dibao_publish", 1, BASE, event(f"hid-{i}-{k}", t, urgent=k % 9 == 0))
        if k % 25 == 24:
            p.execute_command("FCALL", "dibao_publish", 1, BASE, event(f"hid-back-{i}-{k}", "penalty", retracts=f"hid-{i}-{k - 1}"))
    p.execute_command("FCALL", "dibao_publish", 1, BASE, event(f"hid-promotion-{i}", "promotion", private=True))
    p.execute_command("FCALL", "dibao_publish", 1, BASE,
                      msgpack.packb({**msgpack.unpackb(event(f"hid-new-{i}")), "type": "training", "body": {"hours": 8}}))
    return [x for x in p.execute(raise_on_error=False) if isinstance(x, Exception)]


class Heard:
    """What one listener heard: its messages, without what is chance (tokens) and the time of day."""

    def __init__(self, s):
        self.welcome = {k: v for k, v in s.welcome.items() if k not in ("clock", "ctr")}
        self.data, self.beats, self.others, last = [], {c: [] for c in s.welcome["chans"]}, [], {}
        for at, frames in s.log:
            if frames[0][:1] != b"D":
                if frames[0][:1] != b"W":
                    self.others.append(frames)
                continue
            _, flags, channel, zero, count, number, token, clock = struct.unpack(">cBBBIQQQ", frames[0])
            assert number == last.get(channel, 0) + 1 and zero == 0, "numbers are dense"
            last[channel] = number
            if count:
                self.data.append((channel, flags, count, frames[1]))
            else:
                assert len(frames) == 1 and len(frames[0]) == 32
                self.beats[channel].append((at, clock))

    def cadence(self):
        """Milliseconds between position frames, the median of each channel."""
        return {c: statistics.median(b[0] - a[0] for a, b in zip(v, v[1:])) * 1000 for c, v in self.beats.items()}

    def early(self):
        """Position frames that the daemon sent sooner after another of their channel than it should, by its clock.
        The first tells that all is read, whenever that is; the cadence begins with the second."""
        return sum(b[1] - a[1] < 0.75 * BEAT for v in self.beats.values() for a, b in zip(v[1:], v[2:]))


def play(b, hidden):
    """The same public story, with or without what is hidden. What was heard by each listener, live and in replay."""
    o = Office(b, dict(heartbeat_ms=BEAT),
               wall=BOARD, reader={"kind": "reader", "types": "award", "orgs": "*"})

    def listen(who, start, view, **more):
        s = RawSubscriber(b.d.tcp, curve=o.curve(who), start=start, view=view, **more)
        s.open()
        until(lambda: s.receive(0.02) is not None and s.welcome and is_live(s) >= set(s.welcome["chans"]),
              "it is welcome, and the daemon knows that it has read all", every=0)
        return s

    def is_live(s):
        return {f[0][2] for _, f in s.log if f[0][:1] == b"D" and not f[0][1] & 2}
    wall, reader = listen("wall", "new", "public"), listen("reader", "new", "full")
    seen = {wall: 0, reader: 0}

    def heard(s, want):
        seen[s] += len(s.receive(0.005))
        return seen[s] >= want
    n_wall = n_reader = 0
    for i in range(STEPS):
        if hidden:
            assert not hide(b, i)
        b.publish(public_step(i))
        n_wall += 1
        n_reader += i % 2 == 1 and i % 20 != 19 or i % 20 == 9
        until(lambda: heard(wall, n_wall) & heard(reader, n_reader), f"step {i}", every=0)
        if i % 10 == 0:  # some silence, in which position frames come
            k = len(wall.log)
            until(lambda: heard(wall, 0) and heard(reader, 0) and len(wall.log) >= k + 4, "position frames", every=0)
    if hidden:
        assert b.d.ask("status")["counters"]["entries"] > HIDDEN
    out = {"wall live": Heard(wall), "reader live": Heard(reader)}
    wall.bye(), reader.bye()

    def replay(who, view, label):
        for start, arg in (("time", 1), ("last", 20)):
            s = listen(who, start, view, arg=arg)
            until(lambda: s.receive(0.02) is not None and all(s.live.get(c) for c in s.welcome["chans"]), "it has caught up", every=0)
            out[f"{label} {start}"] = Heard(s)
            s.bye()
    replay("wall", "public", "wall replay from the ring,")
    b.d.stop()
    b.d.start()
    replay("wall", "public", "wall replay from Redis,")
    return out


@test
def a_board_and_a_reader_hear_the_same_whether_or_not_hidden_events_flow(b):
    second = Bureau()
    try:
        without, with_ = play(b, False), play(second, True)
        assert without.keys() == with_.keys()
        for what in without:
            x, y = without[what], with_[what]
            assert x.welcome == y.welcome, (what, x.welcome, y.welcome)
            assert x.others == y.others, (what, x.others, y.others)
            assert len(x.data) == len(y.data) > (10 if "live" in what else 0), (what, len(x.data), len(y.data))
            for p, q in zip(x.data, y.data):
                assert p == q, (what, p, q)
            if "live" in what:
                print(f"# {what}: {len(x.data)} frames alike; position frames every {x.cadence()} ms and {y.cadence()} ms", flush=True)
                assert x.beats.keys() == y.beats.keys()
                assert (x.early(), y.early()) == (0, 0), f"{what}: no event calls one: {x.early()} and {y.early()}"
                for c, ms in x.cadence().items():
                    assert abs(ms - y.cadence()[c]) < BEAT / 2, (what, x.cadence(), y.cadence())
        second.stop_all()
        second.check_logs()
    finally:
        second.end()


@test
def public_ids_are_alike_in_daemons_with_one_key_and_tell_nothing_without_it(b):
    with open(b.path("other.key"), "w") as f:
        f.write("a5" * 32 + "\n")
    os.chmod(b.path("other.key"), 0o600)
    b.start()
    same, other, none = b.daemon().start(), b.daemon(view_key_file=b.path("other.key")).start(), b.daemon(view_key_file="").start()
    b.publish(event("a-1", "award"))

    def pid(d):
        s = subscriber.Subscriber(d.ipc, view="public", start="time")
        s.open()
        got = []
        until(lambda: got.extend(s.receive(0.02)) or got, "it is shown", every=0)
        return got[0][2]["pid"]
    assert pid(b.d) == pid(same) == private.public_id("a-1")
    none_before = pid(none)
    none.stop()
    none.start()
    ids = {pid(b.d), pid(other), none_before, pid(none), private.public_id("a-1", b"")}
    assert len(ids) == 5, "each key makes another id, no key another at each start"


@test
def what_was_lost_is_told_in_whole_hours_and_of_ones_own_channels(b):
    o = Office(b, wall=BOARD)
    hour = 3600000
    now = b.r.time()[0] * 1000
    for i in range(4):
        b.publish(event(f"a-{i}", "award"))
    b.r.hset(b.key("trimmed"), mapping={"public": f"{now - 5 * hour + 1234567}-3", "private": f"{now - 9 * hour + 7}-0",
                                        "private-now": f"{now - 3 * hour + 99}-1"})
    asked = now - 20 * hour + 654321
    s = o.session("wall", view="public", start="time", arg=asked)
    until(lambda: s.receive(0.02) is not None and s.live.get(0), "it has caught up", every=0)
    floor = now - 5 * hour + 1234567
    assert s.lost == [("public", asked // hour * hour, floor // hour * hour + hour, "older than retention keeps")], s.lost


@test
def a_refusal_does_not_tell_what_exists(b):
    o = Office(b, wall=BOARD, gate={**GATEWAY, "durable": "sms-1"})
    gate = o.session("gate", name="sms-1", start="resume")
    b.publish(event("p-1"))
    receive_until(gate, ["p-1"])
    ask = lambda **more: o.refusal("wall", view="public", **more)
    assert ask(name="sms-1") == ask(name="no-such-name") == (REFUSED, "durable: that name is not granted")
    same = {ask(types=[t])[1].replace(t, "T") for t in ("penalty", "mailbox_reply", "training", "no-such-type")}
    assert same == {"types: T is not granted"}
    same = {ask(orgs=[c])[1].replace(c, "O") for c in ("32", "3206", "110000000000", "999999999999")}
    assert same == {"orgs: O is not granted"}


run()
