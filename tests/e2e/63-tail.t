#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# dibaoctl tail: what a person at a terminal is told when no event can come, and in which words events come.
from dibao_test import *

SOON = 60.0  # s: it takes milliseconds; an answer that never comes is missed after 5 s, in other words


def keygen(b, name):
    """The public key; the secret one is in NAME.key."""
    p = subprocess.run([BUILD + "/bin/dibaoctl", "--json", "keygen", name, "--out", b.path(name + ".key")],
                       capture_output=True, text=True, timeout=120 * SLOW, check=True)
    return json.loads(p.stdout)["public_key"]


def curve_daemon(b):
    """A daemon whose tcp endpoint wants keys, and its public key; desk.key is in its policy."""
    b.server, desk = keygen(b, "dibaod"), keygen(b, "desk")
    with open(b.path("access.conf"), "w") as f:
        f.write(f"[desk]\npublic_key = {desk}\nkind = gateway\ntypes = *\norgs = *\n")
    b.start_redis()
    b.setup()
    b.d = b.daemon(access=b.path("access.conf"), curve_key_file=b.path("dibaod.key"), insecure="no").start()


def tail(b, *options, endpoint=None, args=()):
    out = b.path(f"tail{len(b.processes)}.out")
    p = b.process([BUILD + "/bin/dibaoctl", "-c", b.d.config, "--endpoint", endpoint or b.d.tcp, *options, "tail", *args], out)
    return p


def says(p, pattern, seconds=SOON):
    until(lambda: re.search(pattern, p.log()), lambda: f"{pattern}; it says: {p.log()}", seconds)


@test
def a_wrong_server_key_is_told_soon_and_once(b):
    curve_daemon(b)
    p = tail(b, "--key", b.path("desk.key"), "--server-key", keygen(b, "impostor"))
    says(p, rf"^dibaoctl: {b.d.tcp}: handshake failed: .*is the server key this daemon's.*, connecting again\n")
    holds(lambda: p.log().count("\n") == 1 and p.alive(), "it is told once, and tried again", 1.0)
    p.signal(signal.SIGTERM)
    assert p.wait() == 0


@test
def ones_own_key_that_is_not_in_the_policy_is_told_soon(b):
    curve_daemon(b)
    keygen(b, "stranger")
    p = tail(b, "--key", b.path("stranger.key"), "--server-key", b.server)
    says(p, rf"{b.d.tcp}: refused: the daemon does not know this key")


@test
def keys_on_one_side_only_are_told_soon(b):
    curve_daemon(b)
    says(tail(b), rf"{b.d.tcp}: handshake failed: .*keys \(CURVE\)")
    says(tail(b, "--key", b.path("desk.key"), "--server-key", b.server, endpoint=b.d.ipc),
         rf"{b.d.ipc}: handshake failed: .*keys \(CURVE\)")


@test
def an_endpoint_where_nobody_is_is_told_soon_and_its_coming_back_too(b):
    b.start()
    b.d.stop()
    p = tail(b)
    says(p, rf"no answer from {b.d.tcp}: nobody listens there")
    b.d.start()
    says(p, rf"connected to {b.d.tcp}\n", 120)
    b.d.kill()
    says(p, rf"{b.d.tcp}: connection lost: .*\n.*no answer from {b.d.tcp}")


@test
def a_peer_that_is_no_daemon_is_told_after_a_bounded_time(b):
    b.start_redis()
    b.d = Daemon(b, "never-started", {})
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        where = "tcp://127.0.0.1:%d" % silent.getsockname()[1]
        says(tail(b, endpoint=where), rf"no answer from {where}: .*silent")
    says(tail(b, endpoint="127.0.0.1:7"), "no answer from 127.0.0.1:7: cannot be opened: ")


def line(uid, type, **more):
    return json.dumps({"uid": uid, "type": type, "at": 1700000000000, "org": HUXU, "issuer": "演示局",
                       "person": {"badge": "F000001", "name": "演示", "unit": "社区警务一队"}, "body": BODIES[type], **more},
                      ensure_ascii=False)


