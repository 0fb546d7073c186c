/* SPDX-License-Identifier: Apache-2.0 */
/* Templates of the test's own, in a directory of its own. */
#include "../../clients/sms/template.h"
#include "sms_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/dibao-template-XXXXXX";
static struct template_fault fault;
static struct templates *set;

static void put(const char *name, const char *text)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void drop(const char *name)
{
	char path[300];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	unlink(path);
}

static int begin(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/dibao-template-XXXXXX");
	assert_non_null(mkdtemp(dir));
	put("penalty.tmpl", "---\n{name:8}同志\n");
	put("penalty.correction.tmpl", "text: none\n");
	put("penalty.retraction.tmpl", "text: none\n");
	set = NULL;
	return 0;
}

static int end(void **state)
{
	char command[300];

	(void)state;
	set = templates_free(set);
	snprintf(command, sizeof command, "rm -r %s", dir);
	return system(command);
}

static int load(const struct template_options *o)
{
	set = templates_free(set);
	return templates_load(&set, dir, o, &fault);
}

static const struct template_options plain = {.signature = "演示公安"};

/* penalty.tmpl with that text is refused there, for a reason with that in it. */
static void refused(const char *text, unsigned line, unsigned column, const char *reason)
{
	put("penalty.tmpl", text);
	assert_int_equal(load(&plain), -EINVAL);
	assert_non_null(strstr(fault.file, "/penalty.tmpl"));
	if (!strstr(fault.reason, reason))
		fail_msg("expected \"%s\", was told: %s", reason, fault.reason);
	assert_int_equal(fault.line, line);
	assert_int_equal(fault.column, column);
}

static const char *rendered(const struct template_options *o, const char *json)
{
	static struct template_text text;
	const struct template *t;

	if (load(o) < 0)
		fail_msg("%s:%u:%u: %s", fault.file, fault.line, fault.column, fault.reason);
	t = templates_find(set, event_of(json), TEMPLATE_NOTICE);
	assert_non_null(t);
	assert_int_equal(template_render(t, event_of(json), NULL, &text), 0);
	assert_int_equal(text.len, strlen(text.text));
	assert_true(text.units <= template_worst_units(t));
	return text.text;
}

static void a_field_that_the_type_has_not_is_refused_where_it_stands(void **state)
{
	(void)state;
	refused("# a comment\nparts: 2\n---\n{name:8}同志{to}\n", 4, 11, "no such field here");
	assert_non_null(strstr(fault.reason, "sign_where"));
	refused("---\n{}\n", 2, 1, "no such field");
	refused("---\n{name\n", 2, 1, "{ without }");
	refused("---\nname}\n", 2, 5, "} without {");
}

static void brackets_of_the_signature_and_line_ends_are_refused_in_a_body(void **state)
{
	(void)state;
	refused("---\n同志【警】\n", 2, 3, "for the signature alone");
	refused("---\n同志】\n", 2, 3, "for the signature alone");
	refused("---\n一行\n二行\n", 2, 3, "a line's end");
	refused("---\n一行\r二行\n", 2, 3, "a line's end");
	put("penalty.tmpl", "---\r\n一行\r\n\r\n");
	assert_int_equal(load(&plain), 0);
}

static void what_nobody_sees_is_refused_in_a_body(void **state)
{
	(void)state;
	refused("---\n同志\u200b，\n", 2, 3, "invisible");
	refused("---\n同志  好\n", 2, 4, "invisible");
	refused("---\n 同志\n", 2, 1, "invisible");
	refused("---\n同\xff\n", 2, 1, "not UTF-8");
}

static void a_set_without_a_signature_is_refused(void **state)
{
	static const char *const bad[] = {
		NULL,
		"",
		"警",
		"【演示公安】",
		"演示 公安\n",
		"一二三四五六七八九十一二三四五六七八九十一二三四五六七八九十一二三"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct template_options o = {.signature = bad[i]};

		assert_int_equal(load(&o), -EINVAL);
		assert_non_null(strstr(fault.reason, "signature"));
	}
}

