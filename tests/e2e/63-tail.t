#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# dibaoctl tail: what a person at a terminal is told when no event can come, and in which words events come.
from dibao_test import *

SOON = 2.0  # s


def keygen(b, name):
    """The public key; the secret one is in NAME.key."""
    p = subprocess.run([BUILD + "/bin/dibaoctl", "--json", "keygen", name, "--out", b.path(name + ".key")],
                       capture_output=True, text=True, timeout=30 * SLOW, check=True)
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
    p.begun = time.monotonic()
    return p


def says(p, pattern, seconds=SOON):
    until(lambda: re.search(pattern, p.log()), lambda: f"{pattern}; it says: {p.log()}", seconds)


@test
def a_wrong_server_key_is_told_within_two_seconds_and_once(b):
    curve_daemon(b)
    p = tail(b, "--key", b.path("desk.key"), "--server-key", keygen(b, "impostor"))
    says(p, rf"^dibaoctl: {b.d.tcp}: handshake failed: .*is the server key this daemon's.*, connecting again\n")
    holds(lambda: p.log().count("\n") == 1 and p.alive(), "it is told once, and tried again", 1.0)
    p.signal(signal.SIGTERM)
    assert p.wait() == 0


@test
def ones_own_key_that_is_not_in_the_policy_is_told_within_two_seconds(b):
    curve_daemon(b)
    keygen(b, "stranger")
    p = tail(b, "--key", b.path("stranger.key"), "--server-key", b.server)
    says(p, rf"{b.d.tcp}: refused: the daemon does not know this key")


@test
def keys_on_one_side_only_are_told_within_two_seconds(b):
    curve_daemon(b)
    says(tail(b), rf"{b.d.tcp}: handshake failed: .*keys \(CURVE\)")
    says(tail(b, "--key", b.path("desk.key"), "--server-key", b.server, endpoint=b.d.ipc),
         rf"{b.d.ipc}: handshake failed: .*keys \(CURVE\)")


@test
def an_endpoint_where_nobody_is_is_told_within_two_seconds_and_its_coming_back_too(b):
    b.start()
    b.d.stop()
    p = tail(b)
    says(p, rf"no answer from {b.d.tcp}: nobody listens there")
    b.d.start()
    says(p, rf"connected to {b.d.tcp}\n", 15)
    b.d.kill()
    says(p, rf"{b.d.tcp}: connection lost: .*\n.*no answer from {b.d.tcp}", 5)


@test
def a_peer_that_is_no_daemon_is_told_after_a_bounded_time(b):
    b.start_redis()
    b.d = Daemon(b, "never-started", {})
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        where = "tcp://127.0.0.1:%d" % silent.getsockname()[1]
        says(tail(b, endpoint=where), rf"no answer from {where}: .*silent", 8)
    says(tail(b, endpoint="127.0.0.1:7"), "no answer from 127.0.0.1:7: cannot be opened: ")


run()
