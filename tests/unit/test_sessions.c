/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions while they last, and how they end. */
#include "sessions_fixture.h"

static const enum dibao_channel PUBLIC = DIBAO_CHANNEL_PUBLIC, PRIVATE = DIBAO_CHANNEL_PRIVATE;

static struct client *client_active(struct fixture *f)
{
	struct client *k = client_new(f);

	say_hello(k);
	wait_active(f, k);
	return k;
}

static void wait_goodbye(struct fixture *f, struct client *k, enum dibao_reason why)
{
	wait_until(f, k->n_told[WIRE_GOODBYE]);
	assert_int_equal(reason_told(k), why);
	k->n_told[WIRE_GOODBYE] = 0;
}

/* ---- the clockwork ---- */

static void who_is_silent_for_too_long_is_ended(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_active(f), *other = client_active(f);

	f->config->silence_ms = 60000;
	session_of(f, k)->heard_usec -= 61000000;
	session_of(f, other)->heard_usec -= 30000000;
	wait_goodbye(f, k, DIBAO_REASON_NO_SESSION);
	assert_null(session_of(f, k));
	assert_non_null(session_of(f, other));
	assert_int_equal(f->sessions->n_active, 1);
}

static void whose_day_is_past_is_ended_as_revoked(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_active(f), *other = client_active(f);

	session_of(f, other)->expires_ms = unix_ms() + LONG_MS;
	session_of(f, k)->expires_ms = unix_ms();
	wait_goodbye(f, k, DIBAO_REASON_REVOKED);
	assert_int_equal(f->sessions->n_revoked, 1);
	assert_non_null(session_of(f, other));
}

static void positions_go_out_at_the_cadence_and_a_standby_hears_that_it_is_one(void **state)
{
	struct fixture *f = *state;
	struct client *k, *standby;
	uint64_t number;

	f->config->heartbeat_ms = 100;
	k = client_named(f, "gw");
	wait_active(f, k);
	standby = client_named(f, "gw");
	wait_until(f, standby->n_told[WIRE_STANDBY] >= 3);
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		wait_until(f, k->data[c].number >= 3);
	number = k->data[PUBLIC].number;
	say_ack(k, PUBLIC);
	wait_until(f, k->data[PUBLIC].number > number);
	assert_int_equal(k->n_items, 0);
	assert_int_equal(k->n_told[WIRE_STANDBY], 0);
	assert_int_equal(k->n_told[WIRE_GOODBYE], 0);
}

/* ---- messages ---- */

static void an_ack_of_what_was_not_sent_ends_the_session(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_active(f);

	append(f, PUBLIC, 3);
	wait_until(f, k->n_items == 3);
	k->data[PUBLIC].number++;
	say_ack(k, PUBLIC);
	wait_goodbye(f, k, DIBAO_REASON_PROTOCOL);
	assert_int_equal(f->sessions->n_protocol_errors, 1);
	assert_int_equal(f->sessions->n, 0);
	say_hello(k);
	wait_until(f, session_of(f, k) && session_of(f, k)->state == SESSION_ACTIVE);
	append(f, PUBLIC, 3);
	wait_until(f, k->n_items == 6);
	k->data[PUBLIC].token ^= 1;
	say_ack(k, PUBLIC);
	wait_goodbye(f, k, DIBAO_REASON_PROTOCOL);
	say_hello(k);
	wait_until(f, session_of(f, k) && session_of(f, k)->state == SESSION_ACTIVE);
	say(k, "A", 1);
	wait_goodbye(f, k, DIBAO_REASON_PROTOCOL);
	assert_int_equal(f->sessions->n, 0);
	assert_int_equal(f->sessions->n_protocol_errors, 3);
}

