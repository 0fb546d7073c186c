/* SPDX-License-Identifier: Apache-2.0 */
/* Who is connected, counted at a real ROUTER. Speakers are DEALERs of another context; who says
 * nothing is a bare tcp connection. That a key was let in is said by the tests, in the handler's
 * place. */
#include "../../daemon/connections.h"
#include "../../daemon/zap.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HERE  "127.0.0.1"
#define THERE "127.0.0.2"
#define A     "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
#define B     "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"

struct fixture {
	sd_event *event;
	struct router *router;
	struct connections *connections;
	struct zap *zap; /* lets all in */
	void *clients;	 /* their context */
	void *speakers[8];
	unsigned n_speakers;
	char endpoint[96];
	uint16_t port;
	unsigned n_messages;
	int source; /* of the last message */
};

static void on_message(uint32_t id, const void *frame, size_t len, void *userdata)
{
	struct fixture *f = userdata;

	(void)id;
	(void)frame;
	(void)len;
	f->n_messages++;
	f->source = router_source(f->router);
}

static void wait_until_(struct fixture *f, bool (*condition)(struct fixture *, unsigned),
			unsigned n, const char *what)
{
	time_t end = time(NULL) + 20;

	while (!condition(f, n)) {
		if (time(NULL) > end)
			fail_msg("waited in vain for: %s", what);
		assert_true(sd_event_run(f->event, 20 * 1000) >= 0);
	}
}

static bool connected(struct fixture *f, unsigned n)
{
	return connections_n(f->connections) == n;
}

static bool heard(struct fixture *f, unsigned n)
{
	return f->n_messages == n;
}

static bool is_ready(struct fixture *f, unsigned fd)
{
	uint8_t buf[128];

	(void)f;
	return recv((int)fd, buf, sizeof buf, MSG_PEEK | MSG_DONTWAIT) > 64;
}

#define wait_connected(f, n) wait_until_(f, connected, n, #n " connections")

static int set_up(void **state)
{
	static struct fixture f;
	struct router_options opt = {
		.io_threads = 1, .handshake_ms = 60000, .on_message = on_message, .userdata = &f};

	struct zap_options zap = {0};

	memset(&f, 0, sizeof f);
	*state = &f;
	assert_true(sd_event_new(&f.event) >= 0);
	opt.event = f.event;
	assert_int_equal(router_new(&f.router, &opt), 0);
	zap.event = f.event;
	zap.context = router_context(f.router);
	assert_int_equal(zap_new(&f.zap, &zap), 0);
	assert_int_equal(connections_new(&f.connections, f.event), 0);
	assert_int_equal(connections_watch(f.connections, f.router), 0);
	assert_int_equal(router_bind(f.router, "tcp://0.0.0.0:*", ZAP_INSECURE, NULL), 0);
	f.port = (uint16_t)atoi(strrchr(router_last_endpoint(f.router), ':') + 1);
	snprintf(f.endpoint, sizeof f.endpoint, "tcp://" HERE ":%u", f.port);
	f.clients = zmq_ctx_new();
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < f->n_speakers; i++)
		if (f->speakers[i])
			zmq_close(f->speakers[i]);
	zmq_ctx_term(f->clients);
	connections_free(f->connections);
	zap_free(f->zap);
	router_free(f->router, 0);
	sd_event_unref(f->event);
	return 0;
}

/* A connection that says nothing, from this address. */
static int silent(struct fixture *f, const char *from)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(f->port)},
			   own = {.sin_family = AF_INET};
	unsigned n = connections_n(f->connections);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, HERE, &to.sin_addr);
	inet_pton(AF_INET, from, &own.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof own), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	wait_connected(f, n + 1);
	return fd;
}

static void leave(struct fixture *f, int fd)
{
	unsigned n = connections_n(f->connections);

	close(fd);
	wait_connected(f, n - 1);
}

/* One that speaks; its descriptor at the router is f->source. It counts as let in with this key,
 * and is not told to connections.h as heard. */
static void *speaker(struct fixture *f, const char *key)
{
	void *s = zmq_socket(f->clients, ZMQ_DEALER);
	int linger = 0;

	f->speakers[f->n_speakers++] = s;
	zmq_setsockopt(s, ZMQ_LINGER, &linger, sizeof linger);
	assert_int_equal(zmq_connect(s, f->endpoint), 0);
	assert_int_equal(zmq_send(s, "x", 1, 0), 1);
	wait_until_(f, heard, f->n_messages + 1, "its message");
	assert_int_equal(connections_update(f->connections), 0);
	assert_int_equal(connections_let_in(f->connections, key, HERE), 0);
	return s;
}

static void end(struct fixture *f, void *s)
{
	unsigned n = connections_n(f->connections);

	for (unsigned i = 0; i < f->n_speakers; i++)
		if (f->speakers[i] == s)
			f->speakers[i] = NULL;
	zmq_close(s);
	wait_connected(f, n - 1);
}

/* As speaker(), over a bare socket (RFC 23: greeting, READY, a message), which leave() ends. The
 * router takes the lowest descriptor that is free: if `wanted` is not negative, that is the one. */
