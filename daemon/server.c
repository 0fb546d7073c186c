/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"
#include "admin.h"
#include "audit.h"
#include "bringup.h"
#include "canary.h"
#include "clock.h"
#include "control.h"
#include "feed.h"
#include "housekeeping.h"
#include "limits.h"
#include "log.h"
#include "log_ids.h"
#include "policy.h"
#include "queue.h"
#include "reader.h"
#include "schedule.h"
#include "secrets.h"
#include "server_parts.h"
#include "zap.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum { DRAIN_STEP_USEC = 20000, FLUSH_MS = 1000, LINGER_MS = 300 };

/* ---- events from below ---- */

static void give_up(struct server *s, const char *what)
{
	/* A hole in what we hold would be silent. Started anew, the tail reads it again. */
	log_text(LOG_ERR, "no memory %s, stopping: nothing is lost", what);
	s->exit_code = EX_OSERR;
	sd_event_exit(s->event, EX_OSERR);
}

/* What was taken back, or hidden, must not go out again from frames made before. */
static void note_withdrawals(struct server *s, const struct entry *entries, size_t n)
{
	bool any = false;
	int r = 0;

	for (size_t i = 0; i < n && r != -ENOMEM; i++) {
		const struct entry *e = &entries[i];

		any |= e->hidden.p || e->has_withdrawal;
		if (e->hidden.p)
			r = hidden_apply(&s->hidden, e->hidden);
		else if (e->has_withdrawal)
			r = withdrawn_add(&s->withdrawn,
					  withdrawn_hash(&s->withdrawn, e->w.uid.p, e->w.uid.len));
	}
	if (r == -ENOMEM)
		give_up(s, "to note a withdrawal");
	if (any)
		fanout_forget_frames(s->fanout);
}

static void on_entries(struct reader *r, enum dibao_channel c, const struct entry *entries,
		       size_t n, struct entry_id upto, void *userdata)
{
	struct server *s = userdata;
	struct entry_id before = history_tail(s->history, c);
	struct segment *seg;
	uint32_t first;

	(void)r;
	if (history_append(s->history, c, entries, n, upto, &seg, &first) < 0) {
		give_up(s, "for new entries");
		return;
	}
	housekeeping_tail(s->housekeeping, c, upto);
	if (!n)
		return;
	note_withdrawals(s, entries, n);
	fanout_live(s->fanout, c, seg, first, (uint32_t)n, before);
	if (s->feed)
		feed_live(s->feed, c, seg, first, (uint32_t)n);
}

static void on_current(struct reader *r, void *userdata)
{
	struct server *s = userdata;

	(void)r;
	sessions_beat_soon(s->sessions);
}

static bool is_current(enum dibao_channel c, void *userdata)
{
	const struct server *s = userdata;

	return reader_is_current(s->reader, c);
}

static void on_planned(struct reader *r, const struct planned *p, void *userdata)
{
	struct server *s = userdata;

	(void)r;
	schedule_note(s->schedule, p);
}

static void on_loaded_slice(enum dibao_channel c, void *userdata)
{
	struct server *s = userdata;

	(void)c;
	fanout_loaded(s->fanout);
}

static void on_message(uint32_t routing_id, const void *frame, size_t len, void *userdata)
{
	static const char goes_on[] = {WIRE_ACK, WIRE_ALIVE, WIRE_RECEIPT};
	struct server *s = userdata;
	const char *who;

	/* Each connection of ours begins with another: the many need not be looked at. */
	if (!len || !memchr(goes_on, *(const char *)frame, sizeof goes_on)) {
		who = zap_user(s->zap, router_user_id(s->router));
		if (who)
			limits_heard(s->limits, who, router_source(s->router));
	}
	sessions_on_message(s->sessions, routing_id, frame, len);
}

static void on_garbage(uint32_t routing_id, void *userdata)
{
	struct server *s = userdata;

	sessions_on_garbage(s->sessions, routing_id);
}

static void on_named(void *userdata)
{
	struct server *s = userdata;

	sessions_on_named(s->sessions);
}

