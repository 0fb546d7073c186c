/* SPDX-License-Identifier: Apache-2.0 */
/* From what a session may have to its first frame: where it begins, and who has the lease. */
#include "../../daemon/starting.h"
#include "sessions_fixture.h"

static const enum dibao_channel PUBLIC = DIBAO_CHANNEL_PUBLIC, PRIVATE = DIBAO_CHANNEL_PRIVATE;

static struct client *client_from(struct fixture *f, enum dibao_start from, int64_t arg)
{
	struct client *k = client_new(f);

	k->hello.from = from;
	k->hello.from_arg = arg;
	say_hello(k);
	return k;
}

static struct entry_id at(struct fixture *f, const struct client *k, enum dibao_channel c)
{
	return session_of(f, k)->at[c].acked;
}

#define assert_id(id, want_ms, want_seq)                                                           \
	do {                                                                                       \
		struct entry_id id_ = (id);                                                        \
		assert_int_equal(id_.ms, want_ms);                                                 \
		assert_int_equal(id_.seq, want_seq);                                               \
	} while (0)

/* ---- where it begins ---- */

static void new_begins_at_the_tail(void **state)
{
	struct fixture *f = *state;
	struct client *k;

	append(f, PUBLIC, 5);
	k = client_from(f, DIBAO_START_NEW, 0);
	wait_active(f, k);
	assert_id(at(f, k, PUBLIC), 5, 0);
	wait_until(f, session_of(f, k)->at[PUBLIC].in_step);
	append(f, PUBLIC, 2);
	wait_until(f, k->n_items == 2);
	assert_int_equal(k->flags, 0);
}

static void resume_without_a_name_begins_at_the_tail_too(void **state)
{
	struct fixture *f = *state;
	struct client *k;

	append(f, PUBLIC, 5);
	k = client_from(f, DIBAO_START_RESUME, 0);
	wait_active(f, k);
	assert_id(at(f, k, PUBLIC), 5, 0);
}

/* 1000 and up: real times lie far above, so that nothing here is in the future. */
static void a_time_begins_just_before_it(void **state)
{
	struct fixture *f = *state;
	struct client *k;

	append(f, PUBLIC, 5);
	k = client_from(f, DIBAO_START_TIME, 3);
	wait_active(f, k);
	assert_id(at(f, k, PUBLIC), 2, UINT64_MAX);
	wait_until(f, k->n_items == 3); /* 3, 4 and 5 */
	assert_int_equal(k->flags, WIRE_DATA_REPLAY);
	assert_id(at(f, k, PRIVATE), 0, 0); /* the tail is the earlier one there */
}

static void a_time_of_nothing_or_less_is_the_very_beginning(void **state)
{
	struct fixture *f = *state;
	struct client *k;

	append(f, PUBLIC, 5);
	for (int64_t arg = 0; arg > -2; arg--) {
		k = client_from(f, DIBAO_START_TIME, arg);
		wait_active(f, k);
		assert_id(at(f, k, PUBLIC), 0, 0);
		wait_until(f, k->n_items == 5);
	}
}

static void a_time_to_come_begins_at_the_tail(void **state)
{
	struct fixture *f = *state;
	struct client *k;

	append(f, PUBLIC, 5);
	k = client_from(f, DIBAO_START_TIME, INT64_MAX);
	wait_active(f, k);
	assert_id(at(f, k, PUBLIC), 5, 0);
}

