/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fanout from the real history through the real router to real sockets, which ack what they get.
 * For tests: the file that includes this is one program.
 */
#ifndef TESTS_UNIT_FANOUT_FIXTURE_H
#define TESTS_UNIT_FANOUT_FIXTURE_H

#include "../../daemon/fanout.h"
#include "../../daemon/zap.h"

#include <dibao/view.h>
#include <errno.h>
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

static inline void on_message(uint32_t routing_id, const void *frame, size_t len, void *userdata)
{
	struct fixture *f = userdata;

	(void)frame, (void)len;
	f->heard_from = routing_id;
}

static inline void on_garbage(uint32_t routing_id, void *userdata)
{
	(void)routing_id, (void)userdata;
	fail_msg("garbage");
}

static inline void on_gone(struct session *s, void *userdata)
{
	(void)userdata;
	s->state = SESSION_ENDED;
}

static inline bool is_current(enum dibao_channel c, void *userdata)
{
	const struct fixture *f = userdata;

	return !(f->not_current >> c & 1);
}

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
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

static inline uint64_t deadline(void)
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

static inline void receive(struct peer *p)
{
	struct wire_data d;
	zmq_msg_t m;

	zmq_msg_init(&m);
	while (zmq_msg_recv(&m, p->socket, ZMQ_DONTWAIT) >= 0) {
		if (zmq_msg_size(&m) == 1)
			continue; /* a test's own */
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
static inline void receive_all(struct fixture *f)
{
	for (unsigned i = 0; i < f->n_peers; i++) {
		uint64_t before = f->peers[i].n_frames;

		receive(&f->peers[i]);
		if (f->peers[i].n_frames > before)
			fanout_wake(f->fanout, f->peers[i].session);
	}
}

/* All that is under way has come when this returns: the position was sent behind it. */
static inline void settle(struct fixture *f, struct peer *p)
{
	unsigned n = p->n_positions;

	fanout_beat(f->fanout, p->session);
	wait_until(f, p->n_positions > n);
}

static inline struct peer *connect_peer_in(struct fixture *f, void *context)
{
	struct peer *p = &f->peers[f->n_peers];
	struct filter all = {0};
	struct session *s;
	int linger = 0;

	p->socket = zmq_socket(context, ZMQ_DEALER);
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

/* A session on the public channel, at its very beginning and not served yet. */
static inline struct peer *connect_peer(struct fixture *f)
{
	return connect_peer_in(f, f->zmq);
}

/* Where nothing but its own queue lies between, so that one can tell when that is full. */
static inline struct peer *connect_within(struct fixture *f)
{
	assert_int_equal(router_bind(f->router, "inproc://fanout", ZAP_INSECURE, NULL), 0);
	return connect_peer_in(f, router_context(f->router));
}

static inline void serve(struct fixture *f, struct peer *p)
{
	p->session->state = SESSION_ACTIVE;
	fanout_attach(f->fanout, p->session);
}

static inline void serve_no_more(struct fixture *f, struct peer *p)
{
	fanout_detach(f->fanout, p->session);
	p->session->state = SESSION_ENDED;
}

static inline bool in_step(const struct peer *p)
{
	return p->session->at[DIBAO_CHANNEL_PUBLIC].in_step;
}

static inline struct peer *connect_in_step(struct fixture *f)
{
	struct peer *p = connect_peer(f);

	serve(f, p);
	/* It is told at once that it has all there is. */
	wait_until(f, in_step(p) && p->n_positions == 1);
	return p;
}

/* n events come to the tail, in one go. */
static inline void append_to(struct fixture *f, enum dibao_channel c, size_t n)
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

static inline void append(struct fixture *f, size_t n)
{
	append_to(f, DIBAO_CHANNEL_PUBLIC, n);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

#endif
