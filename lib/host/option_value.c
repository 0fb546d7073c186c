/* SPDX-License-Identifier: Apache-2.0 */
#include "option_value.h"

#include <errno.h>
#include <string.h>

#define KIB    1024ull
#define MIB    (1024ull * KIB)
#define GIB    (1024ull * MIB)
#define SECOND 1000ull
#define DAY    (24 * 3600 * SECOND)

static const struct unit byte_units[] = {
	{"", 1},      {"B", 1},	  {"K", KIB},	{"KiB", KIB}, {"M", MIB},
	{"MiB", MIB}, {"G", GIB}, {"GiB", GIB}, {NULL, 0},
};
static const struct unit ms_units[] = {
	{"", 1},    {"ms", 1}, {"s", SECOND}, {"min", 60 * SECOND}, {"h", 3600 * SECOND},
	{"d", DAY}, {NULL, 0},
};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

const struct unit *option_units(enum option_kind k)
{
	switch (k) {
	case KIND_SIZE:
	case KIND_BYTES32:
	case KIND_BYTES64:
		return byte_units;
	case KIND_MS:
	case KIND_MS64:
		return ms_units;
	default:
		return no_units;
	}
}

const char *option_expected(enum option_kind k)
{
	switch (k) {
	case KIND_BOOL:
		return "yes or no";
	case KIND_SIZE:
	case KIND_BYTES32:
	case KIND_BYTES64:
		return "bytes: a whole number, or one with K, M, G (KiB, MiB, GiB)";
	case KIND_MS:
	case KIND_MS64:
		return "milliseconds: a whole number, or one with ms, s, min, h, d";
	default:
		return "a whole number";
	}
}

int option_parse_number(uint64_t *ret, const char *s, const struct unit *units)
{
	uint64_t v = 0;
	size_t i = 0;

	for (; s[i] >= '0' && s[i] <= '9'; i++) {
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s[i] - '0'), &v)) {
			return -ERANGE;
		}
	}
	if (i == 0) {
		return -EINVAL;
	}
	s += i;
	while (*s == ' ') {
		s++;
	}
	for (; units->name; units++) {
		if (strcmp(units->name, s) == 0) {
			return __builtin_mul_overflow(v, units->factor, ret) ? -ERANGE : 0;
		}
	}
	return -EINVAL;
}

void option_print_number(FILE *f, uint64_t v, const struct unit *units)
{
	const struct unit *best = units;

	for (; units->name; units++) {
		if (v > 0 && v % units->factor == 0 && units->factor >= best->factor) {
			best = units;
		}
	}
	fprintf(f, "%llu%s", (unsigned long long)(v / best->factor),
		best->factor == 1 ? "" : best->name);
}

uint64_t option_number(const void *config, const struct option_spec *o)
{
	const void *p = (const char *)config + o->offset;

	switch (o->kind) {
	case KIND_SIZE:
		return *(const size_t *)p;
	case KIND_BYTES32:
		return *(const uint32_t *)p;
	case KIND_BYTES64:
	case KIND_MS64:
		return *(const uint64_t *)p;
	default:
		return *(const unsigned *)p;
	}
}

void option_set_number(void *config, const struct option_spec *o, uint64_t v)
{
	void *p = (char *)config + o->offset;

	switch (o->kind) {
	case KIND_SIZE:
		*(size_t *)p = (size_t)v;
		break;
	case KIND_BYTES32:
		*(uint32_t *)p = (uint32_t)v;
		break;
	case KIND_BYTES64:
	case KIND_MS64:
		*(uint64_t *)p = v;
		break;
	default:
		*(unsigned *)p = (unsigned)v;
	}
}

char **option_text(void *config, const struct option_spec *o)
{
	return (char **)((char *)config + o->offset);
}

bool *option_bool(void *config, const struct option_spec *o)
{
	return (bool *)((char *)config + o->offset);
}

const char *option_unit_name(enum option_kind k)
{
	const struct unit *units = option_units(k);

	return units == ms_units ? " ms" : units == byte_units ? " bytes" : "";
}

struct option_list *option_list(void *config, const struct option_spec *o)
{
	return (struct option_list *)(void *)((char *)config + o->offset);
}
