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

static int n_early;
static struct entry_id early_end;

static void on_early(enum dibao_channel c, struct entry_id end, void *userdata)
{
	struct fixture *f = userdata;

	assert_int_equal(c, DIBAO_CHANNEL_PUBLIC);
	assert_int_equal(f->n_ranges, n_early); /* before the entries are there */
	n_early++;
	early_end = end;
}

static struct entry_id last_id(struct fixture *f)
{
	redisReply *r = redisCommand(f->c, "XREVRANGE " BASE "public + - COUNT 1");
	struct entry_id id;

	assert_int_equal(
		entry_id_parse(&id, r->element[0]->element[0]->str, r->element[0]->element[0]->len),
		0);
	freeReplyObject(r);
	return id;
}

/* 4096 of the largest that are read at all are more than one reply may hold. */
static void what_is_too_large_for_one_reply_is_asked_for_in_smaller_parts(void **state)
{
	struct fixture *f = *state;
	const char *fill = "local v = string.rep('x', 16385) for i = 1, ARGV[1] do "
			   "redis.call('XADD', KEYS[1], '*', 'e', v) end";
	struct entry_id half, upto;

	make_reader(f, NULL);
	publish(f, "award", "1", "");
	reply_free(redisCommand(f->c, "EVAL %s 1 " BASE "public 2047", fill));
	half = last_id(f);
	reply_free(redisCommand(f->c, "EVAL %s 1 " BASE "public 2047", fill));
	publish(f, "award", "2", "");
	upto = last_id(f);
	n_early = 0;
	assert_int_equal(reader_range(f->reader, DIBAO_CHANNEL_PUBLIC, (struct entry_id){0, 0},
				      upto, 4096, on_early, on_range, f),
			 0);
	wait_until(f, f->n_ranges == 1);
	assert_int_equal(f->range_err, 0);
	assert_int_equal(f->range_n, 1);
	assert_int_equal(entry_id_cmp(f->range_end, half), 0);
	assert_int_equal(n_early, 1);
	assert_int_equal(entry_id_cmp(early_end, half), 0);
	assert_int_equal(reader_range(f->reader, DIBAO_CHANNEL_PUBLIC, f->range_end, upto, 4096,
				      on_early, on_range, f),
			 0);
	wait_until(f, f->n_ranges == 2);
	assert_int_equal(f->range_err, 0);
	assert_int_equal(f->range_n, 2);
	assert_int_equal(entry_id_cmp(f->range_end, upto), 0);
	assert_int_equal(n_early, 2);
	assert_int_equal(entry_id_cmp(early_end, upto), 0);
}

static void a_range_that_redis_refuses_is_answered_with_an_error_and_nothing_before(void **state)
{
	struct fixture *f = *state;

	make_reader(f, NULL);
	command(f, "SET " BASE "public text");
	n_early = 0;
	assert_int_equal(reader_range(f->reader, DIBAO_CHANNEL_PUBLIC, (struct entry_id){0, 0},
				      (struct entry_id){9, 9}, 50, on_early, on_range, f),
			 0);
	wait_until(f, f->n_ranges == 1);
	assert_int_equal(f->range_err, -EIO);
	assert_int_equal(f->range_n, 0);
	assert_int_equal(n_early, 0);
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
		TEST(what_is_too_large_for_one_reply_is_asked_for_in_smaller_parts),
		TEST(a_range_that_redis_refuses_is_answered_with_an_error_and_nothing_before),
		TEST(a_range_on_a_lost_link_is_answered_with_an_error),
	};

	signal(SIGPIPE, SIG_IGN); /* as dibaod does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
