/* SPDX-License-Identifier: Apache-2.0 */
#include "../../daemon/zmq_source.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <time.h>
#include <zmq.h>

enum { MESSAGES = 100 };

struct fixture {
	sd_event *event;
	void *context, *in, *out;
	struct zmq_source *source;
	int n_received, n_calls, per_call, fail_with;
	bool free_inside;
};

static int take(void *socket, void *userdata)
{
	struct fixture *f = userdata;
	char byte;

	f->n_calls++;
	for (int i = 0; i < f->per_call; i++) {
		if (zmq_recv(socket, &byte, 1, ZMQ_DONTWAIT) < 0) {
			break;
		}
		f->n_received++;
	}
	if (f->free_inside) {
		f->source = zmq_source_free(f->source);
	}
	return f->fail_with;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	f->per_call = 1;
	assert_true(sd_event_new(&f->event) >= 0);
	f->context = zmq_ctx_new();
	f->in = zmq_socket(f->context, ZMQ_PULL);
	f->out = zmq_socket(f->context, ZMQ_PUSH);
	assert_int_equal(zmq_bind(f->in, "inproc://x"), 0);
	assert_int_equal(zmq_connect(f->out, "inproc://x"), 0);
	assert_int_equal(zmq_source_new(&f->source, f->event, f->in, take, f), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	zmq_source_free(f->source);
	zmq_close(f->in);
	zmq_close(f->out);
	zmq_ctx_term(f->context);
	sd_event_unref(f->event);
	free(f);
	return 0;
}

static void send_some(struct fixture *f, int n)
{
	for (int i = 0; i < n; i++) {
		assert_int_equal(zmq_send(f->out, "x", 1, 0), 1);
	}
}

/* Runs the loop until it would sleep for 200 ms. */
static void run_until_idle(struct fixture *f)
{
	while (sd_event_run(f->event, 200 * 1000) > 0) {
	}
}

static void all_messages_arrive_though_the_handler_takes_one_at_a_time(void **state)
{
	struct fixture *f = *state;

	send_some(f, MESSAGES);
	run_until_idle(f);
	assert_int_equal(f->n_received, MESSAGES);
}

static void a_message_is_seen_after_another_call_ate_the_edge(void **state)
{
	struct fixture *f = *state;
	int events;
	size_t len = sizeof events;

	send_some(f, 1);
	run_until_idle(f);
	send_some(f, 1);
	/* Somebody asks the socket: the descriptor falls silent, the message stays. */
	assert_int_equal(zmq_getsockopt(f->in, ZMQ_EVENTS, &events, &len), 0);
	run_until_idle(f);
	assert_int_equal(f->n_received, 2);
}

static void an_idle_socket_costs_no_turns(void **state)
{
	struct fixture *f = *state;

	send_some(f, 1);
	run_until_idle(f);
	f->n_calls = 0;
	assert_int_equal(sd_event_run(f->event, 50 * 1000), 0);
	assert_int_equal(f->n_calls, 0);
}

/* Always wants a turn. Enabled anew each time: one left on would keep its first place in the line
 * for ever. */
static int count_turn(sd_event_source *source, void *userdata)
{
	++*(int *)userdata;
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) < 0 ? -1 : 0;
}

static void other_sources_get_their_turn_during_a_flood(void **state)
{
	struct fixture *f = *state;
	sd_event_source *other = NULL;
	int n_others = 0;

	assert_true(sd_event_add_defer(f->event, &other, count_turn, &n_others) >= 0);
	send_some(f, MESSAGES);
	while (f->n_received < MESSAGES) {
		assert_true(sd_event_run(f->event, 1000 * 1000) > 0);
	}
	assert_true(n_others >= MESSAGES / 4);
	sd_event_source_disable_unref(other);
}

static void an_error_of_the_handler_ends_the_loop_with_its_code(void **state)
{
	struct fixture *f = *state;

	f->fail_with = -EPROTO;
	send_some(f, 1);
	assert_int_equal(sd_event_loop(f->event), -EPROTO);
}

static void the_handler_may_free_its_source(void **state)
{
	struct fixture *f = *state;

	f->free_inside = true;
	send_some(f, 2);
	run_until_idle(f);
	assert_int_equal(f->n_received, 1);
	assert_null(f->source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			all_messages_arrive_though_the_handler_takes_one_at_a_time, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(a_message_is_seen_after_another_call_ate_the_edge,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_idle_socket_costs_no_turns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_sources_get_their_turn_during_a_flood, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(an_error_of_the_handler_ends_the_loop_with_its_code,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_handler_may_free_its_source, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
