/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is due goes out, the urgent lane first. A text is made at the last moment, from the event's
 * bytes in its row and from what the roster says then; it lives in memory from there to the
 * gateway's answer, is wiped after, and is written nowhere.
 *
 *   due → fetch row and roster → look again → caps → render → intent on disk → gateway → result on
 *   disk
 *
 * At most FLIGHTS_MAX are on this road, and no more are let onto it than a gateway has pace for, so
 * that an urgent text waits for a second's bulk at the most.
 */
#include "core.h"
#include "text_hash.h"

#include "log.h"
#include "log_ids.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SENT_MAX = CAPS_MARK_MAX + DIBAO_UID_MAX_BYTES + 8 };

struct flight {
	struct flight *next, **prev;
	struct core *c;
	struct item *i;
	struct gateway *g;
	unsigned attempt;
	bool is_handed; /* at the driver */
	char phone[ROSTER_PHONE_DIGITS + 1];
	struct caps_mark mark;	     /* as it was counted */
	int64_t counted_ms;	     /* 0: not */
	char sent[SENT_MAX];	     /* its place in sms:sent */
	struct templates *templates; /* that the text is of; a reload may have brought others */
	const struct template *template;
	struct template_text text;
};

static struct flight *flight_new(struct core *c, struct item *i, struct gateway *g)
{
	struct flight *f = calloc(1, sizeof *f);

	if (!f)
		return NULL;
	f->c = c;
	f->i = i;
	f->g = g;
	f->next = c->flights;
	if (f->next)
		f->next->prev = &f->next;
	f->prev = &c->flights;
	c->flights = f;
	c->n_flights++;
	return f;
}

static void flight_end(struct flight *f)
{
	*f->prev = f->next;
	if (f->next)
		f->next->prev = f->prev;
	f->c->n_flights--;
	templates_free(f->templates);
	explicit_bzero(f, sizeof *f);
	free(f);
}

/* It was certainly not sent. */
static void flight_uncount(struct flight *f)
{
	if (f->counted_ms && f->c->caps)
		caps_uncount(f->c->caps, &f->mark, f->counted_ms);
	f->counted_ms = 0;
}

/* It did not take off: the pace is given back. */
static void flight_cancel(struct flight *f)
{
	struct gateway *g = f->g;

	bucket_give(&g->bucket, f->text.parts ? f->text.parts : 1);
	breaker_unsent(&g->breaker);
	flight_uncount(f);
	flight_end(f);
}

void sender_reset(struct core *c)
{
	while (c->flights)
		flight_end(c->flights);
}

struct person_answer sender_check(struct core *c, const struct dibao_event *ev, const char *row,
				  size_t row_len, const char *const marks[3],
				  const size_t mark_lens[3], bool released, int64_t now_ms,
				  struct roster_person *ret_person)
{
	struct person_query q = {.event = ev, .now_ms = now_ms, .released = released};

	if (row_len) {
		if (roster_decode(ret_person, row, row_len) < 0)
			return person_unreadable();
		q.person = ret_person;
		q.confirmed_at = roster_mark_at(ret_person, marks[0], mark_lens[0]);
		q.bad_at = roster_mark_at(ret_person, marks[1], mark_lens[1]);
		q.disputed_at = roster_mark_at(ret_person, marks[2], mark_lens[2]);
	}
	return person_check(&c->rules, &q);
}

/* ---- the driver's answer ---- */

static struct flight *flight_of(struct core *c, const char *id, unsigned attempt)
{
	struct flight *f = c->flights;

	while (f && (!f->is_handed || f->attempt != attempt || strcmp(f->i->uid, id) != 0))
		f = f->next;
	return f;
}

static void note_refusal(struct gateway *g, const struct core *c, const char *code, int64_t now)
{
	struct code_action a = codes_find(c->codes, g->ops->name, code, strlen(code));
	bool opened = false;

	g->n_refused++;
	if (a.stop)
		opened = breaker_stop(&g->breaker, now,
				      (a.retry_after_s ? a.retry_after_s : 60) * INT64_C(1000));
	else if (a.retry && a.is_known)
		opened = breaker_failed(&g->breaker, now);
	else
		breaker_well(&g->breaker); /* it is the text that it minds */
	if (opened)
		log_told(LOG_ERR, LOG_ID_GATEWAY, NULL, "%s: takes nothing for now: %s", g->name,
			 a.meaning);
}

