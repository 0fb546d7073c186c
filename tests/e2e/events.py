# SPDX-License-Identifier: Apache-2.0
"""Events as bytes."""
import msgpack

CHANNELS = ["public", "private", "public-now", "private-now"]
HUXU = "320508530000"  # a station in 姑苏
WUZHONG = "320506000000"

BODIES = {
    "promotion": {"from": {"code": "F3", "name": "三级辅员"}, "to": {"code": "F2", "name": "二级辅员"},
                  "effective": "2026-01-01", "state": "final"},
    "award": {"kind": {"code": "HX", "name": "火线奖励"}, "state": "final", "public_reason": "演示"},
    "penalty": {"kind": {"code": "W", "name": "警告"}, "decided_on": "2026-01-02", "sign_where": "演示",
                "sign_by": "2026-01-09", "appeal_until": "2026-02-01", "telephone": "0512-0"},
    "welfare_visit": {"kind": {"code": "J", "name": "节日慰问"}, "by": "演示", "when": 1800000000000, "where": "演示"},
    "mailbox_reply": {"mailbox": "chief", "ticket": "T-1", "question": "演示", "reply": "演示",
                      "answered_by": "演示", "answered_at": 1700000000000},
}


def event(uid, type="penalty", org=HUXU, badge="F000001", **more):
    body = more.pop("body", {"reason": "演示"} if "retracts" in more else BODIES[type])
    return msgpack.packb({"v": 1, "uid": uid, "type": type, "at": 1700000000000, "org": org,
                          "person": {"badge": badge, "name": "演示"}, "issuer": "演示局", **more, "body": body})


def envelope(bytes_):
    """The event as a map; None if it is none."""
    try:
        e = msgpack.unpackb(bytes_)
        return e if isinstance(e, dict) else None
    except Exception:
        return None


def generated(n, prefix="e"):
    return {f"{prefix}-{i}" for i in range(n)}
