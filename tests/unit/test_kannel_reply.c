/* SPDX-License-Identifier: Apache-2.0 */
/* What Kannel says, as it was measured on 1.4.5; and the spool's form, which is read alike. */
#include "../../clients/sms/kannel.h"
#include "../../clients/sms/spool.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define TOKEN "0123456789abcdef0123456789abcdef"

static struct driver_result said(int status, const char *body)
{
	struct driver_reply reply = {
		.written = true, .status = status, .body = body, .len = strlen(body)};
	struct driver_result r;

	kannel_classify(&reply, &r);
	return r;
}

static void is(struct driver_result r, enum driver_outcome outcome, const char *code)
{
	assert_int_equal(r.outcome, outcome);
	assert_string_equal(r.code, code);
}

static void its_answers_say_whether_it_has_the_text(void **state)
{
	(void)state;
	is(said(202, "0: Accepted for delivery"), DRIVER_ACCEPTED, "");
	assert_false(said(202, "0: Accepted for delivery").degraded);
	is(said(202, "3: Queued for later delivery"), DRIVER_ACCEPTED, "");
	assert_true(said(202, "3: Queued for later delivery").degraded);
	is(said(400, "Missing receiver number, rejected"), DRIVER_REFUSED, "no-receiver");
	is(said(400, "Sender missing and no global set, rejected"), DRIVER_REFUSED, "bad-sender");
	is(said(403, "Authorization failed for sendsms"), DRIVER_REFUSED, "authorization");
	is(said(403, "Not routable. Do not try again."), DRIVER_REFUSED, "not-routable");
	is(said(404, "Unknown request."), DRIVER_REFUSED, "http-404");
	is(said(503, "Temporal failure, try again later."), DRIVER_REFUSED, "http-503");
	is(said(200, "<html>"), DRIVER_REFUSED, "unknown-reply");
	is(said(301, ""), DRIVER_REFUSED, "unknown-reply");
}

static void what_broke_after_something_was_written_may_have_been_sent(void **state)
{
	struct driver_reply reply = {.transport = -ECONNREFUSED, .body = ""};
	struct driver_result r;

	(void)state;
	kannel_classify(&reply, &r);
	is(r, DRIVER_REFUSED, "refused-connection");
	reply.written = true;
	kannel_classify(&reply, &r);
	assert_int_equal(r.outcome, DRIVER_AMBIGUOUS);
	reply.transport = -ETIMEDOUT;
	kannel_classify(&reply, &r);
	is(r, DRIVER_AMBIGUOUS, "timeout");
	reply.transport = -ECONNRESET;
	kannel_classify(&reply, &r);
	is(r, DRIVER_AMBIGUOUS, "reset");
	reply.transport = -EBADMSG;
	kannel_classify(&reply, &r);
	is(r, DRIVER_AMBIGUOUS, "garbage");
	is(said(502, ""), DRIVER_AMBIGUOUS, "http-502");
	is(said(504, ""), DRIVER_AMBIGUOUS, "http-504");
}

struct query {
	const char *i, *n, *k, *t, *a, *f, *r;
};

static const char *get(const void *source, const char *name)
{
	const struct query *q = source;

	switch (name[0]) {
	case 'i':
		return q->i;
	case 'n':
		return q->n;
	case 'k':
		return q->k;
	case 't':
		return q->t;
	case 'f':
		return q->f;
	case 'r':
		return q->r;
	default:
		return q->a;
	}
}

static struct driver_receipt receipt(const char *type, const char *words)
{
	struct query q = {"752d31", "2", TOKEN, type, words, "f-1", "r-1"};
	struct driver_receipt r;

	assert_int_equal(kannel_parse(get, &q, &r), 0);
	assert_string_equal(r.id, "u-1");
	assert_int_equal(r.attempt, 2);
	assert_string_equal(r.token, TOKEN);
	return r;
}

