#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# dibaoctl import: files of events against a real Redis; what is published, counted, refused.
from dibao_test import *

DATAERR, NOINPUT = 65, 66
HEAD = "类型,单位,发文单位,警号,姓名,时间,body.kind.code,body.kind.name,body.state,body.public_reason,ref"
ENGLISH = "type,org,issuer,badge,name,at,body.kind.code,body.kind.name,body.state,body.public_reason,ref"


def row(badge, at="2017/7/5", reason="演示事由"):
    return f"award,{HUXU},演示局,{badge},演示,{at},HX,火线奖励,final,{reason},演〔2017〕1号"


def start(b):
    b.start_redis()
    b.d = Daemon(b, "never-started", {})
    subprocess.run([BUILD + "/bin/dibaoctl", "-c", b.d.config, "setup"], check=True, capture_output=True)


def import_file(b, data, *args, code=0, name="in.csv"):
    """What it prints and complains of."""
    if data is not None:
        with open(b.path(name), "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())
    p = subprocess.run([BUILD + "/bin/dibaoctl", "-c", b.d.config, "--json", "import", b.path(name),
                        "--headings", ROOT + "/config/headings.tsv", *args],
                       capture_output=True, text=True, timeout=60 * SLOW)
    assert p.returncode == code, f"{args}: exit code {p.returncode}, not {code}: {p.stdout}{p.stderr}"
    assert not re.search("Sanitizer|runtime error:", p.stderr), p.stderr
    return [json.loads(l) for l in p.stdout.splitlines()], p.stderr


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


run()
