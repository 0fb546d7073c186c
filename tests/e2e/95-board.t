#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# dibao-board against a real daemon: what its page is told, and what it never is.
import fcntl
import hashlib
import http.client
import pty
import sqlite3
import struct
import termios

from dibao_test import *

STATION, NEIGHBOUR, FAR = HUXU, "320508540000", "320506500000"


class Events:
    """A page's stream: a thread that reads it, and what it was told."""

    def __init__(self, port, last_id=None, host="127.0.0.1"):
        self.c = http.client.HTTPConnection(host, port, timeout=60 * SLOW)
        self.c.request("GET", "/events", headers={"Last-Event-ID": last_id} if last_id else {})
        self.r = self.c.getresponse()
        assert self.r.status == 200, self.r.status
        self.events, self.last_id, self.over = [], None, False  # events: (name, data, monotonic time)
        self.bytes = 0
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        name = data = None
        try:
            for line in self.r:
                self.bytes += len(line)
                line = line.decode().rstrip("\n")
                if line.startswith("id: "):
                    self.last_id = line[4:]
                elif line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    data = line[6:]
                elif not line and name:
                    self.events.append((name, json.loads(data), time.monotonic()))
                    name = data = None
        except (OSError, ValueError, http.client.HTTPException):
            pass
        self.over = True

    def close(self):
        self.c.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join()

    def of(self, name):
        return [d for n, d, _ in list(self.events) if n == name]

    def wall(self):
        """The items that hang there now, by name."""
        items = {}
        for name, d, _ in list(self.events):
            if name == "state":
                items = {i["pid"]: i for i in d["items"]}
            elif name == "put":
                items[d["pid"]] = d
            elif name == "drop":
                items.pop(d["pid"], None)
        return items

    def names(self):
        return sorted(i["name"] for i in self.wall().values())

    def wait_names(self, *names, within=None):
        want, start = sorted(names), own_time()
        until(lambda: self.names() == want, lambda: f"the wall shows {want}, not {self.names()}")
        assert within is None or own_time() - start < within * SLOW, f"{want} after {own_time() - start:.1f} s"

    def wait_beat(self, condition, what, seconds=60):
        def fits():
            beats = self.of("beat")
            return beats and condition(beats[-1])
        until(fits, lambda: f"a beat that {what}: {self.of('beat')[-1:]}", seconds)
        return self.of("beat")[-1]

    def text(self):
        return json.dumps([[n, d] for n, d, _ in self.events], ensure_ascii=False)


class Board:
    def __init__(self, b, name="board", endpoint=None, shim=None, **conf):
        self.b, self.name, self.shim = b, name, shim
        self.port = free_port()
        self.config, self.out = b.path(name + ".conf"), b.path(name + ".log")
        self.cache = b.path(name + ".db")
        self.endpoint = endpoint or b.d.tcp
        self.conf = conf
        self.configure()
        self.process = None
        b.boards = getattr(b, "boards", []) + [self]

    def configure(self, **more):
        self.conf.update(more)
        values = {"bureau": "3205", "endpoints": self.endpoint, "org": STATION, "cache": self.cache, "port": self.port,
                  "orgs_table": ROOT + "/config/orgs.tsv", "ranks_table": ROOT + "/config/ranks.tsv", "log_level": "debug",
                  **self.conf}
        where = {"bureau": "daemon", "endpoints": "daemon", "durable": "daemon", "server_key": "daemon", "key_file": "daemon",
                 "log_level": "log", "alive_ms": "kiosk", "restart_command": "kiosk"}
        show = ("promotion_ms award_ms items_max order page_ms rows moment_ms moment_within_ms standing_after_ms "
                "standing_text drift night_from night_to night_dim").split()
        with open(self.config, "w") as f:
            for section in ("daemon", "board", "show", "kiosk", "log"):
                f.write(f"[{section}]\n" + "".join(f"{k} = {v}\n" for k, v in values.items()
                                                   if where.get(k, "show" if k in show else "board") == section))

    def start(self, wait=True):
        self.process = self.b.process([BUILD + "/bin/dibao-board", "-c", self.config], self.out,
                                      {**os.environ, **(self.shim.env if self.shim else {})})
        if wait:
            until(self.answers, lambda: f"the board answers: {self.log()[-400:]}")
        return self

    def answers(self):
        try:
            return self.status()
        except OSError:
            assert self.process.alive(), self.log()[-500:]
            return None

    def ask(self, method, path, body=None, headers={}):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60 * SLOW)
        c.request(method, path, body, headers)
        r = c.getresponse()
        text = r.read()
        c.close()
        return r, text

    def status(self):
        return json.loads(self.ask("GET", "/status")[1])

    def wait_status(self, condition, what, seconds=60):
        until(lambda: condition(self.status()), lambda: f"the board's status {what}: {self.status()}", seconds, 0.05)
        return self.status()

    def current(self):
        self.wait_status(lambda s: s["current"], "is current")
        return self

    def page(self, last_id=None):
        e = Events(self.port, last_id)
        # A beat may come first; without a last id the whole state follows.
        until(lambda: e.of("state") if last_id is None else e.events, "a first event")
        return e

    def alive(self, rendered=(), visible=True):
        r, text = self.ask("POST", "/alive", json.dumps({"visible": visible, "rendered": list(rendered), "page": 1, "pages": 2}),
                           {"Content-Type": "application/json"})
        return r.status

    def log(self):
        return self.process.log()

    def kill(self):
        return self.process.kill()

    def stop(self):
        self.process.signal(signal.SIGTERM)
        code = self.process.wait()
        assert code == 0, f"{self.name} ended with {code}"
        return self

    def rss(self):
        with open(f"/proc/{self.process.p.pid}/status") as f:
            return int(re.search(r"VmRSS:\s*(\d+)", f.read())[1])


