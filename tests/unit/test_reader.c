/* SPDX-License-Identifier: Apache-2.0 */
/* The channels' tails: order, adoption, poison, lost links. */
#include "reader_fixture.h"

static void published_events_arrive_in_order_from_before_and_after_the_start(void **state)
{
	struct fixture *f = *state;
	char uid[32];

	make_reader(f, NULL);
	for (int i = 0; i < 20; i++) {
		if (i == 10) {
			start(f);
			wait_until(f, f->n_seen == 10);
		}
		(void)snprintf(uid, sizeof uid, "u%d", i);
		publish(f, "award", uid, "");
	}
	wait_until(f, f->n_seen == 20);
	for (int i = 0; i < 20; i++) {
		(void)snprintf(uid, sizeof uid, "u%d", i);
		assert_string_equal(f->seen[i].uid, uid);
		assert_int_equal(f->seen[i].channel, DIBAO_CHANNEL_PUBLIC);
	}
	assert_int_equal(entry_id_cmp(f->upto[DIBAO_CHANNEL_PUBLIC], f->seen[19].id), 0);
	assert_int_equal(reader_counters(f->reader)->n_entries, 20);
	assert_int_equal(reader_counters(f->reader)->n_adopted, 0);
}

static void each_channel_is_read_and_a_withdrawal_names_its_original(void **state)
{
	struct fixture *f = *state;

	make_reader(f, NULL);
	start(f);
	publish(f, "award", "a", "");
	publish(f, "mailbox_reply", "m", "");
	publish(f, "mailbox_reply", "mu", ",\"urgent\":true");
	publish(f, "award", "r", ",\"retracts\":\"a\"");
	wait_until(f, f->n_seen == 4);
	for (size_t i = 0; i < 4; i++) {
		if (f->seen[i].is_withdrawal) {
			assert_string_equal(f->seen[i].uid, "r");
			assert_int_equal(f->seen[i].channel, DIBAO_CHANNEL_PUBLIC_NOW);
		}
	}
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		assert_true(f->upto[c].ms > 0);
	}
}

static void a_plain_entry_is_adopted_and_comes_behind_what_stood_in_the_channel(void **state)
{
	struct fixture *f = *state;

	make_reader(f, NULL);
	publish(f, "award", "1", "");
	add_plain(f, "public", "award", "2", "");
	publish(f, "award", "3", "");
	add_plain(f, "public", "award", "4", "");
	start(f);
	wait_until(f, f->n_seen == 4);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(f->seen[i].uid[0], "1324"[i]);
	}
	assert_int_equal(reader_counters(f->reader)->n_adopted, 2);
	assert_int_equal(ask(f, "XLEN", "public"), 4);
	assert_int_equal(ask(f, "EXISTS", "uid:2"), 1);
}

static void a_double_added_by_hand_is_delivered_once(void **state)
{
	struct fixture *f = *state;

	make_reader(f, NULL);
	publish(f, "award", "same", "");
	add_plain(f, "public", "award", "same", "");
	add_plain(f, "public", "award", "same", "");
	publish(f, "award", "last", "");
	start(f);
	wait_until(f, f->n_seen == 2 && f->upto[0].ms > 0 &&
			      entry_id_cmp(f->upto[0], f->seen[1].id) == 0);
	assert_string_equal(f->seen[1].uid, "last");
	assert_int_equal(reader_counters(f->reader)->n_repeats, 2);
	assert_int_equal(ask(f, "XLEN", "public"), 2);
}

static void other_bytes_under_a_uid_that_came_before_are_set_aside_and_stop_nobody(void **state)
{
	struct fixture *f = *state;

	make_reader(f, NULL);
	publish(f, "award", "same", "");
	add_plain(f, "public", "award", "same", ",\"ref\":\"another\"");
	publish(f, "award", "last", "");
	start(f);
	wait_until(f, f->n_seen == 2);
	assert_string_equal(f->seen[1].uid, "last");
	assert_int_equal(reader_counters(f->reader)->n_quarantined, 1);
	assert_int_equal(ask(f, "XLEN", "quarantine"), 1);
}

