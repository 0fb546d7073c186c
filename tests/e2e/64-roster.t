#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# dibaoctl roster: files of people against a real Redis; what comes into force, what is refused, told
# and hidden. Names and numbers are invented (dibao-seed: 154 is nobody's).
from dibao_test import *

USAGE, DATAERR, NOINPUT, NOPERM = 64, 65, 66, 77
HEAD = "辅警编号,姓名,手机号码,机构代码,部门,状态"


def person(n, name=None, phone=None, org=HUXU, unit="一中队", active="在职"):
    """A row; n makes the badge, and what is not given."""
    return f"YS{n:06},{name or f'演示{n:03}'},{phone if phone is not None else f'154{n:08}'},{org},{unit},{active}"


def start(b, n=100):
    b.start_redis()
    with open(b.path("ctl.conf"), "w") as f:
        f.write(f"[redis]\nredis = unix:{b.redis_socket}\n")
    return load(b, people(n))[0] if n else None


def people(n, **changed):
    """Rows 1 to n by number, some of them others."""
    rows = {i: person(i) for i in range(1, n + 1)}
    rows.update({int(k[1:]): v for k, v in changed.items()})
    return [r for _, r in sorted(rows.items()) if r]


def roster(b, *args, code=0, conf="ctl.conf"):
    p = subprocess.run([BUILD + "/bin/dibaoctl", "-c", b.path(conf), "--json", "roster", *args],
                       capture_output=True, timeout=240 * SLOW, text=True)
    assert p.returncode == code, f"{args}: exit code {p.returncode}, not {code}: {p.stdout}{p.stderr}"
    assert not re.search("Sanitizer|runtime error:", p.stderr), p.stderr
    return p.stdout, p.stderr


def cpu(b, argv):
    """s of processor time that a program and Redis take for it; its output."""
    redis = lambda: b.r.info("cpu")["used_cpu_user"] + b.r.info("cpu")["used_cpu_sys"]
    before = redis()
    with open(b.path("cpu.out"), "w") as f:
        p = subprocess.Popen(argv, stdout=f)
    _, status, used = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    assert p.returncode == 0
    with open(b.path("cpu.out")) as f:
        return used.ru_utime + used.ru_stime + redis() - before, f.read()


def load(b, rows, *args, code=0, head=HEAD, raw=None, conf="ctl.conf"):
    data = raw if raw is not None else ("\n".join([head, *rows]) + "\n").encode()
    with open(b.path("roster.csv"), "wb") as f:
        f.write(data)
    out, err = roster(b, "import", b.path("roster.csv"), "--headings", ROOT + "/config/headings.tsv", *args,
                      code=code, conf=conf)
    no_data(out + err)
    return json.loads(out) if out else None, err


def no_data(text):
    """Neither a name nor a number of anybody is in what is told."""
    assert not re.search(r"演示\d|1[3-9]\d{9}", text), text


def row(b, n):
    r = b.r.hget(BASE + "roster", f"YS{n:06}")
    names = "v name phone since org unit active left flags out lacking".split()
    return dict(zip(names, r.decode().split("\t"))) if r else None


def whole(b):
    return b.r.hgetall(BASE + "roster")


@test
def a_roster_comes_into_force_whole_and_the_same_again_changes_nothing(b):
    said = start(b)
    assert (said["added"], said["active"], said["people"], said["demo"]) == (100, 100, 100, 100), said
    assert row(b, 7) | {"since": ""} == {"v": "1", "name": "演示007", "phone": "15400000007", "since": "", "org": HUXU,
                                         "unit": "一中队", "active": "1", "left": "0", "flags": "", "out": "", "lacking": "0"}
    before, meta = whole(b), b.r.hgetall(BASE + "roster:meta")
    again, _ = load(b, people(100))
    assert (again["changed"], again["unchanged"]) == (False, 100), again
    assert (before, meta) == (whole(b), b.r.hgetall(BASE + "roster:meta"))
    assert meta[b"version"] == b"1" and meta[b"demo"] == b"100" and b.r.ttl(BASE + "roster") == -1
    assert b.r.keys("*next*") == []