/* The tail's ids are ahead of Redis' clock: what came since bears the tail's time. */
static void a_time_is_taken_with_care_when_the_clock_fell_behind(void **state)
{
	struct fixture *f = *state;
	struct client *k;

	move_tail(f, PUBLIC, (struct entry_id){1000000000000, 0});
	append(f, PUBLIC, 5);
	queue_clock_set(&f->clock, 1000000000005 - QUEUE_CLOCK_ON_MS - 600000);
	k = client_from(f, DIBAO_START_TIME, 1000000000005);
	wait_active(f, k);
	assert_id(at(f, k, PUBLIC), 1000000000004, UINT64_MAX);
	k = client_from(f, DIBAO_START_TIME, 1000000900000);
	wait_active(f, k);
	assert_id(at(f, k, PUBLIC), 1000000000004, UINT64_MAX);
	k = client_from(f, DIBAO_START_TIME, 1000000000002);
	wait_active(f, k);
	assert_id(at(f, k, PUBLIC), 1000000000001, UINT64_MAX);
	queue_clock_set(&f->clock, 1000000000005 - QUEUE_CLOCK_ON_MS);
	k = client_from(f, DIBAO_START_TIME, 1000000900000);
	wait_active(f, k);
	assert_id(at(f, k, PUBLIC), 1000000000005, 0);
}

static void last_n_begins_before_the_last_n_of_each_channel(void **state)
{
	struct fixture *f = *state;
	struct client *k;

	append(f, PUBLIC, 9);
	append(f, PRIVATE, 2);
	for (int i = 1; i <= 9; i++)
		redis(f, "XADD " BASE "public %d-0 e x", i);
	for (int i = 1; i <= 2; i++)
		redis(f, "XADD " BASE "private %d-0 e x", i);
	k = client_from(f, DIBAO_START_LAST, 4);
	wait_active(f, k);
	assert_id(at(f, k, PUBLIC), 5, UINT64_MAX);
	assert_id(at(f, k, PRIVATE), 0, 0);
	wait_until(f, k->n_items == 4 + 2);
}

/* Redis has more than we have read: what we have not read is still to come. */
static void last_n_never_begins_past_the_tail(void **state)
{
	struct fixture *f = *state;
	struct client *k;

	append(f, PUBLIC, 3);
	for (int i = 1; i <= 9; i++)
		redis(f, "XADD " BASE "public %d-0 e x", i);
	k = client_from(f, DIBAO_START_LAST, 1);
	wait_active(f, k);
	assert_id(at(f, k, PUBLIC), 3, 0);
}

static void a_durable_name_goes_on_after_what_it_acknowledged(void **state)
{
	struct fixture *f = *state;
	struct client *k;
	struct session *s;

	append(f, PUBLIC, 9);
	durable(f, "gw");
	redis(f, "HSET " BASE "cursors gw %s", "1 4-0 0-0 0-0 0-0");
	k = client_named(f, "gw");
	s = wait_active(f, k);
	assert_id(at(f, k, PUBLIC), 4, 0);
	wait_until(f, k->n_items == 5);
	assert_int_equal(k->flags, WIRE_DATA_REPLAY | WIRE_DATA_MAY_REPEAT);
	/* Another daemon may have read further than we have, up to the time of the lease. */
	assert_true(s->at[PUBLIC].repeats.ms > (uint64_t)redis_ms(f) - 60000);
	assert_id(s->at[PUBLIC].repeats, s->at[PUBLIC].repeats.ms, UINT64_MAX);
}

static void repeats_may_come_up_to_the_tail_or_the_cursor_if_they_are_later(void **state)
{
	struct fixture *f = *state;
	struct client *k;

	move_tail(f, PUBLIC, (struct entry_id){99999999999999, 7});
	durable(f, "gw");
	redis(f, "HSET " BASE "cursors gw %s", "1 4-0 99999999999998-8 0-0 0-0");
	k = client_named(f, "gw");
	wait_active(f, k);
	assert_id(session_of(f, k)->at[PUBLIC].repeats, 99999999999999, 7);
	assert_id(session_of(f, k)->at[PRIVATE].repeats, 99999999999998, 8);
}

static void a_name_that_comes_for_the_first_time_repeats_nothing(void **state)
{
	struct fixture *f = *state;
	struct client *k;

	append(f, PUBLIC, 3);
	k = client_named(f, "gw");
	wait_active(f, k);
	wait_until(f, session_of(f, k)->at[PUBLIC].in_step);
	append(f, PUBLIC, 1);
	wait_until(f, k->n_items == 1);
	assert_int_equal(k->flags, 0);
}

