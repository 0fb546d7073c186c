/* SPDX-License-Identifier: Apache-2.0 */
#include "../../clients/sms/roster.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static const char row[] =
	"1\t王𠮷\t15400000001\t1000\t320508530000\t巡防一中队\t1\t0\tsm\taward,promotion\t0";

static struct dibao_str str(const char *s)
{
	return (struct dibao_str){s, strlen(s)};
}

static int decode(struct roster_person *p, const char *text)
{
	return roster_decode(p, text, strlen(text));
}

static void a_row_comes_out_as_it_went_in(void **state)
{
	char buf[ROSTER_ROW_MAX];
	struct roster_person p;

	(void)state;
	assert_int_equal(decode(&p, row), 0);
	assert_memory_equal(p.name.p, "王𠮷", p.name.len);
	assert_memory_equal(p.phone.p, "15400000001", 11);
	assert_int_equal(p.phone_since, 1000);
	assert_true(p.active && p.shared && p.moved);
	assert_int_equal(roster_encode(&p, buf, sizeof buf), strlen(row));
	assert_string_equal(buf, row);
	assert_int_equal(decode(&p, "1\t王\t\t0\t\t\t0\t5\t\t\t7\tlater\tcolumns"), 0);
	assert_int_equal(p.phone.len, 0);
	assert_int_equal(p.left_on, 5);
	assert_int_equal(p.lacking_since, 7);
	assert_false(p.active || p.shared || p.moved);
}

static void what_is_no_row_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"1",
		"1\t王\t15400000001\t1000\t320508530000\t\t1\t0\t\t",
		"1\t\t15400000001\t1000\t320508530000\t\t1\t0\t\t\t0",	/* no name */
		"1\t王\t1540000000\t1000\t320508530000\t\t1\t0\t\t\t0", /* ten digits */
		"1\t王\t1540000000x\t1000\t320508530000\t\t1\t0\t\t\t0",
		"1\t王\t15400000001\t-1\t320508530000\t\t1\t0\t\t\t0",
		"1\t王\t15400000001\t1000\t320508530000\t\tyes\t0\t\t\t0",
		"1\t王\t15400000001\t1000\t320508530000\t\t1\t\t\t\t0",
		"x\t王\t15400000001\t1000\t320508530000\t\t1\t0\t\t\t0"};
	struct roster_person p;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(decode(&p, bad[i]), -EBADMSG);
	assert_int_equal(decode(&p, "2\tanything"), -EPROTONOSUPPORT);
}

static void a_text_with_a_tab_or_line_end_makes_no_row(void **state)
{
	char buf[ROSTER_ROW_MAX];
	struct roster_person p;

	(void)state;
	assert_int_equal(decode(&p, row), 0);
	p.name = str("王\t吉");
	assert_int_equal(roster_encode(&p, buf, sizeof buf), -EINVAL);
	p.name = str("王\n吉");
	assert_int_equal(roster_encode(&p, buf, sizeof buf), -EINVAL);
	p.name = str("");
	assert_int_equal(roster_encode(&p, buf, sizeof buf), -EINVAL);
	p.name = str("王");
	assert_int_equal(roster_encode(&p, buf, 20), -ENOBUFS);
}

static void opted_out_types_are_whole_words(void **state)
{
	struct roster_person p;

	(void)state;
	assert_int_equal(decode(&p, row), 0);
	assert_true(roster_is_opted_out(&p, str("award")));
	assert_true(roster_is_opted_out(&p, str("promotion")));
	assert_false(roster_is_opted_out(&p, str("aw")));
	assert_false(roster_is_opted_out(&p, str("")));
	p.opted_out = str("");
	assert_false(roster_is_opted_out(&p, str("award")));
}

static void a_mark_counts_for_the_number_it_was_made_about(void **state)
{
	struct roster_person p;
	char mark[48];
	int n;

	(void)state;
	assert_int_equal(decode(&p, row), 0);
	n = roster_mark_encode(&p, 7777, mark, sizeof mark);
	assert_int_equal(roster_mark_at(&p, mark, (size_t)n), 7777);
	p.phone_since++;
	assert_int_equal(roster_mark_at(&p, mark, (size_t)n), 0);
	assert_int_equal(roster_mark_at(&p, NULL, 0), 0);
	assert_int_equal(roster_mark_at(&p, "1001", 4), 0);
	assert_int_equal(roster_mark_at(&p, "1001 ", 5), 0);
	assert_int_equal(roster_mark_at(&p, "1001 x", 6), 0);
}

static void a_number_is_read_as_people_write_it(void **state)
{
	static const char *const good[] = {
		"15412345678",	  " 154 1234 5678 ",	     "154-1234-5678",
		"+8615412345678", "+86 15412345678",	     "0086154 12345678",
		"8615412345678",  "１５４１２３４５６７８",  "(+86)154-12345678",
		"'15412345678",	  "154\u00a01234\u30005678", "154–1234–5678"};
	char phone[ROSTER_PHONE_DIGITS + 1];
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_int_equal(roster_phone(good[i], phone, &why), 0);
		assert_string_equal(phone, "15412345678");
	}
}

static void what_can_be_no_mobile_number_is_refused_in_words_without_its_digits(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {{"1541234567", "fewer"},
		   {"154123456789", "more"},
		   {"12412345678", "13 to 19"},
		   {"051266668888", "more"},
		   {"0512-6666888", "13 to 19"},
		   {"15412345678/15412345679", "more than one"},
		   {"15412345678、15412345679", "more than one"},
		   {"1.54E+10", "not a telephone number"},
		   {"无", "not a telephone number"},
		   {"-", "not a telephone number"},
		   {"154+12345678", "not a telephone number"},
		   {"\xff", "not a telephone number"},
		   {"000000000000000000000000000000000000000000000", "too many"}};
	char phone[ROSTER_PHONE_DIGITS + 1];
	const char *why = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(roster_phone(bad[i].text, phone, &why), -EINVAL);
		assert_non_null(strstr(why, bad[i].why));
		assert_null(strstr(why, "1234567"));
	}
	assert_int_equal(roster_phone("", phone, &why), -ENODATA);
	assert_int_equal(roster_phone("  ", phone, &why), -ENODATA);
}

static void a_masked_number_tells_seven_digits(void **state)
{
	char text[ROSTER_PHONE_DIGITS + 1];

	(void)state;
	roster_phone_masked(str("15412345678"), text);
	assert_string_equal(text, "154****5678");
	roster_phone_masked(str(""), text);
	assert_string_equal(text, "(none)");
	roster_phone_masked(str("1541"), text);
	assert_string_equal(text, "****");
}

static void a_demonstrations_number_is_known_by_its_block(void **state)
{
	(void)state;
	assert_true(roster_phone_is_demo(str("15412345678")));
	assert_false(roster_phone_is_demo(str("13812345678")));
	assert_false(roster_phone_is_demo(str("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_comes_out_as_it_went_in),
		cmocka_unit_test(what_is_no_row_is_refused),
		cmocka_unit_test(a_text_with_a_tab_or_line_end_makes_no_row),
		cmocka_unit_test(opted_out_types_are_whole_words),
		cmocka_unit_test(a_mark_counts_for_the_number_it_was_made_about),
		cmocka_unit_test(a_number_is_read_as_people_write_it),
		cmocka_unit_test(
			what_can_be_no_mobile_number_is_refused_in_words_without_its_digits),
		cmocka_unit_test(a_masked_number_tells_seven_digits),
		cmocka_unit_test(a_demonstrations_number_is_known_by_its_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
