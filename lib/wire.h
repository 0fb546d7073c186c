/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol between dibaod (ROUTER) and a subscriber (DEALER), as bytes.
 * Normative text: dibao-protocol(7); the two change together, and
 * tests/unit/test_wire.c holds golden bytes of each message.
 *
 * A message is one frame whose first byte is its kind, except DATA with items,
 * which has a second frame, the payload. DATA and ACK are fixed, big-endian,
 * because they are sent by the million; everything else is the kind byte
 * followed by one msgpack map with short string keys. Unknown keys are ignored;
 * an unknown kind is a protocol error.
 *
 * Decoders bound and check everything before use, never allocate, and borrow
 * strings from the message.
 */
#ifndef LIB_WIRE_H
#define LIB_WIRE_H

#include <dibao/subscriber.h>
#include <endian.h>
#include <string.h>

enum {
	WIRE_PROTO_MIN = 1,
	WIRE_PROTO_MAX = 1,
	WIRE_MESSAGE_MAX = 65536,      /* control message; also ROUTER's MAXMSGSIZE */
	WIRE_PAYLOAD_MAX = 256 * 1024, /* payload frame of DATA */
	WIRE_HEADER_BYTES = 32,	       /* fits libzmq's inline message (33 bytes) */
	WIRE_ITEM_HEADER_BYTES = 4,
	WIRE_NAME_MAX = 64, /* durable name: 1..64 of [A-Za-z0-9._-] */
	WIRE_INSTANCE_BYTES = 16,
	WIRE_TYPES_MAX = 32,
	WIRE_ORGS_MAX = 64,
	WIRE_TEXT_MAX = 256,
	WIRE_WINDOW_MIN = 128 * 1024,
	WIRE_WINDOW_MAX = 16 * 1024 * 1024,
	WIRE_WINDOW_DEFAULT = 512 * 1024,
	WIRE_ZAP_TOO_MUCH = 500, /* status in the handshake: too many connections (zap.c) */
};

enum wire_kind {
	/* subscriber to daemon */
	WIRE_HELLO = 'H',
	WIRE_ACK = 'A',
	WIRE_ALIVE = 'P', /* one byte: the application's thread is alive */
	WIRE_RECEIPT = 'R',
	WIRE_BYE = 'B',
	WIRE_ASK = 'Q',
	WIRE_PUBLISH = 'E',
	/* daemon to subscriber */
	WIRE_WELCOME = 'W',
	WIRE_STANDBY = 'S',
	WIRE_DATA = 'D',
	WIRE_LOST = 'L',
	WIRE_CONFIRM = 'C',
	WIRE_GOODBYE = 'G',
	WIRE_ANSWER = 'N',
	WIRE_OUTCOME = 'O',
};

/* ---- DATA: header frame of 32 bytes, then the payload frame if count > 0 ----
 *
 *  0  u8   'D'
 *  1  u8   flags
 *  2  u8   channel (enum dibao_channel)
 *  3  u8   0
 *  4  u32  count of items; 0 = position frame (heartbeat), one frame only
 *  8  u64  number: 1, 2, 3 ... in this session and channel
 * 16  u64  token: random; the ACK of this frame echoes it
 * 24  u64  queue's clock (Redis' TIME) as the daemon last heard it, Unix ms
 *
 * Payload: count times { u8 kind, u8 flags, u16 length, bytes[length] }, exact end.
 */
enum {
	WIRE_DATA_MAY_REPEAT = 1u << 0, /* items may have been delivered before */
	/* From history, not live. Unset, also on a position frame: the channel has caught up. */
	WIRE_DATA_REPLAY = 1u << 1,
	WIRE_ITEM_IS_WITHDRAWN = 1u << 0,
	WIRE_ITEM_IS_AGAIN = 1u << 1, /* no news: its person was hidden, and is not any more */
};

struct wire_data {
	uint8_t flags, channel;
	uint32_t count;
	uint64_t number, token, clock_ms;
};

struct wire_item {
	uint8_t kind, flags;
	uint16_t len;
	const uint8_t *bytes; /* borrowed */
};

void wire_data_pack(uint8_t ret[WIRE_HEADER_BYTES], const struct wire_data *d);
/* 0, -EBADMSG. */
int wire_data_unpack(struct wire_data *ret, const void *frame, size_t len);
/* Checks count and lengths of a payload to its exact end. 0, -EBADMSG. */
int wire_payload_check(const uint8_t *p, size_t len, uint32_t count);