@test
def seed_rosters_in_either_language_and_encoding_are_read_in_seconds(b):
    b.start_redis()
    with open(b.path("ctl.conf"), "w") as f:
        f.write(f"[redis]\nredis = unix:{b.redis_socket}\n")
    for size, headings, encoding in ((42000, "zh", "utf-8"), (3000, "en", "gb18030")):
        b.r.flushall()
        seed = subprocess.run([BUILD + "/bin/dibao-seed", "--root", ROOT, "roster", "--size", str(size), "--headings", headings],
                              capture_output=True, text=True, check=True).stdout
        with open(b.path("seed.csv"), "wb") as f:
            f.write(seed.encode(encoding))
        took, out = cpu(b, [BUILD + "/bin/dibaoctl", "-c", b.path("ctl.conf"), "--json", "roster", "import", b.path("seed.csv"),
                            "--headings", ROOT + "/config/headings.tsv"])
        said = json.loads(out)
        assert took < 10 * SLOW, took
        assert (said["added"], said["refused"], said["no_number"]) == (size, 0, 0), said
        assert b.r.hlen(BASE + "roster") == size and said["active"] < size


@test
def organisations_are_known_by_code_name_and_alias_and_numbers_however_written(b):
    start(b, 0)
    said, _ = load(b, [person(1, org="胥江派出所"), person(2, org="沧浪分局", phone="+86 154-0000-0002"),
                       person(3, phone="１５４００００００３３"), person(4, phone="", active="离职"),
                       person(5, org="无此单位"), person(6, org=""), person(7, name=" 演示\u3000七 ")], code=DATAERR)
    assert (said["people"], said["refused"], said["no_number"]) == (5, 2, 0), said
    assert row(b, 1)["org"] == HUXU and row(b, 2)["org"] == "320508000000"
    assert (row(b, 2)["phone"], row(b, 3)["phone"], row(b, 4)["phone"]) == ("15400000002", "15400000033", "")
    assert (row(b, 4)["active"], row(b, 7)["name"]) == ("0", "演示 七")


@test
def a_refused_row_is_told_by_line_and_why_and_its_person_stays_as_he_is(b):
    start(b)
    before = whole(b)
    bad = {2: person(2, phone="1540000"), 3: person(3, phone="1.54E+10"), 4: person(4, phone="12400000004"),
           5: person(5, phone="15400000005/15400000006"), 6: person(6, active="或许"), 7: person(7, name="　"),
           8: person(8, name="甲" * 41), 9: person(9) + '"', 10: person(10).replace("YS", "Y-S")}
    rows = people(100)
    for n, text in bad.items():
        rows[n - 1] = text
    rows[49] = person(50, unit="二中队")
    rows += [person(50, unit="三中队")]
    said, err = load(b, rows, code=DATAERR)
    for n in range(2, 10):
        assert f"line {n + 1}: " in err, err
    # 10 has no badge that can be read; 50 stands twice.
    assert said["refused"] == 11 and said["missing"] == 1, (said, err)
    after = whole(b)
    for n in (2, 3, 4, 5, 6, 7, 8, 50):
        assert after[b"YS%06d" % n] == before[b"YS%06d" % n], n
    path = b.path("roster.csv.refused.csv")
    assert os.stat(path).st_mode & 0o777 == 0o600
    with open(path) as f:
        refused = f.read()
    assert refused.count("refused_why") == 1 and "1.54E+10" in refused and refused.count("YS000050") == 2
    # Mended, it is a delta.
    for n, text in bad.items():
        if n < 9:
            refused = refused.replace(text, person(n, phone=f"154{n + 500:08}"))
    mended, _ = load(b, None, "--delta", raw=refused.encode(), code=DATAERR)
    assert mended["number_changed"] == 7 and row(b, 2)["phone"] == "15400000502", mended


