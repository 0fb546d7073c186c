/* SPDX-License-Identifier: Apache-2.0 */
/* What a board gets: the public rows of public events, and nothing by which a person or an event
 * could be looked up. */
#include "draft.h"
#include "golden.h"
#include "types.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct view {
	uint8_t p[DIBAO_EVENT_MAX_BYTES + 1];
	int n;
};

static void encode(const void *bytes, size_t len, bool mask, struct view *ret)
{
	struct dibao_error err;
	struct dibao_event ev;

	if (dibao_event_parse(&ev, bytes, len, &err) < 0)
		fail_msg("%s: %s", err.field, err.reason);
	ret->n = dibao_view_encode(&ev, golden_key(), mask, ret->p, sizeof ret->p);
}

static void encode_draft(const struct draft *d, bool mask, struct view *ret)
{
	struct raw *raw = calloc(1, sizeof *raw);

	draft_encode(d, raw);
	encode(raw->p, raw->n, mask, ret);
	free(raw);
}

static struct draft *golden_draft(const char *name)
{
	size_t len;
	char *bytes = golden_read(name, "mp", &len);
	struct draft *d = draft_of(bytes, len);

	free(bytes);
	return d;
}

static bool holds(const struct view *v, const char *text)
{
	return memmem(v->p, (size_t)v->n, text, strlen(text)) != NULL;
}

static void golden_views_are_what_boards_get(void **state)
{
	static const char *const public[] = {"promotion", "award"};
	struct view v;

	(void)state;
	for (size_t i = 0; i < sizeof public / sizeof public[0]; i++)
		for (int mask = 0; mask < 2; mask++) {
			size_t n, n_view;
			char *bytes = golden_read(public[i], "mp", &n);
			char *view = golden_read(public[i], mask ? "masked" : "view", &n_view);

			assert_non_null(view);
			encode(bytes, n, mask, &v);
			assert_int_equal(v.n, n_view);
			assert_memory_equal(v.p, view, n_view);
			free(bytes);
			free(view);
		}
}

static void private_types_and_retractions_have_no_view(void **state)
{
	size_t n_types;
	const struct dibao_type_spec *types = dibao_types(&n_types);
	struct view v;

	(void)state;
	for (size_t i = 0; i < N_GOLDENS; i++) {
		bool public = i < n_types && types[i].audience == DIBAO_AUDIENCE_PUBLIC;
		size_t n;
		char *bytes = golden_read(goldens[i].name, "mp", &n);

		encode(bytes, n, false, &v);
		assert_int_equal(v.n > 0, public);
		if (!public)
			assert_int_equal(v.n, -EACCES);
		free(bytes);
	}
}

static void nothing_marked_private_or_unknown_has_a_view(void **state)
{
	struct draft *d = golden_draft("award");
	struct raw value = {.p = {0xc3}, .n = 1};
	struct view v;

	(void)state;
	draft_put(d, "private", &value);
	encode_draft(d, false, &v);
	assert_int_equal(v.n, -EACCES);
	draft_drop(d, "private");
	encode_draft(d, false, &v);
	assert_true(v.n > 0);
	value.n = 0;
	raw_str(&value, "awards", 6);
	draft_put(d, "type", &value);
	encode_draft(d, false, &v);
	assert_int_equal(v.n, -EACCES);
	draft_free(d);
}

