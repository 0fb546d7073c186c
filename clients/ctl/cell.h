/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a cell of a spreadsheet means: cleaned, and read as a date, a time, a sum, a yes or no.
 * Pure. A form that can be read two ways (7/5/2017) is refused rather than guessed.
 */
#ifndef CTL_CELL_H
#define CTL_CELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CELL_CHINA_MIN = 480 }; /* minutes east of UTC: what a time means that says no zone */

/* Trims blanks of all kinds (ideographic, no-break, marks), undoes ="..." and, with `narrow`, turns
 * full-width letters, digits and signs into ASCII. In place; the new length. */
size_t cell_clean(char *text, size_t len, bool narrow);

/* Why a cell is one that a spreadsheet has spoilt ("1.38E+10", "#####", "#REF!"), or NULL. */
const char *cell_spoilt(const char *text);

/* 2017/7/5, 2017-7-5, 2017.7.5, 2017年7月5日, 20170705, or a spreadsheet's day number (1927 to
 * 2199) to "2017-07-05". 0, -EINVAL. */
int cell_date(const char *text, char ret[11]);

/* RFC 3339, Unix ms (13 digits), a date as above, alone or followed by 9:30, 9:30:05, 9时30分, or a
 * day number with a fraction; where the text has no zone it is `zone_min` minutes east of UTC.
 * 0, -EINVAL. */
int cell_time(const char *text, int zone_min, int64_t *ret_ms);

/* "1,000", "¥1000.50", "1000元" to fen. 0, -EINVAL. */
int cell_yuan(const char *text, int64_t *ret_fen);

/* true false yes no y n 1 0 是 否 √ ×. 0, -EINVAL. */
int cell_bool(const char *text, bool *ret);

#endif
