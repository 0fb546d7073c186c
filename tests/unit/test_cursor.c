/* SPDX-License-Identifier: Apache-2.0 */
/* What a durable name has taken over, on its way into a real Redis. */
#include "sessions_fixture.h"

static const enum dibao_channel PUBLIC = DIBAO_CHANNEL_PUBLIC;

/* "3-0": the public channel's place in a name's stored cursor; "" if there is none. */
static const char *stored(struct fixture *f, const char *name)
{
	static char id[64];

	id[0] = '\0';
	(void)sscanf(redis(f, "HGET " BASE "cursors %s", name), "%*s %63s", id);
	return id;
}

/* A client of that name that was sent n events and has acknowledged none. */
static struct client *client_sent(struct fixture *f, const char *name, unsigned n)
{
	struct client *k = client_named(f, name);

	wait_active(f, k);
	append(f, PUBLIC, n);
	wait_until(f, k->n_items == n);
	/* And the position behind it, if it had to catch up: its ACK would be a new one. */
	wait_until(f,
		   session_of(f, k)->at[PUBLIC].in_step &&
			   k->data[PUBLIC].number + 1 == session_of(f, k)->at[PUBLIC].next_number);
	settle(f);
	return k;
}

static void the_first_place_is_stored_before_the_welcome(void **state)
{
	struct fixture *f = *state;
	struct client *k;

	append(f, PUBLIC, 7);
	k = client_named(f, "gw");
	wait_active(f, k);
	assert_string_equal(stored(f, "gw"), "7-0");
	assert_int_equal(f->sessions->n_outstanding, 0);
}

static void what_is_acknowledged_is_stored_by_itself(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_sent(f, "gw", 3);
	int enabled = -1;

	assert_string_equal(stored(f, "gw"), "0-0");
	say_ack(k, PUBLIC);
	wait_until(f, !strcmp(stored(f, "gw"), "3-0"));
	settle(f);
	assert_false(session_of(f, k)->cursor_dirty);
	assert_false(session_of(f, k)->cursor_writing);
	/* And so is what comes after. */
	append(f, PUBLIC, 2);
	wait_until(f, k->n_items == 5);
	say_ack(k, PUBLIC);
	wait_until(f, !strcmp(stored(f, "gw"), "5-0"));
	settle(f);
	sd_event_source_get_enabled(f->sessions->cursor_timer, &enabled);
	assert_int_equal(enabled, SD_EVENT_OFF);
}

static void acks_that_keep_coming_do_not_put_the_write_off(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_sent(f, "gw", 3);
	struct session *s = session_of(f, k);
	uint64_t now = 0, first = 0, later = 0;

	s->at[PUBLIC].acked = (struct entry_id){2, 0};
	cursor_mark(f->sessions, s);
	sd_event_now(f->event, CLOCK_MONOTONIC, &now);
	sd_event_source_get_time(f->sessions->cursor_timer, &first);
	assert_in_range(first, now + 50000, now + 100000); /* they are gathered meanwhile */
	do {
		turn(f);
		sd_event_now(f->event, CLOCK_MONOTONIC, &later);
	} while (later <= now);
	if (s->cursor_dirty) { /* not on a machine so slow that it has gone meanwhile */
		cursor_mark(f->sessions, s);
		sd_event_source_get_time(f->sessions->cursor_timer, &later);
		assert_int_equal(later, first);
	}
	wait_until(f, !strcmp(stored(f, "gw"), "2-0"));
}

static void who_has_no_durable_name_has_no_cursor(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_new(f);

	say_hello(k);
	wait_active(f, k);
	append(f, PUBLIC, 3);
	wait_until(f, k->n_items == 3 && has_caught_up(k));
	say_acks(k);
	wait_until(f, session_in_flight(session_of(f, k)) == 0);
	cursor_flush(f->sessions);
	assert_int_equal(f->sessions->n_outstanding, 0);
	say_bye(k);
	wait_until(f, f->sessions->n == 0);
	assert_int_equal(atoi(redis(f, "EXISTS " BASE "cursors")), 0);
}

static void an_ack_that_moves_nothing_writes_nothing(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_sent(f, "gw", 3);

	say_ack(k, PUBLIC);
	wait_until(f, session_of(f, k)->cursor_dirty);
	cursor_flush(f->sessions);
	settle(f);
	say_ack(k, PUBLIC);
	say(k, "P", 1);
	wait_heard(f, session_of(f, k));
	assert_false(session_of(f, k)->cursor_dirty);
	cursor_flush(f->sessions);
	assert_int_equal(f->sessions->n_outstanding, 0);
	assert_false(session_of(f, k)->cursor_dirty);
}

static void a_write_that_redis_refuses_is_done_again(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_sent(f, "gw", 3);

	redis(f, "FUNCTION FLUSH");
	say_ack(k, PUBLIC);
	wait_until(f, session_of(f, k)->cursor_dirty);
	cursor_flush(f->sessions);
	assert_false(session_of(f, k)->cursor_dirty);
	settle(f);
	assert_true(session_of(f, k)->cursor_dirty);
	assert_string_equal(stored(f, "gw"), "0-0");
	load_functions(f);
	wait_until(f, !strcmp(stored(f, "gw"), "3-0"));
	assert_int_equal(session_of(f, k)->state, SESSION_ACTIVE);
}

