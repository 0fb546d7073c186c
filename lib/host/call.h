/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call of a function of the queue: FCALL name 1 base args..., put together from text and binary
 * arguments. Bounded: CALL_ARGS_MAX arguments, CALL_TEXT_BYTES of formatted text in all; more is
 * -E2BIG when sent.
 */
#ifndef HOST_CALL_H
#define HOST_CALL_H

#include "entry_id.h"
#include "redis_link.h"

#include <stdio.h>
#include <string.h>

enum { CALL_ARGS_MAX = 2048, CALL_TEXT_BYTES = 49152 };

struct call {
	int argc;
	bool overflow;
	const char *argv[CALL_ARGS_MAX];
	size_t lens[CALL_ARGS_MAX];
	size_t used;
	char text[CALL_TEXT_BYTES];
};

/* base: "dibao:{3205}:"; borrowed, like every argument given by pointer, until it is sent. */
void call_begin(struct call *c, const char *function, const char *base);
void call_command(struct call *c, const char *command); /* a plain command instead */
void call_bytes(struct call *c, const void *p, size_t len);
void call_text(struct call *c, const char *text);
void call_int(struct call *c, int64_t n);
void call_id(struct call *c, struct entry_id id);
/* base + suffix: a key. */
void call_key(struct call *c, const char *base, const char *suffix);
int call_send(struct call *c, struct redis_link *l, redis_reply_fn fn, void *userdata);

#endif
