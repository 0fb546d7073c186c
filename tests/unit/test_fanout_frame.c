/* SPDX-License-Identifier: Apache-2.0 */
/* One frame: may it go, what is it marked with, what does its number stand for. */
#include "fanout_fixture.h"

/* Ten come, `other` gets them and p, which was in step, nothing. */
static void expect_nothing(struct fixture *f, struct peer *p, struct peer *other)
{
	append(f, 10);
	wait_until(f, other->n_items == 10);
	fanout_beat(f->fanout, p->session);
	settle(f, other);
	assert_int_equal(p->n_frames, 0);
	assert_int_equal(p->n_positions, 1); /* from when it came */
}

static void expect_all(struct fixture *f, struct peer *p)
{
	fanout_wake(f->fanout, p->session);
	wait_until(f, p->n_items == 10);
}

static void nothing_is_sent_when_the_lease_is_over_and_all_when_it_is_renewed(void **state)
{
	struct fixture *f = *state;
	struct peer *p = connect_in_step(f), *other = connect_in_step(f);

	strcpy(p->session->durable, "mailbox");
	p->session->lease_until_usec = boottime_usec() - 1;
	expect_nothing(f, p, other);
	p->session->lease_until_usec = UINT64_MAX;
	expect_all(f, p);
	assert_true(p->flags & WIRE_DATA_REPLAY);
}

static void nothing_is_sent_to_whose_day_is_past(void **state)
{
	struct fixture *f = *state;
	struct peer *p = connect_in_step(f), *other = connect_in_step(f);

	p->session->expires_ms = 1700000000000; /* that time it is */
	expect_nothing(f, p, other);
	p->session->expires_ms = INT64_MAX;
	expect_all(f, p);
}

/* A subscriber that finds a number missing takes its connection for broken. */
static void a_frame_that_does_not_go_has_no_number_and_goes_later(void **state)
{
	struct fixture *f = *state;
	struct peer *p = connect_within(f);
	const struct session_channel *at = &p->session->at[DIBAO_CHANNEL_PUBLIC];
	uint64_t number;
	int r = 0;

	serve(f, p);
	wait_until(f, in_step(p) && p->n_positions == 1);
	number = at->next_number;
	for (int i = 0; i < 100000 && r == 0; i++)
		r = router_send(f->router, p->session->routing_id, "x", 1, NULL);
	assert_int_equal(r, -EAGAIN);
	append(f, 1);
	assert_int_equal(fanout_counters(f->fanout)->n_blocked, 1);
	assert_false(in_step(p));
	assert_int_equal(p->session->state, SESSION_ACTIVE);
	assert_int_equal(at->next_number, number);
	assert_int_equal(session_in_flight(p->session), 0);
	assert_int_equal(p->session->inflight_bytes[0], 0);
	wait_until(f, p->n_items == 1 && in_step(p));
}

static void who_is_gone_is_found_out_by_the_next_frame_or_position(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 2; i++) {
		struct peer *p = connect_in_step(f);

		zmq_close(p->socket);
		p->socket = NULL;
		wait_until(f, router_send(f->router, p->session->routing_id, "x", 1, NULL) ==
				      -EHOSTUNREACH);
		assert_int_equal(p->session->state, SESSION_ACTIVE);
		if (i == 0)
			append(f, 1);
		else
			fanout_beat(f->fanout, p->session);
		assert_int_equal(p->session->state, SESSION_ENDED);
		assert_false(p->session->blocked);
	}
}

static void a_position_needs_no_credit(void **state)
{
	struct fixture *f = *state;
	struct peer *p = connect_in_step(f);
	const struct session_channel *at = &p->session->at[DIBAO_CHANNEL_PUBLIC];
	uint64_t number;

	p->session->window_bytes = 1;
	append(f, 1); /* one frame may always go */
	number = at->next_number;
	assert_int_equal(at->n, 1);
	fanout_beat(f->fanout, p->session);
	assert_int_equal(at->next_number, number + 1);
	wait_until(f, p->n_items == 1 && p->n_positions == 2);
}

/* Else what was looked at for nothing would be read again. */
static void the_last_frame_of_what_came_stands_for_all_of_it(void **state)
{
	struct fixture *f = *state;
	struct peer *p = connect_in_step(f);
	struct entry entry = make_entry((struct sample){.ms = 1});
	struct segment *s = NULL;
	uint32_t first = 0;

	assert_int_equal(history_append(f->history, DIBAO_CHANNEL_PUBLIC, &entry, 1,
					(struct entry_id){5, 7}, &s, &first),
			 0);
	fanout_live(f->fanout, DIBAO_CHANNEL_PUBLIC, s, first, 1, (struct entry_id){0, 0});
	wait_until(f, p->n_items == 1);
	assert_int_equal(p->session->at[DIBAO_CHANNEL_PUBLIC].acked.ms, 5);
	assert_int_equal(p->session->at[DIBAO_CHANNEL_PUBLIC].acked.seq, 7);
}

