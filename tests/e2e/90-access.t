#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Who is let in, what they get, and what a change of the policy takes away: real processes, real keys.
import stat
import struct

from office import *

# ---- keys ----

@test
def keygen_makes_a_key_for_its_owner_alone_and_a_stanza_that_loads(b):
    for kind in ("board", "gateway", "reader", "publisher-relay", "admin"):
        out, err = dibaoctl(b, "keygen", "k-" + kind, "--kind", kind)
        file = b.path(f"k-{kind}.key")
        assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
        secret = open(file).read().split("\n")[-2]
        assert secret not in out + err, "the secret key is in its file alone"
        with open(b.path("all.conf"), "a") as f:
            f.write(out)
    out, _ = dibaoctl(b, "access", "check", "k-board", "--file", "all.conf", "--type", "award", "--org", HUXU)
    assert re.match(r"yes all.conf:\d+: ", out), out


@test
def keygen_overwrites_no_key_and_reads_none_that_others_can_read(b):
    dibaoctl(b, "keygen", "one")
    before = open(b.path("one.key")).read()
    _, err = dibaoctl(b, "keygen", "one", code=CANTCREAT)
    assert "left as it is" in err and open(b.path("one.key")).read() == before
    out, _ = dibaoctl(b, "keygen", "one", "--show")
    assert "[one]\nkind = reader\npublic_key = " in out
    os.chmod(b.path("one.key"), 0o640)
    _, err = dibaoctl(b, "keygen", "one", "--show", code=NOPERM)
    assert "chmod 600" in err
    dibaoctl(b, "keygen", "no/name", code=USAGE)


@test
def access_check_says_yes_or_no_with_the_line_that_decides(b):
    o = Office(b, gate=GATEWAY, wall=BOARD)
    check = lambda *args, **more: dibaoctl(b, "-c", b.d.config, "access", "check", *args, **more)[0]
    assert check("gate", "--type", "penalty", "--org", HUXU).startswith(f"yes {o.conf}:5: [gate] granted")
    assert check("wall", "--type", "penalty", code=NOPERM) == \
        f"no {o.conf}:9: [wall] types: penalty is not granted\n"
    assert check("wall", "--type", "award", "--org", "3206", code=NOPERM) == \
        f"no {o.conf}:10: [wall] orgs: 3206 is not granted\n"
    check("nobody", code=67)
    assert json.loads(dibaoctl(b, "-c", b.d.config, "--json", "access", "check", "wall")[0])["allowed"] is True


@test
def a_policy_with_a_fault_is_told_by_check_config_and_stops_the_start(b):
    o = Office(b, wall=BOARD)
    o.policy["wall"]["types"] = "award penalty"
    o.write()
    p = subprocess.run([BUILD + "/bin/dibaod", "-c", b.d.config, "--check-config"], capture_output=True, text=True)
    assert p.returncode == CONFIG and f"{o.conf}:4: types: a board cannot get penalty" in p.stderr, p.stderr
    b.d.stop()
    b.expected = "a board cannot get penalty|cannot start"
    b.d.start(wait=False)
    assert b.d.process.wait() != 0
    assert f"{o.conf}:4: types: a board cannot get penalty" in b.d.log()


@test
def a_reload_with_a_fault_keeps_the_old_policy_whole(b):
    o = Office(b, gate=GATEWAY, wall=BOARD)
    s = o.session("gate")
    good = open(o.conf).read()
    o.write(good.replace("[gate]", "[other]").replace("promotion award", "promotion award penalty"))
    b.expected = "keeping the old configuration"
    mark = len(b.d.log())
    b.d.process.signal(signal.SIGHUP)
    b.d.wait_log(r"a board cannot get penalty.*keeping the old configuration", since=mark)
    b.publish(event("e-1"))
    receive_until(s, ["e-1"])
    _, err = dibaoctl(b, "-c", b.d.config, "access", "reload", code=75)
    assert "a board cannot get penalty" in err
    # Nor is a policy without a fault taken up when the configuration has one.
    o.write(good[good.index("[wall]"):])
    b.d.configure(max_sessions=0)
    assert "max_sessions" in dibaoctl(b, "-c", b.d.config, "access", "reload", code=75)[1]
    b.publish(event("e-2"))
    receive_until(s, ["e-2"])
    p = subprocess.run([BUILD + "/bin/dibaod", "-c", b.d.config, "--check-config"], capture_output=True, text=True)
    assert p.returncode == CONFIG and "max_sessions" in p.stderr, p.stderr
    b.d.configure(max_sessions=10)
    assert "1 sessions revoked" in dibaoctl(b, "-c", b.d.config, "access", "reload")[0]


