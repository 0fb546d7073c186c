#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# make run: what it says, what it shows, and that it leaves nothing behind however it ends.
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

from processes import own_time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.join(os.environ.get("DIBAO_BUILD", os.path.join(ROOT, "build")), "bin")
tests = []


def test(f):
    tests.append(f)
    return f


def wait_for(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        select.select([], [], [], 0.02)


# Who runs the tests may have these ignored (nohup, a job in the background), and a shell cannot trap what
# it was born ignoring: start as from a terminal.
for sig in (signal.SIGHUP, signal.SIGTERM):
    signal.signal(sig, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


class Run:
    """One make run in a build directory of its own, under tmp."""

    def __init__(self, tmp):
        self.tmp, self.text = tmp, ""
        if not os.path.exists(f"{tmp}/bin"):
            os.symlink(BIN, f"{tmp}/bin")
        self.p = subprocess.Popen(
            [f"{ROOT}/seeds/run.sh"], env=dict(os.environ, BUILD=tmp, INTERVAL="0.2"),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True)
        os.set_blocking(self.p.stdout.fileno(), False)

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        if kind:
            print("# " + self.said().replace("\n", "\n# "))
            for name in sorted(os.listdir(f"{self.tmp}/run")):
                if name.endswith(".log"):
                    with open(f"{self.tmp}/run/{name}", errors="replace") as f:
                        print(f"# {name}: " + f.read()[-800:].replace("\n", "\n# "))
        if self.p.poll() is None:
            self.p.kill()
            self.p.wait()
        self.p.stdout.close()

    def said(self):
        try:
            self.text += (self.p.stdout.read() or b"").decode(errors="replace")
        except ValueError:
            pass
        return self.text

    def shown(self):
        """What the subscriber has printed, below the introduction."""
        return [l for l in self.said().partition("Ctrl-C ends all of it.\n")[2].splitlines() if l]

    def processes(self):
        """pid -> command line of all that was started from this build directory, itself aside.

        Redis writes its title over its environment: it is known by the socket in the title."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    line = f.read().replace(b"\0", b" ").decode(errors="replace")
                with open(f"/proc/{pid}/environ", "rb") as f:
                    mine = self.tmp in line or f"BUILD={self.tmp}\0".encode() in f.read()
            except OSError:
                continue
            if mine and int(pid) != self.p.pid:
                found[int(pid)] = line
        return found


def fresh():
    return tempfile.TemporaryDirectory(prefix="dibao-run")


@test
def it_says_within_ten_seconds_what_runs_where_and_three_commands_that_work():
    start = own_time()
    with fresh() as tmp, Run(tmp) as run:
        wait_for("the introduction", lambda: "Ctrl-C" in run.said())
        assert own_time() - start < 10, f"{own_time() - start:.1f} s"
        assert all(w in run.said() for w in ("redis.sock", "tcp://127.0.0.1:", "演示数据"))
        commands = re.findall(r"^  (\S*dibaoctl .*)$", run.said(), re.M)
        assert len(commands) == 3, commands
        for command in commands:
            if " tail " not in command:
                p = subprocess.run(command.split(), cwd=ROOT, capture_output=True, timeout=60)
                assert p.returncode == 0, (command, p.stderr)


@test
def the_subscriber_prints_one_event_after_another():
    with fresh() as tmp, Run(tmp) as run:
        wait_for("twenty events", lambda: len(run.shown()) >= 20)


@test
def texts_go_out_into_files_and_are_shown_and_each_says_that_it_is_a_demonstration():
    with fresh() as tmp, Run(tmp) as run:
        wait_for("texts", lambda: sum("短信" in l for l in run.shown()) >= 5)
        texts = [l for l in run.shown() if l.startswith("短信")]
        assert all(re.match(r"短信 → 154\*\*\*\*\d{4}  【演示公安】演示", l) for l in texts), texts
        assert len(os.listdir(f"{tmp}/run/spool/out")) >= len(texts)


@test
def the_wall_of_a_station_has_an_address_and_its_page_moves():
    with fresh() as tmp, Run(tmp) as run:
        wait_for("the introduction", lambda: "Ctrl-C" in run.said())
        address = re.search(r"dibao-board (http://127\.0\.0\.1:\d+/)", run.said())[1]
        with urllib.request.urlopen(address, timeout=60) as r:
            assert b"<html" in r.read()
        puts, lines = 0, []
        with urllib.request.urlopen(address + "events", timeout=60) as r:
            while puts < 3:
                lines.append(r.readline().decode())
                puts += lines[-1] == "event: put\n"
        state = json.loads(lines[lines.index("event: state\n") + 1][6:])
        assert state["demo"] is True and state["board"]["name"] == "胥江派出所", state["board"]


@test
def it_ends_with_all_it_started_at_ctrl_c_and_at_other_ends():
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with fresh() as tmp, Run(tmp) as run:
            wait_for("an event", run.shown)
            assert len(run.processes()) >= 5, run.processes()
            run.p.send_signal(sig)
            assert run.p.wait(60) == 0, sig
            assert not run.processes(), (sig, run.processes())


@test
def nothing_outlives_it_even_if_it_is_killed():
    with fresh() as tmp, Run(tmp) as run:
        wait_for("an event", run.shown)
        run.p.kill()
        run.p.wait()
        wait_for("the end of all", lambda: not run.processes())


@test
def one_part_that_ends_by_itself_ends_all_and_is_named():
    with fresh() as tmp, Run(tmp) as run:
        wait_for("an event", run.shown)
        daemon = [p for p, line in run.processes().items() if "/dibaod " in line]
        assert len(daemon) == 1, run.processes()
        os.kill(daemon[0], signal.SIGKILL)
        assert run.p.wait(60) == 1
        assert "dibaod ended by itself" in run.said()
        assert not run.processes(), run.processes()


@test
def a_second_one_in_the_same_build_directory_is_refused_and_harms_nothing():
    with fresh() as tmp, Run(tmp) as run:
        wait_for("an event", run.shown)
        with Run(tmp) as second:
            assert second.p.wait(60) == 1 and "runs already" in second.said()
        before = len(run.shown())
        wait_for("more events", lambda: len(run.shown()) > before + 2)


@test
def each_run_begins_with_fresh_data():
    with fresh() as tmp:
        for _ in range(2):
            with Run(tmp) as run:
                wait_for("the introduction", lambda: "Ctrl-C" in run.said())
                n = subprocess.run(["redis-cli", "-s", f"{tmp}/run/redis.sock", "exists",
                                    "dibao:{3205}:sentinel"], capture_output=True, text=True)
                assert n.stdout.strip() == "0"
                subprocess.run(["redis-cli", "-s", f"{tmp}/run/redis.sock", "set",
                                "dibao:{3205}:sentinel", "1"], check=True, capture_output=True)
                run.p.terminate()
                assert run.p.wait(60) == 0


print(f"1..{len(tests)}")
failed = 0
for i, t in enumerate(tests, 1):
    result = "ok"
    try:
        t()
    except Exception as e:  # one that ends badly must not hide the others
        result = "not ok"
        failed += 1
        print("# " + f"{type(e).__name__}: {str(e)[:800]}".replace("\n", "\n# "))
    print(f"{result} {i} - {t.__name__.replace('_', ' ')}", flush=True)
sys.exit(failed > 0)
