/* SPDX-License-Identifier: Apache-2.0 */
#include "../../clients/sms/pace.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define NUMBER "15400000001"
#define OTHER  "15400000002"

enum { T = 1000000000, MINUTE = 60000, HOUR = 60 * MINUTE };
static const struct caps_limits limits = {
	.minute = 3, .hour = 5, .day = 10, .same_minute = 1, .same_hour = 2};

static const uint8_t SECRET[CAPS_SECRET_BYTES] = {1, 2, 3};

static void sent(struct caps *c, const char *number, const char *text, size_t len, int64_t at_ms)
{
	struct caps_mark m = caps_mark(c, number, text, len);

	caps_count(c, &m, at_ms);
}

static void a_bucket_gives_its_rate_and_saves_no_burst(void **state)
{
	struct bucket b;
	unsigned n = 0;

	(void)state;
	bucket_init(&b, 100, T);
	for (int ms = 0; ms <= 10000; ms++)
		for (; bucket_has(&b, T + 60000 + ms); n++)
			bucket_take(&b, 1, T + 60000 + ms);
	assert_in_range(n, 1000, 1011);
}

static void a_long_text_is_paid_for_by_those_behind_it(void **state)
{
	struct bucket b;

	(void)state;
	bucket_init(&b, 2, T);
	assert_true(bucket_has(&b, T));
	bucket_take(&b, 4, T);
	assert_false(bucket_has(&b, T + 1000));
	assert_in_range(bucket_when(&b, T + 1000), T + 2000, T + 2002);
	assert_true(bucket_has(&b, bucket_when(&b, T + 1000)));
}

static void a_bucket_without_a_rate_always_has(void **state)
{
	struct bucket b;

	(void)state;
	bucket_init(&b, 0, T);
	bucket_take(&b, 1000, T);
	assert_true(bucket_has(&b, T));
	assert_int_equal(bucket_when(&b, T), T);
}

static void a_clock_set_back_neither_stops_nor_floods_a_bucket(void **state)
{
	struct bucket b;

	(void)state;
	bucket_init(&b, 10, T);
	bucket_take(&b, 1, T);
	assert_false(bucket_has(&b, T - HOUR));
	assert_true(bucket_has(&b, T - HOUR + 101));
}

static void one_number_gets_so_many_in_a_minute_an_hour_and_a_day(void **state)
{
	struct caps *c = caps_new(SECRET);
	int64_t now = T, when;
	unsigned n = 0;
	int64_t first = now;
	char text[16];

	(void)state;
	for (; now < first + 24 * HOUR; now = when ? when : now) {
		when = caps_when(c, &limits, NUMBER, NULL, 0, now);
		if (when) {
			assert_true(when > now);
			continue;
		}
		snprintf(text, sizeof text, "%u", n);
		sent(c, NUMBER, text, strlen(text), now);
		n++;
		if (n == 3)
			assert_int_equal(caps_when(c, &limits, NUMBER, NULL, 0, now),
					 first + MINUTE);
		if (n == 5)
			assert_int_equal(caps_when(c, &limits, NUMBER, NULL, 0, now), first + HOUR);
		if (n == 10)
			assert_int_equal(caps_when(c, &limits, NUMBER, NULL, 0, now),
					 first + 24 * HOUR);
	}
	assert_int_equal(n, 10);
	assert_int_equal(caps_when(c, &limits, OTHER, NULL, 0, now), 0);
	caps_free(c);
}

static void the_very_same_text_waits_where_another_goes(void **state)
{
	struct caps *c = caps_new(SECRET);

	(void)state;
	sent(c, NUMBER, "a", 1, T);
	assert_int_equal(caps_when(c, &limits, NUMBER, "a", 1, T), T + MINUTE);
	assert_int_equal(caps_when(c, &limits, NUMBER, "b", 1, T), 0);
	assert_int_equal(caps_when(c, &limits, OTHER, "a", 1, T), 0);
	sent(c, NUMBER, "a", 1, T + MINUTE);
	assert_int_equal(caps_when(c, &limits, NUMBER, "a", 1, T + 2 * MINUTE), T + HOUR);
	caps_free(c);
}

static void without_limits_nothing_waits(void **state)
{
	static const struct caps_limits none = {0};
	struct caps *c = caps_new(SECRET);

	(void)state;
	for (int i = 0; i < 200; i++) {
		assert_int_equal(caps_when(c, &none, NUMBER, "a", 1, T), 0);
		sent(c, NUMBER, "a", 1, T);
	}
	caps_free(c);
}

static void the_memory_of_caps_is_bounded_and_forgets_what_was_quiet_longest(void **state)
{
	struct caps *c = caps_new(SECRET);
	char number[16];

	(void)state;
	for (int i = 0; i <= CAPS_MAX; i++) {
		snprintf(number, sizeof number, "%d", i);
		sent(c, number, NULL, 0, T);
	}
	assert_int_equal(caps_keys(c), CAPS_MAX);
	for (int i = 0; i < 3; i++)
		sent(c, number, NULL, 0, T);
	assert_true(caps_when(c, &limits, number, NULL, 0, T) > 0);
	sent(c, OTHER, NULL, 0, T + 25 * HOUR);
	assert_int_equal(caps_keys(c), 1);
	caps_free(c);
}

