/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes from a handset: an answer to one of our texts. The only one that means something here
 * is that the holder of a number is not who we think: then the number is disputed for everybody
 * whom the roster has it for, and gets nothing until somebody confirms it. All others are counted
 * and thrown away; none is kept, logged, or answered.
 *
 * The roster knows numbers by badge only, so it is gone through, a page at a time. As many as
 * INCOMING_MAX answers wait for that; more are not taken, and their gateway brings them again.
 */
#ifndef SMS_INCOMING_H
#define SMS_INCOMING_H

#include "core.h"

enum { INCOMING_MAX = 64 };

struct incoming;

int incoming_new(struct incoming **ret, struct core *c);
struct incoming *incoming_free(struct incoming *in);
/* Of a gateway; see driver.h. */
void incoming_on_answer(struct driver *d, const char *from, const char *text, size_t len,
			void *ticket, void *userdata);
/* What waits is not taken. */
void incoming_reset(struct incoming *in);

/* "不是本人", "发错了", "wrong number" and the like. Pure. */
bool incoming_is_not_me(const char *text, size_t len);

#endif
