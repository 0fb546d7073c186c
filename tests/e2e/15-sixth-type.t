#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# A sixth type is a row of the table and nothing else: the programs are linked again with a copy of
# lib/types.c that has one more row, and every other object as it is.
import daemon
import dibao_test
import recorder
from dibao_test import *

ROW = '''
static const struct dibao_field_spec training[] = {
	STR("course", REQ | PUB, 1, 120, "课程", "name of the course"),
	MAP("place", 0, coded, "地点", "where it is held"),
	DATE("begins", REQ | PUB, "开班日期", "first day"),
	INT("hours", REQ, 1, 400, "学时", "hours of instruction"),
	CHOICE("result", 0, "passed|failed", "结果", "how it went; internal"),
	END,
};

static const struct dibao_type_spec types[] = {
	{"training", "培训", "a course attended", DIBAO_AUDIENCE_PUBLIC, false, training},
'''
BODY = {"course": "初任培训", "begins": "2026-12-01", "hours": 40, "result": "passed"}
PLAIN = BUILD


def run(argv, **more):
    p = subprocess.run(argv, capture_output=True, text=True, timeout=480 * SLOW, cwd=ROOT, **more)
    assert p.returncode == 0, f"{argv}: {p.stdout}{p.stderr}"
    return p.stdout


def link_again(to):
    with open(os.path.join(ROOT, "lib/types.c")) as f:
        before = f.read()
    source = before.replace("static const struct dibao_type_spec types[] = {\n", ROW, 1)
    assert source.count("{") > before.count("{")
    with open(to + "/types.c", "w") as f:
        f.write(source)
    with open(PLAIN + "/flags") as f:
        cc = f.read().split("\n")[0].replace("'", "").split()
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    libs = run(["make", "-s", "BUILD=" + PLAIN, "--eval", "print-libs:;@echo $(PARTS) $(LIBS) $(CLIENT_LIBS)", "print-libs"], env=env).split()
    run([*cc, "-w", "-c", to + "/types.c", "-o", to + "/types.o"])
    for sub in ("bin", "tests"):
        os.mkdir(f"{to}/{sub}")
    for program, main in {"bin/dibaoctl": "clients/ctl/main.o", "bin/dibaod": "daemon/main.o",
                          "tests/publish_many": "tests/e2e/publish_many.o", "tests/recorder": "tests/e2e/recorder.o"}.items():
        # The library's own table stays in its archive: its symbols are there already.
        run([*cc, "-o", f"{to}/{program}", to + "/types.o", f"{PLAIN}/obj/{main}", *libs])


def ctl(b, *args, code=0, stdin=""):
    p = subprocess.run([dibao_test.BUILD + "/bin/dibaoctl", *(["-c", b.d.config] if b.d else []), *args], input=stdin,
                       capture_output=True, text=True, timeout=120 * SLOW)
    assert p.returncode == code, f"{args}: exit code {p.returncode}, not {code}: {p.stdout}{p.stderr}"
    return p.stdout if code == 0 else p.stderr


def json_line(uid, body=BODY):
    return json.dumps({"uid": uid, "type": "training", "at": 1700000000000, "org": HUXU, "issuer": "演示局",
                       "person": {"badge": "F000001", "name": "演示"}, "body": body}, ensure_ascii=False)


@test
def a_sixth_type_is_a_new_row_and_nothing_else(b):
    os.mkdir(b.path("build"))
    link_again(b.path("build"))
    for module in (dibao_test, daemon, recorder):
        module.BUILD = b.path("build")
    b.d = None

    # Help and the table for scripts.
    assert "training" in ctl(b, "publish", "--help") and "award" in ctl(b, "publish", "--help")
    told = ctl(b, "publish", "--type", "training", "--help")
    assert re.search("--body.course +text +required 课程", told) and "--body.place.code" in told, told
    assert "passed|failed" in told and "--body.amount" not in told, told
    assert "training (培训): a course attended, public" in ctl(b, "types")
    rows = [json.loads(l) for l in ctl(b, "--json", "types").split("\n")[:-1]]
    assert [r["type"] for r in rows][:2] == ["training", "promotion"] and len(rows) == 6, rows

    # Validation names its fields; JSON and options know them.
    b.start_redis()
    b.d = b.daemon()
    ctl(b, "setup")
    b.d.start()
    everyone, other = b.recorder("r"), b.recorder("other", "-t", "award")
    only = b.recorder("only", "-t", "training")
    for wrong, body in {"body.hours: expected 1 to 400": {**BODY, "hours": 401}, "body.course: missing": {"begins": "2026-12-01", "hours": 1},
                        "body.begins: expected a date": {**BODY, "begins": "2026-02-30"},
                        "body.result: expected one of passed|failed": {**BODY, "result": "maybe"},
                        "body.place.name: missing": {**BODY, "place": {"code": "A"}}}.items():
        told = ctl(b, "publish", stdin=json_line("bad", body), code=65)
        assert wrong in told, f"{wrong}: {told}"
    assert ctl(b, "publish", stdin=json_line("t-1")) == "new t-1\n"
    assert ctl(b, "publish", "--type", "training", "--uid", "t-2", "--org", HUXU, "--badge", "F000001", "--person.name", "演示",
               "--issuer", "演示局", "--course", "警务技能", "--begins", "2026-12-01", "--hours", "8") == "new t-2\n"
    told = ctl(b, "publish", "--type", "training", "--org", HUXU, "--badge", "F1", "--person.name", "演示", "--issuer", "演示局",
               "--course", "警务技能", "--begins", "2026-12-01", "--hours", "many", code=65)
    assert "hours" in told and "whole number" in told, told

    # Its audience holds from Redis to the subscriber.
    everyone.wait_for({"t-1", "t-2"})
    only.wait_for({"t-1", "t-2"})
    other.wait_for(set())
    assert b.r.xlen(b.key("public")) == 2 and b.r.xlen(b.key("private")) == 0
    assert all(l[0] == "public" for l in everyone.lines())
    told = ctl(b, "tail", "--last", "10", "-n", "2", "--json")
    assert '"course":"初任培训"' in told and '"hours":8' in told, told
    assert ctl(b, "tail", "--last", "10", "-n", "2").count("培训") >= 2


dibao_test.run()
