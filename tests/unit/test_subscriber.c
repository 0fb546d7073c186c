/* SPDX-License-Identifier: Apache-2.0 */
/* The library's subscriber; the test speaks the daemon's side of the protocol on a real socket. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "subscriber_fixture.h"

#include <pthread.h>

/* More than once: the first time a timer of the connection's beginning may help out. */
static void a_floor_goes_out_by_itself(void **state)
{
	struct fixture *f = *state;
	struct wire_ack a;
	uint8_t buf[1024];

	connect_subscriber(f);
	for (unsigned i = 0; i < 6; i += 2) {
		int n;

		deliver(f, i + 1, 100);
		deliver(f, i + 2, 100);
		assert_int_equal(dibao_subscriber_ack(f->subscriber, f->acks[i + 1]), 0);
		assert_int_equal(dibao_subscriber_ack(f->subscriber, f->acks[i]), 0);
		n = expect(f, WIRE_ACK, true, buf, sizeof buf);
		assert_int_equal(wire_ack_unpack(&a, buf, (size_t)n), 0);
		assert_int_equal(a.n, 1);
		assert_int_equal(a.at[0].number, i + 2);
		assert_int_equal(a.at[0].token, 1000 + i + 2);
	}
}

static void half_a_window_is_acked_at_once(void **state)
{
	struct fixture *f = *state;
	struct wire_ack a;
	uint8_t buf[1024];
	int n;

	connect_subscriber(f);
	deliver(f, 1, 100);
	deliver(f, 2, UINT16_MAX);
	assert_int_equal(dibao_subscriber_ack(f->subscriber, f->acks[0]), 0);
	assert_int_equal(dibao_subscriber_ack(f->subscriber, f->acks[1]), 0);
	/* Nothing is dispatched from here on. */
	n = expect(f, WIRE_ACK, false, buf, sizeof buf);
	assert_int_equal(wire_ack_unpack(&a, buf, (size_t)n), 0);
	assert_int_equal(a.at[0].number, 2);
}

static void what_may_have_come_before_is_marked(void **state)
{
	struct wire_goodbye g = {.reason = DIBAO_REASON_NO_SESSION};
	struct fixture *f = *state;
	uint8_t buf[64];

	connect_subscriber(f);
	deliver_flagged(f, 1, 100, 0);
	assert_false(f->may_repeat);
	deliver_flagged(f, 2, 101, WIRE_DATA_REPLAY);
	assert_false(f->may_repeat);
	deliver_flagged(f, 3, 102, WIRE_DATA_MAY_REPEAT);
	assert_true(f->may_repeat);
	/* After a reconnect it may have come by the connection before, at first even live. */
	say(f, buf, (size_t)wire_goodbye_pack(buf, sizeof buf, WIRE_GOODBYE, &g), NULL, 0);
	welcome(f);
	deliver_flagged(f, 1, 103, WIRE_DATA_REPLAY);
	assert_true(f->may_repeat);
	deliver_flagged(f, 2, 104, 0);
	assert_true(f->may_repeat);
}

/* Sending on a ZeroMQ socket takes its descriptor's signal of what has arrived. */
static void what_arrives_beside_an_ack_is_told_by_the_descriptor(void **state)
{
	struct fixture *f = *state;
	struct pollfd p = {.events = POLLIN};
	uint8_t buf[1024];

	connect_subscriber(f);
	p.fd = dibao_subscriber_fd(f->subscriber);
	deliver(f, 1, UINT16_MAX);
	deliver(f, 2, 100);
	while (poll(&p, 1, 0) > 0)
		dibao_subscriber_dispatch(f->subscriber, 0);
	say_data(f, 3, 100, 0);
	assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
	/* A send looks for signals if it hasn't for a millisecond. */
	poll(NULL, 0, 5);
	assert_int_equal(dibao_subscriber_ack(f->subscriber, f->acks[0]), 0);
	assert_int_equal(poll(&p, 1, 0), 1);
	expect(f, WIRE_ACK, false, buf, sizeof buf);
	dibao_subscriber_dispatch(f->subscriber, 0);
	assert_int_equal(f->n, 3);
}

static void position(struct fixture *f, uint8_t channel, uint64_t number, uint8_t flags)
{
	struct wire_data d = {.flags = flags,
			      .channel = channel,
			      .number = number,
			      .token = number,
			      .clock_ms = NOW_MS + 5000};
	uint8_t header[WIRE_HEADER_BYTES];

	wire_data_pack(header, &d);
	say(f, header, sizeof header, NULL, 0);
}

static void it_is_told_when_all_that_was_before_has_been_delivered(void **state)
{
	struct fixture *f = *state;

	connect_subscriber(f);
	deliver_flagged(f, 1, 10, WIRE_DATA_REPLAY);
	for (uint8_t c = 1; c < DIBAO_CHANNEL_COUNT; c++)
		position(f, c, 1, 0);
	deliver_flagged(f, 2, 11, WIRE_DATA_REPLAY);
	assert_int_equal(f->n_caught_up, 0);
	position(f, 0, 3, WIRE_DATA_REPLAY);
	position(f, 0, 4, 0);
	for (int i = 0; !f->n_caught_up && i < DEADLINE_MS / 20; i++)
		dispatch(f);
	assert_int_equal(f->n_when_caught_up, 2);
	assert_int_equal(dibao_subscriber_status(f->subscriber)->heartbeat_ms, NOW_MS + 5000);
	deliver(f, 5, 12);
	position(f, 0, 6, 0);
	dispatch(f);
	assert_int_equal(f->n_caught_up, 1);
}

