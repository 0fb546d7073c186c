#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# A network that is cut without a word (a proxy that stops forwarding in both directions), and woken
# machines: whoever is half open harms nobody and loses nothing.
from dibao_test import *

FAST = dict(heartbeat_ms=200, lease_ms=1000, silence_ms=2000)


def port(d):
    return int(d.tcp.rsplit(":", 1)[1])


def sessions(d):
    return d.ask("status")["sessions"]


@test
def a_half_open_subscriber_harms_nobody_and_loses_nothing(b):
    b.start(window_bytes="128K", budget_bytes="1M", **FAST)
    line = Proxy(b, port(b.d))
    b.durable("half")
    half, plain = (b.recorder(name, *args, endpoints=[line.where]) for name, args in (("half", ["-d", "half"]), ("plain", [])))
    others = [b.recorder("other0"), b.recorder("other1", endpoints=[b.d.tcp])]
    b.publish_many(500, "one")
    for r in (half, plain, *others):
        r.wait_for(generated(500, "one"))
    p = b.publish_many(20000, "two", types=("penalty", "award"), wait=False, more=("-x", "50"))
    until(lambda: len(half.lines()) > 1000, "the burst has reached it")
    line.cut()
    b.published(p)
    everything = generated(500, "one") | generated(20000, "two")
    for r in others:
        r.wait_for(everything)
        r.in_order("two")
        assert not r.said("^connecting"), f"{r.name} was left in peace"
    until(lambda: sessions(b.d) == len(others), "the daemon gives up those that say nothing")
    b.publish_many(300, "three")
    for r in (half, plain):
        r.wait_said("^connecting")
        assert not generated(300, "three") & set(r.uids()), f"{r.name} is cut off"
    line.mend()
    for r in (half, plain, *others):
        r.wait_for(everything | generated(300, "three"), 120)
        r.in_order("two"), r.in_order("three")


@test
def a_short_cut_is_sat_out(b):
    b.start(heartbeat_ms=20000, lease_ms=60000, silence_ms=120000)  # the cut lasts while a publisher ends
    line = Proxy(b, port(b.d))
    b.durable("half")
    r = b.recorder("half", "-d", "half", endpoints=[line.where])
    p = b.publish_many(4000, more=("-r", "4000"), wait=False)
    until(lambda: len(r.lines()) > 1000, "the burst has reached it")
    line.cut()
    b.published(p)
    line.mend()
    r.wait_for(generated(4000))
    r.in_order("e")
    assert not r.said("^connecting") and not r.said("^again"), "nobody took it for an end"


@test
def the_standby_takes_over_from_one_that_is_half_open(b):
    b.start(**FAST)
    line = Proxy(b, port(b.d))
    b.durable("pair")
    first = b.recorder("first", "-d", "pair", endpoints=[line.where])
    second = b.recorder("second", "-d", "pair", start=False).start()
    second.wait_said("^standby")
    b.publish_many(300, "one")
    first.wait_for(generated(300, "one"))
    line.cut()
    second.active()
    b.publish_many(300, "two")
    until(lambda: generated(300, "two") <= set(second.uids()), "the second has what came since")
    first.wait_said("^connecting")
    line.mend()
    until(lambda: first.said("^standby"), "the first stands by")
    assert set(first.uids()) == generated(300, "one")
    assert set(second.uids()) - generated(300, "two") <= generated(300, "one")
    second.in_order("two")
    tokens = [tuple(map(int, r.said(r"^active \S+ (\d+):(\d+)")[-1])) for r in (first, second)]
    assert tokens[0] < tokens[1], tokens


@test
def who_is_cut_off_from_one_daemon_moves_to_another(b):
    b.start(**FAST)
    line, other = Proxy(b, port(b.d)), b.daemon(**FAST).start()
    b.durable("mover")
    rs = [b.recorder("mover", "-d", "mover", endpoints=[line.where, other.tcp]),
          b.recorder("plain", endpoints=[line.where, other.tcp])]
    p = b.publish_many(6000, types=("penalty", "award"), more=("-r", "3000"), wait=False)
    until(lambda: len(rs[0].lines()) > 500, "the burst has reached it")
    line.cut()
    b.published(p)
    for r in rs:
        r.wait_for(generated(6000), 120)
        r.in_order("e")
        assert r.said(r"^active (\S+)")[-1] == other.tcp


@test
def the_only_daemon_stopped_for_two_leases_and_woken_loses_nothing(b):
    b.start(**FAST)
    b.durable("gateway")
    durable, plain = b.recorder("durable", "-d", "gateway"), b.recorder("plain")
    standby = b.recorder("standby", "-d", "gateway", start=False).start()
    standby.wait_said("^standby")
    b.publish_many(500, "one")
    for r in (durable, plain):
        r.wait_for(generated(500, "one"))
    b.d.pause()
    b.publish_many(500, "two")
    for r in (durable, plain):
        r.wait_said("^connecting")  # three heartbeats and a second: past two leases
    b.d.go_on()
    everything = generated(500, "one") | generated(500, "two")
    plain.wait_for(everything)
    plain.in_order("two")
    durable.want = None
    until(lambda: set(durable.uids()) | set(standby.uids()) == everything, "the two together have all")
    got = durable.uids() + [u for u in standby.uids() if u not in generated(500, "one")]
    assert len(got) == len(set(got)), "what came later came to one of them"


@test
def two_daemons_take_in_what_was_put_in_by_hand_once(b):
    b.start()
    other = b.daemon().start()
    rs = [b.recorder("here"), b.recorder("there", endpoints=[other.ipc])]
    for i in range(300):
        for _ in range(1 + i % 2):
            b.r.xadd(b.key("private"), {"e": event(f"hand-{i}")})
        if i % 10 == 0:
            b.r.xadd(b.key("private"), {"e": event(f"bad-{i}", body={"kind": "?"})})
    b.publish_many(100)
    for r in rs:
        r.wait_for(generated(300, "hand") | generated(100))
        r.in_order("hand"), r.in_order("e")
    assert b.r.xlen(b.key("quarantine")) == 30, "each bad one is set aside once"
    assert b.r.xlen(b.key("private")) == 400, "doubles are taken away"


class TailLine(Proxy):
    """To Redis. When hushed it lets nothing through that reads the streams' tail; the rest goes on."""

    def __init__(self, b):
        super().__init__(b, b.redis_socket, b.path("line.sock"))
        self.tails, self.hushed = set(), False

    def forward(self, s):
        if self.hushed and s in self.tails:
            return time.sleep(0.001)
        super().forward(s)

    def heard(self, s, data):
        if b"XREAD" in data:
            self.tails |= {s, self.pairs[s]}


@test
def who_has_no_name_is_not_told_that_it_has_all_by_a_daemon_that_does_not_read(b):
    b.start_redis()
    b.setup()
    line = TailLine(b)
    stuck = b.daemon(redis=line.where, **FAST).start()
    other = b.daemon(**FAST).start()
    r = b.recorder("plain", endpoints=[stuck.tcp, other.tcp])
    b.publish_many(10, "one")
    r.wait_for(generated(10, "one"))
    line.hushed = True
    b.publish_many(10, "two")
    holds(lambda: not r.said("^connecting") and not generated(10, "two") & set(r.uids()),
          "it is served, and gets nothing", 3.5)  # more than what a subscriber asks for anew
    stuck.kill()
    r.wait_for(generated(10, "one") | generated(10, "two"))


run()
