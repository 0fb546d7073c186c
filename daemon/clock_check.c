/* SPDX-License-Identifier: Apache-2.0 */
#include "clock_check.h"

struct clock_verdict clock_check(const struct clock_sample *s)
{
	struct clock_verdict v = {0};

	if (s->redis_ms < s->asked_ms) {
		v.skew_ms = s->redis_ms - s->asked_ms;
	} else if (s->redis_ms > s->answered_ms) {
		v.skew_ms = s->redis_ms - s->answered_ms;
	}
	if (v.skew_ms > CLOCK_SKEW_MAX_MS || v.skew_ms < -CLOCK_SKEW_MAX_MS) {
		v.faults |= CLOCK_FAULT_SKEW;
	}
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		/* An id may be as large as its 64 bits; the clock is not. */
		uint64_t top = s->top[c].ms > INT64_MAX ? INT64_MAX : s->top[c].ms;

		if ((int64_t)top > s->redis_ms && (int64_t)top - s->redis_ms > v.ahead_ms) {
			v.ahead_ms = (int64_t)top - s->redis_ms;
		}
	}
	if (v.ahead_ms > CLOCK_AHEAD_MAX_MS) {
		v.faults |= CLOCK_FAULT_AHEAD;
	}
	return v;
}