static void a_future_event_added_by_hand_goes_to_the_schedule(void **state)
{
	struct fixture *f = *state;

	make_reader(f, NULL);
	add_plain(f, "public", "award", "later", ",\"not_before\":253402300799000");
	publish(f, "award", "now", "");
	start(f);
	wait_until(f, f->n_seen == 1);
	assert_string_equal(f->seen[0].uid, "now");
	assert_int_equal(ask(f, "ZCARD", "scheduled"), 1);
	assert_int_equal(ask(f, "XLEN", "public"), 1);
}

static void poison_goes_to_the_quarantine_and_stops_nobody(void **state)
{
	struct fixture *f = *state;
	const int n_poison = 12;

	make_reader(f, NULL);
	publish(f, "award", "1", "");
	add_poison(f); /* while no daemon ran */
	publish(f, "award", "2", "");
	start(f);
	wait_until(f, f->n_seen == 2);
	assert_int_equal(ask(f, "XLEN", "quarantine"), n_poison);
	add_poison(f); /* live */
	publish(f, "award", "3", "");
	wait_until(f, f->n_seen == 3);
	assert_int_equal(ask(f, "XLEN", "quarantine"), 2 * n_poison);
	assert_int_equal(ask(f, "XLEN", "public"), 3);
	assert_int_equal(reader_counters(f->reader)->n_quarantined, 2 * n_poison);
}

/* One batch holds what stands in several channels: nothing private may come out as public. */
static void what_was_held_comes_out_in_the_channel_in_which_it_stands(void **state)
{
	struct fixture *f = *state;
	struct entry_id last[DIBAO_CHANNEL_COUNT] = {{0}};

	make_reader(f, NULL);
	/* The first that is read holds up all that came with it. */
	command(f, "XADD " BASE "public-now * e notmsgpack");
	for (int i = 0; i < 3; i++) {
		char uid[32];

		(void)snprintf(uid, sizeof uid, "public%d", i);
		publish(f, "award", uid, "");
		(void)snprintf(uid, sizeof uid, "private%d", i);
		publish(f, "mailbox_reply", uid, "");
	}
	publish(f, "mailbox_reply", "private-now0", ",\"urgent\":true");
	start(f);
	wait_until(f, f->n_seen == 7);
	for (size_t i = 0; i < f->n_seen; i++) {
		const struct seen *s = &f->seen[i];
		const char *name = dibao_channel_name(s->channel);

		assert_memory_equal(s->uid, name, strlen(name));
		assert_int_equal(strlen(s->uid), strlen(name) + 1);
		last[s->channel] = s->id;
	}
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		assert_true(entry_id_cmp(f->upto[c], last[c]) >= 0);
	}
	assert_true(f->upto[DIBAO_CHANNEL_PUBLIC_NOW].ms > 0); /* the bad one is dealt with */
}

static void a_position_never_passes_an_entry_whose_adoption_is_outstanding(void **state)
{
	struct fixture *f = *state;

	/* The daemon's user may not call functions, for now. */
	command(f, "ACL SETUSER weak on >p ~* +@all -fcall");
	make_reader(f, "weak");
	publish(f, "award", "1", "");
	add_plain(f, "public", "award", "2", "");
	publish(f, "award", "3", "");
	start(f);
	wait_until(f, f->n_seen == 1);
	for (int i = 0; i < 30; i++) { /* two more batches: at most two are held */
		publish(f, "award", (char[]){'a', (char)('a' + i), '\0'}, "");
		assert_true(sd_event_run(f->event, 10 * 1000) >= 0);
	}
	assert_int_equal(f->n_seen, 1);
	assert_int_equal(entry_id_cmp(f->upto[DIBAO_CHANNEL_PUBLIC], f->seen[0].id), 0);
	command(f, "ACL SETUSER weak +fcall");
	wait_until(f, f->n_seen == 33);
	assert_string_equal(f->seen[1].uid, "3");
	assert_string_equal(f->seen[31].uid, "a~");
	assert_string_equal(f->seen[32].uid, "2");
}

