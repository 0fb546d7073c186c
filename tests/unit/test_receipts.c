/* SPDX-License-Identifier: Apache-2.0 */
/* Receipts of a subscriber: sent, sent again until they are confirmed, and how many. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "subscriber_fixture.h"

enum { UNCONFIRMED_MAX = 1024 };

static struct {
	uint64_t id;
	int err;
	unsigned n;
} confirmed;

static void on_confirmed(struct dibao_subscriber *s, uint64_t id, int err, void *userdata)
{
	(void)s;
	(void)userdata;
	confirmed.id = id;
	confirmed.err = err;
	confirmed.n++;
}

static void begin(struct fixture *f)
{
	memset(&confirmed, 0, sizeof confirmed);
	f->on_confirmed = on_confirmed;
	connect_subscriber(f);
	while (dibao_subscriber_status(f->subscriber)->state != DIBAO_STATE_ACTIVE)
		dispatch(f);
}

static uint64_t report(struct fixture *f, const char *uid)
{
	uint64_t id = 0;

	assert_int_equal(dibao_subscriber_receipt(f->subscriber, uid, strlen(uid),
						  DIBAO_RECEIPT_QUEUED, NOW_MS, "q", &id),
			 0);
	return id;
}

static void expect_receipt(struct fixture *f, const char *uid, uint64_t id)
{
	struct wire_receipt r;
	uint8_t buf[1024];
	int n = expect(f, WIRE_RECEIPT, true, buf, sizeof buf);

	assert_int_equal(wire_receipt_unpack(&r, buf, (size_t)n, NULL), 0);
	assert_int_equal(r.id, id);
	assert_int_equal(r.state, DIBAO_RECEIPT_QUEUED);
	assert_int_equal(r.at_ms, NOW_MS);
	assert_memory_equal(r.key.p, uid, strlen(uid));
	assert_int_equal(r.key.len, strlen(uid));
	assert_memory_equal(r.detail.p, "q", 1);
}

static void confirm(struct fixture *f, uint64_t id, int err)
{
	unsigned before = confirmed.n;
	uint8_t buf[64];

	say(f, buf, (size_t)wire_confirm_pack(buf, sizeof buf, id, err), NULL, 0);
	for (int i = 0; confirmed.n == before && i < DEADLINE_MS / 20; i++)
		dispatch(f);
	assert_int_equal(confirmed.n, before + 1);
	assert_int_equal(confirmed.id, id);
	assert_int_equal(confirmed.err, err ? -EIO : 0);
}

static void a_receipt_is_sent_and_its_fate_is_told(void **state)
{
	struct fixture *f = *state;
	uint64_t first, second;

	begin(f);
	first = report(f, "uid-1");
	second = report(f, "uid-2");
	expect_receipt(f, "uid-1", first);
	expect_receipt(f, "uid-2", second);
	confirm(f, second, 1);
	confirm(f, first, 0);
}

/* In their order; one that was confirmed is not. */
static void what_is_not_confirmed_is_sent_again_by_the_next_connection(void **state)
{
	struct wire_goodbye g = {.reason = DIBAO_REASON_NO_SESSION};
	struct fixture *f = *state;
	uint64_t ids[4];
	uint8_t buf[64];

	begin(f);
	for (unsigned i = 0; i < 3; i++)
		ids[i] = report(f, (const char *[]){"uid-0", "uid-1", "uid-2"}[i]);
	confirm(f, ids[1], 0);
	say(f, buf, (size_t)wire_goodbye_pack(buf, sizeof buf, WIRE_GOODBYE, &g), NULL, 0);
	while (dibao_subscriber_status(f->subscriber)->state == DIBAO_STATE_ACTIVE)
		dispatch(f);
	ids[3] = report(f, "uid-3"); /* between connections */
	welcome(f);
	expect_receipt(f, "uid-0", ids[0]);
	expect_receipt(f, "uid-2", ids[2]);
	expect_receipt(f, "uid-3", ids[3]);
}

/* Not by the next connection either; what is told afterwards is, and the place is free. */
static void what_is_forgotten_is_not_sent_again(void **state)
{
	struct wire_goodbye g = {.reason = DIBAO_REASON_NO_SESSION};
	struct fixture *f = *state;
	uint64_t old, fresh;
	uint8_t buf[64];

	begin(f);
	old = report(f, "uid-0");
	expect_receipt(f, "uid-0", old);
	say(f, buf, (size_t)wire_goodbye_pack(buf, sizeof buf, WIRE_GOODBYE, &g), NULL, 0);
	while (dibao_subscriber_status(f->subscriber)->state == DIBAO_STATE_ACTIVE)
		dispatch(f);
	for (unsigned i = 1; i < UNCONFIRMED_MAX; i++)
		report(f, "uid-1"); /* between connections */
	dibao_subscriber_forget_receipts(f->subscriber);
	fresh = report(f, "uid-2");
	assert_true(fresh > old);
	welcome(f);
	expect_receipt(f, "uid-2", fresh);
	say(f, buf, (size_t)wire_confirm_pack(buf, sizeof buf, old, 0), NULL, 0);
	confirm(f, fresh, 0);
	assert_int_equal(confirmed.n, 1);
}

static void so_many_may_be_unconfirmed_and_no_more(void **state)
{
	struct fixture *f = *state;
	uint64_t id, first = 0;

	begin(f);
	for (unsigned i = 0; i < UNCONFIRMED_MAX; i++) {
		id = report(f, "uid");
		first = first ? first : id;
	}
	assert_int_equal(dibao_subscriber_receipt(f->subscriber, "uid", 3, DIBAO_RECEIPT_QUEUED, 0,
						  NULL, &id),
			 -EAGAIN);
	confirm(f, first, 0);
	report(f, "uid");
}

static void what_a_daemon_would_not_take_is_refused_here(void **state)
{
	static char long_text[512];
	struct fixture *f = *state;
	const struct {
		const char *key;
		size_t len;
		int st;
		const char *detail;
	} rows[] = {
		{"", 0, DIBAO_RECEIPT_SHOWN, NULL},
		{long_text, DIBAO_UID_MAX_BYTES + 1, DIBAO_RECEIPT_SHOWN, NULL},
		{"uid", 3, 0, NULL},
		{"uid", 3, -1, NULL},
		{"uid", 3, 256, NULL},
		{"uid", 3, DIBAO_RECEIPT_SHOWN, long_text},
		{"uid", 3, DIBAO_RECEIPT_SHOWN, "\xff"},
	};

	memset(long_text, 'x', sizeof long_text - 1);
	begin(f);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (dibao_subscriber_receipt(f->subscriber, rows[i].key, rows[i].len,
					     (enum dibao_receipt_state)rows[i].st, 0,
					     rows[i].detail, NULL) != -EINVAL)
			fail_msg("row %zu was taken", i);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_receipt_is_sent_and_its_fate_is_told),
		TEST(what_is_not_confirmed_is_sent_again_by_the_next_connection),
		TEST(what_is_forgotten_is_not_sent_again),
		TEST(so_many_may_be_unconfirmed_and_no_more),
		TEST(what_a_daemon_would_not_take_is_refused_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
