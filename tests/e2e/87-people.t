#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# The right person: a roster as dibaoctl imports it, events about people who are easily taken for
# others, and where that ends which no text served.
from sms_test import *

HEAD = "辅警编号,姓名,手机号码,机构代码,状态"
DATAERR, USAGE = 65, 64


def load(b, *rows, more=()):
    """Rows are badge, name, the last digits of the number, and perhaps the state."""
    with open(b.path("roster.csv"), "w") as f:
        f.write(HEAD + "\n" + "".join(f"{r[0]},{r[1]},{'154' + format(r[2], '08') if r[2] else ''},{HUXU},"
                                      f"{r[3] if len(r) > 3 else '在职'}\n" for r in rows))
    said = b.ctl("--json", "roster", "import", b.path("roster.csv"), "--headings", ROOT + "/config/headings.tsv", *more)
    return json.loads(said.split("\n")[0])


def about(uid, badge, name, type="penalty", **more):
    return notice(uid, type, person={"badge": badge, "name": name}, **more)


def number(n):
    return f"154{n:08}"


def listed(b, *args):
    """uid -> reason; and the sums."""
    *lines, sums = [json.loads(l) for l in b.ctl("--json", "unserved", *args).splitlines()]
    assert len(lines) == sums["shown"] <= sums["unserved"], sums
    assert all(abs(now_ms() - l["ended"]) < 600000 for l in lines), lines
    return {l["uid"]: l["reason"].split(" ")[0] for l in lines}, sums


@test
def two_people_of_one_name_each_get_their_own_and_a_swapped_or_reused_badge_nothing(b):
    b.start()
    load(b, ("A1", "王伟", 1), ("A2", "王伟", 2), ("A3", "李𠮷", 3), ("A4", "赵六", 4))
    sms = Sms(b).start()
    for uid, badge, name in (("one", "A1", "王伟"), ("two", "A2", "王 伟"), ("rare", "A3", "李𠮷"),
                             ("swapped", "A4", "李𠮷"), ("swapped-too", "A3", "赵六"), ("unknown", "A9", "王伟")):
        assert b.publish(about(uid, badge, name)) == "new"
    texts = sms.wait_texts({"one", "two", "rare"})
    assert {u: n for u, (n, _) in texts.items()} == {"one": number(1), "two": number(2), "rare": number(3)}
    assert "李𠮷同志" in texts["rare"][1]
    until(lambda: listed(b)[0] == {"swapped": "name-differs", "swapped-too": "name-differs", "unknown": "not-on-roster"},
          lambda: listed(b))
    # The badge of who left is given to another: the first one's penalty is not the other's.
    load(b, ("A1", "孙七", 5), more=("--delta",))
    b.publish(about("reused", "A1", "王伟"))
    b.publish(about("new-holder", "A1", "孙七"))
    b.wait_state("reused", "failed", "name-differs")
    b.wait_state("new-holder", "submitted")
    assert sms.texts()["new-holder"][0] == number(5)


@test
def a_shared_or_reassigned_number_gets_private_kinds_once_confirmed_and_awards_before(b):
    b.start()
    load(b, ("A1", "甲", 1), ("A2", "乙", 1), ("A3", "丙", 3), ("A4", "丁", 4), ("A5", "戊", 5))
    load(b, ("A3", "丙", 4), ("A4", "丁", 6), more=("--delta",))
    sms = Sms(b).start()
    b.publish(about("shared", "A1", "甲"))
    b.publish(about("moved", "A3", "丙"))
    b.publish(about("fresh", "A4", "丁"))
    b.publish(about("award", "A1", "甲", "award"))
    b.publish(about("award-moved", "A3", "丙", "award"))
    b.wait_state("shared", "parked", "number-shared")
    b.wait_state("moved", "parked", "number-moved")
    assert listed(b)[0] == {"shared": "number-shared", "moved": "number-moved"}
    sms.wait_texts({"award", "award-moved", "fresh"})
    b.ctl("roster", "confirm", "A1")
    b.ctl("roster", "confirm", "A3")
    for uid in ("shared", "moved"):
        assert b.r.fcall("dibao_sms_release_one", 1, BASE, uid, "test") == 1
    texts = sms.wait_texts({"award", "award-moved", "fresh", "shared", "moved"})
    assert (texts["shared"][0], texts["moved"][0], texts["fresh"][0]) == (number(1), number(4), number(6))
    # It changes hands again: what was confirmed is so no more.
    load(b, ("A3", "丙", 5), ("A5", "戊", 7), more=("--delta",))
    b.publish(about("again", "A3", "丙"))
    b.wait_state("again", "parked", "number-moved")


