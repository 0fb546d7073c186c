/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All items that the board holds, by public id, and which of them hang on the wall now.
 *
 * What hangs there is a function of the items held, the rules and the time, so it doesn't matter in
 * which order things arrived: a final one stands for the proposal that it follows, equal names show
 * their unit. wall_refresh() works out what changed since it was last called.
 *
 * Bounded: items_max. When an eighth more is held, the farthest and oldest are let go of, and
 * counted; they come again with the next reconciliation if there is room then. What is over stays a
 * day, unseen, in case the queue's clock was wrong.
 *
 * Reconciling: items put since wall_reconcile_begin() are marked; wall_reconcile_end() removes the
 * others, for the daemon has told of all there is.
 */
#ifndef BOARD_WALL_H
#define BOARD_WALL_H

#include "rules.h"

struct wall;

struct wall_options {
	const struct rules *rules; /* borrowed */
	unsigned items_max;
	void *userdata;
	/* To be shown, anew or changed. */
	void (*on_shown)(const struct item *i, void *userdata);
	/* Not shown any more. */
	void (*on_hidden)(const uint8_t pid[DIBAO_PID_BYTES], void *userdata);
	/* Held no more. */
	void (*on_removed)(const uint8_t pid[DIBAO_PID_BYTES], void *userdata);
};

int wall_new(struct wall **ret, const struct wall_options *opt); /* -ENOMEM */
struct wall *wall_free(struct wall *w);

/* A view: held from now on. One that was held before keeps what the board knows of it. 0; -EBADMSG,
 * -ENOTSUP see item_new(); -ENOMEM. */
int wall_put(struct wall *w, const void *view, size_t len, int64_t published_ms);
/* Takes an item that was made elsewhere (the cache). -EEXIST: one is held; -ENOMEM. Freed then. */
int wall_take(struct wall *w, struct item *take);
/* Taken back: gone at once. False: was not held. */
bool wall_remove(struct wall *w, const uint8_t pid[DIBAO_PID_BYTES]);
struct item *wall_find(const struct wall *w, const uint8_t pid[DIBAO_PID_BYTES]);

void wall_reconcile_begin(struct wall *w);
/* Returns how many are gone. */
unsigned wall_reconcile_end(struct wall *w);

/* hold_new: nothing is shown that was not (the rest of what is to be known is still coming). */
void wall_refresh(struct wall *w, int64_t now_ms, bool is_trusted, bool hold_new);
/* When something shown is over; INT64_MAX = never. Of the last refresh. */
int64_t wall_next_end_ms(const struct wall *w);

/* All that are held, in no order: *at = 0 at first. NULL: no more. */
struct item *wall_each(const struct wall *w, size_t *at);
/* All that are shown, nearest and newest first. The array is the caller's, by free(). -ENOMEM. */
int wall_shown(const struct wall *w, const struct item ***ret, size_t *ret_n);

struct wall_counts {
	unsigned n_held, n_shown;
	uint64_t n_let_go; /* for the bound */
};
struct wall_counts wall_counts(const struct wall *w);

#endif