static void a_name_may_come_for_the_first_time_by_time(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_new(f);

	append(f, PUBLIC, 9);
	durable(f, "gw");
	k->hello.durable = text("gw");
	k->hello.from = DIBAO_START_TIME;
	k->hello.from_arg = 8;
	say_hello(k);
	wait_active(f, k);
	wait_until(f, k->n_items == 2);
	assert_string_equal(redis(f, "HGET " BASE "cursors gw"),
			    "1 7-18446744073709551615 0-0 0-0 0-0");
}

static void a_cursor_that_cannot_be_read_lets_nobody_in(void **state)
{
	struct fixture *f = *state;
	struct client *k;

	durable(f, "gw");
	redis(f, "HSET " BASE "cursors gw %s", "1 4-0 0-0 0-0");
	k = client_named(f, "gw");
	wait_until(f, session_of(f, k));
	wait_until(f, !session_of(f, k));
	assert_int_equal(k->n_told[WIRE_WELCOME], 0);
	redis(f, "HSET " BASE "cursors gw %s", "1 4-0 0-0 x 0-0");
	say_hello(k);
	wait_until(f, session_of(f, k));
	wait_until(f, !session_of(f, k));
	assert_int_equal(k->n_told[WIRE_WELCOME], 0);
	redis(f, "HSET " BASE "cursors gw %s", "1 4-0 0-0 0-0 0-0");
	say_hello(k);
	wait_active(f, k);
}

static void who_begins_behind_what_is_kept_is_told_the_range_it_lost(void **state)
{
	struct fixture *f = *state;
	enum { HOUR = 3600000 };
	struct wire_lost lost;
	struct client *k;

	move_tail(f, PUBLIC, (struct entry_id){10 * HOUR, 0});
	redis(f, "HSET " BASE "trimmed public %d-3 private 1-0", 7 * HOUR + 5);
	durable(f, "gw");
	redis(f, "HSET " BASE "cursors gw %s", "1 7200005-0 1-0 0-0 0-0");
	k = client_named(f, "gw");
	wait_until(f, k->n_told[WIRE_LOST]);
	assert_int_equal(k->n_told[WIRE_LOST], 1); /* the private one stands at the edge */
	assert_int_equal(wire_lost_unpack(&lost, k->told[WIRE_LOST], k->told_len[WIRE_LOST], NULL),
			 0);
	assert_int_equal(lost.channel, PUBLIC);
	assert_int_equal(lost.from_ms, 2 * HOUR);
	assert_int_equal(lost.to_ms, 8 * HOUR);
	/* Who wants what is new has lost nothing. */
	k = client_from(f, DIBAO_START_NEW, 0);
	redis(f, "HSET " BASE "trimmed public %d-3", 11 * HOUR);
	wait_active(f, k);
	say(k, "P", 1);
	fanout_beat(f->fanout, session_of(f, k));
	wait_until(f, k->n_told[WIRE_DATA]);
	assert_int_equal(k->n_told[WIRE_LOST], 0);
}

/* Nor is anybody told of a channel that it does not get. */
static void of_what_is_not_its_own_nobody_is_told_that_it_is_lost(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_new(f);
	struct wire_lost lost;

	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		move_tail(f, c, (struct entry_id){9, 0});
	redis(f, "HSET " BASE "trimmed public 7-0 private 7-0 private-now 7-0");
	k->hello.public_view = true;
	k->hello.from = DIBAO_START_TIME;
	k->hello.from_arg = 3;
	say_hello(k);
	wait_until(f, k->n_told[WIRE_DATA]); /* behind all that is told at the start */
	assert_int_equal(k->n_told[WIRE_LOST], 1);
	assert_int_equal(wire_lost_unpack(&lost, k->told[WIRE_LOST], k->told_len[WIRE_LOST], NULL),
			 0);
	assert_int_equal(lost.channel, PUBLIC);
}

