/* SPDX-License-Identifier: Apache-2.0 */
#include "core.h"

#include "content.h"
#include "incoming.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TICK_MS = 1000, POLL_MS = 1000 };

int64_t core_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The wall clock may be stepped: the timer runs by the other, and looks at least once a second. */
static void arm(struct core *c, int64_t in_ms)
{
	uint64_t now = 0;

	(void)sd_event_now(c->event, CLOCK_BOOTTIME, &now);
	(void)sd_event_source_set_time(c->tick, now + (uint64_t)in_ms * 1000);
	(void)sd_event_source_set_enabled(c->tick, SD_EVENT_ONESHOT);
}

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct core *c = userdata;
	int64_t now = core_now_ms(), next;

	(void)s, (void)usec;
	if (!c->active)
		return 0;
	sender_run(c, now);
	if (now >= c->next_poll_ms || now < c->next_poll_ms - POLL_MS) {
		c->next_poll_ms = now + POLL_MS;
		takeover_open_gateways(c);
		takeover_poll_releases(c);
		reporter_wake(c->reporter); /* what was changed by hand */
		intake_pump(c->intake);
	}
	next = sender_next_ms(c, now) - now;
	arm(c, next < 1 ? 1 : next > TICK_MS ? TICK_MS : next);
	return 0;
}

void core_wake(struct core *c)
{
	if (c->active)
		arm(c, 0);
}

static void on_stale(void *userdata)
{
	struct core *c = userdata;

	c->on_lost(c);
}

void core_set_rules(struct core *c)
{
	const struct sms_config *k = c->config;

	c->rules = content_rules(k);
	c->quiet = content_quiet(k);
	for (unsigned t = 0; t < SMS_TYPES; t++)
		c->policy[t] = (enum notice_policy)notice_policy_find(k->policy[t]);
	c->caps_limits = (struct caps_limits){
		.minute = k->cap_minute,
		.hour = k->cap_hour,
		.day = k->cap_day,
		.same_minute = k->same_minute,
		.same_hour = k->same_hour,
	};
}

static int load_content(struct core *c)
{
	char fault[CONTENT_FAULT_MAX];
	int r = content_load(&c->templates, &c->codes, c->config, fault);

	if (r < 0)
		log_text(LOG_ERR, "%s", fault);
	return r;
}

int core_check(const struct sms_config *config)
{
	struct core c = {.config = config};
	int r = load_content(&c);

	codes_free(c.codes);
	templates_free(c.templates);
	return r;
}

int core_new(struct core **ret, sd_event *event, const struct sms_config *config)
{
	struct core *c = calloc(1, sizeof *c);
	char base[64];
	int r;

	if (!c)
		return -ENOMEM;
	c->event = event;
	c->config = config;
	core_set_rules(c);
	gateways_init(&c->gateways, config);
	snprintf(base, sizeof base, "dibao:{%s}:", config->bureau);
	r = load_content(c);
	if (r == 0)
		r = outbox_new(&c->outbox, &(struct outbox_options){.base = base,
								    .name = config->name,
								    .userdata = c,
								    .on_stale = on_stale});
	if (r == 0)
		r = intake_new(&c->intake, c);
	if (r == 0)
		r = incoming_new(&c->incoming, c);
	if (r == 0)
		r = reporter_new(&c->reporter, c);
	if (r == 0)
		r = sd_event_add_time(event, &c->tick, CLOCK_BOOTTIME, 0, 1000, on_tick, c);
	if (r < 0) {
		core_free(c);
		return r;
	}
	(void)sd_event_source_set_enabled(c->tick, SD_EVENT_OFF);
	*ret = c;
	return 0;
}

void core_reset(struct core *c)
{
	c->active = c->is_loading = false;
	/* Receipts are told that they were not taken while their gateways still can be. */
	outbox_cancel(c->outbox);
	news_drop_all(c);
	if (c->incoming)
		incoming_reset(c->incoming);
	for (unsigned i = 0; i < c->gateways.n; i++) {
		struct gateway *g = &c->gateways.at[i];

		if (g->driver)
			g->driver = g->ops->destroy(g->driver);
	}
	sender_reset(c);
	intake_reset(c->intake);
	reporter_reset(c->reporter);
	batches_done(&c->batches);
	c->backlog = backlog_free(c->backlog);
	c->caps = caps_free(c->caps);
	c->is_asking_releases = false;
}

bool core_is_idle(const struct core *c)
{
	return c->n_flights == 0 && c->n_news == 0 && outbox_is_idle(c->outbox);
}

struct core *core_free(struct core *c)
{
	if (!c)
		return NULL;
	if (c->outbox && c->intake && c->reporter)
		core_reset(c);
	sd_event_source_disable_unref(c->tick);
	reporter_free(c->reporter);
	intake_free(c->intake);
	incoming_free(c->incoming);
	outbox_free(c->outbox);
	codes_free(c->codes);
	templates_free(c->templates);
	free(c);
	return NULL;
}
