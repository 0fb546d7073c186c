#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# dibaoctl sms preview: what a text would be, when, or why not; nothing is sent.
from dibao_test import *

USAGE, DATAERR, CONFIG = 64, 65, 78
NOON = 1795579200000  # 2026-11-25 12:00 in China
NIGHT = NOON + 11 * 3600000
MORNING = NOON + 20 * 3600000
AT = NOON - 3600000


def start(b, **text):
    b.start_redis()
    b.setup()
    with open(b.path("sms.conf"), "w") as f:
        f.write(f"[sms]\ntemplates = {ROOT}/config/sms/zh-CN\ncodes = {ROOT}/config/sms/codes.tsv\ndemo = yes\n"
                f"[text]\nsignature = 演示公安\n" + "".join(f"{k} = {v}\n" for k, v in text.items()))
    row = lambda name, phone="15400000001", active=1, flags="": f"1\t{name}\t{phone}\t5\t{HUXU}\t\t{active}\t0\t{flags}\t\t0"
    for badge, value in {"F000001": row("演示"), "F000002": row("别人"), "F000003": row("演示", ""),
                         "F000004": row("演示", flags="s"), "F000005": row("欧阳𠮷")}.items():
        b.r.hset(BASE + "roster", badge, value)


def line(uid, type="penalty", badge="F000001", name="演示", **more):
    return json.dumps({"v": 1, "uid": uid, "type": type, "at": AT, "org": HUXU, "issuer": "演示局",
                       "person": {"badge": badge, "name": name},
                       "body": {**BODIES[type], **({"when": NOON + 86400000} if type == "welfare_visit" else {})}, **more},
                      ensure_ascii=False)


def preview(b, what, *args, stdin="", code=0, at=NOON, text=False):
    p = subprocess.run([BUILD + "/bin/dibaoctl", "--redis", "unix:" + b.redis_socket, *([] if text else ["--json"]), "sms",
                        "preview", what, "--sms-config", b.path("sms.conf"), "--at", str(at), *args],
                       input=stdin, capture_output=True, text=True, timeout=120 * SLOW)
    assert p.returncode == code, f"{args}: exit code {p.returncode}, not {code}: {p.stdout}{p.stderr}"
    assert not re.search("Sanitizer|runtime error:", p.stderr), p.stderr
    return (p.stdout if text else [json.loads(l) for l in p.stdout.splitlines()]), p.stderr


@test
def the_texts_of_a_file_are_shown_with_parts_cost_and_time_and_nothing_changes(b):
    start(b)
    before = b.r.dbsize()
    with open(b.path("events.jsonl"), "w") as f:
        f.write("\n".join([line("a"), "", line("b", "mailbox_reply", badge="F000005", name="欧阳 𠮷"), line("c", "award")]))
    said, _ = preview(b, b.path("events.jsonl"), "--price", "0.045")
    a, r, award, total = said
    assert a["text"].startswith("【演示公安】演示：演示同志：您有一份文书待签收，") and a["due"] == NOON, a
    assert a["units"] == len(a["text"]) and a["parts"] == 1 + (a["units"] > 70) and a["phone"] == "154****0001"
    assert (a["decision"], a["template"], a["act"]) == ("send", "penalty", "notice") and len(a["version"]) == 16
    assert "欧阳𠮷同志" in r["text"] and r["units"] == len(r["text"]) + 1
    assert total == {"events": 3, "texts": 3, "parts": sum(x["parts"] for x in said[:3]),
                     "cost": round(0.045 * sum(x["parts"] for x in said[:3]), 4)}, total
    assert b.r.dbsize() == before and b.r.xlen(BASE + "private") == 0


