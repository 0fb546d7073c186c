/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a file whole and cuts it in place: cells are pointers into the text.
 */
#include "tsv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES_MAX = 4 << 20, COLUMNS_MAX = 32 };

static int read_file(const char *path, char **ret)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t n = 0;
	int r = 0;

	if (!f)
		return -errno;
	text = malloc(FILE_BYTES_MAX + 1);
	if (!text)
		r = -ENOMEM;
	else
		n = fread(text, 1, FILE_BYTES_MAX + 1, f);
	if (!r && ferror(f))
		r = -EIO;
	if (!r && n > FILE_BYTES_MAX)
		r = -EFBIG;
	fclose(f);
	if (r) {
		free(text);
		return r;
	}
	text[n] = '\0';
	*ret = text;
	return 0;
}

static size_t split(char *line, const char **cells, size_t max)
{
	size_t n = 0;

	for (char *p = line; p; n++) {
		char *tab = strchr(p, '\t');

		if (n == max)
			return max + 1;
		cells[n] = p;
		if (tab)
			*tab++ = '\0';
		p = tab;
	}
	return n;
}

static int take_line(struct tsv *t, char *text, unsigned line, size_t *cap)
{
	const char *cells[COLUMNS_MAX];
	size_t n = split(text, cells, COLUMNS_MAX);

	if (n > COLUMNS_MAX) {
		fprintf(stderr, "%s: %s:%u: more than %d columns\n", program_invocation_short_name,
			t->path, line, COLUMNS_MAX);
		return -EINVAL;
	}
	if (!t->n_columns) {
		t->column = calloc(n, sizeof *t->column);
		if (!t->column)
			return -ENOMEM;
		memcpy(t->column, cells, n * sizeof *cells);
		t->n_columns = n;
		return 0;
	}
	if (n != t->n_columns) {
		fprintf(stderr, "%s: %s:%u: expected %zu cells, got %zu\n",
			program_invocation_short_name, t->path, line, t->n_columns, n);
		return -EINVAL;
	}
	if (t->n_rows == *cap) {
		size_t more = *cap ? *cap * 2 : 64;
		const char **cell = realloc(t->cell, more * n * sizeof *cell);
		unsigned *lines;

		if (!cell)
			return -ENOMEM;
		t->cell = cell;
		lines = realloc(t->line, more * sizeof *lines);
		if (!lines)
			return -ENOMEM;
		t->line = lines;
		*cap = more;
	}
	memcpy(t->cell + t->n_rows * n, cells, n * sizeof *cells);
	t->line[t->n_rows++] = line;
	return 0;
}

static int parse(struct tsv *t)
{
	size_t cap = 0;
	unsigned line = 0;
	int r = 0;

	for (char *p = t->text; *p && !r;) {
		char *end = p + strcspn(p, "\r\n");
		char *next = end + strspn(end, "\r");

		line++;
		if (*next == '\n')
			next++;
		*end = '\0';
		if (*p && *p != '#')
			r = take_line(t, p, line, &cap);
		p = next;
	}
	if (!r && !t->n_columns) {
		fprintf(stderr, "%s: %s: no line that names the columns\n",
			program_invocation_short_name, t->path);
		r = -EINVAL;
	}
	return r;
}

int tsv_load(struct tsv *ret, const char *dir, const char *name)
{
	struct tsv t = {0};
	int r;

	if (asprintf(&t.path, "%s%s%s", dir, *dir ? "/" : "", name) < 0)
		return -ENOMEM;
	r = read_file(t.path, &t.text);
	if (r)
		fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, t.path,
			strerror(-r));
	else
		r = parse(&t);
	if (r) {
		tsv_done(&t);
		return r;
	}
	*ret = t;
	return 0;
}

void tsv_done(struct tsv *t)
{
	free(t->path);
	free(t->text);
	free(t->cell);
	free(t->column);
	free(t->line);
	memset(t, 0, sizeof *t);
}

int tsv_column(const struct tsv *t, const char *name)
{
	for (size_t i = 0; i < t->n_columns; i++)
		if (!strcmp(t->column[i], name))
			return (int)i;
	fprintf(stderr, "%s: %s: no column %s\n", program_invocation_short_name, t->path, name);
	return -EINVAL;
}

const char *tsv_cell(const struct tsv *t, size_t row, int column)
{
	return column < 0 ? "" : t->cell[row * t->n_columns + (size_t)column];
}

int tsv_fault(const struct tsv *t, size_t row, const char *what)
{
	fprintf(stderr, "%s: %s:%u: %s\n", program_invocation_short_name, t->path, t->line[row],
		what);
	return -EINVAL;
}

int tsv_number(const struct tsv *t, size_t row, int column, int fallback)
{
	const char *s = tsv_cell(t, row, column);
	char *end;
	long n;

	if (!*s)
		return fallback;
	n = strtol(s, &end, 10);
	if (*end || s[0] < '0' || s[0] > '9' || n > 0x7fffffff)
		return tsv_fault(t, row, "expected a whole number");
	return (int)n;
}
