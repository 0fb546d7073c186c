/* SPDX-License-Identifier: Apache-2.0 */
#include "cell.h"
#include "types.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Day numbers of a spreadsheet count from here, and that holds from 1 March 1900 on. */
enum { SERIAL_UNIX_EPOCH = 25569, SERIAL_MIN = 10000, SERIAL_MAX = 109939 };

static const char *const blanks[] = {" ", "\t", "\r", "\n", "\u3000", "\u00a0", "\ufeff", "\u200b"};

static size_t blank_at_start(const char *p, size_t n)
{
	for (size_t i = 0; i < sizeof blanks / sizeof blanks[0]; i++) {
		size_t k = strlen(blanks[i]);

		if (n >= k && !memcmp(p, blanks[i], k))
			return k;
	}
	return 0;
}

static size_t blank_at_end(const char *p, size_t n)
{
	for (size_t i = 0; i < sizeof blanks / sizeof blanks[0]; i++) {
		size_t k = strlen(blanks[i]);

		if (n >= k && !memcmp(p + n - k, blanks[i], k))
			return k;
	}
	return 0;
}

/* U+FF01..U+FF5E are ASCII at double width, U+3000 is the blank. */
static size_t narrow_all(char *p, size_t n)
{
	size_t out = 0;

	for (size_t i = 0; i < n;) {
		const unsigned char *u = (const unsigned char *)p + i;

		if (n - i >= 3 && u[0] == 0xef && u[1] == 0xbc && u[2] >= 0x81 && u[2] <= 0xbf) {
			p[out++] = (char)(u[2] - 0x81 + '!');
			i += 3;
		} else if (n - i >= 3 && u[0] == 0xef && u[1] == 0xbd && u[2] >= 0x80 &&
			   u[2] <= 0x9e) {
			p[out++] = (char)(u[2] - 0x80 + '`');
			i += 3;
		} else if (n - i >= 3 && u[0] == 0xe3 && u[1] == 0x80 && u[2] == 0x80) {
			p[out++] = ' ';
			i += 3;
		} else {
			p[out++] = p[i++];
		}
	}
	return out;
}

size_t cell_clean(char *text, size_t len, bool narrow)
{
	char *p = text;
	size_t n = len, k;

	if (narrow)
		n = narrow_all(p, n);
	while ((k = blank_at_start(p, n)) > 0) {
		p += k;
		n -= k;
	}
	while ((k = blank_at_end(p, n)) > 0)
		n -= k;
	if (n >= 3 && p[0] == '=' && p[1] == '"' && p[n - 1] == '"') {
		p += 2;
		n -= 3;
	}
	memmove(text, p, n);
	text[n] = '\0';
	return n;
}

const char *cell_spoilt(const char *text)
{
	const char *p = text + (*text == '-');
	size_t n = strspn(p, "0123456789");

	if (text[0] == '#' && (strspn(text, "#") == strlen(text) || strchr("RNVD", text[1])))
		return "a spreadsheet's error, not a value";
	if (n != 1)
		return NULL;
	p += n;
	if (*p == '.')
		p += 1 + strspn(p + 1, "0123456789");
	if ((*p != 'E' && *p != 'e') || (p[1] != '+' && p[1] != '-') ||
	    !isdigit((unsigned char)p[2]) || p[2 + strspn(p + 2, "0123456789")])
		return NULL;
	return "a long number that the spreadsheet rounded: format the column as text and export "
	       "again";
}

static bool day_exists(int y, int m, int d)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

	return y >= 1900 && y <= 2199 && m >= 1 && m <= 12 && d >= 1 &&
	       d <= days[m - 1] + (m == 2 && leap);
}

struct moment {
	int y, mo, d;
	int64_t ms_of_day;
};

/* Days since 1970-01-01 and back (H. Hinnant's civil calendar). */
static int64_t days_from_civil(int64_t y, int64_t m, int64_t d)
{
	int64_t era, yoe, doy;

	y -= m <= 2;
	era = y / 400;
	yoe = y - era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void civil_from_days(int64_t z, struct moment *m)
{
	int64_t era, doe, yoe, doy, mp;

	z += 719468;
	era = z / 146097;
	doe = z - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	m->d = (int)(doy - (153 * mp + 2) / 5 + 1);
	m->mo = (int)(mp < 10 ? mp + 3 : mp - 9);
	m->y = (int)(yoe + era * 400 + (m->mo <= 2));
}

/* Up to `max` digits at *p as a number, *p moved behind them; -1 if there are none or more. */
static int number(const char **p, size_t max)
{
	size_t n = strspn(*p, "0123456789");
	int v = 0;

	if (n < 1 || n > max)
		return -1;
	for (size_t i = 0; i < n; i++)
		v = v * 10 + (*p)[i] - '0';
	*p += n;
	return v;
}

static bool eat(const char **p, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(*p, word, n) != 0)
		return false;
	*p += n;
	return true;
}

