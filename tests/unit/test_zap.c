/* SPDX-License-Identifier: Apache-2.0 */
/* The handler and the router, real sockets; the clients speak from another context. */
#include "../../daemon/router.h"
#include "../../daemon/zap.h"

#include <dibao/key.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct fixture {
	sd_event *event;
	struct router *router;
	struct zap *zap, *other; /* other: of another process, as it were */
	void *other_context, *clients;
	void *sockets[4];
	unsigned n_sockets;
	char dir[64], endpoint[96];
	char server[DIBAO_KEY_TEXT], known[DIBAO_KEY_TEXT], secret[DIBAO_KEY_TEXT];
	char who[128]; /* of the last message: what zap_user() says; "-" for nobody */
	unsigned n_messages;
	bool foreign; /* the other handler's opinion was asked, and it knew the sender */
};

static bool knows(const char *z85, void *userdata)
{
	struct fixture *f = userdata;

	return !strcmp(z85, f->known);
}

static void on_message(uint32_t id, const void *frame, size_t len, void *userdata)
{
	struct fixture *f = userdata;
	const char *user = router_user_id(f->router);
	const char *who = zap_user(f->zap ? f->zap : f->other, user);

	(void)id;
	(void)frame;
	(void)len;
	f->n_messages++;
	f->foreign |= zap_user(f->other, user) != NULL;
	snprintf(f->who, sizeof f->who, "%s", who ? who : "-");
}

static void on_garbage(uint32_t id, void *userdata)
{
	(void)id;
	(void)userdata;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	char server_secret[DIBAO_KEY_TEXT];

	strcpy(f->dir, "/tmp/dibao-zap-XXXXXX");
	if (!mkdtemp(f->dir) || sd_event_new(&f->event) < 0)
		return -1;
	snprintf(f->endpoint, sizeof f->endpoint, "ipc://%s/s", f->dir);
	zmq_curve_keypair(f->server, server_secret);
	zmq_curve_keypair(f->known, f->secret);
	f->other_context = zmq_ctx_new();
	f->clients = zmq_ctx_new();
	if (router_new(&f->router, &(struct router_options){.event = f->event,
							    .io_threads = 1,
							    .userdata = f,
							    .on_message = on_message,
							    .on_garbage = on_garbage}) < 0 ||
	    zap_new(&f->zap, &(struct zap_options){.event = f->event,
						   .context = router_context(f->router),
						   .userdata = f,
						   .known = knows}) < 0 ||
	    zap_new(&f->other, &(struct zap_options){.event = f->event,
						     .context = f->other_context,
						     .userdata = f,
						     .known = knows}) < 0 ||
	    router_bind(f->router, f->endpoint, ZAP_CURVE, server_secret) < 0)
		return -1;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char path[96];

	while (f->n_sockets)
		zmq_close(f->sockets[--f->n_sockets]);
	zap_free(f->zap);
	zap_free(f->other);
	router_free(f->router, 0);
	zmq_ctx_term(f->other_context);
	zmq_ctx_term(f->clients);
	sd_event_unref(f->event);
	snprintf(path, sizeof path, "%s/s", f->dir);
	unlink(path);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void client(struct fixture *f, const char *public, const char *secret)
{
	void *s = zmq_socket(f->clients, ZMQ_DEALER);
	int linger = 0;

	zmq_setsockopt(s, ZMQ_LINGER, &linger, sizeof linger);
	if (public) {
		zmq_setsockopt(s, ZMQ_CURVE_SERVERKEY, f->server, DIBAO_KEY_TEXT - 1);
		zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, public, DIBAO_KEY_TEXT - 1);
		zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, secret, DIBAO_KEY_TEXT - 1);
	}
	f->sockets[f->n_sockets++] = s;
	assert_int_equal(zmq_connect(s, f->endpoint), 0);
	assert_int_equal(zmq_send(s, "H", 1, 0), 1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Until so many messages came or so many were refused; false after the time. */
static bool run(struct fixture *f, unsigned n_messages, uint64_t n_refused, double seconds)
{
	double end = now() + seconds;

	while (f->n_messages < n_messages || (f->zap && zap_refused(f->zap) < n_refused)) {
		if (now() > end)
			return false;
		assert_true(sd_event_run(f->event, 20000) >= 0);
	}
	return true;
}

static void a_message_tells_the_key_of_who_sent_it(void **state)
{
	struct fixture *f = *state;

	client(f, f->known, f->secret);

	assert_true(run(f, 1, 0, 20));
	assert_string_equal(f->who, f->known);
}

static void what_another_process_let_in_is_nobody_here(void **state)
{
	struct fixture *f = *state;
	char forged[160];

	client(f, f->known, f->secret);
	assert_true(run(f, 1, 0, 20));
	assert_false(f->foreign);
	/* A secret that is missing, too short, or of the right length. */
	assert_null(zap_user(f->zap, NULL));
	assert_null(zap_user(f->zap, ""));
	assert_null(zap_user(f->zap, f->known));
	assert_null(zap_user(f->zap, ZAP_LOCAL));
	snprintf(forged, sizeof forged, "%032d%s", 0, f->known);
	assert_null(zap_user(f->zap, forged));
}

static void an_unknown_key_is_refused_and_counted(void **state)
{
	struct fixture *f = *state;
	char public[DIBAO_KEY_TEXT], secret[DIBAO_KEY_TEXT];

	zmq_curve_keypair(public, secret);
	client(f, public, secret);
	assert_true(run(f, 0, 1, 20));
	client(f, f->known, f->secret);
	assert_true(run(f, 1, 1, 20));
	assert_string_equal(f->who, f->known);
	assert_int_equal(f->n_messages, 1);
}

static void a_client_without_curve_does_not_get_in(void **state)
{
	struct fixture *f = *state;

	client(f, NULL, NULL);
	client(f, f->known, f->secret);

	assert_true(run(f, 1, 0, 20));
	assert_false(run(f, 2, 0, 0.5));
}

static void without_the_handler_nobody_gets_in(void **state)
{
	struct fixture *f = *state;
	f->zap = zap_free(f->zap);
	client(f, f->known, f->secret);
	if (run(f, 1, 0, 1.0))
		assert_string_equal(f->who, "-"); /* a libzmq that asks nobody: then it is nobody */
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(a_message_tells_the_key_of_who_sent_it),
		EACH(what_another_process_let_in_is_nobody_here),
		EACH(an_unknown_key_is_refused_and_counted),
		EACH(a_client_without_curve_does_not_get_in),
		EACH(without_the_handler_nobody_gets_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
