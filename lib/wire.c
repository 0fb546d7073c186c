/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"
#include "mpread.h"

#include <errno.h>
#include <msgpack.h>

/* ---- fixed messages ---- */

static void put32(uint8_t *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof v);
}

static void put64(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof v);
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return be32toh(v);
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return be64toh(v);
}

void wire_data_pack(uint8_t ret[WIRE_HEADER_BYTES], const struct wire_data *d)
{
	ret[0] = WIRE_DATA;
	ret[1] = d->flags;
	ret[2] = d->channel;
	ret[3] = 0;
	put32(ret + 4, d->count);
	put64(ret + 8, d->number);
	put64(ret + 16, d->token);
	put64(ret + 24, d->clock_ms);
}

int wire_data_unpack(struct wire_data *ret, const void *frame, size_t len)
{
	const uint8_t *p = frame;

	if (len != WIRE_HEADER_BYTES || p[0] != WIRE_DATA || p[2] >= DIBAO_CHANNEL_COUNT)
		return -EBADMSG;
	*ret = (struct wire_data){.flags = p[1],
				  .channel = p[2],
				  .count = get32(p + 4),
				  .number = get64(p + 8),
				  .token = get64(p + 16),
				  .clock_ms = get64(p + 24)};
	return 0;
}

int wire_payload_check(const uint8_t *p, size_t len, uint32_t count)
{
	const uint8_t *end = p + len;

	for (; count; count--) {
		size_t n;

		if (end - p < WIRE_ITEM_HEADER_BYTES)
			return -EBADMSG;
		n = (size_t)(p[2] << 8 | p[3]);
		p += WIRE_ITEM_HEADER_BYTES;
		if ((size_t)(end - p) < n)
			return -EBADMSG;
		p += n;
	}
	return p == end ? 0 : -EBADMSG;
}

size_t wire_ack_pack(uint8_t ret[WIRE_ACK_MAX], const struct wire_ack *a)
{
	uint8_t *p = ret;

	*p++ = WIRE_ACK;
	*p++ = a->n;
	for (unsigned i = 0; i < a->n; i++, p += 17) {
		p[0] = a->at[i].channel;
		put64(p + 1, a->at[i].number);
		put64(p + 9, a->at[i].token);
	}
	return (size_t)(p - ret);
}

int wire_ack_unpack(struct wire_ack *ret, const void *frame, size_t len)
{
	const uint8_t *p = frame;
	struct wire_ack a = {0};

	if (len < 2 || p[0] != WIRE_ACK || p[1] < 1 || p[1] > DIBAO_CHANNEL_COUNT ||
	    len != 2 + 17u * p[1])
		return -EBADMSG;
	a.n = p[1];
	p += 2;
	for (unsigned i = 0; i < a.n; i++, p += 17) {
		if (p[0] >= DIBAO_CHANNEL_COUNT)
			return -EBADMSG;
		a.at[i].channel = p[0];
		a.at[i].number = get64(p + 1);
		a.at[i].token = get64(p + 9);
	}
	*ret = a;
	return 0;
}

/* ---- packing control messages ---- */

struct out {
	uint8_t *buf;
	size_t cap, n;
	bool full;
};

static int out_write(void *data, const char *p, size_t n)
{
	struct out *o = data;

	if (o->cap - o->n < n) {
		o->full = true;
		return -1;
	}
	memcpy(o->buf + o->n, p, n);
	o->n += n;
	return 0;
}

static void begin(struct out *o, msgpack_packer *pk, uint8_t *buf, size_t cap, enum wire_kind kind,
		  unsigned n_keys)
{
	char k = (char)kind;

	*o = (struct out){.buf = buf, .cap = cap};
	msgpack_packer_init(pk, o, out_write);
	out_write(o, &k, 1);
	msgpack_pack_map(pk, n_keys);
}

static int finish(const struct out *o)
{
	return o->full ? -ENOBUFS : (int)o->n;
}

static void text(msgpack_packer *pk, const char *p, size_t n)
{
	msgpack_pack_str(pk, n);
	msgpack_pack_str_body(pk, p, n);
}

static void key(msgpack_packer *pk, const char *k)
{
	text(pk, k, strlen(k));
}

