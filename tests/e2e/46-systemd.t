#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# The shipped units under systemd itself, which runs in namespaces of its own: what it starts again and what not,
# and that what they forbid is nothing that the programs need.
import pwd
import shutil

from sms_test import Sms
from dibao_test import *

NOBODY = pwd.getpwnam("nobody")

# What the unit says, but for where things are and who runs them: the test's directory is in /tmp. The search for
# leaks needs what the unit forbids, and would end the program with a status of its own.
DROP_IN = """[Unit]
DefaultDependencies=no
StartLimitIntervalSec=0
[Service]
ExecStart=
ExecStart={program} -c {config}
Environment=DIBAO_LEAK={leak} ASAN_OPTIONS=detect_leaks=0
SupplementaryGroups=
DynamicUser=no
StandardError=append:{log}
RestartSec=100ms
User=nobody
Group=nogroup
PrivateTmp=no
PrivateDevices=no
ProtectSystem=no
ProtectHome=no
ProtectProc=default
ProcSubset=all
"""

BOOT = """set -e
n=0
for d in {keep}; do n=$((n + 1)); mkdir -p /run/keep.$n; done
mount -t tmpfs tmpfs /run
n=0
for d in {keep}; do n=$((n + 1)); mkdir -p /run/keep.$n; mount --bind $d /run/keep.$n; done
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /var
n=0
for d in {keep}; do n=$((n + 1)); mkdir -p $d; mount --bind /run/keep.$n $d; done
mkdir -p /run/systemd /var/log
cp -r {units} /run/systemd/system
printf '[Unit]\\nDefaultDependencies=no\\n' >/run/systemd/system/idle.target
exec env container=other /lib/systemd/systemd --system --unit=idle.target --log-target=console --log-level=info --show-status=no
"""


class Manager:
    """A systemd that knows these units and nothing else: {name: (program, its configuration)}. The network is the machine's."""

    def __init__(self, b, **units):
        self.b, self.leak = b, b.path("leak")
        os.mkdir(b.path("units"))
        for name, (program, config) in units.items():
            unit = name.replace("_", "-") + ".service"
            shutil.copy(f"{ROOT}/config/{unit}", b.path("units"))
            os.mkdir(b.path(f"units/{unit}.d"))
            with open(b.path(f"units/{unit}.d/here.conf"), "w") as f:
                f.write(DROP_IN.format(program=BUILD + program, config=config, leak=self.leak, log=b.path(unit + ".log")))
        for d, names, files in os.walk(b.dir):
            for name in [".", *names, *files]:
                os.chown(os.path.join(d, name), NOBODY.pw_uid, NOBODY.pw_gid)
        boot = BOOT.format(keep=f"{b.dir} {BUILD} {ROOT}", units=b.path("units"))
        self.unshare = b.process(["unshare", "--mount", "--pid", "--fork", "--cgroup", "--uts", "--ipc", "--mount-proc", "--kill-child",
                                  "sh", "-c", boot], b.path("systemd.log"))
        until(self.is_up, lambda: "systemd is up: " + self.unshare.log(), 120)

    def pid(self):
        with open(f"/proc/{self.unshare.p.pid}/task/{self.unshare.p.pid}/children") as f:
            return f.read().strip()

    def systemctl(self, *args):
        return subprocess.run(["nsenter", "-t", self.pid(), "-m", "-p", "systemctl", *args], capture_output=True, text=True,
                              timeout=120 * SLOW)

    def is_up(self):
        assert self.unshare.alive(), self.unshare.log()
        return self.pid() and self.systemctl("show", "-p", "Version").stdout.startswith("Version=")

    def start(self, unit):
        p = self.systemctl("start", unit)
        assert p.returncode == 0, (p.stderr, self.state(unit), self.said(unit), self.unshare.log())

    def state(self, unit="dibaod.service"):
        out = self.systemctl("show", unit, "-p", "ActiveState,NRestarts,ExecMainStatus,ExecMainPID").stdout
        return dict(line.split("=", 1) for line in out.split())

    def said(self, unit="dibaod.service"):
        with open(self.b.path(unit + ".log")) as f:
            return f.read()

    def stays_down(self):
        until(lambda: self.state()["ActiveState"] == "failed", self.state)
        holds(lambda: self.state()["ActiveState"] == "failed", "it is not started again", 0.5)


@test
def a_daemon_that_was_killed_is_started_again_and_one_whose_encoder_leaked_is_not(b):
    b.start_redis()
    b.setup()
    d = Daemon(b, "service", {"canary_ms": 100})
    m = Manager(b, dibaod=("/tests/dibaod-leaky", d.config))
    m.start("dibaod.service")
    m.systemctl("kill", "-s", "KILL", "dibaod.service")
    until(lambda: m.state()["NRestarts"] == "1" and m.state()["ActiveState"] == "active", m.state)
    open(m.leak, "w").close()
    m.stays_down()
    assert (m.state()["ExecMainStatus"], m.state()["NRestarts"]) == ("70", "1"), m.state()
    assert "canary: a penalty gets by the public encoder" in m.said()
    assert m.systemctl("start", "dibaod.service").returncode != 0, "nor does it serve when it is told to"
    m.stays_down()
    assert (m.state()["ExecMainStatus"], m.said().count("canary: a penalty gets by")) == ("70", 2), m.said()


@test
def under_what_the_units_forbid_each_program_does_its_work(b):
    b.start_redis()
    subprocess.run([BUILD + "/bin/dibaoctl", "--redis", "unix:" + b.redis_socket, "setup"], check=True, capture_output=True)
    b.d = Daemon(b, "service", {})
    b.durable("sms-1")
    b.r.config_set("appendfsync", "always")
    sms = Sms(b, endpoints=b.d.tcp)
    with open(b.path("board.conf"), "w") as f:
        f.write(f"[daemon]\nendpoints = {b.d.tcp}\n[board]\norg = {HUXU}\ncache = {b.path('board.db')}\nport = {free_port()}\n"
                f"orgs_table = {ROOT}/config/orgs.tsv\nranks_table = {ROOT}/config/ranks.tsv\n")
    m = Manager(b, dibaod=("/bin/dibaod", b.d.config), dibao_sms=("/bin/dibao-sms", sms.config), dibao_board=("/bin/dibao-board", b.path("board.conf")))
    for unit in ("dibaod.service", "dibao-sms.service", "dibao-board.service"):
        m.start(unit)
    until(lambda: [c["state"] for c in b.d.ask("clients")["clients"]] == ["active"] * 2, lambda: b.d.ask("clients"))
    for unit in ("dibaod.service", "dibao-sms.service", "dibao-board.service"):
        assert (m.state(unit)["ActiveState"], m.state(unit)["NRestarts"]) == ("active", "0"), unit
    for unit in ("dibaod.service", "dibao-sms.service"):
        assert m.systemctl("reload", unit).returncode == 0
        until(lambda: "reloaded" in m.said(unit), lambda: m.said(unit))
        assert (m.state(unit)["ActiveState"], m.state(unit)["NRestarts"]) == ("active", "0"), unit


run(1)
