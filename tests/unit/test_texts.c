/* SPDX-License-Identifier: Apache-2.0 */
/* The texts that are shipped, character for character. */
#include "../../clients/sms/template.h"
#include "sms_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const char *const everything[] = {"penalty.kind",
					 "penalty.reason",
					 "penalty.appeal_until",
					 "welfare_visit.kind",
					 "welfare_visit.by",
					 "welfare_visit.amount",
					 "welfare_visit.gift",
					 "mailbox_reply.mailbox",
					 "mailbox_reply.question",
					 "mailbox_reply.reply",
					 "mailbox_reply.answered_by",
					 "award.reason",
					 "award.amount",
					 "award.kind",
					 "promotion.to",
					 NULL};

static struct templates *load(bool demo, const char *const *disclose)
{
	struct template_options o = {.signature = "苏州公安", .demo = demo, .disclose = disclose};
	struct template_fault fault;
	struct templates *t;

	if (templates_load(&t, "config/sms/zh-CN", &o, &fault) < 0)
		fail_msg("%s:%u:%u: %s", fault.file, fault.line, fault.column, fault.reason);
	return t;
}

/* The text of an event in `parts` parts. */
static void says(struct templates *set, const char *json, enum template_act act, unsigned parts,
		 const char *want)
{
	const struct dibao_event *ev = event_of(json);
	const struct template *t = templates_find(set, ev, act);
	struct template_text text;

	assert_non_null(t);
	assert_false(template_is_none(t));
	assert_int_equal(template_render(t, ev, NULL, &text), 0);
	assert_string_equal(text.text, want);
	assert_int_equal(text.parts, parts);
}

#define FINAL "\"state\":\"final\""

static void a_promotion_or_award_is_told_with_its_name_when_it_is_final(void **state)
{
	struct templates *t = load(false, NULL);

	(void)state;
	says(t, PROMOTION(FINAL), TEMPLATE_NOTICE, 1,
	     "【苏州公安】欧阳𠮷同志：经研究批准，您的层级晋升为二级辅司，自12月1日起执行。"
	     "特此通知，谨致祝贺！");
	says(t, AWARD("A04", FINAL), TEMPLATE_NOTICE, 1,
	     "【苏州公安】欧阳𠮷同志：经研究决定，对您予以“岗位能手”奖励。特此通知，谨致祝贺！");
	says(t, AWARD("A04", FINAL ",\"amount\":60000,\"reason\":\"内部\""), TEMPLATE_NOTICE, 1,
	     "【苏州公安】欧阳𠮷同志：经研究决定，对您予以“岗位能手”奖励。特此通知，谨致祝贺！");
	templates_free(t);
}

static void a_proposed_one_gets_no_text(void **state)
{
	struct templates *t = load(false, NULL);

	(void)state;
	assert_true(template_is_none(templates_find(t, event_of(PROMOTION(PROPOSED)), 0)));
	assert_true(template_is_none(templates_find(t, event_of(AWARD("A08", PROPOSED)), 0)));
	templates_free(t);
}

static void penalty_visit_and_reply_are_neutral_on_a_lock_screen(void **state)
{
	struct templates *t = load(false, NULL);

	(void)state;
	says(t, PENALTY, TEMPLATE_NOTICE, 1,
	     "【苏州公安】欧阳𠮷同志：您有一份文书待签收，请于11月30日前（含当日）到督察支队 301 "
	     "室办理，联系电话0512-00000001。");
	says(t, VISIT, TEMPLATE_NOTICE, 1,
	     "【苏州公安】欧阳𠮷同志：单位定于11月27日11:00就有关事宜与您见面，地点：本人家中。"
	     "如有不便，请及时告知所在单位。");
	says(t, REPLY, TEMPLATE_NOTICE, 1,
	     "【苏州公安】欧阳𠮷同志：您的来信（编号XX-2026-"
	     "0007）已有答复，请登录公安网信箱查看。");
	says(t, PRIVATE_AWARD, TEMPLATE_NOTICE, 1,
	     "【苏州公安】欧阳𠮷同志：您有一份文书待签收，请与所在单位政工部门联系。");
	templates_free(t);
}

