#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Forty random kills and pauses of daemons, Redis and subscribers. SEED=N repeats a choice of acts.
import chaos
from dibao_test import *


@test(fsync="always")
def forty_random_kills_and_pauses_lose_nothing_and_repeat_no_effect(b):
    seed = int(os.environ.get("SEED", 0)) or int.from_bytes(os.urandom(3), "big")
    print(f"# SEED={seed}", flush=True)
    n = chaos.Chaos(b, seed).run(int(os.environ.get("KILLS", 40)))
    print(f"# {n} events", flush=True)


run()
