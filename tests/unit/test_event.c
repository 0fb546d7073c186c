/* SPDX-License-Identifier: Apache-2.0 */
/* The event's bytes: what is made, what is taken, and what is refused with which field named. */
#include "draft.h"
#include "golden.h"
#include "text.h"
#include "types.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* ---- allocations of the whole program, counted ---- */

static size_t allocations;

#if defined __SANITIZE_ADDRESS__
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
					      void (*on_free)(const volatile void *));

static void on_malloc(const volatile void *p, size_t n)
{
	(void)p;
	(void)n;
	allocations++;
}

static void on_free(const volatile void *p)
{
	(void)p;
}

static int count_allocations(void **state)
{
	(void)state;
	return __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0 ? 0 : -1;
}
#else
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t each);
void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n)
{
	allocations++;
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t each)
{
	allocations++;
	return __libc_calloc(n, each);
}

void *realloc(void *p, size_t n)
{
	allocations++;
	return __libc_realloc(p, n);
}

static int count_allocations(void **state)
{
	void *(*volatile allocate)(size_t) = malloc;
	size_t before = allocations;

	(void)state;
	free(allocate(1));
	return allocations > before ? 0 : -1;
}
#endif

/* ---- taking a spoilt event ---- */

/* Parses a copy of exactly that size, so that a sanitizer sees a read past its end. */
static int parse(const void *bytes, size_t len, struct dibao_event *ret, struct dibao_error *err)
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

static void expect(const struct raw *raw, int code, const char *field)
{
	struct dibao_error err;
	int r = parse(raw->p, raw->n, NULL, &err);

	if (r != code || strcmp(err.field, field) != 0)
		fail_msg("expected %d at \"%s\", got %d at \"%s\": %s", code, field, r, err.field,
			 err.reason);
}

static struct draft *golden_draft(const char *name)
{
	size_t len;
	char *bytes = golden_read(name, "mp", &len);
	struct draft *d;

	assert_non_null(bytes);
	d = draft_of(bytes, len);
	free(bytes);
	return d;
}

static void expect_draft(struct draft *d, int code, const char *field)
{
	struct raw *raw = calloc(1, sizeof *raw);

	draft_encode(d, raw);
	expect(raw, code, field);
	free(raw);
	draft_free(d);
}

/* An event of a type with one value put in place. */
static void expect_with(const char *type, const char *path, const struct raw *value, int code,
			const char *field)
{
	struct draft *d = golden_draft(type);

	draft_put(d, path, value);
	expect_draft(d, code, field);
}

static void expect_str(const char *type, const char *path, const void *p, size_t n, int code)
{
	struct raw *raw = calloc(1, sizeof *raw);

	raw_str(raw, p, n);
	expect_with(type, path, raw, code, code == 0 ? "" : path);
	free(raw);
}

static void expect_number(const char *type, const char *path, int64_t v, int code)
{
	struct raw raw = {.n = 0};

	raw_int(&raw, v);
	expect_with(type, path, &raw, code, code == 0 ? "" : path);
}

/* Calls for each field of a type, maps included, envelope first. */
static void each_field(const char *type, void (*call)(const char *type, const char *path,
						      const struct dibao_field_spec *spec))
{
	const struct flat *flat = types_flat(dibao_type_find(type, strlen(type)));

	for (int i = 0; i < flat->n; i++)
		call(type, flat->paths[i], flat->specs[i]);
}

/* ---- golden bytes ---- */

static void golden_bytes_are_what_the_builder_makes(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_GOLDENS; i++) {
		struct dibao_error err = {0};
		size_t n, m;
		char *golden = golden_read(goldens[i].name, "mp", &n);
		uint8_t *made = golden_build(&goldens[i], &m, &err);

		if (!made)
			fail_msg("%s: %s %s", goldens[i].name, err.field, err.reason);
		assert_non_null(golden);
		assert_int_equal(m, n);
		assert_memory_equal(made, golden, n);
		free(golden);
		free(made);
	}
}

static void golden_bytes_yield_every_field_that_went_in(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_GOLDENS; i++) {
		const struct golden *g = &goldens[i];
		struct dibao_error err;
		struct dibao_event ev;
		size_t n;
		char *bytes = golden_read(g->name, "mp", &n);

		assert_non_null(bytes);
		assert_int_equal(parse(bytes, n, &ev, &err), 0);
		assert_int_equal(ev.type, dibao_type_find(g->type, strlen(g->type)));
		assert_int_equal(ev.n_unknown, 0);
		for (const struct golden_field *f = g->fields; f->path; f++) {
			struct dibao_str s;
			int64_t v;
			bool b;

			if (dibao_event_bool(&ev, f->path, &b) == 0) {
				assert_string_equal(b ? "true" : "false", f->text);
			} else if (dibao_event_int(&ev, f->path, &v) == 0) {
				assert_int_equal(v, atoll(f->text));
			} else {
				assert_int_equal(dibao_event_str(&ev, f->path, &s), 0);
				if (strcmp(f->path, "trace") == 0) {
					assert_int_equal(s.len, DIBAO_TRACE_BYTES);
					assert_int_equal((uint8_t)s.p[15], 0xff);
				} else {
					assert_int_equal(s.len, strlen(f->text));
					assert_memory_equal(s.p, f->text, s.len);
				}
			}
		}
		free(bytes);
	}
}

static const struct golden *golden_of_all;

static void field_is_in_the_golden_event(const char *type, const char *path,
					 const struct dibao_field_spec *spec)
{
	static const char *const left_out[] = {"v", "type", "retracts", "ext"};

	(void)type;
	for (size_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++)
		if (strcmp(path, left_out[i]) == 0)
			return;
	/* A promotion and an award share the first proposal's reference. */
	if (spec->kind == DIBAO_KIND_MAP || !strcmp(path, "corrects") || !strcmp(path, "follows"))
		return;
	for (const struct golden_field *f = golden_of_all->fields; f->path; f++)
		if (strcmp(f->path, path) == 0)
			return;
	fail_msg("the golden %s lacks %s", golden_of_all->name, path);
}

