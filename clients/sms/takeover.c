/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking over: the rows that are open become the backlog, page by page, and what was being handed
 * to a gateway when the one before us ended becomes ambiguous. Nothing is sent and nothing taken
 * from the daemon before that is done. Later: what people released.
 */
#include "core.h"
#include "incoming.h"
#include "text_hash.h"

#include "log.h"
#include "log_ids.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 500, SENT_PAGE = 1000 };

struct loading {
	struct core *c;
	int64_t at; /* in the page's list */
};

static void load_page(struct loading *l);
static void load_sent(struct loading *l);

/* uid s t o b l n d at x p q g r ng */
static void add_row(struct core *c, const redisReply *e)
{
	size_t len;
	const char *text = outbox_reply_text(e, 0, &len);
	struct item *i = backlog_add(c->backlog, text, len);
	int s;

	if (!i)
		return;
	text = outbox_reply_text(e, 1, &len);
	s = notice_state_find(text, len);
	if (s < 0) { /* a row that was removed by hand */
		backlog_remove(c->backlog, i);
		return;
	}
	i->state = (uint8_t)s;
	text = outbox_reply_text(e, 2, &len);
	i->type = (int8_t)dibao_type_find(text, len);
	snprintf(i->badge, sizeof i->badge, "%s", outbox_reply_text(e, 4, NULL));
	i->lane = strcmp(outbox_reply_text(e, 5, NULL), "urgent") ? LANE_BULK : LANE_URGENT;
	i->attempt = (uint16_t)outbox_reply_int(e, 6);
	i->due_ms = outbox_reply_int(e, 7);
	i->at_ms = outbox_reply_int(e, 8);
	i->deadline_ms = outbox_reply_int(e, 9) ? outbox_reply_int(e, 9) : INT64_MAX;
	text = outbox_reply_text(e, 11, &len);
	i->refused = (uint8_t)outbox_reply_int(e, 14);
	if (len)
		(void)batches_join(&c->batches, text, len, i);
}

static void place(struct item *i, void *userdata)
{
	struct core *c = userdata;

	if (i->busy)
		return;
	if (i->state == NOTICE_INTENT)
		step_write(c, i,
			   &(struct step){.to = NOTICE_AMBIGUOUS, .reason = NOTICE_REASON_UNKNOWN},
			   NULL, NULL);
	else
		step_place(c, i);
}

static void ask_unknown(struct batch *b, void *userdata)
{
	if (!b->is_known)
		takeover_ask_batch(userdata, b);
}

static void finish(struct loading *l)
{
	struct core *c = l->c;

	free(l);
	c->is_loading = false;
	c->active = true;
	takeover_open_gateways(c);
	backlog_each(c->backlog, place, c);
	batches_each(&c->batches, ask_unknown, c);
	c->on_active(c);
	intake_pump(c->intake);
	reporter_wake(c->reporter);
	core_wake(c);
}

/* sms:sent. Without a mark is what a version before this one wrote, for a day. */
static void on_sent(int result, const redisReply *reply, void *userdata)
{
	struct loading *l = userdata;

	if (result != 0) {
		l->c->is_loading = false;
		free(l);
		return;
	}
	for (size_t k = 0; k + 1 < reply->elements; k += 2) {
		struct caps_mark m;

		if (caps_mark_read(&m, outbox_reply_text(reply, k, NULL)) == 0)
			caps_count(l->c->caps, &m, outbox_reply_int(reply, k + 1));
	}
	l->at += SENT_PAGE;
	if (reply->elements < 2 * SENT_PAGE)
		finish(l);
	else
		load_sent(l);
}

static void load_sent(struct loading *l)
{
	struct outbox_call *call = outbox_begin(l->c->outbox, "dibao_sms_sent", true);

	outbox_int(call, l->at);
	outbox_int(call, SENT_PAGE);
	outbox_send(l->c->outbox, call, on_sent, l);
}