/* Writes an item's header; the caller has room for 4 + len bytes. */
static inline uint8_t *wire_item_pack(uint8_t *p, uint8_t kind, uint8_t flags, uint16_t len)
{
	p[0] = kind;
	p[1] = flags;
	p[2] = (uint8_t)(len >> 8);
	p[3] = (uint8_t)len;
	return p + WIRE_ITEM_HEADER_BYTES;
}

/* Next item of a checked payload. */
static inline const uint8_t *wire_item_next(const uint8_t *p, struct wire_item *ret)
{
	ret->kind = p[0];
	ret->flags = p[1];
	ret->len = (uint16_t)(p[2] << 8 | p[3]);
	ret->bytes = p + WIRE_ITEM_HEADER_BYTES;
	return ret->bytes + ret->len;
}

/* ---- ACK: 'A', u8 n (1..4), then n times { u8 channel, u64 number, u64 token } ----
 * Number is the contiguous floor: every frame of that channel up to it is taken over;
 * token is that frame's. */
struct wire_ack {
	uint8_t n;
	struct {
		uint8_t channel;
		uint64_t number, token;
	} at[DIBAO_CHANNEL_COUNT];
};
enum { WIRE_ACK_MAX = 2 + DIBAO_CHANNEL_COUNT * 17 };
/* Returns bytes written (≤ WIRE_ACK_MAX). */
size_t wire_ack_pack(uint8_t ret[WIRE_ACK_MAX], const struct wire_ack *a);
int wire_ack_unpack(struct wire_ack *ret, const void *frame, size_t len);

/* ---- control messages ---- */

/* HELLO {pmin, pmax, feat: [str], bureau, name?: str, inst: bin16, types?: [str], orgs?: [str],
 *        from: "resume"|"new"|"time"|"last", arg?: int, view: "full"|"public", win: int}.
 * Repeated every second until answered by WELCOME, STANDBY or GOODBYE; idempotent. */
struct wire_hello {
	unsigned proto_min, proto_max;
	struct dibao_str bureau, durable; /* durable.p == NULL: none */
	uint8_t instance[WIRE_INSTANCE_BYTES];
	struct dibao_str types[WIRE_TYPES_MAX], orgs[WIRE_ORGS_MAX];
	unsigned n_types, n_orgs; /* 0 = all allowed */
	enum dibao_start from;
	int64_t from_arg;
	bool public_view;
	bool publishes; /* feat has "publish" */
	uint32_t window_bytes;
};

/* WELCOME {proto, feat: [str], epoch: int, ctr: int, lease: ms, beat: ms,
 *          win: bytes granted, view, chans: [int], clock: ms}.
 * epoch/ctr: fencing token; 0/0 when not durable. lease: send ACK or ALIVE at least every third
 * of it. beat: cadence of position frames on each channel of chans. */
struct wire_welcome {
	unsigned proto;
	uint64_t epoch, counter;
	uint32_t lease_ms, beat_ms, window_bytes;
	bool public_view;
	bool publishes;	  /* feat has "publish": no session begins, win is a number of events */
	uint8_t channels; /* bit i = enum dibao_channel i */
	int64_t clock_ms;
};

/* STANDBY {clock}: the name's lease is another's; WELCOME follows when it falls to you.
 * Repeated at the beat. */

/* LOST {ch: int, from: ms, to: ms, why: str} */
struct wire_lost {
	uint8_t channel;
	int64_t from_ms, to_ms;
	struct dibao_str reason;
};

/* RECEIPT {id: int, key: bin (uid or pid), st: int, at: ms, d?: str};  CONFIRM {id, err: 0|1} */
struct wire_receipt {
	uint64_t id;
	struct dibao_str key;
	unsigned state; /* enum dibao_receipt_state */
	int64_t at_ms;
	struct dibao_str detail;
};

/* GOODBYE and BYE {why: int (enum dibao_reason), text: str} */
struct wire_goodbye {
	unsigned reason;
	struct dibao_str text;
};

/* ---- requests: wire_request.c ---- */

