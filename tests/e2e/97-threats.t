#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# What dibao-access(7), SECURITY CONSIDERATIONS, says that who has stolen what could do, and what not. What it
# says of boards and readers at a daemon is tried by 91-leaks.t, of relays and admins by 95 and 96.
from office import *
from zmtp import *

EMPTY = ["MAXLEN", "0", "*", "x", "y"]


def users(b, *names):
    b.start_redis()
    b.setup()
    dibaoctl(b, "--redis", "unix:" + b.redis_socket, "setup", "--acl", "--apply")
    clients = []
    for name in names:
        with open(b.path(name + ".password")) as f:
            clients.append(redis_client.Redis(unix_socket_path=b.redis_socket, username=name, password=f.read().strip()))
    return clients


def may_not(user, *command):
    try:
        said = user.execute_command(*command)
    except redis_client.exceptions.NoPermissionError:
        return
    raise AssertionError(f"may {command}: {said}")


@test
def a_publishers_password_forges_empties_and_reads_what_is_scheduled_but_nothing_that_was_published(b):
    publisher, producer = users(b, "publisher", "producer")
    b.publish(event("p-1", "penalty"))
    b.publish(event("p-2", "penalty", not_before=4102444800000))
    assert publisher.hgetall(b.key("uid:p-2"))[b"e"] == event("p-2", "penalty", not_before=4102444800000)
    assert b"e" not in publisher.hgetall(b.key("uid:p-1"))
    for c in CHANNELS:
        may_not(publisher, "XRANGE", b.key(c), "-", "+")
    publisher.hset(b.key("uid:p-1"), "w", "1")
    publisher.delete(b.key("uid:p-1"))
    publisher.execute_command("XADD", b.key("public"), "*", "e", event("forged", "award"), "f", "1")
    for user in (publisher, producer):
        b.r.xadd(b.key("private"), {"e": "x"})
        user.execute_command("XADD", b.key("private"), *EMPTY)
        assert b.r.xlen(b.key("private")) == 0, "Redis' rights know no options"


@test
def the_outer_daemons_password_reads_nothing_private_and_reaches_boards_places_alone(b):
    outer, = users(b, "dibaod-public")
    b.durable("gateway")
    b.call("dibao_durable", "set-board", "wall", 10**9)
    b.publish(event("p-1", "penalty"))
    b.publish(event("p-2", "penalty", retracts="p-1"))
    b.publish(event("a-1", "award"))
    b.publish(event("a-2", "award", retracts="a-1"))
    b.call("dibao_hide", "F000009", "0")
    assert outer.zrange(b.key("withdrawn"), 0, -1) == [b"a-1"], "public ones alone"
    assert outer.hgetall(b.key("hidden")) == {b"F000009": b"0"}
    assert outer.hgetall(b.key("durable-public")) == {b"wall": str(10**9).encode()}
    inside = next(f[b"e"] for _, f in outer.xrange(b.key("public")) if b"e" in f)
    assert inside == event("a-1", "award") and b"F000001" in inside, "what is public whole, with what no board is sent"
    for key in ("private", "private-now", "withdrawn-private", "uid:p-1", "uid:a-1", "scheduled", "quarantine", "tail", "roster",
                "shown:F000001", "audit", "lost", "durable", "cursors", "lease:gateway"):
        may_not(outer, "EXISTS", b.key(key))
    outer.hset(b.key("cursors-public"), "wall", "1 9-9 9-9 9-9 9-9")
    outer.hset(b.key("lease-public:wall"), mapping={"instance": "00", "until": "9999999999999"})
    for key in ("receipts", "receipts-public"):
        b.r.xadd(b.key(key), {"name": "x"})
    outer.execute_command("XADD", b.key("receipts-public"), *EMPTY)
    may_not(outer, "XADD", b.key("receipts"), *EMPTY)
    assert (b.r.xlen(b.key("receipts")), b.r.xlen(b.key("receipts-public"))) == (1, 0)
    may_not(outer, "XADD", b.key("public"), "*", "e", "x")
    may_not(outer, "HSET", b.key("durable-public"), "gateway", "1")


