/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The public feed: a plain ZeroMQ PUB endpoint for small scripts. Topic `award.320508530000` and
 * the public view; `withdrawn.award.320508530000` and {pid} for what is taken back. It carries what
 * the public encoder makes and nothing else, whoever asks.
 *
 * Lossy by its nature: who connects late or reads slowly misses events and is not told.
 *
 * Bounds: per subscriber FEED_HWM messages, then the newest are dropped for that one; of distinct
 * topics subscribed to FEED_TOPICS_MAX, beyond which somebody is filling our memory: the socket is
 * made anew, all connect again, and what was on its way is lost.
 */
#ifndef DAEMON_FEED_H
#define DAEMON_FEED_H

#include "frame.h"

#include <dibao/view.h>

#include <systemd/sd-event.h>

enum { FEED_HWM = 1000, FEED_TOPICS_MAX = 10000 };

struct feed;

struct feed_options {
	sd_event *event;
	void *context;	      /* ZeroMQ's, borrowed, as all of these */
	const char *endpoint; /* tcp or ipc */
	const struct frame_context *encode;
	bool mask_names;
};

/* Bound when it returns 0; else -errno, ZeroMQ's numbers among them. */
int feed_new(struct feed **ret, const struct feed_options *opt);
struct feed *feed_free(struct feed *f);

/* n records of the segment, from first, are new at the tail of c. */
void feed_live(struct feed *f, enum dibao_channel c, const struct segment *s, uint32_t first,
	       uint32_t n);

struct feed_counters {
	uint64_t n_sent, n_reopened;
	unsigned n_topics;
};
const struct feed_counters *feed_counters(const struct feed *f);

#endif
