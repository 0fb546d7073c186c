/* SPDX-License-Identifier: Apache-2.0 */
/* Building an event field by field; encoded in the table's order. */
#include "types.h"

#include <ctype.h>
#include <errno.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>

struct value {
	bool set;
	int64_t number; /* INT, MS, BOOL */
	char *text;	/* owned: STR, DATE, CHOICE, DIGITS, BIN */
	size_t len;
};

struct dibao_builder {
	const struct flat *flat;
	int type; /* DIBAO_TYPE_UNKNOWN allowed: envelope alone, empty body */
	char type_name[33];
	struct value values[DIBAO_FIELDS_MAX];
};

int dibao_builder_new(struct dibao_builder **ret, const char *type)
{
	size_t n = strlen(type);
	struct dibao_builder *b;
	int t = dibao_type_find(type, n);

	if (t < 0 || n >= sizeof b->type_name)
		return -ENOENT;
	b = calloc(1, sizeof *b);
	if (!b)
		return -ENOMEM;
	b->type = t;
	b->flat = types_flat(t);
	memcpy(b->type_name, type, n);
	*ret = b;
	return 0;
}

static void clear(struct dibao_builder *b)
{
	for (unsigned i = 0; i < DIBAO_FIELDS_MAX; i++)
		free(b->values[i].text);
	memset(b->values, 0, sizeof b->values);
}

struct dibao_builder *dibao_builder_free(struct dibao_builder *b)
{
	if (b) {
		clear(b);
		free(b);
	}
	return NULL;
}

static enum dibao_kind kind_of(const struct dibao_builder *b, int slot)
{
	return b->flat->specs[slot]->kind;
}

static int set_text(struct dibao_builder *b, int slot, const void *p, size_t len)
{
	char *copy;

	if (len > DIBAO_EVENT_MAX_BYTES)
		return -EINVAL;
	copy = malloc(len + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, p, len);
	copy[len] = '\0';
	free(b->values[slot].text);
	b->values[slot] = (struct value){.set = true, .text = copy, .len = len};
	return 0;
}

int dibao_builder_str(struct dibao_builder *b, const char *path, const char *value, size_t len)
{
	int slot;

	/* A retraction has a body of its own; what was set of the type's body is dropped. */
	if (!strcmp(path, "retracts"))
		b->flat = types_flat(FLAT_RETRACTION);
	slot = flat_find(b->flat, path);
	if (slot < 0)
		return slot;
	switch (kind_of(b, slot)) {
	case DIBAO_KIND_STR:
	case DIBAO_KIND_DATE:
	case DIBAO_KIND_CHOICE:
	case DIBAO_KIND_DIGITS:
		return set_text(b, slot, value, len);
	default:
		return -EINVAL;
	}
}

int dibao_builder_bin(struct dibao_builder *b, const char *path, const void *value, size_t len)
{
	int slot = flat_find(b->flat, path);

	if (slot < 0)
		return slot;
	return kind_of(b, slot) == DIBAO_KIND_BIN ? set_text(b, slot, value, len) : -EINVAL;
}

int dibao_builder_int(struct dibao_builder *b, const char *path, int64_t value)
{
	int slot = flat_find(b->flat, path);

	if (slot < 0)
		return slot;
	if (kind_of(b, slot) != DIBAO_KIND_INT && kind_of(b, slot) != DIBAO_KIND_MS)
		return -EINVAL;
	b->values[slot] = (struct value){.set = true, .number = value};
	return 0;
}

int dibao_builder_bool(struct dibao_builder *b, const char *path, bool value)
{
	int slot = flat_find(b->flat, path);

	if (slot < 0)
		return slot;
	if (kind_of(b, slot) != DIBAO_KIND_BOOL)
		return -EINVAL;
	b->values[slot] = (struct value){.set = true, .number = value};
	return 0;
}

static int fail(struct dibao_error *err, int code, const char *field, const char *reason)
{
	if (err) {
		err->code = code;
		err->line = 0;
		snprintf(err->field, sizeof err->field, "%s", field);
		snprintf(err->reason, sizeof err->reason, "%s", reason);
	}
	return code;
}

static int parse_int(const char *text, int64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoll(text, &end, 10);
	return *text && !*end && !errno && !isspace((unsigned char)*text) ? 0 : -EINVAL;
}

static int parse_hex(struct dibao_builder *b, int slot, const char *text)
{
	size_t n = strlen(text) / 2;
	uint8_t buf[64];

	if (strlen(text) % 2 || n > sizeof buf || strspn(text, "0123456789abcdefABCDEF") != 2 * n)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		sscanf(text + 2 * i, "%2hhx", &buf[i]);
	return set_text(b, slot, buf, n);
}

int dibao_builder_text(struct dibao_builder *b, const char *path, const char *text,
		       struct dibao_error *err)
{
	int slot = flat_find(b->flat, path), r;
	int64_t v;

