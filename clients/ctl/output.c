/* SPDX-License-Identifier: Apache-2.0 */
#include "cell.h"
#include "ctl.h"
#include "text.h"

#include <jansson.h>
#include <string.h>
#include <time.h>

void ctl_put_json(struct json_t *j)
{
	json_dumpf(j, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(j);
}

void ctl_done(const struct ctl *c, const char *what, const char *name, const char *result)
{
	if (c->json)
		ctl_put_json(json_pack("{s:s, s:s}", what, name, "result", result));
}

void ctl_none(const struct ctl *c, size_t n)
{
	if (n == 0 && !c->json)
		puts("none");
}

const char *ctl_time(char buf[CTL_TIME], int64_t ms)
{
	const time_t t = (time_t)(ms / 1000 + CELL_CHINA_MIN * 60);
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(buf, CTL_TIME, "%F %T+08:00", &tm);
	return buf;
}

void ctl_put_text(const char *s, int width)
{
	bool whole = utf8_is_valid((const uint8_t *)s, strlen(s)) && !strstr(s, "\xc2");
	int n = 0;

	/* After c2 stand the controls of U+0080 to U+009F, and hardly a letter. */
	for (; *s; s++, n++)
		putchar((unsigned char)*s < ' ' || *s == 0x7f || ((*s & 0x80) && !whole) ? '?'
											 : *s);
	for (; n < width; n++)
		putchar(' ');
	putchar(' ');
}
