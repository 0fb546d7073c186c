#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# The station's machine as it is shipped: both units as installed, started by a systemd of its own, a real
# cage and a real Chromium. Only the screen is none: cage draws it in memory, and pictures are taken of that.
import mmap
import shlex

from dibao_test import *

SHOTS = ROOT + "/build/web/shots"  # for the eye

MOMENT_MS = 3000

# What takes the place of a screen.
SCREEN = """[Service]
Environment=WLR_BACKENDS=headless WLR_RENDERER=pixman
"""

STATION = """[Unit]
Requires=basic.target
After=basic.target
Wants=dibao-board.service dibao-kiosk.service
"""

# Services of the machine that a station's wall needs none of.
IDLE = ("systemd-udevd systemd-udev-trigger systemd-timesyncd systemd-sysctl systemd-modules-load systemd-remount-fs "
        "systemd-hwdb-update systemd-update-utmp ldconfig").split()


def example():
    """What the manual shows: the option, and the units beside it."""
    with open(ROOT + "/clients/board/dibao-board.8") as f:
        text = f.read().split("Restart the browser when no page reports")[1].split(".Bd -literal")[1].split(".Ed")[0]
    option, *units = re.split(r"^# (/etc/\S+)\n", text.split("\n", 1)[1], flags=re.M)
    return option.strip(), dict(zip(units[::2], units[1::2]))


# Of the unit: no window's frame, nothing kept, nothing asked, no gesture that goes elsewhere.
QUIET = ("--kiosk --incognito --noerrdialogs --hide-crash-restore-bubble --no-first-run --no-default-browser-check "
         "--disable-extensions --disable-pinch --overscroll-history-navigation=0").split()


def unit_words():
    """What the unit gives to Chromium."""
    with open(ROOT + "/config/dibao-kiosk.service") as f:
        command = re.search(r"^ExecStart=((?:.*\\\n)*.*)$", f.read(), re.M)[1].replace("\\\n", " ")
    return shlex.split(command.split(" /usr/bin/chromium ", 1)[1])


