#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Random policies, events and requests: what is delivered is what ten lines of reference say, and while the
# policy changes and changes again not one private byte gets onto a board's wire. SEED=N repeats a choice;
# CHANGES=10000 (make soak) is the long run.
import random

import private
from office import *
from zmtp import *

SEED = int(os.environ.get("SEED", 0)) or int.from_bytes(os.urandom(3), "big")
CHANGES = int(os.environ.get("CHANGES", 300))
TYPES = ["promotion", "award", "penalty", "welfare_visit", "mailbox_reply", "training"]
PREFIXES = ["3", "32", "3205", "320508", "320508530000", "320506", "320581", "32050803", "3206", "11", "320500180400"]
CODES = [HUXU, WUZHONG, "320508030000", "320581650000", "320500180400", "320600000000", "110000000000"]
FIELDS = ("kind", "types", "orgs", "channels", "durable", "mask_names", "window")


def channel(e):
    return ("public" if private.is_public(e) else "private") + ("-now" if e.get("urgent") else "")


def reference(grant, ask, events):
    """uids of the events that a session gets; None: it is refused."""
    within = lambda org, codes: "*" in codes or any(org.startswith(c) for c in codes)
    if (grant["kind"] == "board" and ask["view"] == "full"
            or not all("*" in grant["types"] or t in grant["types"] for t in ask["types"])
            or not all(within(o, grant["orgs"]) for o in ask["orgs"])):
        return None
    types, orgs = ask["types"] or grant["types"], ask["orgs"] or grant["orgs"]
    channels = [c for c in grant["channels"] if ask["view"] == "full" or c.startswith("public")]
    return channels and {e["uid"] for e in events if ("*" in types or e["type"] in types) and within(e["org"], orgs)
                         and channel(e) in channels} or (set() if channels else None)


def some_of(r, choices, most=4):
    return r.sample(choices, r.randint(1, min(most, len(choices))))


def random_grant(r, kind=None):
    kind = kind or r.choice(["board", "board", "gateway", "reader"])
    board = kind == "board"
    sets = [["public", "public-now"], ["private", "private-now"], CHANNELS]
    return {"kind": kind, "types": some_of(r, TYPES[:2] if board else TYPES) if board or r.random() < 0.7 else ["*"],
            "orgs": some_of(r, PREFIXES) if r.random() < 0.7 else ["*"],
            "channels": sets[0] if board else r.choice([*sets, CHANNELS])}


def options(grant):
    """A grant as the file has it."""
    out = {k: " ".join(v) if isinstance(v, list) else v for k, v in grant.items() if k in FIELDS}
    return out


def random_ask(r, grant):
    """Often within the grant, often not."""
    within = [p for p in PREFIXES + CODES if "*" in grant["orgs"] or any(p.startswith(g) for g in grant["orgs"])]
    types = grant["types"] if "*" not in grant["types"] and r.random() < 0.8 else TYPES
    orgs = within if within and r.random() < 0.8 else PREFIXES + CODES
    return {"types": some_of(r, types) if r.random() < 0.5 else [], "orgs": some_of(r, orgs) if r.random() < 0.5 else [],
            "view": "public" if r.random() < (0.9 if grant["kind"] == "board" else 0.3) else "full"}


def random_event(r, i):
    t = r.choice(TYPES)
    e = {"v": 1, "uid": f"e-{i}", "type": t, "at": 1700000000000 + i, "org": r.choice(CODES), "issuer": "演示局",
         "person": {"badge": f"F{i:06}", "name": "演示"}, "body": BODIES.get(t, {"hours": 8})}
    return {**e, **({"private": True} if r.random() < 0.15 else {}), **({"urgent": True} if r.random() < 0.2 else {})}


def uid_of(m, uids):
    return m["uid"] if "uid" in m else uids[m["pid"]]


def uids_of(items, uids):
    return {uid_of(m, uids) for _, kind, m in items if kind != subscriber.WITHDRAWN}


