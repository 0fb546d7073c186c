/* SPDX-License-Identifier: Apache-2.0 */
/* Days of the calendar in Asia/Shanghai, which is UTC+8 all year. The machine's zone is never
 * asked.
 */
#ifndef BOARD_DAY_H
#define BOARD_DAY_H

#include <stddef.h>
#include <stdint.h>

enum { DAY_MS = 86400000, DAY_ZONE_MS = 8 * 3600000 };

/* Unix ms at 24:00 of a day "YYYY-MM-DD". 0, -EINVAL. */
int day_end(const char *text, size_t len, int64_t *ret_ms);
/* "YYYY-MM-DD" of an instant, 10 characters and a NUL. */
void day_of(int64_t ms, char ret[11]);

#endif
