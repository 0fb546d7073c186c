#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Peers that want too much, or do nothing but harm: what each is told, and that the others go on.
from office import *
from zmtp import *

BUSY = 8


def connections(b):
    return b.d.ask("status")["counters"]["connections"]


def limited(b, **conf):
    o = Office(b, gate=GATEWAY, other=GATEWAY)
    b.d.stop()
    b.d.configure(**conf)
    b.d.start()
    return o


def too_many(b, o, who):
    lines = lambda: len(re.findall("refused: too many connections", b.d.log()))
    before = o.status("too_many"), lines()
    try:
        Peer(b.d.tcp, o.curve(who))
        raise AssertionError("it is let in")
    except Broken as e:
        assert "500" in str(e), e
    assert (o.status("too_many"), lines()) == (before[0] + 1, before[1] + 1), "one count, one line"


@test
def who_does_not_shake_hands_is_closed_in_time(b):
    limited(b, handshake_ms=300)
    host, port = b.d.tcp[6:].split(":")
    idle = [socket.create_connection((host, int(port))) for _ in range(20)]
    until(lambda: connections(b) == 20, "they are counted")
    for s in idle:
        s.settimeout(60 * SLOW)
        while s.recv(4096):  # the greeting, then the end
            pass
    until(lambda: connections(b) == 0, "they are counted no more")


@test
def an_address_has_so_many_connections_and_one_that_leaves_makes_room(b):
    o = limited(b, connections_per_address=3)
    held = [Peer(b.d.tcp, o.curve("gate")) for _ in range(3)]
    for i in range(2):
        until(lambda: connections(b) == 3, "three are there")
        too_many(b, o, "other")
    assert re.search(r"connection of \S{40} refused: too many connections from its address", b.d.log())
    held.pop().close()
    until(lambda: connections(b) == 2, "one left")
    Peer(b.d.tcp, o.curve("other"))
    b.d.configure(connections_per_address=0)
    assert b.d.ask("reload")["ok"]
    for _ in range(10):
        held.append(Peer(b.d.tcp, o.curve("other")))


@test
def a_key_has_so_many_connections_whether_or_not_they_speak_and_another_is_not_held_up(b):
    o = limited(b, connections_per_key=3)
    silent = [Peer(b.d.tcp, o.curve("gate")) for _ in range(2)]
    speaks = o.session("gate")
    too_many(b, o, "gate")
    assert re.search(r"connection of \S{40} refused: too many connections with its key", b.d.log())
    others = [o.session("other") for _ in range(3)]
    too_many(b, o, "other")
    # One that leaves makes room for its key, though another's are silent at the same address.
    others.pop().bye()
    until(lambda: connections(b) == 5, "it has left")
    too_many(b, o, "gate")
    others.append(o.session("other"))
    too_many(b, o, "other")
    speaks.bye()
    until(lambda: connections(b) == 5, "it has left")
    silent.append(Peer(b.d.tcp, o.curve("gate")))
    too_many(b, o, "gate")
    b.d.configure(connections_per_key=0)
    assert b.d.ask("reload")["ok"]
    silent += [Peer(b.d.tcp, o.curve("gate")) for _ in range(5)]


@test
def who_has_too_many_is_told_so_by_the_library_and_comes_back_by_itself(b):
    o = limited(b, connections_per_key=1)
    held = Peer(b.d.tcp, o.curve("gate"))
    mine = ["--endpoint", b.d.tcp, "--key", b.path("gate.key"), "--server-key", o.server]
    p = b.process([BUILD + "/bin/dibaoctl", *mine, "tail"], b.path("tail.out"))
    until(lambda: "busy: too many connections with this key or from this address, connecting again" in p.log(), p.log)
    said = dibaoctl(b, *mine, "status", code=69)[1]
    assert "the daemon has too many connections with this key or from this address" in said, said
    assert "does not know this key" not in said + p.log()
    held.close()
    until(lambda: "connected to" in p.log(), p.log)


@test
def connections_that_come_and_go_on_the_same_descriptors_are_not_counted_on(b):
    o = limited(b, connections_per_key=2, connects_per_key=0, hellos_per_key=0)
    for i in range(60):
        who = ("gate", "other")[i % 2]
        p = RawSubscriber(b.d.tcp, curve=o.curve(who))
        p.open()
        p.send(b"H", p.hello)
        if i % 3:
            p.receive(0.005)
        p.socket.close()  # at once: its HELLO may be read when the descriptor is another's
        until(lambda: connections(b) <= 1, "the others have left", every=0)
    until(lambda: connections(b) == 0, "all have left")
    for who in ("gate", "other"):
        held = [Peer(b.d.tcp, o.curve(who)) for _ in range(2)]
        too_many(b, o, who)
        for p in held:
            p.close()


@test
def a_key_may_connect_so_often_a_minute_and_another_is_not_held_up(b):
    o = limited(b, connects_per_key=5)
    for _ in range(5):
        Peer(b.d.tcp, o.curve("gate")).close()
    too_many(b, o, "gate")
    assert "too many connections a minute by its key" in b.d.log()
    o.session("other").bye()


