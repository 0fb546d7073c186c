# SPDX-License-Identifier: Apache-2.0
"""Texts while everything is killed at random: what became of each, held against what arrived."""
import collections
import random

from sms_test import *

TYPES = ("penalty", "award", "mailbox_reply")
ENDS = {"delivered", "failed", "expired", "no_receipt", "parked", "dropped"}


def one(n):
    """An event whose text is like no other."""
    type = TYPES[n % 3]
    body = dict(BODIES[type])
    body.update({"penalty": {"sign_where": f"演示{n}"}, "award": {"kind": {"code": "HX", "name": f"演示奖{n}"}},
                 "mailbox_reply": {"ticket": f"T-{n}"}}[type])
    return notice(f"{type}-{n}", type, badge=f"K{n}", body=body)


def codes(b, kannel="1"):
    """The shipped table, but that a gateway that was killed is asked again after a second."""
    with open(ROOT + "/config/sms/codes.tsv") as f:
        text = re.sub(r"(?m)^(kannel\t\S+)\t(30|60|600)\t", rf"\g<1>\t{kannel}\t", f.read())
    with open(b.path("codes.tsv"), "w") as f:
        f.write(text)
    return b.path("codes.tsv")


def run_chaos(b, n_texts, n_kills, seed, victims, rate=50, pause=(0.05, 0.7), kannel_may_double=False):
    """Publishes, kills, waits for all to end, and holds the report against what fakesmsc got. Returns a summary."""
    rng = random.Random(seed)
    b.expected = ".*"  # whatever is lost and found again is logged
    b.start()
    k = Kannel(b, rate=rate).start()
    port = free_port()
    shared = dict(gateways=[k.gateway(timeout="2s")], listen=f"127.0.0.1:{port}", codes=codes(b), ambiguous="4s",
                  receipt="20s", policy_award="resend", policy_mailbox_reply="drop", attempts=20, log_level="info",
                  receipt_url=f"http://127.0.0.1:{port}/receipt")
    clients = [Sms(b, "sms-a", **shared).start(), Sms(b, "sms-z", **shared).start(False)]
    for n in range(n_texts):
        b.person(f"K{n}", phone=f"154{n:08d}")

    def kill(victim):
        if victim == "sms":
            client = rng.choice(clients)
            client.kill()
            client.start(False)
        elif victim == "smsbox":
            k.smsbox.kill()
            time.sleep(rng.random())
            k.start_smsbox()
        elif victim == "bearerbox":
            for p in (k.bearerbox, k.smsbox):
                p.kill()
            k.fakesmsc.wait()  # ends by itself, with all that it was sent: bearerbox calls it delivered once it is written
            keep = open(k.got, errors="replace").read()
            k.start_bearerbox()
            k.start_smsbox()
            k.start_fakesmsc()
            assert open(k.got, errors="replace").read().startswith(keep)
        elif victim == "redis":
            b.redis.kill()
            time.sleep(rng.random() / 2)
            b.start_redis()
        elif victim == "dibaod":
            b.d.kill()
            b.d.start()

    killed = collections.Counter()
    published, kills = 0, 0
    while published < n_texts or kills < n_kills:
        if published < n_texts:
            for n in range(published, min(n_texts, published + max(1, n_texts // n_kills))):
                b.publish(one(n))
                published = n + 1
        if kills < n_kills:
            time.sleep(rng.uniform(*pause))
            victim = rng.choice(victims)
            kill(victim)
            killed[victim] += 1
            kills += 1
    uids = [f"{TYPES[n % 3]}-{n}" for n in range(n_texts)]

    def open_ones():
        try:
            return [u.decode() for u in b.r.zrange(b.key("sms:open"), 0, -1)]
        except redis_client.exceptions.RedisError:
            return ["?"]

    until(lambda: b.r.zcard(b.key("sms:open")) == 0 and all(b.state(u) for u in uids[-3:]),
          lambda: f"all end: {some(open_ones())}", 120 + n_texts * 0.05, 0.25)
    started = now_ms() - k.uptime() * 1000
    until(lambda: abs(int(b.r.hget(b.key("sms:started"), "gateway-1") or 0) - started) < 2500, "Kannel's last start is known", 20)
    until(lambda: b.r.zcard(b.key("sms:report")) == 0, "all is reported", 60 + n_texts * 0.01, 0.1)
    return account(b, k, uids, killed, kannel_may_double)


def account(b, k, uids, killed, kannel_may_double):
    """Whatever arrived twice is named as such by the program's own report."""
    named = {u.decode(): b.row(u.decode())["tw"] for u in b.r.zrange(b.key("sms:twice"), 0, -1)}
    arrived = collections.Counter(b.text_hash(t) for _, t in k.texts())
    unserved, receipts = b.unserved(), b.receipts()
    ends, twice, by_kannel = collections.Counter(), [], []
    for uid in uids:
        row = b.row(uid)
        assert row, f"{uid} is unaccounted for"
        state, n = row["s"], arrived.pop(row.get("h", ""), 0)
        assert state in ENDS, (uid, row)
        ends[state] += 1
        if state == "delivered":
            assert n >= 1, f"{uid} is delivered, and never arrived"
        if state in ("failed", "no_receipt", "parked", "expired"):
            assert uid in unserved, (uid, row)
        else:
            assert uid not in unserved, (uid, row)
        if n > 1 and row.get("rs") != "1" and kannel_may_double:
            assert uid in named and any("twice:" in d for _, d in receipts[uid]), f"Kannel doubled {uid}, unnamed: {row}"
            by_kannel.append(uid)
        elif n > 1:
            assert row.get("rs") == "1", f"{uid} arrived {n} times, and nobody resent it: {row}"
            assert any("resent" in d for _, d in receipts[uid]) and uid in named, (receipts[uid], named.get(uid))
            twice.append(uid)
        last = receipts[uid][-1][0]
        assert last == {"delivered": "delivered", "dropped": "dropped", "parked": "unserved"}.get(state, last), (uid, row,
                                                                                                                receipts[uid])
    assert not arrived, f"{sum(arrived.values())} texts arrived that nobody owns"
    hows = dict(collections.Counter(named.values()))
    return f"{dict(killed)} killed; {dict(ends)}; {len(twice)} twice by policy, {len(by_kannel)} by Kannel; named {hows}"
