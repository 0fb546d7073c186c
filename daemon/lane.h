/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lanes: sessions with the same effective filter, so that what they want is chosen and encoded
 * once. An index (type, organisation prefix) -> lanes finds who wants an event by a few hash
 * look-ups, however many lanes there are; the prefix lengths in use bound the number of look-ups.
 *
 * A lane lives as long as it has a session. Lanes and sessions refer to each other by pointer; the
 * session's owner calls lane_leave() first.
 */
#ifndef DAEMON_LANE_H
#define DAEMON_LANE_H

#include "filter.h"
#include "history.h"

struct session;
struct lanes;

struct lane {
	struct filter filter;
	uint64_t serial; /* never used twice: names the lane in the cache of frames */
	unsigned n_sessions;
	/* Sessions at the tail of a channel; session->at[c].step is their place here. */
	struct {
		struct session **v; /* owned array of borrowed sessions */
		uint32_t n, cap;
	} in_step[DIBAO_CHANNEL_COUNT];
	/* Scratch of the batch being fanned out. */
	uint64_t mark;	  /* last record found for this lane */
	uint32_t *wanted; /* owned: records of the batch that this lane gets */
	uint32_t n_wanted, wanted_cap;
	struct lane *next_dirty;
	struct lane *prev, *next; /* all lanes */
};

int lanes_new(struct lanes **ret);
struct lanes *lanes_free(struct lanes *l); /* no session may be left */
unsigned lanes_count(const struct lanes *l);

/* The lane of this filter, made if there is none; counts one session more. -ENOMEM. */
int lanes_join(struct lanes *l, const struct filter *f, struct lane **ret);
/* One session less; frees the lane with its last. */
void lanes_leave(struct lanes *l, struct lane *lane);

/* Enter or leave a channel's list of those in step. -ENOMEM. Returns the place. */
int lane_step_add(struct lane *lane, enum dibao_channel c, struct session *s);
/* Returns the session that now stands at `place` instead, or NULL. */
struct session *lane_step_remove(struct lane *lane, enum dibao_channel c, uint32_t place);

/* For each record first..first+n of the segment, put its index into `wanted` of every lane that
 * gets something of it. Returns the list of lanes with something (next_dirty), each once. */
struct lane *lanes_route(struct lanes *l, const struct segment *s, uint32_t first, uint32_t n);

enum lane_want {
	LANE_NOTHING = 0,
	LANE_EVENT = 1,	    /* the event, in the lane's view */
	LANE_WITHDRAWN = 2, /* that the original is taken back */
};
/* What a lane gets of a record (a set of the above): the one decision that live and replay share.
 */
unsigned lane_wants(const struct lane *lane, const struct segment *s, const struct record *r);

#endif
