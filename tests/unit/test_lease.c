/* SPDX-License-Identifier: Apache-2.0 */
/* Leases of durable names, in a real Redis: who is renewed, who is not, who is told. */
#include "sessions_fixture.h"

static void turn_redis_clock(struct fixture *f)
{
	int64_t now = redis_ms(f);

	wait_until(f, redis_ms(f) > now);
}

/* A session that is registered, active and has its lease, but no socket behind it. */
static void bare_session(struct fixture *f, unsigned i)
{
	struct session *s = session_new(0x10000 + i);
	char instance[2 * WIRE_INSTANCE_BYTES + 1];

	snprintf(s->durable, sizeof s->durable, "name%u", i);
	memcpy(s->instance, &i, sizeof i);
	s->state = SESSION_ACTIVE;
	f->sessions->n_active++;
	s->heard_usec = boottime_usec();
	s->beat_due_usec = UINT64_MAX;
	durable(f, s->durable);
	lease_instance_hex(instance, s);
	redis(f, "FCALL dibao_lease 1 " BASE " %s %s 1000 host:1", s->durable, instance);
	s->epoch = 1;
	s->counter = 1;
	sessions_register(f->sessions, s);
}

static void a_lease_is_renewed_while_the_application_is_heard(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_named(f, "gw");
	struct session *s = wait_active(f, k);
	uint64_t now = boottime_usec();
	int64_t until = lease_until(f, "gw");

	assert_in_range(s->lease_until_usec, now, now + LONG_MS * 1000ull);
	assert_true(until > redis_ms(f));
	turn_redis_clock(f);
	/* Heard a whole lease ago, no longer: still renewed. */
	now = boottime_usec();
	s->heard_usec = now - LONG_MS * 1000ull;
	lease_renew_all(f->sessions, now);
	assert_int_equal(f->sessions->n_outstanding, 1);
	settle(f);
	assert_true(lease_until(f, "gw") > until);
	/* As far as we are concerned it runs from when we asked. */
	assert_int_equal(s->lease_until_usec, now + LONG_MS * 1000ull);
	assert_int_equal(s->state, SESSION_ACTIVE);
}

static void a_hung_application_is_not_renewed(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_named(f, "gw");
	struct session *s = wait_active(f, k);
	uint64_t now = boottime_usec(), was = s->lease_until_usec;
	int64_t until = lease_until(f, "gw");

	turn_redis_clock(f);
	s->heard_usec = now - LONG_MS * 1000ull - 1;
	lease_renew_all(f->sessions, now);
	assert_int_equal(f->sessions->n_outstanding, 0);
	assert_int_equal(lease_until(f, "gw"), until);
	assert_int_equal(s->lease_until_usec, was);
	/* A word of it, and it is again. */
	say(k, "P", 1);
	wait_until(f, s->heard_usec >= now);
	lease_renew_all(f->sessions, boottime_usec());
	settle(f);
	assert_true(lease_until(f, "gw") > until);
}

/* Then nothing went to it, and no ack of its own would wake it. */
static void who_is_renewed_after_its_lease_ran_out_gets_what_came_meanwhile(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_named(f, "gw");
	struct session *s = wait_active(f, k);

	wait_until(f, s->at[DIBAO_CHANNEL_PUBLIC].in_step);
	s->lease_until_usec = boottime_usec() - 1;
	append(f, DIBAO_CHANNEL_PUBLIC, 3);
	assert_false(s->at[DIBAO_CHANNEL_PUBLIC].in_step);
	lease_renew_all(f->sessions, boottime_usec());
	wait_until(f, k->n_items == 3);
}

/* By the clockwork itself, with a lease of the shortest. */
static void a_lease_of_half_a_second_is_kept_for_as_long_as_one_speaks(void **state)
{
	struct fixture *f = *state;
	struct client *k;
	struct session *s;
	uint64_t end;

	f->config->lease_ms = 500;
	k = client_named(f, "gw");
	s = wait_active(f, k);
	end = boottime_usec() + 1500000;
	while (boottime_usec() < end) {
		say(k, "P", 1);
		turn(f);
	}
	assert_int_equal(s->state, SESSION_ACTIVE);
	assert_true(s->lease_until_usec > end - 500000);
	/* And when it says nothing any more it runs out. */
	wait_until(f, boottime_usec() > s->lease_until_usec + 1000000);
	assert_true(lease_until(f, "gw") < redis_ms(f));
}

static void who_lost_its_name_is_told_so_and_takes_nothing_back(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_named(f, "gw");
	int64_t until;

	wait_active(f, k);
	take_away(f, "gw");
	until = lease_until(f, "gw");
	lease_renew_all(f->sessions, boottime_usec());
	wait_until(f, k->n_told[WIRE_GOODBYE]);
	assert_int_equal(reason_told(k), DIBAO_REASON_SUPERSEDED);
	assert_null(session_of(f, k));
	settle(f);
	assert_int_equal(lease_until(f, "gw"), until);
	assert_string_equal(redis(f, "HGET " BASE "lease:gw instance"), "other");
}

