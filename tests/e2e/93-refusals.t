#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Every refusal that exists: its peer is told a reason, and the operator has exactly one line and one count of
# it. The last test looks for those that the sources have and the table has not.
from office import *
from zmtp import *

SUPERSEDED, DRAINING, NO_SESSION, PROTOCOL, VERSION, BUSY = 3, 4, 5, 6, 7, 8
TABLE = []  # (reason, text, counter, what makes it)
POLICY = dict(
    wall={**BOARD, "durable": "wall-1"}, gate={**GATEWAY, "durable": "*"}, deaf={"kind": "admin"},
    relay={"kind": "publisher-relay", "types": "award", "orgs": "3205"},
    inner={**GATEWAY, "channels": "private private-now"},
    past={**GATEWAY, "expires": "2020-01-01"}, boss={"kind": "admin", "expires": "2020-01-01"},
    stale={"kind": "publisher-relay", "types": "award", "orgs": "3205", "expires": "2020-01-01"})


class Hall:
    """The daemon of one case."""

    def __init__(self, b):
        self.b, self.o = b, Office(b, **POLICY)

    def fresh(self, **conf):
        """A daemon that has said nothing yet, so that no line is held back."""
        b = self.b
        if b.d.process.alive():
            b.d.kill()
        self.o.policy = {n: {"public_key": self.o.keys[n][0], **options} for n, options in POLICY.items()}
        self.o.write()
        open(b.d.out, "w").close()
        b.r.delete(b.key("lease-public:wall-1"))
        b.d.configure(**{"curve_key_file": b.path("dibaod.key"), "insecure": "no", "max_sessions": 1000, "silence_ms": 60000, "lease_ms": 30000,
                         "sessions_per_key": 256, "hellos_per_key": 3000, "command_timeout_ms": "5s",
                         "audience": "all", "redis_user": "", "redis_password_file": "", **conf})
        b.d.start()
        self.mark = len(b.d.log())

    def peer(self, who="gate", ipc=False, **options):
        s = RawSubscriber(self.b.d.ipc if ipc else self.b.d.tcp, curve=None if ipc or not who else self.o.curve(who), **options)
        s.open()
        return s

    def active(self, who="gate", **options):
        s = self.peer(who, **options)
        until(lambda: s.receive(0.02, ack=False) is not None and (s.welcome or s.standby), "it is welcome", every=0)
        return s

    def says(self, frames, who="gate", **options):
        """A session that says one thing more."""
        s = self.active(who, **options)
        s.socket.send_multipart(frames)
        return s

    def first(self, frames, who="gate"):
        """The same, of a peer that has no session."""
        s = self.peer(who)
        s.hello_at = float("inf")
        s.socket.send_multipart(frames)
        return s

    def narrowed(self, who="gate", view="full", **change):
        s = self.active(who, view=view)
        self.o.policy[who].update(change)
        self.o.reload()
        return s


def case(reason, text, counter):
    def add(make):
        TABLE.append((reason, text, counter, make))
        return make
    return add


def hello_case(text, reason=REFUSED, who="gate", counter="refused", **change):
    case(reason, text, counter)(lambda h: h.peer(who, **change))


def malformed(text, **change):
    def make(h):
        s = h.peer()
        s.hello = {k: v for k, v in {**s.hello, **change}.items() if v is not ...}
        return s
    case(PROTOCOL, "HELLO: " + text, "protocol_errors")(make)


# ---- what a HELLO asks ----

hello_case("another bureau's daemon", bureau="3206")
hello_case("from last: expected 1 to 100000", start="last", arg=0)
hello_case("orgs: expected codes or prefixes of 1 to 12 digits", orgs=["32a"])
hello_case("types: penalty is not granted", who="wall", view="public", types=["penalty"])
hello_case("orgs: 32 is not granted", who="wall", view="public", orgs=["32"])
hello_case("kind: a board gets the public view alone", who="wall")
hello_case("durable: that name is not granted", who="wall", view="public", name="other")
hello_case("durable name is not registered: dibaoctl durable set NAME", name="unheard-of")
hello_case("types: none are granted", who="deaf")
hello_case("kind: a publisher-relay receives nothing", who="relay")
hello_case("channels: none that was asked for", who="inner", view="public")
hello_case("expires: the date is past", who="past")


