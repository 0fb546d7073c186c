/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what a session may have to its first frame: has it the lease, where does it start, what of
 * its past is gone.
 *
 * What Redis must be asked goes out in one pipeline; its answers meet in a struct starting. The
 * first cursor of a durable name is on disk before WELCOME: from then on nothing may be skipped.
 * When Redis gives no answer the session is dropped without a word and the client's next HELLO, a
 * second later, begins anew.
 */
#include "starting.h"
#include "call.h"
#include "clock.h"
#include "lane.h"
#include "last.h"
#include "log.h"
#include "log_ids.h"
#include "retention.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { WELCOME_MAX = 1024, HOUR_MS = 3600000, STANDBY_MIN_USEC = 100000 };

struct starting {
	struct sessions *m;
	uint32_t routing_id;
	uint64_t serial, asked_usec;
	unsigned n_pending;
	bool failed;	/* no answer, or none that we understand */
	bool not_known; /* no such durable name */
	bool granted, has_cursor, cursor_written;
	bool has_last;
	uint64_t epoch, counter, left_ms;
	uint64_t granted_ms; /* Redis' clock at the lease */
	struct entry_id cursor[DIBAO_CHANNEL_COUNT], trimmed[DIBAO_CHANNEL_COUNT],
		last[DIBAO_CHANNEL_COUNT];
};

static void finish(struct starting *st);

static void answered(struct starting *st)
{
	if (--st->n_pending == 0)
		finish(st);
}

static void on_lease(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct starting *st = userdata;

	(void)l;
	if (reply && reply->type == REDIS_REPLY_ERROR &&
	    !strncmp(reply->str, "DIBAO_NODURABLE", 15)) {
		st->not_known = true;
	} else if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements < 2) {
		st->failed = true;
		if (reply && log_limited("lease"))
			log_text(LOG_ERR, "lease: unexpected answer of Redis: %.100s",
				 reply->str ? reply->str : "not a list");
	} else if (reply->element[0]->integer == 1 && reply->elements >= 5) {
		st->granted = true;
		st->epoch = (uint64_t)reply->element[1]->integer;
		st->counter = (uint64_t)reply->element[2]->integer;
		st->granted_ms = (uint64_t)reply->element[3]->integer;
		if (reply->element[4]->type == REDIS_REPLY_STRING && reply->element[4]->len > 0) {
			st->has_cursor = retention_cursor_parse(st->cursor, reply->element[4]->str,
								reply->element[4]->len) == 0;
			st->failed |= !st->has_cursor;
		}
	} else {
		st->left_ms = (uint64_t)reply->element[1]->integer;
	}
	answered(st);
}

static void parse_ids(struct starting *st, const redisReply *reply, struct entry_id *ids)
{
	if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != DIBAO_CHANNEL_COUNT) {
		st->failed = true;
		return;
	}
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		const redisReply *e = reply->element[c];

		if (e->type == REDIS_REPLY_STRING && entry_id_parse(&ids[c], e->str, e->len) < 0)
			st->failed = true;
	}
}

static void on_trimmed(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct starting *st = userdata;

	(void)l;
	parse_ids(st, reply, st->trimmed);
	answered(st);
}

static void drop(struct sessions *m, struct session *s)
{
	/* Without a word: the client says HELLO again. */
	sessions_on_gone(s, m);
}

/* Ask Redis all that the start needs. */
void starting_ask(struct sessions *m, struct session *s, uint64_t now)
{
	static struct call call;
	struct starting *st = calloc(1, sizeof *st);
	char instance[2 * WIRE_INSTANCE_BYTES + 1];
	bool ok;

	if (!st) {
		drop(m, s);
		return;
	}
	*st = (struct starting){.m = m,
				.routing_id = s->routing_id,
				.serial = s->serial,
				.asked_usec = now,
				.n_pending = 1};
	s->lease_asked = true;
	if (s->durable[0]) {
		lease_instance_hex(instance, s);
		call_begin(&call, "dibao_lease", m->opt.base);
		call_text(&call, s->durable);
		call_text(&call, instance);
		call_int(&call, m->opt.config->lease_ms);
		call_text(&call, m->opt.daemon_id);
		/* A board's name is none that others have, and theirs none of a board's. */
		call_text(&call, s->access->kind == ACCESS_BOARD ? "board" : "other");
		st->n_pending++;
		if (call_send(&call, m->opt.main, on_lease, st) < 0)
			goto fail;
	}
	call_command(&call, "HMGET");
	call_key(&call, m->opt.base, "trimmed");
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		call_text(&call, dibao_channel_name(c));
	st->n_pending++;
	ok = call_send(&call, m->opt.main, on_trimmed, st) == 0;
	if (ok) {
		answered(st);
		return;
	}
fail:
	/* The one that was not sent, and our own hold. */
	st->failed = true;
	st->n_pending--;
	answered(st);
}