/* It cannot be sent at first, and later gets no answer. */
static void a_write_while_redis_is_away_is_done_when_it_is_back(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_sent(f, "gw", 3);

	redis_server_stop(&f->server);
	say_ack(k, PUBLIC);
	wait_until(f, session_of(f, k)->cursor_dirty);
	cursor_flush(f->sessions);
	wait_until(f, !redis_link_is_up(f->link));
	assert_int_equal(f->sessions->n_outstanding, 0);
	assert_false(session_of(f, k)->cursor_writing);
	/* The timer is all that leads to the next attempt. */
	sd_event_source_set_enabled(f->sessions->cursor_timer, SD_EVENT_OFF);
	cursor_flush(f->sessions);
	assert_true(session_of(f, k)->cursor_dirty);
	redis_back(f);
	wait_until(f, !strcmp(stored(f, "gw"), "3-0"));
	assert_int_equal(session_of(f, k)->state, SESSION_ACTIVE);
}

static void one_write_is_under_way_and_what_comes_meanwhile_goes_with_the_next(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_sent(f, "gw", 3);
	struct session *s = session_of(f, k);

	say_ack(k, PUBLIC);
	wait_until(f, s->cursor_dirty);
	cursor_flush(f->sessions);
	assert_true(s->cursor_writing);
	/* The answer has not been read yet. */
	s->at[PUBLIC].acked = (struct entry_id){9, 0};
	cursor_mark(f->sessions, s);
	cursor_flush(f->sessions);
	assert_int_equal(f->sessions->n_outstanding, 1);
	assert_true(s->cursor_dirty);
	settle(f);
	assert_string_equal(stored(f, "gw"), "3-0");
	wait_until(f, !strcmp(stored(f, "gw"), "9-0"));
	settle(f);
	assert_false(s->cursor_dirty);
}

static void a_stale_token_ends_the_session_as_superseded(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_sent(f, "gw", 3);

	take_away(f, "gw");
	say_ack(k, PUBLIC);
	wait_until(f, k->n_told[WIRE_GOODBYE]);
	assert_int_equal(reason_told(k), DIBAO_REASON_SUPERSEDED);
	assert_null(session_of(f, k));
	settle(f);
	assert_string_equal(stored(f, "gw"), "0-0");
}

static void who_leaves_has_its_last_place_stored(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_sent(f, "gw", 3);

	say_ack(k, PUBLIC);
	say_bye(k);
	wait_until(f, f->sessions->n == 0);
	settle(f);
	assert_string_equal(stored(f, "gw"), "3-0");
	/* Also while a write of an earlier place is under way. */
	k = client_new(f);
	k->hello.durable = text("gw");
	say_hello(k);
	wait_active(f, k);
	append(f, PUBLIC, 2);
	wait_until(f, k->n_items == 2);
	say_ack(k, PUBLIC);
	wait_until(f, session_of(f, k)->cursor_dirty);
	cursor_flush(f->sessions);
	session_of(f, k)->at[PUBLIC].acked = (struct entry_id){8, 0};
	session_of(f, k)->cursor_dirty = true;
	sessions_on_gone(session_of(f, k), f->sessions);
	assert_int_equal(f->sessions->n_outstanding, 2);
	settle(f);
	assert_string_equal(stored(f, "gw"), "8-0");
}

static void who_leaves_with_nothing_new_writes_nothing(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_sent(f, "gw", 3);

	sessions_on_gone(session_of(f, k), f->sessions);
	assert_int_equal(f->sessions->n_outstanding, 0);
}

/* The longest ids there are, and more names than one call takes. */
static void many_are_written_in_few_calls_whatever_their_ids(void **state)
{
	enum { N = 2 * SESSIONS_CURSORS_PER_CALL + 1 };
	struct fixture *f = *state;
	char name[WIRE_NAME_MAX + 1];

	for (unsigned i = 0; i < N; i++) {
		struct session *s = session_new(0x10000 + i);

		snprintf(s->durable, sizeof s->durable, "%064u", i);
		durable(f, s->durable);
		redis(f, "FCALL dibao_lease 1 " BASE " %s i 1000 host:1", s->durable);
		s->epoch = s->counter = 1;
		s->state = SESSION_ACTIVE;
		f->sessions->n_active++;
		s->heard_usec = boottime_usec();
		s->beat_due_usec = UINT64_MAX;
		for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
			s->at[c].acked = (struct entry_id){UINT64_MAX, UINT64_MAX - i};
		s->cursor_dirty = true;
		sessions_register(f->sessions, s);
	}
	cursor_flush(f->sessions);
	assert_int_equal(f->sessions->n_outstanding, 3);
	settle(f);
	for (unsigned i = 0; i < N; i += 100) {
		char id[ENTRY_ID_TEXT];

		snprintf(name, sizeof name, "%064u", i);
		(void)entry_id_format(id, (struct entry_id){UINT64_MAX, UINT64_MAX - i});
		assert_string_equal(stored(f, name), id);
	}
	for (struct session *s = f->sessions->first; s; s = s->next)
		assert_false(s->cursor_dirty || s->cursor_writing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_place_is_stored_before_the_welcome),
		TEST(what_is_acknowledged_is_stored_by_itself),
		TEST(acks_that_keep_coming_do_not_put_the_write_off),
		TEST(who_has_no_durable_name_has_no_cursor),
		TEST(an_ack_that_moves_nothing_writes_nothing),
		TEST(a_write_that_redis_refuses_is_done_again),
		TEST(a_write_while_redis_is_away_is_done_when_it_is_back),
		TEST(one_write_is_under_way_and_what_comes_meanwhile_goes_with_the_next),
		TEST(a_stale_token_ends_the_session_as_superseded),
		TEST(who_leaves_has_its_last_place_stored),
		TEST(who_leaves_with_nothing_new_writes_nothing),
		TEST(many_are_written_in_few_calls_whatever_their_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