/* ASK {id: int, do: str}: of an admin, with or without a session. */
struct wire_ask {
	uint64_t id;
	struct dibao_str verb;
};
enum { WIRE_VERB_MAX = 32, WIRE_ANSWER_PART_MAX = 32768 };
/* ANSWER {id, more: 0|1, json: bin}: a JSON object in parts, more = 0 with the last. */
struct wire_answer {
	uint64_t id;
	bool more;
	struct dibao_str json;
};

/* PUBLISH {id: int, ev: bin}: of a publisher-relay whose HELLO was answered by WELCOME. */
struct wire_publish {
	uint64_t id;
	struct dibao_str event;
};
enum { WIRE_PUBLISH_WINDOW = 256 }; /* events that may be unanswered on a connection */
enum wire_fault {
	WIRE_FAULT_NONE = 0,
	WIRE_FAULT_INVALID = 1, /* not an event, or one that the queue does not take */
	WIRE_FAULT_NOREF = 2,	/* takes back what is not known, or what it may not publish */
	WIRE_FAULT_PERSON = 3,	/* takes back an event of another person */
	WIRE_FAULT_DENIED = 4,	/* the policy does not grant type or organisation */
	WIRE_FAULT_AWAY = 5,	/* not stored as far as is known: publish it again */
	WIRE_FAULT_OTHER = 6,	/* the queue refused */
};
/* OUTCOME {id, out: int (enum dibao_outcome), err: int (enum wire_fault), field: str, text: str}:
 * durable when it is sent. Either out or err is 0. */
struct wire_outcome {
	uint64_t id;
	unsigned outcome, fault;
	struct dibao_str field, text;
};

int wire_ask_pack(uint8_t *buf, size_t cap, const struct wire_ask *m);
int wire_ask_unpack(struct wire_ask *ret, const void *frame, size_t len, const char **ret_why);
int wire_answer_pack(uint8_t *buf, size_t cap, const struct wire_answer *m);
int wire_answer_unpack(struct wire_answer *ret, const void *frame, size_t len);
int wire_publish_pack(uint8_t *buf, size_t cap, const struct wire_publish *m);
int wire_publish_unpack(struct wire_publish *ret, const void *frame, size_t len,
			const char **ret_why);
int wire_outcome_pack(uint8_t *buf, size_t cap, const struct wire_outcome *m);
int wire_outcome_unpack(struct wire_outcome *ret, const void *frame, size_t len);

/* Payload bytes of a WITHDRAWN item: {pid: bin16, uid?: str}. Returns length or -ENOBUFS. */
int wire_withdrawn_pack(uint8_t *buf, size_t cap, const uint8_t pid[16], const char *uid,
			size_t uid_len /* 0: none */);

/* Packers write into buf and return the length, or -ENOBUFS; unpackers return 0, -EBADMSG
 * (not msgpack, missing or wrong key; *ret_why, if not NULL, points to a static string naming
 * it). All take the whole frame, kind byte included. */
int wire_hello_pack(uint8_t *buf, size_t cap, const struct wire_hello *m);
int wire_hello_unpack(struct wire_hello *ret, const void *frame, size_t len, const char **ret_why);
int wire_welcome_pack(uint8_t *buf, size_t cap, const struct wire_welcome *m);
int wire_welcome_unpack(struct wire_welcome *ret, const void *frame, size_t len,
			const char **ret_why);
int wire_standby_pack(uint8_t *buf, size_t cap, int64_t clock_ms);
int wire_standby_unpack(int64_t *ret_clock_ms, const void *frame, size_t len);
int wire_lost_pack(uint8_t *buf, size_t cap, const struct wire_lost *m);
int wire_lost_unpack(struct wire_lost *ret, const void *frame, size_t len, const char **ret_why);
int wire_receipt_pack(uint8_t *buf, size_t cap, const struct wire_receipt *m);
int wire_receipt_unpack(struct wire_receipt *ret, const void *frame, size_t len,
			const char **ret_why);
int wire_confirm_pack(uint8_t *buf, size_t cap, uint64_t id, int err);
int wire_confirm_unpack(uint64_t *ret_id, int *ret_err, const void *frame, size_t len);
/* kind: WIRE_GOODBYE or WIRE_BYE */
int wire_goodbye_pack(uint8_t *buf, size_t cap, enum wire_kind kind, const struct wire_goodbye *m);
int wire_goodbye_unpack(struct wire_goodbye *ret, const void *frame, size_t len);

#endif
