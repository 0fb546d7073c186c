/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One timer. A turn starts what is due and not already on its way; an answer
 * starts the next step of its kind, so a long trim or release yields to other
 * commands between its steps.
 *
 * Memory outlives housekeeping_free() until the link has answered what is open.
 */
#include "housekeeping_parts.h"

#include "log.h"
#include "log_ids.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	TURN_MS = 1000,
	TRIM_TURNS = 60,
	MEMORY_TURN = 10,
	RELEASE_STEP = 500,
	UNHIDE_STEP = 100,
};

static int64_t wall_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void destroy(struct housekeeping *h)
{
	trimming_forget(h);
	sd_event_unref(h->event);
	free(h);
}

/* ---- commands ---- */

int housekeeping_send(struct housekeeping *h, enum job job, redis_reply_fn fn, int argc,
		      const char *const *argv)
{
	int r = redis_link_command(h->link, fn, h, argc, argv, NULL, 0);

	if (r == 0) {
		h->n_open++;
		h->busy[job] = true;
	}
	return r;
}

bool housekeeping_answered(struct housekeeping *h, enum job job, const redisReply *reply, int type,
			   const char *what)
{
	h->n_open--;
	h->busy[job] = false;
	if (h->is_freed) {
		if (h->n_open == 0) {
			destroy(h);
		}
		return false;
	}
	if (!reply || !h->is_started) {
		return false;
	}
	if (reply->type != type) {
		if (log_limited("housekeeping")) {
			log_text(LOG_ERR, "cannot %s: %s; trying again at the next turn", what,
				 redis_reply_is_error(reply, NULL) ? reply->str
								   : "unexpected reply");
		}
		return false;
	}
	return true;
}

bool housekeeping_numbers(const redisReply *reply, size_t n, int64_t *ret)
{
	if (reply->elements < n) {
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		const redisReply *e = reply->element[i];

		if (e->type == REDIS_REPLY_INTEGER) {
			ret[i] = e->integer;
		} else if (e->type == REDIS_REPLY_STRING) {
			ret[i] = strtoll(e->str, NULL, 10);
		} else {
			return false;
		}
	}
	return true;
}

static void wake_after(struct housekeeping *h, int64_t ms)
{
	uint64_t now = 0;

	ms = ms < 1 ? 1 : ms > TURN_MS ? TURN_MS : ms;
	(void)sd_event_now(h->event, CLOCK_BOOTTIME, &now);
	(void)sd_event_source_set_time(h->timer, now + (uint64_t)ms * 1000);
	(void)sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT);
}

/* ---- release ---- */

static void release(struct housekeeping *h);

static void on_released(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct housekeeping *h = userdata;
	int64_t v[3];

	(void)l;
	if (!housekeeping_answered(h, JOB_RELEASE, reply, REDIS_REPLY_ARRAY,
				   "release scheduled events") ||
	    !housekeeping_numbers(reply, 3, v)) {
		return;
	}
	h->counters.n_released += (uint64_t)v[0];
	h->counters.next_due_ms = v[1];
	if (v[0] >= RELEASE_STEP) {
		release(h);
		return;
	}
	if (h->schedule) {
		schedule_released(h->schedule, v[2]);
	}
	if (v[1] >= 0 && v[1] - v[2] < TURN_MS) {
		wake_after(h, v[1] - v[2]);
	}
}

static void release(struct housekeeping *h)
{
	char max[16];
	const char *argv[] = {"FCALL", "dibao_release", "1", h->base, max};

	(void)snprintf(max, sizeof max, "%d", RELEASE_STEP);
	(void)housekeeping_send(h, JOB_RELEASE, on_released, 5, argv);
}

/* ---- who was hidden until a time ---- */

static void on_unhidden(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct housekeeping *h = userdata;

	(void)l;
	if (housekeeping_answered(h, JOB_UNHIDE, reply, REDIS_REPLY_INTEGER,
				  "show again who was hidden")) {
		h->counters.n_unhidden += (uint64_t)reply->integer;
	}
}

/* The reader hears of it as of any change, and takes them off the list. */
static void unhide_due(struct housekeeping *h)
{
	const struct hidden_badge *due[UNHIDE_STEP];
	char badges[UNHIDE_STEP][HIDDEN_BADGE_MAX + 1];
	const char *argv[4 + UNHIDE_STEP] = {"FCALL", "dibao_reshow", "1", h->base};
	size_t n = hidden_due(h->hidden, queue_clock_ms(h->clock), due, UNHIDE_STEP);

	for (size_t i = 0; i < n; i++) {
		(void)snprintf(badges[i], sizeof badges[i], "%.*s", (int)due[i]->len,
			       due[i]->badge);
		argv[4 + i] = badges[i];
	}
	if (n > 0) {
		(void)housekeeping_send(h, JOB_UNHIDE, on_unhidden, 4 + (int)n, argv);
	}
}

