#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Where secrets may lie, and what happens at once when a grant becomes less, one test for each kind of grant.
from office import *

N = 20000
DAEMON, CTL = BUILD + "/bin/dibaod", BUILD + "/bin/dibaoctl"


# ---- files ----

@test
def a_secret_that_others_can_read_is_read_by_nobody(b):
    o = Office(b, gate=GATEWAY)
    b.d.stop()
    with open(b.path("password"), "w") as f:
        f.write("secret-word\n")
    os.chmod(b.path("password"), 0o600)
    b.r.config_set("requirepass", "secret-word")
    b.d.configure(redis_password_file=b.path("password"))
    b.d.start().stop()
    b.expected = "."
    for option, file in (("curve_key_file", "dibaod.key"), ("view_key_file", "view.key"), ("redis_password_file", "password")):
        for mode in (0o640, 0o604, 0o620, 0o644, 0o666):
            os.chmod(b.path(file), mode)
            mark = len(b.d.log())
            b.d.start(wait=False)
            assert b.d.process.wait() != 0, (option, oct(mode))
            said = b.d.log()[mark:]
            assert re.search(f"{option} {b.path(file)}: .*chmod 600", said) and "secret-word" not in said, said
        os.chmod(b.path(file), 0o600)
    b.d.start()
    # dibaoctl: the password of its configuration, a key of its own.
    ctl = lambda *args, **more: dibaoctl(b, "-c", b.d.config, *args, **more)
    assert ctl("durable", "list", "--json")
    os.chmod(b.path("password"), 0o644)
    _, err = ctl("durable", "list", code=CONFIG)
    assert f"{b.path('password')}: others than its owner may read it: chmod 600" in err and "secret-word" not in err
    os.chmod(b.path("password"), 0o600)
    tail = ("--endpoint", b.d.tcp, "--server-key", o.server, "--key", b.path("gate.key"), "tail")
    for mode in (0o640, 0o604):
        os.chmod(b.path("gate.key"), mode)
        _, err = ctl(*tail, code=NOPERM)  # the library's word
        assert "chmod 600" in err, err


@test
def credentials_of_the_service_manager_serve_for_each_secret(b):
    o = Office(b, gate=GATEWAY)
    b.d.stop()
    os.mkdir(b.path("credentials"), 0o700)
    for name in ("dibaod.key", "view.key", "gate.key"):
        os.rename(b.path(name), b.path("credentials/" + name))
    with open(b.path("credentials/redis-password"), "w") as f:
        f.write("secret-word\n")
    for name in os.listdir(b.path("credentials")):
        os.chmod(b.path("credentials/" + name), 0o440)  # what systemd's access list shows as
    b.r.config_set("requirepass", "secret-word")
    b.r = redis_client.Redis(unix_socket_path=b.redis_socket, password="secret-word")
    b.d.configure(curve_key_file="dibaod.key", view_key_file="view.key", redis_password_file="redis-password")
    env = {"CREDENTIALS_DIRECTORY": b.path("credentials")}
    b.d.env = {**b.d.env, **env}
    b.d.start()
    o.session("gate").bye()
    until(lambda: not b.d.ask("clients")["clients"], "it has left")
    dibaoctl(b, "-c", b.d.config, "durable", "list", env=env)
    p = b.process([CTL, "-c", b.d.config, "--endpoint", b.d.tcp, "--server-key", o.server, "--key", "gate.key", "tail"],
                  b.path("tail.out"), {**os.environ, **env})
    until(lambda: b.d.ask("clients")["clients"], "the library reads its key there")
    p.kill()
    # No directory, no such name, a way out of it, no plain file.
    os.mkdir(b.path("credentials/sub"))
    for name, env in (("gate.key", {"CREDENTIALS_DIRECTORY": ""}), ("nothing.key", env), ("..", env), (".", env), ("sub", env)):
        _, err = dibaoctl(b, "-c", b.d.config, "--endpoint", b.d.tcp, "--server-key", o.server, "--key", name, "tail",
                          code=(65, 66, 69, 77, 78), env={**b.d.env, **env})
    b.d.stop()
    b.expected = "."
    b.d.configure(redis_password_file="..")
    b.d.start(wait=False)
    assert b.d.process.wait() != 0 and "redis_password_file ..: " in b.d.log()


# ---- less than before, in the middle of a replay ----

