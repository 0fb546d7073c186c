/* SPDX-License-Identifier: Apache-2.0 */
#include "../../clients/sms/smstext.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

/* n characters, then tail. */
static char *text_of(unsigned n, const char *tail)
{
	static char buf[4000];
	size_t len = 0;

	for (; n; n--, len += 3)
		memcpy(buf + len, "字", 3);
	strcpy(buf + len, tail);
	return buf;
}

static int units(const char *s)
{
	return smstext_units(s, strlen(s));
}

static const char *clean(const char *s)
{
	static char buf[400];
	int n;

	strcpy(buf, s);
	n = smstext_clean(buf, strlen(buf));
	assert_true(n >= 0);
	buf[n] = '\0';
	return buf;
}

static const char *cut(const char *s, unsigned max)
{
	static char buf[400];

	strcpy(buf, s);
	buf[smstext_cut(buf, strlen(s), max)] = '\0';
	assert_true(units(buf) <= (int)max);
	return buf;
}

static const char *settle(const char *s, unsigned before)
{
	static char buf[4000];
	size_t len = strlen(s);

	strcpy(buf, s);
	assert_int_equal(smstext_settle(buf, &len, sizeof buf, before), 0);
	assert_int_equal(len, strlen(buf));
	assert_false(smstext_is_torn(buf, len, before));
	return buf;
}

static void a_character_counts_one_and_a_rare_one_two(void **state)
{
	(void)state;
	assert_int_equal(units(""), 0);
	assert_int_equal(units("A字，"), 3);
	assert_int_equal(units("𠮷"), 2);
	assert_int_equal(units("王𠮷A"), 4);
}

static void what_is_not_utf8_is_refused(void **state)
{
	static const char *const bad[] = {"\xff", "\xc0\x80", "\xed\xa0\x80", "字\xe5\xad",
					  "\xf4\x90\x80\x80"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char copy[16];

		strcpy(copy, bad[i]);
		assert_int_equal(units(copy), -EILSEQ);
		assert_int_equal(smstext_clean(copy, strlen(copy)), -EILSEQ);
	}
}

static void seventy_are_one_part_and_each_part_of_more_has_sixty_seven(void **state)
{
	static const struct {
		unsigned units, parts;
	} table[] = {{0, 0},   {1, 1},	 {70, 1},  {71, 2}, {134, 2},
		     {135, 3}, {160, 3}, {201, 3}, {202, 4}};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		assert_int_equal(smstext_parts(table[i].units), table[i].parts);
}

static void a_rare_character_at_an_edge_moves_past_it_behind_the_last_pause(void **state)
{
	char want[4000];

	(void)state;
	/* Its first half would be the 67th unit. */
	assert_true(smstext_is_torn(text_of(66, "𠮷字字字"), strlen(text_of(66, "𠮷字字字")), 0));
	assert_false(smstext_is_torn(text_of(65, "𠮷字字字"), strlen(text_of(65, "𠮷字字字")), 0));
	assert_false(smstext_is_torn(text_of(67, "𠮷字字字"), strlen(text_of(67, "𠮷字字字")), 0));
	snprintf(want, sizeof want, "%s", text_of(66, " 𠮷字字字"));
	assert_string_equal(settle(text_of(66, "𠮷字字字"), 0), want);
	snprintf(want, sizeof want, "%s", text_of(60, "。 字字字字字𠮷字字字"));
	assert_string_equal(settle(text_of(60, "。字字字字字𠮷字字字"), 0), want);
}

static void the_signature_that_a_gateway_puts_in_front_moves_the_edge(void **state)
{
	char want[4000];

	(void)state;
	assert_false(smstext_is_torn(text_of(66, "𠮷字字"), strlen(text_of(66, "𠮷字字")), 6));
	snprintf(want, sizeof want, "%s", text_of(60, " 𠮷字字字字"));
	assert_string_equal(settle(text_of(60, "𠮷字字字字"), 6), want);
}

static void a_text_of_one_part_has_no_edge(void **state)
{
	(void)state;
	assert_string_equal(settle(text_of(66, "𠮷字字"), 0), text_of(66, "𠮷字字"));
	assert_int_equal(units(text_of(66, "𠮷字字")), 70);
}

