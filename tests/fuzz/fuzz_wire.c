/* SPDX-License-Identifier: Apache-2.0 */
/* Any frame from either side is a message or refused. What is taken borrows from the frame alone,
 * keeps the bounds of wire.h, and packed again is the same message. */
#include "wire.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *frame;
static size_t frame_len;
static uint8_t packed[WIRE_MESSAGE_MAX];

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void borrowed(const struct dibao_str *s, size_t least, size_t most)
{
	const uint8_t *p = (const uint8_t *)s->p;

	must(p >= frame && p + s->len <= frame + frame_len);
	must(s->len >= least && s->len <= most);
}

static void same(const struct dibao_str *a, const struct dibao_str *b)
{
	must(a->len == b->len && !a->p == !b->p);
	must(!a->len || !memcmp(a->p, b->p, a->len));
}

static void hello(void)
{
	struct wire_hello m, again;
	const char *why = NULL;
	int n;

	if (wire_hello_unpack(&m, frame, frame_len, &why) < 0) {
		must(why && why[0]);
		return;
	}
	borrowed(&m.bureau, 1, 16);
	if (m.durable.p)
		borrowed(&m.durable, 1, WIRE_NAME_MAX);
	must(m.n_types <= WIRE_TYPES_MAX && m.n_orgs <= WIRE_ORGS_MAX);
	n = wire_hello_pack(packed, sizeof packed, &m);
	must(n > 0 && wire_hello_unpack(&again, packed, (size_t)n, NULL) == 0);
	same(&m.bureau, &again.bureau);
	same(&m.durable, &again.durable);
	must(m.proto_min == again.proto_min && m.proto_max == again.proto_max &&
	     m.n_types == again.n_types && m.n_orgs == again.n_orgs && m.from == again.from &&
	     m.from_arg == again.from_arg && m.public_view == again.public_view &&
	     m.window_bytes == again.window_bytes &&
	     !memcmp(m.instance, again.instance, sizeof m.instance));
	for (unsigned i = 0; i < m.n_types; i++) {
		borrowed(&m.types[i], 1, 32);
		same(&m.types[i], &again.types[i]);
	}
	for (unsigned i = 0; i < m.n_orgs; i++) {
		borrowed(&m.orgs[i], 1, DIBAO_ORG_BYTES);
		same(&m.orgs[i], &again.orgs[i]);
	}
}

static void welcome(void)
{
	struct wire_welcome m, again;
	const char *why = NULL;
	int n;

	if (wire_welcome_unpack(&m, frame, frame_len, &why) < 0) {
		must(why && why[0]);
		return;
	}
	must(m.channels < 1u << DIBAO_CHANNEL_COUNT);
	n = wire_welcome_pack(packed, sizeof packed, &m);
	must(n > 0 && wire_welcome_unpack(&again, packed, (size_t)n, NULL) == 0);
	must(m.proto == again.proto && m.epoch == again.epoch && m.counter == again.counter &&
	     m.lease_ms == again.lease_ms && m.beat_ms == again.beat_ms &&
	     m.window_bytes == again.window_bytes && m.public_view == again.public_view &&
	     m.channels == again.channels && m.clock_ms == again.clock_ms);
}

static void standby(void)
{
	int64_t clock_ms, again;
	int n;

	if (wire_standby_unpack(&clock_ms, frame, frame_len) < 0)
		return;
	n = wire_standby_pack(packed, sizeof packed, clock_ms);
	must(n > 0 && wire_standby_unpack(&again, packed, (size_t)n) == 0 && clock_ms == again);
}

static void lost(void)
{
	struct wire_lost m, again;
	const char *why = NULL;
	int n;

	if (wire_lost_unpack(&m, frame, frame_len, &why) < 0) {
		must(why && why[0]);
		return;
	}
	must(m.channel < DIBAO_CHANNEL_COUNT);
	if (m.reason.p)
		borrowed(&m.reason, 0, WIRE_TEXT_MAX);
	n = wire_lost_pack(packed, sizeof packed, &m);
	must(n > 0 && wire_lost_unpack(&again, packed, (size_t)n, NULL) == 0);
	must(m.channel == again.channel && m.from_ms == again.from_ms && m.to_ms == again.to_ms &&
	     m.reason.len == again.reason.len);
}

static void receipt(void)
{
	struct wire_receipt m, again;
	const char *why = NULL;
	int n;

	if (wire_receipt_unpack(&m, frame, frame_len, &why) < 0) {
		must(why && why[0]);
		return;
	}
	borrowed(&m.key, 1, DIBAO_UID_MAX_BYTES);
	if (m.detail.p)
		borrowed(&m.detail, 0, WIRE_TEXT_MAX);
	n = wire_receipt_pack(packed, sizeof packed, &m);
	must(n > 0 && wire_receipt_unpack(&again, packed, (size_t)n, NULL) == 0);
	same(&m.key, &again.key);
	same(&m.detail, &again.detail);
	must(m.id == again.id && m.state == again.state && m.at_ms == again.at_ms && m.state > 0);
}