static int speaker_at(struct fixture *f, const char *key, int wanted)
{
	static const char greeting[64] = "\xff\0\0\0\0\0\0\0\0\x7f\3\0NULL",
			  ready[] = "\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06"
				    "DEALER",
			  message[] = "\0\1x";
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(f->port)};
	unsigned n = connections_n(f->connections);
	int s, plugs[256], n_plugs = 0;

	while (wanted >= 0 && (n_plugs == 0 || plugs[n_plugs - 1] != wanted)) {
		assert_in_range(n_plugs, 0, 255);
		plugs[n_plugs++] = dup(STDOUT_FILENO);
	}
	s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (n_plugs)
		close(plugs[--n_plugs]);
	inet_pton(AF_INET, HERE, &to.sin_addr);
	assert_int_equal(connect(s, (struct sockaddr *)&to, sizeof to), 0);
	wait_connected(f, n + 1);
	while (n_plugs)
		close(plugs[--n_plugs]);
	assert_int_equal(write(s, greeting, sizeof greeting), sizeof greeting);
	assert_int_equal(write(s, ready, sizeof ready - 1), sizeof ready - 1);
	wait_until_(f, is_ready, (unsigned)s, "the router's READY");
	assert_int_equal(write(s, message, sizeof message - 1), sizeof message - 1);
	wait_until_(f, heard, f->n_messages + 1, "its message");
	assert_int_equal(connections_let_in(f->connections, key, HERE), 0);
	return s;
}

static void assert_counts(struct fixture *f, unsigned a, unsigned b)
{
	assert_int_equal(connections_of_key(f->connections, A), a);
	assert_int_equal(connections_of_key(f->connections, B), b);
}

/* ---- tests ---- */

static void addresses_are_counted_from_accept_to_the_end(void **state)
{
	struct fixture *f = *state;
	int one = silent(f, HERE), two = silent(f, HERE), three = silent(f, THERE);

	assert_int_equal(connections_of_address(f->connections, HERE), 2);
	assert_int_equal(connections_of_address(f->connections, THERE), 1);
	leave(f, two);
	assert_int_equal(connections_of_address(f->connections, HERE), 1);
	leave(f, one);
	leave(f, three);
	assert_int_equal(connections_of_address(f->connections, HERE), 0);
	assert_int_equal(connections_of_address(f->connections, THERE), 0);
}

static void a_key_that_was_heard_is_counted_until_its_own_connection_ends(void **state)
{
	struct fixture *f = *state;
	void *a = speaker(f, A), *b;
	int idle;

	assert_true(f->source >= 0);
	connections_heard(f->connections, A, f->source);
	b = speaker(f, B);
	connections_heard(f->connections, B, f->source);
	connections_heard(f->connections, B, f->source); /* again */
	assert_counts(f, 1, 1);
	idle = silent(f, HERE); /* of nobody: it changes nothing when it leaves */
	leave(f, idle);
	assert_counts(f, 1, 1);
	end(f, a);
	assert_counts(f, 0, 1);
	end(f, b);
	assert_counts(f, 0, 0);
}

static void
who_says_nothing_is_counted_and_is_taken_off_with_a_silent_one_of_its_address(void **state)
{
	struct fixture *f = *state;
	int one = silent(f, HERE), two = silent(f, HERE), three = silent(f, THERE);

	connections_let_in(f->connections, A, HERE);
	connections_let_in(f->connections, B, HERE);
	connections_let_in(f->connections, A, THERE);
	assert_counts(f, 2, 1);
	leave(f, three);
	assert_counts(f, 1, 1);
	leave(f, two); /* whose it was is not known: the first let in */
	assert_counts(f, 0, 1);
	leave(f, one);
	assert_counts(f, 0, 0);
	connections_let_in(f->connections, A, HERE); /* gone before the answer */
	assert_counts(f, 0, 0);
}

static void never_more_are_silent_than_connections_of_the_address_say_nothing(void **state)
{
	struct fixture *f = *state;
	int one = silent(f, HERE);

	for (int i = 0; i < 5; i++)
		connections_let_in(f->connections, A, HERE);
	assert_counts(f, 1, 0);
	connections_let_in(f->connections, B, HERE);
	assert_counts(f, 0, 1);
	leave(f, one);
	assert_counts(f, 0, 0);
}

static void what_a_descriptors_former_connection_said_is_not_taken_for_the_new_ones(void **state)
{
	struct fixture *f = *state;
	int a = speaker_at(f, A, -1), fd = f->source, b, again;

	connections_heard(f->connections, A, fd);
	leave(f, a);
	b = speaker_at(f, B, fd);
	assert_int_equal(f->source, fd); /* else the test tests nothing */
	connections_heard(f->connections, A, fd);
	assert_counts(f, 0, 1);
	connections_heard(f->connections, B, fd);
	assert_counts(f, 0, 1);
	/* Even with another of A's at the same address that was not heard yet, the new one's word
	 * sets it right. */
	again = speaker_at(f, A, -1);
	leave(f, b);
	b = speaker_at(f, B, fd);
	assert_int_equal(f->source, fd);
	connections_heard(f->connections, A, fd);
	connections_heard(f->connections, B, fd);
	assert_int_equal(connections_of_key(f->connections, B), 1);
	leave(f, again);
	assert_counts(f, 0, 1);
	leave(f, b);
	assert_counts(f, 0, 0);
}

static void what_is_not_on_tcp_is_not_counted(void **state)
{
	struct fixture *f = *state;

	connections_heard(f->connections, A, -1);
	connections_heard(f->connections, A, 1 << 20);
	connections_heard(f->connections, A, 0);
	assert_counts(f, 0, 0);
	assert_int_equal(connections_n(f->connections), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(addresses_are_counted_from_accept_to_the_end),
		TEST(a_key_that_was_heard_is_counted_until_its_own_connection_ends),
		TEST(who_says_nothing_is_counted_and_is_taken_off_with_a_silent_one_of_its_address),
		TEST(never_more_are_silent_than_connections_of_the_address_say_nothing),
		TEST(what_a_descriptors_former_connection_said_is_not_taken_for_the_new_ones),
		TEST(what_is_not_on_tcp_is_not_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
