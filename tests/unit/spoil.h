/* SPDX-License-Identifier: Apache-2.0 */
/* Giving the parser an event with one place spoilt, and looking at what it says. For tests: include
 * it behind cmocka.h. */
#ifndef TESTS_UNIT_SPOIL_H
#define TESTS_UNIT_SPOIL_H

#include "draft.h"
#include "golden.h"
#include "types.h"

/* Parses a copy of exactly that size, so that a sanitizer sees a read past its end. */
static inline int parse(const void *bytes, size_t len, struct dibao_event *ret,
			struct dibao_error *err)
{
	uint8_t *copy = malloc(len + !len);
	struct dibao_event ev;
	int r;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	memset(err, 0, sizeof *err);
	r = dibao_event_parse(&ev, copy, len, err);
	if (r == 0 && ret)
		assert_int_equal(dibao_event_parse(ret, bytes, len, NULL), 0);
	assert_int_equal(err->code, r);
	assert_true(r == 0 || err->reason[0]);
	(void)dibao_event_view(&ev, copy, len);
	free(copy);
	return r;
}

static inline void expect(const struct raw *raw, int code, const char *field)
{
	struct dibao_error err;
	int r = parse(raw->p, raw->n, NULL, &err);

	if (r != code || strcmp(err.field, field) != 0)
		fail_msg("expected %d at \"%s\", got %d at \"%s\": %s", code, field, r, err.field,
			 err.reason);
}

static inline struct draft *golden_draft(const char *name)
{
	size_t len;
	char *bytes = golden_read(name, "mp", &len);
	struct draft *d;

	assert_non_null(bytes);
	d = draft_of(bytes, len);
	free(bytes);
	return d;
}

static inline void expect_draft(struct draft *d, int code, const char *field)
{
	struct raw *raw = calloc(1, sizeof *raw);

	draft_encode(d, raw);
	expect(raw, code, field);
	free(raw);
	draft_free(d);
}

/* An event of a type with one value put in place. */
static inline void expect_with(const char *type, const char *path, const struct raw *value,
			       int code, const char *field)
{
	struct draft *d = golden_draft(type);

	draft_put(d, path, value);
	expect_draft(d, code, field);
}

static inline void expect_str(const char *type, const char *path, const void *p, size_t n, int code)
{
	struct raw *raw = calloc(1, sizeof *raw);

	raw_str(raw, p, n);
	expect_with(type, path, raw, code, code == 0 ? "" : path);
	free(raw);
}

static inline void expect_number(const char *type, const char *path, int64_t v, int code)
{
	struct raw raw = {.n = 0};

	raw_int(&raw, v);
	expect_with(type, path, &raw, code, code == 0 ? "" : path);
}

/* Calls for each field of a type, maps included, envelope first. */
static inline void each_field(const char *type, void (*call)(const char *type, const char *path,
							     const struct dibao_field_spec *spec))
{
	const struct flat *flat = types_flat(dibao_type_find(type, strlen(type)));

	for (int i = 0; i < flat->n; i++)
		call(type, flat->paths[i], flat->specs[i]);
}

#endif
