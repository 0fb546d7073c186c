/* SPDX-License-Identifier: Apache-2.0 */
#include "../../clients/sms/quiet.h"
#include "sms_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* A time of 25 November 2026 in China. */
static int64_t china(int hours, int minutes)
{
	return INT64_C(1795536000000) + (hours * 60 + minutes) * INT64_C(60000);
}

static void the_night_is_quiet_over_midnight(void **state)
{
	struct quiet_hours q = quiet_default();

	(void)state;
	assert_false(quiet_is(&q, china(20, 59)));
	assert_true(quiet_is(&q, china(21, 0)));
	assert_true(quiet_is(&q, china(23, 59)));
	assert_true(quiet_is(&q, china(24, 0)));
	assert_true(quiet_is(&q, china(7, 59)));
	assert_false(quiet_is(&q, china(8, 0)));
	assert_true(quiet_is(&q, china(7, 59) + 59999));
}

static void a_held_text_is_due_when_the_night_ends_to_the_millisecond(void **state)
{
	struct quiet_hours q = quiet_default();

	(void)state;
	assert_int_equal(quiet_due(&q, china(21, 0), false), china(32, 0));
	assert_int_equal(quiet_due(&q, china(3, 17) + 123, false), china(8, 0));
	assert_int_equal(quiet_due(&q, china(8, 0), false), china(8, 0));
	assert_int_equal(quiet_due(&q, china(12, 0) + 7, false), china(12, 0) + 7);
	assert_false(quiet_is(&q, quiet_due(&q, china(23, 0), false)));
}

static void an_urgent_text_goes_at_night(void **state)
{
	struct quiet_hours q = quiet_default();

	(void)state;
	assert_int_equal(quiet_due(&q, china(3, 0), true), china(3, 0));
}

static void the_machines_zone_and_summer_time_change_nothing(void **state)
{
	struct quiet_hours q = quiet_default();

	(void)state;
	for (int i = 0; i < 3; i++) {
		static const char *const zones[] = {"America/New_York", "Asia/Shanghai", "UTC"};

		setenv("TZ", zones[i], 1);
		assert_int_equal(quiet_due(&q, china(21, 0), false), china(32, 0));
	}
	/* In 1988 China had summer time; +08:00 it stays. 1988-07-01 21:30 +08:00. */
	assert_int_equal(quiet_due(&q, 583767000000, false) - 583767000000, 37800000);
	/* Before 1970, too. */
	assert_true(quiet_is(&q, -9 * 3600000));
	assert_false(quiet_is(&q, -15 * 3600000));
	assert_int_equal(quiet_due(&q, -9 * 3600000, false), 0);
}

static void hours_are_read_as_written(void **state)
{
	static const char *const bad[] = {"",
					  "21:00",
					  "21:00-8",
					  "25:00-08:00",
					  "21:60-08:00",
					  "21:00-08:00x",
					  "24:01-08:00",
					  "00:00-24:00",
					  "never",
					  "-1:00-08:00"};
	struct quiet_hours q;

	(void)state;
	assert_int_equal(quiet_parse(&q, "21:00-08:00"), 0);
	assert_int_equal(q.from_min, 1260);
	assert_int_equal(q.until_min, 480);
	assert_int_equal(quiet_parse(&q, "12:00-14:30"), 0);
	assert_true(quiet_is(&q, china(13, 0)));
	assert_false(quiet_is(&q, china(14, 30)));
	assert_false(quiet_is(&q, china(23, 0)));
	assert_int_equal(quiet_parse(&q, "22:00-24:00"), 0);
	assert_true(quiet_is(&q, china(23, 59)));
	assert_false(quiet_is(&q, china(0, 0)));
	assert_int_equal(quiet_parse(&q, "none"), 0);
	assert_false(quiet_is(&q, china(3, 0)));
	assert_int_equal(quiet_due(&q, china(3, 0), false), china(3, 0));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(quiet_parse(&q, bad[i]), -EINVAL);
}

static void a_text_is_of_use_until_it_expires_or_the_visit_comes(void **state)
{
	(void)state;
	assert_int_equal(quiet_deadline(event_of(PENALTY)), INT64_MAX);
	assert_int_equal(quiet_deadline(event_of(VISIT)), 1795748400000);
	assert_int_equal(
		quiet_deadline(event_of(HEAD("penalty") WHO ISSUER
					"\"expires\":1795600000000," PENALTY_BODY("P04", "室"))),
		1795600000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_night_is_quiet_over_midnight),
		cmocka_unit_test(a_held_text_is_due_when_the_night_ends_to_the_millisecond),
		cmocka_unit_test(an_urgent_text_goes_at_night),
		cmocka_unit_test(the_machines_zone_and_summer_time_change_nothing),
		cmocka_unit_test(hours_are_read_as_written),
		cmocka_unit_test(a_text_is_of_use_until_it_expires_or_the_visit_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
