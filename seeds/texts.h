/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What names and sentences are made of, from the lists in seeds/: surnames and
 * the characters of given names, reasons, visits, letters. Loaded once,
 * constant from then on.
 *
 * A text in a list may hold alternatives, "{a|b|c}", and the person's own
 * <station>, <unit> and <post>; texts_expand() chooses and fills in. Braces do
 * not nest.
 */
#ifndef SEEDS_TEXTS_H
#define SEEDS_TEXTS_H

#include "random.h"
#include "tables.h"

/* Equal pieces of a list: characters, or words with weights. */
struct pieces {
	struct piece {
		const char *p; /* borrowed, not NUL-terminated */
		size_t len;
		unsigned weight;
	} * at; /* owned */
	size_t n;
	uint64_t weight; /* sum */
};

struct visit {
	const char *code, *name, *by, *where, *gift;
	int amount_fen;
};

struct texts {
	struct tsv names_tsv, awards_tsv, penalties_tsv, visits_tsv, letters_tsv, takebacks_tsv;
	struct pieces surname, male, female, either, rare, first, last;
	struct visit *visits; /* owned */
	size_t n_visits;
};

int texts_load(struct texts *ret, const struct tables *t, const char *seeds);
void texts_done(struct texts *x);

const struct piece *texts_pick(struct random *r, const struct pieces *p);

struct texts_person {
	const char *station, *unit, *post, *category; /* any may be NULL */
};
/* Writes at most cap bytes with the end; a text that does not fit is a fault of the list
 * (-ENOBUFS), as is an unknown <word> (-EINVAL). The length otherwise. */
int texts_expand(struct random *r, const char *text, const struct texts_person *who, char *buf,
		 size_t cap);

/* A row of a list that suits code and duty (NULL: any): its number. There always is one,
 * texts_load() sees to it. */
size_t texts_award(struct random *r, const struct texts *x, const char *code, const char *category);
size_t texts_penalty(struct random *r, const struct texts *x, const char *code);
size_t texts_takeback(struct random *r, const struct texts *x, const char *type);
const struct visit *texts_visit(struct random *r, const struct texts *x, const char *code);

#endif
