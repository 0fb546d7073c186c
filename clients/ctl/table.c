/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"
#include "textfile.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SEPARATOR_LINES = 20 };

struct table {
	FILE *f; /* borrowed */
	char separator;
	int64_t offset;
	unsigned line;
	struct table_row row;
	size_t n_raw, n_text;
	char raw[TABLE_ROW_MAX + 1];
	char text[TABLE_ROW_MAX + TABLE_CELLS_MAX +
		  1]; /* the cells, unquoted, each NUL-terminated */
};

/* The one that stands most often, outside of quotes, in one of the first lines: titles may stand
 * above the headings. A comma if none is there. */
static char find_separator(FILE *f)
{
	static const char candidates[] = {',', '\t', ';'};
	unsigned n[3] = {0}, most[3] = {0}, best = 0, lines = 0;
	off_t at = ftello(f);
	bool quoted = false;
	int c = 0;

	for (int i = 0; i < TABLE_ROW_MAX && c != EOF && lines < SEPARATOR_LINES; i++) {
		c = getc(f);
		if (c == '"')
			quoted = !quoted;
		for (unsigned k = 0; k < 3; k++) {
			n[k] += !quoted && c == candidates[k];
			most[k] = n[k] > most[k] ? n[k] : most[k];
		}
		if (!quoted && (c == '\n' || c == '\r')) {
			memset(n, 0, sizeof n);
			lines++;
		}
	}
	for (unsigned k = 1; k < 3; k++)
		if (most[k] > most[best])
			best = k;
	clearerr(f);
	return fseeko(f, at, SEEK_SET) < 0 ? ',' : candidates[best];
}

int table_new(struct table **ret, FILE *f, char separator, unsigned line)
{
	struct table *t = malloc(sizeof *t);

	if (!t)
		return -ENOMEM;
	t->f = f;
	t->offset = ftello(f);
	t->line = line;
	t->separator = separator ? separator : find_separator(f);
	*ret = t;
	return 0;
}

struct table *table_free(struct table *t)
{
	free(t);
	return NULL;
}

char table_separator(const struct table *t)
{
	return t->separator;
}

int64_t table_offset(const struct table *t)
{
	return t->offset;
}

unsigned table_line(const struct table *t)
{
	return t->line;
}

int table_seek(struct table *t, int64_t offset, unsigned line)
{
	if (fseeko(t->f, offset, SEEK_SET) < 0)
		return -EIO;
	t->offset = offset;
	t->line = line;
	return 0;
}

/* The next byte, counted and kept; EOF at the end, -2 when the row is too long. */
static int take(struct table *t)
{
	int c = getc_unlocked(t->f);

	if (c == EOF)
		return EOF;
	if (t->n_raw == TABLE_ROW_MAX)
		return -2;
	t->raw[t->n_raw++] = (char)c;
	return c;
}

static void take_back(struct table *t, int c)
{
	if (c == EOF)
		return;
	ungetc(c, t->f);
	t->n_raw--;
}

/* A CR has been taken: its LF goes with it. */
static void take_lf(struct table *t)
{
	int c = take(t);

	if (c != '\n' && c != -2)
		take_back(t, c);
}

/* One cell into text, ending at its separator, line end or EOF, which is returned in *ret_end
 * ('\n' for any line end). NULL, or what is wrong. */
static const char *read_cell(struct table *t, int *ret_end, unsigned *lines)
{
	bool quoted = false, was_quoted = false;
	bool first = true;

	for (;; first = false) {
		int c = take(t);

		if (c == -2)
			return "over 65536 bytes, or a quote that is not closed";
		if (c == 0)
			return "a NUL byte";
		if (quoted) {
			if (c == EOF)
				return "a quote that is not closed";
			*lines += c == '\n';
			if (c != '"') {
				t->text[t->n_text++] = (char)c;
				continue;
			}
			c = take(t);
			if (c == '"') {
				t->text[t->n_text++] = '"';
				continue;
			}
			quoted = false;
			was_quoted = true;
			if (c == -2)
				return "over 65536 bytes, or a quote that is not closed";
		}
		if (c == EOF || c == t->separator || c == '\n' || c == '\r') {
			if (c == '\r')
				take_lf(t);
			*ret_end = c == '\r' ? '\n' : c;
			return NULL;
		}
		if (was_quoted)
			return "text behind a closing quote";
		if (first && c == '"')
			quoted = true;
		else
			t->text[t->n_text++] = (char)c;
	}
}

/* Back to the end of the row's first line. */
static int skip_first_line(struct table *t, const char *fault)
{
	int64_t n = 0;
	int c = 0;

	if (fseeko(t->f, t->offset, SEEK_SET) < 0)
		return -EIO;
	t->n_raw = 0;
	while (c != '\n' && c != '\r' && (c = getc_unlocked(t->f)) != EOF) {
		n++;
		if (c != '\n' && c != '\r' && t->n_raw < TABLE_ROW_MAX)
			t->raw[t->n_raw++] = c ? (char)c : '?';
	}
	if (c == '\r' && (c = getc_unlocked(t->f)) == '\n')
		n++;
	if (t->n_raw == TABLE_ROW_MAX)
		t->n_raw = textfile_cut(t->raw, t->n_raw);
	t->raw[t->n_raw] = '\0';
	t->row.raw = t->raw;
	t->row.raw_len = t->n_raw;
	t->row.fault = fault;
	t->row.n = 0;
	return table_seek(t, t->offset + n, t->line + 1) < 0 ? -EIO : -EBADMSG;
}

/* One row, empty or not. 1, 0 at the end, -EBADMSG, -EIO. */
static int read_row(struct table *t)
{
	struct table_row *row = &t->row;
	unsigned lines = 0;
	int end = t->separator;

	row->line = t->line;
	row->offset = t->offset;
	row->fault = NULL;
	row->n = 0;
	t->n_raw = t->n_text = 0;
	while (end == t->separator) {
		size_t from = t->n_text;
		const char *fault =
			row->n == TABLE_CELLS_MAX ? "over 256 cells" : read_cell(t, &end, &lines);

		if (fault)
			return skip_first_line(t, fault);
		row->cells[row->n++] =
			(struct table_cell){.p = t->text + from, .len = t->n_text - from};
		t->text[t->n_text++] = '\0';
	}
	if (ferror(t->f))
		return -EIO;
	if (end == EOF && t->n_raw == 0)
		return 0;
	t->offset += (int64_t)t->n_raw;
	t->line += lines + (end == '\n');
	while (t->n_raw && (t->raw[t->n_raw - 1] == '\n' || t->raw[t->n_raw - 1] == '\r'))
		t->n_raw--;
	t->raw[t->n_raw] = '\0';
	row->raw = t->raw;
	row->raw_len = t->n_raw;
	return 1;
}

int table_next(struct table *t, const struct table_row **ret)
{
	for (;;) {
		int r = read_row(t);

		if (r == -EBADMSG)
			*ret = &t->row;
		if (r != 1)
			return r;
		for (unsigned i = 0; i < t->row.n; i++)
			if (t->row.cells[i].len) {
				*ret = &t->row;
				return 1;
			}
	}
}
