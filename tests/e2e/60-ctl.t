#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# dibaoctl: each verb against a real Redis and daemon, its words, its JSON and its exit codes.
import pty

from dibao_test import *

AWARD = ["--type", "award", "--org", HUXU, "--badge", "F000001", "--person.name", "演示", "--issuer", "演示局",
         "--kind.code", "HX", "--kind.name", "火线奖励", "--state", "final", "--public_reason", "演示事由"]
USAGE, DATAERR, NOINPUT, UNAVAILABLE, NOPERM, CONFIG = 64, 65, 66, 69, 77, 78


def ctl(b, *args, code=0, stdin="", conf=None, zone="Asia/Shanghai"):
    """What it prints. Its exit code must be the one expected."""
    p = subprocess.run([BUILD + "/bin/dibaoctl", "-c", conf or b.d.config, *args], input=stdin, capture_output=True,
                       text=True, timeout=120 * SLOW, env={**os.environ, "TZ": zone})
    assert p.returncode == code, f"{args}: exit code {p.returncode}, not {code}: {p.stdout}{p.stderr}"
    assert not re.search("Sanitizer|runtime error:", p.stderr), p.stderr
    return p.stdout if code == 0 else p.stderr


def rows(text):
    return [json.loads(l) for l in text.splitlines()]


def json_event(uid, type="penalty", **more):
    return json.dumps({"uid": uid, "type": type, "at": 1700000000000, "org": HUXU, "issuer": "演示局",
                       "person": {"badge": "F000001", "name": "演示"}, "body": BODIES[type], **more}, ensure_ascii=False)


def tail(b, *args):
    """A tail whose session is active; its lines by a Process."""
    n = len(b.d.ask("clients")["clients"])
    p = b.process([BUILD + "/bin/dibaoctl", "-c", b.d.config, "tail", *args], b.path(f"tail{n}-{len(b.processes)}.out"))
    until(lambda: sum(k["state"] == "active" for k in b.d.ask("clients")["clients"]) > n, "tail is active")
    return p


@test
def setup_loads_the_functions_and_may_be_called_again(b):
    b.start_redis()
    b.d = Daemon(b, "never-started", {})
    assert "setup" in ctl(b, "publish", *AWARD, code=CONFIG)
    for _ in range(2):
        assert "loaded for bureau 3205" in ctl(b, "setup")
    assert b.call("dibao_version").decode() in ctl(b, "--json", "setup")
    assert ctl(b, "publish", *AWARD).startswith("new ")


@test
def an_event_by_options_or_as_json_lines_is_published_and_a_fault_is_told_by_line_and_field(b):
    b.start()
    r = b.recorder("r")
    assert ctl(b, "publish", *AWARD, "--uid", "opt-1") == "new opt-1\n"
    assert rows(ctl(b, "--json", "publish", *AWARD, "--uid", "opt-2", "--amount", "50000")) == [
        {"uid": "opt-2", "outcome": "new"}]
    assert ctl(b, "publish", "--type", "奖励", *AWARD[2:], "--uid", "opt-2", "--amount", "50000", code=DATAERR), "at is another"
    assert "--body.kind.code" in ctl(b, "publish", "--type", "奖励", "--help")
    lines = json_event("j-1") + "\n\n" + json_event("j-2", "award") + "\n" + json_event("j-1") + "\n"
    assert ctl(b, "publish", stdin=lines) == "new j-1\nnew j-2\nrepeat j-1\n"
    bad = json_event("j-3") + "\n" + json_event("j-4").replace(HUXU, "32") + "\n{nonsense\n" + json_event("j-5")
    said = ctl(b, "publish", stdin=bad, code=DATAERR)
    assert re.search("line 2: org: expected 12", said) and re.search("line 3: .*JSON", said), said
    said = ctl(b, "publish", stdin=json_event("j-1", urgent=True), code=DATAERR)
    assert "dibaoctl correct j-1" in said, said
    assert "body.state" in ctl(b, "publish", *AWARD, "--state", "perhaps", code=DATAERR)
    for wrong in ([*AWARD[2:]], ["--type", "party"], [*AWARD, "--uid"], [*AWARD, "stray", "x"]):
        ctl(b, "publish", *wrong, code=USAGE)
    r.wait_for({"opt-1", "opt-2", "j-1", "j-2", "j-3", "j-5"})


