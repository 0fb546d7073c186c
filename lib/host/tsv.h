/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table in a file: tab-separated, UTF-8, first line that is no comment names
 * the columns, lines that begin with # are comments, an empty cell is "". A row
 * must have as many cells as there are columns; a file over 4 MiB is refused.
 *
 * Errors are told once, on stderr, with file and line; the caller only passes
 * the code up.
 */
#ifndef HOST_TSV_H
#define HOST_TSV_H

#include <stddef.h>

struct tsv {
	char *path;	   /* owned */
	char *text;	   /* owned: the file, cut into cells */
	const char **cell; /* owned: n_rows * n_columns, the cells borrow from text */
	const char **column;
	unsigned *line; /* of each row, 1-based */
	size_t n_rows, n_columns;
};

/* Load dir/name. -ENOENT, -EINVAL, ... */
int tsv_load(struct tsv *ret, const char *dir, const char *name);
void tsv_done(struct tsv *t);
/* Number of a column, or -EINVAL (told on stderr). */
int tsv_column(const struct tsv *t, const char *name);
/* The cell; "" if the column is a negative number. */
const char *tsv_cell(const struct tsv *t, size_t row, int column);
/* A whole number 0..2^31-1 in a cell, or -EINVAL (told on stderr). Empty: `fallback`. */
int tsv_number(const struct tsv *t, size_t row, int column, int fallback);
/* Tell what is wrong in a row; returns -EINVAL. No cell's content is told. */
int tsv_fault(const struct tsv *t, size_t row, const char *what);

#endif
