# SPDX-License-Identifier: Apache-2.0
"""End-to-end tests: a bureau of real processes in a directory of its own.

A test is a function that takes a Bureau and is named as a sentence:

    @test
    def an_event_reaches_its_subscriber(b):
        b.start()
        r = b.recorder()
        ...

run() prints TAP for prove, and to stderr the logs of a test that failed. Everything started is ended by its
own pid, also when the test dies. Waiting is always for a condition, with a deadline: until().
Several tests of one file run beside each other (JOBS); each has its own Redis and daemons.
DIBAO_BUILD names the build directory; under a sanitizer all deadlines are longer (DIBAO_SLOW).
"""
import atexit
import collections
import concurrent.futures
import io
import json
import mmap
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import msgpack
import redis as redis_client

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("DIBAO_BUILD", os.path.join(ROOT, "build"))
SLOW = float(os.environ.get("DIBAO_SLOW", 4 if re.search("asan|address|thread", BUILD) else 1))
JOBS = int(os.environ.get("JOBS", 4))
BASE = "dibao:{3205}:"
CHANNELS = ["public", "private", "public-now", "private-now"]
HUXU = "320508530000"  # a station in 姑苏
WUZHONG = "320506000000"

running = {}  # pid -> Popen, all that this program started
running_lock = threading.Lock()


@atexit.register
def end_all():
    with running_lock:
        for p in list(running.values()):
            if p.poll() is None:
                p.kill()


signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))


def until(condition, what, seconds=10.0, every=0.005):
    """The condition's first true value."""
    end = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds * SLOW:.0f} s for: {what() if callable(what) else what}")
        time.sleep(every)


