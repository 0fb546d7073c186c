/* SPDX-License-Identifier: Apache-2.0 */
#include "config_options.h"

#include "queue.h"

#include <errno.h>
#include <string.h>

#define KIB	   1024ull
#define MIB	   (1024ull * KIB)
#define GIB	   (1024ull * MIB)
#define SECOND	   1000ull
#define DAY	   (24 * 3600 * SECOND)
#define AT(member) offsetof(struct config, member)

/* A row here is also: a member of struct config, an entry of config/dibaod.conf and a paragraph of
 * daemon/dibaod.conf.5. tests/unit/test_config.c catches a miss. */
const struct option config_options[] = {
	{"dibao", "bureau", KIND_TEXT, AT(bureau), "3205", 1, QUEUE_BUREAU_MAX, false, NULL},
	{"dibao", "endpoints", KIND_LIST, AT(endpoints), "ipc:///run/dibao/dibao.sock", 1, 256,
	 false, NULL},
	{"dibao", "control", KIND_TEXT, AT(control), "/run/dibao/control", 0, 100, false, NULL},
	{"dibao", "access", KIND_TEXT, AT(access), "", 0, 512, true, NULL},
	{"dibao", "curve_key_file", KIND_TEXT, AT(curve_key_file), "", 0, 512, false, NULL},
	{"dibao", "insecure", KIND_BOOL, AT(insecure), "no", 0, 0, false, NULL},
	{"dibao", "view_key_file", KIND_TEXT, AT(view_key_file), "", 0, 512, false, NULL},
	{"dibao", "io_threads", KIND_COUNT, AT(io_threads), "1", 1, 8, false, NULL},
	{"dibao", "max_sessions", KIND_COUNT, AT(max_sessions), "10000", 1, 100000, true, NULL},
	{"redis", "redis", KIND_TEXT, AT(redis), "unix:/run/redis/redis-server.sock", 1, 256, false,
	 NULL},
	{"redis", "redis_user", KIND_TEXT, AT(redis_user), "", 0, 128, false, NULL},
	{"redis", "redis_password_file", KIND_TEXT, AT(redis_password_file), "", 0, 512, false,
	 NULL},
	{"redis", "connect_timeout_ms", KIND_MS, AT(connect_timeout_ms), "2s", 10, 60 * SECOND,
	 false, NULL},
	{"redis", "command_timeout_ms", KIND_MS, AT(command_timeout_ms), "5s", 100, 600 * SECOND,
	 false, NULL},
	{"redis", "unsafe_redis", KIND_BOOL, AT(unsafe_redis), "no", 0, 0, false, NULL},
	{"fanout", "ring_bytes", KIND_SIZE, AT(ring_bytes), "16MiB", 64 * KIB, 64 * GIB, false,
	 NULL},
	{"fanout", "slice_bytes", KIND_SIZE, AT(slice_bytes), "16MiB", 1 * MIB, 64 * GIB, false,
	 NULL},
	{"fanout", "budget_bytes", KIND_SIZE, AT(budget_bytes), "64MiB", 1 * MIB, 64 * GIB, true,
	 NULL},
	{"fanout", "window_bytes", KIND_BYTES32, AT(window_bytes), "1MiB", 128 * KIB, 16 * MIB,
	 true, NULL},
	{"fanout", "heartbeat_ms", KIND_MS, AT(heartbeat_ms), "15s", 100, 600 * SECOND, true, NULL},
	{"fanout", "lease_ms", KIND_MS, AT(lease_ms), "15s", 500, 600 * SECOND, true, NULL},
	{"fanout", "silence_ms", KIND_MS, AT(silence_ms), "45s", 500, 3600 * SECOND, true, NULL},
	{"fanout", "catchup_percent", KIND_COUNT, AT(catchup_percent), "20", 1, 90, true, NULL},
	{"fanout", "drain_ms", KIND_MS, AT(drain_ms), "5s", 100, 600 * SECOND, true, NULL},
	{"retention", "public_ms", KIND_MS64, AT(public_ms), "400d", 1 * SECOND, 36500 * DAY, true,
	 NULL},
	{"retention", "private_ms", KIND_MS64, AT(private_ms), "90d", 1 * SECOND, 36500 * DAY, true,
	 NULL},
	{"retention", "hold_ms", KIND_MS64, AT(hold_ms), "14d", 0, 36500 * DAY, true, NULL},
	{"retention", "cap_bytes", KIND_BYTES64, AT(cap_bytes), "0", 0, 1024 * GIB, false, NULL},
	{"log", "log_level", KIND_TEXT, AT(log_level), "info", 1, 16, true,
	 "debug|info|notice|warning|err"},
};

_Static_assert(sizeof config_options / sizeof config_options[0] <= CONFIG_OPTIONS_MAX,
	       "config.c marks those that a file sets");
const size_t config_n_options = sizeof config_options / sizeof config_options[0];

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

uint64_t option_number(const struct config *c, const struct option *o)
{
	const void *p = (const char *)c + o->offset;

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

void option_set_number(struct config *c, const struct option *o, uint64_t v)
{
	void *p = (char *)c + o->offset;

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

char **option_text(struct config *c, const struct option *o)
{
	return (char **)((char *)c + o->offset);
}

bool *option_bool(struct config *c, const struct option *o)
{
	return (bool *)((char *)c + o->offset);
}

const char *option_unit_name(enum option_kind k)
{
	const struct unit *units = option_units(k);

	return units == ms_units ? " ms" : units == byte_units ? " bytes" : "";
}
