# SPDX-License-Identifier: Apache-2.0
"""What must not be on a board's wire, and a search for it: of every event what the public view has no field
for (uid, badge, post, issuer, internal reason), and of a private one every text, and the public id that it
would have. Written from dibao-event(7) and dibao-protocol(7), not from the encoder."""
import hashlib
import subprocess

PUBLIC = ("promotion", "award")
SHOWN = ("from", "to", "kind", "effective", "state", "notice_until", "contact", "public_reason")
VIEW_KEY = b"\x5a" * 32  # that of dibao_test.py


def is_public(e):
    return e["type"] in PUBLIC and not e.get("private") and "person" in e


def public_id(uid, key=VIEW_KEY):
    return hashlib.blake2b(uid.encode(), key=key, digest_size=16).digest()


def texts(value):
    """All strings within, keys not."""
    if isinstance(value, str):
        yield value
    for v in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(v)


def shown_texts(e):
    """What a board may see of an event."""
    if not is_public(e) or "retracts" in e:
        return
    yield from texts([e["type"], e["org"], e.get("ref"), [e["person"].get(k) for k in ("name", "unit", "rank")],
                      [e["body"].get(k) for k in SHOWN]])


def needles(events, path):
    """Bytes that no board may be sent. A text that some public event shows, or a part of one, is none; nor is
    what is shorter than five bytes, nor the public id to which a public event refers."""
    shown, out, named = set(), set(), set()
    for e in events:
        shown.update(shown_texts(e))
        hidden = [e] if not is_public(e) or "retracts" in e else \
            [e["uid"], e["issuer"], e["person"]["badge"], e["person"].get("post"), e["body"].get("reason")]
        out.update(t.encode() for t in texts(hidden))
        if not is_public(e):
            out.add(public_id(e["uid"]))
        else:
            named.update(public_id(e[k]) for k in ("corrects", "follows") if k in e)
    out = {n for n in out if len(n) >= 5} - named
    text, more = "\n".join(shown).encode(), True
    while more:  # one within another is told in the next round
        more = found(out, text, path)
        out -= more
    return out


def found(wanted, blob, path):
    """Those of the needles that are in the blob. By grep, which looks for all of them at once, a byte written
    as two digits and a point; where one lies within another the longer one is told."""
    with open(path, "w") as f:
        f.writelines(sorted(n.hex(".") + ".\n" for n in wanted))
    p = subprocess.run(["grep", "-o", "-F", "-f", path], input=blob.hex(".").encode() + b".\n", capture_output=True,
                       timeout=300, env={"LC_ALL": "C", "PATH": "/bin:/usr/bin"})
    assert p.returncode in (0, 1), p.stderr
    return {bytes.fromhex(l.replace(".", "")) for l in set(p.stdout.decode().split())}
