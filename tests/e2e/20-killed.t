#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Any part is killed, stopped or woken, and nobody loses anything.
from dibao_test import *


def has_some(r, n):
    until(lambda: len(r.lines()) >= n, f"{r.name} has {n} events", 120)


@test
def a_subscriber_killed_between_effect_and_ack_goes_on_where_its_file_ends(b):
    b.start()
    b.durable("gateway")
    r = b.recorder("r", "-d", "gateway", start=False).start("--die-before-ack", "500").active()
    p = b.publish_many(2000, wait=False)
    assert r.process.wait(20) == -signal.SIGKILL
    assert len(r.uids()) >= 500
    r.start()
    b.published(p)
    r.wait_for(generated(2000))
    r.in_order("e")
    assert r.said("^again "), "what it had not acknowledged came again"


@test
def a_subscriber_that_never_acknowledged_gets_all_again(b):
    b.start()
    b.durable("gateway")
    r = b.recorder("r", "-d", "gateway", "--no-ack", "-s", "resume")
    b.publish_many(300)
    r.wait_for(generated(300))
    r.kill()
    r.start()
    until(lambda: len(set(r.said("^again (.*)"))) == 300, "all 300 come again")


@test
def who_says_goodbye_right_after_its_acks_gets_nothing_again(b):
    b.start()
    b.durable("gateway")
    r = b.recorder("r", "-d", "gateway")
    for i in range(10):
        b.publish_many(100, f"p{i}")
        r.wait_for(set().union(*(generated(100, f"p{k}") for k in range(i + 1)))).stop()
        r.start().active()
    b.publish(event("end"))
    r.wait_for({"end"}.union(*(generated(100, f"p{i}") for i in range(10))))
    assert "\nagain" not in r.log(), "what it had acknowledged did not come again"


@test
def a_daemon_killed_in_the_midst_of_a_burst_and_back_loses_nothing(b):
    b.start()
    b.durable("gateway")
    durable, plain = b.recorder("durable", "-d", "gateway"), b.recorder("plain", endpoints=[b.d.tcp])
    p = b.publish_many(20000, types=("penalty", "award"), wait=False, more=("-x", "9"))
    has_some(durable, 1000)
    b.d.kill()
    b.d.start()
    has_some(durable, 6000)
    b.d.kill()
    b.d.start()
    b.published(p)
    for r in (durable, plain):
        r.wait_for(generated(20000), 120)
        r.in_order("e")


@test
def what_was_published_while_no_daemon_ran_arrives(b):
    b.start()
    b.durable("gateway")
    r = b.recorder("r", "-d", "gateway")
    b.publish_many(100, "before")
    r.wait_for(generated(100, "before"))
    b.d.kill()
    b.publish_many(3000, "without")
    b.d.start()
    r.wait_for(generated(100, "before") | generated(3000, "without"))
    r.in_order("without")


@test(fsync="always")
def redis_killed_and_back_loses_nothing_that_it_acknowledged(b):
    b.start()
    b.durable("gateway")
    durable, plain = b.recorder("durable", "-d", "gateway"), b.recorder("plain")
    p = b.publish_many(12000, types=("award", "penalty"), wait=False)
    for n in (1000, 4000):
        has_some(durable, n)
        b.redis.kill()
        b.start_redis()
    b.published(p)
    for r in (durable, plain):
        r.wait_for(generated(12000), 120)
        r.in_order("e")
    assert b.r.get(b.key("epoch")) == b"1", "nothing was rolled back, so there was nothing to heal"


@test
def a_daemon_stopped_for_two_leases_and_woken_does_no_harm(b):
    b.start(lease_ms=1000, silence_ms=4000)
    b.durable("gateway")
    second = b.daemon(lease_ms=1000, silence_ms=4000).start()
    r = b.recorder("r", "-d", "gateway", endpoints=[b.d.tcp, second.tcp])
    b.publish_many(500, "before")
    r.wait_for(generated(500, "before"))
    first_token = r.said(r"^active (\S+) (\S+)")[-1]
    stopped = b.d if first_token[0] == b.d.tcp else second
    stopped.pause()
    b.publish_many(500, "stopped")
    r.wait_for(generated(500, "before") | generated(500, "stopped"), 120)
    token = r.said(r"^active (\S+) (\S+)")[-1]
    assert token[0] != first_token[0], "another daemon serves it"
    cursor = b.r.hget(b.key("cursors"), "gateway")
    stopped.go_on()
    until(lambda: stopped.ask("status"), "the woken daemon answers")
    b.publish_many(500, "woken")
    r.wait_for(generated(500, "before") | generated(500, "stopped") | generated(500, "woken"))
    for prefix in ("before", "stopped", "woken"):
        r.in_order(prefix)
    assert r.said(r"^active (\S+) (\S+)")[-1] == token, "it stayed where it was"
    until(lambda: stopped.ask("status")["sessions"] == 0, "the woken daemon gives up its session")
    assert b.r.hget(b.key("cursors"), "gateway") >= cursor