/* A date at *p. */
static bool read_date(const char **p, struct moment *m)
{
	static const char *const seps[][3] = {
		{"/", "/", ""},
		{"-", "-", ""},
		{".", ".", ""},
		{"年", "月", "日"},
	};
	const char *q = *p;
	size_t n = strspn(q, "0123456789");

	if (n == 8) {
		m->y = (q[0] - '0') * 1000 + (q[1] - '0') * 100 + (q[2] - '0') * 10 + (q[3] - '0');
		m->mo = (q[4] - '0') * 10 + (q[5] - '0');
		m->d = (q[6] - '0') * 10 + (q[7] - '0');
		*p += 8;
		return day_exists(m->y, m->mo, m->d);
	}
	if (n != 4)
		return false;
	m->y = number(&q, 4);
	for (size_t i = 0; i < sizeof seps / sizeof seps[0]; i++) {
		if (!eat(&q, seps[i][0]))
			continue;
		m->mo = number(&q, 2);
		if (m->mo < 0 || !eat(&q, seps[i][1]))
			return false;
		m->d = number(&q, 2);
		if (m->d < 0 || !eat(&q, seps[i][2]))
			return false;
		*p = q;
		return day_exists(m->y, m->mo, m->d);
	}
	return false;
}

/* "9:30", "9:30:05", "9时30分", to the end. */
static bool read_clock(const char *p, struct moment *m)
{
	int h, mi, s = 0;

	h = number(&p, 2);
	if (h < 0 || h > 23 || !(eat(&p, ":") || eat(&p, "时")))
		return false;
	mi = number(&p, 2);
	if (mi < 0 || mi > 59)
		return false;
	if (eat(&p, ":")) {
		s = number(&p, 2);
		if (s < 0 || s > 59)
			return false;
		if (*p == '.')
			p += 1 + strspn(p + 1, "0123456789"); /* parts of a second: dropped */
	} else if (eat(&p, "分") && *p) {
		s = number(&p, 2);
		if (s < 0 || s > 59 || !eat(&p, "秒"))
			return false;
	}
	m->ms_of_day = ((h * 60 + mi) * 60 + s) * INT64_C(1000);
	return !*p;
}

/* A spreadsheet's day number, of five or six digits, with a fraction if it has a time. */
static bool read_serial(const char *text, struct moment *m)
{
	size_t n = strspn(text, "0123456789"), k = 0;
	double fraction = 0;
	int64_t day;

	if (text[n] == '.') {
		k = strspn(text + n + 1, "0123456789");
		if (k < 1 || k > 15)
			return false;
		fraction = strtod(text + n, NULL);
		k++;
	}
	if (n < 5 || n > 6 || text[n + k])
		return false;
	day = atoi(text);
	if (day < SERIAL_MIN || day > SERIAL_MAX)
		return false;
	/* To the second: that is as fine as the fraction is exact. */
	m->ms_of_day = (int64_t)(fraction * 86400 + 0.5) * 1000;
	if (m->ms_of_day >= 86400000) {
		m->ms_of_day = 0;
		day++;
	}
	civil_from_days(day - SERIAL_UNIX_EPOCH, m);
	return day_exists(m->y, m->mo, m->d);
}

int cell_date(const char *text, char ret[11])
{
	struct moment m = {0};
	const char *p = text;

	if (read_serial(text, &m)) {
		if (m.ms_of_day)
			return -EINVAL;
	} else {
		if (!read_date(&p, &m))
			return -EINVAL;
		/* A date column of a database comes with midnight behind it. */
		if (*p == ' ' && (!read_clock(p + 1, &m) || m.ms_of_day))
			return -EINVAL;
		if (*p && *p != ' ')
			return -EINVAL;
	}
	snprintf(ret, 11, "%04u-%02u-%02u", (unsigned)m.y % 10000, (unsigned)m.mo % 100,
		 (unsigned)m.d % 100);
	return 0;
}

int cell_time(const char *text, int zone_min, int64_t *ret_ms)
{
	struct moment m = {0};
	const char *p = text;

	if (strspn(text, "0123456789") == 13 && !text[13]) {
		*ret_ms = atoll(text);
		return 0;
	}
	if (!read_serial(text, &m)) {
		if (!read_date(&p, &m))
			return -EINVAL;
		if (*p == 'T' || *p == 't' || *p == ' ')
			p++;
		if (*p && !read_clock(p, &m))
			return time_from_text(text, ret_ms);
	}
	*ret_ms = (days_from_civil(m.y, m.mo, m.d) * 1440 - zone_min) * 60000 + m.ms_of_day;
	return 0;
}

int cell_yuan(const char *text, int64_t *ret_fen)
{
	const char *p = text;
	int64_t v = 0;
	unsigned digits = 0, after = 0;
	bool point = false;

	if (!eat(&p, "¥"))
		eat(&p, "￥");
	for (; isdigit((unsigned char)*p) || *p == ',' || (*p == '.' && !point); p++) {
		if (*p == '.')
			point = true;
		if (!isdigit((unsigned char)*p))
			continue;
		if (++digits > 12 || (point && ++after > 2))
			return -EINVAL;
		v = v * 10 + (*p - '0');
	}
	eat(&p, "元");
	if (*p || !digits)
		return -EINVAL;
	for (; after < 2; after++)
		v *= 10;
	*ret_fen = v;
	return 0;
}

int cell_bool(const char *text, bool *ret)
{
	static const char *const yes[] = {"true", "yes", "y", "1", "是", "√", "✓"};
	static const char *const no[] = {"false", "no", "n", "0", "否", "×", "✗"};

	for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
		if (strcasecmp(text, yes[i]) && strcasecmp(text, no[i]))
			continue;
		*ret = !strcasecmp(text, yes[i]);
		return 0;
	}
	return -EINVAL;
}
