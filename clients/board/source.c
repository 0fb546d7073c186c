/* SPDX-License-Identifier: Apache-2.0 */
#include "source.h"

#include "log.h"
#include "mpread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	DELIVERIES_A_TURN = 1000,
	AWAY_MS = 600000, /* longer: all is asked for anew */
	DAILY_MS = 86400000,
	AGAIN_MS = 60000, /* refused: the next try */
	NARROWER_MS = 50,
	/* What of history is asked for: as long as the daemon keeps it, if not told otherwise. */
	HISTORY_DAYS = 400,
	CHECK_USEC = 1000000,
};

struct source {
	struct source_options opt;
	struct dibao_context *context;
	struct dibao_subscriber *subscriber;
	sd_event_source *io, *timer;
	enum item_area area;
	bool is_probe; /* only to learn the time */
	bool is_reconciling, is_current;
	bool was_delivered; /* in this turn */
	int64_t known_until_ms;
	enum item_area known_area; /* that this is true of */
	int64_t heartbeat_ms;
	int64_t reopen_at_ms, away_since_ms, reconciled_at_ms; /* CLOCK_BOOTTIME; 0 = none */
	char refusal[160];
};

static int64_t boot_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void reopen_in(struct source *s, int64_t ms)
{
	s->reopen_at_ms = boot_ms() + ms;
	/* Not from within a callback of the one that goes. */
	sd_event_source_set_time_relative(s->timer, (uint64_t)ms * 1000);
	sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

/* ---- what comes ---- */

static bool read_pid(const uint8_t *bytes, size_t len, uint8_t ret[DIBAO_PID_BYTES])
{
	struct mp_cursor c = {bytes, bytes + len};
	struct mp_value map, key, v;

	if (!mp_read(&c, &map) || map.kind != MP_MAP)
		return false;
	for (uint32_t i = 0; i < map.n; i++) {
		struct mp_cursor at;

		if (!mp_read(&c, &key))
			return false;
		at = c;
		if (!mp_skip(&c, MP_DEPTH_MAX))
			return false;
		if (key.kind == MP_STR && key.n == 3 && !memcmp(key.p, "pid", 3) &&
		    mp_read(&at, &v) && v.kind == MP_BIN && v.n == DIBAO_PID_BYTES) {
			memcpy(ret, v.p, DIBAO_PID_BYTES);
			return true;
		}
	}
	return false;
}

static int on_delivery(struct dibao_subscriber *sub, const struct dibao_delivery *d, void *userdata)
{
	struct source *s = userdata;
	uint8_t pid[DIBAO_PID_BYTES];

	(void)sub;
	s->was_delivered = true;
	if (s->is_probe)
		return 0;
	if (d->kind == DIBAO_ITEM_WITHDRAWN || (d->kind == DIBAO_ITEM_VIEW && d->withdrawn)) {
		if (read_pid(d->bytes, d->len, pid))
			s->opt.on_withdrawn(pid, s->opt.userdata);
	} else if (d->kind == DIBAO_ITEM_VIEW) {
		/* What is replayed and was not there was published after all that was known; when
		 * one who was hidden was published is not known any more. */
		int64_t since = s->area <= s->known_area ? s->known_until_ms : 0;
		int64_t published = d->again ? 0 : d->replay ? since : d->sent_ms;

		s->opt.on_view(d->bytes, d->len, published, s->opt.userdata);
	}
	return 0;
}

static void on_caught_up(struct dibao_subscriber *sub, void *userdata)
{
	struct source *s = userdata;

	(void)sub;
	if (s->is_probe)
		return;
	s->is_current = true;
	if (s->is_reconciling) {
		s->is_reconciling = false;
		s->reconciled_at_ms = boot_ms();
		s->opt.on_reconciled(s->opt.userdata);
	}
}

static void on_lost(struct dibao_subscriber *sub, const struct dibao_lost *l, void *userdata)
{
	struct source *s = userdata;
	int64_t now = s->opt.now_ms(s->opt.userdata);
	int64_t longest = s->opt.rules->award_ms > s->opt.rules->promotion_ms
				  ? s->opt.rules->award_ms
				  : s->opt.rules->promotion_ms;

	(void)sub;
	/* At the far end of history something always is, and would not hang here any more. */
	if (now && l->to_ms < now - longest)
		return;
	if (log_limited("lost"))
		log_text(LOG_WARNING, "history of %s is gone and cannot be shown: %.60s",
			 dibao_channel_name(l->channel), l->reason);
	if (!s->is_reconciling)
		reopen_in(s, NARROWER_MS);
}

static void on_confirmed(struct dibao_subscriber *sub, uint64_t id, int err, void *userdata)
{
	struct source *s = userdata;

	(void)sub;
	s->opt.on_confirmed(id, err == 0, s->opt.userdata);
}

/* ---- states ---- */

static void on_refused(struct source *s, const struct dibao_status *st)
{
	snprintf(s->refusal, sizeof s->refusal, "%s", st->text);
	if (log_limited("refused"))
		log_text(LOG_WARNING, "the daemon says %s: %.150s", dibao_reason_name(st->reason),
			 st->text);
	if (st->reason == DIBAO_REASON_REFUSED && s->area == AREA_BUREAU &&
	    *s->opt.rules->district) {
		s->area = AREA_DISTRICT;
		reopen_in(s, NARROWER_MS);
	} else if (st->reason == DIBAO_REASON_REFUSED && s->area > AREA_OWN) {
		s->area = AREA_OWN;
		reopen_in(s, NARROWER_MS);
	} else {
		s->area = AREA_BUREAU;
		reopen_in(s, st->reason == DIBAO_REASON_REVOKED ? NARROWER_MS : AGAIN_MS);
	}
}

static void on_status(struct dibao_subscriber *sub, const struct dibao_status *st, void *userdata)
{
	struct source *s = userdata;

	(void)sub;
	if (st->state == DIBAO_STATE_ACTIVE) {
		log_text(LOG_INFO, "connected to %s", st->endpoint);
		if (s->is_probe || (s->away_since_ms && boot_ms() - s->away_since_ms > AWAY_MS))
			reopen_in(s, 0);
		s->away_since_ms = 0;
		return;
	}
	s->is_current = false;
	if (!s->away_since_ms)
		s->away_since_ms = boot_ms();
	if (st->state == DIBAO_STATE_REFUSED)
		on_refused(s, st);
	else if (st->state == DIBAO_STATE_CONNECTING && log_limited("connection"))
		log_text(LOG_NOTICE, "no connection: %.150s",
			 *st->text ? st->text : dibao_reason_name(st->reason));
}

/* ---- the subscriber ---- */

static int on_io(sd_event_source *src, int fd, uint32_t events, void *userdata)
{
	struct source *s = userdata;
	int r;

	(void)src;
	(void)fd;
	(void)events;
	s->was_delivered = false;
	r = dibao_subscriber_dispatch(s->subscriber, DELIVERIES_A_TURN);
	if (r < 0) {
		log_text(LOG_ERR, "subscriber: %s; beginning anew", strerror(-r));
		reopen_in(s, AGAIN_MS);
		return 0;
	}
	if (dibao_subscriber_status(s->subscriber)->heartbeat_ms)
		s->heartbeat_ms = dibao_subscriber_status(s->subscriber)->heartbeat_ms;
	if (s->opt.on_turn(s->was_delivered, s->opt.userdata))
		dibao_subscriber_ack_all(s->subscriber);
	/* Only what is both on the wall and, if there is one, in the cache counts as known. */
	if (s->is_current && !s->is_probe) {
		s->known_until_ms = s->heartbeat_ms;
		s->known_area = s->area;
	}
	return 0;
}

static bool covers(const char *a, const char *b)
{
	return *a && dibao_org_within(b, strlen(b), a, strlen(a));
}

/* What is asked for, by the area; a prefix stands for all below it. */
static unsigned fill_orgs(const struct source *s, const char *ret[4])
{
	const struct rules *r = s->opt.rules;
	const char *wide[] = {s->area >= AREA_BUREAU ? r->bureau : "",
			      s->area >= AREA_DISTRICT ? r->district : "", r->own};
	unsigned n = 0;

	for (unsigned i = 0; i < 3; i++) {
		bool is_covered = !*wide[i];

		for (unsigned k = 0; k < n; k++)
			is_covered |= covers(ret[k], wide[i]);
		if (!is_covered)
			ret[n++] = wide[i];
	}
	ret[n] = NULL;
	return n;
}

static void close_subscriber(struct source *s)
{
	s->io = sd_event_source_disable_unref(s->io);
	s->subscriber = dibao_subscriber_free(s->subscriber);
}

static int open_subscriber(struct source *s)
{
	const struct board_config *c = s->opt.config;
	int64_t now = s->opt.now_ms(s->opt.userdata);
	const char *orgs[4];
	struct dibao_subscriber_options o = {
		.endpoints = (const char *const *)c->endpoints.at,
		.bureau = c->bureau,
		.durable = *c->durable ? c->durable : NULL,
		.types = (const char *const *)c->types.at,
		.orgs = orgs,
		.start = DIBAO_START_NEW,
		.public_view = true,
		.curve_server_key = *c->server_key ? c->server_key : NULL,
		.curve_key_file = *c->key_file ? c->key_file : NULL,
		.userdata = s,
		.on_delivery = on_delivery,
		.on_status = on_status,
		.on_caught_up = on_caught_up,
		.on_lost = on_lost,
		.on_confirmed = on_confirmed,
	};
	struct dibao_error err;
	int r;

	s->reopen_at_ms = 0;
	close_subscriber(s);
	s->opt.on_reopened(s->opt.userdata);
	s->is_current = false;
	s->is_probe = now == 0;
	s->is_reconciling = !s->is_probe;
	if (!s->is_probe) {
		o.start = DIBAO_START_TIME;
		o.start_arg = now - (int64_t)HISTORY_DAYS * DAILY_MS;
		s->opt.on_begin(s->opt.userdata);
	} else {
		o.durable = NULL; /* the place of its name stays where it is */
	}
	fill_orgs(s, orgs);
	r = dibao_subscriber_new(&s->subscriber, s->context, &o, &err);
	if (r < 0) {
		log_text(LOG_ERR, "cannot subscribe: %s", err.reason);
		return r;
	}
	return sd_event_add_io(s->opt.event, &s->io, dibao_subscriber_fd(s->subscriber), EPOLLIN,
			       on_io, s);
}

static int on_timer(sd_event_source *src, uint64_t usec, void *userdata)
{
	struct source *s = userdata;
	int64_t now = boot_ms();

	(void)usec;
	if (!s->reopen_at_ms && s->is_current && now - s->reconciled_at_ms > DAILY_MS)
		s->reopen_at_ms = now;
	if (s->reopen_at_ms && now >= s->reopen_at_ms && open_subscriber(s) < 0)
		s->reopen_at_ms = now + AGAIN_MS;
	sd_event_source_set_time_relative(src, CHECK_USEC);
	sd_event_source_set_enabled(src, SD_EVENT_ONESHOT);
	return 0;
}

int source_new(struct source **ret, const struct source_options *opt, int64_t known_until_ms,
	       enum item_area known_area)
{
	struct source *s = calloc(1, sizeof *s);
	int r;

	if (!s)
		return -ENOMEM;
	s->opt = *opt;
	s->area = AREA_BUREAU;
	s->known_until_ms = known_until_ms;
	s->known_area = known_area;
	s->away_since_ms = boot_ms();
	r = dibao_context_new(&s->context, 1);
	if (r == 0)
		r = sd_event_add_time_relative(opt->event, &s->timer, CLOCK_MONOTONIC, CHECK_USEC,
					       1000, on_timer, s);
	if (r < 0) {
		source_free(s);
		return r;
	}
	/* A key that cannot be read is no reason to show nothing: what the cache has hangs, and
	 * says since when. */
	if (open_subscriber(s) < 0)
		s->reopen_at_ms = boot_ms() + AGAIN_MS;
	*ret = s;
	return 0;
}

struct source *source_free(struct source *s)
{
	if (!s)
		return NULL;
	close_subscriber(s);
	sd_event_source_disable_unref(s->timer);
	dibao_context_free(s->context);
	free(s);
	return NULL;
}

int64_t source_heartbeat_ms(const struct source *s)
{
	return s->heartbeat_ms;
}

const char *source_link(const struct source *s)
{
	if (!s->subscriber)
		return "connecting";
	switch (dibao_subscriber_status(s->subscriber)->state) {
	case DIBAO_STATE_ACTIVE:
		return s->is_current ? "active" : "catching-up";
	case DIBAO_STATE_STANDBY:
		return "standby";
	case DIBAO_STATE_REFUSED:
		return "refused";
	default:
		return "connecting";
	}
}

bool source_is_current(const struct source *s)
{
	return s->is_current;
}

enum item_area source_area(const struct source *s)
{
	return s->area;
}

const char *source_refusal(const struct source *s)
{
	return s->refusal;
}

int source_receipt(struct source *s, const uint8_t pid[DIBAO_PID_BYTES], int64_t at_ms,
		   uint64_t *ret_id)
{
	char detail[32];

	if (!s->is_current || s->is_probe)
		return -EAGAIN;
	/* A board without a durable name would be nobody in the receipts. */
	snprintf(detail, sizeof detail, "board %s", s->opt.config->org);
	return dibao_subscriber_receipt(s->subscriber, pid, DIBAO_PID_BYTES, DIBAO_RECEIPT_SHOWN,
					at_ms, detail, ret_id);
}
