/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events as JSON and back, by jansson: it reports line and column, refuses keys that stand twice
 * and checks UTF-8; it is in Debian and maintained.
 *
 * The shape is the event's own. Binary is hexadecimal text, times are Unix ms or RFC 3339 text;
 * keys and types that the table does not know are taken over as they are, so that an event of a
 * newer type passes through an older program.
 */
#include "mpread.h"
#include "types.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>

enum { JSON_DEPTH_MAX = 8 };

__attribute__((format(printf, 5, 6))) static int
fail(struct dibao_error *err, int code, unsigned line, const char *field, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	err->code = code;
	err->line = line;
	snprintf(err->field, sizeof err->field, "%s", field);
	va_start(ap, fmt);
	vsnprintf(err->reason, sizeof err->reason, fmt, ap);
	va_end(ap);
	return code;
}

static void pack_text(msgpack_packer *pk, const char *p, size_t n)
{
	msgpack_pack_str(pk, n);
	msgpack_pack_str_body(pk, p, n);
}

/* Any JSON value as it is; maps and arrays up to `depth` levels. */
static int pack_any(msgpack_packer *pk, json_t *v, unsigned depth)
{
	const char *key;
	json_t *item;
	size_t i;

	if (depth == 0 && (json_is_object(v) || json_is_array(v)))
		return -EBADMSG;
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		msgpack_pack_map(pk, json_object_size(v));
		json_object_foreach(v, key, item)
		{
			pack_text(pk, key, strlen(key));
			if (pack_any(pk, item, depth - 1) < 0)
				return -EBADMSG;
		}
		break;
	case JSON_ARRAY:
		msgpack_pack_array(pk, json_array_size(v));
		json_array_foreach(v, i, item)
		{
			if (pack_any(pk, item, depth - 1) < 0)
				return -EBADMSG;
		}
		break;
	case JSON_STRING:
		pack_text(pk, json_string_value(v), json_string_length(v));
		break;
	case JSON_INTEGER:
		msgpack_pack_int64(pk, json_integer_value(v));
		break;
	case JSON_REAL:
		msgpack_pack_double(pk, json_real_value(v));
		break;
	case JSON_TRUE:
		msgpack_pack_true(pk);
		break;
	case JSON_FALSE:
		msgpack_pack_false(pk);
		break;
	case JSON_NULL:
		msgpack_pack_nil(pk);
		break;
	}
	return 0;
}

struct reading {
	const struct flat *flat;
	msgpack_packer *pk;
	unsigned line;
	struct dibao_error *err;
};

static int pack_object(struct reading *r, json_t *object, int first, const char *path,
		       unsigned depth);

/* Times and binary may come as text. */
static int pack_by_text(struct reading *r, int slot, const char *text)
{
	int64_t ms;
	uint8_t bin[64];
	size_t n = strlen(text) / 2;

	if (r->flat->keys[slot].kind == DIBAO_KIND_BIN) {
		if (strlen(text) % 2 || n > sizeof bin ||
		    strspn(text, "0123456789abcdefABCDEF") != 2 * n)
			return fail(r->err, -EINVAL, r->line, r->flat->paths[slot],
				    "expected hexadecimal digits");
		for (size_t i = 0; i < n; i++)
			sscanf(text + 2 * i, "%2hhx", &bin[i]);
		msgpack_pack_bin(r->pk, n);
		msgpack_pack_bin_body(r->pk, bin, n);
		return 0;
	}
	if (time_from_text(text, &ms) < 0)
		return fail(r->err, -EINVAL, r->line, r->flat->paths[slot],
			    "expected Unix ms or a time with zone, 2026-11-23T09:30:00+08:00");
	msgpack_pack_int64(r->pk, ms);
	return 0;
}

static int pack_field(struct reading *r, int slot, json_t *v, unsigned depth)
{
	enum dibao_kind k = (enum dibao_kind)r->flat->keys[slot].kind;
	const char *path = r->flat->paths[slot];

	if (json_is_string(v) && (k == DIBAO_KIND_MS || k == DIBAO_KIND_BIN))
		return pack_by_text(r, slot, json_string_value(v));
	if (json_is_object(v) && k == DIBAO_KIND_MAP)
		return pack_object(r, v, r->flat->keys[slot].child, path, depth - 1);
	if (pack_any(r->pk, v, depth - 1) < 0)
		return fail(r->err, -EBADMSG, r->line, path, "nested too deep");
	return 0;
}

static int find(const struct flat *flat, int first, const char *key)
{
	for (int s = first;;) {
		if (!strcmp(flat->specs[s]->name, key))
			return s;
		s = flat->keys[s].next;
		if (!s)
			return -1;
	}
}

/* In the table's order first, so that the bytes parse fast; then what it does not know. */
static int pack_object(struct reading *r, json_t *object, int first, const char *path,
		       unsigned depth)
{
	bool has_table = first || !*path;
	const char *key;
	json_t *v;
	int e;

	if (depth == 0)
		return fail(r->err, -EBADMSG, r->line, path, "nested too deep");
	msgpack_pack_map(r->pk, json_object_size(object));
	json_object_foreach(object, key, v)
	{
		if (has_table && find(r->flat, first, key) >= 0)
			continue;
		pack_text(r->pk, key, strlen(key));
		if (pack_any(r->pk, v, depth - 1) < 0)
			return fail(r->err, -EBADMSG, r->line, path, "nested too deep");
	}
	for (int s = first; has_table;) {
		v = json_object_get(object, r->flat->specs[s]->name);
		if (v) {
			pack_text(r->pk, r->flat->specs[s]->name, r->flat->keys[s].len);
			e = pack_field(r, s, v, depth);
			if (e < 0)
				return e;
		}
		s = r->flat->keys[s].next;
		if (!s)
			break;
	}
	return 0;
}

