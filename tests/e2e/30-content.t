#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Doubles, conflicts, poison, retractions and corrections.
from dibao_test import *

PAIR = dict(badge="F000777")  # events that refer to each other are of one person


@test
def a_double_is_told_as_repeat_and_comes_once_however_it_was_put_in(b):
    b.start()
    r = b.recorder("r")
    assert b.publish(event("a")) == "new"
    assert b.publish(event("a")) == "repeat"
    assert b.publish(event("a", urgent=True)) == "conflict"
    b.r.xadd(b.key("private"), {"e": event("a")})
    b.r.xadd(b.key("private"), {"e": event("plain")})
    b.r.xadd(b.key("private"), {"e": event("plain")})
    b.r.xadd(b.key("private"), {"e": event("plain", issuer="别的局")})
    assert b.publish(event("end")) == "new"
    r.wait_for({"a", "plain", "end"})
    reasons = [f[b"reason"].decode() for _, f in b.r.xrange(b.key("quarantine"))]
    assert reasons == ["uid was published before with other bytes"], reasons
    assert b.publish(event("plain")) == "repeat", "what was put in by hand is known by its uid"
    b.d.kill()
    for uid in ("a", "plain"):
        b.r.xadd(b.key("private"), {"e": event(uid)})
    b.d.start()
    assert b.publish(event("a")) == "repeat" and b.publish(event("end-2")) == "new"
    r.wait_for({"a", "plain", "end", "end-2"})
    b.recorder("late", "-s", "time:1000").wait_for({"a", "plain", "end", "end-2"})


@test
def what_was_quarantined_may_be_published_again(b):
    b.start()
    r = b.recorder("r")
    b.r.xadd(b.key("private"), {"e": event("bad", body={"kind": "?"})})
    until(lambda: b.r.xlen(b.key("quarantine")) == 1, "it is set aside")
    assert b.publish(event("bad")) == "new"
    assert b.publish(event("bad")) == "repeat"
    r.wait_for({"bad"})


def poison():
    """Ten kinds: (channel, fields)."""
    good = event("poison")
    deep = b"\x81\xa1a" + b"\x91" * 300 + b"\xc0"
    return [
        ("private", {"e": b"not msgpack at all"}),
        ("private", {"e": good[:-7]}),
        ("private", {"e": good + b"\x00"}),
        ("private", {"e": event("p3", body={"reason": "演示"})}),
        ("private", {"e": event("p4", org="12345")}),
        ("public", {"e": event("p5")}),
        ("private", {"e": event("p6", issuer="x" * 20000)}),
        ("private", {"e": event("p7").replace("演示局".encode(), b"\xff" * 9)}),
        ("private", {"e": b"\xdf\xff\xff\xff\xff\xa1a"}),
        ("private", {"e": deep}),
        ("private", {"x": "not a field of ours"}),
        ("private", {"e": event("p11").replace(b"\xa1v\x01", b"\xa1v\x02")}),
    ]


def is_set_aside(b, r):
    want = [(c, f.get("e", b"")) for c, f in poison()]
    until(lambda: b.r.xlen(b.key("quarantine")) >= len(want), "all poison is set aside")
    b.publish_many(50, "after")
    r.wait_for(generated(50, "before") | generated(50, "after"))
    got = [(f[b"channel"].decode(), f[b"e"], f[b"reason"].decode()) for _, f in b.r.xrange(b.key("quarantine"))]
    assert sorted(w[:2] for w in got) == sorted((c, e[:16385]) for c, e in want)
    for channel, bytes_, reason in got:
        assert reason, "a reason is told"
    for c in CHANNELS:
        for _, f in b.r.xrange(b.key(c)):
            assert f.get(b"f"), "what is left was adopted"
    assert b.d.process.alive()


@test
def poison_of_ten_kinds_is_set_aside_and_blocks_nobody(b):
    b.start()
    r = b.recorder("r")
    b.publish_many(50, "before")
    for channel, fields in poison():
        b.r.xadd(b.key(channel), fields)
    is_set_aside(b, r)


