/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event taken apart, so that a test can spoil one place of it: a tree of maps whose leaves are
 * encoded values as they stand. Paths are dotted; a path may name what is not there yet. Nothing
 * here checks anything, for what it makes is meant to be wrong.
 */
#ifndef TESTS_UNIT_DRAFT_H
#define TESTS_UNIT_DRAFT_H

#include "mpread.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { DRAFT_KIDS_MAX = 80 };

struct draft {
	char key[64];
	bool map;
	uint8_t *raw; /* owned: a leaf's encoded value */
	size_t len;
	struct draft *kids[DRAFT_KIDS_MAX]; /* owned */
	unsigned n;
};

/* An encoded value. */
struct raw {
	uint8_t p[20000];
	size_t n;
};

static inline void raw_head(struct raw *r, uint8_t tag, uint64_t v, unsigned bytes)
{
	r->p[r->n++] = tag;
	while (bytes-- > 0)
		r->p[r->n++] = (uint8_t)(v >> 8 * bytes);
}

static inline void raw_bytes(struct raw *r, const void *p, size_t n)
{
	memcpy(r->p + r->n, p, n);
	r->n += n;
}

static inline void raw_str(struct raw *r, const void *p, size_t n)
{
	if (n < 32)
		raw_head(r, (uint8_t)(0xa0 | n), 0, 0);
	else
		raw_head(r, n < 256 ? 0xd9 : 0xda, n, n < 256 ? 1 : 2);
	raw_bytes(r, p, n);
}

static inline void raw_int(struct raw *r, int64_t v)
{
	raw_head(r, v < 0 ? 0xd3 : 0xcf, (uint64_t)v, 8);
}

static inline void raw_map(struct raw *r, size_t n)
{
	raw_head(r, n < 16 ? (uint8_t)(0x80 | n) : 0xde, n, n < 16 ? 0 : 2);
}

static inline struct draft *draft_free(struct draft *d)
{
	for (unsigned i = 0; d && i < d->n; i++)
		draft_free(d->kids[i]);
	if (d)
		free(d->raw);
	free(d);
	return NULL;
}

static inline struct draft *draft_read(struct mp_cursor *c)
{
	struct draft *d = calloc(1, sizeof *d);
	struct mp_cursor at = *c;
	struct mp_value v, key;

	assert(d && mp_read(c, &v));
	d->map = v.kind == MP_MAP;
	for (uint32_t i = 0; d->map && i < v.n; i++) {
		assert(mp_read(c, &key) && key.n < sizeof d->key && d->n < DRAFT_KIDS_MAX);
		d->kids[d->n] = draft_read(c);
		memcpy(d->kids[d->n++]->key, key.p, key.n);
	}
	if (!d->map) {
		*c = at;
		assert(mp_skip(c, 99));
		d->len = (size_t)(c->p - at.p);
		d->raw = malloc(d->len);
		assert(d->raw);
		memcpy(d->raw, at.p, d->len);
	}
	return d;
}

static inline struct draft *draft_of(const void *bytes, size_t len)
{
	struct mp_cursor c = {bytes, (const uint8_t *)bytes + len};

	return draft_read(&c);
}

/* The map that holds a path's last key; *ret_i its place there, or where it would come. */
static inline struct draft *draft_find(struct draft *d, const char *path, unsigned *ret_i)
{
	size_t n = strcspn(path, ".");
	unsigned i = 0;

	while (i < d->n && (strlen(d->kids[i]->key) != n || memcmp(d->kids[i]->key, path, n) != 0))
		i++;
	*ret_i = i;
	if (!path[n])
		return d;
	assert(i < d->n);
	return draft_find(d->kids[i], path + n + 1, ret_i);
}

/* Sets or adds (at its map's end) a value; a map becomes that value too. */
static inline void draft_put(struct draft *d, const char *path, const struct raw *raw)
{
	const char *key = strrchr(path, '.');
	struct draft *map, *leaf = calloc(1, sizeof *leaf);
	unsigned i;

	map = draft_find(d, path, &i);
	key = key ? key + 1 : path;
	leaf->raw = malloc(raw->n + 1);
	assert(leaf->raw && strlen(key) < sizeof leaf->key && i < DRAFT_KIDS_MAX);
	strcpy(leaf->key, key);
	memcpy(leaf->raw, raw->p, raw->n);
	leaf->len = raw->n;
	if (i < map->n)
		draft_free(map->kids[i]);
	else
		map->n++;
	map->kids[i] = leaf;
}

static inline void draft_drop(struct draft *d, const char *path)
{
	unsigned i;
	struct draft *map = draft_find(d, path, &i);

	assert(i < map->n);
	draft_free(map->kids[i]);
	map->n--;
	memmove(&map->kids[i], &map->kids[i + 1], (map->n - i) * sizeof map->kids[0]);
}

/* Puts a key first in its map. */
static inline void draft_to_front(struct draft *d, const char *path)
{
	unsigned i;
	struct draft *map = draft_find(d, path, &i), *kid = map->kids[i];

	assert(i < map->n);
	memmove(&map->kids[1], &map->kids[0], i * sizeof map->kids[0]);
	map->kids[0] = kid;
}

static inline void draft_encode(const struct draft *d, struct raw *ret)
{
	if (!d->map) {
		raw_bytes(ret, d->raw, d->len);
		return;
	}
	raw_map(ret, d->n);
	for (unsigned i = 0; i < d->n; i++) {
		raw_str(ret, d->kids[i]->key, strlen(d->kids[i]->key));
		draft_encode(d->kids[i], ret);
	}
}

/* The same key once more at its map's end, by hand: a tree of drafts may hold it twice. */
static inline void draft_twice(struct draft *d, const char *path)
{
	unsigned i;
	struct draft *map = draft_find(d, path, &i);
	struct raw *raw = calloc(1, sizeof *raw);
	struct mp_cursor c;

	assert(raw && i < map->n && map->n < DRAFT_KIDS_MAX);
	draft_encode(map->kids[i], raw);
	c = (struct mp_cursor){raw->p, raw->p + raw->n};
	map->kids[map->n] = draft_read(&c);
	strcpy(map->kids[map->n++]->key, map->kids[i]->key);
	free(raw);
}

#endif
