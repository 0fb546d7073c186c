/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of options, and the values that its rows point at: where in struct config each lives,
 * of what kind it is, in which unit and range it is written. For config.c alone, which reads files
 * into it.
 */
#ifndef DAEMON_CONFIG_OPTIONS_H
#define DAEMON_CONFIG_OPTIONS_H

#include "config.h"

enum option_kind {
	KIND_TEXT,
	KIND_LIST, /* of endpoints, parted by blanks or commas */
	KIND_BOOL,
	KIND_COUNT, /* unsigned */
	KIND_SIZE,  /* size_t, bytes */
	KIND_BYTES32,
	KIND_BYTES64,
	KIND_MS,   /* unsigned, milliseconds */
	KIND_MS64, /* uint64_t, milliseconds */
};

struct option {
	const char *section, *name;
	enum option_kind kind;
	size_t offset;
	const char *fallback;
	uint64_t min, max; /* numbers; of texts the length in bytes */
	bool reload;
	const char *choices; /* of a text: "a|b"; NULL = any */
};

enum { CONFIG_OPTIONS_MAX = 64 };

/* In the order in which they are printed. */
extern const struct option config_options[];
extern const size_t config_n_options;

struct unit {
	const char *name;
	uint64_t factor;
};

/* What a number of that kind may be followed by; ends with name == NULL. */
const struct unit *option_units(enum option_kind k);
/* "milliseconds: a whole number, or ...", for people. */
const char *option_expected(enum option_kind k);
/* " ms", " bytes" or "": behind a range. */
const char *option_unit_name(enum option_kind k);

/* -EINVAL: no number with one of the units; -ERANGE: one too large. */
int option_parse_number(uint64_t *ret, const char *s, const struct unit *units);
/* In the largest unit that divides it, so that what is printed reads as it was written. */
void option_print_number(FILE *f, uint64_t v, const struct unit *units);

/* The member of c that the option names; each for its own kinds alone. */
uint64_t option_number(const struct config *c, const struct option *o);
void option_set_number(struct config *c, const struct option *o, uint64_t v);
char **option_text(struct config *c, const struct option *o);
bool *option_bool(struct config *c, const struct option *o);

#endif
