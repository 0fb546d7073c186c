/* SPDX-License-Identifier: Apache-2.0 */
#include "breaker.h"

static bool is_half_open(const struct breaker *b)
{
	return b->wait_ms > 0;
}

bool breaker_lets(const struct breaker *b, int64_t now_ms)
{
	return now_ms >= b->until_ms && !(is_half_open(b) && b->trying);
}

int64_t breaker_when(const struct breaker *b, int64_t now_ms)
{
	if (b->until_ms > now_ms)
		return b->until_ms;
	return is_half_open(b) && b->trying ? INT64_MAX : now_ms;
}

void breaker_sent(struct breaker *b)
{
	b->trying = is_half_open(b);
}

void breaker_unsent(struct breaker *b)
{
	b->trying = false;
}

void breaker_well(struct breaker *b)
{
	*b = (struct breaker){0};
}

bool breaker_failed(struct breaker *b, int64_t now_ms)
{
	bool was_open = b->until_ms > now_ms;

	b->trying = false;
	b->n_failures++;
	if (was_open || (!is_half_open(b) && b->n_failures < BREAKER_FAILURES))
		return false;
	b->wait_ms = !b->wait_ms			? BREAKER_FIRST_MS
		     : b->wait_ms * 2 > BREAKER_LAST_MS ? BREAKER_LAST_MS
							: b->wait_ms * 2;
	b->until_ms = now_ms + b->wait_ms;
	return true;
}

bool breaker_stop(struct breaker *b, int64_t now_ms, int64_t for_ms)
{
	bool was_open = b->until_ms > now_ms;

	b->trying = false;
	if (!b->wait_ms)
		b->wait_ms = BREAKER_FIRST_MS;
	if (b->until_ms < now_ms + for_ms)
		b->until_ms = now_ms + for_ms;
	return !was_open;
}
