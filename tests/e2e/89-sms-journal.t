#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# What dibao-sms tells the journal: here a socket in its place, in a namespace of its own.
from sms_test import *


class Journal:
    """Entries as {field: value}, as the program sends them."""

    def __init__(self, b, sms):
        os.mkdir(b.path("journal"))
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind(b.path("journal/socket"))
        self.entries = []
        with open(sms.out, "a") as f:
            st = os.fstat(f.fileno())
        sms.env["JOURNAL_STREAM"] = f"{st.st_dev}:{st.st_ino}"
        sms.wrapper = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal && "
                       f"mount --bind {b.path('journal')} /run/systemd/journal && exec \"$@\"", "sh"]

    def read(self):
        try:
            while True:
                entry = self.socket.recv(65536).decode()
                self.entries.append(dict(l.split("=", 1) for l in entry.rstrip("\n").split("\n")))
        except BlockingIOError:
            return self.entries

    def wait(self, id_, **fields):
        want = {"MESSAGE_ID": id_, **fields}
        until(lambda: any(want.items() <= e.items() for e in self.read()), lambda: (want, self.entries[-8:]))
        return [e for e in self.entries if want.items() <= e.items()]


def message_ids():
    with open(ROOT + "/lib/host/log_ids.h") as f:
        return dict(re.findall(r'^#define LOG_ID_(\w+)[\s\\]+"([0-9a-f]{32})"', f.read(), re.M))


@test
def states_and_what_an_operator_acts_on_are_found_by_id_and_by_event(b):
    b.start()
    ids = message_ids()
    for n in range(20):
        b.person(f"K{n}", phone=f"154{n:08d}")
    b.person("F000002", phone="")
    sms = Sms(b, batch=5, gateways=[{"driver": "spool", "directory": b.path("sms-a.spool"), "rate": 5}])
    journal = Journal(b, sms)
    sms.start(active=False)
    journal.wait(ids["ACTIVE"], PRIORITY="5", SYSLOG_IDENTIFIER="dibao-sms")
    b.publish(notice("good", badge="K1", urgent=True))
    # Urgent, lest they count among the hour's texts: the document's are then over no limit but their own.
    b.publish(notice("nobody", badge="F000009", urgent=True))
    b.publish(notice("old", "award", badge="K1", at=now_ms() - 90 * 86400000))
    b.publish(notice("no-number", badge="F000002", urgent=True))
    b.wait_state("good", "submitted")
    sms.result("good", result="failed", code="154-no-such-code")
    for state, reason in (("queued", ""), ("intent", ""), ("submitted", ""), ("failed", "carrier")):
        journal.wait(ids["STATE"], DIBAO_EVENT="good", DIBAO_STATE=state, DIBAO_REASON=reason, PRIORITY="7")
    journal.wait(ids["CODE"])
    journal.wait(ids["UNSERVED"], DIBAO_EVENT="good", DIBAO_STATE="failed", DIBAO_REASON="carrier", PRIORITY="5")
    journal.wait(ids["UNSERVED"], DIBAO_EVENT="nobody", DIBAO_REASON="not-on-roster")
    journal.wait(ids["UNSERVED"], DIBAO_EVENT="no-number")
    journal.wait(ids["STATE"], DIBAO_EVENT="old", DIBAO_STATE="dropped")
    for n in range(20):
        b.publish(notice(f"n{n}", "award", badge=f"K{n}", ref="演示〔2026〕1号"))
    told = journal.wait(ids["BATCH"])
    assert len(told) == 1, told
    batch = told[0]["DIBAO_BATCH"]
    assert json.loads(b.ctl("--json", "sms", "release", batch)) == {"what": batch, "result": "released"}
    sms.wait_texts({"good"} | {f"n{n}" for n in range(20)})
    sms.process.signal(signal.SIGHUP)
    journal.wait(ids["RELOADED"])
    sms.stop()
    journal.wait(ids["STOPPED"])
    unserved = {e["DIBAO_EVENT"] for e in journal.read() if e.get("MESSAGE_ID") == ids["UNSERVED"]}
    assert unserved == b.unserved() == {"good", "nobody", "no-number"}, unserved
    assert sms.log() == "", "nothing is told twice"
    said = "".join(v for e in journal.entries for k, v in e.items() if k != "DIBAO_EVENT")
    assert not re.search("154\\d{8}|演示|154-no", said), re.findall("154.{8}|演示", said)


@test
def a_gateway_that_takes_nothing_and_a_bound_that_is_met_have_ids_too(b):
    b.expected = "."
    b.start()
    ids = message_ids()
    b.person()
    away = {"driver": "kannel", "fake": "yes", "rate": 5, "url": f"http://127.0.0.1:{free_port()}/x", "user": "x",
            "password_file": b.path("password"), "timeout": "1s"}
    with open(b.path("password"), "w") as f:
        f.write("x\n")
    os.chmod(b.path("password"), 0o600)
    sms = Sms(b, gateways=[away], backlog=10, listen=f"127.0.0.1:{free_port()}")
    journal = Journal(b, sms)
    sms.start(active=False)
    journal.wait(ids["ACTIVE"])
    for n in range(12):
        b.publish(notice(f"n{n}"))
    journal.wait(ids["GATEWAY"], PRIORITY="3")
    journal.wait(ids["FULL"], PRIORITY="4")
    other = Sms(b, name="sms-b", gateways=[away], listen=sms.conf["listen"]).start(active=False)
    other.wait_log("standing by")
    sms.kill()
    sms.start(active=False)
    journal.wait(ids["STANDBY"])


run(of=Office)
