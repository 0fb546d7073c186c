#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A subscriber in another language, written to dibao-protocol(7) alone: nothing of libdibao is in it.

    subscriber.py ENDPOINT [--name NAME] [--from resume|new|time|last] [--arg N] [--type T] [--org O]
                  [--view full|public] [-n COUNT]

Prints "CHANNEL UID" for each event, acknowledges it, and ends after COUNT of them."""
import argparse
import os
import struct
import time

import msgpack
import zmq

CHANNELS = ["public", "private", "public-now", "private-now"]
EVENT, VIEW, WITHDRAWN = 0, 1, 2


class Refused(Exception):
    """(reason, text)"""


def name_of(m):
    return m.get("uid") or m["pid"].hex()


class Subscriber:
    def __init__(self, endpoint, bureau="3205", name=None, start="new", arg=0, types=(), orgs=(), view="full",
                 window=1 << 20, instance=None, context=None, curve=None):
        self.endpoint, self.context, self.socket = endpoint, context or zmq.Context.instance(), None
        self.hello = {"pmin": 1, "pmax": 1, "feat": [], "bureau": bureau, "inst": instance or os.urandom(16),
                      "from": start, "arg": arg, "view": view, "win": window}
        self.hello.update({k: v for k, v in (("name", name), ("types", list(types)), ("orgs", list(orgs))) if v})
        self.curve = curve  # (daemon's public key, own public key, own secret key)
        self.seen, self.live = set(), {}  # uids of this run; channel: clock of its last live frame, 0 = none yet

    def open(self):
        """Connect, and say HELLO until answered: each second, over and over."""
        self.close()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.immediate, self.socket.rcvhwm, self.socket.linger = 1, 0, 200
        if self.curve:
            self.socket.curve_serverkey, self.socket.curve_publickey, self.socket.curve_secretkey = self.curve
        self.socket.connect(self.endpoint)
        self.number = [0] * 4   # of the last frame received, per channel
        self.welcome, self.standby, self.lost = None, False, []
        self.heard, self.said, self.hello_at = time.monotonic(), 0, 0

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None

    def send(self, kind, map_=None):
        try:
            self.socket.send(kind + (msgpack.packb(map_) if map_ is not None else b""), zmq.DONTWAIT)
            self.said = time.monotonic()
        except zmq.Again:
            pass  # not connected yet

    def bye(self):
        self.send(b"B", {"why": 9, "text": ""})
        self.close()

    def ack(self, channel, number, token):
        self.send(b"A" + struct.pack(">BBQQ", 1, channel, number, token))

    def resume(self):
        """After silence, a gap or a lost line: anew, from where the acks ended."""
        if "name" in self.hello:
            self.hello["from"] = "resume"
        elif self.live and min(self.live.values()):
            self.hello.update({"from": "time", "arg": min(self.live.values()) - 2000})
        self.open()

    def receive(self, timeout=1.0, ack=True):
        """Items of the next message as (channel name, kind, map); [] when it has none."""
        now = time.monotonic()
        if not self.welcome and not self.standby and now >= self.hello_at:
            self.send(b"H", self.hello)
            self.hello_at = now + (1 if self.said >= now else 0.02)
        if self.welcome and now - self.said > min(self.welcome["lease"] / 3, self.welcome["beat"]) / 1000:
            self.send(b"P")
        if not self.socket.poll(min(timeout, 0.05) * 1000):
            # Only now: while nobody looked, what was said has been waiting here.
            if now - self.heard > (3 * self.welcome["beat"] / 1000 + 1 if self.welcome else 10):
                self.resume()
            return []
        frames = self.socket.recv_multipart()
        self.heard = time.monotonic()
        kind = frames[0][:1]
        return self.data(frames, ack) if kind == b"D" else self.control(kind, msgpack.unpackb(frames[0][1:]))

    def control(self, kind, m):
        if kind == b"W":
            self.welcome, self.standby = m, False
            self.live = self.live or dict.fromkeys(m["chans"], m["clock"] if self.hello["from"] == "new" else 0)
        elif kind == b"S":
            self.standby = True
            self.send(b"P")
        elif kind == b"L":
            self.lost.append((CHANNELS[m["ch"]], m["from"], m["to"], m["why"]))
        elif kind == b"G":
            if m["why"] not in (3, 4, 5):  # superseded, draining, no session
                raise Refused(m["why"], m["text"])
            self.resume()
        return []

    def data(self, frames, ack):
        _, flags, channel, _, count, number, token, clock = struct.unpack(">cBBBIQQQ", frames[0])
        if number != self.number[channel] + 1 or len(frames) != (2 if count else 1):
            self.resume()
            return []
        self.number[channel] = number
        if not flags & 2:  # no replay
            self.live[channel] = clock
        items, at = [], 0
        for _ in range(count):
            kind, _, length = struct.unpack_from(">BBH", frames[1], at)
            at += 4 + length
            items.append((CHANNELS[channel], kind, msgpack.unpackb(frames[1][at - length:at])))
        assert not count or at == len(frames[1]), "payload has its exact end"
        new = [i for i in items if i[1] == WITHDRAWN or name_of(i[2]) not in self.seen]
        self.seen |= {name_of(m) for _, kind, m in new if kind != WITHDRAWN}
        self.last = (channel, number, token)
        if ack:  # an application stores them durably first
            self.ack(*self.last)
        return new


def main():
    p = argparse.ArgumentParser()
    for option, more in (("endpoint", {}), ("--name", {}), ("--from", {"dest": "start", "default": "new"}),
                         ("--arg", {"type": int, "default": 0}), ("--type", {"action": "append", "default": []}),
                         ("--org", {"action": "append", "default": []}), ("--view", {"default": "full"}),
                         ("-n", {"type": int, "default": 0})):
        p.add_argument(option, **more)
    o = p.parse_args()
    s, n = Subscriber(o.endpoint, "3205", o.name, o.start, o.arg, o.type, o.org, o.view), 0
    s.open()
    while not o.n or n < o.n:
        for channel, kind, m in s.receive():
            print(channel, name_of(m), *(["withdrawn"] if kind == WITHDRAWN else []), flush=True)
            n += 1
    s.bye()


if __name__ == "__main__":
    main()
