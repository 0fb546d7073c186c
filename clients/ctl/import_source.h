/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The events of a file, one after another: rows of a table by its headings, or JSON lines. A record
 * that makes no event is told with what is wrong, and the reading goes on. Pure but for the
 * reading; publishes nothing. Memory: one row, one event.
 */
#ifndef CTL_IMPORT_SOURCE_H
#define CTL_IMPORT_SOURCE_H

#include "headings.h"
#include "table.h"
#include "textfile.h"

#include <dibao/event.h>

enum { IMPORT_SETS_MAX = 32, IMPORT_UID_PARTS_MAX = 8 };

struct import_rules {
	const char *type; /* where a row has none; NULL */
	struct {
		const char *path, *value; /* where a row has nothing for that field */
	} sets[IMPORT_SETS_MAX];
	unsigned n_sets;
	const char
		*uid_parts[IMPORT_UID_PARTS_MAX + 1]; /* paths; NULL-terminated; none: the usual */
	bool record;				      /* all of it is history */
	int zone_min; /* of times without a zone, minutes east of UTC */
};

struct import_record {
	unsigned line;
	int64_t offset;
	const char
		*raw; /* borrowed until the next record; of a line that is too long its beginning */
	size_t raw_len;
	unsigned cells; /* of a table's row; 0: faulty */
	uint8_t *bytes; /* borrowed; NULL: refused, see err */
	size_t len;
	char uid[DIBAO_UID_MAX_BYTES + 1];
	struct dibao_error err;
};

struct import_source;

/* All borrowed for good. Reads the headings of a table. 0, -ENOMEM, -EIO, or -EINVAL with *fault:
 * no row of the first ten is one of headings, or two columns are the same field. */
int import_source_new(struct import_source **ret, struct textfile *text, const struct headings *h,
		      const struct import_rules *rules, bool json, char separator,
		      struct textfile_fault *fault);
struct import_source *import_source_free(struct import_source *s); /* returns NULL */

/* 1, 0 at the end, -EIO, -ENOMEM. */
int import_source_next(struct import_source *s, struct import_record *ret);
int64_t import_source_offset(const struct import_source *s);
unsigned import_source_line(const struct import_source *s);
int import_source_seek(struct import_source *s, int64_t offset, unsigned line);

unsigned import_source_columns(const struct import_source *s); /* 0: JSON lines */
/* Of a table: its separator, its row of headings, and the headings that no field has, by number
 * until NULL. For JSON lines 0, NULL, NULL. */
char import_source_separator(const struct import_source *s);
const char *import_source_header(const struct import_source *s);
const char *import_source_unused(const struct import_source *s, unsigned i);

#endif
