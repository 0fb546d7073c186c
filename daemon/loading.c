/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a daemon must know before it serves: the epoch, where the tail was left, what has been
 * withdrawn and who is hidden. Withdrawals are read 1,000 at a time; their number is bounded by
 * retention.
 *
 * A daemon for boards reads on from the ends of its two channels, for what lies before needs no
 * adoption of its own; it knows of public withdrawals alone. And it asks for keys that it must not
 * have: if Redis lets it at one of them, it does not serve (-EACCES).
 */
#include "call.h"
#include "server_parts.h"

#include <errno.h>
#include <stdlib.h>

enum { WITHDRAWN_PER_CALL = 1000 };

struct loading {
	struct server *s;
	void (*done)(struct server *s, int err, const struct entry_id tail[DIBAO_CHANNEL_COUNT]);
	struct entry_id tail[DIBAO_CHANNEL_COUNT];
	const char *withdrawn; /* the key being read */
	int channel;	       /* whose end is being asked for */
	int forbidden;	       /* which of them is */
	int64_t offset;
};

static void end(struct loading *l, int err)
{
	l->done(l->s, err, l->tail);
	free(l);
}

static void ask_withdrawn(struct loading *l);

static const char withdrawn_public[] = "withdrawn";

/* Badge, until, badge, until ... of at most as many people as the bureau has. */
static void on_hidden(struct redis_link *link, const redisReply *reply, void *userdata)
{
	struct loading *l = userdata;

	(void)link;
	if (!reply || reply->type != REDIS_REPLY_ARRAY) {
		end(l, -EIO);
		return;
	}
	for (size_t i = 0; i + 1 < reply->elements; i += 2) {
		const redisReply *badge = reply->element[i];

		if (hidden_set(&l->s->hidden, (struct dibao_str){badge->str, badge->len},
			       strtoll(reply->element[i + 1]->str, NULL, 10)) == -ENOMEM) {
			end(l, -ENOMEM);
			return;
		}
	}
	end(l, 0);
}

static void ask_hidden(struct loading *l)
{
	static struct call call;

	hidden_clear(&l->s->hidden);
	call_command(&call, "HGETALL");
	call_key(&call, l->s->base, "hidden");
	if (call_send(&call, l->s->main, on_hidden, l) < 0)
		end(l, -ENOTCONN);
}

static void on_withdrawn(struct redis_link *link, const redisReply *reply, void *userdata)
{
	struct loading *l = userdata;

	(void)link;
	if (!reply || reply->type != REDIS_REPLY_ARRAY) {
		end(l, -EIO);
		return;
	}
	for (size_t i = 0; i < reply->elements; i++) {
		const redisReply *e = reply->element[i];

		if (withdrawn_add(&l->s->withdrawn,
				  withdrawn_hash(&l->s->withdrawn, e->str, e->len)) < 0) {
			end(l, -ENOMEM);
			return;
		}
	}
	l->offset += (int64_t)reply->elements;
	if (reply->elements == WITHDRAWN_PER_CALL) {
		ask_withdrawn(l);
	} else if (l->withdrawn == withdrawn_public && !config_is_for_boards(l->s->config)) {
		l->withdrawn = "withdrawn-private";
		l->offset = 0;
		ask_withdrawn(l);
	} else {
		ask_hidden(l);
	}
}

static void ask_withdrawn(struct loading *l)
{
	static struct call call;

	call_command(&call, "ZRANGE");
	call_key(&call, l->s->base, l->withdrawn);
	call_int(&call, l->offset);
	call_int(&call, l->offset + WITHDRAWN_PER_CALL - 1);
	if (call_send(&call, l->s->main, on_withdrawn, l) < 0)
		end(l, -ENOTCONN);
}

static void first_withdrawn(struct loading *l)
{
	withdrawn_clear(&l->s->withdrawn);
	l->withdrawn = withdrawn_public;
	l->offset = 0;
	ask_withdrawn(l);
}