static void a_worst_case_over_the_allowed_parts_is_refused_with_its_length(void **state)
{
	(void)state;
	/* A name has up to 120 units; with the signature and 同志 that is two parts and an edge. */
	refused("---\n{name}同志\n", 2, 1,
		"129 units with the signature, 2 parts, and 1 is allowed");
	put("penalty.tmpl", "parts: 2\n---\n{name}同志\n");
	assert_int_equal(load(&plain), 0);
	put("penalty.tmpl", "---\n{name:62}同志\n");
	assert_int_equal(load(&plain), 0);
	assert_int_equal(template_worst_units(templates_find(set, event_of(PENALTY), 0)), 70);
	refused("---\n{name:63}同志\n", 2, 1, "72 units");
	/* The mark of a demonstration takes its place too. */
	put("penalty.tmpl", "---\n{name:62}同志\n");
	assert_int_equal(load(&(struct template_options){.signature = "演示公安", .demo = true}),
			 -EINVAL);
	/* And a signature by the gateway. */
	assert_int_equal(load(&(struct template_options){.signature = "演示市公安局",
							 .gateway_signs = true}),
			 -EINVAL);
}

static void a_private_field_is_refused_until_it_is_switched_on(void **state)
{
	static const char *const on[] = {"penalty.kind", NULL}, *const all[] = {"penalty.*", NULL},
				 *const other[] = {"award.kind", NULL},
				 *const wrong[] = {"penalty.colour", NULL};
	struct template_options o = {.signature = "演示公安"};

	(void)state;
	refused("parts: 2\n---\n{name:8}：{kind:8}\n", 3, 10, "not switched on");
	o.disclose = other;
	assert_int_equal(load(&o), -EINVAL);
	o.disclose = wrong;
	assert_int_equal(load(&o), -EINVAL);
	assert_non_null(strstr(fault.reason, "penalty.colour"));
	o.disclose = on;
	assert_string_equal(rendered(&o, PENALTY), "【演示公安】欧阳𠮷：警告");
	o.disclose = all;
	assert_string_equal(rendered(&o, PENALTY), "【演示公安】欧阳𠮷：警告");
	/* In [ ] it is left out instead, with what stands around it. */
	put("penalty.tmpl", "parts: 2\n---\n{name:8}[（{kind:8}）]。\n");
	assert_string_equal(rendered(&plain, PENALTY), "【演示公安】欧阳𠮷。");
	assert_string_equal(rendered(&o, PENALTY), "【演示公安】欧阳𠮷（警告）。");
}

static void a_field_that_may_lack_needs_brackets_and_its_piece_goes_with_it(void **state)
{
	(void)state;
	refused("---\n{name:8}（{ref:30}）\n", 2, 10, "may lack");
	put("penalty.tmpl", "---\n{name:8}[（{ref:20}）][，{unit:8}]\\[\\{\\}\\]\\\\\n");
	assert_string_equal(rendered(&plain, PENALTY), "【演示公安】欧阳𠮷（13号）[{}]\\");
	refused("---\n{name:8}[号]\n", 2, 11, "no field within");
	refused("---\n{name:8}[{ref:3}\n", 2, 9, "[ without ]");
	refused("---\n{name:8}]\n", 2, 9, "] without [");
	refused("---\n[{ref:3}[{unit:3}]]\n", 2, 9, "[ within [ ]");
	refused("---\n{name:8}\\n\n", 2, 9, "\\ takes");
}

static void lengths_are_for_texts_and_within_reason(void **state)
{
	(void)state;
	refused("---\n{name:0}\n", 2, 6, "length of 1 to 500");
	refused("---\n{name:-3}\n", 2, 6, "length of 1 to 500");
	refused("---\n{name:501}\n", 2, 6, "length of 1 to 500");
	refused("---\n{name:x}\n", 2, 6, "length of 1 to 500");
	refused("---\n{name:}\n", 2, 6, "length of 1 to 500");
	refused("---\n{sign_by:5}\n", 2, 9, "only a text may be cut");
}