@test
def a_truncated_file_changes_nothing(b):
    start(b, 200)
    before, meta = whole(b), b.r.hgetall(BASE + "roster:meta")
    data = ("\n".join([HEAD, *people(200)]) + "\n").encode()
    seen = set()
    # At any byte of the last rows, and here and there before.
    for end in [*range(len(data) - 260, len(data) - 1), *range(100, len(data) - 260, 997)]:
        with open(b.path("cut.csv"), "wb") as f:
            f.write(data[:end])
        p = subprocess.run([BUILD + "/bin/dibaoctl", "-c", b.path("ctl.conf"), "roster", "import", b.path("cut.csv"),
                            "--headings", ROOT + "/config/headings.tsv"], capture_output=True, text=True)
        rest = data[:end]
        lost = 200 - rest.count(b"\n") + (1 if not rest.endswith(b"\n") else 0)
        if whole(b) != before:
            # At a row's end, and within two per cent: nothing tells it from a list with fewer people.
            assert rest.endswith(b"\n") or data[end:end + 1] == b"\n", (end, p.stderr)
            assert 200 - len(rest.rstrip(b"\n").split(b"\n")) + 1 <= 4, (end, p.stderr)
            roster(b, "undo")
            assert whole(b) == before
            continue
        seen.add(re.sub(r"\d+|.*/", "", p.stderr.strip().split("\n")[-1])[-40:])
        assert p.returncode == DATAERR, (end, p.returncode, p.stderr)
        try:
            rest.decode()
        except UnicodeDecodeError:
            assert "ends within a character of UTF-8" in p.stderr, (end, p.stderr)
    assert len(seen) >= 2, seen


@test
def over_two_per_cent_leaving_going_or_renamed_stops_a_replacement_until_it_is_allowed(b):
    start(b)
    before = whole(b)
    two = people(100, n7=None, n8=person(8, active="离职"))
    three = people(100, n7=None, n8=person(8, active="离职"), n9=person(9, name="别人"))
    said, err = load(b, three, code=DATAERR)
    assert whole(b) == before and "--allow-removals 3" in err, err
    assert (said["losses"], said["allowed"], said["renamed_badges"]) == (3, 2, ["YS000009"]), said
    load(b, three, "--allow-removals", "2", code=DATAERR)
    assert whole(b) == before
    dry, _ = load(b, three, "--allow-removals", "3", "--dry-run")
    assert whole(b) == before and not dry["changed"] and (dry["missing"], dry["left"]) == (1, 1), dry
    load(b, two)
    assert (row(b, 7)["active"], row(b, 8)["active"], row(b, 8)["phone"]) == ("0", "0", "15400000008")
    assert int(row(b, 7)["left"]) > 0 and int(row(b, 7)["lacking"]) > 0 and row(b, 8)["lacking"] == "0"
    # Mojibake is other names: a file read in a wrong encoding stops, too.
    load(b, None, "--encoding", "gb18030", raw=("\n".join([HEAD.encode().decode("gb18030", "replace"), *two])).encode(),
         code=DATAERR)


@test
def a_delta_leaves_everybody_else_alone(b):
    start(b)
    said, _ = load(b, [person(3, phone="15400000333"), person(101), person(4, active="离职")], "--delta")
    assert (said["added"], said["number_changed"], said["left"], said["missing"]) == (1, 1, 1, 0), said
    assert said["active"] == 100 and row(b, 50)["active"] == "1" and row(b, 3)["phone"] == "15400000333"


@test
def numbers_of_two_and_numbers_that_changed_hands_are_told_and_marked_until_they_change(b):
    start(b)
    said, _ = load(b, people(100, n1=person(1, phone="15400000002"), n3=person(3, phone="15400000004"),
                             n4=person(4, phone="15400000003")))
    assert (said["shared_badges"], said["moved_badges"]) == (["YS000001", "YS000002"], ["YS000001", "YS000003", "YS000004"])
    assert [row(b, n)["flags"] for n in (1, 2, 3, 4, 5)] == ["sm", "s", "m", "m", ""]
    # A leaver's number that a newcomer gets; the flag outlasts later imports.
    load(b, people(100, n5=None))
    said, _ = load(b, people(100, n5=None) + [person(105, phone="15400000005")])
    assert said["moved_badges"] == ["YS000105"] and row(b, 105)["flags"] == "m", said
    load(b, people(100, n5=None) + [person(105, phone="15400000005", unit="二中队")])
    assert row(b, 105)["flags"] == "m"
    load(b, people(100, n5=None) + [person(105, phone="15400000905")])
    assert row(b, 105)["flags"] == ""