@test
def a_session_keeps_what_it_began_with_and_gets_more_when_it_begins_anew(b):
    o = Office(b, gate={**GATEWAY, "types": "award"}, chief={"kind": "admin", "types": "penalty", "orgs": "3205"})
    old = o.session("gate")
    o.policy["gate"]["types"] = "award penalty"
    assert "0 sessions revoked" in o.reload()
    new, chief = o.session("gate"), o.session("chief")  # whose section grants an admin events
    b.publish(event("p-1"))
    b.publish(event("a-1", "award"))
    assert receive_until(new, ["p-1", "a-1"]) and receive_until(chief, ["p-1"]) == {"p-1"}
    assert receive_until(old, ["a-1"]) == {"a-1"}
    old.bye()
    again = o.session("gate", start="time", arg=1)
    assert receive_until(again, ["p-1", "a-1"]) == {"p-1", "a-1"}


# ---- who is let in ----

@test
def a_tcp_endpoint_without_curve_is_refused_unless_it_is_wanted_and_then_warned_of(b):
    b.start_redis()
    b.setup()
    b.d = b.daemon(insecure="no")
    b.d.start(wait=False)
    assert b.d.process.wait() == CONFIG
    assert "needs curve_key_file, or insecure = yes" in b.d.log()
    b.d.configure(insecure="yes")
    b.d.start()
    for _ in range(2):
        assert re.search(rf"warning {b.d.tcp} is not encrypted", b.d.log())
        b.d.stop()
        open(b.d.out, "w").close()
        b.d.start()


@test
def a_key_in_the_policy_is_let_in_and_gets_what_it_is_granted(b):
    o = Office(b, gate={**GATEWAY, "types": "penalty award", "orgs": "320508"}, wall=BOARD)
    gate, wall = o.session("gate"), o.session("wall", view="public")
    b.publish(event("p-1"))
    b.publish(event("p-2", org=WUZHONG))
    b.publish(event("m-1", "mailbox_reply"))
    b.publish(event("a-1", "award"))
    b.publish(event("a-2", "award", org="330100000000"))
    b.publish(event("p-3"))
    assert receive_until(gate, ["p-1", "a-1", "p-3"]) == {"p-1", "a-1", "p-3"}
    shown = []
    until(lambda: shown.extend(wall.receive(0.02)) or shown, "the board shows the award")
    assert [(c, k, m["type"]) for c, k, m in shown] == [("public", subscriber.VIEW, "award")]
    assert {k["policy"] for k in b.d.ask("clients")["clients"]} == {"gate", "wall"}


@test
def an_unknown_key_is_not_let_in_and_is_logged_with_nothing_but_the_key(b):
    o = Office(b, gate=GATEWAY)
    stranger = o.key("stranger")
    s = o.subscriber("stranger")
    b.d.wait_log(re.escape(f"unknown key refused: {stranger}"), since=0)
    until(lambda: s.receive(0.02) == [] and o.status("keys_refused") >= 1, "it is counted")
    line = [l for l in b.d.log().split("\n") if stranger in l][0]
    assert line == f"notice unknown key refused: {stranger}", line
    # Others are let in. Who holds a key matters here, not how many there are: nobody keeps that session alive.
    o.session("gate")
    who = lambda: [k["policy"] for k in b.d.ask("clients")["clients"]]
    assert not s.welcome and "stranger" not in who()
    # libdibao says why, and goes on trying: the policy may know the key a minute later.
    p = b.process([BUILD + "/bin/dibaoctl", "-c", b.d.config, "--endpoint", b.d.tcp, "--key", b.path("stranger.key"),
                   "--server-key", o.server, "tail"], b.path("tail.out"))
    until(lambda: "refused: the daemon does not know this key, connecting again" in p.log(), "tail says why")
    o.policy["stranger"] = {"public_key": stranger, **GATEWAY}
    o.reload()
    until(lambda: "stranger" in who(), "tail is let in", 120)


