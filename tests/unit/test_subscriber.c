/* SPDX-License-Identifier: Apache-2.0 */
/* The library's subscriber; the test speaks the daemon's side of the protocol on a real socket. */
#include "wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <stdlib.h>
#include <zmq.h>

/* Waiting takes twice that at most: less than the 10 s after which the subscriber looks round
 * anyway, which would hide a timer that was not set. */
enum { DEADLINE_MS = 20000 };

#define NOW_MS 1700000000000

struct fixture {
	void *zmq, *router;
	struct dibao_context *context;
	struct dibao_subscriber *subscriber;
	uint8_t id[5]; /* of the subscriber's connection */
	uint64_t acks[8];
	bool may_repeat; /* of the last delivery */
	unsigned n;
	unsigned n_caught_up, n_when_caught_up; /* how often; deliveries until then */
};

static int on_delivery(struct dibao_subscriber *s, const struct dibao_delivery *d, void *userdata)
{
	struct fixture *f = userdata;

	(void)s;
	assert_in_range(f->n, 0, 7);
	f->acks[f->n++] = d->ack;
	f->may_repeat = d->may_repeat;
	return 0;
}

static void on_caught_up(struct dibao_subscriber *s, void *userdata)
{
	struct fixture *f = userdata;

	assert_true(dibao_subscriber_status(s)->caught_up);
	f->n_caught_up++;
	f->n_when_caught_up = f->n;
}

static int set_up(void **state)
{
	static struct fixture f;
	int timeout = 20, linger = 0;

	f = (struct fixture){.zmq = zmq_ctx_new()};
	f.router = zmq_socket(f.zmq, ZMQ_ROUTER);
	assert_non_null(f.router);
	zmq_setsockopt(f.router, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
	zmq_setsockopt(f.router, ZMQ_LINGER, &linger, sizeof linger);
	assert_int_equal(zmq_bind(f.router, "tcp://127.0.0.1:*"), 0);
	assert_int_equal(dibao_context_new(&f.context, 1), 0);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	dibao_subscriber_free(f->subscriber);
	dibao_context_free(f->context);
	zmq_close(f->router);
	zmq_ctx_term(f->zmq);
	return 0;
}

static void dispatch(struct fixture *f)
{
	struct pollfd p = {.fd = dibao_subscriber_fd(f->subscriber), .events = POLLIN};

	if (poll(&p, 1, 20) > 0)
		assert_true(dibao_subscriber_dispatch(f->subscriber, 0) >= 0);
}

/* The next message of that kind; others are passed over. With `running` the subscriber works. */
static int expect(struct fixture *f, enum wire_kind kind, bool running, uint8_t *buf, size_t cap)
{
	for (int ms = 0; ms < DEADLINE_MS; ms += 20) {
		int n;

		if (running)
			dispatch(f);
		if (zmq_recv(f->router, f->id, sizeof f->id, 0) < 0)
			continue;
		n = zmq_recv(f->router, buf, cap, 0);
		if (n > 0 && buf[0] == kind)
			return n;
	}
	fail_msg("waited in vain for %c", kind);
	return -1;
}

static void say(struct fixture *f, const void *p, size_t len, const void *payload, size_t more)
{
	assert_int_equal(zmq_send(f->router, f->id, sizeof f->id, ZMQ_SNDMORE), sizeof f->id);
	assert_int_equal(zmq_send(f->router, p, len, payload ? ZMQ_SNDMORE : 0), len);
	if (payload)
		assert_int_equal(zmq_send(f->router, payload, more, 0), more);
}

static void welcome(struct fixture *f)
{
	struct wire_welcome w = {.proto = 1,
				 .lease_ms = 600000,
				 .beat_ms = 600000,
				 .window_bytes = WIRE_WINDOW_MIN,
				 .channels = 15,
				 .clock_ms = NOW_MS};
	uint8_t buf[1024];

	expect(f, WIRE_HELLO, true, buf, sizeof buf);
	say(f, buf, (size_t)wire_welcome_pack(buf, sizeof buf, &w), NULL, 0);
}

static void connect_subscriber(struct fixture *f)
{
	struct dibao_subscriber_options opt = {.bureau = "3205",
					       .userdata = f,
					       .on_delivery = on_delivery,
					       .on_caught_up = on_caught_up};
	const char *endpoints[2] = {NULL, NULL};
	char endpoint[64];
	size_t len = sizeof endpoint;

	assert_int_equal(zmq_getsockopt(f->router, ZMQ_LAST_ENDPOINT, endpoint, &len), 0);
	endpoints[0] = endpoint;
	opt.endpoints = endpoints;
	assert_int_equal(dibao_subscriber_new(&f->subscriber, f->context, &opt, NULL), 0);
	welcome(f);
}

/* A frame of one item of `bytes`. */
static void say_data(struct fixture *f, uint64_t number, uint16_t bytes, uint8_t flags)
{
	static uint8_t payload[WIRE_ITEM_HEADER_BYTES + UINT16_MAX];
	struct wire_data d = {.flags = flags,
			      .count = 1,
			      .number = number,
			      .token = 1000 + number,
			      .clock_ms = NOW_MS};
	uint8_t header[WIRE_HEADER_BYTES];

	wire_item_pack(payload, DIBAO_ITEM_EVENT, 0, bytes);
	wire_data_pack(header, &d);
	say(f, header, sizeof header, payload, WIRE_ITEM_HEADER_BYTES + bytes);
}

/* The same; waits until it was delivered. */
static void deliver_flagged(struct fixture *f, uint64_t number, uint16_t bytes, uint8_t flags)
{
	unsigned before = f->n;

	say_data(f, number, bytes, flags);
	for (int i = 0; f->n == before && i < DEADLINE_MS / 20; i++)
		dispatch(f);
	assert_int_equal(f->n, before + 1);
}

static void deliver(struct fixture *f, uint64_t number, uint16_t bytes)
{
	deliver_flagged(f, number, bytes, 0);
}

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
		TEST(what_goes_beyond_the_window_ends_the_connection),
		TEST(options_that_no_daemon_would_take_are_refused_with_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
