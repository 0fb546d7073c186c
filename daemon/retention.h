/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Up to which id may a channel be trimmed? Pure.
 *
 * By age, but not past what a registered durable name has yet to receive: for
 * it an entry is kept up to its hold limit longer than its age alone would
 * have it. And never past the tail: what no daemon has read is not old.
 */
#ifndef DAEMON_RETENTION_H
#define DAEMON_RETENTION_H

#include "entry.h"

struct retention_holder {
	struct entry_id cursor; /* acknowledged up to here */
	uint64_t hold_ms;
};

/* Entries below the returned id may go. {0,0}: none. */
struct entry_id retention_floor(int64_t now_ms, uint64_t keep_ms, struct entry_id tail,
				const struct retention_holder *holders, size_t n);

/* Cursors as the hash `cursors` has them, "epoch id0 id1 id2 id3". 0, -EINVAL. */
int retention_cursor_parse(struct entry_id ret[DIBAO_CHANNEL_COUNT], const char *text, size_t len);

#endif
