/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is this Redis one to keep an outbox in? A text that was sent and forgotten is sent again: so what
 * is acknowledged must be on disk (appendonly, appendfsync always), nothing may be evicted, and the
 * outbox's functions must be of this version. What cannot be seen counts as unsafe.
 */
#ifndef SMS_REDIS_SAFE_H
#define SMS_REDIS_SAFE_H

#include "redis_link.h"

struct redis_safe {
	bool ok;
	bool functions_ok; /* without them nothing works, safe or not */
	bool is_lost;	   /* the connection went: no answer */
	char text[1024];   /* one fault a line, with its cure; "" */
};

typedef void (*redis_safe_fn)(const struct redis_safe *found, void *userdata);

/* The link must be up; fn is called once, later. 0, -ENOTCONN, -ENOMEM. */
int redis_safe_check(struct redis_link *l, const char *base, redis_safe_fn fn, void *userdata);

#endif
