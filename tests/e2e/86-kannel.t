#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# dibao-sms with a real Kannel.
from sms_test import *


def office(b, smsc="fake", rate=100, **conf):
    b.start()
    k = Kannel(b, smsc, rate).start()
    port = free_port()
    sms = Sms(b, gateways=[k.gateway()], listen=f"127.0.0.1:{port}", receipt_url=f"http://127.0.0.1:{port}/receipt",
              **conf).start()
    sms.port = port
    return k, sms


def personal(uid, name, type="penalty", badge="F000001", **more):
    e = msgpack.unpackb(notice(uid, type, badge=badge, **more))
    e["person"]["name"] = name
    return msgpack.packb(e)


def was(sms, uid, state, reason):
    """It has been so, and may be so no more."""
    sms.wait_log(f"DIBAO_EVENT={uid} DIBAO_STATE={state} DIBAO_REASON={reason}\\b")


@test
def each_type_arrives_with_exactly_the_expected_characters_in_one_part_or_several(b):
    k, sms = office(b, disclose="award.reason")
    names = {"F000001": "演示", "F000002": "𠮷演示", "F000003": "演示𬭚𠮷"}
    for i, (badge, name) in enumerate(names.items(), 1):
        b.person(badge, name, f"1540000000{i}")
    uids = {}
    for badge, name in names.items():
        for type in BODIES:
            uid = f"{type} {badge} %d/&?{name}"
            uids[uid] = badge
            b.publish(personal(uid, name, type, badge))
        for n in (10, 25, 40):
            uid = f"long-{badge}-{n}"
            uids[uid] = badge
            b.publish(personal(uid, name, "award", badge, body={**BODIES["award"], "reason": f"{n}" + "𠮷" * n}))
    for uid in uids:
        b.wait_state(uid, "delivered")
    arrived = k.texts()
    assert len(arrived) == len(uids), (len(arrived), len(uids))
    got = {(number, b.text_hash(text)): text for number, text in arrived}
    parts = set()
    for uid, badge in uids.items():
        row = b.row(uid)
        text = got.pop(("1540000000" + badge[-1], row["h"]), None)
        assert text and text.startswith("【演示公安】演示") and names[badge] in text, uid
        parts.add(row["p"])
    assert parts == {"1", "2"}, parts
    until(lambda: all(b.receipts().get(u, [("", "")])[-1][0] == "delivered" for u in uids), b.receipts)


def units(text):
    return len(text.encode("utf-16-be")) // 2


def settled(text):
    """No character of two units over an edge of 67: a blank behind the part's last pause, or before the character."""
    pauses, at, pause, i = "。，；：、！？", 0, None, 0
    while i < len(text):
        if at % 67 == 0:
            pause = None
        if at % 67 == 66 and units(text[i]) == 2:
            text = text[:pause or i] + " " + text[pause or i:]
            at, pause, i = 0, None, 0
            continue
        at += units(text[i])
        i += 1
        pause = i if text[i - 1] in pauses else pause
    return text


@test
def texts_of_three_parts_and_more_arrive_with_exactly_their_characters_and_none_cut_in_two(b):
    k, sms = office(b, disclose="mailbox_reply.question mailbox_reply.reply")
    replies = ["字" * 40, "𠮷" * 25, "字" * 120, "字" + "𠮷" * 60, "𠮷" * 60, "字" * 9 + "，" + "𠮷" * 100, "𠮷" * 9 + "。字" + "𠮷𬭚" * 50,
               "演，" + "𠮷" * 123, "字" * 250, "字、𠮷" * 62]
    expected = {}
    for i, reply in enumerate(replies):
        badge, question = f"P{i}", "问" * (i % 2) + "𠮷" * 29
        b.person(badge, "演𠮷", f"1540000010{i}")
        b.publish(personal(f"r{i}", "演𠮷", "mailbox_reply", badge, body={**BODIES["mailbox_reply"], "ticket": f"T{i}",
                                                                        "question": question, "reply": reply}))
        expected[f"1540000010{i}"] = (f"【演示公安】演示：演𠮷同志：您的来信（编号T{i}）已有答复，请登录公安网信箱查看。"
                                      f"来信：“{question}”答复：“{reply}”")
    for i in range(len(replies)):
        b.wait_state(f"r{i}", "delivered")
    arrived = dict(k.in_parts())
    assert len(k.in_parts()) == len(replies) and arrived.keys() == expected.keys(), arrived.keys()
    settles = 0
    for i, (number, text) in enumerate(expected.items()):
        parts, row = arrived[number], b.row(f"r{i}")
        assert "".join(parts) == settled(text), (number, parts, settled(text))
        assert all(units(p) == 67 for p in parts[:-1]) and 0 < units(parts[-1]) <= 67, [units(p) for p in parts]
        assert int(row["p"]) == len(parts) and row["h"] == b.text_hash("".join(parts)), row
        settles += settled(text) != text
    assert {len(p) for p in arrived.values()} >= {3, 4, 5, 6}, {len(p) for p in arrived.values()}
    assert settles >= 4, settles


