/* SPDX-License-Identifier: Apache-2.0 */
/* Fanout from the real history through the real router to real sockets, which ack what they get. */
#include "../../daemon/fanout.h"
#include "../../daemon/zap.h"

#include <dibao/view.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "event_fixture.h"

enum {
	DEADLINE_MS = 80000,
	ONE_BYTES = 1000,
	SHORT_BYTES = 64 * 1024, /* what fanout.c promises while the budget is short */
	AMPLE = 1 << 30,
	PEERS_MAX = 3,
};

struct peer {
	void *socket;
	struct session *session;
	uint64_t n_items, n_frames;
	size_t longest;
	uint8_t flags; /* of the last frame with items */
	unsigned n_positions;
	uint8_t position_flags;
};

struct fixture {
	sd_event *event;
	struct withdrawn withdrawn;
	struct hidden hidden;
	struct history *history;
	struct lanes *lanes;
	struct router *router;
	struct zap *zap;
	struct fanout *fanout;
	struct queue_clock clock;
	uint8_t view_key[DIBAO_VIEW_KEY_BYTES];
	struct peer peers[PEERS_MAX];
	unsigned n_peers;
	void *zmq;
	uint64_t ms;
	uint32_t heard_from;  /* routing id of the last message */
	unsigned not_current; /* a bit for each channel that is not read to its end */
};

static void on_message(uint32_t routing_id, const void *frame, size_t len, void *userdata)
{
	struct fixture *f = userdata;

	(void)frame, (void)len;
	f->heard_from = routing_id;
}

static void on_garbage(uint32_t routing_id, void *userdata)
{
	(void)routing_id, (void)userdata;
	fail_msg("garbage");
}

static void on_gone(struct session *s, void *userdata)
{
	(void)userdata;
	s->state = SESSION_ENDED;
}

static bool is_current(enum dibao_channel c, void *userdata)
{
	const struct fixture *f = userdata;

	return !(f->not_current >> c & 1);
}

static int set_up(void **state)
{
	static struct fixture f;
	struct history_options h = {
		.withdrawn = &f.withdrawn, .ring_bytes = 1 << 24, .slice_bytes = 1 << 24};
	struct router_options r = {.io_threads = 1,
				   .userdata = &f,
				   .on_message = on_message,
				   .on_garbage = on_garbage};
	struct fanout_options o = {.budget_bytes = AMPLE,
				   .catchup_percent = 50,
				   .clock = &f.clock,
				   .userdata = &f,
				   .is_current = is_current,
				   .on_gone = on_gone,
				   .encode = {.withdrawn = &f.withdrawn,
					      .hidden = &f.hidden,
					      .view_key = f.view_key,
					      .clock = &f.clock}};

	f = (struct fixture){0};
	queue_clock_set(&f.clock, 1700000000000);
	assert_true(sd_event_new(&f.event) >= 0);
	assert_int_equal(withdrawn_init(&f.withdrawn), 0);
	assert_int_equal(history_new(&f.history, &h), 0);
	assert_int_equal(lanes_new(&f.lanes), 0);
	r.event = o.event = f.event;
	assert_int_equal(router_new(&f.router, &r), 0);
	assert_int_equal(
		zap_new(&f.zap, &(struct zap_options){.event = f.event,
						      .context = router_context(f.router)}),
		0);
	assert_int_equal(router_bind(f.router, "tcp://127.0.0.1:*", ZAP_INSECURE, NULL), 0);
	o.router = f.router;
	o.history = f.history;
	o.lanes = f.lanes;
	assert_int_equal(fanout_new(&f.fanout, &o), 0);
	f.zmq = zmq_ctx_new();
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < f->n_peers; i++) {
		struct session *s = f->peers[i].session;

		fanout_detach(f->fanout, s);
		lanes_leave(f->lanes, s->lane);
		session_free(s);
		zmq_close(f->peers[i].socket);
	}
	zmq_ctx_term(f->zmq);
	fanout_free(f->fanout);
	zap_free(f->zap);
	router_free(f->router, 0);
	lanes_free(f->lanes);
	history_free(f->history);
	withdrawn_done(&f->withdrawn);
	sd_event_unref(f->event);
	entries_forget();
	return 0;
}

static uint64_t deadline(void)
{
	return boottime_usec() + DEADLINE_MS * 1000ull;
}

