/* SPDX-License-Identifier: Apache-2.0 */
/* Who is served and when: in step, behind, waiting for rate, history or room. */
#include "fanout_fixture.h"

static void frames_are_long_while_the_budget_is_ample(void **state)
{
	struct fixture *f = *state;
	struct peer *behind = connect_peer(f), *live = connect_in_step(f);

	append(f, 500);
	serve(f, behind);
	wait_until(f, behind->n_items == 500 && live->n_items == 500);
	assert_in_range(live->longest, WIRE_PAYLOAD_MAX - 2 * ONE_BYTES, WIRE_PAYLOAD_MAX);
	assert_in_range(behind->longest, WIRE_PAYLOAD_MAX - 2 * ONE_BYTES, WIRE_PAYLOAD_MAX);
	assert_int_equal(live->n_frames, 2);
}

static void frames_are_short_while_the_budget_is_and_nothing_is_lost(void **state)
{
	struct fixture *f = *state;
	struct peer *behind = connect_peer(f), *live = connect_in_step(f);

	fanout_set_limits(f->fanout, 0, 50);
	append(f, 500);
	serve(f, behind);
	wait_until(f, behind->n_items == 500 && live->n_items == 500);
	assert_in_range(live->longest, SHORT_BYTES - 2 * ONE_BYTES, SHORT_BYTES);
	assert_in_range(behind->longest, SHORT_BYTES - 2 * ONE_BYTES, SHORT_BYTES);
	/* And when there is room again they are long again. */
	fanout_set_limits(f->fanout, AMPLE, 50);
	wait_until(f, in_step(live));
	append(f, 500);
	wait_until(f, live->n_items == 1000);
	assert_in_range(live->longest, WIRE_PAYLOAD_MAX - 2 * ONE_BYTES, WIRE_PAYLOAD_MAX);
}

static void who_leaves_the_step_leaves_the_others_in_it(void **state)
{
	struct fixture *f = *state;
	struct peer *a = connect_in_step(f), *b = connect_in_step(f), *c = connect_in_step(f);

	serve_no_more(f, a);
	append(f, 1);
	serve_no_more(f, c);
	append(f, 1);
	settle(f, b);
	assert_int_equal(b->n_items, 2);
	wait_until(f, c->n_items == 1);
	assert_int_equal(a->n_items, 0);
	/* Served from a cursor of its own it comes into the step again. */
	serve(f, a);
	wait_until(f, a->n_items == 2 && in_step(a));
	append(f, 1);
	wait_until(f, a->n_items == 3 && b->n_items == 3);
	assert_int_equal(c->n_items, 1);
	serve(f, c); /* tear-down takes all out */
}

static void who_has_caught_up_is_told_so_without_waiting_for_the_beat(void **state)
{
	struct fixture *f = *state;
	struct peer *p;

	append(f, 20);
	p = connect_peer(f);
	p->session->at[DIBAO_CHANNEL_PUBLIC].cursor = (struct entry_id){0, 0};
	serve(f, p);
	wait_until(f, p->n_positions == 1);
	assert_int_equal(p->n_items, 20);
	assert_int_equal(p->flags, WIRE_DATA_REPLAY);
	assert_int_equal(p->position_flags, 0);
}

static void after_a_stop_positions_go_and_events_do_not(void **state)
{
	struct fixture *f = *state;
	struct peer *p = connect_in_step(f);

	fanout_stop(f->fanout);
	append(f, 3);
	settle(f, p);
	assert_int_equal(p->n_items, 0);
}

static void a_rate_holds_events_back_but_no_withdrawal(void **state)
{
	struct fixture *f = *state;
	struct peer *p = connect_peer(f);

	p->session->at[DIBAO_CHANNEL_PUBLIC_NOW].attached = true;
	p->session->rate = 1;
	p->session->rate_usec = boottime_usec();
	p->session->rate_left = 1;
	serve(f, p);
	wait_until(f, in_step(p) && p->session->at[DIBAO_CHANNEL_PUBLIC_NOW].in_step);
	append(f, 500); /* a frame that begins within the rate goes whole */
	wait_until(f, p->n_frames == 1);
	assert_false(in_step(p));
	append_to(f, DIBAO_CHANNEL_PUBLIC_NOW, 2);
	assert_true(p->session->at[DIBAO_CHANNEL_PUBLIC_NOW].in_step);
	wait_until(f, p->n_frames == 2);
	settle(f, p);
	assert_int_equal(p->n_frames, 2);
}

static void out_of_rate(struct peer *p)
{
	p->session->rate = 1;
	p->session->rate_usec = boottime_usec();
	p->session->rate_left = -1000;
}

