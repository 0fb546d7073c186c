/* SPDX-License-Identifier: Apache-2.0 */
#include "../../daemon/hidden.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

enum { NOW_MS = 1000000 };

static int set_up(void **state)
{
	static struct hidden h;

	h = (struct hidden){0};
	*state = &h;
	return 0;
}

static int tear_down(void **state)
{
	hidden_done(*state);
	return 0;
}

static struct dibao_str str(const char *s)
{
	return (struct dibao_str){s, strlen(s)};
}

static void a_badge_is_hidden_until_its_time_and_not_at_it(void **state)
{
	struct hidden *h = *state;

	assert_int_equal(hidden_set(h, str("F0001"), NOW_MS), 0);
	assert_true(hidden_has(h, str("F0001"), NOW_MS - 1));
	assert_false(hidden_has(h, str("F0001"), NOW_MS));
	assert_false(hidden_has(h, str("F0002"), NOW_MS - 1));
}

static void time_zero_hides_for_good(void **state)
{
	assert_int_equal(hidden_set(*state, str("F0001"), 0), 0);
	assert_true(hidden_has(*state, str("F0001"), INT64_MAX));
}

static void a_negative_time_brings_the_badge_back(void **state)
{
	struct hidden *h = *state;

	assert_int_equal(hidden_set(h, str("F0001"), 0), 0);
	assert_int_equal(hidden_set(h, str("F0002"), 0), 0);
	assert_int_equal(hidden_set(h, str("F0001"), -1), 0);
	assert_int_equal(hidden_set(h, str("F0009"), -1), 0); /* was never hidden */
	assert_false(hidden_has(h, str("F0001"), 0));
	assert_true(hidden_has(h, str("F0002"), 0));
	assert_int_equal(h->n, 1);
}

static void the_last_time_set_holds_and_the_badge_stands_once(void **state)
{
	struct hidden *h = *state;

	assert_int_equal(hidden_set(h, str("F0001"), NOW_MS), 0);
	assert_int_equal(hidden_set(h, str("F0001"), NOW_MS + 100), 0);
	assert_int_equal(h->n, 1);
	assert_true(hidden_has(h, str("F0001"), NOW_MS + 99));
	assert_false(hidden_has(h, str("F0001"), NOW_MS + 100));
}

/* 37 and 101 have no common divisor: all numbers, in no order. */
static void many_badges_are_found_in_whatever_order_they_came_and_went(void **state)
{
	struct hidden *h = *state;
	char badge[HIDDEN_BADGE_MAX];

	for (int i = 0; i < 101; i++) {
		(void)snprintf(badge, sizeof badge, "F%d", i * 37 % 101);
		assert_int_equal(hidden_set(h, str(badge), 0), 0);
	}
	for (int i = 0; i < 101; i += 3) {
		(void)snprintf(badge, sizeof badge, "F%d", i);
		assert_int_equal(hidden_set(h, str(badge), -1), 0);
	}
	for (int i = 0; i < 101; i++) {
		(void)snprintf(badge, sizeof badge, "F%d", i);
		assert_int_equal(hidden_has(h, str(badge), NOW_MS), i % 3 != 0);
	}
}

static void a_badge_that_begins_like_another_is_another(void **state)
{
	struct hidden *h = *state;

	assert_int_equal(hidden_set(h, str("F10"), 0), 0);
	assert_false(hidden_has(h, str("F1"), NOW_MS));
	assert_false(hidden_has(h, str("F100"), NOW_MS));
}

static void an_event_without_a_person_is_never_hidden(void **state)
{
	assert_int_equal(hidden_set(*state, str("F0001"), 0), 0);
	assert_false(hidden_has(*state, (struct dibao_str){NULL, 0}, NOW_MS));
}

