/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for a condition in a test: the event loop of (f)->event turns until it holds; after
 * DEADLINE_MS, which the test defines, the test has failed. */
#ifndef UNIT_LOOP_H
#define UNIT_LOOP_H

#include <stdint.h>
#include <systemd/sd-event.h>
#include <time.h>

static inline int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

#define wait_until(f, condition)                                                                   \
	do {                                                                                       \
		int64_t end_ = now_ms() + DEADLINE_MS;                                             \
		while (!(condition)) {                                                             \
			if (now_ms() > end_) {                                                     \
				fail_msg("waited in vain for: %s", #condition);                    \
			}                                                                          \
			assert_true(sd_event_run((f)->event, 20 * 1000) >= 0);                     \
		}                                                                                  \
	} while (0)

#endif
