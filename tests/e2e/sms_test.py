# SPDX-License-Identifier: Apache-2.0
"""For tests of dibao-sms: the program, a roster, and what became of notices."""
import base64
import hashlib
import http.server
import urllib.parse
import urllib.request

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


class Sms(Notifying):
    """dibao-sms with a configuration of its own. gateways: a list of {option: value}."""

    def __init__(self, b, name="sms-a", gateways=None, **conf):
        self.b, self.name, self.env, self.notifies, self.wrapper = b, name, {}, False, []
        self.config, self.out = b.path(name + ".conf"), b.path(name + ".log")
        self.spool = b.path(name + ".spool")
        self.gateways = gateways or [{"driver": "spool", "directory": self.spool, "rate": 0}]
        self.conf = {}
        self.configure(**conf)

    def configure(self, **changes):
        self.conf.update(changes)
        where = {"endpoints": "dibaod", "redis": "redis", "signature": "text", "gateway_signs": "text",
                 "disclose": "text", "quiet": "when", "log_level": "log", "listen": "receipts",
                 "receipt_url": "receipts", "reply_key_file": "receipts", "ambiguous": "after", "receipt": "after", "keep": "after",
                 "asking": "after", "redis_user": "redis", "redis_password_file": "redis", "after_leaving": "when"}
        where.update({k: "limits" for k in ("cap_minute", "cap_hour", "cap_day", "same_minute", "same_hour", "batch",
                                            "attempts", "backlog")})
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
        self.process = self.b.process([*self.wrapper, BUILD + "/bin/dibao-sms", "-c", self.config, *args], self.out,
                                      {**os.environ, **self.env,
                                       **({"NOTIFY_SOCKET": self.listen()} if self.notifies else {})})
        self.b.sms.append(self)
        if active:
            self.active()
        return self

    def active(self, seconds=60):
        self.wait_log("active: ", seconds)
        return self

    def log(self):
        with open(self.out, errors="replace") as f:
            return f.read()

    def wait_log(self, pattern, seconds=60):
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

    def wait_texts(self, uids, seconds=60):
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
                           capture_output=True, text=True, timeout=60 * SLOW)
        assert p.returncode == 0, p.stderr

    def start(self, **conf):
        super().start(**conf)
        self.durable("sms-1")
        return self.d

    def ctl(self, *args, code=0):
        p = subprocess.run([BUILD + "/bin/dibaoctl", "--redis", "unix:" + self.redis_socket, *args],
                           capture_output=True, text=True, timeout=60 * SLOW)
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

    def wait_state(self, uid, state, reason=None, seconds=60):
        until(lambda: self.state(uid) == state, lambda: f"{uid} becomes {state}, is {self.row(uid)}", seconds)
        if reason is not None:
            is_ = self.row(uid)["r"]
            assert is_.split(" ")[0] == reason, f"{uid} is {state} for {is_}, not {reason}"
        return self.row(uid)

    def unserved(self):
        return {u.decode() for u in self.r.zrange(self.key("sms:unserved"), 0, -1)}

    def text_hash(self, text):
        """As a row holds it."""
        def keyed(what, key, n):
            return hashlib.blake2b(what.encode(), key=key, digest_size=n).digest()
        key = keyed("texts", bytes.fromhex(self.r.get(self.key("sms:key")).decode()), 32)
        return base64.urlsafe_b64encode(keyed(text, key, 16)).decode().rstrip("=")

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


FAKESMSC = "/usr/lib/kannel/test/fakesmsc"