@test
def a_peer_without_curve_or_with_another_daemons_key_does_not_get_in(b):
    o = Office(b, gate=GATEWAY)
    plain = o.subscriber("gate", curve=False)
    o.server, real = o.key("impostor"), o.server
    deceived = o.subscriber("gate")
    o.server = real
    good = o.session("gate")
    holds(lambda: not plain.receive(0.02) and not deceived.receive(0.02) and not plain.welcome
          and not deceived.welcome, "neither gets in", 1.0)
    assert len(b.d.ask("clients")["clients"]) == 1 and good.welcome


def raw_hello(endpoint, user_id, hello):
    """Speaks ZMTP 3.1 with NULL by hand, with a User-Id of its own among its properties; what comes back."""
    host, port = endpoint.split("//")[1].split(":")
    c = socket.create_connection((host, int(port)), timeout=20 * SLOW)
    c.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16) + b"\x00" + bytes(31))
    prop = lambda name, value: bytes([len(name)]) + name + struct.pack(">I", len(value)) + value
    ready = b"\x05READY" + prop(b"Socket-Type", b"DEALER") + prop(b"Identity", b"") + prop(b"User-Id", user_id)
    frame = b"H" + msgpack.packb(hello)
    assert len(ready) < 256
    c.sendall(b"\x04" + bytes([len(ready)]) + ready)
    got = b""
    for until_there in (b"READY", b"G\x82"):
        if until_there == b"G\x82":
            c.sendall((b"\x00" + bytes([len(frame)]) if len(frame) < 256 else b"\x02" + struct.pack(">Q", len(frame))) + frame)
        while until_there not in got:
            piece = c.recv(4096)
            if not piece:
                return got
            got += piece
    c.close()
    return got


@test
def a_user_id_that_a_peer_makes_up_is_worth_nothing(b):
    o = Office(b, gate=GATEWAY)
    public = o.keys["gate"][0].encode()
    b.d.stop()
    # Without CURVE, where a peer may write what it likes; the policy grants nothing to who has no key.
    b.d.configure(curve_key_file="", insecure="yes")
    b.d.start()
    hello = o.subscriber("gate", curve=False).hello
    for user_id in (public, b"0" * 32 + public, b"local", b"0" * 32 + b"local", b"gate"):
        got = raw_hello(b.d.tcp, user_id, hello)
        assert b"nothing is granted to who has no key" in got, (user_id, got)
    assert not b.d.ask("clients")["clients"]
    assert o.refusal("gate", curve=False) == (REFUSED, "nothing is granted to who has no key")
    # One's own machine may all, as long as the policy does not say otherwise.
    assert o.session("gate", curve=False, endpoint=b.d.ipc).welcome
    o.policy["local"] = {"kind": "reader", "types": "award", "orgs": "*"}
    o.reload()
    assert o.refusal("gate", curve=False, endpoint=b.d.ipc, types=["penalty"])[0] == REFUSED


@test
def the_library_tells_its_application_what_became_of_it(b):
    o = Office(b, gate=GATEWAY)

    def tail(name, *args):
        return b.process([BUILD + "/bin/dibaoctl", "-c", b.d.config, "--endpoint", b.d.tcp, "--key", b.path(name + ".key"),
                          "--server-key", o.server, "tail", *args], b.path(f"{name}{len(b.processes)}.out"))
    asks_more = tail("gate", "--name", "other")
    until(lambda: "refused: durable: that name is not granted" in asks_more.log(), "it says what is refused")
    assert asks_more.wait() == NOPERM
    revoked = tail("gate")
    until(lambda: b.d.ask("clients")["clients"], "it is let in")
    del o.policy["gate"]
    o.write()
    assert "1 sessions revoked" in dibaoctl(b, "-c", b.d.config, "access", "reload")[0]
    until(lambda: "revoked: not in the policy any more" in revoked.log(), "it says that it is revoked")
    assert revoked.wait() == NOPERM


