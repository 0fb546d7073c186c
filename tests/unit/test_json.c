/* SPDX-License-Identifier: Apache-2.0 */
/* Events as JSON: what goes in, what comes out, and what a person is told of a fault. */
#include "draft.h"
#include "golden.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void golden_events_become_json_and_back_unchanged(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_GOLDENS; i++) {
		size_t n, n_json, n_again;
		char *bytes = golden_read(goldens[i].name, "mp", &n), *text = NULL;
		char *json = golden_read(goldens[i].name, "json", &n_json);
		uint8_t *again = NULL;
		struct dibao_error err;

		assert_non_null(bytes);
		assert_non_null(json);
		assert_int_equal(dibao_event_to_json(bytes, n, &text), 0);
		assert_int_equal(strlen(text) + 1, n_json);
		assert_memory_equal(text, json, n_json - 1);
		assert_int_equal(dibao_event_from_json(json, n_json, 1, &again, &n_again, &err), 0);
		assert_int_equal(n_again, n);
		assert_memory_equal(again, bytes, n);
		free(bytes);
		free(json);
		free(text);
		free(again);
	}
}

/* The golden award with `from` replaced by `to`, as JSON on one line. */
static char *award_with(const char *from, const char *to)
{
	size_t n;
	char *json = golden_read("award", "json", &n), *at = strstr(json, from), *out = NULL;

	if (!at)
		fail_msg("the golden award has no %s", from);
	assert_true(asprintf(&out, "%.*s%s%s", (int)(at - json), json, to, at + strlen(from)) > 0);
	free(json);
	return out;
}

static void refused(const char *json, size_t len, int code, unsigned line, const char *field,
		    const char *reason)
{
	char *copy = malloc(len + !len);
	uint8_t *bytes = NULL;
	struct dibao_error err = {.code = 0};
	size_t n = 99;
	int r;

	memcpy(copy, json, len);
	r = dibao_event_from_json(copy, len, 7, &bytes, &n, &err);
	free(copy);
	if (r != code || err.code != code || err.line != line || strcmp(err.field, field) != 0 ||
	    !strstr(err.reason, reason))
		fail_msg("expected %d, line %u, %s: %s\ngot %d, line %u, %s: %s", code, line, field,
			 reason, r, err.line, err.field, err.reason);
	assert_null(bytes);
	assert_int_equal(n, 99);
	assert_int_equal(dibao_event_from_json(json, len, 7, &bytes, &n, NULL), code);
}

static void refused_with(const char *from, const char *to, int code, const char *field,
			 const char *reason)
{
	char *json = award_with(from, to);

	refused(json, strlen(json), code, 7, field, reason);
	free(json);
}

