/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The breaker of a gateway: after BREAKER_FAILURES faults of the gateway in a row it takes nothing
 * for a while, 5 s doubling to 5 min, then one text tries. A gateway that says what no retry cures
 * (its password, its signature) is stopped at once, for the time its code gives. Pure.
 */
#ifndef SMS_BREAKER_H
#define SMS_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum { BREAKER_FAILURES = 5, BREAKER_FIRST_MS = 5000, BREAKER_LAST_MS = 300000 };

struct breaker {
	unsigned n_failures; /* in a row */
	unsigned wait_ms;    /* of the last opening; 0 = was never open since it was well */
	int64_t until_ms;    /* takes nothing before */
	bool trying;	     /* half open: one text is under way */
};

bool breaker_lets(const struct breaker *b, int64_t now_ms);
/* When it will let one; now_ms if it does, INT64_MAX while the one that tries is under way. */
int64_t breaker_when(const struct breaker *b, int64_t now_ms);
void breaker_sent(struct breaker *b);			/* a text is under way */
void breaker_unsent(struct breaker *b);			/* it was not sent after all */
void breaker_well(struct breaker *b);			/* the gateway answered as it should */
bool breaker_failed(struct breaker *b, int64_t now_ms); /* true: it opened now */
bool breaker_stop(struct breaker *b, int64_t now_ms, int64_t for_ms);

#endif
