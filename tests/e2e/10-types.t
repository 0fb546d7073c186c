#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# What is published reaches who asked for it, and from where they asked for it.
from dibao_test import *


@test
def each_type_reaches_who_asks_for_it_and_nobody_else(b):
    b.start()
    each = {t: b.recorder(t, "-t", t) for t in BODIES}
    everything, district = b.recorder("all", "-v"), b.recorder("district", "-o", "320508", endpoints=[b.d.tcp])
    b.publish_many(100, types=tuple(BODIES), orgs=(HUXU, WUZHONG, HUXU), more=("-x", "7"))
    everything.wait_for(generated(100))
    everything.in_order("e")
    for k, t in enumerate(BODIES):
        each[t].wait_for({f"e-{i}" for i in range(k, 100, 5)})
        each[t].in_order("e")
    district.wait_for({f"e-{i}" for i in range(100) if i % 3 != 1})
    later = {t: b.recorder("later-" + t, "-t", t, "-o", "3205", "-s", "time:1000") for t in BODIES}
    b.recorder("later-district", "-o", "320508", "-s", "last:1000").wait_for({f"e-{i}" for i in range(100) if i % 3 != 1})
    for k, t in enumerate(BODIES):
        later[t].wait_for({f"e-{i}" for i in range(k, 100, 5)})
        later[t].in_order("e")
    for l in everything.lines():
        i = int(l[1][2:])
        assert l[0] == ("public" if i % 5 < 2 else "private") + ("-now" if i % 7 == 0 else ""), l


@test
def late_joiners_begin_where_they_asked_to(b):
    b.start()
    b.durable("gateway")
    everything = b.recorder("all")
    durable = b.recorder("durable", "-d", "gateway")
    b.publish_many(3000, "early", types=("penalty", "award"))
    everything.wait_for(generated(3000, "early"))
    durable.wait_for(generated(3000, "early")).stop()
    boundary = b.r.time()
    ms = boundary[0] * 1000 + boundary[1] // 1000 + 1
    until(lambda: b.r.time()[0] * 1000 + b.r.time()[1] // 1000 > ms, "Redis' clock ticks")
    b.publish_many(1000, "late", types=("penalty", "award"))
    everything.wait_for(generated(3000, "early") | generated(1000, "late"))
    new = b.recorder("new", "-s", "new")
    time_ = b.recorder("time", "-s", f"time:{ms}")
    start = b.recorder("start", "-s", "time:1000")
    last = b.recorder("last", "-s", "last:100")
    durable.start("-s", "resume")
    b.publish_many(200, "now", types=("penalty", "award"))
    new.wait_for(generated(200, "now"))
    time_.wait_for(generated(1000, "late") | generated(200, "now"))
    for r in (everything, start):
        r.wait_for(generated(3000, "early") | generated(1000, "late") | generated(200, "now"))
    durable.wait_for(generated(3000, "early") | generated(1000, "late") | generated(200, "now"))
    assert not durable.said("^again "), "what it had acknowledged came again"
    # "About" the last 100 of each of two channels, and then all that came.
    last.wait_for({f"late-{i}" for i in range(800, 1000)} | generated(200, "now"))
    for r in (new, time_, start, last, durable):
        r.in_order("early"), r.in_order("late"), r.in_order("now")


@test
def a_subscriber_with_no_durable_name_of_that_name_is_refused_aloud(b):
    b.start()
    r = b.recorder("r", "-d", "nobody", start=False).start()
    r.wait_said("^refused ")
    assert r.process.wait() == 3


@test
def a_receipt_is_confirmed_once_it_is_in_the_queue(b):
    b.start()
    b.durable("gateway")
    r = b.recorder("r", "-d", "gateway", "--receipts")
    b.publish_many(50)
    r.wait_for(generated(50))
    until(lambda: len(r.said(r"^confirmed \d+ 0")) == 50, "50 receipts are confirmed")
    kept = [f for _, f in b.r.xrange(b.key("receipts"))]
    assert {f[b"key"].decode() for f in kept} == generated(50)
    token = r.said(r"^active \S+ (\S+)")[0]
    assert {(f[b"name"], f[b"state"], f[b"token"].decode()) for f in kept} == {(b"gateway", b"2", token)}


run()
