/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An endless, moderate stream of events, a line at a time: all five types in
 * every round of eight, so that at three seconds an event a viewer has seen
 * each within half a minute; proposals that become final a round later, and now
 * and then an event taken back or corrected.
 */
#ifndef SEEDS_STREAM_H
#define SEEDS_STREAM_H

#include "events.h"

#include <stdio.h>

struct stream_options {
	int64_t interval_ms; /* between two events; 0 = as fast as they are read */
	bool start_now;	     /* `at` is the clock; else from 1 January on, and deterministic */
	uint64_t count;	     /* 0 = endless */
};

/* 0 after `count` events, -EPIPE when the reader went away, -EINTR on a signal, -EINVAL. */
int stream_print(struct maker *m, const struct stream_options *o, FILE *f);

#endif