@test
def no_redis_and_no_daemon_are_told_apart_from_a_fault_of_ones_own(b):
    b.start()
    b.d.stop()
    assert "no daemon" in ctl(b, "status", code=UNAVAILABLE)
    b.redis.kill()
    assert "Redis" in ctl(b, "publish", *AWARD, code=UNAVAILABLE)
    ctl(b, "status", conf="/nonexistent", code=NOINPUT)
    ctl(b, "dance", code=USAGE)
    ctl(b, code=USAGE)


@test
def tail_prints_what_it_is_asked_for_and_stops_after_n(b):
    b.start()
    p = tail(b, "--type", "award", "--org", "320508", "-n", "2")
    j = tail(b, "--json", "-n", "4")
    ctl(b, "publish", stdin=json_event("t-1") + "\n" + json_event("t-2", "award") + "\n" +
        json_event("t-3", "award", org=WUZHONG) + "\n" + json_event("t-4", "award"))
    assert p.wait() == 0 and j.wait() == 0
    text = p.log()
    assert [l.split()[-1] for l in text.splitlines()] == ["t-2", "t-4"], text
    assert "奖励" in text and "火线奖励" in text and "\033" not in text, text
    got = rows(j.log())
    assert {g["event"]["uid"] for g in got} == {"t-1", "t-2", "t-3", "t-4"}
    assert {g["channel"] for g in got} == {"public", "private"} and not any(g["replay"] for g in got)
    assert [g["event"]["uid"] for g in rows(ctl(b, "tail", "--json", "--type", "award", "--last", "2", "-n", "2"))] == [
        "t-3", "t-4"]
    assert len(rows(ctl(b, "tail", "--json", "--since", "1h", "-n", "4"))) == 4
    for wrong in (["--last", "0"], ["--since", "yesterday"], ["-n", "x"], ["--type"], ["--colour", "red"]):
        ctl(b, "tail", *wrong, code=USAGE)


@test
def tail_does_not_let_an_event_steer_the_terminal(b):
    b.start()
    p = tail(b, "-n", "1")
    ctl(b, "publish", *AWARD[:-1], "two\nlines \u009b31m", "--uid", "esc", code=0)
    assert p.wait() == 0
    assert len(p.log().splitlines()) == 1 and "\u009b" not in p.log(), p.log()


@test
def tail_with_a_durable_name_acknowledges_what_it_printed_and_goes_on_there(b):
    b.start()
    assert ctl(b, "durable", "set", "desk", "2h") == ""
    p = tail(b, "--json", "--name", "desk")
    ctl(b, "publish", stdin="\n".join(json_event(f"d-{i}") for i in range(8)))
    until(lambda: len(p.log().splitlines()) == 8, "all are printed")
    p.signal(signal.SIGTERM)
    assert p.wait() == 0
    ctl(b, "publish", stdin="\n".join(json_event(f"d-{i}") for i in range(8, 12)))
    got = [g["event"]["uid"] for g in rows(ctl(b, "tail", "--json", "--name", "desk", "-n", "4"))]
    assert got == [f"d-{i}" for i in range(8, 12)], got
    one, = rows(ctl(b, "--json", "durable", "list"))
    assert one["name"] == "desk" and one["hold_ms"] == 2 * 3600 * 1000 and one["cursor"], one
    assert "desk" in ctl(b, "durable", "list")
    assert one["board"] is False
    ctl(b, "durable", "set", "--board", "wall", "1d")
    names = {n["name"]: n for n in rows(ctl(b, "--json", "durable", "list"))}
    assert set(names) == {"desk", "wall"} and names["wall"] == {"name": "wall", "board": True, "hold_ms": 86400000, "cursor": None}, names
    assert "desk is registered as no board's" in ctl(b, "durable", "set", "--board", "desk", code=DATAERR)
    assert "dibaoctl durable set" in ctl(b, "tail", "--name", "wall", code=NOPERM), "it is for boards"
    ctl(b, "durable", "forget", "wall")
    ctl(b, "durable", "forget", "desk")
    ctl(b, "durable", "forget", "desk", code=DATAERR)
    assert "dibaoctl durable set" in ctl(b, "tail", "--name", "desk", code=NOPERM)
    for wrong in (["set"], ["set", "x", "soon"], ["list", "x"], [], ["set", "--board"], ["forget", "--board", "x"]):
        ctl(b, "durable", *wrong, code=USAGE)


