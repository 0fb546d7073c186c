/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases of durable names: renewed in batches for sessions whose application was heard lately,
 * given back when a session ends in order. A lease runs, as far as we are concerned, from the
 * moment the request left, by CLOCK_BOOTTIME; fanout asks it at every send. So a daemon that was
 * stopped for longer than a lease sends nothing when it wakes, until Redis has told it that the
 * name is still its.
 */
#include "call.h"
#include "clock.h"
#include "sessions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct renewal {
	struct sessions *m;
	uint64_t asked_usec;
	unsigned n;
	struct {
		uint32_t routing_id;
		uint64_t serial;
	} of[SESSIONS_CURSORS_PER_CALL];
};

void lease_instance_hex(char ret[2 * WIRE_INSTANCE_BYTES + 1], const struct session *s)
{
	for (int i = 0; i < WIRE_INSTANCE_BYTES; i++)
		sprintf(ret + 2 * i, "%02x", s->instance[i]);
}

static void on_renewed(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct renewal *r = userdata;
	struct sessions *m = r->m;

	(void)l;
	m->n_outstanding--;
	for (unsigned i = 0; i < r->n; i++) {
		struct session *s = sessions_find(m, r->of[i].routing_id, r->of[i].serial);

		if (!s || !reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != r->n)
			continue; /* no answer, no renewal: the lease simply runs out */
		if (reply->element[i]->integer == 0) {
			sessions_end(m, s, DIBAO_REASON_SUPERSEDED, "another instance is active");
			continue;
		}
		s->lease_until_usec = r->asked_usec + m->opt.config->lease_ms * 1000ull;
		fanout_wake(m->opt.fanout, s);
	}
	free(r);
}

static struct session *renew_some(struct sessions *m, struct session *s, uint64_t now)
{
	static struct call call;
	struct renewal *r = malloc(sizeof *r);
	char instance[SESSIONS_CURSORS_PER_CALL][2 * WIRE_INSTANCE_BYTES + 1];

	if (!r)
		return NULL;
	r->m = m;
	r->asked_usec = now;
	r->n = 0;
	call_begin(&call, "dibao_renew", m->opt.base);
	call_int(&call, m->opt.config->lease_ms);
	for (; s && r->n < SESSIONS_CURSORS_PER_CALL; s = s->next) {
		/* Renewal needs a word of the application's thread, not only a living socket. */
		if (s->state != SESSION_ACTIVE || !s->durable[0] ||
		    now - s->heard_usec > m->opt.config->lease_ms * 1000ull)
			continue;
		lease_instance_hex(instance[r->n], s);
		call_text(&call, s->durable);
		call_text(&call, instance[r->n]);
		call_int(&call, (int64_t)s->epoch);
		call_int(&call, (int64_t)s->counter);
		r->of[r->n].routing_id = s->routing_id;
		r->of[r->n++].serial = s->serial;
	}
	if (!r->n || call_send(&call, m->opt.main, on_renewed, r) < 0) {
		free(r);
		return s;
	}
	m->n_outstanding++;
	return s;
}

void lease_renew_all(struct sessions *m, uint64_t now)
{
	for (struct session *s = m->first; s;)
		s = renew_some(m, s, now);
}

static void on_released(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct sessions *m = userdata;

	/* Without an answer it runs out by itself. */
	(void)l;
	(void)reply;
	m->n_outstanding--;
}

void lease_release(struct sessions *m, const struct session *s)
{
	static struct call call;
	char instance[2 * WIRE_INSTANCE_BYTES + 1];

	lease_instance_hex(instance, s);
	call_begin(&call, "dibao_unlease", m->opt.base);
	call_text(&call, s->durable);
	call_text(&call, instance);
	call_int(&call, (int64_t)s->epoch);
	call_int(&call, (int64_t)s->counter);
	if (call_send(&call, m->opt.main, on_released, m) == 0)
		m->n_outstanding++;
}
