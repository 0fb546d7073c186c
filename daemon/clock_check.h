/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Do the clocks agree well enough to trim by age? Pure decisions, from one
 * sample. No position ever comes from a clock; but schedule, expiry and
 * retention go by Redis' TIME, and a clock that jumped ahead would trim what is
 * young. A finding is alarmed and stops trimming until a sample is clean.
 */
#ifndef DAEMON_CLOCK_CHECK_H
#define DAEMON_CLOCK_CHECK_H

#include "entry.h"

enum {
	CLOCK_SKEW_MAX_MS = 1000,  /* daemon against Redis */
	CLOCK_AHEAD_MAX_MS = 5000, /* newest id against Redis' TIME */
};

enum clock_fault {
	CLOCK_FAULT_SKEW = 1u << 0,
	CLOCK_FAULT_AHEAD = 1u << 1,
};

struct clock_sample {
	int64_t asked_ms, answered_ms; /* daemon's clock before and after asking; Unix ms */
	int64_t redis_ms;	       /* TIME */
	struct entry_id top[DIBAO_CHANNEL_COUNT];
};

struct clock_verdict {
	unsigned faults;  /* enum clock_fault */
	int64_t skew_ms;  /* Redis minus daemon, the way there and back left out; 0 if within */
	int64_t ahead_ms; /* newest id minus TIME, 0 if not ahead */
};

/* The delay of the answer is never taken for skew: Redis' time must lie outside of
 * [asked, answered] by more than the limit. */
struct clock_verdict clock_check(const struct clock_sample *s);

#endif
