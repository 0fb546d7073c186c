#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# What a dishonest peer tries: it has a board's key and speaks ZMTP by hand (zmtp.py), so it can say what no
# library would. Whatever it is told, every byte that reaches it is searched for what is private.
import private
from office import *
from zmtp import *

LOOKALIKES = ["ｐｅｎａｌｔｙ", "pеnalty", "p\u0435n\u0430lty", "penalty\u200b", "\u202eytlanep", "penal\u0301ty", "penalty\ufeff"]
PRIVATE_TYPES = ("penalty", "welfare_visit", "mailbox_reply")


def spellings(t):
    """Of one private type: what might be taken for it."""
    yield from ([t], [t.upper()], [t.title()], [t.swapcase()], [t[:1]], [t[:-1]], [t + "s"], [t + "*"], ["*"], ["?" * len(t)],
                [" " + t], [t + " "], [t + "\n"], [t + "\0"], ["award\0" + t], ["award," + t], ["award " + t], ["award", t],
                [t, "award"], [t] * 32, [t] * 33, ["x" * 32], ["x" * 33], ["x" * 5000], [t + "x" * 60], [""], ["award", ""],
                [b"penalty"], [t.encode()], [7], [None], [True], [[t]], [{t: t}], t, t.encode(), {t: t}, 7, None, [1.5],
                [f"/{t}"], [f"({t}|award)"], ["award|" + t], ["[a-z]*"], ["%"], [f"'{t}' OR 1"], [".*"], ["#"], ["private"],
                ["public"], ["full"], [t.replace("_", "-")], ["0"], ["promotion", "award", t])


def secret_events():
    """Private events with texts of their own, and public ones among them. As dictionaries."""
    out = []
    for i in range(40):
        t = (*PRIVATE_TYPES, "award", "promotion", "training")[i % 6]
        body = dict(BODIES.get(t, {"hours": 8}))
        hidden = {"penalty": "reason", "welfare_visit": "where", "mailbox_reply": "reply", "award": "reason"}.get(t)
        if hidden:
            body[hidden] = f"密件内容第{i}号"
        out.append({"v": 1, "uid": f"secret-{t}-{i}", "type": t, "at": 1700000000000 + i, "org": HUXU, "issuer": "发文单位甲",
                    "person": {"badge": f"BADGE{i:05}", "name": f"演示人{i}", "post": "岗位乙"}, "body": body,
                    **({"private": True} if i % 12 == 3 else {}), **({"urgent": True} if i % 5 == 0 else {})})
    return out


class Wall:
    """A bureau with a wall that has been stolen, a gateway beside it, and private events in the queue."""

    def __init__(self, b, wall=None, **conf):
        self.b = b
        self.o = Office(b, conf, wall={**BOARD, "durable": "wall-1", **(wall or {})},
                        gate={**GATEWAY, "durable": "sms-1"}, reader={"kind": "reader", "types": "award", "orgs": "*"})
        self.events, self.peers, self.ids = secret_events(), [], []
        for e in self.events:
            b.publish(msgpack.packb(e))
        for c in ("private", "private-now"):
            self.ids += [i.decode() for i, _ in b.r.xrange(b.key(c))]
        assert len(self.ids) > 15

    def peer(self, who="wall", **options):
        """Connected; has said nothing yet."""
        curve = options.pop("curve", True)
        s = RawSubscriber(options.pop("endpoint", self.b.d.tcp), curve=self.o.curve(who) if curve else None,
                          **{"view": "public", **options})
        s.open()
        self.peers.append(s)
        return s

    def hears(self, s, seconds=10):
        """(reason, text), or "welcome" once its replay is over, or "closed"."""
        end = time.monotonic() + seconds * SLOW
        while time.monotonic() < end:
            try:
                s.receive(0.02)
            except subscriber.Refused as e:
                return e.args
            except Broken:
                return "closed"
            if s.welcome and all(s.number[c] and s.live.get(c) for c in s.welcome["chans"]):
                return "welcome"
        raise AssertionError("nothing was heard")

    def is_tight(self, more=b""):
        """Zero private bytes at all that was connected. The search itself is tried at the gateway first."""
        wanted = private.needles(self.events, self.b.path("needles")) | {i.encode() for i in self.ids}
        wanted -= {t.encode() for t in (*PRIVATE_TYPES, "training")}  # which a refusal gives back to who asked
        gate = RawSubscriber(self.b.d.tcp, curve=self.o.curve("gate"), start="time", arg=0)
        gate.open()
        receive_until(gate, [e["uid"] for e in self.events])
        control = private.found(wanted, gate.clear, self.b.path("needles"))
        assert {e["uid"].encode() for e in self.events} <= control and "密件内容第0号".encode() in control, "the search finds"
        gate.bye()
        blob = b"".join(s.clear + s.wire for s in self.peers) + more
        assert len(blob) > 200
        leak = private.found(wanted, blob, self.b.path("needles"))
        assert not leak, f"{len(leak)} leaked: {sorted(leak)[:5]}"
        for s in self.peers:
            assert not s.number[1] and not s.number[3] if s.hello["view"] == "public" else True