static void a_head_is_read_to_the_letter(void **state)
{
	(void)state;
	refused("colour: red\n---\n{name:8}\n", 1, 1, "no such key");
	refused("parts: 9\n---\n{name:8}\n", 1, 8, "expected 1 to 8");
	refused("parts: 0\n---\n{name:8}\n", 1, 8, "expected 1 to 8");
	refused("parts 2\n---\n{name:8}\n", 1, 1, "expected key: value");
	refused("{name:8}同志\n", 1, 1, "no such key");
	refused("# nothing\n", 2, 1, "no body");
	refused("---\n", 2, 1, "the body is empty");
	refused("text: none\n---\n同志\n", 3, 1, "and yet a body");
	refused("text: some\n", 1, 7, "expected none");
	refused("carrier: a ID 2026-13-01\n---\n{name:8}\n", 1, 10, "expected carrier");
	refused("carrier: a I 2026-01-01\ncarrier: a J 2026-01-01\n---\n{name:8}\n", 2, 10,
		"already");
}

static void a_gateway_that_wants_ids_gets_no_template_without_one(void **state)
{
	static const char *const gateways[] = {"sms-1", NULL};
	struct template_options o = {.signature = "演示公安", .gateways_with_ids = gateways};

	(void)state;
	assert_int_equal(load(&o), -EINVAL);
	assert_non_null(strstr(fault.file, "/penalty.tmpl"));
	assert_non_null(strstr(fault.reason, "gateway sms-1 wants"));
	put("penalty.tmpl", "carrier: sms-1 SMS_1001\n---\n{name:8}同志\n");
	assert_int_equal(load(&o), -EINVAL);
	assert_non_null(strstr(fault.reason, "not approved yet"));
	put("penalty.tmpl", "carrier: sms-1 SMS_1001 2026-03-01\n---\n{name:8}同志\n");
	assert_int_equal(load(&o), 0);
	assert_string_equal(template_carrier_id(templates_find(set, event_of(PENALTY), 0), "sms-1"),
			    "SMS_1001");
	assert_null(template_carrier_id(templates_find(set, event_of(PENALTY), 0), "sms-2"));
	/* A carrier's template is whole or it is another one. */
	put("penalty.tmpl", "carrier: sms-1 SMS_1001 2026-03-01\n---\n{name:8}[（{ref:20}）]\n");
	assert_int_equal(load(&o), -EINVAL);
	assert_non_null(strstr(fault.reason, "wants whole templates"));
}

static void every_case_of_a_type_has_a_template_or_says_none(void **state)
{
	(void)state;
	drop("penalty.retraction.tmpl");
	assert_int_equal(load(&plain), -EINVAL);
	assert_non_null(strstr(fault.file, "/penalty.retraction.tmpl"));
	put("penalty.retraction.tmpl", "text: none\n");
	put("award.final.tmpl", "parts: 2\n---\n{name:8}{kind:8}\n");
	assert_int_equal(load(&plain), -EINVAL);
	assert_non_null(strstr(fault.file, "/award.final.private.tmpl"));
	put("award.tmpl", "text: none\n");
	assert_int_equal(load(&plain), -EINVAL);
	assert_non_null(strstr(fault.file, "/award.correction.final.tmpl"));
	put("award.correction.tmpl", "text: none\n");
	put("award.retraction.tmpl", "text: none\n");
	assert_int_equal(load(&plain), 0);
}

static const char *found(const char *json, enum template_act act)
{
	const struct template *t = templates_find(set, event_of(json), act);

	return t ? template_name(t) : NULL;
}

