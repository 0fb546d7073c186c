/* SPDX-License-Identifier: Apache-2.0 */
/* Points in time as a person types them. Pure. */
#ifndef CTL_TIMEARG_H
#define CTL_TIMEARG_H

#include <stdint.h>
#include <time.h>

/* Unix ms ("1795447940996"), RFC 3339 with zone, or a while ago ("90s", "15m", "2h", "3d"). 0,
 * -EINVAL. */
int timearg_parse(const char *text, time_t now, int64_t *ret_ms);
/* A length of time in ms: "500ms", "90s", "15m", "2h", "14d". 0, -EINVAL. */
int timearg_duration(const char *text, int64_t *ret_ms);

#endif