@test
def what_is_set_aside_can_be_seen_tried_again_and_dropped(b):
    b.start()
    r = b.recorder("r")
    b.r.xadd(b.key("private"), {"e": b"\xc1nonsense"})
    b.r.xadd(b.key("public"), {"e": event("wrong-place")})
    until(lambda: b.r.xlen(b.key("quarantine")) == 2, "both are set aside")
    bad, place = rows(ctl(b, "--json", "quarantine", "list"))
    assert bad["channel"] == "private" and place["channel"] == "public" and bad["reason"] and bad["bytes"] == 9
    assert bad["reason"] in ctl(b, "quarantine", "list")
    assert "c16e6f6e73656e7365" in ctl(b, "quarantine", "show", bad["id"])
    assert "wrong-place" in ctl(b, "quarantine", "show", place["id"])
    ctl(b, "quarantine", "retry", bad["id"], code=DATAERR)
    assert ctl(b, "quarantine", "retry", place["id"]) == "new\n"
    ctl(b, "quarantine", "drop", bad["id"])
    assert ctl(b, "quarantine", "list") == "none\n"
    for verb in ("show", "retry", "drop"):
        ctl(b, "quarantine", verb, bad["id"], code=DATAERR)
    r.wait_for({"wrong-place"})


@test
def a_scheduled_event_is_listed_cancelled_and_never_comes(b):
    b.start()
    r = b.recorder("r")
    ahead = int(time.time() * 1000) + 3600_000
    assert ctl(b, "publish", stdin=json_event("s-1", not_before=ahead)) == "scheduled s-1\n"
    ctl(b, "publish", stdin=json_event("s-2", not_before=ahead + 1000))
    assert rows(ctl(b, "--json", "schedule", "list")) == [{"uid": "s-1", "not_before": ahead},
                                                         {"uid": "s-2", "not_before": ahead + 1000}]
    ctl(b, "schedule", "cancel", "s-1")
    ctl(b, "schedule", "cancel", "s-1", code=DATAERR)
    assert [l.split()[-1] for l in ctl(b, "schedule", "list").splitlines()] == ["s-2"]
    ctl(b, "publish", stdin=json_event("end"))
    r.wait_for({"end"})


@test
def a_retraction_and_a_correction_carry_over_what_the_event_held(b):
    b.start()
    j = tail(b, "--json", "-n", "6")
    ctl(b, "publish", *AWARD, "--uid", "a-1")
    ctl(b, "publish", *AWARD, "--uid", "a-2")
    assert ctl(b, "retract", "a-1", "--reason", "发错了", "--uid", "r-1") == "new r-1\n"
    assert ctl(b, "correct", "a-2", "--uid", "c-1", "--public_reason", "新的事由", "--amount", "50000", "--urgent",
               "false") == "new c-1\n"
    assert ctl(b, "correct", "c-1", "--uid", "c-2", "--amount", "60000") == "new c-2\n"
    events = lambda: {g["event"]["uid"]: g["event"] for g in rows(j.log()) if g["kind"] == "event"}
    until(lambda: {"r-1", "c-1", "c-2"} <= set(events()), "all have come")
    got = events()
    assert got["r-1"]["retracts"] == "a-1" and got["r-1"]["body"] == {"reason": "发错了"}
    assert got["c-1"]["corrects"] == "a-2" and got["c-1"]["person"] == got["a-2"]["person"]
    assert got["c-1"]["body"] == {**got["a-2"]["body"], "public_reason": "新的事由", "amount": 50000}
    assert got["c-2"]["corrects"] == "c-1" and got["c-2"]["body"]["amount"] == 60000
    ctl(b, "retract", "nobody", "--reason", "x", code=DATAERR)
    ctl(b, "retract", "a-2", code=USAGE)
    assert "amount" in ctl(b, "correct", "c-2", "--amount", "much", code=DATAERR)
    ctl(b, "correct", "c-2", "--no_such_field", "x", code=DATAERR)
    ctl(b, "correct", "c-2", code=USAGE)


