#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Publishing through the daemon, for who must not have a Redis user.
from office import *

RELAY = {"kind": "publisher-relay", "types": "award promotion", "orgs": "320508"}
INVALID, NOREF, PERSON, DENIED, AWAY = 1, 2, 3, 4, 5
PROTOCOL = 6
OUTCOMES = {1: "new", 2: "repeat", 3: "scheduled", 4: "conflict"}


class Publisher:
    """Written to dibao-protocol(7)."""

    def __init__(self, o, who="hr", endpoint=None, bureau="3205"):
        self.s = zmq.Context.instance().socket(zmq.DEALER)
        self.s.curve_serverkey, self.s.curve_publickey, self.s.curve_secretkey = o.curve(who)
        self.s.linger = 0
        self.s.connect(endpoint or o.b.d.tcp)
        self.n = 0
        self.s.send(b"H" + msgpack.packb({"pmin": 1, "pmax": 1, "feat": ["publish"], "bureau": bureau, "inst": os.urandom(16)}))
        self.welcome = self.receive()

    def receive(self, seconds=60):
        assert self.s.poll(seconds * 1000 * SLOW), "an answer"
        m = self.s.recv()
        return m[:1], msgpack.unpackb(m[1:])

    def send(self, bytes_):
        self.n += 1
        self.s.send(b"E" + msgpack.packb({"id": self.n, "ev": bytes_}))

    def publish(self, bytes_):
        """A word, or (err, text)."""
        self.send(bytes_)
        kind, m = self.receive()
        assert kind == b"O" and m["id"] == self.n, (kind, m)
        return OUTCOMES[m["out"]] if m["out"] else (m["err"], m["text"])


def office(b, **names):
    return Office(b, hr=RELAY, gate=GATEWAY, wall=BOARD, **names)


def ctl(o, line, who="hr", code=0):
    p = subprocess.run([BUILD + "/bin/dibaoctl", "publish", "--endpoint", o.b.d.tcp, "--key", o.b.path(who + ".key"),
                        "--server-key", o.server], input=line, capture_output=True, text=True, timeout=60 * SLOW)
    assert p.returncode == code, (p.returncode, p.stdout, p.stderr)
    return p.stdout + p.stderr


def as_json(uid, type="award", org=HUXU, **more):
    return json.dumps(msgpack.unpackb(event(uid, type, org, **more)), ensure_ascii=False) + "\n"


@test
def what_a_relay_publishes_is_answered_once_it_is_stored_and_reaches_subscribers(b):
    o = office(b)
    s = o.session("gate")
    p = Publisher(o)
    assert p.welcome[0] == b"W" and p.welcome[1]["feat"] == ["publish"] and p.welcome[1]["chans"] == []
    assert p.publish(event("a-1", "award")) == "new"
    assert b.r.xlen(b.key("public")) == 1, "durable before the answer"
    assert p.publish(event("a-1", "award")) == "repeat"
    assert p.publish(event("a-1", "award", badge="F2")) == "conflict"
    assert p.publish(event("a-2", "award", not_before=4102444800000)) == "scheduled"
    assert p.publish(event("a-3", "award", corrects="a-1")) == "new"
    assert receive_until(s, ["a-1", "a-3"]) == {"a-1", "a-3"}
    assert ctl(o, as_json("a-4") + as_json("a-1") + as_json("p-1", "promotion")) == "new a-4\nrepeat a-1\nnew p-1\n"
    assert o.status("relayed") == 8


@test
def a_relay_publishes_and_takes_back_only_what_it_is_granted(b):
    o = office(b)
    b.publish(event("pen-1", "penalty"))
    b.publish(event("far-1", "award", org=WUZHONG))
    b.publish(event("near-1", "award"))
    p = Publisher(o)
    before = b.r.dbsize()
    assert p.publish(event("x-1", "penalty")) == (DENIED, "types: penalty is not granted")
    assert p.publish(event("x-2", "award", org=WUZHONG)) == (DENIED, f"orgs: {WUZHONG} is not granted")
    assert p.publish(event("x-3", "award").replace(b"\xa5award", b"\xa8training"))[0] == DENIED
    unknown = p.publish(event("x-4", "award", retracts="no-such"))
    assert unknown[0] == NOREF
    for uid in ("pen-1", "far-1"):
        for how in ("retracts", "corrects"):
            assert p.publish(event("x-5", "award", **{how: uid})) == unknown, "what it may not touch is as if unknown"
    assert p.publish(event("x-6", "award", badge="F9", retracts="near-1"))[0] == PERSON
    assert p.publish(b"\x81\xa1v\x01")[0] == INVALID
    assert b.r.dbsize() == before
    assert p.publish(event("x-7", "award", retracts="near-1")) == "new"
    assert o.status("relay_refused") == 10
    assert "types: penalty is not granted" in ctl(o, as_json("x-8", "penalty"), code=77)


