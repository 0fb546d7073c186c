/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From HELLO to the first frame: is what it asks well-formed and ours to give, has it the lease,
 * where does it start, what of its past is gone.
 *
 * What Redis must be asked goes out in one pipeline; its answers meet in a struct starting. The
 * first cursor of a durable name is on disk before WELCOME: from then on nothing may be skipped.
 * When Redis gives no answer the session is dropped without a word and the client's next HELLO, a
 * second later, begins anew.
 */
#include "call.h"
#include "clock.h"
#include "lane.h"
#include "limits.h"
#include "log.h"
#include "log_ids.h"
#include "sessions.h"
#include "zap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { CONTROL_MAX = 1024, LAST_MAX = 100000, HOUR_MS = 3600000, STANDBY_MIN_USEC = 100000 };

/* What a session asked for, kept while it waits. */
struct asked {
	struct filter filter;
	enum dibao_start from;
	int64_t arg;
	uint32_t window_bytes;
	uint8_t channels;
};

struct starting {
	struct sessions *m;
	uint32_t routing_id;
	uint64_t serial, asked_usec;
	unsigned n_pending;
	bool failed;	/* no answer, or none that we understand */
	bool not_known; /* no such durable name */
	bool granted, has_cursor, cursor_written;
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

/* "epoch id0 id1 id2 id3" */
static bool parse_cursor(struct starting *st, const char *text)
{
	char id[DIBAO_CHANNEL_COUNT][ENTRY_ID_TEXT];

	if (sscanf(text, "%*s %41s %41s %41s %41s", id[0], id[1], id[2], id[3]) !=
	    DIBAO_CHANNEL_COUNT)
		return false;
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		if (entry_id_parse(&st->cursor[c], id[c], strlen(id[c])) < 0)
			return false;
	return true;
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
			st->has_cursor = parse_cursor(st, reply->element[4]->str);
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

static void on_last(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct starting *st = userdata;

	(void)l;
	parse_ids(st, reply, st->last);
	answered(st);
}

static void drop(struct sessions *m, struct session *s)
{
	/* Without a word: the client says HELLO again. */
	sessions_on_gone(s, m);
}

/* Ask Redis all that the start needs. */
static void ask(struct sessions *m, struct session *s, uint64_t now)
{
	static struct call call;
	const struct asked *a = s->hello;
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
		st->n_pending++;
		if (call_send(&call, m->opt.main, on_lease, st) < 0)
			goto fail;
	}
	if (a->from == DIBAO_START_LAST) {
		call_begin(&call, "dibao_last", m->opt.base);
		call_int(&call, a->arg);
		call_text(&call, config_is_for_boards(m->opt.config) ? "public" : "all");
		st->n_pending++;
		if (call_send(&call, m->opt.main, on_last, st) < 0)
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
		return earlier(tail, st->last[c]);
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
	uint8_t buf[CONTROL_MAX];
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

/* All answers are there. */
static void finish(struct starting *st)
{
	struct sessions *m = st->m;
	struct session *s = sessions_find(m, st->routing_id, st->serial);

	if (!s) {
		/* It left meanwhile; a lease it was granted runs out by itself. */
	} else if (st->not_known) {
		sessions_end(m, s, DIBAO_REASON_REFUSED,
			     "durable name is not registered: dibaoctl durable set NAME");
	} else if (st->failed) {
		if (s->state == SESSION_STANDBY) {
			s->lease_asked = false;
			s->lease_due_usec = boottime_usec() + 1000000;
		} else {
			drop(m, s);
		}
	} else if (s->durable[0] && !st->granted) {
		stand_by(st, s);
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

void start_retry_standby(struct sessions *m, struct session *s, uint64_t now)
{
	if (!s->lease_asked)
		ask(m, s, now);
}

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
	ask(m, s, now);
}