# ---- HELLO ----

@test
def a_board_that_asks_for_more_is_refused_by_every_spelling(b):
    o = Office(b, wall={**BOARD, "durable": "wall-1"}, gate={**GATEWAY, "durable": "sms-1"})
    refused = o.status("refused")
    asks = [{"types": [t]} for t in ("penalty", "Penalty", "PENALTY", "welfare_visit", "mailbox_reply", "pen", "award*",
                                     "*", "award ", "training", "x" * 32, "award\nx")]
    asks += [{"orgs": ["32"]}, {"orgs": ["3206"]}, {"name": "sms-1"}, {"name": "other"}, {"view": "full"}]
    for ask in asks:
        why = o.refusal("wall", **{"view": "public", **ask})
        assert why[0] == REFUSED and "\n" not in why[1], (ask, why)
    assert o.status("refused") == refused + len(asks)
    assert o.session("wall", view="public", types=["award"], orgs=[HUXU], name="wall-1").welcome
    assert re.search("types: penalty is not granted .*DIBAO_NAME=wall", b.d.log())


@test
def a_board_never_gets_a_private_byte_however_it_starts(b):
    o = Office(b, wall=BOARD)
    b.publish_many(600, types=("penalty", "award", "mailbox_reply", "promotion"))
    b.publish(event("secret", "award", private=True))
    for start, arg in (("time", 0), ("last", 1000), ("resume", 0), ("new", 0)):
        s = o.session("wall", view="public", start=start, arg=arg)
        got, beats = [], [0]
        if start in ("time", "last"):
            until(lambda: got.extend(s.receive(0.02)) or len(got) >= 300, "300 are shown", every=0)
        b.publish(event(f"live-{start}", "award"))
        b.publish(event(f"hidden-{start}", "penalty", urgent=True))
        until(lambda: got.extend(s.receive(0.02)) or any(not m.get("record") and m["at"] == 1700000000000 for _, _, m in got),
              "the live one is shown", every=0)
        assert {c for c, _, _ in got} <= {"public", "public-now"} and not s.number[1] and not s.number[3]
        assert {k for _, k, _ in got} == {subscriber.VIEW}
        assert {m["type"] for _, _, m in got} <= {"award", "promotion"} and not any("uid" in m for _, _, m in got)
        s.close()


@test
def names_are_masked_where_the_policy_says_so(b):
    o = Office(b, wall=BOARD, hall={**BOARD, "mask_names": "yes"})
    sessions = {name: o.session(name, view="public") for name in ("wall", "hall")}
    b.publish(event("a-1", "award"))
    names = {}
    for name, s in sessions.items():
        got = []
        until(lambda: got.extend(s.receive(0.02)) or got, f"{name} shows it")
        names[name] = got[0][2]["name"]
    assert names == {"wall": "演示", "hall": "演*"}


@test
def the_policy_makes_durable_names_and_their_hold_limit(b):
    o = Office(b, gate={**GATEWAY, "durable": "sms-1", "hold": "3d"}, wall={**BOARD, "durable": "wall-1"})
    until(lambda: b.r.hgetall(b.key("durable")) == {b"sms-1": b"259200000"} and
          b.r.hgetall(b.key("durable-public")) == {b"wall-1": str(14 * 86400000).encode()},
          lambda: b.r.hgetall(b.key("durable")))  # on its way at READY
    s = o.session("gate", name="sms-1", start="resume")
    b.publish(event("e-1"))
    receive_until(s, ["e-1"])
    o.policy["gate"]["hold"] = "4d"
    o.add("more", **GATEWAY, durable="sms-2")
    o.reload()
    until(lambda: b.r.hgetall(b.key("durable")).get(b"sms-2") and
          b.r.hget(b.key("durable"), "sms-1") == b"345600000", "the reload registers them")
    del o.policy["more"]
    o.reload()
    b.d.stop()
    b.d.start()
    until(lambda: b.d.ask("status")["counters"]["entries"] == 0 and b.r.hget(b.key("durable"), "sms-1"), "it serves")
    assert b.r.hexists(b.key("durable"), "sms-2"), "its place is kept until somebody forgets it"
    dibaoctl(b, "-c", b.d.config, "durable", "forget", "sms-2")
    assert not b.r.hexists(b.key("durable"), "sms-2")


