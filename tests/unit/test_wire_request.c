/* SPDX-License-Identifier: Apache-2.0 */
/* ASK, ANSWER, PUBLISH, OUTCOME: golden bytes, bounds, and messages cut anywhere. */
#include "wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

static uint8_t buf[65536];

static void assert_bytes(int n, const void *want, size_t len)
{
	assert_int_equal(n, len);
	assert_memory_equal(buf, want, len);
}

static void each_message_has_its_golden_bytes_and_is_read_back(void **state)
{
	struct wire_ask ask = {.id = 7, .verb = {"status", 6}}, ask_out;
	struct wire_answer answer = {.id = 7, .more = true, .json = {"{}", 2}}, answer_out;
	struct wire_publish publish = {.id = 300, .event = {"\x81\xa1v\x01", 4}}, publish_out;
	struct wire_outcome outcome = {.id = 1, .fault = 4, .text = {"no", 2}}, outcome_out;
	static const char ask_bytes[] = "Q\x82\xa2id\x07\xa2"
					"do\xa6status";
	static const char answer_bytes[] = "N\x83\xa2id\x07\xa4more\x01\xa4json\xc4\x02{}";
	static const char publish_bytes[] = "E\x82\xa2id\xcd\x01\x2c\xa2"
					    "ev\xc4\x04\x81\xa1v\x01";
	static const char outcome_bytes[] = "O\x85\xa2id\x01\xa3out\x00\xa3"
					    "err\x04\xa5"
					    "field\xa0\xa4text\xa2no";
	int n;

	(void)state;
	n = wire_ask_pack(buf, sizeof buf, &ask);
	assert_bytes(n, ask_bytes, sizeof ask_bytes - 1);
	assert_int_equal(wire_ask_unpack(&ask_out, buf, (size_t)n, NULL), 0);
	assert_int_equal(ask_out.id, 7);
	assert_memory_equal(ask_out.verb.p, "status", 6);
	n = wire_answer_pack(buf, sizeof buf, &answer);
	assert_bytes(n, answer_bytes, sizeof answer_bytes - 1);
	assert_int_equal(wire_answer_unpack(&answer_out, buf, (size_t)n), 0);
	assert_true(answer_out.more && answer_out.json.len == 2);
	n = wire_publish_pack(buf, sizeof buf, &publish);
	assert_bytes(n, publish_bytes, sizeof publish_bytes - 1);
	assert_int_equal(wire_publish_unpack(&publish_out, buf, (size_t)n, NULL), 0);
	assert_int_equal(publish_out.id, 300);
	assert_int_equal(publish_out.event.len, 4);
	n = wire_outcome_pack(buf, sizeof buf, &outcome);
	assert_bytes(n, outcome_bytes, sizeof outcome_bytes - 1);
	assert_int_equal(wire_outcome_unpack(&outcome_out, buf, (size_t)n), 0);
	assert_int_equal(outcome_out.fault, WIRE_FAULT_DENIED);
	assert_int_equal(outcome_out.outcome, 0);
	assert_int_equal(outcome_out.text.len, 2);
}

static void a_message_that_does_not_fit_is_not_packed(void **state)
{
	struct wire_publish p = {.id = 1, .event = {(const char *)buf, 16384}};
	uint8_t out[16384 + 64];
	int n = wire_publish_pack(out, sizeof out, &p);

	(void)state;
	assert_in_range(n, 16384, sizeof out);
	for (size_t cap = 0; cap < (size_t)n; cap += 37)
		assert_int_equal(wire_publish_pack(out, cap, &p), -ENOBUFS);
	p.event.len = 16385;
	n = wire_publish_pack(out, sizeof out, &p);
	assert_int_equal(wire_publish_unpack(&p, out, (size_t)n, NULL), -EBADMSG);
}

static int taken(const uint8_t *p, size_t n)
{
	struct wire_ask ask;
	struct wire_answer answer;
	struct wire_publish publish;
	struct wire_outcome outcome;

	return (wire_ask_unpack(&ask, p, n, NULL) == 0) + (wire_answer_unpack(&answer, p, n) == 0) +
	       (wire_publish_unpack(&publish, p, n, NULL) == 0) +
	       (wire_outcome_unpack(&outcome, p, n) == 0);
}

static void what_is_cut_or_lengthened_is_refused(void **state)
{
	struct wire_outcome o = {.id = 1, .outcome = 1};
	struct wire_ask a = {.id = 1, .verb = {"x", 1}};
	struct wire_publish p = {.id = 1, .event = {"x", 1}};
	struct wire_answer r = {.id = 1, .json = {"x", 1}};

	(void)state;
	for (int i = 0; i < 4; i++) {
		int n = i == 0	 ? wire_outcome_pack(buf, sizeof buf, &o)
			: i == 1 ? wire_ask_pack(buf, sizeof buf, &a)
			: i == 2 ? wire_publish_pack(buf, sizeof buf, &p)
				 : wire_answer_pack(buf, sizeof buf, &r);

		assert_int_equal(taken(buf, (size_t)n), 1);
		for (int cut = 0; cut < n; cut++) {
			uint8_t *exact = malloc((size_t)cut + 1);

			memcpy(exact, buf, (size_t)cut);
			assert_int_equal(taken(exact, (size_t)cut), 0);
			free(exact);
		}
		buf[n] = 0;
		assert_int_equal(taken(buf, (size_t)n + 1), 0);
	}
}

static void a_key_of_the_wrong_kind_or_out_of_bounds_is_named(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *why;
	} rows[] = {
		{"Q\x81\xa2id\x01", 6, "do: expected 1 to 32 bytes"},
		{"Q\x82\xa2id\xa1x\xa2"
		 "do\xa1x",
		 12, "id: expected an integer"},
		{"Q\x82\xa2id\x01\xa2"
		 "do\xa0",
		 10, "do: expected 1 to 32 bytes"},
		{"Q\x90", 2, "expected one msgpack map"},
		{"Q\x83\xa2id\x01\xa2id\x01\xa2"
		 "do\xa1x",
		 15, "expected one msgpack map"},
	};
	struct wire_ask m;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *why = "";

		assert_int_equal(wire_ask_unpack(&m, rows[i].bytes, rows[i].len, &why), -EBADMSG);
		assert_string_equal(why, rows[i].why);
	}
	assert_int_equal(wire_ask_unpack(&m,
					 "Q\x83\xa2id\x01\xa1y\xc0\xa2"
					 "do\xa1x",
					 14, NULL),
			 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_message_has_its_golden_bytes_and_is_read_back),
		cmocka_unit_test(a_message_that_does_not_fit_is_not_packed),
		cmocka_unit_test(what_is_cut_or_lengthened_is_refused),
		cmocka_unit_test(a_key_of_the_wrong_kind_or_out_of_bounds_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