static void receipts_say_what_became_of_it_and_why(void **state)
{
	(void)state;
	assert_int_equal(receipt("1", "").news, DRIVER_NEWS_DELIVERED);
	assert_int_equal(receipt("4", "").news, DRIVER_NEWS_QUEUED);
	assert_int_equal(receipt("8", "ACK/").news, DRIVER_NEWS_ACCEPTED);
	assert_int_equal(receipt("16", "NACK/0x00000058/Throttled").news, DRIVER_NEWS_FAILED);
	assert_string_equal(receipt("16", "NACK/0x00000058/Throttled").code, "0x00000058");
	assert_string_equal(receipt("2", "id:1 sub:001 stat:UNDELIV err:009 text:").code,
			    "UNDELIV");
	assert_int_equal(receipt("2", "id:1 stat:EXPIRED err:000").news, DRIVER_NEWS_EXPIRED);
	assert_string_equal(receipt("2", "MK:0001").code, "MK:0001");
	assert_string_equal(receipt("8", "ACK/").code, "");
}

static void receipts_say_which_of_several_times_that_the_carrier_had_it(void **state)
{
	struct query q = {"75", "1", TOKEN, "1", "", NULL, NULL};
	struct driver_receipt r;

	(void)state;
	assert_string_equal(receipt("8", "ACK/").ref, "r-1");
	assert_string_equal(receipt("1", "").ref, "f-1");
	assert_string_equal(receipt("16", "NACK/x").ref, "");
	assert_int_equal(kannel_parse(get, &q, &r), 0); /* as an older version asked for it */
	assert_string_equal(r.ref, "");
	q.f = "two words, and a number: 15400000001";
	assert_int_equal(kannel_parse(get, &q, &r), 0);
	assert_int_equal(strlen(r.ref), DRIVER_REF_BYTES - 1);
	assert_int_equal(strspn(r.ref, "0123456789abcdef"), DRIVER_REF_BYTES - 1);
	q.f = "0123456789012345678901234567890123456789-";
	assert_int_equal(kannel_parse(get, &q, &r), 0);
	assert_int_equal(strspn(r.ref, "0123456789abcdef"), DRIVER_REF_BYTES - 1);
}

static void what_is_no_receipt_is_refused(void **state)
{
	static const struct query bad[] = {
		{.n = "1", .k = TOKEN, .t = "1"},
		{.i = "7", .n = "1", .k = TOKEN, .t = "1"},
		{.i = "zz", .n = "1", .k = TOKEN, .t = "1"},
		{.i = "", .n = "1", .k = TOKEN, .t = "1"},
		{.i = "7500", .n = "1", .k = TOKEN, .t = "1"}, /* a NUL in the uid */
		{.i = "75", .n = "0", .k = TOKEN, .t = "1"},
		{.i = "75", .n = "-1", .k = TOKEN, .t = "1"},
		{.i = "75", .n = "99999", .k = TOKEN, .t = "1"},
		{.i = "75", .n = "1x", .k = TOKEN, .t = "1"},
		{.i = "75", .n = "1", .k = "short", .t = "1"},
		{.i = "75", .n = "1", .k = TOKEN, .t = "3"},
		{.i = "75", .n = "1", .k = TOKEN},
	};
	struct driver_receipt r;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(kannel_parse(get, &bad[i], &r), -EBADMSG);
}

static void the_dlr_url_has_no_escape_but_kannels_four(void **state)
{
	struct driver_text t = {.id = "a%d &?/码", .attempt = 3, .token = TOKEN};
	char url[512];

	(void)state;
	assert_int_equal(
		kannel_dlr_url(url, sizeof url, "http://127.0.0.1:1/receipt", "gateway-2", &t), 0);
	assert_string_equal(url, "http://127.0.0.1:1/receipt?g=gateway-2&i=61256420263f2fe7a081&n="
				 "3&k=" TOKEN "&t=%d&a=%A&f=%F&r=%I");
	assert_int_equal(kannel_dlr_url(url, 40, "http://127.0.0.1:1/receipt", "gateway-2", &t),
			 -ENOBUFS);
}