static void what_is_no_json_is_refused_with_line_and_column(void **state)
{
	static const struct {
		const char *text, *reason;
		unsigned line;
	} bad[] = {
		{"", "ends too early", 7},
		{"\n\n{\"v\":1,", "ends too early", 9},
		{"{\"v\":1,\n\"uid\":tomorrow}", "makes no sense, at column", 8},
		{"{\"v\":1} x", "more after its end", 7},
		{"{\"v\":1}{\"v\":1}", "more after its end", 7},
		{"{'v':1}", "makes no sense", 7},
		{"{\"v\":1,}", "makes no sense", 7},
		{"{\"v\":NaN}", "makes no sense", 7},
		{"{\"v\":-Infinity}", "makes no sense", 7},
		{"{\"v\":01}", "makes no sense", 7},
		{"{\"at\":\n99999999999999999999}", "a number beyond 64 bits, at column", 8},
		{"{\"at\":-9223372036854775809}", "a number beyond 64 bits", 7},
		{"{\"at\":1e999}", "a number beyond 64 bits", 7},
		{"{\"v\":1,\n\"uid\":\"a\",\n\"uid\":\"b\"}", "a key that stands twice, at column",
		 9},
		{"{\"uid\":\"\xff\"}", "not UTF-8", 7},
		{"{\"uid\":\"\xed\xa0\x80\"}", "not UTF-8", 7},
		{"{\"uid\":\"\xc0\x80\"}", "not UTF-8", 7},
		{"{\"uid\":\"\xe4\xb8\"}", "not UTF-8", 7},
		{"{\"\xff\":1}", "not UTF-8", 7},
		{"{\"uid\":\"\\ud800\"}", "makes no sense", 7},
		{"{\"uid\":\"a\\u0000b\"}", "a NUL character", 7},
		{"{\"u\\u0000id\":1}", "a NUL character", 7},
		{"{\"uid\":\"a\tb\"}", "makes no sense", 7},
	};
	static const char *const others[] = {"[]", "[{}]"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		refused(bad[i].text, strlen(bad[i].text), -EBADMSG, bad[i].line, "", bad[i].reason);
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		refused(others[i], strlen(others[i]), -EBADMSG, 7, "", "expected a JSON object");
	refused("{\"v\":1}\0", 8, -EBADMSG, 7, "", "not JSON");
}

static void a_fault_in_a_field_is_told_by_line_field_and_what_was_expected(void **state)
{
	(void)state;
	refused_with("\"demo-2026-12\"", "12", -EINVAL, "uid", "expected a string");
	refused_with("\"demo-2026-12\"", "null", -EINVAL, "uid", "expected a string");
	refused_with("\"uid\":\"demo-2026-12\",", "", -EINVAL, "uid", "missing");
	refused_with("\"320508530000\"", "\"3205\"", -EINVAL, "org",
		     "expected 12 bytes, got 4");
	refused_with("1795400000123", "1.5", -EINVAL, "at", "expected Unix ms");
	refused_with("1795400000123", "-1", -EINVAL, "at", "expected 0 to 253402300799999");
	refused_with("1795400000123", "\"2026-11-23T09:30\"", -EINVAL, "at", "a time with zone");
	refused_with("\"private\":false", "\"private\":0", -EINVAL, "private", "true or false");
	refused_with("\"amount\":100000", "\"amount\":\"100000\"", -EINVAL, "body.amount",
		     "expected an integer");
	refused_with("\"amount\":100000", "\"amount\":1e5", -EINVAL, "body.amount",
		     "expected an integer");
	refused_with("\"amount\":100000", "\"amount\":100000001", -EINVAL, "body.amount",
		     "expected 0 to 100000000");
	refused_with("\"amount\":100000", "\"amount\":9223372036854775807", -EINVAL, "body.amount",
		     "expected 0 to 100000000");
	refused_with("\"code\":\"HX\"", "\"code\":\"\"", -EINVAL, "body.kind.code",
		     "expected 1 to 32 bytes");
	refused_with("{\"code\":\"HX\",\"name\":\"火线奖励\"}", "\"HX\"", -EINVAL, "body.kind",
		     "expected a map");
	refused_with("{\"code\":\"HX\",\"name\":\"火线奖励\"}", "{}", -EINVAL, "body.kind.code",
		     "missing");
	refused_with("2028-02-29", "2027-02-29", -EINVAL, "body.notice_until", "a date YYYY-MM-DD");
	refused_with("\"proposed\"", "\"maybe\"", -EINVAL, "body.state", "proposed|final");
	refused_with("00010203", "0001020", -EINVAL, "trace", "expected hexadecimal digits");
	refused_with("00010203", "0001020g", -EINVAL, "trace", "expected hexadecimal digits");
	refused_with("00010203", "000102", -EINVAL, "trace", "expected 16 bytes");
	refused_with("欧阳𠮷演示", "a\\u0001b", -EINVAL, "person.name", "a control character");
	refused_with("\"v\":1", "\"v\":2", -EPROTONOSUPPORT, "v", "expected 1");
}

static char *nested(const char *key, unsigned levels)
{
	char deep[40000] = "", *json, *with = NULL;

	assert_true(levels * 2 + 2 < sizeof deep);
	memset(deep, '[', levels);
	memset(deep + levels, ']', levels);
	assert_true(asprintf(&with, "\"%s\":%s,\"amount\":", key, deep) > 0);
	json = award_with("\"amount\":", with);
	free(with);
	return json;
}

static void what_is_nested_too_deep_is_refused_at_the_level_of_the_bytes(void **state)
{
	uint8_t *bytes;
	char *json, *again;
	struct dibao_error err;
	size_t n;

	(void)state;
	/* The event and its body are two levels. */
	json = nested("later", 6);
	assert_int_equal(dibao_event_from_json(json, strlen(json), 1, &bytes, &n, &err), 0);
	assert_int_equal(dibao_event_to_json(bytes, n, &again), 0);
	assert_non_null(strstr(again, "[[[[[[]]]]]]"));
	free(again);
	free(bytes);
	free(json);
	json = nested("later", 7);
	refused(json, strlen(json), -EBADMSG, 7, "body", "nested too deep");
	free(json);
	json = nested("later", 16000);
	refused(json, strlen(json), -EBADMSG, 7, "", "nested too deep");
	free(json);
	refused_with("\"body\":", "\"ext\":{\"a\":[[[[[[[1]]]]]]]},\"body\":", -EBADMSG, "ext",
		     "nested too deep");
	json = award_with("\"body\":", "\"ext\":{\"a\":[[[[[[1]]]]]]},\"body\":");
	assert_int_equal(dibao_event_from_json(json, strlen(json), 1, &bytes, &n, &err), 0);
	free(bytes);
	free(json);
}

static void huge_input_is_refused_before_it_is_read(void **state)
{
	size_t n = 12u * DIBAO_EVENT_MAX_BYTES;
	char *json, *text = malloc(n + 2);

	(void)state;
	memset(text, ' ', n + 1);
	refused(text, n + 1, -EMSGSIZE, 7, "", "196608 bytes of JSON");
	refused(text, n, -EBADMSG, 7 + 0, "", "ends too early");
	memset(text, 'x', DIBAO_EVENT_MAX_BYTES);
	memcpy(text, "\"later\":\"", 9);
	strcpy(text + DIBAO_EVENT_MAX_BYTES, "\",\"amount\":");
	json = award_with("\"amount\":", text);
	refused(json, strlen(json), -EMSGSIZE, 7, "", "expected at most 16384 bytes");
	free(json);
	free(text);
}

static void times_and_binary_may_be_text(void **state)
{
	char *json = award_with("1795400000123", "\"2026-11-23T10:13:20.123+08:00\"");
	size_t n, n_golden;
	char *golden = golden_read("award", "mp", &n_golden);
	uint8_t *bytes = NULL;
	struct dibao_error err;

	(void)state;
	assert_int_equal(dibao_event_from_json(json, strlen(json), 1, &bytes, &n, &err), 0);
	assert_int_equal(n, n_golden);
	assert_memory_equal(bytes, golden, n);
	free(bytes);
	free(golden);
	free(json);
}

static void the_order_of_keys_in_json_does_not_matter(void **state)
{
	char *json = award_with("\"uid\":\"demo-2026-12\",", ""), *out = NULL;
	size_t n, n_golden;
	char *golden = golden_read("award", "mp", &n_golden);
	uint8_t *bytes = NULL;
	struct dibao_error err;

	(void)state;
	assert_true(asprintf(&out, "%.*s,\"uid\":\"demo-2026-12\"}", (int)strlen(json) - 2, json) >
		    0);
	assert_int_equal(dibao_event_from_json(out, strlen(out), 1, &bytes, &n, &err), 0);
	assert_int_equal(n, n_golden);
	assert_memory_equal(bytes, golden, n);
	free(bytes);
	free(golden);
	free(out);
	free(json);
}

static void a_missing_version_is_1(void **state)
{
	char *json = award_with("\"v\":1,", "");
	uint8_t *bytes = NULL;
	struct dibao_error err;
	struct dibao_event ev;
	int64_t v;
	size_t n;

	(void)state;
	assert_int_equal(dibao_event_from_json(json, strlen(json), 1, &bytes, &n, &err), 0);
	assert_int_equal(dibao_event_parse(&ev, bytes, n, &err), 0);
	assert_int_equal(dibao_event_int(&ev, "v", &v), 0);
	assert_int_equal(v, 1);
	free(bytes);
	free(json);
}

static void what_the_table_does_not_know_passes_through(void **state)
{
	static const char later[] =
		"\"later\":{\"list\":[1,-1,1.5,true,null,\"文\"],\"a long key, "
		"longer than any of the table\":-9223372036854775808},\"body\":";
	char *json = award_with("\"body\":", later), *again = NULL;
	uint8_t *bytes = NULL, *second = NULL;
	struct dibao_error err;
	struct dibao_event ev;
	size_t n, m;

	(void)state;
	assert_int_equal(dibao_event_from_json(json, strlen(json), 1, &bytes, &n, &err), 0);
	assert_int_equal(dibao_event_parse(&ev, bytes, n, &err), 0);
	assert_int_equal(ev.n_unknown, 1);
	assert_int_equal(dibao_event_to_json(bytes, n, &again), 0);
	assert_non_null(strstr(again, "[1,-1,1.5,true,null,\"文\"]"));
	assert_non_null(strstr(again, "-9223372036854775808"));
	assert_int_equal(dibao_event_from_json(again, strlen(again), 1, &second, &m, &err), 0);
	assert_int_equal(m, n);
	assert_memory_equal(second, bytes, n);
	free(json);
	free(again);
	free(bytes);
	free(second);
}

static char *json_of(const struct raw *raw)
{
	char *text = NULL;

	assert_int_equal(dibao_event_to_json(raw->p, raw->n, &text), 0);
	return text;
}

static void values_that_json_lacks_are_shown_as_near_as_it_can(void **state)
{
	static const struct {
		uint8_t n, p[10];
		const char *json;
	} values[] = {
		{9,
		 {0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		 "1.8446744073709552e19"},
		{9, {0xcb, 0x7f, 0xf8}, "null"},
		{9, {0xcb, 0xff, 0xf0}, "null"},
		{5, {0xca, 0x3f, 0xc0}, "1.5"},
		{9, {0xcb, 0x3f, 0xf8}, "1.5"},
		{3, {0xc4, 1, 0xab}, "\"ab\""},
		{3, {0xd4, 5, 0xcd}, "\"cd\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		struct raw raw = {.n = 0};
		char *text, *want;

		raw_map(&raw, 1);
		raw_str(&raw, "x", 1);
		raw_bytes(&raw, values[i].p, values[i].n);
		text = json_of(&raw);
		assert_true(asprintf(&want, "{\"x\":%s}", values[i].json) > 0);
		assert_string_equal(text, want);
		free(text);
		free(want);
	}
}

static void a_long_key_is_shown_whole(void **state)
{
	struct raw raw = {.n = 0};
	char key[300], *text;

	(void)state;
	memset(key, 'k', sizeof key);
	raw_map(&raw, 1);
	raw_str(&raw, key, sizeof key);
	raw_int(&raw, 1);
	text = json_of(&raw);
	assert_int_equal(strlen(text), sizeof key + strlen("{\"\":1}"));
	free(text);
}

static void bytes_that_are_no_sound_map_have_no_json(void **state)
{
	size_t n;
	char *bytes = golden_read("award", "mp", &n), *text = NULL;

	(void)state;
	for (size_t k = 0; k < n; k++) {
		uint8_t *copy = malloc(k + !k);

		memcpy(copy, bytes, k);
		assert_int_equal(dibao_event_to_json(copy, k, &text), -EBADMSG);
		free(copy);
	}
	assert_int_equal(dibao_event_to_json(bytes, n + 1, &text), -EBADMSG);
	assert_int_equal(dibao_event_to_json("\x90", 1, &text), -EBADMSG);
	assert_int_equal(dibao_event_to_json("\x81\x01\x01", 3, &text), -EBADMSG);
	assert_int_equal(dibao_event_to_json("\x81\xa1\xff\x01", 4, &text), -EBADMSG);
	assert_null(text);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_events_become_json_and_back_unchanged),
		cmocka_unit_test(what_is_no_json_is_refused_with_line_and_column),
		cmocka_unit_test(a_fault_in_a_field_is_told_by_line_field_and_what_was_expected),
		cmocka_unit_test(what_is_nested_too_deep_is_refused_at_the_level_of_the_bytes),
		cmocka_unit_test(huge_input_is_refused_before_it_is_read),
		cmocka_unit_test(times_and_binary_may_be_text),
		cmocka_unit_test(the_order_of_keys_in_json_does_not_matter),
		cmocka_unit_test(a_missing_version_is_1),
		cmocka_unit_test(what_the_table_does_not_know_passes_through),
		cmocka_unit_test(values_that_json_lacks_are_shown_as_near_as_it_can),
		cmocka_unit_test(a_long_key_is_shown_whole),
		cmocka_unit_test(bytes_that_are_no_sound_map_have_no_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