def hello(pairs):
    """The bytes of HELLO, of pairs in their order: keys may stand twice, values be of any kind."""
    return b"H" + bytes([0x80 | len(pairs)]) + b"".join(msgpack.packb(k) + msgpack.packb(v) for k, v in pairs)


@test
def a_private_type_is_not_given_by_any_spelling(b):
    w = Wall(b)
    asks = [ask for t in PRIVATE_TYPES for ask in spellings(t)] + [[x] for x in LOOKALIKES]
    asks += [[x] for x in ("Award", "AWARD", "award ", "awar", "award*", "award\0", "a", "promotion award")]  # byte for byte
    outcomes = {}
    for ask in asks:
        s = w.peer(start="time")
        s.hello["types"] = ask
        what = w.hears(s)
        outcomes[what if what == "welcome" else what[0]] = outcomes.get(what if what == "welcome" else what[0], 0) + 1
        assert what != "welcome", ask
        s.close()
    assert sum(outcomes.values()) == len(asks) and set(outcomes) == {1, 6}, outcomes
    # What is within the grant, however it is put, gives the public view and nothing else.
    for ask in ([], ["award"], ["award"] * 32, ["promotion", "award", "promotion"]):
        s = w.peer(start="time")
        s.hello["types"] = ask
        assert w.hears(s) == "welcome", ask
        s.close()
    w.is_tight()


@test
def a_key_that_stands_twice_or_another_form_of_hello_asks_for_nothing_more(b):
    w = Wall(b)
    good = [(k, v) for k, v in w.peer().hello.items() if k != "types"]
    bad = [good + [("types", ["award"]), ("types", ["penalty"])], good + [("types", ["penalty"]), ("types", ["award"])],
           good + [("view", "full")], [(k, v) for k, v in good if k != "view"] + [("view", "public"), ("view", "full")],
           [(k, v) for k, v in good if k != "view"] + [("view", "Full")], [(k, v) for k, v in good if k != "view"] + [("view", "")],
           [(k, v) for k, v in good if k != "view"], good + [("orgs", ["*"])], good + [("orgs", [""])], good + [("orgs", ["32"])],
           good + [("orgs", ["3205", "3201"])], good + [("orgs", [HUXU + "0"])], good + [("orgs", ["３２０５"])],
           good + [("orgs", [3205])], good + [("orgs", ["-3205"])], good + [("orgs", ["3205\0"])], good + [("orgs", "3205")]]
    for pairs in bad:
        s = w.peer()
        s.hello_at = float("inf")
        s.socket.send(hello(pairs))
        what = w.hears(s)
        assert what[0] in (REFUSED, 6), (pairs, what)
    ignored = [good + [(k, v)] for k, v in (("chans", [0, 1, 2, 3]), ("channels", ["private"]), ("Types", ["penalty"]),
                                            ("type", "penalty"), ("policy", "gate"), ("user", "gate"), ("User-Id", "gate"),
                                            ("kind", "gateway"), ("feat2", ["private"]), ("mask_names", False))]
    for pairs in ignored:
        s = w.peer()
        s.hello_at = float("inf")
        s.socket.send(hello([(k, v if k != "from" else "time") for k, v in pairs]))
        assert w.hears(s) == "welcome" and s.welcome["view"] == "public" and s.welcome["chans"] == [0, 2], (pairs, s.welcome)
    w.is_tight()


