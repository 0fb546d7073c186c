#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A bureau for tests of the page: a real Redis and dibaod, as in tests/e2e, ruled by lines on stdin.

Prints a line of JSON with its places when it is ready, then answers each word (kill, start, pause,
go_on) with "done". Ends all when stdin does.
"""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))
import dibao_test  # noqa: E402

b = dibao_test.Bureau()
try:
    b.start(heartbeat_ms=1000)
    print(json.dumps({"config": b.d.config, "ipc": b.d.ipc, "redis": b.redis_socket}), flush=True)
    for word in sys.stdin:
        getattr(b.d, word.strip())()
        print("done", flush=True)
    b.stop_all()
finally:
    b.end()