static void the_template_with_the_most_words_that_fit_is_taken(void **state)
{
	(void)state;
	put("award.final.tmpl", "parts: 2\n---\n{name:8}{kind:8}\n");
	put("award.final.A08.tmpl", "parts: 2\n---\n百佳{name:8}\n");
	put("award.private.tmpl", "parts: 2\n---\n{name:8}\n");
	put("award.proposed.tmpl", "text: none\n");
	put("award.correction.tmpl", "text: none\n");
	put("award.retraction.tmpl", "parts: 2\n---\n撤回\n");
	put("award.retraction.private.tmpl", "parts: 2\n---\n文书撤回\n");
	put("penalty.P04.tmpl", "---\n{name:8}P04\n");
	put("award.z9.tmpl", "---\n{name:8}z9\n");
	if (load(&plain) < 0)
		fail_msg("%s: %s", fault.file, fault.reason);
	assert_string_equal(found(AWARD("A03", "\"state\":\"final\""), 0), "award.final");
	assert_string_equal(found(AWARD("A08", "\"state\":\"final\""), 0), "award.final.A08");
	assert_string_equal(found(AWARD("A08", PROPOSED), 0), "award.proposed");
	assert_string_equal(found(PRIVATE_AWARD, 0), "award.private");
	assert_string_equal(found(PRIVATE_PROPOSAL, 0), "award.proposed");
	assert_string_equal(found(AWARD("z9", "\"state\":\"final\""), 0), "award.z9");
	assert_string_equal(found(AWARD("A08", "\"state\":\"final\""), TEMPLATE_CORRECTION),
			    "award.correction");
	assert_string_equal(found(RETRACTION, TEMPLATE_RETRACTION), "award.retraction");
	assert_string_equal(found(PENALTY, 0), "penalty");
	assert_string_equal(found(PENALTY_P04, 0), "penalty.P04");
	assert_true(template_is_none(templates_find(set, event_of(AWARD("A08", PROPOSED)), 0)));
	/* No template for a type at all. */
	assert_null(found(VISIT, 0));
	assert_null(found(UNKNOWN_TYPE, 0));
}

static void a_files_name_is_words_that_its_type_knows_in_their_order(void **state)
{
	static const char *const bad[] = {"fine.tmpl",
					  "penalty.final.tmpl",
					  "penalty.private.tmpl",
					  "award.A08.final.tmpl",
					  "mailbox_reply.P04.tmpl",
					  "award.final.proposed.tmpl",
					  ".x.tmpl.tmpl",
					  "award.retraction.final.tmpl",
					  "award.final.A08.A09.tmpl"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		put(bad[i], "text: none\n");
		if (bad[i][0] == '.')
			assert_int_equal(load(&plain), 0); /* hidden files are an editor's */
		else
			assert_int_equal(load(&plain), -EINVAL);
		assert_int_equal(fault.line, 0);
		drop(bad[i]);
	}
	put("penalty.tmpl~", "rubbish");
	assert_int_equal(load(&plain), 0);
}

static void the_version_is_the_files_hash(void **state)
{
	char before[TEMPLATE_VERSION_BYTES];

	(void)state;
	assert_int_equal(load(&plain), 0);
	strcpy(before, template_version(templates_find(set, event_of(PENALTY), 0)));
	assert_int_equal(strlen(before), 16);
	assert_int_equal(load(&plain), 0);
	assert_string_equal(before, template_version(templates_find(set, event_of(PENALTY), 0)));
	put("penalty.tmpl", "---\n{name:8}同志。\n");
	assert_int_equal(load(&plain), 0);
	assert_string_not_equal(before,
				template_version(templates_find(set, event_of(PENALTY), 0)));
}

static void days_times_and_sums_show_as_people_write_them(void **state)
{
	(void)state;
	put("penalty.tmpl", "parts: 2\n---\n{sign_by}{telephone}\n");
	put("welfare_visit.tmpl", "parts: 2\n---\n{when}[{amount}]\n");
	put("welfare_visit.correction.tmpl", "text: none\n");
	put("welfare_visit.retraction.tmpl", "text: none\n");
	static const char *const on[] = {"welfare_visit.amount", NULL};
	struct template_options o = {.signature = "演示公安", .disclose = on};

	assert_string_equal(rendered(&o, PENALTY), "【演示公安】11月30日0512-00000001");
	/* 2026-11-24 23:30 UTC is the 25th in China, whatever the zone of this machine. */
	assert_string_equal(rendered(&o, VISIT_AT("1795563000000", "\"amount\":200000")),
			    "【演示公安】11月25日7:302000元");
}

