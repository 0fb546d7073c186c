# SPDX-License-Identifier: Apache-2.0
"""From publish to the page's socket: an award at a time through the queue, dibaod and dibao-board, until the
event is whole at a reader of the board's stream. The board holds some hundred items meanwhile.

And to the pixels: until the award's moment of honour is on a picture that a real Chromium made (pixels.js)."""
import http.client
import json
import os
import re
import statistics
import subprocess
import threading
import time

import msgpack
import redis

STATION = '320508530000'
HELD = 300
HERE = os.path.dirname(os.path.abspath(__file__))


def event(uid, i, name, body, **more):
    return msgpack.packb({
        'v': 1, 'uid': uid, 'type': 'award', 'at': int(time.time() * 1000), 'org': STATION,
        'person': {'badge': f'F{i}', 'name': name, 'unit': '演示队'}, 'issuer': '演示局', 'body': body, **more})


def award(i, name, **more):
    return event(f'bench-{i}', i, name, {'kind': {'code': 'A02', 'name': '火线奖励'}, 'state': 'final',
                                         'public_reason': '演示' * 20}, **more)


def publish(r, packed):
    if r.execute_command('FCALL', 'dibao_publish', 1, 'dibao:{3205}:', packed)[0] != b'new':
        raise SystemExit('bench: the board: an event is not new')


def share(values, of):
    return round(sorted(values)[int(len(values) * of)], 2)


def listen(port, came, over, ready):
    c = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    c.request('GET', '/events')
    answer = c.getresponse()
    while not over.is_set():
        line = answer.readline()
        now = time.monotonic()
        if not line:
            return
        if line.startswith(b'event: state'):
            ready.set()
        found = re.match(rb'data: \{"pid".*"name":"\xe6\xbc\x94\xe7\xa4\xba(\d+)"', line)
        if found:
            came[int(found[1])] = now


def to_socket(r, port, wait_for, n):
    """ms of n awards, at ten a second. They are history, so that none has a moment."""
    came, sent, over, ready = {}, {}, threading.Event(), threading.Event()
    threading.Thread(target=listen, args=(port, came, over, ready), daemon=True).start()
    wait_for('the state', ready.is_set)  # what is in it does not come as an event
    publish(r, award(HELD, f'演示{HELD}', record=True))
    wait_for('a first event', lambda: HELD in came)
    for i in range(HELD + 1, HELD + 1 + n):
        time.sleep(0.1)
        sent[i] = time.monotonic()
        publish(r, award(i, f'演示{i}', record=True))
    wait_for('all events', lambda: len(came) > n)
    over.set()
    return [(came[i] - sent[i]) * 1000 for i in sent]


def to_pixels(r, port, start, stop, picture, n):
    """[(ms to the first picture, ms until it stands whole)] of n awards: each is taken back when it was seen,
    and the next comes when the wall is as before. One more comes first: the page has then drawn one."""
    p = start([f'{HERE}/pixels.js', f'http://127.0.0.1:{port}/', picture], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
              text=True, bufsize=1)

    def ask(line, answer=None):
        if line:
            p.stdin.write(line + '\n')
        got = p.stdout.readline().strip()
        if not got or answer and got != answer:
            raise SystemExit(f'bench: pixels.js: {got or "has ended"}')
        return got
    ask(None, 'open')
    times = []
    for i in range(n + 1):
        uid, badge, name = f'bench-p{i}', f'p{i}', f'像素{i}'
        ask(name, 'ready')
        began = time.time()
        publish(r, award(badge, name))
        seen = json.loads(ask(None))
        times.append([(seen[k] - began) * 1000 for k in ('first', 'whole')])
        publish(r, event(f'{uid}-back', badge, name, {'reason': '演示'}, retracts=uid))
        ask('gone', 'gone')
    p.stdin.close()
    if p.wait(30):
        raise SystemExit('bench: pixels.js failed')
    stop(p)
    return times[1:]


def measure(stage, program, start, stop, wait_for, n, n_pixels, picture):
    """{'p50_ms', 'p95_ms', 'rss_mib', 'publish_to_pixels': {'n', 'p50_ms', 'p95_ms', 'whole_p95_ms'}}"""
    log = f'{stage.dir}/board.log'
    # Nothing moves on the wall but what is published.
    with open(f'{stage.dir}/board.conf', 'w') as f:
        f.write(f'[daemon]\nendpoints = {stage.endpoint}\n[board]\norg = {STATION}\norgs_table =\nranks_table =\n'
                f'cache = {stage.dir}/board.db\nport = 0\n[show]\npage_ms = 2min\nmoment_ms = 2min\ndrift = no\n')
    r = redis.Redis(unix_socket_path=stage.redis_address.removeprefix('unix:'))
    for i in range(HELD):
        publish(r, award(i, f'演示{i}', record=True))
    board = start([program('dibao-board'), '-c', f'{stage.dir}/board.conf'], stderr=open(log, 'w'))
    wait_for('the board', lambda: f'{HELD} items held' in open(log).read())
    port = int(re.search(r'127\.0\.0\.1:(\d+)', open(log).read())[1])
    ms = to_socket(r, port, wait_for, n)
    with open(f'/proc/{board.pid}/status') as f:
        kib = int(re.search(r'VmRSS:\s*(\d+)', f.read())[1])
    first, whole = zip(*to_pixels(r, port, start, stop, picture, n_pixels))
    stop(board)
    return {'p50_ms': round(statistics.median(ms), 2), 'p95_ms': share(ms, 0.95), 'rss_mib': round(kib / 1024, 1),
            'publish_to_pixels': {'n': len(first), 'p50_ms': round(statistics.median(first), 2),
                                  'p95_ms': share(first, 0.95), 'whole_p95_ms': share(whole, 0.95)}}
