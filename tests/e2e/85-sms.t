#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# dibao-sms with the spool: from the event to the file and back.
from sms_test import *


@test
def each_type_becomes_one_text_to_the_right_number(b):
    b.start()
    b.person("F000001", "演示", "15400000001")
    sms = Sms(b).start()
    for type in BODIES:
        assert b.publish(notice("u-" + type, type)) == "new"
    texts = sms.wait_texts({"u-" + t for t in BODIES})
    for uid, (number, text) in texts.items():
        assert number == "15400000001" and text.startswith("【演示公安】演示"), text
        b.wait_state(uid, "submitted")
        assert "e" in b.row(uid) and b.row(uid)["v"] and b.row(uid)["h"] == b.text_hash(text)
    assert "演示局" not in texts["u-penalty"][1] and "警告" not in texts["u-penalty"][1]
    until(lambda: all("submitted" in [s for s, _ in b.receipts().get(u, [])] for u in texts), b.receipts)


@test
def a_result_file_makes_it_delivered_or_failed_and_the_bytes_go(b):
    b.start()
    b.person()
    sms = Sms(b).start()
    for uid in ("good", "bad", "late"):
        b.publish(notice(uid))
    sms.wait_texts({"good", "bad", "late"})
    sms.result("good")
    sms.result("bad", result="failed", code="UNDELIV")
    sms.result("late", result="expired")
    b.wait_state("good", "delivered", "")
    b.wait_state("bad", "failed", "carrier")
    b.wait_state("late", "expired", "unreachable")
    sms.result("late")
    b.wait_state("late", "delivered")
    sms.result("good", result="failed")
    sms.result("nobody")
    until(lambda: not os.listdir(sms.spool + "/in"), "results are taken")
    assert b.state("good") == "delivered" and b.unserved() == {"bad"}
    assert not any("e" in b.row(u) for u in ("good", "bad", "late"))
    until(lambda: b.receipts().get("bad", [("", "")])[-1][0] == "failed", b.receipts)
    assert "bad: the carrier could not deliver it: the carrier cannot deliver it (UNDELIV)\n" in b.ctl("unserved")
    until(lambda: b.receipts().get("good", [("", "")])[-1][0] == "delivered", b.receipts)


