/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"

#include "core.h"
#include "credential.h"
#include "log.h"
#include "log_ids.h"
#include "redis_safe.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>
#include <time.h>

enum { DRAIN_USEC = 5000000, LOOK_USEC = 20000, DISPATCH_MAX = 500, PASSWORD_MAX = 256 };

struct service {
	struct sms_config *config;
	const char *path;
	bool unsafe_redis;
	sd_event *event;
	char base[64];
	struct redis_link *link;
	bool redis_ok; /* looked at since it came up */
	struct dibao_context *context;
	struct dibao_subscriber *subscriber;
	sd_event_source *io, *drain, *reopen;
	struct core *core;
	uint64_t epoch, counter; /* the token; 0 = none */
	uint64_t drain_until;
	int exit_code;
	bool is_ready;
};

static void end(struct service *s, int code)
{
	s->exit_code = code;
	(void)sd_event_exit(s->event, 0);
}

static void begin_if_all_is_there(struct service *s)
{
	if (s->redis_ok && s->counter && !s->core->active && !s->core->is_loading)
		takeover_begin(s->core);
}

static void give_up(struct service *s)
{
	s->epoch = s->counter = 0;
	core_reset(s->core);
}

/* ---- the subscription ---- */

static void on_active(struct core *c)
{
	log_told(LOG_NOTICE, LOG_ID_ACTIVE, NULL, "active: %zu notices open",
		 backlog_count(c->backlog));
	(void)sd_notify(0, "STATUS=active");
}

static void on_status(struct dibao_subscriber *sub, const struct dibao_status *st, void *userdata)
{
	struct service *s = userdata;

	(void)sub;
	switch (st->state) {
	case DIBAO_STATE_ACTIVE:
		if (st->token_epoch == s->epoch && st->token_counter == s->counter)
			break;
		give_up(s);
		s->epoch = st->token_epoch;
		s->counter = st->token_counter;
		outbox_token(s->core->outbox, s->epoch, s->counter);
		log_text(LOG_INFO, "the lease of %s is ours", s->config->name);
		begin_if_all_is_there(s);
		break;
	case DIBAO_STATE_STANDBY:
		if (s->counter)
			give_up(s);
		log_told(LOG_NOTICE, LOG_ID_STANDBY, NULL,
			 "standing by: another instance of %s is active", s->config->name);
		(void)sd_notify(0, "STATUS=standing by");
		break;
	case DIBAO_STATE_REFUSED:
		log_told(LOG_ERR, LOG_ID_REFUSED, NULL, "dibaod refuses: %s %s",
			 dibao_reason_name(st->reason), st->text);
		end(s, EX_NOPERM);
		break;
	default:
		/* The lease may still be ours; each write asks for it. */
		log_text(LOG_INFO, "connecting to dibaod: %s %s", dibao_reason_name(st->reason),
			 st->text);
	}
}

static int on_delivery(struct dibao_subscriber *sub, const struct dibao_delivery *d, void *userdata)
{
	struct service *s = userdata;

	(void)sub;
	if (intake_add(s->core->intake, d) == -ENOMEM)
		abort();
	return 0;
}

static void on_gone(struct dibao_subscriber *sub, const struct dibao_lost *l, void *userdata)
{
	(void)sub, (void)userdata;
	log_told(LOG_ERR, LOG_ID_LOST, NULL,
		 "events of channel %s can't be had any more (%s): see dibaoctl status",
		 dibao_channel_name(l->channel), l->reason);
}

static void on_confirmed(struct dibao_subscriber *sub, uint64_t id, int err, void *userdata)
{
	struct service *s = userdata;

	(void)sub;
	reporter_on_confirmed(s->core->reporter, id, err);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct service *s = userdata;
	int r;

	(void)source, (void)fd, (void)events;
	r = dibao_subscriber_dispatch(s->subscriber, DISPATCH_MAX);
	if (r < 0 && log_limited("dispatch"))
		log_text(LOG_ERR, "subscription: %s", dibao_strerror(r));
	intake_pump(s->core->intake);
	return 0;
}

