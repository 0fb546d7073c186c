/* SPDX-License-Identifier: Apache-2.0 */
#include "../../clients/sms/person.h"
#include "sms_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const int64_t at = 1795513600000, minute = 60000, day = 86400000;

static struct dibao_str str(const char *s)
{
	return (struct dibao_str){s, strlen(s)};
}

static struct roster_person somebody(void)
{
	return (struct roster_person){.name = str("欧阳𠮷"),
				      .phone = str("15400000001"),
				      .phone_since = 1000,
				      .org = str("320508530000"),
				      .opted_out = str(""),
				      .active = true};
}

/* The decision on an event for a person, a minute after it happened, with what `q` adds. */
static const char *ask(const char *json, const struct roster_person *p, struct person_query q)
{
	static const char *const decisions[] = {"send", "drop", "list", "park"};
	static char buf[80];
	struct person_rules rules = person_rules_default();
	struct person_answer a;

	rules.demo = true;
	q.event = event_of(json);
	q.person = p;
	if (!q.now_ms)
		q.now_ms = at + minute;
	a = person_check(&rules, &q);
	snprintf(buf, sizeof buf, "%s %s", decisions[a.decision], person_reason_key(a.reason));
	return buf;
}

static const struct person_query now;

#define FINAL "\"state\":\"final\""

static void who_is_on_the_roster_by_that_name_and_in_service_gets_every_kind(void **state)
{
	struct roster_person p = somebody();

	(void)state;
	assert_string_equal(ask(PENALTY, &p, now), "send ok");
	assert_string_equal(ask(AWARD("A01", FINAL), &p, now), "send ok");
	assert_string_equal(ask(VISIT, &p, now), "send ok");
	assert_string_equal(ask(REPLY, &p, now), "send ok");
	assert_string_equal(ask(RETRACTION, &p, now), "send ok");
}

static void an_anonymous_letter_and_history_are_texted_to_nobody(void **state)
{
	struct roster_person p = somebody();

	(void)state;
	assert_string_equal(ask(ANONYMOUS_REPLY, NULL, now), "drop no-person");
	assert_string_equal(ask(HEAD("penalty") WHO ISSUER
				"\"record\":true," PENALTY_BODY("P04", "室"),
				&p, now),
			    "drop record");
}

static void another_name_for_the_badge_is_never_texted(void **state)
{
	struct roster_person p = somebody();

	(void)state;
	/* A swapped badge, and a badge that somebody else has now. */
	p.name = str("王伟");
	assert_string_equal(ask(PENALTY, &p, now), "list name-differs");
	assert_string_equal(ask(AWARD("A01", FINAL), &p, now), "list name-differs");
	p.active = false;
	assert_string_equal(ask(PENALTY, &p, now), "list name-differs");
	assert_string_equal(ask(PENALTY, NULL, now), "list not-on-roster");
}

static bool same(const char *a, const char *b)
{
	return person_name_equals(str(a), str(b));
}

static void a_name_is_the_same_by_nfkc_without_blanks_and_dots(void **state)
{
	(void)state;
	assert_true(same("张三", "张三"));
	assert_true(same("张 三", "张\u3000三"));
	assert_true(same("买买提·艾力", "买买提・艾力"));
	assert_true(same("买买提•艾力", "买买提艾力"));
	assert_true(same("买买提．艾力", "买买提‧艾力"));
	assert_true(same("ＡＢ张", "AB张"));
	/* A compatibility ideograph, a variation selector, an invisible blank. */
	assert_true(same("\uf9dc", "隆"));
	assert_true(same("葛\U000e0101", "葛"));
	assert_true(same("张\u200b三\ufeff", "张三"));
	assert_true(same("王𠮷", "王𠮷"));
}

static void any_other_difference_is_another_name(void **state)
{
	(void)state;
	assert_false(same("张三", "张二"));
	assert_false(same("张三", "张三丰"));
	assert_false(same("王𠮷", "王吉"));
	assert_false(same("张偉", "张伟"));
	assert_false(same("", ""));
	assert_false(same(" ·", "·"));
	assert_false(same("\xff", "\xff"));
}