/* Time goes by, and the tail on, while Redis writes: nothing may be skipped for that. */
static void a_name_that_comes_for_the_first_time_begins_where_it_is_written(void **state)
{
	struct fixture *f = *state;
	struct client *k;

	append(f, PUBLIC, 5);
	k = client_named(f, "gw");
	wait_until(f, session_of(f, k) && f->sessions->n_outstanding == 1);
	assert_int_equal(session_of(f, k)->state, SESSION_STARTING);
	append(f, PUBLIC, 2);
	wait_active(f, k);
	assert_id(at(f, k, PUBLIC), 5, 0);
	assert_string_equal(redis(f, "HGET " BASE "cursors gw"), "1 5-0 0-0 0-0 0-0");
	wait_until(f, k->n_items == 2);
}

/* ---- Redis, and the lease ---- */

static void without_redis_one_is_dropped_without_a_word_and_comes_again(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_new(f);

	durable(f, "gw");
	k->hello.durable = text("gw");
	redis_server_stop(&f->server);
	wait_until(f, !redis_link_is_up(f->link));
	say_hello(k);
	say(k, "?", 1);
	wait_until(f, k->n_told[WIRE_GOODBYE]); /* of the word that followed */
	assert_int_equal(reason_told(k), DIBAO_REASON_NO_SESSION);
	assert_int_equal(f->sessions->n, 0);
	redis_back(f);
	say_hello(k);
	wait_active(f, k);
}

static void an_answer_of_redis_that_makes_no_sense_lets_nobody_in(void **state)
{
	struct fixture *f = *state;
	struct client *k;

	redis(f, "HSET " BASE "trimmed public rubbish");
	k = client_from(f, DIBAO_START_NEW, 0);
	wait_until(f, session_of(f, k));
	wait_until(f, !session_of(f, k));
	assert_int_equal(k->n_told[WIRE_WELCOME] + k->n_told[WIRE_GOODBYE], 0);
	redis(f, "DEL " BASE "trimmed");
	redis(f, "SET " BASE "trimmed x");
	say_hello(k);
	wait_until(f, session_of(f, k));
	wait_until(f, !session_of(f, k));
	redis(f, "DEL " BASE "trimmed");
	say_hello(k);
	wait_active(f, k);
}

/* Who is refused stays away; Redis may say yes in a moment. */
static void an_error_of_redis_is_not_taken_for_a_name_that_is_not_registered(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_new(f);

	durable(f, "gw");
	redis(f, "FUNCTION FLUSH");
	k->hello.durable = text("gw");
	say_hello(k);
	wait_until(f, session_of(f, k));
	wait_until(f, !session_of(f, k));
	assert_int_equal(k->n_told[WIRE_WELCOME] + k->n_told[WIRE_GOODBYE], 0);
	load_functions(f);
	say_hello(k);
	wait_active(f, k);
}

static void a_lease_runs_from_when_it_was_asked_for(void **state)
{
	struct fixture *f = *state;
	uint64_t before = boottime_usec(), asked;
	struct client *k = client_named(f, "gw");
	struct session *s;

	wait_until(f, session_of(f, k));
	s = session_of(f, k);
	assert_true(s->lease_asked);
	assert_int_equal(s->state, SESSION_STARTING);
	asked = boottime_usec();
	while (boottime_usec() == asked)
		;
	wait_active(f, k);
	assert_in_range(s->lease_until_usec, before + LONG_MS * 1000ull, asked + LONG_MS * 1000ull);
}

/* Turns until it is in that state; when the last of them began. */
static uint64_t turn_until(struct fixture *f, const struct client *k, enum session_state state)
{
	uint64_t end = boottime_usec() + DEADLINE_MS * 1000ull, before;

	do {
		before = boottime_usec();
		assert_true(before < end);
		turn(f);
	} while (!session_of(f, k) || session_of(f, k)->state != state);
	return before;
}

/* Its first position it gets when it has caught up. */
static void the_first_beat_is_due_a_cadence_after_the_beginning(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_from(f, DIBAO_START_NEW, 0);
	uint64_t before = turn_until(f, k, SESSION_ACTIVE);

	assert_in_range(session_of(f, k)->beat_due_usec, before + LONG_MS * 1000ull,
			boottime_usec() + LONG_MS * 1000ull);
}