@test
def a_hidden_person_is_kept_until_shown_again(b):
    b.start()
    ctl(b, "hide", "--badge", "F000001")
    ctl(b, "hide", "--badge", "F000002", "--until", "2030-01-01T00:00:00+08:00")
    assert b.r.hgetall(b.key("hidden")) == {b"F000001": b"0", b"F000002": b"1893427200000"}
    ctl(b, "unhide", "--badge", "F000001")
    ctl(b, "unhide", "--badge", "F000001", code=DATAERR)
    ctl(b, "hide", "--badge", "F000003", "--until", "14d")
    assert abs(int(b.r.hget(b.key("hidden"), "F000003")) / 1000 - time.time() - 14 * 86400) < 60
    ctl(b, "unhide", "--badge", "F000003")
    ctl(b, "hide", "--badge", "no badge", code=DATAERR)
    for wrong in ([], ["--badge"], ["--badge", "F1", "--until", "soon"], ["--badge", "F1", "--until", "1500000000000"],
                  ["--badge", "F1", "--for", "ever"]):
        ctl(b, "hide", *wrong, code=USAGE)
    assert b.r.hgetall(b.key("hidden")) == {b"F000002": b"1893427200000"}


@test
def receipts_tell_what_became_of_one_event(b):
    b.start()
    b.durable("gateway")
    r = b.recorder("r", "-d", "gateway", "--receipts")
    b.publish_many(20)
    r.wait_for(generated(20))
    until(lambda: len(r.said(r"^confirmed \d+ 0")) == 20, "20 receipts are confirmed")
    one, = rows(ctl(b, "--json", "receipts", "e-7"))
    assert one["name"] == "gateway" and one["state"] == "queued", one
    assert re.search("gateway.*queued", ctl(b, "receipts", "e-7"))
    assert ctl(b, "receipts", "e-99") == "none\n" and ctl(b, "--json", "receipts", "e-99") == ""