static void an_invalid_event_ends_the_connection_of_who_asked_for_full_validation(void **state)
{
	struct fixture *f = *state;
	uint8_t buf[1024];

	connect_subscriber(f);
	deliver(f, 1, 100); /* zeros: no event, and delivered to who did not ask */
	f->subscriber = dibao_subscriber_free(f->subscriber);
	f->validate = true;
	connect_subscriber(f);
	say_data(f, 1, 100, 0);
	expect(f, WIRE_HELLO, true, buf, sizeof buf);
	assert_int_equal(f->n, 1);
}

static void *stop_it(void *subscriber)
{
	dibao_subscriber_stop(subscriber);
	return NULL;
}

static void the_simple_loop_ends_when_another_thread_says_so_also_before_it_begins(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	connect_subscriber(f);
	assert_int_equal(pthread_create(&thread, NULL, stop_it, f->subscriber), 0);
	assert_int_equal(dibao_subscriber_run(f->subscriber), 0);
	pthread_join(thread, NULL);
	dibao_subscriber_stop(f->subscriber);
	assert_int_equal(dibao_subscriber_run(f->subscriber), 0);
	deliver(f, 1, 100); /* it is as good as before */
}

static int status_of(const struct dibao_subscriber *s)
{
	return (int)dibao_subscriber_status(s)->state;
}

/* Each works and stops by itself. */
static void subscribers_share_a_context(void **state)
{
	struct fixture *f = *state;
	struct dibao_subscriber *first;
	uint8_t id[5];

	connect_subscriber(f);
	deliver(f, 1, 100);
	first = f->subscriber;
	memcpy(id, f->id, sizeof id);
	connect_subscriber(f);
	deliver(f, 1, 100);
	f->subscriber = dibao_subscriber_free(f->subscriber);
	f->subscriber = first;
	memcpy(f->id, id, sizeof id);
	assert_int_equal(status_of(first), DIBAO_STATE_ACTIVE);
	deliver(f, 2, 100);
}

/* A daemon that goes on without acks would have a slow application hold ever more. */
static void what_goes_beyond_the_window_ends_the_connection(void **state)
{
	static uint8_t payload[WIRE_ITEM_HEADER_BYTES + UINT16_MAX];
	struct fixture *f = *state;
	uint8_t header[WIRE_HEADER_BYTES], buf[1024];

	connect_subscriber(f);
	wire_item_pack(payload, DIBAO_ITEM_EVENT, 0, UINT16_MAX - WIRE_ITEM_HEADER_BYTES);
	for (unsigned i = 1; i <= 3; i++) {
		struct wire_data d = {.count = 1, .number = i, .token = i};

		wire_data_pack(header, &d);
		say(f, header, sizeof header, payload, UINT16_MAX);
	}
	expect(f, WIRE_HELLO, true, buf, sizeof buf);
	assert_int_equal(f->n, 2);
}

static void options_that_no_daemon_would_take_are_refused_with_a_reason(void **state)
{
	static const char *const one[] = {"tcp://127.0.0.1:1", NULL}, *const none[] = {NULL};
	static const char *const letters[] = {"32a", NULL}, *const empty[] = {"", NULL};
	static const char *const long_type[] = {"123456789012345678901234567890123", NULL};
	static const char key[] = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";
	const struct dibao_subscriber_options rows[] = {
		{.endpoints = one, .bureau = "3205"},
		{.on_delivery = on_delivery, .bureau = "3205"},
		{.on_delivery = on_delivery, .bureau = "3205", .endpoints = none},
		{.on_delivery = on_delivery, .endpoints = one},
		{.on_delivery = on_delivery, .endpoints = one, .bureau = ""},
		{.on_delivery = on_delivery, .endpoints = one, .bureau = "12345678901234567"},
		{.on_delivery = on_delivery, .endpoints = one, .bureau = "1", .durable = ""},
		{.on_delivery = on_delivery, .endpoints = one, .bureau = "1", .window_bytes = 1},
		{.on_delivery = on_delivery,
		 .endpoints = one,
		 .bureau = "1",
		 .window_bytes = WIRE_WINDOW_MAX + 1},
		{.on_delivery = on_delivery, .endpoints = one, .bureau = "1", .orgs = letters},
		{.on_delivery = on_delivery, .endpoints = one, .bureau = "1", .types = empty},
		{.on_delivery = on_delivery, .endpoints = one, .bureau = "1", .types = long_type},
		{.on_delivery = on_delivery,
		 .endpoints = one,
		 .bureau = "1",
		 .curve_server_key = key},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct dibao_error err = {0};

		if (dibao_subscriber_new(&f->subscriber, f->context, &rows[i], &err) != -EINVAL)
			fail_msg("row %zu was taken", i);
		assert_null(f->subscriber);
		assert_string_not_equal(err.reason, "");
	}
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_floor_goes_out_by_itself),
		TEST(half_a_window_is_acked_at_once),
		TEST(what_may_have_come_before_is_marked),
		TEST(what_arrives_beside_an_ack_is_told_by_the_descriptor),
		TEST(it_is_told_when_all_that_was_before_has_been_delivered),
		TEST(an_invalid_event_ends_the_connection_of_who_asked_for_full_validation),
		TEST(the_simple_loop_ends_when_another_thread_says_so_also_before_it_begins),
		TEST(subscribers_share_a_context),
		TEST(what_goes_beyond_the_window_ends_the_connection),
		TEST(options_that_no_daemon_would_take_are_refused_with_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
