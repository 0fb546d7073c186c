# SPDX-License-Identifier: Apache-2.0
"""A row of make bench: 42,000 events become texts. They wait in the queue; dibao-sms starts; each is
journalled (appendfsync always), checked against a roster of 42,000, rendered, and handed to a gateway
that throws it away. The clock runs from the start of the program to the last result on disk."""
import csv
import io
import json
import os
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def conf(stage):
    with open(f'{stage.dir}/sms.conf', 'w') as f:
        f.write(f'[sms]\ndemo = yes\ntemplates = {ROOT}/config/sms/zh-CN\ncodes = {ROOT}/config/sms/codes.tsv\n'
                f'[dibaod]\nendpoints = ipc://{stage.dir}/sms.zmq\n[redis]\nredis = {stage.redis_address}\n'
                f'[text]\nsignature = 演示公安\n[when]\nquiet = none\n[limits]\nbatch = 1000000\n'
                'cap_minute = 0\ncap_hour = 0\ncap_day = 0\nsame_minute = 0\nsame_hour = 0\n'
                '[gateway-1]\ndriver = null\nfake = yes\nrate = 0\n')
    with open(f'{stage.dir}/sms-dibaod.conf', 'w') as f:
        f.write(f'[dibao]\nendpoints = ipc://{stage.dir}/sms.zmq\ncontrol = {stage.dir}/control\n'
                f'[redis]\nredis = {stage.redis_address}\n')


def events(n, people):
    kind = {'code': 'A01', 'name': '火线奖励'}
    for i in range(n):
        p = people[i % len(people)]
        yield json.dumps({'v': 1, 'uid': f'bench-{i}', 'type': 'award', 'at': int(time.time() * 1000), 'org': p['org'],
                          'person': {'badge': p['badge'], 'name': p['name']}, 'issuer': '演示',
                          'body': {'kind': kind, 'state': 'final'}}, ensure_ascii=False)


def measure(stage, program, start, stop, wait_for, n):
    """Seconds, and the most memory that dibao-sms had, in KiB."""
    def ctl(*args, **kw):
        return subprocess.run([program('dibaoctl'), '--redis', stage.redis_address, *args], check=True,
                              stdout=subprocess.DEVNULL, **kw)

    def count(key):
        r = subprocess.run(['redis-cli', '-s', f'{stage.dir}/redis.sock', 'zcard', 'dibao:{3205}:' + key],
                           capture_output=True, text=True, check=True)
        return int(r.stdout)

    roster = subprocess.run([program('dibao-seed'), '--root', ROOT, 'roster'], capture_output=True, text=True, check=True)
    with open(f'{stage.dir}/roster.csv', 'w') as f:
        f.write(roster.stdout)
    ctl('roster', 'import', f'{stage.dir}/roster.csv')
    people = [p for p in csv.DictReader(io.StringIO(roster.stdout)) if p['active'] == 'yes']
    conf(stage)
    ctl('durable', 'set', 'sms-1')
    daemon = start([program('dibaod'), '-c', f'{stage.dir}/sms-dibaod.conf'], stderr=subprocess.DEVNULL)
    wait_for('dibaod', lambda: os.path.exists(f'{stage.dir}/control'))
    # Its place is before the events: the name has been there once.
    with open(f'{stage.dir}/first.log', 'w') as log:
        sms = start([program('dibao-sms'), '-c', f'{stage.dir}/sms.conf'], stderr=log)
    wait_for('dibao-sms', lambda: 'active: ' in open(f'{stage.dir}/first.log').read(), 40)
    stop(sms)
    ctl('publish', input='\n'.join(events(n, people)) + '\n', text=True)
    began = time.monotonic()
    with open(f'{stage.dir}/sms.log', 'w') as log:
        sms = start([program('dibao-sms'), '-c', f'{stage.dir}/sms.conf'], stderr=log)
    wait_for('the texts', lambda: count('sms:sent') >= n, 300)

    def none_under_way():
        r = subprocess.run([program('dibaoctl'), '--redis', stage.redis_address, 'sms', 'queue'], capture_output=True, text=True)
        return 'intent' not in r.stdout.split('\n\n')[0]
    seconds = time.monotonic() - began
    wait_for('the results', none_under_way, 60)
    with open(f'/proc/{sms.pid}/status') as f:
        memory = int([l for l in f if l.startswith('VmHWM')][0].split()[1])
    stop(sms)
    stop(daemon)
    return seconds, memory
