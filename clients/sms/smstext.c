/* SPDX-License-Identifier: Apache-2.0 */
#include "smstext.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <utf8proc.h>

/* The character at p and its length in bytes; text that was not checked yields -EILSEQ. */
static int step(const char *p, size_t left, int32_t *ret)
{
	utf8proc_ssize_t n =
		utf8proc_iterate((const utf8proc_uint8_t *)p, (utf8proc_ssize_t)left, ret);

	return n > 0 ? (int)n : -EILSEQ;
}

static unsigned units_of(int32_t c)
{
	return c > 0xffff ? 2 : 1;
}

int smstext_units(const char *text, size_t len)
{
	unsigned units = 0;
	int32_t c;

	for (size_t i = 0; i < len;) {
		int n = step(text + i, len - i, &c);

		if (n < 0)
			return n;
		units += units_of(c);
		i += (size_t)n;
	}
	return (int)units;
}

unsigned smstext_parts(unsigned units)
{
	if (units == 0)
		return 0;
	return units <= SMSTEXT_ONE_UNITS ? 1
					  : (units + SMSTEXT_PART_UNITS - 1) / SMSTEXT_PART_UNITS;
}

static bool is_pause(int32_t c)
{
	return c == 0x3002 || c == 0xff0c || c == 0xff1b || c == 0xff1a || c == 0x3001 ||
	       c == 0xff01 || c == 0xff1f;
}

/* The first character that an edge would tear, at or behind byte `from` (of unit `units`): its
 * place, and where in its part a blank does the least harm. false: none is torn. */
static bool find_torn(const char *text, size_t len, size_t before, size_t *ret_blank)
{
	size_t units = before, blank = 0;
	bool have_blank = false;
	int32_t c;

	for (size_t i = 0; i < len;) {
		int n = step(text + i, len - i, &c);

		if (n < 0)
			return false;
		if (units % SMSTEXT_PART_UNITS == 0)
			have_blank = false;
		if (units_of(c) == 2 && units % SMSTEXT_PART_UNITS == SMSTEXT_PART_UNITS - 1) {
			*ret_blank = have_blank ? blank : i;
			return true;
		}
		units += units_of(c);
		i += (size_t)n;
		if (is_pause(c)) {
			blank = i;
			have_blank = true;
		}
	}
	return false;
}

bool smstext_is_torn(const char *text, size_t len, unsigned before)
{
	int units = smstext_units(text, len);
	size_t blank;

	return units > 0 && before + (unsigned)units > SMSTEXT_ONE_UNITS &&
	       find_torn(text, len, before, &blank);
}

int smstext_settle(char *text, size_t *len, size_t cap, unsigned before)
{
	int units = smstext_units(text, *len);
	size_t n = *len, blank;

	if (units < 0)
		return units;
	if (before + (unsigned)units <= SMSTEXT_ONE_UNITS)
		return 0;
	/* Each blank settles one edge for good: what comes before it does not move. */
	while (find_torn(text, n, before, &blank)) {
		if (n + 2 > cap)
			return -ENOBUFS;
		memmove(text + blank + 1, text + blank, n - blank);
		text[blank] = ' ';
		n++;
	}
	text[n] = '\0';
	*len = n;
	return 0;
}

static bool is_blank(int32_t c)
{
	return (c >= 0x09 && c <= 0x0d) || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 ||
	       (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
	       c == 0x205f || c == 0x3000;
}

/* Controls, marks of direction and of no width, and what is no character. The variation selectors
 * are none of these: they choose between shapes of a rare character. */
static bool is_unseen(int32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0xad || c == 0x61c || c == 0x180e ||
	       (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfdd0 && c <= 0xfdef) ||
	       (c >= 0xfff9 && c <= 0xfffb) || (c & 0xfffe) == 0xfffe ||
	       (c >= 0xe0000 && c <= 0xe007f);
}

int smstext_clean(char *text, size_t len)
{
	bool due = false;
	size_t out = 0;
	int32_t c;

	if (smstext_units(text, len) < 0)
		return -EILSEQ;
	for (size_t i = 0; i < len;) {
		int n = step(text + i, len - i, &c);

		if (is_blank(c)) {
			due = out > 0;
		} else if (!is_unseen(c)) {
			if (due)
				text[out++] = ' ';
			due = false;
			memmove(text + out, text + i, (size_t)n);
			/* 【】 to 〔〕: the same but for the last byte. */
			if (c == 0x3010 || c == 0x3011)
				text[out + 2] = c == 0x3010 ? '\x94' : '\x95';
			out += (size_t)n;
		}
		i += (size_t)n;
	}
	return (int)out;
}

static bool is_attached(int32_t c)
{
	return (c >= 0xfe00 && c <= 0xfe0f) || (c >= 0xe0100 && c <= 0xe01ef) ||
	       (c >= 0x300 && c <= 0x36f);
}

size_t smstext_cut(char *text, size_t len, unsigned max_units)
{
	size_t keep = 0; /* bytes that fit together with a … */
	unsigned units = 0;
	int32_t c;

	if (max_units == 0)
		return 0;
	for (size_t i = 0; i < len;) {
		int n = step(text + i, len - i, &c);

		if (n < 0)
			return keep;
		if (units + 1 <= max_units && !is_attached(c))
			keep = i;
		units += units_of(c);
		i += (size_t)n;
	}
	if (units <= max_units)
		return len;
	memcpy(text + keep, "…", 3);
	return keep + 3;
}