void sender_on_result(struct driver *d, const char *id, unsigned attempt,
		      const struct driver_result *result, void *userdata)
{
	struct core *c = userdata;
	struct flight *f = flight_of(c, id, attempt);
	int64_t now = core_now_ms();
	struct gateway *g;
	struct item *i;
	struct step s;
	char sent[SENT_MAX];

	(void)d;
	if (!f)
		return; /* given up: the row says intent */
	g = f->g;
	i = f->i;
	memcpy(sent, f->sent, sizeof sent);
	if (result->outcome == DRIVER_REFUSED)
		flight_uncount(f);
	flight_end(f);
	if (!c->active)
		return; /* all is given up: the row says intent, and stays so */
	i->is_handed = false;
	switch (result->outcome) {
	case DRIVER_ACCEPTED:
		breaker_well(&g->breaker);
		g->n_sent++;
		s = (struct step){.to = NOTICE_SUBMITTED};
		break;
	case DRIVER_REFUSED:
		note_refusal(g, c, result->code, now);
		step_of_code(c, i, g, result->code, false, &s, now);
		s.sent = sent;
		break;
	default:
		if (breaker_failed(&g->breaker, now))
			log_told(LOG_ERR, LOG_ID_GATEWAY, NULL,
				 "%s: takes nothing for now: it does not answer", g->name);
		g->n_ambiguous++;
		s = (struct step){.to = NOTICE_AMBIGUOUS,
				  .reason = NOTICE_REASON_UNKNOWN,
				  .code = result->code};
	}
	/* A receipt may have come first, and knows better. */
	if (i->busy || i->attempt != attempt || i->state != NOTICE_INTENT) {
		core_wake(c);
		return;
	}
	step_write(c, i, &s, NULL, NULL);
	core_wake(c);
}

/* ---- the intent is on disk ---- */

static void hand_on(struct flight *f)
{
	struct core *c = f->c;
	struct driver_variable variables[DRIVER_VARIABLES_MAX];
	char token[DRIVER_TOKEN_BYTES];
	const char *carrier = template_carrier_id(f->template, f->g->name);
	struct driver_text t = {
		.id = f->i->uid,
		.attempt = f->attempt,
		.token = token,
		.phone = f->phone,
		.text = f->text.text,
		.text_len = f->text.len,
		.template_id = carrier ? carrier : "",
		.variables = variables,
		.parts = f->text.parts,
		.urgent = f->i->lane == LANE_URGENT,
	};
	int e;

	for (unsigned k = 0; k < f->text.n_vars && k < DRIVER_VARIABLES_MAX; k++)
		variables[t.n_variables++] =
			(struct driver_variable){f->text.vars[k].name, f->text.vars[k].value};
	t.signature = templates_signature(f->templates, &t.signature_by_gateway);
	news_token(c, t.id, t.attempt, token);
	f->is_handed = f->i->is_handed = true;
	e = f->g->driver ? f->g->ops->submit(f->g->driver, &t) : -ENOTCONN;
	if (e == 0)
		return;
	/* Certainly not sent. */
	f->is_handed = f->i->is_handed = false;
	if (f->i->state == NOTICE_INTENT && !f->i->busy)
		step_write(c, f->i,
			   &(struct step){.to = NOTICE_HELD,
					  .reason = NOTICE_REASON_GATEWAY,
					  .sent = f->sent,
					  .due_ms = core_now_ms() + 1000},
			   NULL, NULL);
	breaker_failed(&f->g->breaker, core_now_ms());
	flight_cancel(f);
}

static void on_intent(struct core *c, struct item *i, bool ok, void *userdata)
{
	struct flight *f = userdata;

	if (!i) { /* given up: sender_reset() frees it */
		return;
	}
	if (!ok) {
		flight_cancel(f);
		if (step_place(c, i))
			news_flush(c, i);
		return;
	}
	hand_on(f);
	/* Forged ones apart, there can be none yet; but a result may already have ended it. */
	if (!i->busy)
		news_flush(c, i);
}

/* ---- looked at again, and made into a text ---- */

/* Not now, or not at all. */
static void stop(struct flight *f, const struct step *s)
{
	struct core *c = f->c;
	struct item *i = f->i;

	flight_cancel(f);
	i->busy = false;
	step_write(c, i, s, NULL, NULL);
}

static void hold(struct flight *f, enum notice_reason why, int64_t until_ms)
{
	if (until_ms >= f->i->deadline_ms)
		stop(f, &(struct step){.to = NOTICE_FAILED,
				       .reason = NOTICE_REASON_TOO_LATE,
				       .unserved = true});
	else
		stop(f, &(struct step){.to = NOTICE_HELD, .reason = why, .due_ms = until_ms});
}