/* ---- the tail's place ---- */

static void on_tail_stored(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct housekeeping *h = userdata;

	(void)l;
	if (!reply) {
		h->tail_changed = true;
	} else if (reply->type == REDIS_REPLY_ERROR) {
		h->tail_changed = true;
		if (log_limited("housekeeping-tail")) {
			log_text(LOG_ERR, "cannot store the tail's place: %s; trying again",
				 reply->str);
		}
	}
	(void)housekeeping_answered(h, JOB_TAIL, NULL, 0, "");
}

static void store_tail(struct housekeeping *h)
{
	char ids[DIBAO_CHANNEL_COUNT][ENTRY_ID_TEXT];
	const char *argv[4 + DIBAO_CHANNEL_COUNT] = {"FCALL", "dibao_tail", "1", h->base};

	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		(void)entry_id_format(ids[c], h->tail[c]);
		argv[4 + c] = ids[c];
	}
	if (housekeeping_send(h, JOB_TAIL, on_tail_stored, 4 + DIBAO_CHANNEL_COUNT, argv) == 0) {
		h->tail_changed = false;
	}
}

/* ---- clocks ---- */

static void tell_clock(const struct clock_verdict *v)
{
	char text[256];

	(void)snprintf(text, sizeof text,
		       "clocks disagree: Redis is %+lld ms from this machine, its newest id is "
		       "%lld ms ahead of it; trimming stops until they agree",
		       (long long)v->skew_ms, (long long)v->ahead_ms);
	log_event(LOG_ERR, LOG_ID_CLOCK, text);
}

static void on_time(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct housekeeping *h = userdata;
	struct clock_sample s = {.asked_ms = h->clock_asked_ms, .answered_ms = wall_ms()};
	unsigned before;
	int64_t v[2];

	(void)l;
	if (!housekeeping_answered(h, JOB_CLOCK, reply, REDIS_REPLY_ARRAY, "ask Redis' time") ||
	    !housekeeping_numbers(reply, 2, v)) {
		return;
	}
	s.redis_ms = v[0] * 1000 + v[1] / 1000;
	queue_clock_set(h->clock, s.redis_ms);
	memcpy(s.top, h->tail, sizeof s.top);
	before = h->counters.clock.faults;
	h->counters.clock = clock_check(&s);
	if (h->counters.clock.faults != 0 && log_limited("clock")) {
		tell_clock(&h->counters.clock);
	} else if (h->counters.clock.faults == 0 && before != 0) {
		log_event(LOG_NOTICE, LOG_ID_CLOCK, "clocks agree again, trimming goes on");
	}
	h->trim_now_ms = s.redis_ms;
}

static void ask_time(struct housekeeping *h)
{
	static const char *const argv[] = {"TIME"};

	h->clock_asked_ms = wall_ms();
	(void)housekeeping_send(h, JOB_CLOCK, on_time, 1, argv);
}

/* ---- cap ---- */

static void cap_step(struct housekeeping *h);

static void on_usage(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct housekeeping *h = userdata;
	bool is_nil = reply && reply->type == REDIS_REPLY_NIL;

	(void)l;
	if (!housekeeping_answered(h, JOB_CAP, reply,
				   is_nil ? REDIS_REPLY_NIL : REDIS_REPLY_INTEGER,
				   "measure a stream")) {
		return;
	}
	h->used_bytes += is_nil ? 0 : (uint64_t)reply->integer;
	h->cap_channel++;
	if (h->cap_channel < DIBAO_CHANNEL_COUNT) {
		cap_step(h);
	} else if (h->used_bytes > h->cap_bytes && log_limited("cap")) {
		log_text(LOG_ERR,
			 "the streams hold %llu bytes, over their cap of %llu: Redis will "
			 "refuse publishers at maxmemory. Raise maxmemory or shorten the retention",
			 (unsigned long long)h->used_bytes, (unsigned long long)h->cap_bytes);
	}
}

static void cap_step(struct housekeeping *h)
{
	const char *argv[] = {"MEMORY", "USAGE", h->stream_keys[h->cap_channel]};

	(void)housekeeping_send(h, JOB_CAP, on_usage, 3, argv);
}

/* ---- what was lost ---- */

