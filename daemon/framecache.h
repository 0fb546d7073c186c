/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames encoded lately, so that sessions of one lane that pass the same place a moment apart share
 * one encoding and one buffer: a backlog drained by two hundred is encoded once.
 *
 * First in, first out; bounded in number and bytes. A frame is found by lane, channel and the
 * position it follows. Must be cleared when something is withdrawn, for a frame once encoded would
 * go on showing it.
 */
#ifndef DAEMON_FRAMECACHE_H
#define DAEMON_FRAMECACHE_H

#include "frame.h"

enum { FRAMECACHE_FRAMES = 2048, FRAMECACHE_BYTES = 16 * 1024 * 1024 };

struct framecache;

int framecache_new(struct framecache **ret);
struct framecache *framecache_free(struct framecache *c);
/* Borrowed until the next put or clear; NULL if there is none. */
struct frame *framecache_get(struct framecache *c, const struct lane *lane, enum dibao_channel ch,
			     struct entry_id after);
/* Takes the frame over. Returns where it now is (borrowed as above). */
struct frame *framecache_put(struct framecache *c, const struct lane *lane, enum dibao_channel ch,
			     struct frame *take);
void framecache_clear(struct framecache *c);

#endif