static void on_gone(struct session *k, void *userdata)
{
	struct server *s = userdata;

	sessions_on_gone(k, s->sessions);
}

static void on_leak(const char *why, void *userdata)
{
	struct server *s = userdata;

	log_event(LOG_ALERT, LOG_ID_CANARY, why);
	s->exit_code = EX_SOFTWARE;
	sd_event_exit(s->event, EX_SOFTWARE);
}

/* ---- signals ---- */

static int on_drain(sd_event_source *src, uint64_t usec, void *userdata)
{
	struct server *s = userdata;
	uint64_t now = boottime_usec();
	bool late = now >= s->drain_until_usec;

	(void)usec;
	if (!s->said_goodbye && (late || sessions_drained(s->sessions))) {
		log_event(LOG_NOTICE, LOG_ID_STOPPED,
			  late ? "stopped: not all was acknowledged in time, it will be sent again"
			       : "stopped: all that was sent is acknowledged");
		sessions_goodbye_all(s->sessions, DIBAO_REASON_DRAINING, "daemon is stopping");
		s->said_goodbye = true;
		s->drain_until_usec = now + FLUSH_MS * 1000;
	} else if (s->said_goodbye && (late || s->sessions->n_outstanding == 0)) {
		sd_event_exit(s->event, 0);
		return 0;
	}
	sd_event_source_set_time_relative(src, DRAIN_STEP_USEC);
	sd_event_source_set_enabled(src, SD_EVENT_ONESHOT);
	return 0;
}

static int on_stop(sd_event_source *src, const struct signalfd_siginfo *si, void *userdata)
{
	struct server *s = userdata;

	(void)src;
	(void)si;
	if (s->draining || !s->serving) {
		sd_event_exit(s->event, 0);
		return 0;
	}
	sd_notifyf(0, "STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=%llu",
		   (s->config->drain_ms + FLUSH_MS + 1000) * 1000ull);
	s->draining = true;
	s->drain_until_usec = boottime_usec() + s->config->drain_ms * 1000ull;
	if (s->reading) {
		reader_stop(s->reader);
		housekeeping_flush(s->housekeeping);
		housekeeping_stop(s->housekeeping);
	}
	s->reading = false;
	sessions_drain_begin(s->sessions);
	if (sd_event_add_time_relative(s->event, &s->drain_timer, CLOCK_MONOTONIC, 0, 1000,
				       on_drain, s) < 0)
		sd_event_exit(s->event, 0);
	return 0;
}

int server_reload(struct server *s, char *ret_text, size_t cap)
{
	struct config *fresh = NULL;
	char *errors = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&errors, &len);
	struct access *policy = NULL;
	unsigned n_ended = 0;
	int r, n = 0;

	if (!f)
		return -ENOMEM;
	r = config_load(&fresh, s->config_path, f);
	if (r == 0)
		r = access_load(&policy, fresh->access, f);
	if (r == 0) {
		n = config_reload(s->config, fresh, f);
		n_ended = policy_replace(s, policy);
	} else {
		config_free(fresh);
	}
	fclose(f);
	if (len && errors[len - 1] == '\n')
		errors[len - 1] = '\0';
	if (r < 0) {
		snprintf(ret_text, cap, "%s; keeping the old configuration", errors);
	} else {
		log_set_level(s->config->log_level);
		fanout_set_limits(s->fanout, s->config->budget_bytes, s->config->catchup_percent);
		fanout_set_replay(s->fanout, s->config->replay_bytes);
		snprintf(ret_text, cap, "reloaded, %u sessions revoked%s%s", n_ended, n ? "; " : "",
			 errors ? errors : "");
	}
	log_event(r < 0 ? LOG_ERR : LOG_NOTICE, LOG_ID_RELOADED, ret_text);
	free(errors);
	return r;
}

static int on_hup(sd_event_source *src, const struct signalfd_siginfo *si, void *userdata)
{
	struct server *s = userdata;
	char text[512], who[32];

	(void)src;
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, boottime_usec());
	snprintf(who, sizeof who, "SIGHUP uid=%u", (unsigned)si->ssi_uid);
	audit_act(s, who, "reload", server_reload(s, text, sizeof text) == 0);
	sd_notify(0, "READY=1");
	return 0;
}

