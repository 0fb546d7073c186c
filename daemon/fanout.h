/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From history to sessions: live frames to those in step, catch-up for those behind, position
 * frames for all.
 *
 * A session is on each channel either *in step* (its position is the tail, the lane sends to it) or
 * *behind* (it has a cursor of its own and is served from the run queue). It falls behind when it
 * has no credit or its socket is full; nothing is queued for it, only its cursor is kept. It joins
 * its lane in the turn in which its cursor reaches the tail, so nothing falls between.
 *
 * Fairness: a turn of catch-up takes its share (fanout_options.catchup_percent) of the time that
 * live sending took since the last one, at least 1 ms, at most 20 ms; a session sends at most
 * TURN_FRAMES in a row. -now channels go first. Who cannot go on for another reason than credit
 * (socket full, history being read) is looked at again after 10 ms.
 *
 * History to one session has a limit by the minute besides; who is over it is parked the same way.
 *
 * At every send the lease is held against CLOCK_BOOTTIME.
 */
#ifndef DAEMON_FANOUT_H
#define DAEMON_FANOUT_H

#include "frame.h"
#include "router.h"
#include "session.h"

struct fanout;

struct fanout_options {
	sd_event *event;
	struct router *router; /* borrowed, as all of these */
	struct history *history;
	struct lanes *lanes;
	const struct queue_clock *clock;
	struct frame_context encode;
	size_t budget_bytes;
	unsigned catchup_percent;
	void *userdata;
	/* Has this channel been read from Redis up to (nearly) now? Until then what is sent is
	 * marked as a replay: a subscriber without a place here takes a frame that is none for the
	 * word that it has all up to that frame's clock. NULL: always. */
	bool (*is_current)(enum dibao_channel c, void *userdata);
	/* The peer is gone. Called from inside any call of this module, also again for the same
	 * one: mark it ended, detach and free it later, in a turn of its own. */
	void (*on_gone)(struct session *s, void *userdata);
};

int fanout_new(struct fanout **ret, const struct fanout_options *opt);
struct fanout *fanout_free(struct fanout *f);
/* Bytes of history a minute to one session; 0 = no limit, as it begins. */
void fanout_set_replay(struct fanout *f, uint64_t a_minute);
void fanout_set_limits(struct fanout *f, size_t budget_bytes, unsigned catchup_percent);

/* n records of the segment, from first, are new at the tail of c, which stood at `before`. */
void fanout_live(struct fanout *f, enum dibao_channel c, const struct segment *s, uint32_t first,
		 uint32_t n, struct entry_id before);
/* Begin to serve: lane, attached channels and cursors are set. */
void fanout_attach(struct fanout *f, struct session *s);
void fanout_detach(struct fanout *f, struct session *s);
/* It may have credit, or its lease, again. */
void fanout_wake(struct fanout *f, struct session *s);
/* Position frames on all its channels. */
void fanout_beat(struct fanout *f, struct session *s);
/* History of a channel was loaded. */
void fanout_loaded(struct fanout *f);
/* Something was withdrawn: frames made before must not go out again. */
void fanout_forget_frames(struct fanout *f);
/* Stop sending events (drain); position frames and control messages still go. */
void fanout_stop(struct fanout *f);

struct fanout_counters {
	uint64_t n_frames, n_items, n_bytes, n_blocked, n_behind;
};
const struct fanout_counters *fanout_counters(const struct fanout *f);

#endif
