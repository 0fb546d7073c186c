#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# dibaoctl import: files of events against a real Redis; what is published, counted, refused.
import pty
import shlex

from dibao_test import *

USAGE, DATAERR, NOINPUT, IOERR, TEMPFAIL = 64, 65, 66, 74, 75
MANY = 30000  # rows: some checkpoints, and time to stop a run amid them
HEAD = "类型,单位,发文单位,警号,姓名,时间,body.kind.code,body.kind.name,body.state,body.public_reason,ref"
ENGLISH = "type,org,issuer,badge,name,at,body.kind.code,body.kind.name,body.state,body.public_reason,ref"


def row(badge, at="2017/7/5", reason="演示事由"):
    return f"award,{HUXU},演示局,{badge},演示,{at},HX,火线奖励,final,{reason},演〔2017〕1号"


def start(b):
    b.start_redis()
    b.d = Daemon(b, "never-started", {})
    subprocess.run([BUILD + "/bin/dibaoctl", "-c", b.d.config, "setup"], check=True, capture_output=True)


def command(b, name, *args):
    return [BUILD + "/bin/dibaoctl", "-c", b.d.config, "--json", "import", b.path(name), "--headings",
            ROOT + "/config/headings.tsv", *args]


def import_file(b, data, *args, code=0, name="in.csv"):
    """What it prints and complains of."""
    if data is not None:
        with open(b.path(name), "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())
    p = subprocess.run(command(b, name, *args),
                       capture_output=True, text=True, timeout=240 * SLOW)
    assert p.returncode == code, f"{args}: exit code {p.returncode}, not {code}: {p.stdout}{p.stderr}"
    assert not re.search("Sanitizer|runtime error:", p.stderr), p.stderr
    return [json.loads(l) for l in p.stdout.splitlines()], p.stderr


def stored(b):
    """All events in the streams, by uid."""
    found = [msgpack.unpackb(fields[b"e"]) for c in CHANNELS for _, fields in b.r.xrange(b.key(c))]
    assert len({e["uid"] for e in found}) == len(found), "one uid is stored twice"
    return {e["uid"]: e for e in found}


def line(uid, type="award", **more):
    return json.dumps({"uid": uid, "type": type, "at": 1700000000000, "org": HUXU, "issuer": "演示局",
                       "person": {"badge": "F000001", "name": "演示"}, "body": BODIES[type], **more}, ensure_ascii=False)


def many(b, name="in.csv"):
    with open(b.path(name), "w") as f:
        f.write("\n".join([HEAD, *(row(f"F{i:06}") for i in range(MANY))]))


def cut(b, number, *args):
    """Starts an import of in.csv and sends it that signal when its place has been written down once."""
    p = b.process(command(b, "in.csv", *args), b.path(f"import{len(b.processes)}.log"))
    until(lambda: os.path.exists(b.path("in.csv.dibao-import")) or not p.alive(), "a place is written down", every=0.001)
    p.signal(number)
    return p


@test
def json_lines_are_published_and_a_second_import_only_repeats_them(b):
    start(b)
    text = "".join(json.dumps({"uid": f"i-{i}", "type": "award", "at": 1700000000000, "org": HUXU, "issuer": "演示局",
                               "person": {"badge": f"F{i:06}", "name": "演示"}, "body": BODIES["award"]}) + "\n"
                   for i in range(5))
    assert import_file(b, text, name="in.jsonl")[0][-1]["new"] == 5
    again = import_file(b, text, name="in.jsonl")[0][-1]
    assert (again["new"], again["repeated"], again["refused"]) == (0, 5, 0), again


@test
def a_table_is_read_in_either_language_encoding_and_separator_and_the_encoding_is_told(b):
    start(b)
    said = import_file(b, HEAD + "\r\n" + row("F000001") + "\r\n")[0][-1]
    assert (said["new"], said["separator"]) == (1, "comma"), said
    for text, encoding in ((ENGLISH + "\n" + row("F000001"), "utf-8"), (HEAD + "\n" + row("F000001"), "utf-8-sig"),
                           (HEAD + "\n" + row("F000001"), "gb18030")):
        said = import_file(b, text.encode(encoding))[0][-1]
        assert said["repeated"] == 1 and ("GB18030" in said["encoding"].upper()) == (encoding == "gb18030"), said
        said = import_file(b, text.replace(",", "\t").encode(encoding))[0][-1]
        assert (said["repeated"], said["separator"]) == (1, "tab"), said


@test
def a_date_may_be_written_three_ways_and_a_number_spoilt_by_excel_is_refused_by_line_without_its_data(b):
    start(b)
    dates = [row("F000001"), row("F000001", "2017年7月5日"), row("F000001", "42921"), row("Ｆ０００００１")]
    said = import_file(b, "\n".join([HEAD, *dates]))[0][-1]
    assert (said["new"], said["repeated"]) == (1, 3), said
    out, err = import_file(b, "\n".join([HEAD, row("F000002"), row("1.38E+10")]), code=DATAERR)
    assert (out[-1]["new"], out[-1]["refused"]) == (1, 1), out
    assert "line 3" in err and "1.38E+10" not in err and "演示" not in err, err
    with open(out[-1]["refused_file"]) as f:
        refused = f.read()
    assert "1.38E+10" in refused, refused
    mended = import_file(b, refused.replace("1.38E+10", "F000003"), name="mended.csv")[0][-1]
    assert mended["new"] == 1, mended


@test
def a_dry_run_writes_nothing_and_a_missing_file_is_told_by_its_exit_code(b):
    start(b)
    before = b.r.dbsize()
    import_file(b, HEAD + "\n" + row("F000001"), "--dry-run")
    assert b.r.dbsize() == before
    import_file(b, None, name="none.csv", code=NOINPUT)


@test
def a_run_that_was_killed_goes_on_where_it_was_and_loses_nothing(b):
    start(b)
    many(b)
    assert cut(b, signal.SIGKILL).wait() == -signal.SIGKILL
    assert 0 < len(stored(b)) < MANY
    out, err = import_file(b, None)
    assert re.search(r"going on at line \d+, where an earlier run was cut", err), err
    assert out[-1]["rows"] == out[-1]["new"] + out[-1]["repeated"] == MANY and out[-1]["repeated"] < 4096, out
    assert len(stored(b)) == MANY and not os.path.exists(b.path("in.csv.dibao-import"))


@test
def an_interrupted_run_says_that_it_goes_on_and_one_with_other_headings_or_anew_does_not(b):
    start(b)
    many(b)
    p = cut(b, signal.SIGINT)
    assert p.wait() == TEMPFAIL and re.search(r"stopped at line \d+; the same command goes on from there", p.log()), p.log()
    place, headings = b.path("in.csv.dibao-import"), ROOT + "/config/headings.tsv"
    with open(headings) as f:
        text = re.sub(r"^table\t.*\n", "", f.read(), flags=re.M)
    for name, more in (("other.tsv", "value\tbody.state\tfinal\tproposed\n"), ("same.tsv", "# nothing new\n")):
        with open(b.path(name), "w") as f:
            f.write(text + more)
    os.unlink(place)
    assert cut(b, signal.SIGTERM, "--headings", b.path("same.tsv")).wait() == TEMPFAIL
    with open(place) as f:
        kept = f.read()
    goes_on = {}
    for args in ([], ["--headings", b.path("other.tsv")], ["--headings", headings], ["--zone", "+00:00"], ["--record"],
                 ["--set", "urgent=true"], ["--uid-from", "badge,ref"], ["--type", "award"], ["--restart"]):
        with open(place, "w") as f:
            f.write(kept)
        p = b.process([*command(b, "in.csv"), "--headings", b.path("same.tsv"), *args], b.path(f"again{len(b.processes)}.log"))
        until(lambda: "going on" in p.log() or not os.path.exists(place) or open(place).read() != kept, "it is under way",
              every=0.001)
        p.kill()
        goes_on[" ".join(args)] = "going on" in p.log()
    assert goes_on.pop("") and not any(goes_on.values()), goes_on


@test
def the_refused_rows_of_a_run_that_was_cut_are_kept_and_missed_if_they_are_gone(b):
    start(b)
    many(b)
    with open(b.path("in.csv"), "r+") as f:
        text = f.read().replace("F000001", "1.38E+10", 1)
        f.seek(0)
        f.write(text)
    assert cut(b, signal.SIGKILL).wait() == -signal.SIGKILL
    refused = b.path("in.csv.refused.csv")
    os.rename(refused, b.path("away"))
    _, err = import_file(b, None, code=IOERR)
    assert "in.csv.refused.csv: changed since the run was cut; --restart begins anew" in err, err
    os.rename(b.path("away"), refused)
    out, err = import_file(b, None, code=DATAERR)
    assert "going on" in err and out[-1]["refused"] == 1 and open(refused).read().count("1.38E+10") == 1, (out, err)


@test(fsync="always")  # else a Redis whose disk is busy may have answered for what is not in its file yet
def rows_are_not_passed_over_when_redis_dies_between_two_of_them(b):
    start(b)
    many(b)
    trace = b.path("trace")  # stops it at its first sync, that of its place: then nothing is in flight
    p = b.process(["strace", "-f", "-o", trace, "-e", "trace=fsync", "-e", "inject=fsync:signal=SIGSTOP:when=1",
                   *command(b, "in.csv")], b.path("import.log"),
                  {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"})
    until(lambda: os.path.exists(trace) and "stopped by SIGSTOP" in open(trace).read(), "it is stopped")
    b.redis.kill()
    os.kill(int(open(trace).read().split()[0]), signal.SIGCONT)
    assert p.wait() == TEMPFAIL, p.log()
    assert "connection to Redis lost" in p.log() and "stopped at line" in p.log(), p.log()
    b.start_redis()
    out, err = import_file(b, None)
    assert "going on at line 2002" in err and out[-1]["rows"] == MANY == len(stored(b)), (out, err)


@test
def each_row_is_counted_once_as_new_repeated_scheduled_conflicting_or_refused(b):
    start(b)
    import_file(b, line("old-1") + "\n" + line("old-2") + "\n", name="first.jsonl")
    ahead = int(time.time() * 1000) + 3600_000
    text = "\n".join([line("new-1"), line("old-1"), line("later", not_before=ahead), line("old-2", urgent=True),
                      line("bad").replace(HUXU, "32"), "{nonsense", "", line("new-2")])
    out, err = import_file(b, text, name="in.jsonl", code=DATAERR)
    assert {k: out[-1][k] for k in ("rows", "new", "repeated", "scheduled", "conflicting", "refused")} == {
        "rows": 7, "new": 2, "repeated": 1, "scheduled": 1, "conflicting": 1, "refused": 2}, out
    assert re.search(r"line 4: conflicts.*: urgent\n", err) and "line 5: org: " in err and "line 6: " in err, err
    with open(out[-1]["refused_file"]) as f:
        refused = [json.loads(l) for l in f]
    refused.sort(key=lambda r: r["line"])
    assert [r["line"] for r in refused] == [4, 5, 6] and refused[0]["event"]["uid"] == "old-2", refused
    assert refused[2]["text"] == "{nonsense" and stat_mode(out[-1]["refused_file"]) == 0o600
    p = subprocess.run([a for a in command(b, "in.jsonl") if a != "--json"], capture_output=True, text=True, timeout=120 * SLOW)
    for word in ("UTF-8, JSON lines, 7 rows", "new          0", "repeated     4", "scheduled    0", "conflicting  1",
                 "refused      2", "in.jsonl.refused.jsonl", "conflict: line 4, uid old-2: urgent\n  dibaoctl correct old-2 --urgent true"):
        assert word in p.stdout, (word, p.stdout)
    assert p.returncode == DATAERR and "kept as " + b.path("in.jsonl.refused.jsonl.old") in p.stderr, p.stderr


def stat_mode(path):
    return os.stat(path).st_mode & 0o777


@test
def the_command_printed_for_a_conflict_makes_the_event_what_the_file_says(b):
    start(b)
    uid = "u $(touch ran)'; x"
    before = {**BODIES["award"], "amount": 50000}
    import_file(b, line(uid, body=before, urgent=True), name="first.jsonl")
    after = {**before, "public_reason": "it's $(touch ran) `x`\\ 新的\n事由", "amount": 60000}
    person = {"badge": "F000001", "name": "演示人", "rank": {"code": "F2", "name": "二级辅员"}}
    out, err = import_file(b, line(uid, body=after, person=person), name="in.jsonl", code=DATAERR)
    told = out[0]
    assert told["conflict"] == uid and set(told["fields"].split(", ")) == {
        "person.name", "person.rank", "body.public_reason", "body.amount", "urgent"} or "person.rank.code" in told["fields"], told
    assert "新的" not in err, "a value is in what goes to standard error"
    with open(b.path("dibaoctl"), "w") as f:
        f.write(f'#!/bin/sh\nexec {shlex.quote(BUILD)}/bin/dibaoctl -c {shlex.quote(b.d.config)} "$@"\n')
    os.chmod(b.path("dibaoctl"), 0o755)
    p = subprocess.run(["sh", "-c", told["command"]], capture_output=True, text=True, cwd=b.dir, timeout=120 * SLOW,
                       env={**os.environ, "PATH": b.dir + ":" + os.environ["PATH"]})
    assert p.returncode == 0 and not os.path.exists(b.path("ran")), (told["command"], p.stderr)
    corrected, = [e for e in stored(b).values() if e.get("corrects") == uid]
    assert (corrected["body"], corrected["person"], corrected.get("urgent")) == (after, person, False), corrected


@test
def what_no_correction_can_do_is_said_instead_of_a_command_that_fails(b):
    start(b)
    import_file(b, line("u-1", ref="演〔2017〕1号") + "\n" + line("u-2"), name="first.jsonl")
    out, _ = import_file(b, line("u-1") + "\n" + line("u-2", person={"badge": "F000002", "name": "演示"}), name="in.jsonl",
                         code=DATAERR)
    assert [(o["fields"], o["command"].split(":")[0]) for o in out[:-1]] == [
        ("ref", "no correction can take away or change ref"),
        ("person.badge", "no correction can take away or change person.badge")], out
    assert "dibaoctl retract u-1 --reason TEXT" in out[0]["command"]


@test
def history_is_marked_and_a_uid_is_made_of_the_columns_that_are_chosen(b):
    start(b)
    text = HEAD + "\n" + row("F000001") + "\n" + row("F000001", "2018/7/5") + "\n"
    assert import_file(b, text, "--dry-run")[0][-1]["refused"] == 0
    assert import_file(b, text, "--record", code=DATAERR)[0][-1]["conflicting"] == 1, "kind, document and badge are the same"
    assert [e["record"] for e in stored(b).values()] == [True]
    said = import_file(b, text, "--record", "--uid-from", "警号,时间,body.kind.code")[0][-1]
    assert said["new"] == 2, said
    assert import_file(b, text, "--record", "--uid-from", "badge,at,body.kind.code")[0][-1]["repeated"] == 2
    nothing = text.replace("演〔2017〕1号", "").replace("HX,火线奖励", ",")
    out, err = import_file(b, nothing, code=DATAERR)
    assert out[-1]["refused"] == 2 and "--uid-from" in err, err
    import_file(b, text, "--uid-from", "nonsense", code=USAGE)
    import_file(b, text, "--type", "party", code=USAGE)
    assert import_file(b, text.replace("类型,", "x,"), "--type", "奖励", code=DATAERR)[0][-1]["conflicting"] == 2


@test
def texts_with_line_ends_and_quotes_are_whole_and_a_bad_row_costs_itself_alone(b):
    start(b)
    long = "演" * 400000  # over 1 MB
    text = "\r\n".join(["2017年度奖励名单", HEAD, row("F000001", reason='"第一行\n第二行，""引号"""'), row("F000002", reason=long),
                        row("F000003", reason="一,二"), "award," + HUXU, row("F000004", reason='"不闭合'), row("F000005"), ""])
    out, err = import_file(b, text.replace(",", "\t"), code=DATAERR)
    said = out[-1]
    assert (said["separator"], said["new"], said["refused"]) == ("tab", 2, 4), said
    bodies = {e["person"]["badge"]: e["body"]["public_reason"] for e in stored(b).values()}
    assert bodies == {"F000001": '第一行\n第二行，"引号"', "F000005": "演示事由"}, bodies
    for n, why in ((5, "over 65536 bytes"), (6, "more cells than headings"), (7, ""), (8, "a quote that is not closed")):
        assert re.search(rf"line {n}: .*{why}", err), (n, err)
    with open(said["refused_file"], encoding="utf-8-sig") as f:
        refused = f.read().splitlines()
    cells = HEAD.count(",") + 1
    short = refused[3].split("\t")
    assert short[:2] == ["award", HUXU] and len(short) == cells + 2 and short[cells] == "7", short
    mended = "\n".join([refused[0], row("F000003", reason="一，二").replace(",", "\t") + "\t6\t", short[0] + "\t" * (cells + 1)])
    assert import_file(b, mended, name="mended.csv", code=DATAERR)[0][-1]["new"] == 1


@test
def json_lines_that_are_too_long_or_not_text_are_refused_by_line(b):
    start(b)
    text = "\n".join([line("a"), '{"uid":"' + "演" * 400000 + '"}', line("b")])
    out, err = import_file(b, text, name="in.jsonl", code=DATAERR)
    assert (out[-1]["new"], out[-1]["refused"]) == (2, 1) and "line 2: over" in err, (out, err)
    with open(out[-1]["refused_file"]) as f:
        assert json.loads(f.read())["text"].startswith('{"uid":"演')
    _, err = import_file(b, (line("c") + "\n").encode() + b"\xff\xfe\xff\n", name="bad.jsonl", code=DATAERR)
    assert "bad.jsonl:2: neither UTF-8 nor GB18030" in err, err
    _, err = import_file(b, line("c").encode("gb18030"), "--encoding", "utf-8", name="gb.jsonl", code=DATAERR)
    assert "gb.jsonl:1: not UTF-8" in err, err
    import_file(b, line("c"), "--encoding", "latin1", name="c.jsonl", code=USAGE)


@test
def a_file_without_events_is_told(b):
    start(b)
    for data, why in (("", "is empty"), (b"\xef\xbb\xbf", "is empty"), ("\n\n", "no row of known headings"),
                      ("a,b\n1,2\n", "no row of known headings"), (HEAD + ",警号\n", "two columns are the field person.badge")):
        _, err = import_file(b, data, code=DATAERR)
        assert why in err, (data, err)
    assert import_file(b, HEAD + "\n")[0][-1]["rows"] == 0
    import_file(b, None, name="", code=NOINPUT)  # a directory


@test
def a_terminal_sees_a_bar_and_a_file_does_not(b):
    start(b)
    many(b)
    master, slave = pty.openpty()
    p = subprocess.Popen(command(b, "in.csv"), stderr=slave, stdout=subprocess.DEVNULL)
    running[p.pid] = p  # ended with this program, also if the test fails
    os.close(slave)
    seen = b""
    try:
        while piece := os.read(master, 65536):
            seen += piece
    except OSError:  # the other end is closed
        pass
    os.close(master)
    assert p.wait(120 * SLOW) == 0
    drawn = seen.decode().split("\r\033[K")
    assert re.match(r"\[#* *\] +\d+%  \d+ rows, \d+/s, 0 refused, 0 conflicting", drawn[1]), drawn[:3]
    percents = [int(re.search(r"(\d+)%", d)[1]) for d in drawn if "%" in d]
    assert percents == sorted(percents) and percents[-1] == 100 and len(percents) > 2, percents
    assert drawn[-1] == "", "the bar is left standing"
    assert import_file(b, None)[1] == ""


run()