/* Who cannot be sent to now waits once, whatever keeps it, and is looked at again by itself. */
static void who_waits_is_served_when_it_can_be_and_may_wait_again(void **state)
{
	struct fixture *f = *state;
	struct peer *a = connect_peer(f), *b = connect_peer(f);

	a->session->at[DIBAO_CHANNEL_PRIVATE].attached = true;
	b->session->at[DIBAO_CHANNEL_PRIVATE].attached = true;
	serve(f, a);
	serve(f, b);
	wait_until(f, a->n_positions == 2 && b->n_positions == 2);
	for (unsigned round = 1; round <= 3; round++) {
		out_of_rate(a);
		out_of_rate(b);
		append(f, 1);
		append_to(f, DIBAO_CHANNEL_PRIVATE, 1); /* both wait already */
		settle(f, a);
		assert_int_equal(a->n_items + b->n_items, 4 * (round - 1));
		a->session->rate = b->session->rate = 0;
		wait_until(f, a->n_items == 2 * round && b->n_items == 2 * round);
		wait_until(f, in_step(a) && in_step(b));
	}
}

static void who_is_woken_in_another_order_is_served_and_the_loop_comes_to_rest(void **state)
{
	struct fixture *f = *state;
	struct peer *a = connect_peer(f), *b = connect_peer(f);

	serve(f, a);
	serve(f, b); /* they wait for their turn in this order */
	wait_until(f, in_step(a) && in_step(b));
	strcpy(a->session->durable, "a");
	strcpy(b->session->durable, "b");
	append(f, 1); /* no lease: both fall behind */
	assert_false(in_step(a) || in_step(b));
	a->session->lease_until_usec = b->session->lease_until_usec = UINT64_MAX;
	fanout_wake(f->fanout, b->session);
	fanout_wake(f->fanout, a->session);
	wait_until(f, a->n_items == 1 && b->n_items == 1);
	wait_until(f, in_step(a) && in_step(b));
	settle(f, a);
	settle(f, b);
	wait_until(f, sd_event_run(f->event, 0) == 0);
}

static void a_replay_keeps_to_its_bytes_a_minute_and_withdrawals_do_not_wait(void **state)
{
	struct fixture *f = *state;
	struct peer *p;

	append(f, 500);
	append_to(f, DIBAO_CHANNEL_PUBLIC_NOW, 2);
	fanout_set_replay(f->fanout, ONE_BYTES);
	p = connect_peer(f);
	p->session->at[DIBAO_CHANNEL_PUBLIC_NOW].attached = true;
	p->session->replay_full_usec = UINT64_MAX / 2; /* it has had its share */
	serve(f, p);
	wait_until(f, p->session->at[DIBAO_CHANNEL_PUBLIC_NOW].in_step);
	settle(f, p);
	assert_int_equal(p->n_items, 2);
	p->session->replay_full_usec = 0;
	wait_until(f, p->n_frames == 2);
	for (uint64_t end = boottime_usec() + 100000; boottime_usec() < end;) {
		assert_true(sd_event_run(f->event, 5 * 1000) >= 0);
		receive_all(f);
	}
	assert_int_equal(p->n_frames, 2); /* one frame is more than a minute's */
	assert_false(in_step(p));
}

static void what_is_new_costs_nothing_of_a_replays_bytes(void **state)
{
	struct fixture *f = *state;
	struct peer *p = connect_in_step(f);

	fanout_set_replay(f->fanout, ONE_BYTES);
	append(f, 500);
	wait_until(f, p->n_items == 500);
	assert_int_equal(p->session->replay_full_usec, 0);
	strcpy(p->session->durable, "mailbox");
	append(f, 1); /* its lease is over, so it falls behind */
	assert_false(in_step(p));
	p->session->lease_until_usec = UINT64_MAX;
	fanout_wake(f->fanout, p->session);
	wait_until(f, p->n_items == 501);
	assert_true(p->session->replay_full_usec > 0);
}

static void while_the_budget_is_short_a_session_has_its_share_in_flight_and_no_more(void **state)
{
	struct fixture *f = *state;
	struct peer *p = connect_in_step(f);
	const uint32_t budget = 1 << 20;

	fanout_set_limits(f->fanout, budget, 50);
	append(f, 500);
	append(f, 100);
	for (int i = 0; i < 4; i++) {
		append(f, 500); /* it takes nothing over */
		assert_true(sd_event_run(f->event, 5 * 1000) >= 0);
	}
	assert_in_range(p->session->inflight_bytes[0], budget - SHORT_BYTES - ONE_BYTES, budget);
	fanout_set_limits(f->fanout, AMPLE, 50);
	wait_until(f, p->n_items == 2600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(frames_are_long_while_the_budget_is_ample),
		TEST(frames_are_short_while_the_budget_is_and_nothing_is_lost),
		TEST(who_leaves_the_step_leaves_the_others_in_it),
		TEST(a_rate_holds_events_back_but_no_withdrawal),
		TEST(who_has_caught_up_is_told_so_without_waiting_for_the_beat),
		TEST(who_waits_is_served_when_it_can_be_and_may_wait_again),
		TEST(who_is_woken_in_another_order_is_served_and_the_loop_comes_to_rest),
		TEST(a_replay_keeps_to_its_bytes_a_minute_and_withdrawals_do_not_wait),
		TEST(what_is_new_costs_nothing_of_a_replays_bytes),
		TEST(while_the_budget_is_short_a_session_has_its_share_in_flight_and_no_more),
		TEST(after_a_stop_positions_go_and_events_do_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