static void a_leaver_gets_penalty_and_reply_for_thirty_days_and_nothing_else(void **state)
{
	struct roster_person p = somebody();
	struct person_query late = {.now_ms = at + 2 * day};

	(void)state;
	p.active = false;
	p.left_on = at - 28 * day;
	assert_string_equal(ask(PENALTY, &p, now), "send ok");
	assert_string_equal(ask(REPLY, &p, late), "send ok");
	late.now_ms += 1;
	assert_string_equal(ask(PENALTY, &p, late), "list left-long-ago");
	assert_string_equal(ask(AWARD("A01", FINAL), &p, now), "drop left");
	assert_string_equal(ask(PROMOTION(FINAL), &p, now), "drop left");
	assert_string_equal(ask(VISIT, &p, now), "drop left");
	/* Nobody knows when. */
	p.left_on = 0;
	assert_string_equal(ask(PENALTY, &p, now), "list left-long-ago");
}

static void without_a_number_or_with_a_bad_one_it_is_listed(void **state)
{
	struct roster_person p = somebody();
	struct person_query bad = {.bad_at = at - day},
			    mended = {.bad_at = at - day, .confirmed_at = at};

	(void)state;
	assert_string_equal(ask(PENALTY, &p, bad), "list number-bad");
	assert_string_equal(ask(PENALTY, &p, mended), "send ok");
	mended.bad_at = at + 1;
	assert_string_equal(ask(PENALTY, &p, mended), "list number-bad");
	p.phone = str("");
	assert_string_equal(ask(PENALTY, &p, now), "list no-number");
}

static void an_invented_number_is_nobodys_in_a_real_bureau(void **state)
{
	struct person_rules rules = person_rules_default();
	struct roster_person p = somebody();
	struct person_query q = {.event = event_of(PENALTY), .person = &p, .now_ms = at};

	(void)state;
	assert_int_equal(person_check(&rules, &q).reason, PERSON_NUMBER_INVENTED);
	assert_int_equal(person_check(&rules, &q).decision, PERSON_LIST);
	p.phone = str("13800000001");
	assert_int_equal(person_check(&rules, &q).decision, PERSON_SEND);
}

static void a_number_shared_or_moved_gets_private_kinds_only_once_confirmed(void **state)
{
	struct roster_person p = somebody();
	struct person_query confirmed = {.confirmed_at = at - day};

	(void)state;
	p.shared = true;
	assert_string_equal(ask(PENALTY, &p, now), "park number-shared");
	assert_string_equal(ask(VISIT, &p, now), "park number-shared");
	assert_string_equal(ask(REPLY, &p, now), "park number-shared");
	assert_string_equal(ask(PRIVATE_AWARD, &p, now), "park number-shared");
	assert_string_equal(ask(AWARD("A01", FINAL), &p, now), "send ok");
	assert_string_equal(ask(PENALTY, &p, confirmed), "send ok");
	p.shared = false;
	p.moved = true;
	assert_string_equal(ask(PENALTY, &p, now), "park number-moved");
	assert_string_equal(ask(AWARD("A01", FINAL), &p, now), "send ok");
	assert_string_equal(ask(PENALTY, &p, confirmed), "send ok");
}

static void a_disputed_number_gets_nothing_until_it_is_confirmed_anew(void **state)
{
	struct roster_person p = somebody();
	struct person_query q = {.disputed_at = at - day, .confirmed_at = at - 2 * day};

	(void)state;
	assert_string_equal(ask(PENALTY, &p, q), "park number-disputed");
	assert_string_equal(ask(AWARD("A01", FINAL), &p, q), "park number-disputed");
	q.confirmed_at = at;
	assert_string_equal(ask(PENALTY, &p, q), "send ok");
}

static void nobody_opts_out_of_a_penalty_or_a_reply(void **state)
{
	struct roster_person p = somebody();

	(void)state;
	p.opted_out = str("award,penalty,mailbox_reply,welfare_visit");
	assert_string_equal(ask(AWARD("A01", FINAL), &p, now), "drop opted-out");
	assert_string_equal(ask(VISIT, &p, now), "drop opted-out");
	assert_string_equal(ask(PROMOTION(FINAL), &p, now), "send ok");
	assert_string_equal(ask(PENALTY, &p, now), "send ok");
	assert_string_equal(ask(REPLY, &p, now), "send ok");
}