/* ---- life ---- */

static int make_links(struct server *s)
{
	struct redis_link_options o = {
		.event = s->event,
		.address = s->config->redis,
		.user = s->config->redis_user && s->config->redis_user[0] ? s->config->redis_user
									  : NULL,
		.password = s->password,
		.connect_timeout_ms = s->config->connect_timeout_ms,
		.command_timeout_ms = s->config->command_timeout_ms,
		.userdata = s,
		.on_up = bringup_on_link_up,
		.on_down = bringup_on_link_down,
	};
	int r;

	o.name = "main";
	r = redis_link_new(&s->main, &o);
	o.name = "range";
	o.arena = true;
	if (r == 0)
		r = redis_link_new(&s->range, &o);
	o.name = "tail";
	if (r == 0)
		r = redis_link_new(&s->tail, &o);
	s->password = secrets_password_free(s->password);
	return r;
}

static int make_parts(struct server *s)
{
	const struct config *c = s->config;
	int r;

	r = make_links(s);
	if (r < 0)
		return r;
	r = schedule_new(&s->schedule);
	if (r < 0)
		return r;
	r = reader_new(&s->reader, &(struct reader_options){.event = s->event,
							    .bureau = c->bureau,
							    .public_only = config_is_for_boards(c),
							    .tail_link = s->tail,
							    .main_link = s->main,
							    .range_link = s->range,
							    .userdata = s,
							    .on_entries = on_entries,
							    .on_planned = on_planned,
							    .on_current = on_current});
	if (r < 0)
		return r;
	r = history_new(&s->history, &(struct history_options){.reader = s->reader,
							       .withdrawn = &s->withdrawn,
							       .ring_bytes = c->ring_bytes,
							       .slice_bytes = c->slice_bytes,
							       .userdata = s,
							       .on_loaded = on_loaded_slice});
	if (r < 0)
		return r;
	r = lanes_new(&s->lanes);
	if (r < 0)
		return r;
	r = router_new(&s->router, &(struct router_options){.event = s->event,
							    .io_threads = c->io_threads,
							    .handshake_ms = c->handshake_ms,
							    .message_bytes = c->message_bytes,
							    .userdata = s,
							    .on_message = on_message,
							    .on_garbage = on_garbage,
							    .on_named = on_named});
	if (r < 0)
		return r;
	r = limits_new(&s->limits, s->event, c);
	if (r == 0)
		r = limits_watch(s->limits, s->router);
	if (r < 0)
		return r;
	r = zap_new(&s->zap, &(struct zap_options){.event = s->event,
						   .context = router_context(s->router),
						   .userdata = s,
						   .known = policy_knows,
						   .too_much = policy_too_much});
	if (r < 0)
		return r;
	s->encode = (struct frame_context){.withdrawn = &s->withdrawn,
					   .hidden = &s->hidden,
					   .view_key = s->view_key,
					   .clock = &s->clock};
	r = fanout_new(&s->fanout, &(struct fanout_options){.event = s->event,
							    .router = s->router,
							    .history = s->history,
							    .lanes = s->lanes,
							    .encode = s->encode,
							    .clock = &s->clock,
							    .budget_bytes = c->budget_bytes,
							    .catchup_percent = c->catchup_percent,
							    .userdata = s,
							    .is_current = is_current,
							    .on_gone = on_gone});
	if (r < 0)
		return r;
	fanout_set_replay(s->fanout, c->replay_bytes);
	r = sessions_new(&s->sessions, &(struct sessions_options){.event = s->event,
								  .config = c,
								  .base = s->base,
								  .daemon_id = s->daemon_id,
								  .clock = &s->clock,
								  .main = s->main,
								  .router = s->router,
								  .history = s->history,
								  .lanes = s->lanes,
								  .fanout = s->fanout,
								  .zap = s->zap,
								  .limits = s->limits,
								  .on_ask = admin_on_ask,
								  .userdata = s,
								  .policy = s->policy});
	if (r < 0)
		return r;
	r = canary_new(&s->canary,
		       &(struct canary_options){
			       .event = s->event, .config = c, .userdata = s, .on_leak = on_leak});
	if (r < 0)
		return r;
	return housekeeping_new(&s->housekeeping,
				&(struct housekeeping_options){.event = s->event,
							       .link = s->main,
							       .bureau = c->bureau,
							       .config = c,
							       .clock = &s->clock,
							       .hidden = &s->hidden,
							       .schedule = s->schedule});
}

