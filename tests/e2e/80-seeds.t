#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Seed data: the bureau's shape, people who are nobody, a year in its proportions; make deps.
import collections
import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SEED = os.path.join(os.environ.get("DIBAO_BUILD", os.path.join(ROOT, "build")), "bin/dibao-seed")
tests = []


def test(f):
    tests.append(f)
    return f


def seed(*args, want=0):
    p = subprocess.run([SEED, *map(str, args)], capture_output=True, text=True, timeout=240)
    assert p.returncode == want, f"{args}: exit {p.returncode}, wanted {want}: {p.stderr[-500:]}"
    return p.stderr if want else p.stdout


def lines(*args):
    return [json.loads(l) for l in seed(*args).splitlines()]


def table(name):
    return lines("tables", name)


def roster(*args):
    return list(csv.DictReader(io.StringIO(seed("roster", *args))))


YEAR = []


def year():
    if not YEAR:
        YEAR.extend(lines("year", "--seed", 7))
    return YEAR


@test
def the_tables_are_sound_and_hold_what_the_bureau_is():
    seed("tables")
    orgs = {o["code"]: o for o in table("orgs")}
    assert "演示数据" in orgs["320500000000"]["name"]
    assert orgs["320508530000"]["name"] == "胥江派出所"
    for d in "08 06 07 05 09 81 82 83 85 90".split():
        assert orgs[f"3205{d}000000"]["parent"] == "320500000000", d
    gusu = orgs["320508000000"]["aliases"].split(",")
    assert {"320502", "320503", "320504"} <= set(gusu)
    assert sum(o["kind"] == "station" for o in orgs.values()) >= 200
    assert {"traffic", "special"} <= {o["kind"] for o in orgs.values()
                                      if o["parent"] == "320500000000"}
    ranks = table("ranks")
    assert len(ranks) == 10 and all(r["mark"] == "assumed" for r in ranks)
    posts = table("posts")
    assert len(posts) == 27
    assert {p["category"] for p in posts} == {"技术", "文员", "执勤", "特勤"}
    for t in (orgs.values(), ranks, table("awards"), table("penalties")):
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", r["valid_from"]) for r in t)


@test
def one_seed_gives_the_same_bytes_and_another_seed_others():
    for args in (["roster", "--size", 300], ["year", "--size", 300],
                 ["stream", "--count", 40, "--interval", 0]):
        a, b, c = (seed(*args, "--seed", s) for s in (5, 5, 6))
        assert a == b, args
        assert a != c, args


@test
def a_short_roster_is_the_head_of_the_whole_one():
    whole = roster()
    assert len(whole) == 42000
    assert roster("--size", 100) == whole[:100]
    codes = {o["code"] for o in table("orgs")}
    assert {p["org"] for p in whole} <= codes
    assert len({p["badge"] for p in whole}) == 42000
    assert {p["post"] for p in whole} == {p["name"] for p in table("posts")}
    assert len({p["rank"] for p in whole}) == 10


@test
def phone_numbers_pass_the_check_and_cannot_be_real():
    phones = [p["phone"] for p in roster()]
    assert len(set(phones)) == 42000
    assert all(re.fullmatch(r"1[3-9]\d{9}", n) and n.startswith("154") for n in phones)


@test
def some_names_are_outside_the_basic_plane_some_are_long_and_some_are_equal():
    names = [p["name"] for p in roster()]
    assert sum(any(ord(c) > 0xFFFF for c in n) for n in names) > 100
    assert any("·" in n for n in names)
    assert max(collections.Counter(names).values()) > 1
    assert all(2 <= len(n) <= 20 for n in names)


@test
def json_and_chinese_headings_tell_the_same_people():
    plain = roster("--size", 50)
    zh = list(csv.reader(io.StringIO(seed("roster", "--size", 50, "--headings", "zh"))))
    assert zh[0][:4] == ["辅警编号", "姓名", "手机号码", "机构代码"]
    assert [r[:9] for r in zh[1:]] == [list(p.values())[:9] for p in plain]
    assert {r[9] for r in zh[1:]} <= {"在职", "离职"}
    js = lines("roster", "--size", 50, "--format", "json")
    assert [list(p.values())[:9] for p in js] == [list(p.values())[:9] for p in plain]


