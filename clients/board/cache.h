/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wall on disk: an SQLite file in WAL mode, so that the last content hangs again after a power
 * cut and without a network.
 *
 * It holds what the wall holds and nothing else: views, when they were published and shown, the
 * time, and of which organisations it is (of others: begun anew). A view is kept with its hash, and
 * one that does not fit it is left out: what stands on the wall is what was received, or nothing.
 *
 * While the process runs the file is its alone: who else would open it is told that it is locked.
 *
 * A file that is damaged is moved to FILE.damaged (the one before it goes), logged, and begun anew.
 * A disk that is full or gone costs nothing but the cache: the board goes on from memory, says so,
 * and makes the file what the wall is when the disk takes it again. What is on a full disk hangs
 * after a start like any other.
 *
 * Losing the last seconds at a power cut does no harm, for the daemon is asked for everything at
 * each start: so no sync at each commit.
 */
#ifndef BOARD_CACHE_H
#define BOARD_CACHE_H

#include "trust.h"
#include "wall.h"

struct cache;

/* path "" = none: all that follows does nothing. Never fails for the file's sake. -ENOMEM. */
int cache_new(struct cache **ret, const char *path, const char *areas);
struct cache *cache_free(struct cache *c);

/* Puts all it has on the wall, and the time into *ret. Returns how many; is_known: the wall was
 * whole when it was noted, up to note's heartbeat. */
unsigned cache_load(struct cache *c, struct wall *w, struct trust_note *ret,
		    enum item_area *ret_known);

/* The wall's on_removed. */
void cache_removed(struct cache *c, const uint8_t pid[DIBAO_PID_BYTES]);
/* Writes what of the wall is not stored yet (item.is_stored), and the time. */
void cache_write(struct cache *c, const struct wall *w, const struct trust_note *n,
		 enum item_area known);

/* "ok", "none" or what is wrong; borrowed. */
const char *cache_state(const struct cache *c);

#endif