@test
def all_lists_tell_times_by_chinas_clock_and_say_so_in_whatever_zone_the_machine_is(b):
    b.start()
    at, told = 1796061600000, "2026-12-01 02:00:00+08:00"  # in New York it is the day before
    ahead = at + 86400_000 * 365 * 100
    b.recorder("r")
    ctl(b, "publish", stdin=json_event("a-1") + "\n" + json_event("s-1", not_before=ahead))
    b.r.xadd(b.key("receipts"), {"key": "a-1", "name": "gateway", "state": 2, "at": at, "detail": "", "token": ""})
    b.r.delete(b.key("audit"))
    b.r.xadd(b.key("audit"), {"who": "uid 0", "act": "x", "what": "y", "result": "z"}, id=f"{at}-0")
    b.r.xadd(b.key("lost"), {"channel": "public", "from": at, "to": at, "reason": "x"})
    row = {"s": "unserved", "t": "penalty", "o": HUXU, "b": "F000001", "r": "failed", "at": at, "tw": "again", "n": 1}
    for uid, more in (("a-1", row), ("q-1", {"s": "queued", "t": "penalty", "l": "bulk", "n": 0, "d": at, "r": "", "q": "", "g": ""})):
        b.r.hset(b.key("sms:row:" + uid), mapping=more)
    b.r.zadd(b.key("sms:unserved"), {"a-1": at})
    b.r.zadd(b.key("sms:twice"), {"a-1": at})
    b.r.zadd(b.key("sms:open"), {"q-1": at})
    with open(b.path("roster.csv"), "w") as f:
        f.write("警号,姓名,手机号,在职状态,离岗日期\nF000001,演示,13800000001,离职,2026-12-01\n")
    ctl(b, "roster", "import", b.path("roster.csv"), "--headings", ROOT + "/config/headings.tsv")
    since = time.strftime("%F %T+08:00", time.gmtime(rows(ctl(b, "--json", "clients"))[0]["connected_ms"] / 1000 + 8 * 3600))
    for args, want in ((["receipts", "a-1"], told), (["audit", "--since", "2026-12-01"], told), (["lost", "list"], f"{told} to {told}"),
                       (["schedule", "list"], "2126-11-07 02:00:00+08:00"), (["tail", "--last", "1", "-n", "1"], "2023-11-15 06:13:20+08:00"),
                       (["clients"], since), (["unserved"], told), (["sms", "twice"], told), (["sms", "queue"], told),
                       (["roster", "show", "F000001"], "left on        2026-12-01 00:00:00+08:00")):
        for zone in ("UTC", "America/New_York"):
            out = ctl(b, *args, zone=zone)
            assert want in out and not re.search(r"\d\d:\d\d:\d\d(?!\+08:00)", out), (args, zone, out)


@test
def what_a_board_told_of_an_event_is_found_by_its_uid_where_the_view_key_can_be_read(b):
    b.start()
    b.durable("wall")
    r = b.recorder("wall", "-d", "wall", "-p", "--receipts")
    ctl(b, "publish", *AWARD, "--uid", "shown-1")
    until(lambda: r.said(r"^confirmed \d+ 0"), "a receipt is confirmed")
    one, = rows(ctl(b, "--json", "receipts", "shown-1"))
    assert one["name"] == "wall", one
    os.unlink(b.view_key)
    with open(b.path("no-key.conf"), "w") as f:
        f.write(f"[redis]\nredis = unix:{b.redis_socket}\n")
    for conf, why in ((b.d.config, f"view_key_file {b.view_key}: No such file or directory"),
                      (b.path("no-key.conf"), "no view_key_file is configured")):
        p = subprocess.run([BUILD + "/bin/dibaoctl", "-c", conf, "receipts", "shown-1"], capture_output=True, text=True)
        assert (p.returncode, p.stdout, p.stderr) == (0, "", f"dibaoctl: receipts of boards are left out: {why}\n"), p


@test
def a_list_of_nothing_says_so_and_as_json_has_no_lines(b):
    b.start()
    lists = (["durable", "list"], ["quarantine", "list"], ["lost", "list"], ["schedule", "list"], ["receipts", "a"], ["audit"],
             ["audit", "--last", "5"])
    b.r.delete(b.key("audit"))
    for args in lists:
        assert ctl(b, *args) == "none\n", args
        assert ctl(b, *args, "--json") == "", args
    for words in (["durable", "forget"], ["tail", "--name"], ["quarantine", "show"], ["lost", "settle"], ["schedule", "cancel"]):
        assert complete(b, "-c", b.d.config, *words, "") == [], words
    ctl(b, "durable", "set", "none")
    assert complete(b, "-c", b.d.config, "durable", "forget", "") == ["none"]
    assert ctl(b, "durable", "list").startswith("none  ") and len(ctl(b, "audit").splitlines()) == 1