/* A subscriber without a place takes a frame that is none for the word that it has all. */
static void
what_is_sent_while_its_channel_is_not_read_to_its_end_is_marked_as_a_replay(void **state)
{
	struct fixture *f = *state;
	struct peer *p = connect_in_step(f);

	append(f, 1);
	settle(f, p);
	assert_false(p->flags & WIRE_DATA_REPLAY);
	assert_false(p->position_flags & WIRE_DATA_REPLAY);
	f->not_current = 1u << DIBAO_CHANNEL_PUBLIC;
	append(f, 1);
	settle(f, p);
	assert_int_equal(p->n_items, 2);
	assert_true(p->flags & WIRE_DATA_REPLAY);
	assert_true(p->position_flags & WIRE_DATA_REPLAY);
	/* Of the others' it is told nothing. */
	f->not_current = ~f->not_current;
	append(f, 1);
	settle(f, p);
	assert_int_equal(p->n_items, 3);
	assert_false(p->flags & WIRE_DATA_REPLAY);
	assert_false(p->position_flags & WIRE_DATA_REPLAY);
}

static void it_is_the_frames_own_channel_that_counts_for_that(void **state)
{
	struct fixture *f = *state;
	struct peer *p = connect_peer(f);

	p->session->at[DIBAO_CHANNEL_PUBLIC].attached = false;
	p->session->at[DIBAO_CHANNEL_PRIVATE].attached = true;
	serve(f, p);
	wait_until(f, p->n_positions == 1);
	f->not_current = 1u << DIBAO_CHANNEL_PUBLIC;
	append_to(f, DIBAO_CHANNEL_PRIVATE, 1);
	settle(f, p);
	assert_int_equal(p->n_items, 1);
	assert_int_equal(p->flags | p->position_flags, 0);
	f->not_current = 1u << DIBAO_CHANNEL_PRIVATE;
	append_to(f, DIBAO_CHANNEL_PRIVATE, 1);
	settle(f, p);
	assert_int_equal(p->n_items, 2);
	assert_int_equal(p->flags & p->position_flags, WIRE_DATA_REPLAY);
}

static void frames_that_begin_before_a_place_say_that_they_may_repeat(void **state)
{
	struct fixture *f = *state;
	struct peer *p = connect_in_step(f);

	p->session->at[DIBAO_CHANNEL_PUBLIC].repeats = (struct entry_id){5, 0};
	append(f, 5);
	wait_until(f, p->n_items == 5);
	assert_int_equal(p->flags, WIRE_DATA_MAY_REPEAT);
	append(f, 5);
	wait_until(f, p->n_items == 10);
	assert_int_equal(p->flags, 0);
	p->session->at[DIBAO_CHANNEL_PUBLIC].repeats = (struct entry_id){UINT64_MAX, 0};
	p->session->state = SESSION_STARTING; /* it misses one and comes behind */
	append(f, 5);
	p->session->state = SESSION_ACTIVE;
	fanout_wake(f->fanout, p->session);
	wait_until(f, p->n_items == 15);
	assert_int_equal(p->flags, WIRE_DATA_MAY_REPEAT | WIRE_DATA_REPLAY);
}

static void a_position_says_whether_all_before_it_has_come(void **state)
{
	struct fixture *f = *state;
	struct peer *p = connect_in_step(f);

	settle(f, p);
	assert_int_equal(p->position_flags, 0);
	p->session->durable[0] = 'a';
	append(f, 1); /* its lease is over, so it falls behind */
	assert_false(in_step(p));
	p->session->lease_until_usec = UINT64_MAX;
	settle(f, p);
	assert_int_equal(p->position_flags, WIRE_DATA_REPLAY);
	/* Acknowledged as it is, it must not stand for what has not been sent. */
	assert_true(entry_id_cmp(p->session->at[DIBAO_CHANNEL_PUBLIC].acked,
				 history_tail(f->history, DIBAO_CHANNEL_PUBLIC)) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_sent_when_the_lease_is_over_and_all_when_it_is_renewed),
		TEST(nothing_is_sent_to_whose_day_is_past),
		TEST(a_frame_that_does_not_go_has_no_number_and_goes_later),
		TEST(who_is_gone_is_found_out_by_the_next_frame_or_position),
		TEST(a_position_needs_no_credit),
		TEST(the_last_frame_of_what_came_stands_for_all_of_it),
		TEST(what_is_sent_while_its_channel_is_not_read_to_its_end_is_marked_as_a_replay),
		TEST(it_is_the_frames_own_channel_that_counts_for_that),
		TEST(frames_that_begin_before_a_place_say_that_they_may_repeat),
		TEST(a_position_says_whether_all_before_it_has_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