def hear(s):
    """What comes. What lies there unread is no silence, however long we were away."""
    if s.socket.poll(0):
        s.heard = time.monotonic()
    return s.receive(0)


def collect(sessions, uids, done):
    """Each session's set of uids, None for who was refused; until all are done."""
    got, left = [set() for _ in sessions], set(range(len(sessions)))

    def turn():
        for i in list(left):
            s = sessions[i]
            try:
                for _ in range(20):
                    got[i] |= uids_of(hear(s), uids)
                    if not s.socket.poll(0):
                        break
                if done(s):
                    left.discard(i)
                    s.bye()
            except subscriber.Refused as e:
                assert e.args[0] == REFUSED, e.args
                got[i] = None
                left.discard(i)
        return not left
    until(turn, lambda: f"{len(left)} sessions are done", 40, 0.001)
    return got


def started(want, start, arg, events, place):
    """Of those that one gets, what a start by time, or with so many of its own of each channel, begins with.
    place: see places()."""
    if start == "time":
        return {u for u in want if place[u][0] >= arg}
    if start == "last":
        of = {}
        for e in sorted(events, key=lambda e: place[e["uid"]][1]):
            if e["uid"] in want:
                of.setdefault(channel(e), []).append(e["uid"])
        return {u for uids in of.values() for u in uids[:arg]}
    return want


def places(b):
    """uid: (ms of its entry, how many entries of its channel stand behind it)."""
    out = {}
    for c in CHANNELS:
        entries = b.r.xrange(b.key(c))
        out.update((msgpack.unpackb(f[b"e"])["uid"], (int(i.split(b"-")[0]), len(entries) - 1 - k))
                   for k, (i, f) in enumerate(entries))
    return out


def compare(name, grant, a, have, want, of=""):
    assert have == want, (f"SEED={SEED} {name} {grant} asks {a} {of}: "
                          + (f"refused {have is None}, expected {want is None}" if None in (have, want) else
                             f"lacks {some(want - have)}, has besides {some(have - want)}"))


caught_up = lambda s: s.welcome and all(s.live.get(c) for c in s.welcome["chans"])


def now_ms(b):
    now = b.r.time()
    return now[0] * 1000 + now[1] // 1000


def read_all(b, n):
    """All n are read. When, by the daemon's clock."""
    until(lambda: b.d.ask("status")["counters"]["entries"] == n, "all are read")
    return now_ms(b)


def heard_since(ms):
    return lambda s: s.welcome and all(s.live.get(c, 0) > ms for c in s.welcome["chans"])


@test
def what_is_delivered_is_what_the_reference_says(b):
    r = random.Random(SEED)
    grants = {f"n-{i}": random_grant(r) for i in range(25)}
    o = Office(b, **{n: options(g) for n, g in grants.items()})
    events = [random_event(r, i) for i in range(400)]
    uids = {private.public_id(e["uid"]): e["uid"] for e in events}
    for e in events[:200]:
        b.publish(msgpack.packb(e))
    n = [0, 0]

    def ask(start, arg=0):
        name = r.choice(sorted(grants))
        a = random_ask(r, grants[name])
        return (name, a, start, arg), o.subscriber(name, start=start, arg=arg, **a)

    def compare_all(cases, got, of, where):
        for (name, a, start, arg), have in zip(cases, got):
            want = reference(grants[name], a, of)
            if want:
                want = started(want, start, arg, of, place)
            compare(name, grants[name], a, have, want, f"from {start} {arg}, {where}")
            n[want is None] += 1

    def replays(count, of, where):
        starts = [("time", r.choice([0, *(place[e["uid"]][0] for e in of)])) if r.random() < 0.5 else
                  ("last", r.choice([100000, r.randint(1, 60)])) for _ in range(count)]
        cases, sessions = zip(*[ask(*start) for start in starts])
        compare_all(cases, collect(sessions, uids, caught_up), of, where)
    place = places(b)
    replays(120, events[:200], "out of memory")
    # Live: all are there first. Who would be refused is, at once.
    cases, sessions = zip(*[ask("new") for _ in range(80)])
    got = [set() if x is not None else None for x in collect_start(sessions)]
    live = [i for i, x in enumerate(got) if x is not None]
    for e in events[200:]:
        b.publish(msgpack.packb(e))
    after = read_all(b, 400)
    for i, x in zip(live, collect([sessions[i] for i in live], uids, heard_since(after))):
        got[i] = x
    compare_all(cases, got, events[200:], "live")
    # A daemon that has none of it in memory.
    b.d.stop()
    b.d.start()
    place = places(b)
    replays(60, events, "out of Redis")
    assert b.d.ask("status")["counters"]["slice_reads"] > 0 == b.d.ask("status")["counters"]["entries"]
    print(f"# SEED={SEED}: {n[0]} were served, {n[1]} refused", flush=True)
    assert n[0] > 60 and n[1] > 20, n


