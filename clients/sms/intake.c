/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deliveries become rows. What the event alone says (history, too old, no person, no text for its
 * kind) is decided before the row is written; what the roster says, when the row is and with what
 * the roster holds then, so that a person without a number is on the list at once and not when the
 * night is over.
 *
 * An urgent one that takes nothing back goes before all others that wait; these keep their order,
 * so that what takes back finds what it takes back. So few are on their way to Redis at a time that
 * nothing waits long behind them, for its calls keep their order.
 *
 * Waiting deliveries are bounded by the subscriber's window: what is not acknowledged is not sent
 * more of. At so many open notices as `backlog` says nothing more is taken, urgent or not, until
 * there are fewer: it stays with the daemon, which keeps it in the queue.
 */
#include "core.h"

#include "log.h"
#include "log_ids.h"
#include "mpread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SENT_MAX = 256 };

struct arrival {
	struct intake *in;
	struct line *line;
	struct arrival *next;
	uint64_t ack;
	bool is_withdrawal, is_withdrawn, is_sent;
	bool is_unserved;   /* as it was decided when it was sent */
	const char *reason; /* its word; a constant */
	int64_t due_ms;	    /* as its row has it, whatever the clock says later */
	size_t len;
	uint8_t bytes[];
};

struct line {
	struct arrival *first, **end;
	struct arrival **unsent; /* where the first that was not handed on hangs */
};

enum { N_LINES = 2 };

struct intake {
	struct core *c;
	struct line lines[N_LINES]; /* the urgent ones before the others */
	size_t n, n_sent;	    /* n_sent: on their way to Redis */
	bool is_full;
};

void intake_forget(struct intake *in)
{
	for (struct line *l = in->lines; l < in->lines + N_LINES; l++) {
		for (struct arrival *a = l->first, *next; a; a = next) {
			next = a->next;
			free(a);
		}
		l->first = NULL;
		l->end = l->unsent = &l->first;
	}
	in->n = in->n_sent = 0;
}

int intake_new(struct intake **ret, struct core *c)
{
	struct intake *in = calloc(1, sizeof *in);

	if (!in)
		return -ENOMEM;
	in->c = c;
	intake_forget(in);
	*ret = in;
	return 0;
}

struct intake *intake_free(struct intake *in)
{
	if (in)
		intake_forget(in);
	free(in);
	return NULL;
}

size_t intake_waiting(const struct intake *in)
{
	return in->n;
}

static bool may_overtake(const struct dibao_delivery *d)
{
	struct dibao_event ev;

	return d->kind == DIBAO_ITEM_EVENT &&
	       (d->channel == DIBAO_CHANNEL_PUBLIC_NOW ||
		d->channel == DIBAO_CHANNEL_PRIVATE_NOW) &&
	       dibao_event_parse(&ev, d->bytes, d->len, NULL) == 0 && ev.urgent && !ev.retracts.p &&
	       !ev.corrects.p;
}

int intake_add(struct intake *in, const struct dibao_delivery *d)
{
	struct arrival *a;
	struct line *l;

	if (d->kind == DIBAO_ITEM_VIEW) {
		/* Not what we asked for: there is nothing to be done about it here. */
		return dibao_subscriber_ack(in->c->subscriber, d->ack);
	}
	a = calloc(1, sizeof *a + d->len);
	if (!a)
		return -ENOMEM;
	a->in = in;
	a->ack = d->ack;
	a->is_withdrawal = d->kind == DIBAO_ITEM_WITHDRAWN;
	a->is_withdrawn = d->withdrawn;
	a->len = d->len;
	memcpy(a->bytes, d->bytes, d->len);
	l = a->line = &in->lines[may_overtake(d) ? 0 : 1];
	*l->end = a;
	l->end = &a->next;
	in->n++;
	return 0;
}

/* On disk: the daemon need not keep it for us. */
static void done(struct arrival *a)
{
	struct intake *in = a->in;
	struct line *l = a->line;
	struct arrival **p = &l->first;

	(void)dibao_subscriber_ack(in->c->subscriber, a->ack);
	while (*p != a)
		p = &(*p)->next;
	*p = a->next;
	if (l->end == &a->next)
		l->end = p;
	if (l->unsent == &a->next)
		l->unsent = p;
	in->n--;
	in->n_sent -= a->is_sent;
	free(a);
}

