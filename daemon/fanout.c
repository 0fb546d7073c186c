/* SPDX-License-Identifier: Apache-2.0 */
#include "fanout.h"
#include "clock.h"
#include "framecache.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

enum {
	TURN_FRAMES = 4, /* of one session in a row, per channel */
	TURN_MIN_USEC = 1000,
	TURN_MAX_USEC = 20000,
	SCAN_RECORDS = 4096, /* looked at for one frame */
	PARK_USEC = 10000,
	TOKENS = 256,
	/* While the budget is short. What one frame costs to send and to take is 15 to 20 us on
	 * either side whatever its size (measured: 64 KiB 2.3 times a bare PUB/SUB's rate, 256
	 * KiB 3.7), but a thousand clients that don't read hold one each. */
	SHORT_FRAME_BYTES = 64 * 1024,
};

struct fanout {
	struct fanout_options opt;
	struct framecache *cache;
	sd_event_source *turn, *park_timer;
	struct session *queue_first, *queue_last; /* run queue */
	struct session *parked;
	unsigned n_sessions;
	uint64_t live_usec; /* spent on live sending since the last turn */
	bool stopped;
	uint64_t replay_a_minute;
	uint64_t tokens[TOKENS];
	unsigned n_tokens;
	struct fanout_counters counters;
};

/* -now channels first. */
static const enum dibao_channel order[DIBAO_CHANNEL_COUNT] = {
	DIBAO_CHANNEL_PRIVATE_NOW,
	DIBAO_CHANNEL_PUBLIC_NOW,
	DIBAO_CHANNEL_PRIVATE,
	DIBAO_CHANNEL_PUBLIC,
};

static uint64_t next_token(struct fanout *f)
{
	if (!f->n_tokens) {
		randombytes_buf(f->tokens, sizeof f->tokens);
		f->n_tokens = TOKENS;
	}
	return f->tokens[--f->n_tokens];
}

static bool budget_is_short(const struct fanout *f)
{
	return frame_live_bytes() >= f->opt.budget_bytes / 2;
}

/* While half of the budget is free every session has its whole window; then its share. */
static uint32_t share(const struct fanout *f)
{
	size_t each;

	if (!budget_is_short(f))
		return UINT32_MAX;
	each = f->opt.budget_bytes / (f->n_sessions ? f->n_sessions : 1);
	return each < SHORT_FRAME_BYTES ? SHORT_FRAME_BYTES
	       : each > UINT32_MAX	? UINT32_MAX
					: (uint32_t)each;
}

static const struct frame_context *encoding(struct fanout *f)
{
	f->opt.encode.max_bytes = budget_is_short(f) ? SHORT_FRAME_BYTES : WIRE_PAYLOAD_MAX;
	return &f->opt.encode;
}

/* 0 sent; -EDQUOT no credit, -EAGAIN socket full, -ESTALE the lease or the grant is over,
 * -EHOSTUNREACH gone. */
static int send_frame(struct fanout *f, struct session *s, enum dibao_channel c,
		      struct frame *frame, uint8_t flags)
{
	uint8_t header[WIRE_HEADER_BYTES];
	struct wire_data d = {
		.flags = flags,
		.channel = (uint8_t)c,
		.count = frame->count,
		.clock_ms = (uint64_t)queue_clock_ms(f->opt.clock),
	};
	int r;