@test
def a_badge_that_somebody_else_has_now_keeps_nothing_of_the_first(b):
    start(b, 0)
    head = HEAD + ",不接收短信"
    load(b, [person(1) + ",奖励、晋升", person(2) + ",", person(3) + ",处分"], head=head, code=DATAERR)
    assert row(b, 1)["out"] == "promotion,award" and row(b, 3) is None
    roster(b, "confirm", "YS000001")
    load(b, [person(1, name="另一人")], "--delta")
    assert row(b, 1)["out"] == "" and row(b, 1)["flags"] == "m"
    assert json.loads(roster(b, "show", "YS000001")[0])["confirmed"] == 0
    # The same name written another way is the same person.
    since = row(b, 2)["since"]
    load(b, [person(2, name="演 示 002")], "--delta")
    assert (row(b, 2)["name"], row(b, 2)["since"], row(b, 2)["flags"]) == ("演 示 002", since, "")


@test
def who_comes_back_under_a_new_badge_with_the_old_number_is_the_same_person(b):
    start(b)
    load(b, people(100, n9=None))
    said, _ = load(b, people(100, n9=None) + [person(109, name="演示009", phone="15400000009")])
    assert said["moved_badges"] == [] and row(b, 109)["flags"] == "", said
    # Two of one name whose numbers were swapped are two people.
    load(b, [person(111, name="同名"), person(112, name="同名")], "--delta")
    said, _ = load(b, [person(111, name="同名", phone="15400000112"), person(112, name="同名", phone="15400000111")], "--delta")
    assert said["moved_badges"] == ["YS000111", "YS000112"], said


@test
def undo_brings_the_roster_before_and_undone_again_the_later(b):
    start(b)
    first = whole(b)
    roster(b, "undo", code=DATAERR)
    load(b, [person(1, phone="15400000999"), person(101)], "--delta")
    later = whole(b)
    assert first != later
    roster(b, "undo")
    meta = b.r.hgetall(BASE + "roster:meta")
    assert whole(b) == first and (meta[b"rows"], meta[b"act"], meta[b"version"]) == (b"100", b"undo", b"3"), meta
    roster(b, "undo")
    assert whole(b) == later and b.r.hget(BASE + "roster:meta", "rows") == b"101"


@test
def a_number_is_shown_by_seven_digits_and_whole_only_once_that_is_written_down(b):
    start(b)
    masked = roster(b, "show", "YS000001")[0]
    assert json.loads(masked)["phone"] == "154****0001" and "15400000001" not in masked
    assert b.r.xlen(BASE + "audit") == 1
    assert json.loads(roster(b, "show", "YS000001", "--reveal")[0])["phone"] == "15400000001"
    act = b.r.xrevrange(BASE + "audit", count=1)[0][1]
    assert (act[b"act"], act[b"what"]) == (b"roster reveal", b"YS000001") and b"uid=" in act[b"who"]
    roster(b, "show", "YS999999", code=DATAERR)
    roster(b, "show", "YS-1", code=USAGE)
    # No entry, no number.
    b.r.delete(BASE + "audit")
    b.r.set(BASE + "audit", "not a stream")
    assert "15400000001" not in roster(b, "show", "YS000001", "--reveal", code=DATAERR)[0]


@test
def of_what_was_said_of_a_number_the_newest_holds_and_show_says_what_does_not(b):
    start(b)
    since = json.loads(roster(b, "show", "YS000001")[0])["phone_since"]
    over = ", which no longer holds"
    told = {}
    for marks in ({"disputed": 20}, {"disputed": 20, "confirmed": 30}, {"bad": 20, "confirmed": 30, "disputed": 40},
                  {"confirmed": 30, "bad": 30}, {"confirmed": 30}):
        for mark in ("bad", "confirmed", "disputed"):
            key = BASE + ("roster:" if mark == "confirmed" else "sms:") + mark
            b.r.hdel(key, "YS000001")
            if mark in marks:
                b.r.hset(key, "YS000001", f"{since} {since + marks[mark] * 1000}")
        out = subprocess.run([BUILD + "/bin/dibaoctl", "--redis", "unix:" + b.redis_socket, "roster", "show", "YS000001"],
                             capture_output=True, text=True, check=True).stdout
        told[tuple(marks)] = {m: rest for m, rest in
                              re.findall(r"(?m)^  (confirmed|number is bad|disputed) +\S+ \d\d:\d\d:\d\d\+08:00(.*)$", out)}
    assert told == {("disputed",): {"disputed": ""},
                    ("disputed", "confirmed"): {"confirmed": "", "disputed": over + ": confirmed since"},
                    ("bad", "confirmed", "disputed"): {"confirmed": over, "number is bad": over + ": confirmed since", "disputed": ""},
                    ("confirmed", "bad"): {"confirmed": over, "number is bad": ""},
                    ("confirmed",): {"confirmed": ""}}, told


