/* SPDX-License-Identifier: Apache-2.0 */
/* A subscriber that gets no session: what it tells its application, how soon, how often; and where
 * it goes next. The other sides are real sockets of libzmq, or of TCP. */
#include "wire.h"

#include <dibao/key.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

enum { TOLD_MAX = 64, SOON_MS = 4000, BOUND_MS = 12000 };

struct told {
	enum dibao_state state;
	enum dibao_reason reason;
	char text[160], endpoint[64];
};

struct keys {
	char public[DIBAO_KEY_TEXT], secret[DIBAO_KEY_TEXT];
};

struct fixture {
	void *zmq, *router;
	char endpoint[64]; /* of the router */
	struct dibao_context *context;
	struct dibao_subscriber *subscriber;
	struct keys daemon, own, other;
	struct told told[TOLD_MAX];
	unsigned n;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int on_delivery(struct dibao_subscriber *s, const struct dibao_delivery *d, void *userdata)
{
	(void)s;
	(void)d;
	(void)userdata;
	return 0;
}

static void on_status(struct dibao_subscriber *s, const struct dibao_status *st, void *userdata)
{
	struct fixture *f = userdata;
	struct told *t = &f->told[f->n];

	(void)s;
	assert_in_range(f->n, 0, TOLD_MAX - 1);
	f->n++;
	t->state = st->state;
	t->reason = st->reason;
	snprintf(t->text, sizeof t->text, "%s", st->text);
	snprintf(t->endpoint, sizeof t->endpoint, "%s", st->endpoint);
}

static int set_up(void **state)
{
	static struct fixture f;

	f = (struct fixture){.zmq = zmq_ctx_new()};
	assert_int_equal(zmq_curve_keypair(f.daemon.public, f.daemon.secret), 0);
	assert_int_equal(zmq_curve_keypair(f.own.public, f.own.secret), 0);
	assert_int_equal(zmq_curve_keypair(f.other.public, f.other.secret), 0);
	assert_int_equal(dibao_context_new(&f.context, 1), 0);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	dibao_subscriber_free(f->subscriber);
	dibao_context_free(f->context);
	if (f->router)
		zmq_close(f->router);
	zmq_ctx_term(f->zmq);
	return 0;
}

static void listen_at(struct fixture *f, const char *where, bool curve)
{
	size_t n = sizeof f->endpoint;
	int one = 1, none = 0;

	f->router = zmq_socket(f->zmq, ZMQ_ROUTER);
	assert_non_null(f->router);
	zmq_setsockopt(f->router, ZMQ_LINGER, &none, sizeof none);
	if (curve) {
		zmq_setsockopt(f->router, ZMQ_CURVE_SERVER, &one, sizeof one);
		zmq_setsockopt(f->router, ZMQ_CURVE_SECRETKEY, f->daemon.secret,
			       DIBAO_KEY_TEXT - 1);
	}
	assert_int_equal(zmq_bind(f->router, where), 0);
	assert_int_equal(zmq_getsockopt(f->router, ZMQ_LAST_ENDPOINT, f->endpoint, &n), 0);
}

/* `server`: its key, or NULL for no keys at all. */
static void subscribe(struct fixture *f, const char *const *endpoints, const struct keys *server)
{
	struct dibao_subscriber_options opt = {.bureau = "3205",
					       .endpoints = endpoints,
					       .userdata = f,
					       .on_delivery = on_delivery,
					       .on_status = on_status};

	if (server) {
		opt.curve_server_key = server->public;
		opt.curve_public_key = f->own.public;
		opt.curve_secret_key = f->own.secret;
	}
	assert_int_equal(dibao_subscriber_new(&f->subscriber, f->context, &opt, NULL), 0);
}

static void dispatch(struct fixture *f)
{
	struct pollfd p = {.fd = dibao_subscriber_fd(f->subscriber), .events = POLLIN};

	if (poll(&p, 1, 20) > 0)
		assert_true(dibao_subscriber_dispatch(f->subscriber, 0) >= 0);
}

/* Works until `n` statuses are told; how long that took. */
static int64_t until_told(struct fixture *f, unsigned n, int64_t ms)
{
	int64_t begun = now_ms();

	while (f->n < n) {
		if (now_ms() - begun > ms)
			fail_msg("told %u of %u within %lld ms", f->n, n, (long long)ms);
		dispatch(f);
	}
	return now_ms() - begun;
}

static void assert_told(const struct fixture *f, unsigned i, enum dibao_reason why,
			const char *words, const char *endpoint)
{
	const struct told *t = &f->told[i];

	assert_int_equal(t->state, DIBAO_STATE_CONNECTING);
	if (t->reason != why || !strstr(t->text, words))
		fail_msg("told %d, %s", t->reason, t->text);
	assert_string_equal(t->endpoint, endpoint);
	assert_string_not_equal(dibao_reason_name(t->reason), "unknown reason");
}

/* Answers a HELLO with a WELCOME: true if there was one. */
static bool welcome(struct fixture *f)
{
	struct wire_welcome w = {.proto = 1,
				 .lease_ms = 600000,
				 .beat_ms = 600000,
				 .window_bytes = WIRE_WINDOW_MIN,
				 .channels = 15,
				 .clock_ms = 1700000000000};
	uint8_t id[5], buf[1024];
	int n;

	if (zmq_recv(f->router, id, sizeof id, ZMQ_DONTWAIT) != sizeof id ||
	    zmq_recv(f->router, buf, sizeof buf, 0) < 1 || buf[0] != WIRE_HELLO)
		return false;
	n = wire_welcome_pack(buf, sizeof buf, &w);
	assert_int_equal(zmq_send(f->router, id, sizeof id, ZMQ_SNDMORE), sizeof id);
	assert_int_equal(zmq_send(f->router, buf, (size_t)n, 0), n);
	return true;
}

static void until_active(struct fixture *f, int64_t ms)
{
	int64_t begun = now_ms();

	while (!f->n || f->told[f->n - 1].state != DIBAO_STATE_ACTIVE) {
		if (now_ms() - begun > ms)
			fail_msg("not active within %lld ms", (long long)ms);
		dispatch(f);
		welcome(f);
	}
}

static void a_wrong_server_key_is_told_soon(void **state)
{
	struct fixture *f = *state;
	const char *const endpoints[] = {f->endpoint, NULL};

	listen_at(f, "tcp://127.0.0.1:*", true);
	subscribe(f, endpoints, &f->other);
	until_told(f, 1, SOON_MS);
	assert_told(f, 0, DIBAO_REASON_HANDSHAKE, "is the server key this daemon's", f->endpoint);
}

/* Which side notices first is chance, and so are the words. */
static void keys_given_to_an_endpoint_without_any_are_told_soon(void **state)
{
	struct fixture *f = *state;
	const char *const endpoints[] = {f->endpoint, NULL};

	listen_at(f, "tcp://127.0.0.1:*", false);
	subscribe(f, endpoints, &f->daemon);
	until_told(f, 1, SOON_MS);
	assert_told(f, 0, DIBAO_REASON_HANDSHAKE, "keys (CURVE)", f->endpoint);
}

static void an_endpoint_that_wants_keys_says_so_soon_to_who_has_none(void **state)
{
	struct fixture *f = *state;
	const char *const endpoints[] = {f->endpoint, NULL};

	listen_at(f, "tcp://127.0.0.1:*", true);
	subscribe(f, endpoints, NULL);
	until_told(f, 1, SOON_MS);
	assert_told(f, 0, DIBAO_REASON_HANDSHAKE, "keys (CURVE)", f->endpoint);
}

static void an_endpoint_where_nobody_listens_is_told_soon_of_any_kind(void **state)
{
	static const char *const rows[] = {"tcp://127.0.0.1:1", "ipc:///nonexistent/dibao.sock"};
	struct fixture *f = *state;

	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *const endpoints[] = {rows[i], NULL};

		f->n = 0;
		subscribe(f, endpoints, NULL);
		until_told(f, 1, SOON_MS);
		assert_told(f, 0, DIBAO_REASON_NO_ANSWER, "nobody listens there", rows[i]);
		f->subscriber = dibao_subscriber_free(f->subscriber);
	}
}