static void a_board_has_a_boards_names_and_no_other(void **state)
{
	struct fixture *f = *state;
	struct access *fresh = policy_of("[local]\nkind = board\ntypes = award\norgs = *\n"
					 "channels = public public-now\ndurable = *\n");
	struct client *k = client_new(f);

	assert_int_equal(sessions_set_policy(f->sessions, fresh), 0);
	access_free(f->policy);
	f->policy = fresh;
	redis(f, "FCALL dibao_durable 1 " BASE " set-board wall 1000");
	durable(f, "gw");
	k->hello.public_view = true;
	k->hello.durable = text("wall");
	say_hello(k);
	wait_active(f, k);
	k = client_new(f);
	k->hello.public_view = true;
	k->hello.durable = text("gw");
	say_hello(k);
	wait_until(f, k->n_told[WIRE_GOODBYE]);
	assert_int_equal(reason_told(k), DIBAO_REASON_REFUSED);
	assert_string_equal(redis(f, "HGET " BASE "lease:gw instance"), "");
}

/* From WELCOME on nothing may be skipped: the place must be on disk by then. */
static void who_could_not_write_its_first_place_is_not_let_in(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_new(f);

	durable(f, "gw");
	redis(f, "FUNCTION LOAD REPLACE %s",
	      "#!lua name=dibao\n"
	      "redis.register_function('dibao_lease', function() return {1, 1, 1, 1, ''} end)\n"
	      "redis.register_function('dibao_cursors', function() return {0} end)");
	k->hello.durable = text("gw");
	say_hello(k);
	wait_until(f, session_of(f, k));
	wait_until(f, !session_of(f, k));
	assert_int_equal(k->n_told[WIRE_WELCOME], 0);
	load_functions(f);
	say_hello(k);
	wait_active(f, k);
}

static void a_standby_that_is_tried_twice_becomes_active_once(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_new(f);
	struct session *s;

	durable(f, "gw");
	redis(f, "FCALL dibao_lease 1 " BASE " gw other %d host:2 other", LONG_MS);
	k->hello.durable = text("gw");
	say_hello(k);
	wait_until(f, k->n_told[WIRE_STANDBY]);
	s = session_of(f, k);
	redis(f, "HSET " BASE "lease:gw until 0");
	starting_retry_standby(f->sessions, s, boottime_usec());
	starting_retry_standby(f->sessions, s, boottime_usec());
	wait_active(f, k);
	settle(f);
	turn(f);
	assert_int_equal(k->n_told[WIRE_WELCOME], 1);
	assert_int_equal(f->sessions->n_active, 1);
}

static void a_standby_asks_again_by_itself(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_new(f);

	durable(f, "gw");
	redis(f, "FCALL dibao_lease 1 " BASE " gw other 300 host:2");
	k->hello.durable = text("gw");
	say_hello(k);
	wait_until(f, k->n_told[WIRE_STANDBY]);
	assert_int_equal(f->sessions->n_standby, 1);
	wait_active(f, k);
	assert_int_equal(welcome_told(k).counter, 2);
	assert_int_equal(f->sessions->n_standby, 0);
	assert_int_equal(k->n_told[WIRE_STANDBY], 1);
}

/* Not more often than there is a chance. */
static void a_standby_asks_when_the_lease_may_be_free(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_new(f);
	uint64_t now = boottime_usec();

	durable(f, "gw");
	redis(f, "FCALL dibao_lease 1 " BASE " gw other %d host:2", LONG_MS);
	k->hello.durable = text("gw");
	say_hello(k);
	wait_until(f, k->n_told[WIRE_STANDBY]);
	assert_in_range(session_of(f, k)->lease_due_usec, now + LONG_MS * 1000ull / 3,
			boottime_usec() + LONG_MS * 1000ull / 3);
	redis(f, "FCALL dibao_lease 1 " BASE " gw other 60000 host:2");
	now = boottime_usec();
	starting_retry_standby(f->sessions, session_of(f, k), now);
	assert_true(session_of(f, k)->lease_asked);
	wait_until(f, !session_of(f, k)->lease_asked);
	assert_in_range(session_of(f, k)->lease_due_usec, now + 30000000, now + 90000000);
	/* It has been told, and counted, once. */
	assert_int_equal(f->sessions->n_standby, 1);
	say(k, "P", 1);
	wait_heard(f, session_of(f, k));
	settle(f);
	assert_int_equal(k->n_told[WIRE_STANDBY], 1);
}

