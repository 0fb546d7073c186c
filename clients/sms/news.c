/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receipts. One is answered when what it changes is on disk, or when it changes nothing. One for a
 * notice with something under way waits for that; one for a notice that is not in the backlog any
 * more (parked, final) is held against its row.
 *
 * A receipt that others could have sent carries the token of the submit: a keyed hash of uid and
 * attempt. One that does not fit is counted and answered as if it had been taken, which tells
 * nothing.
 */
#include "core.h"

#include "log.h"
#include "log_ids.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct news {
	struct news *next;
	struct core *c;
	struct driver *d;
	void *ticket;
	struct driver_receipt receipt;
};

void news_token(const struct core *c, const char *id, unsigned attempt,
		char ret[DRIVER_TOKEN_BYTES])
{
	unsigned char hash[(DRIVER_TOKEN_BYTES - 1) / 2];
	crypto_generichash_state s;
	uint32_t n = attempt;

	crypto_generichash_init(&s, c->receipt_key, sizeof c->receipt_key, sizeof hash);
	crypto_generichash_update(&s, (const unsigned char *)id, strlen(id) + 1);
	crypto_generichash_update(&s, (const unsigned char *)&n, sizeof n);
	crypto_generichash_final(&s, hash, sizeof hash);
	sodium_bin2hex(ret, DRIVER_TOKEN_BYTES, hash, sizeof hash);
}

static void news_end(struct news *n, bool taken)
{
	/* The gateways are closed when all is given up: then there is nobody to answer. */
	if (n->ticket && n->d)
		n->d->ops->receipt_done(n->d, n->ticket, taken);
	n->c->n_news--;
	free(n);
}

static struct gateway *gateway_of(struct core *c, const struct driver *d)
{
	for (unsigned i = 0; i < c->gateways.n; i++)
		if (c->gateways.at[i].driver == d)
			return &c->gateways.at[i];
	return NULL;
}

static void on_written(struct core *c, struct item *i, bool ok, void *userdata)
{
	struct news *n = userdata;

	if (!i) {
		news_end(n, false);
		return;
	}
	if (ok) {
		news_end(n, true);
	} else { /* the row was another than we thought: once more, with what it is */
		n->next = i->news;
		i->news = n;
	}
	if (step_place(c, i))
		news_flush(c, i);
}

/* False: it changes nothing. */
static bool apply(struct core *c, struct item *i, struct news *n)
{
	const struct driver_receipt *r = &n->receipt;
	enum notice_state to = notice_on_news(i->state, i->attempt, r->attempt, r->news);
	struct step s = {.to = to};

	if (to == i->state)
		return false;
	if (to == NOTICE_FAILED) {
		step_of_code(c, i, gateway_of(c, n->d), r->code, true, &s, core_now_ms());
		if (!notice_may_move(i->state, s.to))
			s = (struct step){.to = NOTICE_FAILED,
					  .reason = NOTICE_REASON_CARRIER,
					  .code = r->code,
					  .unserved = true};
	} else if (to == NOTICE_EXPIRED) {
		s.reason = NOTICE_REASON_UNREACHABLE;
		s.code = r->code;
		s.unserved = true;
	}
	step_write(c, i, &s, on_written, n);
	return true;
}

void news_flush(struct core *c, struct item *i)
{
	while (i->news && !i->busy) {
		struct news *n = i->news;

		i->news = n->next;
		n->next = NULL;
		if (apply(c, i, n))
			return;
		news_end(n, true);
	}
}

/* ---- of what is not in the backlog ---- */

