/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The values that a table's rows point at: which member of the program's struct, and a number's
 * units. For options.c alone, which reads files into them.
 */
#ifndef HOST_OPTION_VALUE_H
#define HOST_OPTION_VALUE_H

#include "options.h"

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

/* The member of config that the option names; each for its own kinds alone. */
uint64_t option_number(const void *config, const struct option_spec *o);
void option_set_number(void *config, const struct option_spec *o, uint64_t v);
char **option_text(void *config, const struct option_spec *o);
bool *option_bool(void *config, const struct option_spec *o);
struct option_list *option_list(void *config, const struct option_spec *o);

#endif