def publish(b, *events):
    p = b.r.pipeline(transaction=False)
    for e in events:
        p.fcall("dibao_publish", 1, BASE, e)
    for answer in p.execute():
        assert answer[0] == b"new", answer


def now_ms():
    return int(time.time() * 1000)


def day(offset):
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() + 8 * 3600 + offset * 86400))


def award(uid, name, org=STATION, **more):
    body = {"kind": {"code": "A02", "name": "火线奖励"}, "state": "final", "public_reason": "演示", **more.pop("body", {})}
    return show_event(uid, "award", name, org, body, **more)


def promotion(uid, name, org=STATION, **more):
    body = {"from": {"code": "R01", "name": "实习辅警"}, "to": {"code": "R02", "name": "三级辅员"}, "effective": day(3),
            "state": "final", **more.pop("body", {})}
    return show_event(uid, "promotion", name, org, body, **more)


def show_event(uid, type, name, org, body, unit=None, badge=None, **more):
    person = {"badge": badge or "F" + hashlib.md5(uid.encode()).hexdigest()[:6], "name": name}
    if unit:
        person["unit"] = unit
    return msgpack.packb({"v": 1, "uid": uid, "type": type, "at": more.pop("at", now_ms() - 1000), "org": org, "person": person,
                          "issuer": "演示局", **more, "body": body})


PROPOSED = {"state": "proposed", "notice_until": day(5), "contact": "演示 0512-0"}


def boards_end(b):
    for x in getattr(b, "boards", []):
        if x.process and x.process.alive():
            x.stop()


# ---- what hangs there ----

@test
def a_new_board_shows_all_that_is_public_and_not_over_and_then_what_comes(b):
    b.start()
    publish(b, award("a1", "甲一"), promotion("p1", "乙一"), award("old", "旧", at=now_ms() - 400 * 86400000),
              award("gone", "过期", expires=now_ms() - 1000), award("n1", "邻一", NEIGHBOUR), award("f1", "远一", FAR))
    board = Board(b).start().current()
    page = board.page()
    page.wait_names("甲一", "乙一", "邻一", "远一")
    areas = {i["name"]: (i["area"], i["org"], i["moment"]) for i in page.wall().values()}
    assert areas["甲一"] == ("own", "胥江派出所", False) and areas["邻一"][0] == "district" and areas["远一"][0] == "bureau", areas
    publish(b, award("a2", "甲二"))
    page.wait_names("甲一", "乙一", "邻一", "远一", "甲二")
    last = [i for i in page.wall().values() if i["name"] == "甲二"][0]
    assert last["moment"] and last["published_ms"] > now_ms() - 60000
    state = page.of("state")[0]
    assert state["demo"] is True and state["board"]["name"] == "胥江派出所" and state["standing"] is None
    assert [r["name"] for r in state["ladder"]][0] == "实习辅警" and len(state["ladder"]) == 10
    boards_end(b)


@test
def a_retraction_a_correction_and_hiding_show_within_two_seconds(b):
    b.start()
    board = Board(b).start().current()
    page = board.page()
    publish(b, award("a1", "甲一", badge="F1"), award("a2", "甲二", badge="F2"), award("a3", "甲三", badge="F3"))
    page.wait_names("甲一", "甲二", "甲三")
    publish(b, event("r1", "award", STATION, "F1", retracts="a1"))
    page.wait_names("甲二", "甲三", within=2)
    publish(b, award("c2", "甲二改", badge="F2", corrects="a2"))
    page.wait_names("甲二改", "甲三", within=2)
    b.call("dibao_hide", "F3", "0", "test")
    page.wait_names("甲二改", within=2)
    b.call("dibao_unhide", "F3", "test")
    page.wait_names("甲二改", "甲三", within=2)
    boards_end(b)


