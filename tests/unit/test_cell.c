/* SPDX-License-Identifier: Apache-2.0 */
#include "../../clients/ctl/cell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static const char *clean(const char *text, bool narrow)
{
	static char buf[200];
	size_t n;

	snprintf(buf, sizeof buf, "%s", text);
	n = cell_clean(buf, strlen(buf), narrow);
	assert_int_equal(n, strlen(buf));
	return buf;
}

static void blanks_of_all_kinds_are_trimmed_and_those_inside_kept(void **state)
{
	(void)state;
	assert_string_equal(clean(" \t\u3000\u00a0张 三\u3000 \ufeff", false), "张 三");
	assert_string_equal(clean("\u3000 \u3000", false), "");
	assert_string_equal(clean("", true), "");
}

static void full_width_signs_become_ascii_where_asked_and_only_there(void **state)
{
	(void)state;
	assert_string_equal(clean("　Ｆ０１２３ａｚ～（一）", true), "F0123az~(一)");
	assert_string_equal(clean("苏公（２０１７）５号", false), "苏公（２０１７）５号");
}

static void text_kept_as_a_formula_is_taken_out_of_it(void **state)
{
	(void)state;
	assert_string_equal(clean("=\"0012\"", true), "0012");
	assert_string_equal(clean("=A1", true), "=A1");
	assert_string_equal(clean("=\"", true), "=\"");
}

static void cells_that_a_spreadsheet_spoilt_are_known(void **state)
{
	static const char *const bad[] = {"1.38E+10", "3.20508E+11", "-1E-05", "1e+9",
					  "####",     "#REF!",	     "#N/A",   "#VALUE!",
					  "#DIV/0!",  "#NAME?"};
	static const char *const good[] = {"13800000000", "E10",  "1E10", "A1.38E+10", "1.38E+10x",
					   "12.5E+1",	  "#5楼", "",	  "1.5",       "1.38E+"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_non_null(cell_spoilt(bad[i]));
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_null(cell_spoilt(good[i]));
}

static void dates_in_their_usual_forms_are_one(void **state)
{
	static const char *const forms[] = {
		"2017/7/5",	  "2017-7-5", "2017-07-05", "2017.7.5",	     "2017年7月5日",
		"2017年07月05日", "20170705", "42921",	    "2017/7/5 0:00", "2017-07-05 00:00:00"};
	char day[11];

	(void)state;
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		assert_int_equal(cell_date(forms[i], day), 0);
		assert_string_equal(day, "2017-07-05");
	}
	assert_int_equal(cell_date("60000.0", day), 0);
	assert_string_equal(day, "2064-04-08");
}

static void what_is_no_date_or_two_dates_is_refused_and_leaves_the_result_alone(void **state)
{
	static const char *const bad[] = {
		"",	    "7/5/2017", "2017/7",    "2017/13/1",  "2017/2/29",	    "2017/7/5x",
		"5-Jul-17", "17/7/5",	"2017年7月", "20171301",   "2017/7/5 9:30", "42921.5",
		"9999",	    "1234567",	"2017-7/5",  "2200-01-01", "2017年7月5",    "2017//5"};
	char day[11] = "untouched";

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_true(cell_date(bad[i], day) < 0);
		assert_string_equal(day, "untouched");
	}
}

static void day_numbers_agree_with_the_calendar_over_two_centuries(void **state)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int y = 1927, m = 5, d = 18; /* day number 10000 */
	char serial[12], want[40], got[11];

	(void)state;
	for (int n = 10000; n <= 109574; n++) {
		int leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

		snprintf(serial, sizeof serial, "%d", n);
		snprintf(want, sizeof want, "%04d-%02d-%02d", y, m, d);
		assert_int_equal(cell_date(serial, got), 0);
		assert_string_equal(got, want);
		if (++d > days[m - 1] + (m == 2 && leap)) {
			d = 1;
			m++;
		}
		if (m > 12) {
			m = 1;
			y++;
		}
	}
}

static void times_without_a_zone_are_in_the_one_given(void **state)
{
	static const char *const forms[] = {"2017/7/5 9:30",	    "2017-07-05 09:30:00",
					    "2017年7月5日 9时30分", "2017年7月5日9时30分",
					    "20170705 09:30",	    "42921.395833333336",
					    "2017-07-05T01:30:00Z", "2017-07-05T09:30:00.0+08:00",
					    "1499218200000"};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		assert_int_equal(cell_time(forms[i], 480, &ms), 0);
		assert_int_equal(ms, 1499218200000);
	}
	assert_int_equal(cell_time("2017/7/5", 480, &ms), 0);
	assert_int_equal(ms, 1499184000000);
	assert_int_equal(cell_time("2017/7/5", 0, &ms), 0);
	assert_int_equal(ms, 1499212800000);
	assert_int_equal(cell_time("42921.9999999", 0, &ms), 0);
	assert_int_equal(ms, 1499299200000);
}

static void what_is_no_time_is_refused(void **state)
{
	static const char *const bad[] = {"",		"9:30", "2017/7/5 25:00", "2017/7/5 9:60",
					  "2017/7/5 9", "明天", "7/5/2017 9:30"};
	int64_t ms = 7;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_true(cell_time(bad[i], 480, &ms) < 0);
		assert_int_equal(ms, 7);
	}
}

static void yuan_become_fen_without_rounding(void **state)
{
	int64_t fen = 0;

	(void)state;
	assert_int_equal(cell_yuan("1,000", &fen), 0);
	assert_int_equal(fen, 100000);
	assert_int_equal(cell_yuan("¥1000.5元", &fen), 0);
	assert_int_equal(fen, 100050);
	assert_int_equal(cell_yuan("0.29", &fen), 0);
	assert_int_equal(fen, 29);
	assert_true(cell_yuan("1.234", &fen) < 0);
	assert_true(cell_yuan("-5", &fen) < 0);
	assert_true(cell_yuan("元", &fen) < 0);
	assert_true(cell_yuan("1.2.3", &fen) < 0);
	assert_true(cell_yuan("9999999999999", &fen) < 0);
	assert_int_equal(fen, 29);
}

static void yes_and_no_are_read_in_either_language(void **state)
{
	bool v = false;

	(void)state;
	assert_int_equal(cell_bool("是", &v), 0);
	assert_true(v);
	assert_int_equal(cell_bool("No", &v), 0);
	assert_false(v);
	assert_true(cell_bool("也许", &v) < 0);
	assert_true(cell_bool("", &v) < 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(blanks_of_all_kinds_are_trimmed_and_those_inside_kept),
		cmocka_unit_test(full_width_signs_become_ascii_where_asked_and_only_there),
		cmocka_unit_test(text_kept_as_a_formula_is_taken_out_of_it),
		cmocka_unit_test(cells_that_a_spreadsheet_spoilt_are_known),
		cmocka_unit_test(dates_in_their_usual_forms_are_one),
		cmocka_unit_test(
			what_is_no_date_or_two_dates_is_refused_and_leaves_the_result_alone),
		cmocka_unit_test(day_numbers_agree_with_the_calendar_over_two_centuries),
		cmocka_unit_test(times_without_a_zone_are_in_the_one_given),
		cmocka_unit_test(what_is_no_time_is_refused),
		cmocka_unit_test(yuan_become_fen_without_rounding),
		cmocka_unit_test(yes_and_no_are_read_in_either_language),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
