/* SPDX-License-Identifier: Apache-2.0 */
/* What of a text is drawn on a terminal. */
#include "../../clients/board/tty.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <locale.h>
#include <string.h>

static char out[64];

static unsigned clean(const char *text, unsigned columns)
{
	memset(out, '#', sizeof out);
	return tty_clean(out, sizeof out, text, strlen(text), columns);
}

static void a_character_of_chinese_takes_two_columns(void **state)
{
	(void)state;
	assert_int_equal(clean("张三a", 10), 5);
	assert_string_equal(out, "张三a");
}

static void what_turns_or_hides_or_moves_is_left_out(void **state)
{
	(void)state;
	assert_int_equal(clean("\u202e张\u202c\u200b三\ufeff\x1b[2J\u2028\xc2\x85", 20), 7);
	assert_string_equal(out, "张三[2J");
	assert_int_equal(clean("\n\t", 20), 0);
	assert_string_equal(out, "");
}

static void what_is_too_long_ends_in_an_ellipsis_within_its_columns(void **state)
{
	(void)state;
	assert_int_equal(clean("一二三四", 8), 8);
	assert_string_equal(out, "一二三四");
	assert_int_equal(clean("一二三四", 7), 7);
	assert_string_equal(out, "一二三…");
	assert_int_equal(clean("一二三四", 6), 5);
	assert_string_equal(out, "一二…");
	assert_int_equal(clean("abc", 0), 1);
}

static void a_text_never_outgrows_its_buffer(void **state)
{
	char text[3 * 40 + 1] = "";

	(void)state;
	for (int i = 0; i < 40; i++)
		strcat(text, "演");
	for (size_t cap = sizeof "…"; cap <= sizeof out; cap++) {
		memset(out, '#', sizeof out);
		tty_clean(out, cap, text, strlen(text), 500);
		assert_true(strnlen(out, sizeof out) < cap);
	}
}

static void a_character_that_is_rare_is_drawn(void **state)
{
	(void)state;
	assert_int_equal(clean("\U0002CA1A", 10), 2);
	assert_string_equal(out, "\U0002CA1A");
}

static int set_up(void **state)
{
	(void)state;
	return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_character_of_chinese_takes_two_columns),
		cmocka_unit_test(what_turns_or_hides_or_moves_is_left_out),
		cmocka_unit_test(what_is_too_long_ends_in_an_ellipsis_within_its_columns),
		cmocka_unit_test(a_text_never_outgrows_its_buffer),
		cmocka_unit_test(a_character_that_is_rare_is_drawn),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
