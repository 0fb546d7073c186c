/* SPDX-License-Identifier: Apache-2.0 */
#include "mpread.h"
#include "text.h"

#include <endian.h>
#include <string.h>

static bool take(struct mp_cursor *c, size_t n, const uint8_t **ret)
{
	if ((size_t)(c->end - c->p) < n)
		return false;
	*ret = c->p;
	c->p += n;
	return true;
}

static bool number(struct mp_cursor *c, unsigned bytes, uint64_t *ret)
{
	uint64_t v = 0;
	const uint8_t *p;

	if (!take(c, bytes, &p))
		return false;
	memcpy(&v, p, bytes);
	*ret = be64toh(v) >> (64 - 8 * bytes);
	return true;
}

/* A length or count of `bytes` bytes; `each`: what an element takes at the least. */
static bool sized(struct mp_cursor *c, struct mp_value *v, enum mp_kind kind, unsigned bytes,
		  unsigned each)
{
	uint64_t n;

	if (!number(c, bytes, &n) || n * each > (uint64_t)(c->end - c->p))
		return false;
	v->kind = kind;
	v->n = (uint32_t)n;
	return true;
}

static bool content(struct mp_cursor *c, struct mp_value *v)
{
	return take(c, v->n, &v->p);
}

static void set_signed(struct mp_value *v, int64_t i)
{
	v->kind = i < 0 ? MP_INT : MP_UINT;
	v->i = i;
}

bool mp_read_any(struct mp_cursor *c, struct mp_value *v)
{
	const uint8_t *b;
	uint64_t u;

	if (!take(c, 1, &b))
		return false;
	v->p = NULL;
	v->n = 0;
	if (*b == 0xcf && c->end - c->p >= 8) { /* all times, as most encoders write them */
		v->kind = MP_UINT;
		memcpy(&v->u, c->p, 8);
		v->u = be64toh(v->u);
		c->p += 8;
		return true;
	}
	if (*b <= 0x7f) {
		v->kind = MP_UINT;
		v->u = *b;
		return true;
	}
	if (*b >= 0xe0) {
		set_signed(v, (int8_t)*b);
		return true;
	}
	if ((*b & 0xe0) == 0xa0) {
		v->kind = MP_STR;
		v->n = *b & 0x1f;
		return content(c, v);
	}
	if ((*b & 0xf0) == 0x80 || (*b & 0xf0) == 0x90) {
		v->kind = *b & 0x10 ? MP_ARRAY : MP_MAP;
		v->n = *b & 0x0f;
		return (uint64_t)v->n * (*b & 0x10 ? 1 : 2) <= (uint64_t)(c->end - c->p);
	}
	switch (*b) {
	case 0xc0:
		v->kind = MP_NIL;
		return true;
	case 0xc2:
	case 0xc3:
		v->kind = MP_BOOL;
		v->boolean = *b & 1;
		return true;
	case 0xc4:
	case 0xc5:
	case 0xc6:
		return sized(c, v, MP_BIN, 1u << (*b - 0xc4), 1) && content(c, v);
	case 0xc7:
	case 0xc8:
	case 0xc9:
		return sized(c, v, MP_EXT, 1u << (*b - 0xc7), 1) && number(c, 1, &u) &&
		       content(c, v);
	case 0xca:
	case 0xcb:
		v->kind = MP_FLOAT;
		v->n = *b == 0xca ? 4 : 8;
		return number(c, v->n, &v->u);
	case 0xcc:
	case 0xcd:
	case 0xce:
	case 0xcf:
		v->kind = MP_UINT;
		return number(c, 1u << (*b - 0xcc), &v->u);
	case 0xd0:
	case 0xd1:
	case 0xd2:
	case 0xd3:
		if (!number(c, 1u << (*b - 0xd0), &u))
			return false;
		set_signed(v, *b == 0xd0   ? (int8_t)u
			      : *b == 0xd1 ? (int16_t)u
			      : *b == 0xd2 ? (int32_t)u
					   : (int64_t)u);
		return true;
	case 0xd4:
	case 0xd5:
	case 0xd6:
	case 0xd7:
	case 0xd8:
		v->kind = MP_EXT;
		v->n = 1u << (*b - 0xd4);
		return number(c, 1, &u) && content(c, v);
	case 0xd9:
	case 0xda:
	case 0xdb:
		return sized(c, v, MP_STR, 1u << (*b - 0xd9), 1) && content(c, v);
	case 0xdc:
	case 0xdd:
		return sized(c, v, MP_ARRAY, *b == 0xdc ? 2 : 4, 1);
	case 0xde:
	case 0xdf:
		return sized(c, v, MP_MAP, *b == 0xde ? 2 : 4, 2);
	default: /* 0xc1 */
		return false;
	}
}

const char *mp_skip_checked(struct mp_cursor *c, unsigned depth)
{
	const uint8_t *keys[MP_KEYS_MAX];
	uint32_t lens[MP_KEYS_MAX];
	struct mp_value v;
	const char *why;

	if (!mp_read(c, &v))
		return "not sound msgpack";
	if (v.kind == MP_STR)
		return utf8_is_valid(v.p, v.n) ? NULL : "not UTF-8";
	if (v.kind != MP_ARRAY && v.kind != MP_MAP)
		return NULL;
	if (depth == 0)
		return "nested too deep";
	if (v.kind == MP_ARRAY) {
		for (uint32_t i = 0; i < v.n; i++) {
			why = mp_skip_checked(c, depth - 1);
			if (why)
				return why;
		}
		return NULL;
	}
	if (v.n > MP_KEYS_MAX)
		return "more than 64 keys in a map";
	for (uint32_t i = 0; i < v.n; i++) {
		struct mp_value key;

		if (!mp_read(c, &key))
			return "not sound msgpack";
		if (key.kind != MP_STR)
			return "a key that is not a string";
		if (!utf8_is_valid(key.p, key.n))
			return "not UTF-8";
		for (uint32_t k = 0; k < i; k++)
			if (lens[k] == key.n && !memcmp(keys[k], key.p, key.n))
				return "a key that stands twice";
		keys[i] = key.p;
		lens[i] = key.n;
		why = mp_skip_checked(c, depth - 1);
		if (why)
			return why;
	}
	return NULL;
}

bool mp_skip(struct mp_cursor *c, unsigned depth)
{
	struct mp_value v;
	uint64_t n;

	if (!mp_read(c, &v))
		return false;
	if (v.kind != MP_ARRAY && v.kind != MP_MAP)
		return true;
	if (depth == 0)
		return false;
	n = (uint64_t)v.n * (v.kind == MP_MAP ? 2 : 1);
	for (uint64_t i = 0; i < n; i++)
		if (!mp_skip(c, depth - 1))
			return false;
	return true;
}
