/* SPDX-License-Identifier: Apache-2.0 */
#include "withdrawn.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 64 };

int withdrawn_init(struct withdrawn *w)
{
	*w = (struct withdrawn){.cap = FIRST_CAP, .slots = calloc(FIRST_CAP, sizeof *w->slots)};
	if (!w->slots)
		return -ENOMEM;
	randombytes_buf(w->key, sizeof w->key);
	return 0;
}

void withdrawn_done(struct withdrawn *w)
{
	free(w->slots);
	*w = (struct withdrawn){0};
}

uint64_t withdrawn_hash(const struct withdrawn *w, const char *uid, size_t len)
{
	uint64_t h;

	_Static_assert(crypto_shorthash_BYTES == sizeof h, "siphash-2-4");
	crypto_shorthash((unsigned char *)&h, (const unsigned char *)uid, len, w->key);
	return h ? h : 1;
}

static void insert(uint64_t *slots, size_t cap, uint64_t hash)
{
	size_t i = hash & (cap - 1);

	while (slots[i] && slots[i] != hash)
		i = (i + 1) & (cap - 1);
	slots[i] = hash;
}

int withdrawn_add(struct withdrawn *w, uint64_t hash)
{
	if (withdrawn_has(w, hash))
		return 0;
	if (2 * (w->n + 1) > w->cap) {
		uint64_t *slots = calloc(2 * w->cap, sizeof *slots);

		if (!slots)
			return -ENOMEM;
		for (size_t i = 0; i < w->cap; i++)
			if (w->slots[i])
				insert(slots, 2 * w->cap, w->slots[i]);
		free(w->slots);
		w->slots = slots;
		w->cap *= 2;
	}
	insert(w->slots, w->cap, hash);
	w->n++;
	return 0;
}

bool withdrawn_has(const struct withdrawn *w, uint64_t hash)
{
	if (!w->n)
		return false;
	for (size_t i = hash & (w->cap - 1); w->slots[i]; i = (i + 1) & (w->cap - 1))
		if (w->slots[i] == hash)
			return true;
	return false;
}

void withdrawn_clear(struct withdrawn *w)
{
	memset(w->slots, 0, w->cap * sizeof *w->slots);
	w->n = 0;
}