static void an_ack_frees_what_was_in_flight_and_lets_the_rest_come(void **state)
{
	struct fixture *f = *state;
	struct client *k;

	f->config->window_bytes = WIRE_WINDOW_MIN;
	k = client_active(f);
	wait_until(f, session_of(f, k)->at[PUBLIC].in_step);
	/* One frame may always go, so the window is full with the first. */
	session_of(f, k)->window_bytes = 1;
	append(f, PUBLIC, 1);
	append(f, PUBLIC, 1);
	wait_until(f, k->n_items == 1);
	assert_false(sessions_drained(f->sessions));
	say_ack(k, PUBLIC);
	wait_until(f, k->n_items == 2);
	/* And the position behind it, for it has caught up again. */
	wait_until(f, k->data[PUBLIC].number == 4 && has_caught_up(k));
	say_acks(k);
	wait_until(f, sessions_drained(f->sessions));
	assert_int_equal(session_of(f, k)->n_acked, 7);
}

static void who_is_not_active_may_say_little(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_named(f, "gw"), *standby;

	wait_active(f, k);
	standby = client_named(f, "gw");
	wait_until(f, standby->n_told[WIRE_STANDBY]);
	say(standby, "P", 1);
	wait_heard(f, session_of(f, standby));
	say_ack(standby, PUBLIC);
	wait_goodbye(f, standby, DIBAO_REASON_PROTOCOL);
	assert_int_equal(f->sessions->n_standby, 0);
	assert_int_equal(f->sessions->n, 1);
}

static void what_is_no_message_is_answered(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_new(f);

	say_bye(k); /* to that there is no answer */
	say(k, "P", 1);
	wait_goodbye(f, k, DIBAO_REASON_NO_SESSION);
	assert_int_equal(zmq_send(k->socket, "H", 1, ZMQ_SNDMORE), 1);
	say(k, "x", 1);
	wait_goodbye(f, k, DIBAO_REASON_PROTOCOL);
	say(k, "", 0);
	wait_goodbye(f, k, DIBAO_REASON_NO_SESSION);
	say_hello(k);
	wait_active(f, k);
	say(k, "?", 1);
	wait_goodbye(f, k, DIBAO_REASON_PROTOCOL);
	k = client_active(f);
	assert_int_equal(zmq_send(k->socket, "P", 1, ZMQ_SNDMORE), 1);
	say(k, "x", 1);
	wait_goodbye(f, k, DIBAO_REASON_PROTOCOL);
	k = client_active(f);
	say(k, "Px", 2); /* ALIVE is one byte */
	wait_goodbye(f, k, DIBAO_REASON_PROTOCOL);
	assert_int_equal(f->sessions->n, 0);
}

static void a_goodbye_ends_it_without_an_answer(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_active(f);

	say_bye(k);
	wait_until(f, f->sessions->n == 0);
	say(k, "P", 1);
	wait_goodbye(f, k, DIBAO_REASON_NO_SESSION); /* the first one that was said */
	assert_int_equal(f->sessions->n_active, 0);
}

/* ---- receipts ---- */

static void say_receipt(struct client *k, uint64_t id)
{
	struct wire_receipt r = {.id = id,
				 .key = text("uid-1"),
				 .state = DIBAO_RECEIPT_QUEUED,
				 .at_ms = 1700000000000,
				 .detail = text("d")};
	uint8_t buf[256];

	say(k, buf, (size_t)wire_receipt_pack(buf, sizeof buf, &r));
}

static int confirmed(const struct client *k, uint64_t *ret_id)
{
	int err = -1;

	assert_int_equal(
		wire_confirm_unpack(ret_id, &err, k->told[WIRE_CONFIRM], k->told_len[WIRE_CONFIRM]),
		0);
	return err;
}

static void a_receipt_is_confirmed_when_it_is_stored(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_named(f, "gw");
	redisReply *r, *fields;
	uint64_t id;

	wait_active(f, k);
	say_receipt(k, 77);
	wait_until(f, k->n_told[WIRE_CONFIRM]);
	assert_int_equal(confirmed(k, &id), 0);
	assert_int_equal(id, 77);
	assert_int_equal(session_of(f, k)->n_receipts, 0);
	assert_int_equal(f->sessions->n_receipts, 1);
	r = redisCommand(f->c, "XRANGE " BASE "receipts - +");
	assert_int_equal(r->elements, 1);
	fields = r->element[0]->element[1];
	assert_string_equal(fields->element[1]->str, "gw");
	assert_string_equal(fields->element[5]->str, "uid-1");
	assert_string_equal(fields->element[9]->str, "1700000000000");
	assert_string_equal(fields->element[11]->str, "d");
	assert_string_equal(fields->element[13]->str, "1:1");
	freeReplyObject(r);
}

