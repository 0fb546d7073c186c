/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a start with the last N begins, by channel: before N entries that the filter lets through,
 * so that who gets a part of a channel cannot tell from them how much else stands there. Redis is
 * asked step by step (dibao_last), for it serves others too.
 *
 * Of a channel LAST_LOOKED_AT entries are looked at, rounded up to a step. If there are not N among
 * them it begins with the day (UTC) of the earliest: then more than N may come, and what can be
 * told from them is a day.
 */
#ifndef DAEMON_LAST_H
#define DAEMON_LAST_H

#include "entry_id.h"
#include "filter.h"
#include "redis_link.h"

enum { LAST_MAX = 100000, LAST_LOOKED_AT = 100000 };

/* start: NULL when there is no answer, or none that is understood; else where each channel that was
 * asked for begins (exclusive), {0,0}: with its first entry. */
typedef void (*last_fn)(const struct entry_id *start, void *userdata);

/* n: 1 to LAST_MAX. base: borrowed until the answer. fn is called once, perhaps before this
 * returns. 0 or -ENOMEM, then it is not called. */
int last_ask(struct redis_link *l, const char *base, const struct filter *f, uint8_t channels,
	     uint32_t n, last_fn fn, void *userdata);

#endif
