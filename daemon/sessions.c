/* SPDX-License-Identifier: Apache-2.0 */
#include "starting.h"
#include "call.h"
#include "clock.h"
#include "lane.h"
#include "log.h"
#include "log_ids.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { TICK_USEC = 250000, TOO_SOON_USEC = 1000, CONTROL_MAX = 1024 };

static struct session **bucket_of(struct sessions *m, uint32_t routing_id)
{
	return &m->buckets[(routing_id * 2654435761u) >> 20];
}

struct session *sessions_find(struct sessions *m, uint32_t routing_id, uint64_t serial)
{
	for (struct session *s = *bucket_of(m, routing_id); s; s = s->hash_next)
		if (s->routing_id == routing_id && (!serial || s->serial == serial))
			return s;
	return NULL;
}

void session_log(int level, const char *id, const struct session *s, const char *text)
{
	char client[96], name[96], peer[32];

	/* Apart, so that no coming and going hides a refusal or a loss. */
	if (!log_limited(level == LOG_WARNING ? "lost" : level == LOG_NOTICE ? "ended" : "session"))
		return;
	snprintf(client, sizeof client, "DIBAO_CLIENT=%s", s->durable[0] ? s->durable : "-");
	snprintf(peer, sizeof peer, "DIBAO_PEER=%08" PRIx32, s->tag);
	snprintf(name, sizeof name, "DIBAO_NAME=%s", s->access ? s->access->name : "-");
	log_event(level, id, text, client, name, peer);
}

void sessions_send_goodbye(struct sessions *m, uint32_t routing_id, enum dibao_reason why,
			   const char *text)
{
	struct wire_goodbye g = {.reason = why, .text = {text, strlen(text)}};
	uint8_t buf[CONTROL_MAX];
	int n = wire_goodbye_pack(buf, sizeof buf, WIRE_GOODBYE, &g);

	/* A peer whose queue is full, or that is gone, finds out by silence. */
	if (n > 0)
		router_send(m->opt.router, routing_id, buf, (size_t)n, NULL);
}

static void count_state(struct sessions *m, const struct session *s, int by)
{
	m->n_active += s->state == SESSION_ACTIVE ? (unsigned)by : 0;
	m->n_standby += s->state == SESSION_STANDBY ? (unsigned)by : 0;
}

void sessions_register(struct sessions *m, struct session *s)
{
	struct session **bucket = bucket_of(m, s->routing_id);

	s->serial = ++m->next_serial;
	s->hash_next = *bucket;
	*bucket = s;
	s->next = m->first;
	if (m->first)
		m->first->prev = s;
	m->first = s;
	m->n++;
}

/* Off the registry; freed by the reaper. */
static void retire(struct sessions *m, struct session *s)
{
	struct session **at = bucket_of(m, s->routing_id);

	while (*at != s)
		at = &(*at)->hash_next;
	*at = s->hash_next;
	*(s->prev ? &s->prev->next : &m->first) = s->next;
	if (s->next)
		s->next->prev = s->prev;
	count_state(m, s, -1);
	s->state = SESSION_ENDED;
	m->n--;
	s->prev = NULL;
	s->next = m->ended;
	m->ended = s;
	sd_event_source_set_enabled(m->reaper, SD_EVENT_ONESHOT);
}

static int on_reap(sd_event_source *src, void *userdata)
{
	struct sessions *m = userdata;

	(void)src;
	while (m->ended) {
		struct session *s = m->ended;

		m->ended = s->next;
		if (s->lane) {
			fanout_detach(m->opt.fanout, s);
			lanes_leave(m->opt.lanes, s->lane);
		}
		session_free(s);
	}
	return 0;
}

/* Who waits for this durable name need not wait for the clock. */
static void wake_standbys(struct sessions *m, const char *durable, uint64_t now)
{
	for (struct session *s = m->first; s; s = s->next)
		if (s->state == SESSION_STANDBY && !strcmp(s->durable, durable))
			s->lease_due_usec = now;
}

static void end_quietly(struct sessions *m, struct session *s, bool release)
{
	if (s->state == SESSION_ENDED)
		return;
	if (s->state == SESSION_ACTIVE && s->durable[0]) {
		cursor_write_last(m, s);
		if (release) {
			lease_release(m, s);
			wake_standbys(m, s->durable, boottime_usec());
		}
	}
	retire(m, s);
}

