#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# What an operator and a service manager see: exit codes, what is told of, the watchdog.
from dibao_test import *


def start_fails(b, code, words, **conf):
    b.expected = "."
    d = b.daemon(**conf)
    d.start(wait=False)
    assert d.process.wait() == code, d.log()
    assert re.search(words, d.log()), d.log()


def secret(b, text):
    with open(b.path("secret"), "w") as f:
        f.write(text)
    os.chmod(b.path("secret"), 0o600)
    return b.path("secret")


@test
def a_fault_in_a_file_that_the_configuration_names_is_a_fault_of_the_configuration(b):
    b.start_redis()
    b.setup()
    start_fails(b, os.EX_CONFIG, "view_key_file /no/file: No such file", view_key_file="/no/file")
    start_fails(b, os.EX_CONFIG, "view_key_file /.*/secret: expected 64 hexadecimal digits", view_key_file=secret(b, "5a" * 31))
    start_fails(b, os.EX_CONFIG, "view_key_file", view_key_file=secret(b, "5a" * 33))
    for text in ("", "\n", "x" * 255, "x" * 255 + "\n", "x" * 5000):
        start_fails(b, os.EX_CONFIG, "redis_password_file /.*/secret: expected a line of 1 to 254 bytes",
                    redis_password_file=secret(b, text))
    start_fails(b, os.EX_CONFIG, "redis_password_file /no/file: No such file", redis_password_file="/no/file")
    start_fails(b, os.EX_CONFIG, "/no/policy: No such file", access="/no/policy")


@test
def a_password_of_any_length_that_is_allowed_opens_redis(b):
    b.start_redis()
    b.setup()
    for word in ("p", "x" * 254):
        b.r.config_set("requirepass", word)
        d = b.daemon(redis_password_file=secret(b, word + "\nnot this")).start()
        d.stop()
        b.r.config_set("requirepass", "")


@test
def an_endpoint_or_control_socket_that_cannot_be_opened_is_told_and_ends_the_start(b):
    b.start()
    start_fails(b, os.EX_UNAVAILABLE, "cannot bind tcp.*: Address already in use", endpoints=b.d.tcp)
    start_fails(b, os.EX_UNAVAILABLE, "cannot open the control socket /no/dir/control", control="/no/dir/control")


def dibaod(*args):
    p = subprocess.run([BUILD + "/bin/dibaod", *args], capture_output=True, text=True, timeout=80 * SLOW)
    return p.returncode, p.stdout, p.stderr


@test
def check_config_says_by_its_exit_code_whether_the_daemon_would_take_the_file(b):
    d = b.daemon()
    code, out, err = dibaod("-c", d.config, "--check-config")
    assert (code, err) == (0, "") and "lease_ms = 2s\n" in out, (code, out, err)
    with open(b.path("again.conf"), "w") as f:
        f.write(out)
    assert dibaod("-c", b.path("again.conf"), "--check-config") == (0, out, ""), "what it prints it takes"
    d.configure(lease_ms="soon")
    code, out, err = dibaod("-c", d.config, "--check-config")
    assert code == os.EX_CONFIG and not out and re.match(re.escape(d.config) + r":\d+: lease_ms: expected ", err), err
    d.configure(lease_ms=1000, access="/no/policy")
    assert dibaod("-c", d.config, "--check-config")[0] == os.EX_CONFIG
    assert dibaod("-c", "/no/file", "--check-config")[0] == os.EX_CONFIG
    assert dibaod("--no-such-option")[0] == dibaod("argument")[0] == os.EX_USAGE
    assert dibaod("--version") == (0, "dibaod 0.1.0\n", "") and dibaod("--help")[0] == 0


@test
def the_service_manager_is_told_of_start_reload_and_stop(b):
    b.expected = "keeping the old"
    b.start()
    assert "STATUS=waiting for Redis" in b.d.told.split("READY=1")[0], b.d.told
    for good in (True, False):
        b.d.configure(lease_ms=3000 if good else "soon")
        b.d.told = ""
        b.d.process.signal(signal.SIGHUP)
        b.d.wait_told("READY=1")
        assert re.match(r"RELOADING=1\nMONOTONIC_USEC=\d+\n", b.d.told), b.d.told
    b.d.told = ""
    b.d.process.signal(signal.SIGTERM)
    b.d.wait_told("STOPPING=1")
    usec = int(re.search(r"EXTEND_TIMEOUT_USEC=(\d+)", b.d.told)[1])
    assert usec > 5000000, "longer than the drain"
    assert b.d.process.wait() == 0


@test
def a_daemon_waits_for_a_redis_that_comes_later(b):
    b.expected = "."
    b.start_redis()
    b.setup()  # before the daemon is there, which is right to end when it finds a Redis without
    b.redis.signal(signal.SIGTERM)
    b.redis.wait()
    d = b.d = b.daemon()
    d.start(wait=False)
    d.wait_told("STATUS=waiting for Redis")
    d.wait_log("cannot connect, trying again")
    b.start_redis()
    d.wait_told("READY=1")
    r = b.recorder("r")
    b.publish_many(10)
    r.wait_for(generated(10))


@test
def the_watchdog_is_fed_for_as_long_as_the_loop_turns(b):
    b.start_redis()
    b.setup()
    b.d = b.daemon()
    b.d.env["WATCHDOG_USEC"] = "400000"
    b.d.start()

    def fed():
        b.d.told = ""
        b.d.wait_told("WATCHDOG=1")
    fed(), fed()
    b.d.pause()
    b.d.told = ""
    try:
        while True:
            b.d.notify.recv(4096, socket.MSG_DONTWAIT)
    except BlockingIOError:
        pass
    time.sleep(1)  # what must not come in this time is the test
    try:
        b.d.notify.recv(4096, socket.MSG_DONTWAIT)
        raise AssertionError("a stopped daemon feeds the watchdog")
    except BlockingIOError:
        pass
    b.d.go_on()
    fed()


run()