@case(REFUSED, "durable name is not registered as a board's: dibaoctl durable set --board NAME", "refused")
def _(h):
    until(lambda: h.b.r.hexists(h.b.key("durable-public"), "wall-1"), "it is, at first")
    h.b.call("dibao_durable", "forget", "wall-1")
    return h.peer("wall", view="public", name="wall-1")


@case(VERSION, "no common protocol version: this daemon speaks 1", "refused")
def _(h):
    s = h.peer()
    s.hello.update(pmin=2, pmax=9)
    return s


def publishes(s, **change):
    s.hello.update(feat=["publish"], **change)
    return s


case(REFUSED, "kind: only a publisher-relay publishes", "refused")(lambda h: publishes(h.peer()))
case(REFUSED, "kind: only a publisher-relay publishes", "refused")(
    lambda h: h.first([b"E" + msgpack.packb({"id": 1, "ev": b"x"})]))
case(REFUSED, "another bureau's daemon", "refused")(lambda h: publishes(h.peer("relay"), bureau="3206"))
case(VERSION, "no common protocol version: this daemon speaks 1", "refused")(
    lambda h: publishes(h.peer("relay"), pmin=2, pmax=9))
case(REFUSED, "kind: only an admin with a key may ask", "refused")(
    lambda h: h.first([b"Q" + msgpack.packb({"id": 1, "do": "status"})]))
case(REFUSED, "expires: the date is past", "refused")(lambda h: publishes(h.peer("stale")))
case(REFUSED, "expires: the date is past", "refused")(
    lambda h: h.first([b"E" + msgpack.packb({"id": 1, "ev": b"x"})], "stale"))
case(REFUSED, "expires: the date is past", "refused")(
    lambda h: h.first([b"Q" + msgpack.packb({"id": 1, "do": "status"})], "boss"))
case(PROTOCOL, "PUBLISH: id: expected an integer", "protocol_errors")(lambda h: h.first([b"E\x80"], "relay"))
case(PROTOCOL, "PUBLISH: ev: expected 1 to 16384 bytes of binary", "protocol_errors")(
    lambda h: h.first([b"E" + msgpack.packb({"id": 1})], "relay"))
case(PROTOCOL, "ASK: do: expected 1 to 32 bytes", "protocol_errors")(
    lambda h: h.first([b"Q" + msgpack.packb({"id": 1, "do": ""})], "deaf"))


@case(BUSY, "as many sessions as the daemon takes", "refused")
def _(h):
    h.fresh(max_sessions=1)
    h.keep = h.active()
    return h.peer()


@case(BUSY, "as many sessions as one key may have", "refused")
def _(h):
    h.fresh(sessions_per_key=1)
    h.keep = h.active()
    return h.peer()


@case(BUSY, "more HELLOs a minute than one key may send", "refused")
def _(h):
    h.fresh(hellos_per_key=1)
    h.keep = h.active()
    return h.peer()


@case(REFUSED, "nothing is granted to who has no key", "refused")
def _(h):
    h.fresh(curve_key_file="", insecure="yes")
    return h.peer(None)


@case(REVOKED, "not in the policy any more", "revoked")
def _(h):
    s = h.peer()
    del h.o.policy["gate"]
    h.o.reload()
    return s


@case(DRAINING, "daemon is stopping", "refused")
def _(h):
    h.b.publish(event(f"drain-{time.monotonic_ns()}"))
    h.keep = h.active(start="time")
    until(lambda: h.keep.receive(0.02, ack=False) is not None and h.keep.number[1], "a frame is in flight", every=0)
    s = h.peer()
    h.b.d.process.signal(signal.SIGTERM)
    h.b.d.wait_told("STOPPING=1")
    return s


