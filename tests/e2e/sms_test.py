# SPDX-License-Identifier: Apache-2.0
"""For tests of dibao-sms: the program, a roster, and what became of notices."""
from dibao_test import *

ROSTER_AT = 1600000000000  # since when each has his number


def now_ms():
    return int(time.time() * 1000)


def notice(uid, type="penalty", **more):
    """An event of now."""
    more.setdefault("at", now_ms())
    if type == "welfare_visit":
        more.setdefault("body", {**BODIES[type], "when": now_ms() + 3 * 86400000})
    return event(uid, type, **more)


class Sms:
    """dibao-sms with a configuration of its own. gateways: a list of {option: value}."""

    def __init__(self, b, name="sms-a", gateways=None, **conf):
        self.b, self.name, self.env = b, name, {}
        self.config, self.out = b.path(name + ".conf"), b.path(name + ".log")
        self.spool = b.path(name + ".spool")
        self.gateways = gateways or [{"driver": "spool", "directory": self.spool, "rate": 0}]
        self.conf = {}
        self.configure(**conf)

    def configure(self, **changes):
        self.conf.update(changes)
        where = {"endpoints": "dibaod", "redis": "redis", "signature": "text", "gateway_signs": "text",
                 "disclose": "text", "quiet": "when", "log_level": "log", "listen": "receipts",
                 "receipt_url": "receipts", "ambiguous": "after", "receipt": "after", "keep": "after",
                 "redis_user": "redis", "redis_password_file": "redis", "after_leaving": "when"}
        where.update({k: "limits" for k in ("cap_minute", "cap_hour", "cap_day", "same_minute", "same_hour", "batch",
                                            "attempts")})
        values = {"name": "sms-1", "endpoints": self.b.d.ipc, "redis": "unix:" + self.b.redis_socket,
                  "templates": ROOT + "/config/sms/zh-CN", "codes": ROOT + "/config/sms/codes.tsv",
                  "signature": "演示公安", "demo": "yes", "quiet": "none", "log_level": "debug", "cap_minute": 0,
                  "cap_hour": 0, "cap_day": 0, "same_minute": 0, "same_hour": 0, "batch": 100000, **self.conf}
        sections = {}
        for k, v in values.items():
            section = where.get(k, "when" if k.startswith("age_") else "after" if k.startswith("policy_") else "sms")
            sections.setdefault(section, []).append(f"{k} = {v}\n")
        for i, g in enumerate(self.gateways, 1):
            sections[f"gateway-{i}"] = [f"{k} = {v}\n" for k, v in g.items()]
        with open(self.config, "w") as f:
            for section, lines in sections.items():
                f.write(f"[{section}]\n" + "".join(lines))

    def start(self, active=True, *args):
        self.mark = len(self.log()) if os.path.exists(self.out) else 0
        self.process = self.b.process([BUILD + "/bin/dibao-sms", "-c", self.config, *args], self.out,
                                      {**os.environ, **self.env})
        self.b.sms.append(self)
        if active:
            self.active()
        return self

    def active(self, seconds=20):
        self.wait_log("active: ", seconds)
        return self

    def log(self):
        with open(self.out, errors="replace") as f:
            return f.read()

    def wait_log(self, pattern, seconds=10):
        def found():
            assert self.process.alive() or re.search(pattern, self.log()[self.mark:]), \
                f"{self.name} ended with {self.process.p.poll()}"
            return re.search(pattern, self.log()[self.mark:])
        return until(found, f"{self.name} logs {pattern}", seconds)

    def kill(self):
        return self.process.kill()

    def stop(self):
        self.process.signal(signal.SIGTERM)
        code = self.process.wait()
        assert code == 0, f"{self.name} ended with {code}"
        return self

    # ---- the spool ----

    def texts(self):
        """uid -> (number, text) of all that lies in out/; one uid in two files is an error."""
        found = {}
        out = self.spool + "/out"
        for name in os.listdir(out) if os.path.isdir(out) else []:
            if name.startswith("."):
                continue
            with open(f"{out}/{name}") as f:
                head, _, text = f.read().partition("\n\n")
            head = dict(l.split(": ", 1) for l in head.split("\n"))
            assert head["id"] not in found, f"{head['id']} was sent twice"
            found[head["id"]] = (head["to"], text.rstrip("\n"))
        return found

    def wait_texts(self, uids, seconds=20):
        until(lambda: set(uids) <= set(self.texts()), lambda: f"texts of {some(set(uids) - set(self.texts()))}", seconds,
              0.02)
        assert set(self.texts()) == set(uids), some(set(self.texts()) - set(uids))
        return self.texts()

    def result(self, uid, attempt=1, result="delivered", code=""):
        """As the other side of the ferry would: written elsewhere, then moved in."""
        name = f"{len(os.listdir(self.spool))}-{now_ms()}-{uid.encode().hex()[:32]}.result"
        with open(self.spool + "/." + name, "w") as f:
            f.write(f"id: {uid}\nattempt: {attempt}\nresult: {result}\ncode: {code}\n")
        os.rename(self.spool + "/." + name, self.spool + "/in/" + name)


