/* SPDX-License-Identifier: Apache-2.0 */
#include "../../clients/sms/breaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { T = 1000000 };

static void it_opens_after_faults_in_a_row_and_not_before(void **state)
{
	struct breaker b = {0};

	(void)state;
	for (int i = 1; i < BREAKER_FAILURES; i++)
		assert_false(breaker_failed(&b, T));
	breaker_well(&b);
	for (int i = 1; i < BREAKER_FAILURES; i++)
		assert_false(breaker_failed(&b, T));
	assert_true(breaker_lets(&b, T));
	assert_true(breaker_failed(&b, T));
	assert_false(breaker_lets(&b, T));
	assert_int_equal(breaker_when(&b, T), T + BREAKER_FIRST_MS);
}

static void then_one_text_tries_and_each_failure_doubles_the_wait_up_to_a_bound(void **state)
{
	struct breaker b = {0};
	int64_t now = T;
	unsigned wait = BREAKER_FIRST_MS;

	(void)state;
	for (int i = 0; i < BREAKER_FAILURES; i++)
		breaker_failed(&b, now);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(breaker_when(&b, now), now + wait);
		now += wait;
		assert_true(breaker_lets(&b, now));
		breaker_sent(&b);
		assert_false(breaker_lets(&b, now));
		breaker_unsent(&b);
		assert_true(breaker_lets(&b, now));
		breaker_sent(&b);
		assert_true(breaker_failed(&b, now));
		wait = wait * 2 < BREAKER_LAST_MS ? wait * 2 : BREAKER_LAST_MS;
	}
	now += wait;
	breaker_sent(&b);
	breaker_well(&b);
	assert_true(breaker_lets(&b, now));
	breaker_sent(&b);
	assert_true(breaker_lets(&b, now));
}

static void what_no_retry_cures_stops_it_at_once(void **state)
{
	struct breaker b = {0};

	(void)state;
	assert_true(breaker_stop(&b, T, 600000));
	assert_false(breaker_stop(&b, T, 600000));
	assert_false(breaker_lets(&b, T + 599999));
	assert_true(breaker_lets(&b, T + 600000));
	breaker_sent(&b);
	assert_false(breaker_lets(&b, T + 600000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_opens_after_faults_in_a_row_and_not_before),
		cmocka_unit_test(
			then_one_text_tries_and_each_failure_doubles_the_wait_up_to_a_bound),
		cmocka_unit_test(what_no_retry_cures_stops_it_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
