/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The canary: proves at start, and again and again while the daemon runs, that nothing private gets
 * through to a board.
 *
 * Invented events of every private type, of an unknown one, a private award and a private promotion
 * are sent the whole way in memory: the check of an entry, the choice of lanes, the frame that a
 * board's session would be handed, for a board that may see more than any policy allows. Each of
 * these must stop it, and so must the public encoder on its own, asked directly. An award whose
 * internal fields are marked must come through without a trace of the mark; if it does not come
 * through at all the canary is blind, and that counts as a leak.
 *
 * It touches no socket, no Redis, no event of anybody. What a leak leads to is the caller's.
 */
#ifndef DAEMON_CANARY_H
#define DAEMON_CANARY_H

#include "config.h"

#include <systemd/sd-event.h>

struct canary;

struct canary_options {
	sd_event *event;
	const struct config *config; /* borrowed; canary_ms is read anew for each flight */
	void *userdata;
	/* Something got by. why: for people, holds nothing of an event. */
	void (*on_leak)(const char *why, void *userdata);
};

int canary_new(struct canary **ret, const struct canary_options *opt);
struct canary *canary_free(struct canary *c);

/* One flight now, and from now on one each canary_ms. 0; -EACCES something got by (on_leak was
 * called); or -errno, no memory. */
int canary_start(struct canary *c);

struct canary_counters {
	uint64_t n_flights;
	int64_t last_ms; /* Unix ms; 0 = none yet */
};
const struct canary_counters *canary_counters(const struct canary *c);

/* The flight itself. *ret_why (at least 120 bytes) says what got by where. 0, -EACCES, -ENOMEM. */
int canary_fly(char *ret_why, size_t cap);
/* The types that fly, for the test that looks whether one is missing; NULL behind the last. */
const char *canary_type(size_t i);

#endif
