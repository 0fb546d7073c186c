/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must be done in Redis now and then, over the main link:
 *  - release scheduled events when they are due (looked at each second, and at
 *    the due time of the next one known);
 *  - show again who was hidden until a time that is past, UNHIDE_STEP people a second;
 *  - persist the tail's place, at most once a second;
 *  - keep the queue's time and compare the clocks, each second; a fault is alarmed and stops
 * trimming;
 *  - count what was lost and nobody has seen to (the stream `lost`), each second;
 *  - trim by age, every minute, in steps of TRIM_STEP entries (retention.h);
 *  - alarm when the streams outgrow their cap. They are not trimmed for it:
 *    what is kept is owed to somebody. Publishers are refused by Redis at
 *    maxmemory, aloud.
 *
 * A daemon for boards (audience = public) asks for the time alone and leaves the rest to others.
 *
 * Each is a call of a function that any number of daemons may make at once.
 * While the link is down nothing is done; the next turn makes up for it.
 */
#ifndef DAEMON_HOUSEKEEPING_H
#define DAEMON_HOUSEKEEPING_H

#include "clock.h"
#include "clock_check.h"
#include "config.h"
#include "hidden.h"
#include "redis_link.h"
#include "schedule.h"

struct housekeeping;

struct housekeeping_options {
	sd_event *event;
	struct redis_link *link;
	const char *bureau;
	const struct config *config; /* borrowed, read at each turn: a reload needs no call */
	struct queue_clock *clock;   /* set at each turn; borrowed */
	const struct hidden *hidden; /* borrowed */
	struct schedule *schedule;   /* is told what was released; borrowed */
};

int housekeeping_new(struct housekeeping **ret, const struct housekeeping_options *opt);
/* The link may be freed before or after. */
struct housekeeping *housekeeping_free(struct housekeeping *h);

/* Start after the rollback check, with the tail's place; stop on a lost link or at the end. */
void housekeeping_start(struct housekeeping *h, const struct entry_id tail[DIBAO_CHANNEL_COUNT]);
void housekeeping_stop(struct housekeeping *h);
/* In force: redis_check_result.cap_bytes; 0 = none. */
void housekeeping_set_cap(struct housekeeping *h, uint64_t cap_bytes);

/* All up to here is wholly processed. Cheap; called for each batch. */
void housekeeping_tail(struct housekeeping *h, enum dibao_channel c, struct entry_id upto);
/* Persist the tail's place now (at stop). */
void housekeeping_flush(struct housekeeping *h);

struct housekeeping_counters {
	uint64_t n_released, n_trimmed, n_unhidden;
	struct clock_verdict clock;
	int64_t next_due_ms; /* Redis' clock; -1: nothing scheduled */
	uint64_t n_lost;     /* entries of `lost` that stand */
};
const struct housekeeping_counters *housekeeping_counters(const struct housekeeping *h);

#endif