static void confirm(void)
{
	uint64_t id, id_again;
	int err, err_again, n;

	if (wire_confirm_unpack(&id, &err, frame, frame_len) < 0)
		return;
	n = wire_confirm_pack(packed, sizeof packed, id, err);
	must(n > 0 && wire_confirm_unpack(&id_again, &err_again, packed, (size_t)n) == 0);
	must(id == id_again && !err == !err_again);
}

static void goodbye(void)
{
	struct wire_goodbye m, again;
	int n;

	if (wire_goodbye_unpack(&m, frame, frame_len) < 0)
		return;
	must(frame[0] == WIRE_BYE || frame[0] == WIRE_GOODBYE);
	if (m.text.p)
		borrowed(&m.text, 0, WIRE_TEXT_MAX);
	n = wire_goodbye_pack(packed, sizeof packed, (enum wire_kind)frame[0], &m);
	must(n > 0 && wire_goodbye_unpack(&again, packed, (size_t)n) == 0);
	must(m.reason == again.reason && m.text.len == again.text.len);
}

/* Each is packed again to what reads the same. */
static void requests(void)
{
	struct wire_ask a;
	struct wire_answer r;
	struct wire_publish p;
	struct wire_outcome o;
	int n;

	if (wire_ask_unpack(&a, frame, frame_len, NULL) == 0) {
		borrowed(&a.verb, 1, WIRE_VERB_MAX);
		n = wire_ask_pack(packed, sizeof packed, &a);
		must(n > 0 && wire_ask_unpack(&a, packed, (size_t)n, NULL) == 0);
	}
	if (wire_answer_unpack(&r, frame, frame_len) == 0) {
		borrowed(&r.json, 0, WIRE_ANSWER_PART_MAX);
		n = wire_answer_pack(packed, sizeof packed, &r);
		must(n > 0 && wire_answer_unpack(&r, packed, (size_t)n) == 0);
	}
	if (wire_publish_unpack(&p, frame, frame_len, NULL) == 0) {
		borrowed(&p.event, 1, DIBAO_EVENT_MAX_BYTES);
		n = wire_publish_pack(packed, sizeof packed, &p);
		must(n > 0 && wire_publish_unpack(&p, packed, (size_t)n, NULL) == 0);
	}
	if (wire_outcome_unpack(&o, frame, frame_len) == 0) {
		if (o.text.p)
			borrowed(&o.text, 0, WIRE_TEXT_MAX);
		n = wire_outcome_pack(packed, sizeof packed, &o);
		must(n > 0 && wire_outcome_unpack(&o, packed, (size_t)n) == 0);
	}
}

static void ack(void)
{
	uint8_t again[WIRE_ACK_MAX];
	struct wire_ack m;

	if (wire_ack_unpack(&m, frame, frame_len) < 0)
		return;
	for (unsigned i = 0; i < m.n; i++)
		must(m.at[i].channel < DIBAO_CHANNEL_COUNT);
	must(wire_ack_pack(again, &m) == frame_len && !memcmp(again, frame, frame_len));
}

static void payload(const uint8_t *p, size_t len, uint32_t count)
{
	const uint8_t *end = p + len;
	struct wire_item item;

	if (wire_payload_check(p, len, count) < 0)
		return;
	for (; count; count--) {
		const uint8_t *next = wire_item_next(p, &item);

		must(next <= end && item.bytes + item.len == next && next > p);
		p = next;
	}
	must(p == end);
}

/* The two frames of DATA come as one input: header, then payload. */
static void data_frames(void)
{
	size_t header_len = frame_len < WIRE_HEADER_BYTES ? frame_len : WIRE_HEADER_BYTES;
	uint8_t again[WIRE_HEADER_BYTES];
	struct wire_data m;

	if (wire_data_unpack(&m, frame, header_len) < 0)
		return;
	must(m.channel < DIBAO_CHANNEL_COUNT);
	wire_data_pack(again, &m);
	/* Byte 3 is for a later version: ignored. */
	must(!memcmp(again, frame, 3) && !memcmp(again + 4, frame + 4, WIRE_HEADER_BYTES - 4));
	payload(frame + header_len, frame_len - header_len, m.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	frame = data;
	frame_len = size;
	/* Each by its own decoder and by all others: a peer may send anything at any time. */
	hello();
	welcome();
	standby();
	lost();
	receipt();
	confirm();
	goodbye();
	requests();
	ack();
	data_frames();
	return 0;
}
