/* SPDX-License-Identifier: Apache-2.0 */
/* The row of headings of a table: found below titles, and what each column is. */
#ifndef CTL_IMPORT_COLUMNS_H
#define CTL_IMPORT_COLUMNS_H

#include "headings.h"
#include "table.h"
#include "textfile.h"

enum { IMPORT_TITLE_ROWS = 10, IMPORT_UNUSED_MAX = 16 };

struct import_columns {
	unsigned n;
	const struct heading *at[TABLE_CELLS_MAX]; /* NULL: no field has it; borrowed */
	char *header;				   /* the row as it stands; owned */
	char *unused[IMPORT_UNUSED_MAX + 1]; /* headings no field has, NULL-terminated; owned */
};

/* Reads the table up to its headings. 0, -ENOMEM, -EIO, or -EINVAL with *fault: no row of the first
 * ten is one of headings, or two columns are the same field. *ret is to be done() in any case. */
int import_columns_read(struct import_columns *ret, struct table *t, const struct headings *h,
			struct textfile_fault *fault);
void import_columns_done(struct import_columns *c);
/* The column of a field, or -1. */
int import_columns_find(const struct import_columns *c, const char *path);

#endif