void sessions_end(struct sessions *m, struct session *s, enum dibao_reason why, const char *text)
{
	if (s->state == SESSION_ENDED)
		return;
	sessions_send_goodbye(m, s->routing_id, why, text);
	if (why == DIBAO_REASON_PROTOCOL)
		refusal_broken(m, s->routing_id);
	if (why != DIBAO_REASON_DRAINING && why != DIBAO_REASON_CLOSING)
		refusal_count(m, why);
	if (why != DIBAO_REASON_DRAINING)
		session_log(why == DIBAO_REASON_CLOSING ? LOG_INFO : LOG_NOTICE,
			    why == DIBAO_REASON_PROTOCOL ? LOG_ID_PROTOCOL : NULL, s, text);
	end_quietly(m, s, why != DIBAO_REASON_SUPERSEDED);
}

void sessions_on_gone(struct session *s, void *userdata)
{
	/* Its lease stays until it runs out: the same instance may come back at once, and no other
	 * one may act while it perhaps still does. */
	if (s->state == SESSION_ENDED)
		return;
	session_log(LOG_INFO, NULL, s, "peer is gone");
	end_quietly(userdata, s, false);
}

/* ---- messages ---- */

static void on_ack(struct sessions *m, struct session *s, const void *frame, size_t len)
{
	struct wire_ack a;
	unsigned n = 0;

	if (wire_ack_unpack(&a, frame, len) < 0) {
		sessions_end(m, s, DIBAO_REASON_PROTOCOL, "ACK: malformed");
		return;
	}
	for (unsigned i = 0; i < a.n; i++) {
		int r = session_ack(s, a.at[i].channel, a.at[i].number, a.at[i].token);

		if (r < 0) {
			sessions_end(m, s, DIBAO_REASON_PROTOCOL,
				     "ACK: of a frame that was not sent, or with another token");
			return;
		}
		s->n_acked += (unsigned)r;
		n += (unsigned)r;
		if (r > 0 && s->durable[0])
			cursor_mark(m, s);
	}
	if (n)
		m->n_acks++;
	else
		router_note_junk(m->opt.router);
	fanout_wake(m->opt.fanout, s);
}

struct receipt {
	struct sessions *m;
	uint32_t routing_id;
	uint64_t serial, id;
};

static void on_receipt_stored(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct receipt *r = userdata;
	struct sessions *m = r->m;
	struct session *s = sessions_find(m, r->routing_id, r->serial);
	uint8_t buf[64];
	int n;

	(void)l;
	m->n_outstanding--;
	if (!s)
		goto out;
	s->n_receipts--;
	if (!reply) {
		/* It comes again with the next connection. */
		sessions_end(m, s, DIBAO_REASON_NO_SESSION, "receipt not stored: Redis is away");
	} else if (reply->type == REDIS_REPLY_ERROR && !strncmp(reply->str, "DIBAO_STALE", 11)) {
		sessions_end(m, s, DIBAO_REASON_SUPERSEDED, "another instance is active");
	} else {
		n = wire_confirm_pack(buf, sizeof buf, r->id, reply->type == REDIS_REPLY_ERROR);
		if (reply->type == REDIS_REPLY_ERROR && log_limited("receipt"))
			log_text(LOG_ERR, "receipt refused by Redis: %.100s", reply->str);
		else
			m->n_receipts++;
		if (n > 0 && router_send(m->opt.router, s->routing_id, buf, (size_t)n, NULL) < 0)
			sessions_end(m, s, DIBAO_REASON_NO_SESSION,
				     "confirmation does not get through");
	}
out:
	free(r);
}

static void on_receipt(struct sessions *m, struct session *s, const void *frame, size_t len)
{
	static struct call call;
	struct wire_receipt w;
	struct receipt *r;
	const char *why = "malformed";
	char instance[2 * WIRE_INSTANCE_BYTES + 1], text[160];

	if (wire_receipt_unpack(&w, frame, len, &why) < 0) {
		snprintf(text, sizeof text, "RECEIPT: %s", why);
		sessions_end(m, s, DIBAO_REASON_PROTOCOL, text);
		return;
	}
	if (s->n_receipts == SESSION_RECEIPTS_MAX) {
		sessions_end(m, s, DIBAO_REASON_PROTOCOL, "RECEIPT: over 1024 unconfirmed");
		return;
	}
	r = malloc(sizeof *r);
	if (!r) {
		sessions_end(m, s, DIBAO_REASON_BUSY, "no memory");
		return;
	}
	*r = (struct receipt){m, s->routing_id, s->serial, w.id};
	lease_instance_hex(instance, s);
	call_begin(&call, "dibao_receipt", m->opt.base);
	call_text(&call, s->durable);
	call_text(&call, instance);
	call_int(&call, (int64_t)s->epoch);
	call_int(&call, (int64_t)s->counter);
	call_bytes(&call, w.key.p, w.key.len);
	call_int(&call, w.state);
	call_int(&call, w.at_ms);
	call_bytes(&call, w.detail.p ? w.detail.p : "", w.detail.len);
	call_text(&call, s->access->kind == ACCESS_BOARD ? "board" : "other");
	s->n_receipts++;
	m->n_outstanding++;
	if (call_send(&call, m->opt.main, on_receipt_stored, r) < 0) {
		m->n_outstanding--;
		free(r);
		sessions_end(m, s, DIBAO_REASON_NO_SESSION, "receipt not stored: Redis is away");
	}
}