@test
def results_that_come_while_redis_stands_still_are_read_once_and_each_counts(b):
    b.start()
    for n in range(20):
        b.person(f"K{n}", phone=f"154{n:08d}")
    sms = Sms(b).start()
    uids = [f"n{n}" for n in range(1000)]
    pipe = b.r.pipeline(transaction=False)
    for n, uid in enumerate(uids):
        pipe.execute_command("FCALL", "dibao_publish", 1, BASE, notice(uid, "award", badge=f"K{n % 20}"))
    pipe.execute()
    sms.wait_texts(uids)
    until(lambda: b.r.zcard(b.key("sms:report")) == 0, "all is told")

    def cpu():
        with open(f"/proc/{sms.process.p.pid}/stat") as f:
            return sum(map(int, f.read().rsplit(") ", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")
    b.redis.signal(signal.SIGSTOP)
    before = cpu()
    for uid in uids:
        sms.result(uid)
    time.sleep(3)  # that nothing is done in this time is the test
    spent = cpu() - before
    b.redis.signal(signal.SIGCONT)
    assert spent < 1, f"{spent:.1f} s of 3"
    until(lambda: all(b.state(u) == "delivered" for u in uids), "all are delivered")
    until(lambda: not os.listdir(sms.spool + "/in"), "all are taken")


@test
def with_as_many_open_as_the_bound_allows_the_rest_stays_in_the_queue_until_there_are_fewer(b):
    b.start()
    sms = Sms(b, backlog=20).start()
    b.person()
    uids = [f"n{n:02d}" for n in range(50)]
    for uid in uids:
        b.publish(notice(uid))
    sms.wait_log("warning 20 notices are open, as many as backlog allows")
    texts = set(sms.wait_texts(uids[:20]))
    holds(lambda: b.r.zcard(b.key("sms:open")) == 20 and not b.state("n20"), "the others are not taken", 1.5)
    sms.kill()
    sms.start()
    holds(lambda: b.r.zcard(b.key("sms:open")) == 20 and not b.state("n20"), "nor by who takes over", 1.5)
    for uid in uids[:15]:
        sms.result(uid)
    sms.wait_texts(uids[:35])
    sms.configure(backlog=100)
    sms.process.signal(signal.SIGHUP)
    assert set(sms.wait_texts(uids)) > texts


@test
def files_are_for_their_owner_alone_and_what_cannot_be_read_is_set_aside(b):
    b.start()
    b.person()
    sms = Sms(b).start()
    b.publish(notice("a"))
    sms.wait_texts({"a"})
    for path in ("", "/out", "/in", "/bad"):
        assert os.stat(sms.spool + path).st_mode & 0o777 == 0o700
    for name in os.listdir(sms.spool + "/out"):
        assert os.stat(f"{sms.spool}/out/{name}").st_mode & 0o777 == 0o600
    with open(sms.spool + "/in/.x", "w") as f:
        f.write("no head at all")
    os.rename(sms.spool + "/in/.x", sms.spool + "/in/x.result")
    until(lambda: os.listdir(sms.spool + "/bad") == ["x.result"], "it is set aside")


@test
def who_may_not_get_it_is_on_the_unserved_list_with_the_reason(b):
    b.start()
    b.person("F000001", "别人")
    b.person("F000002", phone="")
    b.person("F000003", flags="s")
    b.person("F000004", active=False, left_on=now_ms() - 86400000)
    b.person("F000005", active=False, left_on=now_ms() - 40 * 86400000)
    sms = Sms(b).start()
    for n in range(1, 7):
        b.publish(notice(f"p{n}", badge=f"F00000{n}"))
    b.publish(notice("award-left", "award", badge="F000004"))
    b.publish(notice("award-shared", "award", badge="F000003"))
    b.wait_state("p1", "failed", "name-differs")
    b.wait_state("p2", "failed")
    b.wait_state("p3", "parked")
    b.wait_state("p4", "submitted")
    b.wait_state("p5", "failed")
    b.wait_state("p6", "failed")
    b.wait_state("award-left", "dropped")
    sms.wait_texts({"p4", "award-shared"})
    assert b.unserved() == {"p1", "p2", "p3", "p5", "p6"}
    until(lambda: b.receipts().get("p1", [("", "")])[-1][0] == "unserved", b.receipts)
    b.r.hset(b.key("roster:confirmed"), "F000003", f"{ROSTER_AT} {now_ms()}")
    assert b.call("dibao_sms_release_one", "p3", "test") == 1
    sms.wait_texts({"p4", "award-shared", "p3"})
    assert "p3" not in b.unserved()


@test
def what_was_taken_back_is_not_sent_and_what_was_sent_is_corrected(b):
    b.start()
    b.person()
    gateway = {"driver": "spool", "directory": b.path("spool"), "rate": 1}
    sms = Sms(b, gateways=[gateway], batch=1)
    sms.spool = b.path("spool")
    sms.start()
    b.publish(notice("sent", "award", ref="r1"))
    b.wait_state("sent", "submitted")
    b.publish(notice("waits-1", "award", ref="r1"))
    b.publish(notice("waits-2", "award", ref="r1"))
    for uid in ("waits-1", "waits-2"):
        b.wait_state(uid, "queued")
    b.publish(notice("r-sent", "award", retracts="sent", urgent=True))
    b.publish(notice("r-waits", "award", retracts="waits-1"))
    b.publish(notice("c-waits", "award", corrects="waits-2", urgent=True))
    b.wait_state("waits-1", "dropped", "withdrawn")
    b.wait_state("waits-2", "dropped", "withdrawn")
    b.wait_state("r-waits", "dropped", "not-sent")
    texts = sms.wait_texts({"sent", "r-sent", "c-waits"})
    assert "撤回" in texts["r-sent"][1] and "更正" not in texts["c-waits"][1]
    b.publish(notice("c-sent", "award", corrects="c-waits", urgent=True))
    assert "更正" in sms.wait_texts({"sent", "r-sent", "c-waits", "c-sent"})["c-sent"][1]


@test
def history_the_anonymous_and_the_too_old_are_not_texted(b):
    b.start()
    b.person()
    sms = Sms(b).start()
    old = now_ms() - 8 * 86400000
    b.publish(notice("record", "award", record=True))
    b.publish(notice("proposed", "award", body={**BODIES["award"], "state": "proposed", "notice_until": "2026-01-09",
                                                "contact": "演示"}))
    b.publish(notice("old-award", "award", at=old))
    b.publish(notice("old-penalty", at=old))
    anonymous = msgpack.unpackb(notice("anonymous", "mailbox_reply"))
    del anonymous["person"]
    b.publish(msgpack.packb(anonymous))
    b.publish(notice("end"))
    sms.wait_texts({"end"})
    for uid in ("record", "proposed", "old-award", "anonymous"):
        b.wait_state(uid, "dropped")
    b.wait_state("old-penalty", "parked")
    assert b.unserved() == {"old-penalty"}
    until(lambda: b.receipts().get("record", [("", "")])[-1][0] == "dropped", b.receipts)


@test
def without_a_gateway_every_notice_is_on_the_list_at_once(b):
    b.start()
    b.person()
    Sms(b, gateways=[{"driver": "none"}]).start()
    for n in range(20):
        b.publish(notice(f"n{n}"))
    for n in range(20):
        b.wait_state(f"n{n}", "failed", "no-gateway")
    assert len(b.unserved()) == 20


@test
def it_refuses_a_redis_that_may_forget_unless_told_otherwise(b):
    b.expected = "Redis: append|can't keep an outbox"
    b.fsync = "everysec"
    b.start()
    b.person()
    sms = Sms(b)
    sms.start(False)
    assert sms.process.wait() == 78, sms.log()
    assert "appendfsync is everysec" in sms.log()
    sms.start(True, "--unsafe-redis")
    b.publish(notice("a"))
    sms.wait_texts({"a"})


@test
def a_standby_takes_over_with_all_of_it_and_nothing_is_sent_twice(b):
    b.start()
    b.person()
    a = Sms(b, "sms-a", batch=3).start()
    z = Sms(b, "sms-z", batch=3)
    z.spool = a.spool
    z.gateways = a.gateways
    z.configure()
    z.start(False)
    z.wait_log("standing by")
    for n in range(3):
        b.publish(notice(f"n{n}", "award", ref="one"))
    a.wait_texts({"n0", "n1", "n2"})
    for n in range(3, 8):
        b.publish(notice(f"n{n}", "award", ref="one"))
    until(lambda: b.state("n3"), "the batch is over its limit")
    a.kill()
    z.active()
    b.publish(notice("new", urgent=True))
    z.wait_texts({"n0", "n1", "n2", "new"})
    b.wait_state("n7", "queued")
    batch = b.row("n7")["q"]
    assert b.call("dibao_sms_release", batch, "test") == 1
    z.wait_texts({f"n{n}" for n in range(8)} | {"new"})


@test
def one_whose_lease_another_took_writes_and_sends_nothing_more(b):
    b.expected = "DIBAO_STALE"
    b.start(lease_ms=500)
    b.person()
    a = Sms(b, "sms-a").start()
    z = Sms(b, "sms-z")
    z.start(False)
    z.wait_log("standing by")
    a.process.signal(signal.SIGSTOP)
    z.active()
    b.publish(notice("mine"))
    z.wait_texts({"mine"})
    a.process.signal(signal.SIGCONT)
    a.wait_log("standing by|lease of sms-1 is another's")
    b.publish(notice("next"))
    z.wait_texts({"mine", "next"})
    assert not a.texts()


@test
def what_one_had_not_told_when_it_lost_its_lease_does_not_follow_what_the_other_told(b):
    b.expected = "DIBAO_STALE"
    b.start(lease_ms=500)
    b.person()
    other = b.daemon(lease_ms=500).start()
    a = Sms(b, "sms-a", batch=1).start()
    z = Sms(b, "sms-z", a.gateways, batch=1, endpoints=other.ipc)
    z.start(False)
    z.wait_log("standing by")
    last = lambda uid: b.receipts().get(uid, [("nothing",)])[-1][0]
    b.publish(notice("n0", "award", ref="one"))
    until(lambda: last("n0") == "submitted", "one goes")
    b.publish(notice("n1", "award", ref="one"))
    until(lambda: last("n1") == "queued", "one is held")
    other.process.signal(signal.SIGSTOP)  # it takes no lease meanwhile
    b.d.process.signal(signal.SIGSTOP)
    assert b.call("dibao_sms_release", b.row("n1")["q"], "test") == 1
    a.wait_texts({"n0", "n1"})
    b.wait_state("n1", "submitted")
    holds(lambda: last("n1") == "queued", "what is told now nobody hears", 0.5)
    a.process.signal(signal.SIGSTOP)
    other.process.signal(signal.SIGCONT)
    z.active()
    a.result("n1")
    until(lambda: last("n1") == "delivered", "the other one tells what became of it")
    a.process.signal(signal.SIGCONT)
    b.d.process.signal(signal.SIGCONT)
    a.wait_log("standing by|lease of sms-1 is another's")
    a.mark = len(a.log())
    z.kill()
    a.active()
    b.publish(notice("new"))
    until(lambda: last("new") == "submitted", "it tells again")
    assert last("n1") == "delivered", b.receipts()["n1"]


@test
def the_rights_that_setup_gives_are_enough_for_it_and_for_who_looks_after_texts(b):
    b.start()
    b.person()
    b.person("F000002", phone="15400000002", flags="s")
    os.mkdir(b.path("pw"))
    b.ctl("setup", "--acl", "--apply", "--passwords", b.path("pw"))
    sms = Sms(b, redis_user="sms", redis_password_file=b.path("pw") + "/sms.password", batch=2)
    sms.start()
    for n in range(6):
        b.publish(notice(f"n{n}", "award", ref="r"))
    b.publish(notice("parked", badge="F000002", urgent=True))
    b.publish(notice("urgent", urgent=True))
    b.publish(notice("back", "award", retracts="n5", urgent=True))
    b.wait_state("parked", "parked")
    until(lambda: "urgent" in sms.texts(), "the urgent one goes")
    sms.result("urgent", result="failed", code="EMPTY_NUMBER")
    b.wait_state("urgent", "failed", "no-such-number")
    until(lambda: b.r.hexists(b.key("sms:bad"), "F000001"), "the number is marked")
    b.person(phone="15400000003", since=now_ms())
    with open(b.path("ctl.conf"), "w") as f:
        f.write(f"[redis]\nredis = unix:{b.redis_socket}\nredis_user = notices\n"
                f"redis_password_file = {b.path('pw')}/notices.password\n")
    b.ctl("-c", b.path("ctl.conf"), "sms", "release", b.row("n4")["q"])
    until(lambda: {"n0", "n1", "n2", "n3", "n4"} <= set(sms.texts()), sms.texts)
    assert "submitted" in b.ctl("-c", b.path("ctl.conf"), "sms", "queue")
    b.ctl("-c", b.path("ctl.conf"), "sms", "drop", "parked")
    b.wait_state("parked", "dropped", "by-hand")
    until(lambda: b.r.zcard(b.key("sms:report")) == 0, "all is reported")


@test
def no_number_name_or_text_is_in_a_log(b):
    b.start()
    b.person("F000001", "演示甲", "15412345678")
    sms = Sms(b, log_level="debug").start()
    e = msgpack.unpackb(notice("quiet"))
    e["person"]["name"] = "演示甲"
    b.publish(msgpack.packb(e))
    text = sms.wait_texts({"quiet"})["quiet"][1]
    sms.result("quiet", result="failed", code="UNDELIV")
    b.wait_state("quiet", "failed")
    b.stop_all()
    written = b.everything_written()
    for secret in ("15412345678", "演示甲", text[8:20]):
        assert secret not in written
    rows = b"".join(k + v for k, v in b.r.hgetall(b.key("sms:row:quiet")).items()).decode()
    assert "15412345678" not in rows and "演示甲" not in rows


run(of=Office)
