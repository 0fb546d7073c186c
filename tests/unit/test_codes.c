/* SPDX-License-Identifier: Apache-2.0 */
#include "../../clients/sms/codes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/dibao-codes-XXXXXX";

static int load(struct codes **ret, const char *text, struct codes_fault *fault)
{
	int fd, r;

	strcpy(path, "/tmp/dibao-codes-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	r = codes_load(ret, path, fault);
	unlink(path);
	return r;
}

static struct code_action find(const struct codes *c, const char *driver, const char *code)
{
	return codes_find(c, driver, code, strlen(code));
}

static void a_row_that_is_none_is_told_with_its_line(void **state)
{
	static const struct {
		const char *text, *reason;
		unsigned line;
	} bad[] = {
		{"# a comment\n\nkannel\tX\t-\tfinal\n", "expected driver", 3},
		{"kannel X - final words\n", "expected driver", 1},
		{"kannel\tX\t-\tfinal\tmeaning\nkannel\tx\t-\tfinal\tmeaning\n", "stand above", 2},
		{"kannel\tX\tsoon\tretry\tmeaning\n", "retry_after: expected seconds", 1},
		{"kannel\tX\t-5\tretry\tmeaning\n", "retry_after: expected seconds", 1},
		{"kannel\tX\t604801\tretry\tmeaning\n", "retry_after: expected seconds", 1},
		{"kannel\tX\t-\tretry\tmeaning\n", "need retry_after", 1},
		{"kannel\tX\t60\tfinal\tmeaning\n", "is for retry and stop", 1},
		{"kannel\tX\t-\texplode\tmeaning\n", "does: expected", 1},
		{"kannel\tX\t-\t\tmeaning\n", "does: expected", 1},
		{"kannel\tX\t60\tretry,final\tmeaning\n", "final goes with", 1},
		{"kannel\tX\t-\tother,final\tmeaning\n", "other goes with nothing", 1},
		{"kannel\tX\t-\tdone,final\tmeaning\n", "done stands alone", 1},
		{"kannel\t\t-\tfinal\tmeaning\n", "code: expected", 1},
		{"\tX\t-\tfinal\tmeaning\n", "driver: expected", 1},
	};
	struct codes_fault fault;
	struct codes *c = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(load(&c, bad[i].text, &fault), -EINVAL);
		if (fault.line != bad[i].line || !strstr(fault.reason, bad[i].reason))
			fail_msg("row %zu: line %u: %s", i, fault.line, fault.reason);
	}
	assert_int_equal(codes_load(&c, "/nowhere/codes.tsv", &fault), -ENOENT);
	assert_null(c);
}

static void the_exact_code_counts_before_a_prefix_and_the_drivers_own_before_all(void **state)
{
	struct codes_fault fault;
	struct codes *c;

	(void)state;
	assert_int_equal(load(&c,
			      "*\tMK:*\t-\tfinal\tany prefix\n"
			      "kannel\tMK:*\t-\tfinal\town prefix\n"
			      "*\tMK:00*\t-\tfinal\tlonger prefix\n"
			      "*\tMK:0001\t-\tnumber,final\tany exact\n"
			      "kannel\tMK:0001\t-\tfinal\town exact\n"
			      "spool\t*\t-\tfinal\twhatever\n",
			      &fault),
			 0);
	assert_string_equal(find(c, "other", "MK:1").meaning, "any prefix");
	assert_string_equal(find(c, "kannel", "MK:1").meaning, "own prefix");
	assert_string_equal(find(c, "kannel", "mk:0002").meaning, "longer prefix");
	assert_string_equal(find(c, "kannel", " MK:0001\r\n").meaning, "own exact");
	assert_string_equal(find(c, "other", "MK:0001").meaning, "any exact");
	assert_true(find(c, "other", "MK:0001").number);
	assert_string_equal(find(c, "other", "MK:00012").meaning, "longer prefix");
	assert_string_equal(find(c, "spool", "anything").meaning, "whatever");
	assert_string_equal(find(c, "spool", "").meaning, "whatever");
	codes_free(c);
}

static void a_code_that_nobody_knows_is_final_and_says_so(void **state)
{
	struct codes_fault fault;
	struct codes *c;

	(void)state;
	assert_int_equal(load(&c, "*\tMK:*\t-\tfinal\tno such number\n", &fault), 0);
	assert_true(find(c, "kannel", "XY").final);
	assert_false(find(c, "kannel", "XY").is_known);
	assert_false(find(c, "kannel", "XY").retry);
	assert_string_equal(find(c, "kannel", "").meaning, "code not known");
	codes_free(c);
}

static void the_shipped_table_knows_what_was_measured_and_documented(void **state)
{
	struct codes_fault fault;
	struct codes *c;

	(void)state;
	if (codes_load(&c, "config/sms/codes.tsv", &fault) < 0)
		fail_msg("line %u: %s", fault.line, fault.reason);
	assert_true(find(c, "kannel", "DELIVRD").done);
	assert_true(find(c, "kannel", "MK:0000").number);
	assert_true(find(c, "kannel", "MK:0000").final);
	assert_true(find(c, "kannel", "MA:0022").retry);
	assert_true(find(c, "kannel", "MA:0022").retry_after_s >= 1800);
	assert_true(find(c, "kannel", "00138").content);
	assert_true(find(c, "kannel", "SIGNBLOCKED").content);
	assert_true(find(c, "kannel", "authorization").stop);
	assert_true(find(c, "kannel", "not-routable").other);
	assert_true(find(c, "kannel", "http-503").retry);
	assert_true(find(c, "kannel", "http-404").stop);
	assert_true(find(c, "kannel", "http-400").other);
	codes_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_that_is_none_is_told_with_its_line),
		cmocka_unit_test(
			the_exact_code_counts_before_a_prefix_and_the_drivers_own_before_all),
		cmocka_unit_test(a_code_that_nobody_knows_is_final_and_says_so),
		cmocka_unit_test(the_shipped_table_knows_what_was_measured_and_documented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