@test
def a_woken_daemon_sends_nothing_under_a_lease_that_fell_to_another(b):
    slow = dict(lease_ms=1000, heartbeat_ms=5000, silence_ms=20000)  # so that its client stays with it
    b.start(**slow)
    b.durable("gateway")
    other = b.daemon(**slow).start()
    first = b.recorder("first", "-d", "gateway")
    second = b.recorder("second", "-d", "gateway", endpoints=[other.ipc], start=False).start()
    second.wait_said("^standby")
    b.publish_many(100, "one")
    first.wait_for(generated(100, "one"))
    b.d.pause()
    second.active()
    b.publish_many(100, "two")
    until(lambda: generated(100, "two") <= set(second.uids()), "the second has all")
    b.d.go_on()
    first.wait_said("^(connecting superseded|standby)")
    assert set(first.uids()) == generated(100, "one"), "the first is sent no more"


@test
def a_standby_takes_over_and_the_two_together_have_all(b):
    b.start(lease_ms=1000)
    b.durable("gateway")
    first = b.recorder("first", "-d", "gateway")
    second = b.recorder("second", "-d", "gateway", start=False).start()
    second.wait_said("^standby")
    b.publish_many(2000, "one")
    first.wait_for(generated(2000, "one"))
    until(lambda: b.d.ask("status") is not None, "daemon answers")
    first.kill()
    first.want = None
    second.active()
    b.publish_many(2000, "two")
    until(lambda: set(first.uids()) | set(second.uids()) == generated(2000, "one") | generated(2000, "two"), "all is there")
    second.in_order("one"), second.in_order("two")
    counters = [int(r.said(r"^active \S+ \d+:(\d+)")[-1]) for r in (first, second)]
    assert counters[0] < counters[1], f"tokens ascend: {counters}"


@test
def a_hung_application_loses_its_name_to_the_standby(b):
    b.start(lease_ms=1000)
    b.durable("gateway")
    first = b.recorder("first", "-d", "gateway", "--hang-after", "10")
    second = b.recorder("second", "-d", "gateway", start=False).start()
    second.wait_said("^standby")
    b.publish_many(1000)
    second.active()
    until(lambda: set(first.uids()) | set(second.uids()) == generated(1000), "all is there")
    assert first.process.alive()


@test
def two_daemons_of_which_one_dies_and_its_clients_move(b):
    b.start()
    other = b.daemon().start()
    b.durable("gateway")
    names = [b.recorder("durable", "-d", "gateway", endpoints=[b.d.ipc, other.ipc]),
             b.recorder("plain", endpoints=[b.d.tcp, other.tcp]),
             b.recorder("elsewhere", endpoints=[other.tcp, b.d.tcp])]
    p = b.publish_many(8000, types=("penalty", "promotion"), wait=False)
    has_some(names[0], 1000)
    b.d.kill()
    b.published(p)
    for r in names:
        r.wait_for(generated(8000), 120)
        r.in_order("e")


@test
def at_term_the_daemon_drains_tells_its_clients_and_keeps_their_places(b):
    b.start()
    b.durable("gateway")
    r = b.recorder("r", "-d", "gateway")
    b.publish_many(5000)
    b.d.stop()
    r.wait_said("^connecting draining")
    had = set(r.uids())
    cursor = b.r.hget(b.key("cursors"), "gateway").decode().split()[2]
    stored = [i.decode() for i, _ in b.r.xrange(b.key("private"))]
    assert len(had) == stored.index(cursor) + 1 if cursor in stored else not had, "the place is where its acks ended"
    assert float(b.r.hget(b.key("lease:gateway"), "until")) == 0, "the lease is given back"
    assert b.r.hget(b.key("tail"), "private").decode() in stored
    b.publish_many(100, "later")
    b.d.start()
    r.wait_for(generated(5000) | generated(100, "later"))
    r.in_order("e")
    assert not r.said("^again "), "nothing came twice"


@test
def a_drain_waits_for_those_who_hang_only_so_long(b):
    b.expected = "."
    b.start(drain_ms=2000, lease_ms=90000, silence_ms=180000)  # which would end it too, were the drain not bounded
    for name in ("hung", "well"):
        b.durable(name)
    hung, stopped = b.recorder("hung", "-d", "hung", "--hang-after", "50"), b.recorder("stopped")
    well = b.recorder("well", "-d", "well")
    stopped.process.signal(signal.SIGSTOP)
    p = b.publish_many(20000, wait=False)
    has_some(well, 1000)
    until(lambda: len(hung.lines()) >= 50, "it hangs")
    begin = time.monotonic()
    b.d.stop()
    assert 2 <= time.monotonic() - begin < 30, "the drain is bounded"
    well.wait_said("^connecting draining")
    b.published(p)
    stopped.process.signal(signal.SIGCONT)
    hung.kill()
    hung.args.clear()
    hung.args += ["-d", "hung"]
    b.d.start()
    hung.start()
    for r in (hung, stopped, well):
        r.wait_for(generated(20000), 120)
        r.in_order("e")
    assert not well.said("^again "), "the place of who acknowledged was kept"


run()