static int subscribe(struct service *s)
{
	const struct sms_config *c = s->config;
	struct dibao_subscriber_options opt = {
		.endpoints = (const char *const *)c->endpoints.at,
		.bureau = c->bureau,
		.durable = c->name,
		.curve_server_key = c->server_key[0] ? c->server_key : NULL,
		.curve_key_file = c->key_file[0] ? c->key_file : NULL,
		.userdata = s,
		.on_delivery = on_delivery,
		.on_status = on_status,
		.on_lost = on_gone,
		.on_confirmed = on_confirmed,
	};
	struct dibao_error err = {0};
	int r = dibao_subscriber_new(&s->subscriber, s->context, &opt, &err);

	if (r < 0) {
		log_text(LOG_ERR, "cannot subscribe: %s %s", err.field, err.reason);
		return r;
	}
	s->core->subscriber = s->subscriber;
	return sd_event_add_io(s->event, &s->io, dibao_subscriber_fd(s->subscriber), EPOLLIN, on_io,
			       s);
}

static void unsubscribe(struct service *s)
{
	s->io = sd_event_source_disable_unref(s->io);
	if (s->subscriber)
		s->subscriber = dibao_subscriber_free(s->subscriber);
	s->core->subscriber = NULL;
}

/* Another has the lease, which the daemon will tell us too; we begin anew, as who stands by. */
static int on_reopen(sd_event_source *source, void *userdata)
{
	struct service *s = userdata;

	(void)source;
	unsubscribe(s);
	intake_forget(s->core->intake);
	if (subscribe(s) < 0)
		end(s, EX_OSERR);
	return 0;
}

static void on_lease_lost(struct core *c)
{
	struct service *s = c->userdata;

	log_told(LOG_WARNING, LOG_ID_STANDBY, NULL,
		 "the lease of %s is another's: nothing is sent from here", s->config->name);
	give_up(s);
	(void)sd_event_source_set_enabled(s->reopen, SD_EVENT_ONESHOT);
}

/* ---- Redis ---- */

static void log_lines(int level, char *text)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		log_told(level, LOG_ID_REDIS_UNSAFE, NULL, "Redis: %s", line);
}

static void on_looked(const struct redis_safe *found, void *userdata)
{
	struct service *s = userdata;
	struct redis_safe copy = *found;

	if (found->is_lost)
		return; /* it comes up again */
	if (!found->ok) {
		bool goes_on = found->functions_ok && (s->unsafe_redis || s->config->unsafe_redis);

		log_lines(goes_on ? LOG_WARNING : LOG_ERR, copy.text);
		if (!goes_on) {
			log_told(LOG_ERR, LOG_ID_REDIS_UNSAFE, NULL,
				 "this Redis can't keep an outbox%s",
				 found->functions_ok ? "; --unsafe-redis starts all the same" : "");
			end(s, EX_CONFIG);
			return;
		}
	}
	s->redis_ok = true;
	if (!s->subscriber && subscribe(s) < 0) {
		end(s, EX_OSERR);
		return;
	}
	outbox_connect(s->core->outbox, s->link);
	begin_if_all_is_there(s);
	if (!s->is_ready)
		(void)sd_notify(0, "READY=1");
	s->is_ready = true;
}

static void on_up(struct redis_link *l, void *userdata)
{
	struct service *s = userdata;

	if (strcmp(redis_link_role(l), "master") != 0) {
		if (log_limited("role"))
			log_text(LOG_ERR, "this Redis is a %s: nothing can be written to it",
				 redis_link_role(l));
		return;
	}
	(void)redis_safe_check(l, s->base, on_looked, s);
}

static void on_down(struct redis_link *l, const char *why, void *userdata)
{
	struct service *s = userdata;

	(void)l, (void)why; /* logged by the link */
	s->redis_ok = false;
	outbox_connect(s->core->outbox, NULL);
}

static int read_password(char password[PASSWORD_MAX], const char *path)
{
	FILE *f;
	int r = credential_open(&f, path);

	if (r < 0)
		return r;
	if (!fgets(password, PASSWORD_MAX, f))
		password[0] = '\0';
	fclose(f);
	password[strcspn(password, "\r\n")] = '\0';
	return password[0] ? 0 : -ENODATA;
}

