/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of a comma- or tab-separated text in UTF-8: quoted cells with line ends and "" in them, LF,
 * CRLF or CR. A row has at most TABLE_ROW_MAX bytes and TABLE_CELLS_MAX cells, so memory is bounded
 * whatever the file holds. A faulty row is told and the reader goes on behind its first line, so a
 * stray quote costs one line and not the rest of the file. Knows nothing of headings or events.
 */
#ifndef CTL_TABLE_H
#define CTL_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { TABLE_ROW_MAX = 65536, TABLE_CELLS_MAX = 256 };

struct table_cell {
	const char *p; /* NUL-terminated, no NUL inside */
	size_t len;
};

struct table_row {
	unsigned line;	/* of its first byte, 1-based */
	int64_t offset; /* of its first byte */
	unsigned n;
	struct table_cell cells[TABLE_CELLS_MAX];
	const char *raw; /* as it stands, without its line end; of a faulty row its first line */
	size_t raw_len;
	const char *fault; /* why table_next() returned -EBADMSG */
};

struct table;

/* f is borrowed, and read from its place on; `line` is the number of that place's line.
 * separator: ',', '\t', ';' or 0 to find it out from the first lines. 0, -ENOMEM. */
int table_new(struct table **ret, FILE *f, char separator, unsigned line);
struct table *table_free(struct table *t); /* returns NULL */
char table_separator(const struct table *t);

/* 1 a row, borrowed until the next call; rows with nothing in them are passed over. 0 the end.
 * -EBADMSG a faulty row: line, offset, raw and fault are set, n is 0; call again. -EIO. */
int table_next(struct table *t, const struct table_row **ret);
/* Where the next row begins. */
int64_t table_offset(const struct table *t);
unsigned table_line(const struct table *t);
/* Goes there; `line` is its line. 0, -EIO. */
int table_seek(struct table *t, int64_t offset, unsigned line);

#endif