static void a_receipt_under_a_stale_token_is_not_stored(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_named(f, "gw");

	wait_active(f, k);
	take_away(f, "gw");
	say_receipt(k, 1);
	wait_goodbye(f, k, DIBAO_REASON_SUPERSEDED);
	assert_int_equal(k->n_told[WIRE_CONFIRM], 0);
	assert_int_equal(atoi(redis(f, "EXISTS " BASE "receipts")), 0);
}

static void a_receipt_that_redis_refuses_is_told_as_refused(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_active(f);
	uint64_t id;

	redis(f, "SET " BASE "receipts %s", "no stream");
	say_receipt(k, 5);
	wait_until(f, k->n_told[WIRE_CONFIRM]);
	assert_int_equal(confirmed(k, &id), 1);
	assert_int_equal(id, 5);
	assert_int_equal(f->sessions->n_receipts, 0);
	assert_non_null(session_of(f, k));
}

static void a_receipt_without_redis_ends_the_session_so_that_it_comes_again(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_active(f);

	redis_server_stop(&f->server);
	say_receipt(k, 5);
	wait_goodbye(f, k, DIBAO_REASON_NO_SESSION);
	assert_int_equal(f->sessions->n_outstanding, 0);
	wait_until(f, !redis_link_is_up(f->link));
	redis_back(f);
	client_active(f);
}

static void so_many_receipts_may_be_under_way_and_no_more(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_active(f);
	uint64_t id;

	session_of(f, k)->n_receipts = SESSION_RECEIPTS_MAX - 1;
	say_receipt(k, 1);
	wait_until(f, k->n_told[WIRE_CONFIRM]);
	assert_int_equal(confirmed(k, &id), 0);
	session_of(f, k)->n_receipts = SESSION_RECEIPTS_MAX;
	say_receipt(k, 2);
	wait_goodbye(f, k, DIBAO_REASON_PROTOCOL);
	say_hello(k);
	wait_until(f, session_of(f, k) && session_of(f, k)->state == SESSION_ACTIVE);
	say(k, "R", 1);
	wait_goodbye(f, k, DIBAO_REASON_PROTOCOL);
}

/* ---- all at once ---- */

static void at_the_end_places_are_stored_leases_given_back_and_all_are_told(void **state)
{
	struct fixture *f = *state;
	struct client *a = client_named(f, "gw"), *b, *c;

	wait_active(f, a);
	b = client_named(f, "gw");
	wait_until(f, b->n_told[WIRE_STANDBY]);
	c = client_active(f);
	append(f, PUBLIC, 3);
	wait_until(f, a->n_items == 3 && c->n_items == 3 && has_caught_up(a) && has_caught_up(c));
	sessions_drain_begin(f->sessions);
	append(f, PUBLIC, 1); /* not sent any more */
	assert_false(sessions_drained(f->sessions));
	say_ack(a, PUBLIC);
	wait_until(f, session_of(f, a)->at[PUBLIC].n == 0);
	assert_false(sessions_drained(f->sessions));
	say_acks(a);
	say_acks(c);
	wait_until(f, sessions_drained(f->sessions));
	sessions_goodbye_all(f->sessions, DIBAO_REASON_DRAINING, "daemon is stopping");
	assert_int_equal(f->sessions->n, 0);
	assert_int_equal(f->sessions->n_active, 0);
	assert_int_equal(f->sessions->n_standby, 0);
	wait_goodbye(f, a, DIBAO_REASON_DRAINING);
	wait_goodbye(f, b, DIBAO_REASON_DRAINING);
	wait_goodbye(f, c, DIBAO_REASON_DRAINING);
	settle(f);
	assert_int_equal(lease_until(f, "gw"), 0);
	assert_string_equal(redis(f, "HGET " BASE "cursors gw"), "1 3-0 0-0 0-0 0-0");
	assert_int_equal(a->n_items, 3);
}