/* Not written: once more in the next activity, or at the next pump. */
static void again(struct arrival *a)
{
	a->is_sent = false;
	a->in->n_sent--;
	a->line->unsent = &a->line->first;
}

/* ---- a row that was written ---- */

static void add_item(struct core *c, const struct dibao_event *ev, enum notice_state s,
		     const redisReply *reply, int64_t due_ms)
{
	size_t q_len;
	const char *q = outbox_reply_text(reply, 2, &q_len);
	struct item *i = backlog_add(c->backlog, ev->uid.p, ev->uid.len);
	struct roster_person person;
	struct person_answer answer;
	const char *marks[3], *row;
	size_t mark_lens[3], row_len;

	if (!i)
		return; /* there since a take-over */
	i->state = (uint8_t)s;
	i->type = (int8_t)ev->type;
	i->lane = ev->urgent ? LANE_URGENT : LANE_BULK;
	i->at_ms = ev->at;
	i->deadline_ms = quiet_deadline(ev);
	i->due_ms = due_ms;
	memcpy(i->badge, ev->badge.p, ev->badge.len);
	if (q_len) {
		if (batches_join(&c->batches, q, q_len, i)) {
			i->batch->is_known = true;
			i->batch->n = (uint64_t)outbox_reply_int(reply, 3);
			i->batch->released = outbox_reply_int(reply, 4) != 0;
			i->batch->limit = (uint64_t)outbox_reply_int(reply, 5);
		}
	}
	row = outbox_reply_text(reply, 7, &row_len);
	for (unsigned k = 0; k < 3; k++)
		marks[k] = outbox_reply_text(reply, 8 + k, &mark_lens[k]);
	answer = sender_check(c, ev, row, row_len, marks, mark_lens, false, core_now_ms(), &person);
	if (answer.decision != PERSON_SEND)
		step_write(c, i,
			   &(struct step){
				   .to = answer.decision == PERSON_DROP	  ? NOTICE_DROPPED
					 : answer.decision == PERSON_LIST ? NOTICE_FAILED
									  : NOTICE_PARKED,
				   .why = person_reason_key(answer.reason),
				   .unserved = answer.decision != PERSON_DROP,
			   },
			   NULL, NULL);
	else
		step_place(c, i);
}

/* The original may be in the backlog: the function has dropped what was not sent of it. */
static void forget_original(struct core *c, struct dibao_str uid)
{
	struct item *i = backlog_find(c->backlog, uid.p, uid.len);

	/* A busy one hears of it from the step that is being written. */
	if (i && !i->busy && (i->state == NOTICE_QUEUED || i->state == NOTICE_HELD)) {
		batch_forget(i);
		i->state = NOTICE_DROPPED;
		step_place(c, i);
	}
}

static void on_taken(int result, const redisReply *reply, void *userdata)
{
	struct arrival *a = userdata;
	struct core *c = a->in->c;
	struct dibao_event ev;
	size_t len;
	const char *state;

	if (result != 0) {
		again(a);
		return;
	}
	state = outbox_reply_text(reply, 1, &len);
	if (dibao_event_parse(&ev, a->bytes, a->len, NULL) == 0) {
		int s = notice_state_find(state, len);

		if (!strcmp(outbox_reply_text(reply, 0, NULL), "new")) {
			struct dibao_str of = ev.retracts.p ? ev.retracts : ev.corrects;

			char uid[DIBAO_UID_MAX_BYTES + 1];

			c->counters.n_taken++;
			snprintf(uid, sizeof uid, "%.*s", (int)ev.uid.len, ev.uid.p);
			if (s >= 0)
				step_told(uid, (enum notice_state)s, a->reason, a->is_unserved);
			if (of.p)
				forget_original(c, of);
			if (s == NOTICE_QUEUED || s == NOTICE_HELD)
				add_item(c, &ev, (enum notice_state)s, reply, a->due_ms);
		} else {
			c->counters.n_repeats++;
		}
	}
	reporter_wake(c->reporter);
	done(a);
	intake_pump(c->intake);
}