@test
def with_it_a_gateway_is_neither_silenced_nor_moved_nor_told_of(b):
    outer, = users(b, "dibaod-public")
    b.durable("gateway")
    lease = b.call("dibao_lease", "gateway", "aa", 60000, "inner")
    b.call("dibao_cursors", "gateway", *lease[1:3], *["5-0"] * 4)
    before = b.r.hgetall(b.key("cursors")), b.r.hgetall(b.key("lease:gateway"))
    may_not(outer, "HSET", b.key("cursors"), "gateway", "1 9-9 9-9 9-9 9-9")
    may_not(outer, "HSET", b.key("lease:gateway"), "until", "0")
    for key in ("lease:gateway", "cursors", "durable", "lease:new"):
        may_not(outer, "XADD", b.key(key), "*", "x", "y")
    # By the functions, which run with its rights, and with all that it may write in a gateway's name.
    outer.hset(b.key("lease-public:gateway"), mapping={"instance": "aa", "epoch": "1", "counter": "1", "until": "9999999999999"})
    for board in ("board", "other"):
        told = []
        for name in ("gateway", "nobody"):
            try:
                told.append(outer.execute_command("FCALL", "dibao_lease", 1, BASE, name, "bb", 60000, "outer", board))
            except redis_client.exceptions.ResponseError as e:
                told.append(str(e))
        assert told[0] == told[1] and "DIBAO_NODURABLE" in told[0], told
    for call in (["dibao_cursors", "gateway", "1", "1", *["9-9"] * 4], ["dibao_renew", 1, "gateway", "aa", "1", "1"],
                 ["dibao_unlease", "gateway", "aa", "1", "1"]):
        answer = outer.execute_command("FCALL", call[0], 1, BASE, *call[1:])
        assert answer in (0, [0]), (call, answer)
    for call in (["dibao_durable", "set-board", "gateway", "1", "x"], ["dibao_durable", "forget", "gateway", "x"], ["dibao_durables"],
                 ["dibao_receipt", "gateway", "aa", "1", "1", "k", "1", "1", ""],
                 ["dibao_receipt", "gateway", "aa", "1", "1", "k", "1", "1", "", "board"],
                 ["dibao_receipt", "", "aa", "1", "1", "k", "1", "1", ""]):
        try:
            said = outer.execute_command("FCALL", call[0], 1, BASE, *call[1:])
            raise AssertionError(f"may {call}: {said}")
        except redis_client.exceptions.ResponseError:
            pass
    assert (b.r.hgetall(b.key("cursors")), b.r.hgetall(b.key("lease:gateway"))) == before
    assert b.call("dibao_renew", 60000, "gateway", "aa", *lease[1:3]) == [1]
    assert b.r.xlen(b.key("receipts")) == 0


@test
def what_it_writes_in_boards_places_stops_no_other_name(b):
    outer, = users(b, "dibaod-public")
    b.durable("gateway")
    b.call("dibao_durable", "set-board", "wall", 10**9)
    tokens = [b.call("dibao_lease", name, "aa", 60000, "inner", kind)[1:3] for name, kind in (("wall", "board"), ("gateway", "other"))]
    for junk in ("x", "1 x y z w", "1 9-9", "9" * 300, "", "1 " + "9" * 70 + "-1 1-1 1-1 1-1"):
        outer.hset(b.key("cursors-public"), "wall", junk)
        at = str(len(junk) + 1)
        assert b.call("dibao_cursors", "wall", *tokens[0], *["7-0"] * 4, "gateway", *tokens[1], *[at + "-0"] * 4) == [1, 1], junk
        outer.hset(b.key("cursors-public"), "wall", junk)
        names = {n[0]: n for n in zip(*[iter(b.call("dibao_durables"))] * 4)}
        assert set(names) == {b"wall", b"gateway"} and len(names[b"wall"][2]) < 257
        outer.hset(b.key("lease-public:wall"), mapping={"counter": junk, "until": junk, "epoch": junk})
        assert b.call("dibao_renew", 60000, "wall", "aa", *tokens[0], "gateway", "aa", *tokens[1]) == [0, 1], junk
        outer.hset(b.key("lease-public:wall"), mapping={"counter": tokens[0][1], "until": 0, "epoch": tokens[0][0]})
    for key in ("cursors-public", "lease-public:next", "lease-public:wall"):
        may_not(outer, "XADD", b.key(key), "*", "x", "y")  # of another type, on which every function would stumble


@test
def who_adds_to_the_audit_stream_cannot_change_it_but_can_empty_it(b):
    daemon, operator = users(b, "dibaod", "operator")
    for user in (daemon, operator):
        b.r.xadd(b.key("audit"), {"who": "x"})
        id_ = b.r.xrevrange(b.key("audit"), count=1)[0][0].decode()
        may_not(user, "XDEL", b.key("audit"), id_)
        may_not(user, "DEL", b.key("audit"))
        may_not(user, "XTRIM", b.key("audit"), "MAXLEN", "0")
        user.execute_command("XADD", b.key("audit"), *EMPTY)
        assert b.r.xlen(b.key("audit")) == 0


