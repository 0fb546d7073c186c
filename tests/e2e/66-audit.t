#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Every administrative act is written down: by whom, what, and with what result.
import pwd

from dibao_test import *

DAY = 86400_000


def ctl(b, *args, code=0, conf=None):
    p = subprocess.run([BUILD + "/bin/dibaoctl", "-c", conf or b.d.config, *args], capture_output=True, text=True,
                       timeout=120 * SLOW)
    assert p.returncode == code, f"{args}: exit code {p.returncode}, not {code}: {p.stdout}{p.stderr}"
    return p.stdout if code == 0 else p.stderr


def audit(b, *args, **more):
    return [json.loads(l) for l in ctl(b, "--json", "audit", *args, **more).splitlines()]


def as_user(b, user):
    """A configuration of dibaoctl."""
    path = b.path(user + ".conf")
    with open(path, "w") as f:
        f.write(f"[dibao]\ncontrol = {b.d.control}\n[redis]\nredis = unix:{b.redis_socket}\nredis_user = {user}\n"
                f"redis_password_file = {b.path(user)}.password\n")
    return path


ME = f"uid={os.getuid()} login={pwd.getpwuid(os.getuid()).pw_name} redis="


@test
def each_act_leaves_one_entry_with_who_and_what_and_result(b):
    b.start()
    later = int(time.time() * 1000) + DAY
    b.publish(event("a", "award", badge="F000001"))
    b.publish(event("later", "award", not_before=later))
    b.r.xadd(b.key("public"), {"e": event("wrong-place", "penalty")})
    b.r.xadd(b.key("public"), {"e": b"nonsense"})
    until(lambda: b.r.xlen(b.key("quarantine")) == 2, "two are set aside")
    first, second = [i.decode() for i, _ in b.r.xrange(b.key("quarantine"))]
    n = len(audit(b))
    acts = [(["setup"], 0, "setup", None, "ok"),
            (["durable", "set", "gate", "2h"], 0, "durable", "set gate 7200000", "ok"),
            (["durable", "forget", "gate"], 0, "durable", "forget gate", "ok"),
            (["durable", "forget", "gate"], 65, "durable", "forget gate", "nothing"),
            (["durable", "set", "no such name"], 65, "durable", None, "DIBAO_INVALID"),
            (["quarantine", "retry", first], 0, "quarantine retry", first, "new"),
            (["quarantine", "retry", second], 65, "quarantine retry", second, "DIBAO_INVALID"),
            (["quarantine", "drop", second], 0, "quarantine drop", second, "ok"),
            (["quarantine", "drop", second], 65, "quarantine drop", second, "nothing"),
            (["schedule", "cancel", "later"], 0, "schedule cancel", "later", "ok"),
            (["hide", "--badge", "F000001"], 0, "hide", "F000001 0", "ok"),
            (["unhide", "--badge", "F000001"], 0, "unhide", "F000001", "ok"),
            (["unhide", "--badge", "F000001"], 65, "unhide", "F000001", "nothing"),
            (["correct", "a", "--uid", "c", "--issuer", "别处"], 0, "correct", "a c", "new"),
            (["retract", "c", "--uid", "r", "--reason", "演示用语"], 0, "retract", "c r", "new"),
            (["setup", "--acl", "--apply", "--passwords", b.dir, "reader"], 0, "setup acl", "reader", "made")]
    for args, code, act, what, result in acts:
        ctl(b, *args, code=code)
        n += 1
        rows = audit(b)
        assert len(rows) == n, f"{args}: {rows[n - 1:]}"
        e = rows[-1]
        assert (e["act"], e["result"]) == (act, result) and what in (None, e["what"]), (args, e)
        assert e["who"] == ME + "default", e
        assert abs(e["at"] - time.time() * 1000) < 60_000 * SLOW
    text = str(b.r.xrange(b.key("audit")))
    assert "演示用语".encode().hex() not in text.replace("\\x", "") and "演示" not in ctl(b, "audit")
    for look in (["durable", "list"], ["quarantine", "list"], ["schedule", "list"], ["receipts", "a"], ["status"], ["audit"]):
        ctl(b, *look)
    ctl(b, "setup", "--acl", "--apply", "--passwords", b.dir, "reader")
    b.publish(event("plain", "award"))
    assert len(audit(b)) == n, "looking on is no act"
    for _ in range(3):
        ctl(b, "durable", "set", "gate", "2h")
    assert len(audit(b)) == n + 1, "what changes nothing is none, so that a daemon may repeat it"


