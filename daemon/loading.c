/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a daemon must know before it serves: the epoch, where the tail was left, what has been
 * withdrawn and who is hidden. Withdrawals are read 1,000 at a time; their number is bounded by
 * retention.
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
	int64_t offset;
};

static void end(struct loading *l, int err)
{
	l->done(l->s, err, l->tail);
	free(l);
}

static void ask_withdrawn(struct loading *l);

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
	if (reply->elements < WITHDRAWN_PER_CALL)
		ask_hidden(l);
	else
		ask_withdrawn(l);
}

static void ask_withdrawn(struct loading *l)
{
	static struct call call;

	call_command(&call, "ZRANGE");
	call_key(&call, l->s->base, "withdrawn");
	call_int(&call, l->offset);
	call_int(&call, l->offset + WITHDRAWN_PER_CALL - 1);
	if (call_send(&call, l->s->main, on_withdrawn, l) < 0)
		end(l, -ENOTCONN);
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
	withdrawn_clear(&l->s->withdrawn);
	ask_withdrawn(l);
}

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