@test
def who_resumes_and_who_stood_by_gets_what_the_reference_says(b):
    r = random.Random(SEED)
    grants = {f"n-{i}": {**random_grant(r), "durable": f"d-{i}"} for i in range(20)}
    o = Office(b, **{n: options(g) for n, g in grants.items()})
    events = [random_event(r, i) for i in range(360)]
    uids = {private.public_id(e["uid"]): e["uid"] for e in events}

    def come():
        """One of each name, each with a wish of its own that is granted."""
        asks = []
        for name, g in grants.items():
            a = random_ask(r, g)
            while reference(g, a, []) is None:
                a = random_ask(r, g)
            asks.append(a)
        return asks, [o.subscriber(n, start="resume", name=g["durable"], **a) for (n, g), a in zip(grants.items(), asks)]

    at = {name: dict.fromkeys(CHANNELS, 0) for name in grants}  # how many events lie behind a name's place

    def compare_all(asks, sessions, early, done, n, what):
        for (name, g), a, s, have in zip(grants.items(), asks, sessions, collect(sessions, uids, done)):
            have |= early.get(s, set())
            rest = [e for i, e in enumerate(events[:n]) if i >= at[name][channel(e)]]
            compare(name, g, a, have, reference(g, a, rest), what)
            at[name].update((c, n) for c in g["channels"] if a["view"] == "full" or c.startswith("public"))

    def are(sessions, what):
        early = {s: set() for s in sessions}
        until(lambda: all([early[s].update(uids_of(hear(s), uids)) is None and getattr(s, what) for s in sessions]),
              f"all are {what}", 20, 0)
        return early

    def publish(some):
        for e in some:
            b.publish(msgpack.packb(e))
    asks, first = come()
    are(first, "welcome")
    asks_of_mates, mates = come()
    are(mates, "standby")
    publish(events[:120])
    compare_all(asks, first, {}, heard_since(read_all(b, 120)), 120, "first")
    early = are(mates, "welcome")  # each said goodbye, and another took its place
    publish(events[120:240])
    compare_all(asks_of_mates, mates, early, heard_since(read_all(b, 240)), 240, "as standby")
    publish(events[240:])
    read_all(b, 360)
    b.d.stop()
    b.d.start()
    asks, third = come()
    compare_all(asks, third, {}, caught_up, 360, "resumes, out of Redis")
    assert b.d.ask("status")["counters"]["slice_reads"] > 0


def collect_start(sessions):
    """Each is welcome, or None."""
    out = list(sessions)

    def turn():
        for i, s in enumerate(out):
            try:
                assert not s or not hear(s), "nothing was published yet"
            except subscriber.Refused:
                out[i] = None
        return all(not s or s.welcome for s in out)
    until(turn, "all are answered", 20, 0.001)
    return out


