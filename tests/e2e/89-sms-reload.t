#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# dibao-sms takes up another configuration, templates and codes while it runs, all or nothing.
import shutil

from sms_test import *


def editable(b):
    """A client with templates and codes of its own, that the test may change."""
    b.start()
    for n in range(1, 7):
        b.person(f"F00000{n}", phone=f"1540000000{n}")
    shutil.copytree(ROOT + "/config/sms/zh-CN", b.path("templates"))
    shutil.copy(ROOT + "/config/sms/codes.tsv", b.path("codes.tsv"))
    sms = Sms(b, templates=b.path("templates"), codes=b.path("codes.tsv"))
    sms.notifies = True
    sms.start()
    return sms


def template(b, name, body):
    with open(b.path(f"templates/{name}.tmpl"), "w") as f:
        f.write("---\n" + body.replace("{name}", "{name:20}") + "\n")


def reload(sms, pattern):
    sms.wait_told("READY=1")
    sms.mark, sms.told = len(sms.log()), ""
    sms.process.signal(signal.SIGHUP)
    sms.wait_told("READY=1")
    # What it said of its status before may come behind the READY of that time.
    assert re.search(r"^RELOADING=1\nMONOTONIC_USEC=\d+\n(.*\n)*READY=1$", sms.told, re.M), sms.told
    lines = [l for l in sms.log()[sms.mark:].split("\n") if "reloaded" in l or "keeping the old" in l]
    assert len(lines) == 1 and re.search(pattern, lines[0]), lines


@test
def texts_codes_caps_and_hours_are_taken_up_and_what_needs_a_restart_is_named(b):
    sms = editable(b)
    b.publish(notice("before"))
    old = sms.wait_texts({"before"})["before"][1]
    template(b, "penalty", "{name}请办理新的事宜")
    with open(b.path("codes.tsv"), "a") as f:
        f.write("spool\tNEW-CODE\t-\tnumber,final\tno such number\n")
    sms.gateways[0].update(rate=500, directory="/no/directory")
    sms.configure(cap_day=1, demo="no", redis="unix:/no/socket", log_level="info", signature="演示新局")
    reload(sms, r"^notice demo: changes at the next restart only; redis: changes at the next restart only; "
                r"gateway-1 directory: changes at the next restart only; reloaded: 25 templates, \d+ codes$")
    b.publish(notice("after", badge="F000002"))
    b.publish(notice("wrong", badge="F000003"))
    texts = sms.wait_texts({"before", "after", "wrong"})
    assert texts["after"][1] == "【演示新局】演示：演示请办理新的事宜", texts["after"]
    assert texts["before"][1] == old
    sms.result("wrong", result="failed", code="NEW-CODE")
    b.wait_state("wrong", "failed", "no-such-number")
    b.publish(notice("second", badge="F000002", body={**BODIES["penalty"], "sign_where": "别处"}))
    b.wait_state("second", "held", "cap")
    sms.configure(quiet="00:00-23:59")
    reload(sms, "^notice demo: .*; reloaded: 25 templates")
    b.publish(notice("night", badge="F000004"))
    b.wait_state("night", "held", "quiet")


@test
def with_a_fault_anywhere_all_stays_as_it_was(b):
    b.expected = "keeping the old"
    sms = editable(b)
    with open(sms.config) as f:
        good = f.read()
    template(b, "award.final", "{name}获得表彰")
    sms.configure(cap_day=1, signature="演示新局")

    def broken(path, text, pattern):
        with open(path) as f:
            was = f.read()
        with open(path, "w") as f:
            f.write(text)
        reload(sms, pattern + ".*; keeping the old configuration, templates and codes$")
        with open(path, "w") as f:
            f.write(was)
    broken(b.path("templates/penalty.tmpl"), "parts: 8\n---\n{name}{no_such_field}\n", r"^err /\S+/penalty.tmpl:3:\d+: ")
    broken(b.path("codes.tsv"), "spool\tX\t-\tnothing\tat all\n", r"^err /\S+/codes.tsv:1: does: expected")
    broken(sms.config, good.replace("cap_day = 0", "cap_day = many"), r"^err /\S+\.conf:\d+: cap_day: expected")
    os.rename(sms.config, sms.config + ".away")
    reload(sms, r"^err /\S+\.conf: No such file or directory; keeping the old")
    os.rename(sms.config + ".away", sms.config)
    b.publish(notice("a", "award"))
    b.publish(notice("b", "award", body={**BODIES["award"], "kind": {"code": "A02", "name": "别的"}}))
    texts = sms.wait_texts({"a", "b"})
    assert texts["a"][1].startswith("【演示公安】") and "获得表彰" not in texts["a"][1], texts["a"]
    reload(sms, "^notice reloaded")
    b.publish(notice("c", "award", badge="F000002"))
    assert sms.wait_texts({"a", "b", "c"})["c"][1] == "【演示新局】演示：演示获得表彰"


@test
def a_file_that_only_holds_with_what_a_restart_changes_is_refused(b):
    b.expected = "keeping the old"
    b.start()
    k = {"driver": "kannel", "fake": "yes", "rate": 5, "url": "http://127.0.0.1:1/x", "user": "x", "password_file": "/no/file"}
    sms = Sms(b, gateways=[k])
    sms.notifies = True
    b.expected += "|cannot be opened|/no/file"
    sms.start()
    sms.gateways = [{"driver": "spool", "directory": sms.spool, "rate": 0}]
    sms.configure()
    reload(sms, "^err [^;]*, with what changes at a restart only: gateway-1: rate: expected at least 1.*keeping the old")


@test
def what_is_on_its_way_while_it_reloads_arrives_once_and_whole(b):
    sms = editable(b)
    for n in range(100):
        b.person(f"K{n}", phone=f"154{n:08d}")
    uids = {f"n{n}" for n in range(1500)}
    pipe = b.r.pipeline(transaction=False)
    for n in range(1500):
        pipe.execute_command("FCALL", "dibao_publish", 1, BASE, notice(f"n{n}", "award", badge=f"K{n % 100}"))
    pipe.execute()
    bodies = ["{name}获得表彰甲", "{name}获得表彰乙"]
    for k in range(20):
        template(b, "award.final", bodies[k % 2])
        reload(sms, "^notice reloaded")
    texts = sms.wait_texts(uids)
    said = {t for _, t in texts.values()}
    assert len(said) >= 2 and all(re.search("获得表彰[甲乙]$", t) or "演示" in t for t in said), said


run(of=Office)
