/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HELLO: is what it asks well-formed and ours to give? Then there is a session, and starting.c asks
 * Redis for the rest.
 */
#include "clock.h"
#include "lane.h"
#include "last.h"
#include "limits.h"
#include "starting.h"
#include "zap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The same instance under another connection: that one is over. */
static void end_previous(struct sessions *m, const struct session *s)
{
	struct session *next;

	for (struct session *o = m->first; o; o = next) {
		next = o->next;
		if (o != s && o->state != SESSION_ENDED && s->durable[0] &&
		    !strcmp(o->durable, s->durable) &&
		    !memcmp(o->instance, s->instance, sizeof s->instance))
			sessions_on_gone(o, m);
	}
}

/* The policy's word on a well-formed HELLO. */
static struct access_answer grant(const struct access_entry *e, const struct wire_hello *h,
				  struct asked *a)
{
	struct access_request rq = {.filter = a->filter, .window_bytes = a->window_bytes};
	struct access_answer answer;
	char durable[WIRE_NAME_MAX + 1] = "";

	if (h->durable.p)
		memcpy(durable, h->durable.p, h->durable.len);
	rq.durable = durable;
	answer = access_narrow(e, &rq, unix_ms());
	a->filter = rq.filter;
	a->window_bytes = rq.window_bytes;
	a->channels = rq.channels;
	return answer;
}

/* Says no, or fills *ret. */
static bool acceptable(struct sessions *m, uint32_t routing_id, const struct wire_hello *h,
		       const struct access_entry *e, struct asked *ret)
{
	const struct config *c = m->opt.config;
	const char *why = NULL;
	enum dibao_reason reason = DIBAO_REASON_REFUSED;
	struct access_answer answer;

	if (h->proto_min > WIRE_PROTO_MAX || h->proto_max < WIRE_PROTO_MIN) {
		why = "no common protocol version: this daemon speaks 1";
		reason = DIBAO_REASON_VERSION;
	} else if (h->bureau.len != strlen(c->bureau) ||
		   memcmp(h->bureau.p, c->bureau, h->bureau.len) != 0) {
		why = "another bureau's daemon";
	} else if (config_is_for_boards(c) && e->kind != ACCESS_BOARD) {
		why = "kind: this daemon serves boards alone";
	} else if (m->n >= c->max_sessions) {
		why = "as many sessions as the daemon takes";
		reason = DIBAO_REASON_BUSY;
	} else if (h->from == DIBAO_START_LAST && (h->from_arg < 1 || h->from_arg > LAST_MAX)) {
		why = "from last: expected 1 to 100000";
	} else if (filter_init(&ret->filter, h, &why) == 0) {
		ret->from = h->from;
		ret->arg = h->from_arg;
		ret->window_bytes =
			h->window_bytes < WIRE_WINDOW_MIN ? WIRE_WINDOW_MIN : h->window_bytes;
		answer = grant(e, h, ret);
		if (answer.yes)
			return true;
		why = answer.why;
	}
	refuse(m, routing_id, reason, why);
	return false;
}

static unsigned n_sessions_of(const struct sessions *m, const char *who)
{
	unsigned n = 0;

	for (const struct session *s = m->first; s; s = s->next)
		n += !strcmp(s->who, who);
	return n;
}

/* Registered, not yet started. NULL: no memory. */
static struct session *enter(struct sessions *m, uint32_t routing_id, const struct wire_hello *h,
			     const char *who, const struct asked *a, uint64_t now)
{
	struct session *s = session_new(routing_id);

	if (!s)
		return NULL;
	s->hello = malloc(sizeof *a);
	if (!s->hello)
		return session_free(s);
	memcpy(s->hello, a, sizeof *a);
	snprintf(s->who, sizeof s->who, "%s", who);
	s->tag = router_tag(m->opt.router, routing_id);
	s->access = access_who(m->opt.policy, who);
	s->expires_ms = s->access->expires_ms;
	s->rate = s->access->rate;
	if (h->durable.p)
		memcpy(s->durable, h->durable.p, h->durable.len);
	memcpy(s->instance, h->instance, sizeof s->instance);
	s->heard_usec = now;
	s->connected_ms = unix_ms();
	sessions_register(m, s);
	return s;
}

struct access_request start_held(const struct session *s)
{
	const struct asked *a = s->hello;
	struct access_request held = {.durable = s->durable};

	if (a) {
		held.filter = a->filter;
		held.window_bytes = a->window_bytes;
		held.channels = a->channels;
		return held;
	}
	held.filter = s->lane->filter;
	held.window_bytes = s->window_bytes;
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		held.channels |= (uint8_t)(s->at[c].attached << c);
	return held;
}

void start_hello(struct sessions *m, uint32_t routing_id, struct session *s, const void *frame,
		 size_t len, uint64_t now)
{
	struct wire_hello h;
	struct asked a;
	const char *who = zap_user(m->opt.zap, router_user_id(m->opt.router));
	const struct access_entry *e;
	const char *why = "malformed";
	char text[160];

	if (wire_hello_unpack(&h, frame, len, &why) < 0) {
		snprintf(text, sizeof text, "HELLO: %s", why);
		if (s)
			sessions_end(m, s, DIBAO_REASON_PROTOCOL, text);
		else
			refuse(m, routing_id, DIBAO_REASON_PROTOCOL, text);
		return;
	}
	if (s) {
		/* Repeated: its answer is on the way. */
		if (memcmp(s->instance, h.instance, sizeof s->instance) != 0)
			sessions_end(m, s, DIBAO_REASON_PROTOCOL,
				     "HELLO: another instance on one connection");
		return;
	}
	if (m->draining) {
		refuse(m, routing_id, DIBAO_REASON_DRAINING, "daemon is stopping");
		return;
	}
	if (h.publishes) {
		relay_hello(m, routing_id, &h);
		return;
	}
	e = refuse_unknown(m, routing_id);
	if (!e)
		return;
	if (!m->accepting)
		return;
	if (m->opt.limits) {
		why = limits_hello(m->opt.limits, who, n_sessions_of(m, who));
		if (why) {
			refuse(m, routing_id, DIBAO_REASON_BUSY, why);
			return;
		}
	}
	if (!acceptable(m, routing_id, &h, e, &a))
		return;
	s = enter(m, routing_id, &h, who, &a, now);
	if (!s) {
		refuse(m, routing_id, DIBAO_REASON_BUSY, "no memory");
		return;
	}
	end_previous(m, s);
	starting_ask(m, s, now);
}
