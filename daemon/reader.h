/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads entries out of the streams: the live tail (XREAD BLOCK on a link of
 * its own, the next request on its way before the last reply is worked off)
 * and ranges for catch-up. Both check each entry the same way, so a replay
 * skips what the tail skipped: validity depends on the bytes alone.
 *
 * The tail also puts the streams right before it hands entries on: entries that no function
 * wrote are adopted (they move to the channel's end; doubles drop out, future ones go to the
 * schedule), bad ones go to quarantine. Calls of functions go over `main`; while their replies are
 * outstanding the entries after them wait, so the order is kept; at most two batches are held.
 *
 * Beside the channels it reads what is told of the schedule, from the first that is kept on, each
 * time it starts.
 *
 * A reader of public channels alone (a daemon for boards) puts nothing right: what no function
 * wrote, and what is bad, it passes over. Another daemon adopts it, and then it comes again.
 */
#ifndef DAEMON_READER_H
#define DAEMON_READER_H

#include "entry.h"
#include "redis_link.h"
#include "schedule.h"

struct reader;

struct reader_options {
	sd_event *event;
	const char *bureau;
	bool public_only;
	struct redis_link *tail_link; /* arena; used by the tail alone */
	struct redis_link *main_link;
	struct redis_link *range_link; /* arena; used by ranges alone */
	void *userdata;
	/* New valid entries of one channel in order, 0..n. `upto`: all up to it has been wholly
	 * processed (hidden or bad entries included), so positions may move there. */
	void (*on_entries)(struct reader *r, enum dibao_channel c, const struct entry *entries,
			   size_t n, struct entry_id upto, void *userdata);
	/* The schedule took in an event, or gave one up. NULL: that is not read, and neither by a
	 * reader of public channels. */
	void (*on_planned)(struct reader *r, const struct planned *p, void *userdata);
	/* Of some channel reader_is_current() was false, and is true of all. May be NULL. */
	void (*on_current)(struct reader *r, void *userdata);
};

/* The links outlive the reader or are freed before it, in either order. */
int reader_new(struct reader **ret, const struct reader_options *opt);
/* Not from inside a callback of its own. Ranges on their way are not answered any more. */
struct reader *reader_free(struct reader *r);
/* Start (or restart after a reconnect) the tail after these ids, exclusive. What was held or on its
 * way is void. -ENOTCONN: the tail link is down; when it goes down later, the tail waits until it
 * is started again. */
int reader_start(struct reader *r, const struct entry_id after[DIBAO_CHANNEL_COUNT]);
void reader_stop(struct reader *r); /* no more on_entries until started */
/* Has all that was published in it until one and a half seconds ago been handed on? */
bool reader_is_current(const struct reader *r, enum dibao_channel c);

/* The answer is there, its entries not yet checked: it covers up to `end`. The time to ask for what
 * follows, so that Redis works while we do. */
typedef void (*reader_range_end_fn)(enum dibao_channel c, struct entry_id end, void *userdata);

/* Entries of (after, upto], at most `count` raw ones. n valid entries; `end`: everything up to it
 * is covered (the last raw id, or upto when the range is exhausted). err: 0 or negative errno (then
 * n = 0): -ENOTCONN, -EIO (Redis refused; logged). A reply that is too large is asked for again in
 * smaller parts, so `end` may come sooner than `count`; count is at most 4096. Entries are borrowed
 * for the callback. */
typedef void (*reader_range_fn)(enum dibao_channel c, const struct entry *entries, size_t n,
				struct entry_id end, int err, void *userdata);
int reader_range(struct reader *r, enum dibao_channel c, struct entry_id after,
		 struct entry_id upto, unsigned count, reader_range_end_fn early,
		 reader_range_fn fn, void *userdata);

struct reader_counters {
	uint64_t n_entries, n_bytes, n_adopted, n_repeats, n_quarantined, n_unknown_keys;
};
const struct reader_counters *reader_counters(const struct reader *r);

#endif
