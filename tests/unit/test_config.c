/* SPDX-License-Identifier: Apache-2.0 */
#include "../../daemon/config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static char errors[4096];

/* Reads text as "f"; its errors are in `errors`. */
static int load(struct config **ret, const char *text)
{
	FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	FILE *out = fmemopen(errors, sizeof errors, "w");
	int r;

	assert_non_null(in);
	assert_non_null(out);
	errors[0] = '\0';
	r = config_parse(ret, in, "f", out);
	fclose(in);
	fclose(out);
	return r;
}

static void refused(const char *text, const char *error)
{
	struct config *c = NULL;

	assert_int_equal(load(&c, text), -EINVAL);
	assert_null(c);
	if (!strstr(errors, error)) {
		fail_msg("expected \"%s\" in \"%s\"", error, errors);
	}
}

static char *print(const struct config *c)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	config_print(c, f);
	fclose(f);
	return text;
}

static void without_a_file_all_is_default(void **state)
{
	struct config *c = NULL;

	(void)state;
	assert_int_equal(config_load(&c, NULL, NULL), 0);
	assert_string_equal(c->bureau, "3205");
	assert_int_equal(c->endpoints.n, 1);
	assert_int_equal(c->ring_bytes, 16 << 20);
	assert_int_equal(c->budget_bytes, 64 << 20);
	assert_int_equal(c->window_bytes, 1 << 20);
	assert_int_equal(c->heartbeat_ms, 15000);
	assert_int_equal(c->public_ms, UINT64_C(400) * 86400000);
	assert_int_equal(c->hold_ms, UINT64_C(14) * 86400000);
	assert_false(c->unsafe_redis);
	assert_string_equal(c->log_level, "info");
	config_free(c);
}

static void values_are_read_with_their_units(void **state)
{
	struct config *c = NULL;

	(void)state;
	assert_int_equal(load(&c, "[dibao]\n"
				  "endpoints = tcp://0.0.0.0:7320, ipc:///a  tcp://[::1]:1\n"
				  "curve_key_file = dibaod.key\naccess = /a.conf\n"
				  "[redis]\nunsafe_redis = yes\nredis = 10.0.0.1:6379\n"
				  "[fanout]\nring_bytes = 4 MiB\nwindow_bytes=256K ; comment\n"
				  "heartbeat_ms = 200\nsilence_ms = 1min\n"
				  "[retention]\nprivate_ms = 2h\ncap_bytes = 3G\n"),
			 0);
	assert_int_equal(c->endpoints.n, 3);
	assert_string_equal(c->endpoints.at[1], "ipc:///a");
	assert_true(c->unsafe_redis);
	assert_int_equal(c->ring_bytes, 4 << 20);
	assert_int_equal(c->window_bytes, 256 << 10);
	assert_int_equal(c->heartbeat_ms, 200);
	assert_int_equal(c->silence_ms, 60000);
	assert_int_equal(c->private_ms, 7200000);
	assert_int_equal(c->cap_bytes, UINT64_C(3) << 30);
	config_free(c);
}

static void a_fault_names_file_line_option_and_what_was_expected(void **state)
{
	(void)state;
	refused("[fanout]\n\nring_bytes = lots\n", "f:3: ring_bytes: expected bytes");
	refused("[fanout]\nheartbeat_ms = 1y\n", "f:2: heartbeat_ms: expected milliseconds");
	refused("[fanout]\ncatchup_percent = 91\n", "f:2: catchup_percent: expected 1 to 90");
	refused("[fanout]\ncatchup_percent = -1\n",
		"f:2: catchup_percent: expected a whole number");
	refused("[fanout]\nring_bytes = 99999999999999999999\n",
		"f:2: ring_bytes: expected 65536 to");
	refused("[fanout]\nring_bytes = 18014398509481985G\n",
		"f:2: ring_bytes: expected 65536 to");
	refused("[redis]\nunsafe_redis = perhaps\n", "f:2: unsafe_redis: expected yes or no");
	refused("[log]\nlog_level = loud\n", "f:2: log_level: expected one of debug|info");
	refused("[dibao]\nendpoints = udp://x\n",
		"f:2: endpoints: expected what begins with tcp://");
	refused("[dibao]\nendpoints =\n", "f:2: endpoints: expected at least one");
}

