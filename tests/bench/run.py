#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make bench: dibao beside its peers, in alternating runs on this machine.

Real parts: redis-server, dibaod, library clients that acknowledge (fanout.c), the publisher's library
(feed.c); beside them bare.c. Prints a table; writes results.json, results.tsv and drain.svg to
$BUILD/bench. QUICK=1 fills the same keys within two minutes: one short run each (three where 16
and 200 drain 200 bytes), to see that all of it works. Its figures are no measurement.

Ratios are what to quote: a machine that is shared changes its speed from minute to minute, so each
pair of figures comes from runs right after each other, and each figure is a median.
"""
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import board as board_row
import sms_row

BUILD = os.environ.get('BUILD') or os.path.abspath('build')
QUICK = bool(os.environ.get('QUICK'))
RUNS = 1 if QUICK else 5
PIXELS_MS = 250  # from publish to the screen, at p95
OUT = os.path.join(BUILD, 'bench')
results = {}
children = []


def start(argv, **kw):
    p = subprocess.Popen(argv, **kw)
    children.append(p)
    return p


def stop(p, sig=signal.SIGTERM):
    if p.poll() is None:
        p.send_signal(sig)
        try:
            p.wait(15)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
    if p in children:
        children.remove(p)


def tool(name):
    return os.path.join(BUILD, 'bench', name)


def program(name):
    return os.path.join(BUILD, 'bin', name)


def last_json(text):
    return json.loads([line for line in text.splitlines() if line.startswith('{')][-1])


def wait_for(what, condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f'bench: {what}: not within {seconds} s')
        time.sleep(0.01)


class Stage:
    """A private Redis, and dibaod on it, in a directory of their own."""

    def __init__(self, fsync):
        self.dir = tempfile.mkdtemp(prefix='dibao-bench-')
        self.redis_address = f'unix:{self.dir}/redis.sock'
        self.redis = start(['redis-server', '--port', '0', '--unixsocket', f'{self.dir}/redis.sock',
                            '--dir', self.dir, '--save', '', '--appendonly', 'yes',
                            '--appendfsync', fsync], stdout=subprocess.DEVNULL)
        wait_for('Redis', lambda: os.path.exists(f'{self.dir}/redis.sock'))
        subprocess.run([program('dibaoctl'), '--redis', self.redis_address, 'setup'], check=True,
                       stdout=subprocess.DEVNULL)
        self.daemon, self.curve = None, []

    def make_keys(self):
        """A daemon started from now on speaks CURVE, and so do fanout's subscribers, with one key."""
        key = lambda name, *more: json.loads(subprocess.run(
            [program('dibaoctl'), '--json', 'keygen', name, '--out', f'{self.dir}/{name}.key', *more], capture_output=True,
            text=True, check=True).stdout)['public_key']
        with open(f'{self.dir}/access.conf', 'w') as f:
            f.write(f'[bench]\nkind = reader\npublic_key = {key("bench")}\ntypes = *\norgs = *\n')
        self.curve = ['--server-key', key('dibaod', '--server'), '--key-file', f'{self.dir}/bench.key']

    def start_daemon(self):
        secured = (f'curve_key_file = {self.dir}/dibaod.key\naccess = {self.dir}/access.conf\n[peers]\n'
                   'connections_per_key = 100000\nconnects_per_key = 100000\nsessions_per_key = 100000\nhellos_per_key = 100000\n')
        self.log = open(f'{self.dir}/dibaod.log', 'w')
        with open(f'{self.dir}/dibaod.conf', 'w') as f:
            f.write(f'[dibao]\nendpoints = tcp://127.0.0.1:*\ncontrol = {self.dir}/control\n'
                    f'{secured if self.curve else "insecure = yes"}\n[redis]\nredis = {self.redis_address}\n')
        self.daemon = start([program('dibaod'), '-c', f'{self.dir}/dibaod.conf'], stderr=self.log)

        def listening():
            if self.daemon.poll() is not None:
                sys.exit(open(f'{self.dir}/dibaod.log').read())
            text = open(f'{self.dir}/dibaod.log').read()
            return 'listening on ' in text and 'serving' in text
        wait_for('dibaod', listening)
        text = open(f'{self.dir}/dibaod.log').read()
        self.endpoint = text.split('listening on ')[1].split()[0]

    def status(self):
        r = subprocess.run([program('dibaoctl'), '--control', f'{self.dir}/control', 'status', '--json'],
                           capture_output=True, text=True, check=True)
        return json.loads(r.stdout)

    def wait_tail(self, events):
        wait_for('the tail', lambda: self.status()['counters']['entries'] >= events, 120)

    def feed(self, events, size, rate=None):
        argv = [tool('feed'), '--redis', self.redis_address, '--events', str(events), '--bytes', str(size)]
        if rate:
            argv += ['--rate', str(rate)]
        return subprocess.run(argv, capture_output=True, text=True, check=True)

    def rss_kib(self):
        with open(f'/proc/{self.daemon.pid}/status') as f:
            return int([line for line in f if line.startswith('VmRSS')][0].split()[1])

    def cpu_s(self):
        with open(f'/proc/{self.daemon.pid}/stat') as f:
            v = f.read().split()
        return (int(v[13]) + int(v[14])) / os.sysconf('SC_CLK_TCK')

    def redis_bytes_out(self):
        r = subprocess.run(['redis-cli', '-s', f'{self.dir}/redis.sock', 'info', 'stats'],
                           capture_output=True, text=True, check=True)
        return int([x for x in r.stdout.splitlines() if x.startswith('total_net_output')][0].split(':')[1])

    def end(self):
        if self.daemon:
            stop(self.daemon, signal.SIGKILL)  # told to end, it would wait for who was stopped or killed before
        stop(self.redis)
        shutil.rmtree(self.dir, ignore_errors=True)