def outer_case(make):
    def at_the_outer_daemon(h):
        if not os.path.exists(h.b.path("dibaod-public.password")):
            dibaoctl(h.b, "--redis", "unix:" + h.b.redis_socket, "setup", "--acl", "--apply", "dibaod-public")
        h.fresh(audience="public", redis_user="dibaod-public", redis_password_file=h.b.path("dibaod-public.password"))
        return make(h)
    case(REFUSED, "kind: this daemon serves boards alone", "refused")(at_the_outer_daemon)


outer_case(lambda h: h.peer())
outer_case(lambda h: publishes(h.peer("relay")))
outer_case(lambda h: h.first([b"E" + msgpack.packb({"id": 1, "ev": b"x"})], "relay"))
outer_case(lambda h: h.first([b"Q" + msgpack.packb({"id": 1, "do": "status"})], "deaf"))


malformed("pmin: expected 0 to 65535", pmin="1")
malformed("pmax: expected 0 to 65535", pmax=70000)
malformed("bureau: expected 1 to 16 bytes", bureau="x" * 17)
malformed("name: expected 1 to 64 bytes", name="")
malformed("name: expected A-Z a-z 0-9 . _ -", name="a b")
malformed("inst: expected 16 bytes of binary", inst=b"short")
malformed("types: expected at most 32 names of 1 to 32 bytes", types="penalty")
malformed("orgs: expected at most 64 codes of 1 to 12 digits", orgs=["1" * 13])
malformed("from: expected a string", **{"from": 1})
malformed("from: expected resume, new, time or last", **{"from": "begin"})
malformed("feat: expected at most 16 names of 1 to 32 bytes", feat="publish")
malformed("arg: expected an integer", arg="1")
malformed("view: expected a string", view=1)
malformed("view: expected full or public", view="both")
malformed("win: expected bytes", win=-1)
malformed("expected pmin, pmax, bureau and inst", bureau=...)
case(PROTOCOL, "HELLO: expected one msgpack map", "protocol_errors")(lambda h: h.first([b"H\x93\x01"]))


# ---- what ends a session ----

case(PROTOCOL, "ACK: malformed", "protocol_errors")(lambda h: h.says([b"A\x05"]))
case(PROTOCOL, "ACK: of a frame that was not sent, or with another token", "protocol_errors")(
    lambda h: h.says([b"A" + struct.pack(">BBQQ", 1, 0, 77, 1)]))
case(PROTOCOL, "message of an unknown kind", "protocol_errors")(lambda h: h.says([b"Z"]))
case(PROTOCOL, "expected a message of one frame", "protocol_errors")(lambda h: h.says([b"P", b"P"]))
case(PROTOCOL, "expected a message of one frame", "protocol_errors")(lambda h: h.first([b"H", b"H"]))
case(NO_SESSION, "say HELLO first", "no_session")(lambda h: h.first([b"P"]))
for text, change in (("id: expected an integer", {"id": "x"}), ("key: expected 1 to 64 bytes of binary", {"key": b""}),
                     ("st: expected 1 to 255", {"st": 0}), ("at: expected ms", {"at": "now"}),
                     ("d: expected at most 256 bytes", {"d": "x" * 257}), ("expected id, key, st and at", {"id": ...})):
    case(PROTOCOL, "RECEIPT: " + text, "protocol_errors")(lambda h, change=change: h.says([b"R" + msgpack.packb(
        {k: v for k, v in {"id": 1, "key": b"k", "st": 1, "at": 1, **change}.items() if v is not ...})]))
case(PROTOCOL, "RECEIPT: expected one msgpack map", "protocol_errors")(lambda h: h.says([b"R"]))


@case(PROTOCOL, "RECEIPT: over 1024 unconfirmed", "protocol_errors")
def _(h):
    s = h.active()
    h.b.redis.signal(signal.SIGSTOP)
    h.after = lambda: h.b.redis.signal(signal.SIGCONT)
    for i in range(1025):
        s.send(b"R", {"id": i, "key": b"k", "st": 1, "at": 1})
    return s


@case(NO_SESSION, "receipt not stored: Redis is away", "no_session")
def _(h):
    h.fresh(command_timeout_ms="300ms")
    s = h.active()
    h.b.redis.signal(signal.SIGSTOP)
    h.after = lambda: h.b.redis.signal(signal.SIGCONT)
    s.send(b"R", {"id": 1, "key": b"k", "st": 1, "at": 1})
    return s


