#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A bureau for tests of the page: a real Redis and dibaod, as in tests/e2e, ruled by lines on stdin.

Prints a line of JSON with its places when it is ready, then answers each line with "done": kill, start,
pause, go_on, of dibaod; pass MS: so much time goes by for Redis, dibaod and whatever else has `time` in its
environment. Ends all when stdin does.
"""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))
import dibao_test  # noqa: E402

b = dibao_test.Bureau()
try:
    shim = dibao_test.Shim(b, "time")
    b.redis_env = b.daemon_env = {**os.environ, **shim.env}
    b.start(heartbeat_ms=1000)
    print(json.dumps({"config": b.d.config, "ipc": b.d.ipc, "tcp": b.d.tcp, "redis": b.redis_socket, "time": shim.env}), flush=True)
    for line in sys.stdin:
        word, *ms = line.split()
        if word == "pass":
            shim.step(shim.words[0] + int(ms[0]))
            shim.step_boot(shim.words[3] + int(ms[0]))
        else:
            getattr(b.d, word)()
        print("done", flush=True)
    b.stop_all()
finally:
    b.end()
