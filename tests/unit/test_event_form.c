/* SPDX-License-Identifier: Apache-2.0 */
/* An event's bytes before anything is known of its fields: msgpack, sizes, depth, keys, UTF-8. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "spoil.h"
#include "text.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