@case(PROTOCOL, "HELLO: another instance on one connection", "protocol_errors")
def _(h):
    s = h.active()
    s.send(b"H", {**s.hello, "inst": bytes(16)})
    return s


@case(PROTOCOL, "not active yet: only HELLO, ALIVE and BYE are", "protocol_errors")
def _(h):
    h.keep = h.active("wall", view="public", name="wall-1")
    return h.says([b"A" + struct.pack(">BBQQ", 1, 0, 1, 1)], "wall", view="public", name="wall-1")


@case(NO_SESSION, "nothing was heard for too long", "no_session")
def _(h):
    h.fresh(silence_ms=1000, lease_ms=900)
    s = h.active()
    s.send = lambda *a: None
    return s


@case(SUPERSEDED, "another instance is active", "superseded")
def _(h):
    h.fresh(lease_ms=4500, silence_ms=10000)  # time for a renewal after the peer's last word, however slow all is
    s = h.active("wall", view="public", name="wall-1")
    s.send(b"P")
    h.b.r.hset(h.b.key("lease-public:wall-1"), mapping={"instance": "00" * 16, "counter": "999"})
    return s


def taken_over(h):
    """One whose lease is another's by now, and that will not renew it for long."""
    h.fresh(lease_ms=60000, silence_ms=20000)
    s = h.active("wall", view="public", name="wall-1")
    # Position frames and the first renewal come from one clock: with the third frame that is past.
    until(lambda: s.receive(0.02, ack=False) is not None and s.number[0] >= 3, "position frames", every=0)
    h.b.r.hset(h.b.key("lease-public:wall-1"), mapping={"instance": "00" * 16, "counter": "999"})
    return s


@case(SUPERSEDED, "another instance is active", "superseded")
def _(h):
    s = taken_over(h)
    h.b.publish(event(f"cursor-{time.monotonic_ns()}", "award"))
    until(lambda: s.receive(0.02), "a frame, which it acknowledges", every=0)
    return s


@case(SUPERSEDED, "another instance is active", "superseded")
def _(h):
    s = taken_over(h)
    s.send(b"R", {"id": 1, "key": b"k", "st": 1, "at": 1})
    return s


@case(REFUSED, "a routing id of one's own is not allowed", "refused")
def _(h):
    return h.peer(identity=b"me")


@case(REVOKED, "not in the policy any more", "revoked")
def _(h):
    s = h.active()
    del h.o.policy["gate"]
    h.o.reload()
    return s


for text, who, change in (("less is granted than before", "gate", {"types": "award"}),
                          ("less is granted than before", "gate", {"orgs": "3205"}),
                          ("less is granted than before", "wall", {"mask_names": "yes"}),
                          ("channels: fewer are granted than before", "gate", {"channels": "public public-now"}),
                          ("window: less is granted than before", "gate", {"window": "128K"}),
                          ("expires: the date is past", "gate", {"expires": "2020-01-01"}),
                          ("kind: a board gets the public view alone", "gate", {**BOARD, "durable": "wall-2"})):
    case(REVOKED, text, "revoked")(lambda h, who=who, change=change: h.narrowed(
        who, "public" if who == "wall" else "full", **change))


# ---- ----

def told(s, seconds=60):
    """(reason, text) of the first goodbye, whatever its reason."""
    heard, control = [], s.control
    if s.welcome or s.standby:
        s.send = s.resume = lambda *a: None  # no word more of its own: it could cross the goodbye, and be told no-session too
    s.control = lambda kind, m: (heard.append((m["why"], m["text"])) or []) if kind == b"G" else control(kind, m)
    until(lambda: s.receive(0.02, ack=False) is not None and heard, "it is told", seconds, 0)
    return heard[0]


def notable(h):
    """What the operator reads of it."""
    return [l for l in h.b.d.log()[h.mark:].split("\n") if re.match("(notice|warning|err|crit) ", l)
            and not re.search("reloaded|stopped|silent for|no answer", l)]


