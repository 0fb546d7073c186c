/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A text file from wherever it comes, read as UTF-8: found to be UTF-8 (with or without a mark),
 * GB18030 or UTF-16 by its bytes, all of which are read once. What is not UTF-8, or comes by a
 * pipe, is copied to an unlinked temporary file, so positions are always those of the UTF-8 text
 * and memory is bounded by two buffers. Knows nothing of tables or events.
 */
#ifndef CTL_TEXTFILE_H
#define CTL_TEXTFILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct textfile {
	FILE *f;	      /* owned; UTF-8, at `start` */
	int64_t start, size;  /* in f: first byte after the mark, end */
	const char *encoding; /* "UTF-8", "UTF-8 with BOM", "GB18030", "UTF-16" */
	uint8_t hash[16];     /* of the file's own bytes */
};

struct textfile_fault {
	unsigned line; /* 0: of the whole */
	char reason[160];
};

/*
 * path "-" is standard input. encoding: NULL to find it out, or "utf-8", "gb18030", "utf-16".
 * 0, or -ENOENT and other errors of open(), -EILSEQ not text in that encoding, -EINVAL no such
 * encoding, -EIO. On failure *ret is untouched and *fault tells why.
 */
int textfile_open(struct textfile *ret, const char *path, const char *encoding,
		  struct textfile_fault *fault);
void textfile_done(struct textfile *t);
/* It begins with an object: JSON lines, and no table. At its start. */
bool textfile_is_json(struct textfile *t);

/* How many of the first n bytes of a text in UTF-8 are whole characters. */
size_t textfile_cut(const char *p, size_t n);

#endif
