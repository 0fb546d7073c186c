/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an import would do to a roster: which rows it writes, which it removes, and what a person
 * should look at before. Pure, with the time passed in.
 *
 * A replacement is the whole of who is on the list: who is not in it has left, keeps his row for a
 * year (a penalty still reaches him for a while, and his number will not pass unnoticed to somebody
 * else), then goes. A delta says nothing of who is not in it. A refused row leaves its person as he
 * is.
 *
 * A number is `shared` when two people in service have it. It has `moved` when another person had
 * it in the roster before; that stays until the number changes again, or is confirmed. A person who
 * comes back under a new badge with the old number and name has moved nothing.
 */
#ifndef CTL_ROSTER_PLAN_H
#define CTL_ROSTER_PLAN_H

#include "roster_file.h"

enum { ROSTER_PLAN_LIST_MAX = 1000, ROSTER_KEEP_DAYS = 365, ROSTER_PERCENT = 2 };

/* A row as Redis has it. */
struct roster_old {
	char badge[ROSTER_BADGE_MAX + 1];
	char *row; /* owned by the list */
	struct roster_person person;
};

struct roster_write {
	char badge[ROSTER_BADGE_MAX + 1];
	char *row; /* owned; NULL: the row is removed */
};

struct roster_plan {
	struct roster_write *writes; /* owned */
	size_t n_writes;
	unsigned rows, active, demo; /* as it will be */
	unsigned was_active;
	/* Of those in the file. */
	unsigned added, unchanged, number_changed, renamed, moved_org, left, back, no_number;
	/* Of those not in it. */
	unsigned missing, removed;
	/* Badges, as many as LIST_MAX; n counts all. */
	struct roster_badges {
		unsigned n;
		char (*at)[ROSTER_BADGE_MAX + 1]; /* owned */
	} shared, moved, renames;
	/* left + missing + removed + renamed: what is compared with the limit. */
	unsigned losses, allowed;
};

/* old: sorted by badge. 0, -ENOMEM, -EINVAL (a row that cannot be encoded: our fault). */
int roster_plan_make(struct roster_plan *ret, const struct roster_old *old, size_t n_old,
		     const struct roster_file *file, bool delta, int64_t now_ms);
void roster_plan_done(struct roster_plan *p);

#endif