static void key_int(msgpack_packer *pk, const char *k, int64_t v)
{
	key(pk, k);
	msgpack_pack_int64(pk, v);
}

static void key_uint(msgpack_packer *pk, const char *k, uint64_t v)
{
	key(pk, k);
	msgpack_pack_uint64(pk, v);
}

static void key_text(msgpack_packer *pk, const char *k, struct dibao_str s)
{
	key(pk, k);
	text(pk, s.p ? s.p : "", s.len);
}

static void key_bytes(msgpack_packer *pk, const char *k, const void *p, size_t n)
{
	key(pk, k);
	msgpack_pack_bin(pk, n);
	msgpack_pack_bin_body(pk, p, n);
}

static void key_list(msgpack_packer *pk, const char *k, const struct dibao_str *s, unsigned n)
{
	key(pk, k);
	msgpack_pack_array(pk, n);
	for (unsigned i = 0; i < n; i++)
		text(pk, s[i].p, s[i].len);
}

static const char *const starts[] = {"resume", "new", "time", "last"};

int wire_hello_pack(uint8_t *buf, size_t cap, const struct wire_hello *m)
{
	unsigned n = 9 + (m->durable.p != NULL) + (m->n_types > 0) + (m->n_orgs > 0);
	const char *view = m->public_view ? "public" : "full";
	msgpack_packer pk;
	struct out o;

	begin(&o, &pk, buf, cap, WIRE_HELLO, n);
	key_uint(&pk, "pmin", m->proto_min);
	key_uint(&pk, "pmax", m->proto_max);
	key_list(&pk, "feat", NULL, 0);
	key_text(&pk, "bureau", m->bureau);
	if (m->durable.p)
		key_text(&pk, "name", m->durable);
	key_bytes(&pk, "inst", m->instance, sizeof m->instance);
	if (m->n_types)
		key_list(&pk, "types", m->types, m->n_types);
	if (m->n_orgs)
		key_list(&pk, "orgs", m->orgs, m->n_orgs);
	key_text(&pk, "from", (struct dibao_str){starts[m->from], strlen(starts[m->from])});
	key_int(&pk, "arg", m->from_arg);
	key_text(&pk, "view", (struct dibao_str){view, strlen(view)});
	key_uint(&pk, "win", m->window_bytes);
	return finish(&o);
}

int wire_welcome_pack(uint8_t *buf, size_t cap, const struct wire_welcome *m)
{
	const char *view = m->public_view ? "public" : "full";
	msgpack_packer pk;
	unsigned n = 0;
	struct out o;

	begin(&o, &pk, buf, cap, WIRE_WELCOME, 10);
	key_uint(&pk, "proto", m->proto);
	key_list(&pk, "feat", NULL, 0);
	key_uint(&pk, "epoch", m->epoch);
	key_uint(&pk, "ctr", m->counter);
	key_uint(&pk, "lease", m->lease_ms);
	key_uint(&pk, "beat", m->beat_ms);
	key_uint(&pk, "win", m->window_bytes);
	key_text(&pk, "view", (struct dibao_str){view, strlen(view)});
	key(&pk, "chans");
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		n += m->channels >> c & 1;
	msgpack_pack_array(&pk, n);
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		if (m->channels >> c & 1)
			msgpack_pack_int(&pk, c);
	key_int(&pk, "clock", m->clock_ms);
	return finish(&o);
}

int wire_standby_pack(uint8_t *buf, size_t cap, int64_t clock_ms)
{
	msgpack_packer pk;
	struct out o;

	begin(&o, &pk, buf, cap, WIRE_STANDBY, 1);
	key_int(&pk, "clock", clock_ms);
	return finish(&o);
}

int wire_lost_pack(uint8_t *buf, size_t cap, const struct wire_lost *m)
{
	msgpack_packer pk;
	struct out o;

	begin(&o, &pk, buf, cap, WIRE_LOST, 4);
	key_uint(&pk, "ch", m->channel);
	key_int(&pk, "from", m->from_ms);
	key_int(&pk, "to", m->to_ms);
	key_text(&pk, "why", m->reason);
	return finish(&o);
}