static void golden_events_have_every_field_of_their_type(void **state)
{
	size_t n;

	(void)state;
	(void)dibao_types(&n);
	assert_int_equal(n, N_GOLDEN_TYPES);
	for (size_t i = 0; i < N_GOLDEN_TYPES; i++) {
		golden_of_all = &goldens[i];
		each_field(goldens[i].type, field_is_in_the_golden_event);
	}
}

static void the_view_of_a_subscriber_agrees_with_the_full_check(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_GOLDENS; i++) {
		struct dibao_event a, b;
		struct dibao_error err;
		size_t n;
		char *bytes = golden_read(goldens[i].name, "mp", &n);

		assert_int_equal(parse(bytes, n, &a, &err), 0);
		assert_int_equal(dibao_event_view(&b, bytes, n), 0);
		assert_int_equal(a.type, b.type);
		assert_ptr_equal(a.uid.p, b.uid.p);
		assert_int_equal(a.at, b.at);
		assert_int_equal(a.not_before, b.not_before);
		assert_int_equal(a.expires, b.expires);
		assert_int_equal(a.is_private, b.is_private);
		assert_int_equal(a.urgent, b.urgent);
		assert_int_equal(a.record, b.record);
		assert_int_equal(a.badge.len, b.badge.len);
		assert_int_equal(a.retracts.len, b.retracts.len);
		assert_int_equal(a.corrects.len, b.corrects.len);
		assert_int_equal(a.follows.len, b.follows.len);
		free(bytes);
	}
}

static void parsing_allocates_nothing_also_when_it_refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_GOLDENS; i++) {
		struct dibao_error err;
		struct dibao_event ev;
		size_t n, before;
		char *bytes = golden_read(goldens[i].name, "mp", &n);

		assert_non_null(bytes);
		before = allocations;
		assert_int_equal(dibao_event_parse(&ev, bytes, n, &err), 0);
		assert_int_equal(dibao_event_view(&ev, bytes, n), 0);
		assert_int_not_equal(dibao_event_parse(&ev, bytes, n - 1, &err), 0);
		assert_int_equal(allocations - before, 0);
		free(bytes);
	}
}

/* ---- the form ---- */

static void every_truncation_and_trailing_byte_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_GOLDENS; i++) {
		struct dibao_error err;
		size_t n;
		char *bytes = golden_read(goldens[i].name, "mp", &n);

		for (size_t k = 0; k < n; k++)
			assert_int_equal(parse(bytes, k, NULL, &err), -EBADMSG);
		/* The NUL that golden_read() put there is one byte too many. */
		assert_int_equal(parse(bytes, n + 1, NULL, &err), -EBADMSG);
		assert_string_equal(err.reason, "bytes after the end");
		free(bytes);
	}
}

static void trailing_bytes_are_refused_also_where_the_body_stands_first(void **state)
{
	struct draft *d = golden_draft("award");
	struct raw *raw = calloc(1, sizeof *raw);

	(void)state;
	draft_to_front(d, "body");
	draft_encode(d, raw);
	expect(raw, 0, "");
	raw->p[raw->n++] = 0xc0;
	expect(raw, -EBADMSG, "");
	free(raw);
	draft_free(d);
}

