# SPDX-License-Identifier: Apache-2.0
"""From publish to the page's socket: an award at a time through the queue, dibaod and dibao-board, until the
event is whole at a reader of the board's stream. The board holds some hundred items meanwhile."""
import http.client
import json
import os
import re
import statistics
import threading
import time

import msgpack
import redis

STATION = '320508530000'
HELD = 300


def award(i):
    return msgpack.packb({
        'v': 1, 'uid': f'bench-{i}', 'type': 'award', 'at': int(time.time() * 1000), 'org': STATION,
        'person': {'badge': f'F{i}', 'name': f'演示{i}', 'unit': '演示队'}, 'issuer': '演示局',
        'body': {'kind': {'code': 'A02', 'name': '火线奖励'}, 'state': 'final', 'public_reason': '演示' * 20}})


def publish(r, i):
    return r.execute_command('FCALL', 'dibao_publish', 1, 'dibao:{3205}:', award(i))


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


def measure(stage, program, start, stop, wait_for, n):
    """{'p50_ms', 'p95_ms', 'rss_mib'} of n awards, at ten a second."""
    log = f'{stage.dir}/board.log'
    with open(f'{stage.dir}/board.conf', 'w') as f:
        f.write(f'[daemon]\nendpoints = {stage.endpoint}\n[board]\norg = {STATION}\norgs_table =\nranks_table =\n'
                f'cache = {stage.dir}/board.db\nport = 0\n')
    r = redis.Redis(unix_socket_path=stage.redis_address.removeprefix('unix:'))
    for i in range(HELD):
        publish(r, i)
    board = start([program('dibao-board'), '-c', f'{stage.dir}/board.conf'], stderr=open(log, 'w'))
    wait_for('the board', lambda: f'{HELD} items held' in open(log).read())
    port = int(re.search(r'127\.0\.0\.1:(\d+)', open(log).read())[1])
    came, sent, over, ready = {}, {}, threading.Event(), threading.Event()
    threading.Thread(target=listen, args=(port, came, over, ready), daemon=True).start()
    wait_for('the state', ready.is_set)  # what is in it does not come as an event
    publish(r, HELD)
    wait_for('a first event', lambda: HELD in came)
    for i in range(HELD + 1, HELD + 1 + n):
        time.sleep(0.1)
        sent[i] = time.monotonic()
        publish(r, i)
    wait_for('all events', lambda: len(came) > n)
    over.set()
    ms = sorted((came[i] - sent[i]) * 1000 for i in sent)
    with open(f'/proc/{board.pid}/status') as f:
        kib = int(re.search(r'VmRSS:\s*(\d+)', f.read())[1])
    stop(board)
    return {'p50_ms': round(statistics.median(ms), 2), 'p95_ms': round(ms[int(len(ms) * 0.95)], 2),
            'rss_mib': round(kib / 1024, 1)}
