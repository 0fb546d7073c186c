/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks of 256 KiB in a list; a reply is carved off them front to back. When a
 * reply is taken back the first block stays and the others go, so an idle link
 * holds one block, however large a reply once was.
 *
 * hiredis gives freeObject nothing but the object, so each object leads back to
 * its arena. What no longer has a place (past the limits, or below an array
 * that has none) becomes the one `nowhere` object: hiredis takes NULL for "out
 * of memory" and would end the connection.
 */
#include "redis_arena.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	BLOCK_BYTES = 256 * 1024,
	KEPT_BYTES = 4 * 1024 * 1024, /* a slice of history fits; memory fresh from the kernel costs
				       * more than what is put there */
	ALIGN = 16,
};

struct block {
	struct block *next;
	size_t size, used;
	_Alignas(ALIGN) unsigned char bytes[];
};

struct redis_arena {
	struct block *first;   /* up to KEPT_BYTES stay when the reply goes */
	struct block *current; /* those behind it are empty */
	size_t total;
	bool overflowed;
};

struct object {
	redisReply reply; /* first: hiredis and callers see this */
	struct redis_arena *arena;
};

static struct object nowhere = {.reply = {.type = REDIS_REPLY_NIL}};

static struct block *block_new(size_t size)
{
	struct block *b = malloc(sizeof *b + size);

	if (b) {
		b->next = NULL;
		b->size = size;
		b->used = 0;
	}
	return b;
}

int redis_arena_new(struct redis_arena **ret)
{
	struct redis_arena *a = calloc(1, sizeof *a);

	if (!a) {
		return -ENOMEM;
	}
	a->first = a->current = block_new(BLOCK_BYTES);
	if (!a->first) {
		free(a);
		return -ENOMEM;
	}
	*ret = a;
	return 0;
}

static void take_back(struct redis_arena *a)
{
	struct block *b = a->first, *next;
	size_t kept = b->size;

	b->used = 0;
	while ((next = b->next)) {
		if (kept + next->size > KEPT_BYTES) {
			b->next = next->next;
			free(next);
			continue;
		}
		kept += next->size;
		next->used = 0;
		b = next;
	}
	a->current = a->first;
	a->total = 0;
	a->overflowed = false;
}

struct redis_arena *redis_arena_free(struct redis_arena *a)
{
	if (!a) {
		return NULL;
	}
	while (a->first) {
		struct block *next = a->first->next;

		free(a->first);
		a->first = next;
	}
	free(a);
	return NULL;
}

bool redis_arena_overflowed(const struct redis_arena *a)
{
	return a->overflowed;
}

static void *carve(struct redis_arena *a, size_t n)
{
	struct block *b = a->current;
	void *p;

	n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (a->overflowed || n > REDIS_ARENA_MAX_BYTES - a->total) {
		a->overflowed = true;
		return NULL;
	}
	while (n > b->size - b->used && b->next)
		b = b->next;
	if (n > b->size - b->used) {
		b->next = block_new(n > BLOCK_BYTES ? n : BLOCK_BYTES);
		if (!b->next) {
			a->overflowed = true;
			return NULL;
		}
		b = b->next;
	}
	a->current = b;
	p = b->bytes + b->used;
	b->used += n;
	a->total += n;
	return p;
}

/* An object in its parent's place, or NULL if it has none. */
static struct object *place(const redisReadTask *task, size_t extra)
{
	struct redis_arena *a = task->privdata;
	redisReply *parent = task->parent ? task->parent->obj : NULL;
	struct object *o;

	if (!task->parent) {
		take_back(a); /* a root without a place was never given back */
	}
	if (parent && (size_t)task->idx >= parent->elements) {
		return NULL;
	}
	o = carve(a, sizeof *o + extra);
	if (!o) {
		return NULL;
	}
	memset(o, 0, sizeof *o);
	o->reply.type = task->type;
	o->arena = a;
	if (parent) {
		parent->element[task->idx] = &o->reply;
	}
	return o;
}

static void *create_string(const redisReadTask *task, char *str, size_t len)
{
	struct object *o;

	if (task->parent && task->idx >= REDIS_ARENA_STRINGS_MAX) {
		return &nowhere; /* its place keeps what create_array() put there */
	}
	if (len > REDIS_ARENA_STRING_MAX) {
		len = REDIS_ARENA_STRING_MAX;
	}
	o = place(task, len + 1);
	if (!o) {
		return &nowhere;
	}
	o->reply.str = (char *)(o + 1);
	o->reply.len = len;
	memcpy(o->reply.str, str, len);
	o->reply.str[len] = '\0';
	return o;
}

static void *create_array(const redisReadTask *task, int elements)
{
	size_t n = elements < 0 ? 0 : (size_t)elements;
	struct object *o;

	if (n > REDIS_ARENA_ELEMENTS_MAX) {
		n = REDIS_ARENA_ELEMENTS_MAX;
	}
	o = place(task, n * sizeof(redisReply *));
	if (!o) {
		return &nowhere;
	}
	o->reply.elements = n;
	o->reply.element = (redisReply **)(o + 1);
	for (size_t i = 0; i < n; i++) {
		o->reply.element[i] = &nowhere.reply;
	}
	return o;
}

static void *create_integer(const redisReadTask *task, long long value)
{
	struct object *o = place(task, 0);

	if (!o) {
		return &nowhere;
	}
	o->reply.integer = value;
	return o;
}

static void *create_nil(const redisReadTask *task)
{
	struct object *o = place(task, 0);

	if (!o) {
		return &nowhere;
	}
	/* hiredis' task says array for "*-1" and string for "$-1". */
	o->reply.type = REDIS_REPLY_NIL;
	return o;
}

static void free_object(void *object)
{
	struct object *o = object;

	if (o && o->arena) {
		take_back(o->arena);
	}
}

redisReplyObjectFunctions redis_arena_functions = {
	.createString = create_string,
	.createArray = create_array,
	.createInteger = create_integer,
	.createNil = create_nil,
	.freeObject = free_object,
};
