/* SPDX-License-Identifier: Apache-2.0 */
/* The board's options: the table, the annotated file and the manual tell the same. */
#include "../../clients/board/board_config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static char errors[4096];

static int load(struct board_config **ret, const char *text)
{
	FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	FILE *out = fmemopen(errors, sizeof errors, "w");
	void *c = NULL;
	int r = options_parse(&c, &board_options, in, "f", out);

	errors[0] = '\0';
	fclose(in);
	fclose(out);
	if (r == 0)
		*ret = c;
	return r;
}

static void refused(const char *text, const char *error)
{
	struct board_config *c = NULL;

	assert_int_equal(load(&c, text), -EINVAL);
	if (!strstr(errors, error))
		fail_msg("expected \"%s\" in \"%s\"", error, errors);
}

static struct rules rules_of(const char *text)
{
	struct board_config *c = NULL;
	struct rules r;

	assert_int_equal(load(&c, text), 0);
	board_config_rules(c, &r);
	board_config_free(c);
	return r;
}

static char *slurp(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t cap = 0;

	if (!f)
		fail_msg("%s cannot be opened; tests run in the top directory", path);
	assert_true(getdelim(&text, &cap, '\0', f) > 0);
	fclose(f);
	return text;
}

static void a_district_and_the_bureau_follow_from_the_organisation(void **state)
{
	struct rules r = rules_of("[board]\norg = 320508530000\n");

	(void)state;
	assert_string_equal(r.own, "320508530000");
	assert_string_equal(r.district, "320508");
	assert_string_equal(r.bureau, "3205");
	assert_int_equal(r.promotion_ms, 60ll * 86400000);
	assert_int_equal(r.award_ms, 365ll * 86400000);
	assert_int_equal(r.standing_ms, 72ll * 3600000);
	r = rules_of("[board]\norg = 320508\n");
	assert_string_equal(r.district, "");
	assert_string_equal(r.bureau, "3205");
	r = rules_of("[board]\norg = 3205\n");
	assert_string_equal(r.bureau, "");
	r = rules_of("[board]\norg = 320508530000\ndistrict = none\nbureau_orgs = 32\n");
	assert_string_equal(r.district, "");
	assert_string_equal(r.bureau, "32");
}

static void a_fault_names_file_line_and_option(void **state)
{
	(void)state;
	refused("[board]\norg = x\n", "f: org: expected 12 digits");
	refused("[board]\ntypes = penalty\n", "f: types: expected promotion, award");
	refused("[board]\ntypes = awards\n", "f: types: expected promotion, award");
	refused("[board]\ndistrict = east\n", "f: district: expected auto, none");
	refused("[board]\nport = 65536\n", "f:2: port: expected 0 to 65535");
	refused("[show]\nnight_from = 25:00\nnight_to = 06:00\n", "f: night_from: expected a time");
	refused("[show]\nnight_from = 22:00\n", "f: night_from: expected night_to beside it");
	refused("[show]\norder = best\n", "f:2: order: expected one of newest|rank");
	refused("[daemon]\nserver_key = x\n", "f: server_key: expected key_file beside it");
	refused("[daemon]\nserver_key = x\nkey_file = k\n", "expected 40 characters of Z85");
	refused("[daemon]\nendpoints = udp://x\n", "f:2: endpoints: expected what begins with");
}

static void a_board_without_an_organisation_does_not_load_but_a_demonstration_does(void **state)
{
	struct board_config *c = NULL;
	FILE *out = fmemopen(errors, sizeof errors, "w");

	(void)state;
	assert_int_equal(board_config_load(&c, NULL, false, out), -EINVAL);
	fclose(out);
	assert_non_null(strstr(errors, "org: expected the code"));
	assert_int_equal(board_config_load(&c, NULL, true, stderr), 0);
	board_config_free(c);
}

static void file_manual_and_table_tell_the_same_options_and_defaults(void **state)
{
	char *conf = slurp("config/board.conf"), *manual = slurp("clients/board/dibao-board.8");
	char *printed = NULL, *save = NULL, wanted[256];
	struct board_config *c = NULL;
	size_t len, n = 0, n_conf = 0;
	FILE *f = open_memstream(&printed, &len);

	(void)state;
	assert_int_equal(load(&c, "; nothing\n"), 0);
	options_print(c, &board_options, f);
	fclose(f);
	for (char *l = strtok_r(printed, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		if (*l == '[') {
			snprintf(wanted, sizeof wanted, "\n%s\n", l);
			if (!strstr(conf, wanted))
				fail_msg("config/board.conf lacks %s", l);
			snprintf(wanted, sizeof wanted, "\n.Ss Section %s\n", l);
			if (!strstr(manual, wanted))
				fail_msg("dibao-board(8) lacks %s", l);
			continue;
		}
		n++;
		snprintf(wanted, sizeof wanted, "\n#%s", l);
		if (wanted[strlen(wanted) - 1] == ' ')
			wanted[strlen(wanted) - 1] = '\0';
		strcat(wanted, "\n");
		if (!strstr(conf, wanted))
			fail_msg("config/board.conf lacks: %s", wanted + 1);
		snprintf(wanted, sizeof wanted, "\n.It Cm %.*s\n", (int)strcspn(l, " "), l);
		if (!strstr(manual, wanted))
			fail_msg("dibao-board(8) lacks: %s", wanted + 1);
	}
	for (const char *l = conf; (l = strstr(l, "\n#")); l++)
		n_conf += l[2] != ' ' && l[2] != '\n';
	assert_int_equal(n_conf, n);
	board_config_free(c);
	free(printed);
	free(conf);
	free(manual);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_district_and_the_bureau_follow_from_the_organisation),
		cmocka_unit_test(a_fault_names_file_line_and_option),
		cmocka_unit_test(
			a_board_without_an_organisation_does_not_load_but_a_demonstration_does),
		cmocka_unit_test(file_manual_and_table_tell_the_same_options_and_defaults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
