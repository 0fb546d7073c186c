/* SPDX-License-Identifier: Apache-2.0 */
/* The queue's functions for durable names: leases, cursors, receipts. */
#include "queue_fixture.h"

#define TTL "60000"

static int empty_with_board(void **state)
{
	empty_redis(state);
	assert_number(call("durable", "set", "board", "1000"), 1);
	return 0;
}

/* Granted with this token? */
static bool leased(const redisReply *r, long long epoch, long long counter)
{
	assert_array(r, r->type == REDIS_REPLY_ARRAY && r->elements == 5 ? 5 : 3);
	if (r->element[0]->integer != 1)
		return false;
	assert_number(r->element[1], epoch);
	assert_number(r->element[2], counter);
	return true;
}

/* ---- leases ---- */

static void a_lease_is_for_one_instance_and_fenced_by_a_counter(void **state)
{
	redisReply *r;

	(void)state;
	r = call("lease", "board", "aa", TTL, "d1");
	assert_true(leased(r, 1, 1));
	assert_true(r->element[3]->integer > 1700000000000);
	assert_text(r->element[4], "");
	/* the same instance takes up again at once, through another daemon too */
	assert_true(leased(call("lease", "board", "aa", TTL, "d2"), 1, 1));
	r = call("lease", "board", "bb", TTL, "d3");
	assert_array(r, 3);
	assert_number(r->element[0], 0);
	assert_in_range(r->element[1]->integer, 1, atoi(TTL));
	assert_text(r->element[2], "d2");
	assert_true(leased(call("lease", "board", "aa", TTL, "d1"), 1, 1));
}

static void another_instance_gets_the_lease_when_its_time_is_over(void **state)
{
	(void)state;
	assert_true(leased(call("lease", "board", "aa", "100", "d1"), 1, 1));
	assert_false(leased(call("lease", "board", "bb", TTL, "d1"), 1, 2));
	wait_until(leased(call("lease", "board", "bb", TTL, "d1"), 1, 2));
	assert_false(leased(call("lease", "board", "aa", TTL, "d1"), 1, 3));
	assert_number(call("renew", TTL, "board", "aa", "1", "1")->element[0], 0);
	assert_number(call("renew", TTL, "board", "bb", "1", "2")->element[0], 1);
}

static void an_expired_lease_that_nobody_took_can_be_renewed(void **state)
{
	(void)state;
	assert_true(leased(call("lease", "board", "aa", "1", "d1"), 1, 1));
	wait_until(atoll(field_of("lease:board", "until")) < redis_ms());
	assert_number(call("renew", TTL, "board", "aa", "1", "1")->element[0], 1);
	assert_false(leased(call("lease", "board", "bb", TTL, "d1"), 1, 2));
}

static void renewing_answers_for_each_name(void **state)
{
	redisReply *r;

	(void)state;
	call("durable", "set", "sms", "1000");
	call("lease", "board", "aa", TTL, "d");
	call("lease", "sms", "cc", TTL, "d");
	r = call("renew", TTL, "sms", "cc", "1", "1", "none", "aa", "1", "1", "board", "aa", "2",
		 "1", "board", "aa", "1", "2", "board", "bb", "1", "1", "board", "aa", "1", "1");
	assert_array(r, 6);
	for (size_t i = 0; i < 6; i++)
		assert_number(r->element[i], i == 0 || i == 5);
}

static void a_lease_given_back_is_free_at_once(void **state)
{
	(void)state;
	call("lease", "board", "aa", TTL, "d");
	assert_number(call("unlease", "board", "bb", "1", "1"), 0);
	assert_number(call("unlease", "board", "aa", "1", "2"), 0);
	assert_false(leased(call("lease", "board", "bb", TTL, "d"), 1, 2));
	assert_number(call("unlease", "board", "aa", "1", "1"), 1);
	assert_true(leased(call("lease", "board", "bb", TTL, "d"), 1, 2));
	assert_number(call("unlease", "board", "aa", "1", "1"), 0);
}

