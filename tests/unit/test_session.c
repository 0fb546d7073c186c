/* SPDX-License-Identifier: Apache-2.0 */
#include "../../daemon/session.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW = 1000 };

static const enum dibao_channel PUB = DIBAO_CHANNEL_PUBLIC, NOW = DIBAO_CHANNEL_PUBLIC_NOW;

static int set_up(void **state)
{
	struct session *s = session_new(7);

	assert_non_null(s);
	s->window_bytes = WINDOW;
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	session_free(*state);
	return 0;
}

/* Frame n of a channel ends at n-0 and has the token 1000 + n. */
static uint64_t send_frame(struct session *s, enum dibao_channel c, uint32_t bytes)
{
	uint64_t next = s->at[c].next_number, number = 0;

	assert_int_equal(
		session_flight_add(s, c, 1000 + next, (struct entry_id){next, 0}, bytes, &number),
		0);
	return number;
}

static int ack(struct session *s, enum dibao_channel c, uint64_t number)
{
	return session_ack(s, c, number, 1000 + number);
}

static void numbers_are_dense_from_one_in_each_channel(void **state)
{
	struct session *s = *state;

	for (uint64_t i = 1; i <= 5; i++) {
		assert_int_equal(send_frame(s, PUB, 1), i);
		assert_int_equal(send_frame(s, DIBAO_CHANNEL_PRIVATE, 1), i);
	}
	assert_int_equal(send_frame(s, NOW, 1), 1);
	assert_int_equal(session_in_flight(s), 11);
}

static void the_window_takes_bytes_up_to_itself_and_not_one_more(void **state)
{
	struct session *s = *state;

	send_frame(s, PUB, WINDOW - 10);
	assert_true(session_has_credit(s, PUB, 10, UINT32_MAX));
	assert_false(session_has_credit(s, PUB, 11, UINT32_MAX));
}

static void the_share_of_the_budget_narrows_the_window(void **state)
{
	struct session *s = *state;

	send_frame(s, PUB, 100);
	assert_true(session_has_credit(s, PUB, 100, 200));
	assert_false(session_has_credit(s, PUB, 101, 200));
}

static void with_nothing_in_flight_one_frame_may_always_go(void **state)
{
	struct session *s = *state;

	assert_true(session_has_credit(s, PUB, 100 * WINDOW, 0));
	send_frame(s, PUB, 100 * WINDOW);
	assert_false(session_has_credit(s, PUB, 1, UINT32_MAX));
	assert_int_equal(ack(s, PUB, 1), 1);
	assert_true(session_has_credit(s, PUB, 100 * WINDOW, 0));
}

static void a_withdrawal_does_not_wait_behind_a_bulk(void **state)
{
	struct session *s = *state;

	send_frame(s, PUB, WINDOW);
	assert_false(session_has_credit(s, PUB, 1, UINT32_MAX));
	assert_false(session_has_credit(s, DIBAO_CHANNEL_PRIVATE, 1, UINT32_MAX));
	assert_true(session_has_credit(s, NOW, WINDOW, UINT32_MAX));
	send_frame(s, NOW, WINDOW);
	assert_false(session_has_credit(s, DIBAO_CHANNEL_PRIVATE_NOW, 1, UINT32_MAX));
}

static void an_ack_gives_back_the_bytes_of_all_up_to_it(void **state)
{
	struct session *s = *state;

	send_frame(s, PUB, 100);
	send_frame(s, PUB, 200);
	send_frame(s, PUB, 300);
	assert_int_equal(ack(s, PUB, 2), 2);
	assert_int_equal(s->inflight_bytes[0], 300);
	assert_int_equal(session_in_flight(s), 1);
	assert_int_equal(s->at[PUB].acked.ms, 2);
	assert_int_equal(ack(s, PUB, 3), 1);
	assert_int_equal(s->inflight_bytes[0], 0);
}

