/* SPDX-License-Identifier: Apache-2.0 */
#include "hidden.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void hidden_done(struct hidden *h)
{
	free(h->v);
	*h = (struct hidden){0};
}

void hidden_clear(struct hidden *h)
{
	h->n = 0;
}

static int compare(const struct hidden_badge *b, struct dibao_str badge)
{
	size_t n = b->len < badge.len ? b->len : badge.len;
	int c = memcmp(b->badge, badge.p, n);

	return c ? c : (b->len > badge.len) - (b->len < badge.len);
}

/* Where the badge stands, or would. */
static size_t place(const struct hidden *h, struct dibao_str badge)
{
	size_t lo = 0, hi = h->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (compare(&h->v[mid], badge) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int hidden_set(struct hidden *h, struct dibao_str badge, int64_t until_ms)
{
	size_t i = place(h, badge);
	bool there = i < h->n && compare(&h->v[i], badge) == 0;

	if (badge.len == 0 || badge.len > HIDDEN_BADGE_MAX)
		return -EINVAL;
	if (until_ms < 0) {
		if (there) {
			memmove(&h->v[i], &h->v[i + 1], (h->n - i - 1) * sizeof *h->v);
			h->n--;
		}
		return 0;
	}
	if (!there) {
		if (h->n == h->cap) {
			size_t cap = h->cap ? 2 * h->cap : 16;
			struct hidden_badge *v = realloc(h->v, cap * sizeof *v);

			if (!v)
				return -ENOMEM;
			h->v = v;
			h->cap = cap;
		}
		memmove(&h->v[i + 1], &h->v[i], (h->n - i) * sizeof *h->v);
		h->n++;
		memcpy(h->v[i].badge, badge.p, badge.len);
		h->v[i].len = (uint8_t)badge.len;
	}
	h->v[i].until_ms = until_ms;
	return 0;
}

int hidden_apply(struct hidden *h, struct dibao_str text)
{
	const char *space = memchr(text.p, ' ', text.len);
	char number[24];
	size_t n;
	char *end;
	int64_t until;

	if (!space)
		return -EINVAL;
	n = text.len - (size_t)(space + 1 - text.p);
	if (n == 0 || n >= sizeof number)
		return -EINVAL;
	memcpy(number, space + 1, n);
	number[n] = '\0';
	errno = 0;
	until = strtoll(number, &end, 10);
	if (errno || end != number + n)
		return -EINVAL;
	return hidden_set(h, (struct dibao_str){text.p, (size_t)(space - text.p)}, until);
}

bool hidden_has(const struct hidden *h, struct dibao_str badge, int64_t now_ms)
{
	size_t i;

	if (!h->n || !badge.p)
		return false;
	i = place(h, badge);
	return i < h->n && compare(&h->v[i], badge) == 0 &&
	       (h->v[i].until_ms == 0 || h->v[i].until_ms > now_ms);
}

size_t hidden_due(const struct hidden *h, int64_t now_ms, const struct hidden_badge **ret,
		  size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < h->n && n < max; i++)
		if (h->v[i].until_ms != 0 && h->v[i].until_ms <= now_ms)
			ret[n++] = &h->v[i];
	return n;
}
