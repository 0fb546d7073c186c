/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines of a file of JSON, one after another; blank ones are passed over. Memory: one line.
 * Knows nothing of what is in them.
 */
#ifndef CTL_JSONLINES_H
#define CTL_JSONLINES_H

#include "table.h"

enum { JSONLINES_LINE_MAX = TABLE_ROW_MAX * 3 };

struct jsonlines {
	FILE *f;	/* borrowed */
	char *text;	/* owned */
	int64_t offset; /* where the next begins */
	unsigned line;	/* its number */
};

struct jsonline {
	const char *text; /* NUL-terminated, without its end; borrowed until the next call */
	size_t len;
	int64_t offset;
	unsigned line;
};

/* f is read from its place on, which is `offset` and the first line. 0, -ENOMEM. */
int jsonlines_init(struct jsonlines *l, FILE *f, int64_t offset);
void jsonlines_done(struct jsonlines *l);
/* 1; 0 at the end; -EMSGSIZE: over JSONLINES_LINE_MAX bytes, its beginning is there; -EIO. */
int jsonlines_next(struct jsonlines *l, struct jsonline *ret);
/* 0, -EIO. */
int jsonlines_seek(struct jsonlines *l, int64_t offset, unsigned line);

#endif
