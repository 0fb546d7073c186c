/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages that ask for something and are answered: ASK, ANSWER, PUBLISH, OUTCOME. All are flat
 * maps of few keys, so one table a message drives both ways.
 */
#include "mpread.h"
#include "outbuf.h"
#include "wire.h"

#include <errno.h>
#include <msgpack.h>

struct row {
	const char *key;
	enum mp_kind kind;    /* MP_UINT, MP_STR, MP_BIN */
	uint64_t least, most; /* of a number its value, else its bytes */
	bool required;
	const char *why;
	uint64_t *u;
	struct dibao_str *s;
};

static int pack(uint8_t *buf, size_t cap, enum wire_kind kind, const struct row *rows, unsigned n)
{
	struct outbuf room = {.buf = buf, .cap = cap};
	msgpack_packer pk;
	char k = (char)kind;

	msgpack_packer_init(&pk, &room, outbuf_write);
	outbuf_write(&room, &k, 1);
	msgpack_pack_map(&pk, n);
	for (unsigned i = 0; i < n; i++) {
		const struct row *r = &rows[i];
		const char *p = r->s && r->s->p ? r->s->p : "";

		msgpack_pack_str(&pk, strlen(r->key));
		msgpack_pack_str_body(&pk, r->key, strlen(r->key));
		if (r->kind == MP_UINT) {
			msgpack_pack_uint64(&pk, *r->u);
		} else if (r->kind == MP_STR) {
			msgpack_pack_str(&pk, r->s->len);
			msgpack_pack_str_body(&pk, p, r->s->len);
		} else {
			msgpack_pack_bin(&pk, r->s->len);
			msgpack_pack_bin_body(&pk, p, r->s->len);
		}
	}
	return room.full ? -ENOBUFS : (int)room.n;
}

/* NULL, or what is wrong. */
static const char *read_row(struct mp_cursor *c, const struct row *r)
{
	struct mp_value v;

	if (!mp_read(c, &v) || v.kind != r->kind)
		return r->why;
	if (r->kind == MP_UINT) {
		if (v.u < r->least || v.u > r->most)
			return r->why;
		*r->u = v.u;
	} else {
		if (v.n < r->least || v.n > r->most)
			return r->why;
		*r->s = (struct dibao_str){(const char *)v.p, v.n};
	}
	return NULL;
}

static const char *unpack(const void *frame, size_t len, enum wire_kind kind,
			  const struct row *rows, unsigned n)
{
	const uint8_t *p = frame;
	struct mp_cursor c;
	struct mp_value map, k;
	unsigned seen = 0;
	const char *why;

	if (len < 1 || len > WIRE_MESSAGE_MAX || p[0] != kind)
		return "expected one msgpack map";
	c = (struct mp_cursor){p + 1, p + len};
	if (mp_skip_checked(&c, MP_DEPTH_MAX) || c.p != c.end)
		return "expected one msgpack map";
	c.p = p + 1;
	if (!mp_read(&c, &map) || map.kind != MP_MAP)
		return "expected one msgpack map";
	while (map.n--) {
		unsigned i = 0;

		if (!mp_read(&c, &k))
			return "expected one msgpack map";
		while (i < n && (strlen(rows[i].key) != k.n || memcmp(rows[i].key, k.p, k.n) != 0))
			i++;
		if (i == n) {
			if (!mp_skip(&c, MP_DEPTH_MAX))
				return "expected one msgpack map";
			continue;
		}
		why = read_row(&c, &rows[i]);
		if (why)
			return why;
		seen |= 1u << i;
	}
	for (unsigned i = 0; i < n; i++)
		if (rows[i].required && !(seen >> i & 1))
			return rows[i].why;
	return NULL;
}

static int told(const char *why, const char **ret_why)
{
	if (why && ret_why)
		*ret_why = why;
	return why ? -EBADMSG : 0;
}

#define ID(m)                                                                                      \
	{                                                                                          \
		"id", MP_UINT, 0, UINT64_MAX, true, "id: expected an integer", &(m)->id, NULL      \
	}
#define N(rows) (sizeof(rows) / sizeof *(rows))

#define ASK_ROWS(m)                                                                                \
	{                                                                                          \
		ID(m), {"do", MP_STR,	 1, WIRE_VERB_MAX, true, "do: expected 1 to 32 bytes",     \
			NULL, &(m)->verb},                                                         \
	}

