/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may hang on the wall, and how long: pure judgements about one item, with the time passed in.
 *
 * Time is the queue's (trust.h). Without trusted time `now_ms` is a lower bound: what is over by it
 * is over, and a proposal, whose last day may be past, is not shown.
 */
#ifndef BOARD_RULES_H
#define BOARD_RULES_H

#include "item.h"

struct rules {
	int64_t promotion_ms, award_ms; /* life, counted from when it happened */
	int64_t moment_ms;		/* a moment of honour for what was published since */
	int64_t standing_ms;		/* without news for so long, nobody's name is shown */
	/* Codes or prefixes of organisations, nearest first; "" = none. */
	char own[DIBAO_ORG_BYTES + 1], district[DIBAO_ORG_BYTES + 1], bureau[DIBAO_ORG_BYTES + 1];
};

/* The nearest area that the item's organisation lies in. */
enum item_area rules_area(const struct rules *r, const struct item *i);
/* When it leaves the wall: the end of its life, its `expires`, or of a proposal 24:00 of its last
 * day, whichever comes first. */
int64_t rules_end_ms(const struct rules *r, const struct item *i);
/* By time and area; that a final one stands for its proposal is the wall's to see. */
bool rules_visible(const struct rules *r, const struct item *i, int64_t now_ms, bool is_trusted);
bool rules_moment(const struct rules *r, const struct item *i, int64_t now_ms, bool is_trusted);
/* heartbeat_ms: the daemon's last; 0 = never heard of one. */
bool rules_standing(const struct rules *r, int64_t now_ms, int64_t heartbeat_ms);

#endif
