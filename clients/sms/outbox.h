/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to the outbox in Redis: calls of its functions (outbox.lua) under the fencing token.
 *
 * A call is answered exactly once. One that the connection's loss left without an answer is made
 * again when there is a connection: each function is safe to repeat, and answers a repetition so
 * that it can be told from a contradiction. So a call only ends as done (0 and its reply), as
 * fenced
 * (-ESTALE: another instance is active, nothing was written, and nothing ever will be by this
 * token), as wrong (-EIO, logged), or as given up (-ECANCELED: outbox_token(), outbox_free()). The
 * order of calls is kept, repetitions included.
 *
 * Bounded by who calls: each caller has a bound of its own on what it has under way.
 */
#ifndef SMS_OUTBOX_H
#define SMS_OUTBOX_H

#include "redis_link.h"

#include <dibao/event.h>

struct outbox;
struct outbox_call;

typedef void (*outbox_fn)(int result, const redisReply *reply, void *userdata);

struct outbox_options {
	const char *base; /* "dibao:{3205}:" */
	const char *name; /* durable */
	void *userdata;
	void (*on_stale)(void *userdata); /* once a token; from within a reply */
};

int outbox_new(struct outbox **ret, const struct outbox_options *opt);
/* After the link. Calls not answered are given up. Returns NULL. */
struct outbox *outbox_free(struct outbox *o);
/* The link that calls go over from now on, NULL = down. What waits is sent. */
void outbox_connect(struct outbox *o, struct redis_link *link);
/* Calls not answered are given up. */
void outbox_cancel(struct outbox *o);
/* A new activity, after outbox_cancel(). */
void outbox_token(struct outbox *o, uint64_t epoch, uint64_t counter);
bool outbox_is_idle(const struct outbox *o);

/* A call, put together from copies of its arguments; fenced ones begin with the token. Without
 * memory the program ends: there is nothing it could still promise. */
struct outbox_call *outbox_begin(struct outbox *o, const char *function, bool fenced);
void outbox_bytes(struct outbox_call *c, const void *p, size_t len);
void outbox_text(struct outbox_call *c, const char *text);
void outbox_int(struct outbox_call *c, int64_t n);
/* fn may be NULL. */
void outbox_send(struct outbox *o, struct outbox_call *c, outbox_fn fn, void *userdata);

/* Element i of an array as text, "" if there is none; *ret_len may be NULL. */
const char *outbox_reply_text(const redisReply *reply, size_t i, size_t *ret_len);
int64_t outbox_reply_int(const redisReply *reply, size_t i);

#endif
