/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The uids of events that were retracted or corrected, as a set of keyed 64-bit hashes: asked when
 * a frame is encoded, so that a replay never shows a board what was taken back. Filled from Redis'
 * `withdrawn` at start and from the tail after.
 *
 * 8 bytes a member in an open table at most half full; withdrawals are about one event in a hundred
 * and leave by retention, when the set is loaded anew. A false hit would hide one event from boards
 * with probability members / 2^64 each.
 */
#ifndef DAEMON_WITHDRAWN_H
#define DAEMON_WITHDRAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct withdrawn {
	uint64_t *slots; /* owned; 0 = empty */
	size_t n, cap;
	uint8_t key[16];
};

int withdrawn_init(struct withdrawn *w); /* -ENOMEM */
void withdrawn_done(struct withdrawn *w);
/* The hash under which a uid is kept; never 0. */
uint64_t withdrawn_hash(const struct withdrawn *w, const char *uid, size_t len);
int withdrawn_add(struct withdrawn *w, uint64_t hash); /* 0, -ENOMEM */
bool withdrawn_has(const struct withdrawn *w, uint64_t hash);
void withdrawn_clear(struct withdrawn *w);

#endif
