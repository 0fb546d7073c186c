#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# The manuals against what they describe.
import glob
import shlex

from dibao_test import *


def source(path):
    with open(os.path.join(ROOT, path)) as f:
        return f.read()


def section(page, name):
    return source(page).split(f".Sh {name}\n")[1].split("\n.Sh ")[0]


def tags(text):
    """The words of all .It lines that are commands."""
    return [w.strip(" ,") for l in re.findall(r"^\.It Cm (.*)", text, re.M)
            for w in re.sub(r" (Ns )?Ar \w+", "", l).replace(" Ns", "").split(" , ")]


@test
def the_page_of_the_queue_names_every_key_and_every_field(b):
    comment = source("lib/queue.h").split("*/")[1]
    lines = re.findall(r"^ \*   dibao:\{B\}(:\S.*(?:\n \*      .*)*)", comment, re.M)
    assert len(lines) > 12, lines
    page = section("lib/dibao-queue.7", "KEYS")
    told = {re.split(r"[:<]", t)[0] for t in tags(page)}
    keys = {}
    for l in lines:
        for name in re.findall(r":([a-z-]+)", l.split("  ")[0]):
            keys[name] = l
    for name, l in keys.items():
        assert re.search(rf"^\.It Cm (.*, )?{name}\b", page, re.M), f"no key {name}"
        entry = re.split(rf"\n\.It Cm (?:.*, )?{name}\b", "\n" + page)[1].split("\n.It Cm " if name != "uid" else "\n.El")[0]
        kind = re.search(r"\b(stream|hash|zset|set|integer)", l)[1]
        word = {"zset": "Sorted set", "set": "Set", "integer": "Number"}.get(kind, kind.capitalize())
        assert name == "uid" and "Hash" in entry or word in entry, f"{name} is a {kind}"
        fields = re.split(r"(?:stream|hash): ", l)[1:]
        if fields and "->" not in fields[0] and name not in CHANNELS:
            for field in re.split(r",|\s{2,}\*?", fields[0].replace("\n *", "  ")):
                word = field.split()[:1]
                assert not word or re.search(rf"^\.(It )?Cm .*\b{word[0]}\b", entry, re.M), f"{name}: no field {word[0]}"
    assert told - set(keys) <= set("s c i t o b h w y e n q".split()) | {"instance", "epoch", "roster", "sms"}, told - set(keys)


@test
def the_page_of_the_queue_names_every_function_and_every_error(b):
    lua, page = source("lib/queue.lua"), section("lib/dibao-queue.7", "FUNCTIONS")
    functions = re.findall(r"register_function.*?'(dibao_[a-z]+)'(.*)", lua)
    assert len(functions) == lua.count("redis.register_function") > 20
    parts = re.split(r"^\.It (?=Fn)", page, flags=re.M)[1:]
    told = {name: p for p in parts for name in re.findall(r"Fn (dibao_[a-z]+)", p.split("\n")[0])}
    assert set(told) == {n for n, _ in functions}
    for name, flags in functions:
        assert ("allow-oom" in flags) == (".Sy oom" in told[name]), f"{name}: oom"
    errors = set(re.findall(r"fail\('(DIBAO_[A-Z]+)'", lua))
    assert errors == set(re.findall(r"^\.It (DIBAO_[A-Z]+)", page, re.M)) and errors, errors


def accounts(b):
    """Those of the table, with a password each."""
    p = subprocess.run([BUILD + "/bin/dibaoctl", "--redis", "unix:" + b.redis_socket, "setup", "--acl", "--apply",
                        "--passwords", b.dir], capture_output=True, text=True, timeout=120 * SLOW)
    assert p.returncode == 0, p.stderr
    b.r.execute_command("ACL", "LOG", "RESET")


def password(b, name):
    with open(b.path(name + ".password")) as f:
        return f.read().strip()


def as_user(b, name):
    return redis_client.Redis(unix_socket_path=b.redis_socket, username=name, password=password(b, name))


def refused_commands(b):
    return [(e[b"username"].decode(), e[b"object"].decode()) for e in b.r.acl_log()]