static void on_lost(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct housekeeping *h = userdata;

	(void)l;
	if (housekeeping_answered(h, JOB_LOST, reply, REDIS_REPLY_INTEGER, "count what was lost")) {
		h->counters.n_lost = (uint64_t)reply->integer;
	}
}

static void ask_lost(struct housekeeping *h)
{
	const char *argv[] = {"XLEN", h->lost_key};

	(void)housekeeping_send(h, JOB_LOST, on_lost, 2, argv);
}

/* ---- the turn ---- */

/* What a daemon for boards leaves to the others. */
static void keep_queue(struct housekeeping *h)
{
	if (!h->busy[JOB_RELEASE]) {
		release(h);
	}
	if (!h->busy[JOB_UNHIDE]) {
		unhide_due(h);
	}
	if (h->tail_changed && !h->busy[JOB_TAIL]) {
		store_tail(h);
	}
	if (!h->busy[JOB_LOST]) {
		ask_lost(h);
	}
	if (h->n_turns % TRIM_TURNS == 1 && !h->busy[JOB_TRIM]) {
		trimming_start(h);
	}
	if (h->n_turns % TRIM_TURNS == 2 && h->cap_bytes > 0 && !h->busy[JOB_CAP]) {
		h->used_bytes = 0;
		h->cap_channel = 0;
		cap_step(h);
	}
}

static int on_turn(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct housekeeping *h = userdata;

	(void)source, (void)usec;
	wake_after(h, TURN_MS);
	if (!h->busy[JOB_CLOCK]) {
		ask_time(h);
	}
	/* What a long catch-up has left in the allocator's hands. Measured with 1,000 sessions: 20
	 * MiB, 2 ms. */
	if (h->n_turns % TRIM_TURNS == MEMORY_TURN) {
		(void)malloc_trim(0);
	}
	if (!config_is_for_boards(h->config)) {
		keep_queue(h);
	}
	h->n_turns++;
	return 0;
}

int housekeeping_new(struct housekeeping **ret, const struct housekeeping_options *opt)
{
	struct housekeeping *h = calloc(1, sizeof *h);
	int r;

	if (!h) {
		return -ENOMEM;
	}
	h->event = sd_event_ref(opt->event);
	h->link = opt->link;
	h->config = opt->config;
	h->clock = opt->clock;
	h->hidden = opt->hidden;
	h->schedule = opt->schedule;
	h->counters.next_due_ms = -1;
	r = queue_key(h->base, sizeof h->base, opt->bureau, "");
	if (r >= 0) {
		r = queue_key(h->lost_key, sizeof h->lost_key, opt->bureau, "lost");
	}
	for (int c = 0; r >= 0 && c < DIBAO_CHANNEL_COUNT; c++) {
		r = queue_key(h->stream_keys[c], sizeof h->stream_keys[c], opt->bureau,
			      dibao_channel_name((enum dibao_channel)c));
	}
	if (r >= 0) {
		r = sd_event_add_time(h->event, &h->timer, CLOCK_BOOTTIME, UINT64_MAX, 1000,
				      on_turn, h);
	}
	if (r >= 0) {
		r = sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
	}
	if (r < 0) {
		housekeeping_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

struct housekeeping *housekeeping_free(struct housekeeping *h)
{
	if (!h) {
		return NULL;
	}
	h->timer = sd_event_source_disable_unref(h->timer);
	h->is_freed = true;
	if (h->n_open == 0) {
		destroy(h);
	}
	return NULL;
}

void housekeeping_start(struct housekeeping *h, const struct entry_id tail[DIBAO_CHANNEL_COUNT])
{
	memcpy(h->tail, tail, sizeof h->tail);
	h->tail_changed = false;
	h->n_turns = 0;
	h->is_started = true;
	wake_after(h, 1);
}

void housekeeping_stop(struct housekeeping *h)
{
	h->is_started = false;
	(void)sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
}

void housekeeping_set_cap(struct housekeeping *h, uint64_t cap_bytes)
{
	h->cap_bytes = cap_bytes;
}

void housekeeping_tail(struct housekeeping *h, enum dibao_channel c, struct entry_id upto)
{
	if (entry_id_cmp(upto, h->tail[c]) > 0) {
		h->tail[c] = upto;
		h->tail_changed = true;
	}
}

void housekeeping_flush(struct housekeeping *h)
{
	if (h->tail_changed && !config_is_for_boards(h->config)) {
		store_tail(h);
		redis_link_flush(h->link);
	}
}

const struct housekeeping_counters *housekeeping_counters(const struct housekeeping *h)
{
	return &h->counters;
}