/* Every field that the table does not call public is given a text of its own and looked for. */
static void no_internal_field_is_in_the_bytes_of_a_view(void **state)
{
	static const char *const public[] = {"promotion", "award"};
	struct view v;

	(void)state;
	for (size_t i = 0; i < sizeof public / sizeof public[0]; i++) {
		const struct flat *flat = types_flat(dibao_type_find(public[i], strlen(public[i])));
		struct draft *d = golden_draft(public[i]);
		unsigned n_marked = 0;

		for (int s = 0; s < flat->n; s++) {
			struct raw value = {.n = 0};

			if (flat->specs[s]->flags & DIBAO_FIELD_PUBLIC ||
			    flat->specs[s]->kind != DIBAO_KIND_STR || s == SLOT_TYPE ||
			    s == SLOT_RETRACTS)
				continue;
			raw_str(&value, "INTERNAL", 8);
			draft_put(d, flat->paths[s], &value);
			n_marked++;
		}
		assert_true(n_marked >= 5);
		encode_draft(d, false, &v);
		assert_true(v.n > 0);
		assert_false(holds(&v, "INTERNAL"));
		assert_false(holds(&v, "uid"));
		assert_false(holds(&v, "badge"));
		assert_false(holds(&v, "amount"));
		assert_false(holds(&v, "trace"));
		assert_false(holds(&v, "\x0a\x0b\x0c\x0d\x0e\xff"));
		assert_false(holds(&v, "issuer"));
		assert_null(memmem(v.p, (size_t)v.n, "\xa6reason", 7));
		draft_free(d);
	}
}

static void unknown_keys_do_not_reach_a_board(void **state)
{
	static const char *const at[] = {"later",      "person.later",	"person.rank.later",
					 "body.later", "body.to.later", "body.from.later",
					 "ext"};
	struct draft *d = golden_draft("promotion");
	struct raw value = {.n = 0};
	struct view v, before;

	(void)state;
	encode_draft(d, false, &before);
	raw_str(&value, "13800000000", 11);
	for (size_t i = 0; i < sizeof at / sizeof at[0]; i++)
		draft_put(d, at[i], &value);
	encode_draft(d, false, &v);
	assert_int_equal(v.n, before.n);
	assert_memory_equal(v.p, before.p, (size_t)v.n);
	draft_free(d);
}

static void a_pid_is_the_keyed_hash_of_the_uid(void **state)
{
	/* Python: hashlib.blake2b(b'demo-2026-12', key=b'the view key of a demonstration.',
	 * digest_size=16) */
	static const uint8_t want[DIBAO_PID_BYTES] = {0xe4, 0xfb, 0x3d, 0xd0, 0x80, 0x3f,
						      0x58, 0x14, 0x2b, 0xb4, 0x98, 0xb6,
						      0x91, 0x86, 0x64, 0x2e};
	uint8_t pid[DIBAO_PID_BYTES], other[DIBAO_PID_BYTES];
	struct view v;
	size_t n;
	char *bytes = golden_read("award", "mp", &n);

	(void)state;
	dibao_pid(golden_key(), "demo-2026-12", 12, pid);
	assert_memory_equal(pid, want, sizeof pid);
	dibao_pid((const uint8_t *)"another key of 32 bytes, at that", "demo-2026-12", 12, other);
	assert_memory_not_equal(pid, other, sizeof pid);
	encode(bytes, n, false, &v);
	assert_non_null(memmem(v.p, (size_t)v.n, "\xa3pid\xc4\x10", 6));
	assert_non_null(memmem(v.p, (size_t)v.n, want, sizeof want));
	free(bytes);
}

static void references_go_by_pid(void **state)
{
	static const char *const names[] = {"corrects", "follows"};
	static const char *const uids[] = {"demo-2026-02", "demo-2026-03"};
	struct view v;
	size_t n;
	char *bytes = golden_read("award", "mp", &n);

	(void)state;
	encode(bytes, n, false, &v);
	for (int i = 0; i < 2; i++) {
		uint8_t want[40], pid[DIBAO_PID_BYTES];
		size_t len = strlen(names[i]);

		dibao_pid(golden_key(), uids[i], 12, pid);
		want[0] = (uint8_t)(0xa0 | len);
		memcpy(want + 1, names[i], len);
		memcpy(want + 1 + len, "\xc4\x10", 2);
		memcpy(want + 3 + len, pid, sizeof pid);
		assert_non_null(memmem(v.p, (size_t)v.n, want, 3 + len + sizeof pid));
		assert_false(holds(&v, uids[i]));
	}
	free(bytes);
}