static void what_the_bureau_switches_on_is_told_too(void **state)
{
	struct templates *t = load(false, everything);

	(void)state;
	says(t, PENALTY, TEMPLATE_NOTICE, 2,
	     "【苏州公安】欧阳𠮷同志：您有一份文书待签收，请于11月30日前（含当日）到督察支队 301 "
	     "室办理，联系电话0512-00000001。事项：警告。（事由：迟到三次）如有异议，可于12月31日前"
	     "（含当日）提出申诉。");
	says(t, VISIT_AT("1795748400000", "\"amount\":200050"), TEMPLATE_NOTICE, 2,
	     "【苏州公安】欧阳𠮷同志：单位定于11月27日11:00就有关事宜与您见面，地点：本人家中。"
	     "如有不便，请及时告知所在单位。事由：伤病慰问。来访：局工会。慰问金2000.50元。");
	says(t, REPLY, TEMPLATE_NOTICE, 2,
	     "【苏州公安】欧阳𠮷同志：您的来信（编号XX-2026-0007）已有答复，请登录公安网信箱查看。"
	     "信箱：局长信箱。来信：“夜班餐补何时发放？”答复：“已于本月补发。 "
	     "感谢来信。”（警务保障处）");
	says(t, AWARD("A04", FINAL ",\"amount\":60000,\"reason\":\"擒获嫌疑人。\""),
	     TEMPLATE_NOTICE, 1,
	     "【苏州公安】欧阳𠮷同志：经研究决定，对您予以“岗位能手”奖励，奖金600元"
	     "（事由：擒获嫌疑人。）。特此通知，谨致祝贺！");
	templates_free(t);
}

static void corrections_and_retractions_say_what_holds_now(void **state)
{
	struct templates *t = load(false, NULL);

	(void)state;
	says(t, PENALTY, TEMPLATE_CORRECTION, 2,
	     "【苏州公安】欧阳𠮷同志：此前短信通知您签收的文书有更正，请于11月30日前（含当日）到"
	     "督察支队 301 室办理，联系电话0512-00000001，以本条为准。");
	says(t, VISIT, TEMPLATE_CORRECTION, 1,
	     "【苏州公安】欧阳𠮷同志：原定见面事宜调整为11月27日11:00，地点：本人家中，"
	     "此前短信作废，以本条为准。");
	says(t, REPLY, TEMPLATE_CORRECTION, 1,
	     "【苏州公安】欧阳𠮷同志：您的来信（编号XX-2026-0007）的答复有更正，"
	     "请登录公安网信箱重新查看，以更正后的为准。");
	says(t, PROMOTION(FINAL), TEMPLATE_CORRECTION, 1,
	     "【苏州公安】欧阳𠮷同志：更正：您的层级晋升为二级辅司，自12月1日起执行，"
	     "此前短信作废，以本条为准。");
	says(t, AWARD("A08", PROPOSED), TEMPLATE_CORRECTION, 1,
	     "【苏州公安】欧阳𠮷同志：更正：此前短信所述奖励事项尚在公示期内，请以正式通知为准。");
	says(t, RETRACTION, TEMPLATE_RETRACTION, 1,
	     "【苏州公安】欧阳𠮷同志：此前短信所述奖励事项有误，现予撤回，请以单位正式通知为准。");
	templates_free(t);
}

static void a_demonstration_bureaus_texts_say_so(void **state)
{
	struct templates *t = load(true, NULL);

	(void)state;
	says(t, REPLY, TEMPLATE_NOTICE, 1,
	     "【苏州公安】演示：欧阳𠮷同志：您的来信（编号XX-2026-0007）已有答复，"
	     "请登录公安网信箱查看。");
	templates_free(t);
	templates_free(load(true, everything));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_promotion_or_award_is_told_with_its_name_when_it_is_final),
		cmocka_unit_test(a_proposed_one_gets_no_text),
		cmocka_unit_test(penalty_visit_and_reply_are_neutral_on_a_lock_screen),
		cmocka_unit_test(what_the_bureau_switches_on_is_told_too),
		cmocka_unit_test(corrections_and_retractions_say_what_holds_now),
		cmocka_unit_test(a_demonstration_bureaus_texts_say_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
