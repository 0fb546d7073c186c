/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A time as people and JSON write it (RFC 3339) to Unix ms. The profile is strict: digits where
 * digits stand, a zone always, for a local time without one would be read differently on another
 * machine. Seconds may be left out; of their fraction milliseconds are kept, the rest is cut.
 */
#include "types.h"

#include <errno.h>
#include <time.h>

/* `n` digits at *p, which moves on; -1 if there aren't as many. */
static int digits(const char **p, unsigned n)
{
	int v = 0;

	for (; n > 0; n--, (*p)++) {
		if (**p < '0' || **p > '9')
			return -1;
		v = v * 10 + (**p - '0');
	}
	return v;
}

static bool sign(const char **p, const char *one_of)
{
	for (; *one_of; one_of++)
		if (**p == *one_of) {
			(*p)++;
			return true;
		}
	return false;
}

static int fraction_ms(const char **p)
{
	int ms = 0;

	if (**p < '0' || **p > '9')
		return -1;
	for (int place = 100; **p >= '0' && **p <= '9'; (*p)++, place /= 10)
		ms += place * (**p - '0');
	return ms;
}

/* Minutes east of UTC, and the end of the text. */
static int zone_minutes(const char *p, int *ret)
{
	bool west;
	int h, m;

	if (sign(&p, "Zz")) {
		*ret = 0;
		return *p ? -EINVAL : 0;
	}
	west = *p == '-';
	if (!sign(&p, "+-"))
		return -EINVAL;
	h = digits(&p, 2);
	if (h < 0 || h > 23 || !sign(&p, ":"))
		return -EINVAL;
	m = digits(&p, 2);
	if (m < 0 || m > 59 || *p)
		return -EINVAL;
	*ret = (west ? -1 : 1) * (h * 60 + m);
	return 0;
}

int time_from_text(const char *text, int64_t *ret_ms)
{
	struct tm tm = {0}, midnight;
	int day, ms = 0, zone;

	tm.tm_year = digits(&text, 4) - 1900;
	if (tm.tm_year < -1900 || !sign(&text, "-"))
		return -EINVAL;
	tm.tm_mon = digits(&text, 2) - 1;
	if (tm.tm_mon < 0 || tm.tm_mon > 11 || !sign(&text, "-"))
		return -EINVAL;
	day = tm.tm_mday = digits(&text, 2);
	if (day < 1 || day > 31 || !sign(&text, "Tt "))
		return -EINVAL;
	tm.tm_hour = digits(&text, 2);
	if (tm.tm_hour < 0 || tm.tm_hour > 23 || !sign(&text, ":"))
		return -EINVAL;
	tm.tm_min = digits(&text, 2);
	if (tm.tm_min < 0 || tm.tm_min > 59)
		return -EINVAL;
	if (sign(&text, ":")) {
		tm.tm_sec = digits(&text, 2); /* 60: a leap second */
		if (tm.tm_sec < 0 || tm.tm_sec > 60)
			return -EINVAL;
		if (sign(&text, ".")) {
			ms = fraction_ms(&text);
			if (ms < 0)
				return -EINVAL;
		}
	}
	if (zone_minutes(text, &zone) < 0)
		return -EINVAL;
	/* timegm() makes 2 March of 30 February, without a word. */
	midnight = (struct tm){.tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = tm.tm_mday};
	(void)timegm(&midnight);
	if (midnight.tm_mday != day)
		return -EINVAL;
	*ret_ms = ((int64_t)timegm(&tm) - zone * 60) * 1000 + ms;
	return 0;
}
