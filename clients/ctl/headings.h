/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a column is, and what a word in it means. Known from the start: every field by its path, its
 * own name and its Chinese name, out of the table of types, so a new type needs nothing here. A
 * file (config/headings.tsv) adds a bureau's own headings, words for values, and tables of codes.
 * Looked up without regard to blanks, case, width, "*" and ":".
 */
#ifndef CTL_HEADINGS_H
#define CTL_HEADINGS_H

#include <stdbool.h>
#include <stdint.h>

enum { HEADINGS_MAX = 2000, HEADINGS_VALUES_MAX = 50000, HEADINGS_PATH_MAX = 48 };

struct heading {
	char path[HEADINGS_PATH_MAX]; /* "person.badge"; "" = to be passed over */
	bool narrow;		      /* an identifier or a number: full-width becomes ASCII */
	bool yuan;		      /* a sum in yuan, for a field in fen */
};

struct headings_fault {
	unsigned line;
	char file[512], reason[160];
};

struct headings;
int headings_new(struct headings **ret); /* -ENOMEM */
/* Of the roster instead: badge, name, phone, org, unit, active, left_on, opted_out. Of a file it
 * takes rows of `roster` and `roster-value`, and what is said of the fields that an event's person
 * has too. -ENOMEM. */
int headings_new_roster(struct headings **ret);
struct headings *headings_free(struct headings *h);
/* 0, or -EINVAL, -ENOMEM, errors of open(): *fault tells which line. */
int headings_load(struct headings *h, const char *path, struct headings_fault *fault);

/* Of all that is known: two that have the same read every row alike. */
void headings_hash(const struct headings *h, uint8_t ret_hash[16]);

/* NULL: no such heading, or one with two meanings. Borrowed. */
const struct heading *headings_find(const struct headings *h, const char *text);
/* What a word in that field stands for ("晋升" in type: "promotion"); NULL: itself. Borrowed. */
const char *headings_value(const struct headings *h, const char *path, const char *text);

#endif
