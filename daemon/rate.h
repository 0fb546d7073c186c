/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often each of many may do something: a bucket of tokens a name, filled evenly, a minute's
 * worth at most. Pure but for memory; time is passed in.
 *
 * Bounds: a bucket that is full again is forgotten when room is needed; the names are those of the
 * policy's keys, at most RATE_NAMES_MAX are kept at one time, and who finds no room may not.
 */
#ifndef DAEMON_RATE_H
#define DAEMON_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RATE_NAME_MAX = 47, RATE_NAMES_MAX = 65536 };

struct rates;

int rates_new(struct rates **ret);
struct rates *rates_free(struct rates *r);
/* May `name` do it once more now? a_minute 0: always. A longer name is cut. */
bool rates_take(struct rates *r, const char *name, uint32_t a_minute, uint64_t now_usec);
size_t rates_count(const struct rates *r);

#endif
