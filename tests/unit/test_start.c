/* SPDX-License-Identifier: Apache-2.0 */
/* HELLO: who is let in, with what. */
#include "sessions_fixture.h"

static struct client *client_from(struct fixture *f, enum dibao_start from, int64_t arg)
{
	struct client *k = client_new(f);

	k->hello.from = from;
	k->hello.from_arg = arg;
	say_hello(k);
	return k;
}

static void refused(struct fixture *f, struct wire_hello h, enum dibao_reason why,
		    const char *words)
{
	struct client *k = &f->clients[0];
	struct wire_goodbye g;
	char said[WIRE_TEXT_MAX + 1] = "";

	f->n_clients = f->n_clients ? f->n_clients : (client_new(f), 1);
	k->n_told[WIRE_GOODBYE] = 0;
	h.proto_min = h.proto_min ? h.proto_min : 1;
	h.proto_max = h.proto_max ? h.proto_max : 1;
	h.bureau = h.bureau.p ? h.bureau : text(BUREAU);
	k->hello = h;
	say_hello(k);
	wait_until(f, k->n_told[WIRE_GOODBYE]);
	assert_int_equal(wire_goodbye_unpack(&g, k->told[WIRE_GOODBYE], k->told_len[WIRE_GOODBYE]),
			 0);
	memcpy(said, g.text.p, g.text.len);
	assert_int_equal(g.reason, why);
	if (!strstr(said, words))
		fail_msg("\"%s\" does not say \"%s\"", said, words);
	assert_int_equal(f->sessions->n, 0);
}

static void what_a_hello_asks_amiss_is_refused_aloud(void **state)
{
	struct fixture *f = *state;
	struct wire_hello last = {.from = DIBAO_START_LAST, .from_arg = 100000};
	struct client *k;

	refused(f, (struct wire_hello){.proto_min = 2, .proto_max = 3}, DIBAO_REASON_VERSION,
		"version");
	refused(f, (struct wire_hello){.bureau = text("3206")}, DIBAO_REASON_REFUSED, "bureau");
	refused(f, (struct wire_hello){.bureau = text("32050")}, DIBAO_REASON_REFUSED, "bureau");
	refused(f, (struct wire_hello){.bureau = text("320")}, DIBAO_REASON_REFUSED, "bureau");
	refused(f, (struct wire_hello){.from = DIBAO_START_LAST, .from_arg = 0},
		DIBAO_REASON_REFUSED, "last");
	refused(f, (struct wire_hello){.from = DIBAO_START_LAST, .from_arg = 100001},
		DIBAO_REASON_REFUSED, "last");
	refused(f, (struct wire_hello){.orgs = {text("12x")}, .n_orgs = 1}, DIBAO_REASON_REFUSED,
		"org");
	refused(f, (struct wire_hello){.durable = text("nobody")}, DIBAO_REASON_REFUSED,
		"dibaoctl durable set");
	assert_int_equal(f->sessions->n_refused, 8);
	for (last.from_arg = 1; last.from_arg <= 100000; last.from_arg += 99999) {
		k = client_from(f, last.from, last.from_arg);
		wait_active(f, k);
	}
}

static void as_many_as_the_configuration_allows_are_let_in(void **state)
{
	struct fixture *f = *state;
	struct client *a, *b;

	f->config->max_sessions = 1;
	a = client_from(f, DIBAO_START_NEW, 0);
	wait_active(f, a);
	b = client_from(f, DIBAO_START_NEW, 0);
	wait_until(f, b->n_told[WIRE_GOODBYE]);
	assert_int_equal(reason_told(b), DIBAO_REASON_BUSY);
	f->config->max_sessions = 2;
	say_hello(b);
	wait_active(f, b);
}

static void a_hello_said_again_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_from(f, DIBAO_START_NEW, 0);
	struct session *s;
	uint64_t serial;

	say_hello(k);
	s = wait_active(f, k);
	serial = s->serial;
	say_hello(k);
	wait_heard(f, s);
	assert_int_equal(session_of(f, k)->serial, serial);
	assert_int_equal(f->sessions->n, 1);
	assert_int_equal(k->n_told[WIRE_GOODBYE], 0);
	/* But it must be the same. */
	k->hello.instance[0] ^= 128;
	say_hello(k);
	wait_until(f, k->n_told[WIRE_GOODBYE]);
	assert_int_equal(reason_told(k), DIBAO_REASON_PROTOCOL);
	assert_int_equal(f->sessions->n, 0);
}

static void a_malformed_hello_is_a_protocol_error(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_new(f);

	say(k, "H", 1);
	wait_until(f, k->n_told[WIRE_GOODBYE]);
	assert_int_equal(reason_told(k), DIBAO_REASON_PROTOCOL);
	assert_int_equal(f->sessions->n_protocol_errors, 1);
	/* It ends a session too. */
	say_hello(k);
	wait_active(f, k);
	say(k, "H", 1);
	wait_until(f, k->n_told[WIRE_GOODBYE] == 2);
	assert_int_equal(f->sessions->n, 0);
	assert_int_equal(f->sessions->n_protocol_errors, 2);
}