@test
def poison_that_came_while_no_daemon_ran_is_set_aside_too(b):
    b.start()
    b.durable("gateway")
    r = b.recorder("r", "-d", "gateway")
    b.publish_many(50, "before")
    r.wait_for(generated(50, "before"))
    b.d.stop()
    for channel, fields in poison():
        b.r.xadd(b.key(channel), fields)
    b.d.start()
    is_set_aside(b, r)
    late = b.recorder("late", "-s", "time:1000")
    late.wait_for(generated(50, "before") | generated(50, "after"))


@test
def a_scheduled_event_comes_when_it_is_due_and_not_before(b):
    b.start()
    r = b.recorder("r")
    t = b.r.time()
    due = t[0] * 1000 + t[1] // 1000 + 1200
    assert b.publish(event("later", not_before=due)) == "scheduled"
    assert b.publish(event("later", not_before=due)) == "repeat"
    b.r.xadd(b.key("private"), {"e": event("by-hand", not_before=due)})
    assert b.publish(event("cancelled", not_before=due)) == "scheduled"
    assert b.call("dibao_cancel", "cancelled") == 1
    assert b.publish(event("now")) == "new"
    r.wait_for({"now"})
    until(lambda: "later" in r.uids(), "it comes")
    t = b.r.time()
    assert t[0] * 1000 + t[1] // 1000 >= due
    r.wait_for({"now", "later", "by-hand"})


# ---- retractions and corrections ----

def three(b, **offline):
    """Subscribers by organisation and type, durable, so that they may be away meanwhile."""
    rs = {}
    for name, args in (("huxu", ["-o", HUXU]), ("wuzhong", ["-o", "320506"]), ("awards", ["-t", "award"]),
                       ("penalties", ["-t", "penalty"])):
        b.durable(name)
        rs[name] = b.recorder(name, "-d", name, *args)
    rs["board"] = b.recorder("board", "-p", "-s", "last:1000")
    return rs


def published_and_taken_back(b, away):
    """A at 胥江 is corrected by B at 吴中; an award, public, is corrected by a private one and back;
    penalties and an award are retracted, also from elsewhere. The subscriber `away` is offline meanwhile."""
    b.start()
    rs = three(b)
    for bytes_ in (event("p", "penalty", HUXU, **PAIR), event("q", "award", HUXU, **PAIR),
                   event("x", "award", WUZHONG, private=True, **PAIR), event("y", "award", HUXU, **PAIR),
                   event("z", "penalty", WUZHONG, **PAIR), event("t", "penalty", HUXU, **PAIR),
                   event("u", "award", HUXU, **PAIR)):
        b.publish(bytes_)
    rs["huxu"].wait_for({"p", "q", "y", "t", "u"}), rs["wuzhong"].wait_for({"x", "z"})
    rs["awards"].wait_for({"q", "x", "y", "u"}), rs["penalties"].wait_for({"p", "z", "t"})
    until(lambda: len(rs["board"].uids()) == 3, "the board shows the public awards")
    shown = set(rs["board"].uids())
    if away:
        rs[away].stop()
    for bytes_ in (event("p2", "penalty", WUZHONG, corrects="p", **PAIR),           # A -> B
                   event("q2", "award", HUXU, private=True, corrects="q", **PAIR),  # public -> private
                   event("x2", "award", WUZHONG, corrects="x", **PAIR),             # private -> public
                   event("y2", "award", WUZHONG, corrects="y", **PAIR),             # A -> B, both public
                   event("z2", "penalty", WUZHONG, retracts="z", **PAIR),
                   event("t2", "penalty", WUZHONG, retracts="t", **PAIR),           # A, by B
                   event("u2", "award", WUZHONG, private=True, retracts="u", **PAIR)):  # public, by a private one of B
        b.publish(bytes_)
    if away:
        rs[away].start()
    rs["huxu"].wait_for({"p", "q", "y", "t", "u", "q2"})
    rs["wuzhong"].wait_for({"x", "z", "p2", "x2", "y2", "z2", "t2", "u2"})
    rs["awards"].wait_for({"q", "x", "y", "u", "q2", "x2", "y2", "u2"})
    rs["penalties"].wait_for({"p", "z", "t", "p2", "z2", "t2"})
    # Who sees only the original is told that it is withdrawn; who sees the new one reads it there.
    rs["huxu"].wait_withdrawn({"p", "y", "t", "u"})
    until(lambda: len(rs["board"].uids()) == 5, "the board gets the awards that are public now")
    rs["board"].wait_withdrawn(shown)
    # (Across audiences the notice is an entry of its own, and tells those too.)
    for name, saw in (("huxu", {"p", "q", "y", "t", "u"}), ("wuzhong", {"x"}), ("awards", {"q", "x", "u"}), ("penalties", set())):
        assert rs[name].withdrawn() <= saw, f"{name} is told of {rs[name].withdrawn()}"
    assert rs["board"].withdrawn() == shown
    # A late board does not get again what was taken back, nor ever a private one.
    late = b.recorder("late", "-p", "-s", "time:1000")
    late.wait_for(set(rs["board"].uids()) - shown)
    # Who asks for history gets the originals marked.
    replay = b.recorder("replay", "-s", "time:1000")
    replay.wait_for({"p", "q", "x", "y", "z", "t", "u", "p2", "q2", "x2", "y2", "z2", "t2", "u2"})
    marked = {l[1] for l in replay.lines() if l[2:] == ["w"]}
    assert marked == {"p", "q", "x", "y", "z", "t", "u"}, marked