@test
def each_act_tells_its_result_as_json(b):
    b.start()
    ahead = int(time.time() * 1000) + 3600_000
    ctl(b, "publish", stdin=json_event("s-1", not_before=ahead))
    b.r.xadd(b.key("private"), {"e": b"\xc1nonsense"})
    b.r.xadd(b.key("public"), {"e": event("wrong-place")})
    until(lambda: b.r.xlen(b.key("quarantine")) == 2, "both are set aside")
    bad, place = (e["id"] for e in rows(ctl(b, "--json", "quarantine", "list")))
    for args, want in ((["durable", "set", "desk"], {"name": "desk", "result": "set"}),
                       (["durable", "forget", "desk"], {"name": "desk", "result": "forgotten"}),
                       (["schedule", "cancel", "s-1"], {"uid": "s-1", "result": "cancelled"}),
                       (["hide", "--badge", "F1"], {"badge": "F1", "result": "hidden"}),
                       (["unhide", "--badge", "F1"], {"badge": "F1", "result": "shown"}),
                       (["quarantine", "retry", place], {"id": place, "result": "new"}),
                       (["quarantine", "drop", bad], {"id": bad, "result": "dropped"})):
        assert rows(ctl(b, *args, "--json")) == [want], args


@test
def an_argument_that_a_verb_does_not_know_is_refused_and_nothing_is_done(b):
    b.start()
    ctl(b, "publish", *AWARD, "--uid", "a-1")
    until(lambda: b.r.exists(b.key("tail")), "the daemon has stored how far it read")
    before = b.r.dbsize(), b.r.xlen(b.key("public")), b.r.xlen(b.key("public-now"))
    for args in (["setup", "x"], ["retract", "a-1", "--reason", "x", "--urgent", "true"], ["retract", "a-1", "--reason", "x", "y"],
                 ["clients", "x"], ["status", "x"], ["reload", "x"], ["types", "x"], ["receipts", "a-1", "x"], ["audit", "x"],
                 ["durable", "set", "x", "2h", "y"], ["quarantine", "drop", "no-id"], ["quarantine", "list", "x"],
                 ["schedule", "list", "x"], ["tail", "x"], ["import", "x", "y"], ["import", "x", "--nonsense", "1"],
                 ["keygen", "x", "--nonsense"], ["access", "list"], ["unhide", "--badge", "F1", "x"]):
        ctl(b, *args, code=USAGE)
    assert before == (b.r.dbsize(), b.r.xlen(b.key("public")), b.r.xlen(b.key("public-now")))


@test
def a_time_is_a_date_as_import_reads_it_or_a_while_ago_and_nothing_else(b):
    b.start()
    midnight = 1782835200000  # 2026-07-01 00:00 in China
    b.r.xadd(b.key("audit"), {"who": "uid 0", "act": "before"}, id=f"{midnight - 1}-0")
    b.r.xadd(b.key("audit"), {"who": "uid 0", "act": "midnight"}, id=f"{midnight}-0")
    b.r.xadd(b.key("audit"), {"who": "uid 0", "act": "half-nine"}, id=f"{midnight + 34200000}-0")

    def since(text, code=0):
        got = ctl(b, "--json", "audit", "--since", text, code=code)
        return got if code else [e["act"] for e in rows(got)]
    for text in ("2026-07-01", "2026/7/1", "2026.7.1", "20260701", "2026年7月1日", "2026-06-30T16:00:00Z", str(midnight)):
        assert since(text) == ["midnight", "half-nine"], text
    for text in ("2026-07-01 9:30", "2026年7月1日 9时30分", "2026-07-01T09:30:00+08:00"):
        assert since(text) == ["half-nine"], text
    for text in ("2026-02-30", "7/1/2026", "46204", "46204.5", "2026-07", "tomorrow", "2026-07-01 25:00", ""):
        assert "expected a time" in since(text, USAGE), text
    ctl(b, "hide", "--badge", "F1", "--until", "2099年1月2日")
    assert b.r.hget(b.key("hidden"), "F1") == b"4070966400000"


