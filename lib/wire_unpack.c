/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control messages from bytes that anyone may have sent. The whole map is checked first (depth,
 * lengths, each key once), then read in one pass: known keys by their type and bounds, others
 * skipped. The first fault is the one that is told.
 */
#include "mpread.h"
#include "wire.h"
#include "wire_parts.h"

#include <errno.h>

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

enum { FEATURES_MAX = 16 };

/* Which of the features that we know are in the list. */
static void read_features(struct in *in, bool *ret_publishes)
{
	struct dibao_str list[FEATURES_MAX];
	unsigned n = 0;

	read_list(in, list, FEATURES_MAX, 32, &n,
		  "feat: expected at most 16 names of 1 to 32 bytes");
	for (unsigned i = 0; i < n; i++)
		*ret_publishes |= list[i].len == wire_publish_feature.len &&
				  !memcmp(list[i].p, wire_publish_feature.p, list[i].len);
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
			} else if (is(&k, "feat")) {
				read_features(&in, &m.publishes);
			} else if (is(&k, "types")) {
				read_list(&in, m.types, WIRE_TYPES_MAX, 32, &m.n_types,
					  "types: expected at most 32 names of 1 to 32 bytes");
			} else if (is(&k, "orgs")) {
				read_list(&in, m.orgs, WIRE_ORGS_MAX, DIBAO_ORG_BYTES, &m.n_orgs,
					  "orgs: expected at most 64 codes of 1 to 12 digits");
			} else if (is(&k, "from")) {
				if (read_bytes(&in, MP_STR, 1, 16, &s, "from: expected a string")) {
					i = find_text(wire_start_names, WIRE_STARTS, s);
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
			} else if (is(&k, "feat")) {
				read_features(&in, &m.publishes);
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
