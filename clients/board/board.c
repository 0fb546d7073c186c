/* SPDX-License-Identifier: Apache-2.0 */
#include "board_parts.h"

#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

enum {
	TICK_USEC = 1000000,
	NOTE_MS = 60000, /* the time is noted so often, if nothing else is written */
};

static int64_t boot_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t wall_clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t board_now_ms(const struct board *b)
{
	return trust_now(&b->trust, boot_ms());
}

const char *board_link(const struct board *b)
{
	return b->source ? source_link(b->source) : "demo";
}

static struct feed_time feed_time(void *userdata)
{
	const struct board *b = userdata;

	return (struct feed_time){
		.now_ms = board_now_ms(b),
		.is_trusted = b->trust.is_trusted,
		.heartbeat_ms = b->trust.heartbeat_ms,
		.link = board_link(b),
		.is_standing = b->is_standing,
	};
}

/* ---- receipts ---- */

static void send_receipts(struct board *b)
{
	struct item *i;

	if (!b->has_unreported || !b->source || !source_is_current(b->source))
		return;
	b->has_unreported = false;
	for (size_t at = 0; (i = wall_each(b->wall, &at));) {
		if (!i->shown_ms || i->is_confirmed || i->is_reported)
			continue;
		if (b->n_receipts == BOARD_RECEIPTS_MAX ||
		    source_receipt(b->source, i->pid, i->shown_ms, &b->receipts[b->n_receipts].id) <
			    0) {
			b->has_unreported = true;
			return;
		}
		memcpy(b->receipts[b->n_receipts++].pid, i->pid, DIBAO_PID_BYTES);
		i->is_reported = true;
	}
}

static void on_confirmed(uint64_t id, bool was_taken, void *userdata)
{
	struct board *b = userdata;
	struct item *i;

	for (unsigned k = 0; k < b->n_receipts; k++) {
		if (b->receipts[k].id != id)
			continue;
		i = wall_find(b->wall, b->receipts[k].pid);
		/* One that is refused for good would be refused for ever. */
		if (i) {
			i->is_confirmed = true;
			i->is_stored = false;
			b->is_dirty = true;
		}
		b->receipts[k] = b->receipts[--b->n_receipts];
		*(was_taken ? &b->n_confirmed : &b->n_receipts_refused) += 1;
		return;
	}
}

static void on_reopened(void *userdata)
{
	struct board *b = userdata;
	struct item *i;

	b->n_receipts = 0;
	for (size_t at = 0; (i = wall_each(b->wall, &at));) {
		i->is_reported = false;
		b->has_unreported |= i->shown_ms && !i->is_confirmed;
	}
}

static void on_rendered(const uint8_t pid[DIBAO_PID_BYTES], void *userdata)
{
	struct board *b = userdata;
	struct item *i = wall_find(b->wall, pid);

	/* Without a time that can be trusted there is nothing to say when; it will be shown again.
	 */
	if (!i || !i->is_shown || i->shown_ms || !b->trust.is_trusted)
		return;
	i->shown_ms = board_now_ms(b);
	i->is_stored = false;
	b->is_dirty = b->has_unreported = true;
}

/* ---- a turn ---- */

static void note(struct board *b)
{
	struct trust_note n = trust_note(&b->trust, boot_ms(), b->boot_id);

	if (!b->source) /* a demonstration has nothing to keep */
		return;
	if (source_is_current(b->source))
		b->known = source_area(b->source);
	cache_write(b->cache, b->wall, &n, b->known);
	b->noted_boot_ms = n.boot_ms;
	b->is_dirty = false;
}

static void judge(struct board *b)
{
	bool hold_new = b->source && b->is_reconciling;
	int64_t now = board_now_ms(b);

	b->is_standing = b->source && rules_standing(&b->rules, now, b->trust.heartbeat_ms);
	wall_refresh(b->wall, now, b->trust.is_trusted, hold_new);
	b->next_end_ms = wall_next_end_ms(b->wall);
}

static void say_status(struct board *b)
{
	struct wall_counts c = wall_counts(b->wall);
	struct watch_state w = watch_state(b->watch);
	char text[160];

	snprintf(text, sizeof text, "%s, %u items%s%s%s", board_link(b), c.n_shown,
		 b->is_standing ? ", standing page" : "",
		 b->trust.is_trusted ? "" : ", time not known",
		 w.is_silent ? ", no page reports" : "");
	if (!strcmp(text, b->status))
		return;
	memcpy(b->status, text, sizeof text);
	sd_notifyf(0, "STATUS=%s", text);
}

static void board_turn(struct board *b)
{
	judge(b);
	send_receipts(b);
	if (b->is_dirty || boot_ms() - b->noted_boot_ms > NOTE_MS)
		note(b);
	feed_turn(b->feed);
	say_status(b);
}

