/* SPDX-License-Identifier: Apache-2.0 */
#include "batches.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct batch *batches_find(struct batches *b, const char *id, size_t len)
{
	struct batch *x = b->first;

	while (x && (strlen(x->id) != len || memcmp(x->id, id, len) != 0))
		x = x->next;
	return x;
}

struct batch *batches_get(struct batches *b, const char *id, size_t len)
{
	struct batch *x = batches_find(b, id, len);

	if (x || len >= BATCH_ID_MAX)
		return x;
	x = calloc(1, sizeof *x);
	if (!x)
		return NULL;
	memcpy(x->id, id, len);
	x->next = b->first;
	b->first = x;
	return x;
}

bool batch_must_wait(const struct batch *b)
{
	return b && !b->released && (!b->is_known || b->n > b->limit);
}

void batch_hold(struct batch *b, struct item *i)
{
	i->batch_next = b->first;
	b->first = i;
	b->n_waiting++;
	i->in_batch = true;
}

struct item *batch_take(struct batch *b)
{
	struct item *i = b->first;

	if (i) {
		b->first = i->batch_next;
		b->n_waiting--;
		i->in_batch = false;
	}
	return i;
}

void batch_forget(struct item *i)
{
	struct item **p;

	if (!i->in_batch)
		return;
	p = &i->batch->first;
	while (*p != i)
		p = &(*p)->batch_next;
	*p = i->batch_next;
	i->batch->n_waiting--;
	i->in_batch = false;
}

void batches_done(struct batches *b)
{
	for (struct batch *x = b->first, *next; x; x = next) {
		next = x->next;
		free(x);
	}
	b->first = NULL;
}

void batch_of_ref(char ret[BATCH_ID_MAX], const char *ref, size_t len)
{
	unsigned char hash[crypto_generichash_BYTES_MIN];

	crypto_generichash(hash, sizeof hash, (const unsigned char *)ref, len, NULL, 0);
	ret[0] = 'r';
	sodium_bin2hex(ret + 1, BATCH_ID_MAX - 1, hash, 8);
}
