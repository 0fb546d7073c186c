#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# The canary in a running daemon, and a daemon (dibaod-leaky) whose public encoder begins to leak.
from office import *

LEAKED, ALARM = 70, "alert canary: a penalty gets by the public encoder"


def leaky(b, **conf):
    b.start_redis()
    b.setup()
    b.leak = b.path("leak")
    b.d = b.daemon(**conf)
    b.d.program, b.d.env = BUILD + "/tests/dibaod-leaky", {"DIBAO_LEAK": b.leak}
    b.expected = "canary"
    return b.d


@test
def the_canary_flies_at_start_and_then_as_often_as_told(b):
    d = b.start(canary_ms=100)
    first = d.ask("status")["counters"]
    assert first["canaries"] >= 1 and abs(first["canary_ms"] - time.time() * 1000) < 60000, first
    until(lambda: d.ask("status")["counters"]["canaries"] >= first["canaries"] + 3, "three flights more")
    d.configure(canary_ms="24h")
    assert d.ask("reload")["ok"]
    once = d.ask("status")["counters"]["canaries"]
    holds(lambda: d.ask("status")["counters"]["canaries"] <= once + 1, "none but the one that was due already", 0.6)


@test
def a_daemon_whose_encoder_leaks_does_not_open_its_endpoints(b):
    d = leaky(b)
    open(b.leak, "w").close()
    d.start(wait=False)
    assert d.process.wait() == LEAKED
    assert ALARM in d.log() and "listening" not in d.log()


@test
def a_daemon_whose_encoder_begins_to_leak_stops_and_sends_nothing_more(b):
    d = leaky(b, canary_ms=100).start()
    s = subscriber.Subscriber(d.ipc, view="public")
    s.open()
    until(lambda: s.receive(0.02) is not None and s.welcome, "it is welcome", every=0)
    b.publish(event("a-1", "award"))
    until(lambda: s.receive(0.02), "the award")
    open(b.leak, "w").close()
    assert d.process.wait() == LEAKED
    assert ALARM in d.log()
    b.publish(event("p-1", "penalty"))
    assert s.receive(0.2) == []


run()
