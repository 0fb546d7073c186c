/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this daemon knows of the schedule: which events wait for their time, and which of them were
 * cancelled before it. They stand in no channel, so no ring holds them; the tail reads what the
 * queue's functions tell of them (the stream `scheduling`), so that rollback.h can tell what a
 * Redis that came back with less has lost.
 *
 * Knows uids and times, not the events. Bounded: SCHEDULE_MAX events; with more the oldest known
 * are forgotten and counted, and what is then said to be lost is a floor. What is due by
 * schedule_released() has been sent: it is the ring's business, and goes first when room is needed.
 */
#ifndef DAEMON_SCHEDULE_H
#define DAEMON_SCHEDULE_H

#include "entry.h"
#include "redis_link.h"

enum { SCHEDULE_MAX = 10000 };

struct planned {
	struct entry_id id; /* of the entry that told of it: when it was scheduled */
	int64_t due_ms;
	bool is_cancelled;
	uint8_t uid_len;
	char uid[DIBAO_UID_MAX_BYTES];
};

/* An entry of `scheduling`. -EBADMSG: it is none, and *ret untouched. */
int planned_read(struct planned *ret, const redisReply *entry);

struct schedule;

int schedule_new(struct schedule **ret); /* 0, -ENOMEM */
struct schedule *schedule_free(struct schedule *s);
void schedule_clear(struct schedule *s); /* it will be told all anew */
/* Without memory for it, it counts as forgotten. */
void schedule_note(struct schedule *s, const struct planned *p);
/* All that is due up to here, by Redis' clock, was released. */
void schedule_released(struct schedule *s, int64_t upto_ms);

/* The known ones that wait, in the order in which they were told of. *i: 0 at first, moves on.
 * Borrowed until the next call that is given s without const. NULL: no more. */
const struct planned *schedule_next(const struct schedule *s, size_t *i);
uint64_t schedule_forgotten(const struct schedule *s); /* since the last schedule_clear() */

#endif
