#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Two daemons on one Redis: one inside, for all; one outside, for boards alone, as a Redis user that can
# read no private channel.
from office import *
from zmtp import *

PUBLIC = ["public", "public-now"]


class Two(Office):
    def __init__(self, b, outside=None, **names):
        super().__init__(b, **{"wall": BOARD, "gate": GATEWAY, **names})
        dibaoctl(b, "--redis", "unix:" + b.redis_socket, "setup", "--acl", "--apply")
        b.d.stop()
        b.d.configure(redis_user="dibaod", redis_password_file=b.path("dibaod.password"))
        b.d.start()
        self.outside = b.daemon("outside", access=self.conf, curve_key_file=b.path("dibaod.key"), insecure="no",
                                audience="public", redis_user="dibaod-public",
                                redis_password_file=b.path("dibaod-public.password"), **(outside or {})).start()

    def wall(self, **options):
        s = self.subscriber("wall", endpoint=self.outside.tcp, view="public", **options)
        until(lambda: s.receive(0.02) is not None and s.welcome, "the wall is welcome", every=0)
        return s


def shown(s, pids, n, seconds=10):
    """Until n views in all are there; pids: those so far, by what became of them."""
    def enough():
        for channel, kind, m in s.receive(0.02):
            assert channel in PUBLIC, channel
            assert kind in (subscriber.VIEW, subscriber.WITHDRAWN), kind
            pids[m["pid"]] = kind
        return len(pids) >= n
    until(enough, lambda: f"{n} views, not {len(pids)}", seconds, 0)


def withdrawn(s, pids, n, seconds=10):
    def enough():
        pids.update((m["pid"], kind) for _, kind, m in s.receive(0.02))
        return list(pids.values()).count(subscriber.WITHDRAWN) >= n
    until(enough, lambda: f"{n} are withdrawn: {pids}", seconds, 0)


def private_reads(b):
    """What the outer daemon's user was refused, but for its own questions at each start."""
    return [e for e in b.r.acl_log() if e["username"] == "dibaod-public"
            and not (e["object"] in [BASE + k for k in ("private", "private-now", "cursors")] and e["count"] <= 2)]


@test
def a_board_is_served_outside_and_nothing_is_asked_that_the_user_may_not(b):
    o = Two(b)
    o.policy["wall"]["durable"] = "wall-1"
    o.reload()
    o.outside.process.signal(signal.SIGHUP)
    o.outside.wait_log("reloaded")
    until(lambda: b.r.hexists(b.key("durable-public"), "wall-1"), "the inner daemon has registered its name")
    for i in range(5):
        b.publish(event(f"a-{i}", "award"))
        b.publish(event(f"p-{i}", "penalty"))
    for start, arg in (("last", 3), ("time", 1), ("resume", 0)):
        pids = {}
        s = o.wall(start=start, arg=arg, name="wall-1" if start == "resume" else None)
        if start == "resume":
            b.publish(event("a-5", "award"))
        shown(s, pids, {"last": 3, "time": 5, "resume": 1}[start])
        s.bye()
    assert o.outside.ask("status")["counters"]["adopted"] == 0
    assert private_reads(b) == []


@test
def what_is_taken_back_or_hidden_reaches_the_boards_also_while_the_inner_daemon_is_dead(b):
    o = Two(b)
    s, pids = o.wall(), {}
    for i in range(3):
        b.publish(event(f"a-{i}", "award", badge=f"F00000{i}"))
    b.publish(event("p-1", "penalty"))
    shown(s, pids, 3)
    b.d.kill()
    b.publish(event("r-0", "award", badge="F000000", retracts="a-0"))
    withdrawn(s, pids, 1)
    dibaoctl(b, "--redis", "unix:" + b.redis_socket, "hide", "--badge", "F000001")
    withdrawn(s, pids, 2)
    b.publish(event("a-3", "award", badge="F000001"))  # of one who is hidden
    b.publish(event("a-4", "award", badge="F000002"))
    shown(s, pids, 4)
    holds(lambda: s.receive(0.01) is not None, "", 0.5)
    assert len(pids) == 4
    late, seen = o.wall(start="time", arg=1), {}
    withdrawn(late, seen, 2)
    shown(late, seen, 4)
    assert list(seen.values()).count(subscriber.VIEW) == 2, "a replay shows nothing that was withdrawn or hidden"
    b.d.start()


@test
def an_entry_by_hand_is_sent_to_no_board_before_the_inner_daemon_has_adopted_it(b):
    o = Two(b)
    s, pids = o.wall(), {}
    b.d.stop()
    b.publish(event("a-0", "award"))
    for uid, type in (("h-1", "award"), ("h-2", "award"), ("h-2", "award"), ("h-3", "penalty")):
        b.r.xadd(b.key("public"), {"e": event(uid, type)})
    b.r.xadd(b.key("public"), {"e": event("h-4", "award", not_before=4102444800000)})
    assert b.publish(event("s-1", "award", not_before=b.r.time()[0] * 1000 + 1200)) == "scheduled"
    b.r.xadd(b.key("public"), {"e": b"no event"})
    b.publish(event("a-1", "award"))
    shown(s, pids, 2)
    holds(lambda: s.receive(0.01) == [], "what nobody adopted is sent to nobody", 0.7)
    o.outside.stop()
    o.outside.start()  # with an empty ring: what lies in Redis is read as a range
    late, seen = o.wall(start="time", arg=1), {}
    shown(late, seen, 2)
    holds(lambda: late.receive(0.01) == [], "nor in a replay, nor what is due since", 1.0)
    b.d.start()
    for t, seen in ((s, pids), (late, seen)):
        shown(t, seen, 5)
        holds(lambda: t.receive(0.01) == [], "the double, the penalty and the future one are not sent", 0.3)
    assert b.r.xlen(b.key("quarantine")) == 2 and private_reads(b) == []