@test
def the_rights_that_the_page_gives_are_those_that_setup_makes(b):
    told = {}
    for rules in re.findall(r"^ACL SETUSER (.*?)\n\.Ed", section("lib/dibao-queue.7", "RIGHTS"), re.M | re.S):
        name, *rest = re.findall(r"\(.*?\)|\S+", " ".join(rules.split()))
        told[name] = rest
    p = subprocess.run([BUILD + "/bin/dibaoctl", "--json", "setup", "--acl"], capture_output=True, text=True)
    made = {u["user"]: u["rules"] for u in map(json.loads, p.stdout.splitlines())}
    assert told == made and len(made) >= 8, (told, made)


@test
def the_rights_that_the_page_gives_suffice_for_a_daemon_and_its_publishers(b):
    b.start_redis()
    b.setup()
    accounts(b)
    b.d = b.daemon(redis_password_file=b.path("dibaod.password"), public_ms="1s")
    with open(b.d.config) as f:
        text = f.read()
    with open(b.d.config, "w") as f:
        f.write(text.replace("[redis]", "[redis]\nredis_user = dibaod"))
    for user in ("publisher", "operator"):
        with open(b.path(user + ".conf"), "w") as f:
            f.write(f"[redis]\nredis = unix:{b.redis_socket}\nredis_user = {user}\n"
                    f"redis_password_file = {b.path(user)}.password\n")

    def ctl(user, *args, stdin=""):
        p = subprocess.run([BUILD + "/bin/dibaoctl", "-c", b.path(user + ".conf"), *args], input=stdin,
                           capture_output=True, text=True, timeout=120 * SLOW)
        assert p.returncode == 0, f"{user} {args}: {p.stderr}"
        return p.stdout

    ctl("operator", "setup")
    ctl("operator", "durable", "set", "gateway")
    b.d.start()
    r = b.recorder("r", "-d", "gateway", "--receipts")
    lines = [json.dumps({"uid": uid, "type": t, "at": 1700000000000, "org": HUXU, "issuer": "演示局",
                         "person": {"badge": "F000001", "name": "演示"}, **more,
                         "body": {"reason": "演示"} if "retracts" in more else BODIES[t]})
             for uid, t, more in [("a", "award", {}), ("b", "penalty", {}), ("c", "award", {}),
                                  ("never", "award", {"not_before": int(time.time() * 1000) + 3600_000}),
                                  ("never2", "penalty", {"not_before": int(time.time() * 1000) + 3600_000}),
                                  ("r1", "award", {"retracts": "a"}), ("r2", "award", {"retracts": "never"}),
                                  ("c2", "award", {"corrects": "c"})]]
    said = ctl("publisher", "publish", stdin="\n".join(lines))
    assert said.split()[::2] == ["new"] * 3 + ["scheduled"] * 2 + ["new"] * 3, said
    # One that comes when it is due: later where a publisher takes longer to start.
    soon, ms = set(), 500
    while "scheduled" not in said.split() or not soon:
        soon.add(f"late-{ms}")
        said = ctl("publisher", "publish", stdin=json.dumps({**json.loads(lines[1]), "uid": f"late-{ms}",
                                                             "not_before": int(time.time() * 1000) + ms}))
        ms *= 2
    as_user(b, "producer").xadd(b.key("private"), {"e": event("by-hand")})
    as_user(b, "producer").xadd(b.key("public"), {"e": event("misplaced")})
    as_user(b, "producer").xadd(b.key("private-now"), {"e": event("h1", retracts="b")})
    as_user(b, "producer").xadd(b.key("private-now"), {"e": event("h2", retracts="never2")})
    r.wait_for({"a", "b", "c", "r1", "c2", "by-hand", "h1"} | soon)
    until(lambda: b.r.hget(b.key("uid:never2"), "s") == b"cancelled", "one by hand cancels what is scheduled")
    until(lambda: b.r.xlen(b.key("quarantine")) == 1, "what stood in the wrong channel is set aside")
    for verb in (["hide", "--badge", "F000001"], ["unhide", "--badge", "F000001"], ["quarantine", "list"],
                 ["schedule", "list"], ["durable", "list"], ["receipts", "a"],
                 ["retract", "by-hand", "--reason", "演示"]):
        ctl("operator", *verb)
    r.stop().want = None
    entry = ctl("operator", "quarantine", "list").split()[0]
    assert ctl("operator", "quarantine", "retry", entry) == "new\n"
    ctl("operator", "durable", "forget", "gateway")
    b.d.ask("reload")
    until(lambda: as_user(b, "auditor").xrevrange(b.key("audit"), count=1)[0][1][b"act"] == b"reload", "it is written down")
    d = as_user(b, "dibaod")
    # What a daemon calls once a minute or after a rollback only.
    last = b.r.xinfo_stream(b.key("public"))["last-generated-id"].decode()
    for call in (["trim", "public", last, 1000], ["heal", "public", event("lost", "award")], ["reappend", "public", last],
                 ["raise", "public", "9000000000000-0"], ["raise", "private", "9000000000000-0"], ["epoch", 1], ["last", "private", 1, "+", "award ", "3205 "],
                 ["unlease", "gateway", "x", 1, 1], ["tail"] + ["0-0"] * 4):
        d.execute_command("FCALL", "dibao_" + call[0], 1, BASE, *call[1:])
    d.xadd(b.key("lost"), {"channel": "public"})
    d.xinfo_stream(b.key("public"))
    d.execute_command("MEMORY", "USAGE", b.key("public"))
    assert refused_commands(b) == []