static void
after_a_rollback_frames_up_to_a_place_may_repeat_and_places_are_stored_anew(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_named(f, "gw");
	struct session *s = wait_active(f, k);

	append(f, PUBLIC, 3);
	wait_until(f, k->n_items == 3);
	settle(f);
	/* It goes no lower, channel by channel. */
	s->at[PRIVATE].repeats = (struct entry_id){9, 0};
	redis(f, "DEL " BASE "cursors");
	sessions_expect_repeats(f->sessions, (struct entry_id[]){{5, 0}, {8, 0}, {0, 0}, {0, 0}});
	assert_int_equal(s->at[PUBLIC].repeats.ms, 5);
	assert_int_equal(s->at[PRIVATE].repeats.ms, 9);
	assert_int_equal(s->at[DIBAO_CHANNEL_PUBLIC_NOW].repeats.ms, 0);
	wait_until(f, *redis(f, "HGET " BASE "cursors gw"));
	append(f, PUBLIC, 1);
	wait_until(f, k->n_items == 4);
	assert_int_equal(k->flags, WIRE_DATA_MAY_REPEAT);
	append(f, PUBLIC, 2);
	wait_until(f, k->n_items == 6);
	append(f, PUBLIC, 1);
	wait_until(f, k->n_items == 7);
	assert_int_equal(k->flags, 0);
}

static void another_policy_ends_who_holds_more_than_it_grants(void **state)
{
	struct fixture *f = *state;
	struct client *named = client_named(f, "gw"), *awards, *all;
	struct access *fresh = policy_of("[local]\nkind = reader\ntypes = award\norgs = *\n"
					 "channels = public public-now\n");

	wait_active(f, named);
	awards = client_new(f);
	awards->hello.types[0] = text("award");
	awards->hello.n_types = 1;
	say_hello(awards);
	wait_active(f, awards);
	all = client_active(f);
	assert_int_equal(sessions_set_policy(f->sessions, fresh), 3);
	wait_goodbye(f, named, DIBAO_REASON_REVOKED);
	wait_goodbye(f, all, DIBAO_REASON_REVOKED);
	wait_goodbye(f, awards, DIBAO_REASON_REVOKED); /* it held the private channels too */
	assert_int_equal(f->sessions->n_revoked, 3);
	say_hello(awards);
	wait_until(f, session_of(f, awards) && session_of(f, awards)->state == SESSION_ACTIVE);
	assert_int_equal(sessions_set_policy(f->sessions, f->policy), 0);
	assert_int_equal(sessions_set_policy(f->sessions, fresh), 0);
	assert_string_equal(session_of(f, awards)->access->name, "local");
	access_free(f->policy);
	f->policy = fresh;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_is_silent_for_too_long_is_ended),
		TEST(whose_day_is_past_is_ended_as_revoked),
		TEST(positions_go_out_at_the_cadence_and_a_standby_hears_that_it_is_one),
		TEST(an_ack_of_what_was_not_sent_ends_the_session),
		TEST(an_ack_frees_what_was_in_flight_and_lets_the_rest_come),
		TEST(who_is_not_active_may_say_little),
		TEST(what_is_no_message_is_answered),
		TEST(a_goodbye_ends_it_without_an_answer),
		TEST(a_receipt_is_confirmed_when_it_is_stored),
		TEST(a_receipt_under_a_stale_token_is_not_stored),
		TEST(a_receipt_that_redis_refuses_is_told_as_refused),
		TEST(a_receipt_without_redis_ends_the_session_so_that_it_comes_again),
		TEST(so_many_receipts_may_be_under_way_and_no_more),
		TEST(at_the_end_places_are_stored_leases_given_back_and_all_are_told),
		TEST(after_a_rollback_frames_up_to_a_place_may_repeat_and_places_are_stored_anew),
		TEST(another_policy_ends_who_holds_more_than_it_grants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
