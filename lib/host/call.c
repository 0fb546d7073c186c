/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include <errno.h>
#include <inttypes.h>

void call_command(struct call *c, const char *command)
{
	c->argc = 0;
	c->used = 0;
	c->overflow = false;
	call_text(c, command);
}

void call_begin(struct call *c, const char *function, const char *base)
{
	call_command(c, "FCALL");
	call_text(c, function);
	call_text(c, "1");
	call_text(c, base);
}

void call_bytes(struct call *c, const void *p, size_t len)
{
	if (c->argc == CALL_ARGS_MAX) {
		c->overflow = true;
		return;
	}
	c->argv[c->argc] = p;
	c->lens[c->argc++] = len;
}

void call_text(struct call *c, const char *text)
{
	call_bytes(c, text, strlen(text));
}

/* Formatted text, kept in the call. */
static void add(struct call *c, const char *a, const char *b)
{
	int n = snprintf(c->text + c->used, sizeof c->text - c->used, "%s%s", a, b);

	if (n < 0 || (size_t)n >= sizeof c->text - c->used) {
		c->overflow = true;
		return;
	}
	call_bytes(c, c->text + c->used, (size_t)n);
	c->used += (size_t)n + 1;
}

void call_int(struct call *c, int64_t v)
{
	char buf[24];

	snprintf(buf, sizeof buf, "%" PRId64, v);
	add(c, buf, "");
}

void call_id(struct call *c, struct entry_id id)
{
	char buf[ENTRY_ID_TEXT];

	entry_id_format(buf, id);
	add(c, buf, "");
}

void call_key(struct call *c, const char *base, const char *suffix)
{
	add(c, base, suffix);
}

int call_send(struct call *c, struct redis_link *l, redis_reply_fn fn, void *userdata)
{
	if (c->overflow)
		return -E2BIG;
	return redis_link_command(l, fn, userdata, c->argc, c->argv, c->lens, 0);
}
