/* SPDX-License-Identifier: Apache-2.0 */
#include "retention.h"

#include <errno.h>
#include <string.h>

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static struct entry_id lower(struct entry_id a, struct entry_id b)
{
	return entry_id_cmp(a, b) < 0 ? a : b;
}

/* The first id after one. */
static struct entry_id after(struct entry_id id)
{
	return id.seq == UINT64_MAX ? (struct entry_id){id.ms + 1, 0}
				    : (struct entry_id){id.ms, id.seq + 1};
}

struct entry_id retention_floor(int64_t now_ms, uint64_t keep_ms, struct entry_id tail,
				const struct retention_holder *holders, size_t n)
{
	uint64_t now = now_ms > 0 ? (uint64_t)now_ms : 0;
	struct entry_id floor = {less(now, keep_ms), 0};

	for (size_t i = 0; i < n; i++) {
		struct entry_id wanted = after(holders[i].cursor);
		struct entry_id limit = {less(less(now, keep_ms), holders[i].hold_ms), 0};

		/* It holds from its cursor on, but nothing beyond its limit. */
		floor = lower(floor, entry_id_cmp(wanted, limit) > 0 ? wanted : limit);
	}
	return lower(floor, after(tail));
}

int retention_cursor_parse(struct entry_id ret[DIBAO_CHANNEL_COUNT], const char *text, size_t len)
{
	struct entry_id ids[DIBAO_CHANNEL_COUNT];
	const char *end = text + len;
	const char *at = memchr(text, ' ', len);

	if (!at) {
		return -EINVAL;
	}
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		const char *from = at + 1;

		if (at == end) {
			return -EINVAL;
		}
		at = memchr(from, ' ', (size_t)(end - from));
		if (!at) {
			at = end;
		}
		if (entry_id_parse(&ids[c], from, (size_t)(at - from)) < 0) {
			return -EINVAL;
		}
	}
	if (at != end) {
		return -EINVAL;
	}
	memcpy(ret, ids, sizeof ids);
	return 0;
}