static void on_tail(struct redis_link *link, const redisReply *reply, void *userdata)
{
	struct loading *l = userdata;

	(void)link;
	if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != DIBAO_CHANNEL_COUNT) {
		end(l, -EIO);
		return;
	}
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		const redisReply *e = reply->element[c];

		if (e->type == REDIS_REPLY_STRING &&
		    entry_id_parse(&l->tail[c], e->str, e->len) < 0) {
			end(l, -EBADMSG);
			return;
		}
	}
	first_withdrawn(l);
}

/* ---- a daemon for boards ---- */

static const enum dibao_channel boards_channels[] = {DIBAO_CHANNEL_PUBLIC,
						     DIBAO_CHANNEL_PUBLIC_NOW};

static void ask_end(struct loading *l);

static void on_end(struct redis_link *link, const redisReply *reply, void *userdata)
{
	struct loading *l = userdata;
	struct entry_id *end_id = &l->tail[boards_channels[l->channel]];

	(void)link;
	if (!reply || (reply->type == REDIS_REPLY_ERROR && !strstr(reply->str, "no such key"))) {
		end(l, -EIO);
		return;
	}
	for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements; i += 2) {
		const redisReply *value = reply->element[i + 1];

		if (reply->element[i]->str &&
		    !strcmp(reply->element[i]->str, "last-generated-id") &&
		    entry_id_parse(end_id, value->str, value->len) < 0) {
			end(l, -EBADMSG);
			return;
		}
	}
	if (++l->channel < (int)(sizeof boards_channels / sizeof boards_channels[0]))
		ask_end(l);
	else
		first_withdrawn(l);
}

static void ask_end(struct loading *l)
{
	static struct call call;

	call_command(&call, "XINFO");
	call_text(&call, "STREAM");
	call_key(&call, l->s->base, dibao_channel_name(boards_channels[l->channel]));
	if (call_send(&call, l->s->main, on_end, l) < 0)
		end(l, -ENOTCONN);
}

/* Private events, and the places of those who are no boards. */
static const char *const forbidden[] = {"private", "private-now", "cursors"};

static void ask_forbidden(struct loading *l);

static void on_forbidden(struct redis_link *link, const redisReply *reply, void *userdata)
{
	struct loading *l = userdata;

	(void)link;
	if (!reply)
		end(l, -EIO);
	else if (reply->type != REDIS_REPLY_ERROR || strncmp(reply->str, "NOPERM", 6) != 0)
		end(l, -EACCES);
	else if (++l->forbidden < (int)(sizeof forbidden / sizeof forbidden[0]))
		ask_forbidden(l);
	else
		ask_end(l);
}

static void ask_forbidden(struct loading *l)
{
	static struct call call;

	call_command(&call, "EXISTS");
	call_key(&call, l->s->base, forbidden[l->forbidden]);
	if (call_send(&call, l->s->main, on_forbidden, l) < 0)
		end(l, -ENOTCONN);
}

/* ---- start ---- */

static void on_epoch(struct redis_link *link, const redisReply *reply, void *userdata)
{
	struct loading *l = userdata;
	static struct call call;

	(void)link;
	if (!reply || reply->type != REDIS_REPLY_STRING) {
		end(l, -EIO);
		return;
	}
	l->s->epoch = strtoull(reply->str, NULL, 10);
	if (config_is_for_boards(l->s->config)) {
		ask_forbidden(l);
		return;
	}
	call_command(&call, "HMGET");
	call_key(&call, l->s->base, "tail");
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		call_text(&call, dibao_channel_name(c));
	if (call_send(&call, l->s->main, on_tail, l) < 0)
		end(l, -ENOTCONN);
}

void loading_start(struct server *s, void (*done)(struct server *s, int err,
						  const struct entry_id tail[DIBAO_CHANNEL_COUNT]))
{
	struct loading *l = calloc(1, sizeof *l);
	static const struct entry_id zero[DIBAO_CHANNEL_COUNT];
	static struct call call;

	if (!l) {
		done(s, -ENOMEM, zero);
		return;
	}
	l->s = s;
	l->done = done;
	call_command(&call, "GET");
	call_key(&call, s->base, "epoch");
	if (call_send(&call, s->main, on_epoch, l) < 0)
		end(l, -ENOTCONN);
}