@test
def events_are_told_in_the_words_of_who_reads_them(b):
    b.start()
    p = b.process([BUILD + "/bin/dibaoctl", "-c", b.d.config, "tail"], b.path("tail.out"), {**os.environ, "TZ": "America/New_York"})
    w = b.process([BUILD + "/bin/dibaoctl", "-c", b.d.config, "tail", "--public"], b.path("wall.out"))
    until(lambda: sum(k["state"] == "active" for k in b.d.ask("clients")["clients"]) == 2, "both are active")
    letter = json.loads(line("m-2", "mailbox_reply"))
    del letter["person"]
    letter["body"] = {**letter["body"], "mailbox": "警务保障处"}
    notice = {**BODIES["award"], "state": "proposed", "notice_until": "2026-01-09", "contact": "演示", "amount": 50050}
    events = [line("p-1", "promotion"), line("a-1", "award", body=notice, urgent=True), line("x-1", "penalty"),
              line("w-1", "welfare_visit"), line("m-1", "mailbox_reply"), json.dumps(letter),
              line("p-2", "promotion", private=True, record=True)]
    said = subprocess.run([BUILD + "/bin/dibaoctl", "-c", b.d.config, "publish"], input="\n".join(events), text=True,
                          capture_output=True, timeout=120 * SLOW)
    assert said.returncode == 0, said.stderr
    said = subprocess.run([BUILD + "/bin/dibaoctl", "-c", b.d.config, "correct", "a-1", "--state", "final", "--uid", "c-1"],
                          stdout=subprocess.DEVNULL)
    assert said.returncode == 0
    said = subprocess.run([BUILD + "/bin/dibaoctl", "-c", b.d.config, "retract", "p-1", "--reason", "演示", "--uid", "r-1"],
                          stdout=subprocess.DEVNULL)
    assert said.returncode == 0
    until(lambda: {"r-1", "c-1"} <= {l.split()[-1] for l in p.log().splitlines()} and w.log().count("已撤回") == 2,
          lambda: p.log() + w.log())
    told = {l.split()[-1]: l for l in p.log().splitlines()}
    who = f"{HUXU} 社区警务一队 演示 F000001"
    for uid, text in {"p-1": f"2023-11-15 06:13:20+08:00 晋升     {who}  三级辅员 → 二级辅员 正式",
                      "a-1": f"奖励     {who} [紧急]  火线奖励 公示中至2026-01-09 · 演示 · 500.50元",
                      "x-1": f"处分     {who}  警告", "w-1": f"慰问     {who}  节日慰问 · 演示 · 演示",
                      "m-1": f"信箱答复 {who}  局长信箱 T-1", "m-2": f"信箱答复 {HUXU} 匿名  警务保障处 T-1",
                      "p-2": f"晋升     {who} [涉密] [存档]  三级辅员 → 二级辅员 正式", "r-1": "撤回 p-1",
                      "c-1": "[紧急]  火线奖励 正式 · 演示"}.items():
        assert text in told[uid], (uid, told[uid])
    assert not re.search("proposed|final|chief", p.log() + w.log()), p.log()
    assert re.search(f"奖励     {HUXU} 社区警务一队 演示 .*火线奖励 公示中.*  [0-9a-f]{{32}}\n", w.log()), w.log()
    assert re.search(" · 更正 [0-9a-f]{32}  [0-9a-f]{32}\n", w.log()) and "\ufffd" not in w.log(), w.log()
    assert re.search("已撤回  [0-9a-f]{32}\n", w.log()) and "F000001" not in w.log(), w.log()


@test
def a_type_may_be_asked_for_by_its_chinese_name_and_one_unknown_here_is_said(b):
    b.start()
    p = b.process([BUILD + "/bin/dibaoctl", "-c", b.d.config, "tail", "--type", "处分", "--type", "party"], b.path("tail.out"))
    until(lambda: [k["state"] for k in b.d.ask("clients")["clients"]] == ["active"], "it is there")
    assert set(b.d.ask("clients")["clients"][0]["types"]) == {"penalty", "party"}
    assert "no type party is known here" in p.log(), p.log()


run()
