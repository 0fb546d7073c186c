/* SPDX-License-Identifier: Apache-2.0 */
/* What time it is: from the queue's clock and the time since boot alone. */
#include "../../clients/board/trust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum { T0 = 1000000000, MINUTE = 60000 };

static void nothing_is_known_until_the_daemon_is_heard(void **state)
{
	struct trust t = {0};

	(void)state;
	assert_int_equal(trust_now(&t, 5000), 0);
	assert_false(t.is_trusted);
	trust_hear(&t, 0, 5000);
	assert_false(t.is_trusted);
	trust_hear(&t, T0, 5000);
	assert_true(t.is_trusted);
	assert_int_equal(trust_now(&t, 5000 + 7), T0 + 7);
}

static void frames_that_waited_do_not_set_the_time_back(void **state)
{
	struct trust t = {0};

	(void)state;
	trust_hear(&t, T0, 0);
	trust_hear(&t, T0 + 10, 60 * MINUTE); /* this process stood still for an hour */
	assert_int_equal(trust_now(&t, 60 * MINUTE), T0 + 60 * MINUTE);
	assert_int_equal(t.heard_ms, T0 + 10);
	trust_hear(&t, T0 + 60 * MINUTE, 60 * MINUTE + 5);
	assert_int_equal(trust_now(&t, 60 * MINUTE + 5), T0 + 60 * MINUTE + 5);
}

static void a_queue_whose_clock_was_set_back_is_believed_after_a_minute(void **state)
{
	struct trust t = {0};

	(void)state;
	trust_hear(&t, T0, 0);
	for (int64_t at = 15000; at <= 60000; at += 15000) {
		trust_hear(&t, T0 - 10 * MINUTE + at, at);
		assert_int_equal(trust_now(&t, at), T0 + at);
	}
	trust_hear(&t, T0 - 10 * MINUTE + 75000, 75000);
	assert_int_equal(trust_now(&t, 75000), T0 - 10 * MINUTE + 75000);
}

static void one_set_ahead_is_believed_at_once(void **state)
{
	struct trust t = {0};

	(void)state;
	trust_hear(&t, T0, 0);
	trust_hear(&t, T0 + 10 * MINUTE, 1000);
	assert_int_equal(trust_now(&t, 1000), T0 + 10 * MINUTE);
}

static void in_the_same_boot_a_note_is_as_good_as_having_heard(void **state)
{
	struct trust t = {0}, u = {0};
	struct trust_note n;

	(void)state;
	trust_hear(&t, T0, 1000);
	t.heartbeat_ms = T0;
	n = trust_note(&t, 6000, "boot-a");
	trust_take(&u, &n, 9000, "boot-a");
	assert_true(u.is_trusted);
	assert_int_equal(trust_now(&u, 9000), T0 + 8000);
	assert_int_equal(u.heartbeat_ms, T0);
}

static void after_a_reboot_the_time_is_at_least_the_noted_one_and_the_uptime(void **state)
{
	struct trust t = {0}, u = {0}, v = {0};
	struct trust_note n;

	(void)state;
	trust_hear(&t, T0, 1000);
	t.heartbeat_ms = T0;
	n = trust_note(&t, 6000, "boot-a");
	trust_take(&u, &n, 2000, "boot-b");
	assert_false(u.is_trusted);
	assert_int_equal(trust_now(&u, 2000), T0 + 5000 + 2000);
	/* Boot after boot it adds up. */
	n = trust_note(&u, 3 * MINUTE, "boot-b");
	trust_take(&v, &n, MINUTE, "boot-c");
	assert_false(v.is_trusted);
	assert_int_equal(trust_now(&v, MINUTE), T0 + 5000 + 4 * MINUTE);
	assert_int_equal(v.heartbeat_ms, T0);
	trust_hear(&v, T0 + 1, MINUTE);
	assert_true(v.is_trusted);
	assert_int_equal(trust_now(&v, MINUTE), T0 + 1);
}

static void a_note_of_nothing_or_of_a_later_boot_time_is_not_trusted(void **state)
{
	struct trust t = {0};
	struct trust_note n = {
		.boot_id = "boot-a", .boot_ms = 9000, .now_ms = T0, .is_trusted = true};

	(void)state;
	trust_take(&t, &n, 5000, "boot-a");
	assert_false(t.is_trusted);
	t = (struct trust){0};
	n.now_ms = 0;
	trust_take(&t, &n, 9000, "boot-a");
	assert_int_equal(trust_now(&t, 9000), 0);
	n.now_ms = T0;
	strcpy(n.boot_id, "");
	trust_take(&t, &n, 9000, "");
	assert_false(t.is_trusted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_known_until_the_daemon_is_heard),
		cmocka_unit_test(frames_that_waited_do_not_set_the_time_back),
		cmocka_unit_test(a_queue_whose_clock_was_set_back_is_believed_after_a_minute),
		cmocka_unit_test(one_set_ahead_is_believed_at_once),
		cmocka_unit_test(in_the_same_boot_a_note_is_as_good_as_having_heard),
		cmocka_unit_test(after_a_reboot_the_time_is_at_least_the_noted_one_and_the_uptime),
		cmocka_unit_test(a_note_of_nothing_or_of_a_later_boot_time_is_not_trusted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