@test
def a_leaver_gets_a_penalty_on_the_last_number_and_no_congratulation(b):
    b.start()
    load(b, ("A1", "甲", 1), ("A2", "乙", 2))
    load(b, ("A1", "甲", 1, "离职"), more=("--delta",))
    sms = Sms(b).start()
    b.publish(about("penalty", "A1", "甲"))
    b.publish(about("award", "A1", "甲", "award"))
    b.wait_state("award", "dropped", "left")
    sms.wait_texts({"penalty"})
    assert listed(b)[0] == {}
    # Not on the list any more: the number lasts as long as the law of thirty days.
    load(b, ("A2", "乙", 2), more=("--allow-removals", "2"))
    b.publish(about("later", "A1", "甲", "mailbox_reply"))
    sms.wait_texts({"penalty", "later"})
    row = b.r.hget(BASE + "roster", "A1").decode().split("\t")
    row[7] = str(now_ms() - 31 * 86400000)
    b.r.hset(BASE + "roster", "A1", "\t".join(row))
    b.publish(about("too-late", "A1", "甲"))
    b.wait_state("too-late", "failed", "left-long-ago")


@test
def last_years_export_texts_nobody_and_a_truncated_roster_changes_nobodys_number(b):
    b.start()
    rows = [(f"A{i}", f"演示{i}", i) for i in range(1, 60)]
    load(b, *rows)
    sms = Sms(b).start()
    year = now_ms() - 365 * 86400000
    for i in range(1, 20):
        b.publish(about(f"award-{i}", f"A{i}", f"演示{i}", "award", at=year))
        b.publish(about(f"visit-{i}", f"A{i}", f"演示{i}", "welfare_visit", at=year, body={**BODIES["welfare_visit"], "when": year}))
        b.publish(about(f"record-{i}", f"A{i}", f"演示{i}", record=True, at=year))
        b.publish(about(f"penalty-{i}", f"A{i}", f"演示{i}", at=year))
    for i in range(1, 20):
        b.wait_state(f"award-{i}", "dropped", "too-old")
        b.wait_state(f"visit-{i}", "dropped", "too-old")
        b.wait_state(f"record-{i}", "dropped", "record")
        b.wait_state(f"penalty-{i}", "parked", "too-old")
    with open(b.path("roster.csv")) as f:
        text = f.read()
    with open(b.path("roster.csv"), "w") as f:
        f.write(text[:len(text) * 2 // 3])
    b.ctl("roster", "import", b.path("roster.csv"), "--headings", ROOT + "/config/headings.tsv", code=DATAERR)
    b.publish(about("last", "A59", "演示59"))
    assert sms.wait_texts({"last"})["last"][0] == number(59)


@test
def what_no_text_served_is_listed_by_reason_and_a_letters_answer_for_its_mailbox_alone(b):
    b.start()
    load(b, ("A1", "甲", 1), ("A2", "乙", 0), ("A3", "丙", 3))
    Sms(b, gateways=[{"driver": "none"}]).start()
    b.publish(about("here", "A1", "甲"))
    b.publish(about("there", "A1", "甲", org=WUZHONG))
    b.publish(about("award", "A3", "丙", "award"))
    b.publish(about("no-number", "A2", "乙"))
    b.publish(about("letter", "A1", "甲", "mailbox_reply"))
    b.publish(about("letter-2", "A3", "丙", "mailbox_reply", body={**BODIES["mailbox_reply"], "mailbox": "警务督察支队"}))
    until(lambda: len(b.unserved()) == 6, b.unserved)
    said, sums = listed(b)
    assert said == {"here": "no-gateway", "there": "no-gateway", "award": "no-gateway", "no-number": "no-number"}, said
    assert sums["mailbox_replies"] == {"chief": 1, "警务督察支队": 1} and sums["unserved"] == 4, sums
    assert sums["by_reason"] == {"this bureau has no gateway: to be printed": 3, "the roster has no number for this badge": 1}
    said, sums = listed(b, "--org", HUXU)
    assert set(said) == {"here", "award", "no-number"} and sums["mailbox_replies"] == {}, (said, sums)
    assert set(listed(b, "--org", "3205", "--type", "award")[0]) == {"award"}
    assert set(listed(b, "--org", "3205", "--type", "mailbox_reply")[0]) == set()
    assert set(listed(b, "--reason", "no-number")[0]) == {"no-number"}
    assert set(listed(b, "--mailbox", "chief")[0]) == {"letter"}
    assert set(listed(b, "--mailbox", "警务督察支队")[0]) == {"letter-2"}
    b.ctl("unserved", "--mailbox", "chief", "--org", HUXU, code=USAGE)
    said, sums = listed(b, "-n", "1")
    assert (len(said), sums["unserved"]) == (1, 4)
    for text in (b.ctl("unserved"), b.ctl("unserved", "--org", HUXU), b.ctl("unserved", "--mailbox", "chief")):
        assert "no gateway" in text and not re.search("甲|乙|丙|154", text), text
    assert "letter" not in b.ctl("unserved", "--org", HUXU) and "mailbox" not in b.ctl("unserved", "--org", HUXU)
    # Who looks after texts may read it, the operator of the queue may not.
    b.ctl("setup", "--acl", "--apply", "--passwords", b.dir)
    for user, code in (("notices", 0), ("operator", 77)):
        with open(b.path(user + ".conf"), "w") as f:
            f.write(f"[redis]\nredis = unix:{b.redis_socket}\nredis_user = {user}\n"
                    f"redis_password_file = {b.path(user)}.password\n")
        b.ctl("-c", b.path(user + ".conf"), "unserved", code=code)


run(of=Office)
