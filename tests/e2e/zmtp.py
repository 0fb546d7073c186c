# SPDX-License-Identifier: Apache-2.0
"""A peer that speaks ZMTP 3.1 by hand, with NULL or CURVE (RFC 23, 26), so that it can say what an honest
library never would, and keeps every byte that it was sent, as the machine it stands on would see them:
`wire` what came through the socket, `clear` what was in it once decrypted.

It has the few methods of a ZeroMQ socket that subscriber.py calls; RawSubscriber is that subscriber on it."""
import ctypes
import ctypes.util
import os
import select
import socket
import struct
import time

from zmq.utils import z85

import subscriber

MORE, LONG, COMMAND = 1, 2, 4
sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))
assert sodium.sodium_init() >= 0


class Broken(Exception):
    """The daemon ended the connection, or refused it in the handshake."""


def keypair():
    public, secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(32)
    sodium.crypto_box_keypair(public, secret)
    return public.raw, secret.raw


def box(plain, nonce, public, secret):
    out = ctypes.create_string_buffer(len(plain) + 16)
    sodium.crypto_box_easy(out, plain, ctypes.c_ulonglong(len(plain)), nonce, public, secret)
    return out.raw


def unbox(sealed, nonce, public, secret):
    out = ctypes.create_string_buffer(max(1, len(sealed) - 16))
    if sodium.crypto_box_open_easy(out, sealed, ctypes.c_ulonglong(len(sealed)), nonce, public, secret):
        raise Broken("a box that does not open")
    return out.raw[:len(sealed) - 16]


def properties(pairs):
    return b"".join(bytes([len(k)]) + k + struct.pack(">I", len(v)) + v for k, v in pairs)


class Null:
    name = b"NULL"

    def shake(self, peer, metadata):
        peer.put(COMMAND, b"\x05READY" + properties(metadata))
        peer.expect(b"READY")

    def seal(self, flags, body):
        return flags, body

    def open(self, flags, body):
        return flags, body


class Curve:
    """keys: (daemon's public, own public, own secret), each in Z85."""
    name = b"CURVE"

    def __init__(self, keys):
        self.server, self.public, self.secret = (z85.decode(k) for k in keys)
        self.nonce = 0

    def next(self):
        self.nonce += 1
        return struct.pack(">Q", self.nonce)

    def shake(self, peer, metadata):
        self.session, secret = keypair()
        n = self.next()
        peer.put(COMMAND, b"\x05HELLO\x01\x00" + bytes(72) + self.session + n
                 + box(bytes(64), b"CurveZMQHELLO---" + n, self.server, secret))
        welcome = peer.expect(b"WELCOME")
        plain = unbox(welcome[16:], b"WELCOME-" + welcome[:16], self.server, secret)
        self.theirs, cookie = plain[:32], plain[32:]
        vouch_nonce, n = os.urandom(16), self.next()
        vouch = box(self.session + self.server, b"VOUCH---" + vouch_nonce, self.theirs, self.secret)
        peer.put(COMMAND, b"\x08INITIATE" + cookie + n
                 + box(self.public + vouch_nonce + vouch + properties(metadata), b"CurveZMQINITIATE" + n, self.theirs, secret))
        self.key = ctypes.create_string_buffer(32)
        sodium.crypto_box_beforenm(self.key, self.theirs, secret)
        peer.expect(b"READY")

    def seal(self, flags, body):
        n, plain = self.next(), bytes([(flags & MORE) | (2 if flags & COMMAND else 0)]) + body
        out = ctypes.create_string_buffer(len(plain) + 16)
        sodium.crypto_box_easy_afternm(out, plain, ctypes.c_ulonglong(len(plain)), b"CurveZMQMESSAGEC" + n, self.key)
        return 0, b"\x07MESSAGE" + n + out.raw

    def open(self, flags, body):
        if flags & COMMAND:  # ERROR
            return flags, body
        sealed = body[16:]
        out = ctypes.create_string_buffer(len(sealed) - 16)
        if sodium.crypto_box_open_easy_afternm(out, sealed, ctypes.c_ulonglong(len(sealed)),
                                               b"CurveZMQMESSAGES" + body[8:16], self.key):
            raise Broken("a message that does not open")
        return (out.raw[0] & MORE) | (COMMAND if out.raw[0] & 2 else 0), out.raw[1:]


