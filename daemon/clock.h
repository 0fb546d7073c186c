/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clocks: durations by CLOCK_BOOTTIME (it goes on in suspend), instants for people by
 * CLOCK_REALTIME, and the queue's time, which is Redis' TIME. No position in a stream ever comes
 * from one of them; but a client without a durable name starts again by the time it was last told,
 * so that time is the queue's, in which entries are numbered, and never one at which we had not yet
 * read: it stands still while Redis does not answer.
 */
#ifndef DAEMON_CLOCK_H
#define DAEMON_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t boottime_usec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static inline int64_t unix_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct queue_clock {
	int64_t heard_ms;    /* Redis' TIME; 0: not heard yet */
	uint64_t heard_usec; /* boot time at which that came */
};

enum { QUEUE_CLOCK_ON_MS = 1000 }; /* how far it goes on by itself after it was heard */

static inline void queue_clock_set(struct queue_clock *c, int64_t redis_ms)
{
	c->heard_ms = redis_ms;
	c->heard_usec = boottime_usec();
}

static inline int64_t queue_clock_ms(const struct queue_clock *c)
{
	uint64_t on_ms = (boottime_usec() - c->heard_usec) / 1000;

	return c->heard_ms + (int64_t)(on_ms < QUEUE_CLOCK_ON_MS ? on_ms : QUEUE_CLOCK_ON_MS);
}

#endif