static void only_registered_names_are_leased(void **state)
{
	(void)state;
	assert_error(call("lease", "nobody", "aa", TTL, "d"), "DIBAO_NODURABLE");
	assert_number(command("EXISTS", BASE "lease:nobody"), 0);
	assert_error(call("durable", "set", "a b", "1"), "DIBAO_INVALID");
	assert_error(call("durable", "set", "", "1"), "DIBAO_INVALID");
	assert_error(call("durable", "set", "a", "soon"), "DIBAO_INVALID");
	assert_error(call("durable", "rename", "a", "1"), "DIBAO_INVALID");
}

static void a_boards_name_has_keys_of_its_own_and_is_nobody_elses(void **state)
{
	redisReply *r;

	(void)state;
	assert_number(call("durable", "set-board", "wall", "5"), 1);
	assert_error(call("lease", "wall", "aa", TTL, "d"), "DIBAO_NODURABLE");
	assert_error(call("lease", "wall", "aa", TTL, "d", "other"), "DIBAO_NODURABLE");
	assert_error(call("lease", "board", "aa", TTL, "d", "board"), "DIBAO_NODURABLE");
	assert_true(leased(call("lease", "wall", "aa", TTL, "d", "board"), 1, 1));
	assert_true(leased(call("lease", "board", "aa", TTL, "d"), 1, 1));
	r = call("cursors", "wall", "1", "1", "5-0", "0-0", "0-0", "0-0", "board", "1", "1", "6-0",
		 "0-0", "0-0", "0-0");
	assert_array(r, 2);
	assert_string_equal(field_of("cursors-public", "wall"), "1 5-0 0-0 0-0 0-0");
	assert_string_equal(field_of("cursors", "board"), "1 6-0 0-0 0-0 0-0");
	assert_number(command("HLEN", BASE "cursors"), 1);
	assert_number(command("HLEN", BASE "cursors-public"), 1);
	assert_number(command("EXISTS", BASE "lease:wall"), 0);
	assert_number(command("EXISTS", BASE "lease-public:board"), 0);
	r = call("durables");
	assert_array(r, 8);
	assert_text(r->element[0], "board");
	assert_text(r->element[1], "1000");
	assert_text(r->element[2], "1 6-0 0-0 0-0 0-0");
	assert_number(r->element[3], 0);
	assert_text(r->element[4], "wall");
	assert_text(r->element[5], "5");
	assert_text(r->element[6], "1 5-0 0-0 0-0 0-0");
	assert_number(r->element[7], 1);
	r = call("renew", TTL, "wall", "aa", "1", "1", "board", "aa", "1", "1");
	assert_number(r->element[0], 1);
	assert_number(r->element[1], 1);
	assert_error(call("receipt", "wall", "aa", "1", "1", "k", "1", "17", ""), "DIBAO_STALE");
	assert_error(call("receipt", "board", "aa", "1", "1", "k", "1", "17", "", "board"),
		     "DIBAO_STALE");
	(void)call("receipt", "wall", "aa", "1", "1", "k", "1", "17", "", "board");
	(void)call("receipt", "", "aa", "0", "0", "k", "1", "17", "", "board");
	assert_int_equal(length_of("receipts"), 0);
	assert_int_equal(length_of("receipts-public"), 2);
	assert_number(call("unlease", "wall", "aa", "1", "1"), 1);
	assert_string_equal(field_of("lease-public:wall", "until"), "0");
}

static void a_name_changes_sides_only_when_forgotten_and_no_token_comes_again(void **state)
{
	(void)state;
	assert_error(call("durable", "set-board", "board", "1"), "DIBAO_INVALID");
	assert_true(leased(call("lease", "board", "aa", TTL, "d"), 1, 1));
	assert_number(call("durable", "forget", "board"), 1);
	assert_number(call("durable", "set-board", "board", "1"), 1);
	assert_error(call("durable", "set", "board", "1"), "DIBAO_INVALID");
	assert_true(leased(call("lease", "board", "bb", TTL, "d", "board"), 1, 2));
	assert_number(call("cursors", "board", "1", "1", "9-0", "0-0", "0-0", "0-0")->element[0],
		      0);
	assert_number(call("durable", "forget", "board"), 1);
	/* who serves boards may have written anything there */
	command("HSET", BASE "lease-public:board", "counter", "1e300");
	assert_number(call("durable", "set", "board", "1"), 1);
	assert_true(leased(call("lease", "board", "cc", TTL, "d"), 1, 2));
}