/* However long that answer is: a later one may say more. */
static void a_lease_that_is_free_in_a_moment_is_asked_for_in_a_tenth_of_a_second(void **state)
{
	struct fixture *f = *state;
	struct client *k;
	uint64_t before;

	redis(f, "FUNCTION LOAD REPLACE %s",
	      "#!lua name=dibao\n"
	      "redis.register_function('dibao_lease', function()"
	      " return {0, 1, 'host:2', 1, ''} end)\n"
	      "redis.register_function('dibao_durable', function() return 1 end)");
	k = client_named(f, "gw");
	before = turn_until(f, k, SESSION_STANDBY);
	assert_in_range(session_of(f, k)->lease_due_usec, before + 100000,
			boottime_usec() + 100000);
}

static void a_standby_outlasts_redis(void **state)
{
	struct fixture *f = *state;
	struct client *a = client_named(f, "gw"), *b;

	wait_active(f, a);
	b = client_named(f, "gw");
	wait_until(f, b->n_told[WIRE_STANDBY]);
	redis_server_stop(&f->server);
	wait_until(f, !redis_link_is_up(f->link));
	starting_retry_standby(f->sessions, session_of(f, b), boottime_usec());
	assert_int_equal(session_of(f, b)->state, SESSION_STANDBY);
	redis_back(f);
	say_bye(a);
	wait_active(f, b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(new_begins_at_the_tail),
		TEST(resume_without_a_name_begins_at_the_tail_too),
		TEST(a_time_begins_just_before_it),
		TEST(a_time_of_nothing_or_less_is_the_very_beginning),
		TEST(a_time_to_come_begins_at_the_tail),
		TEST(a_time_is_taken_with_care_when_the_clock_fell_behind),
		TEST(last_n_begins_before_the_last_n_of_each_channel),
		TEST(last_n_never_begins_past_the_tail),
		TEST(a_durable_name_goes_on_after_what_it_acknowledged),
		TEST(repeats_may_come_up_to_the_tail_or_the_cursor_if_they_are_later),
		TEST(a_name_that_comes_for_the_first_time_repeats_nothing),
		TEST(a_name_may_come_for_the_first_time_by_time),
		TEST(a_cursor_that_cannot_be_read_lets_nobody_in),
		TEST(who_begins_behind_what_is_kept_is_told_the_range_it_lost),
		TEST(of_what_is_not_its_own_nobody_is_told_that_it_is_lost),
		TEST(a_name_that_comes_for_the_first_time_begins_where_it_is_written),
		TEST(without_redis_one_is_dropped_without_a_word_and_comes_again),
		TEST(an_answer_of_redis_that_makes_no_sense_lets_nobody_in),
		TEST(an_error_of_redis_is_not_taken_for_a_name_that_is_not_registered),
		TEST(a_lease_runs_from_when_it_was_asked_for),
		TEST(the_first_beat_is_due_a_cadence_after_the_beginning),
		TEST(a_board_has_a_boards_names_and_no_other),
		TEST(who_could_not_write_its_first_place_is_not_let_in),
		TEST(a_standby_that_is_tried_twice_becomes_active_once),
		TEST(a_standby_asks_again_by_itself),
		TEST(a_standby_asks_when_the_lease_may_be_free),
		TEST(a_lease_that_is_free_in_a_moment_is_asked_for_in_a_tenth_of_a_second),
		TEST(a_standby_outlasts_redis),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
