/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of a roster's file, whichever it is: a table, or JSON lines, an object each. An object's
 * keys are headings, as those of a table are, and the columns are those that any object of the file
 * has; texts, whole numbers, true and false, and lists of texts are cells, null and what an object
 * lacks an empty one. A line as it stands in a file of refused ones, {"line", "why", "person"}, is
 * what its person is.
 */
#ifndef CTL_ROSTER_ROWS_H
#define CTL_ROSTER_ROWS_H

#include "import_columns.h"
#include "jsonlines.h"

struct roster_rows {
	struct import_columns columns;
	/* ---- inside ---- */
	struct table *table; /* NULL: JSON lines */
	struct jsonlines lines;
	const struct headings *headings; /* borrowed */
	struct table_row row;
	char *cells; /* texts of the row */
	char fault[160];
};

/* text and h borrowed. json: see textfile_is_json(). 0, -ENOMEM, -EIO, or -EINVAL with *fault. *ret
 * is to be done() in any case. */
int roster_rows_open(struct roster_rows *ret, struct textfile *text, const struct headings *h,
		     bool json, char separator, struct textfile_fault *fault);
void roster_rows_done(struct roster_rows *r);
/* As table_next(). */
int roster_rows_next(struct roster_rows *r, const struct table_row **ret);
int roster_rows_seek(struct roster_rows *r, int64_t offset, unsigned line);
/* 0: JSON lines. */
char roster_rows_separator(const struct roster_rows *r);

#endif