@test
def no_replay_brings_a_known_penalty_back(b):
    w = Wall(b)
    ms = [int(i.split("-")[0]) for i in w.ids]
    starts = [("time", a) for a in (0, 1, -1, -2 ** 63, ms[0], ms[0] - 1, ms[0] + 1, ms[-1], 2 ** 62, 2 ** 63 - 1)]
    starts += [("last", a) for a in (1, 2, 40, 100000)] + [("resume", a) for a in (0, ms[0], 2 ** 62)] + [("new", ms[0])]
    for start, arg in starts:
        for more in ({}, {"name": "wall-1"}):
            s = w.peer(start=start, arg=arg, **more)
            assert w.hears(s) == "welcome", (start, arg, more)
            assert not s.lost
            s.bye()
    for start, arg in (("last", 0), ("last", -1), ("last", 100001), ("last", 2 ** 63 - 1), ("id", 1), ("Time", 0), (w.ids[0], 0),
                       ("time", w.ids[0]), ("time", 1.5), ("time", 2 ** 64 - 1), ("time", None), ("resume", [1]), ("", 0)):
        s = w.peer(start=start, arg=arg)
        assert w.hears(s)[0] in (REFUSED, 6), (start, arg)
    # What the board cannot know of, it cannot have taken back, told about, or confirmed.
    s = w.peer(start="time")
    w.hears(s)
    first = next(e for e in w.events if e["type"] == "penalty")
    b.publish(event("back-1", "penalty", badge=first["person"]["badge"], retracts=first["uid"]))
    for i, key in enumerate([first["uid"].encode(), private.public_id(first["uid"]), b"no-such-uid"]):
        s.send(b"R", {"id": i, "key": key, "st": 1, "at": 1700000000000, "d": ""})
    answers = []
    until(lambda: s.receive(0.02) is not None and
          answers.extend(m for _, f in s.log if f[0][:1] == b"C" and (m := msgpack.unpackb(f[0][1:])) not in answers)
          or len(answers) == 3, "the receipts are answered")
    assert {a["err"] for a in answers} == {0}, "what is, what is hidden and what never was are answered alike"
    w.is_tight()


@test
def anothers_durable_name_is_not_given_and_anothers_session_not_ended(b):
    w = Wall(b)
    gate = w.o.session("gate", name="sms-1", start="resume")
    instance = gate.hello["inst"]
    for name in ("sms-1", "SMS-1", "sms-1\0", "*", "", ".", "wall-1,sms-1", "wall-2", "sms", "x" * 64, "x" * 65):
        for who in ("wall", "reader"):
            s = w.peer(who, name=name, start="resume", instance=instance, **({} if who == "wall" else {"view": "full"}))
            if not name:
                s.hello["name"] = ""
            what = w.hears(s)
            assert what[0] in (REFUSED, 6), (name, what)
    # The same instance number under its own name, and without one, is nothing to the gateway's.
    begun = lambda: [c["connected_ms"] for c in b.d.ask("clients")["clients"] if c["name"] == "sms-1"]
    before = begun()
    for more in ({"name": "wall-1"}, {}):
        s = w.peer(instance=instance, **more)
        assert w.hears(s) == "welcome"
    b.publish(event("still-1"))
    receive_until(gate, ["still-1"])
    assert len(before) == 1 and begun() == before, "its session is still the one that it was"
    assert gate.welcome and b.r.hget(b.key("lease:sms-1"), "instance") == instance.hex().encode()
    w.is_tight()


@test
def what_a_peer_says_of_itself_in_the_handshake_is_worth_nothing(b):
    w = Wall(b)
    key = w.o.keys["gate"][0].encode()
    for value in (key, bytes(32) + key, b"0" * 32 + key, b"gate", b"local", b"0" * 32 + b"local", b"", b"x" * 200):
        for name in (b"User-Id", b"user-id", b"Identity", b"Peer-Address", b"X-Policy"):
            if name == b"Identity":
                continue
            s = w.peer(more=[(name, value)], start="time")
            s.hello["types"] = ["penalty"]
            assert w.hears(s)[0] == REFUSED, (name, value)
            s = w.peer(more=[(name, value)], start="time")
            assert w.hears(s) == "welcome" and s.welcome["view"] == "public"
            s.close()
    assert re.search("types: penalty is not granted .*DIBAO_NAME=wall", b.d.log())
    assert not re.search("DIBAO_NAME=gate.*refused", b.d.log())
    w.is_tight()


