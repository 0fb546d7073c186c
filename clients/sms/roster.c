/* SPDX-License-Identifier: Apache-2.0 */
#include "roster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 11, DIGITS_SEEN_MAX = 40 };

/* A whole number of at most 15 digits, or -1. */
static int64_t number(struct dibao_str s)
{
	int64_t v = 0;

	if (s.len < 1 || s.len > 15)
		return -1;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -1;
		v = v * 10 + (s.p[i] - '0');
	}
	return v;
}

static bool is(struct dibao_str s, const char *word)
{
	return s.len == strlen(word) && !memcmp(s.p, word, s.len);
}

int roster_decode(struct roster_person *ret, const char *row, size_t len)
{
	struct dibao_str c[COLUMNS];
	struct roster_person p = {0};
	const char *at = row, *end = row + len;
	unsigned n = 0;

	while (n < COLUMNS) {
		const char *tab = memchr(at, '\t', (size_t)(end - at));

		c[n].p = at;
		c[n++].len = (size_t)((tab ? tab : end) - at);
		if (!tab)
			break;
		at = tab + 1;
	}
	if (n && !is(c[0], "1"))
		return number(c[0]) > 1 ? -EPROTONOSUPPORT : -EBADMSG;
	if (n < COLUMNS)
		return -EBADMSG;
	p.name = c[1];
	p.phone = c[2];
	p.phone_since = number(c[3]);
	p.org = c[4];
	p.unit = c[5];
	p.active = is(c[6], "1");
	p.left_on = number(c[7]);
	p.shared = memchr(c[8].p, 's', c[8].len) != NULL;
	p.moved = memchr(c[8].p, 'm', c[8].len) != NULL;
	p.opted_out = c[9];
	p.lacking_since = number(c[10]);
	if (p.name.len == 0 || p.phone_since < 0 || p.left_on < 0 || p.lacking_since < 0 ||
	    (!p.active && !is(c[6], "0")) ||
	    (p.phone.len && (p.phone.len != ROSTER_PHONE_DIGITS || number(p.phone) < 0)))
		return -EBADMSG;
	*ret = p;
	return 0;
}

static bool fits(struct dibao_str s, size_t max)
{
	if (s.len > max)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < ' ')
			return false;
	return true;
}

int roster_encode(const struct roster_person *p, char *buf, size_t cap)
{
	int n;

	if (p->name.len == 0 || !fits(p->name, ROSTER_NAME_MAX) ||
	    !fits(p->phone, ROSTER_PHONE_DIGITS) || !fits(p->org, DIBAO_ORG_BYTES) ||
	    !fits(p->unit, ROSTER_UNIT_MAX) || !fits(p->opted_out, ROSTER_OPTED_OUT_MAX))
		return -EINVAL;
	n = snprintf(buf, cap, "1\t%.*s\t%.*s\t%lld\t%.*s\t%.*s\t%d\t%lld\t%s%s\t%.*s\t%lld",
		     (int)p->name.len, p->name.len ? p->name.p : "", (int)p->phone.len,
		     p->phone.len ? p->phone.p : "", (long long)p->phone_since, (int)p->org.len,
		     p->org.len ? p->org.p : "", (int)p->unit.len, p->unit.len ? p->unit.p : "",
		     p->active, (long long)p->left_on, p->shared ? "s" : "", p->moved ? "m" : "",
		     (int)p->opted_out.len, p->opted_out.len ? p->opted_out.p : "",
		     (long long)p->lacking_since);
	return n < 0 || (size_t)n >= cap ? -ENOBUFS : n;
}

bool roster_is_opted_out(const struct roster_person *p, struct dibao_str type)
{
	const char *at = p->opted_out.p, *end = at + p->opted_out.len;

	while (type.len && at < end) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		size_t n = (size_t)((comma ? comma : end) - at);

		if (n == type.len && !memcmp(at, type.p, n))
			return true;
		at += n + 1;
	}
	return false;
}

int roster_mark_encode(const struct roster_person *p, int64_t now_ms, char *buf, size_t cap)
{
	int n = snprintf(buf, cap, "%lld %lld", (long long)p->phone_since, (long long)now_ms);

	return n < 0 || (size_t)n >= cap ? -ENOBUFS : n;
}

