/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches: bulk texts that came together, of one document ("r" and a hash of its number) or of one
 * hour ("h" and the hour). One that grows past its limit waits, with all that is not sent of it,
 * until a person says `dibaoctl sms release BATCH`; other texts go on. The counts are Redis', which
 * adds to them as notices are taken over; here is what was last heard.
 *
 * A batch is here for as long as an open notice is of it, so there are never more than open
 * notices. What it is asked for costs the same however many there are.
 */
#ifndef SMS_BATCHES_H
#define SMS_BATCHES_H

#include "backlog.h"

enum { BATCH_ID_MAX = 24 };

struct batch {
	struct batch *next;
	struct item *first; /* that wait for the release; borrowed */
	size_t n_waiting, n_items;
	uint64_t n, limit; /* texts of it so far; more than this waits */
	bool released;
	bool is_known; /* n, limit and released were heard */
	bool is_told;  /* that it waits */
	char id[BATCH_ID_MAX];
};

struct batches {
	struct batch **buckets; /* owned; NULL: none yet */
	size_t n;
};

/* The item is of that batch from now on, which is found or made. NULL: no memory, or the id is too
 * long; then it is of none. */
struct batch *batches_join(struct batches *b, const char *id, size_t len, struct item *i);
/* It is of none any more, and waits for none; the last one's batch goes. */
void batches_leave(struct batches *b, struct item *i);
struct batch *batches_find(const struct batches *b, const char *id, size_t len);
/* In no order; f does not make or end any. */
void batches_each(const struct batches *b, void (*f)(struct batch *x, void *userdata),
		  void *userdata);
/* Over its limit; or not known yet whether it is. */
bool batch_must_wait(const struct batch *b);
void batch_hold(struct batch *b, struct item *i);
/* One of those that wait, no longer waiting; NULL. */
struct item *batch_take(struct batch *b);
void batch_forget(struct item *i); /* it waits no longer */
/* The items are freed elsewhere. */
void batches_done(struct batches *b);

/* "r1f3c5a7d9b2e4f60" for a document number. */
void batch_of_ref(char ret[BATCH_ID_MAX], const char *ref, size_t len);
/* Else of one hour. */
bool batch_is_document(const char *id);

#endif
