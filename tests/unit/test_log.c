/* SPDX-License-Identifier: Apache-2.0 */
/* stderr is a pipe here; the journal's side is a socket of systemd's and left to the eye. */
#include "../../lib/host/log.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int reading = -1, saved = -1;

static int set_up(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	saved = dup(STDERR_FILENO);
	assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
	close(ends[1]);
	reading = ends[0];
	unsetenv("JOURNAL_STREAM");
	log_open("test");
	return log_set_level("info");
}

static int tear_down(void **state)
{
	(void)state;
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	close(reading);
	return 0;
}

/* What has been written since the last call. */
static const char *written(void)
{
	static char text[65536];
	ssize_t n = read(reading, text, sizeof text - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void a_line_has_level_text_and_fields(void **state)
{
	(void)state;
	log_event(LOG_WARNING, NULL, "it broke", "DIBAO_CLIENT=board-1", "DIBAO_LINK=tail");
	assert_string_equal(written(), "warning it broke  DIBAO_CLIENT=board-1 DIBAO_LINK=tail\n");
	log_text(LOG_INFO, "%d of %d", 1, 2);
	assert_string_equal(written(), "info 1 of 2\n");
}

static void what_is_less_urgent_than_the_level_is_not_written(void **state)
{
	(void)state;
	log_text(LOG_DEBUG, "no");
	assert_string_equal(written(), "");
	assert_int_equal(log_set_level("debug"), 0);
	log_text(LOG_DEBUG, "yes");
	assert_string_equal(written(), "debug yes\n");
	assert_int_equal(log_set_level("err"), 0);
	log_text(LOG_WARNING, "no");
	assert_string_equal(written(), "");
}

static void an_unknown_level_is_refused_and_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(log_set_level("loud"), -EINVAL);
	assert_int_equal(log_set_level(""), -EINVAL);
	log_text(LOG_INFO, "still");
	assert_string_equal(written(), "info still\n");
}

static void other_peoples_bytes_cannot_forge_a_line(void **state)
{
	(void)state;
	log_event(LOG_INFO, NULL, "x\nerr forged\r\x1b[2J", "DIBAO_CLIENT=a\nb");
	assert_string_equal(written(), "info x err forged  [2J  DIBAO_CLIENT=a b\n");
}

static void a_line_is_cut_at_its_bound(void **state)
{
	char text[10000];

	(void)state;
	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	log_event(LOG_INFO, NULL, text, "DIBAO_CLIENT=x");
	assert_int_equal(strlen(written()), 2048);
	log_text(LOG_INFO, "%s", text);
	assert_in_range(strlen(written()), 2000, 2048);
}

static void ten_lines_of_a_kind_a_minute_are_let_through(void **state)
{
	int n = 0, other = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		n += log_limited("one kind");
		other += log_limited("another kind");
	}
	assert_int_equal(n, 10);
	assert_int_equal(other, 10);
}

static void more_kinds_than_places_share_the_last(void **state)
{
	static char keys[100][16];
	int n = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		(void)snprintf(keys[i], sizeof keys[i], "key %d", i);
		n += log_limited(keys[i]);
	}
	assert_in_range(n, 60, 80);
}

static void a_redirected_stderr_is_not_taken_for_the_journal(void **state)
{
	struct stat st;
	char stream[64];

	(void)state;
	assert_int_equal(stat("/", &st), 0);
	(void)snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
		       (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open("test");
	log_text(LOG_INFO, "here");
	assert_string_equal(written(), "info here\n");
}

static void when_stderr_is_the_journal_nothing_is_written_to_it(void **state)
{
	struct stat st;
	char stream[64];

	(void)state;
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	(void)snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
		       (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open("dibao-unit-test");
	log_event(LOG_DEBUG, "511467468cba44a596ad6cb7f0f3c1c5", "to the journal", "DIBAO_LINK=x");
	log_event(LOG_INFO, "511467468cba44a596ad6cb7f0f3c1c5", "to the journal", "DIBAO_LINK=x");
	assert_string_equal(written(), "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_line_has_level_text_and_fields),
		TEST(what_is_less_urgent_than_the_level_is_not_written),
		TEST(an_unknown_level_is_refused_and_changes_nothing),
		TEST(other_peoples_bytes_cannot_forge_a_line),
		TEST(a_line_is_cut_at_its_bound),
		TEST(ten_lines_of_a_kind_a_minute_are_let_through),
		TEST(more_kinds_than_places_share_the_last),
		TEST(a_redirected_stderr_is_not_taken_for_the_journal),
		TEST(when_stderr_is_the_journal_nothing_is_written_to_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
