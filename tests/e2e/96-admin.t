#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# What dibaoctl asks of the daemon, over an endpoint with an admin's key.
from office import *

UNAVAILABLE = 69


def office(b, **names):
    return Office(b, dict(silence_ms=60000), chief={"kind": "admin"}, gate=GATEWAY, wall=BOARD, desk={"kind": "reader", "types": "award", "orgs": "*"},
                  relay={"kind": "publisher-relay", "types": "award", "orgs": "*"}, **names)


def ctl(o, who, *args, endpoint=None, code=0):
    key = ["--key", o.b.path(who + ".key"), "--server-key", o.server] if who else []
    return dibaoctl(o.b, *args, "--endpoint", endpoint or o.b.d.tcp, *key, code=code)


def acts(b):
    return [(f[b"who"].decode(), f[b"act"].decode(), f[b"result"].decode()) for _, f in b.r.xrange(b.key("audit"))]


@test
def an_admin_asks_and_reloads_over_tcp_and_the_act_bears_its_name(b):
    o = office(b)
    s = o.session("gate")
    status = json.loads(ctl(o, "chief", "status", "--json")[0])
    assert status["ok"] and status["sessions"] == 1 and status["bureau"] == "3205"
    out, _ = ctl(o, "chief", "clients")
    assert "active" in out and len(out.splitlines()) == 2, out
    out, _ = dibaoctl(b, "--endpoint", b.d.tcp, "--key", b.path("chief.key"), "--server-key", o.server, "status")
    assert out.startswith("dibaod ")
    before = acts(b)
    assert before == [a for a in before if a[1] != "reload"]
    del o.policy["gate"]
    o.write()
    assert "1 sessions revoked" in ctl(o, "chief", "reload")[0]
    assert revocation(s)[0] == REVOKED
    until(lambda: ("key=chief via=dibaod", "reload", "ok") in acts(b), "it is written down")
    o.write("[chief]\nkind = nonsense\n")
    b.expected = "keeping the old configuration"
    assert "keeping the old configuration" in ctl(o, "chief", "reload", code=75)[1]
    until(lambda: ("key=chief via=dibaod", "reload", "refused") in acts(b), "that too")


@test
def a_long_answer_comes_whole(b):
    o = office(b)
    held = [o.subscriber("gate", orgs=[f"32{i:04}" for i in range(40)]) for _ in range(60)]
    until(lambda: all([s.receive(0.001) is not None and s.welcome for s in held]), "all are welcome", every=0)
    out = ctl(o, "chief", "clients", "--json")[0]
    assert len(out) > 32768 and len([json.loads(l) for l in out.splitlines()]) == 60


@test
def who_is_no_admin_is_refused_with_the_reason_and_nothing_happens(b):
    o = office(b)
    for who in ("gate", "wall", "desk", "relay"):
        for verb in ("status", "clients", "reload"):
            _, err = ctl(o, who, verb, code=NOPERM)
            assert "kind: only an admin with a key may ask" in err, err
    assert o.status("refused") == 12 and not any(a[1] == "reload" for a in acts(b))
    o.key("stranger")
    assert "does not know this key" in ctl(o, "stranger", "status", code=NOPERM)[1]
    o.policy["chief"]["expires"] = "2020-01-01"
    o.reload()
    assert "expires: the date is past" in ctl(o, "chief", "reload", code=NOPERM)[1]


@test
def without_a_key_nobody_asks_over_tcp_and_over_ipc_the_policy_says_who(b):
    o = office(b)
    out, _ = ctl(o, None, "status", "--json", endpoint=b.d.ipc)
    assert json.loads(out)["ok"], "the socket's directory is the operator's"
    o.policy["local"] = {"kind": "reader", "types": "*", "orgs": "*"}
    o.reload()
    assert "kind: only an admin" in ctl(o, None, "status", endpoint=b.d.ipc, code=NOPERM)[1]
    b.d.stop()
    o.policy["insecure"] = {"kind": "admin", "types": "*", "orgs": "*"}
    o.write()
    b.d.configure(curve_key_file="", insecure="yes")
    b.d.start()
    assert "kind: only an admin with a key" in ctl(o, None, "reload", code=NOPERM)[1]


@test
def a_request_that_is_none_is_told_so(b):
    o = office(b)
    s = o.subscriber("chief")
    s.hello_at = float("inf")
    s.socket.send(b"Q" + msgpack.packb({"id": 7, "do": "shutdown"}))
    kind = s.socket.recv()
    answer = msgpack.unpackb(kind[1:])
    assert kind[:1] == b"N" and answer["id"] == 7 and answer["more"] == 0
    assert json.loads(answer["json"]) == {"ok": False, "error": "no such request"}
    for bad in ({"id": 1}, {"do": "status"}, {"id": "x", "do": "status"}, {"id": 1, "do": "x" * 33}):
        s.socket.send(b"Q" + msgpack.packb(bad))
        m = s.socket.recv()
        assert m[:1] == b"G" and msgpack.unpackb(m[1:])["text"].startswith("ASK: "), m
    assert "no daemon" in dibaoctl(b, "--control", b.path("none"), "status", code=UNAVAILABLE)[1]


run()