static int connect_redis(struct service *s)
{
	const struct sms_config *c = s->config;
	char password[PASSWORD_MAX] = "";
	int r = c->redis_password_file[0] ? read_password(password, c->redis_password_file) : 0;

	if (r < 0) {
		log_text(LOG_ERR, "%s: %s", c->redis_password_file, strerror(-r));
		return r;
	}
	r = redis_link_new(&s->link, &(struct redis_link_options){
					     .event = s->event,
					     .name = "sms",
					     .address = c->redis,
					     .user = c->redis_user[0] ? c->redis_user : NULL,
					     .password = password[0] ? password : NULL,
					     .connect_timeout_ms = c->connect_timeout_ms,
					     .command_timeout_ms = c->command_timeout_ms,
					     .userdata = s,
					     .on_up = on_up,
					     .on_down = on_down,
				     });
	explicit_bzero(password, sizeof password);
	return r;
}

/* ---- signals, the end ---- */

static int on_drain(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct service *s = userdata;

	if (core_is_idle(s->core) || usec >= s->drain_until || !s->redis_ok) {
		end(s, 0);
		return 0;
	}
	(void)sd_event_source_set_time(source, usec + LOOK_USEC);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* What is at a gateway has until then to be answered; its answer is written down. */
static int on_stop(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	struct service *s = userdata;
	uint64_t now = 0;

	(void)source, (void)si;
	if (s->drain)
		return 0;
	(void)sd_notify(0, "STOPPING=1");
	s->core->is_stopping = true;
	(void)sd_event_now(s->event, CLOCK_BOOTTIME, &now);
	s->drain_until = now + DRAIN_USEC;
	return sd_event_add_time(s->event, &s->drain, CLOCK_BOOTTIME, now, 1000, on_drain, s);
}

static int on_hup(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	struct service *s = userdata;
	struct timespec t;

	(void)source, (void)si;
	clock_gettime(CLOCK_MONOTONIC, &t);
	if (s->is_ready)
		(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
				 (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u);
	(void)core_reload(s->core, s->config, s->path);
	if (s->is_ready)
		(void)sd_notify(0, "READY=1");
	return 0;
}

static int handle_signals(struct service *s)
{
	static const int stop[] = {SIGTERM, SIGINT};
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	r = sd_event_add_signal(s->event, NULL, SIGHUP, on_hup, s);
	for (size_t i = 0; r >= 0 && i < 2; i++)
		r = sd_event_add_signal(s->event, NULL, stop[i], on_stop, s);
	return r;
}

int service_new(struct service **ret, const struct service_options *opt)
{
	struct service *s = calloc(1, sizeof *s);
	int r;

	if (!s)
		return -ENOMEM;
	s->config = opt->config;
	s->path = opt->path;
	s->unsafe_redis = opt->unsafe_redis;
	snprintf(s->base, sizeof s->base, "dibao:{%s}:", s->config->bureau);
	r = sd_event_default(&s->event);
	if (r >= 0)
		r = handle_signals(s);
	if (r >= 0)
		r = core_new(&s->core, s->event, s->config);
	if (r >= 0) {
		s->core->userdata = s;
		s->core->on_active = on_active;
		s->core->on_lost = on_lease_lost;
		r = sd_event_add_defer(s->event, &s->reopen, on_reopen, s);
	}
	if (r >= 0)
		r = sd_event_source_set_enabled(s->reopen, SD_EVENT_OFF);
	if (r >= 0)
		r = dibao_context_new(&s->context, 1);
	if (r >= 0)
		r = connect_redis(s);
	if (r < 0) {
		service_free(s);
		return r;
	}
	(void)sd_event_set_watchdog(s->event, true);
	*ret = s;
	return 0;
}

struct service *service_free(struct service *s)
{
	if (!s)
		return NULL;
	if (s->link)
		redis_link_free(s->link);
	if (s->core) {
		core_reset(s->core);
		unsubscribe(s);
	}
	core_free(s->core);
	sd_event_source_disable_unref(s->drain);
	sd_event_source_disable_unref(s->reopen);
	if (s->context)
		dibao_context_free(s->context);
	sd_event_unref(s->event);
	free(s);
	return NULL;
}

int service_run(struct service *s)
{
	int r = sd_event_loop(s->event);

	if (r < 0) {
		log_text(LOG_ERR, "event loop: %s", strerror(-r));
		return EX_OSERR;
	}
	if (s->exit_code == 0)
		log_told(LOG_NOTICE, LOG_ID_STOPPED, NULL, "stopped");
	return s->exit_code;
}