static void on_bye(struct sessions *m, struct session *s)
{
	session_log(LOG_INFO, NULL, s, "client said goodbye");
	end_quietly(m, s, true);
}

void sessions_on_message(struct sessions *m, uint32_t routing_id, const void *frame, size_t len)
{
	struct session *s = sessions_find(m, routing_id, 0);
	uint64_t now = boottime_usec();
	uint8_t kind = len ? *(const uint8_t *)frame : 0;

	if (!s && refusal_is_muted(m, routing_id, now))
		return;
	if (kind == WIRE_HELLO) {
		if (s && now - s->heard_usec < TOO_SOON_USEC)
			router_note_junk(m->opt.router);
		if (s)
			s->heard_usec = now;
		start_hello(m, routing_id, s, frame, len, now);
		return;
	}
	if (kind == WIRE_PUBLISH && !s) {
		relay_on_publish(m, routing_id, frame, len);
		return;
	}
	if (kind == WIRE_ASK && m->opt.on_ask) {
		m->opt.on_ask(routing_id, frame, len, m->opt.userdata);
		return;
	}
	if (!s) {
		if (kind != WIRE_BYE)
			refuse(m, routing_id, DIBAO_REASON_NO_SESSION, "say HELLO first");
		return;
	}
	if (now - s->heard_usec < TOO_SOON_USEC && kind == WIRE_ALIVE)
		router_note_junk(m->opt.router);
	s->heard_usec = now;
	if (kind == WIRE_ALIVE && len == 1)
		return;
	if (kind == WIRE_BYE)
		on_bye(m, s);
	else if (s->state != SESSION_ACTIVE)
		sessions_end(m, s, DIBAO_REASON_PROTOCOL,
			     "not active yet: only HELLO, ALIVE and BYE are");
	else if (kind == WIRE_ACK)
		on_ack(m, s, frame, len);
	else if (kind == WIRE_RECEIPT)
		on_receipt(m, s, frame, len);
	else
		sessions_end(m, s, DIBAO_REASON_PROTOCOL, "message of an unknown kind");
}

void sessions_on_garbage(struct sessions *m, uint32_t routing_id)
{
	struct session *s = sessions_find(m, routing_id, 0);

	if (s)
		sessions_end(m, s, DIBAO_REASON_PROTOCOL, "expected a message of one frame");
	else if (!refusal_is_muted(m, routing_id, boottime_usec()))
		refuse(m, routing_id, DIBAO_REASON_PROTOCOL, "expected a message of one frame");
}

/* ---- clockwork ---- */

static void beat(struct sessions *m, struct session *s)
{
	uint8_t buf[64];
	int n;

	if (s->state == SESSION_ACTIVE) {
		fanout_beat(m->opt.fanout, s);
	} else if (s->state == SESSION_STANDBY) {
		n = wire_standby_pack(buf, sizeof buf, queue_clock_ms(m->opt.clock));
		if (n > 0 && router_send(m->opt.router, s->routing_id, buf, (size_t)n, NULL) ==
				     -EHOSTUNREACH)
			sessions_on_gone(s, m);
	}
}

void sessions_beat_soon(struct sessions *m)
{
	for (struct session *s = m->first; s; s = s->next)
		s->beat_due_usec = 0;
}

