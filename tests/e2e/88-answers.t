#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# What handsets answer: "not me" makes a number disputed, by the spool and by a real Kannel.
from sms_test import *


def disputed(b):
    return {k.decode() for k in b.r.hkeys(BASE + "sms:disputed")}


def answer(sms, name, text):
    with open(f"{sms.spool}/in/.{name}", "w") as f:
        f.write(text)
    os.rename(f"{sms.spool}/in/.{name}", f"{sms.spool}/in/{name}.answer")


def taken(sms):
    until(lambda: not [n for n in os.listdir(sms.spool + "/in") if not n.startswith(".")], "answers are taken")


@test
def not_me_disputes_a_number_for_all_who_have_it_until_it_is_confirmed(b):
    b.start()
    # More than a page of the roster, and who has the number is all over it.
    others = {f"X{i:05}" for i in range(0, 5000, 97)}
    for i in range(5000):
        phone = 15400000001 if i % 97 == 0 else 15400050000 + i
        b.r.hset(BASE + "roster", f"X{i:05}", f"1\t演示\t{phone}\t5\t{HUXU}\t\t1\t0\t\t\t0")
    for badge in ("A1", "A2", "A3"):
        b.person(badge, "演示", "15400000001" if badge != "A3" else "15400000003")
    sms = Sms(b).start()
    b.publish(notice("before", badge="A1"))
    sms.wait_texts({"before"})
    answer(sms, "one", "from: +86 15400000001\n\n我不是本人\n")
    answer(sms, "two", "from: 15400000003\n\n收到，谢谢\n")
    answer(sms, "three", "from: nobody\n\n不是本人\n")
    answer(sms, "four", "from: 15499999999\n\n不是本人\n")
    taken(sms)
    until(lambda: disputed(b) == {"A1", "A2"} | others, lambda: disputed(b))
    b.publish(notice("private", badge="A1"))
    b.publish(notice("award", "award", badge="A2"))
    b.publish(notice("other", badge="A3"))
    b.wait_state("private", "parked", "number-disputed")
    b.wait_state("award", "parked", "number-disputed")
    b.wait_state("other", "submitted")
    b.ctl("roster", "confirm", "A1")
    b.publish(notice("after", badge="A1"))
    b.wait_state("after", "submitted")
    answer(sms, "again", "from: 15400000001\n\nwrong number\n")
    taken(sms)
    b.publish(notice("again", badge="A1"))
    b.wait_state("again", "parked", "number-disputed")
    assert "15400000001" not in sms.log() and "不是本人" not in sms.log() and f"disputed for {2 + len(others)} of" in sms.log()


@test
def what_is_no_answer_is_set_aside(b):
    b.start()
    b.person()
    sms = Sms(b).start()
    b.publish(notice("a"))
    sms.wait_texts({"a"})
    answer(sms, "no-from", "to: 15400000001\n\n不是本人\n")
    answer(sms, "no-text", "from: 15400000001\n")
    until(lambda: set(os.listdir(sms.spool + "/bad")) == {"no-from.answer", "no-text.answer"}, "they are set aside")
    assert disputed(b) == set()


@test
def kannel_brings_an_answer_with_the_key_and_nobody_else_can(b):
    b.start()
    b.person("A1", "演示", "15400000001")
    b.person("A2", "演示", "15400000002")
    port = free_port()
    k = Kannel(b)
    with open(k.conf) as f:
        text = f.read()
    assert "127.0.0.1:7325/answer" in text
    with open(k.conf, "w") as f:
        f.write(text.replace("127.0.0.1:7325", f"127.0.0.1:{port}"))
    key = b.path("answer-key")
    with open(key, "w") as f:
        f.write(k.name + "-answer\n")
    os.chmod(key, 0o600)
    k.start_bearerbox()
    k.start_smsbox()
    sms = Sms(b, gateways=[k.gateway()], listen=f"127.0.0.1:{port}", receipt_url=f"http://127.0.0.1:{port}/receipt",
              reply_key_file=key).start()
    until(lambda: k.listens(port), "the listener is open")

    def ask(key, body, who="15400000001", type='text/plain; charset="UTF-8"'):
        q = urllib.request.Request(f"http://127.0.0.1:{port}/answer" + (f"?k={key}" if key is not None else ""), data=body,
                                   headers={"Content-Type": type, **({"X-Kannel-From": who} if who else {})})
        with urllib.request.urlopen(q, timeout=30 * SLOW) as r:
            return r.status

    words, right = "我不是本人𠮷".encode(), k.name + "-answer"
    for key, body, who in (("wrong", words, "15400000001"), (None, words, "15400000001"), ("", words, "15400000001"),
                           (right, words, None), (right, "收到".encode(), "15400000001"), (right, b"", "15400000001")):
        assert ask(key, body, who) == 200
    assert ask(right, words.decode().encode("utf-16-be")[:-1], type='text/plain; charset="UTF-16BE"') == 200
    assert disputed(b) == set()
    assert ask(right, words.decode().encode("utf-16-be"), "15400000002", 'text/plain; charset="UTF-16BE"') == 200
    assert disputed(b) == {"A2"}  # answered once it is on disk
    # And from a handset, by the SMSC, bearerbox and smsbox.
    b.process([FAKESMSC, "-v", "0", "-m", "1", "-r", str(k.smsc_port), "15400000001 10690000 text notme"], b.path("mo.got"))
    until(lambda: disputed(b) == {"A1", "A2"}, lambda: disputed(b))
    b.stop_all()
    assert "15400000001" not in b.everything_written()


@test
def kannel_logs_neither_number_nor_text_of_an_answer_that_nobody_takes(b):
    b.start()
    k = Kannel(b)
    with open(k.conf) as f:
        text = f.read()
    with open(k.conf, "w") as f:
        f.write(text.replace("127.0.0.1:7325", f"127.0.0.1:{free_port()}"))
    k.start_bearerbox()
    k.start_smsbox()
    b.process([FAKESMSC, "-v", "0", "-m", "1", "-r", str(k.smsc_port), "15400000001 10690000 text notme"], b.path("mo.got"))
    until(lambda: "Couldn't fetch" in b.everything_written(), "smsbox complains")
    assert not re.search("15400000001|notme", b.everything_written())


run(of=Office)
