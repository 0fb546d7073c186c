/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A uid is made where a row has none: type, document number (a letter's ticket), badge and kind,
 * hashed, so that the same row makes the same uid wherever and whenever it is imported. A row with
 * nothing but type and badge to tell it by is refused: two events would become one.
 */
#include "import_row.h"
#include "cell.h"
#include "types.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* The cells of a row by the slots of its type, cleaned. */
struct row {
	const struct headings *headings;
	const struct import_rules *rules;
	struct import_record *rec;
	struct dibao_builder *builder;
	const struct flat *flat;
	const char *type;
	const char *text[DIBAO_FIELDS_MAX]; /* into scratch; NULL = none */
	bool yuan[DIBAO_FIELDS_MAX];
	size_t n_scratch;
	char scratch[TABLE_ROW_MAX + TABLE_CELLS_MAX + 4096];
};

/* Then what stands in the cells before is perhaps not what their headings say. */
static const char too_many[] =
	"more cells than headings: a text with a separator in it that is not quoted?";

static int refuse(struct import_record *rec, const char *field, const char *reason)
{
	memset(&rec->err, 0, sizeof rec->err);
	rec->err.code = -EINVAL;
	rec->err.line = rec->line;
	snprintf(rec->err.field, sizeof rec->err.field, "%s", field);
	snprintf(rec->err.reason, sizeof rec->err.reason, "%s", reason);
	return -EINVAL;
}

/* A cleaned copy in scratch; NULL if nothing is left of it. */
static char *keep(struct row *r, const char *p, size_t len, bool narrow)
{
	char *at = r->scratch + r->n_scratch;
	size_t n;

	if (len >= sizeof r->scratch - r->n_scratch)
		return NULL; /* cannot be: scratch holds a whole row and the rules' words */
	memcpy(at, p, len);
	at[len] = '\0';
	n = cell_clean(at, len, narrow);
	if (!n)
		return NULL;
	r->n_scratch += n + 1;
	return at;
}

static int find_type(struct row *r, const struct import_columns *columns,
		     const struct table_row *row)
{
	const char *word = r->rules->type, *meaning;

	for (unsigned i = 0; i < row->n && i < columns->n; i++)
		if (columns->at[i] && !strcmp(columns->at[i]->path, "type")) {
			const char *cell = keep(r, row->cells[i].p, row->cells[i].len, true);

			word = cell ? cell : word;
		}
	if (!word)
		return refuse(r->rec, "type", "missing: no such column; give --type");
	meaning = headings_value(r->headings, "type", word);
	r->type = meaning ? meaning : word;
	if (dibao_type_find(r->type, strlen(r->type)) < 0)
		return refuse(r->rec, "type", "no such type");
	r->flat = types_flat(dibao_type_find(r->type, strlen(r->type)));
	return dibao_builder_new(&r->builder, r->type) < 0 ? refuse(r->rec, "", "no memory") : 0;
}

static int take_cell(struct row *r, const struct heading *h, const struct table_cell *cell)
{
	char *text = keep(r, cell->p, cell->len, h->narrow);
	const char *why;
	int slot;

	if (!text || !strcmp(h->path, "type"))
		return 0;
	slot = flat_find(r->flat, h->path);
	if (slot < 0)
		return refuse(r->rec, h->path, "this type has no such field");
	if (!strcmp(h->path, "retracts"))
		return refuse(r->rec, h->path, "retractions are not imported from tables");
	why = h->narrow || h->yuan ? cell_spoilt(text) : NULL;
	if (why)
		return refuse(r->rec, h->path, why);
	r->text[slot] = text;
	r->yuan[slot] = h->yuan;
	return 0;
}

static int take_sets(struct row *r)
{
	for (unsigned i = 0; i < r->rules->n_sets; i++) {
		int slot = flat_find(r->flat, r->rules->sets[i].path);

		/* A field of other types only is no mistake in a file of several. */
		if (slot >= 0 && !r->text[slot])
			r->text[slot] = keep(r, r->rules->sets[i].value,
					     strlen(r->rules->sets[i].value), false);
	}
	return 0;
}

/* A code that is missing is looked up by the name beside it. */
static void take_codes(struct row *r)
{
	for (int i = 0; i < r->flat->n; i++) {
		const char *path = r->flat->paths[i], *code;
		size_t n = strlen(path);
		char name[HEADINGS_PATH_MAX];
		int slot;

		if (r->text[i] || n < 6 || strcmp(path + n - 5, ".code") != 0)
			continue;
		snprintf(name, sizeof name, "%.*s.name", (int)(n - 5), path);
		slot = flat_find(r->flat, name);
		if (slot < 0 || !r->text[slot])
			continue;
		code = headings_value(r->headings, path, r->text[slot]);
		if (code)
			r->text[i] = keep(r, code, strlen(code), false);
	}
}

/* Where a row does not say when it happened: the first day or time that its type must have. */
static void take_at(struct row *r)
{
	for (int i = r->flat->body + 1; i < r->flat->n && !r->text[SLOT_AT]; i++) {
		const struct dibao_field_spec *f = r->flat->specs[i];

		if ((f->flags & DIBAO_FIELD_REQUIRED) && r->text[i] &&
		    (f->kind == DIBAO_KIND_DATE || f->kind == DIBAO_KIND_MS))
			r->text[SLOT_AT] = r->text[i];
	}
}

static int set_field(struct row *r, int slot)
{
	const char *path = r->flat->paths[slot], *text = r->text[slot];
	const char *meaning = headings_value(r->headings, path, text);
	struct import_record *rec = r->rec;
	char day[11];
	int64_t v;
	bool b;

	text = meaning ? meaning : text;
	switch (r->flat->specs[slot]->kind) {
	case DIBAO_KIND_DATE:
		if (cell_date(text, day) < 0)
			return refuse(rec, path,
				      "expected a day: 2017/7/5, 2017年7月5日, 20170705");
		dibao_builder_str(r->builder, path, day, 10);
		return 0;
	case DIBAO_KIND_MS:
		if (cell_time(text, r->rules->zone_min, &v) < 0)
			return refuse(
				rec, path,
				"expected a day or time: 2017/7/5 9:30, 2017年7月5日, RFC 3339");
		dibao_builder_int(r->builder, path, v);
		return 0;
	case DIBAO_KIND_BOOL:
		if (cell_bool(text, &b) < 0)
			return refuse(rec, path, "expected yes or no, 是 or 否");
		dibao_builder_bool(r->builder, path, b);
		return 0;
	case DIBAO_KIND_INT:
		if (r->yuan[slot]) {
			if (cell_yuan(text, &v) < 0)
				return refuse(rec, path, "expected a sum in yuan");
			dibao_builder_int(r->builder, path, v);
			return 0;
		}
		break;
	default:
		break;
	}
	if (dibao_builder_text(r->builder, path, text, &rec->err) < 0) {
		rec->err.line = rec->line;
		return -EINVAL;
	}
	return 0;
}

/* ---- uid ---- */

struct uid_maker {
	crypto_generichash_state h;
	const char *type;
	unsigned present; /* parts with something in them */
	unsigned telling; /* of these, other than type and badge */
};

static void uid_begin(struct uid_maker *m, const char *type)
{
	crypto_generichash_init(&m->h, NULL, 0, 16);
	m->type = type;
	m->present = m->telling = 0;
}

static void uid_part(struct uid_maker *m, const char *path, const char *text)
{
	if (!text)
		text = "";
	else if (strcmp(path, "type") != 0 && strcmp(path, "person.badge") != 0)
		m->telling++;
	m->present += *text != '\0';
	crypto_generichash_update(&m->h, (const unsigned char *)text, strlen(text) + 1);
}

static int uid_end(struct uid_maker *m, bool chosen, struct import_record *rec, char *uid,
		   size_t cap)
{
	unsigned char hash[16];
	char hex[33];

	if (chosen ? !m->present : !m->telling)
		return refuse(
			rec, "uid",
			"no uid, and no document number or ticket to make one of: choose columns "
			"by --uid-from");
	crypto_generichash_final(&m->h, hash, sizeof hash);
	sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
	snprintf(uid, cap, "%.32s-%.31s", m->type, hex);
	return 0;
}

static const char *text_of(const struct row *r, const char *path)
{
	int slot = flat_find(r->flat, path);

	return slot < 0 ? NULL : !strcmp(path, "type") ? r->type : r->text[slot];
}

static int make_uid(struct row *r)
{
	const char *const *parts = r->rules->uid_parts;
	char uid[DIBAO_UID_MAX_BYTES + 1];
	struct uid_maker m;
	const char *ref = text_of(r, "ref"), *kind = text_of(r, "body.kind.code");

	uid_begin(&m, r->type);
	for (; *parts; parts++)
		uid_part(&m, *parts, text_of(r, *parts));
	if (!r->rules->uid_parts[0]) {
		uid_part(&m, "type", r->type);
		uid_part(&m, "ref", ref ? ref : text_of(r, "body.ticket"));
		uid_part(&m, "person.badge", r->text[SLOT_BADGE]);
		/* The kind alone does not tell two events of one person apart. */
		uid_part(&m, "type", kind ? kind : text_of(r, "body.kind.name"));
	}
	if (uid_end(&m, r->rules->uid_parts[0], r->rec, uid, sizeof uid) < 0)
		return -EINVAL;
	dibao_builder_str(r->builder, "uid", uid, strlen(uid));
	return 0;
}

static void copy_uid(struct import_record *rec)
{
	struct dibao_event ev;

	if (rec->bytes && dibao_event_view(&ev, rec->bytes, rec->len) == 0)
		snprintf(rec->uid, sizeof rec->uid, "%.*s", (int)ev.uid.len, ev.uid.p);
}

static int fill(struct row *r, const struct import_columns *columns, const struct table_row *row)
{
	int e = find_type(r, columns, row);

	for (unsigned i = 0; e == 0 && i < row->n; i++)
		if (i >= columns->n)
			e = row->cells[i].len ? refuse(r->rec, "", too_many) : 0;
		else if (columns->at[i] && columns->at[i]->path[0])
			e = take_cell(r, columns->at[i], &row->cells[i]);
	if (e < 0)
		return e;
	take_sets(r);
	take_codes(r);
	take_at(r);
	for (int i = 0; i < r->flat->n && e == 0; i++)
		if (r->text[i])
			e = set_field(r, i);
	if (e == 0 && !r->text[SLOT_UID])
		e = make_uid(r);
	if (e == 0 && r->rules->record)
		dibao_builder_bool(r->builder, "record", true);
	if (e == 0 &&
	    dibao_builder_encode(r->builder, &r->rec->bytes, &r->rec->len, &r->rec->err) < 0) {
		r->rec->err.line = r->rec->line;
		return -EINVAL;
	}
	return e;
}

void import_row(const struct import_columns *columns, const struct headings *h,
		const struct import_rules *rules, const struct table_row *row,
		struct import_record *rec)
{
	struct row *r = calloc(1, sizeof *r);

	if (!r) {
		refuse(rec, "", "no memory");
		return;
	}
	r->headings = h;
	r->rules = rules;
	r->rec = rec;
	if (fill(r, columns, row) == 0)
		copy_uid(rec);
	dibao_builder_free(r->builder);
	free(r);
}

/* ---- JSON lines ---- */

static json_t *at_path(json_t *o, const char *path, bool make, const char **ret_last)
{
	char part[HEADINGS_PATH_MAX];
	const char *dot;

	while (o && (dot = strchr(path, '.'))) {
		json_t *next;

		snprintf(part, sizeof part, "%.*s", (int)(dot - path), path);
		next = json_object_get(o, part);
		if (!next && make) {
			next = json_object();
			json_object_set_new(o, part, next);
		}
		o = next;
		path = dot + 1;
	}
	*ret_last = path;
	return json_is_object(o) ? o : NULL;
}

/* A text or number at a path, as text in buf; NULL if there is none. */
static const char *json_text(json_t *o, const char *path, char buf[24])
{
	const char *last;
	json_t *v = at_path(o, path, false, &last);

	v = v ? json_object_get(v, last) : NULL;
	if (json_is_integer(v)) {
		snprintf(buf, 24, "%lld", (long long)json_integer_value(v));
		return buf;
	}
	return json_string_value(v);
}

static int json_uid(const struct import_rules *rules, json_t *o, struct import_record *rec)
{
	static const char *const usual[] = {"type", "ref", "person.badge", "body.kind.code", NULL};
	const char *const *parts = rules->uid_parts[0] ? rules->uid_parts : usual;
	const char *type = json_string_value(json_object_get(o, "type"));
	char uid[DIBAO_UID_MAX_BYTES + 1], buf[24];
	struct uid_maker m;

	if (!type)
		return 0; /* told as a missing field by who reads it next */
	uid_begin(&m, type);
	for (; *parts; parts++) {
		const char *text = json_text(o, *parts, buf);
		bool is_kind = parts - usual == 3;

		if (parts - usual == 1 && !text)
			text = json_text(o, "body.ticket", buf);
		if (is_kind && !text)
			text = json_text(o, "body.kind.name", buf);
		uid_part(&m, is_kind ? "type" : *parts, text);
	}
	if (uid_end(&m, rules->uid_parts[0], rec, uid, sizeof uid) < 0)
		return -EINVAL;
	json_object_set_new(o, "uid", json_string(uid));
	return 0;
}

static int json_rules(const struct import_rules *rules, json_t *o, struct import_record *rec)
{
	const char *last;

	if (rules->type && !json_object_get(o, "type"))
		json_object_set_new(o, "type", json_string(rules->type));
	for (unsigned i = 0; i < rules->n_sets; i++) {
		json_t *at = at_path(o, rules->sets[i].path, true, &last);

		if (at && !json_object_get(at, last))
			json_object_set_new(at, last, json_string(rules->sets[i].value));
	}
	if (!json_object_get(o, "v"))
		json_object_set_new(o, "v", json_integer(1));
	if (rules->record)
		json_object_set_new(o, "record", json_true());
	return json_object_get(o, "uid") ? 0 : json_uid(rules, o, rec);
}

void import_json(const struct import_rules *rules, const char *text, size_t len, unsigned line,
		 struct import_record *rec)
{
	json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	char *changed = NULL;

	/* What is not an object is left to the reader of events, which tells where it breaks. */
	if (json_is_object(o)) {
		if (json_rules(rules, o, rec) < 0) {
			json_decref(o);
			return;
		}
		changed = json_dumps(o, JSON_COMPACT);
		if (!changed)
			refuse(rec, "", "no memory");
	}
	json_decref(o);
	if (changed)
		dibao_event_from_json(changed, strlen(changed), line, &rec->bytes, &rec->len,
				      &rec->err);
	else if (!rec->err.code)
		dibao_event_from_json(text, len, line, &rec->bytes, &rec->len, &rec->err);
	free(changed);
	copy_uid(rec);
}
