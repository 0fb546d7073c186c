/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checking text, eight bytes at a time. An event is mostly short ASCII (codes, numbers, dates) and
 * runs of Chinese characters, three bytes each: those two have a way of their own, all else is
 * decoded character by character. Bytes past the text's end are read but replaced by spaces before
 * anything looks at them.
 */
#include "text.h"

static inline bool is_control(uint8_t c)
{
	return (c < 0x20 && c != '\n') || c == 0x7f;
}

static bool has_control(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_control(p[i]))
			return true;
	return false;
}

/* Length of the character at p, which is not ASCII; 0: there is none. */
static unsigned length_of(const uint8_t *p, size_t left)
{
	unsigned more;
	uint32_t cp;

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
		return 0;
	}
	if (left < more + 1)
		return 0;
	for (unsigned i = 1; i <= more; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		cp = cp << 6 | (p[i] & 0x3f);
	}
	/* Overlong forms, surrogates, past the last plane. */
	if ((more == 2 && (cp < 0x800 || (cp >= 0xd800 && cp <= 0xdfff))) ||
	    (more == 3 && (cp < 0x10000 || cp > 0x10ffff)))
		return 0;
	return more + 1;
}

/* How many bytes of whole characters of three bytes stand at the start of x: 6, 3 or 0. Those that
 * begin with E0 or ED may be overlong or surrogates, and are left to length_of(). */
static inline unsigned threes(uint64_t x)
{
	const uint32_t sure = 0xdffe;

	if ((x & 0xc0c0f0) != 0x8080e0 || !(sure >> (x & 15) & 1))
		return 0;
	return (x & 0xc0c0f0000000) == 0x8080e0000000 && (sure >> (x >> 24 & 15) & 1) ? 6 : 3;
}

enum text text_check(const uint8_t *p, size_t n, const uint8_t *limit)
{
	const uint8_t *end = p + n;
	bool control = false;
	unsigned step;

	while (p < end) {
		size_t left = (size_t)(end - p);

		if (limit - p >= 8) {
			uint64_t x = text_word(p), high;

			if (left < 8)
				x = text_head(x, left);
			high = x & text_tops;
			if (!high) {
				if (text_controls(x))
					control |= has_control(p, left < 8 ? left : 8);
				p += 8;
				continue;
			}
			step = threes(x);
			if (step) {
				p += step;
				while (step == 6 && end - p >= 8) {
					step = threes(text_word(p));
					p += step;
				}
				continue;
			}
			step = (unsigned)__builtin_ctzll(high) / 8;
			if (step) {
				if (text_controls(text_head(x, step)))
					control |= has_control(p, step);
				p += step;
				continue;
			}
		}
		if (*p < 0x80) {
			control |= is_control(*p++);
			continue;
		}
		step = length_of(p, left);
		if (!step)
			return TEXT_NOT_UTF8;
		p += step;
	}
	return control ? TEXT_CONTROL : TEXT_GOOD;
}

bool utf8_is_valid(const uint8_t *p, size_t n)
{
	return text_check(p, n, p + n) != TEXT_NOT_UTF8;
}

static inline bool eight_digits(uint64_t x)
{
	const uint64_t highs = text_ones * 0xf0, threes_high = text_ones * 0x30;

	return (x & highs) == threes_high && ((x + text_ones * 6) & highs) == threes_high;
}

bool text_is_digits(const uint8_t *p, size_t n)
{
	if (n >= 8 && n <= 16)
		return eight_digits(text_word(p)) && eight_digits(text_word(p + n - 8));
	for (size_t i = 0; i < n; i++)
		if (p[i] < '0' || p[i] > '9')
			return false;
	return true;
}

bool text_is_date(const uint8_t *p, size_t n)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	uint8_t packed[8];
	int y, m, d;

	if (n != 10 || p[4] != '-' || p[7] != '-')
		return false;
	memcpy(packed, p, 4);
	memcpy(packed + 4, p + 5, 2);
	memcpy(packed + 6, p + 8, 2);
	if (!eight_digits(text_word(packed)))
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

bool text_is_badge(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t lower = p[i] | 0x20;

		if ((p[i] < '0' || p[i] > '9') && (lower < 'a' || lower > 'z'))
			return false;
	}
	return true;
}
