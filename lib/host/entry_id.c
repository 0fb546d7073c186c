/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stream ids as text. Written by hand rather than with printf and strtoull: the
 * tail formats and parses one per entry, and strtoull would take signs, blanks
 * and a wrapped number for good.
 */
#include "entry_id.h"

#include <errno.h>

static size_t put_u64(char *p, uint64_t v)
{
	char digits[20];
	size_t n = 0;

	do {
		digits[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	for (size_t i = 0; i < n; i++) {
		p[i] = digits[n - 1 - i];
	}
	return n;
}

int entry_id_format(char buf[ENTRY_ID_TEXT], struct entry_id id)
{
	size_t n = put_u64(buf, id.ms);

	buf[n++] = '-';
	n += put_u64(buf + n, id.seq);
	buf[n] = '\0';
	return (int)n;
}

/* Digits from *at up to `len`; moves *at past them. */
static int take_u64(uint64_t *ret, const char *text, size_t len, size_t *at)
{
	size_t i = *at;
	uint64_t v = 0;

	for (; i < len && text[i] >= '0' && text[i] <= '9'; i++) {
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(text[i] - '0'), &v)) {
			return -EINVAL;
		}
	}
	if (i == *at) {
		return -EINVAL;
	}
	*at = i;
	*ret = v;
	return 0;
}

int entry_id_parse(struct entry_id *ret, const char *text, size_t len)
{
	struct entry_id id = {0};
	size_t at = 0;
	int r;

	r = take_u64(&id.ms, text, len, &at);
	if (r < 0) {
		return r;
	}
	if (at < len) {
		if (text[at++] != '-') {
			return -EINVAL;
		}
		r = take_u64(&id.seq, text, len, &at);
		if (r < 0) {
			return r;
		}
		if (at != len) {
			return -EINVAL;
		}
	}
	*ret = id;
	return 0;
}