static void an_endpoint_that_cannot_be_one_is_told_at_once(void **state)
{
	static const char *const endpoints[] = {"127.0.0.1:7", NULL};
	struct fixture *f = *state;

	subscribe(f, endpoints, NULL);
	until_told(f, 1, SOON_MS);
	assert_told(f, 0, DIBAO_REASON_NO_ANSWER, "cannot be opened", endpoints[0]);
}

static void a_subscriber_may_follow_another_at_once(void **state)
{
	static const char *const endpoints[] = {"tcp://127.0.0.1:1", NULL};
	struct fixture *f = *state;

	for (unsigned i = 0; i < 300; i++) {
		f->n = 0;
		subscribe(f, endpoints, NULL);
		assert_true(dibao_subscriber_dispatch(f->subscriber, 0) >= 0);
		if (f->n)
			assert_told(f, 0, DIBAO_REASON_NO_ANSWER, "nobody", endpoints[0]);
		f->subscriber = dibao_subscriber_free(f->subscriber);
	}
}

static void a_peer_that_is_silent_is_told_after_a_bounded_time(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct fixture *f = *state;
	const char *const endpoints[] = {f->endpoint, NULL};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t n = sizeof at;

	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	snprintf(f->endpoint, sizeof f->endpoint, "tcp://127.0.0.1:%u", ntohs(at.sin_port));
	subscribe(f, endpoints, NULL);
	until_told(f, 1, BOUND_MS);
	assert_told(f, 0, DIBAO_REASON_NO_ANSWER, "silent", f->endpoint);
	close(fd);
}

