/* SPDX-License-Identifier: Apache-2.0 */
#include "import_columns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int fail(struct textfile_fault *fault, unsigned line, const char *text, const char *what)
{
	fault->line = line;
	snprintf(fault->reason, sizeof fault->reason, "%s%.60s", text, what);
	return -EINVAL;
}

/* How many cells of a row are known headings. */
static unsigned count_known(const struct headings *h, const struct table_row *row)
{
	unsigned n = 0;

	for (unsigned i = 0; i < row->n; i++) {
		const struct heading *found = headings_find(h, row->cells[i].p);

		n += found && found->path[0];
	}
	return n;
}

static int take(struct import_columns *c, const struct headings *h, const struct table_row *row,
		struct textfile_fault *fault)
{
	unsigned n_unused = 0;

	c->n = row->n;
	for (unsigned i = 0; i < row->n; i++) {
		const struct heading *found = headings_find(h, row->cells[i].p);

		c->at[i] = found;
		if (!found && row->cells[i].len && n_unused < IMPORT_UNUSED_MAX)
			c->unused[n_unused++] = strdup(row->cells[i].p);
		for (unsigned k = 0; found && found->path[0] && k < i; k++)
			if (c->at[k] && !strcmp(c->at[k]->path, found->path))
				return fail(fault, row->line, "two columns are the field ",
					    found->path);
	}
	c->header = strdup(row->raw);
	return c->header ? 0 : -ENOMEM;
}

/* Titles may stand above the headings: the first row with two known ones is it. */
int import_columns_read(struct import_columns *ret, struct table *t, const struct headings *h,
			struct textfile_fault *fault)
{
	const struct table_row *row;

	for (unsigned i = 0; i < IMPORT_TITLE_ROWS; i++) {
		int r = table_next(t, &row);

		if (r == -EBADMSG)
			continue;
		if (r <= 0)
			return r < 0 ? r : fail(fault, 0, "no row of known headings", "");
		if (count_known(h, row) >= 2)
			return take(ret, h, row, fault);
	}
	return fail(fault, 0, "no row of known headings among the first ten (see --headings)", "");
}

void import_columns_done(struct import_columns *c)
{
	for (unsigned i = 0; i < IMPORT_UNUSED_MAX; i++)
		free(c->unused[i]);
	free(c->header);
}

int import_columns_find(const struct import_columns *c, const char *path)
{
	for (unsigned i = 0; i < c->n; i++)
		if (c->at[i] && !strcmp(c->at[i]->path, path))
			return (int)i;
	return -1;
}