@test
def who_was_hidden_until_a_time_is_back_by_itself_when_it_is_past_and_has_no_moment_again(b):
    shim = Shim(b, "time")
    b.redis_env = b.daemon_env = {**os.environ, **shim.env}
    b.start()
    board = Board(b, shim=shim).start().current()
    page = board.page()
    publish(b, award("a1", "甲一", badge="F1"), award("a2", "甲二", badge="F2"))
    page.wait_names("甲一", "甲二")
    assert all(i["moment"] for i in page.wall().values())
    due = now_ms() + 3600000
    b.call("dibao_hide", "F1", str(due), "test")
    page.wait_names("甲二", within=2)
    shim.step(3600000 - 60000)
    holds(lambda: page.names() == ["甲二"], "it is hidden until then", 1.5)
    shim.step(3600000)
    page.wait_names("甲一", "甲二", within=3)
    assert [i["moment"] for i in page.wall().values() if i["name"] == "甲一"] == [False]
    # A page and a board that begin anew see the same.
    board.stop().start().current()
    page = board.page()
    page.wait_names("甲一", "甲二")
    assert [i["moment"] for i in page.wall().values() if i["name"] == "甲一"] == [False]
    boards_end(b)


@test
def a_final_one_takes_its_proposals_place_and_equal_names_show_their_unit(b):
    b.start()
    board = Board(b).start().current()
    page = board.page()
    publish(b, award("p1", "甲一", body=PROPOSED, badge="F1", unit="一队"))
    page.wait_names("甲一")
    item = list(page.wall().values())[0]
    assert item["state"] == "proposed" and item["last_day"] == PROPOSED["notice_until"] and not item["moment"]
    publish(b, award("f1", "甲一", follows="p1", badge="F1", unit="一队"))
    until(lambda: [i["state"] for i in page.wall().values()] == ["final"], "the final one alone")
    publish(b, award("x1", "甲一", badge="F9", unit="二队"))
    until(lambda: [i["show_unit"] for i in page.wall().values()] == [True, True], "units shown")
    boards_end(b)


@test
def hostile_names_and_reasons_pass_as_text_unharmed(b):
    b.start()
    board = Board(b).start().current()
    page = board.page()
    names = ["<img src=x onerror=alert(1)>", "</script><script>", "\u202e倒\u202c", "零\u200b宽\ufeff", "\u2028\u2029行", "𬭚𠮷",
             "\"\\'&amp;", "data: x"]
    for i, n in enumerate(names):
        publish(b, award(f"h{i}", n, body={"public_reason": (n + "\n\nevent: drop\ndata: {}\n\n") * 10}))
    page.wait_names(*names)
    assert {i["reason"] for i in page.wall().values()} == {(n + "\n\nevent: drop\ndata: {}\n\n") * 10 for n in names}
    raw = board.page()
    until(lambda: raw.of("state"), "a state")
    assert raw.names() == sorted(names)
    boards_end(b)


# ---- after an absence ----

@test
def what_was_taken_back_or_moved_while_the_board_was_off_is_gone(b):
    b.start()
    board = Board(b, district="none", bureau_orgs="none").start().current()
    page = board.page()
    publish(b, award("a1", "甲一", badge="F1"), award("a2", "甲二", badge="F2"), award("a3", "甲三"))
    page.wait_names("甲一", "甲二", "甲三")
    board.wait_status(lambda s: s["held"] == 3, "holds three")
    board.stop()
    publish(b, event("r1", "award", STATION, "F1", retracts="a1"), award("c2", "甲二", NEIGHBOUR, badge="F2", corrects="a2"),
              award("a4", "甲四"))
    board.start().current()
    page = board.page()
    page.wait_names("甲三", "甲四")
    # And with the events gone from Redis altogether.
    board.stop()
    b.d.stop()
    for k in b.r.keys(BASE + "*"):
        b.r.delete(k)
    b.setup()
    b.d.start()
    publish(b, award("z1", "新一"))
    board.start().current()
    board.page().wait_names("新一")
    boards_end(b)


@test
def after_ten_minutes_without_the_daemon_all_is_asked_for_anew(b):
    b.start()
    shim = Shim(b, "boot")
    board = Board(b, shim=shim).start().current()
    page = board.page()
    publish(b, award("a1", "甲一"), award("a2", "甲二"))
    page.wait_names("甲一", "甲二")

    def away(minutes):
        b.d.stop()
        page.wait_beat(lambda x: x["link"] == "connecting", "says connecting")
        shim.step_boot(shim.words[3] + minutes * 60000)
        b.d.start()
        page.wait_beat(lambda x: x["link"] == "active", "is active")
    away(5)
    assert len(re.findall("all there is has come", board.log())) == 1
    # Nobody tells of what is simply not there any more.
    b.r.delete(BASE + "public", BASE + "uid:a1", BASE + "uid:a2", BASE + "tail")
    publish(b, award("a3", "甲三"))
    away(11)
    page.wait_names("甲三")
    assert len(re.findall("all there is has come", board.log())) == 2
    boards_end(b)


