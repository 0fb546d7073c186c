/* SPDX-License-Identifier: Apache-2.0 */
#include "../../clients/sms/sms_config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static char errors[4096];

static int load(struct sms_config **ret, const char *text)
{
	FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	FILE *out = fmemopen(errors, sizeof errors, "w");
	int r;

	errors[0] = '\0';
	r = options_parse((void **)ret, &sms_config_table, in, "f", out);
	fclose(in);
	fclose(out);
	return r;
}

static void refused(const char *text, const char *error)
{
	struct sms_config *c = NULL;

	assert_int_equal(load(&c, text), -EINVAL);
	if (!strstr(errors, error))
		fail_msg("expected \"%s\" in \"%s\"", error, errors);
}

static char *print(const struct sms_config *c)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	options_print(c, &sms_config_table, f);
	fclose(f);
	return text;
}

static void without_a_file_it_is_a_bureau_without_a_gateway(void **state)
{
	struct sms_config *c = NULL;

	(void)state;
	assert_int_equal(sms_config_load(&c, NULL, stderr), 0);
	assert_string_equal(c->gateways[0].driver, "none");
	assert_string_equal(c->gateways[1].driver, "");
	assert_string_equal(c->policy[2], "park");
	assert_int_equal(c->age_ms[3], 2 * 86400000);
	assert_int_equal(c->batch, 500);
	sms_config_free(c);
}

static void each_gateway_has_its_own_options(void **state)
{
	struct sms_config *c = NULL;

	(void)state;
	assert_int_equal(load(&c, "[gateway-1]\ndriver = spool\ndirectory = /a\nrate = 5\n"
				  "[gateway-2]\ndriver = spool\ndirectory = /b\n"),
			 0);
	assert_string_equal(c->gateways[0].directory, "/a");
	assert_string_equal(c->gateways[1].directory, "/b");
	assert_int_equal(c->gateways[0].rate, 5);
	assert_int_equal(c->gateways[1].rate, 20);
	sms_config_free(c);
	refused("[sms]\ndirectory = /a\n", "f:2: directory belongs in section [gateway-1]");
}

static void what_would_send_wrongly_is_refused(void **state)
{
	(void)state;
	refused("[gateway-1]\ndriver = smtp\n", "gateway-1: driver: expected");
	refused("[gateway-1]\ndriver = spool\n", "gateway-1: spool needs directory");
	refused("[gateway-1]\ndriver = kannel\n", "gateway-1: kannel needs url");
	refused("[gateway-1]\ndriver = kannel\nurl = ftp://x\nuser = a\npassword_file = b\n",
		"url: expected http://");
	refused("[gateway-1]\ndriver = kannel\nurl = http://x\nuser = a\npassword_file = b\n"
		"rate = 0\n",
		"rate: expected at least 1");
	refused("[gateway-1]\ndriver = kannel\nurl = http://x\nuser = a\npassword_file = b\n"
		"store_url = http://x/store-status.xml\n",
		"store_url: expected status_url");
	refused("[gateway-1]\ndriver = null\n", "needs fake = yes");
	refused("[sms]\ndemo = yes\n[gateway-1]\ndriver = kannel\nurl = http://x\nuser = a\n"
		"password_file = b\n",
		"demo = yes: only spool");
	refused("[gateway-1]\ndriver =\n", "expected one gateway at least");
	refused("[gateway-2]\ndriver = spool\ndirectory = /a\n", "none is for a bureau without");
	refused("[when]\nquiet = 9:00-5\n", "quiet: expected hh:mm-hh:mm");
	refused("[after]\npolicy_penalty = forget\n", "policy_penalty: expected one of");
	refused("[redis]\nredis = localhost\n", "redis: expected unix:/path");
	refused("[dibaod]\nkey_file = a\n", "expected both or neither");
}

static char *slurp(const char *path)
{
	char *text = calloc(1, 65536);
	FILE *f = fopen(path, "re");

	if (!f)
		fail_msg("%s cannot be opened; tests run in the top directory", path);
	assert_in_range(fread(text, 1, 65535, f), 100, 65534);
	fclose(f);
	return text;
}

/* The shipped file and the manual against the table: each option in its section with its default;
 * the manual tells a gateway's options once. */
static void file_manual_and_table_tell_the_same_options_and_defaults(void **state)
{
	char *conf = slurp("config/sms.conf"), *manual = slurp("clients/sms/dibao-sms.8");
	char wanted[700];
	size_t n_conf = 0, n_manual = 0, n = 0;

	(void)state;
	for (size_t i = 0; i < sms_config_table.n_rows; i++) {
		const struct option_spec *o = &sms_config_table.rows[i];
		char *section, *end, *at;

		snprintf(wanted, sizeof wanted, "\n[%s]\n", o->section);
		section = strstr(conf, wanted);
		if (!section)
			fail_msg("config/sms.conf lacks [%s]", o->section);
		end = strstr(section + 2, "\n[");
		snprintf(wanted, sizeof wanted, "\n#%s =%s%s\n", o->name, o->fallback[0] ? " " : "",
			 o->fallback);
		at = strstr(section, wanted);
		if (!at || (end && at > end))
			fail_msg("config/sms.conf, [%s], lacks: %s", o->section, wanted + 1);
		if (!strcmp(o->section, "gateway-2") || !strcmp(o->section, "gateway-3"))
			continue;
		n++;
		snprintf(wanted, sizeof wanted, "\n.It Cm %s No =%s%s\n", o->name,
			 o->fallback[0] ? " " : "", o->fallback);
		if (!strstr(manual, wanted))
			fail_msg("dibao-sms.8 lacks: %s", wanted + 1);
	}
	for (char *l = conf; (l = strstr(l, "\n#")); l++)
		n_conf += l[2] != ' ' && l[2] != '\n';
	for (char *l = manual; (l = strstr(l, " No =")); l++)
		n_manual++;
	assert_int_equal(n_conf, sms_config_table.n_rows);
	assert_int_equal(n_manual, n);
	free(conf);
	free(manual);
}