static void an_ack_moves_its_own_channel_alone(void **state)
{
	struct session *s = *state;

	send_frame(s, PUB, 100);
	send_frame(s, DIBAO_CHANNEL_PRIVATE, 100);
	send_frame(s, NOW, 100);
	assert_int_equal(ack(s, PUB, 1), 1);
	assert_int_equal(s->at[DIBAO_CHANNEL_PRIVATE].acked.ms, 0);
	assert_int_equal(s->at[NOW].acked.ms, 0);
	assert_int_equal(s->inflight_bytes[0], 100);
	assert_int_equal(s->inflight_bytes[1], 100);
}

static void an_ack_may_come_again_and_the_floor_never_goes_back(void **state)
{
	struct session *s = *state;

	send_frame(s, PUB, 1);
	send_frame(s, PUB, 1);
	send_frame(s, PUB, 1);
	assert_int_equal(ack(s, PUB, 2), 2);
	assert_int_equal(ack(s, PUB, 2), 0);
	assert_int_equal(ack(s, PUB, 1), 0);
	assert_int_equal(s->at[PUB].acked.ms, 2);
	assert_int_equal(s->inflight_bytes[0], 1);
}

static void an_ack_of_what_was_not_sent_is_a_protocol_error(void **state)
{
	struct session *s = *state;

	assert_int_equal(ack(s, PUB, 1), -EPROTO);
	send_frame(s, PUB, 1);
	assert_int_equal(ack(s, PUB, 2), -EPROTO);
	assert_int_equal(ack(s, PUB, 0), -EPROTO);
	assert_int_equal(ack(s, PUB, UINT64_MAX), -EPROTO);
	assert_int_equal(ack(s, NOW, 1), -EPROTO);
	assert_int_equal(session_in_flight(s), 1);
}

static void an_ack_with_another_token_is_a_protocol_error_and_moves_nothing(void **state)
{
	struct session *s = *state;

	send_frame(s, PUB, 1);
	send_frame(s, PUB, 1);
	assert_int_equal(session_ack(s, PUB, 2, 1001), -EPROTO); /* the token of the other frame */
	assert_int_equal(s->at[PUB].acked.ms, 0);
	assert_int_equal(session_in_flight(s), 2);
	assert_int_equal(s->inflight_bytes[0], 2);
}

static void a_frame_that_did_not_go_leaves_its_number_to_the_next(void **state)
{
	struct session *s = *state;

	send_frame(s, PUB, 10);
	send_frame(s, PUB, 20);
	session_flight_undo(s, PUB);
	assert_int_equal(s->inflight_bytes[0], 10);
	assert_int_equal(ack(s, PUB, 2), -EPROTO);
	assert_int_equal(send_frame(s, PUB, 30), 2);
	assert_int_equal(ack(s, PUB, 2), 2);
	assert_int_equal(s->inflight_bytes[0], 0);
}

static void flights_are_bounded_and_an_ack_makes_room_again(void **state)
{
	struct session *s = *state;
	uint64_t number = 4711;

	for (int i = 0; i < SESSION_FLIGHTS_MAX; i++) {
		send_frame(s, PUB, 0);
	}
	assert_false(session_has_credit(s, PUB, 0, UINT32_MAX));
	assert_int_equal(session_flight_add(s, PUB, 1, (struct entry_id){1, 0}, 0, &number),
			 -ENOBUFS);
	assert_int_equal(number, 4711);
	assert_int_equal(ack(s, PUB, 1), 1);
	assert_true(session_has_credit(s, PUB, 0, UINT32_MAX));
	assert_int_equal(send_frame(s, PUB, 0), SESSION_FLIGHTS_MAX + 1);
}