static void a_token_never_comes_again_though_a_name_is_forgotten(void **state)
{
	(void)state;
	assert_true(leased(call("lease", "board", "aa", TTL, "d"), 1, 1));
	assert_number(call("cursors", "board", "1", "1", "5-0", "0-0", "0-0", "0-0")->element[0],
		      1);
	assert_number(call("durable", "forget", "board"), 1);
	assert_string_equal(field_of("cursors", "board"), "");
	assert_number(call("renew", TTL, "board", "aa", "1", "1")->element[0], 0);
	assert_number(call("durable", "set", "board", "1000"), 1);
	assert_true(leased(call("lease", "board", "bb", TTL, "d"), 1, 2));
	assert_number(call("cursors", "board", "1", "1", "9-0", "0-0", "0-0", "0-0")->element[0],
		      0);
	assert_string_equal(field_of("cursors", "board"), "");
}

static void a_new_epoch_gives_a_new_counter_to_the_same_instance(void **state)
{
	(void)state;
	assert_true(leased(call("lease", "board", "aa", TTL, "d"), 1, 1));
	assert_number(call("epoch", "1"), 2);
	assert_number(call("renew", TTL, "board", "aa", "1", "1")->element[0], 1);
	assert_true(leased(call("lease", "board", "aa", TTL, "d"), 2, 2));
	assert_number(call("renew", TTL, "board", "aa", "1", "1")->element[0], 0);
}

/* ---- cursors ---- */

static void a_cursor_never_goes_back(void **state)
{
	(void)state;
	call("lease", "board", "aa", TTL, "d");
	assert_number(call("cursors", "board", "1", "1", "9-5", "0-0", "7-0", "0-0")->element[0],
		      1);
	assert_string_equal(field_of("cursors", "board"), "1 9-5 0-0 7-0 0-0");
	assert_number(call("cursors", "board", "1", "1", "10-1", "3-0", "6-9", "0-0")->element[0],
		      1);
	assert_string_equal(field_of("cursors", "board"), "1 10-1 3-0 7-0 0-0");
	assert_number(call("cursors", "board", "1", "1", "10-10", "0-0", "0-0", "0-0")->element[0],
		      1);
	assert_number(call("cursors", "board", "1", "1", "10-9", "0-0", "0-0", "0-0")->element[0],
		      1);
	assert_string_equal(field_of("cursors", "board"), "1 10-10 3-0 7-0 0-0");
	/* ids that a double would round to each other */
	call("cursors", "board", "1", "1", "9007199254740992-7", "0-0", "0-0", "0-0");
	call("cursors", "board", "1", "1", "9007199254740993-18446744073709551614", "0-0", "0-0",
	     "0-0");
	call("cursors", "board", "1", "1", "9007199254740993-18446744073709551615", "0-0", "0-0",
	     "0-0");
	call("cursors", "board", "1", "1", "9007199254740993-18446744073709551613", "0-0", "0-0",
	     "0-0");
	call("cursors", "board", "1", "1", "9007199254740992-0", "0-0", "0-0", "0-0");
	assert_string_equal(field_of("cursors", "board"),
			    "1 9007199254740993-18446744073709551615 3-0 7-0 0-0");
	assert_text(call("lease", "board", "aa", TTL, "d")->element[4],
		    "1 9007199254740993-18446744073709551615 3-0 7-0 0-0");
}

