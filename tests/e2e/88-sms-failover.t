#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Which refusals send a text by the next gateway, and which never do. The first gateway is Kannel's sendsms as a stub
# that answers what the test says, the second a spool.
from sms_test import *


def two(b, answer, timeout="30s", **conf):
    """A client whose first gateway answers answer(number)."""
    b.start()
    stub = HttpSmsc(b, lambda number, q: answer(stub.number()))
    stub.numbers = []

    def number():
        return len(stub.got)
    stub.number = number
    with open(b.path("password"), "w") as f:
        f.write("x\n")
    os.chmod(b.path("password"), 0o600)
    first = {"driver": "kannel", "fake": "yes", "rate": 100, "user": "x", "password_file": b.path("password"),
             "url": f"http://127.0.0.1:{stub.port}/cgi-bin/sendsms", "timeout": timeout}
    sms = Sms(b, gateways=[first, {"driver": "spool", "directory": b.path("sms-a.spool"), "rate": 0}],
              listen=f"127.0.0.1:{free_port()}", same_minute=1, cap_minute=1, **conf)
    sms.stub = stub
    b.person()
    return sms.start()


def goes_by_the_second(b, sms, attempt="2"):
    b.publish(notice("a"))
    sms.wait_texts({"a"})
    row = b.wait_state("a", "submitted")
    assert (row["g"], row["n"]) == ("gateway-2", attempt), row
    assert len(sms.stub.got) == int(attempt) - 1, sms.stub.got
    return row


@test
def a_gateway_that_will_not_have_a_text_is_passed_over_also_after_a_crash(b):
    b.expected = "takes nothing"
    sms = two(b, lambda n: (400, "not this one"))
    assert goes_by_the_second(b, sms)["ng"] == "1"
    assert b.unserved() == set()
    assert b.r.zcard(b.key("sms:sent")) == 1, "what the first did not take is not counted"
    # It has neither gateway left when the second's carrier does not know the template either.
    sms.kill()
    sms.start()
    sms.result("a", attempt=2, result="failed", code="TEMPLATE_INVALID")
    b.expected = "minded"
    b.wait_state("a", "failed", "content")
    assert b.unserved() == {"a"} and len(sms.stub.got) == 1


@test
def a_gateway_that_refuses_us_is_stopped_and_its_texts_go_by_the_second(b):
    b.expected = "takes nothing"
    goes_by_the_second(b, two(b, lambda n: (403, "who are you")))


@test
def a_text_that_the_first_cannot_take_now_goes_by_the_second_at_once(b):
    b.expected = "takes nothing"
    sms = two(b, lambda n: (503, "later"))
    assert goes_by_the_second(b, sms).get("ng", "0") == "0"
    b.person("F000002", phone="15400000002")
    sms.stub.answer = lambda number, q: (202, "0: Accepted for delivery")
    b.publish(notice("b", badge="F000002"))
    b.wait_state("b", "submitted")
    assert b.row("b")["g"] == "gateway-1", "it is asked again with the next text"


@test
def a_text_that_the_first_may_have_never_goes_by_the_second(b):
    b.expected = "."
    sms = two(b, lambda n: None, timeout="2s", ambiguous="1s")
    b.publish(notice("a"))
    b.wait_state("a", "parked", "unknown")
    b.person("F000002", phone="15400000002")
    b.publish(notice("b", "award", badge="F000002"))
    b.wait_state("b", "dropped", "unknown")
    holds(lambda: not sms.texts(), "nothing goes by the second", 1.5)


@test
def what_the_table_calls_final_is_offered_to_no_other(b):
    with open(ROOT + "/config/sms/codes.tsv") as f:
        table = f.read()
    with open(b.path("codes.tsv"), "w") as f:
        f.write(table + "kannel\thttp-410\t-\tfinal\tnot by anybody\n")
    sms = two(b, lambda n: (410, "gone"), codes=b.path("codes.tsv"))
    b.publish(notice("a"))
    b.wait_state("a", "failed", "refused")
    holds(lambda: not sms.texts(), "nothing goes by the second", 1)
    assert len(sms.stub.got) == 1


@test
def who_waits_for_the_second_gateway_holds_up_nobody(b):
    """The second is away: what the first refused waits, what is behind it goes by the first."""
    b.expected = "takes nothing|cannot be opened"
    answers = []
    sms = two(b, lambda n: answers.pop() if answers else (202, "0: Accepted for delivery"))
    sms.stop()
    with open(b.path("a-file"), "w"):
        pass
    sms.gateways[1]["directory"] = b.path("a-file")
    sms.configure()
    sms.start()
    answers.append((400, "not this one"))
    b.publish(notice("a"))
    b.wait_state("a", "held", "next")
    for n in range(2, 8):
        b.person(f"F00000{n}", phone=f"1540000000{n}")
        b.publish(notice(f"n{n}", badge=f"F00000{n}"))
        b.wait_state(f"n{n}", "submitted")
    assert b.state("a") == "held"


run(of=Office)