class Office(Bureau):
    """A bureau with a roster and SMS clients."""

    def __init__(self, fsync):
        super().__init__("always")
        self.sms = []

    def setup(self):
        p = subprocess.run([BUILD + "/bin/dibaoctl", "--redis", "unix:" + self.redis_socket, "setup"],
                           capture_output=True, text=True, timeout=20 * SLOW)
        assert p.returncode == 0, p.stderr

    def start(self, **conf):
        super().start(**conf)
        self.durable("sms-1")
        return self.d

    def ctl(self, *args, code=0):
        p = subprocess.run([BUILD + "/bin/dibaoctl", "--redis", "unix:" + self.redis_socket, *args],
                           capture_output=True, text=True, timeout=20 * SLOW)
        assert p.returncode == code, (args, p.returncode, p.stdout, p.stderr)
        return p.stdout + p.stderr

    def person(self, badge="F000001", name="演示", phone="15400000001", active=True, left_on=0, flags="", opted_out="",
               since=ROSTER_AT):
        self.r.hset(self.key("roster"), badge, "\t".join(["1", name, phone, str(since if phone else 0), HUXU, "", "1" if
                                                           active else "0", str(left_on), flags, opted_out, "0"]))

    def row(self, uid):
        return {k.decode(): v.decode(errors="replace") for k, v in self.r.hgetall(self.key("sms:row:" + uid)).items()}

    def state(self, uid):
        return (self.r.hget(self.key("sms:row:" + uid), "s") or b"").decode()

    def wait_state(self, uid, state, reason=None, seconds=20):
        until(lambda: self.state(uid) == state, lambda: f"{uid} becomes {state}, is {self.row(uid)}", seconds)
        if reason is not None:
            is_ = self.row(uid)["r"]
            assert is_.split(" ")[0] == reason, f"{uid} is {state} for {is_}, not {reason}"
        return self.row(uid)

    def unserved(self):
        return {u.decode() for u in self.r.zrange(self.key("sms:unserved"), 0, -1)}

    def receipts(self):
        """uid -> states reported, in order."""
        names = ["", "shown", "queued", "submitted", "accepted", "delivered", "failed", "unserved", "dropped"]
        found = {}
        for _, f in self.r.xrange(self.key("receipts")):
            found.setdefault(f[b"key"].decode(), []).append((names[int(f[b"state"])], f[b"detail"].decode()))
        return found

    def check_logs(self):
        super().check_logs()
        for s in self.sms:
            bad = [l for l in s.log().split("\n") if re.match("(err|crit|alert|emerg) ", l)
                   and not re.search(self.expected or "(?!)", l)]
            assert not bad, f"{s.name} logged: {bad[:3]}"

    def stop_all(self):
        for s in {id(s.process): s for s in self.sms}.values():
            if s.process.alive():
                s.process.signal(signal.SIGCONT)
                s.stop()
        super().stop_all()

    def everything_written(self):
        """All logs of all programs here, as one text."""
        text = ""
        for name in sorted(os.listdir(self.dir)):
            if name.endswith((".log", ".out", ".access")):
                with open(self.path(name), errors="replace") as f:
                    text += f.read()
        return text