static bool names(const char *text, const char *end, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = text; (p = strstr(p, word)) && p < end; p++)
		if (p[-1] == ' ' && (p[len] == ' ' || p[len] == '\n'))
			return true;
	return false;
}

static void the_manual_names_what_only_a_restart_changes(void **state)
{
	static const char *const whole[] = {"dibaod", "redis", "receipts"};
	char *manual = slurp("clients/sms/dibao-sms.8"), *from, *to;

	(void)state;
	from = strstr(manual, "Only a restart changes\n");
	assert_non_null(from);
	to = strstr(from, "the log names");
	assert_non_null(to);
	for (size_t i = 0; i < sms_config_table.n_rows; i++) {
		const struct option_spec *o = &sms_config_table.rows[i];
		bool named = names(from, to, o->name), of_whole = false;

		for (size_t k = 0; k < sizeof whole / sizeof whole[0]; k++)
			of_whole |= !strcmp(o->section, whole[k]);
		if (of_whole ? o->reload : named == o->reload)
			fail_msg("[%s] %s: %s by a reload, and the manual says else", o->section,
				 o->name, o->reload ? "changed" : "not changed");
	}
	free(manual);
}

static void a_reload_is_checked_with_what_stays(void **state)
{
	struct sms_config *c = NULL, *fresh = NULL;
	char kept[512] = "";
	FILE *out, *faults;

	(void)state;
	assert_int_equal(load(&c, "[gateway-1]\ndriver = spool\ndirectory = /a\n"
				  "[dibaod]\nendpoints = ipc:///a ipc:///b\n"),
			 0);
	assert_int_equal(load(&fresh, "[gateway-1]\ndriver = spool\ndirectory = /b\nrate = 7\n"
				      "[sms]\ndemo = yes\n[text]\nsignature = ab\n"),
			 0);
	out = fmemopen(kept, sizeof kept, "w");
	assert_int_equal(options_keep(c, fresh, &sms_config_table, "mix", out, NULL), 3);
	fclose(out);
	assert_string_equal(kept, "demo: changes at the next restart only\n"
				  "endpoints: changes at the next restart only\n"
				  "gateway-1 directory: changes at the next restart only\n");
	assert_int_equal(fresh->endpoints.n, 2);
	assert_string_equal(fresh->endpoints.at[1], "ipc:///b");
	assert_false(fresh->demo);
	assert_string_equal(fresh->gateways[0].directory, "/a");
	assert_int_equal(fresh->gateways[0].rate, 7);
	assert_int_equal(options_reload(c, fresh, &sms_config_table, NULL), 0);
	assert_string_equal(c->signature, "ab");
	assert_int_equal(c->gateways[0].rate, 7);
	sms_config_free(c);

	assert_int_equal(load(&c, "[gateway-1]\ndriver = kannel\nfake = yes\nurl = http://x\n"
				  "user = a\npassword_file = b\n"),
			 0);
	assert_int_equal(load(&fresh, "[gateway-1]\ndriver = spool\ndirectory = /b\nrate = 0\n"),
			 0);
	faults = fmemopen(errors, sizeof errors, "w");
	assert_int_equal(options_keep(c, fresh, &sms_config_table, "mix", NULL, faults), -EINVAL);
	fclose(faults);
	assert_non_null(strstr(errors, "mix: gateway-1: rate: expected at least 1"));
	sms_config_free(fresh);
	sms_config_free(c);
}

static void the_shipped_file_is_valid_and_changes_nothing(void **state)
{
	struct sms_config *c = NULL, *plain = NULL;
	char *a, *b;

	(void)state;
	assert_int_equal(sms_config_load(&c, "config/sms.conf", stderr), 0);
	assert_int_equal(sms_config_load(&plain, NULL, stderr), 0);
	a = print(c);
	b = print(plain);
	assert_string_equal(a, b);
	free(a);
	free(b);
	sms_config_free(c);
	sms_config_free(plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_file_it_is_a_bureau_without_a_gateway),
		cmocka_unit_test(each_gateway_has_its_own_options),
		cmocka_unit_test(what_would_send_wrongly_is_refused),
		cmocka_unit_test(file_manual_and_table_tell_the_same_options_and_defaults),
		cmocka_unit_test(the_manual_names_what_only_a_restart_changes),
		cmocka_unit_test(a_reload_is_checked_with_what_stays),
		cmocka_unit_test(the_shipped_file_is_valid_and_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
