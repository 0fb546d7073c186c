/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishing for those who must not have a Redis user (kind publisher-relay): PUBLISH, and its
 * OUTCOME when Redis has answered. There is no session: HELLO is answered by a WELCOME that says
 * how many events may be unanswered, and the policy is asked about each event anew.
 *
 * What a relay takes back must be of a type and an organisation that it may publish; else it is
 * told what it would be told of an event that is not known. The rest is dibao_relay()'s, in Redis,
 * which is dibao_publish() with that one question more: durable when it answers, once by uid.
 *
 * Bounds: WIRE_PUBLISH_WINDOW events of a connection on their way to Redis; who sends more breaks
 * the protocol. An answer that the peer does not take is lost; it publishes again and hears
 * `repeat`.
 */
#include "call.h"
#include "log.h"
#include "sessions.h"

#include <dibao/publish.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { OUTCOME_MAX = 1024, GRANT_TEXT = 2048 };

/* A connection with events on their way. */
struct relay_peer {
	struct relay_peer *next;
	uint32_t routing_id;
	unsigned n;
};

struct relayed {
	struct sessions *m;
	uint32_t routing_id;
	uint64_t id;
};

static struct relay_peer **place(struct sessions *m, uint32_t routing_id)
{
	struct relay_peer **at = &m->relays;

	while (*at && (*at)->routing_id != routing_id)
		at = &(*at)->next;
	return at;
}

static void leave(struct sessions *m, uint32_t routing_id)
{
	struct relay_peer **at = place(m, routing_id), *p = *at;

	if (--p->n)
		return;
	*at = p->next;
	free(p);
}

static void answer(struct sessions *m, uint32_t routing_id, const struct wire_outcome *o)
{
	uint8_t buf[OUTCOME_MAX];
	int n = wire_outcome_pack(buf, sizeof buf, o);

	if (n > 0)
		(void)router_send(m->opt.router, routing_id, buf, (size_t)n, NULL);
}

static void answer_fault(struct sessions *m, uint32_t routing_id, uint64_t id, enum wire_fault f,
			 const char *field, const char *text)
{
	m->n_relay_refused++;
	answer(m, routing_id,
	       &(struct wire_outcome){.id = id,
				      .fault = f,
				      .field = {field, strlen(field)},
				      .text = {text, strlen(text)}});
}

/* "DIBAO_INVALID type: expected ...": Redis' own errors stay here, ours hold no value of an event.
 */
static void on_refused(struct sessions *m, const struct relayed *r, const char *text)
{
	static const struct {
		const char *word;
		enum wire_fault fault;
	} faults[] = {
		{"DIBAO_INVALID ", WIRE_FAULT_INVALID},
		{"DIBAO_NOREF ", WIRE_FAULT_NOREF},
		{"DIBAO_PERSON ", WIRE_FAULT_PERSON},
	};

	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
		if (!strncmp(text, faults[i].word, strlen(faults[i].word))) {
			answer_fault(m, r->routing_id, r->id, faults[i].fault, "",
				     text + strlen(faults[i].word));
			return;
		}
	if (log_limited("relay"))
		log_text(LOG_ERR, "an event of a relay is refused by Redis: %.100s", text);
	answer_fault(m, r->routing_id, r->id, WIRE_FAULT_OTHER, "", "the queue refuses it for now");
}

static void on_published(struct redis_link *l, const redisReply *reply, void *userdata)
{
	static const char away[] = "Redis is away: publish it again";
	struct relayed *r = userdata;
	struct sessions *m = r->m;
	unsigned outcome = 0;

	(void)l;
	m->n_outstanding--;
	leave(m, r->routing_id);
	if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements >= 1 &&
	    reply->element[0]->str)
		for (unsigned o = DIBAO_NEW; o <= DIBAO_CONFLICT; o++)
			if (!strcmp(reply->element[0]->str, dibao_outcome_name(o)))
				outcome = o;
	if (!reply) {
		answer_fault(m, r->routing_id, r->id, WIRE_FAULT_AWAY, "", away);
	} else if (outcome) {
		m->n_relayed++;
		answer(m, r->routing_id, &(struct wire_outcome){.id = r->id, .outcome = outcome});
	} else {
		on_refused(m, r, reply->type == REDIS_REPLY_ERROR ? reply->str : "no outcome");
	}
	free(r);
}

/* What e grants, as dibao_relay takes it: words, or "*". */
static void grant_text(char types[GRANT_TEXT], char orgs[GRANT_TEXT], const struct access_entry *e)
{
	size_t n = 0;

	strcpy(types, "*");
	strcpy(orgs, "*");
	for (unsigned i = 0; !e->all_types && i < e->grant.n_types; i++)
		n += (size_t)snprintf(types + n, GRANT_TEXT - n, "%.*s ", e->grant.types[i].len,
				      e->grant.types[i].name);
	n = 0;
	for (unsigned i = 0; !e->all_orgs && i < e->grant.n_orgs; i++)
		n += (size_t)snprintf(orgs + n, GRANT_TEXT - n, "%.*s ", e->grant.orgs[i].len,
				      e->grant.orgs[i].code);
}

_Static_assert(WIRE_TYPES_MAX *(FILTER_TYPE_MAX + 1) < GRANT_TEXT &&
		       WIRE_ORGS_MAX * (DIBAO_ORG_BYTES + 1) < GRANT_TEXT,
	       "the longest grant fits");