@test
def keys_that_are_unknown_revoked_or_not_ones_own_get_nothing(b):
    w = Wall(b)
    server, public, secret = w.o.curve("wall")
    w.o.key("stranger")
    gate_public = w.o.keys["gate"][0].encode()
    zero = z85.encode(bytes(32))
    for keys in (w.o.curve("stranger"), (server, gate_public, secret), (server, public, w.o.curve("stranger")[2]),
                 (public, public, secret), (server, server, secret), (server, zero, zero)):
        try:
            RawSubscriber(b.d.tcp, curve=keys, start="time").open()
            raise AssertionError(f"let in: {keys[1]}")
        except Broken:
            pass
    for kind in (b"SUB", b"XSUB", b"PULL", b"PUB", b"ROUTER", b"PAIR", b"REP", b"", b"dealer", b"NONE"):
        try:
            s = w.peer(kind=kind)
            s.peers[0].send(b"\x01")
            s.peers[0].send(b"\x01penalty")
            what = w.hears(s, 2)
            assert what == "closed" or (kind == b"ROUTER" and what == "welcome"), (kind, what)
        except Broken:
            pass
    old = w.peer(start="time")
    assert w.hears(old) == "welcome"
    del w.o.policy["wall"]
    w.o.reload()
    assert w.hears(old)[0] == REVOKED
    try:
        RawSubscriber(b.d.tcp, curve=(server, public, secret)).open()
        raise AssertionError("a revoked key is let in")
    except Broken:
        pass
    assert goodbye_to_hello(old) == REVOKED
    w.is_tight()


FIRST = 1804289383  # what rand() gives first to who does not seed it, and libzmq numbers peers from there


@test
def the_number_of_a_peer_cannot_be_foreseen_and_taken(b):
    w = Wall(b, heartbeat_ms=4000)
    gate = RawSubscriber(b.d.tcp, curve=w.o.curve("gate"))
    gate.open()
    until(lambda: gate.receive(0.02) is not None and gate.welcome, "it is welcome", every=0)
    gate.socket.close()  # without a word: the daemon learns it at its next frame
    number = lambda i: b"\0" + struct.pack(">I", i)
    thieves = [w.peer(identity=number(FIRST + i)) for i in range(64)]
    b.publish(msgpack.packb({**w.events[0], "uid": "late-1", "urgent": False}))
    until(lambda: not b.d.ask("clients")["clients"], "the gateway's end is seen", 120)
    # Nor can the number of who comes next be taken before him, for which libzmq would die.
    for _ in range(70):
        s = w.peer()
        until(lambda: s.receive(0.02) is not None and s.welcome, "it is welcome", every=0)
    for s in thieves:
        s.socket.poll(1)
    w.events.append({**w.events[0], "uid": "late-1"})
    w.is_tight()


@test
def a_peer_that_chose_a_routing_id_is_told_so_and_gets_nothing(b):
    w = Wall(b)
    gate = w.o.session("gate")
    for identity in (b"wall", b"x" * 255, b"\0", b"\0" * 255, b"\xff" * 5, b"gate"):
        s = w.peer(identity=identity, start="time")
        assert w.hears(s) == (REFUSED, "a routing id of one's own is not allowed"), identity
        s.socket.send(b"P")
    # One that looks like a number of libzmq's cannot be told from those. It gets what is its own.
    for identity in (b"\0" + os.urandom(4), b"\0" + bytes(4)):
        s = w.peer(identity=identity, start="time")
        assert w.hears(s) == "welcome" and s.welcome["view"] == "public"
        s.bye()
    b.publish(event("still-1"))
    receive_until(gate, ["still-1"])
    assert len(b.d.ask("clients")["clients"]) == 1
    w.is_tight()