static void ten_thousand_entries_by_hand_and_by_function_arrive_complete(void **state)
{
	struct fixture *f = *state;
	const int n = 10000;
	char uid[32];
	redisReply *r;
	size_t len;

	make_reader(f, NULL);
	start(f);
	for (int i = 0; i < n; i++) {
		uint8_t *bytes;

		(void)snprintf(uid, sizeof uid, "%d", i);
		bytes = event("award", uid, "", &len);
		if (i % 7 == 0) {
			redisAppendCommand(f->c, "XADD " BASE "public * e %b", bytes, len);
		} else {
			redisAppendCommand(f->c, "FCALL dibao_publish 1 " BASE " %b", bytes, len);
		}
		free(bytes);
	}
	for (int i = 0; i < n; i++) {
		assert_int_equal(redisGetReply(f->c, (void **)&r), REDIS_OK);
		reply_free(r);
		(void)sd_event_run(f->event, 0);
	}
	wait_until(f, f->n_seen == (size_t)n);
	/* Each way keeps its order; between the two there is none. */
	for (int i = 0, hand = 0, function = 1; i < n; i++) {
		int seen = atoi(f->seen[i].uid), *next = seen % 7 ? &function : &hand;

		assert_int_equal(seen, *next);
		*next += seen % 7 == 0 ? 7 : seen % 7 == 6 ? 2 : 1;
	}
}

static void large_entries_arrive_too(void **state)
{
	struct fixture *f = *state;
	char more[16000], uid[32];
	int at = snprintf(more, sizeof more, ",\"ext\":\"");

	memset(more + at, 'x', 15000);
	memcpy(more + at + 15000, "\"", 2);
	make_reader(f, NULL);
	for (int i = 0; i < 1500; i++) {
		(void)snprintf(uid, sizeof uid, "%d", i);
		publish(f, i % 2 ? "award" : "mailbox_reply", uid, more);
	}
	start(f);
	wait_until(f, f->n_seen == 1500);
	assert_int_equal(reader_range(f->reader, DIBAO_CHANNEL_PUBLIC, (struct entry_id){0, 0},
				      f->upto[DIBAO_CHANNEL_PUBLIC], 4096, NULL, on_range, f),
			 0);
	wait_until(f, f->n_ranges == 1);
	assert_int_equal(f->range_n, 750);
}

static void after_a_stop_inside_a_callback_nothing_more_comes(void **state)
{
	struct fixture *f = *state;
	char uid[32];

	make_reader(f, NULL);
	for (int i = 0; i < 300; i++) {
		(void)snprintf(uid, sizeof uid, "%d", i);
		publish(f, "award", uid, "");
	}
	f->stop_in_callback = true;
	start(f);
	wait_until(f, f->n_calls == 1);
	for (int i = 0; i < 10; i++) {
		assert_true(sd_event_run(f->event, 10 * 1000) >= 0);
	}
	assert_int_equal(f->n_calls, 1);
	f->stop_in_callback = false;
	start(f);
	wait_until(f, f->n_seen == 300);
	assert_int_equal(atoi(f->seen[299].uid), 299);
}

static void after_a_lost_link_the_tail_waits_to_be_started_and_misses_nothing(void **state)
{
	struct fixture *f = *state;

	make_reader(f, NULL);
	start(f);
	publish(f, "award", "1", "");
	wait_until(f, f->n_seen == 1);
	redis_server_stop(&f->server);
	wait_until(f, f->n_down == 3);
	assert_int_equal(reader_start(f->reader, f->upto), -ENOTCONN);
	redis_server_start(&f->server, NULL);
	redisFree(f->c);
	wait_until(f, redis_link_is_up(f->tail) && redis_link_is_up(f->main)); /* it has loaded */
	connect_producer(f);
	publish(f, "award", "2", "");
	for (int i = 0; i < 10; i++) {
		assert_true(sd_event_run(f->event, 10 * 1000) >= 0);
	}
	assert_int_equal(f->n_seen, 1);
	start(f);
	wait_until(f, f->n_seen == 2);
	assert_string_equal(f->seen[1].uid, "2");
}