int wire_receipt_pack(uint8_t *buf, size_t cap, const struct wire_receipt *m)
{
	msgpack_packer pk;
	struct out o;

	begin(&o, &pk, buf, cap, WIRE_RECEIPT, m->detail.p ? 5 : 4);
	key_uint(&pk, "id", m->id);
	key_bytes(&pk, "key", m->key.p, m->key.len);
	key_uint(&pk, "st", m->state);
	key_int(&pk, "at", m->at_ms);
	if (m->detail.p)
		key_text(&pk, "d", m->detail);
	return finish(&o);
}

int wire_confirm_pack(uint8_t *buf, size_t cap, uint64_t id, int err)
{
	msgpack_packer pk;
	struct out o;

	begin(&o, &pk, buf, cap, WIRE_CONFIRM, 2);
	key_uint(&pk, "id", id);
	key_int(&pk, "err", err ? 1 : 0);
	return finish(&o);
}

int wire_goodbye_pack(uint8_t *buf, size_t cap, enum wire_kind kind, const struct wire_goodbye *m)
{
	msgpack_packer pk;
	struct out o;

	begin(&o, &pk, buf, cap, kind, 2);
	key_uint(&pk, "why", m->reason);
	key_text(&pk, "text", m->text);
	return finish(&o);
}

int wire_withdrawn_pack(uint8_t *buf, size_t cap, const uint8_t pid[16], const char *uid,
			size_t uid_len)
{
	msgpack_packer pk;
	struct out o = {.buf = buf, .cap = cap};

	msgpack_packer_init(&pk, &o, out_write);
	msgpack_pack_map(&pk, uid_len ? 2 : 1);
	key_bytes(&pk, "pid", pid, 16);
	if (uid_len)
		key_text(&pk, "uid", (struct dibao_str){uid, uid_len});
	return finish(&o);
}

/* ---- unpacking control messages ---- */

/* One pass over a map: on_key() for each known key reads its value; others are skipped. */
struct in {
	struct mp_cursor c;
	const char *why;
	uint32_t left;
};

static bool open_message(struct in *in, const void *frame, size_t len, enum wire_kind kind)
{
	const uint8_t *p = frame;
	struct mp_value v;

	in->why = "expected one msgpack map";
	if (len < 1 || len > WIRE_MESSAGE_MAX || p[0] != kind)
		return false;
	in->c = (struct mp_cursor){p + 1, p + len};
	/* Soundness of the whole first, keys once each; then the rest need not look. */
	if (mp_skip_checked(&in->c, MP_DEPTH_MAX) || in->c.p != in->c.end)
		return false;
	in->c.p = p + 1;
	if (!mp_read(&in->c, &v) || v.kind != MP_MAP)
		return false;
	in->left = v.n;
	in->why = NULL;
	return true;
}

static bool next_key(struct in *in, struct mp_value *k)
{
	if (!in->left)
		return false;
	in->left--;
	return mp_read(&in->c, k);
}

static bool is(const struct mp_value *k, const char *name)
{
	return k->n == strlen(name) && !memcmp(k->p, name, k->n);
}

static bool read_uint(struct in *in, uint64_t max, uint64_t *ret, const char *why)
{
	struct mp_value v;

	if (!mp_read(&in->c, &v) || v.kind != MP_UINT || v.u > max) {
		in->why = why;
		return false;
	}
	*ret = v.u;
	return true;
}

static bool read_int(struct in *in, int64_t *ret, const char *why)
{
	struct mp_value v;

	if (!mp_read(&in->c, &v) || (v.kind != MP_INT && (v.kind != MP_UINT || v.u > INT64_MAX))) {
		in->why = why;
		return false;
	}
	*ret = v.i;
	return true;
}

static bool read_bytes(struct in *in, enum mp_kind kind, size_t least, size_t most,
		       struct dibao_str *ret, const char *why)
{
	struct mp_value v;

	if (!mp_read(&in->c, &v) || v.kind != kind || v.n < least || v.n > most) {
		in->why = why;
		return false;
	}
	*ret = (struct dibao_str){(const char *)v.p, v.n};
	return true;
}

static bool read_list(struct in *in, struct dibao_str *list, unsigned most, size_t longest,
		      unsigned *ret_n, const char *why)
{
	struct mp_value v;

	if (!mp_read(&in->c, &v) || v.kind != MP_ARRAY || v.n > most) {
		in->why = why;
		return false;
	}
	for (uint32_t i = 0; i < v.n; i++)
		if (!read_bytes(in, MP_STR, 1, longest, &list[i], why))
			return false;
	*ret_n = v.n;
	return true;
}