@test
def the_window_is_what_the_policy_allows(b):
    o = Office(b, gate={**GATEWAY, "window": "256K"})
    assert o.session("gate", window=1 << 20).welcome["win"] == 256 << 10


@test
def what_is_over_the_rate_comes_later_and_all_of_it(b):
    o = Office(b, gate={**GATEWAY, "rate": "2000"})
    b.publish_many(10000)
    begin = time.monotonic()
    s = o.session("gate", start="time", arg=0)
    receive_until(s, generated(10000))
    # A second's worth at once, and a frame of a thousand more.
    assert 2.5 < time.monotonic() - begin < 15 * SLOW


# ---- revocation ----

@test
def after_a_revocation_nothing_of_a_replay_under_way_is_sent(b):
    o = Office(b, gate=GATEWAY, other=GATEWAY)
    b.publish_many(20000)
    s = o.session("gate", start="time", arg=0, window=128 << 10)
    got = [0]
    # It acknowledges nothing, so its window fills, and most of the replay is still to be sent.
    until(lambda: got.__setitem__(0, got[0] + len(s.receive(0.02, ack=False))) or got[0] > 100, "the replay is under way")
    del o.policy["gate"]
    assert "1 sessions revoked" in o.reload()
    items = o.status("items")
    b.publish_many(50, "late")
    for channel in range(4):  # what it had would now earn it more
        if s.number[channel]:
            s.ack(channel, *s.last[1:])
    reason, text, n = revocation(s)
    assert (reason, text) == (REVOKED, "not in the policy any more")
    assert o.status("items") == items and got[0] + n <= items < 20000, "nothing is handed to libzmq any more"
    assert o.status("revoked") == 1
    assert o.session("other").welcome
    # Nor does the connection that stands get in again.
    assert goodbye_to_hello(s) == REVOKED, "it is nobody"


@test
def after_a_revocation_in_mid_burst_live_events_end_at_once(b):
    o = Office(b, gate=GATEWAY)
    s, other = o.session("gate"), b.recorder("other")  # which is of this machine
    p = b.publish_many(20000, wait=False)
    n, reloaded = 0, False
    while not reloaded:
        n += len(s.receive(0.02))
        if n > 500:
            del o.policy["gate"]
            o.reload()
            reloaded = True
    assert [k["policy"] for k in b.d.ask("clients")["clients"]] == ["local"]
    reason, text, more = revocation(s)
    assert reason == REVOKED and n + more < 20000
    b.published(p)
    other.wait_for(generated(20000), 60)
    try:
        assert not s.receive(0.2), "not one more"
    except subscriber.Refused:
        pass


def is_over(b, s, who):
    """No session is left, and what would have been its own until now does not come."""
    assert who not in [k["policy"] for k in b.d.ask("clients")["clients"]]
    b.publish(event(f"after-{time.monotonic_ns()}", "award" if who == "wall" else "penalty"))
    holds(lambda: not s.socket.poll(10) or s.socket.recv_multipart()[0][:1] == b"G", "not one frame more", 0.3)


@test
def each_narrowing_is_told_as_revoked_and_what_remains_is_served_anew(b):
    o = Office(b, gate=GATEWAY, wall=BOARD, still=GATEWAY)
    untouched = o.session("still")
    for change in ({"types": "award"}, {"orgs": "320508"}, {"channels": "public public-now"}, {"window": "128K"}):
        o.policy["gate"] = {**o.policy["gate"], **GATEWAY}
        o.reload()
        s = o.session("gate")
        o.policy["gate"].update(change)
        o.reload()
        assert revocation(s)[0] == REVOKED, change
        is_over(b, s, "gate")
        o.policy["gate"] = {k: v for k, v in o.policy["gate"].items() if k not in ("channels", "window")}
    s = o.session("wall", view="public")
    o.policy["wall"]["mask_names"] = "yes"
    o.reload()
    assert revocation(s)[0] == REVOKED
    is_over(b, s, "wall")
    o.policy["gate"].update({"types": "award"})
    o.reload()
    s = o.session("gate")
    b.publish(event("p-1"))
    b.publish(event("a-1", "award"))
    assert receive_until(s, ["a-1"]) == {"a-1"}
    assert receive_until(untouched, ["p-1", "a-1"]), "whose grant is as it was goes on"


