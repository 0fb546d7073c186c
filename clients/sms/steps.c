/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

#include "log.h"
#include "log_ids.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LATER_TRIES = 2, LATER_MS = 30 * 60 * 1000, STOP_S = 60 };

/* A step under way. */
struct writing {
	struct core *c;
	struct item *i;
	enum notice_state to;
	unsigned attempt;
	int64_t due_ms;
	const char *reason; /* its word alone; a constant */
	bool unserved;
	step_fn fn;
	void *userdata;
};

void step_reason(char *buf, size_t cap, const struct step *s)
{
	snprintf(buf, cap, "%s%s%s", s->why ? s->why : notice_reason_name(s->reason),
		 s->code && s->code[0] ? " " : "", s->code ? s->code : "");
}

static int64_t due_of(const struct core *c, const struct item *i, const struct step *s)
{
	int64_t now = core_now_ms();

	if (s->due_ms)
		return s->due_ms;
	switch (s->to) {
	case NOTICE_INTENT:
	case NOTICE_AMBIGUOUS:
		return now + c->config->ambiguous_ms;
	case NOTICE_SUBMITTED:
		return now + (int64_t)c->config->receipt_ms;
	case NOTICE_ACCEPTED:
		return i->state == NOTICE_SUBMITTED ? i->due_ms
						    : now + (int64_t)c->config->receipt_ms;
	case NOTICE_QUEUED:
	case NOTICE_HELD:
		return now;
	default:
		return 0;
	}
}

void step_tell_batch(struct batch *b)
{
	char field[16 + BATCH_ID_MAX];

	if (b->is_told || !b->is_known || !b->n_waiting || !batch_must_wait(b))
		return;
	b->is_told = true;
	snprintf(field, sizeof field, "DIBAO_BATCH=%s", b->id);
	log_told(LOG_WARNING, LOG_ID_BATCH, field,
		 "%" PRIu64 " texts of one %s came together, over %" PRIu64
		 ": they wait for: dibaoctl sms release %s",
		 b->n, batch_is_document(b->id) ? "document" : "hour", b->limit, b->id);
}

void step_hold(struct core *c, struct item *i)
{
	batch_hold(i->batch, i);
	if (i->deadline_ms < INT64_MAX &&
	    backlog_wait(c->backlog, i, LANE_TIMERS, i->deadline_ms) < 0)
		abort(); /* no memory for an index of 8 bytes */
	step_tell_batch(i->batch);
}

bool step_place(struct core *c, struct item *i)
{
	int e = 0;

	if (notice_is_final(i->state)) {
		news_orphan(c, i);
		batches_leave(&c->batches, i);
		backlog_remove(c->backlog, i);
		return false;
	}
	switch ((enum notice_state)i->state) {
	case NOTICE_QUEUED:
	case NOTICE_HELD:
		if (i->lane == LANE_BULK && batch_must_wait(i->batch))
			step_hold(c, i);
		else
			e = backlog_wait(c->backlog, i, i->lane, i->due_ms);
		break;
	case NOTICE_INTENT: /* its text is at a driver, which will answer */
		backlog_unwait(c->backlog, i);
		break;
	default:
		e = backlog_wait(c->backlog, i, LANE_TIMERS, i->due_ms);
	}
	if (e < 0)
		abort(); /* no memory for an index of 8 bytes */
	core_wake(c);
	return true;
}

void step_told(const char *uid, enum notice_state state, const char *reason, bool unserved)
{
	char event[sizeof "DIBAO_EVENT=" + DIBAO_UID_MAX_BYTES], is[40], why[64];

	snprintf(event, sizeof event, "DIBAO_EVENT=%s", uid);
	snprintf(is, sizeof is, "DIBAO_STATE=%s", notice_state_name(state));
	snprintf(why, sizeof why, "DIBAO_REASON=%s", reason);
	log_event(LOG_DEBUG, LOG_ID_STATE, "a notice has another state", event, is, why);
	if (unserved && log_limited("unserved"))
		log_event(LOG_NOTICE, LOG_ID_UNSERVED, "a notice is unserved", event, is, why);
}

static void count(struct core *c, enum notice_state to)
{
	switch (to) {
	case NOTICE_SUBMITTED:
		c->counters.n_submitted++;
		break;
	case NOTICE_DELIVERED:
		c->counters.n_delivered++;
		break;
	case NOTICE_FAILED:
	case NOTICE_EXPIRED:
	case NOTICE_NO_RECEIPT:
		c->counters.n_failed++;
		break;
	case NOTICE_PARKED:
		c->counters.n_parked++;
		break;
	case NOTICE_DROPPED:
		c->counters.n_dropped++;
		break;
	default:
		break;
	}
}