class Machine:
    def __init__(self, b):
        self.b = b
        self.option, self.units = example()
        self.write("run/systemd/system/station.target", STATION)
        self.write("run/systemd/system/dibao-kiosk.service.d/screen.conf", SCREEN)
        for name, text in self.units.items():
            self.write(name, text)
        for name in IDLE:
            os.symlink("/dev/null", self.place(f"run/systemd/system/{name}.service"))
        self.write("etc/dibao/board.conf", f"[board]\norg = {HUXU}\n[show]\nmoment_ms = {MOMENT_MS}ms\n")
        os.chmod(b.path("dibao.sock"), 0o666)
        self.process = b.process(["unshare", "--mount", "--pid", "--fork", "--cgroup", "--uts", "--ipc", "--net", "--kill-child",
                                  os.path.join(ROOT, "tests/e2e/machine.sh"), b.dir, ROOT, BUILD], b.path("machine.log"))
        until(self.is_up, lambda: "systemd is up: " + self.process.log(), 30)

    def place(self, name):
        path = os.path.join(self.b.path("files"), name.lstrip("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def write(self, name, text):
        with open(self.place(name), "w") as f:
            f.write(text)

    def run(self, *argv, **kw):
        """Within."""
        with open(f"/proc/{self.process.p.pid}/task/{self.process.p.pid}/children") as f:
            pid = f.read().strip()
        return subprocess.run(["nsenter", "-t", pid or "0", "-m", "-p", "-n", "-C", *argv], capture_output=True, timeout=60 * SLOW, **kw)

    def is_up(self):
        assert self.process.alive(), self.process.log()
        return self.run("systemctl", "show", "-p", "Version").stdout.startswith(b"Version=")

    def state(self, unit):
        out = self.run("systemctl", "show", unit, "-p", "ActiveState,NRestarts,MainPID,Result", text=True).stdout
        return dict(line.split("=", 1) for line in out.split())

    def browser(self):
        """The command line of the one Chromium that no other Chromium started."""
        look = 'for p in /proc/[0-9]*; do test "$(readlink $p/exe)" != /usr/lib/chromium/chromium || (cat $p/cmdline; echo); done'
        lines = self.run("sh", "-c", look, text=True).stdout.splitlines()
        (own,) = [words for words in (line.rstrip("\0").split("\0") for line in lines) if "--type=" not in " ".join(words)]
        return own

    def board(self):
        out = self.run("/usr/local/bin/dibao-board", "--status", "--json", text=True).stdout
        return json.loads(out) if out else {}

    def log(self):
        return self.run("journalctl", "-b", "--no-pager", "-u", "dibao-kiosk", "-u", "dibao-board", text=True).stdout[-3000:]

    def grim(self, kind):
        return self.run("env", "XDG_RUNTIME_DIR=/run/dibao-kiosk", "WAYLAND_DISPLAY=wayland-0", "grim", "-t", kind, "-").stdout

    def picture(self):
        """(pixels of three bytes, their width), or None while there is no screen."""
        ppm = self.grim("ppm")
        head = re.match(rb"P6\s(\d+) (\d+)\s255\s", ppm)
        return head and (ppm[head.end():], int(head[1]))


def is_gold(r, g, b):
    return r > 180 and g > 150 and b < 150


def is_blue(r, g, b):
    return b > r + 20 and b > g + 10


def is_grey(r, g, b):
    return 20 < r < 110 and max(r, g, b) - min(r, g, b) < 12


def share(picture, is_such, top=0.0, bottom=1.0):
    """Of every 37th pixel between these heights, how many are."""
    pixels, width = picture
    rows = len(pixels) // 3 // width
    part = pixels[int(rows * top) * width * 3:int(rows * bottom) * width * 3]
    such = sum(is_such(*part[i:i + 3]) for i in range(0, len(part) - 2, 111))
    return such / (len(part) / 111)


def award(b, uid):
    e = msgpack.packb({"v": 1, "uid": uid, "type": "award", "at": int(time.time() * 1000), "org": HUXU, "issuer": "演示局",
                       "person": {"badge": "F" + uid, "name": "欧阳雪芳"},
                       "body": {"kind": {"code": "A02", "name": "火线奖励"}, "state": "final", "public_reason": "演示" * 9}})
    assert b.call("dibao_publish", e)[0] == b"new"


@test
def the_units_as_shipped_bring_the_page_onto_the_screen_and_bring_it_back(b):
    b.start(endpoints=f"ipc://{b.path('dibao.sock')}")
    m = Machine(b)
    until(lambda: m.board().get("current"), m.log, every=0.1)
    until(lambda: m.board().get("streams"), m.log, every=0.1)

    # cage draws what changes, and with no screen only while it is asked for pictures: what it was not asked for in time
    # it does not draw later. Where a machine was too slow for all of a moment's fading in, there is a next moment.
    seen, begun, next_ms = [], [], MOMENT_MS + 3000

    def stands():
        if not begun or time.monotonic() - begun[-1] > next_ms / 1000:
            begun.append(time.monotonic())
            award(b, f"a{len(begun)}")
        picture = m.picture()
        seen[:] = [round(share(picture, f), 4) for f in (is_blue, is_gold, is_grey)] if picture else []
        return picture and seen[0] > 0.8 and seen[1] > 0.006 and picture
    m.picture()
    picture = until(stands, lambda: f"a picture of the moment, not {seen}: {m.log()}", every=0.001)
    assert share(picture, is_grey, 0, 0.1) < 0.01, "the browser shows something of its own"
    os.makedirs(SHOTS, exist_ok=True)
    with open(SHOTS + "/kiosk.png", "wb") as f:
        f.write(m.grim("png"))
    until(lambda: m.board().get("receipts_confirmed") == len(begun), lambda: f"a receipt: {m.board()}", every=0.1)
    until(lambda: m.board().get("page_visible"), m.log)

    # The browser as it runs was told all that the unit says.
    words, told = m.browser(), unit_words()
    assert not set(told) - set(words), f"without {set(told) - set(words)}: {words}"
    with open("/usr/lib/chromium/chromium", "rb") as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as code:
        unknown = [word for word in told if word.startswith("--") and code.find(word[2:].split("=")[0].encode() + b"\0") < 0]
    assert not unknown, f"Chromium knows nothing of {unknown}"
    assert not set(QUIET) - set(words), f"without {set(QUIET) - set(words)}: {words}"
    without = [word for word in words if word.startswith("--disable-features=")][-1]  # Chromium hears the last alone
    assert "Translate" in without.split("=")[1].split(","), without

    # The browser is killed: the unit starts both anew, with a profile that knows of nothing.
    before = m.state("dibao-kiosk")
    m.run("touch", "/run/dibao-kiosk/profile/mark")
    m.run("systemctl", "kill", "-s", "KILL", "dibao-kiosk")
    until(lambda: int(m.state("dibao-kiosk")["NRestarts"]) > int(before["NRestarts"]), m.log, every=0.1)
    award(b, "again")
    until(lambda: m.board().get("receipts_confirmed") == len(begun) + 1, lambda: f"one more receipt: {m.board()}\n{m.log()}", every=0.1)
    assert m.run("test", "-e", "/run/dibao-kiosk/profile/mark").returncode == 1, "the profile is the old one"

    # The page falls silent, and the manual's example starts the browser again.
    assert m.option.startswith("restart_command = /"), m.option
    for unit in m.units:
        if unit.endswith(".path"):
            assert m.run("systemctl", "start", os.path.basename(unit)).returncode == 0, m.log()
    before = m.state("dibao-kiosk")
    m.run("sh", "-c", f"printf '[kiosk]\\nalive_ms = 1s\\n{m.option}\\n' >>/etc/dibao/board.conf && systemctl restart dibao-board")
    until(lambda: m.state("dibao-kiosk")["MainPID"] not in ("0", before["MainPID"]), m.log, every=0.1)
    until(lambda: m.board().get("kiosk_restarts", 0) >= 1, lambda: f"it tells so: {m.board()}", every=0.1)
    assert m.state("dibao-kiosk")["NRestarts"] == "0", m.state("dibao-kiosk")


if os.geteuid() != 0:
    print("1..0 # SKIP only root may boot a systemd in namespaces of its own")
    sys.exit(0)
run(1)