/* What the configuration names. */
static int read_files(struct server *s)
{
	int r = secrets_view_key(s->view_key, s->config->view_key_file);

	if (r >= 0)
		r = secrets_password(&s->password, s->config->redis_password_file);
	return r < 0 ? r : policy_start(s);
}

int server_new(struct server **ret, const struct server_options *opt)
{
	struct server *s = calloc(1, sizeof *s);
	char host[64] = "";
	sigset_t mask;
	int r, code = EX_OSERR;

	if (!s) {
		config_free(opt->config);
		return EX_OSERR;
	}
	s->config = opt->config;
	s->config_path = opt->config_path;
	s->unsafe_redis = opt->unsafe_redis || s->config->unsafe_redis;
	s->started_usec = boottime_usec();
	gethostname(host, sizeof host - 1);
	snprintf(s->daemon_id, sizeof s->daemon_id, "%s:%d", host, (int)getpid());
	r = read_files(s);
	if (r < 0)
		code = r == -ENOMEM ? EX_OSERR : EX_CONFIG;
	if (r >= 0)
		r = queue_key(s->base, sizeof s->base, s->config->bureau, "");
	if (r >= 0)
		r = withdrawn_init(&s->withdrawn);
	/* Blocked before libzmq makes its threads: signals are the loop's alone. */
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (r >= 0)
		r = sd_event_default(&s->event);
	if (r >= 0)
		r = sd_event_add_signal(s->event, &s->sigterm, SIGTERM, on_stop, s);
	if (r >= 0)
		r = sd_event_add_signal(s->event, &s->sigint, SIGINT, on_stop, s);
	if (r >= 0)
		r = sd_event_add_signal(s->event, &s->sighup, SIGHUP, on_hup, s);
	if (r >= 0)
		r = bringup_init(s);
	if (r >= 0)
		r = make_parts(s);
	if (r < 0) {
		log_text(LOG_ERR, "cannot start: %s", strerror(-r));
		server_free(s);
		return code;
	}
	*ret = s;
	return 0;
}

int server_run(struct server *s)
{
	int r;

	sd_event_set_watchdog(s->event, true);
	sd_notify(0, "STATUS=waiting for Redis");
	r = sd_event_loop(s->event);
	sd_notify(0, "STOPPING=1");
	return r < 0 ? EX_OSERR : s->exit_code;
}

struct server *server_free(struct server *s)
{
	if (!s)
		return NULL;
	/* Reverse of make_parts(). Links first: what is open with them is answered with NULL. */
	control_free(s->control);
	s->draining = true;
	housekeeping_free(s->housekeeping);
	canary_free(s->canary);
	redis_link_free(s->tail);
	redis_link_free(s->range);
	redis_link_free(s->main);
	sessions_free(s->sessions);
	fanout_free(s->fanout);
	feed_free(s->feed);
	zap_free(s->zap);
	limits_free(s->limits);
	router_free(s->router, LINGER_MS);
	lanes_free(s->lanes);
	history_free(s->history);
	reader_free(s->reader);
	schedule_free(s->schedule);
	withdrawn_done(&s->withdrawn);
	hidden_done(&s->hidden);
	sd_event_source_disable_unref(s->recheck);
	sd_event_source_disable_unref(s->drain_timer);
	sd_event_source_disable_unref(s->sighup);
	sd_event_source_disable_unref(s->sigint);
	sd_event_source_disable_unref(s->sigterm);
	sd_event_unref(s->event);
	policy_stop(s);
	secrets_password_free(s->password);
	config_free(s->config);
	sodium_memzero(s->view_key, sizeof s->view_key);
	free(s);
	return NULL;
}