	if (s->state != SESSION_ACTIVE)
		return -EHOSTUNREACH;
	if (s->durable[0] && boottime_usec() > s->lease_until_usec)
		return -ESTALE;
	if ((int64_t)d.clock_ms >= s->expires_ms)
		return -ESTALE; /* the tick ends it */
	if (frame->count && !session_has_credit(s, c, frame->bytes, share(f)))
		return -EDQUOT;
	/* Withdrawals are counted and do not wait. */
	if (s->rate && frame->count && !session_has_rate(s, boottime_usec()) && !channel_is_now(c))
		return -EAGAIN;
	if (frame->count && flags & WIRE_DATA_REPLAY && !channel_is_now(c) &&
	    !session_has_replay(s, f->replay_a_minute, boottime_usec()))
		return -EAGAIN;
	if (entry_id_cmp(frame->after, s->at[c].repeats) < 0)
		d.flags |= WIRE_DATA_MAY_REPEAT;
	if (f->opt.is_current && !f->opt.is_current(c, f->opt.userdata))
		d.flags |= WIRE_DATA_REPLAY;
	d.token = next_token(f);
	r = session_flight_add(s, c, d.token, frame->end, frame->bytes, &d.number);
	if (r < 0)
		return r == -ENOBUFS ? -EDQUOT : -EAGAIN;
	wire_data_pack(header, &d);
	r = router_send(f->opt.router, s->routing_id, header, sizeof header,
			frame->count ? &frame->msg : NULL);
	if (r < 0) {
		session_flight_undo(s, c);
		f->counters.n_blocked += r == -EAGAIN;
		return r == -EAGAIN ? r : -EHOSTUNREACH;
	}
	if (frame->count && flags & WIRE_DATA_REPLAY)
		session_spend_replay(s, f->replay_a_minute, frame->bytes, boottime_usec());
	s->n_frames++;
	s->n_sent += frame->count;
	s->rate_left -= s->rate ? frame->count : 0;
	f->counters.n_frames++;
	f->counters.n_items += frame->count;
	f->counters.n_bytes += frame->bytes;
	return 0;
}

static void enqueue(struct fanout *f, struct session *s)
{
	if (s->queued)
		return;
	s->queued = true;
	s->queue_next = NULL;
	*(f->queue_last ? &f->queue_last->queue_next : &f->queue_first) = s;
	f->queue_last = s;
	sd_event_source_set_enabled(f->turn, SD_EVENT_ONESHOT);
}

static void park(struct fanout *f, struct session *s)
{
	if (s->blocked)
		return;
	s->blocked = true;
	s->blocked_next = f->parked;
	if (!f->parked) {
		sd_event_source_set_time_relative(f->park_timer, PARK_USEC);
		sd_event_source_set_enabled(f->park_timer, SD_EVENT_ONESHOT);
	}
	f->parked = s;
}

static void unpark_all(struct fanout *f)
{
	struct session *s = f->parked;

	f->parked = NULL;
	while (s) {
		struct session *next = s->blocked_next;

		s->blocked = false;
		enqueue(f, s);
		s = next;
	}
}

static int on_park_timer(sd_event_source *src, uint64_t usec, void *userdata)
{
	(void)src;
	(void)usec;
	unpark_all(userdata);
	return 0;
}

static void leave_step(struct session *s, enum dibao_channel c, struct entry_id cursor)
{
	struct session *moved;

	if (!s->at[c].in_step)
		return;
	moved = lane_step_remove(s->lane, c, s->at[c].step);
	if (moved)
		moved->at[c].step = s->at[c].step;
	s->at[c].in_step = false;
	s->at[c].cursor = cursor;
}

/* False: no memory for the lane's list; it stays behind and is looked at again. */
static bool join_step(struct session *s, enum dibao_channel c)
{
	int place = lane_step_add(s->lane, c, s);

	if (place < 0)
		return false;
	s->at[c].in_step = true;
	s->at[c].step = (uint32_t)place;
	return true;
}

/* What follows a send that did not go: the session is behind at `cursor`. */
static void fell_behind(struct fanout *f, struct session *s, enum dibao_channel c,
			struct entry_id cursor, int err)
{
	leave_step(s, c, cursor);
	f->counters.n_behind++;
	if (err == -EHOSTUNREACH)
		f->opt.on_gone(s, f->opt.userdata);
	else if (err == -EAGAIN)
		park(f, s);
	/* -EDQUOT: its next ACK wakes it. -ESTALE: its lease's renewal does. */
}

static void send_in_step(struct fanout *f, struct lane *lane, enum dibao_channel c,
			 struct frame *frame)
{
	/* From the end, for a session that falls behind leaves its place to the last one. */
	for (uint32_t i = lane->in_step[c].n; i-- > 0;) {
		struct session *s = lane->in_step[c].v[i];
		int r = send_frame(f, s, c, frame, 0);

		if (r < 0)
			fell_behind(f, s, c, frame->after, r);
	}
}