static void a_hello_that_nobody_answers_is_told_after_a_bounded_time(void **state)
{
	struct fixture *f = *state;
	const char *const endpoints[] = {f->endpoint, NULL};

	listen_at(f, "tcp://127.0.0.1:*", false);
	subscribe(f, endpoints, NULL);
	until_told(f, 1, BOUND_MS);
	assert_told(f, 0, DIBAO_REASON_NO_ANSWER, "HELLO is not answered", f->endpoint);
}

/* Each endpoint's fault once, however often it is tried; and by its own name. */
static void each_endpoint_that_fails_is_told_once(void **state)
{
	static const char nobody[] = "tcp://127.0.0.1:1";
	struct fixture *f = *state;
	const char *const endpoints[] = {nobody, f->endpoint, NULL};
	int64_t begun = now_ms();

	listen_at(f, "tcp://127.0.0.1:*", true);
	subscribe(f, endpoints, &f->other);
	until_told(f, 2, SOON_MS);
	while (now_ms() - begun < SOON_MS / 2)
		dispatch(f);
	assert_int_equal(f->n, 2);
	assert_told(f, 0, DIBAO_REASON_NO_ANSWER, "", nobody);
	assert_told(f, 1, DIBAO_REASON_HANDSHAKE, "", f->endpoint);
	/* Another fault of the same endpoint is news. */
	zmq_close(f->router);
	f->router = NULL;
	until_told(f, 3, BOUND_MS);
	assert_told(f, 2, DIBAO_REASON_NO_ANSWER, "", f->endpoint);
}

/* As soon as the dead one is known to be: libzmq by itself would go on trying it. */
static void
who_finds_nobody_goes_to_the_next_endpoint_at_once_and_tells_of_a_fault_anew(void **state)
{
	struct fixture *f = *state;
	const char *const endpoints[] = {"tcp://127.0.0.1:1", f->endpoint, NULL};
	char where[64];

	listen_at(f, "tcp://127.0.0.1:*", false);
	snprintf(where, sizeof where, "%s", f->endpoint);
	subscribe(f, endpoints, NULL);
	until_active(f, SOON_MS);
	assert_int_equal(f->n, 2);
	assert_string_equal(f->told[1].endpoint, where);
	/* The session ends: both are told of again. */
	zmq_close(f->router);
	f->router = NULL;
	until_told(f, 5, BOUND_MS);
	assert_told(f, 2, DIBAO_REASON_LOST, "", where);
	assert_told(f, 3, DIBAO_REASON_NO_ANSWER, "", endpoints[0]);
	assert_told(f, 4, DIBAO_REASON_NO_ANSWER, "", where);
	listen_at(f, where, false);
	until_active(f, BOUND_MS);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_wrong_server_key_is_told_soon),
		TEST(keys_given_to_an_endpoint_without_any_are_told_soon),
		TEST(an_endpoint_that_wants_keys_says_so_soon_to_who_has_none),
		TEST(an_endpoint_where_nobody_listens_is_told_soon_of_any_kind),
		TEST(an_endpoint_that_cannot_be_one_is_told_at_once),
		TEST(a_subscriber_may_follow_another_at_once),
		TEST(a_peer_that_is_silent_is_told_after_a_bounded_time),
		TEST(a_hello_that_nobody_answers_is_told_after_a_bounded_time),
		TEST(each_endpoint_that_fails_is_told_once),
		TEST(who_finds_nobody_goes_to_the_next_endpoint_at_once_and_tells_of_a_fault_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