static int done(const struct in *in, bool complete, const char *missing, const char **ret_why)
{
	const char *why = in->why ? in->why : complete ? NULL : missing;

	if (!why)
		return 0;
	if (ret_why)
		*ret_why = why;
	return -EBADMSG;
}

static bool name_is_valid(struct dibao_str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'A' && s.p[i] <= 'Z') ||
		      (s.p[i] >= 'a' && s.p[i] <= 'z') || s.p[i] == '.' || s.p[i] == '_' ||
		      s.p[i] == '-'))
			return false;
	return true;
}

static int find_text(const char *const *list, int n, struct dibao_str s)
{
	for (int i = 0; i < n; i++)
		if (strlen(list[i]) == s.len && !memcmp(list[i], s.p, s.len))
			return i;
	return -1;
}

int wire_hello_unpack(struct wire_hello *ret, const void *frame, size_t len, const char **ret_why)
{
	enum { PMIN = 1, PMAX = 2, BUREAU = 4, INST = 8, ALL = 15 };
	static const char *const views[] = {"full", "public"};
	struct wire_hello m = {.from = DIBAO_START_NEW, .window_bytes = WIRE_WINDOW_DEFAULT};
	struct mp_value k;
	struct dibao_str s;
	unsigned seen = 0;
	struct in in;
	uint64_t u;
	int i;

	if (open_message(&in, frame, len, WIRE_HELLO))
		while (!in.why && next_key(&in, &k)) {
			if (is(&k, "pmin") &&
			    read_uint(&in, 65535, &u, "pmin: expected 0 to 65535")) {
				m.proto_min = (unsigned)u;
				seen |= PMIN;
			} else if (is(&k, "pmax") &&
				   read_uint(&in, 65535, &u, "pmax: expected 0 to 65535")) {
				m.proto_max = (unsigned)u;
				seen |= PMAX;
			} else if (is(&k, "bureau") &&
				   read_bytes(&in, MP_STR, 1, 16, &m.bureau,
					      "bureau: expected 1 to 16 bytes")) {
				seen |= BUREAU;
			} else if (is(&k, "name")) {
				if (read_bytes(&in, MP_STR, 1, WIRE_NAME_MAX, &m.durable,
					       "name: expected 1 to 64 bytes") &&
				    !name_is_valid(m.durable))
					in.why = "name: expected A-Z a-z 0-9 . _ -";
			} else if (is(&k, "inst") &&
				   read_bytes(&in, MP_BIN, WIRE_INSTANCE_BYTES, WIRE_INSTANCE_BYTES,
					      &s, "inst: expected 16 bytes of binary")) {
				memcpy(m.instance, s.p, s.len);
				seen |= INST;
			} else if (is(&k, "types")) {
				read_list(&in, m.types, WIRE_TYPES_MAX, 32, &m.n_types,
					  "types: expected at most 32 names of 1 to 32 bytes");
			} else if (is(&k, "orgs")) {
				read_list(&in, m.orgs, WIRE_ORGS_MAX, DIBAO_ORG_BYTES, &m.n_orgs,
					  "orgs: expected at most 64 codes of 1 to 12 digits");
			} else if (is(&k, "from")) {
				if (read_bytes(&in, MP_STR, 1, 16, &s, "from: expected a string")) {
					i = find_text(starts, 4, s);
					if (i < 0)
						in.why = "from: expected resume, new, time or last";
					else
						m.from = (enum dibao_start)i;
				}
			} else if (is(&k, "arg")) {
				read_int(&in, &m.from_arg, "arg: expected an integer");
			} else if (is(&k, "view")) {
				if (read_bytes(&in, MP_STR, 1, 16, &s, "view: expected a string")) {
					i = find_text(views, 2, s);
					if (i < 0)
						in.why = "view: expected full or public";
					m.public_view = i == 1;
				}
			} else if (is(&k, "win") &&
				   read_uint(&in, UINT32_MAX, &u, "win: expected bytes")) {
				m.window_bytes = (uint32_t)u;
			} else if (!in.why && !mp_skip(&in.c, MP_DEPTH_MAX)) {
				in.why = "expected one msgpack map";
			}
		}
	i = done(&in, seen == ALL, "expected pmin, pmax, bureau and inst", ret_why);
	if (i == 0)
		*ret = m;
	return i;
}

