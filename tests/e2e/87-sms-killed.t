#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Texts while dibao-sms, smsbox, Redis and dibaod are killed at random; the long form is make soak-sms.
import sms_chaos
from sms_test import *


@test
def every_notice_has_one_end_and_none_arrives_twice_but_by_policy(b):
    print("# " + sms_chaos.run_chaos(b, int(os.environ.get("TEXTS", 400)), int(os.environ.get("KILLS", 24)),
                                     int(os.environ.get("SEED", 1)), ["sms", "sms", "smsbox", "redis", "dibaod"]), flush=True)


@test
def the_same_with_bearerbox_killed_too_whose_own_doubles_are_named(b):
    """Its manual admits them. So far none was seen."""
    print("# " + sms_chaos.run_chaos(b, 300, 16, int(os.environ.get("SEED", 2)), ["bearerbox", "bearerbox", "sms", "redis"],
                                     kannel_may_double=True), flush=True)


run(of=Office)
