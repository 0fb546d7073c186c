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
import concurrent.futures
import io
import shutil
import tempfile
import traceback

import redis as redis_client

from daemon import *
from events import *
from processes import *
from recorder import *

JOBS = int(os.environ.get("JOBS", 4))
BASE = "dibao:{3205}:"


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
        self.r = redis_client.Redis(unix_socket_path=self.redis_socket, socket_timeout=60 * SLOW)
        if wait:
            until(self.redis_answers, "Redis answers")

    def redis_answers(self):
        try:
            return self.r.ping()
        except redis_client.exceptions.RedisError:
            return False

    def setup(self):
        p = subprocess.run([BUILD + "/tests/publish_many", "-a", "unix:" + self.redis_socket, "-S"],
                           capture_output=True, text=True, timeout=60 * SLOW)
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