int wire_welcome_unpack(struct wire_welcome *ret, const void *frame, size_t len,
			const char **ret_why)
{
	enum { PROTO = 1, LEASE = 2, BEAT = 4, CHANS = 8, ALL = 15 };
	struct wire_welcome m = {.window_bytes = WIRE_WINDOW_MIN};
	struct mp_value k, v;
	struct dibao_str s;
	unsigned seen = 0;
	struct in in;
	uint64_t u;
	int r;

	if (open_message(&in, frame, len, WIRE_WELCOME))
		while (!in.why && next_key(&in, &k)) {
			if (is(&k, "proto")) {
				if (read_uint(&in, 65535, &u, "proto: expected 1 to 65535"))
					m.proto = (unsigned)u;
				seen |= PROTO;
			} else if (is(&k, "epoch")) {
				read_uint(&in, UINT64_MAX, &m.epoch, "epoch: expected an integer");
			} else if (is(&k, "ctr")) {
				read_uint(&in, UINT64_MAX, &m.counter, "ctr: expected an integer");
			} else if (is(&k, "lease")) {
				if (read_uint(&in, UINT32_MAX, &u, "lease: expected ms"))
					m.lease_ms = (uint32_t)u;
				seen |= LEASE;
			} else if (is(&k, "beat")) {
				if (read_uint(&in, UINT32_MAX, &u, "beat: expected ms"))
					m.beat_ms = (uint32_t)u;
				seen |= BEAT;
			} else if (is(&k, "win")) {
				if (read_uint(&in, UINT32_MAX, &u, "win: expected bytes"))
					m.window_bytes = (uint32_t)u;
			} else if (is(&k, "view")) {
				if (read_bytes(&in, MP_STR, 1, 16, &s, "view: expected a string"))
					m.public_view = s.len == 6 && !memcmp(s.p, "public", 6);
			} else if (is(&k, "chans")) {
				seen |= CHANS;
				if (!mp_read(&in.c, &v) || v.kind != MP_ARRAY) {
					in.why = "chans: expected a list";
					break;
				}
				for (uint32_t i = 0, n = v.n; i < n && !in.why; i++)
					if (read_uint(&in, DIBAO_CHANNEL_COUNT - 1, &u,
						      "chans: expected 0 to 3"))
						m.channels |= (uint8_t)(1u << u);
			} else if (is(&k, "clock")) {
				read_int(&in, &m.clock_ms, "clock: expected ms");
			} else if (!mp_skip(&in.c, MP_DEPTH_MAX)) {
				in.why = "expected one msgpack map";
			}
		}
	r = done(&in, seen == ALL, "expected proto, lease, beat and chans", ret_why);
	if (r == 0)
		*ret = m;
	return r;
}

int wire_standby_unpack(int64_t *ret_clock_ms, const void *frame, size_t len)
{
	struct mp_value k;
	int64_t clock = 0;
	struct in in;

	if (open_message(&in, frame, len, WIRE_STANDBY))
		while (!in.why && next_key(&in, &k)) {
			if (is(&k, "clock"))
				read_int(&in, &clock, "clock: expected ms");
			else if (!mp_skip(&in.c, MP_DEPTH_MAX))
				in.why = "expected one msgpack map";
		}
	if (in.why)
		return -EBADMSG;
	*ret_clock_ms = clock;
	return 0;
}

int wire_lost_unpack(struct wire_lost *ret, const void *frame, size_t len, const char **ret_why)
{
	enum { CH = 1, FROM = 2, TO = 4, ALL = 7 };
	struct wire_lost m = {0};
	struct mp_value k;
	unsigned seen = 0;
	struct in in;
	uint64_t u;
	int r;

	if (open_message(&in, frame, len, WIRE_LOST))
		while (!in.why && next_key(&in, &k)) {
			if (is(&k, "ch")) {
				if (read_uint(&in, DIBAO_CHANNEL_COUNT - 1, &u,
					      "ch: expected 0 to 3"))
					m.channel = (uint8_t)u;
				seen |= CH;
			} else if (is(&k, "from")) {
				read_int(&in, &m.from_ms, "from: expected ms");
				seen |= FROM;
			} else if (is(&k, "to")) {
				read_int(&in, &m.to_ms, "to: expected ms");
				seen |= TO;
			} else if (is(&k, "why")) {
				read_bytes(&in, MP_STR, 0, WIRE_TEXT_MAX, &m.reason,
					   "why: expected a string");
			} else if (!mp_skip(&in.c, MP_DEPTH_MAX)) {
				in.why = "expected one msgpack map";
			}
		}
	r = done(&in, seen == ALL, "expected ch, from and to", ret_why);
	if (r == 0)
		*ret = m;
	return r;
}

