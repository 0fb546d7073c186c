/* SPDX-License-Identifier: Apache-2.0 */
#include "batches.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { N_BUCKETS = 16384 };

/* The ids are made by us, of hashes and hours: nobody can aim at one bucket. */
static size_t bucket_of(const char *id, size_t len)
{
	uint32_t h = 2166136261u;

	while (len--)
		h = (h ^ (unsigned char)*id++) * 16777619u;
	return h % N_BUCKETS;
}

static struct batch **slot(const struct batches *b, const char *id, size_t len)
{
	struct batch **p = &b->buckets[bucket_of(id, len)];

	while (*p && (strlen((*p)->id) != len || memcmp((*p)->id, id, len) != 0))
		p = &(*p)->next;
	return p;
}

struct batch *batches_find(const struct batches *b, const char *id, size_t len)
{
	return b->buckets ? *slot(b, id, len) : NULL;
}

struct batch *batches_join(struct batches *b, const char *id, size_t len, struct item *i)
{
	struct batch **p;

	if (!b->buckets)
		b->buckets = calloc(N_BUCKETS, sizeof *b->buckets);
	if (!b->buckets || len >= BATCH_ID_MAX)
		return NULL;
	p = slot(b, id, len);
	if (!*p) {
		*p = calloc(1, sizeof **p);
		if (!*p)
			return NULL;
		memcpy((*p)->id, id, len);
		b->n++;
	}
	(*p)->n_items++;
	return i->batch = *p;
}

void batches_leave(struct batches *b, struct item *i)
{
	struct batch *x = i->batch, **p;

	if (!x)
		return;
	batch_forget(i);
	i->batch = NULL;
	if (--x->n_items)
		return;
	p = slot(b, x->id, strlen(x->id));
	*p = x->next;
	b->n--;
	free(x);
}

void batches_each(const struct batches *b, void (*f)(struct batch *x, void *userdata),
		  void *userdata)
{
	for (size_t k = 0; b->buckets && k < N_BUCKETS; k++)
		for (struct batch *x = b->buckets[k]; x; x = x->next)
			f(x, userdata);
}

bool batch_must_wait(const struct batch *b)
{
	return b && !b->released && (!b->is_known || b->n > b->limit);
}

void batch_hold(struct batch *b, struct item *i)
{
	i->batch_next = b->first;
	if (b->first)
		b->first->batch_prev = &i->batch_next;
	i->batch_prev = &b->first;
	b->first = i;
	b->n_waiting++;
	i->in_batch = true;
}

void batch_forget(struct item *i)
{
	if (!i->in_batch)
		return;
	*i->batch_prev = i->batch_next;
	if (i->batch_next)
		i->batch_next->batch_prev = i->batch_prev;
	i->batch->n_waiting--;
	i->in_batch = false;
}

struct item *batch_take(struct batch *b)
{
	struct item *i = b->first;

	if (i)
		batch_forget(i);
	return i;
}

void batches_done(struct batches *b)
{
	for (size_t k = 0; b->buckets && k < N_BUCKETS; k++)
		for (struct batch *x = b->buckets[k], *next; x; x = next) {
			next = x->next;
			free(x);
		}
	free(b->buckets);
	*b = (struct batches){0};
}

void batch_of_ref(char ret[BATCH_ID_MAX], const char *ref, size_t len)
{
	unsigned char hash[crypto_generichash_BYTES_MIN];

	crypto_generichash(hash, sizeof hash, (const unsigned char *)ref, len, NULL, 0);
	ret[0] = 'r';
	sodium_bin2hex(ret + 1, BATCH_ID_MAX - 1, hash, 8);
}

bool batch_is_document(const char *id)
{
	return id[0] == 'r';
}
