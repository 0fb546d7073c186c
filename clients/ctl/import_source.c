/* SPDX-License-Identifier: Apache-2.0 */
#include "import_row.h"
#include "jsonlines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct import_source {
	struct textfile *text;
	const struct headings *headings;
	const struct import_rules *rules;
	struct table *table; /* NULL: JSON lines */
	struct import_columns columns;
	uint8_t *bytes; /* of the record told last */
	struct jsonlines lines;
};

static int fail(struct textfile_fault *fault, const char *what)
{
	fault->line = 0;
	snprintf(fault->reason, sizeof fault->reason, "%s", what);
	return -EINVAL;
}

int import_source_new(struct import_source **ret, struct textfile *text, const struct headings *h,
		      const struct import_rules *rules, bool json, char separator,
		      struct textfile_fault *fault)
{
	struct import_source *s = calloc(1, sizeof *s);
	int r = 0;

	if (!s)
		return -ENOMEM;
	s->text = text;
	s->headings = h;
	s->rules = rules;
	r = json ? jsonlines_init(&s->lines, text->f, text->start)
		 : table_new(&s->table, text->f, separator, 1);
	if (r == 0 && !json && text->size <= text->start)
		r = fail(fault, "is empty");
	if (r == 0 && !json)
		r = import_columns_read(&s->columns, s->table, h, fault);
	if (r < 0) {
		import_source_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct import_source *import_source_free(struct import_source *s)
{
	if (s) {
		import_columns_done(&s->columns);
		table_free(s->table);
		free(s->bytes);
		jsonlines_done(&s->lines);
		free(s);
	}
	return NULL;
}

static int next_json(struct import_source *s, struct import_record *rec)
{
	struct jsonline l;
	int r = jsonlines_next(&s->lines, &l);

	if (r == 0 || r == -EIO)
		return r;
	rec->offset = l.offset;
	rec->line = l.line;
	rec->raw = l.text;
	rec->raw_len = l.len;
	if (r == 1) {
		import_json(s->rules, l.text, l.len, rec->line, rec);
	} else {
		rec->err = (struct dibao_error){.code = -EMSGSIZE, .line = rec->line};
		snprintf(rec->err.reason, sizeof rec->err.reason, "over %d bytes",
			 JSONLINES_LINE_MAX);
	}
	return 1;
}

static int next_row(struct import_source *s, struct import_record *rec)
{
	const struct table_row *row;
	int r = table_next(s->table, &row);

	if (r == 0 || (r < 0 && r != -EBADMSG))
		return r;
	rec->line = row->line;
	rec->offset = row->offset;
	rec->raw = row->raw;
	rec->raw_len = row->raw_len;
	rec->cells = row->n;
	if (r == 1) {
		import_row(&s->columns, s->headings, s->rules, row, rec);
	} else {
		rec->err = (struct dibao_error){.code = -EBADMSG, .line = row->line};
		snprintf(rec->err.reason, sizeof rec->err.reason, "%s", row->fault);
	}
	return 1;
}

int import_source_next(struct import_source *s, struct import_record *ret)
{
	int r;

	free(s->bytes);
	s->bytes = NULL;
	memset(ret, 0, sizeof *ret);
	r = s->table ? next_row(s, ret) : next_json(s, ret);
	s->bytes = ret->bytes;
	return r;
}

int64_t import_source_offset(const struct import_source *s)
{
	return s->table ? table_offset(s->table) : s->lines.offset;
}

unsigned import_source_line(const struct import_source *s)
{
	return s->table ? table_line(s->table) : s->lines.line;
}

int import_source_seek(struct import_source *s, int64_t offset, unsigned line)
{
	if (s->table)
		return table_seek(s->table, offset, line);
	return jsonlines_seek(&s->lines, offset, line);
}

unsigned import_source_columns(const struct import_source *s)
{
	return s->columns.n;
}

char import_source_separator(const struct import_source *s)
{
	return s->table ? table_separator(s->table) : 0;
}

const char *import_source_header(const struct import_source *s)
{
	return s->columns.header;
}

const char *import_source_unused(const struct import_source *s, unsigned i)
{
	return i < IMPORT_UNUSED_MAX ? s->columns.unused[i] : NULL;
}
