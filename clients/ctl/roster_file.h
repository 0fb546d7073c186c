/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The people of a file, as a personnel system lists them: rows of a table or JSON lines by its
 * headings, each checked. A row that is none is written into a file of its own with its line and
 * why, and the reading goes on; its badge, if it can be read, is remembered, for that person's row
 * must stay as it is. A badge that stands twice is refused in both places.
 *
 * A file that ends within a row is refused whole: it was cut short, and what is missing would look
 * like people who left. No number and no name is in any message.
 */
#ifndef CTL_ROSTER_FILE_H
#define CTL_ROSTER_FILE_H

#include "ctl.h"
#include "import_report.h"

#include "../sms/roster.h"

enum { ROSTER_PEOPLE_MAX = 200000 };

/* A person as the file has him. Strings are NUL-terminated, cleaned and checked. */
struct roster_item {
	char badge[ROSTER_BADGE_MAX + 1];
	char name[ROSTER_NAME_MAX + 1];
	char phone[ROSTER_PHONE_DIGITS + 1]; /* "": none */
	char org[DIBAO_ORG_BYTES + 1];	     /* "": not told */
	char unit[ROSTER_UNIT_MAX + 1];
	char opted_out[ROSTER_OPTED_OUT_MAX + 1];
	bool active;
	int64_t left_on; /* Unix ms; 0: not told */
	unsigned line;
	int64_t offset;
	bool refused; /* only its badge counts */
};

struct roster_file {
	struct roster_item *items; /* sorted by badge, each once; owned */
	size_t n;
	unsigned rows, refused;
	unsigned unreadable;		       /* of the refused: nobody knows whose */
	bool has_org, has_unit, has_opted_out; /* there is such a column */
	char encoding[24];
	uint8_t hash[16];
};

struct roster_file_options {
	const char *path, *headings, *encoding, *refused; /* NULL: the usual */
	const char *format;				  /* "table", "json"; NULL: found out */
	char separator;
};

/* Reads it all. 0 or a sysexits code, said. *ret is to be done() in any case. */
int roster_file_read(struct roster_file *ret, const struct ctl *c,
		     const struct roster_file_options *o);
void roster_file_done(struct roster_file *f);

#endif