static void a_clock_set_back_does_not_lock_a_number_for_days(void **state)
{
	struct caps *c = caps_new(SECRET);

	(void)state;
	for (int i = 0; i < 3; i++)
		sent(c, NUMBER, NULL, 0, T);
	assert_int_equal(caps_when(c, &limits, NUMBER, NULL, 0, T - 5 * HOUR),
			 T - 5 * HOUR + MINUTE);
	caps_free(c);
}

static void marks_count_again_under_the_same_secret_and_tell_nothing_under_another(void **state)
{
	static const uint8_t another[CAPS_SECRET_BYTES] = {9};
	struct caps *a = caps_new(SECRET), *b = caps_new(SECRET), *other = caps_new(another);
	struct caps_mark m = caps_mark(a, NUMBER, "text", 4), read, else_;
	char text[CAPS_MARK_MAX + 20], twice[CAPS_MARK_MAX];

	(void)state;
	caps_mark_write(&m, text);
	assert_null(strstr(text, NUMBER));
	assert_null(strstr(text, "text"));
	assert_int_equal(strlen(text), CAPS_MARK_MAX - 1);
	strcat(text, " a uid 1");
	assert_int_equal(caps_mark_read(&read, text), 0);
	caps_count(b, &read, T);
	assert_int_equal(caps_when(b, &limits, NUMBER, "text", 4, T), T + MINUTE);
	assert_int_equal(caps_when(b, &limits, NUMBER, "texu", 4, T), 0);
	caps_count(b, &read, T);
	caps_count(b, &read, T);
	assert_int_equal(caps_when(b, &limits, NUMBER, NULL, 0, T), T + MINUTE);
	else_ = caps_mark(other, NUMBER, "text", 4);
	caps_mark_write(&else_, twice);
	assert_int_not_equal(strncmp(twice, text, 20), 0);
	caps_count(other, &read, T);
	assert_int_equal(caps_when(other, &limits, NUMBER, "text", 4, T), 0);
	for (size_t cut = 0; cut < CAPS_MARK_MAX - 1; cut++) {
		char part[CAPS_MARK_MAX];

		snprintf(part, sizeof part, "%.*s", (int)cut, text);
		assert_int_equal(caps_mark_read(&read, part), -EBADMSG);
	}
	assert_int_equal(caps_mark_read(&read, "F000001 n1 1"), -EBADMSG);
	caps_free(a);
	caps_free(b);
	caps_free(other);
}

static void what_was_not_sent_after_all_is_counted_no_more(void **state)
{
	static const struct caps_limits same = {.same_minute = 1}, one = {.minute = 1},
					two = {.minute = 2};
	struct caps *c = caps_new(SECRET);
	struct caps_mark m = caps_mark(c, NUMBER, "a", 1);

	(void)state;
	for (int i = 0; i < CAPS_DAY_MAX + 5; i++)
		sent(c, NUMBER, "b", 1, T - 2 * HOUR + i);
	caps_count(c, &m, T);
	sent(c, NUMBER, "c", 1, T + 1);
	caps_uncount(c, &m, T - 1); /* never was */
	assert_int_equal(caps_when(c, &same, NUMBER, "a", 1, T + 1), T + MINUTE);
	assert_int_equal(caps_when(c, &two, NUMBER, NULL, 0, T + 1), T + MINUTE);
	caps_uncount(c, &m, T);
	assert_int_equal(caps_when(c, &same, NUMBER, "a", 1, T + 1), 0);
	assert_int_equal(caps_when(c, &one, NUMBER, NULL, 0, T + 1), T + 1 + MINUTE);
	assert_int_equal(caps_when(c, &two, NUMBER, NULL, 0, T + 1), 0);
	caps_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bucket_gives_its_rate_and_saves_no_burst),
		cmocka_unit_test(a_long_text_is_paid_for_by_those_behind_it),
		cmocka_unit_test(a_bucket_without_a_rate_always_has),
		cmocka_unit_test(a_clock_set_back_neither_stops_nor_floods_a_bucket),
		cmocka_unit_test(one_number_gets_so_many_in_a_minute_an_hour_and_a_day),
		cmocka_unit_test(the_very_same_text_waits_where_another_goes),
		cmocka_unit_test(without_limits_nothing_waits),
		cmocka_unit_test(the_memory_of_caps_is_bounded_and_forgets_what_was_quiet_longest),
		cmocka_unit_test(a_clock_set_back_does_not_lock_a_number_for_days),
		cmocka_unit_test(
			marks_count_again_under_the_same_secret_and_tell_nothing_under_another),
		cmocka_unit_test(what_was_not_sent_after_all_is_counted_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