static void on_looked(int result, const redisReply *reply, void *userdata)
{
	struct news *n = userdata;
	struct core *c = n->c;
	size_t len;
	const char *text = outbox_reply_text(reply, 0, &len);
	int s = notice_state_find(text, len);
	struct item *i;

	if (result != 0) {
		news_end(n, false);
		return;
	}
	if (s < 0) {
		c->counters.n_unknown++;
		news_end(n, true);
		return;
	}
	i = backlog_find(c->backlog, n->receipt.id, strlen(n->receipt.id));
	if (i && i->busy) {
		n->next = i->news;
		i->news = n;
		return;
	}
	if (!i) {
		i = backlog_add(c->backlog, n->receipt.id, strlen(n->receipt.id));
		if (!i) {
			news_end(n, false);
			return;
		}
		i->state = (uint8_t)s;
		i->attempt = (uint16_t)outbox_reply_int(reply, 1);
		text = outbox_reply_text(reply, 2, &len);
		i->type = (int8_t)dibao_type_find(text, len);
		snprintf(i->badge, sizeof i->badge, "%s", outbox_reply_text(reply, 3, NULL));
		i->due_ms = outbox_reply_int(reply, 5);
		i->lane = strcmp(outbox_reply_text(reply, 7, NULL), "urgent") ? LANE_BULK
									      : LANE_URGENT;
		i->at_ms = outbox_reply_int(reply, 8);
		i->deadline_ms = INT64_MAX;
	}
	if (apply(c, i, n))
		return;
	news_end(n, true);
	step_place(c, i);
}

static void arrived(struct core *c, struct news *n);

/* What it shows of how often the carrier had the text is on disk. */
static void on_noted(int result, const redisReply *reply, void *userdata)
{
	struct news *n = userdata;

	(void)reply;
	if (result != 0)
		news_end(n, false);
	else
		arrived(n->c, n);
}

static void look(struct core *c, struct news *n)
{
	struct outbox_call *call = outbox_begin(c->outbox, "dibao_sms_look", false);

	outbox_text(call, n->receipt.id);
	outbox_send(c->outbox, call, on_looked, n);
}

void news_orphan(struct core *c, struct item *i)
{
	while (i->news) {
		struct news *n = i->news;

		i->news = n->next;
		n->next = NULL;
		look(c, n);
	}
}

/* ---- one arrives ---- */

static bool is_ours(struct core *c, const struct driver_receipt *r)
{
	char token[DRIVER_TOKEN_BYTES];

	if (!r->token[0])
		return true;
	news_token(c, r->id, r->attempt, token);
	return sodium_memcmp(token, r->token, sizeof token) == 0;
}

static void arrived(struct core *c, struct news *n)
{
	struct item *i = backlog_find(c->backlog, n->receipt.id, strlen(n->receipt.id));
	struct news **end;

	if (!i) {
		look(c, n);
		return;
	}
	for (end = &i->news; *end; end = &(*end)->next)
		;
	*end = n;
	news_flush(c, i);
}

void news_on_receipt(struct driver *d, const struct driver_receipt *receipt, void *ticket,
		     void *userdata)
{
	struct core *c = userdata;
	struct news *n;

	if (!c->active || c->n_news >= NEWS_MAX) {
		if (c->active && log_limited("news"))
			log_told(LOG_WARNING, LOG_ID_FULL, NULL,
				 "%u receipts wait for Redis: more are refused, and come again",
				 c->n_news);
		d->ops->receipt_done(d, ticket, false);
		return;
	}
	if (!is_ours(c, receipt)) {
		c->counters.n_forged++;
		if (log_limited("forged"))
			log_text(LOG_WARNING,
				 "a receipt that is not of our making was passed over");
		d->ops->receipt_done(d, ticket, true);
		return;
	}
	n = calloc(1, sizeof *n);
	if (!n) {
		d->ops->receipt_done(d, ticket, false);
		return;
	}
	*n = (struct news){.c = c, .d = d, .ticket = ticket, .receipt = *receipt};
	c->n_news++;
	if (receipt->news == DRIVER_NEWS_QUEUED)
		arrived(c, n);
	else
		twice_note(c, &n->receipt, on_noted, n);
}

static void drop(struct item *i, void *userdata)
{
	(void)userdata;
	while (i->news) {
		struct news *n = i->news;

		i->news = n->next;
		news_end(n, false);
	}
}

void news_drop_all(struct core *c)
{
	if (c->backlog)
		backlog_each(c->backlog, drop, NULL);
}