@test
def there_is_room_for_all_that_a_smsbox_asks_at_a_time(b):
    """512, where its max-pending-requests is not set; and it keeps its connections."""
    sms, stub = stubbed(b, lambda n: ACCEPTED)
    b.publish(notice("a"))
    b.wait_state("a", "submitted")
    kept = [socket.create_connection(("127.0.0.1", sms.port), timeout=5 * SLOW) for _ in range(512)]
    assert receipt(sms, "a", 1, b=b) == 200
    b.wait_state("a", "delivered")
    for s in kept:
        s.close()


@test
def receipts_may_come_in_any_order_twice_forged_and_for_what_is_final(b):
    sms, stub = stubbed(b, lambda n: ACCEPTED)
    for uid in ("order", "twice", "forged", "never"):
        b.publish(notice(uid))
    for uid in ("order", "twice", "forged", "never"):
        b.wait_state(uid, "submitted")
    assert receipt(sms, "order", 1, b=b) == receipt(sms, "order", 8, b=b) == 200
    assert b.state("order") == "delivered"
    for _ in range(3):
        assert receipt(sms, "twice", 8, b=b) == 200 and b.state("twice") == "accepted"
    assert receipt(sms, "twice", 2, b=b) == 200
    assert b.row("twice")["s"] == "failed" and b.row("twice")["r"] == "carrier UNDELIV"
    assert receipt(sms, "twice", 8, b=b) == 200 and b.state("twice") == "failed"
    assert receipt(sms, "forged", 1, token="0" * 32) == 200
    assert receipt(sms, "forged", 1, token="x") == 200
    assert receipt(sms, "nobody", 1, b=b) == 200
    assert receipt(sms, "forged", 1, n=2, b=b) == 200
    b.publish(notice("end"))
    b.wait_state("end", "submitted")
    assert b.state("forged") == b.state("never") == "submitted"
    assert receipt(sms, "forged", 1, b=b) == 200 and b.state("forged") == "delivered"


@test
def what_the_carrier_refuses_for_now_is_tried_again_later_and_not_for_ever(b):
    sms, stub = stubbed(b, lambda n: ACCEPTED, attempts=1)
    b.publish(notice("last"))
    b.wait_state("last", "submitted")
    assert receipt(sms, "last", 16, b=b, code="http-503") == 200
    assert b.wait_state("last", "failed", "carrier")["r"] == "carrier http-503"
    sms.stop()
    sms.configure(attempts=2)
    sms.start()
    for uid, code in (("later", "http-503"), ("stop", "authorization")):
        b.publish(notice(uid))
        b.wait_state(uid, "submitted")
        assert receipt(sms, uid, 16, b=b, code=code) == 200
        assert b.wait_state(uid, "held", "retry")["r"] == "retry " + code
        assert int(b.row(uid)["d"]) - now_ms() > 30000
    b.publish(notice("other"))
    b.wait_state("other", "submitted")


@test
def a_receipt_that_never_comes_ends_on_the_list_and_one_that_comes_later_takes_it_off(b):
    sms, stub = stubbed(b, lambda n: ACCEPTED, receipt="1s")
    b.publish(notice("never"))
    b.wait_state("never", "no_receipt", "no-receipt")
    assert b.unserved() == {"never"}
    assert receipt(sms, "never", 1, b=b) == 200
    b.wait_state("never", "delivered")
    assert b.unserved() == set()


@test
def what_may_have_been_sent_is_not_sent_again_but_by_policy(b):
    b.expected = "takes nothing for now"
    sms, stub = stubbed(b, lambda n: [None, "close", b"no http at all\r\n\r\n", (504, "x")][(n - 1) % 4],
                        ambiguous="1500ms", timeout="3s", policy_award="resend", policy_promotion="drop")
    for uid, type in (("p1", "penalty"), ("p2", "penalty"), ("drop", "promotion"), ("late", "penalty")):
        b.publish(notice(uid, type))
    for uid in ("p1", "p2", "drop", "late"):
        was(sms, uid, "ambiguous", "unknown")
    b.wait_state("p1", "parked", "unknown")
    b.wait_state("p2", "parked")
    b.wait_state("drop", "dropped")
    b.wait_state("late", "parked")
    assert len(stub.got) == 4 and b.unserved() == {"p1", "p2", "late"}
    assert receipt(sms, "late", 1, b=b) == 200
    b.wait_state("late", "delivered")
    assert b.unserved() == {"p1", "p2"}
    stub.answers = lambda n: "close" if n == 5 else ACCEPTED
    b.publish(notice("again", "award"))
    row = b.wait_state("again", "submitted")
    assert len(stub.got) == 6 and row["n"] == "2" and row["rs"] == "1"
    until(lambda: b.receipts().get("again", [("", "")])[-1] == ("submitted", "submitted attempt 2 resent"), b.receipts)


