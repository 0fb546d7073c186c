/* SPDX-License-Identifier: Apache-2.0 */
#include "day.h"

#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

int day_end(const char *text, size_t len, int64_t *ret_ms)
{
	struct tm tm = {0};

	if (!text_is_date((const uint8_t *)text, len))
		return -EINVAL;
	tm.tm_year = (text[0] - '0') * 1000 + (text[1] - '0') * 100 + (text[2] - '0') * 10 +
		     (text[3] - '0') - 1900;
	tm.tm_mon = (text[5] - '0') * 10 + (text[6] - '0') - 1;
	tm.tm_mday = (text[8] - '0') * 10 + (text[9] - '0');
	*ret_ms = (int64_t)timegm(&tm) * 1000 - DAY_ZONE_MS + DAY_MS;
	return 0;
}

void day_of(int64_t ms, char ret[11])
{
	time_t t = (time_t)((ms + DAY_ZONE_MS) / 1000);
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(ret, 11, "%Y-%m-%d", &tm);
}