@test
def what_hangs_there_is_not_called_fresh_before_all_that_was_published_has_come(b):
    policy = b.path("access.conf")
    with open(policy, "w") as f:
        f.write("[insecure]\nkind = board\ntypes = promotion award\norgs = *\nrate = 100\n")
    b.start(access=policy)
    board = Board(b).start().current()
    publish(b, award("a0", "甲零"))
    board.page().wait_names("甲零")
    board.wait_status(lambda s: s["held"] == 1, "holds one")
    board.stop()
    left = now_ms()
    # Some frames full, of which the next waits for its rate.
    publish(b, *(award(f"a{i}", f"甲{i}", body={"public_reason": "演" * 400}) for i in range(1, 600)))
    board.start()
    page = board.page()
    s = board.wait_status(lambda s: s["link"] == "catching-up" and s["heard_ms"] > left and 1 < s["held"] < 600, "catches up")
    assert s["heartbeat_ms"] <= left and not s["current"], s
    assert page.names() == ["甲零"] and page.of("beat")[-1]["heartbeat_ms"] <= left
    page.wait_names("甲零", *(f"甲{i}" for i in range(1, 600)))
    page.wait_beat(lambda x: x["link"] == "active" and x["heartbeat_ms"] > left, "is fresh")
    boards_end(b)


@test
def without_the_daemon_the_last_content_hangs_there_and_says_since_when(b):
    b.start()
    publish(b, award("a1", "甲一"), award("p1", "拟", body=PROPOSED))
    board = Board(b).start().current()
    board.page().wait_names("甲一", "拟")
    board.wait_status(lambda s: s["held"] == 2, "holds two")
    board.stop()
    b.d.stop()
    board.start()
    page = board.page()
    page.wait_names("甲一", "拟")  # the same boot: the time is known
    beat = page.of("beat")[0]
    assert beat["link"] == "connecting" and beat["trusted"] and 0 < beat["heartbeat_ms"] <= beat["now_ms"], beat
    board.stop()
    # After a reboot it is not known any more.
    with sqlite3.connect(board.cache) as db:
        db.execute("UPDATE note SET value='another' WHERE name='boot_id'")
    db.close()
    board.start()
    page = board.page()
    page.wait_names("甲一")
    beat = page.of("beat")[0]
    assert beat["now_ms"] is None and not beat["trusted"] and beat["heartbeat_ms"] > 0, beat
    b.d.start()
    page.wait_names("甲一", "拟")
    page.wait_beat(lambda x: x["trusted"] and x["link"] == "active", "is trusted")
    boards_end(b)


@test
def a_cache_cut_at_every_kilobyte_is_moved_aside_or_read_right(b):
    b.start()
    names = [f"人{i}" for i in range(60)]
    for i, n in enumerate(names):
        publish(b, award(f"a{i}", n, body={"public_reason": "演" * 100}))
    board = Board(b).start().current()
    board.page().wait_names(*names)
    board.wait_status(lambda s: s["held"] == 60, "holds all")
    board.stop()
    b.d.stop()
    with open(board.cache, "rb") as f:
        whole = f.read()
    assert len(whole) > 20000 and not os.path.exists(board.cache + "-wal")
    for n in [*range(0, len(whole), 1024), len(whole) - 1]:
        for suffix in ("", "-wal", "-shm", ".damaged"):
            if os.path.exists(board.cache + suffix):
                os.unlink(board.cache + suffix)
        with open(board.cache, "wb") as f:
            f.write(whole[:n])
        board.start()
        got = set(board.page().names())
        said = re.search("damaged|empty", board.log())
        assert got <= set(names) and (len(got) == 60 or said), (n, len(got), board.log()[-300:])
        board.stop()
        os.unlink(board.out)
    # A flipped bit in a name is not shown.
    at = whole.index("人33".encode())
    with open(board.cache, "wb") as f:
        f.write(whole[:at] + b"\xe5" + whole[at + 1:])
    board.start()
    assert "人33" not in board.page().names() and len(board.page().names()) == 59
    assert "1 items are damaged" in board.log()
    b.d.start()
    board.page().wait_names(*names)
    boards_end(b)