@test
def a_year_has_the_figures_of_2016():
    c = collections.Counter()
    for e in year():
        if "retracts" not in e and "corrects" not in e:
            c[e["type"], e["body"].get("state")] += 1
            c["anonymous"] += e["type"] == "mailbox_reply" and "person" not in e
        for flag in ("private", "urgent", "retracts", "corrects", "follows"):
            c[flag] += flag in e
    assert c["award", "final"] == 4055
    assert c["penalty", None] == 536
    assert c["welfare_visit", None] == 560
    assert c["promotion", "final"] > 1000
    for some in ("anonymous", "private", "urgent", "retracts", "corrects", "follows"):
        assert c[some] > 0, some
    assert max(collections.Counter(e["person"]["badge"] for e in year()
                                   if e["type"] == "award").values()) > 1


@test
def promotions_come_in_batches_under_one_document():
    finals = [e for e in year() if e["type"] == "promotion" and e["body"].get("state") == "final"]
    by_ref = collections.Counter(e["ref"] for e in finals)
    assert len(by_ref) < 60 and max(by_ref.values()) > 100
    order = [r["code"] for r in table("ranks")]
    assert all(order.index(e["body"]["from"]["code"]) < order.index(e["body"]["to"]["code"])
               for e in finals)


@test
def events_refer_only_to_earlier_ones_of_the_same_person():
    seen, at = {}, 0
    for e in year():
        assert e["uid"] not in seen
        assert e["at"] >= at
        at = e["at"]
        for key in ("retracts", "corrects", "follows"):
            if key in e:
                of = seen[e[key]]
                assert of["type"] == e["type"] and of.get("private") == e.get("private")
                assert of.get("person", {}).get("badge") == e.get("person", {}).get("badge")
                if key == "follows":
                    assert of["body"]["state"] == "proposed" and e["body"]["state"] == "final"
        seen[e["uid"]] = e


@test
def a_secret_event_has_no_public_notice():
    assert not any(e.get("private") and e["body"].get("state") == "proposed" for e in year())


@test
def no_text_keeps_a_brace_or_a_placeholder():
    for e in year():
        for v in e["body"].values():
            assert not isinstance(v, str) or not re.search(r"[{}|<>]", v), e["uid"]


@test
def every_alternative_of_a_text_comes_up():
    reasons = {e["body"].get("reason", "") for e in year() if e["type"] == "award"}
    for word in ("金鸡湖", "夏夜", "平安一号"):
        assert any(word in r for r in reasons), word
    assert len(reasons) > 200, len(reasons)


@test
def history_is_marked_when_asked_for():
    assert all(e["record"] is True for e in lines("year", "--size", 200, "--record"))


@test
def an_organisation_alone_has_only_its_own_people():
    for args in (["stream", "--count", 200, "--interval", 0], ["year"]):
        es = lines(*args, "--org", "320508530000")
        assert len(es) > 100
        assert all(e["org"] == "320508530000" or "person" not in e for e in es)
    seed("stream", "--org", "999", "--count", 1, want=1)


@test
def a_viewer_of_the_stream_sees_all_types_within_sixteen_events():
    es = lines("stream", "--count", 400, "--interval", 0)
    for i in range(len(es) - 16):
        assert len({e["type"] for e in es[i:i + 16] if "retracts" not in e}) == 5, i
    assert len({e["type"] for e in es[:8]}) == 5
    uids = set()
    for e in es:
        assert all(e[k] in uids for k in ("retracts", "corrects", "follows") if k in e)
        uids.add(e["uid"])
    assert any("retracts" in e for e in es) and any("corrects" in e for e in es)


