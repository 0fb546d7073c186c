/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of a channel, as history asks for them. */
#include "reader_fixture.h"

static void a_range_gives_what_the_tail_gave_in_parts(void **state)
{
	struct fixture *f = *state;
	struct entry_id upto, after;
	char uid[32];

	make_reader(f, NULL);
	for (int i = 0; i < 100; i++) {
		(void)snprintf(uid, sizeof uid, "%d", i);
		publish(f, "award", uid, "");
	}
	start(f);
	wait_until(f, f->n_seen == 100);
	upto = f->seen[89].id;
	after = f->seen[9].id;
	assert_int_equal(
		reader_range(f->reader, DIBAO_CHANNEL_PUBLIC, after, upto, 50, NULL, on_range, f),
		0);
	wait_until(f, f->n_ranges == 1);
	assert_int_equal(f->range_err, 0);
	assert_int_equal(f->range_n, 50);
	assert_int_equal(entry_id_cmp(f->range_first, f->seen[10].id), 0);
	assert_int_equal(entry_id_cmp(f->range_end, f->seen[59].id), 0);
	assert_int_equal(reader_range(f->reader, DIBAO_CHANNEL_PUBLIC, f->range_end, upto, 50, NULL,
				      on_range, f),
			 0);
	wait_until(f, f->n_ranges == 2);
	assert_int_equal(f->range_n, 80);
	assert_int_equal(entry_id_cmp(f->range_end, upto), 0);
	/* An empty range is covered up to its end. */
	assert_int_equal(
		reader_range(f->reader, DIBAO_CHANNEL_PRIVATE, after, upto, 50, NULL, on_range, f),
		0);
	wait_until(f, f->n_ranges == 3);
	assert_int_equal(entry_id_cmp(f->range_end, upto), 0);
}

static void a_range_skips_what_is_not_valid(void **state)
{
	struct fixture *f = *state;
	struct entry_id all = {UINT64_MAX, UINT64_MAX};

	make_reader(f, NULL);
	publish(f, "award", "1", "");
	add_poison(f); /* and nobody tails */
	publish(f, "award", "2", "");
	assert_int_equal(reader_range(f->reader, DIBAO_CHANNEL_PUBLIC, (struct entry_id){0, 0}, all,
				      500, NULL, on_range, f),
			 0);
	wait_until(f, f->n_ranges == 1);
	assert_int_equal(f->range_err, 0);
	assert_int_equal(f->range_n, 2);
}

static void a_range_on_a_lost_link_is_answered_with_an_error(void **state)
{
	struct fixture *f = *state;
	struct entry_id all = {UINT64_MAX, UINT64_MAX};

	make_reader(f, NULL);
	assert_int_equal(reader_range(f->reader, DIBAO_CHANNEL_PUBLIC, (struct entry_id){0, 0}, all,
				      500, NULL, on_range, f),
			 0);
	redis_server_stop(&f->server);
	wait_until(f, f->n_ranges == 1);
	assert_int_equal(f->range_err, -ENOTCONN);
	assert_int_equal(reader_range(f->reader, DIBAO_CHANNEL_PUBLIC, (struct entry_id){0, 0}, all,
				      500, NULL, on_range, f),
			 -ENOTCONN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_range_gives_what_the_tail_gave_in_parts),
		TEST(a_range_skips_what_is_not_valid),
		TEST(a_range_on_a_lost_link_is_answered_with_an_error),
	};

	signal(SIGPIPE, SIG_IGN); /* as dibaod does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
