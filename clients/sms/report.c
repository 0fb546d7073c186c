/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What became of each notice, told to the daemon. The list of what is to be told is Redis'
 * (sms:report), so a crash forgets none: a page of it is read, each entry's state of now is sent as
 * a receipt, and when the daemon has confirmed them all they are taken off, unless they changed
 * since. States that follow each other quickly are told once, as the last.
 */
#include "core.h"

#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 256, CALL_PAIRS = 20, GAP_USEC = 50000, PAUSE_USEC = 1000000 };

struct report {
	uint64_t id;
	bool is_confirmed, is_refused;
	char uid[DIBAO_UID_MAX_BYTES + 1];
	char state[24]; /* and how it is twice, if it is */
};

struct reporter {
	struct core *c;
	sd_event_source *timer;
	bool is_dirty, is_asking;
	unsigned n, n_open; /* on this page; sent and not confirmed */
	unsigned n_calls;   /* of taking off */
	bool is_full;
	struct report page[PAGE];
};

static enum dibao_receipt_state receipt_of(enum notice_state s, const char *reason)
{
	switch (s) {
	case NOTICE_QUEUED:
	case NOTICE_HELD:
		return DIBAO_RECEIPT_QUEUED;
	case NOTICE_INTENT:
	case NOTICE_SUBMITTED:
	case NOTICE_AMBIGUOUS:
		return DIBAO_RECEIPT_SUBMITTED;
	case NOTICE_ACCEPTED:
		return DIBAO_RECEIPT_ACCEPTED;
	case NOTICE_DELIVERED:
		return DIBAO_RECEIPT_DELIVERED;
	case NOTICE_DROPPED:
		return DIBAO_RECEIPT_DROPPED;
	case NOTICE_PARKED:
		return DIBAO_RECEIPT_UNSERVED;
	default:
		/* Failed on its way, or never sent for want of a person or number. */
		return reason[0] && strncmp(reason, "refused", 7) != 0 &&
				       strncmp(reason, "carrier", 7) != 0 &&
				       strncmp(reason, "unreachable", 11) != 0 &&
				       strncmp(reason, "no-receipt", 10) != 0
			       ? DIBAO_RECEIPT_UNSERVED
			       : DIBAO_RECEIPT_FAILED;
	}
}

static void arm(struct reporter *r, uint64_t usec)
{
	uint64_t now = 0;

	(void)sd_event_now(r->c->event, CLOCK_BOOTTIME, &now);
	(void)sd_event_source_set_time(r->timer, now + usec);
	(void)sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
}

static bool is_idle(const struct reporter *r)
{
	return !r->is_asking && r->n == 0;
}

void reporter_wake(struct reporter *r)
{
	if (r->is_dirty)
		return;
	r->is_dirty = true;
	if (is_idle(r))
		arm(r, GAP_USEC);
}

static void page_over(struct reporter *r, bool pause)
{
	r->n = r->n_open = 0;
	if (pause)
		arm(r, PAUSE_USEC);
	else if (r->is_full || r->is_dirty)
		arm(r, r->is_full ? 0 : GAP_USEC);
}

static void on_taken_off(int result, const redisReply *reply, void *userdata)
{
	struct reporter *r = userdata;

	(void)reply;
	if (--r->n_calls == 0 && result != -ECANCELED)
		page_over(r, result != 0);
}

static void all_confirmed(struct reporter *r)
{
	struct outbox_call *call = NULL;
	unsigned in_call = 0;

	r->n_calls = 1; /* ours, until all are sent */
	for (unsigned k = 0; k < r->n; k++) {
		if (r->page[k].is_refused)
			continue;
		if (!call)
			call = outbox_begin(r->c->outbox, "dibao_sms_reported", true);
		outbox_text(call, r->page[k].uid);
		outbox_text(call, r->page[k].state);
		if (++in_call == CALL_PAIRS) {
			r->n_calls++;
			outbox_send(r->c->outbox, call, on_taken_off, r);
			call = NULL;
			in_call = 0;
		}
	}
	if (call) {
		r->n_calls++;
		outbox_send(r->c->outbox, call, on_taken_off, r);
	}
	if (--r->n_calls == 0) /* all refused */
		page_over(r, true);
}

