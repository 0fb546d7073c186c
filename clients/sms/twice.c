/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts that arrived twice, or may have: what receipts show of it, and what a gateway's new start
 * makes possible. All is kept in Redis (outbox.lua: note, started), for it outlives us; it changes
 * no state, and is told to the daemon with the notice's state and by `dibaoctl sms twice`.
 *
 * Kannel takes a text out of its store when the carrier has answered. If bearerbox ends between, it
 * sends the text again (measured), and gives one receipt for both: so only that it was started
 * while it had the text can be known. It tells of its last start alone: of any text that it had
 * since the one before was last told of, it may have been.
 *
 * It tells whole seconds of its clock, so that a start is the same as the one before if it is at
 * most a second from it, and as much more as the answers took. Two that are nearer are one to us.
 */
#include "core.h"

#include <stdlib.h>

enum { SECOND_MS = 1000 };

struct start {
	struct core *c;
	struct gateway *g;
	int64_t at_ms, took_ms, margin_ms, told_ms, index;
};

static struct gateway *gateway_of(struct core *c, const struct driver *d)
{
	for (unsigned k = 0; k < c->gateways.n; k++)
		if (c->gateways.at[k].driver == d)
			return &c->gateways.at[k];
	return NULL;
}

static void count(struct start *s);

static void on_counted(int result, const redisReply *reply, void *userdata)
{
	struct start *s = userdata;

	if (result == 0 && reply->type == REDIS_REPLY_INTEGER && reply->integer > 0) {
		s->index = reply->integer;
		count(s);
		return;
	}
	s->g->is_counting = false;
	if (result == 0) {
		s->g->started_ms = s->at_ms;
		s->g->took_ms = s->took_ms;
		s->g->seen_ms = s->told_ms;
		reporter_wake(s->c->reporter);
	}
	free(s);
}

/* A page at a time. */
static void count(struct start *s)
{
	struct outbox_call *call = outbox_begin(s->c->outbox, "dibao_sms_started", true);

	outbox_text(call, s->g->name);
	outbox_int(call, s->at_ms);
	outbox_int(call, s->g->seen_ms);
	outbox_int(call, s->index);
	outbox_int(call, s->margin_ms);
	outbox_send(s->c->outbox, call, on_counted, s);
}

void twice_on_running(struct driver *d, uint64_t uptime_ms, uint64_t took_ms, void *userdata)
{
	struct core *c = userdata;
	struct gateway *g = gateway_of(c, d);
	int64_t now = core_now_ms(), at = now - now % SECOND_MS - (int64_t)uptime_ms, margin;
	struct start *s;

	if (!g || g->is_counting)
		return;
	margin = SECOND_MS + (int64_t)took_ms + g->took_ms;
	if (llabs(at - g->started_ms) <= margin) {
		/* After a slow answer it is not clear; the next one tells. */
		if (llabs(at - g->started_ms) <= SECOND_MS)
			g->seen_ms = now;
		return;
	}
	s = calloc(1, sizeof *s);
	if (!s)
		abort();
	*s = (struct start){.c = c,
			    .g = g,
			    .at_ms = at,
			    .took_ms = (int64_t)took_ms,
			    .margin_ms = margin,
			    .told_ms = now};
	g->is_counting = true;
	count(s);
}

void twice_note(struct core *c, const struct driver_receipt *r, outbox_fn fn, void *userdata)
{
	struct outbox_call *call = outbox_begin(c->outbox, "dibao_sms_note", true);

	outbox_text(call, r->id);
	outbox_int(call, r->attempt);
	outbox_text(call, r->news == DRIVER_NEWS_ACCEPTED    ? "a"
			  : r->news == DRIVER_NEWS_DELIVERED ? "d"
							     : "f");
	outbox_text(call, r->ref);
	outbox_send(c->outbox, call, fn, userdata);
}
