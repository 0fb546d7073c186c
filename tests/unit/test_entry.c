/* SPDX-License-Identifier: Apache-2.0 */
#include "../../daemon/entry.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static void an_id_reads_back_as_it_was_written(void **state)
{
	static const struct entry_id ids[] = {
		{0, 0}, {5, 0}, {1700000000000, 42}, {UINT64_MAX, UINT64_MAX}};
	char text[ENTRY_ID_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
		struct entry_id back = {1, 1};
		int len = entry_id_format(text, ids[i]);

		assert_int_equal(len, strlen(text));
		assert_int_equal(entry_id_parse(&back, text, (size_t)len), 0);
		assert_int_equal(entry_id_cmp(back, ids[i]), 0);
	}
	entry_id_format(text, ids[3]);
	assert_string_equal(text, "18446744073709551615-18446744073709551615");
}

static void a_lone_number_is_the_first_id_of_its_millisecond(void **state)
{
	struct entry_id id;

	(void)state;
	assert_int_equal(entry_id_parse(&id, "5", 1), 0);
	assert_int_equal(id.ms, 5);
	assert_int_equal(id.seq, 0);
}

static void what_is_not_an_id_is_refused_and_leaves_the_result_alone(void **state)
{
	static const char *const bad[] = {"",
					  "-",
					  "5-",
					  "-5",
					  "+5",
					  " 5",
					  "5 ",
					  "5-1-1",
					  "0x5",
					  "$",
					  "5-1x",
					  "5--1",
					  "18446744073709551616",
					  "99999999999999999999999",
					  "1-18446744073709551616"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct entry_id id = {7, 7};

		assert_int_equal(entry_id_parse(&id, bad[i], strlen(bad[i])), -EINVAL);
		assert_int_equal(id.ms, 7);
		assert_int_equal(id.seq, 7);
	}
}

static void no_byte_beyond_the_length_is_read(void **state)
{
	struct entry_id id;

	(void)state;
	assert_int_equal(entry_id_parse(&id, "12-34", 2), 0);
	assert_int_equal(id.ms, 12);
	assert_int_equal(entry_id_parse(&id, "12-34", 4), 0);
	assert_int_equal(id.seq, 3);
	assert_int_equal(entry_id_parse(&id, "12-34", 3), -EINVAL);
}

static void ids_are_ordered_by_millisecond_then_by_sequence(void **state)
{
	(void)state;
	assert_true(entry_id_cmp((struct entry_id){1, 9}, (struct entry_id){2, 0}) < 0);
	assert_true(entry_id_cmp((struct entry_id){2, 1}, (struct entry_id){2, 0}) > 0);
	assert_true(entry_id_cmp((struct entry_id){2, 1}, (struct entry_id){2, 1}) == 0);
	assert_true(entry_id_cmp((struct entry_id){UINT64_MAX, 0}, (struct entry_id){0, 1}) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_reads_back_as_it_was_written),
		cmocka_unit_test(a_lone_number_is_the_first_id_of_its_millisecond),
		cmocka_unit_test(what_is_not_an_id_is_refused_and_leaves_the_result_alone),
		cmocka_unit_test(no_byte_beyond_the_length_is_read),
		cmocka_unit_test(ids_are_ordered_by_millisecond_then_by_sequence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
