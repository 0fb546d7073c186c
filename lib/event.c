/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parsing: bytes to a view, in one walk.
 *
 * The walk knows for each map which slots may stand in it (types.h) and tries the one after the
 * last found first, so an event that was encoded in the table's order costs one comparison a key.
 * Unknown keys are skipped with full checking. The body is checked against its type when type and
 * retracts are known, which is at once where it stands last, as the encoder puts it; else after the
 * envelope.
 */
#include "mpread.h"
#include "types.h"

#include <endian.h>
#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct walk {
	struct mp_cursor c;
	const uint8_t *start;
	struct dibao_event *ev;
	const struct flat *flat;
	struct dibao_error *err;
	uint64_t seen; /* slots found */
	const uint8_t *body_at;
};

__attribute__((format(printf, 4, 5))) static int fail(struct dibao_error *err, int code,
						      const char *field, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	err->code = code;
	err->line = 0;
	snprintf(err->field, sizeof err->field, "%s", field);
	va_start(ap, fmt);
	vsnprintf(err->reason, sizeof err->reason, fmt, ap);
	va_end(ap);
	return code;
}

static bool all_digits(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] < '0' || p[i] > '9')
			return false;
	return true;
}

static bool date_is_valid(const uint8_t *p, size_t n)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int y, m, d;

	if (n != 10 || p[4] != '-' || p[7] != '-' || !all_digits(p, 4) || !all_digits(p + 5, 2) ||
	    !all_digits(p + 8, 2))
		return false;
	y = (p[0] - '0') * 1000 + (p[1] - '0') * 100 + (p[2] - '0') * 10 + p[3] - '0';
	m = (p[5] - '0') * 10 + p[6] - '0';
	d = (p[8] - '0') * 10 + p[9] - '0';
	if (y < 1900 || y > 2199 || m < 1 || m > 12 || d < 1)
		return false;
	if (m == 2 && d == 29)
		return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
	return d <= days[m - 1];
}

static bool choice_is_valid(const char *choices, const uint8_t *p, size_t n)
{
	while (*choices) {
		size_t len = strcspn(choices, "|");

		if (len == n && !memcmp(choices, p, n))
			return true;
		choices += len + (choices[len] == '|');
	}
	return false;
}

static const char *kind_name(enum dibao_kind k)
{
	static const char *const names[] = {
		[DIBAO_KIND_STR] = "a string",	     [DIBAO_KIND_INT] = "an integer",
		[DIBAO_KIND_MS] = "Unix ms",	     [DIBAO_KIND_DATE] = "a date YYYY-MM-DD",
		[DIBAO_KIND_BOOL] = "true or false", [DIBAO_KIND_BIN] = "binary",
		[DIBAO_KIND_CHOICE] = "a string",    [DIBAO_KIND_DIGITS] = "a string of digits",
		[DIBAO_KIND_MAP] = "a map",	     [DIBAO_KIND_ANY] = "a value",
	};

	return names[k];
}

static int check_string(struct walk *w, uint8_t slot, const struct mp_value *v)
{
	const struct dibao_field_spec *s = w->flat->specs[slot];
	const char *path = w->flat->paths[slot];

	if (v->kind != MP_STR)
		return fail(w->err, -EINVAL, path, "expected %s", kind_name(s->kind));
	if (s->kind == DIBAO_KIND_CHOICE)
		return choice_is_valid(s->choices, v->p, v->n)
			       ? 0
			       : fail(w->err, -EINVAL, path, "expected one of %s", s->choices);
	if (v->n < s->min || v->n > s->max)
		return fail(w->err, -EINVAL, path, "expected %lld to %lld bytes, got %u",
			    (long long)s->min, (long long)s->max, v->n);
	if (s->kind == DIBAO_KIND_DIGITS)
		return all_digits(v->p, v->n)
			       ? 0
			       : fail(w->err, -EINVAL, path, "expected decimal digits only");
	if (s->kind == DIBAO_KIND_DATE)
		return date_is_valid(v->p, v->n) ? 0
						 : fail(w->err, -EINVAL, path,
							"expected a date YYYY-MM-DD that exists");
	if (!utf8_is_valid(v->p, v->n))
		return fail(w->err, -EBADMSG, path, "not UTF-8");
	if (text_has_control(v->p, v->n))
		return fail(w->err, -EINVAL, path, "holds a control character");
	return 0;
}