	if (slot < 0 && !strcmp(path, "retracts"))
		slot = SLOT_RETRACTS;
	if (slot < 0)
		return fail(err, -ENOENT, path, "no such field for this type");
	switch (kind_of(b, slot)) {
	case DIBAO_KIND_INT:
		r = parse_int(text, &v);
		return r < 0 ? fail(err, r, path, "expected a whole number")
			     : dibao_builder_int(b, path, v);
	case DIBAO_KIND_MS:
		r = parse_int(text, &v);
		if (r < 0)
			r = time_from_text(text, &v);
		return r < 0 ? fail(err, r, path,
				    "expected Unix ms or a time with zone, "
				    "2026-11-23T09:30:00+08:00")
			     : dibao_builder_int(b, path, v);
	case DIBAO_KIND_BOOL:
		if (strcmp(text, "true") && strcmp(text, "false"))
			return fail(err, -EINVAL, path, "expected true or false");
		return dibao_builder_bool(b, path, !strcmp(text, "true"));
	case DIBAO_KIND_BIN:
		r = parse_hex(b, slot, text);
		return r < 0 ? fail(err, r, path, "expected hexadecimal digits") : 0;
	case DIBAO_KIND_MAP:
	case DIBAO_KIND_ANY:
		return fail(err, -EINVAL, path, "cannot be given as text");
	default:
		r = dibao_builder_str(b, path, text, strlen(text));
		return r < 0 ? fail(err, r, path, "too long") : 0;
	}
}

/* ---- encoding ---- */

static bool any_set(const struct dibao_builder *b, uint8_t slot)
{
	const struct flat_key *k = &b->flat->keys[slot];

	if (slot == b->flat->body)
		return true;
	if (k->kind != DIBAO_KIND_MAP)
		return b->values[slot].set;
	for (uint8_t c = k->child; c; c = b->flat->keys[c].next)
		if (any_set(b, c))
			return true;
	return false;
}

static void pack_text(msgpack_packer *pk, const char *p, size_t n)
{
	msgpack_pack_str(pk, n);
	msgpack_pack_str_body(pk, p, n);
}

static void pack_map(const struct dibao_builder *b, msgpack_packer *pk, uint8_t first, bool empty);

static void pack_value(const struct dibao_builder *b, msgpack_packer *pk, uint8_t slot)
{
	const struct flat_key *k = &b->flat->keys[slot];
	const struct value *v = &b->values[slot];

	switch (k->kind) {
	case DIBAO_KIND_MAP:
		pack_map(b, pk, k->child, !k->child);
		break;
	case DIBAO_KIND_INT:
	case DIBAO_KIND_MS:
		msgpack_pack_int64(pk, v->number);
		break;
	case DIBAO_KIND_BOOL:
		if (v->number)
			msgpack_pack_true(pk);
		else
			msgpack_pack_false(pk);
		break;
	case DIBAO_KIND_BIN:
		msgpack_pack_bin(pk, v->len);
		msgpack_pack_bin_body(pk, v->text, v->len);
		break;
	default:
		pack_text(pk, v->text, v->len);
	}
}

static void pack_map(const struct dibao_builder *b, msgpack_packer *pk, uint8_t first, bool empty)
{
	unsigned n = 0;
	uint8_t s;

	if (empty) {
		msgpack_pack_map(pk, 0);
		return;
	}
	s = first;
	do {
		n += any_set(b, s);
		s = b->flat->keys[s].next;
	} while (s);
	msgpack_pack_map(pk, n);
	s = first;
	do {
		if (any_set(b, s)) {
			pack_text(pk, b->flat->specs[s]->name, b->flat->keys[s].len);
			pack_value(b, pk, s);
		}
		s = b->flat->keys[s].next;
	} while (s);
}

int dibao_builder_encode(struct dibao_builder *b, uint8_t **ret, size_t *ret_len,
			 struct dibao_error *err)
{
	msgpack_sbuffer buf;
	msgpack_packer pk;
	struct dibao_event ev;
	int r;

	if (!b->values[SLOT_V].set)
		b->values[SLOT_V] = (struct value){.set = true, .number = 1};
	r = set_text(b, SLOT_TYPE, b->type_name, strlen(b->type_name));
	if (r < 0)
		return fail(err, r, "", "no memory");
	msgpack_sbuffer_init(&buf);
	msgpack_packer_init(&pk, &buf, msgpack_sbuffer_write);
	pack_map(b, &pk, SLOT_V, false);
	r = dibao_event_parse(&ev, buf.data, buf.size, err);
	if (r < 0) {
		msgpack_sbuffer_destroy(&buf);
		return r;
	}
	*ret_len = buf.size;
	*ret = (uint8_t *)msgpack_sbuffer_release(&buf);
	return 0;
}