@test
def a_stolen_board_takes_its_own_durable_name_and_no_other(b):
    o = Office(b, wall={**BOARD, "durable": "wall-1"}, next={**BOARD, "durable": "wall-2"}, gate={**GATEWAY, "durable": "gate-1"})
    thief = o.session("wall", view="public", name="wall-1")
    real = o.subscriber("wall", view="public", name="wall-1")
    until(lambda: real.receive(0.02) is not None and real.standby, "the real board waits", every=0)
    for name in ("wall-2", "gate-1"):
        assert o.refusal("wall", view="public", name=name) == (REFUSED, "durable: that name is not granted")
    thief.send(b"R", {"id": 1, "key": b"never-shown", "st": 1, "at": 1})
    until(lambda: thief.receive(0.02) is not None and b.r.xlen(b.key("receipts-public")) == 1, "its receipt is stored", every=0)
    assert b.r.xlen(b.key("receipts")) == 0, "beside the others'"
    assert b.r.xrange(b.key("receipts-public"))[0][1][b"name"] == b"wall-1", "under its own name"
    assert "wall-1" in dibaoctl(b, "-c", b.d.config, "receipts", "never-shown")[0], "the operator sees it with the others'"


@test
def a_stolen_gateway_reads_what_it_is_granted_and_takes_its_name_over_until_its_key_is_taken_away(b):
    o = Office(b, gate={**GATEWAY, "types": "penalty award", "orgs": "3205", "durable": "gate-1"}, other={**GATEWAY, "durable": "gate-2"})
    b.publish(event("p-1", "penalty"))
    b.publish(event("m-1", "mailbox_reply"))
    thief = o.session("gate", start="time", name="gate-1")
    got = receive_until(thief, ["p-1"])
    real = o.subscriber("gate", name="gate-1", start="resume")
    until(lambda: real.receive(0.02) is not None and real.standby, "the real one waits", every=0)
    b.publish(event("p-2", "penalty"))
    got |= receive_until(thief, ["p-2"])
    assert got == {"p-1", "p-2"}, "within its grant"
    for more in ({"types": ["mailbox_reply"]}, {"orgs": ["32"]}, {"name": "gate-2"}):
        assert o.refusal("gate", **more)[0] == REFUSED, more
    thief.send(b"R", {"id": 1, "key": b"p-2", "st": 5, "at": 1})
    until(lambda: thief.receive(0.02) is not None and b.r.xlen(b.key("receipts")) == 1, "it says that it was delivered", every=0)
    thief.bye()
    # What it acknowledged is not sent to the real one.
    until(lambda: real.receive(0.02) is not None and real.welcome, "the real one takes over", every=0)
    b.publish(event("p-3", "penalty"))
    assert receive_until(real, ["p-3"]) == {"p-3"}
    new = o.key("new")
    o.policy["gate"]["public_key"] = new
    o.reload()
    assert revocation(real)[0] == REVOKED
    try:
        Peer(b.d.tcp, o.curve("gate"))
        raise AssertionError("the old key is let in")
    except Broken:
        pass
    assert o.session("new", name="gate-1").welcome


@test
def a_stolen_relay_learns_whether_a_uid_is_taken_and_nothing_else_of_it(b):
    o = Office(b, hr={"kind": "publisher-relay", "types": "award", "orgs": "*"})
    b.publish(event("secret", "penalty"))
    s = zmq.Context.instance().socket(zmq.DEALER)
    s.curve_serverkey, s.curve_publickey, s.curve_secretkey = o.curve("hr")
    s.connect(b.d.tcp)
    answers = []
    for i, uid in enumerate(("secret", "free")):
        s.send(b"E" + msgpack.packb({"id": i, "ev": event(uid, "award")}))
        answers.append(msgpack.unpackb(s.recv()[1:]))
    assert answers == [{"id": 0, "out": 4, "err": 0, "field": "", "text": ""}, {"id": 1, "out": 1, "err": 0, "field": "", "text": ""}]


@test
def an_admin_is_told_who_is_connected_and_nothing_of_an_event(b):
    o = Office(b, chief={"kind": "admin"}, gate=GATEWAY)
    s = o.session("gate")
    b.publish(event("uid-of-it", "penalty", badge="BADGE77"))
    receive_until(s, ["uid-of-it"])
    told = "".join(dibaoctl(b, verb, "--json", "--endpoint", b.d.tcp, "--key", b.path("chief.key"), "--server-key", o.server)[0]
                   for verb in ("status", "clients"))
    assert '"policy":"gate"' in told
    for word in ("uid-of-it", "BADGE77", "演示"):
        assert word not in told
    assert o.refusal("chief") == (REFUSED, "types: none are granted")


run()
