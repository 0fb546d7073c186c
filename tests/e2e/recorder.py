# SPDX-License-Identifier: Apache-2.0
"""A subscriber that writes down what it gets: build/tests/recorder."""
import collections
import re
import signal

from processes import *


class Recorder:
    """build/tests/recorder; its file outlives its processes."""

    def __init__(self, b, name, endpoints, args):
        self.b, self.name, self.args = b, name, args
        self.file, self.out = b.path(name + ".rec"), b.path(name + ".out")
        self.argv = [BUILD + "/tests/recorder", "-f", self.file]
        for e in endpoints:
            self.argv += ["-e", e]
        open(self.out, "w").close()
        self.process, self.want = None, None
        self.unknown = set()  # of these no daemon can know that they come again: they may, and without a mark

    def start(self, *more):
        self.mark = len(self.log())
        self.process = self.b.process(self.argv + self.args + list(more), self.out)
        return self

    def log(self):
        with open(self.out) as f:
            return f.read()

    def said(self, pattern):
        """Since its process started."""
        return re.findall(pattern, self.log()[self.mark:], re.M)

    def wait_said(self, pattern, seconds=60):
        return until(lambda: self.said(pattern), f"{self.name} says {pattern}", seconds)

    def active(self, seconds=60):
        self.wait_said("^active ", seconds)
        return self

    def lines(self):
        """[channel, uid, ...] of each whole line."""
        try:
            with open(self.file) as f:
                return [l.split() for l in f.read().split("\n")[:-1]]
        except FileNotFoundError:
            return []

    def uids(self):
        return [l[1] for l in self.lines() if l[2:] != ["withdrawn"]]

    def withdrawn(self):
        return {l[1] for l in self.lines() if l[2:] == ["withdrawn"]}

    def wait_for(self, uids, seconds=60):
        """All of these are there, no other, none twice."""
        want = set(uids)
        until(lambda: want <= set(self.uids()),
              lambda: f"{self.name} has {some(want - set(self.uids()))}", seconds, 0.02)
        self.has_exactly(want)
        self.want = want  # looked at again when the test ends, for what comes late
        return self

    def has_exactly(self, want):
        got = self.uids()
        twice = [u for u, n in collections.Counter(got).items() if n > 1]
        assert not twice, f"{self.name} has twice {some(twice)}"
        unmarked = set(re.findall("^twice (.*)", self.log(), re.M)) - self.unknown
        assert not unmarked, f"{self.name} got again, not marked as a possible repeat: {some(unmarked)}"
        assert set(got) == set(want), (f"{self.name} lacks {some(set(want) - set(got))}, "
                                       f"has besides {some(set(got) - set(want))}")

    def wait_withdrawn(self, uids, seconds=60):
        until(lambda: set(uids) <= self.withdrawn(), f"{self.name} is told that {some(uids)} is withdrawn", seconds)

    def in_order(self, prefix):
        """Per channel the generated events PREFIX-0, PREFIX-1 ... ascend."""
        at = {}
        for l in self.lines():
            if l[1].startswith(prefix + "-") and l[2:] != ["withdrawn"]:
                i = int(l[1].rsplit("-", 1)[1])
                assert i > at.get(l[0], -1), f"{self.name}: {l[1]} after {at[l[0]]} in {l[0]}"
                at[l[0]] = i

    def kill(self):
        return self.process.kill()

    def stop(self):
        self.process.signal(signal.SIGTERM)
        code = self.process.wait()
        assert code == 0, f"{self.name} ended with {code}"
        return self


def some(uids):
    uids = sorted(uids)
    return f"{len(uids)} ({', '.join(uids[:5])}{', ...' if len(uids) > 5 else ''})"