/* What the row holds is not what we thought: a person, or an event that takes this one back, was
 * first. The same step made before, of which we did not hear, is none of that. */
static bool is_done(const struct writing *w, const redisReply *reply)
{
	size_t len;
	const char *state = outbox_reply_text(reply, 1, &len);

	if (outbox_reply_int(reply, 0) == 1)
		return true;
	return notice_state_find(state, len) == (int)w->to &&
	       outbox_reply_int(reply, 2) == (int64_t)w->attempt;
}

static void adopt(struct item *i, const redisReply *reply)
{
	size_t len;
	const char *state = outbox_reply_text(reply, 1, &len);
	int s = notice_state_find(state, len);

	/* No row: it was removed by hand, and nothing is owed any more. */
	i->state = (uint8_t)(s < 0 ? NOTICE_DROPPED : s);
	i->attempt = (uint16_t)outbox_reply_int(reply, 2);
}

static void on_written(int result, const redisReply *reply, void *userdata)
{
	struct writing w = *(struct writing *)userdata;
	bool ok = result == 0 && is_done(&w, reply);

	free(userdata);
	if (result == -ECANCELED || result == -ESTALE) {
		if (w.fn)
			w.fn(w.c, NULL, false, w.userdata);
		return;
	}
	w.i->busy = false;
	if (ok) {
		w.i->state = (uint8_t)w.to;
		w.i->attempt = (uint16_t)w.attempt;
		w.i->due_ms = w.due_ms;
		count(w.c, w.to);
		step_told(w.i->uid, w.to, w.reason, w.unserved);
	} else if (result == 0) {
		adopt(w.i, reply);
	} else {
		/* Redis refuses, for want of memory or rights; logged. It is tried again, later. */
		w.i->due_ms = core_now_ms() + 1000;
	}
	reporter_wake(w.c->reporter);
	if (w.fn)
		w.fn(w.c, w.i, ok, w.userdata);
	else if (step_place(w.c, w.i))
		news_flush(w.c, w.i);
}

void step_write(struct core *c, struct item *i, const struct step *s, step_fn fn, void *userdata)
{
	struct outbox_call *call = outbox_begin(c->outbox, "dibao_sms_step", true);
	struct writing *w = calloc(1, sizeof *w);
	char reason[96];

	assert(!i->busy && notice_may_move(i->state, s->to));
	if (!w)
		abort();
	*w = (struct writing){
		.c = c,
		.i = i,
		.to = s->to,
		.attempt = s->attempt ? s->attempt : i->attempt,
		.due_ms = due_of(c, i, s),
		.reason = s->why ? s->why : notice_reason_name(s->reason),
		.unserved = s->unserved,
		.fn = fn,
		.userdata = userdata,
	};
	backlog_unwait(c->backlog, i);
	batch_forget(i);
	i->busy = true;
	step_reason(reason, sizeof reason, s);
	outbox_bytes(call, i->uid, i->uid_len);
	outbox_text(call, notice_state_name(i->state));
	outbox_int(call, i->attempt);
	outbox_text(call, notice_state_name(s->to));
	outbox_text(call, s->unserved ? "1" : "0");
	outbox_int(call, (int64_t)c->config->keep_ms);
	outbox_int(call, w->due_ms);
	outbox_text(call, s->sent ? s->sent : "");
	outbox_text(call, "r");
	outbox_text(call, reason);
	outbox_text(call, "n");
	outbox_int(call, w->attempt);
	if (s->code && s->code[0]) {
		outbox_text(call, "cw");
		outbox_text(call, s->words ? s->words : "");
	}
	for (unsigned k = 0; s->fields[k]; k++)
		outbox_text(call, s->fields[k]);
	outbox_send(c->outbox, call, on_written, w);
	if (s->unserved)
		c->counters.n_unserved++;
}

/* ---- numbers that are no good ---- */

struct marking {
	struct core *c;
	char what[12], badge[BACKLOG_BADGE_MAX + 1];
};

static void on_roster(int result, const redisReply *reply, void *userdata)
{
	struct marking *m = userdata;
	struct roster_person person;
	struct outbox_call *call;
	char mark[64];
	size_t len;
	const char *row = outbox_reply_text(reply, 6, &len);

	if (result == 0 && roster_decode(&person, row, len) == 0 &&
	    roster_mark_encode(&person, core_now_ms(), mark, sizeof mark) > 0) {
		call = outbox_begin(m->c->outbox, "dibao_sms_mark", true);
		outbox_text(call, m->what);
		outbox_text(call, m->badge);
		outbox_text(call, mark);
		outbox_send(m->c->outbox, call, NULL, NULL);
	}
	free(m);
}

