/* SPDX-License-Identifier: Apache-2.0 */
#include "mpread.h"

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
	const uint8_t *p;
	uint64_t v = 0;

	if (!take(c, bytes, &p))
		return false;
	for (unsigned i = 0; i < bytes; i++)
		v = v << 8 | p[i];
	*ret = v;
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

bool text_has_control(const uint8_t *p, size_t n)
{
	const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
	const uint8_t *end = p + n;

	/* Eight at a time while none is below 0x20 or is 0x7f; both tests may cry wolf, never miss.
	 */
	for (; end - p >= 8; p += 8) {
		uint64_t x, del;

		memcpy(&x, p, 8);
		del = x ^ ones * 0x7f;
		if (((x - ones * 0x20) & ~x & tops) | ((del - ones) & ~del & tops))
			break;
	}
	for (; p < end; p++)
		if ((*p < 0x20 && *p != '\n') || *p == 0x7f)
			return true;
	return false;
}

bool utf8_is_valid(const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n;

	while (p < end) {
		uint64_t eight;
		unsigned more;
		uint32_t cp;

		while (end - p >= 8) {
			memcpy(&eight, p, 8);
			if (eight & 0x8080808080808080u)
				break;
			p += 8;
		}
		/* By far the most common: runs of Chinese characters, three bytes each. The masks
		 * ask for 1110xxxx 10xxxxxx 10xxxxxx and leave out overlong forms and surrogates.
		 */
		while (end - p >= 4) {
			uint32_t four;

			memcpy(&four, p, 4);
			four = le32toh(four);
			if ((four & 0xc0c0f0) != 0x8080e0 || (four & 0x200f) == 0 ||
			    (four & 0x200f) == 0x200d)
				break;
			p += 3;
		}
		if (p == end)
			break;
		if (*p < 0x80) {
			p++;
			continue;
		}
		if (*p >= 0xc2 && *p <= 0xdf) {
			more = 1;
			cp = *p & 0x1f;
		} else if ((*p & 0xf0) == 0xe0) {
			more = 2;
			cp = *p & 0x0f;
		} else if (*p >= 0xf0 && *p <= 0xf4) {
			more = 3;
			cp = *p & 0x07;
		} else {
			return false;
		}
		if ((size_t)(end - p) < more + 1)
			return false;
		for (unsigned i = 1; i <= more; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return false;
			cp = cp << 6 | (p[i] & 0x3f);
		}
		/* Overlong forms, surrogates, past the last plane. */
		if ((more == 2 && (cp < 0x800 || (cp >= 0xd800 && cp <= 0xdfff))) ||
		    (more == 3 && (cp < 0x10000 || cp > 0x10ffff)))
			return false;
		p += more + 1;
	}
	return true;
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
