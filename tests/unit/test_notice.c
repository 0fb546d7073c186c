/* SPDX-License-Identifier: Apache-2.0 */
#include "../../clients/sms/notice.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum { NEWS = DRIVER_NEWS_EXPIRED + 1 };

static enum notice_state after(enum notice_state s, enum driver_news n)
{
	return notice_on_news(s, 1, 1, n);
}

static void receipts_in_any_order_end_the_same(void **state)
{
	(void)state;
	assert_int_equal(
		after(after(NOTICE_SUBMITTED, DRIVER_NEWS_ACCEPTED), DRIVER_NEWS_DELIVERED),
		NOTICE_DELIVERED);
	assert_int_equal(
		after(after(NOTICE_SUBMITTED, DRIVER_NEWS_DELIVERED), DRIVER_NEWS_ACCEPTED),
		NOTICE_DELIVERED);
	assert_int_equal(after(after(NOTICE_INTENT, DRIVER_NEWS_FAILED), DRIVER_NEWS_DELIVERED),
			 NOTICE_DELIVERED);
	assert_int_equal(after(after(NOTICE_INTENT, DRIVER_NEWS_DELIVERED), DRIVER_NEWS_FAILED),
			 NOTICE_DELIVERED);
}

static void a_receipt_that_comes_twice_changes_nothing(void **state)
{
	(void)state;
	for (int s = 0; s < NOTICE_STATES; s++)
		for (int n = 0; n < NEWS; n++) {
			enum notice_state once = after(s, n);

			assert_int_equal(after(once, n), once);
		}
}

static void every_move_that_news_make_is_a_move_of_the_picture(void **state)
{
	(void)state;
	for (int s = 0; s < NOTICE_STATES; s++)
		for (int n = 0; n < NEWS; n++)
			for (unsigned of = 1; of <= 2; of++) {
				enum notice_state to = notice_on_news(s, 2, of, n);

				if (to != (enum notice_state)s)
					assert_true(notice_may_move(s, to));
			}
}

static void what_was_delivered_stays_so(void **state)
{
	(void)state;
	for (int s = 0; s < NOTICE_STATES; s++)
		assert_false(notice_may_move(NOTICE_DELIVERED, s));
	for (int n = 0; n < NEWS; n++)
		assert_int_equal(after(NOTICE_DELIVERED, n), NOTICE_DELIVERED);
}

static void what_was_not_sent_hears_no_news_of_itself(void **state)
{
	(void)state;
	for (int n = 0; n < NEWS; n++) {
		assert_int_equal(after(NOTICE_QUEUED, n), NOTICE_QUEUED);
		assert_int_equal(after(NOTICE_HELD, n), NOTICE_HELD);
	}
	assert_int_equal(notice_on_news(NOTICE_SUBMITTED, 1, 2, DRIVER_NEWS_FAILED),
			 NOTICE_SUBMITTED);
	assert_int_equal(notice_on_news(NOTICE_SUBMITTED, 1, 0, DRIVER_NEWS_FAILED),
			 NOTICE_SUBMITTED);
}

static void an_earlier_attempt_that_arrived_is_an_arrival_and_else_old_news(void **state)
{
	(void)state;
	assert_int_equal(notice_on_news(NOTICE_HELD, 2, 1, DRIVER_NEWS_DELIVERED),
			 NOTICE_DELIVERED);
	assert_int_equal(notice_on_news(NOTICE_SUBMITTED, 2, 1, DRIVER_NEWS_FAILED),
			 NOTICE_SUBMITTED);
}

static void a_late_receipt_resolves_what_is_parked(void **state)
{
	(void)state;
	assert_int_equal(after(NOTICE_PARKED, DRIVER_NEWS_ACCEPTED), NOTICE_ACCEPTED);
	assert_int_equal(after(NOTICE_PARKED, DRIVER_NEWS_DELIVERED), NOTICE_DELIVERED);
	assert_int_equal(after(NOTICE_PARKED, DRIVER_NEWS_FAILED), NOTICE_FAILED);
	assert_int_equal(after(NOTICE_NO_RECEIPT, DRIVER_NEWS_DELIVERED), NOTICE_DELIVERED);
}

static void an_ambiguous_one_is_never_sent_again_but_by_policy(void **state)
{
	(void)state;
	for (int n = 0; n < NEWS; n++)
		assert_true(after(NOTICE_AMBIGUOUS, n) >= NOTICE_SUBMITTED);
	assert_int_equal(notice_on_wait_over(NOTICE_PARK), NOTICE_PARKED);
	assert_int_equal(notice_on_wait_over(NOTICE_DROP), NOTICE_DROPPED);
	assert_int_equal(notice_on_wait_over(NOTICE_RESEND), NOTICE_QUEUED);
	for (int p = NOTICE_PARK; p <= NOTICE_RESEND; p++)
		assert_true(notice_may_move(NOTICE_AMBIGUOUS, notice_on_wait_over(p)));
	assert_false(notice_may_move(NOTICE_AMBIGUOUS, NOTICE_INTENT));
}

static void nothing_is_submitted_without_an_intent(void **state)
{
	(void)state;
	assert_false(notice_may_move(NOTICE_QUEUED, NOTICE_SUBMITTED));
	assert_false(notice_may_move(NOTICE_HELD, NOTICE_SUBMITTED));
	assert_true(notice_may_move(NOTICE_QUEUED, NOTICE_INTENT));
}

static void names_are_found_again(void **state)
{
	(void)state;
	for (int s = 0; s < NOTICE_STATES; s++)
		assert_int_equal(
			notice_state_find(notice_state_name(s), strlen(notice_state_name(s))), s);
	for (int r = 0; r < NOTICE_REASONS; r++) {
		const char *name = notice_reason_name(r);

		assert_non_null(name);
		assert_int_equal(notice_reason_find(name, strlen(name)), r);
		assert_true(r == 0 || notice_reason_words(r)[0]);
	}
	assert_int_equal(notice_state_find("sent", 4), -EINVAL);
	assert_int_equal(notice_reason_find("quiett", 6), -EINVAL);
	assert_int_equal(notice_policy_find("resend"), NOTICE_RESEND);
	assert_int_equal(notice_policy_find(""), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(receipts_in_any_order_end_the_same),
		cmocka_unit_test(a_receipt_that_comes_twice_changes_nothing),
		cmocka_unit_test(every_move_that_news_make_is_a_move_of_the_picture),
		cmocka_unit_test(what_was_delivered_stays_so),
		cmocka_unit_test(what_was_not_sent_hears_no_news_of_itself),
		cmocka_unit_test(an_earlier_attempt_that_arrived_is_an_arrival_and_else_old_news),
		cmocka_unit_test(a_late_receipt_resolves_what_is_parked),
		cmocka_unit_test(an_ambiguous_one_is_never_sent_again_but_by_policy),
		cmocka_unit_test(nothing_is_submitted_without_an_intent),
		cmocka_unit_test(names_are_found_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