static void all_fall_behind(struct fanout *f, struct lane *lane, enum dibao_channel c,
			    struct entry_id at)
{
	while (lane->in_step[c].n)
		fell_behind(f, lane->in_step[c].v[lane->in_step[c].n - 1], c, at, -EAGAIN);
}

static void live_lane(struct fanout *f, struct lane *lane, enum dibao_channel c,
		      const struct segment *s, struct entry_id before)
{
	for (uint32_t i = 0, n; i < lane->n_wanted && lane->in_step[c].n; i += n) {
		struct frame frame, *kept;

		if (frame_encode_list(&frame, encoding(f), lane, s, lane->wanted + i,
				      lane->n_wanted - i, &n) < 0) {
			all_fall_behind(f, lane, c, before);
			return;
		}
		frame.after = before;
		frame.end =
			i + n == lane->n_wanted ? s->to : s->records[lane->wanted[i + n - 1]].id;
		before = frame.end;
		kept = framecache_put(f->cache, lane, c, &frame);
		if (kept->count)
			send_in_step(f, lane, c, kept);
	}
}

void fanout_live(struct fanout *f, enum dibao_channel c, const struct segment *s, uint32_t first,
		 uint32_t n, struct entry_id before)
{
	uint64_t start = boottime_usec();
	struct lane *lane = lanes_route(f->opt.lanes, s, first, n);

	while (lane) {
		struct lane *next = lane->next_dirty;

		if (!f->stopped)
			live_lane(f, lane, c, s, before);
		lane->n_wanted = 0;
		lane = next;
	}
	f->live_usec += boottime_usec() - start;
}

/* The frame that follows the session's cursor, out of the cache or made now. */
static enum history_found frame_after(struct fanout *f, struct session *s, enum dibao_channel c,
				      struct frame **ret)
{
	struct entry_id cursor = s->at[c].cursor;
	struct segment *seg;
	uint32_t first, next;
	struct frame made;
	enum history_found found;

	*ret = framecache_get(f->cache, s->lane, c, cursor);
	if (*ret)
		return HISTORY_HERE;
	found = history_find(f->opt.history, c, cursor, &seg, &first);
	if (found != HISTORY_HERE)
		return found;
	if (frame_encode(&made, encoding(f), s->lane, seg, first, SCAN_RECORDS, cursor, &next) < 0)
		return HISTORY_DOWN;
	*ret = framecache_put(f->cache, s->lane, c, &made);
	return HISTORY_HERE;
}

static void send_position(struct fanout *f, struct session *s, enum dibao_channel c)
{
	struct session_channel *at = &s->at[c];
	struct entry_id pos = at->in_step ? history_tail(f->opt.history, c) : at->cursor;
	struct frame position = {.after = pos, .end = pos};

	if (at->n > SESSION_FLIGHTS_MAX / 2)
		return;
	/* Who is told of no replay has all that was before. */
	if (send_frame(f, s, c, &position, at->in_step ? 0 : WIRE_DATA_REPLAY) == -EHOSTUNREACH)
		f->opt.on_gone(s, f->opt.userdata);
}

/* Catch up on one channel: true when there is more to do right now. */
static bool catch_up(struct fanout *f, struct session *s, enum dibao_channel c)
{
	for (int i = 0; i < TURN_FRAMES; i++) {
		struct frame *frame;
		int r;

		switch (frame_after(f, s, c, &frame)) {
		case HISTORY_AT_TAIL:
			if (!join_step(s, c))
				park(f, s);
			else
				send_position(f, s, c); /* it waits for this word to show things */
			return false;
		case HISTORY_WAIT:
		case HISTORY_DOWN:
			park(f, s);
			return false;
		case HISTORY_HERE:
			break;
		}
		r = frame->count ? send_frame(f, s, c, frame, WIRE_DATA_REPLAY) : 0;
		if (r < 0) {
			fell_behind(f, s, c, s->at[c].cursor, r);
			return false;
		}
		s->at[c].cursor = frame->end;
	}
	return true;
}

