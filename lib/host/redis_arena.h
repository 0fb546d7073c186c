/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies of streams, parsed into one block of memory that is taken back as a
 * whole: an XREAD of 500 entries is some 4,000 objects, which hiredis would
 * malloc and free one by one.
 *
 * It also bounds them. Anyone with rights on a stream may XADD entries of any
 * size and number of fields; hiredis would store them all. Here a string is cut
 * to REDIS_ARENA_STRING_MAX (longer than a valid event, so what is cut is bad),
 * strings after the REDIS_ARENA_STRINGS_MAX-th of one array are empty (an entry
 * with so many fields is bad), and a reply over REDIS_ARENA_MAX_BYTES is
 * dropped and reported by redis_arena_overflowed(): ask for fewer entries. A
 * reply of COUNT 1 on four channels never overflows.
 */
#ifndef HOST_REDIS_ARENA_H
#define HOST_REDIS_ARENA_H

#include <dibao/event.h>
#include <hiredis/hiredis.h>

enum {
	REDIS_ARENA_STRING_MAX = DIBAO_EVENT_MAX_BYTES + 1,
	REDIS_ARENA_STRINGS_MAX = 32,
	REDIS_ARENA_ELEMENTS_MAX = 65536,
	REDIS_ARENA_MAX_BYTES = 64 * 1024 * 1024,
};

struct redis_arena;

int redis_arena_new(struct redis_arena **ret);
struct redis_arena *redis_arena_free(struct redis_arena *a);

/* For redisReader.fn; redisReader.privdata is then the arena. Its freeObject takes the whole arena
 * back, so one reply lives at a time, which is how hiredis' asynchronous API hands them out. */
extern redisReplyObjectFunctions redis_arena_functions;

/* The reply being handled was too large and is incomplete. */
bool redis_arena_overflowed(const struct redis_arena *a);

#endif