class Peer:
    def __init__(self, endpoint, curve=None, more=(), identity=b"", kind=b"DEALER", seconds=30):
        """`more`: properties of its own making, first in its metadata."""
        self.wire, self.clear, self.messages, self.frames = bytearray(), bytearray(), [], []
        self.unread, self.at, self.secured, self.over = bytearray(), 0, False, False
        self.deadline = time.monotonic() + seconds
        where = endpoint.split("://")[1]
        if endpoint.startswith("ipc"):
            self.s = socket.socket(socket.AF_UNIX)
            self.s.connect(where)
        else:
            host, port = where.split(":")
            self.s = socket.create_connection((host, int(port)))
        self.mechanism = Curve(curve) if curve else Null()
        try:
            self.s.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x01" + self.mechanism.name.ljust(20, b"\0") + bytes(32))
            while len(self.unread) < 64:
                self.read(self.deadline)
            del self.unread[:64]
            self.mechanism.shake(self, [*more, (b"Socket-Type", kind), (b"Identity", identity)])
        except BaseException:
            self.s.close()
            raise
        self.secured = True

    # ---- bytes ----

    def read(self, deadline):
        """More bytes, or False at the deadline."""
        if not select.select([self.s], [], [], max(0, deadline - time.monotonic()))[0]:
            if not self.secured:
                raise Broken("no answer in the handshake")
            return False
        try:
            piece = self.s.recv(1 << 18)
        except ConnectionError:
            piece = b""
        if not piece:
            self.over = True
            raise Broken("closed")
        self.wire += piece
        self.unread += piece
        return True

    def put(self, flags, body):
        size = bytes([flags, len(body)]) if len(body) < 256 else bytes([flags | LONG]) + struct.pack(">Q", len(body))
        try:
            self.s.sendall(size + body)
        except ConnectionError:
            raise Broken("closed")

    def take(self):
        """(flags, body) of the next frame that is whole, or None."""
        u, at = self.unread, self.at
        if len(u) - at < 2:
            return None
        head, size = (9, struct.unpack_from(">Q", u, at + 1)[0]) if u[at] & LONG and len(u) - at >= 9 else (2, u[at + 1])
        if (u[at] & LONG and len(u) - at < 9) or len(u) - at < head + size:
            return None
        flags, body = u[at] & (MORE | COMMAND), bytes(u[at + head:at + head + size])
        self.at += head + size
        if self.at == len(u) or self.at > 1 << 20:
            del u[:self.at]
            self.at = 0
        return flags, body

    def expect(self, name):
        """Body of a command of the handshake."""
        while True:
            frame = self.take()
            if frame:
                break
            self.read(self.deadline)
        self.clear += frame[1]
        if frame[1][1:1 + frame[1][0]] != name:
            raise Broken(repr(frame[1][:40]))
        return frame[1][1 + frame[1][0]:]

    # ---- what subscriber.py calls ----

    def send(self, body, flags=0):
        self.put(*self.mechanism.seal(0, body))

    def send_multipart(self, frames):
        for i, f in enumerate(frames):
            self.put(*self.mechanism.seal(MORE if i < len(frames) - 1 else 0, f))

    def poll(self, ms=0):
        deadline = time.monotonic() + ms / 1000
        while not self.messages:
            frame = self.take()
            if frame:
                self.on_frame(*self.mechanism.open(*frame))
            elif not self.read(deadline):
                return 0
        return 1

    def on_frame(self, flags, body):
        self.clear += body
        if flags & COMMAND:
            if body[:5] == b"\x04PING":
                self.put(*self.mechanism.seal(COMMAND, b"\x04PONG" + body[7:]))
            elif body[:6] == b"\x05ERROR":
                raise Broken(repr(body))
            return
        self.frames.append(body)
        if not flags & MORE:
            self.messages.append(self.frames)
            self.frames = []

    def recv_multipart(self):
        return self.messages.pop(0)

    def close(self):
        self.s.close()


class RawSubscriber(subscriber.Subscriber):
    """All bytes of all its connections are in `wire` and `clear`; each whole message is in `log`, as
    (seconds, frames). `more`, `identity`, `kind`: see Peer."""

    def __init__(self, endpoint, more=(), identity=b"", kind=b"DEALER", **options):
        super().__init__(endpoint, context=0, **options)
        self.forged, self.peers, self.log = dict(more=more, identity=identity, kind=kind), [], []

    def open(self):
        self.close()
        self.socket = Peer(self.endpoint, self.curve, **self.forged)
        self.peers.append(self.socket)
        recv = self.socket.recv_multipart

        def logged():
            frames = recv()
            self.log.append((time.monotonic(), frames))
            return frames
        self.socket.recv_multipart = logged
        self.number = [0] * 4
        self.welcome, self.standby, self.lost = None, False, []
        self.heard, self.said, self.hello_at = time.monotonic(), 0, 0

    @property
    def wire(self):
        return b"".join(bytes(p.wire) for p in self.peers)

    @property
    def clear(self):
        return b"".join(bytes(p.clear) for p in self.peers)