@test
def a_stream_that_starts_now_bears_the_time_of_the_clock():
    before = time.time() * 1000 - 1
    es = lines("stream", "--start-now", "--count", 3, "--interval", 0.01)
    assert all(before <= e["at"] <= time.time() * 1000 + 1 for e in es)


@test
def a_reader_that_leaves_is_no_error():
    p = subprocess.Popen([SEED, "year"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdout.readline()
    p.stdout.close()
    assert p.wait(240) == 0 and p.stderr.read() == b""


@test
def a_damaged_table_is_refused_with_file_and_line():
    damages = [
        ("config/orgs.tsv", "320508530000\t", "32050853000\t", "12 digits"),
        ("config/orgs.tsv", "station\t320508000000", "station\t320599000000", "parent"),
        ("config/ranks.tsv", "R05\t", "R04\t", "earlier line"),
        ("config/awards.tsv", "A02\t", "A99\t", "share of a code"),
        ("seeds/posts.tsv", "S05\t", "", "cells"),
        ("seeds/figures.tsv", "awards\t4055", "awards\tmany", "whole number"),
        ("seeds/visits.tsv", "V06\t", "V99\t", "code that"),
        ("seeds/shares.tsv", "01-15 04-15", "01-15 04/15", "MM-DD"),
        ("seeds/letters.tsv", "mailbox\tquestion", "question\tmailbox", "columns"),
    ]
    for name, old, new, words in damages:
        with tempfile.TemporaryDirectory() as tmp:
            for d in ("config", "seeds"):
                os.mkdir(f"{tmp}/{d}")
                for f in os.listdir(f"{ROOT}/{d}"):
                    if f.endswith(".tsv"):
                        shutil.copy(f"{ROOT}/{d}/{f}", f"{tmp}/{d}")
            with open(f"{tmp}/{name}", encoding="utf-8") as f:
                text = f.read()
            assert old in text, (name, old)
            with open(f"{tmp}/{name}", "w", encoding="utf-8") as f:
                f.write(text.replace(old, new, 1))
            err = seed("--root", tmp, "tables", want=1)
            assert re.search(r"\.tsv:\d+: ", err) and words in err, (name, err)


@test
def other_figures_come_from_a_file():
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as f:
        f.write("key\tvalue\tmark\tnote\nawards\t11\t\t\npenalties\t0\t\t\nroster\t60\t\t\n")
        f.flush()
        es = lines("-c", f.name, "year")
    assert sum(e["type"] == "award" and e["body"].get("state") == "final" and "corrects" not in e
               for e in es) == 11
    assert not any(e["type"] == "penalty" for e in es)


@test
def wrong_usage_is_told_from_failure():
    for args in ([], ["years"], ["roster", "--size", "0"], ["roster", "--format", "xml"],
                 ["stream", "--interval", "-1"], ["year", "more"], ["--nonsense"],
                 ["stream", "--org", "32x"], ["roster", "--year", "1999"]):
        seed(*args, want=64)


@test
def the_manual_and_the_help_name_the_same_options():
    with open(f"{ROOT}/seeds/dibao-seed.1", encoding="utf-8") as f:
        page = f.read().replace("\\-", "-")
    options = set(re.findall(r"--([a-z]+(?:-[a-z]+)*)", seed("--help")))
    documented = set(re.findall(r"^\.It Fl -([a-z-]+)", page, re.M))
    assert options == documented, options ^ documented


# ---- make deps ----

def deps(path, *packages):
    return subprocess.run([f"{ROOT}/seeds/deps.sh", *packages], capture_output=True, text=True,
                          env=dict(os.environ, PATH=path), stdin=subprocess.DEVNULL, timeout=240)


def machine(tmp, **programs):
    """A directory to be the whole PATH: these programs, as shell scripts, and a few plain tools."""
    for name, script in programs.items():
        path = f"{tmp}/{name.replace('_', '-')}"
        with open(path, "w") as f:
            f.write("#!/bin/sh\n" + script + "\n")
        os.chmod(path, 0o755)
    for tool in ("sh", "sed", "tr", "env", "grep", "id"):
        if not os.path.exists(f"{tmp}/{tool}"):
            os.symlink(shutil.which(tool), f"{tmp}/{tool}")
    return tmp


def log_of(tmp):
    with open(f"{tmp}/log") as f:
        return f.read()


@test
def make_deps_is_silent_and_quick_when_nothing_is_missing():
    with tempfile.TemporaryDirectory() as tmp:
        path = machine(tmp, dpkg_query='printf "installed aa\\ninstalled bb\\n"', apt_get="exit 9")
        before = os.times()
        p = deps(path, "aa", "bb")
        after = os.times()
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        assert spent < 0.3, f"{spent} s of a processor"
        assert (p.returncode, p.stdout, p.stderr) == (0, "", ""), p


@test
def make_deps_installs_all_that_is_missing_at_once():
    with tempfile.TemporaryDirectory() as tmp:
        path = machine(tmp, dpkg_query='printf "installed aa\\nnot-installed bb\\n"; exit 1',
                       apt_cache="echo Package: x", id="echo 0",
                       apt_get=f'echo "$DEBIAN_FRONTEND $*" >>{tmp}/log')
        p = deps(path, "aa", "bb", "cc")
        assert p.returncode == 0, p
        assert "missing packages: bb cc" in p.stderr
        assert log_of(tmp) == "noninteractive -q install -y --no-install-recommends bb cc\n"


@test
def make_deps_fetches_the_lists_first_when_a_package_is_unknown():
    with tempfile.TemporaryDirectory() as tmp:
        path = machine(tmp, dpkg_query="exit 1", apt_cache="exit 0", id="echo 0",
                       apt_get=f'echo "$2" >>{tmp}/log')
        p = deps(path, "bb")
        assert p.returncode == 0, p
        assert log_of(tmp) == "update\ninstall\n"


@test
def make_deps_goes_through_sudo_when_you_are_not_root():
    with tempfile.TemporaryDirectory() as tmp:
        path = machine(tmp, dpkg_query="exit 1", apt_cache="echo Package: x", id="echo 1000",
                       sudo=f'echo "$*" >>{tmp}/log', apt_get="exit 9")
        p = deps(path, "bb")
        assert p.returncode == 0, p
        assert "-n env DEBIAN_FRONTEND=noninteractive apt-get" in log_of(tmp)
        os.unlink(f"{tmp}/sudo")
        p = deps(path, "bb")
        assert p.returncode == 69 and "apt-get install bb" in p.stderr, p


@test
def make_deps_fails_when_apt_get_does():
    with tempfile.TemporaryDirectory() as tmp:
        path = machine(tmp, dpkg_query="exit 1", apt_cache="echo Package: x", id="echo 0",
                       apt_get="exit 100")
        p = deps(path, "bb", "cc")
        assert p.returncode == 69 and "bb cc" in p.stderr, p


@test
def elsewhere_than_debian_what_is_missing_is_named_and_nothing_is_tried():
    with tempfile.TemporaryDirectory() as tmp:
        path = machine(tmp, cc="exit 0", pkg_config='[ "$2" != libzmq ]', make="", python3="exit 1")
        p = deps(path, "gcc", "make", "libhiredis-dev", "libzmq3-dev", "python3-zmq", "redis-server")
        assert p.returncode == 69, p
        assert "names: libzmq3-dev python3-zmq redis-server\n" in p.stderr, p
        p = deps(path, "gcc", "make", "libhiredis-dev")
        assert (p.returncode, p.stderr) == (0, ""), p


print(f"1..{len(tests)}")
failed = 0
for i, t in enumerate(tests, 1):
    result = "ok"
    try:
        t()
    except Exception as e:  # one that ends badly must not hide the others
        result = "not ok"
        failed += 1
        print("# " + f"{type(e).__name__}: {str(e)[:800]}".replace("\n", "\n# "))
    print(f"{result} {i} - {t.__name__.replace('_', ' ')}", flush=True)
sys.exit(failed > 0)
