/* SPDX-License-Identifier: Apache-2.0 */
#include "rate.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1024, SWEEP_FIRST = 1024, MINUTE_USEC = 60000000 };

struct bucket {
	struct bucket *next;
	uint64_t full_usec; /* when it will be full again: all there is to know */
	char name[RATE_NAME_MAX + 1];
};

struct rates {
	struct bucket *buckets[BUCKETS];
	size_t n, sweep_at;
	uint8_t key[crypto_shorthash_KEYBYTES];
};

int rates_new(struct rates **ret)
{
	struct rates *r = calloc(1, sizeof *r);

	if (!r)
		return -ENOMEM;
	r->sweep_at = SWEEP_FIRST;
	randombytes_buf(r->key, sizeof r->key);
	*ret = r;
	return 0;
}

/* Drops those that are full at now_usec. */
static void sweep(struct rates *r, uint64_t now_usec)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct bucket **at = &r->buckets[i]; *at;) {
			struct bucket *b = *at;

			if (b->full_usec > now_usec) {
				at = &b->next;
				continue;
			}
			*at = b->next;
			free(b);
			r->n--;
		}
	r->sweep_at = 2 * r->n < SWEEP_FIRST ? SWEEP_FIRST : 2 * r->n;
}

struct rates *rates_free(struct rates *r)
{
	if (r)
		sweep(r, UINT64_MAX);
	free(r);
	return NULL;
}

static struct bucket *find(struct rates *r, const char name[RATE_NAME_MAX + 1], uint64_t now_usec)
{
	struct bucket *b;
	uint64_t h;

	crypto_shorthash((unsigned char *)&h, (const unsigned char *)name, strlen(name), r->key);
	for (b = r->buckets[h % BUCKETS]; b; b = b->next)
		if (!strcmp(b->name, name))
			return b;
	if (r->n >= r->sweep_at || r->n >= RATE_NAMES_MAX)
		sweep(r, now_usec);
	b = r->n < RATE_NAMES_MAX ? calloc(1, sizeof *b) : NULL;
	if (!b)
		return NULL;
	memcpy(b->name, name, RATE_NAME_MAX + 1);
	b->next = r->buckets[h % BUCKETS];
	r->buckets[h % BUCKETS] = b;
	r->n++;
	return b;
}

bool rates_take(struct rates *r, const char *name, uint32_t a_minute, uint64_t now_usec)
{
	char key[RATE_NAME_MAX + 1] = "";
	struct bucket *b;
	uint64_t from;

	if (!a_minute)
		return true;
	memcpy(key, name, strnlen(name, RATE_NAME_MAX));
	b = find(r, key, now_usec);
	if (!b)
		return false;
	from = b->full_usec > now_usec ? b->full_usec : now_usec;
	if (from + MINUTE_USEC / a_minute > now_usec + MINUTE_USEC)
		return false;
	b->full_usec = from + MINUTE_USEC / a_minute;
	return true;
}

size_t rates_count(const struct rates *r)
{
	return r->n;
}