def fanout(mode, stage, subscribers, events, *more):
    return start([tool('fanout'), '--mode', mode, '--endpoint', stage.endpoint, '--subscribers',
                  str(subscribers), '--events', str(events), *stage.curve, *more], stdout=subprocess.PIPE, text=True)


def finish(p):
    out, _ = p.communicate(timeout=120)
    children.remove(p)
    if p.returncode:
        sys.exit(f'bench: {" ".join(p.args)}: exit {p.returncode}')
    return last_json(out)


def bare_pubsub(subscribers, events, size, curve=False):
    pub = start([tool('bare'), 'pub', '--bytes', str(size), '--events', str(events), '--subscribers',
                 str(subscribers)] + ['--curve'] * curve, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    *key, endpoint = pub.stdout.readline().split()
    sub = start([tool('bare'), 'sub', '--endpoint', endpoint, '--events', str(events), '--subscribers',
                 str(subscribers)] + (['--key', *key] if curve else []), stdout=subprocess.PIPE, text=True)
    r = finish(sub)
    _, err = pub.communicate(timeout=30)
    children.remove(pub)
    r['pub_cpu_s'] = last_json(err)['cpu_s']
    return r


def put(key, value):
    at = results
    parts = key.split('.')
    for part in parts[:-1]:
        at = at.setdefault(part, {})
    at[parts[-1]] = value


def median(rows, key):
    return statistics.median(r[key] for r in rows)


def row(*cells):
    print('  '.join(f'{c:>14}' if i else f'{c:<26}' for i, c in enumerate(cells)), flush=True)


def events_for(subscribers, size):
    """So many that a run takes a second or so."""
    base = {1: 600000, 16: 200000, 200: 40000, 1000: 8000}[subscribers]
    return max(1000, base * 200 // max(size, 200) // (4 if QUICK else 1))


def drain(subscribers, size):
    events = events_for(subscribers, size)
    stage = Stage('everysec')
    stage.feed(events, size)
    stage.start_daemon()
    stage.wait_tail(events)
    ours, bare = [], []
    finish(fanout('drain', stage, subscribers, events))  # warm-up
    for _ in range(max(RUNS, 3) if size == 200 and subscribers in (16, 200) else RUNS):
        cpu = stage.cpu_s()
        r = finish(fanout('drain', stage, subscribers, events))
        r['daemon_cpu_s'] = stage.cpu_s() - cpu
        ours.append(r)
        bare.append(bare_pubsub(subscribers, events, size))
    stage.end()
    name = f'drain.{subscribers}' if size == 200 else f'drain_{size}.{subscribers}'
    return summarise(name, subscribers, size, ours, bare)


def curve(subscribers):
    """As drain, encrypted on both sides; the bare peer, which seals each event apart, gets fewer events.
    `plain` is the same daemon without, right after."""
    events = events_for(subscribers, 200) // 2
    stages = [Stage('everysec') for _ in range(2)]
    for stage in stages:
        if stage is stages[0]:
            stage.make_keys()
        stage.feed(events, 200)
        stage.start_daemon()
        stage.wait_tail(events)
        finish(fanout('drain', stage, subscribers, events))  # warm-up
    ours, bare, plain = [], [], []
    for _ in range(RUNS):
        cpu = stages[0].cpu_s()
        r = finish(fanout('drain', stages[0], subscribers, events))
        r['daemon_cpu_s'] = stages[0].cpu_s() - cpu
        ours.append(r)
        bare.append(bare_pubsub(subscribers, events // 8, 200, curve=True))
        plain.append(finish(fanout('drain', stages[1], subscribers, events)))
    for stage in stages:
        stage.end()
    summarise(f'curve.{subscribers}', subscribers, 200, ours, bare)
    put(f'curve.{subscribers}.plain_per_s', round(median(plain, 'per_s')))
    d = results['curve'][str(subscribers)]
    # What a run costs in CPU, of all sides: hardly changed by who else is at work.
    put(f'curve.{subscribers}.cpu_ratio', round(d['bare_cpu_ns_per_delivery'] / (
        d['daemon_cpu_ns_per_delivery'] + d['client_cpu_ns_per_delivery']), 2))
    put(f'curve.{subscribers}.load_average', round(os.getloadavg()[0], 1))
    row('  without CURVE', f'{median(plain, "per_s") / 1e6:.2f} M/s', f'load {os.getloadavg()[0]:.1f}',
        f'CPU {d["cpu_ratio"]:.2f}')


def live(subscribers, size):
    """All are connected; a publisher pours in. What bounds it is the publisher's way through Redis, so
    the bare peer is bound by nothing but itself: its column is the same as in drain."""
    events = max(500, events_for(subscribers, size) // 4)
    stage = Stage('everysec')
    stage.start_daemon()
    ours, bare = [], []
    for _ in range(RUNS):
        cpu = stage.cpu_s()
        p = fanout('live', stage, subscribers, events)
        if 'ready' not in p.stdout.readline():
            sys.exit('bench: live: not ready')
        stage.feed(events, size)
        r = finish(p)
        r['daemon_cpu_s'] = stage.cpu_s() - cpu
        ours.append(r)
        bare.append(bare_pubsub(subscribers, events, size))
    stage.end()
    name = f'live.{subscribers}' if size == 200 else f'live_{size}.{subscribers}'
    return summarise(name, subscribers, size, ours, bare)


def summarise(name, subscribers, size, ours, bare):
    a, b = median(ours, 'per_s'), median(bare, 'per_s')
    ratio = statistics.median(x['per_s'] / y['per_s'] for x, y in zip(ours, bare))
    put(f'{name}.deliveries_per_s', round(a))
    put(f'{name}.bare_pubsub_per_s', round(b))
    put(f'{name}.ratio', round(ratio, 2))
    put(f'{name}.daemon_cpu_ns_per_delivery',
        round(statistics.median(r['daemon_cpu_s'] / r['deliveries'] * 1e9 for r in ours), 1))
    put(f'{name}.client_cpu_ns_per_delivery',
        round(statistics.median(r['cpu_s'] / r['deliveries'] * 1e9 for r in ours), 1))
    put(f'{name}.bare_cpu_ns_per_delivery',
        round(statistics.median((r['cpu_s'] + r['pub_cpu_s']) / r['deliveries'] * 1e9 for r in bare), 1))
    row(f'{name} {size} B', f'{a / 1e6:.2f} M/s', f'{b / 1e6:.2f} M/s', f'{ratio:.2f}')


def latency(fsync, stop_one):
    """1,000 events a second to 16 subscribers, beside the bare append-fsync-read-send path."""
    rate, n = 1000, 16
    events = 1000 if QUICK else 4000
    stage = Stage(fsync)
    stage.start_daemon()
    ours, bare = [], []
    stopped = None
    if stop_one:
        stopped = fanout('live', stage, 1, 10 ** 9)
        if 'ready' not in stopped.stdout.readline():
            sys.exit('bench: latency: not ready')
        stopped.send_signal(signal.SIGSTOP)
    for _ in range(RUNS):
        p = fanout('latency', stage, n, events)
        if 'ready' not in p.stdout.readline():
            sys.exit('bench: latency: not ready')
        stage.feed(events, 200, rate)
        ours.append(finish(p))
        r = subprocess.run([tool('bare'), 'latency', '--redis', stage.redis_address, '--events', str(events),
                            '--rate', str(rate), '--subscribers', str(n), '--bytes', '200'],
                           capture_output=True, text=True, check=True)
        bare.append(last_json(r.stdout))
    if stopped:
        stop(stopped, signal.SIGKILL)
    stage.end()
    name = f'latency_one_stopped.{fsync}' if stop_one else f'latency.{fsync}'
    for k in ('p50_us', 'p99_us', 'p999_us'):
        put(f'{name}.{k}', median(ours, k))
        put(f'{name}.bare_{k}', median(bare, k))
    ratio = statistics.median(x['p99_us'] / y['p99_us'] for x, y in zip(ours, bare))
    put(f'{name}.p99_ratio', round(ratio, 2))
    put(f'{name}.p99_spread_us', [min(r['p99_us'] for r in ours), max(r['p99_us'] for r in ours)])
    row(name, f'p50 {median(ours, "p50_us")} us', f'p99 {median(ours, "p99_us")} us',
        f'bare p99 {median(bare, "p99_us")}', f'{ratio:.2f}')


def memory():
    """Resident memory with N sessions after 2,000 frames and as many ACKs each, and after 10,000 frames more
    (QUICK=1: 100 and as many again). One event a frame, and first so slowly that each is acknowledged apart:
    libzmq's queues of ACKs grow to their lasting size only by ACKs. Nobody lags here: what lag costs is bounded
    by SESSION_FLIGHTS_MAX."""
    frames, more = (100, 100) if QUICK else (2000, 10000)
    for n in (1, 200, 1000):
        stage = Stage('everysec')
        stage.feed(80000, 200)  # the ring is full before the sessions come
        stage.start_daemon()
        stage.wait_tail(80000)
        p = fanout('live', stage, n, 10 ** 9)
        p.stdout.readline()

        def pour(rate, *wanted):
            while any(stage.status()['counters'][name] < count for name, count in wanted):
                stage.feed(min(frames, 200), 200, rate)
            return stage.rss_kib()
        first = pour(45, ('frames', frames * n), ('acks', frames * n))
        later = pour(300 if n < 1000 else 100, ('frames', stage.status()['counters']['frames'] + more * n))
        stop(p, signal.SIGKILL)
        put(f'rss_mib.{n}', round(first / 1024, 1))
        put(f'rss_mib_later.{n}', round(later / 1024, 1))
        row(f'rss {n} sessions', f'{first / 1024:.1f} MiB', f'{later / 1024:.1f} MiB later')
        stage.end()


def unwanted():
    """CPU of the daemon for an event that nobody wants: with no lanes, and with lanes of another unit each,
    whose sessions are told their place all the same."""
    events = 50000 if QUICK else 200000
    for lanes in (0, 16, 200):
        stage = Stage('everysec')
        stage.start_daemon()
        if lanes:
            p = fanout('live', stage, lanes, 1, '--apart')
            if 'ready' not in p.stdout.readline():
                sys.exit('bench: unwanted: not ready')
        cpu = stage.cpu_s()
        stage.feed(events, 200)
        stage.wait_tail(events)
        ns = round((stage.cpu_s() - cpu) / events * 1e9)
        status = stage.status()
        if status['lanes'] != lanes or status['counters']['items']:
            sys.exit(f'bench: unwanted: {status["lanes"]} lanes, {status["counters"]["items"]} items')
        if lanes:
            stop(p, signal.SIGKILL)
        stage.end()
        put(f'unwanted.{lanes}.ns_per_event', ns)
        row(f'unwanted, {lanes} lanes', f'{ns} ns CPU')


def hostile():
    """16 good subscribers with and without a set of peers that do harm (hostile.c), in turns. `ratio` is to
    a control that uses as much CPU as those peers did and sends nothing: on one machine the attackers' own CPU
    would else be counted as the daemon's cost. `ratio_all` is to nothing beside."""
    events, n = events_for(16, 200), 16
    stage = Stage('everysec')
    stage.feed(events, 200)
    stage.start_daemon()
    stage.wait_tail(events)
    alone, beside, control, attacks = [], [], [], []
    finish(fanout('drain', stage, n, events))  # warm-up

    def drain_beside(*options):
        p = start([tool('hostile'), '--endpoint', stage.endpoint, *options], stdout=subprocess.PIPE, text=True)
        p.stdout.readline()
        r = drain_alone()
        p.send_signal(signal.SIGTERM)
        return r, finish(p)

    def drain_alone():
        cpu = stage.cpu_s()
        r = finish(fanout('drain', stage, n, events))
        r['daemon_cpu_s'] = stage.cpu_s() - cpu
        return r
    for _ in range(2 * RUNS):
        alone.append(drain_alone())
        r, attack = drain_beside()
        beside.append(r)
        attacks.append(attack)
        control.append(drain_beside('--burn', str(attack['cpu_s'] / attack['seconds']))[0])
    counters = stage.status()['counters']
    stage.end()

    def ratio(to, key):
        return round(statistics.median(b[key] / a[key] for a, b in zip(to, beside)), 3)
    put('hostile.alone_per_s', round(median(alone, 'per_s')))
    put('hostile.control_per_s', round(median(control, 'per_s')))
    put('hostile.beside_per_s', round(median(beside, 'per_s')))
    put('hostile.ratio', ratio(control, 'per_s'))
    put('hostile.ratio_all', ratio(alone, 'per_s'))
    put('hostile.daemon_cpu_ratio', ratio(alone, 'daemon_cpu_s'))
    put('hostile.messages_per_s', round(statistics.median(a['sent'] / a['seconds'] for a in attacks)))
    put('hostile.connects_per_s', round(statistics.median(a['connects'] / a['seconds'] for a in attacks)))
    put('hostile.own_cpu_share', round(statistics.median(a['cpu_s'] / a['seconds'] for a in attacks), 3))
    put('hostile.refused', counters['protocol_errors'] + counters['no_session'] + counters['muted'])
    row('hostile peers beside 16', f'{median(beside, "per_s") / 1e6:.2f} M/s',
        f'without {median(control, "per_s") / 1e6:.2f}', f'{results["hostile"]["ratio"]:.3f}')


def storm():
    """500 sessions that all want the same history at once: what Redis has to read for it."""
    events, n = (10000 if QUICK else 40000), 500
    stage = Stage('everysec')
    stage.feed(events, 200)
    stage.start_daemon()
    stage.wait_tail(events)
    stop(stage.daemon)
    # A daemon that starts anew has an empty ring: all comes from Redis.
    stage.start_daemon()
    before = stage.redis_bytes_out()
    finish(fanout('drain', stage, n, events))
    read = stage.redis_bytes_out() - before
    once = events * (199 + 40)
    put('storm.redis_bytes', read)
    put('storm.readings', round(read / once, 2))
    row(f'storm of {n}', f'{read / 1e6:.1f} MB', f'{read / once:.2f} readings')
    stage.end()


def validation():
    r = subprocess.run([tool('validate')], capture_output=True, text=True, check=True)
    for line in r.stdout.splitlines():
        x = json.loads(line)
        put(f'validate.{x["bytes"]}', x['ns'])
        row(f'validate {x["bytes"]} B', f'{x["ns"]} ns')
    r = subprocess.run([tool('client_check')], capture_output=True, text=True, check=True)
    for line in r.stdout.splitlines():
        x = json.loads(line)
        put(f'client_check.{x["bytes"]}', x['ns'])
        row(f'client checks {x["bytes"]} B', f'{x["ns"]} ns')


def board():
    """Publish to the board's page: as far as the socket of its browser, and as far as its pixels."""
    stage = Stage('always')
    stage.start_daemon()
    r = board_row.measure(stage, program, start, stop, wait_for, 20 if QUICK else 200, 8 if QUICK else 100,
                          os.path.join(OUT, 'pixels.png'))
    stage.end()
    for key, value in r.items():
        put(f'board.{key}', value)
    row('publish to page', f'p50 {r["p50_ms"]} ms', f'p95 {r["p95_ms"]} ms', f'{r["rss_mib"]} MiB')
    p = r['publish_to_pixels']
    p['target_p95_ms'], p['held'] = PIXELS_MS, p['p95_ms'] <= PIXELS_MS
    row('publish to pixels', f'p50 {p["p50_ms"]} ms', f'p95 {p["p95_ms"]} ms', f'whole {p["whole_p95_ms"]} ms',
        f'{"within" if p["held"] else "MISSED:"} {PIXELS_MS} ms')


def sms():
    """42,000 events to texts at a null gateway; see sms_row.py. No peer has a figure for it."""
    n = 4000 if QUICK else 42000
    stage = Stage('always')
    seconds, memory = sms_row.measure(stage, program, start, stop, wait_for, n)
    stage.end()
    put('sms.texts', n)
    put('sms.seconds', round(seconds, 2))
    put('sms.memory_kib', memory)
    row(f'{n} texts', f'{seconds:.1f} s', f'{memory / 1024:.0f} MiB')


def plot():
    tsv = os.path.join(OUT, 'results.tsv')
    with open(tsv, 'w') as f:
        for n in ('1', '16', '200', '1000'):
            if n in results.get('drain', {}):
                d = results['drain'][n]
                f.write(f'{n}\t{d["deliveries_per_s"] / 1e6}\t{d["bare_pubsub_per_s"] / 1e6}\n')
    script = (f"set terminal svg size 800,480; set output '{OUT}/drain.svg'; set style data histograms; "
              "set style fill solid; set key top left; set xlabel 'subscribers'; "
              "set ylabel 'million deliveries/s'; set yrange [0:*]; "
              f"plot '{tsv}' using 2:xtic(1) title 'dibao', '' using 3 title 'bare PUB/SUB'")
    if shutil.which('gnuplot'):
        subprocess.run(['gnuplot', '-e', script], check=True)
    else:
        print('no plot: gnuplot is not installed')


def main():
    os.makedirs(OUT, exist_ok=True)
    row('', 'dibao', 'bare PUB/SUB', 'ratio')
    sizes = (200, 100, 1000)
    for size in sizes:
        for n in (1, 16, 200, 1000):
            drain(n, size)
    for size in sizes:
        for n in (1, 16, 200, 1000):
            live(n, size)
    for n in (16, 200):
        curve(n)
    for fsync in ('everysec', 'always'):
        latency(fsync, False)
        latency(fsync, True)
    memory()
    unwanted()
    hostile()
    storm()
    sms()
    validation()
    board()
    with open(os.path.join(OUT, 'results.json'), 'w') as f:
        json.dump(results, f, indent=1)
    plot()
    print(f'results: {OUT}/results.json')


if __name__ == '__main__':
    try:
        main()
    finally:
        for child in list(children):
            stop(child, signal.SIGKILL)
