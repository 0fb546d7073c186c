#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""KILLS (2,000) random kills and pauses, forty to a fresh bureau: what 60-chaos.t does, for long.

Prints a line for each round, with its seed; ends at the first that fails, with its logs, and code 1.
"""
import chaos
from dibao_test import *


def main():
    left, round_ = int(os.environ.get("KILLS", 2000)), 0
    seed = int(os.environ.get("SEED", 0)) or int.from_bytes(os.urandom(3), "big")
    while left > 0:
        kills, told = min(40, left), []
        result, text, seconds = run_one(lambda b: told.append(chaos.Chaos(b, seed + round_).run(kills)), "always")
        print(f"{result} round {round_ + 1} SEED={seed + round_}: {kills} acts, {sum(told)} events, {seconds:.0f} s, "
              f"{left - kills} acts to go", flush=True)
        if result != "ok":
            print(text)
            sys.exit(1)
        left -= kills
        round_ += 1


if __name__ == "__main__":
    main()