static bool on_source_turn(bool was_delivered, void *userdata)
{
	struct board *b = userdata;
	int64_t heard;

	/* A callback of the source's own making. */
	if (!b->source)
		return false;
	heard = source_heartbeat_ms(b->source);
	if (heard && heard != b->trust.heard_ms)
		trust_hear(&b->trust, heard, boot_ms());
	/* What hangs there while more is still to come is not as fresh as that. */
	if (heard && source_is_current(b->source))
		b->trust.heartbeat_ms = heard;
	b->is_dirty |= was_delivered;
	board_turn(b);
	return true;
}

/* Of a demonstration: nobody else is there to say what time it is. */
static void hear_machine(struct board *b)
{
	trust_hear(&b->trust, wall_clock_ms(), boot_ms());
	b->trust.heartbeat_ms = b->trust.heard_ms;
}

static int on_tick(sd_event_source *src, uint64_t usec, void *userdata)
{
	struct board *b = userdata;
	int64_t now = board_now_ms(b);

	(void)usec;
	if (!b->source)
		hear_machine(b);
	if (now >= b->next_end_ms ||
	    b->is_standing !=
		    (b->source && rules_standing(&b->rules, now, b->trust.heartbeat_ms)) ||
	    boot_ms() - b->noted_boot_ms > NOTE_MS)
		board_turn(b);
	else
		say_status(b);
	sd_event_source_set_time_relative(src, TICK_USEC);
	sd_event_source_set_enabled(src, SD_EVENT_ONESHOT);
	return 0;
}

/* ---- what the source brings ---- */

static void on_begin(void *userdata)
{
	struct board *b = userdata;

	b->is_reconciling = true;
	wall_reconcile_begin(b->wall);
}

static void on_reconciled(void *userdata)
{
	struct board *b = userdata;
	unsigned n = wall_reconcile_end(b->wall);

	b->is_reconciling = false;
	b->is_dirty = true;
	log_text(LOG_INFO, "all there is has come: %u items held, %u gone",
		 wall_counts(b->wall).n_held, n);
}

static void on_view(const void *view, size_t len, int64_t published_ms, void *userdata)
{
	struct board *b = userdata;
	int r = wall_put(b->wall, view, len, published_ms);

	if (r == -ENOTSUP) {
		b->n_other++;
	} else if (r < 0) {
		b->n_bad++;
		if (log_limited("view"))
			log_text(LOG_ERR, "a public view cannot be shown: %s", strerror(-r));
	}
}

static void on_withdrawn(const uint8_t pid[DIBAO_PID_BYTES], void *userdata)
{
	struct board *b = userdata;

	wall_remove(b->wall, pid);
}

static void on_demo_turn(void *userdata)
{
	board_turn(userdata);
}

static int64_t trusted_ms(void *userdata)
{
	const struct board *b = userdata;

	return b->trust.is_trusted ? board_now_ms(b) : 0;
}

/* ---- the wall's ---- */

static void on_shown(const struct item *i, void *userdata)
{
	struct board *b = userdata;

	b->is_dirty = true;
	feed_put(b->feed, i);
}

static void on_hidden(const uint8_t pid[DIBAO_PID_BYTES], void *userdata)
{
	struct board *b = userdata;

	feed_drop(b->feed, pid);
}

static void on_removed(const uint8_t pid[DIBAO_PID_BYTES], void *userdata)
{
	struct board *b = userdata;

	cache_removed(b->cache, pid);
	b->is_dirty = true;
}

static void on_reported(void *userdata)
{
	board_turn(userdata);
}

/* Each second: a turn only if something was drawn for the first time. */
static void on_drawn(void *userdata)
{
	struct board *b = userdata;

	watch_drawn(b->watch);
	if (b->is_dirty)
		board_turn(b);
}

/* ---- life ---- */

static void read_boot_id(char ret[40])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, 36);

	if (fd >= 0)
		close(fd);
	ret[n == 36 ? 36 : 0] = '\0';
}

static int start_wall(struct board *b)
{
	struct wall_options w = {
		.rules = &b->rules,
		.items_max = b->config->items_max,
		.userdata = b,
		.on_shown = on_shown,
		.on_hidden = on_hidden,
		.on_removed = on_removed,
	};
	struct trust_note n = {0};
	char areas[64];
	int r = wall_new(&b->wall, &w);

	snprintf(areas, sizeof areas, "%s %s %s %s", b->config->bureau, b->rules.own,
		 *b->rules.district ? b->rules.district : "-",
		 *b->rules.bureau ? b->rules.bureau : "-");
	if (r == 0)
		r = cache_new(&b->cache, b->config->cache, areas);
	if (r < 0)
		return r;
	log_text(LOG_INFO, "%u items from the cache", cache_load(b->cache, b->wall, &n, &b->known));
	trust_take(&b->trust, &n, boot_ms(), b->boot_id);
	return 0;
}

