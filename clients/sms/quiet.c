/* SPDX-License-Identifier: Apache-2.0 */
#include "quiet.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { DAY_MIN = 1440, ZONE_MIN = 480 };

struct quiet_hours quiet_default(void)
{
	return (struct quiet_hours){.from_min = 21 * 60, .until_min = 8 * 60};
}

int quiet_parse(struct quiet_hours *ret, const char *text)
{
	unsigned h1, m1, h2, m2;
	int n = 0;

	if (!strcmp(text, "none")) {
		*ret = (struct quiet_hours){0};
		return 0;
	}
	if (strspn(text, "0123456789:-") != strlen(text) ||
	    sscanf(text, "%2u:%2u-%2u:%2u%n", &h1, &m1, &h2, &m2, &n) != 4 || text[n] || h1 > 24 ||
	    h2 > 24 || m1 > 59 || m2 > 59 || h1 * 60 + m1 > DAY_MIN || h2 * 60 + m2 > DAY_MIN)
		return -EINVAL;
	*ret = (struct quiet_hours){.from_min = (h1 * 60 + m1) % DAY_MIN,
				    .until_min = (h2 * 60 + m2) % DAY_MIN};
	/* "00:00-24:00" would be quiet for good, and nothing would ever go. */
	return ret->from_min == ret->until_min && h1 * 60 + m1 != h2 * 60 + m2 ? -EINVAL : 0;
}

/* Milliseconds since midnight in China. */
static int64_t ms_of_day(int64_t ms)
{
	int64_t day = DAY_MIN * INT64_C(60000), t = (ms + ZONE_MIN * INT64_C(60000)) % day;

	return t < 0 ? t + day : t;
}

bool quiet_is(const struct quiet_hours *q, int64_t now_ms)
{
	int64_t t = ms_of_day(now_ms), from = q->from_min * INT64_C(60000),
		until = q->until_min * INT64_C(60000);

	if (from <= until)
		return t >= from && t < until;
	return t >= from || t < until;
}

int64_t quiet_due(const struct quiet_hours *q, int64_t now_ms, bool urgent)
{
	int64_t day = DAY_MIN * INT64_C(60000), until = q->until_min * INT64_C(60000);

	if (urgent || !quiet_is(q, now_ms))
		return now_ms;
	return now_ms + (until - ms_of_day(now_ms) + day) % day;
}

int64_t quiet_deadline(const struct dibao_event *ev)
{
	static const char visit[] = "welfare_visit";
	int64_t deadline = ev->expires ? ev->expires : INT64_MAX, when;

	if (ev->type_name.len == sizeof visit - 1 &&
	    !memcmp(ev->type_name.p, visit, sizeof visit - 1) &&
	    dibao_event_int(ev, "body.when", &when) == 0 && when < deadline)
		deadline = when;
	return deadline;
}

const char *quiet_late_words(void)
{
	return "it would be too late when the quiet hours end";
}
