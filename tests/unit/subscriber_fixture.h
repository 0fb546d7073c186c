/* SPDX-License-Identifier: Apache-2.0 */
/* The library's subscriber, and the test as its daemon on a real socket. For tests: include it
 * behind cmocka.h. */
#ifndef UNIT_SUBSCRIBER_FIXTURE_H
#define UNIT_SUBSCRIBER_FIXTURE_H

#include "wire.h"

#include <poll.h>
#include <stdlib.h>
#include <zmq.h>

/* Waiting takes twice that at most: less than the 10 s after which the subscriber looks round
 * anyway, which would hide a timer that was not set. */
enum { DEADLINE_MS = 80000 };

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
	bool validate;
	void (*on_confirmed)(struct dibao_subscriber *s, uint64_t id, int err, void *userdata);
};

static inline int on_delivery(struct dibao_subscriber *s, const struct dibao_delivery *d,
			      void *userdata)
{
	struct fixture *f = userdata;

	(void)s;
	assert_in_range(f->n, 0, 7);
	f->acks[f->n++] = d->ack;
	f->may_repeat = d->may_repeat;
	return 0;
}

static inline void on_caught_up(struct dibao_subscriber *s, void *userdata)
{
	struct fixture *f = userdata;

	assert_true(dibao_subscriber_status(s)->caught_up);
	f->n_caught_up++;
	f->n_when_caught_up = f->n;
}

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
{
	struct fixture *f = *state;

	dibao_subscriber_free(f->subscriber);
	dibao_context_free(f->context);
	zmq_close(f->router);
	zmq_ctx_term(f->zmq);
	return 0;
}

static inline void dispatch(struct fixture *f)
{
	struct pollfd p = {.fd = dibao_subscriber_fd(f->subscriber), .events = POLLIN};

	if (poll(&p, 1, 20) > 0)
		assert_true(dibao_subscriber_dispatch(f->subscriber, 0) >= 0);
}

/* The next message of that kind; others are passed over. With `running` the subscriber works. */
static inline int expect(struct fixture *f, enum wire_kind kind, bool running, uint8_t *buf,
			 size_t cap)
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

static inline void say(struct fixture *f, const void *p, size_t len, const void *payload,
		       size_t more)
{
	assert_int_equal(zmq_send(f->router, f->id, sizeof f->id, ZMQ_SNDMORE), sizeof f->id);
	assert_int_equal(zmq_send(f->router, p, len, payload ? ZMQ_SNDMORE : 0), len);
	if (payload)
		assert_int_equal(zmq_send(f->router, payload, more, 0), more);
}

static inline void welcome(struct fixture *f)
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

static inline void connect_subscriber(struct fixture *f)
{
	struct dibao_subscriber_options opt = {.bureau = "3205",
					       .userdata = f,
					       .on_delivery = on_delivery,
					       .on_caught_up = on_caught_up,
					       .on_confirmed = f->on_confirmed,
					       .validate = f->validate};
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
static inline void say_data(struct fixture *f, uint64_t number, uint16_t bytes, uint8_t flags)
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
static inline void deliver_flagged(struct fixture *f, uint64_t number, uint16_t bytes,
				   uint8_t flags)
{
	unsigned before = f->n;

	say_data(f, number, bytes, flags);
	for (int i = 0; f->n == before && i < DEADLINE_MS / 20; i++)
		dispatch(f);
	assert_int_equal(f->n, before + 1);
}

static inline void deliver(struct fixture *f, uint64_t number, uint16_t bytes)
{
	deliver_flagged(f, number, bytes, 0);
}

#endif
