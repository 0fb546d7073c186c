#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Texts that arrive twice, or may have: an operator finds them by a command, and no others.
import http.server
import json

from sms_test import *


def named(b):
    """uid -> how, by dibaoctl sms twice."""
    return {x["uid"]: x["twice"] for x in map(json.loads, b.ctl("--json", "sms", "twice").splitlines())}


def last_detail(b, uid):
    return b.receipts().get(uid, [("", "")])[-1][1]


@test
def what_kannel_sends_again_after_it_was_killed_is_named_and_what_it_had_sent_is_not(b):
    b.expected = "takes texts, but cannot|takes nothing for now"
    b.start()
    smsc = HttpSmsc(b)
    k = Kannel(b, smsc).start()
    until(lambda: b"online" in k.status(), "the SMSC is online")
    port = free_port()
    Sms(b, gateways=[k.gateway()], listen=f"127.0.0.1:{port}", receipt_url=f"http://127.0.0.1:{port}/receipt").start()
    for i in range(1, 4):
        b.person(f"D{i}", "演示", f"1540000000{i}")
    b.publish(notice("before", badge="D1"))
    b.wait_state("before", "accepted")
    time.sleep(6)  # a start is told every 3 s, and what was taken 2.5 s before is taken for later
    smsc.answer = lambda number, text: None
    b.publish(notice("during", badge="D2"))
    until(lambda: [q["to"] for q, _ in smsc.got] == ["15400000001", "15400000002"], lambda: smsc.got)
    assert named(b) == {}, named(b)
    assert "none, as far as is known" in b.ctl("sms", "twice")
    for p in (k.bearerbox, k.smsbox):
        p.kill()
    smsc.answer = lambda number, text: (202, "Sent.")
    k.start_bearerbox()
    k.start_smsbox()
    until(lambda: len(smsc.got) == 3, lambda: f"Kannel sends it again: {smsc.got}")
    time.sleep(2.5)  # its start is known to a second, either way
    b.publish(notice("after", badge="D3"))
    b.wait_state("during", "accepted")
    b.wait_state("after", "accepted")
    assert [q["to"] for q, _ in smsc.got].count("15400000002") == 2, "Kannel doubles it, which is what is to be named"
    for q, a in smsc.got:
        smsc.deliver(q, 1)
    for uid in ("before", "during", "after"):
        b.wait_state(uid, "delivered")
    until(lambda: named(b) == {"during": "restart"}, lambda: named(b))
    until(lambda: last_detail(b, "during") == "delivered attempt 1 twice:restart", b.receipts)
    holds(lambda: named(b) == {"during": "restart"}, lambda: named(b), 11)
    assert "twice:restart" in b.ctl("receipts", "during")
    assert "1  may have arrived twice: the gateway started anew while it had it" in b.ctl("sms", "twice")
    assert "twice" not in last_detail(b, "before") + last_detail(b, "after")


@test
def a_restart_while_dibao_sms_is_dead_is_seen_when_it_comes_back(b):
    b.expected = "takes texts, but cannot|takes nothing for now"
    b.start()
    k = Kannel(b).start()
    port = free_port()
    sms = Sms(b, gateways=[k.gateway()], listen=f"127.0.0.1:{port}", receipt_url=f"http://127.0.0.1:{port}/receipt").start()
    b.person()
    k.fakesmsc.kill()
    until(lambda: b"online" not in k.status(), "the SMSC is away")
    b.publish(notice("lies-there"))
    b.wait_state("lies-there", "submitted")
    until(lambda: b.r.hget(b.key("sms:started"), "gateway-1"), "the start is known")
    sms.kill()
    for p in (k.bearerbox, k.smsbox):
        p.kill()
    time.sleep(3)  # two starts within 2 s may be one to dibao-sms
    k.start_bearerbox()
    k.start_smsbox()
    k.start_fakesmsc()
    sms.start()
    b.wait_state("lies-there", "delivered")
    until(lambda: named(b) == {"lies-there": "restart"}, lambda: named(b))
    until(lambda: "twice:restart" in last_detail(b, "lies-there"), b.receipts)


class Status(http.server.BaseHTTPRequestHandler):
    """What a bearerbox says that started in the second `started`."""
    started, asked = 0, 0

    def do_GET(self):
        body = f"<gateway><status>running, uptime 0d 0h 0m {int(time.time()) - Status.started}s</status><smscs></smscs></gateway>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())
        Status.asked += 1

    def log_message(self, *args):
        pass