@test
def with_the_rights_that_the_page_gives_nobody_reads_what_is_not_his(b):
    b.start_redis()
    b.setup()
    accounts(b)
    for user, channels in (("publisher", CHANNELS), ("producer", CHANNELS), ("reader", ["private", "private-now"])):
        for c in channels:
            for command in (["XRANGE", b.key(c), "-", "+"], ["XREAD", "STREAMS", b.key(c), "0"], ["XLEN", b.key(c)],
                            ["DEL", b.key(c)], ["XREADGROUP", "GROUP", "g", "c", "STREAMS", b.key(c), ">"]):
                try:
                    as_user(b, user).execute_command(*command)
                    assert False, f"{user} may {command}"
                except redis_client.exceptions.NoPermissionError:
                    pass
    reader = as_user(b, "reader")
    for c in ("public", "public-now"):
        assert (reader.xrange(b.key(c)), reader.xlen(b.key(c)), reader.xread({b.key(c): 0})) == ([], 0, [])
    for user in ("publisher", "producer", "reader", "dibaod", "operator"):
        for command in (["FLUSHALL"], ["KEYS", "*"], ["GET", "roster"], ["CONFIG", "SET", "maxmemory", "1"],
                        ["ACL", "LIST"]):
            try:
                as_user(b, user).execute_command(*command)
                assert False, f"{user} may {command}"
            except redis_client.exceptions.NoPermissionError:
                pass


def in_words(field):
    """As dibao-event(7) tells of a field: its line, and the sentence below."""
    kind, low, high = field["kind"], field.get("min"), field.get("max")
    if "choices" in field:
        kind = field["choices"].replace("|", " or ")
    elif kind in ("text", "hex", "digits") and low is not None:
        kind += f" of {low}" + (f"\\(en{high}" if high != low else "") + " bytes"
    elif kind == "integer":
        kind += f" {low}\\(en{high}"
    marks = [kind] + [w for w in ("required", "public") if field[w]]
    return f".It Cm {field['field']} No {', '.join(marks)}\n{field['zh']}; {field['doc']}\n"


@test
def the_page_of_the_event_tells_each_field_as_the_table_does(b):
    p = subprocess.run([BUILD + "/bin/dibaoctl", "types", "--json"], capture_output=True, text=True)
    types = [json.loads(l) for l in p.stdout.splitlines()]
    assert len(types) == len(BODIES)
    page = source("lib/dibao-event.7")
    envelope = [f for f in types[0]["fields"] if not f["field"].startswith("body.")]
    parts = {"Envelope": envelope}
    for t in types:
        parts[t["type"]] = [f for f in t["fields"] if f["field"].startswith("body.")]
        audience = "public" if t["public"] else "private"
        assert f".Ss {t['type']}\n{t['zh']}; {t['doc']}; {audience}.\n" in page, t["type"]
    for title, fields in parts.items():
        text = page.split(f".Ss {title}\n")[1].split("\n.S")[0] + "\n"
        for f in fields:
            assert in_words(f) in text, f"{title} lacks: {in_words(f)}"
        assert text.count(".It Cm ") == len(fields), f"{title} has fields that the table has not"
    reason, = re.findall(r'retraction\[\] = \{\s*STR\("reason", REQ, (\d+), (\d+), "(.*?)", "(.*?)"\)', source("lib/types.c"))
    assert in_words({"field": "body.reason", "kind": "text", "min": reason[0], "max": reason[1], "required": True,
                     "public": False, "zh": reason[2], "doc": reason[3]}) in page.split(".Ss Retractions")[1]