int wire_ask_pack(uint8_t *buf, size_t cap, const struct wire_ask *m)
{
	struct wire_ask copy = *m;
	const struct row rows[] = ASK_ROWS(&copy);

	return pack(buf, cap, WIRE_ASK, rows, N(rows));
}

int wire_ask_unpack(struct wire_ask *ret, const void *frame, size_t len, const char **ret_why)
{
	struct wire_ask m = {0};
	const struct row rows[] = ASK_ROWS(&m);
	int r = told(unpack(frame, len, WIRE_ASK, rows, N(rows)), ret_why);

	if (r == 0)
		*ret = m;
	return r;
}

#define ANSWER_ROWS(m, more_as_int)                                                                \
	{                                                                                          \
		ID(m), {"more", MP_UINT, 0, 1, true, "more: expected 0 or 1", more_as_int, NULL},  \
			{"json", MP_BIN,                                                           \
			 0,	 WIRE_ANSWER_PART_MAX,                                             \
			 true,	 "json: expected at most 32768 bytes",                             \
			 NULL,	 &(m)->json},                                                      \
	}

int wire_answer_pack(uint8_t *buf, size_t cap, const struct wire_answer *m)
{
	struct wire_answer copy = *m;
	uint64_t more = m->more;
	const struct row rows[] = ANSWER_ROWS(&copy, &more);

	return pack(buf, cap, WIRE_ANSWER, rows, N(rows));
}

int wire_answer_unpack(struct wire_answer *ret, const void *frame, size_t len)
{
	struct wire_answer m = {0};
	uint64_t more = 0;
	const struct row rows[] = ANSWER_ROWS(&m, &more);

	if (unpack(frame, len, WIRE_ANSWER, rows, N(rows)))
		return -EBADMSG;
	m.more = more;
	*ret = m;
	return 0;
}

#define PUBLISH_ROWS(m)                                                                            \
	{                                                                                          \
		ID(m), {"ev", MP_BIN,                                                              \
			1,    DIBAO_EVENT_MAX_BYTES,                                               \
			true, "ev: expected 1 to 16384 bytes of binary",                           \
			NULL, &(m)->event},                                                        \
	}

int wire_publish_pack(uint8_t *buf, size_t cap, const struct wire_publish *m)
{
	struct wire_publish copy = *m;
	const struct row rows[] = PUBLISH_ROWS(&copy);

	return pack(buf, cap, WIRE_PUBLISH, rows, N(rows));
}

int wire_publish_unpack(struct wire_publish *ret, const void *frame, size_t len,
			const char **ret_why)
{
	struct wire_publish m = {0};
	const struct row rows[] = PUBLISH_ROWS(&m);
	int r = told(unpack(frame, len, WIRE_PUBLISH, rows, N(rows)), ret_why);

	if (r == 0)
		*ret = m;
	return r;
}

#define OUTCOME_ROWS(m, out, fault)                                                                \
	{                                                                                          \
		ID(m), {"out", MP_UINT, 0, 255, true, "out: expected 0 to 255", out, NULL},        \
			{"err", MP_UINT, 0, 255, true, "err: expected 0 to 255", fault, NULL},     \
			{"field",	MP_STR,	    0,                                             \
			 WIRE_TEXT_MAX, false,	    "field: expected at most 256 bytes",           \
			 NULL,		&(m)->field},                                              \
			{"text",	MP_STR,	   0,                                              \
			 WIRE_TEXT_MAX, false,	   "text: expected at most 256 bytes",             \
			 NULL,		&(m)->text},                                               \
	}

int wire_outcome_pack(uint8_t *buf, size_t cap, const struct wire_outcome *m)
{
	struct wire_outcome copy = *m;
	uint64_t out = m->outcome, fault = m->fault;
	const struct row rows[] = OUTCOME_ROWS(&copy, &out, &fault);

	return pack(buf, cap, WIRE_OUTCOME, rows, N(rows));
}

int wire_outcome_unpack(struct wire_outcome *ret, const void *frame, size_t len)
{
	struct wire_outcome m = {0};
	uint64_t out = 0, fault = 0;
	const struct row rows[] = OUTCOME_ROWS(&m, &out, &fault);

	if (unpack(frame, len, WIRE_OUTCOME, rows, N(rows)))
		return -EBADMSG;
	m.outcome = (unsigned)out;
	m.fault = (unsigned)fault;
	*ret = m;
	return 0;
}
