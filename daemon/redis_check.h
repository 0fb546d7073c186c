/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is this Redis safe to serve from? Asked over a link on each connect. A fault
 * is what would lose events or cannot work: the text names it, its consequence
 * and the command that cures it, one fault a line. What to do about it (stop,
 * wait for another role, go on with --unsafe-redis) is the caller's decision.
 */
#ifndef DAEMON_REDIS_CHECK_H
#define DAEMON_REDIS_CHECK_H

#include "redis_link.h"

enum redis_fault {
	REDIS_FAULT_AOF = 1u << 0,	 /* appendonly no */
	REDIS_FAULT_EVICTION = 1u << 1,	 /* maxmemory-policy other than noeviction */
	REDIS_FAULT_FUNCTIONS = 1u << 2, /* not loaded, or of another version */
	REDIS_FAULT_ROLE = 1u << 3,	 /* not a master */
	REDIS_FAULT_CAP = 1u << 4,	 /* retention cap above 60 % of maxmemory */
	REDIS_FAULT_VERSION = 1u << 5,	 /* older than 7.0 */
	REDIS_FAULT_UNKNOWN = 1u << 6,	 /* refused to answer, or the link was lost */
	REDIS_WARN_FSYNC = 1u << 16,	 /* appendfsync other than always, or not to be seen */
	REDIS_FAULTS = (1u << 16) - 1,
	/* What --unsafe-redis may override; the others cannot work at all. */
	REDIS_FAULTS_UNSAFE =
		REDIS_FAULT_AOF | REDIS_FAULT_EVICTION | REDIS_FAULT_FUNCTIONS | REDIS_FAULT_CAP,
};

enum { REDIS_CHECK_TEXT_MAX = 1536 };

struct redis_check_result {
	bool ok;	    /* no fault; there may be warnings */
	unsigned found;	    /* enum redis_fault */
	int64_t time_ms;    /* Redis' clock; 0 = not told */
	uint64_t maxmemory; /* bytes; 0 = none */
	uint64_t cap_bytes; /* in force: the given one, or 60 % of maxmemory, or 0 = none */
	char text[REDIS_CHECK_TEXT_MAX]; /* one line per finding, each ended by \n; "" */
};

typedef void (*redis_check_fn)(const struct redis_check_result *result, void *userdata);

/* The link must be up. fn is called exactly once, later; result is borrowed for the call. 0,
 * -ENOTCONN, -ENOMEM. */
int redis_check(struct redis_link *l, const char *bureau, uint64_t cap_bytes, redis_check_fn fn,
		void *userdata);

#endif
