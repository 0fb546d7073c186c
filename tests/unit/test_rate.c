/* SPDX-License-Identifier: Apache-2.0 */
#include "../../daemon/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

enum { SECOND = 1000000 };

static const uint64_t t = UINT64_C(1000) * SECOND;

static int set_up(void **state)
{
	return rates_new((struct rates **)state);
}

static int tear_down(void **state)
{
	rates_free(*state);
	return 0;
}

static unsigned take_all(struct rates *r, const char *name, uint32_t a_minute, uint64_t now)
{
	unsigned n = 0;

	while (n < 1000 && rates_take(r, name, a_minute, now))
		n++;
	return n;
}

static void a_minutes_worth_may_go_at_once_and_then_evenly(void **state)
{
	assert_int_equal(take_all(*state, "a", 60, t), 60);
	assert_int_equal(take_all(*state, "a", 60, t + SECOND - 1), 0);
	assert_int_equal(take_all(*state, "a", 60, t + SECOND), 1);
	assert_int_equal(take_all(*state, "a", 60, t + 11 * SECOND), 10);
	assert_int_equal(take_all(*state, "a", 60, t + 9999 * UINT64_C(1000000)), 60);
}

static void nobody_takes_of_anothers(void **state)
{
	assert_int_equal(take_all(*state, "a", 5, t), 5);
	assert_int_equal(take_all(*state, "b", 5, t), 5);
	assert_false(rates_take(*state, "a", 5, t));
}

static void without_a_limit_all_may_and_nothing_is_kept(void **state)
{
	assert_int_equal(take_all(*state, "a", 0, t), 1000);
	assert_int_equal(rates_count(*state), 0);
}

static void those_that_are_full_again_are_forgotten_when_room_is_needed(void **state)
{
	char name[16];

	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof name, "k%d", i);
		assert_true(rates_take(*state, name, 600, t + (uint64_t)i * SECOND));
	}
	assert_in_range(rates_count(*state), 1, 1025);
	assert_int_equal(take_all(*state, "k0", 600, t + UINT64_C(5000) * SECOND), 600);
}

static void at_the_bound_of_names_a_new_one_may_not(void **state)
{
	char name[16];

	for (int i = 0; i < RATE_NAMES_MAX; i++) {
		snprintf(name, sizeof name, "k%d", i);
		assert_true(rates_take(*state, name, 1, t));
	}
	assert_false(rates_take(*state, "one more", 1, t));
	assert_true(rates_take(*state, "one more", 1, t + 61 * SECOND));
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_minutes_worth_may_go_at_once_and_then_evenly),
		T(nobody_takes_of_anothers),
		T(without_a_limit_all_may_and_nothing_is_kept),
		T(those_that_are_full_again_are_forgotten_when_room_is_needed),
		T(at_the_bound_of_names_a_new_one_may_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
