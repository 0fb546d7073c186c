/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A text of which nobody knows whether it was sent, once its wait for a receipt is over. Its
 * gateway is asked what it still holds, if it can be:
 *
 *   it lies there      it is submitted, and waits for its receipt as any other
 *   it does not        its type's policy: resend, park or drop
 *   it does not say    asked again after another wait, until `asking` is over; then the policy, but
 *                      nothing is sent again: it is parked, for what cannot be asked may hold it
 *
 * A gateway that cannot be asked leaves it to the policy at once. While it is being asked a receipt
 * may come, and then decides.
 */
#include "core.h"

#include "log.h"
#include "log_ids.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct doubt {
	struct core *c;
	unsigned attempt;
	char uid[DIBAO_UID_MAX_BYTES + 1];
};

/* What the gateway said, as the code behind the reason. */
static void decide(struct core *c, struct item *i, const char *code, bool may_resend)
{
	enum notice_policy p =
		i->type >= 0 && i->type < SMS_TYPES ? c->policy[i->type] : NOTICE_PARK;
	struct step s;

	if (p == NOTICE_RESEND && !may_resend)
		p = NOTICE_PARK;
	s = (struct step){
		.to = notice_on_wait_over(p), .reason = NOTICE_REASON_UNKNOWN, .code = code};
	s.unserved = s.to == NOTICE_PARKED;
	if (s.to == NOTICE_QUEUED) {
		s.reason = NOTICE_REASON_NONE;
		s.code = NULL;
		s.fields[0] = "rs";
		s.fields[1] = "1";
	}
	step_write(c, i, &s, NULL, NULL);
}

static struct item *in_doubt(struct core *c, const char *uid, unsigned attempt)
{
	struct item *i = c->active ? backlog_find(c->backlog, uid, strlen(uid)) : NULL;

	return i && !i->busy && i->state == NOTICE_AMBIGUOUS && i->attempt == attempt ? i : NULL;
}

static void unanswered(const char *gateway, const char *why)
{
	if (log_limited("doubt"))
		log_told(LOG_WARNING, LOG_ID_GATEWAY, NULL,
			 "%s: does not say whether it holds texts that may have been sent: %s; "
			 "they wait",
			 gateway, why);
}

void doubt_on_holds(struct driver *d, const char *id, unsigned attempt, enum driver_holds holds,
		    const char *why, void *userdata)
{
	struct core *c = userdata;
	struct item *i = in_doubt(c, id, attempt);

	if (!i)
		return;
	if (holds == DRIVER_HOLDS_TEXT)
		step_write(c, i, &(struct step){.to = NOTICE_SUBMITTED}, NULL, NULL);
	else if (holds == DRIVER_HOLDS_NONE)
		decide(c, i, "not-held", true);
	else
		unanswered(d->opt.name, why);
}

/* The number, if the person has had it since before the text was made. */
static void phone_then(char ret[ROSTER_PHONE_DIGITS + 1], const char *row, size_t len,
		       int64_t intent_ms)
{
	struct roster_person p;

	ret[0] = '\0';
	if (roster_decode(&p, row, len) == 0 && p.phone_since <= intent_ms)
		snprintf(ret, ROSTER_PHONE_DIGITS + 1, "%.*s", (int)p.phone.len, p.phone.p);
}

/* state attempt hash intended gateway, and of the badge the roster's row */
static void on_row(int result, const redisReply *reply, void *userdata)
{
	struct doubt *x = userdata;
	struct core *c = x->c;
	struct item *i = result == 0 ? in_doubt(c, x->uid, x->attempt) : NULL;
	char phone[ROSTER_PHONE_DIGITS + 1];
	size_t len, row_len;
	const char *name, *row;
	int64_t intent_ms;
	struct gateway *g;
	int n, r;

	free(x);
	if (!i)
		return;
	name = outbox_reply_text(reply, 4, &len);
	n = gateways_find(&c->gateways, name, len);
	g = n < 0 ? NULL : &c->gateways.at[n];
	if (!g || !g->ops->ask) {
		decide(c, i, NULL, true);
		return;
	}
	intent_ms = outbox_reply_int(reply, 3);
	row = outbox_reply_text(reply, 5, &row_len);
	phone_then(phone, row, row_len, intent_ms);
	r = g->driver ? g->ops->ask(g->driver,
				    &(struct driver_question){
					    .id = i->uid,
					    .attempt = i->attempt,
					    .phone = phone,
					    .hash = outbox_reply_text(reply, 2, NULL),
				    })
		      : -ENOTCONN;
	explicit_bzero(phone, sizeof phone);
	if (r == -ENOTSUP)
		decide(c, i, NULL, true);
	else if (core_now_ms() >
		 intent_ms + c->config->ambiguous_ms + (int64_t)c->config->asking_ms)
		decide(c, i, "not-answered", false);
	else if (r < 0)
		unanswered(g->name, strerror(-r));
}

void doubt_over(struct core *c, struct item *i)
{
	struct outbox_call *call = outbox_begin(c->outbox, "dibao_sms_doubt", false);
	struct doubt *x = calloc(1, sizeof *x);

	i->due_ms = core_now_ms() + c->config->ambiguous_ms; /* if there is no answer by then */
	if (!x || backlog_wait(c->backlog, i, LANE_TIMERS, i->due_ms) < 0)
		abort();
	x->c = c;
	x->attempt = i->attempt;
	snprintf(x->uid, sizeof x->uid, "%s", i->uid);
	outbox_bytes(call, i->uid, i->uid_len);
	outbox_text(call, i->badge);
	outbox_send(c->outbox, call, on_row, x);
}