class Wiretap(Proxy):
    """Keeps what the daemon says."""

    def __init__(self, b, target):
        self.said = bytearray()
        super().__init__(b, target)

    def heard(self, s, data):
        if s.getpeername()[1] == self.target:
            self.said += data


class Visit(RawSubscriber):
    """Notes which policies were in force between the beginning of a connection and its welcome."""

    def __init__(self, year, *args, **options):
        self.y = year
        super().__init__(*args, **options)

    def open(self):
        self.since, self.until = self.y.version, None
        super().open()

    def control(self, kind, m):
        if kind == b"W":
            self.until = self.y.version
        return super().control(kind, m)


class Party:
    """One that comes back whenever it is sent away, each time with another wish."""

    def __init__(self, year, name, endpoint, curve):
        self.y, self.name, self.endpoint, self.curve = year, name, endpoint, curve
        self.s, self.n_items, self.n_refused, self.n_revoked, self.blob = None, 0, 0, 0, bytearray()

    def come(self):
        r, grant = self.y.r, self.y.grants.get(self.name)
        self.ask = random_ask(r, grant or random_grant(r))
        start = r.choice(["time", "last", "new", "resume"])
        self.s = Visit(self.y, self.endpoint, curve=self.curve and self.y.o.curve(self.curve), start=start,
                       arg=r.choice([1, 50, 3000]) if start == "last" else self.y.started_ms + r.randint(0, 2000), **self.ask)
        try:
            self.s.open()
        except Broken:
            self.s = None

    def leave(self):
        if self.s:
            self.blob += self.s.clear
            self.s.close()
        self.s = None

    def turn(self):
        if not self.s:
            self.come()
            return
        try:
            for _ in range(8):
                items = self.s.receive(0, ack=self.y.r.random() < 0.9)
                self.look_at(items)
                if not self.s.socket.poll(0):
                    break
        except subscriber.Refused as e:
            self.n_refused += e.args[0] == REFUSED
            self.n_revoked += e.args[0] == REVOKED
            self.leave()
        except Broken:
            self.leave()
        if self.s and self.y.r.random() < 0.01:
            self.leave()

    def look_at(self, items):
        """Each is one that some policy in force between its coming and its welcome would give it."""
        for _, kind, m in items:
            self.n_items += 1
            if kind == subscriber.WITHDRAWN:
                continue
            e = self.y.by_uid[uid_of(m, self.y.uids)]
            grants = [self.y.history[v].get(self.name) for v in range(self.s.since, self.s.until + 1)]
            assert any(g and reference(g, self.ask, [e]) for g in grants), \
                f"{self.y.seed} {self.name}: {e['type']} of {e['org']} in {channel(e)}; asked {self.ask}, granted {grants}"


