/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Badges that are kept off boards, each until a time: Redis' hash `hidden`, held in memory because
 * it is asked for every public view that is encoded. A sorted array: lookups are many, changes
 * rare.
 */
#ifndef DAEMON_HIDDEN_H
#define DAEMON_HIDDEN_H

#include <dibao/event.h>

enum { HIDDEN_BADGE_MAX = 20 };

struct hidden_badge {
	char badge[HIDDEN_BADGE_MAX];
	uint8_t len;
	int64_t until_ms; /* 0: for good */
};

struct hidden {
	struct hidden_badge *v; /* owned */
	size_t n, cap;
};

void hidden_done(struct hidden *h);
void hidden_clear(struct hidden *h);
/* until_ms < 0: not hidden any more. 0, -EINVAL (badge too long), -ENOMEM. */
int hidden_set(struct hidden *h, struct dibao_str badge, int64_t until_ms);
/* "badge until" as the streams have it. 0, -EINVAL, -ENOMEM. */
int hidden_apply(struct hidden *h, struct dibao_str text);
bool hidden_has(const struct hidden *h, struct dibao_str badge, int64_t now_ms);
/* Those whose time is over, the first `max` of them: how many. Borrowed until the next change. */
size_t hidden_due(const struct hidden *h, int64_t now_ms, const struct hidden_badge **ret,
		  size_t max);

#endif
