/* SPDX-License-Identifier: Apache-2.0 */
#include "trust.h"

#include <stdio.h>
#include <string.h>

enum { LATE_MS = 1000, LATE_FOR_MS = 60000 };

void trust_hear(struct trust *t, int64_t queue_ms, int64_t boot_ms)
{
	int64_t now = trust_now(t, boot_ms);

	if (queue_ms <= 0)
		return;
	t->heard_ms = queue_ms;
	if (t->is_trusted && queue_ms < now) {
		if (now - queue_ms <= LATE_MS) {
			t->late_since_ms = 0;
			return;
		}
		if (!t->late_since_ms)
			t->late_since_ms = boot_ms;
		if (boot_ms - t->late_since_ms < LATE_FOR_MS)
			return;
	}
	t->is_trusted = true;
	t->base_ms = queue_ms;
	t->base_boot_ms = boot_ms;
	t->late_since_ms = 0;
}

int64_t trust_now(const struct trust *t, int64_t boot_ms)
{
	return t->base_ms ? t->base_ms + (boot_ms - t->base_boot_ms) : 0;
}

struct trust_note trust_note(const struct trust *t, int64_t boot_ms, const char *boot_id)
{
	struct trust_note n = {
		.now_ms = trust_now(t, boot_ms),
		.boot_ms = boot_ms,
		.heartbeat_ms = t->heartbeat_ms,
		.is_trusted = t->is_trusted,
	};

	snprintf(n.boot_id, sizeof n.boot_id, "%s", boot_id);
	return n;
}

void trust_take(struct trust *t, const struct trust_note *n, int64_t boot_ms, const char *boot_id)
{
	bool same_boot = *boot_id && !strcmp(n->boot_id, boot_id) && boot_ms >= n->boot_ms;

	if (n->now_ms <= 0 || n->heartbeat_ms < 0)
		return;
	*t = (struct trust){
		.is_trusted = same_boot && n->is_trusted,
		.base_ms = n->now_ms,
		.base_boot_ms = same_boot ? n->boot_ms : 0,
		.heartbeat_ms = n->heartbeat_ms,
	};
}