static void what_is_no_map_is_refused(void **state)
{
	static const uint8_t others[][3] = {{0xc0}, {0xc1}, {0x90}, {0xa1, 'a'}, {1}, {0xc4, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		struct raw raw = {.n = 1};

		memcpy(raw.p, others[i], 3);
		raw.n += others[i][0] == 0xa1 || others[i][0] == 0xc4;
		expect(&raw, -EBADMSG, "");
	}
}

static void counts_and_lengths_beyond_the_bytes_are_refused(void **state)
{
	/* Each says that more follows than does. */
	static const uint8_t tags[] = {0xd9, 0xda, 0xdb, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8,
				       0xc9, 0xdc, 0xdd, 0xde, 0xdf, 0x8f, 0x9f, 0xbf};

	(void)state;
	for (size_t i = 0; i < sizeof tags; i++) {
		struct raw raw = {.n = 0};
		struct draft *d;

		raw_head(&raw, tags[i], UINT64_MAX,
			 tags[i] >= 0xc0 ? 1u << ((tags[i] - (tags[i] < 0xd9   ? 0xc4
							      : tags[i] < 0xdc ? 0xd9
							      : tags[i] < 0xde ? 0xdb
									       : 0xdd)) %
						  3)
					 : 0);
		d = golden_draft("award");
		draft_put(d, "ext", &raw);
		draft_drop(d, "body");
		expect_draft(d, -EBADMSG, "ext");
		d = golden_draft("award");
		draft_put(d, "body", &raw);
		expect_draft(d, -EBADMSG, "body");
	}
}

static void a_map_may_have_64_keys_and_no_more(void **state)
{
	static const char *const maps[] = {"", "person", "person.rank", "body", "body.kind"};

	(void)state;
	for (size_t m = 0; m < sizeof maps / sizeof maps[0]; m++) {
		struct draft *d = golden_draft("award"), *map = d;
		struct raw nil = {.p = {0xc0}, .n = 1}, *raw = calloc(1, sizeof *raw);
		char path[80];
		unsigned i;

		if (maps[m][0]) {
			map = draft_find(d, maps[m], &i);
			map = map->kids[i];
		}
		for (i = 0; map->n < 64; i++) {
			snprintf(path, sizeof path, "%s%sunknown%u", maps[m], maps[m][0] ? "." : "",
				 i);
			draft_put(d, path, &nil);
		}
		draft_encode(d, raw);
		expect(raw, 0, "");
		snprintf(path, sizeof path, "%s%sunknown", maps[m], maps[m][0] ? "." : "");
		draft_put(d, path, &nil);
		expect_draft(d, -EBADMSG, maps[m]);
		free(raw);
	}
}

/* `deep` arrays around a nil, as a value of a map that is itself at `level`. */
static void nested_to(const char *path, unsigned level, unsigned deep, int code, const char *field)
{
	struct raw raw = {.n = 0};

	for (unsigned i = 0; i < deep - level; i++)
		raw.p[raw.n++] = 0x91;
	raw.p[raw.n++] = 0xc0;
	expect_with("award", path, &raw, code, field);
}

static void eight_levels_are_taken_and_nine_refused(void **state)
{
	(void)state;
	nested_to("ext", 1, 8, 0, "");
	nested_to("ext", 1, 9, -EBADMSG, "ext");
	nested_to("later", 1, 8, 0, "");
	nested_to("later", 1, 9, -EBADMSG, "(unknown key)");
	nested_to("body.later", 2, 8, 0, "");
	nested_to("body.later", 2, 9, -EBADMSG, "body.(unknown key)");
	nested_to("body.kind.later", 3, 8, 0, "");
	nested_to("body.kind.later", 3, 9, -EBADMSG, "body.kind.(unknown key)");
	nested_to("person.rank.later", 3, 8, 0, "");
	nested_to("person.rank.later", 3, 9, -EBADMSG, "person.rank.(unknown key)");
}

static void sixteen_kib_are_taken_and_a_byte_more_refused(void **state)
{
	struct draft *d = golden_draft("award");
	struct raw *raw = calloc(1, sizeof *raw), *pad = calloc(1, sizeof *pad);
	static char text[DIBAO_EVENT_MAX_BYTES];
	size_t n;

	(void)state;
	memset(text, 'x', sizeof text);
	raw_str(pad, text, 300);
	draft_put(d, "later", pad);
	draft_encode(d, raw);
	n = 300 + DIBAO_EVENT_MAX_BYTES - raw->n;
	for (unsigned more = 0; more < 2; more++) {
		pad->n = raw->n = 0;
		raw_str(pad, text, n + more);
		draft_put(d, "later", pad);
		draft_encode(d, raw);
		assert_int_equal(raw->n, DIBAO_EVENT_MAX_BYTES + more);
		expect(raw, more ? -EMSGSIZE : 0, "");
	}
	free(raw);
	free(pad);
	draft_free(d);
}

static void a_field_twice(const char *type, const char *path, const struct dibao_field_spec *spec)
{
	struct draft *d = golden_draft(type), *map;
	unsigned i;

	(void)spec;
	map = draft_find(d, path, &i);
	if (i == map->n) {
		draft_free(d);
		return;
	}
	draft_twice(d, path);
	expect_draft(d, -EBADMSG, path);
}

static void a_key_that_stands_twice_is_refused(void **state)
{
	struct raw nil = {.p = {0xc0}, .n = 1}, twice = {.n = 0};
	struct draft *d;

	(void)state;
	for (size_t i = 0; i < N_GOLDEN_TYPES; i++)
		each_field(goldens[i].type, a_field_twice);
	d = golden_draft("award");
	draft_put(d, "body.later", &nil);
	draft_put(d, "body.other", &nil);
	draft_twice(d, "body.later");
	expect_draft(d, -EBADMSG, "body.(unknown key)");
	raw_map(&twice, 2);
	for (int i = 0; i < 2; i++) {
		raw_str(&twice, "a", 1);
		raw_int(&twice, i);
	}
	expect_with("award", "ext", &twice, -EBADMSG, "ext");
	expect_with("award", "later", &twice, -EBADMSG, "(unknown key)");
}

static void keys_are_strings(void **state)
{
	static const uint8_t keys[][2] = {{0x01}, {0xc0}, {0xc4, 0}, {0x80}};

	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		struct raw map = {.n = 0};

		raw_map(&map, 1);
		raw_bytes(&map, keys[i], keys[i][0] == 0xc4 ? 2 : 1);
		map.p[map.n++] = 0xc0;
		expect_with("award", "ext", &map, -EBADMSG, "ext");
		expect_with("award", "body.kind", &map, -EBADMSG, "body.kind");
		expect_with("award", "body", &map, -EBADMSG, "body");
		expect(&map, -EBADMSG, "");
	}
}

/* ---- text ---- */

static const struct {
	const char *p;
	size_t n;
} bad_utf8[] = {
	{"\x80", 1},
	{"\xbf", 1},
	{"\xc0\x80", 2},
	{"\xc1\xbf", 2},
	{"\xc2", 1},
	{"\xc2\x41", 2},
	{"\xdf", 1},
	{"\xe0\x80\x80", 3},
	{"\xe0\x9f\xbf", 3},
	{"\xe4\xb8", 2},
	{"\xe4", 1},
	{"\xe4\x41\x80", 3},
	{"\xe4\xb8\x41", 3},
	{"\xe4\xb8\xc0", 3},
	{"\xed\xa0\x80", 3},
	{"\xed\xbf\xbf", 3},
	{"\xed\xa0\xbd\xed", 4},
	{"\xf0\x80\x80\x80", 4},
	{"\xf0\x8f\xbf\xbf", 4},
	{"\xf0\xa0\xae", 3},
	{"\xf0\xa0", 2},
	{"\xf0", 1},
	{"\xf4\x90\x80\x80", 4},
	{"\xf5\x80\x80\x80", 4},
	{"\xf8\x88\x80\x80", 4},
	{"\xfe", 1},
	{"\xff", 1},
	{"\xf0\xa0\xae\x41", 4},
	{"\xf0\x41\xae\xb7", 4},
};

static const char *const good_utf8[] = {
	"a",	  "\x7e",	  "\xc2\x80",	"\u07ff",     "\u0800", "\ud7ff",
	"\ue000", "\xef\xbf\xbf", "\U00010000", "\U0010ffff", "中文",	"𠮷",
	"é",	  "〇",		  "\n",
};

/* Each at every distance from the start and the end, so that no step over several bytes at once
 * jumps over it. */
