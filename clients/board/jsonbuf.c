/* SPDX-License-Identifier: Apache-2.0 */
#include "jsonbuf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 512 };

void jsonbuf_done(struct jsonbuf *j)
{
	free(j->p);
	*j = (struct jsonbuf){0};
}

static void put(struct jsonbuf *j, const char *p, size_t n)
{
	if (j->failed)
		return;
	if (j->cap - j->n <= n) {
		size_t cap = j->cap ? j->cap : FIRST_CAP;
		char *q;

		while (cap - j->n <= n)
			cap *= 2;
		q = realloc(j->p, cap);
		if (!q) {
			j->failed = true;
			return;
		}
		j->p = q;
		j->cap = cap;
	}
	memcpy(j->p + j->n, p, n);
	j->n += n;
	j->p[j->n] = '\0';
}

void jsonbuf_raw(struct jsonbuf *j, const char *text)
{
	put(j, text, strlen(text));
}

void jsonbuf_open(struct jsonbuf *j, char bracket)
{
	put(j, &bracket, 1);
	j->is_first = true;
}

void jsonbuf_close(struct jsonbuf *j, char bracket)
{
	put(j, &bracket, 1);
	j->is_first = false;
}

void jsonbuf_next(struct jsonbuf *j)
{
	if (!j->is_first)
		put(j, ",", 1);
	j->is_first = false;
}

void jsonbuf_key(struct jsonbuf *j, const char *key)
{
	jsonbuf_next(j);
	put(j, "\"", 1);
	jsonbuf_raw(j, key);
	put(j, "\":", 2);
}

/* U+2028 and U+2029: E2 80 A8, E2 80 A9. */
static bool is_separator(const char *p, size_t left)
{
	return left >= 3 && !memcmp(p, "\xe2\x80", 2) && ((uint8_t)p[2] | 1) == 0xa9;
}

void jsonbuf_text(struct jsonbuf *j, const char *p, size_t len)
{
	char escaped[8];
	size_t from = 0;

	put(j, "\"", 1);
	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)p[i];
		unsigned code = c;
		size_t skip = 1;

		if (is_separator(p + i, len - i)) {
			code = 0x2000u | ((uint8_t)p[i + 2] & 0x3fu);
			skip = 3;
		} else if (c >= 0x20 && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&' &&
			   c != 0x7f) {
			continue;
		}
		put(j, p + from, i - from);
		snprintf(escaped, sizeof escaped, "\\u%04x", code);
		put(j, escaped, 6);
		from = i + skip;
		i += skip - 1;
	}
	put(j, p + from, len - from);
	put(j, "\"", 1);
}

void jsonbuf_int(struct jsonbuf *j, int64_t v)
{
	char text[24];

	put(j, text, (size_t)snprintf(text, sizeof text, "%" PRId64, v));
}

void jsonbuf_hex(struct jsonbuf *j, const uint8_t *p, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	put(j, "\"", 1);
	for (size_t i = 0; i < len; i++) {
		char two[2] = {digits[p[i] >> 4], digits[p[i] & 15]};

		put(j, two, 2);
	}
	put(j, "\"", 1);
}

void jsonbuf_key_text(struct jsonbuf *j, const char *key, const char *text)
{
	jsonbuf_key(j, key);
	jsonbuf_text(j, text, strlen(text));
}

void jsonbuf_key_int(struct jsonbuf *j, const char *key, int64_t v)
{
	jsonbuf_key(j, key);
	jsonbuf_int(j, v);
}

void jsonbuf_key_bool(struct jsonbuf *j, const char *key, bool v)
{
	jsonbuf_key(j, key);
	jsonbuf_raw(j, v ? "true" : "false");
}
