/* SPDX-License-Identifier: Apache-2.0 */
#include "../../clients/sms/backlog.h"
#include "../../clients/sms/batches.h"
#include "../../clients/sms/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { T = 1000000, BULK = 42000 };

static struct item *add(struct backlog *b, const char *uid, enum lane lane, int64_t due)
{
	struct item *i = backlog_add(b, uid, strlen(uid));

	assert_non_null(i);
	i->lane = lane;
	assert_int_equal(backlog_wait(b, i, lane, due), 0);
	return i;
}

static void the_next_is_the_first_due_and_of_equals_the_first_that_came(void **state)
{
	struct backlog *b = backlog_new();
	struct item *i;
	int64_t last = 0;
	char uid[16];

	(void)state;
	srand(1);
	for (int n = 0; n < 1000; n++) {
		snprintf(uid, sizeof uid, "u%d", n);
		add(b, uid, LANE_BULK, T + rand() % 100);
	}
	assert_null(backlog_due(b, LANE_BULK, T - 1));
	for (int n = 0; n < 500; n++) { /* from within the heap too */
		snprintf(uid, sizeof uid, "u%d", n * 2);
		backlog_unwait(b, backlog_find(b, uid, strlen(uid)));
	}
	assert_int_equal(backlog_waiting(b, LANE_BULK), 500);
	for (uint64_t seq = 0; (i = backlog_due(b, LANE_BULK, T + 100)); seq = i->seq) {
		assert_true(i->due_ms > last || (i->due_ms == last && i->seq > seq));
		last = i->due_ms;
		backlog_unwait(b, i);
	}
	assert_int_equal(backlog_count(b), 1000);
	backlog_free(b);
}

static void a_uid_is_there_once_and_found_until_it_is_removed(void **state)
{
	struct backlog *b = backlog_new();

	(void)state;
	add(b, "a", LANE_URGENT, T);
	assert_null(backlog_add(b, "a", 1));
	backlog_remove(b, backlog_find(b, "a", 1));
	assert_null(backlog_find(b, "a", 1));
	assert_int_equal(backlog_waiting(b, LANE_URGENT), 0);
	assert_int_equal(backlog_next_ms(b, LANE_URGENT), INT64_MAX);
	backlog_free(b);
}

/* As sender_run() takes them: urgent first, as many as the bucket has. */
static void an_urgent_text_overtakes_42000_at_100_parts_a_second_in_two_seconds(void **state)
{
	struct backlog *b = backlog_new();
	struct bucket bucket;
	int64_t urgent_at = T + 5000, sent_at = 0;
	unsigned n = 0;
	char uid[16];

	(void)state;
	bucket_init(&bucket, 100, T);
	for (int k = 0; k < BULK; k++) {
		snprintf(uid, sizeof uid, "u%d", k);
		add(b, uid, LANE_BULK, T);
	}
	for (int64_t now = T; !sent_at; now++) {
		struct item *i;

		if (now == urgent_at)
			add(b, "urgent", LANE_URGENT, now);
		while (bucket_has(&bucket, now) && ((i = backlog_due(b, LANE_URGENT, now)) ||
						    (i = backlog_due(b, LANE_BULK, now)))) {
			backlog_unwait(b, i);
			bucket_take(&bucket, 8, now); /* the longest */
			n++;
			if (!strcmp(i->uid, "urgent"))
				sent_at = now;
		}
	}
	assert_in_range(n, 50, 80);
	assert_true(sent_at - urgent_at <= 2000);
	backlog_free(b);
}

static void a_batch_waits_while_it_is_over_its_limit_or_not_known(void **state)
{
	struct backlog *b = backlog_new();
	struct batches all = {0};
	struct item *one = add(b, "a", LANE_BULK, T), *two = add(b, "b", LANE_BULK, T);
	struct batch *x = batches_join(&all, "r1", 2, one);

	(void)state;
	assert_false(batch_must_wait(NULL));
	assert_true(batch_must_wait(x));
	x->is_known = true;
	x->limit = 500;
	x->n = 500;
	assert_false(batch_must_wait(x));
	x->n = 501;
	assert_true(batch_must_wait(x));
	assert_ptr_equal(batches_join(&all, "r1", 2, two), x);
	backlog_unwait(b, one);
	backlog_unwait(b, two);
	batch_hold(x, one);
	batch_hold(x, two);
	batch_forget(one);
	assert_int_equal(x->n_waiting, 1);
	assert_ptr_equal(batch_take(x), two);
	assert_null(batch_take(x));
	x->released = true;
	assert_false(batch_must_wait(x));
	assert_ptr_equal(batches_find(&all, "r1", 2), x);
	assert_null(batches_find(&all, "r2", 2));
	batches_done(&all);
	backlog_free(b);
}

static void count(struct batch *x, void *userdata)
{
	*(size_t *)userdata += x->n_items;
}

static void a_batch_lasts_as_long_as_an_item_of_it_and_no_longer(void **state)
{
	enum { N = 3000 };
	struct backlog *b = backlog_new();
	struct batches all = {0};
	struct item *items[N], *other = add(b, "other", LANE_BULK, T);
	size_t n = 0;

	(void)state;
	assert_null(batches_find(&all, "r1", 2));
	assert_null(batches_join(&all, "an id that is longer than any", 29, other));
	for (unsigned k = 0; k < N; k++) {
		char uid[16], id[BATCH_ID_MAX];

		snprintf(uid, sizeof uid, "u%u", k);
		snprintf(id, sizeof id, "r%u", k / 2);
		items[k] = add(b, uid, LANE_BULK, T);
		backlog_unwait(b, items[k]);
		batch_hold(batches_join(&all, id, strlen(id), items[k]), items[k]);
	}
	batches_each(&all, count, &n);
	assert_int_equal(n, N);
	assert_int_equal(all.n, N / 2);
	for (unsigned k = 0; k < N; k += 2)
		batches_leave(&all, items[k]);
	assert_int_equal(all.n, N / 2);
	assert_ptr_equal(batch_take(batches_find(&all, "r0", 2)), items[1]);
	for (unsigned k = 0; k < N; k++)
		batches_leave(&all, items[k]);
	assert_int_equal(all.n, 0);
	assert_null(batches_find(&all, "r7", 2));
	batches_done(&all);
	backlog_free(b);
}

static void one_document_is_one_batch(void **state)
{
	char a[BATCH_ID_MAX], again[BATCH_ID_MAX], other[BATCH_ID_MAX];

	(void)state;
	batch_of_ref(a, "1", 1);
	batch_of_ref(again, "1", 1);
	batch_of_ref(other, "2", 1);
	assert_string_equal(a, again);
	assert_string_not_equal(a, other);
	assert_int_equal(a[0], 'r');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_next_is_the_first_due_and_of_equals_the_first_that_came),
		cmocka_unit_test(a_uid_is_there_once_and_found_until_it_is_removed),
		cmocka_unit_test(
			an_urgent_text_overtakes_42000_at_100_parts_a_second_in_two_seconds),
		cmocka_unit_test(a_batch_waits_while_it_is_over_its_limit_or_not_known),
		cmocka_unit_test(a_batch_lasts_as_long_as_an_item_of_it_and_no_longer),
		cmocka_unit_test(one_document_is_one_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