static int check_number(struct walk *w, uint8_t slot, const struct mp_value *v)
{
	const struct dibao_field_spec *s = w->flat->specs[slot];
	const char *path = w->flat->paths[slot];

	if (v->kind != MP_UINT && v->kind != MP_INT)
		return fail(w->err, -EINVAL, path, "expected %s", kind_name(s->kind));
	if ((v->kind == MP_UINT && v->u > (uint64_t)s->max) || (v->kind == MP_INT && v->i < s->min))
		return fail(w->err, -EINVAL, path, "expected %lld to %lld", (long long)s->min,
			    (long long)s->max);
	return 0;
}

static int walk_map(struct walk *w, uint32_t count, uint8_t first, uint64_t required,
		    const char *path, unsigned depth);

static int check_value(struct walk *w, uint8_t slot, unsigned depth)
{
	const struct flat_key *f = &w->flat->keys[slot];
	const struct dibao_field_spec *s = w->flat->specs[slot];
	const char *path = w->flat->paths[slot];
	const uint8_t *at = w->c.p;
	struct mp_value v;
	const char *why;
	int r = 0;

	if (f->kind == DIBAO_KIND_ANY) {
		why = mp_skip_checked(&w->c, depth - 1);
		if (why)
			return fail(w->err, -EBADMSG, path, "%s", why);
	} else {
		if (!mp_read(&w->c, &v))
			return fail(w->err, -EBADMSG, path, "not sound msgpack");
		switch (f->kind) {
		case DIBAO_KIND_MAP:
			if (v.kind != MP_MAP)
				return fail(w->err, -EINVAL, path, "expected a map");
			r = walk_map(w, v.n, f->child, w->flat->required[slot], path, depth - 1);
			break;
		case DIBAO_KIND_INT:
		case DIBAO_KIND_MS:
			r = check_number(w, slot, &v);
			break;
		case DIBAO_KIND_BOOL:
			if (v.kind != MP_BOOL)
				r = fail(w->err, -EINVAL, path, "expected true or false");
			break;
		case DIBAO_KIND_BIN:
			if (v.kind != MP_BIN || v.n < s->min || v.n > s->max)
				r = fail(w->err, -EINVAL, path,
					 "expected %lld to %lld bytes of binary", (long long)s->min,
					 (long long)s->max);
			break;
		default:
			r = check_string(w, slot, &v);
		}
	}
	if (r < 0)
		return r;
	w->ev->slot_[slot].off = (uint16_t)(at - w->start);
	w->ev->slot_[slot].len = (uint16_t)(w->c.p - at);
	return 0;
}

/* The first 8 bytes of a key, zeros after its end; `end` is the end of the bytes it lies in. */
static inline uint64_t head_of(const struct mp_value *key, const uint8_t *end)
{
	uint64_t head = 0;

	if (end - key->p >= 8) {
		memcpy(&head, key->p, 8);
		/* In memory order, so that it compares with what flat.c made. */
		return key->n >= 8 ? head : htole64(le64toh(head) & ((1ull << 8 * key->n) - 1));
	}
	memcpy(&head, key->p, key->n < sizeof head ? key->n : sizeof head);
	return head;
}

/* Slot of a key among siblings, looked for from `hint` on, once round; -1: unknown. */
static inline int find_key(const struct flat *flat, uint8_t first, uint8_t hint,
			   const struct mp_value *key, const uint8_t *end)
{
	uint64_t head = head_of(key, end);
	uint8_t at = hint;

	do {
		const struct flat_key *k = &flat->keys[at];

		if (k->head == head && k->len == key->n &&
		    (key->n <= sizeof head || !memcmp(flat->specs[at]->name, key->p, key->n)))
			return at;
		at = k->next ? k->next : first;
	} while (at != hint);
	return -1;
}