@test
def a_standby_is_revoked_with_the_others(b):
    o = Office(b, gate={**GATEWAY, "durable": "sms-1"}, mate={**GATEWAY, "durable": "sms-1"})
    active = o.session("gate", name="sms-1", start="resume")
    standby = o.session("mate", name="sms-1", start="resume")
    assert active.welcome and standby.standby
    del o.policy["mate"]
    o.reload()
    assert revocation(standby)[0] == REVOKED
    b.publish(event("e-1"))
    receive_until(active, ["e-1"])
    active.bye()
    b.publish(event("e-2"))
    until(lambda: not b.d.ask("clients")["clients"], "it has left")
    holds(lambda: not b.d.ask("clients")["clients"], "nobody takes over", 0.5)


@test
def two_keys_serve_one_name_until_the_old_one_is_taken_away(b):
    o = Office(b, gate=GATEWAY)
    old = o.keys["gate"]
    new = o.key("gate-new")
    o.policy["gate"]["public_key"] = f"{old[0]} {new}"
    o.reload()
    by_old, by_new = o.session("gate"), o.session("gate-new")
    assert [k["policy"] for k in b.d.ask("clients")["clients"]] == ["gate", "gate"]
    o.policy["gate"]["public_key"] = new
    assert "1 sessions revoked" in o.reload()
    assert revocation(by_old)[0] == REVOKED
    b.publish(event("e-1"))
    receive_until(by_new, ["e-1"])
    # The name stands in the policy as before, but not for this connection.
    assert goodbye_to_hello(by_old) == REVOKED


@test
def a_name_ends_with_its_day_also_while_it_is_connected(b):
    o = Office(b, gate=GATEWAY)
    b.d.stop()
    # The daemon's midnight is half an hour ahead, until its clock is put there.
    clock = Shim(b, "clock")
    b.expected = "clocks disagree"  # Redis' goes on
    now = int(time.time())
    ahead = -now % 86400 - 1800
    b.d.env = {**b.d.env, **clock.env, "TZ": "XXX%s%02d:%02d:%02d" % ("+-"[ahead > 0], abs(ahead) // 3600, abs(ahead) // 60 % 60, abs(ahead) % 60)}
    o.policy["gate"]["expires"] = time.strftime("%Y-%m-%d", time.gmtime(now + ahead))
    o.write()
    b.d.start()
    s = o.session("gate")
    b.publish(event("e-1"))
    receive_until(s, ["e-1"])
    clock.step(1801_000)
    assert revocation(s, 20)[:2] == (REVOKED, "expires: the date is past")
    assert o.refusal("gate") == (REFUSED, "expires: the date is past")
    b.publish(event("e-2"))
    assert o.status("items") == 1


@test
def secrets_may_come_from_the_service_managers_credentials(b):
    os.mkdir(b.path("credentials"), 0o700)
    o = Office(b, gate=GATEWAY)
    b.d.stop()
    os.rename(b.path("dibaod.key"), b.path("credentials/dibaod.key"))
    with open(b.path("credentials/redis"), "w") as f:
        f.write("one-password\n")
    os.chmod(b.path("credentials/redis"), 0o640)  # as systemd's access list shows
    b.r.config_set("requirepass", "one-password")
    b.r = redis_client.Redis(unix_socket_path=b.redis_socket, password="one-password")
    b.d.env["CREDENTIALS_DIRECTORY"] = b.path("credentials")
    b.d.configure(curve_key_file="dibaod.key", redis_password_file="redis")
    b.d.start()
    assert o.session("gate").welcome
    b.d.stop()
    os.chmod(b.path("credentials/dibaod.key"), 0o604)
    b.expected = "others than its owner may read it|cannot start"
    b.d.start(wait=False)
    assert b.d.process.wait() != 0 and "chmod 600" in b.d.log()


run()