static void on_rows(int result, const redisReply *reply, void *userdata)
{
	struct loading *l = userdata;

	if (result != 0) {
		l->c->is_loading = false;
		free(l);
		return;
	}
	for (size_t k = 0; k < reply->elements; k++)
		add_row(l->c, reply->element[k]);
	l->at += PAGE;
	if (reply->elements < PAGE) {
		l->at = 0;
		load_sent(l);
	} else {
		load_page(l);
	}
}

static void load_page(struct loading *l)
{
	struct outbox_call *call = outbox_begin(l->c->outbox, "dibao_sms_load", true);

	outbox_int(call, l->at);
	outbox_int(call, PAGE);
	outbox_send(l->c->outbox, call, on_rows, l);
}

static void on_opened(int result, const redisReply *reply, void *userdata)
{
	struct loading *l = userdata;
	struct core *c = l->c;
	size_t len, n;
	const char *key = outbox_reply_text(reply, 0, &len);
	uint8_t secret[KEY_BYTES];

	if (result != 0) {
		c->is_loading = false;
		free(l);
		return;
	}
	if (sodium_hex2bin(c->receipt_key, sizeof c->receipt_key, key, len, NULL, &n, NULL) < 0 ||
	    n != sizeof c->receipt_key)
		log_text(LOG_ERR, "sms:key in Redis is not 64 hex digits: receipts of texts sent "
				  "before will not be known");
	text_hash_key(c->text_key, "texts", c->receipt_key);
	text_hash_key(secret, "caps", c->receipt_key);
	c->caps = caps_new(secret);
	if (!c->caps)
		abort();
	c->released_ms = outbox_reply_int(reply, 1);
	if (outbox_reply_int(reply, 2) > 0 && !c->config->demo)
		log_text(LOG_ERR,
			 "the roster holds numbers of a demonstration: set demo = yes, or import "
			 "the bureau's own; to those numbers nothing is sent");
	load_page(l);
}

void takeover_begin(struct core *c)
{
	struct loading *l = calloc(1, sizeof *l);
	unsigned char random[KEY_BYTES];
	char hex[2 * KEY_BYTES + 1];
	struct outbox_call *call;

	if (!l)
		abort();
	l->c = c;
	c->is_loading = true;
	c->backlog = backlog_new();
	if (!c->backlog)
		abort();
	randombytes_buf(random, sizeof random);
	sodium_bin2hex(hex, sizeof hex, random, sizeof random);
	call = outbox_begin(c->outbox, "dibao_sms_open", true);
	outbox_text(call, hex);
	outbox_int(call, (int64_t)c->config->keep_ms);
	outbox_send(c->outbox, call, on_opened, l);
}

/* ---- gateways ---- */

static void on_health(struct driver *d, enum driver_health health, const char *why, void *userdata)
{
	struct core *c = userdata;

	for (unsigned k = 0; k < c->gateways.n; k++) {
		struct gateway *g = &c->gateways.at[k];

		if (g->driver != d || g->health == health)
			continue;
		g->health = health;
		log_told(health == DRIVER_UP ? LOG_NOTICE : LOG_WARNING, LOG_ID_GATEWAY, NULL,
			 "%s: %s: %s", g->name,
			 health == DRIVER_UP	     ? "well"
			 : health == DRIVER_DEGRADED ? "takes texts, but cannot send them on"
						     : "down",
			 why);
	}
	core_wake(c);
}

void takeover_open_gateways(struct core *c)
{
	for (unsigned k = 0; k < c->gateways.n; k++) {
		struct gateway *g = &c->gateways.at[k];
		struct driver_options opt = {
			.event = c->event,
			.name = g->name,
			.settings = g->config,
			.common = c->config,
			.text_key = c->text_key,
			.userdata = c,
			.on_result = sender_on_result,
			.on_receipt = news_on_receipt,
			.on_answer = incoming_on_answer,
			.on_holds = doubt_on_holds,
			.on_running = twice_on_running,
			.on_health = on_health,
		};
		int r;

		if (g->driver)
			continue;
		g->health = DRIVER_UP;
		g->started_ms = g->seen_ms = 0;
		g->is_counting = false;
		breaker_well(&g->breaker);
		bucket_init(&g->bucket, g->config->rate, core_now_ms());
		r = g->ops->create(&g->driver, &opt);
		if (r < 0 && log_limited("open"))
			log_told(LOG_ERR, LOG_ID_GATEWAY, NULL,
				 "%s: cannot be opened: %s; its texts wait", g->name, strerror(-r));
	}
}