static const struct flat *flat_of(json_t *object)
{
	const char *type = json_string_value(json_object_get(object, "type"));
	int t = type ? dibao_type_find(type, strlen(type)) : DIBAO_TYPE_UNKNOWN;

	if (json_object_get(object, "retracts"))
		return types_flat(FLAT_RETRACTION);
	return types_flat(t < 0 ? DIBAO_TYPE_UNKNOWN : t);
}

/* What jansson stumbled on. Its own text repeats what stands there, so it is not passed on. */
static const char *what_is_wrong(const json_error_t *where)
{
	switch (json_error_code(where)) {
	case json_error_duplicate_key:
		return "a key that stands twice";
	case json_error_invalid_utf8:
		return "not UTF-8";
	case json_error_numeric_overflow:
		return "a number beyond 64 bits";
	case json_error_stack_overflow:
		return "nested too deep";
	case json_error_null_byte_in_key:
	case json_error_null_character:
		return "a NUL character";
	case json_error_premature_end_of_input:
		return "not JSON: ends too early";
	case json_error_end_of_input_expected:
		return "not JSON: more after its end";
	default:
		return "not JSON: makes no sense";
	}
}

int dibao_event_from_json(const char *text, size_t len, unsigned line, uint8_t **ret,
			  size_t *ret_len, struct dibao_error *err)
{
	struct reading r = {.line = line, .err = err};
	json_error_t where;
	msgpack_sbuffer buf;
	msgpack_packer pk;
	struct dibao_event ev;
	json_t *object;
	int e;

	/* JSON of an event of 16 KiB is under twelve times as long, all escaped. */
	if (len > 12u * DIBAO_EVENT_MAX_BYTES)
		return fail(err, -EMSGSIZE, line, "", "expected at most %u bytes of JSON",
			    12u * DIBAO_EVENT_MAX_BYTES);
	object = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
	if (!object)
		return fail(err, -EBADMSG, line + (where.line > 0 ? (unsigned)where.line - 1 : 0),
			    "", "%s, at column %d", what_is_wrong(&where), where.column);
	if (!json_is_object(object)) {
		json_decref(object);
		return fail(err, -EBADMSG, line, "", "expected a JSON object");
	}
	if (!json_object_get(object, "v"))
		json_object_set_new(object, "v", json_integer(1));
	msgpack_sbuffer_init(&buf);
	msgpack_packer_init(&pk, &buf, msgpack_sbuffer_write);
	r.flat = flat_of(object);
	r.pk = &pk;
	e = pack_object(&r, object, SLOT_V, "", JSON_DEPTH_MAX);
	json_decref(object);
	if (e == 0) {
		e = dibao_event_parse(&ev, buf.data, buf.size, err);
		if (e < 0 && err)
			err->line = line;
	}
	if (e < 0) {
		msgpack_sbuffer_destroy(&buf);
		return e;
	}
	*ret_len = buf.size;
	*ret = (uint8_t *)msgpack_sbuffer_release(&buf);
	return 0;
}

/* No field of ours is a float, but an event of a newer kind may have one. */
static json_t *real_to_json(const struct mp_value *v)
{
	uint32_t half = (uint32_t)v->u;
	double d;
	float f;

	if (v->n == sizeof f) {
		memcpy(&f, &half, sizeof f);
		d = f;
	} else {
		memcpy(&d, &v->u, sizeof d);
	}
	return isfinite(d) ? json_real(d) : json_null();
}

static json_t *to_json(struct mp_cursor *c, unsigned depth)
{
	struct mp_value v, k;
	json_t *j = NULL, *item;

	if (!depth || !mp_read(c, &v))
		return NULL;
	switch (v.kind) {
	case MP_NIL:
		return json_null();
	case MP_BOOL:
		return json_boolean(v.boolean);
	case MP_INT:
		return json_integer(v.i);
	case MP_UINT:
		return v.u > INT64_MAX ? json_real((double)v.u) : json_integer((int64_t)v.u);
	case MP_FLOAT:
		return real_to_json(&v);
	case MP_STR:
		return json_stringn((const char *)v.p, v.n);
	case MP_BIN:
	case MP_EXT: {
		char *hex = malloc(2 * (size_t)v.n + 1);

		if (!hex)
			return NULL;
		for (uint32_t i = 0; i < v.n; i++)
			sprintf(hex + 2 * i, "%02x", v.p[i]);
		j = json_stringn(hex, 2 * (size_t)v.n);
		free(hex);
		return j;
	}
	case MP_ARRAY:
		j = json_array();
		for (uint32_t i = 0; i < v.n; i++) {
			item = to_json(c, depth - 1);
			if (!item || json_array_append_new(j, item) < 0)
				goto fail;
		}
		return j;
	case MP_MAP:
		j = json_object();
		for (uint32_t i = 0; i < v.n; i++) {
			if (!mp_read(c, &k) || k.kind != MP_STR)
				goto fail;
			item = to_json(c, depth - 1);
			if (!item || json_object_setn_new(j, (const char *)k.p, k.n, item) < 0)
				goto fail;
		}
		return j;
	}
fail:
	json_decref(j);
	return NULL;
}

int dibao_event_to_json(const void *bytes, size_t len, char **ret)
{
	struct mp_cursor c = {bytes, (const uint8_t *)bytes + len};
	json_t *j = to_json(&c, JSON_DEPTH_MAX + 1);
	char *text;

	if (!j || c.p != c.end || !json_is_object(j)) {
		json_decref(j);
		return -EBADMSG;
	}
	text = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	if (!text)
		return -ENOMEM;
	*ret = text;
	return 0;
}