int64_t roster_mark_at(const struct roster_person *p, const char *value, size_t len)
{
	const char *blank = value ? memchr(value, ' ', len) : NULL;
	int64_t since, at;

	if (!blank)
		return 0;
	since = number((struct dibao_str){value, (size_t)(blank - value)});
	at = number((struct dibao_str){blank + 1, len - (size_t)(blank + 1 - value)});
	return since == p->phone_since && at > 0 ? at : 0;
}

/* ---- numbers ---- */

/* The ASCII sign that a full-width one or a typographic dash stands for, and its length; 0: none.
 */
static char narrow(const unsigned char *p, size_t *ret_n)
{
	*ret_n = 1;
	if (*p < 0x80)
		return (char)*p;
	*ret_n = 3;
	if (p[0] == 0xef && p[1] == 0xbc && p[2] >= 0x81 && p[2] <= 0xbf)
		return (char)(p[2] - 0x81 + '!');
	if (p[0] == 0xe3 && p[1] == 0x80 && p[2] == 0x80)
		return ' ';
	if (p[0] == 0xe2 && p[1] == 0x80 && p[2] >= 0x90 && p[2] <= 0x95)
		return '-';
	if (p[0] == 0xe3 && p[1] == 0x80 && p[2] == 0x81)
		return ','; /* 、 */
	if (p[0] == 0xc2 && p[1] == 0xa0) {
		*ret_n = 2;
		return ' ';
	}
	return 0;
}

static int refuse(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EINVAL;
}

/* The digits of a number alone; how many, or -EINVAL. */
static int digits_of(const char *text, char digits[DIGITS_SEEN_MAX], const char **ret_why)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t n = 0, step;

	for (; *p; p += step) {
		char c = narrow(p, &step);

		if (c >= '0' && c <= '9') {
			if (n == DIGITS_SEEN_MAX)
				return refuse(ret_why, "too many digits");
			digits[n++] = c;
		} else if (c && n && strchr("/,;|", c)) {
			return refuse(ret_why, "more than one number in the cell");
		} else if (!c || !strchr(" -()+.'\t", c) || (c == '+' && n)) {
			return refuse(ret_why, "not a telephone number");
		}
	}
	return (int)n;
}

int roster_phone(const char *text, char ret[ROSTER_PHONE_DIGITS + 1], const char **ret_why)
{
	char digits[DIGITS_SEEN_MAX], *d = digits;
	int n = digits_of(text, digits, ret_why);

	if (n < 0)
		return n;
	if (n == 0)
		return text[strspn(text, " \t")] ? refuse(ret_why, "not a telephone number")
						 : -ENODATA;
	if (n == ROSTER_PHONE_DIGITS + 4 && !memcmp(d, "0086", 4)) {
		d += 4;
		n -= 4;
	} else if (n == ROSTER_PHONE_DIGITS + 2 && !memcmp(d, "86", 2)) {
		d += 2;
		n -= 2;
	}
	if (n < ROSTER_PHONE_DIGITS)
		return refuse(ret_why, "a mobile number has 11 digits, this has fewer");
	if (n > ROSTER_PHONE_DIGITS)
		return refuse(ret_why, "a mobile number has 11 digits, this has more");
	if (d[0] != '1' || d[1] < '3')
		return refuse(ret_why, "a mobile number begins with 13 to 19");
	memcpy(ret, d, ROSTER_PHONE_DIGITS);
	ret[ROSTER_PHONE_DIGITS] = '\0';
	return 0;
}

void roster_phone_masked(struct dibao_str phone, char ret[ROSTER_PHONE_DIGITS + 1])
{
	if (phone.len == ROSTER_PHONE_DIGITS)
		snprintf(ret, ROSTER_PHONE_DIGITS + 1, "%.3s****%.4s", phone.p, phone.p + 7);
	else
		snprintf(ret, ROSTER_PHONE_DIGITS + 1, "%s", phone.len ? "****" : "(none)");
}

bool roster_phone_is_demo(struct dibao_str phone)
{
	return phone.len == ROSTER_PHONE_DIGITS && !memcmp(phone.p, "154", 3);
}