@test
def verbs_of_the_operator_and_garbage_get_a_goodbye_and_no_answer(b):
    w = Wall(b)
    verbs = [json.dumps({"do": v}).encode() + b"\n" for v in ("status", "clients", "reload", "durable", "audit")]
    frames = verbs + [bytes([k]) + more for k in range(256) for more in (b"", b"\x80") if bytes([k]) not in b"HBP"]
    frames += [b"", b"H", b"A", b"R", b"P\0", b"X" + verbs[1], b"\x01penalty", b"H" + b"\x81" * 60000, b"Z" * 65536,
               b"H" + msgpack.packb({"do": "clients"}), b"R" + msgpack.packb({"id": 1, "key": b"x" * 65, "st": 1, "at": 0})]
    for i in range(0, len(frames), 16):
        s = w.peer()
        for f in frames[i:i + 16]:
            s.socket.send(f)
        until(lambda: s.socket.poll(50) and s.socket.recv_multipart()[0][:1] == b"G", "it is told", every=0)
        s.close()
    for f in [frames[0], frames[1], b"A\x05", b"Z", b"\x01penalty", b"D" + bytes(31)]:
        s = w.peer(start="time")
        assert w.hears(s) == "welcome"
        s.socket.send(f)
        assert goodbye(s) == 6, f
    for parts in ([b"", b"H" + msgpack.packb(s.hello)], [b"H", b"H"], [b"P"] * 50):
        s = w.peer()
        s.socket.send_multipart(parts)
        assert goodbye(s) == 6
    s = w.peer()
    s.socket.send(b"H" + bytes(70000))
    until(lambda: closed(s), "who says more than 64 KiB is cut off")
    w.is_tight()


def goodbye(s, seconds=10):
    end = time.monotonic() + seconds * SLOW
    while time.monotonic() < end:
        if s.socket.poll(50):
            frames = s.socket.recv_multipart()
            if frames[0][:1] == b"G":
                return msgpack.unpackb(frames[0][1:])["why"]
    raise AssertionError("waited for a goodbye")


def closed(s):
    try:
        s.socket.poll(20)
        return False
    except Broken:
        return True


@test
def who_is_no_admin_and_no_relay_asks_and_publishes_nothing(b):
    w = Wall(b, heartbeat_ms=500)
    w.o.add("boss", kind="admin")
    w.o.reload()
    secret = w.events[0]["uid"]
    asks = [b"Q" + msgpack.packb({"id": 1, "do": do}) for do in ("status", "clients", "reload", "audit", "Clients", "*", "clients\0")]
    asks += [b"E" + msgpack.packb({"id": 1, "ev": e}) for e in
             (event("forged-1"), event("forged-2", "award"), event(secret), event("forged-3", retracts=secret))]
    asks += [hello(list(RawSubscriber(b.d.tcp).hello.items()) + [("pub", True)])]
    before = [b.r.xlen(b.key(c)) for c in CHANNELS] + [b.r.xlen(b.key("audit"))]
    for who in ("wall", "reader", "gate"):
        for ask in asks:
            for in_session in (False, True):
                s = w.peer(who, view="public" if who == "wall" else "full", types=["award"])
                if who == "gate":
                    w.peers.remove(s)
                if in_session:
                    until(lambda: s.receive(0.02) is not None and s.welcome, "it is welcome", every=0)
                else:
                    s.hello_at = float("inf")
                s.socket.send(ask)
                if ask[:1] != b"H":
                    assert goodbye(s) in (REFUSED, 6), (who, ask[:40])
                assert not any(f[0][:1] in b"NO" for _, f in s.log), "an answer"
                s.close()
    assert [b.r.xlen(b.key(c)) for c in CHANNELS] + [b.r.xlen(b.key("audit"))] == before
    # The same of one who may.
    s = w.peer("boss")
    w.peers.remove(s)
    s.socket.send(asks[1])
    until(lambda: s.socket.poll(50) and s.socket.recv_multipart()[0][:1] == b"N", "an admin is answered", every=0)
    w.is_tight()