/* ---- writing it ---- */

/* What the event alone decides. */
static void decide(struct core *c, const struct dibao_event *ev, bool is_withdrawn, int64_t due_ms,
		   struct step *ret)
{
	bool takes_back = ev->retracts.p || ev->corrects.p;
	const struct template *t = templates_find(c->templates, ev, TEMPLATE_NOTICE);
	struct person_query q = {.event = ev, .now_ms = core_now_ms()};
	struct person_answer answer = person_check(&c->rules, &q);

	*ret = (struct step){.to = due_ms > q.now_ms ? NOTICE_HELD : NOTICE_QUEUED,
			     .reason = due_ms > q.now_ms ? NOTICE_REASON_QUIET : NOTICE_REASON_NONE,
			     .due_ms = due_ms};
	if (answer.reason != PERSON_OK && answer.reason < PERSON_NOT_ON_ROSTER) {
		*ret = (struct step){.to = answer.decision == PERSON_DROP   ? NOTICE_DROPPED
					   : answer.decision == PERSON_LIST ? NOTICE_FAILED
									    : NOTICE_PARKED,
				     .why = person_reason_key(answer.reason),
				     .unserved = answer.decision != PERSON_DROP};
	} else if (is_withdrawn) {
		*ret = (struct step){.to = NOTICE_DROPPED, .reason = NOTICE_REASON_WITHDRAWN};
	} else if (!takes_back && !t) {
		*ret = (struct step){
			.to = NOTICE_FAILED, .reason = NOTICE_REASON_TEMPLATE, .unserved = true};
	} else if (!takes_back && template_is_none(t)) {
		*ret = (struct step){.to = NOTICE_DROPPED, .reason = NOTICE_REASON_SILENT};
	} else if (due_ms > q.now_ms && due_ms >= quiet_deadline(ev)) {
		*ret = (struct step){
			.to = NOTICE_FAILED, .reason = NOTICE_REASON_TOO_LATE, .unserved = true};
	}
}

static void pair(struct outbox_call *call, const char *name, struct dibao_str value)
{
	outbox_text(call, name);
	outbox_bytes(call, value.p ? value.p : "", value.len);
}

static void number(struct outbox_call *call, const char *name, int64_t n)
{
	outbox_text(call, name);
	outbox_int(call, n);
}

static void take_event(struct arrival *a, const struct dibao_event *ev)
{
	struct core *c = a->in->c;
	struct outbox_call *call = outbox_begin(c->outbox, "dibao_sms_take", true);
	int64_t now = core_now_ms(), due = quiet_due(&c->quiet, now, ev->urgent),
		deadline = quiet_deadline(ev);
	struct dibao_str ref = {0}, mailbox;
	char batch[BATCH_ID_MAX] = "", reason[96];
	struct step s;

	decide(c, ev, a->is_withdrawn, due, &s);
	if (dibao_event_str(ev, "ref", &ref) == 0)
		batch_of_ref(batch, ref.p, ref.len);
	step_reason(reason, sizeof reason, &s);
	outbox_bytes(call, ev->uid.p, ev->uid.len);
	outbox_text(call, notice_state_name(s.to));
	outbox_text(call, reason);
	outbox_text(call, s.unserved ? "1" : "0");
	outbox_int(call, (int64_t)c->config->keep_ms);
	outbox_int(call, s.due_ms);
	outbox_text(call, ev->urgent ? "urgent" : "bulk");
	outbox_text(call, batch);
	outbox_int(call, now / 3600000);
	outbox_int(call, c->config->batch);
	outbox_text(call, ev->retracts.p ? "retracts" : ev->corrects.p ? "corrects" : "");
	outbox_bytes(call,
		     ev->retracts.p   ? ev->retracts.p
		     : ev->corrects.p ? ev->corrects.p
				      : "",
		     ev->retracts.p ? ev->retracts.len : ev->corrects.len);
	outbox_bytes(call, ref.p ? ref.p : "", ref.len);
	pair(call, "b", ev->badge);
	pair(call, "t", ev->type_name);
	pair(call, "o", ev->org);
	number(call, "at", ev->at);
	number(call, "x", deadline < INT64_MAX ? deadline : 0);
	if (dibao_event_str(ev, "body.mailbox", &mailbox) == 0)
		pair(call, "mb", mailbox);
	if (!notice_is_final(s.to) || s.to == NOTICE_PARKED)
		pair(call, "e", (struct dibao_str){(const char *)a->bytes, a->len});
	a->is_unserved = s.unserved;
	a->due_ms = s.due_ms;
	a->reason = s.why ? s.why : notice_reason_name(s.reason);
	outbox_send(c->outbox, call, on_taken, a);
	c->counters.n_unserved += s.unserved;
}