static void another_year_is_told(void **state)
{
	(void)state;
	put("welfare_visit.tmpl", "parts: 2\n---\n{when}\n");
	put("welfare_visit.correction.tmpl", "text: none\n");
	put("welfare_visit.retraction.tmpl", "text: none\n");
	assert_string_equal(rendered(&plain, VISIT_AT("1798761600000", "\"gift\":\"米\"")),
			    "【演示公安】2027年1月1日8:00");
}

static void the_text_of_a_gateway_that_signs_has_no_signature_but_its_length(void **state)
{
	struct template_options o = {.signature = "演示公安", .gateway_signs = true};
	struct template_text text;

	(void)state;
	assert_string_equal(rendered(&o, PENALTY), "欧阳𠮷同志");
	assert_int_equal(template_render(templates_find(set, event_of(PENALTY), 0),
					 event_of(PENALTY), NULL, &text),
			 0);
	assert_int_equal(text.units, 6 + 6);
	o.demo = true;
	assert_string_equal(rendered(&o, PENALTY), "演示：欧阳𠮷同志");
}

static void the_name_is_the_rosters_and_values_come_apart_for_the_carrier(void **state)
{
	const struct roster_person person = {.name = {"欧阳 𠮷", strlen("欧阳 𠮷")}};
	struct template_text text;

	(void)state;
	put("penalty.tmpl", "parts: 2\n---\n{name:8}，{sign_by}，{sign_where:5}\n");
	assert_int_equal(load(&plain), 0);
	assert_int_equal(template_render(templates_find(set, event_of(PENALTY), 0),
					 event_of(PENALTY), &person, &text),
			 0);
	assert_string_equal(text.text, "【演示公安】欧阳 𠮷，11月30日，督察支队…");
	assert_int_equal(text.n_vars, 3);
	assert_string_equal(text.vars[0].name, "name");
	assert_string_equal(text.vars[0].value, "欧阳 𠮷");
	assert_string_equal(text.vars[2].name, "sign_where");
	assert_string_equal(text.vars[2].value, "督察支队…");
}

static void no_part_of_a_long_text_tears_a_character(void **state)
{
	struct template_text text;
	char json[4000] = "", name[200] = "";

	(void)state;
	put("penalty.tmpl", "parts: 5\n---\n{name}，{sign_where:200}\n");
	assert_int_equal(load(&plain), 0);
	for (unsigned n = 0; n < 40; n++) {
		memset(name, 'A', n);
		strcpy(name + n, "𠮷𠮷𠮷𠮷𠮷𠮷𠮷𠮷𠮷𠮷𠮷𠮷𠮷𠮷𠮷𠮷𠮷𠮷𠮷𠮷");
		snprintf(json, sizeof json, PENALTY_FORMAT, name, "室");
		assert_int_equal(template_render(templates_find(set, event_of(json), 0),
						 event_of(json), NULL, &text),
				 0);
		assert_false(smstext_is_torn(text.text, text.len, 0));
		assert_non_null(strstr(text.text, "，"));
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		T(a_field_that_the_type_has_not_is_refused_where_it_stands),
		T(brackets_of_the_signature_and_line_ends_are_refused_in_a_body),
		T(what_nobody_sees_is_refused_in_a_body),
		T(a_set_without_a_signature_is_refused),
		T(a_worst_case_over_the_allowed_parts_is_refused_with_its_length),
		T(a_private_field_is_refused_until_it_is_switched_on),
		T(a_field_that_may_lack_needs_brackets_and_its_piece_goes_with_it),
		T(lengths_are_for_texts_and_within_reason),
		T(a_head_is_read_to_the_letter),
		T(a_gateway_that_wants_ids_gets_no_template_without_one),
		T(every_case_of_a_type_has_a_template_or_says_none),
		T(the_template_with_the_most_words_that_fit_is_taken),
		T(a_files_name_is_words_that_its_type_knows_in_their_order),
		T(the_version_is_the_files_hash),
		T(days_times_and_sums_show_as_people_write_them),
		T(another_year_is_told),
		T(the_text_of_a_gateway_that_signs_has_no_signature_but_its_length),
		T(the_name_is_the_rosters_and_values_come_apart_for_the_carrier),
		T(no_part_of_a_long_text_tears_a_character),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