@test
def only_a_relay_publishes_and_it_receives_nothing(b):
    o = office(b)
    for who in ("gate", "wall"):
        assert Publisher(o, who).welcome == (b"G", {"why": REFUSED, "text": "kind: only a publisher-relay publishes"})
        assert "only a publisher-relay" in ctl(o, as_json("a-1"), who, code=77)
    for view in ("full", "public"):
        assert o.refusal("hr", view=view) == (REFUSED, "kind: a publisher-relay receives nothing")
    assert Publisher(o, bureau="3206").welcome == (b"G", {"why": REFUSED, "text": "another bureau's daemon"})
    p = Publisher(o)
    p.s.send(b"E" + msgpack.packb({"id": 1}))
    assert p.receive() == (b"G", {"why": PROTOCOL, "text": "PUBLISH: ev: expected 1 to 16384 bytes of binary"})


@test
def a_narrowed_or_removed_relay_is_refused_from_the_next_event_on(b):
    o = office(b)
    p = Publisher(o)
    assert p.publish(event("a-1", "award")) == "new"
    o.policy["hr"]["types"] = "promotion"
    o.reload()
    assert p.publish(event("a-2", "award"))[0] == DENIED
    del o.policy["hr"]
    o.reload()
    p.send(event("p-1", "promotion"))
    assert p.receive() == (b"G", {"why": REVOKED, "text": "not in the policy any more"})
    assert b.r.exists(b.key("uid:p-1")) == 0


@test
def nothing_is_answered_before_redis_has_it_and_so_many_may_wait(b):
    o = office(b)
    p = Publisher(o)
    b.redis.signal(signal.SIGSTOP)
    for i in range(256):
        p.send(event(f"a-{i}", "award"))
    assert not p.s.poll(500), "nothing is answered while Redis says nothing"
    b.redis.signal(signal.SIGCONT)
    assert [p.receive()[1]["out"] for _ in range(256)] == [1] * 256
    b.redis.signal(signal.SIGSTOP)
    for i in range(257):
        p.send(event(f"b-{i}", "award"))
    assert p.receive() == (b"G", {"why": PROTOCOL, "text": "PUBLISH: over 256 unanswered"})
    b.redis.signal(signal.SIGCONT)


@test
def while_redis_is_away_an_event_is_to_be_published_again(b):
    o = office(b)
    p = Publisher(o)
    b.expected = "Redis|redis"
    b.redis.kill()
    b.d.wait_log("connection lost")
    assert p.publish(event("a-1", "award")) == (AWAY, "Redis is away: publish it again")
    assert "connection lost" in ctl(o, as_json("a-1"), code=69)
    b.start_redis()
    until(lambda: p.publish(event("a-1", "award")) == "new", "Redis is back", every=0.05)


@test
def a_daemon_with_rights_of_its_own_in_redis_publishes_for_a_relay(b):
    o = office(b)
    dibaoctl(b, "--redis", "unix:" + b.redis_socket, "setup", "--acl", "--apply", "dibaod")
    b.d.stop()
    b.d.configure(redis_user="dibaod", redis_password_file=b.path("dibaod.password"))
    b.d.start()
    p = Publisher(o)
    assert [p.publish(e) for e in (event("a-1", "award"), event("a-2", "award", not_before=4102444800000),
                                   event("a-3", "award", corrects="a-1"), event("a-4", "award", retracts="a-2"))] == \
        ["new", "scheduled", "new", "new"]


@test
def a_relay_whose_daemon_is_killed_publishes_again_and_nothing_is_lost_or_doubled(b):
    o = office(b)
    p = b.process([BUILD + "/tests/publish_many", "-E", b.d.tcp, "-K", b.path("hr.key"), "-Z", o.server, "-n", "4000", "-p", "k",
                   "-f", b.path("k.pub"), "-t", "award", "-o", HUXU], b.path("k.publog"))
    for _ in range(3):
        have = b.r.xlen(b.key("public"))
        until(lambda: b.r.xlen(b.key("public")) > have + 200 or not p.alive(), "it publishes")
        b.d.kill()
        b.d.start()
    b.published(p)
    uids = [msgpack.unpackb(f[b"e"])["uid"] for _, f in b.r.xrange(b.key("public"))]
    assert sorted(uids) == sorted(generated(4000, "k")), "each once"


@test
def the_lines_that_the_page_of_the_protocol_shows_publish(b):
    o = office(b)
    text = open(os.path.join(ROOT, "lib/dibao-protocol.7")).read()
    script = re.search(r"\.Ss Publishing.*?\.Bd -literal -offset indent\n(import.*?)\.Ed", text, re.S)[1]
    script = script.replace("\\\\(aq", "'").replace("tcp://127.0.0.1:7320", b.d.tcp)
    for word, key in zip(("SERVER_KEY", "PUBLIC_KEY", "SECRET_KEY"), o.curve("hr")):
        script = script.replace(f'b"{word}"', repr(key))
    with open(b.path("event.mp"), "wb") as f:
        f.write(event("m-1", "award"))
    p = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60 * SLOW, cwd=b.dir)
    assert p.returncode == 0 and "'out': 1" in p.stdout, p.stdout + p.stderr
    assert b.r.hget(b.key("uid:m-1"), "s") == b"stored"


run()