class Year:
    def __init__(self, b, seed, changes):
        self.b, self.r, self.seed, self.changes = b, random.Random(seed), f"SEED={seed}", changes
        lines = subprocess.run([BUILD + "/bin/dibao-seed", "--seed", str(seed), "--root", ROOT, "year"], capture_output=True,
                               check=True).stdout.splitlines()
        events = [json.loads(l) for l in lines]
        if changes < 2000:  # all that is private, all that is taken back or corrected, and some of the rest
            named = {e[k] for e in events for k in ("retracts", "corrects") if k in e}
            events = [e for e in events if not private.is_public(e) or e["uid"] in named or "retracts" in e or "corrects" in e
                      or self.r.random() < 0.06]
        self.events, self.by_uid = events, {e["uid"]: e for e in events}
        self.uids = {private.public_id(e["uid"]): e["uid"] for e in events}
        self.shown_names = {e["person"]["name"] for e in events if private.is_public(e)}
        # Names of types and codes of organisations are given back to who asked for them.
        self.wanted = private.needles(events, b.path("needles")) - {t.encode() for t in TYPES + PREFIXES + CODES}
        self.at_gateways, self.at_taps, self.n_bytes = set(), False, 0
        self.boards = [f"wall-{i}" for i in range(4)] + ["insecure"]
        self.others = ["gate-0", "gate-1"]
        self.grants = {n: random_grant(self.r, "board") for n in self.boards}
        self.grants.update({n: random_grant(self.r, "gateway") for n in self.others})
        self.history, self.version, self.started_ms = [dict(self.grants)], 0, int(time.time() * 1000)
        self.o = Office(b, **{n: options(g) for n, g in self.grants.items() if n != "insecure"})
        where = f"tcp://127.0.0.1:{free_port()}"
        self.plain = b.daemon(access=self.o.conf, insecure="yes", feed=where).start()
        self.feed, self.n_fed = zmq.Context.instance().socket(zmq.SUB), 0
        self.feed.rcvhwm = self.feed.linger = 0
        self.feed.connect(where)
        self.feed.subscribe("")
        self.taps = [Wiretap(b, int(self.plain.tcp.rsplit(":", 1)[1])) for _ in range(2)]
        self.keys = {n: k for n, k in self.o.keys.items() if n in self.grants}
        self.parties = [Party(self, n, b.d.tcp, n) for n in self.boards[:4] + self.others]
        self.parties += [Party(self, "insecure", t.where, None) for t in self.taps]
        self.reload()

    def reload(self):
        self.o.policy = {n: {**({} if n == "insecure" else {"public_key": self.keys[n][0]}), **options(g)}
                         for n, g in self.grants.items()}
        self.o.reload()
        answer = self.plain.ask("reload")
        assert answer["ok"], answer

    def change(self):
        """One name, or several: gone, back, or with another grant, by one field or whole."""
        for _ in range(self.r.choice([1, 1, 1, 3])):
            name = self.r.choice(self.boards + self.others)
            fresh = random_grant(self.r, "board" if name in self.boards else self.r.choice(["gateway", "reader"]))
            if self.r.random() < 0.15:
                self.grants.pop(name, None)
            elif name in self.grants and self.r.random() < 0.5:
                k = self.r.choice(["types", "orgs", "channels"])
                self.grants[name] = {**self.grants[name], k: fresh[k]}
            else:
                self.grants[name] = fresh
            if name in self.grants and self.r.random() < 0.2:
                self.grants[name] = {**self.grants[name], "mask_names": self.r.choice(["yes", "no"])}
        self.history.append(dict(self.grants))
        self.version += 1
        self.reload()
        for d in (self.b.d, self.plain):
            for c in d.ask("clients")["clients"]:
                self.holds_no_more_than_granted(c)

    def holds_no_more_than_granted(self, c):
        g, all_ = self.grants.get(c["policy"]), c["state"] != "active"
        assert g, f"{self.seed}: {c['policy']} has a session and no section"
        for field in ("types", "orgs"):
            inside = c[field] or ["*"]
            assert all_ or "*" in g[field] or all(
                any(x.startswith(y) if field == "orgs" else x == y for y in g[field]) for x in inside), f"{self.seed}: {c}, granted {g}"

    def publish(self, events):
        p = self.b.r.pipeline(transaction=False)
        for e in events:
            p.execute_command("FCALL", "dibao_publish", 1, BASE, msgpack.packb(e))
        return sum(not isinstance(x, Exception) for x in p.execute(raise_on_error=False))

    def run(self):
        n_published, at = 0, 0
        for i in range(self.changes):
            upto = len(self.events) * (i + 1) // self.changes
            n_published += self.publish(self.events[at:upto])
            at = upto
            self.change()
            for p in self.parties:
                p.turn()
            if i % 500 == 499 or i == self.changes - 1:
                self.search()
            if i == self.changes // 2:  # from here on what was before is read from Redis
                self.what_the_operator_reads()
                self.search()
                for d in (self.b.d, self.plain):
                    d.stop()
                    d.start()
        assert n_published > 0.99 * len(self.events), f"{n_published} of {len(self.events)}"

    def search(self):
        """What was said to boards since the last search; it is forgotten then. All leave."""
        for p in self.parties:
            p.leave()
        ids = {i for c in ("private", "private-now") for i, _ in self.b.r.xrange(self.b.key(c))}
        for p in self.parties:
            blob, p.blob = bytes(p.blob), bytearray()
            if p.name in self.others:
                self.at_gateways |= private.found(self.wanted, blob, self.b.path("needles"))
            else:
                self.look(blob, ids)
        for t in self.taps:
            self.at_taps = self.at_taps or any(n.encode() in t.said for n in self.shown_names)
            self.look(bytes(t.said), ids)
            t.said = bytearray(t.said[-100:])
        fed = []
        while self.feed.poll(0):
            fed += self.feed.recv_multipart()
        self.n_fed += len(fed)
        self.look(b"".join(fed), ids)

    def look(self, blob, ids):
        self.n_bytes += len(blob)
        leak = private.found(self.wanted | ids, blob, self.b.path("needles"))
        assert not leak, f"{self.seed}: {len(leak)} leaked: {sorted(leak)[:5]}"

    def what_the_operator_reads(self):
        """No event's text, and nobody's name or badge, also not of what is public."""
        people = {e["person"][k].encode() for e in self.events if "person" in e for k in ("name", "badge")}
        for d in (self.b.d, self.plain):
            text = d.log() + json.dumps([d.ask("status"), d.ask("clients")], ensure_ascii=False)
            assert "DIBAO_NAME=" in text and '"slice_reads"' in text and '"lag_events"' in text
            leak = private.found(self.wanted | people, text.encode(), self.b.path("needles"))
            assert not leak, f"{self.seed}: the operator reads {sorted(leak)[:5]}"

    def tell(self):
        hidden = [e for e in self.events if not private.is_public(e)]
        control = self.at_gateways & {e["uid"].encode() for e in hidden}
        assert len(control) > len(hidden) / 10, "the search finds, at the gateways"
        assert self.at_taps, "the relay is on the wire"
        assert self.n_fed > self.changes, "the feed is heard"
        slices = self.b.d.ask("status")["counters"]["slice_reads"]
        assert slices > 0, "replays were read from Redis"
        count = lambda what, names: sum(getattr(p, what) for p in self.parties if p.name in names)
        print(f"# {self.seed}: {self.changes} changes, {len(self.events)} events, {len(hidden)} of them private; boards: "
              f"{count('n_items', self.boards)} items, {count('n_revoked', self.boards)} revocations, "
              f"{count('n_refused', self.boards)} refusals, {self.n_bytes} bytes; gateways: "
              f"{count('n_items', self.others)} items; {len(self.wanted)} needles", flush=True)
        assert count("n_items", self.boards) > self.changes and count("n_revoked", self.boards) > self.changes / 20


@test
def a_year_of_events_under_random_policies_leaks_no_byte_to_a_board(b):
    y = Year(b, SEED, CHANGES)
    y.run()
    y.tell()
    # And nothing was lost on the way: who asks again has all that is its own, by the last policy.
    names = [n for n in y.boards[:4] + y.others if n in y.grants]
    asks = [{"types": [], "orgs": [], "view": "public" if n in y.boards else "full"} for n in names]
    sessions = [y.o.subscriber(n, start="time", arg=1, **a) for n, a in zip(names, asks)]
    got = collect(sessions, y.uids, lambda s: s.welcome and all(s.live.get(c) for c in s.welcome["chans"]))
    for n, a, have in zip(names, asks, got):
        want = reference(y.grants[n], a, y.events)
        gone = {e[k] for e in y.events for k in ("retracts", "corrects") if k in e} | \
            {e["uid"] for e in y.events if "retracts" in e} if a["view"] == "public" else set()
        assert have <= want and want - have <= gone, f"{y.seed} {n}: lacks {some(want - have - gone)}, besides {some(have - want)}"


run()