static struct entry_id earlier(struct entry_id a, struct entry_id b)
{
	return entry_id_cmp(a, b) < 0 ? a : b;
}

static struct entry_id later(struct entry_id a, struct entry_id b)
{
	return entry_id_cmp(a, b) > 0 ? a : b;
}

static struct entry_id start_of(const struct starting *st, const struct asked *a,
				enum dibao_channel c)
{
	struct entry_id tail = history_tail(st->m->opt.history, c);
	struct entry_id asked = {(uint64_t)a->arg - 1, UINT64_MAX};

	switch (a->from) {
	case DIBAO_START_RESUME:
		return st->has_cursor ? st->cursor[c] : tail;
	case DIBAO_START_TIME:
		if (a->arg <= 0)
			return (struct entry_id){0, 0};
		/* Redis' clock fell behind its own ids: what came since bears the time of the tail,
		 * and who asks may have been told a later one before. */
		if (queue_clock_ms(st->m->opt.clock) + QUEUE_CLOCK_ON_MS < (int64_t)tail.ms)
			return earlier((struct entry_id){tail.ms - 1, UINT64_MAX}, asked);
		return earlier(tail, asked);
	case DIBAO_START_LAST:
		return a->channels >> c & 1 ? earlier(tail, st->last[c]) : tail;
	case DIBAO_START_NEW:
	default:
		return tail;
	}
}

static int send_welcome(struct sessions *m, struct session *s, bool public_view)
{
	struct wire_welcome w = {
		.proto = WIRE_PROTO_MAX,
		.epoch = s->epoch,
		.counter = s->counter,
		.lease_ms = m->opt.config->lease_ms,
		.beat_ms = m->opt.config->heartbeat_ms,
		.window_bytes = s->window_bytes,
		.public_view = public_view,
		.clock_ms = queue_clock_ms(m->opt.clock),
	};
	uint8_t buf[WELCOME_MAX];
	int n;

	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		w.channels |= (uint8_t)(s->at[c].attached << c);
	n = wire_welcome_pack(buf, sizeof buf, &w);
	return n < 0 ? n : router_send(m->opt.router, s->routing_id, buf, (size_t)n, NULL);
}

/* What lies before `floor` is gone; times rounded outward to the hour, so that they tell nothing of
 * single events. */
static void send_lost(struct sessions *m, struct session *s, enum dibao_channel c,
		      struct entry_id from, struct entry_id floor)
{
	static const char why[] = "older than retention keeps";
	struct wire_lost lost = {
		.channel = (uint8_t)c,
		.from_ms = (int64_t)(from.ms - from.ms % HOUR_MS),
		.to_ms = (int64_t)(floor.ms - floor.ms % HOUR_MS + HOUR_MS),
		.reason = {why, sizeof why - 1},
	};
	uint8_t buf[256];
	char text[200], lost_from[ENTRY_ID_TEXT], lost_to[ENTRY_ID_TEXT];
	int n = wire_lost_pack(buf, sizeof buf, &lost);

	if (n > 0)
		router_send(m->opt.router, s->routing_id, buf, (size_t)n, NULL);
	(void)entry_id_format(lost_from, from);
	(void)entry_id_format(lost_to, floor);
	snprintf(text, sizeof text,
		 "starts behind what retention keeps: told that %s is lost from %s to %s",
		 dibao_channel_name(c), lost_from, lost_to);
	session_log(LOG_WARNING, LOG_ID_LOST, s, text);
}

static void activate(struct starting *st, struct session *s)
{
	struct sessions *m = st->m;
	const struct config *cfg = m->opt.config;
	struct asked *a = s->hello;
	uint8_t channels = a->channels;
	uint64_t now = boottime_usec();

	if (lanes_join(m->opt.lanes, &a->filter, &s->lane) < 0) {
		sessions_end(m, s, DIBAO_REASON_BUSY, "no memory");
		return;
	}
	s->epoch = st->epoch;
	s->counter = st->counter;
	s->lease_until_usec = st->asked_usec + cfg->lease_ms * 1000ull;
	s->window_bytes = a->window_bytes < cfg->window_bytes ? a->window_bytes : cfg->window_bytes;
	s->beat_due_usec = now + cfg->heartbeat_ms * 1000ull;
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		struct session_channel *at = &s->at[c];
		struct entry_id tail = history_tail(m->opt.history, c);

		at->attached = channels >> c & 1;
		at->cursor = st->cursor_written ? st->cursor[c] : start_of(st, a, c);
		at->acked = at->cursor;
		/* What it was sent before and had not acknowledged comes again, perhaps by another
		 * daemon that had read further than we have. */
		if (st->has_cursor)
			at->repeats = later(later(tail, at->cursor),
					    (struct entry_id){st->granted_ms, UINT64_MAX});
	}
	s->state = SESSION_ACTIVE;
	m->n_active++;
	if (send_welcome(m, s, a->filter.public_view) < 0) {
		sessions_on_gone(s, m);
		fanout_attach(m->opt.fanout, s);
		return;
	}
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		if (s->at[c].attached && a->from != DIBAO_START_NEW &&
		    entry_id_cmp(s->at[c].cursor, st->trimmed[c]) < 0)
			send_lost(m, s, c, s->at[c].cursor, st->trimmed[c]);
	fanout_attach(m->opt.fanout, s);
	session_log(LOG_INFO, NULL, s, "session is active");
	free(s->hello);
	s->hello = NULL;
}

