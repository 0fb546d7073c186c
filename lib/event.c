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
#include "text.h"
#include "types.h"

#include <errno.h>
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

__attribute__((cold, format(printf, 4, 5))) static int fail(struct dibao_error *err, int code,
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

static int refuse_length(struct walk *w, uint8_t slot, uint32_t n)
{
	const struct dibao_field_spec *s = w->flat->specs[slot];

	if (s->min == s->max)
		return fail(w->err, -EINVAL, w->flat->paths[slot], "expected %lld bytes, got %u",
			    (long long)s->min, n);
	return fail(w->err, -EINVAL, w->flat->paths[slot], "expected %lld to %lld bytes, got %u",
		    (long long)s->min, (long long)s->max, n);
}

static int refuse_kind(struct walk *w, uint8_t slot)
{
	return fail(w->err, -EINVAL, w->flat->paths[slot], "expected %s",
		    kind_name(w->flat->specs[slot]->kind));
}

static bool is_choice(const struct flat *flat, const struct flat_key *k, const struct mp_value *v)
{
	const struct flat_word *word = &flat->words[k->min];

	for (unsigned i = 0; i < k->max; i++, word++)
		if (word->len == v->n && !memcmp(word->p, v->p, v->n))
			return true;
	return false;
}

static int check_string(struct walk *w, uint8_t slot, const struct mp_value *v)
{
	const struct flat_key *k = &w->flat->keys[slot];
	const char *path = w->flat->paths[slot];
	enum text text;

	if (v->kind != MP_STR)
		return refuse_kind(w, slot);
	if (k->kind == DIBAO_KIND_CHOICE)
		return is_choice(w->flat, k, v) ? 0
						: fail(w->err, -EINVAL, path, "expected one of %s",
						       w->flat->specs[slot]->choices);
	if (v->n < k->min || v->n > k->max)
		return refuse_length(w, slot, v->n);
	if (k->kind == DIBAO_KIND_DIGITS)
		return text_is_digits(v->p, v->n)
			       ? 0
			       : fail(w->err, -EINVAL, path, "expected decimal digits only");
	if (k->kind == DIBAO_KIND_DATE)
		return text_is_date(v->p, v->n) ? 0
						: fail(w->err, -EINVAL, path,
						       "expected a date YYYY-MM-DD that exists");
	text = text_check(v->p, v->n, w->c.end);
	if (text == TEXT_GOOD)
		return 0;
	return text == TEXT_CONTROL ? fail(w->err, -EINVAL, path, "holds a control character")
				    : fail(w->err, -EBADMSG, path, "not UTF-8");
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

/* Sets the member of the view that shows a field, if there is one. */
static inline void show(struct dibao_event *ev, const struct flat_key *k, const struct mp_value *v)
{
	void *member = (char *)ev + k->into;

	if (!k->into)
		return;
	if (v->kind == MP_STR)
		*(struct dibao_str *)member = (struct dibao_str){(const char *)v->p, v->n};
	else if (v->kind == MP_BOOL)
		*(bool *)member = v->boolean;
	else
		*(int64_t *)member = v->i;
}

static int check_value(struct walk *w, uint8_t slot, unsigned depth)
{
	const struct flat_key *k = &w->flat->keys[slot];
	struct mp_value v;
	const char *why;
	int r = 0;

	if (k->kind == DIBAO_KIND_ANY) {
		why = mp_skip_checked(&w->c, depth - 1);
		if (why)
			return fail(w->err, -EBADMSG, w->flat->paths[slot], "%s", why);
	} else {
		if (!mp_read(&w->c, &v))
			return fail(w->err, -EBADMSG, w->flat->paths[slot], "not sound msgpack");
		switch (k->kind) {
		case DIBAO_KIND_MAP:
			if (v.kind != MP_MAP)
				return refuse_kind(w, slot);
			r = walk_map(w, v.n, k->child, w->flat->required[slot],
				     w->flat->paths[slot], depth - 1);
			break;
		case DIBAO_KIND_INT:
		case DIBAO_KIND_MS:
			r = check_number(w, slot, &v);
			break;
		case DIBAO_KIND_BOOL:
			if (v.kind != MP_BOOL)
				r = refuse_kind(w, slot);
			break;
		case DIBAO_KIND_BIN:
			if (v.kind != MP_BIN)
				r = refuse_kind(w, slot);
			else if (v.n < k->min || v.n > k->max)
				r = refuse_length(w, slot, v.n);
			break;
		default:
			r = check_string(w, slot, &v);
		}
		if (r == 0)
			show(w->ev, k, &v);
	}
	return r;
}

/* Reads a key if it is `hint` or one of its siblings, once round. -1: it is none of them, or too
 * near the end to be looked at by words, or oddly encoded; the cursor has not moved then. */
static inline int read_key(const struct flat *flat, uint8_t hint, struct mp_cursor *c)
{
	const uint8_t *p = c->p;
	size_t left = (size_t)(c->end - p);
	uint8_t at = hint;
	uint64_t head;

	if (left < 9)
		return -1;
	head = text_word(p + 1);
	do {
		const struct flat_key *k = &flat->keys[at];

		if (*p == k->tag && (head & k->mask) == k->head) {
			size_t len = k->len;

			if (len <= 8 ||
			    (left > len && text_word(p + len - 7) == k->tail &&
			     (len <= 16 || !memcmp(p + 1, flat->specs[at]->name, len)))) {
				c->p = p + 1 + len;
				return at;
			}
		}
		at = k->ring;
	} while (at != hint);
	return -1;
}

/* The same of a key already read. */
static int find_key(const struct flat *flat, uint8_t first, const struct mp_value *key)
{
	uint8_t at = first;

	do {
		const struct flat_key *k = &flat->keys[at];

		if (k->len == key->n && !memcmp(flat->specs[at]->name, key->p, key->n))
			return at;
		at = k->next;
	} while (at);
	return -1;
}

/* Keys of one map that the table does not know, by their places. */
struct unknown {
	uint32_t n;
	struct {
		uint16_t off, len;
	} keys[MP_KEYS_MAX];
};

static int skip_unknown(struct walk *w, const char *path, const struct mp_value *key,
			struct unknown *u, unsigned depth)
{
	char where[64];
	const char *why;

	/* It may be anything a peer wrote: it is not repeated. */
	snprintf(where, sizeof where, "%s%s(unknown key)", path, *path ? "." : "");
	if (!utf8_is_valid(key->p, key->n))
		return fail(w->err, -EBADMSG, where, "not UTF-8");
	for (uint32_t i = 0; i < u->n; i++)
		if (u->keys[i].len == key->n && !memcmp(w->start + u->keys[i].off, key->p, key->n))
			return fail(w->err, -EBADMSG, where, "a key that stands twice");
	why = mp_skip_checked(&w->c, depth - 1);
	if (why)
		return fail(w->err, -EBADMSG, where, "%s", why);
	u->keys[u->n].off = (uint16_t)(key->p - w->start);
	u->keys[u->n++].len = (uint16_t)key->n;
	w->ev->n_unknown++;
	return 0;
}

/* A key that read_key() left: its slot, or -1 for one that the table does not know, which was
 * skipped with its value. */
static __attribute__((noinline)) int other_key(struct walk *w, bool in_table, uint8_t first,
					       const char *path, struct unknown *unknown,
					       unsigned depth)
{
	struct mp_value key;
	int slot, r;

	if (!mp_read(&w->c, &key))
		return fail(w->err, -EBADMSG, path, "not sound msgpack");
	if (key.kind != MP_STR)
		return fail(w->err, -EBADMSG, path, "a key that is not a string");
	slot = in_table ? find_key(w->flat, first, &key) : -1;
	if (slot >= 0)
		return slot;
	r = skip_unknown(w, path, &key, unknown, depth);
	return r < 0 ? r : -1;
}

static int missing(struct walk *w, uint64_t slots)
{
	return fail(w->err, -EINVAL, w->flat->paths[__builtin_ctzll(slots)], "missing");
}

/* The body where it stands: if it is last and its type known, it is not looked at yet (1). Else it
 * is skipped, for what comes after it decides its form. */
static int walk_body(struct walk *w, bool last)
{
	const char *why;

	w->body_at = w->c.p;
	if (last && (w->seen >> SLOT_TYPE & 1))
		return 1;
	why = mp_skip_checked(&w->c, MP_DEPTH_MAX - 1);
	return why ? fail(w->err, -EBADMSG, "body", "%s", why) : 0;
}

/* A string under 256 bytes at p, of good length and text: its end. NULL: look closer. */
static inline const uint8_t *plain_string(const struct flat_key *k, const uint8_t *p,
					  const uint8_t *end, struct dibao_str *ret)
{
	size_t n;

	if (end - p < 2)
		return NULL;
	if ((*p & 0xe0) == 0xa0) {
		n = *p & 0x1f;
		p += 1;
	} else if (*p == 0xd9) {
		n = p[1];
		p += 2;
	} else {
		return NULL;
	}
	if (n > (size_t)(end - p) || n < k->min || n > k->max ||
	    (!text_is_short_ascii(p, n, end) && text_check(p, n, end) != TEXT_GOOD))
		return NULL;
	*ret = (struct dibao_str){(const char *)p, n};
	return p + n;
}

/* 0; of the envelope 1 if the body is still to be read where the cursor stands. */
static int walk_map(struct walk *w, uint32_t count, uint8_t first, uint64_t required,
		    const char *path, unsigned depth)
{
	const struct flat *flat = w->flat;
	const bool envelope = !*path, in_table = first || envelope;
	struct dibao_event *ev = w->ev;
	struct unknown unknown;
	uint8_t hint = first;
	int r = 0;

	if (count > MP_KEYS_MAX)
		return fail(w->err, -EBADMSG, path, "more than 64 keys in a map");
	if (depth == 0)
		return fail(w->err, -EBADMSG, path, "nested too deep");
	unknown.n = 0;
	for (; count > 0; count--) {
		int slot = in_table ? read_key(flat, hint, &w->c) : -1;
		const struct flat_key *k;
		const uint8_t *at, *end;
		struct dibao_str str;

		if (slot < 0) {
			slot = other_key(w, in_table, first, path, &unknown, depth);
			if (slot == -1)
				continue;
			if (slot < 0)
				return slot;
		}
		if (w->seen >> slot & 1)
			return fail(w->err, -EBADMSG, flat->paths[slot], "a key that stands twice");
		w->seen |= 1ull << slot;
		k = &flat->keys[slot];
		hint = k->ring;
		at = w->c.p;
		end = k->kind == DIBAO_KIND_STR ? plain_string(k, at, w->c.end, &str) : NULL;
		if (end) {
			w->c.p = end;
			if (k->into)
				*(struct dibao_str *)((char *)ev + k->into) = str;
		} else if (envelope && slot == flat->body) {
			r = walk_body(w, count == 1);
			if (r != 0)
				break;
		} else {
			r = check_value(w, (uint8_t)slot, depth);
			if (r < 0)
				return r;
		}
		ev->slot_[slot].off = (uint16_t)(at - w->start);
		ev->slot_[slot].len = (uint16_t)(w->c.p - at);
	}
	if (r < 0)
		return r;
	required &= ~w->seen;
	return required ? missing(w, required) : r;
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

/* What follows from the type. */
static const struct flat *set_type(struct dibao_event *ev)
{
	const struct flat *flat;

	ev->type = dibao_type_find(ev->type_name.p ? ev->type_name.p : "", ev->type_name.len);
	if (ev->type < 0)
		ev->type = DIBAO_TYPE_UNKNOWN;
	flat = types_flat(ev->type);
	ev->is_private |= flat->is_private;
	return flat;
}

/* What involves more than one field. */
static int check_together(const struct dibao_event *ev, const struct flat *flat,
			  struct dibao_error *err)
{
	if (number_at(ev, SLOT_V) != 1)
		return fail(err, -EPROTONOSUPPORT, "v", "expected 1");
	if (!text_is_badge((const uint8_t *)ev->badge.p, ev->badge.len))
		return fail(err, -EINVAL, "person.badge", "expected 1 to 20 of 0-9 A-Z a-z");
	if (ev->retracts.p && ev->corrects.p)
		return fail(err, -EINVAL, "corrects", "not together with retracts");
	if (ev->type == DIBAO_TYPE_UNKNOWN)
		return 0;
	if (!ev->badge.p && !flat->person_optional)
		return fail(err, -EINVAL, "person", "missing");
	if (ev->retracts.p)
		return 0;
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

static int parse_body(struct walk *w, const struct flat *flat)
{
	struct mp_value v;
	const char *why;
	int r;

	w->flat = w->ev->retracts.p ? types_flat(FLAT_RETRACTION) : flat;
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
	const struct flat *flat;
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
	flat = set_type(&ev);
	if (!body_last && w.c.p != w.c.end)
		return fail(err, -EBADMSG, "", "bytes after the end");
	r = parse_body(&w, flat);
	if (r < 0)
		return r;
	if (body_last && w.c.p != w.c.end)
		return fail(err, -EBADMSG, "", "bytes after the end");
	r = check_together(&ev, flat, err);
	if (r < 0)
		return r;
	*ret = ev;
	return 0;
}

/* ---- the envelope alone, of bytes that were checked ---- */

/* The kind that is shown: of bytes nobody checked, another may stand there. */
static bool is_of_kind(const struct flat_key *k, const struct mp_value *v)
{
	switch (k->kind) {
	case DIBAO_KIND_BOOL:
		return v->kind == MP_BOOL;
	case DIBAO_KIND_MS:
		return v->kind == MP_UINT || v->kind == MP_INT;
	default:
		return v->kind == MP_STR;
	}
}

static int view_map(struct dibao_event *ev, const struct flat *flat, struct mp_cursor *c,
		    uint8_t first)
{
	struct mp_value map, key, v;
	uint8_t hint = first;

	if (!mp_read(c, &map) || map.kind != MP_MAP)
		return -EBADMSG;
	for (uint32_t i = 0; i < map.n; i++) {
		int slot = read_key(flat, hint, c);
		struct mp_cursor value;
		const uint8_t *at;

		if (slot < 0) {
			if (!mp_read(c, &key) || key.kind != MP_STR)
				return -EBADMSG;
			slot = find_key(flat, first, &key);
		}
		at = c->p;
		value = *c;
		if (slot < 0) {
			if (!mp_skip(c, MP_DEPTH_MAX))
				return -EBADMSG;
			continue;
		}
		if (!mp_read(&value, &v))
			return -EBADMSG;
		if (slot == SLOT_PERSON && v.kind == MP_MAP) {
			if (view_map(ev, flat, c, SLOT_BADGE) < 0)
				return -EBADMSG;
		} else {
			if (!mp_skip(c, MP_DEPTH_MAX))
				return -EBADMSG;
			if (is_of_kind(&flat->keys[slot], &v))
				show(ev, &flat->keys[slot], &v);
		}
		ev->slot_[slot].off = (uint16_t)(at - ev->bytes);
		ev->slot_[slot].len = (uint16_t)(c->p - at);
		hint = flat->keys[slot].ring;
	}
	return 0;
}

int dibao_event_view(struct dibao_event *ret, const void *bytes, size_t len)
{
	struct dibao_event ev = {.bytes = bytes, .len = len};
	struct mp_cursor c = {bytes, (const uint8_t *)bytes + len};

	if (len > DIBAO_EVENT_MAX_BYTES)
		return -EMSGSIZE;
	if (view_map(&ev, types_flat(DIBAO_TYPE_UNKNOWN), &c, SLOT_V) < 0)
		return -EBADMSG;
	(void)set_type(&ev);
	if (!ev.uid.p || !ev.type_name.p || ev.org.len != DIBAO_ORG_BYTES)
		return -EINVAL;
	*ret = ev;
	return 0;
}
