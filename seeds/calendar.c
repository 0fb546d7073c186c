/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Day counts after Howard Hinnant's "chrono-Compatible Low-Level Date
 * Algorithms": eras of 400 years that begin on 1 March. Right for all years
 * that seeds use; years below 0 are not.
 */
#include "calendar.h"

#include <stdio.h>

#define DAY_MS	  86400000ll
#define OFFSET_MS (8 * 3600000ll)

int32_t calendar_day(int year, unsigned month, unsigned day)
{
	int y = month <= 2 ? year - 1 : year;
	int era = y / 400;
	unsigned yoe = (unsigned)(y - era * 400);
	unsigned doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

	return era * 146097 + (int32_t)doe - 719468;
}

struct calendar_date calendar_date(int32_t day)
{
	int32_t z = day + 719468;
	int era = z / 146097;
	unsigned doe = (unsigned)(z - era * 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned mp = (5 * doy + 2) / 153;
	struct calendar_date d = {
		.year = (int)yoe + era * 400 + (mp >= 10),
		.month = mp < 10 ? mp + 3 : mp - 9,
		.day = doy - (153 * mp + 2) / 5 + 1,
	};

	return d;
}

void calendar_text(int32_t day, char ret[CALENDAR_DATE_BYTES])
{
	struct calendar_date d = calendar_date(day);

	snprintf(ret, CALENDAR_DATE_BYTES, "%04u-%02u-%02u", (unsigned)d.year % 10000,
		 d.month % 100, d.day % 100);
}

int64_t calendar_ms(int32_t day, unsigned hour, unsigned minute, unsigned second)
{
	return day * DAY_MS - OFFSET_MS + hour * 3600000ll + minute * 60000ll + second * 1000ll;
}

int32_t calendar_day_of_ms(int64_t ms)
{
	return (int32_t)((ms + OFFSET_MS) / DAY_MS);
}

bool calendar_is_weekend(int32_t day)
{
	int32_t weekday = (day + 4) % 7; /* 1970-01-01 was a Thursday; 0 = Sunday */

	return weekday == 0 || weekday == 6;
}

int calendar_years(int32_t from, int32_t to)
{
	struct calendar_date a = calendar_date(from), b = calendar_date(to);

	return b.year - a.year - (b.month < a.month || (b.month == a.month && b.day < a.day));
}