static void without_an_answer_the_lease_runs_out_and_the_session_stays(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_named(f, "gw");
	struct session *s = wait_active(f, k);
	uint64_t was = s->lease_until_usec;

	redis_server_stop(&f->server);
	lease_renew_all(f->sessions, boottime_usec() + 1000000);
	wait_until(f, !redis_link_is_up(f->link));
	assert_int_equal(f->sessions->n_outstanding, 0);
	assert_int_equal(s->lease_until_usec, was);
	assert_int_equal(s->state, SESSION_ACTIVE);
	/* Nor when it cannot even be asked. */
	lease_renew_all(f->sessions, boottime_usec() + 1000000);
	assert_int_equal(f->sessions->n_outstanding, 0);
	assert_int_equal(s->lease_until_usec, was);
}

/* What Redis says no to is as good as no answer. */
static void an_error_renews_nothing_and_ends_nobody(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_named(f, "gw");
	struct session *s = wait_active(f, k);
	uint64_t was = s->lease_until_usec;

	redis(f, "FUNCTION FLUSH");
	lease_renew_all(f->sessions, boottime_usec() + 1000000);
	settle(f);
	assert_int_equal(s->lease_until_usec, was);
	assert_int_equal(s->state, SESSION_ACTIVE);
}

static void many_are_renewed_in_few_calls_and_each_gets_its_own_answer(void **state)
{
	enum { N = 2 * SESSIONS_CURSORS_PER_CALL + 1 };
	struct fixture *f = *state;
	uint64_t now;
	unsigned n = 0;

	/* The first tick renews whom it finds: it must find nobody, however long the sessions take
	 * to make. */
	wait_until(f, f->sessions->renew_due_usec != 0);
	for (unsigned i = 0; i < N; i++)
		bare_session(f, i);
	take_away(f, "name203");
	now = boottime_usec();
	lease_renew_all(f->sessions, now);
	assert_int_equal(f->sessions->n_outstanding, 3);
	redis_link_flush(f->link);
	wait_until(f, f->sessions->n == N - 1);
	settle(f);
	for (struct session *k = f->sessions->first; k; k = k->next, n++) {
		assert_int_equal(k->state, SESSION_ACTIVE);
		assert_int_equal(k->lease_until_usec, now + LONG_MS * 1000ull);
		assert_string_not_equal(k->durable, "name203");
	}
	assert_int_equal(n, N - 1);
	assert_true(lease_until(f, "name0") > redis_ms(f) + LONG_MS / 2);
	assert_true(lease_until(f, "name400") > redis_ms(f) + LONG_MS / 2);
}

static void only_active_durable_sessions_are_renewed(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_named(f, "gw"), *standby, *plain;
	struct session *s = wait_active(f, k);

	standby = client_named(f, "gw");
	wait_until(f, standby->n_told[WIRE_STANDBY]);
	plain = client_new(f);
	say_hello(plain);
	wait_active(f, plain);
	s->heard_usec -= LONG_MS * 1000ull + 1;
	lease_renew_all(f->sessions, boottime_usec());
	assert_int_equal(f->sessions->n_outstanding, 0);
}

static void a_goodbye_gives_the_lease_to_the_standby_at_once(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_named(f, "gw"), *next;
	struct wire_welcome w;

	wait_active(f, k);
	w = welcome_told(k);
	next = client_named(f, "gw");
	wait_until(f, next->n_told[WIRE_STANDBY]);
	assert_int_equal(f->sessions->n_standby, 1);
	say_bye(k);
	wait_active(f, next); /* though the lease had ten minutes to go */
	assert_true(welcome_told(next).counter > w.counter);
	assert_int_equal(f->sessions->n_standby, 0);
	assert_int_equal(f->sessions->n_active, 1);
}

static void who_is_gone_without_a_word_keeps_its_lease(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_named(f, "gw"), *again;
	struct session *s = wait_active(f, k);
	int64_t until = lease_until(f, "gw");
	uint64_t counter = welcome_told(k).counter;

	sessions_on_gone(s, f->sessions);
	settle(f);
	assert_int_equal(lease_until(f, "gw"), until);
	/* The same instance takes up again at once, another stands by. */
	again = client_named(f, "gw");
	wait_until(f, again->n_told[WIRE_STANDBY]);
	say_bye(again);
	again = client_new(f);
	again->hello = k->hello;
	say_hello(again);
	wait_active(f, again);
	assert_int_equal(welcome_told(again).counter, counter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_lease_is_renewed_while_the_application_is_heard),
		TEST(a_hung_application_is_not_renewed),
		TEST(who_is_renewed_after_its_lease_ran_out_gets_what_came_meanwhile),
		TEST(a_lease_of_half_a_second_is_kept_for_as_long_as_one_speaks),
		TEST(who_lost_its_name_is_told_so_and_takes_nothing_back),
		TEST(without_an_answer_the_lease_runs_out_and_the_session_stays),
		TEST(an_error_renews_nothing_and_ends_nobody),
		TEST(many_are_renewed_in_few_calls_and_each_gets_its_own_answer),
		TEST(only_active_durable_sessions_are_renewed),
		TEST(a_goodbye_gives_the_lease_to_the_standby_at_once),
		TEST(who_is_gone_without_a_word_keeps_its_lease),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