static void on_first_cursor(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct starting *st = userdata;

	(void)l;
	st->m->n_outstanding--;
	if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 1 ||
	    reply->element[0]->integer != 1)
		st->failed = true;
	st->has_cursor = false;
	st->cursor_written = true;
	answered(st);
}

static void write_first_cursor(struct starting *st, struct session *s)
{
	static struct call call;
	const struct asked *a = s->hello;

	call_begin(&call, "dibao_cursors", st->m->opt.base);
	call_text(&call, s->durable);
	call_int(&call, (int64_t)st->epoch);
	call_int(&call, (int64_t)st->counter);
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		st->cursor[c] = start_of(st, a, c);
		call_id(&call, st->cursor[c]);
	}
	st->n_pending = 1;
	if (call_send(&call, st->m->opt.main, on_first_cursor, st) == 0) {
		st->m->n_outstanding++;
		return;
	}
	st->failed = true;
	answered(st);
}

static void on_last(const struct entry_id *start, void *userdata)
{
	struct starting *st = userdata;

	if (start)
		memcpy(st->last, start, sizeof st->last);
	else
		st->failed = true;
	st->has_last = true;
	answered(st);
}

static void ask_last(struct starting *st, const struct session *s)
{
	const struct asked *a = s->hello;

	st->n_pending = 1;
	if (last_ask(st->m->opt.main, st->m->opt.base, &a->filter, a->channels, (uint32_t)a->arg,
		     on_last, st) == 0)
		return;
	st->failed = true;
	answered(st);
}

/* Asked only of who will begin there: that it takes some looking. */
static bool needs_last(const struct starting *st, const struct session *s)
{
	const struct asked *a = s->hello;

	return a->from == DIBAO_START_LAST && !st->has_last && !st->has_cursor;
}

static void stand_by(struct starting *st, struct session *s)
{
	struct sessions *m = st->m;
	uint64_t wait = (st->left_ms + 20) * 1000, most = m->opt.config->lease_ms * 1000ull / 3;
	uint8_t buf[64];
	int n = wire_standby_pack(buf, sizeof buf, queue_clock_ms(m->opt.clock));

	if (wait < STANDBY_MIN_USEC)
		wait = STANDBY_MIN_USEC;
	s->lease_due_usec = boottime_usec() + (wait < most ? wait : most);
	s->lease_asked = false;
	if (s->state == SESSION_STANDBY)
		return;
	s->state = SESSION_STANDBY;
	m->n_standby++;
	s->beat_due_usec = boottime_usec() + m->opt.config->heartbeat_ms * 1000ull;
	session_log(LOG_INFO, NULL, s, "stands by: another instance is active");
	if (n > 0 &&
	    router_send(m->opt.router, s->routing_id, buf, (size_t)n, NULL) == -EHOSTUNREACH)
		sessions_on_gone(s, m);
}

/* All answers to what was asked so far are there. */
static void finish(struct starting *st)
{
	struct sessions *m = st->m;
	struct session *s = sessions_find(m, st->routing_id, st->serial);

	if (!s) {
		/* It left meanwhile; a lease it was granted runs out by itself. */
	} else if (st->not_known) {
		sessions_end(m, s, DIBAO_REASON_REFUSED,
			     s->access->kind == ACCESS_BOARD
				     ? "durable name is not registered as a board's: dibaoctl "
				       "durable set --board NAME"
				     : "durable name is not registered: dibaoctl durable set NAME");
	} else if (st->failed) {
		if (s->state == SESSION_STANDBY) {
			s->lease_asked = false;
			s->lease_due_usec = boottime_usec() + 1000000;
		} else {
			drop(m, s);
		}
	} else if (s->durable[0] && !st->granted) {
		stand_by(st, s);
	} else if (needs_last(st, s)) {
		ask_last(st, s);
		return;
	} else if (s->durable[0] && !st->has_cursor && !st->cursor_written) {
		write_first_cursor(st, s);
		return;
	} else {
		if (s->state == SESSION_STANDBY)
			m->n_standby--;
		activate(st, s);
	}
	free(st);
}

void starting_retry_standby(struct sessions *m, struct session *s, uint64_t now)
{
	if (!s->lease_asked)
		starting_ask(m, s, now);
}
