/* SPDX-License-Identifier: Apache-2.0 */
#include "types.h"

#include <assert.h>
#include <endian.h>
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

static void add_words(struct flat *f, struct flat_key *k, const char *choices)
{
	k->min = f->n_words;
	for (;;) {
		size_t len = strcspn(choices, "|");

		assert(len > 0 && f->n_words < FLAT_WORDS_MAX);
		f->words[f->n_words++] = (struct flat_word){choices, len};
		if (!choices[len])
			break;
		choices += len + 1;
	}
	k->max = f->n_words - k->min;
}

static uint8_t add(struct flat *f, const struct dibao_field_spec *spec, const char *parent)
{
	struct flat_key *k = &f->keys[f->n];
	size_t len = strlen(spec->name), head = len < 8 ? len : 8;
	int n;

	assert(len > 0 && len < 32);
	assert(f->n < DIBAO_FIELDS_MAX);
	f->specs[f->n] = spec;
	memcpy(&k->head, spec->name, head);
	k->head = le64toh(k->head);
	k->mask = ~0ull >> (64 - 8 * head);
	if (len > 8)
		memcpy(&k->tail, spec->name + len - 8, 8);
	k->tail = le64toh(k->tail);
	k->len = (uint8_t)len;
	k->tag = (uint8_t)(0xa0 | len);
	/* No string of an event is longer than the event. */
	k->min = (uint16_t)(spec->min < DIBAO_EVENT_MAX_BYTES ? spec->min : DIBAO_EVENT_MAX_BYTES);
	k->max = (uint16_t)(spec->max < DIBAO_EVENT_MAX_BYTES ? spec->max : DIBAO_EVENT_MAX_BYTES);
	if (spec->kind == DIBAO_KIND_CHOICE)
		add_words(f, k, spec->choices);
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

static void make_rings(struct flat *f, uint8_t first)
{
	uint8_t i = first;

	do {
		f->keys[i].ring = f->keys[i].next ? f->keys[i].next : first;
		i = f->keys[i].next;
	} while (i);
}

static uint8_t slot_or_none(const struct flat *f, const char *path)
{
	int slot = flat_find(f, path);

	return slot < 0 ? 0 : (uint8_t)slot;
}

/* The named members of the view. */
static const struct {
	uint8_t slot;
	uint16_t into;
} members[] = {
	{SLOT_TYPE, offsetof(struct dibao_event, type_name)},
	{SLOT_UID, offsetof(struct dibao_event, uid)},
	{SLOT_ORG, offsetof(struct dibao_event, org)},
	{SLOT_BADGE, offsetof(struct dibao_event, badge)},
	{SLOT_RETRACTS, offsetof(struct dibao_event, retracts)},
	{SLOT_CORRECTS, offsetof(struct dibao_event, corrects)},
	{SLOT_FOLLOWS, offsetof(struct dibao_event, follows)},
	{SLOT_AT, offsetof(struct dibao_event, at)},
	{SLOT_NOT_BEFORE, offsetof(struct dibao_event, not_before)},
	{SLOT_EXPIRES, offsetof(struct dibao_event, expires)},
	{SLOT_PRIVATE, offsetof(struct dibao_event, is_private)},
	{SLOT_URGENT, offsetof(struct dibao_event, urgent)},
	{SLOT_RECORD, offsetof(struct dibao_event, record)},
};

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
	for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
		f->keys[members[i].slot].into = members[i].into;
	make_rings(f, SLOT_V);
	for (uint8_t i = 0; i < f->n; i++)
		if (f->keys[i].child)
			make_rings(f, f->keys[i].child);
	f->is_private = true;
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
	for (size_t i = 0; i < n; i++) {
		make(&flats[2 + i], types[i].body);
		flats[2 + i].is_private = types[i].audience == DIBAO_AUDIENCE_PRIVATE;
		flats[2 + i].person_optional = types[i].person_optional;
	}
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