@test
def a_daemon_killed_stopped_or_cut_off_or_a_queue_that_stands_still_is_told_and_recovers(b):
    b.start()
    line = Proxy(b, int(b.d.tcp.rsplit(":")[-1]))
    board = Board(b, endpoint=line.where).start().current()
    page = board.page()
    publish(b, award("a0", "甲零"))
    page.wait_names("甲零")
    names = ["甲零"]
    age = lambda x: x["now_ms"] - x["heartbeat_ms"]

    def goes_stale(what):
        # At the test's cadence of 200 ms; at 15 s it is 45.
        until(lambda: age(board.status()) > 3000, f"stale: {what}", every=0.2)
        assert page.names() == sorted(names), what

    def recovers():
        names.append(f"甲{len(names)}")
        publish(b, award(f"a{len(names)}", names[-1]))
        page.wait_names(*names)
        until(lambda: age(board.status()) < 2000 and board.status()["link"] == "active", "fresh again", every=0.2)

    b.d.kill()
    start = own_time()
    page.wait_beat(lambda x: x["link"] == "connecting", "says connecting")
    assert own_time() - start < 2 * SLOW, "at once"
    goes_stale("killed")
    b.d.start()
    recovers()
    b.d.pause()
    goes_stale("stopped")
    # Those 15 s apart on the stream itself say so too, within 45 s.
    page.wait_beat(lambda x: age(x) > 3000, "is stale")
    b.d.go_on()
    recovers()
    line.cut()
    goes_stale("cut off")
    line.mend()
    recovers()
    b.redis.signal(signal.SIGSTOP)
    goes_stale("the queue stands still")
    b.redis.signal(signal.SIGCONT)
    recovers()
    assert page.over is False and "err " not in board.log()
    boards_end(b)


@test
def what_was_published_while_the_line_was_cut_has_its_moment_and_what_was_long_ago_has_none(b):
    b.start()
    publish(b, award("a0", "旧一"))
    board = Board(b).start().current()
    page = board.page()
    page.wait_names("旧一")
    b.d.kill()
    page.wait_beat(lambda x: x["link"] == "connecting", "says connecting")
    publish(b, award("a1", "甲一"))
    b.d.start()
    page.wait_names("旧一", "甲一")
    assert {i["name"]: i["moment"] for i in page.wall().values()} == {"旧一": False, "甲一": True}
    boards_end(b)


# ---- time ----

@test
def the_machines_wall_clock_set_back_and_forward_changes_nothing(b):
    b.start()
    shim = Shim(b, "clock")
    publish(b, award("a1", "甲一"), award("p1", "拟", body=PROPOSED))
    board = Board(b, shim=shim).start().current()
    page = board.page()
    page.wait_names("甲一", "拟")
    for ms in (400 * 86400000, -400 * 86400000, 20 * 365 * 86400000):
        shim.step(ms)
        publish(b, award(f"x{ms}", "新"))
        until(lambda: "新" in page.names(), "a new one")
        publish(b, event(f"r{ms}", "award", STATION, "F" + hashlib.md5(f"x{ms}".encode()).hexdigest()[:6], retracts=f"x{ms}"))
        page.wait_names("甲一", "拟")
        assert abs(board.status()["now_ms"] - now_ms()) < 5000
    board.stop().start().current()
    board.page().wait_names("甲一", "拟")
    boards_end(b)


@test
def a_proposal_disappears_at_the_end_of_its_last_day_and_after_three_days_off_nobody_is_named(b):
    shim = Shim(b, "time")  # a week goes by for all: the queue's clock, and the time since boot
    b.redis_env = b.daemon_env = {**os.environ, **shim.env}
    b.start()

    def pass_days(n):
        shim.step(n * 86400000)
        shim.step_boot(n * 86400000)

    publish(b, award("a1", "甲一"), award("p1", "拟", body={**PROPOSED, "notice_until": day(1)}))
    board = Board(b, shim=shim).start().current()
    page = board.page()
    page.wait_names("甲一", "拟")
    board.wait_status(lambda s: s["held"] == 2, "holds two")
    b.d.stop()
    page.wait_beat(lambda x: x["link"] == "connecting", "says connecting")
    heard = page.of("beat")[-1]["heartbeat_ms"]
    pass_days(2)
    page.wait_names("甲一")
    assert board.page().names() == ["甲一"]
    pass_days(7)
    until(lambda: page.of("state")[-1]["standing"], "the standing page")
    assert page.of("state")[-1]["items"] == [] and page.names() == []
    assert board.page().names() == []
    beat = page.wait_beat(lambda x: x["now_ms"] - x["heartbeat_ms"] > 6 * 86400000, "is a week old")
    assert beat["heartbeat_ms"] == heard
    # The network is back.
    publish(b, award("a2", "甲二"))
    b.d.start()
    until(lambda: page.of("state")[-1]["standing"] is None, "no standing page")
    page.wait_names("甲一", "甲二")
    boards_end(b)


# ---- the page ----

