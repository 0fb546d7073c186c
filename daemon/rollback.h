/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redis came back with less: find out, and put back what we still hold.
 *
 * Run on every connection whose run id or role changed, while the tail stands still. Per channel
 * the stream is compared with the ring, from the ring's oldest id to our tail, by id and bytes:
 *
 *   in the ring, not in the stream       lost by Redis: published again (new id, same uid)
 *   in the stream, not in the ring       came in while we were away, at or below our place, where
 * the tail would never look: appended again the same id, other bytes             both
 *
 * Of the schedule (schedule.h), which stands in no stream, the uids are known and the bytes are
 * not: what Redis does not know any more must be published again by those who did, and is recorded
 * and alarmed; what had been cancelled and stands there again is cancelled again.
 *
 * The stream's last id is raised to our tail first, so that nothing new lands below it. Any
 * difference raises the epoch by compare-and-set. What Redis lost from before the ring begins is
 * gone: it is recorded in `lost` and alarmed. All calls are idempotent, so several daemons may heal
 * at once and a broken run is simply run again.
 */
#ifndef DAEMON_ROLLBACK_H
#define DAEMON_ROLLBACK_H

#include "history.h"
#include "redis_link.h"
#include "schedule.h"

struct rollback_result {
	int err; /* 0, or the run broke off: run it again */
	uint64_t n_republished, n_reappended;
	uint64_t n_conflicts; /* its uid had come again with other bytes: in the quarantine */
	uint64_t epoch;	      /* as it now is */
	bool changed;	      /* something was put right, by this run or the broken one before it */
	unsigned n_lost_ranges;
	uint64_t n_unscheduled, n_recancelled;
	/* The highest id that a healed event got, by us or another: frames up to it may hold
	 * repeats. */
	struct entry_id healed[DIBAO_CHANNEL_COUNT];
};

struct rollback_options {
	struct redis_link *main;
	struct reader *reader;
	struct history *history;
	const struct schedule
		*schedule; /* NULL: of none is known. Unchanged until done is called */
	const char *base;
	uint64_t epoch;
	bool changed; /* by the run before, which broke off: the epoch is still to be raised */
	void *userdata;
	void (*done)(const struct rollback_result *r, void *userdata);
};

/* done is called once, at once if Redis is away. -ENOMEM: it will not be. */
int rollback_run(const struct rollback_options *opt);

#endif