@test
def a_confirmed_number_is_confirmed_until_it_changes(b):
    start(b)
    version = int(b.r.hget(BASE + "roster:meta", "version"))
    roster(b, "confirm", "YS000001")
    assert json.loads(roster(b, "show", "YS000001")[0])["confirmed"] > 0
    assert int(b.r.hget(BASE + "roster:meta", "version")) == version + 1
    load(b, [person(1, unit="三中队")], "--delta")
    assert json.loads(roster(b, "show", "YS000001")[0])["confirmed"] > 0
    load(b, [person(1, phone="15400000777")], "--delta")
    assert json.loads(roster(b, "show", "YS000001")[0])["confirmed"] == 0
    load(b, [person(2, phone="")], "--delta")
    roster(b, "confirm", "YS000002", code=DATAERR)
    roster(b, "confirm", "YS999999", code=DATAERR)


@test
def who_loses_a_race_changes_nothing_and_says_so(b):
    start(b)
    load(b, people(100, n1=person(1, unit="二中队")))
    other = redis_client.Redis(unix_socket_path=b.redis_socket)
    losers = []

    def importer(k):
        with open(b.path(f"r{k}.csv"), "w") as f:
            f.write("\n".join([HEAD, person(1, unit=f"{k}中队")]) + "\n")
        p = subprocess.run([BUILD + "/bin/dibaoctl", "-c", b.path("ctl.conf"), "roster", "import", b.path(f"r{k}.csv"),
                            "--delta", "--headings", ROOT + "/config/headings.tsv"], capture_output=True, text=True)
        losers.append((p.returncode, p.stderr))

    threads = [threading.Thread(target=importer, args=(k,)) for k in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    won = [c for c, _ in losers if c == 0]
    assert won and all(c == 0 or (c == 75 and "another changed the roster" in e) for c, e in losers), losers
    assert int(other.hget(BASE + "roster:meta", "version")) == 2 + len(won)
    assert other.xlen(BASE + "audit") == 2 + len(won) and other.hlen(BASE + "roster") == 100


@test
def the_importers_redis_user_may_all_of_it_and_no_other_any(b):
    start(b)
    subprocess.run([BUILD + "/bin/dibaoctl", "-c", b.path("ctl.conf"), "setup", "--acl", "--apply", "--passwords", b.dir],
                   check=True, capture_output=True)
    b.r.execute_command("ACL", "LOG", "RESET")
    for user in ("roster", "operator"):
        with open(b.path(user + ".conf"), "w") as f:
            f.write(f"[redis]\nredis = unix:{b.redis_socket}\nredis_user = {user}\n"
                    f"redis_password_file = {b.path(user)}.password\n")
    load(b, people(100, n1=person(1, phone="15400000999")), conf="roster.conf")
    for args in (["undo"], ["confirm", "YS000001"], ["show", "YS000001", "--reveal"]):
        roster(b, *args, conf="roster.conf")
    assert b.r.acl_log() == []
    before = whole(b)
    load(b, people(100, n1=person(1, unit="九中队")), conf="operator.conf", code=NOPERM)
    for args in (["undo"], ["confirm", "YS000001"], ["show", "YS000001", "--reveal"]):
        roster(b, *args, conf="operator.conf", code=NOPERM)
    assert whole(b) == before


def lines(*objects):
    return "".join(json.dumps(o, ensure_ascii=False) + "\n" for o in objects).encode()


def as_object(n, **more):
    return {"辅警编号": f"YS{n:06}", "姓名": f"演示{n:03}", "手机号码": 15400000000 + n, "机构代码": HUXU, "部门": "一中队",
            "状态": "在职", **more}


@test
def json_lines_make_the_same_roster_as_the_table_of_the_same_people(b):
    start(b)
    table = whole(b)
    same, _ = load(b, None, raw=lines(*(as_object(n) for n in range(1, 101))))
    assert (same["changed"], same["unchanged"]) == (False, 100), same
    said, err = load(b, None, raw=b"\n" + lines(
        {"badge": "YS000001", "name": "演示001", "phone": "154-0000 0999", "active": True, "hobby": "x", "org": HUXU},
        {"badge": "YS000002", "name": "演示002", "phone": None, "active": True, "opted_out": ["award", "promotion"], "org": HUXU},
        {"badge": "YS000003", "name": "演示003", "phone": "15400000003", "active": False, "left_on": "2026-11-01", "org": HUXU}),
        *["--delta"])
    assert (said["rows"], said["number_changed"], said["left"], said["refused"]) == (3, 2, 1, 0), said
    assert "column not used: hobby" in err, err
    assert row(b, 1)["phone"] == "15400000999" and row(b, 2)["phone"] == "" and row(b, 2)["out"] == "promotion,award"
    assert row(b, 3)["active"] == "0" and row(b, 1)["unit"] == "一中队", "what no object has stays"
    roster(b, "undo")
    assert whole(b) == table
    load(b, None, "--format", "table", raw=lines(as_object(1)), code=DATAERR)
    load(b, people(3), "--format", "json", code=DATAERR)
    load(b, people(3), "--format", "yaml", code=USAGE)
    assert whole(b) == table


@test
def a_refused_json_line_keeps_its_person_and_can_be_mended_and_imported_again(b):
    start(b)
    good = [as_object(n) for n in range(1, 101)]
    good[4] = as_object(5, 手机号码="1540000000")
    good[5] = as_object(6, 机构代码="no such")
    good[6] = as_object(7, 手机号码={"mobile": 1})
    good[7] = as_object(8, phone="15400000008")
    raw = lines(*good[:50]) + b'{"badge": "YS0000\n' + lines(as_object(51), as_object(51)) + lines(*good[51:])
    said, err = load(b, None, "--delta", raw=raw, code=DATAERR)
    assert said["refused"] == 7, (said, err)
    for why in ("line 5: phone: ", "line 6: org: neither", "line 7: phone: expected a text", "line 8: phone: two keys",
                "line 51: not an object of JSON", "line 52: badge: stands in this file more than once", "line 53: badge: "):
        assert why in err, (why, err)
    assert row(b, 5)["phone"] == "15400000005"
    path = b.path("roster.csv.refused.jsonl")
    assert os.stat(path).st_mode & 0o777 == 0o600
    with open(path) as f:
        refused = [json.loads(l) for l in f]
    assert [r["line"] for r in refused] == [5, 6, 7, 8, 51, 52, 53] and "text" in refused[4], refused
    mended = [r for r in refused if "person" in r][:4]
    mended[0]["person"]["手机号码"] = "15400000555"
    mended[1]["person"]["机构代码"] = HUXU
    mended[2]["person"]["手机号码"] = "15400000777"
    del mended[3]["person"]["phone"]
    said, _ = load(b, None, "--delta", raw=lines(*mended))
    assert (said["rows"], said["refused"], said["number_changed"]) == (4, 0, 2), said
    assert row(b, 5)["phone"] == "15400000555" and row(b, 7)["phone"] == "15400000777"


@test
def a_file_of_json_lines_that_was_cut_short_changes_nothing(b):
    start(b)
    before = whole(b)
    raw = lines(*(as_object(n, 部门="九中队") for n in range(1, 101)))
    for cut in (1, 2, 40):
        out, err = load(b, None, "--delta", raw=raw[:-cut - 1], code=DATAERR)
        assert "cut short" in err, err
        assert whole(b) == before
    load(b, None, "--delta", raw=raw[:-1])
    assert row(b, 100)["unit"] == "九中队"


run()