static void a_masked_name_keeps_its_first_character_and_hides_the_rest(void **state)
{
	static const struct {
		const char *name, *masked;
	} names[] = {
		{"张三", "张*"},
		{"张三丰", "张**"},
		{"欧阳演示", "欧***"},
		{"𠮷示", "𠮷*"},
		{"张𠮷", "张*"},
		{"张𠮷𠮷", "张**"},
		{"阿卜杜拉·演示示例", "阿****"},
		{"X Y", "X**"},
		/* Of one character nothing may be shown, or all would be. */
		{"张", "*"},
		{"𠮷", "*"},
		/* A variant of a character is two code points, and one character. */
		{"葛\U000e0100示", "葛**"},
	};
	struct view v;

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct draft *d = golden_draft("award");
		struct raw value = {.n = 0}, want = {.n = 0};

		raw_str(&value, names[i].name, strlen(names[i].name));
		draft_put(d, "person.name", &value);
		encode_draft(d, true, &v);
		assert_true(v.n > 0);
		raw_str(&want, "name", 4);
		raw_str(&want, names[i].masked, strlen(names[i].masked));
		if (!memmem(v.p, (size_t)v.n, want.p, want.n))
			fail_msg("name %zu is not masked as %s", i, names[i].masked);
		assert_false(holds(&v, names[i].name));
		encode_draft(d, false, &v);
		assert_true(holds(&v, names[i].name));
		draft_free(d);
	}
}

static void a_view_is_a_sound_map_in_any_order_of_keys(void **state)
{
	struct draft *d = golden_draft("promotion");
	struct view v, first;
	char *text = NULL;

	(void)state;
	encode_draft(d, true, &first);
	assert_int_equal(dibao_event_to_json(first.p, (size_t)first.n, &text), 0);
	assert_non_null(strstr(text, "\"type\":\"promotion\",\"at\":1795400000123"));
	assert_non_null(strstr(text, "\"to\":{\"code\":\"B2\",\"name\":\"二级辅司\"}"));
	free(text);
	for (unsigned i = 0; i < d->n; i++) {
		draft_to_front(d, d->kids[i]->key);
		encode_draft(d, true, &v);
		assert_int_equal(v.n, first.n);
		assert_memory_equal(v.p, first.p, (size_t)v.n);
	}
	draft_free(d);
}

static void a_buffer_too_small_is_never_written_past(void **state)
{
	struct dibao_error err;
	struct dibao_event ev;
	size_t n;
	char *bytes = golden_read("award", "mp", &n);
	struct view whole;

	(void)state;
	encode(bytes, n, true, &whole);
	assert_int_equal(dibao_event_parse(&ev, bytes, n, &err), 0);
	for (size_t cap = 0; cap < (size_t)whole.n; cap++) {
		uint8_t *buf = malloc(cap + !cap);

		assert_int_equal(dibao_view_encode(&ev, golden_key(), true, buf, cap), -ENOBUFS);
		free(buf);
	}
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_views_are_what_boards_get),
		cmocka_unit_test(private_types_and_retractions_have_no_view),
		cmocka_unit_test(nothing_marked_private_or_unknown_has_a_view),
		cmocka_unit_test(no_internal_field_is_in_the_bytes_of_a_view),
		cmocka_unit_test(unknown_keys_do_not_reach_a_board),
		cmocka_unit_test(a_pid_is_the_keyed_hash_of_the_uid),
		cmocka_unit_test(references_go_by_pid),
		cmocka_unit_test(a_masked_name_keeps_its_first_character_and_hides_the_rest),
		cmocka_unit_test(a_view_is_a_sound_map_in_any_order_of_keys),
		cmocka_unit_test(a_buffer_too_small_is_never_written_past),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
