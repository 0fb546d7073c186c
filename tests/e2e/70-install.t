#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# make install, and programs built against what it installed and nothing else.
from dibao_test import *

EXAMPLES = os.path.join(ROOT, "tests", "examples")


def sh(*argv, **env):
    p = subprocess.run(argv, capture_output=True, text=True, timeout=480 * SLOW, env={**os.environ, **env})
    assert p.returncode == 0, f"{' '.join(argv)}: {p.stdout[-1500:]}{p.stderr[-1500:]}"
    return p.stdout


def make(target, **variables):
    """With what is built as it is built: the test must not build anything."""
    sh("make", "-C", ROOT, "-o", "all", target, "BUILD=" + BUILD, *(f"{k}={v}" for k, v in variables.items()))


def files(top):
    return {os.path.relpath(os.path.join(d, f), top) for d, _, names in os.walk(top) for f in names}


def manuals():
    found = [f for d in ("lib", "daemon", "clients", "config") for _, _, names in os.walk(os.path.join(ROOT, d))
             for f in names if re.fullmatch(r"[a-z.-]+\.[1-8]", f)]
    assert {"dibaod.8", "dibaoctl.1", "dibao-protocol.7"} <= set(found), found
    return found


class Installed:
    def __init__(self, b):
        self.b, self.prefix = b, b.path("prefix")
        make("install", PREFIX=self.prefix, SYSCONFDIR=b.path("etc"), DESTDIR="")
        self.lib = os.path.join(self.prefix, "lib")
        with open(os.path.join(BUILD, "flags")) as f:
            self.sanitize = re.findall("-fsanitize=[^ ]+", f.read())[:1]

    def pkg_config_lines(self, *what):
        return sh("pkg-config", *what, "dibao", PKG_CONFIG_PATH=os.path.join(self.lib, "pkgconfig")).splitlines()

    def pkg_config(self, *what):
        return " ".join(self.pkg_config_lines(*what)).split()

    def compile(self, name, static=False):
        """In a directory of its own, with what pkg-config says and no more."""
        libs = self.pkg_config("--libs")
        if static:  # our library alone is: Debian's libzmq.pc names static libraries that are not there
            private = [l.split()[0] for l in self.pkg_config_lines("--print-requires-private")]
            libs = ["-l:libdibao.a" if l == "-ldibao" else l for l in libs] + sh("pkg-config", "--libs", *private).split()
        out = self.b.path(name + ("-static" if static else ""))
        sh("cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", *self.sanitize, "-o", out,
           os.path.join(EXAMPLES, name + ".c"), *self.pkg_config("--cflags"), *libs)
        return out

    def run(self, program, *args):
        return sh(program, *args, LD_LIBRARY_PATH=self.lib)


@test
def the_examples_are_built_against_the_installed_library_and_run(b):
    b.start()
    b.durable("example")
    i = Installed(b)
    publisher, subscriber = i.compile("publisher"), i.compile("subscriber")
    redis = "unix:" + b.redis_socket

    def receive(n):
        return i.run(subscriber, b.d.ipc, "3205", "example", str(n)).split("\n")[:-1]

    p = b.process([subscriber, b.d.tcp, "3205", "example", "2"], b.path("subscriber.out"),
                  {**os.environ, "LD_LIBRARY_PATH": i.lib})
    until(lambda: b.d.ask("status")["sessions"] == 1, "the subscriber is there")
    assert [i.run(publisher, redis, "3205", u).split() for u in ("x-1", "x-2", "x-1")] == [["new"], ["new"], ["repeat"]]
    assert p.wait() == 0, p.log()
    assert p.log().split("\n")[:-1] == ["public award x-1", "public award x-2"]
    i.run(publisher, redis, "3205", "x-3")
    assert receive(1) == ["public award x-3"]


@test
def the_program_that_the_page_of_the_library_shows_is_built_against_it(b):
    i = Installed(b)
    with open(os.path.join(i.prefix, "share/man/man3/libdibao.3")) as f:
        shown = f.read().split(".Bd -literal -offset indent\n")[1].split(".Ed")[0].replace("\\en", "\\n")
    with open(b.path("shown.c"), "w") as f:
        f.write("#include <dibao/subscriber.h>\n#include <stdio.h>\n" + shown)
    sh("cc", "-std=c11", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", *i.sanitize, "-o", b.path("shown"), b.path("shown.c"),
       *i.pkg_config("--cflags", "--libs"))