@test
def why_a_text_is_not_sent_is_told_in_words(b):
    start(b)
    lines = [line("name", badge="F000002"), line("number", badge="F000003"), line("nobody", badge="F000009"),
             line("shared", badge="F000004"), line("record", record=True),
             line("old", "award", at=AT - 8 * 86400000), line("old-penalty", at=AT - 8 * 86400000),
             line("proposed", "award", body={**BODIES["award"], "state": "proposed", "notice_until": "2026-12-01", "contact": "政治部"}),
             line("past", expires=NOON - 1), line("training", "penalty").replace('"penalty"', '"training"')]
    said, _ = preview(b, "-", stdin="\n".join(lines))
    assert {x["uid"]: (x["decision"], x["reason"]) for x in said[:-1]} == {
        "name": ("unserved", "name-differs"), "number": ("unserved", "no-number"), "nobody": ("unserved", "not-on-roster"),
        "shared": ("park", "number-shared"), "record": ("drop", "record"), "old": ("drop", "too-old"),
        "old-penalty": ("park", "too-old"), "proposed": ("drop", "silent"), "past": ("unserved", "expired"),
        "training": ("unserved", "template")}
    assert said[-1]["texts"] == 0 and all(x["words"] and "due" not in x for x in said[:-1])
    text, _ = preview(b, "-", stdin=line("name", badge="F000002"), text=True)
    assert "not sent (unserved): the roster has another name for this badge" in text


@test
def quiet_hours_move_it_to_the_morning_or_make_it_too_late(b):
    start(b)
    said, _ = preview(b, "-", stdin="\n".join([line("a"), line("urgent", urgent=True), line("visit", "welfare_visit", body={
        **BODIES["welfare_visit"], "when": MORNING}), line("visit-later", "welfare_visit", body={
            **BODIES["welfare_visit"], "when": MORNING + 1})]), at=NIGHT)
    assert [x.get("due") for x in said[:-1]] == [MORNING, NIGHT, None, MORNING], said
    assert said[2]["reason"] == "too-late"
    text, _ = preview(b, "-", stdin=line("a"), at=NIGHT, text=True)
    assert "2026-11-26 08:00:00+08:00, when the quiet hours end" in text, text


@test
def a_kept_event_is_shown_by_its_uid_and_what_follows_one_by_its_own_template(b):
    start(b)
    assert b.publish(event("kept", "mailbox_reply", at=AT)) == "new"
    (kept, _), _ = preview(b, "kept")
    assert kept["uid"] == "kept" and "您的来信" in kept["text"]
    preview(b, "no-such-uid", code=DATAERR)
    said, _ = preview(b, "-", stdin="\n".join([line("c", corrects="a"), line("r", retracts="a", body={"reason": "误"})]))
    assert [(x["act"], x["template"]) for x in said[:2]] == [("correction", "penalty.correction"),
                                                             ("retraction", "penalty.retraction")], said


@test
def switched_on_fields_show_and_without_the_roster_all_are_sent(b):
    start(b, disclose="penalty.kind")
    said, _ = preview(b, "-", "--without-roster", stdin=line("a", badge="F000009"))
    assert "事项：警告。" in said[0]["text"] and said[0]["decision"] == "send" and "phone" not in said[0], said


@test
def a_faulty_line_template_or_configuration_is_told_and_the_other_lines_are_shown(b):
    start(b)
    said, err = preview(b, "-", stdin="\n".join([line("a"), "{", line("b").replace(HUXU, "x"), line("c")]), code=DATAERR)
    assert [x["uid"] for x in said[:-1]] == ["a", "c"] and "line 2" in err and "line 3: org" in err, err
    with open(b.path("sms.conf"), "a") as f:
        f.write("disclose = penalty.colour\n")
    assert "penalty.colour" in preview(b, "-", stdin=line("a"), code=CONFIG)[1]
    with open(b.path("sms.conf"), "a") as f:
        f.write("no_such_option = 1\n")
    preview(b, "-", stdin=line("a"), code=CONFIG)
    preview(b, "-", "--price", "dear", stdin=line("a"), code=USAGE)


run()