static void utf8_is_checked_wherever_it_stands(void **state)
{
	static const char *const around[] = {"", "x", "中", "𠮷", "é"};
	uint8_t text[80];

	(void)state;
	for (size_t a = 0; a < sizeof around / sizeof around[0]; a++)
		for (size_t before = 0; before < 10; before++)
			for (size_t after = 0; after < 10; after++) {
				size_t one = strlen(around[a]), n;

				for (size_t i = 0;
				     i < sizeof bad_utf8 / sizeof bad_utf8[0] +
						 sizeof good_utf8 / sizeof good_utf8[0];
				     i++) {
					size_t n_bad = sizeof bad_utf8 / sizeof bad_utf8[0];
					bool good = i >= n_bad;
					const char *p = good ? good_utf8[i - n_bad] : bad_utf8[i].p;
					size_t len = good ? strlen(p) : bad_utf8[i].n;
					uint8_t *copy;

					n = 0;
					for (size_t k = 0; k < before; k++, n += one)
						memcpy(text + n, around[a], one);
					memcpy(text + n, p, len);
					n += len;
					for (size_t k = 0; k < after; k++, n += one)
						memcpy(text + n, around[a], one);
					copy = malloc(n);
					memcpy(copy, text, n);
					if (utf8_is_valid(copy, n) != good)
						fail_msg("UTF-8 %s %zu, %zu x \"%s\" before",
							 good ? "good" : "bad", i, before,
							 around[a]);
					free(copy);
				}
			}
}

static void bad_text_in_field(const char *type, const char *path,
			      const struct dibao_field_spec *spec)
{
	static const char *const controls[] = {"\t", "\r", "\x1b", "\x7f", "\x1f", "\x01"};
	char text[40];

	if (spec->kind != DIBAO_KIND_STR || strcmp(path, "retracts") == 0)
		return;
	for (size_t i = 0; i < sizeof bad_utf8 / sizeof bad_utf8[0]; i++) {
		memcpy(text, bad_utf8[i].p, bad_utf8[i].n);
		expect_str(type, path, text, bad_utf8[i].n, -EBADMSG);
	}
	for (size_t i = 0; i < sizeof controls / sizeof controls[0]; i++)
		for (int at = 0; at < 12; at++) {
			memset(text, 'x', 13);
			text[at] = *controls[i];
			expect_str(type, path, text, 13, -EINVAL);
		}
	memcpy(text, "x\0y", 3);
	expect_str(type, path, text, 3, -EINVAL);
}

static void bad_utf8_and_control_characters_are_refused_in_every_field(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_GOLDEN_TYPES; i++)
		each_field(goldens[i].type, bad_text_in_field);
}

static void bad_utf8_is_refused_in_unknown_keys_and_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof bad_utf8 / sizeof bad_utf8[0]; i++) {
		struct raw text = {.n = 0}, map = {.n = 0}, array = {.n = 0};
		char key[40] = "body.";

		raw_str(&text, bad_utf8[i].p, bad_utf8[i].n);
		raw_map(&map, 1);
		raw_bytes(&map, text.p, text.n);
		map.p[map.n++] = 0xc0;
		array.p[array.n++] = 0x91;
		raw_bytes(&array, text.p, text.n);
		expect_with("award", "ext", &text, -EBADMSG, "ext");
		expect_with("award", "ext", &map, -EBADMSG, "ext");
		expect_with("award", "ext", &array, -EBADMSG, "ext");
		expect_with("award", "later", &text, -EBADMSG, "(unknown key)");
		expect_with("award", "body.later", &map, -EBADMSG, "body.(unknown key)");
		memcpy(key + 5, bad_utf8[i].p, bad_utf8[i].n);
		expect_with("award", key, &text, -EBADMSG, "body.(unknown key)");
		expect_with("award", key + 5, &text, -EBADMSG, "(unknown key)");
	}
}

/* ---- fields ---- */

static bool may_be(enum dibao_kind kind, uint8_t tag)
{
	switch (kind) {
	case DIBAO_KIND_INT:
	case DIBAO_KIND_MS:
		return tag == 0x01 || tag == 0xcf;
	case DIBAO_KIND_BOOL:
		return tag == 0xc2;
	case DIBAO_KIND_ANY:
		return true;
	default:
		return false;
	}
}

static void field_of_other_kinds(const char *type, const char *path,
				 const struct dibao_field_spec *spec)
{
	static const struct {
		uint8_t n, p[12];
	} values[] = {
		{1, {0xc0}},	   /* nil */
		{1, {0xc2}},	   /* false */
		{1, {0x01}},	   /* 1 */
		{1, {0xff}},	   /* -1 */
		{3, {0xa2, 'a'}},  /* "a\0" */
		{2, {0xc4, 0}},	   /* binary, empty */
		{1, {0x90}},	   /* array, empty */
		{1, {0x80}},	   /* map, empty */
		{9, {0xcb, 0x3f}}, /* a float */
		{3, {0xd4, 1, 2}}, /* extension */
	};

	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		struct raw raw = {.n = 0};
		struct draft *d;
		struct dibao_error err;
		struct raw *whole;

		raw_bytes(&raw, values[i].p, values[i].n);
		if (may_be(spec->kind, values[i].p[0]))
			continue;
		/* An empty map is a map, and lacks its fields. */
		if (spec->kind == DIBAO_KIND_MAP && values[i].p[0] == 0x80)
			continue;
		d = golden_draft(type);
		draft_put(d, path, &raw);
		whole = calloc(1, sizeof *whole);
		draft_encode(d, whole);
		if (parse(whole->p, whole->n, NULL, &err) != -EINVAL ||
		    strcmp(err.field, path) != 0)
			fail_msg("%s as 0x%02x: %d at \"%s\"", path, values[i].p[0], err.code,
				 err.field);
		free(whole);
		draft_free(d);
	}
}

static void every_field_refuses_values_of_other_kinds(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_GOLDEN_TYPES; i++)
		each_field(goldens[i].type, field_of_other_kinds);
}