@test
def the_examples_are_linked_with_the_static_library_too(b):
    b.start()
    i = Installed(b)
    program = i.compile("publisher", static=True)
    assert "libdibao" not in sh("ldd", program)
    assert i.run(program, "unix:" + b.redis_socket, "3205", "s-1").split() == ["new"]


@test
def the_installed_headings_and_tables_turn_a_bureaus_table_into_events(b):
    i = Installed(b)
    with open(b.path("in.csv"), "w") as f:
        f.write("奖励名单\n类型,所属单位,发文单位,警号,姓名,日期,奖项,状态,文件号\n"
                "奖励,胥江派出所,演示局,F000001,演示,2017年7月5日,火线奖励,表彰,演〔2017〕1号\n")
    out = sh(os.path.join(i.prefix, "bin/dibaoctl"), "import", b.path("in.csv"), "--headings", b.path("etc/dibao/headings.tsv"),
             "--dry-run", "--print", LD_LIBRARY_PATH=i.lib)
    event = json.loads(out.splitlines()[0])
    assert (event["type"], event["org"], event["body"]["kind"]["name"], event["body"]["state"]) == (
        "award", HUXU, "火线奖励", "final") and event["body"]["kind"]["code"], event


@test
def every_installed_header_stands_alone(b):
    i = Installed(b)
    for h in os.listdir(os.path.join(i.prefix, "include", "dibao")):
        name = b.path("header.c")
        with open(name, "w") as f:
            f.write(f"#include <dibao/{h}>\n#include <dibao/{h}>\n")
        sh("cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", name, *i.pkg_config("--cflags"))


@test
def the_library_exports_its_public_names_alone_and_needs_no_more_than_it_uses(b):
    i = Installed(b)
    so = os.path.join(i.lib, "libdibao.so")
    names = {l.split()[2].split("@")[0] for l in sh("nm", "-D", "--defined-only", so).splitlines()}
    declared = set()
    for h in os.listdir(os.path.join(ROOT, "include", "dibao")):
        with open(os.path.join(ROOT, "include", "dibao", h)) as f:
            declared |= set(re.findall(r"\b(dibao_\w+)\(", f.read()))
    assert names - {"DIBAO_0"} <= declared, f"exported, but in no header: {names - declared}"
    functions = {n for n in declared if not n.endswith("_t")}
    assert not functions - names, f"in a header, but not exported: {functions - names}"
    dynamic = sh("readelf", "-d", so)
    assert "[libdibao.so.0]" in dynamic and "systemd" not in dynamic and "inih" not in dynamic, dynamic


@test
def configuration_that_is_there_is_kept_and_uninstall_leaves_it_and_nothing_else(b):
    where = {"DESTDIR": b.path("stage"), "PREFIX": "/opt/dibao", "SYSCONFDIR": "/etc"}
    make("install", **where)
    top = where["DESTDIR"]
    have = files(top)
    for name in ("opt/dibao/bin/dibaod", "opt/dibao/bin/dibaoctl", "opt/dibao/lib/libdibao.a",
                 "opt/dibao/lib/pkgconfig/dibao.pc", "opt/dibao/include/dibao/subscriber.h",
                 "opt/dibao/lib/systemd/system/dibaod.service", "etc/dibao/dibaod.conf", "etc/dibao/ranks.tsv", "etc/dibao/headings.tsv",
                 *(f"opt/dibao/share/man/man{m[-1]}/{m}" for m in manuals())):
        assert name in have, f"{name} is not installed"
    for name in ("opt/dibao/lib/pkgconfig/dibao.pc", "opt/dibao/lib/systemd/system/dibaod.service"):
        with open(os.path.join(top, name)) as f:
            text = f.read()
        assert top not in text and not re.search("@[A-Z]+@", text) and "/usr/local" not in text and "/opt/dibao" in text, text
    with open(os.path.join(top, "etc/dibao/dibaod.conf"), "w") as f:
        f.write("[dibao]\nbureau = mine\n")
    make("install", **where)
    with open(os.path.join(top, "etc/dibao/dibaod.conf")) as f:
        assert f.read() == "[dibao]\nbureau = mine\n"
    make("uninstall", **where)
    left = files(top)
    assert left == {n for n in have if n.startswith("etc/dibao/")}, left


run(2)