static void every_edge_of_a_long_text_is_settled(void **state)
{
	char text[4000] = "", settled[4000];
	const char *p;
	int n;

	(void)state;
	/* An odd start and nothing but rare characters: every edge but where blanks make it even.
	 */
	strcpy(text, "A");
	for (int i = 0; i < 200; i++)
		strcat(text, "𠮷");
	strcpy(settled, settle(text, 0));
	n = units(settled);
	assert_true(n > 401 && n <= 401 + 6);
	/* Nothing but blanks was added. */
	for (p = settled, n = 0; *p; p++)
		if (*p != ' ')
			settled[n++] = *p;
	settled[n] = '\0';
	assert_string_equal(settled, text);
}

static void a_pause_in_an_earlier_part_is_of_no_use(void **state)
{
	char text[4100], want[4100];

	(void)state;
	snprintf(text, sizeof text, "一，%s", text_of(64 + 67, "𠮷字"));
	snprintf(want, sizeof want, "一，%s", text_of(64 + 67, " 𠮷字"));
	assert_string_equal(settle(text, 0), want);
}

static void no_room_for_a_blank_is_told_and_the_text_left(void **state)
{
	char buf[300];
	size_t len;

	(void)state;
	strcpy(buf, text_of(66, "𠮷字字字"));
	len = strlen(buf);
	assert_int_equal(smstext_settle(buf, &len, len + 1, 0), -ENOBUFS);
	assert_int_equal(len, strlen(text_of(66, "𠮷字字字")));
}

static void values_lose_what_is_not_seen_and_keep_rare_characters(void **state)
{
	(void)state;
	assert_string_equal(clean("张\u202e三\u200b\u2066四\u2069\ufeff\u00ad"), "张三四");
	assert_string_equal(clean("a\x01\x1b[31mb\x7f\xc2\x85"
				  "c\xc2\x9b"),
			    "a[31mb c");
	assert_string_equal(clean("𠮷\U000e0101䶮\ufe00"), "𠮷\U000e0101䶮\ufe00");
	assert_string_equal(clean("a\U000e0041\xef\xbf\xbe\xf0\x9f\xbf\xbf"
				  "b"),
			    "ab");
}

static void line_ends_and_runs_of_blanks_become_one_blank(void **state)
{
	(void)state;
	assert_string_equal(clean("\n 一\r\n\r\n二\u3000\t三 \u2028"), "一 二 三");
	assert_string_equal(clean(" \u3000\n"), "");
}

static void brackets_of_the_signature_are_no_part_of_a_value(void **state)
{
	(void)state;
	assert_string_equal(clean("【退订】回T"), "〔退订〕回T");
}

static void a_value_is_cut_between_characters_and_says_so(void **state)
{
	(void)state;
	assert_string_equal(cut("一二三四", 4), "一二三四");
	assert_string_equal(cut("一二三四", 3), "一二…");
	assert_string_equal(cut("一二三四", 1), "…");
	assert_string_equal(cut("一二三四", 0), "");
	assert_string_equal(cut("ab", 1), "…");
	/* Two units fit or do not; never half of it. */
	assert_string_equal(cut("王𠮷吉祥", 4), "王𠮷…");
	assert_string_equal(cut("王𠮷吉祥", 3), "王…");
	/* A selector goes with its character. */
	assert_string_equal(cut("王葛\U000e0101吉祥如意", 4), "王…");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_character_counts_one_and_a_rare_one_two),
		cmocka_unit_test(what_is_not_utf8_is_refused),
		cmocka_unit_test(seventy_are_one_part_and_each_part_of_more_has_sixty_seven),
		cmocka_unit_test(a_rare_character_at_an_edge_moves_past_it_behind_the_last_pause),
		cmocka_unit_test(the_signature_that_a_gateway_puts_in_front_moves_the_edge),
		cmocka_unit_test(a_text_of_one_part_has_no_edge),
		cmocka_unit_test(every_edge_of_a_long_text_is_settled),
		cmocka_unit_test(a_pause_in_an_earlier_part_is_of_no_use),
		cmocka_unit_test(no_room_for_a_blank_is_told_and_the_text_left),
		cmocka_unit_test(values_lose_what_is_not_seen_and_keep_rare_characters),
		cmocka_unit_test(line_ends_and_runs_of_blanks_become_one_blank),
		cmocka_unit_test(brackets_of_the_signature_are_no_part_of_a_value),
		cmocka_unit_test(a_value_is_cut_between_characters_and_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