static void its_status_says_what_waits_and_what_is_online(void **state)
{
	struct kannel_status s;

	(void)state;
	assert_int_equal(
		kannel_parse_status(
			"<?xml?><gateway><status>running, uptime 1d 2h 3m 4s</status>"
			"<sms><received><total>1</total></received>"
			"<storesize>3</storesize></sms><dlr><queued>9</queued></dlr><smscs>"
			"<count>2</count><smsc><name>A</name><status>online 5s</status>"
			"<queued>4</queued></smsc><smsc><status>re-connecting</status>"
			"<queued>0</queued></smsc></smscs></gateway>",
			&s),
		0);
	assert_int_equal(s.n_smsc, 2);
	assert_int_equal(s.n_online, 1);
	assert_int_equal(s.queued, 7);
	assert_true(s.has_store);
	assert_int_equal(s.uptime_ms, 93784000);
	assert_int_equal(kannel_parse_status("<gateway><storesize>-1</storesize><smscs>"
					     "<count>0</count></smscs></gateway>",
					     &s),
			 0);
	assert_false(s.has_store);
	assert_int_equal(s.uptime_ms, -1);
	assert_int_equal(kannel_parse_status("<gateway>\nDenied</gateway>", &s), -EBADMSG);
	assert_int_equal(kannel_parse_status("<html>Denied</html>", &s), -EBADMSG);
	assert_int_equal(kannel_parse_status("<gateway><smscs><smsc>", &s), -EBADMSG);
}

/* ---- the spool ---- */

static void a_spooled_file_is_readable_and_has_all_that_a_ferry_needs(void **state)
{
	static const struct driver_variable v[] = {{"name", "演示"}};
	struct driver_text t = {.id = "u 1",
				.attempt = 2,
				.phone = "15400000001",
				.text = "【演示】好",
				.template_id = "T1",
				.parts = 1,
				.urgent = true,
				.variables = v,
				.n_variables = 1};
	char name[SPOOL_NAME_MAX], other[SPOOL_NAME_MAX];
	size_t len;
	char *text = spool_format(&t, &len);

	(void)state;
	assert_string_equal(text, "id: u 1\nattempt: 2\nto: 15400000001\nparts: 1\ntemplate: T1\n"
				  "urgent: yes\nvar-name: 演示\n\n【演示】好\n");
	free(text);
	spool_name(name, "../../etc/passwd", 1);
	spool_name(other, "../../etc/passwd", 2);
	assert_null(strpbrk(name, "/."));
	assert_string_not_equal(name, other);
}

static void a_result_is_read_or_refused(void **state)
{
	static const char *const bad[] = {"",
					  "no colon",
					  "id: a\nattempt: 1\n",
					  "id: a\nattempt: x\nresult: delivered\n",
					  "id: a\nattempt: 1\nresult: eaten\n",
					  "id:\nattempt: 1\nresult: delivered\n"};
	char text[] = "id: u 1\r\nattempt: 2\r\nresult: failed\r\ncode: UNDELIV\r\n";
	struct spool_fields f;
	struct driver_receipt r;

	(void)state;
	assert_int_equal(spool_read(&f, text), 0);
	assert_int_equal(spool_parse(spool_get, &f, &r), 0);
	assert_string_equal(r.id, "u 1");
	assert_int_equal(r.attempt, 2);
	assert_int_equal(r.news, DRIVER_NEWS_FAILED);
	assert_string_equal(r.code, "UNDELIV");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char *copy = strdup(bad[i]);
		int e = spool_read(&f, copy);

		if (e == 0)
			e = spool_parse(spool_get, &f, &r);
		assert_int_equal(e, -EBADMSG);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_answers_say_whether_it_has_the_text),
		cmocka_unit_test(what_broke_after_something_was_written_may_have_been_sent),
		cmocka_unit_test(receipts_say_what_became_of_it_and_why),
		cmocka_unit_test(what_is_no_receipt_is_refused),
		cmocka_unit_test(the_dlr_url_has_no_escape_but_kannels_four),
		cmocka_unit_test(receipts_say_which_of_several_times_that_the_carrier_had_it),
		cmocka_unit_test(its_status_says_what_waits_and_what_is_online),
		cmocka_unit_test(a_spooled_file_is_readable_and_has_all_that_a_ferry_needs),
		cmocka_unit_test(a_result_is_read_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
