/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The roster in Redis (keys and rows: ../sms/roster.h): read whole, and changed whole. A change is
 * built beside it, in a copy that ends by itself if we die, and takes its place in one transaction
 * together with its entry in the audit stream: a reader sees the roster before or after, never
 * between. Whoever changed it in the meantime wins, and we are told.
 */
#ifndef CTL_ROSTER_STORE_H
#define CTL_ROSTER_STORE_H

#include "redis.h"
#include "roster_plan.h"

struct roster_store {
	struct ctl_redis redis;
	int64_t now_ms; /* Redis' clock at open */
	int64_t version;
	bool exists;
};

/* All: 0 or a sysexits code, said. */
int roster_store_open(struct roster_store *s, const struct ctl *c);
void roster_store_close(struct roster_store *s);

/* All rows, sorted by badge. Begins a change: from here on another's is noticed. A row that cannot
 * be read is EX_DATAERR, said with its badge. */
int roster_store_read(struct roster_store *s, struct roster_old **ret, size_t *ret_n);
void roster_store_free(struct roster_old *old, size_t n);

/* The plan's rows, as `act` of the audit stream, `hash` being the file's. */
int roster_store_apply(struct roster_store *s, const struct roster_plan *plan, const char *act,
		       const uint8_t hash[16]);
/* The roster before the last change and the one now change places. */
int roster_store_undo(struct roster_store *s);

/* One row; *ret_row is malloc()ed and what *ret borrows. find: NULL if there is none. */
int roster_store_find(struct roster_store *s, const char *badge, char **ret_row,
		      struct roster_person *ret);
int roster_store_get(struct roster_store *s, const char *badge, char **ret_row,
		     struct roster_person *ret);
/* When roster:confirmed, sms:bad and sms:disputed were marked for that person; 0: not. */
int roster_store_marks(struct roster_store *s, const char *badge, const struct roster_person *p,
		       int64_t ret_at[3]);
int roster_store_confirm(struct roster_store *s, const char *badge);

#endif