static int on_tick(sd_event_source *src, uint64_t usec, void *userdata)
{
	struct sessions *m = userdata;
	const struct config *c = m->opt.config;
	uint64_t now = boottime_usec();
	struct session *next;

	(void)usec;
	for (struct session *s = m->first; s; s = next) {
		next = s->next;
		if (now - s->heard_usec > c->silence_ms * 1000ull) {
			sessions_end(m, s, DIBAO_REASON_NO_SESSION,
				     "nothing was heard for too long");
			continue;
		}
		if (unix_ms() >= s->expires_ms) {
			sessions_end(m, s, DIBAO_REASON_REVOKED, "expires: the date is past");
			continue;
		}
		if (s->state == SESSION_STANDBY && now >= s->lease_due_usec)
			starting_retry_standby(m, s, now);
		if (now >= s->beat_due_usec) {
			s->beat_due_usec = now + c->heartbeat_ms * 1000ull;
			beat(m, s);
		}
	}
	if (now >= m->renew_due_usec) {
		m->renew_due_usec = now + c->lease_ms * 1000ull / 3;
		lease_renew_all(m, now);
	}
	sd_event_source_set_time_relative(src, TICK_USEC);
	sd_event_source_set_enabled(src, SD_EVENT_ONESHOT);
	return 0;
}

static int on_cursor_timer(sd_event_source *src, uint64_t usec, void *userdata)
{
	(void)src;
	(void)usec;
	cursor_flush(userdata);
	return 0;
}

/* ---- life ---- */

int sessions_new(struct sessions **ret, const struct sessions_options *opt)
{
	struct sessions *m = calloc(1, sizeof *m);
	int r;

	if (!m)
		return -ENOMEM;
	m->opt = *opt;
	r = sd_event_add_defer(opt->event, &m->reaper, on_reap, m);
	if (r >= 0)
		r = sd_event_source_set_enabled(m->reaper, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time_relative(opt->event, &m->tick, CLOCK_MONOTONIC, TICK_USEC,
					       10000, on_tick, m);
	if (r >= 0)
		r = sd_event_add_time_relative(opt->event, &m->cursor_timer, CLOCK_MONOTONIC,
					       TICK_USEC, 5000, on_cursor_timer, m);
	if (r >= 0)
		r = sd_event_source_set_enabled(m->cursor_timer, SD_EVENT_OFF);
	if (r < 0) {
		sessions_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

struct sessions *sessions_free(struct sessions *m)
{
	if (!m)
		return NULL;
	while (m->first)
		retire(m, m->first);
	on_reap(NULL, m);
	relay_free(m);
	sd_event_source_disable_unref(m->reaper);
	sd_event_source_disable_unref(m->tick);
	sd_event_source_disable_unref(m->cursor_timer);
	free(m);
	return NULL;
}

void sessions_accept(struct sessions *m, bool accept)
{
	m->accepting = accept;
}

unsigned sessions_set_policy(struct sessions *m, const struct access *policy)
{
	struct session *next;
	unsigned n = 0;

	m->opt.policy = policy;
	/* None keeps a pointer into the old one, whatever becomes of it below. */
	for (struct session *s = m->first; s; s = s->next)
		s->access = access_who(policy, s->who);
	for (struct session *s = m->first; s; s = next) {
		struct access_request held = start_held(s);
		struct access_answer a = {.why = "not in the policy any more"};

		next = s->next;
		if (s->access) {
			a = access_still(s->access, &held, unix_ms());
			s->expires_ms = s->access->expires_ms;
			s->rate = s->access->rate;
		}
		if (a.yes)
			continue;
		sessions_end(m, s, DIBAO_REASON_REVOKED, a.why);
		n++;
	}
	for (struct session *s = m->ended; s; s = s->next)
		s->access = NULL;
	return n;
}

void sessions_expect_repeats(struct sessions *m, const struct entry_id upto[DIBAO_CHANNEL_COUNT])
{
	for (struct session *s = m->first; s; s = s->next)
		for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
			if (entry_id_cmp(upto[c], s->at[c].repeats) > 0)
				s->at[c].repeats = upto[c];
			/* Redis may have forgotten its cursor too. */
			if (s->state == SESSION_ACTIVE && s->durable[0])
				cursor_mark(m, s);
		}
}

void sessions_drain_begin(struct sessions *m)
{
	m->draining = true;
	m->accepting = false;
	fanout_stop(m->opt.fanout);
}

bool sessions_drained(const struct sessions *m)
{
	for (const struct session *s = m->first; s; s = s->next)
		if (s->state == SESSION_ACTIVE && session_in_flight(s))
			return false;
	return true;
}

void sessions_goodbye_all(struct sessions *m, enum dibao_reason why, const char *text)
{
	cursor_flush(m);
	while (m->first)
		sessions_end(m, m->first, why, text);
}
