/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backlog: in memory, what the outbox has open, and what is due next. Redis has the truth; this
 * is its index, built anew at each take-over, without texts, numbers or the events' bytes.
 *
 * An item waits in at most one of three heaps: the urgent lane, the bulk lane, or the timers (sent,
 * and waiting for a receipt until then); or in its batch, for a release; or in none while something
 * is under way for it. Within a lane the order is by due time, then by arrival.
 *
 * Bounded by the caller: at so many as the option `backlog` says nothing more is taken over from
 * the daemon.
 */
#ifndef SMS_BACKLOG_H
#define SMS_BACKLOG_H

#include "notice.h"

#include <dibao/event.h>

enum { BACKLOG_BADGE_MAX = 20 };

enum lane { LANE_URGENT, LANE_BULK, LANE_TIMERS, LANES, LANE_NONE = LANES };

struct batch;
struct news;

struct item {
	struct item *next; /* in the table */
	struct item *batch_next, **batch_prev;
	struct batch *batch; /* borrowed; NULL: of none; see batches_join() */
	struct news *news;   /* owned by news.c: receipts that came while something was under way */
	int64_t due_ms, at_ms, deadline_ms;
	uint64_t seq;
	uint32_t place; /* in its heap */
	uint16_t attempt;
	uint8_t where; /* enum lane: which heap; LANE_NONE: in none */
	uint8_t lane;  /* LANE_URGENT or LANE_BULK */
	uint8_t state; /* enum notice_state, as last written or being written */
	uint8_t gateway;
	uint8_t refused; /* gateway_bit()s of those that will not have its text; in the row too */
	uint8_t later;	 /* of those that said: later */
	int8_t type;
	bool busy;	/* a step is being written, or its text is being made */
	bool in_batch;	/* waits in its batch's list */
	bool is_handed; /* its text is at a driver, which has not answered */
	char badge[BACKLOG_BADGE_MAX + 1];
	uint8_t uid_len;
	char uid[]; /* NUL-terminated */
};

struct backlog;
struct backlog *backlog_new(void); /* NULL: no memory */
/* With all its items, which must have no news. Returns NULL. */
struct backlog *backlog_free(struct backlog *b);
/* NULL: no memory, or it is there already. Waits nowhere. */
struct item *backlog_add(struct backlog *b, const char *uid, size_t uid_len);
struct item *backlog_find(const struct backlog *b, const char *uid, size_t uid_len);
/* Out of its heap, freed. Not while it waits in its batch. */
void backlog_remove(struct backlog *b, struct item *i);
/* Waits in that heap from now on, and in no other. -ENOMEM. */
int backlog_wait(struct backlog *b, struct item *i, enum lane where, int64_t due_ms);
/* Waits nowhere. */
void backlog_unwait(struct backlog *b, struct item *i);
/* The first of a lane, if it is due; NULL. It stays there. */
struct item *backlog_due(const struct backlog *b, enum lane lane, int64_t now_ms);
/* When the next of a lane is due; INT64_MAX. */
int64_t backlog_next_ms(const struct backlog *b, enum lane lane);
size_t backlog_count(const struct backlog *b);
size_t backlog_waiting(const struct backlog *b, enum lane lane);
/* All items, in no order; f may remove the one it is given. */
void backlog_each(struct backlog *b, void (*f)(struct item *i, void *userdata), void *userdata);

#endif
