/* SPDX-License-Identifier: Apache-2.0 */
#include "types.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { TYPES_MAX = 62 };

static struct flat flats[TYPES_MAX + 2];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const struct dibao_field_spec body_spec = {
	.name = "body",
	.kind = DIBAO_KIND_MAP,
	.flags = DIBAO_FIELD_REQUIRED | DIBAO_FIELD_PUBLIC,
	.zh = "内容",
	.doc = "what happened, by type",
};

static uint8_t add(struct flat *f, const struct dibao_field_spec *spec, const char *parent)
{
	struct flat_key *k = &f->keys[f->n];
	size_t len = strlen(spec->name);
	int n;

	assert(f->n < DIBAO_FIELDS_MAX);
	f->specs[f->n] = spec;
	memcpy(&k->head, spec->name, len < sizeof k->head ? len : sizeof k->head);
	k->len = (uint8_t)len;
	k->kind = (uint8_t)spec->kind;
	n = snprintf(f->paths[f->n], sizeof f->paths[0], "%s%s%s", parent, *parent ? "." : "",
		     spec->name);
	assert(n > 0 && (size_t)n < sizeof f->paths[0]);
	(void)n;
	return f->n++;
}

/* Adds the fields of a map and what lies in them; returns the first slot, 0 if there is none.
 * *ret_required: the slots that must be there. */
static uint8_t add_all(struct flat *f, const struct dibao_field_spec *fields, const char *parent,
		       uint64_t *ret_required)
{
	uint8_t first = 0, previous = 0;
	bool any = false;

	for (; fields && fields->name; fields++) {
		uint8_t slot = add(f, fields, parent);

		if (any)
			f->keys[previous].next = slot;
		else
			first = slot;
		any = true;
		previous = slot;
		if (fields->flags & DIBAO_FIELD_REQUIRED)
			*ret_required |= 1ull << slot;
		if (fields->kind == DIBAO_KIND_MAP)
			f->keys[slot].child =
				add_all(f, fields->fields, f->paths[slot], &f->required[slot]);
	}
	return first;
}

static uint8_t slot_or_none(const struct flat *f, const char *path)
{
	int slot = flat_find(f, path);

	return slot < 0 ? 0 : (uint8_t)slot;
}

static void make(struct flat *f, const struct dibao_field_spec *body)
{
	uint8_t last = 0;

	add_all(f, dibao_envelope(), "", &f->required_top);
	for (uint8_t i = 0; f->keys[i].next; i = f->keys[i].next)
		last = f->keys[i].next;
	f->body = add(f, &body_spec, "");
	f->keys[last].next = f->body;
	f->required_top |= 1ull << f->body;
	f->keys[f->body].child = add_all(f, body, "body", &f->required[f->body]);
	f->state = slot_or_none(f, "body.state");
	f->notice_until = slot_or_none(f, "body.notice_until");
	f->contact = slot_or_none(f, "body.contact");
}

static void make_all(void)
{
	size_t n;
	const struct dibao_type_spec *types = dibao_types(&n);

	assert(n <= TYPES_MAX);
	make(&flats[0], NULL);
	make(&flats[1], dibao_retraction_body());
	for (size_t i = 0; i < n; i++)
		make(&flats[2 + i], types[i].body);
}

const struct flat *types_flat(int type)
{
	pthread_once(&once, make_all);
	return type == DIBAO_TYPE_UNKNOWN ? &flats[0]
	       : type == FLAT_RETRACTION  ? &flats[1]
					  : &flats[2 + type];
}

int flat_find(const struct flat *f, const char *path)
{
	for (int i = 0; i < f->n; i++)
		if (!strcmp(f->paths[i], path))
			return i;
	return -ENOENT;
}
