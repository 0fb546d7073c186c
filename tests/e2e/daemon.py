# SPDX-License-Identifier: Apache-2.0
"""A dibaod with a configuration of its own."""
import json
import os
import random
import re
import signal
import socket

from processes import *


class Daemon(Notifying):
    def __init__(self, b, name, conf):
        self.b, self.name, self.conf, self.env, self.program = b, name, conf, {}, BUILD + "/bin/dibaod"
        self.process = None
        self.control, self.config, self.out = b.path(name + ".ctl"), b.path(name + ".conf"), b.path(name + ".log")
        self.ipc = "ipc://" + b.path(name + ".zmq")
        self.tcp = f"tcp://127.0.0.1:{free_port()}"
        self.configure()

    def configure(self, **changes):
        self.conf.update(changes)
        where = {"redis": "redis", "heartbeat_ms": "fanout", "lease_ms": "fanout", "silence_ms": "fanout",
                 "drain_ms": "fanout", "window_bytes": "fanout", "ring_bytes": "fanout", "budget_bytes": "fanout",
                 "slice_bytes": "fanout", "catchup_percent": "fanout", "public_ms": "retention",
                 "private_ms": "retention", "hold_ms": "retention", "cap_bytes": "retention",
                 "handshake_ms": "peers", "message_bytes": "peers", "connections_per_address": "peers", "connects_per_key": "peers",
                 "connections_per_key": "peers",
                 "sessions_per_key": "peers", "hellos_per_key": "peers", "replay_bytes": "peers",
                 "log_level": "log", "redis_user": "redis", "redis_password_file": "redis", "command_timeout_ms": "redis", "connect_timeout_ms": "redis"}
        values = {"bureau": "3205", "endpoints": f"{self.ipc} {self.tcp}", "control": self.control,
                  "insecure": "yes", "redis": "unix:" + self.b.redis_socket, "view_key_file": self.b.view_key,
                  "heartbeat_ms": 200, "lease_ms": 2000, "silence_ms": 5000, "log_level": "debug", **self.conf}
        text = ""
        for section in ("dibao", "peers", "redis", "fanout", "retention", "log"):
            text += f"[{section}]\n" + "".join(f"{k} = {v}\n" for k, v in values.items()
                                               if where.get(k, "dibao") == section)
        with open(self.config, "w") as f:
            f.write(text)

    def start(self, wait=True, seconds=60):
        path = self.listen()
        self.process = self.b.process([self.program, "-c", self.config], self.out,
                                      {**os.environ, **self.env, "NOTIFY_SOCKET": path})
        if wait:
            self.wait_told("READY=1", seconds)
        return self

    def ask(self, verb, **more):
        with socket.socket(socket.AF_UNIX) as c:
            c.settimeout(30 * SLOW)
            c.connect(self.control)
            c.sendall(json.dumps({"do": verb, **more}).encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                piece = c.recv(65536)
                if not piece:
                    break
                answer += piece
        return json.loads(answer)

    def log(self):
        return self.process.log() if self.process else ""

    def wait_log(self, pattern, seconds=60, since=0):
        return until(lambda: re.search(pattern, self.log()[since:]), f"{self.name} logs {pattern}", seconds)

    def kill(self):
        return self.process.kill()

    def stop(self):
        self.process.signal(signal.SIGTERM)
        code = self.process.wait()
        assert code == 0, f"{self.name} ended with {code}"
        return self

    def pause(self):
        self.process.signal(signal.SIGSTOP)

    def go_on(self):
        self.process.signal(signal.SIGCONT)


ports = []  # what keeps each port that was given out, as long as this program lives


def free_port():
    """A port that nobody listens at, nor will: no other test is given it, in whatever process, and the kernel gives it
    to no connection, because it is below those."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        end = int(f.read().split()[0])
    while True:
        port, kept = random.randrange(10000, end), socket.socket(socket.AF_UNIX)
        try:
            kept.bind(f"\0dibao-test-port-{port}")
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
        except OSError:
            kept.close()
            continue
        ports.append(kept)
        return port