void step_mark(struct core *c, const struct item *i, const char *what)
{
	struct outbox_call *call = outbox_begin(c->outbox, "dibao_sms_fetch", false);
	struct marking *m = calloc(1, sizeof *m);

	if (!m)
		abort();
	m->c = c;
	snprintf(m->what, sizeof m->what, "%s", what);
	snprintf(m->badge, sizeof m->badge, "%s", i->badge);
	outbox_bytes(call, i->uid, i->uid_len);
	outbox_text(call, i->badge);
	outbox_send(c->outbox, call, on_roster, m);
}

/* ---- what a code means for a notice ---- */

static int64_t later(int64_t now_ms, unsigned after_s, unsigned attempt)
{
	int64_t ms = (int64_t)after_s * 1000;

	/* The carriers throttle what is repeated: after two tries, half an hour at least. */
	if (attempt >= LATER_TRIES && ms < LATER_MS)
		ms = LATER_MS;
	return now_ms + ms + (ms ? randombytes_uniform((uint32_t)(ms / 4) + 1) : 0);
}

/* By another gateway; false: there is none that might have it. */
static bool by_another(struct core *c, struct item *i, const struct gateway *g, const char *code,
		       bool for_good, struct step *ret, int64_t now_ms)
{
	static const char *const bits[1u << SMS_GATEWAYS_MAX] = {"0", "1", "2", "3",
								 "4", "5", "6", "7"};

	if (!g)
		return false;
	*(for_good ? &i->refused : &i->later) |= (uint8_t)gateway_bit(g);
	if (for_good ? !(gateways_bits(&c->gateways) & ~i->refused)
		     : !gateways_pick(&c->gateways, i->refused | i->later, now_ms)) {
		i->later = 0;
		return false;
	}
	*ret = (struct step){.to = NOTICE_HELD,
			     .reason = NOTICE_REASON_NEXT,
			     .code = code,
			     .due_ms = now_ms,
			     .fields = {"ng", bits[i->refused]}};
	return true;
}

static void of_code(struct core *c, struct item *i, const struct gateway *g,
		    const struct code_action *a, const char *code, bool by_carrier,
		    struct step *ret, int64_t now_ms)
{
	*ret = (struct step){
		.to = NOTICE_FAILED,
		.reason = by_carrier ? NOTICE_REASON_CARRIER : NOTICE_REASON_REFUSED,
		.code = code,
		.unserved = true,
	};
	if (!a->is_known) {
		c->counters.n_codes_unknown++;
		if (log_limited("code"))
			log_told(LOG_WARNING, LOG_ID_CODE, NULL, "%s: a code that %s does not know",
				 g ? g->name : "?", c->config->codes);
	}
	if (g && !strcmp(g->ops->name, "none")) {
		ret->reason = NOTICE_REASON_NO_GATEWAY;
		ret->code = NULL;
	} else if (a->done) {
		*ret = (struct step){.to = NOTICE_DELIVERED};
	} else if (a->number) {
		ret->reason = NOTICE_REASON_NUMBER;
		step_mark(c, i, "bad");
	} else if (a->content) {
		ret->reason = NOTICE_REASON_CONTENT;
		if (log_limited("content"))
			log_told(LOG_ERR, LOG_ID_CODE, NULL,
				 "%s: the text, signature or template is minded: %s",
				 g ? g->name : "?", a->meaning);
		if (a->other)
			(void)by_another(c, i, g, code, true, ret, now_ms);
	} else if (a->other) {
		(void)by_another(c, i, g, code, true, ret, now_ms);
	} else if (a->stop && !by_carrier) {
		/* Not counted as an attempt: the breaker lets one text try after a time. */
		*ret = (struct step){.to = NOTICE_HELD,
				     .reason = NOTICE_REASON_GATEWAY,
				     .code = code,
				     .due_ms = now_ms + 1000};
	} else if ((a->retry || a->stop) && i->attempt < c->config->attempts) {
		if (!by_carrier && by_another(c, i, g, code, false, ret, now_ms))
			return;
		*ret = (struct step){.to = NOTICE_HELD,
				     .reason = NOTICE_REASON_RETRY,
				     .code = code,
				     .due_ms = later(now_ms, a->retry_after_s, i->attempt)};
	}
}

void step_of_code(struct core *c, struct item *i, const struct gateway *g, const char *code,
		  bool by_carrier, struct step *ret, int64_t now_ms)
{
	struct code_action a =
		codes_find(c->codes, g ? g->ops->name : "*", code, code ? strlen(code) : 0);

	of_code(c, i, g, &a, code, by_carrier, ret, now_ms);
	if (ret->to == NOTICE_HELD && ret->due_ms >= i->deadline_ms)
		*ret = (struct step){.to = NOTICE_FAILED,
				     .reason = NOTICE_REASON_TOO_LATE,
				     .code = code,
				     .unserved = true};
	ret->words = a.meaning;
}