def holds(condition, what, seconds):
    """For what must not happen: true all along for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), what() if callable(what) else what
        time.sleep(0.01)


class Process:
    def __init__(self, argv, out, env=None):
        self.argv, self.out = argv, out
        with open(out, "ab") as f:
            self.p = subprocess.Popen(argv, stdout=f, stderr=f, stdin=subprocess.DEVNULL, env=env)
        with running_lock:
            running[self.p.pid] = self.p

    def signal(self, number):
        self.p.send_signal(number)

    def wait(self, seconds=10):
        code = self.p.wait(seconds * SLOW)
        with running_lock:
            running.pop(self.p.pid, None)
        return code

    def kill(self):
        if self.p.poll() is None:
            self.p.kill()
        return self.wait()

    def alive(self):
        return self.p.poll() is None

    def log(self):
        with open(self.out, errors="replace") as f:
            return f.read()


class Shim:
    """tests/e2e/shim.c in processes that are started with its env: steps their clock, holds their syncs."""

    def __init__(self, b, name):
        path = b.path(name + ".shim")
        with open(path, "w+b") as f:
            f.write(bytes(32))
            f.flush()
            self.words = memoryview(mmap.mmap(f.fileno(), 32)).cast("q")
        self.env = {"LD_PRELOAD": BUILD + "/tests/shim.so", "DIBAO_SHIM": path,
                    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}

    def step(self, ms):
        self.words[0] = ms

    def step_boot(self, ms):
        self.words[3] = ms

    def hold_syncs(self, yes=True):
        self.words[1] = yes

    def n_held(self):
        return self.words[2]


class Proxy:
    """A line to `target` (a port of this machine, or a path) that can be cut as a network is: nothing goes
    through in either direction, nobody is told; new connections are taken and hear nothing."""

    def __init__(self, b, target, path=None):
        self.target, self.is_cut, self.over = target, threading.Event(), False
        self.listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.listener.bind(path or ("127.0.0.1", 0))
        self.listener.listen(64)
        self.where = "unix:" + path if path else "tcp://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.pairs = {}  # socket -> where what it says goes
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        b.proxies.append(self)

    def connect(self):
        s, _ = self.listener.accept()
        t = socket.socket(socket.AF_UNIX if isinstance(self.target, str) else socket.AF_INET)
        try:
            t.connect(self.target if isinstance(self.target, str) else ("127.0.0.1", self.target))
        except OSError:
            s.close()
            return
        self.pairs[s], self.pairs[t] = t, s

    def serve(self):
        while not self.over:
            if self.is_cut.is_set():
                time.sleep(0.01)
                continue
            for s in select.select([self.listener, *self.pairs], [], [], 0.01)[0]:
                if s is self.listener:
                    self.connect()
                elif s in self.pairs and not self.is_cut.is_set():
                    self.forward(s)
        for s in (self.listener, *self.pairs):
            s.close()

    def forward(self, s):
        try:
            data = s.recv(65536)
            if data:
                self.heard(s, data)
                return self.pairs[s].sendall(data)
        except OSError:
            pass
        other = self.pairs.pop(s)
        self.pairs.pop(other, None)
        s.close()
        other.close()

    def heard(self, s, data):
        """What s said, for who listens in."""

    def cut(self):
        self.is_cut.set()

    def mend(self):
        """What was said meanwhile arrives now."""
        self.is_cut.clear()


class Recorder:
    """build/tests/recorder; its file outlives its processes."""

    def __init__(self, b, name, endpoints, args):
        self.b, self.name, self.args = b, name, args
        self.file, self.out = b.path(name + ".rec"), b.path(name + ".out")
        self.argv = [BUILD + "/tests/recorder", "-f", self.file]
        for e in endpoints:
            self.argv += ["-e", e]
        open(self.out, "w").close()
        self.process, self.want = None, None

    def start(self, *more):
        self.mark = len(self.log())
        self.process = self.b.process(self.argv + self.args + list(more), self.out)
        return self

    def log(self):
        with open(self.out) as f:
            return f.read()

    def said(self, pattern):
        """Since its process started."""
        return re.findall(pattern, self.log()[self.mark:], re.M)

    def wait_said(self, pattern, seconds=10):
        return until(lambda: self.said(pattern), f"{self.name} says {pattern}", seconds)

    def active(self, seconds=10):
        self.wait_said("^active ", seconds)
        return self

    def lines(self):
        """[channel, uid, ...] of each whole line."""
        try:
            with open(self.file) as f:
                return [l.split() for l in f.read().split("\n")[:-1]]
        except FileNotFoundError:
            return []

    def uids(self):
        return [l[1] for l in self.lines() if l[2:] != ["withdrawn"]]

    def withdrawn(self):
        return {l[1] for l in self.lines() if l[2:] == ["withdrawn"]}

    def wait_for(self, uids, seconds=20):
        """All of these are there, no other, none twice."""
        want = set(uids)
        until(lambda: want <= set(self.uids()),
              lambda: f"{self.name} has {some(want - set(self.uids()))}", seconds, 0.02)
        self.has_exactly(want)
        self.want = want  # looked at again when the test ends, for what comes late
        return self

    def has_exactly(self, want):
        got = self.uids()
        twice = [u for u, n in collections.Counter(got).items() if n > 1]
        assert not twice, f"{self.name} has twice {some(twice)}"
        unmarked = re.findall("^twice (.*)", self.log(), re.M)
        assert not unmarked, f"{self.name} got again, not marked as a possible repeat: {some(unmarked)}"
        assert set(got) == set(want), (f"{self.name} lacks {some(set(want) - set(got))}, "
                                       f"has besides {some(set(got) - set(want))}")

    def wait_withdrawn(self, uids, seconds=10):
        until(lambda: set(uids) <= self.withdrawn(), f"{self.name} is told that {some(uids)} is withdrawn", seconds)

    def in_order(self, prefix):
        """Per channel the generated events PREFIX-0, PREFIX-1 ... ascend."""
        at = {}
        for l in self.lines():
            if l[1].startswith(prefix + "-") and l[2:] != ["withdrawn"]:
                i = int(l[1].rsplit("-", 1)[1])
                assert i > at.get(l[0], -1), f"{self.name}: {l[1]} after {at[l[0]]} in {l[0]}"
                at[l[0]] = i

    def kill(self):
        return self.process.kill()

    def stop(self):
        self.process.signal(signal.SIGTERM)
        code = self.process.wait()
        assert code == 0, f"{self.name} ended with {code}"
        return self


def some(uids):
    uids = sorted(uids)
    return f"{len(uids)} ({', '.join(uids[:5])}{', ...' if len(uids) > 5 else ''})"


class Notifying:
    """What a program tells its service manager; of who has b, name and process."""

    def listen(self):
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        path = self.b.path(self.name + ".notify")
        if os.path.exists(path):
            os.unlink(path)
        self.notify.bind(path)
        self.told = ""
        return path

    def wait_told(self, word, seconds=10):
        def heard():
            try:
                while True:
                    self.told += self.notify.recv(4096, socket.MSG_DONTWAIT).decode() + "\n"
            except BlockingIOError:
                pass
            assert self.process.alive() or word in self.told, f"{self.name} ended with {self.process.p.poll()}"
            return word in self.told
        until(heard, f"{self.name} tells {word}", seconds)


class Daemon(Notifying):
    def __init__(self, b, name, conf):
        self.b, self.name, self.conf, self.env, self.program = b, name, conf, {}, BUILD + "/bin/dibaod"
        self.process = None
        self.control, self.config, self.out = b.path(name + ".ctl"), b.path(name + ".conf"), b.path(name + ".log")
        self.ipc = "ipc://" + b.path(name + ".zmq")
        self.tcp = f"tcp://127.0.0.1:{free_port()}"
        self.configure()

    def configure(self, **changes):
        self.conf.update(changes)
        where = {"redis": "redis", "heartbeat_ms": "fanout", "lease_ms": "fanout", "silence_ms": "fanout",
                 "drain_ms": "fanout", "window_bytes": "fanout", "ring_bytes": "fanout", "budget_bytes": "fanout",
                 "slice_bytes": "fanout", "catchup_percent": "fanout", "public_ms": "retention",
                 "private_ms": "retention", "hold_ms": "retention", "cap_bytes": "retention",
                 "handshake_ms": "peers", "message_bytes": "peers", "connections_per_address": "peers", "connects_per_key": "peers",
                 "sessions_per_key": "peers", "hellos_per_key": "peers", "replay_bytes": "peers",
                 "log_level": "log", "redis_user": "redis", "redis_password_file": "redis", "command_timeout_ms": "redis", "connect_timeout_ms": "redis"}
        values = {"bureau": "3205", "endpoints": f"{self.ipc} {self.tcp}", "control": self.control,
                  "insecure": "yes", "redis": "unix:" + self.b.redis_socket, "view_key_file": self.b.view_key,
                  "heartbeat_ms": 200, "lease_ms": 2000, "silence_ms": 5000, "log_level": "debug", **self.conf}
        text = ""
        for section in ("dibao", "peers", "redis", "fanout", "retention", "log"):
            text += f"[{section}]\n" + "".join(f"{k} = {v}\n" for k, v in values.items()
                                               if where.get(k, "dibao") == section)
        with open(self.config, "w") as f:
            f.write(text)

    def start(self, wait=True, seconds=10):
        path = self.listen()
        self.process = self.b.process([self.program, "-c", self.config], self.out,
                                      {**os.environ, **self.env, "NOTIFY_SOCKET": path})
        if wait:
            self.wait_told("READY=1", seconds)
        return self

    def ask(self, verb, **more):
        with socket.socket(socket.AF_UNIX) as c:
            c.settimeout(5 * SLOW)
            c.connect(self.control)
            c.sendall(json.dumps({"do": verb, **more}).encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                piece = c.recv(65536)
                if not piece:
                    break
                answer += piece
        return json.loads(answer)

    def log(self):
        return self.process.log() if self.process else ""

    def wait_log(self, pattern, seconds=10, since=0):
        return until(lambda: re.search(pattern, self.log()[since:]), f"{self.name} logs {pattern}", seconds)

    def kill(self):
        return self.process.kill()

    def stop(self):
        self.process.signal(signal.SIGTERM)
        code = self.process.wait()
        assert code == 0, f"{self.name} ended with {code}"
        return self

    def pause(self):
        self.process.signal(signal.SIGSTOP)

    def go_on(self):
        self.process.signal(signal.SIGCONT)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Bureau:
    def __init__(self, fsync="everysec"):
        self.dir = tempfile.mkdtemp(prefix="dibao-e2e-", dir="/tmp")
        self.fsync, self.processes, self.daemons, self.recorders = fsync, [], [], {}
        self.redis_env, self.daemon_env, self.proxies = {}, {}, []
        self.redis = None
        self.ordered = True  # False: what stands in the streams was put there anew
        self.expected = None  # a pattern of errors that daemons may log
        self.redis_socket, self.view_key = self.path("redis.sock"), self.path("view.key")
        with open(self.view_key, "w") as f:
            f.write("5a" * 32 + "\n")
        os.chmod(self.view_key, 0o600)

    def path(self, name):
        return os.path.join(self.dir, name)

    def process(self, argv, out, env=None):
        p = Process(argv, out, env)
        self.processes.append(p)
        return p

    # ---- Redis ----

    def start_redis(self, wait=True):
        self.redis = self.process(["redis-server", "--port", "0", "--unixsocket", self.redis_socket, "--dir", self.dir,
                                   "--save", "", "--appendonly", "yes", "--appendfsync", self.fsync], self.path("redis.log"),
                                  {**os.environ, **self.redis_env})
        self.r = redis_client.Redis(unix_socket_path=self.redis_socket, socket_timeout=10 * SLOW)
        if wait:
            until(self.redis_answers, "Redis answers")

    def redis_answers(self):
        try:
            return self.r.ping()
        except redis_client.exceptions.RedisError:
            return False

    def setup(self):
        p = subprocess.run([BUILD + "/tests/publish_many", "-a", "unix:" + self.redis_socket, "-S"],
                           capture_output=True, text=True, timeout=20 * SLOW)
        assert p.returncode == 0, p.stderr

    def start(self, **conf):
        """Redis with the functions, and one daemon that is ready."""
        self.start_redis()
        self.setup()
        self.d = self.daemon(**conf).start()
        return self.d

    def daemon(self, name=None, **conf):
        d = Daemon(self, name or f"dibaod{len(self.daemons)}", conf)
        d.env = self.daemon_env
        self.daemons.append(d)
        return d

    def call(self, function, *args):
        return self.r.execute_command("FCALL", function, 1, BASE, *args)

    def durable(self, name, hold_ms=10**9):
        self.call("dibao_durable", "set", name, hold_ms)

    def key(self, name):
        return BASE + name

    # ---- publishing ----

    def publish(self, bytes_):
        """Outcome, a word. Raises redis ResponseError for a refusal."""
        return self.call("dibao_publish", bytes_)[0].decode()

    def publish_many(self, n, prefix="e", types=("penalty",), orgs=(HUXU,), wait=True, more=()):
        p = self.process([BUILD + "/tests/publish_many", "-a", "unix:" + self.redis_socket, "-n", str(n), "-p", prefix,
                          "-f", self.path(prefix + ".pub"), *sum((["-t", t] for t in types), []),
                          *sum((["-o", o] for o in orgs), []), *more], self.path(prefix + ".publog"))
        if wait:
            self.published(p)
        return p

    def published(self, p, seconds=60):
        code = p.wait(seconds)
        assert code == 0, f"publisher ended with {code}: {p.log()[-500:]}"

    def outcomes(self, prefix="e"):
        with open(self.path(prefix + ".pub")) as f:
            return dict(l.split() for l in f.read().split("\n")[:-1])

    # ---- subscribers ----

    def recorder(self, name="r", *args, endpoints=None, start=True):
        r = Recorder(self, name, endpoints or [self.d.ipc], list(args))
        self.recorders[name] = r
        return r.start().active() if start else r

    # ---- the end ----

    def report(self):
        out = io.StringIO()
        for name in sorted(os.listdir(self.dir)):
            if name.endswith((".log", ".out", ".publog")):
                with open(self.path(name), errors="replace") as f:
                    tail = f.read()[-3500:]
                out.write(f"---- {name}\n" + "\n".join(tail.split("\n")[-40:]) + "\n")
        return out.getvalue()

    def check_sanitizers(self):
        for name in os.listdir(self.dir):
            if name.endswith((".log", ".out", ".publog")):
                with open(self.path(name), errors="replace") as f:
                    text = f.read()
                assert not re.search("Sanitizer|runtime error:", text), f"a sanitizer's report is in {name}"

    def check_order(self):
        """Within a channel each recorder had the events in the order in which they stand there."""
        if not self.ordered or not self.redis or not self.redis.alive():
            return
        for c in CHANNELS:
            place = {}
            for i, (_, f) in enumerate(self.r.xrange(self.key(c))):
                e = envelope(f.get(b"e"))
                if e and e.get("uid") not in place:
                    place[e["uid"]] = i
            for r in self.recorders.values():
                at = -1
                for l in r.lines():
                    if l[0] == c and l[2:] != ["withdrawn"] and l[1] in place:
                        assert place[l[1]] > at, f"{r.name} has {l[1]} out of order in {c}"
                        at = place[l[1]]

    def check_logs(self):
        """Errors that a daemon logged are wanted ones."""
        for d in self.daemons:
            bad = [l for l in d.log().split("\n") if re.match("(err|crit|alert|emerg) ", l)
                   and not re.search(self.expected or "(?!)", l)]
            assert not bad, f"{d.name} logged: {bad[:3]}"

    def stop_all(self):
        """Who still runs ends well when told to, and (under a sanitizer) leaves nothing behind."""
        for what in (self.recorders.values(), self.daemons):
            alive = [x for x in what if x.process and x.process.alive()]
            for x in alive:
                x.process.signal(signal.SIGCONT)  # first: it would undo the stop by which leaks are looked for
                x.process.signal(signal.SIGTERM)
            for x in alive:
                code = x.process.wait()
                assert code == 0, f"{x.name} ended with {code} when told to end"

    def end(self):
        for p in self.processes:
            if p.alive():
                p.kill()
        for p in self.proxies:
            p.over = True
            p.thread.join()
        shutil.rmtree(self.dir, ignore_errors=True)


# ---- events ----

BODIES = {
    "promotion": {"from": {"code": "F3", "name": "三级辅员"}, "to": {"code": "F2", "name": "二级辅员"},
                  "effective": "2026-01-01", "state": "final"},
    "award": {"kind": {"code": "HX", "name": "火线奖励"}, "state": "final", "public_reason": "演示"},
    "penalty": {"kind": {"code": "W", "name": "警告"}, "decided_on": "2026-01-02", "sign_where": "演示",
                "sign_by": "2026-01-09", "appeal_until": "2026-02-01", "telephone": "0512-0"},
    "welfare_visit": {"kind": {"code": "J", "name": "节日慰问"}, "by": "演示", "when": 1800000000000, "where": "演示"},
    "mailbox_reply": {"mailbox": "chief", "ticket": "T-1", "question": "演示", "reply": "演示",
                      "answered_by": "演示", "answered_at": 1700000000000},
}


def event(uid, type="penalty", org=HUXU, badge="F000001", **more):
    body = more.pop("body", {"reason": "演示"} if "retracts" in more else BODIES[type])
    return msgpack.packb({"v": 1, "uid": uid, "type": type, "at": 1700000000000, "org": org,
                          "person": {"badge": badge, "name": "演示"}, "issuer": "演示局", **more, "body": body})


def envelope(bytes_):
    """The event as a map; None if it is none."""
    try:
        e = msgpack.unpackb(bytes_)
        return e if isinstance(e, dict) else None
    except Exception:
        return None


def generated(n, prefix="e"):
    return {f"{prefix}-{i}" for i in range(n)}


# ---- running ----

tests = []


def test(f=None, *, fsync="everysec"):
    if f is None:
        return lambda g: test(g, fsync=fsync)
    tests.append((f, fsync))
    return f


bureau = Bureau  # what a test is given


def run_one(f, fsync):
    b = bureau(fsync)
    start = time.monotonic()
    try:
        f(b)
        for r in b.recorders.values():
            if r.want is not None:
                r.has_exactly(r.want)
        b.check_order()
        b.stop_all()
        b.check_sanitizers()
        b.check_logs()
        return "ok", "", time.monotonic() - start
    except BaseException:
        return "not ok", traceback.format_exc() + b.report(), time.monotonic() - start
    finally:
        b.end()


def run(jobs=JOBS, of=Bureau):
    """Names on the command line choose tests by a part of the name."""
    global bureau
    bureau = of
    chosen = [t for t in tests if not sys.argv[1:] or any(a in t[0].__name__ for a in sys.argv[1:])]
    print(f"1..{len(chosen)}", flush=True)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max(1, jobs)) as pool:
        for i, (t, result) in enumerate(zip(chosen, pool.map(lambda t: run_one(*t), chosen)), 1):
            word, text, seconds = result
            failed += word != "ok"
            print(f"{word} {i} - {t[0].__name__.replace('_', ' ')} # {seconds:.1f} s", flush=True)
            # prove keeps stdout to itself; what went wrong must stand in the log of a run.
            for line in text.split("\n") if text else []:
                print("#", line, file=sys.stderr, flush=True)
    sys.exit(1 if failed else 0)