static void intend(struct flight *f, int64_t now_ms)
{
	struct core *c = f->c;
	char hash[TEXT_HASH_MAX], parts[8];
	struct item *i = f->i;
	size_t len;

	text_hash(hash, c->text_key, f->text.text, f->text.len);
	snprintf(parts, sizeof parts, "%u", f->text.parts);
	f->attempt = i->attempt + 1u;
	/* Counted now, for those that are right behind it. */
	f->mark = caps_mark(c->caps, f->phone, f->text.text, f->text.len);
	f->counted_ms = now_ms;
	caps_count(c->caps, &f->mark, now_ms);
	caps_mark_write(&f->mark, f->sent);
	len = strlen(f->sent);
	snprintf(f->sent + len, sizeof f->sent - len, " %s %u", i->uid, f->attempt);
	i->gateway = (uint8_t)(f->g - c->gateways.at);
	i->busy = false;
	step_write(c, i,
		   &(struct step){.to = NOTICE_INTENT,
				  .attempt = f->attempt,
				  .sent = f->sent,
				  .fields = {"g", f->g->name, "p", parts, "v",
					     template_version(f->template), "h", hash}},
		   on_intent, f);
}

/* True if a text stands in f. */
static bool render(struct flight *f, const struct dibao_event *ev, const struct roster_person *p,
		   enum template_act act)
{
	f->templates = templates_ref(f->c->templates);
	f->template = templates_find(f->templates, ev, act);
	if (f->template && template_is_none(f->template)) {
		stop(f, &(struct step){.to = NOTICE_DROPPED, .reason = NOTICE_REASON_SILENT});
		return false;
	}
	if (!f->template || template_render(f->template, ev, p, &f->text) < 0) {
		stop(f, &(struct step){.to = NOTICE_FAILED,
				       .reason = NOTICE_REASON_TEMPLATE,
				       .unserved = true});
		return false;
	}
	return true;
}

/* True if it may go now; else it was held or ended. */
static bool is_time(struct flight *f, const struct dibao_event *ev, const struct roster_person *p,
		    int64_t now)
{
	struct core *c = f->c;
	int64_t when = quiet_due(&c->quiet, now, ev->urgent);

	if (when > now) {
		hold(f, NOTICE_REASON_QUIET, when);
		return false;
	}
	snprintf(f->phone, sizeof f->phone, "%.*s", (int)p->phone.len, p->phone.p);
	when = caps_when(c->caps, &c->caps_limits, f->phone, NULL, 0, now);
	if (when > now) {
		hold(f, NOTICE_REASON_CAP, when);
		return false;
	}
	return true;
}

static bool is_allowed_at(const struct flight *f, const struct roster_person *p)
{
	return f->g->config->fake || f->g->ops == &driver_spool || f->g->ops == &driver_none ||
	       !roster_phone_is_demo(p->phone);
}

/* k, os of the row. */
static enum template_act act_of(const char *k, const char *os)
{
	if (!strcmp(k, "retracts"))
		return TEMPLATE_RETRACTION;
	return !strcmp(k, "corrects") && !strcmp(os, "sent") ? TEMPLATE_CORRECTION
							     : TEMPLATE_NOTICE;
}

static void make(struct flight *f, const struct dibao_event *ev, const redisReply *reply)
{
	struct core *c = f->c;
	int64_t now = core_now_ms(), when;
	struct roster_person person;
	struct person_answer answer;
	const char *marks[3], *row;
	size_t row_len, mark_lens[3];

	row = outbox_reply_text(reply, 6, &row_len);
	for (unsigned k = 0; k < 3; k++)
		marks[k] = outbox_reply_text(reply, 7 + k, &mark_lens[k]);
	answer = sender_check(c, ev, row, row_len, marks, mark_lens,
			      outbox_reply_int(reply, 5) == 1, now, &person);
	if (answer.decision != PERSON_SEND) {
		stop(f, &(struct step){.to = answer.decision == PERSON_DROP   ? NOTICE_DROPPED
					     : answer.decision == PERSON_LIST ? NOTICE_FAILED
									      : NOTICE_PARKED,
				       .why = person_reason_key(answer.reason),
				       .unserved = answer.decision != PERSON_DROP});
		return;
	}
	if (!is_allowed_at(f, &person)) {
		if (log_limited("demo"))
			log_text(LOG_ERR,
				 "%s: a demonstration's number is in the roster: nothing is sent "
				 "to it there; see demo and fake",
				 f->g->name);
		stop(f, &(struct step){.to = NOTICE_FAILED,
				       .reason = NOTICE_REASON_REFUSED,
				       .code = "demo",
				       .unserved = true});
		return;
	}
	if (!is_time(f, ev, &person, now) ||
	    !render(f, ev, &person,
		    act_of(outbox_reply_text(reply, 3, NULL), outbox_reply_text(reply, 4, NULL))))
		return;
	bucket_take(&f->g->bucket, f->text.parts - 1, now);
	when = caps_when(c->caps, &c->caps_limits, f->phone, f->text.text, f->text.len, now);
	if (when > now)
		hold(f, NOTICE_REASON_CAP, when);
	else
		intend(f, now);
}

