/* SPDX-License-Identifier: Apache-2.0 */
#include "backlog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MIN = 1024 };

struct heap {
	struct item **at;
	size_t n, cap;
};

struct backlog {
	struct item **buckets;
	size_t n_buckets, n;
	uint64_t seq;
	struct heap heaps[LANES];
};

static uint64_t hash_of(const char *p, size_t n)
{
	uint64_t h = 14695981039346656037ull;

	while (n--)
		h = (h ^ (unsigned char)*p++) * 1099511628211ull;
	return h ^ (h >> 29);
}

struct backlog *backlog_new(void)
{
	struct backlog *b = calloc(1, sizeof *b);

	if (!b)
		return NULL;
	b->n_buckets = BUCKETS_MIN;
	b->buckets = calloc(b->n_buckets, sizeof *b->buckets);
	if (!b->buckets) {
		free(b);
		return NULL;
	}
	return b;
}

struct backlog *backlog_free(struct backlog *b)
{
	if (!b)
		return NULL;
	for (size_t k = 0; k < b->n_buckets; k++)
		for (struct item *i = b->buckets[k], *next; i; i = next) {
			next = i->next;
			free(i);
		}
	for (int l = 0; l < LANES; l++)
		free(b->heaps[l].at);
	free(b->buckets);
	free(b);
	return NULL;
}

static void grow(struct backlog *b)
{
	size_t n = b->n_buckets * 2;
	struct item **buckets = calloc(n, sizeof *buckets);

	if (!buckets)
		return; /* longer chains, that is all */
	for (size_t k = 0; k < b->n_buckets; k++)
		for (struct item *i = b->buckets[k], *next; i; i = next) {
			struct item **to = &buckets[hash_of(i->uid, i->uid_len) & (n - 1)];

			next = i->next;
			i->next = *to;
			*to = i;
		}
	free(b->buckets);
	b->buckets = buckets;
	b->n_buckets = n;
}

struct item *backlog_find(const struct backlog *b, const char *uid, size_t uid_len)
{
	struct item *i = b->buckets[hash_of(uid, uid_len) & (b->n_buckets - 1)];

	while (i && (i->uid_len != uid_len || memcmp(i->uid, uid, uid_len) != 0))
		i = i->next;
	return i;
}

struct item *backlog_add(struct backlog *b, const char *uid, size_t uid_len)
{
	struct item *i, **to;

	if (uid_len > DIBAO_UID_MAX_BYTES || backlog_find(b, uid, uid_len))
		return NULL;
	i = calloc(1, sizeof *i + uid_len + 1);
	if (!i)
		return NULL;
	if (b->n >= b->n_buckets)
		grow(b);
	memcpy(i->uid, uid, uid_len);
	i->uid_len = (uint8_t)uid_len;
	i->where = LANE_NONE;
	i->seq = ++b->seq;
	to = &b->buckets[hash_of(uid, uid_len) & (b->n_buckets - 1)];
	i->next = *to;
	*to = i;
	b->n++;
	return i;
}

void backlog_remove(struct backlog *b, struct item *i)
{
	struct item **p = &b->buckets[hash_of(i->uid, i->uid_len) & (b->n_buckets - 1)];

	backlog_unwait(b, i);
	while (*p != i)
		p = &(*p)->next;
	*p = i->next;
	b->n--;
	free(i);
}

/* ---- the heaps ---- */

static bool before(const struct item *a, const struct item *b)
{
	return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->seq < b->seq;
}

static void put(struct heap *h, size_t at, struct item *i)
{
	h->at[at] = i;
	i->place = (uint32_t)at;
}

static void sift(struct heap *h, size_t at)
{
	struct item *i = h->at[at];

	while (at > 0 && before(i, h->at[(at - 1) / 2])) {
		put(h, at, h->at[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	for (;;) {
		size_t child = 2 * at + 1;

		if (child + 1 < h->n && before(h->at[child + 1], h->at[child]))
			child++;
		if (child >= h->n || !before(h->at[child], i))
			break;
		put(h, at, h->at[child]);
		at = child;
	}
	put(h, at, i);
}

void backlog_unwait(struct backlog *b, struct item *i)
{
	struct heap *h;
	size_t at = i->place;

	if (i->where == LANE_NONE)
		return;
	h = &b->heaps[i->where];
	i->where = LANE_NONE;
	if (at == --h->n)
		return;
	put(h, at, h->at[h->n]);
	sift(h, at);
}

int backlog_wait(struct backlog *b, struct item *i, enum lane where, int64_t due_ms)
{
	struct heap *h = &b->heaps[where];

	backlog_unwait(b, i);
	if (h->n == h->cap) {
		size_t cap = h->cap ? h->cap * 2 : 256;
		struct item **at = realloc(h->at, cap * sizeof *at);

		if (!at)
			return -ENOMEM;
		h->at = at;
		h->cap = cap;
	}
	i->due_ms = due_ms;
	i->where = (uint8_t)where;
	put(h, h->n++, i);
	sift(h, h->n - 1);
	return 0;
}

struct item *backlog_due(const struct backlog *b, enum lane lane, int64_t now_ms)
{
	const struct heap *h = &b->heaps[lane];

	return h->n && h->at[0]->due_ms <= now_ms ? h->at[0] : NULL;
}

int64_t backlog_next_ms(const struct backlog *b, enum lane lane)
{
	return b->heaps[lane].n ? b->heaps[lane].at[0]->due_ms : INT64_MAX;
}

size_t backlog_count(const struct backlog *b)
{
	return b->n;
}

size_t backlog_waiting(const struct backlog *b, enum lane lane)
{
	return b->heaps[lane].n;
}

void backlog_each(struct backlog *b, void (*f)(struct item *i, void *userdata), void *userdata)
{
	for (size_t k = 0; k < b->n_buckets; k++)
		for (struct item *i = b->buckets[k], *next; i; i = next) {
			next = i->next;
			f(i, userdata);
		}
}
