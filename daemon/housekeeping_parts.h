/* SPDX-License-Identifier: Apache-2.0 */
/* What housekeeping.c and trimming.c share. Nobody else includes this. */
#ifndef DAEMON_HOUSEKEEPING_PARTS_H
#define DAEMON_HOUSEKEEPING_PARTS_H

#include "housekeeping.h"
#include "queue.h"

enum job { JOB_RELEASE, JOB_UNHIDE, JOB_TAIL, JOB_CLOCK, JOB_TRIM, JOB_CAP, JOB_LOST, JOB_COUNT };

struct holder {
	char *name; /* owned */
	uint64_t hold_ms;
	struct entry_id cursors[DIBAO_CHANNEL_COUNT];
	bool has_cursors;
	bool is_board; /* gets public channels alone */
};

struct housekeeping {
	sd_event *event;
	struct redis_link *link;
	const struct config *config;
	struct queue_clock *clock;
	const struct hidden *hidden;
	struct schedule *schedule;
	char base[QUEUE_KEY_MAX], lost_key[QUEUE_KEY_MAX];
	char stream_keys[DIBAO_CHANNEL_COUNT][QUEUE_KEY_MAX];
	sd_event_source *timer;
	bool is_started, is_freed;
	bool busy[JOB_COUNT]; /* a command of this job is open */
	unsigned n_open;
	uint64_t n_turns;

	struct entry_id tail[DIBAO_CHANNEL_COUNT];
	bool tail_changed;
	int64_t clock_asked_ms;

	struct holder *holders;
	size_t n_holders;
	int64_t trim_now_ms;
	int trim_channel;

	uint64_t cap_bytes, used_bytes;
	int cap_channel;
	struct housekeeping_counters counters;
};

/* ---- housekeeping.c ---- */

/* 0, or negative errno and fn is not called. */
int housekeeping_send(struct housekeeping *h, enum job job, redis_reply_fn fn, int argc,
		      const char *const *argv);
/* First thing in each answer. False: there is nothing to go on with, perhaps no h any more. */
bool housekeeping_answered(struct housekeeping *h, enum job job, const redisReply *reply, int type,
			   const char *what);
/* `n` numbers, as integers or as text. */
bool housekeeping_numbers(const redisReply *reply, size_t n, int64_t *ret);

/* ---- trimming.c ---- */

void trimming_start(struct housekeeping *h);
void trimming_forget(struct housekeeping *h); /* who holds what */

#endif