static void a_badge_is_1_to_20_bytes(void **state)
{
	struct hidden *h = *state;

	assert_int_equal(hidden_set(h, str(""), 0), -EINVAL);
	assert_int_equal(hidden_set(h, str("ABCDEFGHIJ0123456789"), 0), 0);
	assert_true(hidden_has(h, str("ABCDEFGHIJ0123456789"), NOW_MS));
	assert_int_equal(hidden_set(h, str("ABCDEFGHIJ0123456789X"), 0), -EINVAL);
	assert_int_equal(h->n, 1);
}

static void the_streams_text_is_a_badge_a_space_and_a_time(void **state)
{
	struct hidden *h = *state;

	assert_int_equal(hidden_apply(h, str("F0001 1000000")), 0);
	assert_true(hidden_has(h, str("F0001"), NOW_MS - 1));
	assert_false(hidden_has(h, str("F0001"), NOW_MS));
	assert_int_equal(hidden_apply(h, str("F0001 -1")), 0);
	assert_false(hidden_has(h, str("F0001"), NOW_MS - 1));
}

static void any_other_text_is_refused_and_changes_nothing(void **state)
{
	static const char *const bad[] = {
		"",
		"F0001",
		"F0001 ",
		" 5",
		"F0001 5x",
		"F0001  x",
		"F0001 x",
		"F0001 5 6",
		"ABCDEFGHIJ0123456789X 0",
		"F0001 99999999999999999999999",
	};
	struct hidden *h = *state;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(hidden_apply(h, str(bad[i])), -EINVAL);
		assert_int_equal(h->n, 0);
	}
	/* A time that no number holds must not become one for ever, or one that is over. */
	assert_int_equal(hidden_apply(h, str("F0001 9999999999999999999")), -EINVAL);
	assert_int_equal(hidden_apply(h, (struct dibao_str){"F0001 5\0x", 9}), -EINVAL);
	assert_int_equal(h->n, 0);
}

static void due_are_those_whose_time_is_past_as_many_as_asked_for(void **state)
{
	const struct hidden_badge *due[4];
	struct hidden *h = *state;

	assert_int_equal(hidden_due(h, NOW_MS, due, 4), 0);
	assert_int_equal(hidden_set(h, str("F0001"), 0), 0);
	assert_int_equal(hidden_set(h, str("F0002"), NOW_MS), 0);
	assert_int_equal(hidden_set(h, str("F0003"), NOW_MS + 1), 0);
	assert_int_equal(hidden_set(h, str("F0004"), 1), 0);
	assert_int_equal(hidden_due(h, NOW_MS - 1, due, 4), 1);
	assert_memory_equal(due[0]->badge, "F0004", 5);
	assert_int_equal(hidden_due(h, NOW_MS, due, 4), 2);
	assert_memory_equal(due[0]->badge, "F0002", 5);
	assert_int_equal(hidden_due(h, NOW_MS + 1, due, 4), 3);
	assert_int_equal(hidden_due(h, NOW_MS + 1, due, 2), 2);
}

static void after_clear_nobody_is_hidden(void **state)
{
	struct hidden *h = *state;

	assert_int_equal(hidden_set(h, str("F0001"), 0), 0);
	hidden_clear(h);
	assert_false(hidden_has(h, str("F0001"), NOW_MS));
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_badge_is_hidden_until_its_time_and_not_at_it),
		TEST(time_zero_hides_for_good),
		TEST(a_negative_time_brings_the_badge_back),
		TEST(the_last_time_set_holds_and_the_badge_stands_once),
		TEST(many_badges_are_found_in_whatever_order_they_came_and_went),
		TEST(a_badge_that_begins_like_another_is_another),
		TEST(an_event_without_a_person_is_never_hidden),
		TEST(a_badge_is_1_to_20_bytes),
		TEST(the_streams_text_is_a_badge_a_space_and_a_time),
		TEST(any_other_text_is_refused_and_changes_nothing),
		TEST(due_are_those_whose_time_is_past_as_many_as_asked_for),
		TEST(after_clear_nobody_is_hidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