static void what_is_not_an_option_is_refused_with_its_line(void **state)
{
	(void)state;
	refused("[dibao]\nburo = 1\n", "f:2: unknown option in section [dibao]: buro");
	refused("[log]\nbureau = 1\n", "f:2: bureau belongs in section [dibao]");
	refused("bureau = 1\n", "f:1: bureau belongs in section [dibao]");
	refused("[dibao]\nbureau = 1\nbureau = 2\n", "f:3: bureau is set twice");
	refused("[dibao]\n\nnonsense\n", "f:3: expected [section], option = value");
	refused("[dibao\n", "f:1: expected [section]");
}

static void all_faults_of_a_file_are_told_at_once(void **state)
{
	(void)state;
	refused("[fanout]\nring_bytes = x\nlease_ms = 1\n[log]\nlog_level = y\n",
		"f:2: ring_bytes");
	assert_non_null(strstr(errors, "f:3: lease_ms"));
	assert_non_null(strstr(errors, "f:5: log_level"));
}

static void a_line_too_long_is_refused_and_not_cut_in_two(void **state)
{
	char text[4096];
	int at = snprintf(text, sizeof text, "[dibao]\ncontrol = ");

	(void)state;
	/* After the cut would come a valid option. */
	memset(text + at, ' ', 2000);
	(void)snprintf(text + at + 2000, sizeof text - (size_t)at - 2000, "io_threads = 8\n");
	refused(text, "f:2: expected lines of at most");
}

static void options_that_contradict_each_other_are_refused(void **state)
{
	(void)state;
	refused("[dibao]\nbureau = 32 05\n", "bureau: expected");
	refused("[dibao]\nbureau = {x}\n", "bureau: expected");
	refused("[redis]\nredis = redis.example:6379\n", "redis: expected unix:/path or an IP");
	refused("[fanout]\nbudget_bytes = 1M\nwindow_bytes = 2M\n", "budget_bytes: expected");
	refused("[fanout]\nsilence_ms = 15s\n", "silence_ms: expected more than heartbeat_ms");
	refused("[dibao]\nendpoints = ipc:///a tcp://*:1\n",
		"endpoints: tcp://*:1 needs curve_key_file, or insecure = yes");
	refused("[dibao]\nendpoints = tcp://*:1\ncurve_key_file = k\ninsecure = yes\n",
		"curve_key_file: expected access beside it");
	refused("[redis]\nredis_user = u\n", "redis_user: expected redis_password_file");
}

static void a_file_that_is_not_there_is_told_by_its_name(void **state)
{
	struct config *c = NULL;
	FILE *out = fmemopen(errors, sizeof errors, "w");

	(void)state;
	assert_int_equal(config_load(&c, "/nonexistent/dibaod.conf", out), -ENOENT);
	fclose(out);
	assert_non_null(strstr(errors, "/nonexistent/dibaod.conf: No such file"));
}

static void what_is_printed_reads_back_the_same(void **state)
{
	struct config *c = NULL, *again = NULL;
	char *text, *text_again;

	(void)state;
	assert_int_equal(load(&c, "[fanout]\nring_bytes = 65537\nlease_ms = 1500\n"
				  "[dibao]\nendpoints = ipc:///a ipc:///b\ncontrol =\n"),
			 0);
	text = print(c);
	assert_non_null(strstr(text, "\nring_bytes = 65537\n"));
	assert_non_null(strstr(text, "\nlease_ms = 1500ms\n")
				?: strstr(text, "\nlease_ms = 1500\n"));
	assert_int_equal(load(&again, text), 0);
	text_again = print(again);
	assert_string_equal(text, text_again);
	free(text);
	free(text_again);
	config_free(c);
	config_free(again);
}

static void a_reload_takes_what_it_may_and_names_the_rest(void **state)
{
	struct config *c = NULL, *fresh = NULL;
	FILE *out;

	(void)state;
	assert_int_equal(load(&c, ""
				  "[dibao]\nbureau = 1\n"),
			 0);
	assert_int_equal(load(&fresh, "[dibao]\nbureau = 2\nendpoints = ipc:///z\n"
				      "[fanout]\nlease_ms = 2s\nring_bytes = 1M\n"
				      "[log]\nlog_level = debug\n"),
			 0);
	out = fmemopen(errors, sizeof errors, "w");
	assert_int_equal(config_reload(c, fresh, out), 3);
	fclose(out);
	assert_string_equal(c->bureau, "1");
	assert_int_equal(c->ring_bytes, 16 << 20);
	assert_int_equal(c->lease_ms, 2000);
	assert_string_equal(c->log_level, "debug");
	assert_non_null(strstr(errors, "bureau: changes at the next restart only"));
	assert_non_null(strstr(errors, "endpoints: "));
	assert_non_null(strstr(errors, "ring_bytes: "));
	assert_null(strstr(errors, "lease_ms"));
	config_free(c);
}

