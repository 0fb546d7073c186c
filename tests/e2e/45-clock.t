#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Clocks that are set forth and back by a minute, under Redis or under the daemon (see shim.c); and a
# disk that is slow to sync. No event is lost, none comes twice, nothing is trimmed for a clock.
from dibao_test import *


def redis_ms(b):
    s, us = b.r.time()
    return s * 1000 + us // 1000


def stepped(b, who, ms):
    """The clock of `who` is off by `ms`, then right again; subscribers reconnect in either state."""
    b.expected = "clocks disagree"
    redis, daemon = Shim(b, "redis"), Shim(b, "daemon")
    b.redis_env, b.daemon_env = redis.env, daemon.env
    # So that a trim by the wrong clock would take all.
    b.start(private_ms=50000, public_ms=50000)
    for name in ("durable", "away"):
        b.durable(name, 0)
    durable, away, plain = b.recorder("durable", "-d", "durable"), b.recorder("away", "-d", "away"), b.recorder("plain")
    clock, have = redis if who == "redis" else daemon, set()

    def more(prefix, n=200):
        b.publish_many(n, prefix, types=("penalty", "award"), more=("-x", "9"))
        have.update(generated(n, prefix))

    def all_have():
        for r in (durable, plain):
            r.wait_for(have)

    more("before")
    all_have()
    away.wait_for(have).stop()
    token = durable.said(r"^active \S+ (\S+)")
    p = b.publish_many(2000, "over", types=("penalty", "award"), wait=False, more=("-r", "4000"))
    has_some(plain, 700)
    clock.step(ms)
    b.published(p)
    have |= generated(2000, "over")
    all_have()
    assert durable.said(r"^active \S+ (\S+)") == token and not durable.said("^connecting"), "the lease went on"
    for state in ("off", "right"):
        more(state + "-live")
        all_have()
        b.d.kill()
        more(state + "-without")
        b.d.start()
        all_have()
        if state == "off":
            b.d.wait_log("clocks disagree")
            due = redis_ms(b) + 700
            assert b.publish(event(f"due-{state}", not_before=due)) == "scheduled"
            have.add(f"due-{state}")
            until(lambda: f"due-{state}" in plain.uids(), "the scheduled one comes")
            assert redis_ms(b) >= due, "it came when Redis' clock said so"
            # By now it has looked what there is to trim: a second after its start, and then each minute.
            holds(lambda: sum(b.r.xlen(b.key(c)) for c in CHANNELS) >= len(have), "nothing is trimmed", 1.5)
            clock.step(0)
    away.start()
    away.wait_for(have)
    for r in (durable, plain, away):
        r.in_order("over")
    assert not away.said("^lost") and not plain.said("^lost")
    b.recorder("late", "-s", "time:1000").wait_for(have)


def has_some(r, n):
    until(lambda: len(r.lines()) >= n, f"{r.name} has {n} events", 120)


@test
def redis_clock_a_minute_ahead_and_right_again(b):
    stepped(b, "redis", 60000)


@test
def redis_clock_a_minute_behind_and_right_again(b):
    stepped(b, "redis", -60000)


@test
def the_daemons_clock_a_minute_ahead_and_right_again(b):
    stepped(b, "daemon", 60000)


@test
def the_daemons_clock_a_minute_behind_and_right_again(b):
    stepped(b, "daemon", -60000)


@test
def redis_clock_set_back_in_a_quiet_hour(b):
    """New entries bear the time of the last one before the step, which lies before all that subscribers
    were told of the time since."""
    b.expected = "clocks disagree"
    shim = Shim(b, "redis")
    b.redis_env = shim.env
    b.start()
    r = b.recorder("plain")
    b.publish_many(100, "one")
    r.wait_for(generated(100, "one"))
    end = redis_ms(b) + 3000
    until(lambda: redis_ms(b) > end, "3 s go by")
    shim.step(-60000)
    b.d.kill()
    b.publish_many(100, "two")
    b.d.start()
    r.wait_for(generated(100, "one") | generated(100, "two"))
    r.in_order("two")


@test
def a_daemon_cut_off_from_redis_and_then_killed_loses_nothing(b):
    """It kept its subscribers company meanwhile, but did not know what it told them nothing of."""
    b.expected = "."
    b.start_redis()
    b.setup()
    line = Proxy(b, b.redis_socket, b.path("line.sock"))
    b.d = b.daemon(redis=line.where).start()
    r = b.recorder("plain")
    b.publish_many(100, "one")
    r.wait_for(generated(100, "one"))
    line.cut()
    b.publish_many(100, "two")
    end = redis_ms(b) + 4000
    until(lambda: redis_ms(b) > end, "4 s go by")
    assert not r.said("^connecting"), "its session lives"
    b.d.kill()
    line.mend()
    b.d.start()
    r.wait_for(generated(100, "one") | generated(100, "two"))


@test(fsync="always")
def nobody_is_told_of_an_event_before_the_disk_has_it(b):
    shim = Shim(b, "redis")
    b.redis_env = shim.env
    b.start(command_timeout_ms=60000)
    r = b.recorder("r")
    b.publish_many(100, "one")
    r.wait_for(generated(100, "one"))
    until(lambda: shim.n_held() == 0, "nothing waits")
    shim.hold_syncs()
    p = b.publish_many(100, "two", wait=False)
    until(lambda: shim.n_held() > 0, "Redis waits for its disk")
    holds(lambda: not b.outcomes("two"), "the publisher has no answer", 0.5)
    r.has_exactly(generated(100, "one"))
    shim.hold_syncs(False)
    b.published(p)
    assert set(b.outcomes("two").values()) == {"new"}
    r.wait_for(generated(100, "one") | generated(100, "two"))


run()