@test
def a_reload_is_written_down_with_the_uid_that_the_kernel_tells(b):
    b.start()
    n = len(audit(b))
    ctl(b, "reload")
    ctl(b, "access", "reload")
    until(lambda: len(audit(b)) == n + 2, "both are written")
    b.d.process.signal(signal.SIGHUP)
    until(lambda: len(audit(b)) == n + 3, "so is the signal")
    for e, who in zip(audit(b)[n:], [f"uid={os.getuid()} via=dibaod"] * 2 + [f"SIGHUP uid={os.getuid()} via=dibaod"]):
        assert (e["who"], e["act"], e["result"]) == (who, "reload", "ok"), e
    with open(b.d.config, "a") as f:
        b.expected = "unknown option"
        f.write("\n[dibao]\nno_such_option = 1\n")
    ctl(b, "reload", code=75)
    until(lambda: audit(b)[-1]["result"] == "refused", "so is one that is refused")


@test
def who_may_not_write_it_down_may_not_do_it(b):
    b.start()
    ctl(b, "setup", "--acl", "--apply", "--passwords", b.dir)
    b.publish(event("later", "award", not_before=int(time.time() * 1000) + DAY))
    publisher = as_user(b, "publisher")
    n = len(audit(b))
    assert "may not add to the audit stream" in ctl(b, "schedule", "cancel", "later", code=65, conf=publisher)
    assert b.r.hget(b.key("uid:later"), "s") == b"scheduled" and len(audit(b)) == n
    ctl(b, "schedule", "cancel", "later", conf=as_user(b, "operator"))
    assert audit(b)[-1]["who"] == ME + "operator"
    assert len(audit(b, conf=as_user(b, "auditor"))) == n + 1 == len(audit(b, conf=as_user(b, "operator")))
    ctl(b, "audit", code=77, conf=publisher)


@test
def a_caller_without_a_word_for_himself_is_written_down_as_such_and_a_lie_is_cut_short(b):
    b.start()
    for who in ([], [""], ["x" * 129], ["a\x1b[2Jb"]):
        b.call("dibao_durable", "set", "gate%d" % len(audit(b)), 1000, *who)
        assert audit(b)[-1]["who"] == "-", who
    b.call("dibao_cancel", "y" * 5000)
    assert len(audit(b)[-1]["what"]) == 200
    b.r.xadd(b.key("audit"), {"who": "\x1b[2J", "act": "x", "what": b"\xff", "result": "ok"})
    assert "\x1b" not in ctl(b, "audit") and audit(b)[-1]["what"] is None


@test
def it_is_asked_by_time_and_by_number_and_is_bounded(b):
    b.start()
    for i in range(1200):
        b.call("dibao_durable", "set", f"n{i}", 1000, "me")
    rows = [e for e in audit(b) if e["who"] == "me"]
    assert [e["what"] for e in rows] == [f"set n{i} 1000" for i in range(1200)]
    assert audit(b, "--last", "3") == rows[-3:]
    assert [e for e in audit(b, "--since", str(rows[700]["at"])) if e["at"] > rows[700]["at"]] == [
        e for e in rows if e["at"] > rows[700]["at"]]
    assert audit(b, "--since", "2100-01-01T00:00:00+08:00") == []
    for wrong in (["--since", "yesterday"], ["--last", "0"], ["--last"], ["more"]):
        ctl(b, "audit", *wrong, code=64)
    pipe = b.r.pipeline(transaction=False)
    for i in range(101000):
        pipe.xadd(b.key("audit"), {"who": "filler"})
    pipe.execute()
    b.call("dibao_durable", "set", "last", 1000, "me")
    assert 100000 <= b.r.xlen(b.key("audit")) < 100200


@test
def entries_that_somebody_took_away_are_missed(b):
    b.start()
    for i in range(5):
        b.call("dibao_durable", "set", f"n{i}", 1000)

    def said():
        return subprocess.run([BUILD + "/bin/dibaoctl", "-c", b.d.config, "audit"], capture_output=True, text=True).stderr
    assert said() == ""
    b.r.xdel(b.key("audit"), b.r.xrange(b.key("audit"))[2][0])
    assert "1 entries were removed" in said()


run()
