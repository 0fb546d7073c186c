/* SPDX-License-Identifier: Apache-2.0 */
#include "../../daemon/clock_check.h"
#include "../../daemon/retention.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#define NOW 1700000000000
#define DAY INT64_C(86400000)

static void clocks_within_a_second_are_fine(void **state)
{
	struct clock_sample s = {.asked_ms = NOW, .answered_ms = NOW + 3};

	(void)state;
	for (int64_t d = -1000; d <= 1003; d++) {
		s.redis_ms = NOW + d;
		assert_int_equal(clock_check(&s).faults, 0);
	}
}

static void a_clock_over_a_second_off_is_a_skew_either_way(void **state)
{
	struct clock_sample s = {.asked_ms = NOW, .answered_ms = NOW + 3};

	(void)state;
	s.redis_ms = NOW + 3 + 1001;
	assert_int_equal(clock_check(&s).faults, CLOCK_FAULT_SKEW);
	assert_int_equal(clock_check(&s).skew_ms, 1001);
	s.redis_ms = NOW - 60000;
	assert_int_equal(clock_check(&s).faults, CLOCK_FAULT_SKEW);
	assert_int_equal(clock_check(&s).skew_ms, -60000);
}

static void a_slow_answer_is_no_skew(void **state)
{
	struct clock_sample s = {
		.asked_ms = NOW, .answered_ms = NOW + 30000, .redis_ms = NOW + 29000};

	(void)state;
	assert_int_equal(clock_check(&s).faults, 0);
	assert_int_equal(clock_check(&s).skew_ms, 0);
}

static void an_id_over_five_seconds_ahead_of_redis_is_found_in_any_channel(void **state)
{
	(void)state;
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		struct clock_sample s = {.asked_ms = NOW, .answered_ms = NOW, .redis_ms = NOW};

		s.top[c] = (struct entry_id){NOW + 5000, 0};
		assert_int_equal(clock_check(&s).faults, 0);
		s.top[c] = (struct entry_id){NOW + 5001, 0};
		assert_int_equal(clock_check(&s).faults, CLOCK_FAULT_AHEAD);
		s.top[c] = (struct entry_id){UINT64_MAX, UINT64_MAX};
		assert_int_equal(clock_check(&s).faults, CLOCK_FAULT_AHEAD);
	}
}

static const struct entry_id far = {UINT64_MAX - 1, 0};

static void without_holders_age_alone_decides(void **state)
{
	struct entry_id f = retention_floor(NOW, 90 * DAY, far, NULL, 0);

	(void)state;
	assert_int_equal(f.ms, NOW - 90 * DAY);
	f = retention_floor(NOW, NOW + 1, far, NULL, 0);
	assert_int_equal(f.ms, 0);
}

static void a_durable_name_behind_keeps_what_it_has_yet_to_receive(void **state)
{
	struct retention_holder h = {.cursor = {NOW - 95 * DAY, 7}, .hold_ms = 14 * DAY};
	struct entry_id f = retention_floor(NOW, 90 * DAY, far, &h, 1);

	(void)state;
	assert_int_equal(f.ms, NOW - 95 * DAY);
	assert_int_equal(f.seq, 8); /* the entry at the cursor is acknowledged */
}

static void a_durable_name_holds_no_longer_than_its_limit(void **state)
{
	struct retention_holder h = {.cursor = {NOW - 300 * DAY, 7}, .hold_ms = 14 * DAY};
	struct entry_id f = retention_floor(NOW, 90 * DAY, far, &h, 1);

	(void)state;
	assert_int_equal(f.ms, NOW - 104 * DAY);
	assert_int_equal(f.seq, 0);
}

static void the_name_furthest_behind_decides(void **state)
{
	struct retention_holder h[] = {
		{.cursor = {NOW - 1 * DAY, 0}, .hold_ms = 14 * DAY},
		{.cursor = {NOW - 93 * DAY, 0}, .hold_ms = 14 * DAY},
		{.cursor = {NOW - 100 * DAY, 0}, .hold_ms = 1 * DAY},
	};

	(void)state;
	assert_int_equal(retention_floor(NOW, 90 * DAY, far, h, 3).ms, NOW - 93 * DAY);
}

static void what_no_daemon_has_read_is_never_trimmed(void **state)
{
	struct entry_id tail = {NOW - 200 * DAY, 3};
	struct entry_id f = retention_floor(NOW, 90 * DAY, tail, NULL, 0);

	(void)state;
	assert_int_equal(f.ms, tail.ms);
	assert_int_equal(f.seq, 4);
}

static void a_cursor_is_read_whole_or_not_at_all(void **state)
{
	static const char *const bad[] = {"",
					  "1",
					  "1 1-0 2-0 3-0",
					  "1 1-0 2-0 3-0 ",
					  "1 1-0 2-0 3-0 4-0 5-0",
					  "1 1-0 2-0 x 4-0",
					  "1  1-0 2-0 3-0"};
	struct entry_id ids[DIBAO_CHANNEL_COUNT] = {0};
	const char *good = "3 1-0 2-5 0-0 9-9";

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(retention_cursor_parse(ids, bad[i], strlen(bad[i])), -EINVAL);
		assert_int_equal(ids[0].ms, 0);
	}
	assert_int_equal(retention_cursor_parse(ids, good, strlen(good)), 0);
	assert_int_equal(ids[1].seq, 5);
	assert_int_equal(ids[3].ms, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clocks_within_a_second_are_fine),
		cmocka_unit_test(a_clock_over_a_second_off_is_a_skew_either_way),
		cmocka_unit_test(a_slow_answer_is_no_skew),
		cmocka_unit_test(an_id_over_five_seconds_ahead_of_redis_is_found_in_any_channel),
		cmocka_unit_test(without_holders_age_alone_decides),
		cmocka_unit_test(a_durable_name_behind_keeps_what_it_has_yet_to_receive),
		cmocka_unit_test(a_durable_name_holds_no_longer_than_its_limit),
		cmocka_unit_test(the_name_furthest_behind_decides),
		cmocka_unit_test(what_no_daemon_has_read_is_never_trimmed),
		cmocka_unit_test(a_cursor_is_read_whole_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