static void path_of_key(char *buf, size_t cap, const char *path, const struct mp_value *key)
{
	/* An unknown key may be anything a peer wrote: it is not repeated. */
	(void)key;
	snprintf(buf, cap, "%s%s(unknown key)", path, *path ? "." : "");
}

static int skip_unknown(struct walk *w, const char *path, const struct mp_value *key,
			const struct mp_value *unknown, uint32_t n_unknown, unsigned depth)
{
	char where[64];
	const char *why;

	path_of_key(where, sizeof where, path, key);
	if (!utf8_is_valid(key->p, key->n))
		return fail(w->err, -EBADMSG, where, "not UTF-8");
	for (uint32_t i = 0; i < n_unknown; i++)
		if (unknown[i].n == key->n && !memcmp(unknown[i].p, key->p, key->n))
			return fail(w->err, -EBADMSG, where, "a key that stands twice");
	why = mp_skip_checked(&w->c, depth - 1);
	if (why)
		return fail(w->err, -EBADMSG, where, "%s", why);
	w->ev->n_unknown++;
	return 0;
}

static int missing(struct walk *w, uint64_t slots)
{
	return fail(w->err, -EINVAL, w->flat->paths[__builtin_ctzll(slots)], "missing");
}

/* The body where it stands: now if all is known that decides its form, else later. */
static int walk_body(struct walk *w, bool last)
{
	const uint8_t *at = w->c.p;
	const char *why;

	if (last && (w->seen >> SLOT_TYPE & 1)) {
		w->body_at = at;
		return 1;
	}
	why = mp_skip_checked(&w->c, MP_DEPTH_MAX - 1);
	if (why)
		return fail(w->err, -EBADMSG, "body", "%s", why);
	w->body_at = at;
	return 0;
}

static int walk_map(struct walk *w, uint32_t count, uint8_t first, uint64_t required,
		    const char *path, unsigned depth)
{
	struct mp_value unknown[MP_KEYS_MAX], key;
	uint32_t n_unknown = 0;
	uint8_t hint = first;
	bool envelope = !*path, body_now = false;
	int r;

	if (count > MP_KEYS_MAX)
		return fail(w->err, -EBADMSG, path, "more than 64 keys in a map");
	if (depth == 0)
		return fail(w->err, -EBADMSG, path, "nested too deep");
	for (uint32_t i = 0; i < count; i++) {
		int slot;

		if (!mp_read(&w->c, &key))
			return fail(w->err, -EBADMSG, path, "not sound msgpack");
		if (key.kind != MP_STR)
			return fail(w->err, -EBADMSG, path, "a key that is not a string");
		slot = first || envelope ? find_key(w->flat, first, hint, &key, w->c.end) : -1;
		if (slot < 0) {
			r = skip_unknown(w, path, &key, unknown, n_unknown, depth);
			if (r < 0)
				return r;
			unknown[n_unknown++] = key;
			continue;
		}
		if (w->seen >> slot & 1)
			return fail(w->err, -EBADMSG, w->flat->paths[slot],
				    "a key that stands twice");
		w->seen |= 1ull << slot;
		hint = w->flat->keys[slot].next ? w->flat->keys[slot].next : first;
		if (envelope && slot == w->flat->body) {
			r = walk_body(w, i + 1 == count);
			body_now = r == 1;
		} else {
			r = check_value(w, (uint8_t)slot, depth);
		}
		if (r < 0)
			return r;
	}
	required &= ~w->seen;
	return required ? missing(w, required) : body_now;
}