static char *slurp(const char *path)
{
	char *text = calloc(1, 65536);
	FILE *f = fopen(path, "re");

	if (!f) {
		fail_msg("%s cannot be opened; tests run in the top directory", path);
	}
	assert_in_range(fread(text, 1, 65535, f), 100, 65534);
	fclose(f);
	return text;
}

static size_t count(const char *text, const char *needle)
{
	size_t n = 0;

	for (const char *at = text; (at = strstr(at, needle)); at++) {
		n++;
	}
	return n;
}

/* The shipped file and the manual against the table. */
static void file_manual_and_table_tell_the_same_options_and_defaults(void **state)
{
	char *conf = slurp("config/dibaod.conf"), *manual = slurp("daemon/dibaod.conf.5");
	char line[256], wanted[300], *save = NULL, *text;
	struct config *c = NULL;
	size_t n = 0, n_conf = 0;

	(void)state;
	assert_int_equal(config_load(&c, NULL, NULL), 0);
	text = print(c);
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		char *value = strstr(l, " = ");

		if (!value) {
			(void)snprintf(wanted, sizeof wanted, "\n%s\n", l);
			if (!strstr(conf, wanted)) {
				fail_msg("config/dibaod.conf lacks %s", l);
			}
			continue;
		}
		(void)snprintf(line, sizeof line, "%s", l);
		for (size_t len = strlen(line); line[len - 1] == ' '; len--) {
			line[len - 1] = '\0';
		}
		(void)snprintf(wanted, sizeof wanted, "\n#%s\n", line);
		if (!strstr(conf, wanted)) {
			fail_msg("config/dibaod.conf lacks: %s", wanted + 1);
		}
		*strchr(line, ' ') = '\0';
		(void)snprintf(wanted, sizeof wanted, "\n.It Cm %s No =%s\n", line,
			       value[3] ? value + 2 : "");
		if (!strstr(manual, wanted)) {
			fail_msg("dibaod.conf.5 lacks: %s", wanted + 1);
		}
		n++;
	}
	for (char *l = conf; (l = strstr(l, "\n#")); l++) {
		n_conf += l[2] != ' ' && l[2] != '\n';
	}
	assert_int_equal(n_conf, n);
	assert_int_equal(count(manual, " No ="), n);
	free(text);
	free(conf);
	free(manual);
	config_free(c);
}

static void the_shipped_file_is_valid_and_changes_nothing(void **state)
{
	struct config *c = NULL, *plain = NULL;
	char *a, *b;

	(void)state;
	assert_int_equal(config_load(&c, "config/dibaod.conf", stderr), 0);
	assert_int_equal(config_load(&plain, NULL, NULL), 0);
	a = print(c);
	b = print(plain);
	assert_string_equal(a, b);
	free(a);
	free(b);
	config_free(c);
	config_free(plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_file_all_is_default),
		cmocka_unit_test(values_are_read_with_their_units),
		cmocka_unit_test(a_fault_names_file_line_option_and_what_was_expected),
		cmocka_unit_test(what_is_not_an_option_is_refused_with_its_line),
		cmocka_unit_test(all_faults_of_a_file_are_told_at_once),
		cmocka_unit_test(a_line_too_long_is_refused_and_not_cut_in_two),
		cmocka_unit_test(options_that_contradict_each_other_are_refused),
		cmocka_unit_test(a_file_that_is_not_there_is_told_by_its_name),
		cmocka_unit_test(what_is_printed_reads_back_the_same),
		cmocka_unit_test(a_reload_takes_what_it_may_and_names_the_rest),
		cmocka_unit_test(file_manual_and_table_tell_the_same_options_and_defaults),
		cmocka_unit_test(the_shipped_file_is_valid_and_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
