/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outbox's functions in Redis (outbox.lua): their text with its version, loading, the check.
 * The version holds a hash of the text, so that no change goes unnoticed for want of a new number.
 */
#ifndef SMS_OUTBOX_FUNCTIONS_H
#define SMS_OUTBOX_FUNCTIONS_H

#include <dibao/event.h>

struct redisContext;

/* NUL-terminated, made once, borrowed. */
const char *outbox_functions(size_t *ret_len);
const char *outbox_functions_version(void);

/* FUNCTION LOAD REPLACE over a synchronous connection. 0, -EACCES, -ENOTCONN, -EIO; *err says. */
int outbox_functions_load(struct redisContext *c, struct dibao_error *err);

#endif