class Kannel:
    """A real bearerbox and smsbox with config/kannel/kannel.conf, but for ports, directories and passwords, and the
    SMSC: fakesmsc, or a stub of ours by HTTP."""

    def __init__(self, b, smsc="fake", rate=100, name="kannel"):
        self.b, self.name, self.rate = b, name, rate
        self.dir = b.path(name)
        for d in ("store", "dlr"):
            os.makedirs(f"{self.dir}/{d}")
        self.admin, self.box, self.sendsms, self.smsc_port = (free_port() for _ in range(4))
        with open(ROOT + "/config/kannel/kannel.conf") as f:
            text = f.read()
        for a, z in (("13000", self.admin), ("13001", self.box), ("13013", self.sendsms),
                     ("change-me-", name + "-"), ("/var/spool/kannel/", self.dir + "/"),
                     ("/var/log/kannel/access.log", b.path(name + ".access")),
                     ("/var/log/kannel/", b.path(name + "-")), ("/etc/kannel/", self.dir + "/"),
                     ("sms-resend-freq = 10", "sms-resend-freq = 1"), ("http-queue-delay = 10", "http-queue-delay = 1")):
            assert str(a) in text, a
            text = text.replace(str(a), str(z))
        self.conf = self.dir + "/kannel.conf"
        with open(self.conf, "w") as f:
            f.write(text)
        self.smsc = smsc
        with open(ROOT + "/config/kannel/smsc.conf") as f:
            text = f.read().replace("port = 10000", f"port = {self.smsc_port}", 1)
        if smsc != "fake":
            text = (f"group = smsc\nsmsc = http\nsystem-type = kannel\nsmsc-id = HTTP\nport = {self.smsc_port}\n"
                    f"smsc-username = u\nsmsc-password = p\nsend-url = http://127.0.0.1:{smsc.port}/up\n"
                    f"dlr-url = \"http://127.0.0.1:{self.smsc_port}/?username=u&password=p\"\n")
        with open(self.dir + "/smsc.conf", "w") as f:
            f.write(text)
        for secret in ("sendsms", "status"):
            with open(f"{self.dir}/{secret}", "w") as f:
                f.write(f"{name}-{secret}\n")
            os.chmod(f"{self.dir}/{secret}", 0o600)

    def gateway(self, **more):
        return {"driver": "kannel", "fake": "yes", "rate": self.rate, "user": "dibao",
                "url": f"http://127.0.0.1:{self.sendsms}/cgi-bin/sendsms", "password_file": self.dir + "/sendsms",
                "status_url": f"http://127.0.0.1:{self.admin}/status.xml", "timeout": "30s",
                "status_password_file": self.dir + "/status",
                "store_url": f"http://127.0.0.1:{self.admin}/store-status.xml", **more}

    def start(self):
        self.start_bearerbox()
        self.start_smsbox()
        if self.smsc == "fake":
            self.start_fakesmsc()
        return self

    def listens(self, port):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    def start_bearerbox(self):
        self.bearerbox = self.b.process(["/usr/sbin/bearerbox", "-v", "4", self.conf], self.b.path(self.name + "-bb.out"))
        until(lambda: self.listens(self.admin) and self.listens(self.box), "bearerbox listens")

    def start_smsbox(self):
        self.smsbox = self.b.process(["/usr/sbin/smsbox", "-v", "4", self.conf], self.b.path(self.name + "-sb.out"))
        until(lambda: self.listens(self.sendsms), "smsbox listens")

    def start_fakesmsc(self):
        """Its output has texts and numbers, which is what it is for: not a log of ours."""
        self.got = self.b.path(self.name + "-fakesmsc.got")
        self.fakesmsc = self.b.process([FAKESMSC, "-v", "0", "-m", "0", "-r", str(self.smsc_port), "1 2 text x"], self.got)
        until(lambda: b"online" in self.status(), "the SMSC is online")

    def status(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/status.xml?password={self.name}-status", timeout=30 * SLOW) as r:
                return r.read()
        except OSError:
            return b""

    def uptime(self):
        """Of bearerbox, in seconds."""
        d, h, m, s = map(int, re.search(rb"uptime (\d+)d (\d+)h (\d+)m (\d+)s", self.status()).groups())
        return ((d * 24 + h) * 60 + m) * 60 + s

    def texts(self):
        """[(number, text)] that arrived at fakesmsc whole."""
        return [(number, "".join(parts)) for number, parts in self.in_parts()]

    def in_parts(self):
        """[(number, [its parts])]: each part must be there once, and be text by itself, with no character cut in two."""
        texts, parts = [], {}
        with open(self.got, errors="replace") as f:
            lines = re.findall(r"Got message \d+: <\S+ (\S+) (ucs-2|text|udh) (\S+)(?: data| ucs-2)? ?(\S*)>", f.read())
        for number, kind, first, second in lines:
            if kind == "udh":
                udh = urllib.parse.unquote_to_bytes(first)
                parts.setdefault((number, udh[3], udh[4]), {}).setdefault(udh[5], []).append(
                    urllib.parse.unquote_to_bytes(second.replace("+", " ")))
            else:
                raw = urllib.parse.unquote_to_bytes(first.replace("+", " "))
                texts.append((number, [raw.decode("utf-16-be") if kind == "ucs-2" else raw.decode()]))
        for (number, _, n), got in parts.items():
            if len(got) == n:
                assert all(len(g) == 1 for g in got.values()), "a part came twice"
                texts.append((number, [got[i][0].decode("utf-16-be") for i in range(1, n + 1)]))
        return texts


class HttpSmsc:
    """An SMSC by HTTP whose answers the test chooses: answer(number, text) -> (status, body), or None for no answer.
    What it accepted it keeps, and deliver() tells Kannel what became of it."""

    def __init__(self, b, answer=lambda number, text: (202, "Sent.")):
        self.answer, self.got, outer = answer, [], self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                q = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query, encoding="latin-1"))
                a = outer.answer(q.get("to"), q)
                outer.got.append((q, a))
                if a is None:
                    return
                self.send_response(a[0])
                self.send_header("Content-Length", str(len(a[1])))
                self.end_headers()
                self.wfile.write(a[1].encode())

            do_POST = do_GET

            def log_message(self, *a):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def deliver(self, q, type):
        urllib.request.urlopen(q["dlr-url"].replace("%d", str(type)).replace("%A", "stub"), timeout=30 * SLOW).read()


