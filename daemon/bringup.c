/* SPDX-License-Identifier: Apache-2.0 */
#include "bringup.h"
#include "canary.h"
#include "control.h"
#include "feed.h"
#include "housekeeping.h"
#include "log.h"
#include "log_ids.h"
#include "policy.h"
#include "reader.h"
#include "redis_check.h"
#include "rollback.h"
#include "schedule.h"
#include "server_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>

enum { RECHECK_USEC = 2000000 };

static void advance(struct server *s);

/* A step failed though the links may be up: not at once, lest a Redis that says no be asked without
 * end. A link that comes up is not waited for. */
static void again_later(struct server *s)
{
	sd_event_source_set_time_relative(s->recheck, RECHECK_USEC);
	sd_event_source_set_enabled(s->recheck, SD_EVENT_ONESHOT);
}

static bool all_up(const struct server *s)
{
	return redis_link_is_up(s->main) && redis_link_is_up(s->tail) && redis_link_is_up(s->range);
}

static void start_tail(struct server *s)
{
	struct entry_id at[DIBAO_CHANNEL_COUNT];
	int r;

	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		at[c] = history_tail(s->history, c);
	schedule_clear(s->schedule); /* the reader tells it anew */
	r = reader_start(s->reader, at);
	if (r < 0)
		log_text(LOG_WARNING, "tail does not start: %s, trying again when Redis is back",
			 strerror(-r));
	s->reading = r >= 0;
	if (s->reading)
		housekeeping_start(s->housekeeping, at);
}

static int bind_all(struct server *s)
{
	for (size_t i = 0; i < s->config->endpoints.n; i++) {
		int r = policy_bind(s, s->config->endpoints.at[i]);

		if (r < 0) {
			log_text(LOG_ERR, "cannot bind %s: %s", s->config->endpoints.at[i],
				 zmq_strerror(-r));
			return r;
		}
		log_text(LOG_INFO, "listening on %s", router_last_endpoint(s->router));
	}
	policy_forget_key(s);
	return 0;
}

static int open_feed(struct server *s)
{
	const struct config *c = s->config;
	int r;

	if (!c->feed[0])
		return 0;
	r = feed_new(&s->feed, &(struct feed_options){.event = s->event,
						      .context = router_context(s->router),
						      .endpoint = c->feed,
						      .encode = &s->encode,
						      .mask_names = c->feed_mask_names});
	if (r < 0)
		log_text(LOG_ERR, "cannot bind the feed %s: %s", c->feed, zmq_strerror(-r));
	else
		log_text(LOG_WARNING, "%s is open to all: whoever reaches it gets what is public",
			 c->feed);
	return r;
}

static void serve(struct server *s)
{
	int r = canary_start(s->canary);

	if (r == -EACCES)
		return; /* the alarm is given, the loop ends */
	if (r == 0)
		r = bind_all(s);
	if (r == 0)
		r = open_feed(s);
	if (r == 0 && s->config->control[0]) {
		r = control_new(&s->control, s, s->config->control);
		if (r < 0)
			log_text(LOG_ERR, "cannot open the control socket %s: %s",
				 s->config->control, strerror(-r));
	}
	if (r < 0) {
		s->exit_code = EX_UNAVAILABLE;
		sd_event_exit(s->event, EX_UNAVAILABLE);
		return;
	}
	s->serving = true;
	sessions_accept(s->sessions, true);
	log_event(LOG_NOTICE, LOG_ID_STARTED, "serving");
	sd_notify(0, "READY=1\nSTATUS=serving");
}

/* A daemon for boards, on another Redis than before: it cannot heal. If that one has less than we
 * read, all begins anew at its end, the sessions too; what others heal comes as new entries. */
static void look_back(struct server *s, const struct entry_id ends[DIBAO_CHANNEL_COUNT])
{
	bool less = false;

	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		less |= entry_id_cmp(ends[c], history_tail(s->history, c)) < 0;
	fanout_forget_frames(s->fanout);
	if (!less)
		return;
	log_event(LOG_ERR, LOG_ID_ROLLBACK,
		  "Redis came back with less: all sessions begin anew; a daemon that serves all "
		  "must put back what is missing");
	sessions_goodbye_all(s->sessions, DIBAO_REASON_NO_SESSION, "the queue is being read anew");
	history_reset(s->history, ends);
}

static void on_state_loaded(struct server *s, int err,
			    const struct entry_id tail[DIBAO_CHANNEL_COUNT])
{
	s->busy = false;
	if (err == -EACCES) {
		log_text(
			LOG_ERR,
			"audience = public, but Redis lets the user %s at private events or at the "
			"places of others than boards. Cure: "
			"dibaoctl setup --acl --apply dibaod-public, and redis_user = "
			"dibaod-public",
			s->config->redis_user);
		s->exit_code = EX_CONFIG;
		sd_event_exit(s->event, EX_CONFIG);
		return;
	}
	if (err < 0) {
		if (log_limited("loading"))
			log_text(LOG_WARNING, "cannot read the queue's state: %s, trying again",
				 strerror(-err));
		again_later(s);
		return;
	}
	snprintf(s->run_id, sizeof s->run_id, "%s", redis_link_run_id(s->main));
	if (!s->loaded)
		history_reset(s->history, tail);
	else
		look_back(s, tail);
	s->loaded = true;
	policy_register_durables(s);
	advance(s);
}

