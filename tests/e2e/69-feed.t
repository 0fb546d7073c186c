#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# The public feed: what it carries, what it never does, and the script that its manual shows.
from office import *


def with_feed(b, **conf):
    b.feed = f"tcp://127.0.0.1:{free_port()}"
    return b.start(feed=b.feed, **conf)


class Listener:
    """A SUB socket; got: (topic, map) of all that came, raw: their bytes."""

    def __init__(self, b, *topics):
        self.socket, self.got, self.raw = zmq.Context.instance().socket(zmq.SUB), [], b""
        self.socket.linger = 0
        self.socket.connect(b.feed)
        for t in topics or [""]:
            self.socket.subscribe(t)
        self.n_probe = 0

    def hear(self):
        while self.socket.poll(10):
            frames = self.socket.recv_multipart()
            assert len(frames) == 2
            self.raw += b"".join(frames)
            self.got.append((frames[0].decode(), msgpack.unpackb(frames[1])))
        return self

    def ready(self, b):
        """Until it hears what is published; then nothing before counts."""
        def heard():
            self.n_probe += 1
            b.publish(event(f"probe-{id(self)}-{self.n_probe}", "award", badge="PROBE"))
            return self.hear().got
        until(heard, "the feed is heard", every=0.05)
        holds(lambda: self.hear() is not None, "", 0.2)
        self.got.clear()
        self.raw = b""
        return self

    def wait(self, n):
        until(lambda: len(self.hear().got) >= n, lambda: f"{n} messages, not {self.got}", every=0)
        return self.got


@test
def the_script_in_the_manual_prints_what_is_published_and_what_is_taken_back(b):
    with_feed(b)
    text = open(os.path.join(ROOT, "lib/dibao-protocol.7")).read()
    script = re.search(r"\.Ss The public feed.*?\.Bd -literal -offset indent\n(.*?)\.Ed", text, re.S)[1]
    assert "tcp://127.0.0.1:7321" in script
    p = b.process([sys.executable, "-c", script.replace("tcp://127.0.0.1:7321", b.feed)], b.path("script.out"))
    n = iter(range(1000))
    until(lambda: b.publish(event(f"a-{next(n)}", "award")) and "award." + HUXU in p.log(), "it prints an award", every=0.05)
    b.publish(event("r-1", "award", retracts="a-0"))
    until(lambda: "withdrawn.award." + HUXU in p.log(), "it prints what is taken back")
    assert p.alive()


@test
def it_carries_the_public_view_alone(b):
    with_feed(b)
    l = Listener(b).ready(b)
    for i in range(20):
        for type in BODIES:
            b.publish(event(f"{type}-{i}", type, badge="SECRET1"))
        b.publish(event(f"private-award-{i}", "award", badge="SECRET1", private=True))
        b.publish(event(f"unknown-{i}", "award", badge="SECRET1").replace(b"\xa5award", b"\xa8training"))
        b.publish(event(f"take-{i}", "penalty", badge="SECRET1", retracts=f"penalty-{i}"))
    b.publish(event("last", "award"))
    got = l.wait(41)
    holds(lambda: len(l.hear().got) == 41, "nothing more", 0.3)
    assert {t for t, _ in got} == {"award." + HUXU, "promotion." + HUXU}
    for word in (b"SECRET1", b"penalty", b"private-award", b"unknown", b"award-1", "事由".encode()):
        assert word not in l.raw, word
    views = [m for _, m in got]
    assert all(set(m) <= {"v", "pid", "type", "at", "org", "name", "body"} for m in views), views[0]
    assert {m["name"] for m in views} == {"演*"}, "names are masked unless told otherwise"
    assert b.d.ask("status")["counters"]["feed"] >= 41


@test
def names_are_whole_where_the_operator_says_so_and_the_hidden_are_not_there(b):
    with_feed(b, feed_mask_names="no")
    l = Listener(b).ready(b)
    b.publish(event("a-1", "award", badge="F1"))
    assert l.wait(1)[0][1]["name"] == "演示"
    dibaoctl(b, "--redis", "unix:" + b.redis_socket, "hide", "--badge", "F1")
    l.wait(2)
    b.publish(event("a-2", "award", badge="F1"))
    b.publish(event("a-3", "award", badge="F2"))
    got = l.wait(3)
    assert [t for t, _ in got] == ["award." + HUXU, "withdrawn.award." + HUXU, "award." + HUXU]
    assert got[1][1] == {"pid": got[0][1]["pid"]}


@test
def a_topic_chooses_by_type_and_organisation(b):
    with_feed(b)
    l = Listener(b, "award.3205085", "withdrawn.").ready(b)
    b.publish(event("a-1", "award", org=WUZHONG))
    b.publish(event("p-1", "promotion"))
    b.publish(event("a-2", "award"))
    b.publish(event("r-1", "award", org=WUZHONG, retracts="a-1"))
    assert {t for t, _ in l.wait(2)} == {"award." + HUXU, "withdrawn.award." + WUZHONG}


@test
def who_subscribes_to_too_much_is_dropped_and_the_others_come_back(b):
    with_feed(b)
    b.expected = "feed"
    good = Listener(b).ready(b)
    bad = zmq.Context.instance().socket(zmq.SUB)
    bad.sndhwm = 0
    bad.connect(b.feed)
    for i in range(12000):
        bad.subscribe(f"award.{i}")
    b.d.wait_log("feed: over 10000 topics")
    bad.close()
    good.ready(b)
    b.publish(event("a-1", "award"))
    good.wait(1)


@test
def a_slow_listener_misses_events_and_costs_the_subscribers_nothing(b):
    with_feed(b)
    Listener(b).ready(b)  # never reads again
    r = b.recorder()
    b.publish_many(30000, types=("award",))
    r.wait_for(generated(30000), 60)


@test
def without_the_option_there_is_no_feed_and_a_wrong_one_is_a_fault(b):
    d = b.start()
    assert d.ask("status")["counters"]["feed"] == 0 and "open to all" not in d.log()
    d.configure(feed="udp://x")
    p = subprocess.run([BUILD + "/bin/dibaod", "-c", d.config, "--check-config"], capture_output=True, text=True)
    assert p.returncode == CONFIG and "feed: expected tcp://" in p.stderr, p.stderr


run()