@test
def a_key_has_so_many_sessions_and_more_are_told_to_come_later(b):
    o = limited(b, sessions_per_key=2)
    held = [o.session("gate") for _ in range(2)]
    assert o.refusal("gate") == (BUSY, "as many sessions as one key may have")
    o.session("other")
    held.pop().bye()
    until(lambda: b.d.ask("status")["sessions"] == 2, "one left")
    o.session("gate")


@test
def a_key_says_so_many_hellos_a_minute(b):
    o = limited(b, hellos_per_key=3)
    for _ in range(3):
        o.session("gate").bye()
    assert o.refusal("gate") == (BUSY, "more HELLOs a minute than one key may send")
    o.session("other").bye()


@test
def for_who_has_no_key_there_is_the_limit_of_connections_alone(b):
    o = limited(b, curve_key_file="", insecure="yes", connections_per_address=3, connections_per_key=1, connects_per_key=1,
                sessions_per_key=1, hellos_per_key=1)
    o.policy["insecure"] = GATEWAY
    o.reload()
    held = [o.session(None, curve=False) for _ in range(3)]
    assert len(b.d.ask("clients")["clients"]) == 3
    fourth = o.subscriber(None, curve=False)
    until(lambda: fourth.receive(0.02) == [] and o.status("too_many") >= 1, "a fourth is refused")
    fourth.close()
    assert re.search(r"connection of 127\.0\.0\.1 refused: too many connections from its address", b.d.log())
    held.pop().bye()
    until(lambda: connections(b) == 2, "one left")
    o.session(None, curve=False)


@test
def a_message_over_the_limit_ends_its_connection_alone(b):
    o = limited(b, message_bytes="32K")
    good, bad = o.session("gate"), Peer(b.d.tcp, o.curve("other"))
    bad.send_multipart([b"H" + bytes(40000)])
    until(lambda: connections(b) == 1, "it is disconnected")
    b.publish(event("e-1"))
    receive_until(good, ["e-1"])


@test
def history_over_the_limit_comes_later_and_what_is_new_comes_at_once(b):
    o = limited(b, replay_bytes="600K")
    b.publish_many(6000)
    slow, started = o.session("gate", start="time", arg=1, window=1 << 17), time.monotonic()
    got = set()

    def more():
        got.update(m["uid"] for _, k, m in slow.receive(0.02))
        return got
    until(lambda: len(more()) > 2000, "a minute's worth comes at once")
    n = len(got)
    holds(lambda: len(more()) < 6000, "the rest is delayed", 1.5)
    assert n <= len(got) < 6000
    live = o.session("other")
    b.publish(event("live"))
    receive_until(live, ["live"])
    b.d.configure(replay_bytes=0)
    assert b.d.ask("reload")["ok"]
    until(lambda: len(more()) == 6001, "nothing was dropped", every=0)


@test
def who_breaks_the_protocol_again_and_again_is_not_listened_to_for_a_second(b):
    o = limited(b)
    s = RawSubscriber(b.d.tcp, curve=o.curve("gate"))
    s.open()
    s.hello_at = float("inf")
    for _ in range(20):
        s.socket.send_multipart([b"P", b"P"])
    s.send(b"H", s.hello)
    until(lambda: o.status("muted") == 13, lambda: b.d.ask("status")["counters"], every=0)  # its HELLO too
    assert o.status("protocol_errors") == 8 and len(re.findall("expected a message of one frame", b.d.log())) == 8
    told = []
    until(lambda: s.socket.poll(20) and told.append(s.socket.recv_multipart()[0]) or len(told) == 8, lambda: told, every=0)
    assert {(t[:1], msgpack.unpackb(t[1:])["why"]) for t in told} == {(b"G", 6)}
    other = o.session("other")
    s.hello_at = 0  # again each second
    until(lambda: s.receive(0.02) is not None and s.welcome, "it is listened to again", every=0)
    b.publish(event("e-1"))
    receive_until(other, ["e-1"])


@test
def a_flood_of_junk_costs_the_others_no_event(b):
    o = limited(b)
    r = b.recorder()
    junk = [Peer(b.d.tcp, o.curve("other"), seconds=60) for _ in range(3)]
    over = threading.Event()

    def flood(p, frames):
        try:
            while not over.is_set():
                p.send_multipart(frames)
        except (Broken, OSError):
            pass
    threads = [threading.Thread(target=flood, args=(p, f), daemon=True)
               for p, f in zip(junk, ([b"Z"], [b"A", b"B"], [b"A" + struct.pack(">BBQQ", 1, 0, 77, 1)]))]
    for t in threads:
        t.start()
    until(lambda: o.status("no_session") > 500 and o.status("protocol_errors") > 200, "the flood arrives")
    b.publish_many(3000)
    r.wait_for(generated(3000), 60)
    over.set()
    for p in junk:
        p.close()
    for t in threads:
        t.join()


run()