@test
def what_was_certainly_not_sent_is_tried_again_later_and_a_fault_of_the_gateway_stops_it(b):
    b.expected = "takes nothing for now"
    with open(ROOT + "/config/sms/codes.tsv") as f:
        codes = re.sub(r"(?m)^kannel\thttp-5\*\t60", "kannel\thttp-5*\t1", f.read())
    codes = re.sub(r"(?m)^kannel\tauthorization\t600", "kannel\tauthorization\t2", codes)
    with open(b.path("codes.tsv"), "w") as f:
        f.write(codes)
    sms, stub = stubbed(b, lambda n: (503, "Temporal failure, try again later.") if n == 1 else ACCEPTED,
                        codes=b.path("codes.tsv"))
    b.publish(notice("busy"))
    was(sms, "busy", "held", "retry")
    row = b.wait_state("busy", "submitted")
    assert row["n"] == "2" and len(stub.got) == 2
    stub.answers = lambda n: (403, "Not routable. Do not try again.") if n == 3 else ACCEPTED
    b.publish(notice("no-route"))
    assert b.wait_state("no-route", "failed", "refused")["r"] == "refused not-routable"
    stub.answers = lambda n: (403, "Authorization failed for sendsms") if n == 4 else ACCEPTED
    b.publish(notice("password"))
    was(sms, "password", "held", "gateway")
    b.publish(notice("waits"))
    b.wait_state("password", "submitted")
    b.wait_state("waits", "submitted")
    assert "takes nothing for now" in sms.log()


@test
def a_gateway_that_fails_is_left_alone_for_a_while_and_then_one_text_tries(b):
    b.expected = "takes nothing for now"
    sms, stub = stubbed(b, lambda n: (503, "Temporal failure, try again later."))
    for n in range(60):
        b.person(f"G{n}", phone=f"154{n:08d}")
        b.publish(notice(f"n{n}", badge=f"G{n}"))
    sms.wait_log("takes nothing for now")
    until(lambda: b.r.zcard(b.key("sms:open")) == 60 and not any(b.state(f"n{n}") == "intent" for n in range(60)), "all wait")
    first = len(stub.got)
    assert 5 <= first < 60, first
    until(lambda: len(stub.got) > first, "one tries")
    holds(lambda: len(stub.got) == first + 1, lambda: f"{len(stub.got) - first} try", 1.5)
    stub.answers = lambda n: ACCEPTED


@test
def the_second_gateway_takes_what_the_first_cannot_and_never_what_it_may_have(b):
    b.expected = "takes nothing for now"
    sms, first, second = stubbed(b, [lambda n: "close", lambda n: ACCEPTED], gateways=2, ambiguous="5min")
    for i in range(5):
        b.publish(notice(f"maybe-{i}"))
        b.wait_state(f"maybe-{i}", "ambiguous")
    b.publish(notice("other"))
    assert b.wait_state("other", "submitted")["g"] == "gateway-2"
    assert len(first.got) == 5 and len(second.got) == 1
    assert all(b.state(f"maybe-{i}") == "ambiguous" for i in range(5))
    first.answers = lambda n: ACCEPTED
    assert b.state("other") == "submitted"


@test
def not_more_than_a_second_of_its_rate_lies_in_a_gateway(b):
    sms, stub = stubbed(b, lambda n: ACCEPTED)
    sms.stop()
    sms.gateways[0]["rate"] = 5
    sms.configure()
    sms.start()
    for n in range(20):
        b.person(f"G{n}", phone=f"154{n:08d}")
        b.publish(notice(f"n{n}", badge=f"G{n}"))
    until(lambda: len(stub.got) == 5, "five go")
    holds(lambda: len(stub.got) == 5, lambda: f"{len(stub.got)} lie in it", 2.5)
    gone = [u for u in (f"n{n}" for n in range(20)) if b.state(u) == "submitted"]
    for uid in gone[:3]:
        assert receipt(sms, uid, 8, b=b) == 200
    until(lambda: len(stub.got) == 8, "three more go")


@test
def no_number_name_or_text_is_in_any_log_kannels_neither(b):
    k, sms = office(b)
    b.person("F000001", "演示甲", "15412345678")
    for i in range(10):
        b.publish(personal(f"u{i}", "演示甲", list(BODIES)[i % 5]))
    for i in range(10):
        b.wait_state(f"u{i}", "delivered")
    texts = {t for _, t in k.texts()}
    assert len(texts) >= 5
    k.fakesmsc.kill()
    b.publish(personal("degraded", "演示甲"))
    sms.wait_log("cannot send them on")
    b.stop_all()
    for p in (k.smsbox, k.bearerbox):
        p.signal(signal.SIGTERM)
        p.wait()
    written = b.everything_written()
    assert "[ACT:" in written, "Kannel's access log is looked at"
    for secret in ["15412345678", "演示甲", *(t[8:20] for t in texts), *(t[8:16].encode("utf-16-be").hex() for t in texts)]:
        assert secret.lower() not in written.lower(), "found: one of them, in " + str(
            [n for n in os.listdir(b.dir) if n.endswith((".log", ".out", ".access")) and secret.lower() in open(b.path(n), errors="replace").read().lower()])


run(of=Office)