static void pass(struct fixture *f, int64_t ms)
{
	for (int64_t end = now_ms() + ms; now_ms() < end;) {
		assert_true(sd_event_run(f->event, 10 * 1000) >= 0);
	}
}

static void refuse_reads(struct fixture *f)
{
	command(f, "ACL SETUSER default -xread");
	publish(f, "award", "2", "");
	pass(f, 500);
	assert_int_equal(f->n_seen, 1);
}

static void a_read_that_redis_refuses_is_made_again_and_misses_nothing(void **state)
{
	struct fixture *f = *state;

	make_reader(f, NULL);
	publish(f, "award", "1", "");
	start(f);
	wait_until(f, f->n_seen == 1);
	refuse_reads(f);
	command(f, "ACL SETUSER default +xread");
	wait_until(f, f->n_seen == 2);
	assert_string_equal(f->seen[1].uid, "2");
}

/* The Redis that comes back must be compared with what we hold before anything is read. */
static void a_link_lost_while_a_read_was_to_be_made_again_leaves_the_tail_stopped(void **state)
{
	struct fixture *f = *state;

	make_reader(f, NULL);
	publish(f, "award", "1", "");
	start(f);
	wait_until(f, f->n_seen == 1);
	refuse_reads(f);
	redis_server_stop(&f->server);
	wait_until(f, f->n_down == 3);
	pass(f, 500); /* the retry finds no link */
	redis_server_start(&f->server, NULL);
	redisFree(f->c);
	connect_producer(f);
	wait_until(f, redis_link_is_up(f->tail) && redis_link_is_up(f->main));
	publish(f, "award", "3", "");
	pass(f, 1000);
	assert_int_equal(f->n_seen, 1);
	start(f);
	wait_until(f, f->n_seen == 3);
	assert_string_equal(f->seen[2].uid, "3");
}

static void a_reader_may_be_freed_with_everything_on_its_way(void **state)
{
	struct fixture *f = *state;
	struct entry_id all = {UINT64_MAX, UINT64_MAX};

	command(f, "ACL SETUSER weak on >p ~* +@all -fcall");
	make_reader(f, "weak");
	publish(f, "award", "1", "");
	add_plain(f, "public", "award", "2", "");
	start(f);
	wait_until(f, f->n_seen == 1);
	assert_int_equal(reader_range(f->reader, DIBAO_CHANNEL_PUBLIC, (struct entry_id){0, 0}, all,
				      500, NULL, on_range, f),
			 0);
	f->reader = reader_free(f->reader);
	for (int i = 0; i < 10; i++) {
		assert_true(sd_event_run(f->event, 10 * 1000) >= 0);
	}
	assert_int_equal(f->n_ranges, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(published_events_arrive_in_order_from_before_and_after_the_start),
		TEST(each_channel_is_read_and_a_withdrawal_names_its_original),
		TEST(a_plain_entry_is_adopted_and_comes_behind_what_stood_in_the_channel),
		TEST(a_double_added_by_hand_is_delivered_once),
		TEST(other_bytes_under_a_uid_that_came_before_are_set_aside_and_stop_nobody),
		TEST(a_future_event_added_by_hand_goes_to_the_schedule),
		TEST(poison_goes_to_the_quarantine_and_stops_nobody),
		TEST(what_was_held_comes_out_in_the_channel_in_which_it_stands),
		TEST(a_position_never_passes_an_entry_whose_adoption_is_outstanding),
		TEST(ten_thousand_entries_by_hand_and_by_function_arrive_complete),
		TEST(large_entries_arrive_too),
		TEST(after_a_stop_inside_a_callback_nothing_more_comes),
		TEST(after_a_lost_link_the_tail_waits_to_be_started_and_misses_nothing),
		TEST(a_read_that_redis_refuses_is_made_again_and_misses_nothing),
		TEST(a_link_lost_while_a_read_was_to_be_made_again_leaves_the_tail_stopped),
		TEST(a_reader_may_be_freed_with_everything_on_its_way),
	};

	signal(SIGPIPE, SIG_IGN); /* as dibaod does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