static struct dibao_str string_at(const struct dibao_event *ev, unsigned slot)
{
	struct mp_cursor c = {ev->bytes + ev->slot_[slot].off,
			      ev->bytes + ev->slot_[slot].off + ev->slot_[slot].len};
	struct mp_value v;

	if (!ev->slot_[slot].len || !mp_read(&c, &v) || v.kind != MP_STR)
		return (struct dibao_str){NULL, 0};
	return (struct dibao_str){(const char *)v.p, v.n};
}

static int64_t number_at(const struct dibao_event *ev, unsigned slot)
{
	struct mp_cursor c = {ev->bytes + ev->slot_[slot].off,
			      ev->bytes + ev->slot_[slot].off + ev->slot_[slot].len};
	struct mp_value v;

	if (!ev->slot_[slot].len || !mp_read(&c, &v) || (v.kind != MP_UINT && v.kind != MP_INT))
		return 0;
	return v.i;
}

static bool true_at(const struct dibao_event *ev, unsigned slot)
{
	return ev->slot_[slot].len == 1 && ev->bytes[ev->slot_[slot].off] == 0xc3;
}

/* The named members, from the slots. */
static void fill(struct dibao_event *ev)
{
	size_t n;

	ev->type_name = string_at(ev, SLOT_TYPE);
	ev->uid = string_at(ev, SLOT_UID);
	ev->org = string_at(ev, SLOT_ORG);
	ev->badge = string_at(ev, SLOT_BADGE);
	ev->retracts = string_at(ev, SLOT_RETRACTS);
	ev->corrects = string_at(ev, SLOT_CORRECTS);
	ev->follows = string_at(ev, SLOT_FOLLOWS);
	ev->at = number_at(ev, SLOT_AT);
	ev->not_before = number_at(ev, SLOT_NOT_BEFORE);
	ev->expires = number_at(ev, SLOT_EXPIRES);
	ev->urgent = true_at(ev, SLOT_URGENT);
	ev->record = true_at(ev, SLOT_RECORD);
	ev->type = dibao_type_find(ev->type_name.p ? ev->type_name.p : "", ev->type_name.len);
	if (ev->type < 0)
		ev->type = DIBAO_TYPE_UNKNOWN;
	ev->is_private = ev->type == DIBAO_TYPE_UNKNOWN || true_at(ev, SLOT_PRIVATE) ||
			 dibao_types(&n)[ev->type].audience == DIBAO_AUDIENCE_PRIVATE;
}

static bool badge_is_valid(struct dibao_str b)
{
	for (size_t i = 0; i < b.len; i++)
		if (!((b.p[i] >= '0' && b.p[i] <= '9') || (b.p[i] >= 'A' && b.p[i] <= 'Z') ||
		      (b.p[i] >= 'a' && b.p[i] <= 'z')))
			return false;
	return true;
}

/* What involves more than one field. */
static int check_together(const struct dibao_event *ev, struct dibao_error *err)
{
	size_t n;
	const struct dibao_type_spec *types = dibao_types(&n);
	const struct flat *flat;

	if (number_at(ev, SLOT_V) != 1)
		return fail(err, -EPROTONOSUPPORT, "v", "expected 1");
	if (!badge_is_valid(ev->badge))
		return fail(err, -EINVAL, "person.badge", "expected 1 to 20 of 0-9 A-Z a-z");
	if (ev->retracts.p && ev->corrects.p)
		return fail(err, -EINVAL, "corrects", "not together with retracts");
	if (ev->type == DIBAO_TYPE_UNKNOWN)
		return 0;
	if (!ev->slot_[SLOT_PERSON].len && !types[ev->type].person_optional)
		return fail(err, -EINVAL, "person", "missing");
	if (ev->retracts.p)
		return 0;
	flat = types_flat(ev->type);
	if (flat->state && string_at(ev, flat->state).len == sizeof "proposed" - 1) {
		if (!ev->slot_[flat->notice_until].len)
			return fail(err, -EINVAL, "body.notice_until",
				    "missing: required when proposed");
		if (!ev->slot_[flat->contact].len)
			return fail(err, -EINVAL, "body.contact",
				    "missing: required when proposed");
	}
	return 0;
}

