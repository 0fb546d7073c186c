/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One item of the wall: a promotion or an award as the public view has it (dibao/view.h), and what
 * the board itself knows of it: when it was published, whether a page has shown it.
 *
 * An item is one block of memory that ends with the view's own bytes; its texts are places in them.
 * There is no field here that could hold what a board may not see.
 */
#ifndef BOARD_ITEM_H
#define BOARD_ITEM_H

#include <dibao/view.h>

/* Where in the view's bytes a text stands; len 0: absent. */
struct item_text {
	uint16_t at, len;
};

struct item_named {
	struct item_text code, name;
};

enum item_area { AREA_NONE, AREA_OWN, AREA_DISTRICT, AREA_BUREAU };

struct item {
	uint8_t pid[DIBAO_PID_BYTES];
	uint8_t follows[DIBAO_PID_BYTES];
	bool is_promotion; /* else an award */
	bool is_proposed, has_follows, has_corrects, is_record;
	int64_t at_ms, expires_ms; /* expires 0: none */
	int64_t last_day_end_ms;   /* of a proposal: 24:00 of its last day; 0: none, or no day */
	struct item_text org, name, unit, ref, last_day, contact, reason;
	struct item_named from, to, honour;

	/* The board's own. */
	int64_t published_ms; /* 0: not known */
	int64_t shown_ms;     /* a page said so; 0: not yet */
	bool is_reported;     /* a receipt of that is under way */
	bool is_confirmed;    /* it is at the daemon */
	uint32_t seen;	      /* number of the reconciliation that last saw it */

	/* wall.c's, of its last refresh. */
	enum item_area area;
	bool is_shown, show_unit, is_followed, is_changed;
	bool is_stored; /* the cache has it as it is */

	uint16_t len;
	uint8_t view[]; /* len bytes */
};

/* Parses a view. *ret is the caller's, by free(). -EBADMSG: none, or one without what an item
 * needs; -ENOTSUP: of another type than promotion and award; -ENOMEM. */
int item_new(struct item **ret, const void *view, size_t len);

static inline struct dibao_str item_str(const struct item *i, struct item_text t)
{
	return (struct dibao_str){t.len ? (const char *)i->view + t.at : NULL, t.len};
}

static inline bool item_text_equal(const struct item *a, struct item_text x, const struct item *b,
				   struct item_text y)
{
	return x.len == y.len && !__builtin_memcmp(a->view + x.at, b->view + y.at, x.len);
}

/* Nearest first; equal: published, or happened, last first; then by pid, so that it is an order. */
int item_compare(const struct item *a, const struct item *b);

#endif
