/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bureau's shape: the tables of config/ (organisations, ranks, awards,
 * penalties) and those of seeds/ that say how many there are of what (figures,
 * shares, posts, units). Loaded once, checked whole (codes unique, parents
 * known, every share names a code), constant from then on; all strings borrow
 * from the tables.
 *
 * What people and texts are made of is in texts.h.
 */
#ifndef SEEDS_TABLES_H
#define SEEDS_TABLES_H

#include "tsv.h"

#include <stdint.h>

enum { TABLES_POSTS = 27, TABLES_DAYS_MAX = 8 };

struct org {
	const char *code, *name, *short_name, *kind;
	const char *units; /* blank-separated */
	size_t parent;	   /* index; the bureau's is its own */
	size_t branch;	   /* index of the ancestor right below the bureau */
	unsigned district; /* 1, 2, ... in the table's order; 0 = directly under the bureau */
	unsigned share;	   /* of the roster */
};

struct rank {
	const char *code, *name, *class_name;
	int years;
};

struct award {
	const char *code, *name;
	int notice_days, amount_fen, share;
	unsigned month[TABLES_DAYS_MAX], day[TABLES_DAYS_MAX];
	size_t n_days; /* 0 = any working day */
};

struct penalty {
	const char *code, *name;
	int appeal_days, share;
};

struct post {
	const char *code, *name, *category, *where;
	int share;
};

struct figures {
	int year, roster, awards, penalties, visits, letters;
	int anonymous_permille, active_permille, rare_permille, dotted_permille;
	int private_permille, urgent_permille, retracted_permille, corrected_permille;
};

struct tables {
	struct tsv orgs_tsv, ranks_tsv, awards_tsv, penalties_tsv, posts_tsv, units_tsv, shares_tsv,
		figures_tsv;
	struct org *orgs;   /* owned, as are the following */
	struct rank *ranks; /* by years, ascending */
	struct award *awards;
	struct penalty *penalties;
	struct post *posts;
	size_t n_orgs, n_ranks, n_awards, n_penalties, n_posts;
	uint64_t org_share; /* sum over orgs */
	struct figures figures;
};

/* config: directory of the bureau's tables; seeds: of ours; figures: a file that
 * replaces some of seeds/figures.tsv, or NULL. Faults are told on stderr. */
int tables_load(struct tables *ret, const char *config, const char *seeds, const char *figures);
void tables_done(struct tables *t);

/* Share of (of, code) in shares.tsv, or 0. */
int tables_share(const struct tables *t, const char *of, const char *code);
/* Is `word` one of those in a list parted by `by`? */
int tables_lists(const char *list, char by, const char *word);
/* The bureau is the first organisation. */
static inline const struct org *tables_bureau(const struct tables *t)
{
	return &t->orgs[0];
}
const struct org *tables_org(const struct tables *t, const char *code);

#endif
