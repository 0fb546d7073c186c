/* SPDX-License-Identifier: Apache-2.0 */
/* What each field of the table may hold, and what fields ask of one another. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "spoil.h"
#include "text.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
