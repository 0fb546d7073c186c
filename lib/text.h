/* SPDX-License-Identifier: Apache-2.0 */
/* What the text of an event may be. All are pure and bounded by the bytes given. */
#ifndef LIB_TEXT_H
#define LIB_TEXT_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum text { TEXT_GOOD, TEXT_CONTROL, TEXT_NOT_UTF8 };

static const uint64_t text_ones = 0x0101010101010101u, text_tops = 0x8080808080808080u,
		      text_spaces = 0x2020202020202020u;

/* Eight bytes, the first one lowest. */
static inline uint64_t text_word(const uint8_t *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof x);
	return le64toh(x);
}

/* The first n of eight bytes, n < 8, and spaces after them. */
static inline uint64_t text_head(uint64_t x, size_t n)
{
	uint64_t mask = ~0ull << 8 * n;

	return (x & ~mask) | (text_spaces & mask);
}

/* Of eight ASCII characters: one is a control character, the line feed included. */
static inline uint64_t text_controls(uint64_t x)
{
	return ((x - text_spaces) | (x + text_ones)) & text_tops;
}

/* At most eight bytes and all of them printable ASCII; false is no verdict. Reads up to `limit`. */
static inline bool text_is_short_ascii(const uint8_t *p, size_t n, const uint8_t *limit)
{
	uint64_t x;

	if (n > 8 || limit - p < 8)
		return false;
	x = text_word(p);
	if (n < 8)
		x = text_head(x, n);
	return !((x & text_tops) | text_controls(x));
}

/* UTF-8 without control characters (below 0x20 but the line feed, and DEL), in one pass. `limit`,
 * at or after the text's end: up to there bytes may be read, which is what makes it fast; what
 * stands between is ignored. */
enum text text_check(const uint8_t *p, size_t n, const uint8_t *limit);
bool utf8_is_valid(const uint8_t *p, size_t n);

bool text_is_digits(const uint8_t *p, size_t n);
/* YYYY-MM-DD, a day that exists, 1900 to 2199. */
bool text_is_date(const uint8_t *p, size_t n);
/* 0-9 A-Z a-z. */
bool text_is_badge(const uint8_t *p, size_t n);

#endif