int wire_receipt_unpack(struct wire_receipt *ret, const void *frame, size_t len,
			const char **ret_why)
{
	enum { ID = 1, KEY = 2, ST = 4, AT = 8, ALL = 15 };
	struct wire_receipt m = {0};
	struct mp_value k;
	unsigned seen = 0;
	struct in in;
	uint64_t u;
	int r;

	if (open_message(&in, frame, len, WIRE_RECEIPT))
		while (!in.why && next_key(&in, &k)) {
			if (is(&k, "id")) {
				read_uint(&in, UINT64_MAX, &m.id, "id: expected an integer");
				seen |= ID;
			} else if (is(&k, "key")) {
				read_bytes(&in, MP_BIN, 1, DIBAO_UID_MAX_BYTES, &m.key,
					   "key: expected 1 to 64 bytes of binary");
				seen |= KEY;
			} else if (is(&k, "st")) {
				if (read_uint(&in, 255, &u, "st: expected 1 to 255") && u > 0)
					m.state = (unsigned)u;
				else
					in.why = "st: expected 1 to 255";
				seen |= ST;
			} else if (is(&k, "at")) {
				read_int(&in, &m.at_ms, "at: expected ms");
				seen |= AT;
			} else if (is(&k, "d")) {
				read_bytes(&in, MP_STR, 0, WIRE_TEXT_MAX, &m.detail,
					   "d: expected at most 256 bytes");
			} else if (!mp_skip(&in.c, MP_DEPTH_MAX)) {
				in.why = "expected one msgpack map";
			}
		}
	r = done(&in, seen == ALL, "expected id, key, st and at", ret_why);
	if (r == 0)
		*ret = m;
	return r;
}

int wire_confirm_unpack(uint64_t *ret_id, int *ret_err, const void *frame, size_t len)
{
	uint64_t id = 0, err = 0;
	bool seen = false;
	struct mp_value k;
	struct in in;

	if (open_message(&in, frame, len, WIRE_CONFIRM))
		while (!in.why && next_key(&in, &k)) {
			if (is(&k, "id"))
				seen = read_uint(&in, UINT64_MAX, &id, "id: expected an integer");
			else if (is(&k, "err"))
				read_uint(&in, 255, &err, "err: expected an integer");
			else if (!mp_skip(&in.c, MP_DEPTH_MAX))
				in.why = "expected one msgpack map";
		}
	if (in.why || !seen)
		return -EBADMSG;
	*ret_id = id;
	*ret_err = (int)err;
	return 0;
}

int wire_goodbye_unpack(struct wire_goodbye *ret, const void *frame, size_t len)
{
	const uint8_t *p = frame;
	struct wire_goodbye m = {0};
	bool seen = false;
	struct mp_value k;
	struct in in;
	uint64_t u;

	if (len && open_message(&in, frame, len, p[0] == WIRE_BYE ? WIRE_BYE : WIRE_GOODBYE)) {
		while (!in.why && next_key(&in, &k)) {
			if (is(&k, "why")) {
				seen = read_uint(&in, 255, &u, "why: expected an integer");
				m.reason = seen ? (unsigned)u : 0;
			} else if (is(&k, "text")) {
				read_bytes(&in, MP_STR, 0, WIRE_TEXT_MAX, &m.text,
					   "text: expected a string");
			} else if (!mp_skip(&in.c, MP_DEPTH_MAX)) {
				in.why = "expected one msgpack map";
			}
		}
	} else {
		return -EBADMSG;
	}
	if (in.why || !seen)
		return -EBADMSG;
	*ret = m;
	return 0;
}