@test
def the_pages_files_have_a_strict_policy_and_nothing_else_is_served(b):
    b.start()
    board = Board(b).start()
    r, text = board.ask("GET", "/")
    assert r.status == 200 and b"<html" in text
    policy = r.getheader("Content-Security-Policy")
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    assert r.getheader("X-Content-Type-Options") == "nosniff"
    for path in re.findall(rb'(?:src|href)="(/[^"]+)"', text):
        r, content = board.ask("GET", path.decode())
        assert r.status == 200 and content, path
        assert not re.search(rb"https?://(?!www\.w3\.org)", content), path
        assert board.ask("GET", path.decode(), headers={"If-None-Match": r.getheader("ETag")})[0].status == 304
    assert board.ask("GET", "/../etc/passwd")[0].status == 404
    assert board.ask("GET", "/", headers={"Host": "evil.example"})[0].status == 421
    with open("/proc/net/tcp") as f:
        listening = [l.split()[1] for l in f if l.split()[3] == "0A" and l.split()[1].endswith(f":{board.port:04X}")]
    assert [x.split(":")[0] for x in listening] == ["0100007F"], listening
    boards_end(b)


@test
def a_page_that_comes_back_is_told_only_what_it_missed(b):
    b.start()
    board = Board(b).start().current()
    page = board.page()
    publish(b, award("a1", "甲一"))
    page.wait_names("甲一")
    last = page.last_id
    page.close()
    publish(b, award("a2", "甲二"))
    board.wait_status(lambda s: s["shown"] == 2, "shows two")
    again = board.page(last)
    again.wait_names("甲二")
    assert not again.of("state")
    board.stop().start().current()
    after = board.page(again.last_id)
    after.wait_names("甲一", "甲二")
    assert len(after.of("state")) == 1
    boards_end(b)


@test
def a_ninth_stream_ends_the_oldest_and_much_at_once_comes_as_one_state(b):
    b.start()
    board = Board(b).start().current()
    pages = [board.page() for _ in range(8)]
    assert not any(p.over for p in pages)
    pages.append(board.page())
    until(lambda: pages[0].over, "the oldest has ended")
    assert [p.over for p in pages] == [True] + [False] * 8 and board.status()["streams"] == 8
    names = [f"人{i}" for i in range(1000)]
    b.d.pause()  # so that they come in few frames
    publish(b, *(award(f"a{i}", n) for i, n in enumerate(names)))
    b.d.go_on()
    for p in pages[1:]:
        p.wait_names(*names)
        assert len(p.of("put")) < 1000 and len(p.of("state")) > 1, (len(p.of("put")), len(p.of("state")))
    boards_end(b)


@test
def what_the_page_rendered_becomes_one_receipt_also_after_a_restart(b):
    b.start()
    board = Board(b).start().current()
    page = board.page()
    publish(b, award("a1", "甲一"), award("a2", "甲二"))
    page.wait_names("甲一", "甲二")
    pid = [i["pid"] for i in page.wall().values() if i["name"] == "甲一"][0]
    assert board.alive([pid], visible=False) == 204
    for _ in range(3):
        assert board.alive([pid, "00" * 16]) == 204
    board.wait_status(lambda s: s["receipts_confirmed"] == 1, "has one receipt")
    board.stop().start().current()
    assert board.alive([pid]) == 204
    publish(b, award("a3", "甲三"))
    until(lambda: board.status()["shown"] == 3, "three shown")
    entries = b.r.xrange(BASE + "receipts")
    assert len(entries) == 1, entries
    f = entries[0][1]
    assert f[b"key"].hex() == pid and f[b"state"] == b"1" and f[b"detail"] == b"board " + STATION.encode(), f
    assert abs(int(f[b"at"]) - now_ms()) < 60000
    again = board.page()
    until(lambda: again.of("state"), "a state")
    assert not [i for i in again.wall().values() if i["pid"] == pid][0]["moment"]
    boards_end(b)


@test
def under_a_durable_name_a_killed_board_takes_up_again_a_second_one_stands_by_and_receipts_bear_it(b):
    b.start()
    b.durable("wall-1")
    board = Board(b, durable="wall-1").start().current()
    page = board.page()
    publish(b, award("a1", "甲一"), award("a2", "甲二"))
    page.wait_names("甲一", "甲二")
    second = Board(b, "second", durable="wall-1").start()
    second.wait_status(lambda s: s["link"] == "standby", "stands by")
    assert second.page().names() == []
    assert board.alive(page.wall()) == 204
    until(lambda: [e[b"name"] for _, e in b.r.xrange(BASE + "receipts")] == [b"wall-1"] * 2, "two receipts under its name")
    second.stop()
    board.kill()
    publish(b, award("a3", "甲三"))
    board.start()
    board.page().wait_names("甲一", "甲二")  # the lease is the dead one's for a while
    board.current()
    board.page().wait_names("甲一", "甲二", "甲三")
    boards_end(b)