/* ---- batches and releases ---- */

struct question {
	struct core *c;
	char what[DIBAO_UID_MAX_BYTES + 1];
};

static void release(struct core *c, struct batch *b)
{
	struct item *i;

	while (!batch_must_wait(b) && (i = batch_take(b))) {
		if (i->where == LANE_TIMERS)
			i->due_ms = core_now_ms();
		step_place(c, i);
	}
}

static void on_batch(int result, const redisReply *reply, void *userdata)
{
	struct question *q = userdata;
	struct batch *b =
		result == 0 ? batches_find(&q->c->batches, q->what, strlen(q->what)) : NULL;

	if (b) {
		b->n = (uint64_t)outbox_reply_int(reply, 0);
		b->released = outbox_reply_int(reply, 1) != 0;
		b->limit = (uint64_t)outbox_reply_int(reply, 2);
		b->is_known = true;
		release(q->c, b);
		step_tell_batch(b);
	}
	free(q);
}

static struct question *ask(struct core *c, const char *what)
{
	struct question *q = calloc(1, sizeof *q);

	if (!q)
		abort();
	q->c = c;
	snprintf(q->what, sizeof q->what, "%s", what);
	return q;
}

void takeover_ask_batch(struct core *c, struct batch *b)
{
	struct outbox_call *call = outbox_begin(c->outbox, "dibao_sms_batch", false);

	outbox_text(call, b->id);
	outbox_send(c->outbox, call, on_batch, ask(c, b->id));
}

/* A parked notice that a person wants sent: its row is queued again. */
static void on_released_one(int result, const redisReply *reply, void *userdata)
{
	struct question *q = userdata;
	struct core *c = q->c;
	size_t len;
	const char *text = outbox_reply_text(reply, 0, &len);
	struct item *i;

	if (result == 0 && notice_state_find(text, len) == NOTICE_QUEUED &&
	    (i = backlog_add(c->backlog, q->what, strlen(q->what)))) {
		i->state = NOTICE_QUEUED;
		i->attempt = (uint16_t)outbox_reply_int(reply, 1);
		text = outbox_reply_text(reply, 2, &len);
		i->type = (int8_t)dibao_type_find(text, len);
		snprintf(i->badge, sizeof i->badge, "%s", outbox_reply_text(reply, 3, NULL));
		i->lane = strcmp(outbox_reply_text(reply, 7, NULL), "urgent") ? LANE_BULK
									      : LANE_URGENT;
		i->at_ms = outbox_reply_int(reply, 8);
		i->deadline_ms = INT64_MAX;
		i->due_ms = core_now_ms();
		step_place(c, i);
	}
	free(q);
}

static void on_released(int result, const redisReply *reply, void *userdata)
{
	struct core *c = userdata;

	c->is_asking_releases = false;
	if (result != 0)
		return;
	for (size_t k = 0; k + 1 < reply->elements; k += 2) {
		const char *what = outbox_reply_text(reply, k, NULL);

		if (what[0] == 'b') {
			struct batch *b = batches_find(&c->batches, what + 1, strlen(what + 1));

			if (b) {
				b->released = true;
				release(c, b);
			}
		} else if (what[0] == 'u') {
			struct outbox_call *call = outbox_begin(c->outbox, "dibao_sms_look", false);

			outbox_text(call, what + 1);
			outbox_send(c->outbox, call, on_released_one, ask(c, what + 1));
		}
		if (outbox_reply_int(reply, k + 1) > c->released_ms)
			c->released_ms = outbox_reply_int(reply, k + 1);
	}
}

void takeover_poll_releases(struct core *c)
{
	struct outbox_call *call;

	if (c->is_asking_releases)
		return;
	c->is_asking_releases = true;
	call = outbox_begin(c->outbox, "dibao_sms_released", false);
	outbox_int(call, c->released_ms);
	outbox_send(c->outbox, call, on_released, c);
}