static void run_session(struct fanout *f, struct session *s)
{
	bool more = false;

	for (int i = 0; i < DIBAO_CHANNEL_COUNT && s->state == SESSION_ACTIVE; i++) {
		struct session_channel *at = &s->at[order[i]];

		if (at->attached && !at->in_step)
			more |= catch_up(f, s, order[i]);
	}
	if (more && s->state == SESSION_ACTIVE)
		enqueue(f, s);
}

static int on_turn(sd_event_source *src, void *userdata)
{
	struct fanout *f = userdata;
	unsigned pct = f->opt.catchup_percent;
	uint64_t budget = f->live_usec * pct / (100 - pct), start = boottime_usec();

	budget = budget < TURN_MIN_USEC	  ? TURN_MIN_USEC
		 : budget > TURN_MAX_USEC ? TURN_MAX_USEC
					  : budget;
	f->live_usec = 0;
	while (f->queue_first && !f->stopped) {
		struct session *s = f->queue_first;

		f->queue_first = s->queue_next;
		if (!f->queue_first)
			f->queue_last = NULL;
		s->queued = false;
		run_session(f, s);
		if (boottime_usec() - start >= budget)
			break;
	}
	if (f->queue_first && !f->stopped)
		sd_event_source_set_enabled(src, SD_EVENT_ONESHOT);
	return 0;
}

int fanout_new(struct fanout **ret, const struct fanout_options *opt)
{
	struct fanout *f = calloc(1, sizeof *f);
	int r;

	if (!f)
		return -ENOMEM;
	f->opt = *opt;
	r = framecache_new(&f->cache);
	if (r == 0)
		r = sd_event_add_defer(opt->event, &f->turn, on_turn, f);
	if (r >= 0)
		r = sd_event_source_set_enabled(f->turn, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time_relative(opt->event, &f->park_timer, CLOCK_MONOTONIC,
					       PARK_USEC, 500, on_park_timer, f);
	if (r >= 0)
		r = sd_event_source_set_enabled(f->park_timer, SD_EVENT_OFF);
	if (r < 0) {
		fanout_free(f);
		return r;
	}
	*ret = f;
	return 0;
}

struct fanout *fanout_free(struct fanout *f)
{
	if (!f)
		return NULL;
	sd_event_source_disable_unref(f->turn);
	sd_event_source_disable_unref(f->park_timer);
	framecache_free(f->cache);
	free(f);
	return NULL;
}

void fanout_set_replay(struct fanout *f, uint64_t a_minute)
{
	f->replay_a_minute = a_minute;
}

void fanout_set_limits(struct fanout *f, size_t budget_bytes, unsigned catchup_percent)
{
	f->opt.budget_bytes = budget_bytes;
	f->opt.catchup_percent = catchup_percent;
}

void fanout_attach(struct fanout *f, struct session *s)
{
	f->n_sessions++;
	enqueue(f, s);
}

void fanout_detach(struct fanout *f, struct session *s)
{
	struct session *last = NULL;

	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		leave_step(s, c, s->at[c].cursor);
	for (struct session **at = &f->queue_first; s->queued && *at;
	     last = *at, at = &(*at)->queue_next)
		if (*at == s) {
			*at = s->queue_next;
			if (f->queue_last == s)
				f->queue_last = last;
			break;
		}
	for (struct session **at = &f->parked; s->blocked && *at; at = &(*at)->blocked_next)
		if (*at == s) {
			*at = s->blocked_next;
			break;
		}
	s->queued = s->blocked = false;
	f->n_sessions--;
}

void fanout_wake(struct fanout *f, struct session *s)
{
	if (s->blocked)
		return;
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		if (s->at[c].attached && !s->at[c].in_step) {
			enqueue(f, s);
			return;
		}
}

void fanout_beat(struct fanout *f, struct session *s)
{
	for (int c = 0; c < DIBAO_CHANNEL_COUNT && s->state == SESSION_ACTIVE; c++)
		if (s->at[c].attached)
			send_position(f, s, c);
}

void fanout_loaded(struct fanout *f)
{
	unpark_all(f);
}

void fanout_forget_frames(struct fanout *f)
{
	framecache_clear(f->cache);
}

void fanout_stop(struct fanout *f)
{
	f->stopped = true;
}

const struct fanout_counters *fanout_counters(const struct fanout *f)
{
	return &f->counters;
}