static void the_same_instance_on_a_new_connection_ends_the_old_one(void **state)
{
	struct fixture *f = *state;
	struct client *a = client_named(f, "gw"), *b, *c;
	uint64_t counter;

	wait_active(f, a);
	counter = welcome_told(a).counter;
	b = client_new(f);
	b->hello = a->hello;
	say_hello(b);
	wait_until(f, b->n_told[WIRE_WELCOME]);
	assert_int_equal(welcome_told(b).counter, counter);
	assert_int_equal(f->sessions->n, 1);
	/* Another name is another matter, and so is none. */
	c = client_new(f);
	durable(f, "other");
	c->hello = a->hello;
	c->hello.durable = text("other");
	say_hello(c);
	wait_until(f, c->n_told[WIRE_WELCOME]);
	assert_int_equal(f->sessions->n, 2);
}

static void nobody_is_answered_before_the_tail_stands(void **state)
{
	struct fixture *f = *state;
	struct client *k;

	sessions_accept(f->sessions, false);
	k = client_from(f, DIBAO_START_NEW, 0);
	say(k, "?", 1); /* answered: so HELLO has been looked at */
	wait_until(f, k->n_told[WIRE_GOODBYE]);
	assert_int_equal(reason_told(k), DIBAO_REASON_NO_SESSION);
	assert_int_equal(f->sessions->n, 0);
	sessions_accept(f->sessions, true);
	say_hello(k);
	wait_active(f, k);
	/* Nor while we drain, and then it is told. */
	sessions_drain_begin(f->sessions);
	k = client_from(f, DIBAO_START_NEW, 0);
	wait_until(f, k->n_told[WIRE_GOODBYE]);
	assert_int_equal(reason_told(k), DIBAO_REASON_DRAINING);
}

static void the_window_is_the_smaller_of_what_is_asked_and_allowed(void **state)
{
	struct fixture *f = *state;
	struct client *k;

	f->config->window_bytes = 300000;
	k = client_new(f);
	k->hello.window_bytes = 1;
	say_hello(k);
	wait_active(f, k);
	assert_int_equal(welcome_told(k).window_bytes, WIRE_WINDOW_MIN);
	k = client_new(f);
	k->hello.window_bytes = 200000;
	say_hello(k);
	wait_active(f, k);
	assert_int_equal(welcome_told(k).window_bytes, 200000);
	k = client_new(f);
	k->hello.window_bytes = WIRE_WINDOW_MAX;
	say_hello(k);
	wait_active(f, k);
	assert_int_equal(welcome_told(k).window_bytes, 300000);
	assert_int_equal(welcome_told(k).lease_ms, LONG_MS);
	assert_int_equal(welcome_told(k).beat_ms, LONG_MS);
	assert_int_equal(welcome_told(k).channels, 15);
}

static void a_name_that_the_policy_does_not_grant_is_refused(void **state)
{
	struct fixture *f = *state;
	struct access *fresh =
		policy_of("[local]\nkind = gateway\ntypes = *\norgs = *\n"
			  "channels = public private public-now private-now\ndurable = gw\n");
	struct client *k;

	assert_int_equal(sessions_set_policy(f->sessions, fresh), 0);
	access_free(f->policy);
	f->policy = fresh;
	k = client_named(f, "gw");
	wait_active(f, k);
	k = client_named(f, "other");
	wait_until(f, k->n_told[WIRE_GOODBYE]);
	assert_int_equal(reason_told(k), DIBAO_REASON_REFUSED);
	assert_string_equal(redis(f, "HGET " BASE "lease:other instance"), "");
}

static void what_a_session_holds_is_told_in_the_policys_terms(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_new(f);
	struct access_request held;

	durable(f, "gw");
	k->hello.durable = text("gw");
	k->hello.types[0] = text("award");
	k->hello.n_types = 1;
	k->hello.window_bytes = 200000;
	say_hello(k);
	wait_active(f, k);
	held = start_held(session_of(f, k));
	assert_string_equal(held.durable, "gw");
	assert_int_equal(held.filter.n_types, 1);
	assert_int_equal(held.window_bytes, 200000);
	assert_int_equal(held.channels, welcome_told(k).channels);
	k = client_named(f, "gw");
	wait_until(f, k->n_told[WIRE_STANDBY]);
	held = start_held(session_of(f, k));
	assert_string_equal(held.durable, "gw");
	assert_int_equal(held.filter.n_types, 0);
	assert_int_equal(held.channels, 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_a_hello_asks_amiss_is_refused_aloud),
		TEST(as_many_as_the_configuration_allows_are_let_in),
		TEST(a_hello_said_again_changes_nothing),
		TEST(a_malformed_hello_is_a_protocol_error),
		TEST(the_same_instance_on_a_new_connection_ends_the_old_one),
		TEST(nobody_is_answered_before_the_tail_stands),
		TEST(the_window_is_the_smaller_of_what_is_asked_and_allowed),
		TEST(a_name_that_the_policy_does_not_grant_is_refused),
		TEST(what_a_session_holds_is_told_in_the_policys_terms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
