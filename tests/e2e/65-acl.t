#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# The Redis users that `dibaoctl setup --acl` makes: how they are made, and what each must not do.
from dibao_test import *

USERS = ["dibaod", "dibaod-public", "publisher", "producer", "reader", "sms", "roster", "operator", "auditor", "notices"]
PRIVATE = ["private", "private-now"]
NEVER = [["FLUSHALL"], ["KEYS", "*"], ["SCAN", "0"], ["CONFIG", "SET", "maxmemory", "1"], ["ACL", "LIST"],
         ["ACL", "SETUSER", "x", "on", "nopass"], ["EVAL", "return 1", "0"], ["MONITOR"],
         ["SHUTDOWN"], ["REPLICAOF", "NO", "ONE"], ["GET", "another"], ["SWAPDB", "0", "1"], ["SAVE"],
         ["FUNCTION", "FLUSH"], ["FUNCTION", "DELETE", "dibao"], ["RESTORE", "another", "0", "x"]]


def ctl(b, *args, code=0):
    p = subprocess.run([BUILD + "/bin/dibaoctl", "--redis", "unix:" + b.redis_socket, *args], capture_output=True,
                       text=True, timeout=120 * SLOW, cwd=b.dir)
    assert p.returncode == code, f"{args}: exit code {p.returncode}, not {code}: {p.stdout}{p.stderr}"
    return p.stdout + p.stderr


def password(b, user):
    with open(b.path(user + ".password")) as f:
        return f.read().strip()


def login(b, user):
    return redis_client.Redis(unix_socket_path=b.redis_socket, username=user, password=password(b, user))


def office(b):
    b.start_redis()
    b.setup()
    ctl(b, "setup", "--acl", "--apply")


def refused(b, user, *commands):
    for command in commands:
        try:
            said = login(b, user).execute_command(*command)
            assert False, f"{user} may {command}: {said}"
        except redis_client.exceptions.NoPermissionError:
            pass


@test
def passwords_are_made_in_files_of_their_own_and_stand_nowhere_else(b):
    b.start_redis()
    b.setup()
    said = ctl(b, "setup", "--acl", "--apply")
    assert [l.split() for l in said.splitlines()[:len(USERS)]] == [[u, "made"] for u in USERS], said
    assert "aclfile" in said
    made = [password(b, u) for u in USERS]
    assert len(set(made)) == len(USERS) and all(re.fullmatch("[0-9a-f]{64}", p) for p in made)
    for u in USERS:
        assert os.stat(b.path(u + ".password")).st_mode & 0o777 == 0o600, u
    told = said + ctl(b, "setup", "--acl") + str(b.r.execute_command("ACL", "LIST")) + str(b.r.slowlog_get(128))
    assert not any(p in told for p in made)


@test
def what_is_printed_makes_users_that_apply_finds_unchanged(b):
    b.start_redis()
    for line in ctl(b, "setup", "--acl").splitlines():
        if not line.startswith("#"):
            b.r.execute_command(*[w.strip('"') for w in re.findall(r'".*?"|\S+', line)])
    assert [l.split() for l in ctl(b, "setup", "--acl", "--apply").splitlines()[:len(USERS)]] == [[u, "unchanged"] for u in USERS]
    assert not os.path.exists(b.path("dibaod.password"))
    assert "dibao-setup-trial" not in str(b.r.acl_list())


@test
def a_user_that_exists_and_differs_is_changed_only_on_demand_and_with_it_no_other(b):
    b.start_redis()
    b.r.execute_command("ACL", "SETUSER", "reader", "on", ">own", "~mine", "+get")
    b.r.execute_command("ACL", "SETUSER", "auditor", "on", "nopass", "+@all", "~*")
    before = b.r.acl_list()
    assert "user reader exists" in ctl(b, "setup", "--acl", "--apply", code=73)
    assert b.r.acl_list() == before and not os.path.exists(b.path("dibaod.password"))
    assert "made" in ctl(b, "setup", "--acl", "--apply", "publisher", "dibaod")
    with open(b.path("reader.password"), "w") as f:
        f.write("its own word\n")
    os.chmod(b.path("reader.password"), 0o644)
    assert "others than its owner" in ctl(b, "setup", "--acl", "--apply", "--replace", "reader", code=77)
    assert redis_client.Redis(unix_socket_path=b.redis_socket, username="reader", password="own").get("mine") is None
    os.chmod(b.path("reader.password"), 0o600)
    assert "replaced" in ctl(b, "setup", "--acl", "--apply", "--replace", "reader")
    assert login(b, "reader").xlen(BASE + "public") == 0
    refused(b, "reader", ["GET", "mine"])
    assert "replaced" in ctl(b, "setup", "--acl", "--apply", "--replace", "auditor")
    again = redis_client.Redis(unix_socket_path=b.redis_socket, username="auditor", password="anything")
    try:
        again.ping()
        assert False, "anybody is the auditor"
    except (redis_client.exceptions.AuthenticationError, redis_client.exceptions.ResponseError) as e:
        assert "WRONGPASS" in str(e) or "invalid" in str(e), e
    assert "no such user" in ctl(b, "setup", "--acl", "nobody", code=64)
    ctl(b, "setup", "--acl", "--replace", code=64)


@test
def nobody_may_what_none_needs(b):
    office(b)
    groups = [["XREADGROUP", "GROUP", "g", "c", "STREAMS", BASE + "public", ">"],
              ["XAUTOCLAIM", BASE + "public", "g", "c", "0", "0"], ["XCLAIM", BASE + "public", "g", "c", "0", "1-1"],
              ["XGROUP", "CREATE", BASE + "public", "g", "$"], ["XACK", BASE + "public", "g", "1-1"]]
    for u in USERS:
        refused(b, u, *NEVER, *groups, ["GET", "dibao:{3206}:epoch"], ["XRANGE", "dibao:{3206}:private", "-", "+"])