/* Lengths of 1 to 40 in flight, going round the ring many times. */
static void what_is_in_flight_stays_in_order_while_the_ring_turns_and_grows(void **state)
{
	struct session *s = *state;
	uint64_t acked = 0, sent = 0;

	for (unsigned round = 1; round <= 200; round++) {
		uint64_t keep = round % 40;

		for (unsigned i = 0; i < 7; i++) {
			sent = send_frame(s, PUB, 3);
		}
		if (sent - acked > keep) {
			assert_int_equal(ack(s, PUB, sent - keep), sent - keep - acked);
			acked = sent - keep;
		}
		assert_int_equal(s->at[PUB].acked.ms, acked);
		assert_int_equal(s->inflight_bytes[0], 3 * (sent - acked));
	}
}

static void a_rate_holds_over_time_however_large_the_frames(void **state)
{
	struct session *s = session_new(1);
	uint64_t now = 5000000000, n = 0;

	(void)state;
	s->rate = 150;
	/* Looked at every 10.1 ms for 100 s; a frame of up to 1,000 items goes whole. */
	for (unsigned i = 0; i < 9901; i++, now += 10100) {
		uint32_t frame = i % 7 ? 3 : 1000;

		if (!session_has_rate(s, now))
			continue;
		s->rate_left -= frame;
		n += frame;
	}
	assert_in_range(n, 14900, 16200);
	/* Who was idle may have a second's worth at once, no more. */
	now += 3600000000;
	assert_true(session_has_rate(s, now));
	assert_int_equal(s->rate_left, 150);
	s->rate_left -= 150;
	assert_false(session_has_rate(s, now + 1000));
	assert_true(session_has_rate(s, now + 10000));
	session_free(s);
}

static void a_rate_is_not_lost_in_a_long_silence(void **state)
{
	struct session *s = *state;

	/* Their product is 2^64. */
	s->rate = 1u << 31;
	assert_true(session_has_rate(s, 1ull << 33));
	assert_int_equal(s->rate_left, 1u << 31);
}

static void a_minutes_history_may_go_at_once_and_then_as_it_grows_again(void **state)
{
	const uint64_t minute = 60000000, limit = 60000, t = 5 * minute; /* a byte a ms */
	struct session *s = *state;

	assert_true(session_has_replay(s, 0, t));
	assert_true(session_has_replay(s, limit, t));
	session_spend_replay(s, limit, 59999, t);
	assert_true(session_has_replay(s, limit, t));
	session_spend_replay(s, limit, 10001, t); /* goes whole, for it began within */
	assert_false(session_has_replay(s, limit, t));
	assert_false(session_has_replay(s, limit, t + 9999 * 1000));
	assert_true(session_has_replay(s, limit, t + 10001 * 1000));
	assert_true(session_has_replay(s, 0, t));
	session_spend_replay(s, limit, 60000, t + 100 * minute);
	assert_false(session_has_replay(s, limit, t + 100 * minute));
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(numbers_are_dense_from_one_in_each_channel),
		TEST(the_window_takes_bytes_up_to_itself_and_not_one_more),
		TEST(the_share_of_the_budget_narrows_the_window),
		TEST(with_nothing_in_flight_one_frame_may_always_go),
		TEST(a_withdrawal_does_not_wait_behind_a_bulk),
		TEST(an_ack_gives_back_the_bytes_of_all_up_to_it),
		TEST(an_ack_moves_its_own_channel_alone),
		TEST(an_ack_may_come_again_and_the_floor_never_goes_back),
		TEST(an_ack_of_what_was_not_sent_is_a_protocol_error),
		TEST(an_ack_with_another_token_is_a_protocol_error_and_moves_nothing),
		TEST(a_frame_that_did_not_go_leaves_its_number_to_the_next),
		TEST(flights_are_bounded_and_an_ack_makes_room_again),
		TEST(what_is_in_flight_stays_in_order_while_the_ring_turns_and_grows),
		cmocka_unit_test(a_rate_holds_over_time_however_large_the_frames),
		cmocka_unit_test_setup_teardown(a_rate_is_not_lost_in_a_long_silence, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			a_minutes_history_may_go_at_once_and_then_as_it_grows_again, set_up,
			tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