static int enter(struct sessions *m, uint32_t routing_id)
{
	struct relay_peer **at = place(m, routing_id);

	if (!*at) {
		*at = calloc(1, sizeof **at);
		if (!*at)
			return -ENOMEM;
		(*at)->routing_id = routing_id;
	}
	if ((*at)->n == WIRE_PUBLISH_WINDOW)
		return -ENOBUFS;
	(*at)->n++;
	return 0;
}

static int store(struct sessions *m, uint32_t routing_id, const struct wire_publish *p,
		 const struct access_entry *e)
{
	static struct call call;
	static char types[GRANT_TEXT], orgs[GRANT_TEXT];
	struct relayed *r = malloc(sizeof *r);
	int k = r ? enter(m, routing_id) : -ENOMEM;

	if (k < 0) {
		free(r);
		return k;
	}
	*r = (struct relayed){m, routing_id, p->id};
	grant_text(types, orgs, e);
	call_begin(&call, "dibao_relay", m->opt.base);
	call_bytes(&call, p->event.p, p->event.len);
	call_text(&call, types);
	call_text(&call, orgs);
	k = call_send(&call, m->opt.main, on_published, r);
	if (k == 0) {
		m->n_outstanding++;
		return 0;
	}
	leave(m, routing_id);
	free(r);
	return -ENOTCONN;
}

/* The entry of who sends, if it may publish at all; else refused. */
static const struct access_entry *relay(struct sessions *m, uint32_t routing_id)
{
	const struct access_entry *e = refuse_unknown(m, routing_id);
	struct access_answer a;

	if (!e)
		return NULL;
	a = access_allows(e, (struct dibao_str){NULL, 0}, NULL, 0, -1, unix_ms());
	if (config_is_for_boards(m->opt.config))
		refuse(m, routing_id, DIBAO_REASON_REFUSED,
		       "kind: this daemon serves boards alone");
	else if (e->kind != ACCESS_PUBLISHER_RELAY)
		refuse(m, routing_id, DIBAO_REASON_REFUSED,
		       "kind: only a publisher-relay publishes");
	else if (!a.yes)
		refuse(m, routing_id, DIBAO_REASON_REFUSED, a.why);
	else
		return e;
	return NULL;
}

void relay_hello(struct sessions *m, uint32_t routing_id, const struct wire_hello *h)
{
	struct wire_welcome w = {.proto = WIRE_PROTO_MAX,
				 .beat_ms = m->opt.config->heartbeat_ms,
				 .lease_ms = m->opt.config->lease_ms,
				 .window_bytes = WIRE_PUBLISH_WINDOW,
				 .publishes = true,
				 .clock_ms = queue_clock_ms(m->opt.clock)};
	uint8_t buf[OUTCOME_MAX];
	int n;

	if (!m->accepting || !relay(m, routing_id))
		return;
	if (h->proto_min > WIRE_PROTO_MAX || h->proto_max < WIRE_PROTO_MIN) {
		refuse(m, routing_id, DIBAO_REASON_VERSION,
		       "no common protocol version: this daemon speaks 1");
		return;
	}
	if (h->bureau.len != strlen(m->opt.config->bureau) ||
	    memcmp(h->bureau.p, m->opt.config->bureau, h->bureau.len) != 0) {
		refuse(m, routing_id, DIBAO_REASON_REFUSED, "another bureau's daemon");
		return;
	}
	n = wire_welcome_pack(buf, sizeof buf, &w);
	if (n > 0)
		(void)router_send(m->opt.router, routing_id, buf, (size_t)n, NULL);
}

void relay_on_publish(struct sessions *m, uint32_t routing_id, const void *frame, size_t len)
{
	const struct access_entry *e = relay(m, routing_id);
	const char *why = "malformed";
	struct access_answer a;
	struct wire_publish p;
	struct dibao_error err;
	struct dibao_event ev;
	char text[160];
	int r;

	if (!e)
		return;
	if (wire_publish_unpack(&p, frame, len, &why) < 0) {
		snprintf(text, sizeof text, "PUBLISH: %s", why);
		refuse(m, routing_id, DIBAO_REASON_PROTOCOL, text);
		return;
	}
	if (!m->accepting) {
		answer_fault(m, routing_id, p.id, WIRE_FAULT_AWAY, "", "the daemon is stopping");
		return;
	}
	if (dibao_event_parse(&ev, p.event.p, p.event.len, &err) < 0) {
		answer_fault(m, routing_id, p.id, WIRE_FAULT_INVALID, err.field, err.reason);
		return;
	}
	a = access_allows(e, ev.type_name, ev.org.p, ev.org.len, -1, unix_ms());
	if (!a.yes) {
		if (log_limited("relay-denied"))
			log_text(LOG_NOTICE, "an event of relay %s is refused: %s", e->name, a.why);
		answer_fault(m, routing_id, p.id, WIRE_FAULT_DENIED, "", a.why);
		return;
	}
	r = store(m, routing_id, &p, e);
	if (r == -ENOBUFS)
		refuse(m, routing_id, DIBAO_REASON_PROTOCOL, "PUBLISH: over 256 unanswered");
	else if (r < 0)
		answer_fault(m, routing_id, p.id, WIRE_FAULT_AWAY, "",
			     "Redis is away: publish it again");
}

void relay_free(struct sessions *m)
{
	while (m->relays) {
		struct relay_peer *p = m->relays;

		m->relays = p->next;
		free(p);
	}
}