@test
def each_refusal_is_told_to_the_peer_and_is_one_line_and_one_count(b):
    b.expected = "."
    h, wrong = Hall(b), []
    for reason, text, counter, make in TABLE:
        h.fresh()
        h.after = lambda: None
        names = ("refused", "revoked", "keys_refused", "protocol_errors", "superseded", "no_session")
        s = make(h)
        got = told(s)
        counters = b.d.ask("status")["counters"]
        h.after()
        lines = notable(h)
        counts = {k: counters[k] for k in names if counters[k]}
        if got != (reason, text) or counts != {counter: 1} or len(lines) != 1 or text not in lines[0]:
            wrong.append((reason, text, "got", got, counts, lines))
        if s.socket:
            s.close()
        if getattr(h, "keep", None):
            h.keep.close()
            h.keep = None
    assert not wrong, "\n".join(map(repr, wrong))


@test
def an_unknown_key_is_refused_in_the_handshake_with_one_line_and_one_count(b):
    h = Hall(b)
    stranger = h.o.key("stranger")
    h.fresh()
    try:
        h.peer("stranger")
        raise AssertionError("let in")
    except Broken as e:
        assert "400" in str(e), e
    assert notable(h) == [f"notice unknown key refused: {stranger}"]
    assert b.d.ask("status")["counters"]["keys_refused"] == 1


@test
def the_eleventh_line_in_a_minute_is_counted_and_the_count_is_told(b):
    h = Hall(b)
    h.fresh()
    for _ in range(25):
        assert told(h.peer("wall", view="public", types=["penalty"]))[0] == REFUSED
    assert b.d.ask("status")["counters"]["refused"] == 25 and len(notable(h)) == 10


# Those that need a machine out of memory, a Redis that dies at an instant, or a fault of ours; or that
# `dibaoctl access check` alone says.
OUT_OF_REACH = {"no memory", "confirmation does not get through", "not authenticated",
                "malformed", "daemon is stopping",
                # 94-peers.t: in the handshake, where there are no words
                "connections cannot be counted", "too many connections from its address",
                "too many connections with its key", "too many connections a minute by its key", "types: expected names of 1 to 32 bytes", "orgs: none are granted",
                "channels: %s is not granted",
                # 95-relay.t
                "PUBLISH: over 256 unanswered",
                # 67-boards.t
                "the queue is being read anew"}


@test
def no_refusal_in_the_sources_is_missing_from_the_table(b):
    texts = set()
    for name in ("start", "starting", "sessions", "bringup", "server", "refusal", "lease", "cursor", "access", "filter", "relay", "admin", "limits"):
        with open(f"{ROOT}/daemon/{name}.c") as f:
            code = f.read()
        for call in re.findall(r"(?:\brefuse|sessions_end|sessions_goodbye_all|answer)\(.*?;", code, re.S) + \
                re.findall(r"\bwhy = \".*?;", code) + re.findall(r"\.why = \".*?\"", code) + \
                re.findall(r"return \".*?;", code if name == "limits" else "") + re.findall(r"ret_why = .*?;", code) + re.findall(r"text\[\] = .*?;", code):
            if "true," not in call:
                texts |= set(re.findall(r'"((?:[^"\\]|\\.)+)"', re.sub(r'"\s*"', "", call)))
    with open(f"{ROOT}/lib/wire_unpack.c") as f:
        code = f.read()
    for f in ("hello", "receipt"):
        body = code[code.index(f"int wire_{f}_unpack("):]
        texts |= {f"{f.upper()}: {t}" for t in re.findall(r'"((?:\w+: )?expected [^"]+)"', body[:body.index("\n}\n")])}
    have = {t for _, t, _, _ in TABLE}
    pattern = lambda t: re.sub(r"%[.\d]*s", ".+", re.escape(t).replace(r"\%", "%"))
    missing = {t for t in texts if " " in t and t not in OUT_OF_REACH and not any(re.fullmatch(pattern(t), x) for x in have)}
    assert not missing, missing
    assert len(texts) > 35, "they are found"


run()