static void field_left_out(const char *type, const char *path, const struct dibao_field_spec *spec)
{
	struct draft *d = golden_draft(type), *map;
	bool required = spec->flags & DIBAO_FIELD_REQUIRED, reply = !strcmp(type, "mailbox_reply");
	unsigned i;

	map = draft_find(d, path, &i);
	if (i == map->n) {
		draft_free(d);
		return;
	}
	/* Required by circumstance: these are proposals, and about a person. */
	required |= !strcmp(path, "body.notice_until") || !strcmp(path, "body.contact") ||
		    (!strcmp(path, "person") && !reply);
	draft_drop(d, path);
	expect_draft(d, required ? -EINVAL : 0, required ? path : "");
}

static void every_required_field_is_missed_by_name_and_no_other(void **state)
{
	struct draft *d;

	(void)state;
	for (size_t i = 0; i < N_GOLDEN_TYPES; i++)
		each_field(goldens[i].type, field_left_out);
	d = golden_draft("retraction");
	draft_drop(d, "body.reason");
	expect_draft(d, -EINVAL, "body.reason");
}

static void field_at_its_limits(const char *type, const char *path,
				const struct dibao_field_spec *spec)
{
	char text[9100];

	if (!strcmp(path, "retracts") || !strcmp(path, "v"))
		return;
	switch (spec->kind) {
	case DIBAO_KIND_STR:
	case DIBAO_KIND_DIGITS:
		memset(text, '7', sizeof text);
		expect_str(type, path, text, (size_t)spec->min - 1, -EINVAL);
		expect_str(type, path, text, (size_t)spec->min, 0);
		expect_str(type, path, text, (size_t)spec->max, 0);
		expect_str(type, path, text, (size_t)spec->max + 1, -EINVAL);
		break;
	case DIBAO_KIND_INT:
	case DIBAO_KIND_MS:
		expect_number(type, path, spec->min - 1, -EINVAL);
		expect_number(type, path, spec->min, 0);
		expect_number(type, path, spec->max, 0);
		expect_number(type, path, spec->max + 1, -EINVAL);
		expect_number(type, path, INT64_MIN, -EINVAL);
		expect_number(type, path, INT64_MAX, -EINVAL);
		break;
	case DIBAO_KIND_BIN:
		for (int64_t n = spec->min - 1; n <= spec->max + 1; n++) {
			bool good = n >= spec->min && n <= spec->max;
			struct raw raw = {.n = 0};

			raw_head(&raw, 0xc4, (uint64_t)n, 1);
			raw_bytes(&raw, text, (size_t)n);
			expect_with(type, path, &raw, good ? 0 : -EINVAL, good ? "" : path);
		}
		break;
	default:
		break;
	}
}

static void lengths_and_ranges_hold_to_the_last_unit(void **state)
{
	struct raw big = {.n = 0};

	(void)state;
	for (size_t i = 0; i < N_GOLDEN_TYPES; i++)
		each_field(goldens[i].type, field_at_its_limits);
	raw_head(&big, 0xcf, UINT64_MAX, 8);
	expect_with("award", "at", &big, -EINVAL, "at");
	expect_with("award", "body.amount", &big, -EINVAL, "body.amount");
}