@test
def what_was_rendered_while_the_daemon_was_away_is_reported_when_it_is_back(b):
    b.start()
    board = Board(b).start().current()
    page = board.page()
    publish(b, award("a1", "甲一"))
    page.wait_names("甲一")
    b.d.kill()
    page.wait_beat(lambda x: x["link"] == "connecting", "says connecting")
    assert board.alive(page.wall()) == 204
    board.kill()
    board.start()
    b.d.start()
    until(lambda: b.r.xlen(BASE + "receipts") == 1, "a receipt")
    boards_end(b)


@test
def reports_that_are_none_are_refused_with_the_reason(b):
    b.start()
    board = Board(b).start()
    json_type = {"Content-Type": "application/json"}
    for body, headers, word in (("{}", {}, "Content-Type"), ("[]", json_type, "object"), ("{", json_type, "object"),
                                ("{}", json_type, "visible"), ('{"visible":true,"rendered":["x"]}', json_type, "rendered"),
                                ('{"visible":true,"rendered":{}}', json_type, "rendered")):
        r, text = board.ask("POST", "/alive", body, headers)
        assert r.status == 400 and word in text.decode(), (body, r.status, text)
    assert board.ask("POST", "/alive", " " * 200000, json_type)[0].status == 413
    assert board.status()["page_ago_ms"] == -1
    boards_end(b)


@test
def a_page_that_falls_silent_is_told_and_the_command_is_run(b):
    b.start()
    board = Board(b, alive_ms="1s", restart_command=f"/usr/bin/touch {b.path('restarted')}").start()
    until(lambda: os.path.exists(b.path("restarted")), "the command was run")
    s = board.wait_status(lambda s: s["page_silent"] and s["kiosk_restarts"] >= 1, "says that the page is silent")
    assert "no page has reported" in board.log()
    board.alive()
    assert not board.status()["page_silent"] and "a page reports again" in board.log()
    boards_end(b)


@test
def on_a_terminal_the_wall_is_drawn_as_text_and_what_was_drawn_is_proved(b):
    b.start()
    publish(b, award("a1", "甲一"), award("a2", "\u202e倒\u202c名\u200b", body={"public_reason": "事由" * 200}),
            award("p1", "拟", body=PROPOSED), promotion("n1", "邻一", NEIGHBOUR))
    board = Board(b)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    with open(board.out, "ab") as f:
        p = subprocess.Popen([BUILD + "/bin/dibao-board", "-c", board.config, "--tty"], stdin=slave, stdout=slave, stderr=f,
                             env={**os.environ, "TERM": "xterm"})
    running[p.pid] = p
    os.close(slave)
    drawn = bytearray()

    def seen():
        try:
            while select.select([master], [], [], 0)[0]:
                drawn.extend(os.read(master, 65536))
        except OSError:  # it has ended
            pass
        text = drawn.decode(errors="ignore")
        return all(w in text for w in ("胥江派出所", "甲一", "倒名", "拟表彰公示", "邻一", "三级辅员", "更新于", "演示数据"))
    until(seen, lambda: f"all of it is drawn: {drawn.decode(errors='ignore')[-1500:]}")
    text = drawn.decode(errors="ignore")
    assert not re.search("[\u202a-\u202e\u200b]", text) and "事由" * 50 not in text and "…" in text
    until(lambda: b.r.xlen(BASE + "receipts") == 4, "four receipts")
    os.write(master, b"q\x1b[A\r")
    p.send_signal(signal.SIGTERM)

    def ended():
        seen()
        return p.poll() is not None
    until(ended, "its end")
    assert p.returncode == 0
    running.pop(p.pid)
    os.close(master)
    r = subprocess.run([BUILD + "/bin/dibao-board", "-c", board.config, "--tty"], capture_output=True, stdin=subprocess.DEVNULL,
                       timeout=60 * SLOW)
    assert r.returncode == 69 and b"there is no terminal" in r.stderr, r


@test
def without_its_key_the_board_shows_what_it_had_and_says_so(b):
    b.start()
    board = Board(b).start().current()
    publish(b, award("a1", "甲一"))
    board.page().wait_names("甲一")
    board.wait_status(lambda s: s["held"] == 1, "holds one")
    board.stop()
    board.configure(server_key="rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", key_file=b.path("no.key"))
    board.start()
    board.page().wait_names("甲一")
    assert board.status()["link"] == "connecting" and "cannot subscribe" in board.log() and "no.key" in board.log(), board.log()
    boards_end(b)


@test
def without_a_place_for_its_cache_the_board_goes_on_and_says_so(b):
    b.start()
    where = b.path("later") + "/board.db"
    board = Board(b, cache=where).start().current()
    assert board.status()["cache"].startswith("cannot be opened") and "going on without" in board.log()
    page = board.page()
    publish(b, award("a1", "甲一"))
    page.wait_names("甲一")
    os.mkdir(b.path("later"))
    publish(b, award("a2", "甲二"))
    page.wait_names("甲一", "甲二")
    board.wait_status(lambda s: s["cache"] == "ok", "has a cache again")
    board.stop()
    b.d.stop()
    board.start()
    board.page().wait_names("甲一", "甲二")
    boards_end(b)


