/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Days and times as the bureau's clocks show them: Asia/Shanghai, which is
 * eight hours ahead of UTC and has had no summer time since 1991. Own
 * arithmetic in place of libc's, so that TZ and tzdata change nothing.
 *
 * A day is a count since 1970-01-01; a time is Unix milliseconds.
 */
#ifndef SEEDS_CALENDAR_H
#define SEEDS_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

enum { CALENDAR_DATE_BYTES = 11 }; /* "2016-07-05" and its end */

struct calendar_date {
	int year;
	unsigned month, day;
};

int32_t calendar_day(int year, unsigned month, unsigned day);
struct calendar_date calendar_date(int32_t day);
void calendar_text(int32_t day, char ret[CALENDAR_DATE_BYTES]);
/* Unix ms of a time of that day in Asia/Shanghai. */
int64_t calendar_ms(int32_t day, unsigned hour, unsigned minute, unsigned second);
/* The day in Asia/Shanghai on which that time falls. */
int32_t calendar_day_of_ms(int64_t ms);
/* Saturday or Sunday. Public holidays are not known here. */
bool calendar_is_weekend(int32_t day);
/* Whole years from one day to a later one. */
int calendar_years(int32_t from, int32_t to);

#endif
