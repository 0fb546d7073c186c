/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program's configuration file, told by a table: each row says where in the program's own struct
 * a value lives, of what kind it is, in which unit and range it is written, what it is without a
 * file, and whether a reload may change it. The file, --check-config, a reload and the tests all
 * go by the table; what involves two options is the program's own check().
 *
 * A file is parsed whole into a fresh struct and refused whole: each fault is a line that names
 * file, line, option and what was expected. A line is at most 1,021 bytes.
 */
#ifndef HOST_OPTIONS_H
#define HOST_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { OPTION_LIST_MAX = 8, OPTIONS_MAX = 128 };

enum option_kind {
	KIND_TEXT,
	KIND_LIST, /* struct option_list: texts parted by blanks or commas */
	KIND_BOOL,
	KIND_COUNT, /* unsigned */
	KIND_SIZE,  /* size_t, bytes */
	KIND_BYTES32,
	KIND_BYTES64,
	KIND_MS,   /* unsigned, milliseconds */
	KIND_MS64, /* uint64_t, milliseconds */
};

/* The texts are owned by the struct that the list is in; behind the last one is NULL. */
struct option_list {
	char *at[OPTION_LIST_MAX + 1];
	size_t n;
};

struct option_spec {
	const char *section, *name;
	enum option_kind kind;
	size_t offset;
	const char *fallback;
	uint64_t min, max; /* numbers; of texts the length in bytes; of a list: of each of its
			      texts, and min 0 says that it may be empty */
	bool reload;
	const char *choices; /* of a text: "a|b"; of a list: how each begins, "tcp://|ipc://";
				NULL = any */
};

struct option_faults;

struct option_table {
	const struct option_spec *rows; /* in the order in which they are printed */
	size_t n_rows;			/* at most OPTIONS_MAX */
	size_t struct_bytes;		/* of the struct that the rows point into */
	const char *foreign_section;	/* passed over: another program's; NULL = none */
	/* Options that hold only together; may be NULL. Tells what is wrong by options_fault(). */
	void (*check)(const void *config, struct option_faults *f);
};

/* One fault of the file or of what it says together. */
void options_fault(struct option_faults *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* path NULL: all defaults. Faults go to err_out (may be NULL), one a line. *ret is calloc()ed and
 * the caller's, see options_free(). 0, -EINVAL, -ENOMEM, or why the file can't be opened. */
int options_load(void **ret, const struct option_table *t, const char *path, FILE *err_out);
/* The same from an open file (NULL: all defaults), called `name` in faults; it stays open. */
int options_parse(void **ret, const struct option_table *t, FILE *file, const char *name,
		  FILE *err_out);
/* Returns NULL. */
void *options_free(void *config, const struct option_table *t);
/* Values in the file's own form; read back they are the same. */
void options_print(const void *config, const struct option_table *t, FILE *f);
/* For a reload that has more to check than the file: gives fresh the running values of what a
 * reload may not change, and names those on kept_out, so that fresh is what a reload would make of
 * the two; faults of that mixture go to err_out, as of `name`. Both may be NULL. The number of
 * those kept; -EINVAL: they do not hold together with the rest; -ENOMEM. fresh is the caller's in
 * any case. */
int options_keep(const void *running, void *fresh, const struct option_table *t, const char *name,
		 FILE *kept_out, FILE *err_out);
/* Takes what a reload may change from fresh_take, which is freed, and reports to err_out (may be
 * NULL) options whose change needs a restart. Returns their number. */
int options_reload(void *config, void *fresh_take, const struct option_table *t, FILE *err_out);

#endif