static void on_fetched(int result, const redisReply *reply, void *userdata)
{
	struct flight *f = userdata;
	struct core *c = f->c;
	struct item *i = f->i;
	struct dibao_event ev;
	size_t len, state_len;
	const char *bytes, *state;

	if (result == -ECANCELED || result == -ESTALE)
		return;
	state = outbox_reply_text(reply, 0, &state_len);
	bytes = outbox_reply_text(reply, 2, &len);
	if (result == 0 && notice_state_find(state, state_len) == i->state &&
	    dibao_event_parse(&ev, bytes, len, NULL) == 0) {
		make(f, &ev, reply);
		return;
	}
	flight_cancel(f);
	i->busy = false;
	if (result == 0) {
		int s = notice_state_find(state, state_len);

		/* Another was first, or the row is gone or unreadable: nothing can be made. */
		if (s == i->state) {
			step_write(c, i,
				   &(struct step){.to = NOTICE_FAILED,
						  .reason = NOTICE_REASON_TEMPLATE,
						  .unserved = true},
				   NULL, NULL);
			return;
		}
		i->state = (uint8_t)(s < 0 ? NOTICE_DROPPED : s);
	} else {
		i->due_ms = core_now_ms() + 1000;
	}
	step_place(c, i);
}

/* ---- what is due ---- */

static void timer_over(struct core *c, struct item *i)
{
	if (i->in_batch) /* nobody released it in time */
		step_write(c, i,
			   &(struct step){.to = NOTICE_FAILED,
					  .reason = NOTICE_REASON_TOO_LATE,
					  .unserved = true},
			   NULL, NULL);
	else if (i->state == NOTICE_AMBIGUOUS)
		doubt_over(c, i);
	else
		step_write(c, i,
			   &(struct step){.to = NOTICE_NO_RECEIPT,
					  .reason = NOTICE_REASON_NO_RECEIPT,
					  .unserved = true},
			   NULL, NULL);
}

static struct item *next_due(struct core *c, int64_t now_ms)
{
	for (enum lane lane = LANE_URGENT; lane <= LANE_BULK; lane++) {
		struct item *i = backlog_due(c->backlog, lane, now_ms);

		if (i)
			return i;
	}
	return NULL;
}

void sender_run(struct core *c, int64_t now_ms)
{
	struct item *i;
	struct gateway *g;

	/* A bounded number a turn: what arrives in the meantime must be heard. */
	for (unsigned n = 0; n < FLIGHTS_MAX && (i = backlog_due(c->backlog, LANE_TIMERS, now_ms));
	     n++)
		timer_over(c, i);
	while (!c->is_stopping && c->n_flights < FLIGHTS_MAX && (i = next_due(c, now_ms)) &&
	       (g = gateways_pick(&c->gateways, 0, now_ms))) {
		struct outbox_call *call;
		struct flight *f;

		backlog_unwait(c->backlog, i);
		if (i->lane == LANE_BULK && batch_must_wait(i->batch)) {
			step_hold(c, i);
			continue;
		}
		if (i->refused | i->later)
			g = gateways_pick(&c->gateways, i->refused | i->later, now_ms);
		i->later = 0;
		if (!g) { /* that which may have it takes nothing now; others behind it need not
			     wait */
			(void)backlog_wait(c->backlog, i, i->lane, now_ms + 1000);
			continue;
		}
		f = flight_new(c, i, g);
		if (!f) {
			(void)backlog_wait(c->backlog, i, i->lane, now_ms + 1000);
			return;
		}
		i->busy = true;
		bucket_take(&g->bucket, 1, now_ms);
		breaker_sent(&g->breaker);
		call = outbox_begin(c->outbox, "dibao_sms_fetch", false);
		outbox_bytes(call, i->uid, i->uid_len);
		outbox_text(call, i->badge);
		outbox_send(c->outbox, call, on_fetched, f);
	}
}

int64_t sender_next_ms(const struct core *c, int64_t now_ms)
{
	int64_t next = backlog_next_ms(c->backlog, LANE_TIMERS), due, gateway;

	due = backlog_next_ms(c->backlog, LANE_URGENT);
	if (backlog_next_ms(c->backlog, LANE_BULK) < due)
		due = backlog_next_ms(c->backlog, LANE_BULK);
	if (due < INT64_MAX && !c->is_stopping && c->n_flights < FLIGHTS_MAX) {
		gateway = gateways_when(&c->gateways, now_ms);
		if (gateway > due)
			due = gateway;
		if (due < next)
			next = due;
	}
	return next;
}