void reporter_on_confirmed(struct reporter *r, uint64_t id, int err)
{
	for (unsigned k = 0; k < r->n; k++) {
		struct report *p = &r->page[k];

		if (p->id != id || p->is_confirmed)
			continue;
		p->is_confirmed = true;
		p->is_refused = err < 0;
		if (err < 0 && log_limited("report"))
			log_text(LOG_WARNING, "the daemon refuses a receipt: %s", strerror(-err));
		if (--r->n_open == 0)
			all_confirmed(r);
		return;
	}
}

/* uid, state, attempt, reason, since, resent, twice */
static void report_one(struct reporter *r, const redisReply *e)
{
	struct report *p = &r->page[r->n];
	const char *state, *reason = outbox_reply_text(e, 3, NULL);
	size_t uid_len, len;
	const char *uid = outbox_reply_text(e, 0, &uid_len);
	bool resent = !strcmp(outbox_reply_text(e, 5, NULL), "1");
	const char *twice = outbox_reply_text(e, 6, NULL);
	bool other = twice[0] && strcmp(twice, "resent") != 0; /* that is said anyhow */
	char detail[200];
	int s;

	state = outbox_reply_text(e, 1, &len);
	s = notice_state_find(state, len);
	snprintf(p->uid, sizeof p->uid, "%.*s", (int)uid_len, uid);
	snprintf(p->state, sizeof p->state, "%s%s%s", state, twice[0] ? " " : "", twice);
	p->is_refused = false;
	p->is_confirmed = s < 0; /* its row is gone: only to be taken off */
	if (s < 0) {
		r->n++;
		return;
	}
	snprintf(detail, sizeof detail, "%s attempt %s%s%s%s%s%s", state,
		 outbox_reply_text(e, 2, NULL), resent ? " resent" : "", other ? " twice:" : "",
		 other ? twice : "", reason[0] ? " " : "", reason);
	if (dibao_subscriber_receipt(r->c->subscriber, uid, uid_len, receipt_of(s, reason),
				     outbox_reply_int(e, 4), detail, &p->id) < 0)
		return; /* as many as the library takes: the rest another time */
	r->n++;
	r->n_open++;
}

static void on_page(int result, const redisReply *reply, void *userdata)
{
	struct reporter *r = userdata;

	r->is_asking = false;
	if (result != 0 || reply->type != REDIS_REPLY_ARRAY) {
		if (result != -ECANCELED && result != -ESTALE)
			arm(r, PAUSE_USEC);
		return;
	}
	r->is_full = reply->elements == PAGE;
	for (size_t k = 0; k < reply->elements; k++)
		report_one(r, reply->element[k]);
	if (r->n_open == 0 && r->n > 0)
		all_confirmed(r);
	else if (r->n == 0 && r->is_dirty)
		arm(r, GAP_USEC);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct reporter *r = userdata;
	struct outbox_call *call;

	(void)s, (void)usec;
	if (!r->c->active || !is_idle(r))
		return 0;
	r->is_dirty = false;
	r->is_asking = true;
	call = outbox_begin(r->c->outbox, "dibao_sms_reports", false);
	outbox_int(call, PAGE);
	outbox_send(r->c->outbox, call, on_page, r);
	return 0;
}

int reporter_new(struct reporter **ret, struct core *c)
{
	struct reporter *r = calloc(1, sizeof *r);
	int e;

	if (!r)
		return -ENOMEM;
	r->c = c;
	e = sd_event_add_time(c->event, &r->timer, CLOCK_BOOTTIME, 0, 1000, on_timer, r);
	if (e >= 0)
		e = sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
	if (e < 0) {
		reporter_free(r);
		return e;
	}
	*ret = r;
	return 0;
}

struct reporter *reporter_free(struct reporter *r)
{
	if (!r)
		return NULL;
	sd_event_source_disable_unref(r->timer);
	free(r);
	return NULL;
}

/* What is not confirmed is read anew from the list, by whoever is active next. Were it kept, and
 * sent when we are active again, it would follow the later states that the other one told. */
void reporter_reset(struct reporter *r)
{
	if (r->c->subscriber)
		dibao_subscriber_forget_receipts(r->c->subscriber);
	r->n = r->n_open = r->n_calls = 0;
	r->is_asking = r->is_dirty = r->is_full = false;
	(void)sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
}
