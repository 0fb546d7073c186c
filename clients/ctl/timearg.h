/* SPDX-License-Identifier: Apache-2.0 */
/* Points in time as a person types them. Pure. */
#ifndef CTL_TIMEARG_H
#define CTL_TIMEARG_H

#include <stdint.h>
#include <time.h>

/* Unix ms ("1795447940996"), a while ago ("90s", "15m", "2h", "3d"), or a date or time as cell.h
 * reads it ("2026-11-25", "2026年11月25日 9:30"): without a zone it is China's, without a clock the
 * day's beginning. 0, -EINVAL. */
int timearg_parse(const char *text, time_t now, int64_t *ret_ms);
/* A length of time in ms: "500ms", "90s", "15m", "2h", "14d". 0, -EINVAL. */
int timearg_duration(const char *text, int64_t *ret_ms);

#endif
