/* SPDX-License-Identifier: Apache-2.0 */
#include "../../clients/sms/incoming.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static bool not_me(const char *text)
{
	return incoming_is_not_me(text, strlen(text));
}

static void an_answer_says_not_me_in_many_words(void **state)
{
	static const char *const yes[] = {
		"不是本人", "我不是本人，请勿再发", "非本人",	    "你发错了", "打错电话了",
		"错号",	    "不 是 本 人",	    "Wrong number", "NOT ME!",	"我不认识他"};

	(void)state;
	for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
		assert_true(not_me(yes[i]));
}

static void all_other_answers_mean_nothing(void **state)
{
	static const char *const no[] = {"",	 "收到", "好的，谢谢", "本人已知悉",	  "TD",
					 "退订", "1",	 "\xff\xfe",   "请问到哪里签收？"};
	char longer[2000];

	(void)state;
	for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
		assert_false(not_me(no[i]));
	/* No more than the first 512 bytes are looked at. */
	memset(longer, 'x', sizeof longer);
	memcpy(longer + 1000, "notme", 5);
	assert_false(incoming_is_not_me(longer, sizeof longer));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_says_not_me_in_many_words),
		cmocka_unit_test(all_other_answers_mean_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