@test
def what_is_taken_back_reaches_all_who_saw_it(b):
    published_and_taken_back(b, None)


@test
def and_the_station_that_was_offline(b):
    published_and_taken_back(b, "huxu")


@test
def and_the_other_district_that_was_offline(b):
    published_and_taken_back(b, "wuzhong")


@test
def and_the_subscriber_to_awards_that_was_offline(b):
    published_and_taken_back(b, "awards")


@test
def and_the_subscriber_to_penalties_that_was_offline(b):
    published_and_taken_back(b, "penalties")


@test
def and_the_board_that_was_offline(b):
    published_and_taken_back(b, "board")


def scheduled_and_taken_back(b, away):
    """What waits for its time is taken back or corrected, also across organisations and audiences, while
    the subscriber `away` is offline: nobody ever sees it, nor a withdrawal of it."""
    b.start()
    rs = three(b)
    t = b.r.time()
    due = t[0] * 1000 + t[1] // 1000 + 1500
    if away:
        rs[away].stop()
    later = dict(not_before=due, **PAIR)
    for bytes_ in (event("s1", "penalty", HUXU, **later), event("s2", "award", HUXU, **later),
                   event("s3", "award", WUZHONG, private=True, **later), event("s4", "award", HUXU, **later),
                   event("s5", "penalty", HUXU, **later), event("s6", "penalty", HUXU, **later)):
        assert b.publish(bytes_) == "scheduled"
    for bytes_ in (event("r1", "penalty", HUXU, retracts="s1", **PAIR),
                   event("c2", "award", WUZHONG, corrects="s2", **PAIR),                # A -> B
                   event("c3", "award", WUZHONG, corrects="s3", **PAIR),                # private -> public
                   event("c4", "award", HUXU, private=True, corrects="s4", **PAIR)):    # public -> private
        assert b.publish(bytes_) == "new"
    # The correction waits too, and for as long as the corrected one.
    assert b.publish(event("c5", "penalty", WUZHONG, corrects="s5", **later)) == "scheduled"
    everyone = b.recorder("everyone", "-s", "time:1000")
    until(lambda: "s6" in everyone.uids() and "c5" in everyone.uids(), "what was left comes when it is due")
    t = b.r.time()
    assert t[0] * 1000 + t[1] // 1000 >= due
    assert b.publish(event("end-1", "penalty", HUXU)) == b.publish(event("end-2", "award", WUZHONG)) == "new"
    if away:
        rs[away].start()
    rs["huxu"].wait_for({"c4", "s6", "end-1"})
    rs["wuzhong"].wait_for({"c2", "c3", "c5", "end-2"})
    rs["awards"].wait_for({"c2", "c3", "c4", "end-2"})
    rs["penalties"].wait_for({"c5", "s6", "end-1"})
    everyone.wait_for({"c2", "c3", "c4", "c5", "s6", "end-1", "end-2"})
    until(lambda: len(rs["board"].uids()) == 3, "the board shows the public ones")
    assert not any(r.withdrawn() for r in (everyone, *rs.values()))
    for uid in ("s1", "s2", "s3", "s4"):
        assert b.publish(event(uid, "penalty", HUXU, **later)) in ("conflict", "repeat"), f"{uid} is known"