static void on_rollback_done(const struct rollback_result *r, void *userdata)
{
	struct server *s = userdata;
	struct entry_id tail[DIBAO_CHANNEL_COUNT];
	char text[256];

	s->busy = false;
	if (r->err < 0) {
		if (log_limited("rollback broke off"))
			log_text(LOG_WARNING,
				 "comparison with Redis broke off: %s, nothing is read before it "
				 "is done; trying again",
				 strerror(-r->err));
		s->rollback_again = true;
		s->rollback_changed = r->changed;
		again_later(s);
		return;
	}
	s->rollback_changed = false;
	snprintf(s->run_id, sizeof s->run_id, "%s", redis_link_run_id(s->main));
	if (r->n_republished || r->n_reappended || r->epoch != s->epoch) {
		snprintf(text, sizeof text,
			 "Redis came back with less: %" PRIu64 " events published again, %" PRIu64
			 " moved up, %" PRIu64
			 " in conflict and in the quarantine, %u ranges lost; of the schedule "
			 "%" PRIu64 " lost, %" PRIu64 " cancelled again",
			 r->n_republished, r->n_reappended, r->n_conflicts, r->n_lost_ranges,
			 r->n_unscheduled, r->n_recancelled);
		log_event(LOG_ERR, LOG_ID_ROLLBACK, text);
		s->epoch = r->epoch;
		for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
			tail[c] = history_tail(s->history, c);
		/* The ring knows them by ids that are no more. */
		history_reset(s->history, tail);
		fanout_forget_frames(s->fanout);
		sessions_expect_repeats(s->sessions, r->healed);
	}
	start_tail(s);
}

static void log_findings(int level, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		char line[REDIS_CHECK_TEXT_MAX];

		snprintf(line, sizeof line, "%.*s", (int)n, text);
		log_event(level, LOG_ID_REDIS_UNSAFE, line);
		text += n + (text[n] == '\n');
	}
}

static void on_checked(const struct redis_check_result *r, void *userdata)
{
	struct server *s = userdata;
	unsigned faults = r->found & REDIS_FAULTS;

	s->busy = false;
	if (s->unsafe_redis)
		faults &= ~(unsigned)REDIS_FAULTS_UNSAFE;
	log_findings(faults ? LOG_ERR : LOG_WARNING, r->text);
	if (!faults) {
		housekeeping_set_cap(s->housekeeping, r->cap_bytes);
		if (r->time_ms > 0)
			queue_clock_set(&s->clock, r->time_ms);
		s->checked = true;
		advance(s);
	} else if (!s->serving && !(faults & (REDIS_FAULT_ROLE | REDIS_FAULT_UNKNOWN))) {
		s->exit_code = EX_CONFIG;
		sd_event_exit(s->event, EX_CONFIG);
	} else {
		/* What may cure itself, or what came up while we serve: sessions stay, nothing is
		 * read until Redis is safe again. */
		again_later(s);
	}
}

static int on_recheck(sd_event_source *src, uint64_t usec, void *userdata)
{
	(void)src;
	(void)usec;
	advance(userdata);
	return 0;
}

int bringup_init(struct server *s)
{
	int r = sd_event_add_time_relative(s->event, &s->recheck, CLOCK_MONOTONIC, RECHECK_USEC, 0,
					   on_recheck, s);

	return r < 0 ? r : sd_event_source_set_enabled(s->recheck, SD_EVENT_OFF);
}

/* The next step on the way to reading, whichever that is. Called whenever something changed. */
static void advance(struct server *s)
{
	struct rollback_options rollback = {
		.main = s->main,
		.reader = s->reader,
		.history = s->history,
		.schedule = s->schedule,
		.base = s->base,
		.epoch = s->epoch,
		.changed = s->rollback_changed,
		.userdata = s,
		.done = on_rollback_done,
	};

	bool changed = strcmp(s->run_id, redis_link_run_id(s->main)) != 0;

	if (s->busy || s->reading || s->draining || !all_up(s))
		return;
	if (!s->checked) {
		s->busy = redis_check(s->main, s->config->bureau, s->config->cap_bytes, on_checked,
				      s) == 0;
	} else if (!s->loaded || (changed && config_is_for_boards(s->config))) {
		s->busy = true;
		loading_start(s, on_state_loaded);
	} else if (s->rollback_again || changed) {
		s->rollback_again = false;
		s->busy = true;
		if (rollback_run(&rollback) < 0) {
			s->busy = false;
			s->rollback_again = true;
			again_later(s);
		}
	} else {
		start_tail(s);
		if (s->reading && !s->serving)
			serve(s);
	}
}

void bringup_on_link_up(struct redis_link *l, void *userdata)
{
	struct server *s = userdata;

	log_text(LOG_INFO, "Redis: %s link is up",
		 l == s->main	? "main"
		 : l == s->tail ? "tail"
				: "range");
	advance(s);
}

void bringup_on_link_down(struct redis_link *l, const char *why, void *userdata)
{
	struct server *s = userdata;

	(void)why;
	/* Whichever it was: look at Redis anew before reading on. */
	s->checked = false;
	if (s->reading) {
		reader_stop(s->reader);
		housekeeping_stop(s->housekeeping);
	}
	s->reading = false;
	(void)l;
}