# ---- the wall between ----

CANARIES = {"penalty": "金丝雀处分", "visit": "金丝雀慰问", "mailbox": "金丝雀答复", "private": "金丝雀涉密",
            "reason": "金丝雀内情", "badge": "FCANARY9"}


@test
def what_is_private_never_reaches_the_boards_socket_cache_log_or_page(b):
    b.start()
    tap = Proxy(b, int(b.d.tcp.rsplit(":")[-1]))
    heard = bytearray()
    forward = tap.forward

    def listen(s):
        try:
            data = s.recv(65536, socket.MSG_PEEK)
            heard.extend(data)
        except OSError:
            pass
        forward(s)
    tap.forward = listen
    c = CANARIES
    private = lambda n: [
        event(f"pe{n}", "penalty", STATION, badge=c["badge"], body={**BODIES["penalty"], "reason": c["penalty"]}),
        event(f"vi{n}", "welfare_visit", STATION, badge=c["badge"], body={**BODIES["welfare_visit"], "where": c["visit"]}),
        event(f"ma{n}", "mailbox_reply", STATION, badge=c["badge"], body={**BODIES["mailbox_reply"], "reply": c["mailbox"]}),
        show_event(f"pa{n}", "award", c["private"], STATION, BODIES["award"], badge=c["badge"], private=True),
        award(f"in{n}", "公开", body={"reason": c["reason"], "amount": 424242}, badge=c["badge"])]
    publish(b, *private("before"))
    board = Board(b, endpoint=tap.where).start().current()
    page = board.page()
    publish(b, *private("after"))
    publish(b, award("last", "最后"))
    page.wait_names("公开", "公开", "最后")
    board.alive(page.wall())
    board.wait_status(lambda s: s["receipts_confirmed"] == 3, "has its receipts")
    board.stop().start().current()
    status = board.ask("GET", "/status")[1]
    board.stop()
    text = page.text().encode() + status + board.log().encode()
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(board.cache + suffix):
            with open(board.cache + suffix, "rb") as f:
                text += f.read()
    assert "公开".encode() in text and "公开".encode() in heard
    for word in [*c.values(), "pebefore", "inbefore", "inafter"]:
        assert word.encode() not in text, f"{word} is in what the board has"
        assert word.encode() not in heard, f"{word} was on its socket"
    assert "公开" not in board.log() and "公开".encode() not in status
    boards_end(b)


@test
def a_board_that_is_refused_the_bureau_asks_for_less_and_one_that_is_revoked_is_told(b):
    b.start_redis()
    b.setup()
    policy = b.path("access.conf")

    def write(orgs, types="promotion award"):
        with open(policy, "w") as f:
            f.write(f"[insecure]\nkind = board\ntypes = {types}\norgs = {orgs}\n")
    write("320508")
    b.d = b.daemon(access=policy).start()
    publish(b, award("a1", "甲一"), award("n1", "邻一", NEIGHBOUR), award("f1", "远一", FAR))
    board = Board(b).start().current()
    page = board.page()
    page.wait_names("甲一", "邻一")
    s = board.status()
    assert s["area"] == "district" and "not granted" in s["refusal"], s
    write(STATION)
    b.d.ask("reload")
    page.wait_names("甲一")
    board.wait_status(lambda s: s["area"] == "own" and s["current"], "is of its own alone")
    assert not any(i["moment"] for i in page.wall().values())
    boards_end(b)


@test
def twenty_thousand_events_fit_in_twenty_four_mebibytes(b):
    b.start(public_ms="400d")
    board = Board(b).start().current()
    page = board.page()
    publish(b, *(award(f"m{i}", f"人{i}", (STATION, NEIGHBOUR, FAR)[i % 3], body={"public_reason": "演示" * 20}) for i in range(20000)))
    board.wait_status(lambda s: s["held"] >= 6000 and s["let_go"] >= 13000, "holds what it may", 120)
    until(lambda: len(page.wall()) == board.status()["shown"], "the page has all that is shown", 120, 0.5)
    most = 24 * 1024 if SLOW == 1 else float("inf")  # a sanitizer's own memory is several times that
    assert board.rss() <= most, f"{board.rss()} KiB"
    board.stop().start().current()
    page = board.page()
    until(lambda: page.of("state") and len(page.wall()) >= 6000, "all again", 120, 0.5)
    assert board.rss() <= most, f"{board.rss()} KiB after a start"
    print(f"# {board.rss()} KiB, {board.status()['held']} held, state of {page.bytes} bytes", flush=True)
    boards_end(b)


run()