@test
def a_uid_that_begins_with_a_dash_stands_behind_the_end_of_the_options(b):
    b.start()
    ahead = int(time.time() * 1000) + 3600_000
    for uid in ("-a", "--json", "--help", "--"):
        b.publish(event(uid, "award"))
    b.publish(event("-s", not_before=ahead))
    r = b.recorder("r", "-s", "last:100", "--receipts")
    until(lambda: b.r.xlen(b.key("receipts")) == 4, "they are receipted")
    for uid in ("-a", "--json", "--help", "--"):
        assert len(ctl(b, "receipts", "--", uid).splitlines()) == 1, uid
    assert ctl(b, "correct", "--uid", "c-1", "--public_reason", "别的", "--", "-a") == "new c-1\n"
    assert ctl(b, "correct", "c-1", "--uid", "c-2", "--public_reason", "又是别的") == "new c-2\n"
    assert ctl(b, "retract", "--reason", "演示", "--uid", "r-1", "--", "--json") == "new r-1\n"
    assert ctl(b, "retract", "--reason", "演示", "c-2", "--uid", "r-2") == "new r-2\n"
    assert ctl(b, "schedule", "cancel", "--", "-s") == ""
    assert b.r.hget(b.key("uid:-s"), "s") == b"cancelled"
    for args in (["receipts", "-a"], ["receipts", "--"], ["receipts", "--", "a", "b"], ["receipts", "a", "--", "b"],
                 ["retract", "-a", "--reason", "x"], ["retract", "--", "-a", "--reason", "x"], ["retract", "--reason", "x"],
                 ["retract", "c-1", "--reason"], ["correct", "--", "-a"], ["correct", "c-1"]):
        assert "expected UID" in ctl(b, *args, code=USAGE), args
    r.wait_for({"-a", "--json", "--help", "--", "c-1", "c-2", "r-1", "r-2"})


@test
def status_on_a_terminal_is_redrawn_in_place_also_when_the_daemon_comes_back(b):
    b.start()
    master, slave = pty.openpty()
    p = subprocess.Popen([BUILD + "/bin/dibaoctl", "-c", b.d.config, "status", "--watch"], stdout=slave, stderr=slave)
    running[p.pid] = p  # ended with this program, also if the test fails
    os.close(slave)
    os.set_blocking(master, False)
    seen = ""

    def sees(pattern):
        nonlocal seen
        try:
            seen += os.read(master, 65536).decode(errors="replace")
        except BlockingIOError:
            pass
        return re.search(pattern, seen)
    until(lambda: sees(r"serving\x1b\[K[^\x00]*entries in +0  +0/s\x1b\[K"), lambda: seen)
    assert "\x1b[2J" not in seen and seen.count("\x1b[H") == seen.count("\x1b[J") >= 2, seen
    b.publish_many(20)
    until(lambda: sees("entries in +20 "), lambda: seen)
    b.d.kill()
    seen = ""
    until(lambda: sees("no daemon"), lambda: seen)
    b.d.start()
    until(lambda: sees(r"no daemon[^\x00]*serving[^\x00]*serving"), lambda: seen)
    assert "/s" in seen and not re.search(r"-\d+/s", seen), seen
    p.send_signal(signal.SIGINT)
    assert p.wait(40 * SLOW) == 0
    os.close(master)


@test
def status_and_clients_tell_of_the_daemon_and_its_sessions(b):
    b.start()
    b.durable("gateway")
    b.recorder("r", "-d", "gateway", "-t", "penalty", "-o", "320508")
    one, = rows(ctl(b, "--json", "clients"))
    assert (one["name"], one["types"], one["orgs"], one["state"]) == ("gateway", ["penalty"], ["320508"], "active")
    assert re.search("gateway .*active .*penalty .*320508", ctl(b, "clients"))
    s, = rows(ctl(b, "--json", "status"))
    assert s["serving"] and s["active"] == 1 and s["redis"]["up"]
    assert re.search("bureau 3205, serving", ctl(b, "status"))
    w = b.process([BUILD + "/bin/dibaoctl", "-c", b.d.config, "--json", "status", "--watch"], b.path("watch.out"))
    until(lambda: len(w.log().splitlines()) >= 2, "it is told again and again")
    w.signal(signal.SIGTERM)
    assert w.wait() == 0
    assert "reload" in ctl(b, "reload")


