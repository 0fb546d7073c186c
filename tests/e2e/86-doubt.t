#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Texts that may have been sent: dibao-sms is killed between the POST and its result, with a real Kannel.
import collections

from sms_test import *


class Between(SendsmsServer):
    """Stands between dibao-sms and sendsms. hold: what it says to a text: "pass" hands the text on and the answer back;
    "answer" hands the text on, and keeps the answer; "text" keeps the text. What it keeps is gone when its client is."""

    def __init__(self, port):
        self.port, self.hold, self.seen, self.answered = port, {}, [], []
        super().__init__()

    def took(self, c, number, head, body):
        self.seen.append(number)
        hold = self.hold.get(number, "pass")
        if hold == "text":
            return self.kept(c)
        with socket.create_connection(("127.0.0.1", self.port)) as k:
            k.sendall(head + b"\r\n\r\n" + body)
            answer = b""
            while not re.search(rb"\r\n\r\n\d: ", answer):
                answer += k.recv(65536)
        self.answered.append((number, answer.partition(b"\r\n\r\n")[2][:2]))
        if hold == "answer":
            return self.kept(c)
        c.sendall(answer)
        c.close()

    def kept(self, c):
        try:
            while c.recv(65536):
                pass
        except OSError:
            pass
        c.close()


def office(b, asking="10min", **conf):
    """Three people, whose awards are resent by policy, and penalties parked."""
    b.expected = "takes texts, but cannot|does not say whether|takes nothing for now"
    b.start()
    k = Kannel(b).start()
    between = Between(k.sendsms)
    port = free_port()
    sms = Sms(b, gateways=[k.gateway(url=between.url, timeout="60s")], listen=f"127.0.0.1:{port}", ambiguous="2s", asking=asking,
              receipt_url=f"http://127.0.0.1:{port}/receipt", policy_award="resend", **conf).start()
    for i in range(1, 5):
        b.person(f"D{i}", "演示", f"1540000000{i}")
    return k, between, sms


def arrivals(k):
    return collections.Counter(number for number, _ in k.texts())


def killed_between(b, k, between, sms, uids):
    """uids: uid -> (badge, type, what is kept). All are intents, and dibao-sms is dead."""
    for uid, (badge, type, hold) in uids.items():
        between.hold["1540000000" + badge[1:]] = hold
        b.publish(notice(uid, type, badge=badge))
    until(lambda: len(between.seen) == len(uids), lambda: f"all are under way: {between.seen}")
    n = sum(hold == "answer" for _, _, hold in uids.values())
    until(lambda: len(between.answered) == n, lambda: f"Kannel took what it gets: {between.answered}")
    assert all(b.state(uid) == "intent" for uid in uids), [b.row(u) for u in uids]
    sms.kill()
    between.hold.clear()


def held_by(k, admin="store-status.xml"):
    with urllib.request.urlopen(f"http://127.0.0.1:{k.admin}/{admin}?password={k.name}-status", timeout=30 * SLOW) as r:
        return r.read().count(b"<type>MT-PUSH</type>")


@test
def what_kannel_still_holds_is_waited_for_and_what_it_never_had_goes_by_its_policy(b):
    k, between, sms = office(b)
    k.fakesmsc.kill()
    until(lambda: b"online" not in k.status(), "the SMSC is away")
    killed_between(b, k, between, sms, {
        "held-award": ("D1", "award", "answer"), "held-penalty": ("D2", "penalty", "answer"),
        "never-award": ("D3", "award", "text"), "never-penalty": ("D4", "penalty", "text")})
    assert held_by(k) == 2
    sms.start()
    for uid in ("held-award", "held-penalty"):
        assert b.wait_state(uid, "submitted")["n"] == "1", b.row(uid)
    assert b.wait_state("never-penalty", "parked", "unknown")["r"] == "unknown not-held"
    row = b.wait_state("never-award", "submitted")
    assert row["n"] == "2" and row["rs"] == "1", row
    assert b.unserved() == {"never-penalty"}
    assert "(not-held)" in b.ctl("unserved")
    k.start_fakesmsc()
    for uid in ("held-award", "held-penalty", "never-award"):
        b.wait_state(uid, "delivered")
    assert b.row("held-award").get("rs") is None
    holds(lambda: arrivals(k) == {"15400000001": 1, "15400000002": 1, "15400000003": 1}, lambda: arrivals(k), 2)
    until(lambda: b.receipts().get("never-award", [("", "")])[-1][0] == "delivered", b.receipts)
    assert "resent" in b.receipts()["never-award"][-1][1] and "resent" not in b.receipts()["held-award"][-1][1]


