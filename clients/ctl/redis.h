/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the queue's functions, one at a time, over one connection. */
#ifndef CTL_REDIS_H
#define CTL_REDIS_H

#include "ctl.h"

#include <hiredis/hiredis.h>

struct ctl_redis {
	redisContext *context; /* owned */
	char base[64];	       /* "dibao:{3205}:" */
	char who[96];	       /* for the audit stream: "uid=1000 login=... redis=..." */
};

/* Connects; with `functions`, checks that they are loaded. 0 or a sysexits code, said. */
int ctl_redis_open(struct ctl_redis *r, const struct ctl *c, bool functions);
void ctl_redis_close(struct ctl_redis *r);

/* FCALL function 1 base args... (NULL-terminated texts). *ret is the caller's (freeReplyObject);
 * 0 or a sysexits code, said; an error reply is said and is EX_DATAERR. */
int ctl_redis_call(struct ctl_redis *r, redisReply **ret, const char *function, ...)
	__attribute__((sentinel));
/* A function that acts on one thing, `arg`, and replies how many there were: with --json
 * {"WHAT":ARG,"result":DONE} is said. 0, or a sysexits code, said: none was there, and why. */
int ctl_redis_act(const struct ctl *c, struct ctl_redis *r, const char *function, const char *arg,
		  const char *what, const char *done, const char *none);
/* Writes down an act that no function of the queue does. 0 or a sysexits code, said. */
int ctl_redis_audit(struct ctl_redis *r, const char *act, const char *what, const char *result);
/* A reply that hiredis gave: *ret is it, and the caller's; NULL or an error is said and freed. */
int ctl_redis_check(struct ctl_redis *r, redisReply *reply, redisReply **ret);
/* A plain command, in the form of redisCommand(). */
int ctl_redis_command(struct ctl_redis *r, redisReply **ret, const char *fmt, ...);
/* A field of a stream's entry, NULL if it has none; its text, "" then. Borrowed from the reply. */
const redisReply *ctl_redis_value(const redisReply *entry, const char *name);
const char *ctl_redis_field(const redisReply *entry, const char *name);
/* Each entry of a stream from this id on ("-": all), a page at a time, so that memory is bounded
 * however many there are. 0 and their number, or a sysexits code, said. */
int ctl_redis_each(struct ctl_redis *r, const char *stream, const char *from,
		   void (*fn)(const redisReply *entry, void *userdata), void *userdata,
		   size_t *ret_n);
/* A whole stream as a verb's list, with what it says of an empty one; fn has c. */
int ctl_redis_list(struct ctl_redis *r, struct ctl *c, const char *stream,
		   void (*fn)(const redisReply *entry, void *userdata));
/* Is it an entry's id ("1795622807135-0")? */
bool ctl_redis_is_id(const char *text);
/* base + suffix; borrowed until the next call. */
const char *ctl_redis_key(struct ctl_redis *r, const char *suffix);

#endif