@test
def what_waits_and_is_taken_back_is_never_seen(b):
    scheduled_and_taken_back(b, None)


@test
def nor_by_the_station_that_was_offline(b):
    scheduled_and_taken_back(b, "huxu")


@test
def nor_by_the_other_district_that_was_offline(b):
    scheduled_and_taken_back(b, "wuzhong")


@test
def nor_by_the_subscriber_to_awards_that_was_offline(b):
    scheduled_and_taken_back(b, "awards")


@test
def nor_by_the_subscriber_to_penalties_that_was_offline(b):
    scheduled_and_taken_back(b, "penalties")


@test
def nor_by_the_board_that_was_offline(b):
    scheduled_and_taken_back(b, "board")


@test
def a_correction_that_waits_takes_the_original_back_when_it_comes(b):
    b.start()
    rs = three(b)
    assert b.publish(event("p", "penalty", HUXU, **PAIR)) == "new"
    assert b.publish(event("q", "award", HUXU, **PAIR)) == "new"
    rs["huxu"].wait_for({"p", "q"})
    until(lambda: len(rs["board"].uids()) == 1, "the board shows the award")
    shown = set(rs["board"].uids())
    t = b.r.time()
    due = t[0] * 1000 + t[1] // 1000 + 1000
    assert b.publish(event("p2", "penalty", WUZHONG, corrects="p", not_before=due, **PAIR)) == "scheduled"
    assert b.publish(event("q2", "award", WUZHONG, private=True, corrects="q", not_before=due, **PAIR)) == "scheduled"
    rs["wuzhong"].wait_for({"p2", "q2"})
    t = b.r.time()
    assert t[0] * 1000 + t[1] // 1000 >= due
    rs["huxu"].wait_withdrawn({"p", "q"})
    rs["board"].wait_withdrawn(shown)
    assert len(rs["board"].uids()) == 1


@test
def an_event_of_another_person_or_unknown_cannot_be_taken_back(b):
    b.start()
    r = b.recorder("r")
    b.publish(event("a", badge="F1"))
    for bytes_, word in ((event("b", retracts="a", badge="F2"), "DIBAO_PERSON"), (event("c", retracts="no", badge="F1"), "DIBAO_NOREF")):
        try:
            b.publish(bytes_)
            raise AssertionError("was taken")
        except redis_client.exceptions.ResponseError as e:
            assert str(e).startswith(word), e
    b.publish(event("end"))
    r.wait_for({"a", "end"})


@test
def who_is_hidden_leaves_the_boards_and_comes_back(b):
    b.start()
    board, gateway = b.recorder("board", "-p"), b.recorder("gateway")
    b.publish(event("h1", "award", badge="F000001"))
    b.publish(event("h2", "award", badge="F000002"))
    until(lambda: len(board.uids()) == 2, "the board shows both")
    first, second = board.uids()
    b.call("dibao_hide", "F000001", 0)
    board.wait_withdrawn({first})
    b.publish(event("h3", "award", badge="F000001"))
    b.publish(event("h4", "award", badge="F000002"))
    until(lambda: len(board.uids()) == 3, "the board shows only the other's new award")
    late = b.recorder("late", "-p", "-s", "last:100")
    until(lambda: len(late.uids()) == 2, "a board that joins late is shown the other's alone")
    assert first not in late.uids() and board.withdrawn() == {first}
    gateway.wait_for({"h1", "h2", "h3", "h4"})
    assert not gateway.withdrawn(), "hiding concerns boards alone"
    b.call("dibao_unhide", "F000001")
    until(lambda: first in late.uids() and len(set(late.uids())) == 4, "both of the person's awards come back")
    gateway.has_exactly({"h1", "h2", "h3", "h4"})


run()
