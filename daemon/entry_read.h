/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a stream entry in a reply of Redis to a valid struct entry, in two
 * steps: its fields (cheap, may be copied and kept), then the check of them.
 *
 * Whether an entry is valid depends on its bytes and its channel only, never on
 * the time or on what else is stored, so a replay skips what the tail skipped.
 * Fields: e the event, f written by a function, w what is withdrawn, x who is
 * hidden; others are counted and ignored. w and x count only beside f.
 */
#ifndef DAEMON_ENTRY_READ_H
#define DAEMON_ENTRY_READ_H

#include "entry.h"
#include "redis_link.h"

enum { ENTRY_FIELDS_MAX = 8 }; /* names and values: twice that */

/* Absent: p == NULL. Borrowed from the reply. */
struct raw_entry {
	struct entry_id id;
	struct dibao_str e, w, x;
	bool by_function;
	uint32_t n_unknown;
	const char *fault; /* static: why the fields themselves are bad; NULL */
};

/* `reply` is [id, [name, value, ...]]. -EBADMSG: it isn't, or the id is none (a fault of Redis). */
int raw_entry_read(struct raw_entry *ret, const redisReply *reply);

enum { ENTRY_REASON_MAX = 240 };

/* 0, or -EBADMSG and the reason as the quarantine keeps it: a field and what was expected, no
 * values. *ret is undefined then. */
int entry_check(struct entry *ret, const struct raw_entry *raw, enum dibao_channel c,
		char reason[ENTRY_REASON_MAX]);

#endif
