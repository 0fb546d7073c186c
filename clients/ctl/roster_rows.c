/* SPDX-License-Identifier: Apache-2.0 */
#include "roster_rows.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { CELLS_BYTES = JSONLINES_LINE_MAX + 32 * TABLE_CELLS_MAX };

static int refuse(struct roster_rows *r, const char *field, const char *why)
{
	snprintf(r->fault, sizeof r->fault, "%s%s%s", field, *field ? ": " : "", why);
	r->row.fault = r->fault;
	r->row.n = 0;
	return -EBADMSG;
}

/* ---- an object ---- */

/* Where the value ends up; NULL: it is none that a cell can hold. */
static char *put(char *at, const json_t *v)
{
	const json_t *e;
	size_t k;

	switch (json_typeof(v)) {
	case JSON_STRING:
		if (strlen(json_string_value(v)) != json_string_length(v))
			return NULL;
		return stpcpy(at, json_string_value(v));
	case JSON_INTEGER:
		return at + sprintf(at, "%lld", (long long)json_integer_value(v));
	case JSON_TRUE:
		return stpcpy(at, "yes");
	case JSON_FALSE:
		return stpcpy(at, "no");
	case JSON_NULL:
		*at = '\0';
		return at;
	case JSON_ARRAY:
		*at = '\0';
		json_array_foreach(v, k, e)
		{
			if (!json_is_string(e))
				return NULL;
			at = put(k ? stpcpy(at, ",") : at, e);
			if (!at)
				return NULL;
		}
		return at;
	default:
		return NULL;
	}
}

static int take_object(struct roster_rows *r, json_t *o)
{
	static const struct table_cell empty = {"", 0};
	char *at = r->cells;
	const char *key;
	json_t *v;

	r->row.n = r->columns.n;
	for (unsigned i = 0; i < r->row.n; i++)
		r->row.cells[i] = empty;
	json_object_foreach(o, key, v)
	{
		const struct heading *h = headings_find(r->headings, key);
		int column = h && h->path[0] ? import_columns_find(&r->columns, h->path) : -1;
		struct table_cell *cell = &r->row.cells[column < 0 ? 0 : column];
		char *end;

		if (column < 0)
			continue;
		if (cell->p != empty.p)
			return refuse(r, h->path, "two keys are this field");
		end = put(at, v);
		if (!end)
			return refuse(r, h->path,
				      "expected a text, a whole number, true or false, null, or a "
				      "list of texts");
		*cell = (struct table_cell){at, (size_t)(end - at)};
		at = end + 1;
	}
	return 1;
}

static json_t *object_of(const struct jsonline *l)
{
	json_t *o = json_loadb(l->text, l->len, JSON_REJECT_DUPLICATES, NULL);
	json_t *person = json_object_get(o, "person");

	if (json_is_object(person) && json_object_get(o, "why")) {
		json_incref(person);
		json_decref(o);
		return person;
	}
	return o;
}

static int next_json(struct roster_rows *r)
{
	struct jsonline l;
	int got = jsonlines_next(&r->lines, &l);
	json_t *o;

	if (got == 0 || got == -EIO)
		return got;
	r->row.line = l.line;
	r->row.offset = l.offset;
	r->row.raw = l.text;
	r->row.raw_len = l.len;
	r->row.fault = NULL;
	if (got == -EMSGSIZE)
		return refuse(r, "", "too long");
	o = object_of(&l);
	if (!json_is_object(o))
		got = refuse(r, "", "not an object of JSON");
	else
		got = take_object(r, o);
	json_decref(o);
	return got;
}

/* ---- the columns of all objects ---- */

static int add_column(struct import_columns *c, const struct headings *h, const char *key)
{
	const struct heading *found = headings_find(h, key);
	unsigned n = 0;

	if (!found) {
		while (n < IMPORT_UNUSED_MAX && c->unused[n] && strcmp(c->unused[n], key) != 0)
			n++;
		if (n < IMPORT_UNUSED_MAX && !c->unused[n]) {
			c->unused[n] = strdup(key);
			return c->unused[n] ? 0 : -ENOMEM;
		}
	} else if (found->path[0] && import_columns_find(c, found->path) < 0) {
		c->at[c->n++] = found; /* there are fewer fields than TABLE_CELLS_MAX */
	}
	return 0;
}

static int find_columns(struct roster_rows *r, const struct textfile *text)
{
	struct jsonline l;
	const char *key;
	json_t *v;
	int got, e = 0;

	while (e == 0 && (got = jsonlines_next(&r->lines, &l)) != 0) {
		json_t *o;

		if (got == -EIO)
			return -EIO;
		o = got == 1 ? object_of(&l) : NULL;
		json_object_foreach(o, key, v)
		{
			if (e == 0)
				e = add_column(&r->columns, r->headings, key);
		}
		json_decref(o);
	}
	return e < 0 ? e : jsonlines_seek(&r->lines, text->start, 1);
}

/* ---- either ---- */

int roster_rows_open(struct roster_rows *r, struct textfile *text, const struct headings *h,
		     bool json, char separator, struct textfile_fault *fault)
{
	int e;

	r->headings = h;
	if (!json) {
		e = table_new(&r->table, text->f, separator, 1);
		return e < 0 ? e : import_columns_read(&r->columns, r->table, h, fault);
	}
	r->cells = malloc(CELLS_BYTES);
	e = r->cells ? jsonlines_init(&r->lines, text->f, text->start) : -ENOMEM;
	return e < 0 ? e : find_columns(r, text);
}

void roster_rows_done(struct roster_rows *r)
{
	import_columns_done(&r->columns);
	table_free(r->table);
	jsonlines_done(&r->lines);
	free(r->cells);
}

int roster_rows_next(struct roster_rows *r, const struct table_row **ret)
{
	if (r->table)
		return table_next(r->table, ret);
	*ret = &r->row;
	return next_json(r);
}

int roster_rows_seek(struct roster_rows *r, int64_t offset, unsigned line)
{
	return r->table ? table_seek(r->table, offset, line)
			: jsonlines_seek(&r->lines, offset, line);
}

char roster_rows_separator(const struct roster_rows *r)
{
	return r->table ? table_separator(r->table) : '\0';
}