static void news_grows_old_by_its_type(void **state)
{
	struct roster_person p = somebody();
	struct person_query q = {.now_ms = at + 7 * day};

	(void)state;
	assert_string_equal(ask(AWARD("A01", FINAL), &p, q), "send ok");
	assert_string_equal(ask(PENALTY, &p, q), "send ok");
	q.now_ms++;
	assert_string_equal(ask(AWARD("A01", FINAL), &p, q), "drop too-old");
	assert_string_equal(ask(PROMOTION(FINAL), &p, q), "drop too-old");
	assert_string_equal(ask(PENALTY, &p, q), "park too-old");
	assert_string_equal(ask(REPLY, &p, q), "park too-old");
	q.released = true;
	assert_string_equal(ask(PENALTY, &p, q), "send ok");
	q.released = false;
	q.now_ms = at + 2 * day;
	assert_string_equal(ask(VISIT, &p, q), "send ok");
	q.now_ms++;
	assert_string_equal(ask(VISIT, &p, q), "drop too-old");
	assert_string_equal(ask(UNKNOWN_TYPE, &p, q), "drop too-old");
	/* Last year's, of people who are not even here any more. */
	q.now_ms = at + 365 * day;
	assert_string_equal(ask(AWARD("A01", FINAL), NULL, q), "drop too-old");
	assert_string_equal(ask(VISIT, NULL, q), "drop too-old");
}

static void a_notice_held_back_on_purpose_is_as_old_as_its_day_of_publishing(void **state)
{
	struct roster_person p = somebody();
	struct person_query q = {.now_ms = at + 20 * day};
	char json[2000];

	(void)state;
	snprintf(json, sizeof json,
		 HEAD("penalty") WHO ISSUER "\"not_before\":%lld," PENALTY_BODY("P04", "室"),
		 (long long)(at + 14 * day));
	assert_string_equal(ask(json, &p, q), "send ok");
}

static void what_is_past_its_time_is_listed(void **state)
{
	struct roster_person p = somebody();
	/* The visit's time: 2026-11-27 03:00 UTC, before the notice is two days old if it is new.
	 */
	struct person_query q = {.now_ms = at + day};
	char json[2000];

	(void)state;
	snprintf(json, sizeof json, VISIT_AT("%lld", "\"gift\":\"米\""), (long long)(at + day));
	assert_string_equal(ask(json, &p, q), "list expired");
	q.now_ms--;
	assert_string_equal(ask(json, &p, q), "send ok");
	snprintf(json, sizeof json,
		 HEAD("penalty") WHO ISSUER "\"expires\":%lld," PENALTY_BODY("P04", "室"),
		 (long long)(at + 30 * day));
	q.now_ms = at + 30 * day;
	assert_string_equal(ask(json, &p, q), "list expired");
}

static void every_reason_has_a_key_and_words_and_no_two_the_same(void **state)
{
	(void)state;
	for (int i = 0; i < PERSON_N_REASONS; i++) {
		assert_non_null(person_reason_key(i));
		assert_true(strlen(person_reason_words(i)) > 5);
		for (int k = 0; k < i; k++)
			assert_string_not_equal(person_reason_key(i), person_reason_key(k));
	}
	assert_int_equal(person_unreadable().decision, PERSON_LIST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_on_the_roster_by_that_name_and_in_service_gets_every_kind),
		cmocka_unit_test(an_anonymous_letter_and_history_are_texted_to_nobody),
		cmocka_unit_test(another_name_for_the_badge_is_never_texted),
		cmocka_unit_test(a_name_is_the_same_by_nfkc_without_blanks_and_dots),
		cmocka_unit_test(any_other_difference_is_another_name),
		cmocka_unit_test(a_leaver_gets_penalty_and_reply_for_thirty_days_and_nothing_else),
		cmocka_unit_test(without_a_number_or_with_a_bad_one_it_is_listed),
		cmocka_unit_test(an_invented_number_is_nobodys_in_a_real_bureau),
		cmocka_unit_test(a_number_shared_or_moved_gets_private_kinds_only_once_confirmed),
		cmocka_unit_test(a_disputed_number_gets_nothing_until_it_is_confirmed_anew),
		cmocka_unit_test(nobody_opts_out_of_a_penalty_or_a_reply),
		cmocka_unit_test(news_grows_old_by_its_type),
		cmocka_unit_test(a_notice_held_back_on_purpose_is_as_old_as_its_day_of_publishing),
		cmocka_unit_test(what_is_past_its_time_is_listed),
		cmocka_unit_test(every_reason_has_a_key_and_words_and_no_two_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