static void on_withdrawn(int result, const redisReply *reply, void *userdata)
{
	struct arrival *a = userdata;
	struct intake *in = a->in;

	(void)reply;
	if (result != 0) {
		again(a);
		return;
	}
	done(a);
	intake_pump(in);
}

/* A map with pid and, for who may see it, uid. */
static struct dibao_str withdrawn_uid(const struct arrival *a)
{
	struct mp_cursor c = {a->bytes, a->bytes + a->len};
	struct mp_value map, key, value;

	if (!mp_read(&c, &map) || map.kind != MP_MAP)
		return (struct dibao_str){NULL, 0};
	for (uint32_t k = 0; k < map.n; k++) {
		if (!mp_read(&c, &key) || key.kind != MP_STR)
			break;
		if (key.n == 3 && !memcmp(key.p, "uid", 3)) {
			if (mp_read(&c, &value) && value.kind == MP_STR)
				return (struct dibao_str){(const char *)value.p, value.n};
			break;
		}
		if (!mp_skip(&c, MP_DEPTH_MAX))
			break;
	}
	return (struct dibao_str){NULL, 0};
}

static void withdraw(struct arrival *a)
{
	struct core *c = a->in->c;
	struct dibao_str uid = withdrawn_uid(a);
	struct outbox_call *call;

	if (!uid.p) {
		done(a);
		return;
	}
	call = outbox_begin(c->outbox, "dibao_sms_withdraw", true);
	outbox_bytes(call, uid.p, uid.len);
	outbox_int(call, (int64_t)c->config->keep_ms);
	outbox_send(c->outbox, call, on_withdrawn, a);
	forget_original(c, uid);
}

static void hand_on(struct arrival *a)
{
	struct dibao_error err;
	struct dibao_event ev;

	a->is_sent = true;
	a->in->n_sent++;
	if (a->is_withdrawal) {
		withdraw(a);
	} else if (dibao_event_parse(&ev, a->bytes, a->len, &err) < 0) {
		/* The daemon checked it: we are older, or newer. A person is told by the log. */
		log_text(LOG_ERR, "an event that cannot be read was passed over: %s %s", err.field,
			 err.reason);
		done(a);
	} else {
		take_event(a, &ev);
	}
}

/* Those on their way to a row count too. */
static bool is_full(struct intake *in)
{
	struct core *c = in->c;
	size_t n = backlog_count(c->backlog) + in->n_sent;
	bool full = n >= c->config->backlog;

	if (full && !in->is_full && log_limited("backlog"))
		log_told(LOG_WARNING, LOG_ID_FULL, NULL,
			 "%zu notices are open, as many as backlog allows: no more is taken over "
			 "until there are fewer",
			 n);
	in->is_full = full;
	return full;
}

static void pump_line(struct intake *in, struct line *l)
{
	while (in->c->active && *l->unsent && in->n_sent < SENT_MAX && !is_full(in)) {
		struct arrival *a = *l->unsent;

		l->unsent = &a->next;
		if (!a->is_sent)
			hand_on(a);
	}
}

void intake_pump(struct intake *in)
{
	for (struct line *l = in->lines; l < in->lines + N_LINES; l++)
		pump_line(in, l);
}

void intake_reset(struct intake *in)
{
	for (struct line *l = in->lines; l < in->lines + N_LINES; l++) {
		for (struct arrival *a = l->first; a; a = a->next)
			a->is_sent = false;
		l->unsent = &l->first;
	}
	in->n_sent = 0;
}