@test
def a_second_start_two_seconds_after_the_first_is_not_taken_for_it(b):
    b.expected = "takes texts, but cannot"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Status)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Status.started = int(time.time()) - 5
    sms, stub = stubbed(b, lambda n: ACCEPTED)
    sms.stop()
    sms.gateways[0].update(status_url=f"http://127.0.0.1:{server.server_address[1]}/status.xml",
                           status_password_file=b.path("secret"))
    sms.configure()
    sms.start()
    until(lambda: b.r.hget(b.key("sms:started"), "gateway-1"), "the start is known")
    b.publish(notice("between"))
    b.wait_state("between", "submitted")
    place, = b.r.zrange(b.key("sms:sent"), 0, -1)
    b.r.zadd(b.key("sms:sent"), {place: Status.started * 1000 + 1500})
    asked = Status.asked
    until(lambda: Status.asked >= asked + 2, "it is asked again")
    assert named(b) == {}, named(b)
    Status.started += 2
    until(lambda: named(b) == {"between": "restart"}, lambda: named(b))
    server.shutdown()


@test
def receipts_of_two_texts_name_them_and_a_receipt_that_comes_twice_does_not(b):
    b.expected = "takes nothing for now"
    sms, stub = stubbed(b, lambda n: ACCEPTED)
    for uid in ("same", "two-ids", "two-reports"):
        b.publish(notice(uid))
        b.wait_state(uid, "submitted")
    for _ in range(2):
        assert receipt(sms, "same", 8, b=b, more="&f=&r=r-1") == receipt(sms, "same", 1, b=b, more="&f=f-1&r=r-2") == 200
    assert receipt(sms, "two-ids", 1, b=b, more="&f=f-1&r=r-1") == receipt(sms, "two-ids", 1, b=b, more="&f=f-2&r=r-2") == 200
    for r in ("r-1", "r-2"):
        assert receipt(sms, "two-reports", 8, b=b, more=f"&f=&r={r}") == 200
    assert receipt(sms, "same", 8, token="0" * 32, more="&r=forged") == 200
    assert named(b) == {"two-ids": "receipts", "two-reports": "receipts"}, named(b)
    b.ctl("setup", "--acl", "--apply", "--passwords", b.dir, "notices")
    with open(b.path("notices.password")) as f:
        who = redis_client.Redis(unix_socket_path=b.redis_socket, username="notices", password=f.read().strip())
    assert set(who.zrange(b.key("sms:twice"), 0, -1)) == {b"two-ids", b"two-reports"}
    try:
        who.zrem(b.key("sms:twice"), "two-ids")
        assert False, "who looks after texts can make a double forgotten"
    except redis_client.exceptions.ResponseError as e:
        assert "permission" in str(e).lower(), e
    out = b.ctl("sms", "twice")
    assert re.search(r"delivered +penalty +two-ids: receipts tell of two texts of one attempt", out), out
    assert re.search(r"2  arrived twice: receipts tell of two texts of one attempt", out), out
    until(lambda: last_detail(b, "two-ids") == "delivered attempt 1 twice:receipts", b.receipts)
    assert last_detail(b, "same") == "delivered attempt 1"


@test
def the_texts_of_two_attempts_are_named_by_their_receipts_and_a_retry_that_failed_is_not(b):
    b.expected = "takes nothing for now"
    with open(ROOT + "/config/sms/codes.tsv") as f:
        codes = re.sub(r"(?m)^kannel\thttp-5\*\t60", "kannel\thttp-5*\t1", f.read())
    with open(b.path("codes.tsv"), "w") as f:
        f.write(codes)
    sms, stub = stubbed(b, lambda n: "close" if n == 1 else ACCEPTED, ambiguous="1s", policy_award="resend",
                        codes=b.path("codes.tsv"))
    b.publish(notice("resent", "award"))
    assert b.wait_state("resent", "submitted")["n"] == "2"
    b.publish(notice("retried"))
    b.wait_state("retried", "submitted")
    assert receipt(sms, "retried", 16, b=b, code="http-503") == 200
    until(lambda: b.row("retried")["n"] == "2" and b.state("retried") == "submitted", lambda: b.row("retried"))
    assert named(b) == {"resent": "resent"}, named(b)
    for uid in ("resent", "retried"):
        assert receipt(sms, uid, 8, n=2, b=b, more="&r=r-2") == 200
    assert named(b) == {"resent": "resent"}, named(b)
    assert receipt(sms, "resent", 8, n=1, b=b, more="&r=r-1") == 200
    assert named(b) == {"resent": "attempts"}, named(b)
    until(lambda: last_detail(b, "resent") == "accepted attempt 2 resent twice:attempts", b.receipts)


run(of=Office)