static void integers_are_taken_in_every_width(void **state)
{
	static const struct {
		uint8_t n, p[9];
	} fives[] = {
		{1, {5}},
		{2, {0xcc, 5}},
		{3, {0xcd, 0, 5}},
		{5, {0xce, 0, 0, 0, 5}},
		{2, {0xd0, 5}},
		{3, {0xd1, 0, 5}},
		{5, {0xd2, 0, 0, 0, 5}},
		{9, {0xd3, 0, 0, 0, 0, 0, 0, 0, 5}},
		{9, {0xcf, 0, 0, 0, 0, 0, 0, 0, 5}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof fives / sizeof fives[0]; i++) {
		struct draft *d = golden_draft("award");
		struct raw value = {.n = 0}, *raw = calloc(1, sizeof *raw);
		struct dibao_error err;
		struct dibao_event ev;
		int64_t v = 0;

		raw_bytes(&value, fives[i].p, fives[i].n);
		draft_put(d, "at", &value);
		draft_put(d, "body.amount", &value);
		draft_encode(d, raw);
		assert_int_equal(parse(raw->p, raw->n, &ev, &err), 0);
		assert_int_equal(ev.at, 5);
		assert_int_equal(dibao_event_int(&ev, "body.amount", &v), 0);
		assert_int_equal(v, 5);
		free(raw);
		draft_free(d);
	}
}

static void dates_are_days_that_exist(void **state)
{
	static const char *const good[] = {"2024-02-29", "2000-02-29", "1900-01-01", "2199-12-31",
					   "2026-04-30"};
	static const char *const bad[] = {"2023-02-29", "1900-02-29", "2100-02-29", "2026-04-31",
					  "2026-00-10", "2026-13-01", "2026-01-00", "2026-01-32",
					  "1899-12-31", "2200-01-01", "2026/01/01", "2026-1-011",
					  "2026-01-1 ", "+026-01-01", "2026-01-1",  "2026-01-011",
					  "",		"二〇二六-1"};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		expect_str("promotion", "body.effective", good[i], strlen(good[i]), 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		expect_str("promotion", "body.effective", bad[i], strlen(bad[i]), -EINVAL);
}

static void a_choice_is_one_of_its_words(void **state)
{
	static const char *const bad[] = {"",  "fina",	 "finals",	   "Final",
					  "|", "final ", "proposed|final", "proposedfinal"};

	(void)state;
	expect_str("award", "body.state", "final", 5, 0);
	expect_str("award", "body.state", "proposed", 8, 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		expect_str("award", "body.state", bad[i], strlen(bad[i]), -EINVAL);
}

static void only_proposals_need_a_notice_and_a_contact(void **state)
{
	struct draft *d = golden_draft("award");
	struct raw final = {.n = 0};

	(void)state;
	raw_str(&final, "final", 5);
	draft_put(d, "body.state", &final);
	draft_drop(d, "body.notice_until");
	draft_drop(d, "body.contact");
	expect_draft(d, 0, "");
}

static void badges_and_organisations_have_their_alphabets(void **state)
{
	(void)state;
	expect_str("award", "person.badge", "azAZ09", 6, 0);
	expect_str("award", "person.badge", "A-1", 3, -EINVAL);
	expect_str("award", "person.badge", "警1", 4, -EINVAL);
	expect_str("award", "person.badge", "A 1", 3, -EINVAL);
	expect_str("award", "org", "32050853000A", 12, -EINVAL);
	expect_str("award", "org", "３２０５", 12, -EINVAL);
	expect_str("award", "org", "32050853000 ", 12, -EINVAL);
	expect_str("award", "org", "32050853000*", 12, -EINVAL);
	expect_str("award", "org",
		   "\032"
		   "20508530000",
		   12, -EINVAL);
	expect_str("award", "org", ":20508530000", 12, -EINVAL);
	expect_str("award", "org", "/20508530000", 12, -EINVAL);
}

static void an_event_does_not_both_retract_and_correct(void **state)
{
	struct draft *d = golden_draft("retraction");
	struct raw uid = {.n = 0};

	(void)state;
	raw_str(&uid, "other", 5);
	draft_put(d, "corrects", &uid);
	expect_draft(d, -EINVAL, "corrects");
}

static void only_a_letter_may_be_anonymous(void **state)
{
	struct draft *d;

	(void)state;
	for (size_t i = 0; i < N_GOLDEN_TYPES; i++) {
		bool reply = !strcmp(goldens[i].type, "mailbox_reply");

		d = golden_draft(goldens[i].type);
		draft_drop(d, "person");
		expect_draft(d, reply ? 0 : -EINVAL, reply ? "" : "person");
	}
}

/* ---- what is to come ---- */

static int parse_draft(struct draft *d, struct raw *raw, struct dibao_event *ret)
{
	struct dibao_error err;

	raw->n = 0;
	draft_encode(d, raw);
	return parse(raw->p, raw->n, ret, &err);
}

static void unknown_keys_are_allowed_and_counted(void **state)
{
	struct draft *d = golden_draft("award");
	struct raw *raw = calloc(1, sizeof *raw), value = {.n = 0};
	struct dibao_event ev;
	struct dibao_str s;

	(void)state;
	raw_str(&value, "a new thing", 11);
	for (uint32_t i = 0; i < 4; i++) {
		static const char *const at[] = {"later", "person.later", "body.later",
						 "body.kind.names"};

		draft_put(d, at[i], &value);
		assert_int_equal(parse_draft(d, raw, &ev), 0);
		assert_int_equal(ev.n_unknown, i + 1);
		assert_int_equal(dibao_event_str(&ev, at[i], &s), 0);
		assert_int_equal(s.len, 11);
		draft_to_front(d, at[i]);
		assert_int_equal(parse_draft(d, raw, &ev), 0);
		assert_int_equal(ev.n_unknown, i + 1);
	}
	free(raw);
	draft_free(d);
}

static void keys_in_any_order_make_the_same_event(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_GOLDENS; i++) {
		struct draft *d = golden_draft(goldens[i].name);
		struct raw *raw = calloc(1, sizeof *raw);
		struct dibao_event a, b;

		assert_int_equal(parse_draft(d, raw, &a), 0);
		for (unsigned k = 0; k < d->n; k++) {
			draft_to_front(d, d->kids[k]->key);
			assert_int_equal(parse_draft(d, raw, &b), 0);
			assert_int_equal(b.type, a.type);
			assert_int_equal(b.at, a.at);
			assert_int_equal(b.n_unknown, 0);
			assert_int_equal(b.badge.len, a.badge.len);
			for (unsigned s = 0; s < DIBAO_FIELDS_MAX; s++)
				assert_int_equal(b.slot_[s].len, a.slot_[s].len);
		}
		free(raw);
		draft_free(d);
	}
}

static void an_unknown_type_is_private_and_its_envelope_alone_is_checked(void **state)
{
	struct draft *d = golden_draft("award");
	struct raw *raw = calloc(1, sizeof *raw), value = {.n = 0};
	struct dibao_event ev;

	(void)state;
	raw_str(&value, "awards", 6);
	draft_put(d, "type", &value);
	draft_drop(d, "body.kind");
	assert_int_equal(parse_draft(d, raw, &ev), 0);
	assert_int_equal(ev.type, DIBAO_TYPE_UNKNOWN);
	assert_true(ev.is_private);
	assert_int_equal(ev.type_name.len, 6);
	draft_drop(d, "person");
	assert_int_equal(parse_draft(d, raw, &ev), 0);
	assert_null(ev.badge.p);
	value.n = 0;
	raw_int(&value, 7);
	draft_put(d, "body", &value);
	assert_int_equal(parse_draft(d, raw, &ev), 0);
	value.n = 0;
	raw_str(&value, "\xff", 1);
	draft_put(d, "body", &value);
	expect((raw->n = 0, draft_encode(d, raw), raw), -EBADMSG, "body");
	draft_drop(d, "body");
	expect((raw->n = 0, draft_encode(d, raw), raw), -EINVAL, "body");
	free(raw);
	draft_free(d);
}

static void another_version_is_told_from_a_bad_one(void **state)
{
	(void)state;
	expect_number("award", "v", 0, -EPROTONOSUPPORT);
	expect_number("award", "v", 2, -EPROTONOSUPPORT);
	expect_number("award", "v", 255, -EPROTONOSUPPORT);
	expect_number("award", "v", 256, -EINVAL);
	expect_number("award", "v", -1, -EINVAL);
}

static void the_audience_follows_from_type_and_private(void **state)
{
	struct raw yes = {.p = {0xc3}, .n = 1}, *raw = calloc(1, sizeof *raw);

	(void)state;
	for (size_t i = 0; i < N_GOLDEN_TYPES; i++) {
		struct draft *d = golden_draft(goldens[i].type);
		bool public =
			!strcmp(goldens[i].type, "promotion") || !strcmp(goldens[i].type, "award");
		struct dibao_event ev;

		assert_int_equal(parse_draft(d, raw, &ev), 0);
		assert_int_equal(ev.is_private, !public);
		draft_put(d, "private", &yes);
		assert_int_equal(parse_draft(d, raw, &ev), 0);
		assert_true(ev.is_private);
		draft_free(d);
	}
	free(raw);
}

/* ---- the rest of the interface ---- */

static void a_failure_leaves_the_result_alone_and_repeats_no_value(void **state)
{
	struct draft *d = golden_draft("award");
	struct raw *raw = calloc(1, sizeof *raw), name = {.n = 0};
	struct dibao_event ev, before;
	struct dibao_error err;

	(void)state;
	raw_str(&name, "secret\x01", 7);
	draft_put(d, "person.name", &name);
	draft_put(d, "secret", &name);
	memset(&before, 0x5a, sizeof before);
	ev = before;
	draft_encode(d, raw);
	assert_int_equal(dibao_event_parse(&ev, raw->p, raw->n, &err), -EINVAL);
	assert_memory_equal(&ev, &before, sizeof ev);
	assert_null(strstr(err.reason, "secret"));
	assert_null(strstr(err.field, "secret"));
	assert_int_equal(dibao_event_parse(&ev, raw->p, raw->n, NULL), -EINVAL);
	free(raw);
	draft_free(d);
}

static void fields_are_told_apart_by_kind_and_presence(void **state)
{
	size_t n;
	char *bytes = golden_read("award", "mp", &n);
	struct dibao_str s = {"untouched", 9};
	struct dibao_error err;
	struct dibao_event ev;
	int64_t v = 77;
	bool b = true;

	(void)state;
	assert_int_equal(parse(bytes, n, &ev, &err), 0);
	assert_int_equal(dibao_event_str(&ev, "body.amount", &s), -EINVAL);
	assert_int_equal(dibao_event_str(&ev, "body.nothing", &s), -ENOENT);
	assert_int_equal(dibao_event_str(&ev, "body.kind.code.more", &s), -ENOENT);
	assert_int_equal(dibao_event_str(&ev, "", &s), -ENOENT);
	assert_int_equal(dibao_event_str(&ev, "body", &s), -EINVAL);
	assert_int_equal(dibao_event_int(&ev, "uid", &v), -EINVAL);
	assert_int_equal(dibao_event_int(&ev, "retracts", &v), -ENOENT);
	assert_int_equal(dibao_event_bool(&ev, "at", &b), -EINVAL);
	assert_string_equal(s.p, "untouched");
	assert_int_equal(v, 77);
	assert_true(b);
	free(bytes);
}

static void an_organisation_lies_within_its_prefixes(void **state)
{
	const char *org = "320508530000";

	(void)state;
	assert_true(dibao_org_within(org, 12, "", 0));
	assert_true(dibao_org_within(org, 12, "3205", 4));
	assert_true(dibao_org_within(org, 12, org, 12));
	assert_false(dibao_org_within(org, 12, "320509", 6));
	assert_false(dibao_org_within(org, 4, org, 12));
}

static void the_hash_tells_any_two_byte_strings_apart(void **state)
{
	uint8_t a[16], b[16];

	(void)state;
	dibao_event_hash("abc", 3, a);
	/* BLAKE2b with a digest of 16 bytes, as of RFC 7693's algorithm. */
	static const uint8_t want[16] = {0xcf, 0x4a, 0xb7, 0x91, 0xc6, 0x2b, 0x8d, 0x2b,
					 0x21, 0x09, 0xc9, 0x02, 0x75, 0x28, 0x78, 0x16};

	assert_memory_equal(a, want, sizeof want);
	dibao_event_hash("abd", 3, b);
	assert_memory_not_equal(a, b, sizeof a);
}

static void the_slots_of_the_envelope_are_where_their_names_say(void **state)
{
	static const char *const paths[] = {
		[SLOT_V] = "v",
		[SLOT_UID] = "uid",
		[SLOT_TYPE] = "type",
		[SLOT_AT] = "at",
		[SLOT_ORG] = "org",
		[SLOT_PERSON] = "person",
		[SLOT_BADGE] = "person.badge",
		[SLOT_NAME] = "person.name",
		[SLOT_RANK] = "person.rank",
		[SLOT_RANK_CODE] = "person.rank.code",
		[SLOT_RANK_NAME] = "person.rank.name",
		[SLOT_UNIT] = "person.unit",
		[SLOT_POST] = "person.post",
		[SLOT_ISSUER] = "issuer",
		[SLOT_REF] = "ref",
		[SLOT_PRIVATE] = "private",
		[SLOT_URGENT] = "urgent",
		[SLOT_RECORD] = "record",
		[SLOT_NOT_BEFORE] = "not_before",
		[SLOT_EXPIRES] = "expires",
		[SLOT_RETRACTS] = "retracts",
		[SLOT_CORRECTS] = "corrects",
		[SLOT_FOLLOWS] = "follows",
		[SLOT_TRACE] = "trace",
		[SLOT_EXT] = "ext",
		[SLOT_BODY] = "body",
	};

	(void)state;
	for (int type = FLAT_RETRACTION; type < (int)N_GOLDEN_TYPES; type++)
		for (int i = 0; i <= SLOT_BODY; i++)
			assert_string_equal(types_flat(type)->paths[i], paths[i]);
}

static void the_builder_refuses_what_the_table_does_not_know(void **state)
{
	struct dibao_builder *b = NULL;
	uint8_t *bytes = NULL;
	size_t n = 0;
	struct dibao_error err;

	(void)state;
	assert_int_equal(dibao_builder_new(&b, "nothing"), -ENOENT);
	assert_int_equal(dibao_builder_new(&b, "award"), 0);
	assert_int_equal(dibao_builder_str(b, "body.nothing", "x", 1), -ENOENT);
	assert_int_equal(dibao_builder_str(b, "body.to.code", "x", 1), -ENOENT);
	assert_int_equal(dibao_builder_str(b, "at", "x", 1), -EINVAL);
	assert_int_equal(dibao_builder_int(b, "uid", 1), -EINVAL);
	assert_int_equal(dibao_builder_bool(b, "at", true), -EINVAL);
	assert_int_equal(dibao_builder_bin(b, "uid", "x", 1), -EINVAL);
	assert_int_equal(dibao_builder_text(b, "at", "tomorrow", &err), -EINVAL);
	assert_string_equal(err.field, "at");
	assert_int_equal(dibao_builder_text(b, "private", "maybe", &err), -EINVAL);
	assert_int_equal(dibao_builder_text(b, "trace", "0g", &err), -EINVAL);
	assert_int_equal(dibao_builder_text(b, "body.amount", "1.5", &err), -EINVAL);
	assert_string_equal(err.field, "body.amount");
	assert_int_equal(dibao_builder_encode(b, &bytes, &n, &err), -EINVAL);
	assert_string_equal(err.field, "uid");
	assert_null(bytes);
	dibao_builder_free(b);
}

static void times_are_read_with_their_zone(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2026-11-23T09:30:00+08:00", 1795397400000},
		{"2026-11-23 09:30+08:00", 1795397400000},
		{"2026-11-23T01:30:00.250z", 1795397400250},
		{"2024-02-29T00:00Z", 1709164800000},
		{"9999-12-31T23:59:59.999Z", 253402300799999},
	};
	static const char *const bad[] = {
		"",
		"2026-11-23",
		"2026-11-23T09:30:00",
		"2026-02-30T00:00Z",
		"2026-13-01T00:00Z",
		"2026-11-23T24:00Z",
		"2026-11-23T09:60Z",
		"2026-11-23T09:30:61Z",
		"2026-11-23T09:30:nanZ",
		"2026-11-23T09:30:infZ",
		"2026-11-23T09:30:0x1Z",
		"2026-11-23T09:30: 1Z",
		"2026-11-23T09:30:+1Z",
		"2026-11-23T09:30:1e1Z",
		"2026-11-23T09:30Zx",
		"2026-11-23T09:30+08",
		"2026-11-23T09:30+24:00",
		"2026-11-23T09:30+-8:00",
		" 2026-11-23T09:30Z",
		"2026- 1-23T09:30Z",
		"+026-11-23T09:30Z",
	};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_int_equal(time_from_text(good[i].text, &ms), 0);
		assert_int_equal(ms, good[i].ms);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (time_from_text(bad[i], &ms) == 0)
			fail_msg("\"%s\" was taken as a time", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_bytes_are_what_the_builder_makes),
		cmocka_unit_test(golden_bytes_yield_every_field_that_went_in),
		cmocka_unit_test(golden_events_have_every_field_of_their_type),
		cmocka_unit_test(the_view_of_a_subscriber_agrees_with_the_full_check),
		cmocka_unit_test(parsing_allocates_nothing_also_when_it_refuses),
		cmocka_unit_test(every_truncation_and_trailing_byte_is_refused),
		cmocka_unit_test(trailing_bytes_are_refused_also_where_the_body_stands_first),
		cmocka_unit_test(what_is_no_map_is_refused),
		cmocka_unit_test(counts_and_lengths_beyond_the_bytes_are_refused),
		cmocka_unit_test(a_map_may_have_64_keys_and_no_more),
		cmocka_unit_test(eight_levels_are_taken_and_nine_refused),
		cmocka_unit_test(sixteen_kib_are_taken_and_a_byte_more_refused),
		cmocka_unit_test(a_key_that_stands_twice_is_refused),
		cmocka_unit_test(keys_are_strings),
		cmocka_unit_test(utf8_is_checked_wherever_it_stands),
		cmocka_unit_test(bad_utf8_and_control_characters_are_refused_in_every_field),
		cmocka_unit_test(bad_utf8_is_refused_in_unknown_keys_and_values),
		cmocka_unit_test(every_field_refuses_values_of_other_kinds),
		cmocka_unit_test(every_required_field_is_missed_by_name_and_no_other),
		cmocka_unit_test(lengths_and_ranges_hold_to_the_last_unit),
		cmocka_unit_test(integers_are_taken_in_every_width),
		cmocka_unit_test(dates_are_days_that_exist),
		cmocka_unit_test(a_choice_is_one_of_its_words),
		cmocka_unit_test(only_proposals_need_a_notice_and_a_contact),
		cmocka_unit_test(badges_and_organisations_have_their_alphabets),
		cmocka_unit_test(an_event_does_not_both_retract_and_correct),
		cmocka_unit_test(only_a_letter_may_be_anonymous),
		cmocka_unit_test(unknown_keys_are_allowed_and_counted),
		cmocka_unit_test(keys_in_any_order_make_the_same_event),
		cmocka_unit_test(an_unknown_type_is_private_and_its_envelope_alone_is_checked),
		cmocka_unit_test(another_version_is_told_from_a_bad_one),
		cmocka_unit_test(the_audience_follows_from_type_and_private),
		cmocka_unit_test(a_failure_leaves_the_result_alone_and_repeats_no_value),
		cmocka_unit_test(fields_are_told_apart_by_kind_and_presence),
		cmocka_unit_test(an_organisation_lies_within_its_prefixes),
		cmocka_unit_test(the_hash_tells_any_two_byte_strings_apart),
		cmocka_unit_test(the_slots_of_the_envelope_are_where_their_names_say),
		cmocka_unit_test(the_builder_refuses_what_the_table_does_not_know),
		cmocka_unit_test(times_are_read_with_their_zone),
	};

	return cmocka_run_group_tests(tests, count_allocations, NULL);
}