@test
def who_publishes_reads_and_deletes_nothing(b):
    office(b)
    for u in ("publisher", "producer"):
        for c in CHANNELS:
            refused(b, u, ["XRANGE", BASE + c, "-", "+"], ["XREVRANGE", BASE + c, "+", "-"], ["DEL", BASE + c],
                    ["XREAD", "STREAMS", BASE + c, "0"], ["XLEN", BASE + c], ["XDEL", BASE + c, "1-1"],
                    ["XTRIM", BASE + c, "MAXLEN", "0"], ["XINFO", "STREAM", BASE + c], ["COPY", BASE + c, BASE + "public"],
                    ["DUMP", BASE + c], ["RENAME", BASE + c, BASE + "epoch"])
        refused(b, u, ["XADD", BASE + "audit", "*", "who", "x"], ["HGETALL", BASE + "roster"], ["GET", BASE + "epoch"],
                ["HGETALL", BASE + "hidden"], ["HSET", BASE + "durable", "x", "1"], ["FUNCTION", "LOAD", "x"])


@test
def the_roster_is_for_its_importer_and_the_sms_client_alone_and_the_channels_are_not_for_them(b):
    office(b)
    b.r.hset(BASE + "roster", "F000001", "x")
    b.r.hset(BASE + "roster:F000001", "name", "x")
    for u in USERS:
        if u not in ("sms", "roster"):
            refused(b, u, ["HGETALL", BASE + "roster"], ["HGETALL", BASE + "roster:F000001"], ["HGET", BASE + "roster", "x"],
                    ["HGETALL", BASE + "sms:outbox"], ["DEL", BASE + "roster"])
    refused(b, "roster", ["HGETALL", BASE + "uid:a"], ["HGET", BASE + "sms:outbox", "x"], ["HSET", BASE + "sms:bad", "x", "1"],
            ["XRANGE", BASE + "audit", "-", "+"], ["XADD", BASE + "receipts", "*", "a", "b"],
            *[["XRANGE", BASE + c, "-", "+"] for c in CHANNELS], ["RENAME", BASE + "roster", BASE + "epoch"],
            ["COPY", BASE + "roster", BASE + "hidden"])
    sms = login(b, "sms")
    assert sms.hgetall(BASE + "roster:F000001") and sms.hset(BASE + "sms:outbox", "a", "1")
    refused(b, "sms", ["HSET", BASE + "roster", "x", "1"], ["DEL", BASE + "roster"], ["HGETALL", BASE + "uid:a"],
            *[["XRANGE", BASE + c, "-", "+"] for c in CHANNELS], *[["XADD", BASE + c, "*", "e", "x"] for c in CHANNELS])


@test
def a_daemon_for_boards_reads_nothing_private(b):
    office(b)
    b.publish(event("secret", "penalty"))
    public = login(b, "dibaod-public")
    assert public.xlen(BASE + "public") == 0
    for c in PRIVATE:
        refused(b, "dibaod-public", ["XRANGE", BASE + c, "-", "+"], ["XREAD", "STREAMS", BASE + c, "0"], ["XLEN", BASE + c],
                ["XREVRANGE", BASE + c, "+", "-"], ["XINFO", "STREAM", BASE + c], ["MEMORY", "USAGE", BASE + c],
                ["XREAD", "STREAMS", BASE + "public", BASE + c, "0", "0"], ["EXISTS", BASE + c])
    refused(b, "dibaod-public", ["HGETALL", BASE + "uid:secret"], ["XRANGE", BASE + "quarantine", "-", "+"],
            ["ZRANGE", BASE + "scheduled", "0", "-1"], ["XADD", BASE + "public", "*", "e", "x"],
            ["XRANGE", BASE + "receipts", "-", "+"], ["XDEL", BASE + "public", "1-1"], ["HSET", BASE + "hidden", "x", "0"])
    try:
        public.execute_command("FCALL", "dibao_publish", 1, BASE, event("x"))
        assert False, "it publishes"
    except redis_client.exceptions.ResponseError:
        assert b.r.exists(BASE + "uid:x") == 0


@test
def what_was_done_is_added_to_by_some_read_by_few_and_changed_by_nobody(b):
    office(b)
    b.r.xadd(BASE + "audit", {"who": "uid 0", "act": "setup", "what": "acl"})
    audit = BASE + "audit"
    for u in USERS:
        refused(b, u, ["XDEL", audit, "1-1"], ["XTRIM", audit, "MAXLEN", "0"], ["DEL", audit], ["UNLINK", audit],
                ["XSETID", audit, "9000000000000-0"], ["RENAME", audit, BASE + "lost"], ["EXPIRE", audit, "1"],
                ["PEXPIRE", audit, "1"], ["SET", audit, "x"], ["COPY", BASE + "lost", audit, "REPLACE"])
        if u not in ("operator", "auditor"):
            refused(b, u, ["XRANGE", audit, "-", "+"], ["XREVRANGE", audit, "+", "-"])
        if u not in ("operator", "dibaod", "notices", "roster"):
            refused(b, u, ["XADD", audit, "*", "who", "x"])
    assert login(b, "auditor").xrange(audit) == b.r.xrange(audit) != []
    refused(b, "auditor", ["FCALL", "dibao_version", "0"], *[["XRANGE", BASE + c, "-", "+"] for c in CHANNELS])


run()
