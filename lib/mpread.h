/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading msgpack without allocating and without trust: a cursor over bytes that never moves past
 * their end. Lengths and counts are held against the bytes that are left before they are used; each
 * element of an array or map takes at least one byte, so a count is bounded by them too.
 */
#ifndef LIB_MPREAD_H
#define LIB_MPREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mp_kind {
	MP_NIL,
	MP_BOOL,
	MP_INT,
	MP_UINT,
	MP_FLOAT,
	MP_STR,
	MP_BIN,
	MP_EXT,
	MP_ARRAY,
	MP_MAP
};

struct mp_cursor {
	const uint8_t *p, *end;
};

struct mp_value {
	enum mp_kind kind;
	union {
		bool boolean;
		int64_t i;  /* MP_INT: negative */
		uint64_t u; /* MP_UINT: ≥ 0; MP_FLOAT: its bits, of n bytes */
	};
	uint32_t n;	  /* length of str, bin, ext; count of array, map (pairs) */
	const uint8_t *p; /* content of str, bin, ext */
};

enum { MP_DEPTH_MAX = 8, MP_KEYS_MAX = 64 };

bool mp_read_any(struct mp_cursor *c, struct mp_value *ret);

/* The next head; for str, bin and ext its content too. False: malformed or truncated. */
static inline bool mp_read(struct mp_cursor *c, struct mp_value *ret)
{
	const uint8_t *p = c->p;
	size_t left = (size_t)(c->end - p);

	/* Most of what events are made of: strings under 256 bytes, small maps and numbers. */
	if (left > 1 && (*p & 0xe0) == 0xa0) {
		ret->kind = MP_STR;
		ret->n = *p & 0x1f;
		ret->p = p + 1;
		if (left <= ret->n)
			return false;
		c->p = p + 1 + ret->n;
		return true;
	}
	if (left > 1 && *p == 0xd9) {
		ret->kind = MP_STR;
		ret->n = p[1];
		ret->p = p + 2;
		if (left - 2 < ret->n)
			return false;
		c->p = p + 2 + ret->n;
		return true;
	}
	if (left > 32 && (*p & 0xf0) == 0x80) {
		ret->kind = MP_MAP;
		ret->n = *p & 0x0f;
		c->p = p + 1;
		return true;
	}
	if (left && *p < 0x80) {
		ret->kind = MP_UINT;
		ret->u = *p;
		c->p = p + 1;
		return true;
	}
	return mp_read_any(c, ret);
}
/*
 * Skip one value wholly, checking soundness: depth, counts, keys of maps are strings and each once
 * (at most MP_KEYS_MAX), strings are UTF-8. NULL, or a static string that says what is wrong.
 */
const char *mp_skip_checked(struct mp_cursor *c, unsigned depth);
/* Skip without those checks; still never past the end. */
bool mp_skip(struct mp_cursor *c, unsigned depth);

#endif