@test
def who_is_no_board_is_refused_outside_with_the_reason(b):
    o = Two(b, desk={"kind": "reader", "types": "award", "orgs": "*"},
            chief={"kind": "admin", "types": "*", "orgs": "*"})
    for who in ("gate", "desk", "chief"):
        for view in ("full", "public"):
            assert o.refusal(who, endpoint=o.outside.tcp, view=view) == \
                (REFUSED, "kind: this daemon serves boards alone"), who
    assert refusal(o.subscriber("gate", endpoint=o.outside.ipc, curve=False)) == \
        (REFUSED, "kind: this daemon serves boards alone")
    assert o.refusal("wall", endpoint=o.outside.tcp) == (REFUSED, "kind: a board gets the public view alone")
    assert o.outside.ask("status")["counters"]["refused"] == 8


@test
def a_board_whose_name_is_registered_as_no_boards_is_refused_with_the_cure(b):
    o = Two(b)
    b.durable("wall-1")
    b.expected = "durable name wall-1 is registered as no board's: forget it first"
    o.policy["wall"]["durable"] = "wall-1"
    o.reload()
    b.d.wait_log(b.expected)
    o.outside.process.signal(signal.SIGHUP)
    o.outside.wait_log("reloaded")
    for endpoint in (b.d.tcp, o.outside.tcp):
        assert o.refusal("wall", endpoint=endpoint, view="public", start="resume", name="wall-1") == \
            (REFUSED, "durable name is not registered as a board's: dibaoctl durable set --board NAME")
    dibaoctl(b, "--redis", "unix:" + b.redis_socket, "durable", "forget", "wall-1")
    dibaoctl(b, "--redis", "unix:" + b.redis_socket, "durable", "set", "--board", "wall-1")
    s = o.wall(start="resume", name="wall-1")
    b.publish(event("a-1", "award"))
    shown(s, {}, 1)
    # Nor has anybody else a board's, whatever the policy grants.
    o.policy["gate"]["durable"] = "*"
    o.reload()
    assert o.refusal("gate", name="wall-1") == (REFUSED, "durable name is not registered: dibaoctl durable set NAME")


@test
def it_does_not_start_as_a_user_who_can_read_what_is_private(b):
    o = Two(b)
    o.outside.stop()
    b.expected = "audience = public, but Redis lets the user dibaod at private events"
    o.outside.configure(redis_user="dibaod", redis_password_file=b.path("dibaod.password"))
    o.outside.start(wait=False)
    assert o.outside.process.wait() == CONFIG and re.search(b.expected, o.outside.log())
    b.expected = "at the places of others than boards"
    for key in ("private", "private-now", "cursors"):
        b.r.execute_command("ACL", "SETUSER", "dibaod-public", f"%R~{BASE}{key}")
        o.outside.configure(redis_user="dibaod-public", redis_password_file=b.path("dibaod-public.password"))
        o.outside.start(wait=False)
        assert o.outside.process.wait() == CONFIG, key
        dibaoctl(b, "--redis", "unix:" + b.redis_socket, "setup", "--acl", "--apply", "--replace", "dibaod-public")
    o.outside.configure(redis_user="", redis_password_file="")
    p = subprocess.run([BUILD + "/bin/dibaod", "-c", o.outside.config, "--check-config"], capture_output=True, text=True)
    assert p.returncode == CONFIG and "audience: public needs redis_user" in p.stderr, p.stderr


@test
def an_act_at_the_outer_daemon_is_logged_there_and_leaves_the_audit_stream_alone(b):
    o = Two(b)
    before = b.r.xlen(b.key("audit"))
    assert o.outside.ask("reload")["ok"]
    o.outside.wait_log(r"reload by uid=\d+ via=dibaod: ok")
    assert b.r.xlen(b.key("audit")) == before
    assert o.outside.ask("status")["audience"] == "public" and b.d.ask("status")["audience"] == "all"


@test
def after_a_redis_that_came_back_with_less_boards_get_what_the_inner_daemon_puts_back(b):
    o = Two(b, outside=dict(heartbeat_ms=20000, silence_ms=120000))  # nobody hears the board out while Redis is away
    s, pids = RawSubscriber(o.outside.tcp, curve=o.curve("wall"), view="public", start="time", arg=1), {}
    s.open()
    b.publish(event("a-0", "award"))
    shown(s, pids, 1)
    b.r.config_set("appendonly", "no")  # from here on a restart loses
    b.publish(event("a-1", "award"))
    shown(s, pids, 2)
    b.expected = "redis|came back with less"
    b.d.pause()
    b.redis.kill()
    b.start_redis()
    dibaoctl(b, "--redis", "unix:" + b.redis_socket, "setup", "--acl", "--apply")
    o.outside.wait_log("all sessions begin anew", 120)
    why = (5, "the queue is being read anew")
    until(lambda: s.receive(0.02) is not None and [f for _, f in s.log if f[0][:1] == b"G"], "it is told", every=0)
    # What it says before it says HELLO again is refused, the more of it the slower all goes.
    assert {(m["why"], m["text"]) for m in (msgpack.unpackb(f[0][1:]) for _, f in s.log if f[0][:1] == b"G")} == {why}
    until(lambda: len(re.findall(why[1] + "|say HELLO first", o.outside.log())) == o.outside.ask("status")["counters"]["no_session"] > 0,
          "each is counted and logged")
    late, seen = o.wall(start="time", arg=1), {}
    shown(late, seen, 1)
    b.d.go_on()
    b.d.wait_log("1 events published again", 120)
    b.publish(event("a-2", "award"))
    shown(s, pids, 3, 120)
    shown(late, seen, 3, 120)


run()