static int parse_body(struct walk *w)
{
	struct mp_value v;
	const char *why;
	int r;

	if (w->ev->retracts.p)
		w->flat = types_flat(FLAT_RETRACTION);
	else
		w->flat = types_flat(w->ev->type);
	w->c.p = w->body_at;
	if (w->ev->type == DIBAO_TYPE_UNKNOWN && !w->ev->retracts.p) {
		why = mp_skip_checked(&w->c, MP_DEPTH_MAX - 1);
		if (why)
			return fail(w->err, -EBADMSG, "body", "%s", why);
	} else {
		if (!mp_read(&w->c, &v))
			return fail(w->err, -EBADMSG, "body", "not sound msgpack");
		if (v.kind != MP_MAP)
			return fail(w->err, -EINVAL, "body", "expected a map");
		r = walk_map(w, v.n, w->flat->keys[w->flat->body].child,
			     w->flat->required[w->flat->body], "body", MP_DEPTH_MAX - 1);
		if (r < 0)
			return r;
	}
	w->ev->slot_[SLOT_BODY].off = (uint16_t)(w->body_at - w->start);
	w->ev->slot_[SLOT_BODY].len = (uint16_t)(w->c.p - w->body_at);
	return 0;
}

int dibao_event_parse(struct dibao_event *ret, const void *bytes, size_t len,
		      struct dibao_error *err)
{
	struct dibao_event ev = {.bytes = bytes, .len = len};
	struct walk w = {.c = {bytes, (const uint8_t *)bytes + len},
			 .start = bytes,
			 .ev = &ev,
			 .flat = types_flat(DIBAO_TYPE_UNKNOWN),
			 .err = err};
	struct mp_value v;
	bool body_last;
	int r;

	if (len > DIBAO_EVENT_MAX_BYTES)
		return fail(err, -EMSGSIZE, "", "expected at most %u bytes, got %zu",
			    DIBAO_EVENT_MAX_BYTES, len);
	if (!mp_read(&w.c, &v))
		return fail(err, -EBADMSG, "", "not sound msgpack");
	if (v.kind != MP_MAP)
		return fail(err, -EBADMSG, "", "expected a map");
	r = walk_map(&w, v.n, SLOT_V, w.flat->required_top, "", MP_DEPTH_MAX);
	if (r < 0)
		return r;
	body_last = r == 1;
	fill(&ev);
	if (!body_last && w.c.p != w.c.end)
		return fail(err, -EBADMSG, "", "bytes after the end");
	r = parse_body(&w);
	if (r < 0)
		return r;
	if (body_last && w.c.p != w.c.end)
		return fail(err, -EBADMSG, "", "bytes after the end");
	r = check_together(&ev, err);
	if (r < 0)
		return r;
	*ret = ev;
	return 0;
}