@test
def while_kannel_does_not_say_what_it_holds_nothing_is_sent_again(b):
    k, between, sms = office(b, asking="15s")
    k.fakesmsc.kill()
    until(lambda: b"online" not in k.status(), "the SMSC is away")
    killed_between(b, k, between, sms, {"award": ("D1", "award", "answer"), "visit": ("D2", "welfare_visit", "answer"),
                                        "never": ("D3", "award", "text")})
    for p in (k.smsbox, k.bearerbox):
        p.kill()
    sms.start()
    sms.wait_log("does not say whether it holds")
    assert {b.state(u) for u in ("award", "visit", "never")} == {"ambiguous"}
    for uid in ("award", "visit", "never"):
        assert b.wait_state(uid, "parked", "unknown")["r"] == "unknown not-answered", b.row(uid)
    assert b.unserved() == {"award", "visit", "never"} and len(between.seen) == 3
    k.start_bearerbox()
    k.start_smsbox()
    k.start_fakesmsc()
    for uid in ("award", "visit"):
        b.wait_state(uid, "delivered")
    assert b.unserved() == {"never"} and arrivals(k) == {"15400000001": 1, "15400000002": 1}


@test
def a_wrong_password_or_a_store_in_memory_is_no_answer(b):
    k, between, sms = office(b)
    k.fakesmsc.kill()
    until(lambda: b"online" not in k.status(), "the SMSC is away")
    with open(k.dir + "/status", "w") as f:
        f.write("wrong\n")
    killed_between(b, k, between, sms, {"denied": ("D1", "award", "answer")})
    sms.start()
    sms.wait_log("gateway-1: does not say whether it holds texts that may have been sent: .*does not answer as bearerbox")
    sms.kill()
    with open(k.dir + "/status", "w") as f:
        f.write("kannel-status\n")
    for p in (k.smsbox, k.bearerbox):
        p.signal(signal.SIGTERM)
        p.wait()
    with open(k.conf) as f:
        conf = f.read().replace("store-type = spool\n", "").replace("store-location", "#store-location")
    with open(k.conf, "w") as f:
        f.write(conf)
    k.start_bearerbox()
    k.start_smsbox()
    sms.start()
    sms.wait_log("may have been sent: bearerbox has no store on disk")
    assert b.state("denied") == "ambiguous" and len(between.seen) == 1


@test
def a_receipt_that_waits_in_kannel_for_a_smsbox_is_waited_for(b):
    k, between, sms = office(b)
    k.fakesmsc.kill()
    until(lambda: b"online" not in k.status(), "the SMSC is away")
    killed_between(b, k, between, sms, {"award": ("D1", "award", "answer")})
    k.smsbox.kill()
    k.start_fakesmsc()
    until(lambda: held_by(k) == 0 and arrivals(k), "the text is out")
    sms.start()
    sms.wait_log("a receipt for its number waits there for a smsbox")
    assert b.state("award") == "ambiguous" and len(between.seen) == 1
    k.start_smsbox()
    b.wait_state("award", "delivered")
    assert arrivals(k) == {"15400000001": 1}


@test
def of_what_the_store_shows_nothing_is_logged(b):
    k, between, sms = office(b)
    k.fakesmsc.kill()
    until(lambda: b"online" not in k.status(), "the SMSC is away")
    killed_between(b, k, between, sms, {"award": ("D1", "award", "answer")})
    sms.start()
    assert b.wait_state("award", "submitted")["n"] == "1", "the store was looked at"
    k.start_fakesmsc()
    b.wait_state("award", "delivered")
    text = k.texts()[0][1]
    b.stop_all()
    for p in (k.smsbox, k.bearerbox):
        p.signal(signal.SIGTERM)
        p.wait()
    written = b.everything_written()
    for secret in ("15400000001", text[6:14], text[6:12].encode("utf-16-be").hex(), "kannel-status"):
        assert secret not in written, "found in a log"


run(of=Office)