static void a_stale_token_moves_no_cursor(void **state)
{
	redisReply *r;

	(void)state;
	call("lease", "board", "aa", "1", "d");
	/* over, but nobody took it: who had it last may finish */
	wait_until(atoll(field_of("lease:board", "until")) < redis_ms());
	assert_number(call("cursors", "board", "1", "1", "5-0", "0-0", "0-0", "0-0")->element[0],
		      1);
	wait_until(leased(call("lease", "board", "bb", TTL, "d"), 1, 2));
	r = call("cursors", "board", "1", "1", "8-0", "0-0", "0-0", "0-0", "board", "1", "2", "6-0",
		 "0-0", "0-0", "0-0", "none", "1", "1", "6-0", "0-0", "0-0", "0-0");
	assert_array(r, 3);
	assert_number(r->element[0], 0);
	assert_number(r->element[1], 1);
	assert_number(r->element[2], 0);
	assert_string_equal(field_of("cursors", "board"), "1 6-0 0-0 0-0 0-0");
	assert_string_equal(field_of("cursors", "none"), "");
}

static void cursors_with_a_fault_write_nothing(void **state)
{
	(void)state;
	call("lease", "board", "aa", TTL, "d");
	assert_error(call("cursors", "board", "1", "1", "5-0", "0-0", "0-0", "0-0", "board", "1",
			  "1", "x", "0-0", "0-0", "0-0"),
		     "DIBAO_INVALID");
	assert_error(call("cursors", "board", "1", "1", "5-0"), "DIBAO_INVALID");
	assert_string_equal(field_of("cursors", "board"), "");
}

/* ---- receipts ---- */

static void a_receipt_is_kept_unless_its_token_is_stale(void **state)
{
	(void)state;
	call("lease", "board", "aa", TTL, "d");
	assert_int_equal(
		call("receipt", "board", "aa", "1", "1", "uid-1", "shown", "17", "ok")->type,
		REDIS_REPLY_STRING);
	assert_string_equal(newest("receipts", "name"), "board");
	assert_string_equal(newest("receipts", "instance"), "aa");
	assert_string_equal(newest("receipts", "key"), "uid-1");
	assert_string_equal(newest("receipts", "state"), "shown");
	assert_string_equal(newest("receipts", "at"), "17");
	assert_string_equal(newest("receipts", "detail"), "ok");
	assert_string_equal(newest("receipts", "token"), "1:1");
	assert_error(call("receipt", "board", "bb", "1", "1", "u", "shown", "17", ""),
		     "DIBAO_STALE");
	assert_error(call("receipt", "board", "aa", "1", "2", "u", "shown", "17", ""),
		     "DIBAO_STALE");
	assert_error(call("receipt", "none", "aa", "1", "1", "u", "shown", "17", ""),
		     "DIBAO_STALE");
	assert_int_equal(length_of("receipts"), 1);
	/* a session without a durable name has no fence */
	assert_int_equal(call("receipt", "", "cc", "0", "0", "u", "failed", "18", "")->type,
			 REDIS_REPLY_STRING);
	assert_int_equal(length_of("receipts"), 2);
}

#define T(f) cmocka_unit_test_setup(f, empty_with_board)

int main(void)
{
	const struct CMUnitTest queue_durable[] = {
		T(a_lease_is_for_one_instance_and_fenced_by_a_counter),
		T(another_instance_gets_the_lease_when_its_time_is_over),
		T(an_expired_lease_that_nobody_took_can_be_renewed),
		T(renewing_answers_for_each_name),
		T(a_lease_given_back_is_free_at_once),
		T(only_registered_names_are_leased),
		T(a_boards_name_has_keys_of_its_own_and_is_nobody_elses),
		T(a_name_changes_sides_only_when_forgotten_and_no_token_comes_again),
		T(a_token_never_comes_again_though_a_name_is_forgotten),
		T(a_new_epoch_gives_a_new_counter_to_the_same_instance),
		T(a_cursor_never_goes_back),
		T(a_stale_token_moves_no_cursor),
		T(cursors_with_a_fault_write_nothing),
		T(a_receipt_is_kept_unless_its_token_is_stale),
	};

	return cmocka_run_group_tests(queue_durable, start_redis, stop_redis);
}