def narrowing(title, change, why, grant=None, **options):
    """A test that takes away in mid-replay: the session ends, told `revoked`, and nothing more is handed on."""
    def take_away(b):
        g = grant or {**GATEWAY, "durable": "sms-1"}
        o = Office(b, gate=g, other=GATEWAY)
        b.publish_many(N, types=("penalty", "award") if g["kind"] != "board" else ("award", "promotion"))
        ask = {"start": "time", "arg": 1, "window": 256 << 10, **options}
        s = o.session("gate", **ask)
        got = [0]
        until(lambda: got.__setitem__(0, got[0] + len(s.receive(0.02, ack=False))) or got[0] > 100, "the replay is under way")
        change(o)
        said = o.reload()
        assert "1 sessions revoked" in said, said
        before = o.status("items")
        assert got[0] <= before < N, "most of it was still to come"
        for channel in range(4):  # what would have earned more
            if s.number[channel]:
                s.ack(channel, *s.last[1:])
        b.publish_many(50, "late", types=("award",))
        reason, text, n = revocation(s)
        assert (reason, text) == (REVOKED, why), (reason, text)
        assert o.status("items") == before >= got[0] + n, "nothing is handed to libzmq any more"
        assert not b.d.ask("clients")["clients"]
    take_away.__name__ = title
    test(take_away)


def set_(**options):
    return lambda o: o.policy["gate"].update(options)


narrowing("fewer_types_end_it", set_(types="award"), "less is granted than before")
narrowing("a_type_it_asked_for_ends_it", set_(types="award mailbox_reply"), "types: penalty is not granted",
          types=["penalty", "award"])
narrowing("a_smaller_part_of_the_bureau_ends_it", set_(orgs="3205"), "less is granted than before")
narrowing("an_organisation_it_asked_for_ends_it", set_(orgs="320506"), "orgs: 320508 is not granted", orgs=["320508"])
narrowing("fewer_channels_end_it", set_(channels="private private-now"), "channels: fewer are granted than before")
narrowing("another_durable_name_ends_it", set_(durable="sms-2"), "durable: that name is not granted", name="sms-1")
narrowing("a_smaller_window_ends_it", set_(window="128K"), "window: less is granted than before")
narrowing("a_date_that_is_past_ends_it", set_(expires="2020-01-01"), "expires: the date is past")
narrowing("a_narrower_kind_ends_it", lambda o: o.policy.update(gate={"public_key": o.policy["gate"]["public_key"], **BOARD}),
          "kind: a board gets the public view alone")
narrowing("no_section_any_more_ends_it", lambda o: o.policy.pop("gate"), "not in the policy any more")
narrowing("another_key_ends_it", lambda o: o.policy["gate"].update(public_key=o.key("gate-new")), "not in the policy any more")
narrowing("names_to_be_masked_end_it", set_(mask_names="yes"), "less is granted than before", grant=BOARD, view="public")


@test
def a_lower_rate_slows_a_replay_under_way_and_does_not_end_it(b):
    o = Office(b, gate=GATEWAY)
    b.publish_many(N)
    s = o.session("gate", start="time", arg=1, window=128 << 10)
    until(lambda: s.receive(0.02, ack=False) is not None and s.number[1] > 1, "the replay is under way")
    o.policy["gate"]["rate"] = "100"
    assert "0 sessions revoked" in o.reload()
    before, begin = o.status("items"), time.monotonic()
    assert before < N / 2
    until(lambda: s.receive(0.02) is not None and o.status("items") > before, "it goes on")
    # A frame that begins within the rate goes whole, and what follows waits for it: ten seconds for a thousand.
    frame = o.status("items") - before
    holds(lambda: s.receive(0.02) is not None and o.status("items") <= before + frame + 100 * (time.monotonic() - begin) + 1500,
          "it is slow", 2.0)
    assert s.welcome and o.status("items") < N / 2
    # And as fast as before when the rate is lifted.
    o.policy["gate"]["rate"] = "0"
    assert "0 sessions revoked" in o.reload()
    until(lambda: s.receive(0.01) is not None and o.status("items") == N, "all of it", every=0)


@test
def of_two_keys_in_mid_replay_the_one_that_is_taken_away_ends(b):
    o = Office(b, gate=GATEWAY)
    old, new = o.keys["gate"][0], o.key("gate-new")
    o.policy["gate"]["public_key"] = f"{old} {new}"
    o.reload()
    b.publish_many(N)
    by_old, by_new = (o.session(k, start="time", arg=1, window=128 << 10) for k in ("gate", "gate-new"))
    for s in (by_old, by_new):
        until(lambda: s.receive(0.02, ack=False) is not None and s.number[1], "the replay is under way")
    o.policy["gate"]["public_key"] = new
    assert "1 sessions revoked" in o.reload()
    assert revocation(by_old)[:2] == (REVOKED, "not in the policy any more")
    by_new.ack(1, *by_new.last[1:])
    got = set(by_new.seen)
    until(lambda: got.update(m["uid"] for _, _, m in by_new.receive(0.02)) or len(got) == N, "the other has it all", every=0)


run()