@test
def the_manual_of_the_daemon_names_its_options(b):
    text = subprocess.run([BUILD + "/bin/dibaod", "--help"], capture_output=True, text=True).stdout
    options = re.findall(r"^ +(?:(-[a-z]), )?(--[a-z-]+)", text, re.M)
    page = source("daemon/dibaod.8")
    assert len(options) >= 5
    for option in filter(None, sum(options, ())):
        assert re.search(rf"^\.It Fl (.* )?{option[1:]}( |$)", page, re.M), option


@test
def every_message_id_is_in_use_and_in_a_manual_and_so_is_every_field_of_the_daemons(b):
    code = {p: source(p) for top in ("daemon", "lib/host", "clients/sms", "clients/board")
            for p in glob.glob(top + "/*.c", root_dir=ROOT)}
    ids = re.findall(r'^#define (LOG_ID_\w+)[\s\\]+"([0-9a-f]{32})"', source("lib/host/log_ids.h"), re.M)
    assert len(ids) >= 13 and len({i for _, i in ids}) == len(ids)
    pages = "".join(source(p) for top in ("daemon", "clients/*") for p in glob.glob(top + "/*.[18]", root_dir=ROOT))
    for name, id_ in ids:
        assert any(re.search(name + r"\b", text) for text in code.values()), f"{name} is not in use"
        assert re.search(rf"^\.It {id_}$", pages, re.M), f"{name} {id_} is in no manual"
    page = section("daemon/dibaod.8", "DIAGNOSTICS")
    fields = {f for p, text in code.items() if not p.startswith("clients") for f in re.findall(r'"(DIBAO_[A-Z]+)=', text)}
    assert fields and fields == set(re.findall(r"DIBAO_[A-Z]+", page)), fields
    page = section("clients/sms/dibao-sms.8", "DIAGNOSTICS")
    sms = "".join(text for p, text in code.items() if p.startswith("clients/sms"))
    fields = set(re.findall(r'"(DIBAO_[A-Z]+)=', sms)) | {"DIBAO_LINK"}
    assert fields == set(re.findall(r"DIBAO_[A-Z]+", page)), fields
    told = {id_ for name, id_ in ids if re.search(name + r"\b", sms + code["lib/host/redis_link.c"])}
    assert told == set(re.findall(r"^\.It ([0-9a-f]{32})$", page, re.M)), told


@test
def the_shipped_policy_loads_and_it_and_its_page_name_every_option(b):
    conf = source("config/access.conf")
    examples = b.path("examples.conf")
    with open(examples, "w") as f:
        f.write(re.sub(r"^#(?=[\[a-z])", "", conf, flags=re.M))

    def check(file, name):
        p = subprocess.run([BUILD + "/bin/dibaoctl", "access", "check", name, "--file", file], capture_output=True, text=True,
                           timeout=120 * SLOW)
        return p.returncode, p.stdout + p.stderr
    code, text = check(os.path.join(ROOT, "config/access.conf"), "sms-1")
    assert code == os.EX_NOUSER, f"as shipped it loads and grants nothing: {text}"
    names = re.findall(r"^#\[(.*)\]", conf, re.M)
    assert len(names) >= 5
    for name in names:
        code, text = check(examples, name)
        assert code == 0, text
    options = re.findall(r'!strcmp\(name, "(\w+)"\)', source("daemon/access_read.c"))
    assert len(options) >= 11
    page = source("lib/dibao-access.7")
    for option in options:
        assert re.search(rf"^#{option} = ", conf, re.M), f"config/access.conf: {option}"
        assert re.search(rf"^\.It Cm {option}$", page, re.M), f"dibao-access(7): {option}"
    assert set(re.findall(r"^#(\w+) = ", conf, re.M)) <= set(options)


