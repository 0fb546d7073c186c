#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# The protocol spoken by a client of another language, and by one that means ill.
import struct

import zmq

from dibao_test import *
import subscriber


def session(b, start_now=True, **options):
    s = subscriber.Subscriber(b.d.ipc, **options)
    s.open()
    if start_now:
        until(lambda: s.receive(0.02) is not None and s.welcome, "it is welcome")
    return s


def receive_until(s, uids, got, seconds=20, **options):
    """got: {uid: channel}, grows."""
    def step():
        for channel, kind, m in s.receive(0.02, **options):
            if kind == subscriber.EVENT:
                assert m["uid"] not in got, f"{m['uid']} came twice"
                got[m["uid"]] = channel
        return set(uids) <= set(got)
    until(step, lambda: f"python has {some(set(uids) - set(got))}", seconds, 0)
    assert set(got) == set(uids)
    return got


@test
def two_subscribers_in_python_receive_ack_and_resume(b):
    b.start()
    b.durable("py")
    one, two = session(b, name="py", start="resume"), session(b, types=["award"], orgs=["320508"])
    one_got, two_got = {}, {}
    p = b.publish_many(3000, types=("penalty", "award"), orgs=(HUXU, HUXU, WUZHONG, WUZHONG), wait=False)
    until(lambda: [one_got.update({m["uid"]: c}) for c, _, m in one.receive(0.02)] is not None and len(one_got) > 300,
          "some hundred are there")
    one.bye()
    b.published(p)
    awards = {f"e-{i}" for i in range(3000) if i % 2 and i % 4 < 2}
    receive_until(two, awards, two_got)
    again = session(b, name="py", start="resume", instance=one.hello["inst"])
    again.seen = one.seen  # as the application that stored them has
    receive_until(again, generated(3000), one_got)
    for got in (one_got, two_got):
        for c in CHANNELS:
            order = [int(u[2:]) for u in got if got[u] == c]
            assert order == sorted(order), f"order of {c}"


@test
def a_python_subscriber_starts_by_time_and_by_last(b):
    b.start()
    b.publish_many(500, "old")
    t = b.r.time()
    ms = t[0] * 1000 + t[1] // 1000 + 1
    until(lambda: b.r.time()[0] * 1000 + b.r.time()[1] // 1000 > ms, "Redis' clock ticks")
    b.publish_many(100, "young")
    receive_until(session(b, start="time", arg=ms), generated(100, "young"), {})
    receive_until(session(b, start="time", arg=0), generated(100, "young") | generated(500, "old"), {})
    receive_until(session(b, start="last", arg=50), {f"young-{i}" for i in range(50, 100)}, {})


@test
def a_python_subscriber_goes_on_after_the_daemon_was_killed(b):
    b.start()
    b.durable("py")
    s, got = session(b, name="py", start="resume"), {}
    b.publish_many(500, "one")
    receive_until(s, generated(500, "one"), got)
    b.d.kill()
    b.publish_many(500, "two")
    b.d.start()
    receive_until(s, generated(500, "one") | generated(500, "two"), got, 120)


@test
def the_program_itself_prints_what_it_got(b):
    b.start()
    p = b.process(["/usr/bin/python3", os.path.join(HERE, "subscriber.py"), b.d.tcp, "--from", "time", "-n", "200"],
                  b.path("py.out"))
    b.publish_many(200, types=("award", "penalty"))
    assert p.wait(20) == 0, p.log()
    assert {l.split()[1] for l in p.log().splitlines()} == generated(200)


@test
def a_client_that_never_reads_and_forges_acks_is_ended_and_harms_nobody(b):
    b.start(window_bytes="128K", budget_bytes="2M", silence_ms=120000)  # not silence, what they say ends them
    r = b.recorder("r")
    context = zmq.Context.instance()
    bad = []
    for i in range(3):  # never read a thing
        s = context.socket(zmq.DEALER)
        s.setsockopt(zmq.RCVHWM, 1)
        s.connect(b.d.ipc)
        s.send(b"H" + msgpack.packb({"pmin": 1, "pmax": 1, "feat": [], "bureau": "3205", "inst": os.urandom(16),
                                     "from": "time", "arg": 0, "view": "full", "win": 1 << 24}))
        bad.append(s)
    until(lambda: b.d.ask("status")["sessions"] == 4, "all are there")
    b.publish_many(20000)
    for n, s in enumerate(bad):
        for number in (1, 2, 1000, 2**64 - 1):
            s.send(b"A" + struct.pack(">BBQQ", 1, 1, number, 12345 + n))
    until(lambda: b.d.ask("status")["sessions"] == 1, "the forgers are ended")
    assert b.d.ask("status")["counters"]["protocol_errors"] >= 3
    r.wait_for(generated(20000))
    r.in_order("e")
    status = b.d.ask("status")
    assert status["counters"]["frames"] > 0


@test
def a_forged_ack_does_not_move_the_place_of_a_durable_name(b):
    b.start()
    b.durable("py")
    s = session(b, name="py", start="resume")
    b.publish_many(100)
    receive_until(s, generated(100), {}, ack=False)
    before = b.r.hget(b.key("cursors"), "py")
    # Another's token; a frame that was never sent, with the token of one that was.
    for ahead, other in ((0, 1), (1, 0), (2**40, 0)):
        channel, number, token = s.last
        s.ack(channel, number + ahead, token ^ other)
        try:
            until(lambda: s.receive(0.02) and False, "it is ended")
        except subscriber.Refused as e:
            assert e.args[0] == 6, e
        assert b.r.hget(b.key("cursors"), "py") == before
        s = session(b, name="py", start="resume", instance=s.hello["inst"])
        receive_until(s, generated(100), {}, ack=False)
    assert b.d.ask("status")["counters"]["protocol_errors"] == 3


@test
def what_is_no_message_of_the_protocol_is_answered_and_survived(b):
    b.start()
    r = b.recorder("r")
    context = zmq.Context.instance()
    rubbish = [b"", b"Z", b"H", b"H\xc1", b"H\xdf\xff\xff\xff\xff", b"A", b"A\x05", b"R" + b"\x81" * 3000, b"\x00" * 60000,
               b"W" + msgpack.packb({}), b"B\x91", b"H" + msgpack.packb({"pmin": 9, "pmax": 9}), os.urandom(500)]
    for text in rubbish:
        s = context.socket(zmq.DEALER)
        s.connect(b.d.tcp)
        s.send(text)
        s.send_multipart([text, text, text])
        s.close(1000)
    b.publish_many(100)
    r.wait_for(generated(100))
    assert b.d.process.alive()
    until(lambda: b.d.ask("status")["sessions"] == 1, "nothing is left of them")


run()