@test
def acks_of_what_was_not_sent_earn_nothing(b):
    w = Wall(b)
    gate = w.o.session("gate", start="time")
    receive_until(gate, [w.events[0]["uid"]])
    theirs = gate.last
    for channel, number, token in ((0, 10 ** 6, 0), (0, 2 ** 64 - 1, 1), (1, 1, 1), (3, 1, theirs[2]), theirs, (4, 1, 1),
                                   (255, 1, 1), (2, 999, theirs[2])):
        s = w.peer(start="time")
        assert w.hears(s) == "welcome"
        s.ack(channel, number, token)
        assert goodbye(s) == 6, (channel, number)
    s = w.peer(start="time")
    until(lambda: s.receive(0.02, ack=False) is not None and s.number[0], "a frame is there", every=0)
    s.ack(0, s.number[0], s.last[2] ^ 1)
    assert goodbye(s) == 6, "another token"
    # A token of an earlier connection of one's own.
    s = w.peer(start="time", name="wall-1")
    assert w.hears(s) == "welcome"
    last = s.last
    s.open()
    s.hello_at = 0
    assert w.hears(s) == "welcome"
    s.ack(*last)
    assert goodbye(s) == 6
    w.is_tight()


@test
def a_revocation_in_mid_replay_and_in_mid_burst_ends_it_within_the_window(b):
    w = Wall(b, {"window": "128K"})
    b.publish_many(20000, "pub", types=("award", "penalty"))
    for start in ("time", "new"):
        w.o.policy["wall"]["types"] = "promotion award"
        w.o.reload()
        s = w.peer(start=start, arg=0)
        assert s.receive(0) is not None
        p = None if start == "time" else b.publish_many(20000, "burst", types=("award", "penalty"), wait=False)
        until(lambda: s.receive(0.02, ack=False) is not None and s.number[0] > (1 if p else 0) and len(s.clear) > 20000,
              "it is under way", every=0)
        w.o.policy["wall"]["types"] = "promotion"
        assert "1 sessions revoked" in w.o.reload()
        items = [c["sent"] for c in b.d.ask("clients")["clients"] if c["policy"] == "wall"]
        assert not items, "no session is left that anything could be handed to"
        before = len(s.clear)
        for c in (0, 2):
            if s.number[c]:
                s.ack(c, *s.last[1:])
        assert revocation(s)[0] == REVOKED
        assert len(s.clear) - before <= 128 * 1024 + 16384, "the window at most"
        end = len(s.clear)
        if p:
            b.published(p)
        holds(lambda: not s.socket.poll(10) or s.socket.recv_multipart()[0][:1] == b"G", "not one more", 0.5)
        assert len(s.clear) - end < 200
    w.is_tight()


@test
def no_standby_is_promoted_that_was_revoked_nor_one_that_waits_for_redis(b):
    w = Wall(b)
    o = w.o
    o.add("mate", **BOARD, durable="wall-1")
    o.reload()
    active, standby = w.peer(name="wall-1", start="resume"), w.peer("mate", name="wall-1", start="resume")
    assert w.hears(active) == "welcome"
    until(lambda: standby.receive(0.02) is not None and standby.standby, "it stands by")
    # Both at once: the lease falls free, and nobody may take it.
    saved = {n: o.policy.pop(n) for n in ("wall", "mate")}
    assert "2 sessions revoked" in o.reload()
    assert revocation(active)[0] == revocation(standby)[0] == REVOKED
    holds(lambda: not b.d.ask("clients")["clients"], "nobody takes over", 0.5)
    # Narrowed while it stands by, to less than it asked for.
    o.policy.update(saved)
    o.reload()
    active, standby = w.peer(name="wall-1", start="resume"), w.peer("mate", name="wall-1", start="resume")
    assert w.hears(active) == "welcome"
    until(lambda: standby.receive(0.02) is not None and standby.standby, "it stands by")
    o.policy["mate"]["types"] = "promotion"
    assert "1 sessions revoked" in o.reload()
    assert revocation(standby)[0] == REVOKED
    active.bye()
    b.publish(event("late-1", "award"))
    holds(lambda: not b.d.ask("clients")["clients"], "nobody takes over", 0.5)
    # One whose start waits for Redis meanwhile.
    b.redis.signal(signal.SIGSTOP)
    s = w.peer(name="wall-1", start="time")
    until(lambda: s.receive(0.02) is not None and [c["state"] for c in b.d.ask("clients")["clients"]] == ["starting"], "it starts")
    del o.policy["wall"]
    assert "1 sessions revoked" in o.reload()
    b.redis.signal(signal.SIGCONT)
    assert revocation(s)[0] == REVOKED and not s.welcome
    w.is_tight()


run()
