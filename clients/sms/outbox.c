/* SPDX-License-Identifier: Apache-2.0 */
#include "outbox.h"

#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARGS_MAX = 56 };

/* Answered or not, a call is in the list of its outbox until it is freed, in the order of sending.
 */
struct outbox_call {
	struct outbox *o;
	struct outbox_call *next, *prev;
	outbox_fn fn;
	void *userdata;
	bool is_sent, is_forgotten;
	int argc;
	size_t at[ARGS_MAX], lens[ARGS_MAX]; /* into bytes */
	char *bytes;
	size_t used, cap;
};

struct outbox {
	char *base, *name;
	struct redis_link *link;
	char epoch[24], counter[24];
	bool is_stale;
	struct outbox_call *first, *last;
	void *userdata;
	void (*on_stale)(void *userdata);
};

int outbox_new(struct outbox **ret, const struct outbox_options *opt)
{
	struct outbox *o = calloc(1, sizeof *o);

	if (!o)
		return -ENOMEM;
	o->base = strdup(opt->base);
	o->name = strdup(opt->name);
	o->userdata = opt->userdata;
	o->on_stale = opt->on_stale;
	if (!o->base || !o->name) {
		outbox_free(o);
		return -ENOMEM;
	}
	*ret = o;
	return 0;
}

static void call_free(struct outbox_call *c)
{
	struct outbox *o = c->o;

	if (c->prev)
		c->prev->next = c->next;
	else if (o->first == c)
		o->first = c->next;
	if (c->next)
		c->next->prev = c->prev;
	else if (o->last == c)
		o->last = c->prev;
	free(c->bytes);
	free(c);
}

/* Unsent ones go; a sent one's answer is still to come and finds it forgotten. */
void outbox_cancel(struct outbox *o)
{
	for (struct outbox_call *c = o->first, *next; c; c = next) {
		outbox_fn fn = c->is_forgotten ? NULL : c->fn;
		void *userdata = c->userdata;

		c->is_forgotten = true;
		if (fn)
			fn(-ECANCELED, NULL, userdata);
		next = c->next;
		if (!c->is_sent)
			call_free(c);
	}
}

struct outbox *outbox_free(struct outbox *o)
{
	if (!o)
		return NULL;
	outbox_cancel(o);
	while (o->first)
		call_free(o->first);
	free(o->base);
	free(o->name);
	free(o);
	return NULL;
}

void outbox_token(struct outbox *o, uint64_t epoch, uint64_t counter)
{
	snprintf(o->epoch, sizeof o->epoch, "%" PRIu64, epoch);
	snprintf(o->counter, sizeof o->counter, "%" PRIu64, counter);
	o->is_stale = false;
}

bool outbox_is_idle(const struct outbox *o)
{
	return !o->first;
}

struct outbox_call *outbox_begin(struct outbox *o, const char *function, bool fenced)
{
	struct outbox_call *c = calloc(1, sizeof *c);

	if (!c)
		abort();
	c->o = o;
	outbox_text(c, "FCALL");
	outbox_text(c, function);
	outbox_text(c, "1");
	outbox_text(c, o->base);
	if (fenced) {
		outbox_text(c, o->name);
		outbox_text(c, o->epoch);
		outbox_text(c, o->counter);
	}
	return c;
}

void outbox_bytes(struct outbox_call *c, const void *p, size_t len)
{
	if (c->argc == ARGS_MAX)
		abort(); /* a bug of ours: every call has a fixed number */
	if (c->used + len > c->cap) {
		size_t cap = (c->used + len) * 2 + 256;
		char *bytes = realloc(c->bytes, cap);

		if (!bytes)
			abort();
		c->bytes = bytes;
		c->cap = cap;
	}
	if (len)
		memcpy(c->bytes + c->used, p, len);
	c->at[c->argc] = c->used;
	c->lens[c->argc++] = len;
	c->used += len;
}

void outbox_text(struct outbox_call *c, const char *text)
{
	outbox_bytes(c, text, strlen(text));
}

void outbox_int(struct outbox_call *c, int64_t n)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRId64, n);
	outbox_text(c, text);
}

static void on_reply(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct outbox_call *c = userdata;
	struct outbox *o = c->o;
	outbox_fn fn = c->is_forgotten ? NULL : c->fn;
	void *of = c->userdata;
	int result = 0;

	(void)l;
	if (!c->is_forgotten && (!reply || redis_reply_is_error(reply, "LOADING") ||
				 redis_reply_is_error(reply, "READONLY") ||
				 redis_reply_is_error(reply, "MASTERDOWN"))) {
		c->is_sent = false; /* the link goes down, and it is made again */
		return;
	}
	if (reply && redis_reply_is_error(reply, "DIBAO_STALE"))
		result = -ESTALE;
	else if (reply && redis_reply_is_error(reply, NULL)) {
		result = -EIO;
		if (!c->is_forgotten && log_limited("outbox"))
			log_text(LOG_ERR, "outbox: %.*s: %s", (int)c->lens[1], c->bytes + c->at[1],
				 reply->str);
	}
	call_free(c);
	if (fn)
		fn(result, result ? NULL : reply, of);
	if (result == -ESTALE && fn && !o->is_stale) {
		o->is_stale = true;
		o->on_stale(o->userdata);
	}
}

static void send_now(struct outbox *o, struct outbox_call *c)
{
	const char *argv[ARGS_MAX];

	for (int i = 0; i < c->argc; i++)
		argv[i] = c->bytes + c->at[i];
	c->is_sent = redis_link_command(o->link, on_reply, c, c->argc, argv, c->lens, 0) == 0;
}

void outbox_send(struct outbox *o, struct outbox_call *c, outbox_fn fn, void *userdata)
{
	c->fn = fn;
	c->userdata = userdata;
	c->prev = o->last;
	*(o->last ? &o->last->next : &o->first) = c;
	o->last = c;
	if (o->link && !o->is_stale)
		send_now(o, c);
}

void outbox_connect(struct outbox *o, struct redis_link *link)
{
	o->link = link;
	if (!link)
		return;
	for (struct outbox_call *c = o->first; c; c = c->next)
		if (!c->is_sent)
			send_now(o, c);
}

const char *outbox_reply_text(const redisReply *reply, size_t i, size_t *ret_len)
{
	const redisReply *e = reply && reply->type == REDIS_REPLY_ARRAY && i < reply->elements
				      ? reply->element[i]
				      : NULL;
	bool is_text = e && (e->type == REDIS_REPLY_STRING || e->type == REDIS_REPLY_STATUS);

	if (ret_len)
		*ret_len = is_text ? e->len : 0;
	return is_text ? e->str : "";
}

int64_t outbox_reply_int(const redisReply *reply, size_t i)
{
	const redisReply *e = reply && reply->type == REDIS_REPLY_ARRAY && i < reply->elements
				      ? reply->element[i]
				      : NULL;

	if (!e)
		return 0;
	return e->type == REDIS_REPLY_INTEGER ? e->integer : e->str ? strtoll(e->str, NULL, 10) : 0;
}
