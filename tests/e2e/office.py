# SPDX-License-Identifier: Apache-2.0
"""A bureau with an access policy and keys, for the tests of who gets what; and what a subscriber is told."""
import zmq

from dibao_test import *
import subscriber

USAGE, CANTCREAT, NOPERM, CONFIG = 64, 73, 77, 78
REFUSED, REVOKED = 1, 2
GATEWAY = {"kind": "gateway", "types": "*", "orgs": "*"}
BOARD = {"kind": "board", "types": "promotion award", "orgs": "3205"}


def dibaoctl(b, *args, code=0, env=None):
    """stdout and stderr. Its exit code must be the one expected, or one of them."""
    p = subprocess.run([BUILD + "/bin/dibaoctl", *args], capture_output=True, text=True, timeout=60 * SLOW, cwd=b.dir,
                       env={**os.environ, **(env or {})})
    assert p.returncode in (code if isinstance(code, tuple) else (code,)), f"{args}: exit code {p.returncode}, not {code}: {p.stdout}{p.stderr}"
    return p.stdout, p.stderr


class Office:
    """A bureau whose tcp endpoint speaks CURVE: its policy, and the keys of all."""

    def __init__(self, b, conf=None, **names):
        self.b, self.keys, self.policy = b, {}, {}
        self.conf = b.path("access.conf")
        self.server = self.key("dibaod")
        for name, options in names.items():
            self.add(name, **options)
        self.write()
        b.start_redis()
        b.setup()
        b.d = b.daemon(access=self.conf, curve_key_file=b.path("dibaod.key"), insecure="no", **(conf or {})).start()

    def key(self, name):
        """A fresh key pair, its secret in NAME.key."""
        file = self.b.path(name + ".key")
        if os.path.exists(file):
            os.unlink(file)
        out, _ = dibaoctl(self.b, "--json", "keygen", name, "--out", file)
        with open(file) as f:
            secret = f.read().split("\n")[-2]
        self.keys[name] = (json.loads(out)["public_key"], secret)
        return self.keys[name][0]

    def add(self, name, **options):
        self.policy[name] = {"public_key": self.key(name), **options}

    def write(self, text=None):
        with open(self.conf + ".new", "w") as f:
            f.write(text or "".join(f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in options.items())
                                    for name, options in self.policy.items()))
        os.rename(self.conf + ".new", self.conf)

    def reload(self):
        self.write()
        answer = self.b.d.ask("reload")
        assert answer["ok"], answer
        return answer["text"]

    def curve(self, name):
        public, secret = self.keys[name]
        return tuple(k.encode() for k in (self.server, public, secret))

    def subscriber(self, who, endpoint=None, curve=True, **options):
        # In the one context of this process: one of its own would be ended when Python finds it unused,
        # which waits for ever if it finds the socket later.
        s = subscriber.Subscriber(endpoint or self.b.d.tcp, curve=self.curve(who) if curve else None, **options)
        s.open()
        return s

    def session(self, who, **options):
        s = self.subscriber(who, **options)
        until(lambda: s.receive(0.02) is not None and (s.welcome or s.standby), f"{who} is welcome", every=0)
        return s

    def refusal(self, who, **options):
        return refusal(self.subscriber(who, **options))

    def status(self, counter):
        return self.b.d.ask("status")["counters"][counter]


def refusal(s, seconds=60):
    """(reason, text) of the goodbye that comes."""
    end = time.monotonic() + seconds * SLOW
    while time.monotonic() < end:
        try:
            s.receive(0.02)
        except subscriber.Refused as e:
            return e.args
        assert not s.welcome, "it is not welcome"
    raise AssertionError("waited for a goodbye")


def revocation(s, seconds=60):
    """(reason, text), and how many items came before it."""
    end, n = time.monotonic() + seconds * SLOW, 0
    while time.monotonic() < end:
        try:
            n += len(s.receive(0.02))
        except subscriber.Refused as e:
            return (*e.args, n)
    raise AssertionError("waited for a goodbye")


def goodbye_to_hello(s, seconds=60):
    """The reason that a HELLO on the connection as it stands is answered with."""
    s.send(b"H", s.hello)
    end = time.monotonic() + seconds * SLOW
    while time.monotonic() < end:
        if s.socket.poll(50):
            frames = s.socket.recv_multipart()
            assert frames[0][:1] == b"G", frames[0][:1]
            why = msgpack.unpackb(frames[0][1:])["why"]
            if why != 5:  # no session: to an ACK before
                return why
    raise AssertionError("waited for a goodbye")


def receive_until(s, uids, seconds=60):
    got = set()
    until(lambda: got.update(m["uid"] for _, k, m in s.receive(0.02) if k == subscriber.EVENT) or got >= set(uids),
          lambda: f"{some(set(uids) - got)}", seconds, 0)
    return got