ACCEPTED = (202, "0: Accepted for delivery")


def receipt(sms, uid, type, n=1, token=None, b=None, code="UNDELIV", more=""):
    """As Kannel brings it; with the right token if b is given. The answer's status."""
    if token is None:
        key = bytes.fromhex(b.r.get(b.key("sms:key")).decode())
        token = hashlib.blake2b(uid.encode() + b"\0" + n.to_bytes(4, "little"), key=key, digest_size=16).hexdigest()
    url = f"http://127.0.0.1:{sms.port}/receipt?g=gateway-1&i={uid.encode().hex()}&n={n}&k={token}&t={type}&a=NACK%2F{code}{more}"
    try:
        with urllib.request.urlopen(url, timeout=30 * SLOW) as r:
            return r.status
    except urllib.error.HTTPError as e:
        return e.code


class SendsmsServer:
    """Takes what dibao-sms posts to a sendsms, each in a thread of its own: took(client, number, head, body)."""

    def __init__(self):
        self.s = socket.socket()
        self.s.bind(("127.0.0.1", 0))
        self.s.listen(64)
        self.url = f"http://127.0.0.1:{self.s.getsockname()[1]}/cgi-bin/sendsms"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            c, _ = self.s.accept()
            threading.Thread(target=self.one, args=(c,), daemon=True).start()

    def one(self, c):
        data = b""
        while b"\r\n\r\n" not in data:
            data += c.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(re.search(rb"Content-Length: (\d+)", head).group(1))
        while len(body) < length:
            body += c.recv(65536)
        self.took(c, re.search(rb"X-Kannel-To: (\d+)", head).group(1).decode(), head, body)


class Sendsms(SendsmsServer):
    """What a sendsms may say that a real one rarely does: answers(number, text) -> bytes to write, or None: nothing,
    or "close": the connection, once the request was read."""

    def __init__(self, answers):
        self.answers, self.got, self.over = answers, [], False
        super().__init__()

    def took(self, c, number, head, body):
        self.got.append((number, body.decode()))
        a = self.answers(len(self.got))
        if a is None:
            while not self.over:
                time.sleep(0.05)
        elif a != "close":
            c.sendall(a if isinstance(a, bytes) else
                      f"HTTP/1.1 {a[0]} X\r\nContent-Length: {len(a[1])}\r\n\r\n{a[1]}".encode())
        c.close()


def stubbed(b, answers, gateways=1, timeout="30s", **conf):
    b.start()
    with open(b.path("secret"), "w") as f:
        f.write("secret\n")
    os.chmod(b.path("secret"), 0o600)
    stubs = [Sendsms(a) for a in (answers if gateways > 1 else [answers])]
    port = free_port()
    sms = Sms(b, gateways=[{"driver": "kannel", "fake": "yes", "rate": 100, "url": s.url, "user": "u", "timeout": timeout,
                            "password_file": b.path("secret")} for s in stubs], listen=f"127.0.0.1:{port}",
              receipt_url=f"http://127.0.0.1:{port}/receipt", **conf).start()
    sms.port = port
    b.person()
    return sms, *stubs