@test
def help_and_types_name_every_verb_type_and_field(b):
    b.start_redis()
    b.d = Daemon(b, "never-started", {})
    verbs = re.findall(r"^  ([a-z]+)  ", ctl(b, "--help").split("Verbs:")[1], re.M)
    assert {"setup", "publish", "tail", "clients", "durable", "quarantine", "schedule", "retract", "correct", "hide",
            "unhide", "receipts", "status", "types", "reload"} <= set(verbs), verbs
    for v in verbs:
        assert ctl(b, v, "--help").startswith(f"usage: dibaoctl [OPTION ...] {v}")
    assert ctl(b, "--version").startswith("dibaoctl ")
    assert {t["type"] for t in rows(ctl(b, "types", "--json"))} == set(BODIES)
    for word in ("promotion (晋升)", "--body.to.code", "--person.badge"):
        assert word in ctl(b, "types"), word


def complete(b, *words):
    """What bash offers for the last word."""
    script = """source "$1/clients/ctl/dibaoctl.bash"; shift; compopt() { :; }
                COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _dibaoctl; printf '%s\\n' "${COMPREPLY[@]}" """
    p = subprocess.run(["bash", "-c", script, "bash", ROOT, BUILD + "/bin/dibaoctl", *words], capture_output=True,
                       text=True, timeout=80 * SLOW, cwd=b.dir)
    assert not p.stderr, p.stderr
    return p.stdout.split()


@test
def the_manual_and_the_completion_know_every_verb_and_its_options(b):
    b.start_redis()
    b.d = Daemon(b, "never-started", {})
    with open(ROOT + "/clients/ctl/dibaoctl.1") as f:
        manual = f.read()
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", ROOT + "/clients/ctl/dibaoctl.1"],
                          capture_output=True, text=True)
    assert lint.returncode == 0, lint.stdout
    listed = re.findall(r"^\.It Cm ([a-z]+)", manual.split(".Ss Publishing")[1].split(".Sh FILES")[0], re.M)
    verbs = re.findall(r"^  ([a-z]+)  ", ctl(b, "--help").split("Verbs:")[1], re.M)
    answers = {"new", "repeat", "scheduled", "conflict"}
    assert set(verbs) <= set(listed) and set(listed) - set(verbs) <= answers, (verbs, listed)
    assert set(complete(b, "")) == set(verbs)
    text = ctl(b, "--help")
    for option in re.findall(r"--[a-z-]+", text.split("Verbs:")[0]):
        assert re.search(rf"^\.It Fl.* {option[1:]}\b", manual, re.M) and option in complete(b, "-"), option
    for v in verbs:
        for option in re.findall(r"(--?[a-z][a-z-]*)", ctl(b, v, "--help").split("\n")[0]):
            assert re.search(r"Fl " + option[1:] + r"\b", manual), f"{v} {option}"
            if option not in ("--uid", "--type"):
                assert option in complete(b, v, "-"), f"{v} {option}"


@test
def completion_offers_what_the_queue_holds_and_runs_nothing_of_it(b):
    b.start()
    c = ["-c", b.d.config]
    ctl(b, "durable", "set", "gateway")
    ctl(b, "publish", stdin=json_event("$(touch${IFS}ran)`touch${IFS}ran`", not_before=int(time.time() * 1000) + 3600_000))
    assert complete(b, *c, "durable", "forget", "") == ["gateway"] == complete(b, *c, "tail", "--name", "g")
    assert "".join(complete(b, *c, "schedule", "cancel", "")).startswith("\\$\\(touch")
    assert not os.path.exists(b.path("ran"))
    assert complete(b, *c, "publish", "--type", "aw") == ["award"]
    assert set(complete(b, *c, "publish", "--type", "award", "--body.k")) == {"--body.kind.code", "--body.kind.name"}
    assert complete(b, *c, "publish", "--type", "penalty", "--body.public") == []


run()