#define wait_until(f, condition)                                                                   \
	do {                                                                                       \
		uint64_t end_ = deadline();                                                        \
		while (!(condition)) {                                                             \
			if (boottime_usec() > end_)                                                \
				fail_msg("waited in vain for: %s", #condition);                    \
			assert_true(sd_event_run((f)->event, 5 * 1000) >= 0);                      \
			receive_all(f);                                                            \
		}                                                                                  \
	} while (0)

static void receive(struct peer *p)
{
	struct wire_data d;
	zmq_msg_t m;

	zmq_msg_init(&m);
	while (zmq_msg_recv(&m, p->socket, ZMQ_DONTWAIT) >= 0) {
		assert_int_equal(wire_data_unpack(&d, zmq_msg_data(&m), zmq_msg_size(&m)), 0);
		if (d.count) {
			assert_true(zmq_msg_recv(&m, p->socket, ZMQ_DONTWAIT) >= 0);
			assert_int_equal(
				wire_payload_check(zmq_msg_data(&m), zmq_msg_size(&m), d.count), 0);
			p->n_items += d.count;
			p->n_frames++;
			p->flags = d.flags;
			if (zmq_msg_size(&m) > p->longest)
				p->longest = zmq_msg_size(&m);
		} else {
			p->n_positions++;
			p->position_flags = d.flags;
		}
		assert_true(session_ack(p->session, d.channel, d.number, d.token) > 0);
	}
	zmq_msg_close(&m);
}

/* Peers ack at once; whoever waited for credit goes on. */
static void receive_all(struct fixture *f)
{
	for (unsigned i = 0; i < f->n_peers; i++) {
		uint64_t before = f->peers[i].n_frames;

		receive(&f->peers[i]);
		if (f->peers[i].n_frames > before)
			fanout_wake(f->fanout, f->peers[i].session);
	}
}

/* All that is under way has come when this returns: the position was sent behind it. */
static void settle(struct fixture *f, struct peer *p)
{
	unsigned n = p->n_positions;

	fanout_beat(f->fanout, p->session);
	wait_until(f, p->n_positions > n);
}

/* A session on the public channel, at its very beginning and not served yet. */
static struct peer *connect_peer(struct fixture *f)
{
	struct peer *p = &f->peers[f->n_peers];
	struct filter all = {0};
	struct session *s;
	int linger = 0;

	p->socket = zmq_socket(f->zmq, ZMQ_DEALER);
	assert_non_null(p->socket);
	zmq_setsockopt(p->socket, ZMQ_LINGER, &linger, sizeof linger);
	assert_int_equal(zmq_connect(p->socket, router_last_endpoint(f->router)), 0);
	f->heard_from = 0;
	assert_int_equal(zmq_send(p->socket, "P", 1, 0), 1);
	wait_until(f, f->heard_from);
	s = p->session = session_new(f->heard_from);
	assert_non_null(s);
	assert_int_equal(lanes_join(f->lanes, &all, &s->lane), 0);
	s->window_bytes = WIRE_WINDOW_MAX;
	s->at[DIBAO_CHANNEL_PUBLIC].attached = true;
	f->n_peers++;
	return p;
}

static void serve(struct fixture *f, struct peer *p)
{
	p->session->state = SESSION_ACTIVE;
	fanout_attach(f->fanout, p->session);
}

static void serve_no_more(struct fixture *f, struct peer *p)
{
	fanout_detach(f->fanout, p->session);
	p->session->state = SESSION_ENDED;
}

static bool in_step(const struct peer *p)
{
	return p->session->at[DIBAO_CHANNEL_PUBLIC].in_step;
}

static struct peer *connect_in_step(struct fixture *f)
{
	struct peer *p = connect_peer(f);

	serve(f, p);
	/* It is told at once that it has all there is. */
	wait_until(f, in_step(p) && p->n_positions == 1);
	return p;
}

/* n events come to the tail, in one go. */
static void append_to(struct fixture *f, enum dibao_channel c, size_t n)
{
	struct entry entries[512];
	struct entry_id before = history_tail(f->history, c);
	struct segment *s = NULL;
	uint32_t first = 0;

	assert_in_range(n, 1, 512);
	for (size_t i = 0; i < n; i++)
		entries[i] = make_entry((struct sample){.ms = ++f->ms, .bytes = ONE_BYTES});
	assert_int_equal(
		history_append(f->history, c, entries, n, (struct entry_id){f->ms, 0}, &s, &first),
		0);
	fanout_live(f->fanout, c, s, first, (uint32_t)n, before);
	entries_forget();
}

static void append(struct fixture *f, size_t n)
{
	append_to(f, DIBAO_CHANNEL_PUBLIC, n);
}

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

static void nothing_is_sent_when_the_lease_is_over_and_all_when_it_is_renewed(void **state)
{
	struct fixture *f = *state;
	struct peer *p = connect_in_step(f), *other = connect_in_step(f);

	strcpy(p->session->durable, "mailbox");
	p->session->lease_until_usec = boottime_usec() - 1;
	append(f, 10);
	wait_until(f, other->n_items == 10);
	fanout_beat(f->fanout, p->session);
	settle(f, other);
	assert_int_equal(p->n_frames, 0);
	assert_int_equal(p->n_positions, 1); /* from when it came */
	p->session->lease_until_usec = UINT64_MAX;
	fanout_wake(f->fanout, p->session);
	wait_until(f, p->n_items == 10);
	assert_true(p->flags & WIRE_DATA_REPLAY);
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
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(frames_are_long_while_the_budget_is_ample),
		TEST(frames_are_short_while_the_budget_is_and_nothing_is_lost),
		TEST(nothing_is_sent_when_the_lease_is_over_and_all_when_it_is_renewed),
		TEST(what_is_sent_while_its_channel_is_not_read_to_its_end_is_marked_as_a_replay),
		TEST(frames_that_begin_before_a_place_say_that_they_may_repeat),
		TEST(who_leaves_the_step_leaves_the_others_in_it),
		TEST(a_position_says_whether_all_before_it_has_come),
		TEST(a_rate_holds_events_back_but_no_withdrawal),
		TEST(who_has_caught_up_is_told_so_without_waiting_for_the_beat),
		TEST(who_waits_is_served_when_it_can_be_and_may_wait_again),
		TEST(who_is_woken_in_another_order_is_served_and_the_loop_comes_to_rest),
		TEST(a_replay_keeps_to_its_bytes_a_minute_and_withdrawals_do_not_wait),
		TEST(while_the_budget_is_short_a_session_has_its_share_in_flight_and_no_more),
		TEST(after_a_stop_positions_go_and_events_do_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