static int start_source(struct board *b)
{
	struct source_options s = {
		.event = b->event,
		.config = b->config,
		.rules = &b->rules,
		.now_ms = trusted_ms,
		.userdata = b,
		.on_begin = on_begin,
		.on_reconciled = on_reconciled,
		.on_view = on_view,
		.on_withdrawn = on_withdrawn,
		.on_turn = on_source_turn,
		.on_confirmed = on_confirmed,
		.on_reopened = on_reopened,
	};

	return source_new(&b->source, &s, b->trust.heartbeat_ms, b->known);
}

static int start_demo(struct board *b, const struct board_start *start)
{
	struct demo_options d = {
		.event = b->event,
		.path = start->demo_path,
		.now_ms = wall_clock_ms(),
		.interval_ms = start->demo_interval_ms,
		.on_view = on_view,
		.on_withdrawn = on_withdrawn,
		.on_turn = on_demo_turn,
		.time_ms = trusted_ms,
		.userdata = b,
	};

	hear_machine(b);
	return demo_new(&b->demo, &d, stderr);
}

static int start_loop(struct board *b)
{
	int r = sd_event_new(&b->event);

	if (r >= 0)
		r = sd_event_add_signal(b->event, &b->sigterm, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(b->event, &b->sigint, SIGINT, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_time_relative(b->event, &b->tick, CLOCK_MONOTONIC, TICK_USEC,
					       100000, on_tick, b);
	if (r >= 0)
		r = sd_event_set_watchdog(b->event, true);
	return r;
}

static int start_all(struct board *b, const struct board_start *start)
{
	struct feed_options f = {
		.config = b->config,
		.rules = &b->rules,
		.time = feed_time,
		.userdata = b,
	};
	struct watch_options w = {
		.config = b->config,
		.on_rendered = on_rendered,
		.on_reported = on_reported,
		.userdata = b,
	};
	int r = places_load(&b->places, b->config->orgs_table, b->config->ranks_table);

	if (r < 0)
		log_text(LOG_WARNING, "going on without tables: organisations show as codes");
	r = start_loop(b);
	if (r >= 0)
		r = start_wall(b);
	if (r < 0)
		return r;
	f.event = w.event = b->event;
	f.places = b->places;
	f.wall = b->wall;
	f.is_demo = start->is_demo || places_is_demo(b->places);
	r = feed_new(&b->feed, &f);
	if (r >= 0)
		r = watch_new(&b->watch, &w);
	if (r >= 0)
		r = pages_start(b);
	if (r < 0)
		return r;
	/* What the cache has hangs at once. */
	b->next_end_ms = INT64_MAX;
	r = start->is_demo ? start_demo(b, start) : start_source(b);
	if (r < 0)
		return r;
	b->is_reconciling = false;
	judge(b);
	b->is_reconciling = b->source != NULL;
	return 0;
}

static int start_tty(struct board *b, bool is_demo)
{
	struct tty_options t = {
		.event = b->event,
		.config = b->config,
		.rules = &b->rules,
		.places = b->places,
		.wall = b->wall,
		.is_demo = is_demo,
		.time = feed_time,
		.on_rendered = on_rendered,
		.on_reported = on_drawn,
		.userdata = b,
	};
	int r = tty_new(&b->tty, &t);

	if (r == -ENOTTY)
		log_text(LOG_ERR, "--tty: there is no terminal, or TERM is not set");
	return r;
}

int board_new(struct board **ret, const struct board_start *start)
{
	struct board *b = calloc(1, sizeof *b);
	int r;

	if (!b) {
		board_config_free(start->config_take);
		return -ENOMEM;
	}
	b->config = start->config_take;
	board_config_rules(b->config, &b->rules);
	read_boot_id(b->boot_id);
	r = start_all(b, start);
	if (r >= 0 && start->has_tty)
		r = start_tty(b, start->is_demo || places_is_demo(b->places));
	if (r < 0) {
		board_free(b);
		return r;
	}
	*ret = b;
	return 0;
}

int board_run(struct board *b)
{
	log_text(LOG_NOTICE, "the page is at http://%s:%u/",
		 strchr(b->config->address, ':') ? "[::1]" : b->config->address,
		 httpd_port(b->httpd));
	sd_notify(0, "READY=1");
	say_status(b);
	return sd_event_loop(b->event);
}

struct board *board_free(struct board *b)
{
	if (!b)
		return NULL;
	sd_notify(0, "STOPPING=1");
	tty_free(b->tty);
	if (b->source && b->cache)
		note(b);
	b->source = source_free(b->source);
	demo_free(b->demo);
	httpd_free(b->httpd);
	watch_free(b->watch);
	feed_free(b->feed);
	cache_free(b->cache);
	wall_free(b->wall);
	places_free(b->places);
	sd_event_source_disable_unref(b->tick);
	sd_event_source_disable_unref(b->sigterm);
	sd_event_source_disable_unref(b->sigint);
	sd_event_unref(b->event);
	board_config_free(b->config);
	free(b);
	return NULL;
}
