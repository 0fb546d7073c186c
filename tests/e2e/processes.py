# SPDX-License-Identifier: Apache-2.0
"""Processes that the tests start, what stands between them and the network or the clock, and waiting for
a condition, with a deadline. Everything started is ended by its own pid, also when the test dies."""
import atexit
import mmap
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("DIBAO_BUILD", os.path.join(ROOT, "build"))
SLOW = float(os.environ.get("DIBAO_SLOW", 4 if re.search("asan|address|thread", BUILD) else 1))

running = {}  # pid -> Popen, all that this program started
running_lock = threading.Lock()


@atexit.register
def end_all():
    with running_lock:
        for p in list(running.values()):
            if p.poll() is None:
                p.kill()


signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))


def until(condition, what, seconds=60.0, every=0.005):
    """The condition's first true value. The deadline is for what never comes: a busy machine is slow, too."""
    end = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds * SLOW:.0f} s for: {what() if callable(what) else what}")
        time.sleep(every)


def own_time():
    """Seconds of a clock that stands still while somebody on this machine waits for a processor: for what is promised
    within a time, on a machine that has it. Monotonic."""
    try:
        with open("/proc/pressure/cpu") as f:
            return time.monotonic() - int(re.search(r"^some .*total=(\d+)", f.read())[1]) / 1e6
    except OSError:
        return 0.0  # a kernel that does not count it; what is waited for has its deadline still


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

    def wait(self, seconds=60):
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

    def wait_told(self, word, seconds=60):
        def heard():
            try:
                while True:
                    self.told += self.notify.recv(4096, socket.MSG_DONTWAIT).decode() + "\n"
            except BlockingIOError:
                pass
            assert self.process.alive() or word in self.told, f"{self.name} ended with {self.process.p.poll()}"
            return word in self.told
        until(heard, f"{self.name} tells {word}", seconds)


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