int dibao_event_view(struct dibao_event *ret, const void *bytes, size_t len)
{
	struct dibao_event ev = {.bytes = bytes, .len = len};
	const struct flat *flat = types_flat(DIBAO_TYPE_UNKNOWN);
	struct mp_cursor c = {bytes, (const uint8_t *)bytes + len};
	struct mp_value v, key, inner;
	uint8_t hint = SLOT_V;

	if (len > DIBAO_EVENT_MAX_BYTES)
		return -EMSGSIZE;
	if (!mp_read(&c, &v) || v.kind != MP_MAP)
		return -EBADMSG;
	for (uint32_t i = 0; i < v.n; i++) {
		const uint8_t *at;
		int slot;

		if (!mp_read(&c, &key) || key.kind != MP_STR)
			return -EBADMSG;
		slot = find_key(flat, SLOT_V, hint, &key, c.end);
		at = c.p;
		if (slot == SLOT_PERSON && mp_read(&c, &inner) && inner.kind == MP_MAP) {
			for (uint32_t k = 0; k < inner.n; k++) {
				const uint8_t *value;
				int s;

				if (!mp_read(&c, &key) || key.kind != MP_STR)
					return -EBADMSG;
				s = find_key(flat, SLOT_BADGE, SLOT_BADGE, &key, c.end);
				value = c.p;
				if (!mp_skip(&c, MP_DEPTH_MAX))
					return -EBADMSG;
				if (s >= 0) {
					ev.slot_[s].off = (uint16_t)(value - ev.bytes);
					ev.slot_[s].len = (uint16_t)(c.p - value);
				}
			}
		} else {
			c.p = at;
			if (!mp_skip(&c, MP_DEPTH_MAX))
				return -EBADMSG;
		}
		if (slot >= 0) {
			ev.slot_[slot].off = (uint16_t)(at - ev.bytes);
			ev.slot_[slot].len = (uint16_t)(c.p - at);
			hint = flat->keys[slot].next ? flat->keys[slot].next : SLOT_V;
		}
	}
	fill(&ev);
	if (!ev.uid.p || !ev.type_name.p || ev.org.len != DIBAO_ORG_BYTES)
		return -EINVAL;
	*ret = ev;
	return 0;
}

/* ---- reading by path ---- */

/* The value at a dotted path, looked up in the bytes themselves. */
static int value_at(const struct dibao_event *ev, const char *path, struct mp_value *ret)
{
	struct mp_cursor c = {ev->bytes, ev->bytes + ev->len};
	struct mp_value v, key;

	if (!strncmp(path, "body.", 5) && ev->slot_[SLOT_BODY].len) {
		c.p = ev->bytes + ev->slot_[SLOT_BODY].off;
		path += 5;
	}
	if (!mp_read(&c, &v))
		return -EBADMSG;
	for (;;) {
		size_t n = strcspn(path, ".");
		bool found = false;

		if (v.kind != MP_MAP)
			return -ENOENT;
		for (uint32_t i = 0; i < v.n && !found; i++) {
			if (!mp_read(&c, &key) || key.kind != MP_STR)
				return -EBADMSG;
			found = key.n == n && !memcmp(key.p, path, n);
			if (!found && !mp_skip(&c, MP_DEPTH_MAX))
				return -EBADMSG;
		}
		if (!found)
			return -ENOENT;
		if (!mp_read(&c, &v))
			return -EBADMSG;
		if (!path[n]) {
			*ret = v;
			return 0;
		}
		path += n + 1;
	}
}

int dibao_event_str(const struct dibao_event *ev, const char *path, struct dibao_str *ret)
{
	struct mp_value v;
	int r = value_at(ev, path, &v);

	if (r < 0)
		return r;
	if (v.kind != MP_STR && v.kind != MP_BIN)
		return -EINVAL;
	*ret = (struct dibao_str){(const char *)v.p, v.n};
	return 0;
}

int dibao_event_int(const struct dibao_event *ev, const char *path, int64_t *ret)
{
	struct mp_value v;
	int r = value_at(ev, path, &v);

	if (r < 0)
		return r;
	if (v.kind == MP_INT ? false : v.kind != MP_UINT || v.u > INT64_MAX)
		return -EINVAL;
	*ret = v.i;
	return 0;
}

int dibao_event_bool(const struct dibao_event *ev, const char *path, bool *ret)
{
	struct mp_value v;
	int r = value_at(ev, path, &v);

	if (r < 0)
		return r;
	if (v.kind != MP_BOOL)
		return -EINVAL;
	*ret = v.boolean;
	return 0;
}

bool dibao_org_within(const char *org, size_t org_len, const char *prefix, size_t prefix_len)
{
	return prefix_len <= org_len && !memcmp(org, prefix, prefix_len);
}

void dibao_event_hash(const void *bytes, size_t len, uint8_t ret_hash[16])
{
	crypto_generichash(ret_hash, 16, bytes, len, NULL, 0);
}