def headers():
    """Their text by name, with and without comments."""
    for path in sorted(glob.glob(ROOT + "/include/dibao/*.h")):
        with open(path) as f:
            text = f.read()
        yield text, re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def squeezed(text):
    return re.sub(r"\s*\*\s*", " *", re.sub(r"\s+", " ", text)).replace("* *", "**").strip()


@test
def the_page_of_the_library_gives_every_exported_function_as_the_headers_do(b):
    page = source("lib/libdibao.3")
    nm = subprocess.run(["nm", "-D", "--defined-only", BUILD + "/lib/libdibao.so"], capture_output=True, text=True, check=True)
    exported = set(re.findall(r" (dibao_\w+)@", nm.stdout))
    declared, told = {}, {}
    for _, code in headers():
        for type_, name, args in re.findall(r"^((?:const |struct |enum |unsigned )*\w+[ *]+)(dibao_\w+)\(([^;{]*?)\);", code, re.M):
            declared[name] = (squeezed(type_), [squeezed(a) for a in args.split(",")])
    for type_, name, args in re.findall(r"^\.Ft (.*)\n\.Fn (dibao_\w+) (.*)", page, re.M):
        told[name] = (squeezed(type_), [squeezed(a) for a in shlex.split(args)])
    assert len(exported) > 40 and set(told) == exported, set(told) ^ exported
    for name in exported:
        assert told[name] == declared[name], f"{name}: {told[name]}, in the header {declared[name]}"


@test
def the_page_of_the_library_names_every_option_member_constant_and_error(b):
    page = source("lib/libdibao.3")
    members = set(re.findall(r"\w+", " ".join(re.findall(r"^(?:\.It )?\.?Fa (.*)", page, re.M))))
    constants, errors = set(re.findall(r"DIBAO_\w+", page)), set(re.findall(r"^\.(?:It )?Er (-E\w+)", page, re.M))
    n = 0
    for text, code in headers():
        for struct, body in re.findall(r"^struct (dibao_\w+) \{\n(.*?)^\}", code, re.M | re.S):
            body = re.sub(r"struct \{.*?\}", "int", body, flags=re.S)  # the library's own
            for line in body.split(";"):
                line = re.sub(r"\(\*(\w+)\)\(.*", r" \1", line, flags=re.S)
                for name in re.findall(r"(\w+)(?:\[.*?\])?\s*(?:,|$)", line):
                    n += 1
                    assert name in members, f"{struct}: {name}"
        for name in re.findall(r"\bDIBAO_[A-Z_]+\b", code):
            assert name in constants or name.endswith("_H"), name
        for name in re.findall(r"-E[A-Z]+\b", text):
            assert name in errors, name
    assert n > 80, n
    listed = set(re.findall(r"^\.It Er (-E\w+)", page.split(".Sh ERRORS")[1], re.M))
    assert listed == errors, f"not in ERRORS: {errors - listed}"


@test
def the_readme_lists_every_manual_and_names_no_file_that_is_not_there(b):
    text = source("README.md")
    pages = [os.path.relpath(os.path.join(d, f), ROOT) for top in ("lib", "daemon", "clients", "seeds", "config")
             for d, _, files in os.walk(os.path.join(ROOT, top)) for f in files if re.search(r"\.[1-8]$", f)]
    assert len(pages) >= 7
    for page in pages:
        assert f"`{page}`" in text, page
    for path in re.findall(r"\b(?:lib|daemon|clients|config|seeds|tests|include)/[\w./*-]*", text):
        assert glob.glob(os.path.join(ROOT, path.rstrip("."))), path
    targets = re.findall(r"^([a-z0-9-]+):", source("Makefile"), re.M)
    for target in re.findall(r"(?:^    |`)make (?:[A-Z]+=\S+ )*([a-z][a-z0-9-]*)", text, re.M):
        assert target in targets, f"make {target}"


@test
def the_event_that_the_page_shows_is_valid(b):
    b.start_redis()
    b.setup()
    text = re.findall(r"^(\{.*?\})\n\.Ed", source("lib/dibao-event.7"), re.M | re.S)[0].replace("\n", "")
    p = subprocess.run([BUILD + "/bin/dibaoctl", "--redis", "unix:" + b.redis_socket, "publish"], input=text,
                       capture_output=True, text=True, timeout=120 * SLOW)
    assert p.stdout == "new hr-2026-000123\n", p.stderr


run()
