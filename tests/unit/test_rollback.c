/* SPDX-License-Identifier: Apache-2.0 */
/* What is put back into a real Redis that came back with less than the ring holds. */
#include "../../daemon/history.h"
#include "../../daemon/rollback.h"
#include "reader_fixture.h"

static const enum dibao_channel AWARDS = DIBAO_CHANNEL_PUBLIC, LETTERS = DIBAO_CHANNEL_PRIVATE;

static struct withdrawn withdrawn;
static struct history *history;
static int n_filled, n_done;
static struct rollback_result result;

static void fill(enum dibao_channel c, const struct entry *entries, size_t n, struct entry_id end,
		 int err, void *userdata)
{
	struct segment *s;
	uint32_t first;

	(void)userdata;
	assert_int_equal(err, 0);
	assert_int_equal(history_append(history, c, entries, n, end, &s, &first), 0);
	n_filled++;
}

/* The last id of a stream, {0, 0} of none. */
static struct entry_id last_id(struct fixture *f, const char *channel)
{
	redisReply *r = redisCommand(f->c, "XINFO STREAM " BASE "%s", channel);
	struct entry_id id = {0, 0};

	for (size_t i = 0; r->type == REDIS_REPLY_ARRAY && i + 1 < r->elements; i += 2) {
		if (!strcmp(r->element[i]->str, "last-generated-id")) {
			assert_int_equal(
				entry_id_parse(&id, r->element[i + 1]->str, r->element[i + 1]->len),
				0);
		}
	}
	freeReplyObject(r);
	return id;
}

/* The ring takes in what the streams hold now, beginning after `from`. */
static void hold_from(struct fixture *f, const struct entry_id from[DIBAO_CHANNEL_COUNT])
{
	history_reset(history, from);
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		struct entry_id last = last_id(f, dibao_channel_name(c));

		n_filled = 0;
		if (last.ms == 0) {
			continue;
		}
		assert_int_equal(reader_range(f->reader, c, from[c], last, 500, NULL, fill, f), 0);
		wait_until(f, n_filled == 1);
		assert_int_equal(entry_id_cmp(history_tail(history, c), last), 0);
	}
}

static void hold_all(struct fixture *f)
{
	static const struct entry_id zero[DIBAO_CHANNEL_COUNT];

	hold_from(f, zero);
}

/* Redis forgets an event: entry, record, and that the stream ever went so far. */
static void forget(struct fixture *f, const char *channel, const char *uid, struct entry_id id)
{
	char text[ENTRY_ID_TEXT];

	(void)entry_id_format(text, id);
	reply_free(redisCommand(f->c, "XDEL " BASE "%s %s", channel, text));
	reply_free(redisCommand(f->c, "DEL " BASE "uid:%s", uid));
}

static void on_done(const struct rollback_result *r, void *userdata)
{
	(void)userdata;
	result = *r;
	n_done++;
}

static void run_after(struct fixture *f, bool changed)
{
	struct rollback_options opt = {
		.changed = changed,
		.main = f->main,
		.reader = f->reader,
		.history = history,
		.base = BASE,
		.epoch = 1,
		.done = on_done,
	};

	n_done = 0;
	assert_int_equal(rollback_run(&opt), 0);
	redis_link_flush(f->main);
	wait_until(f, n_done == 1);
}

static void run(struct fixture *f)
{
	run_after(f, false);
}

static int begin(void **state)
{
	struct history_options opt = {.withdrawn = &withdrawn, .ring_bytes = 1 << 20};
	struct fixture *f;

	assert_int_equal(set_up(state), 0);
	f = *state;
	make_reader(f, NULL);
	assert_int_equal(withdrawn_init(&withdrawn), 0);
	opt.reader = f->reader;
	assert_int_equal(history_new(&history, &opt), 0);
	return 0;
}

static int end(void **state)
{
	history = history_free(history);
	withdrawn_done(&withdrawn);
	return tear_down(state);
}

static void assert_healed(enum dibao_channel c, struct entry_id id)
{
	assert_int_equal(entry_id_cmp(result.healed[c], id), 0);
}

static long long epoch_of(struct fixture *f)
{
	redisReply *r = redisCommand(f->c, "GET " BASE "epoch");
	long long n = r->type == REDIS_REPLY_STRING ? strtoll(r->str, NULL, 10) : 0;

	freeReplyObject(r);
	return n;
}

/* ---- tests ---- */

static void a_redis_that_lost_nothing_is_left_as_it_is(void **state)
{
	struct fixture *f = *state;
	struct entry_id last;

	publish(f, "award", "1", "");
	publish(f, "mailbox_reply", "2", "");
	last = last_id(f, "public");
	hold_all(f);
	run(f);
	assert_int_equal(result.err, 0);
	assert_int_equal(result.n_republished + result.n_reappended + result.n_lost_ranges, 0);
	assert_int_equal(result.epoch, 1);
	assert_int_equal(epoch_of(f), 1);
	assert_int_equal(entry_id_cmp(last_id(f, "public"), last), 0);
	assert_int_equal(ask(f, "XLEN", "public"), 1);
}

static void a_ring_that_begins_late_finds_nothing_lost_either(void **state)
{
	struct fixture *f = *state;
	struct entry_id from[DIBAO_CHANNEL_COUNT] = {{0}};

	publish(f, "award", "1", "");
	publish(f, "award", "2", "");
	from[AWARDS] = last_id(f, "public");
	publish(f, "award", "3", "");
	hold_from(f, from);
	run(f);
	assert_int_equal(result.err, 0);
	assert_int_equal(result.n_republished + result.n_reappended + result.n_lost_ranges, 0);
	assert_int_equal(epoch_of(f), 1);
	assert_false(result.changed);
}

static void what_redis_lost_is_published_again_and_noted(void **state)
{
	struct fixture *f = *state;
	struct entry_id first, second;

	publish(f, "award", "1", "");
	first = last_id(f, "public");
	publish(f, "mailbox_reply", "2", "");
	publish(f, "award", "3", "");
	second = last_id(f, "public");
	hold_all(f);
	forget(f, "public", "1", first);
	forget(f, "public", "3", second);
	run(f);
	assert_int_equal(result.err, 0);
	assert_int_equal(result.n_republished, 2);
	assert_int_equal(result.n_reappended, 0);
	assert_int_equal(result.n_lost_ranges, 0);
	assert_int_equal(result.epoch, 2);
	assert_int_equal(epoch_of(f), 2);
	assert_int_equal(ask(f, "XLEN", "public"), 2);
	assert_int_equal(ask(f, "XLEN", "private"), 1);
	assert_true(entry_id_cmp(last_id(f, "public"), second) > 0);
	assert_healed(AWARDS, last_id(f, "public"));
	assert_healed(LETTERS, (struct entry_id){0, 0});
	run(f); /* again: all is there, though under other ids */
	assert_int_equal(result.n_republished, 0);
	assert_int_equal(ask(f, "XLEN", "public"), 2);
}

/* Its publisher, or another daemon: the event comes to our sessions once more, under its new id. */
static void what_another_put_back_first_is_noted_too(void **state)
{
	struct fixture *f = *state;
	struct entry_id lost;

	publish(f, "award", "1", "");
	lost = last_id(f, "public");
	hold_all(f);
	forget(f, "public", "1", lost);
	publish(f, "award", "1", "");
	assert_true(entry_id_cmp(last_id(f, "public"), lost) > 0);
	run(f);
	assert_int_equal(result.err, 0);
	assert_int_equal(result.n_republished, 0);
	assert_int_equal(ask(f, "XLEN", "public"), 1);
	assert_healed(AWARDS, last_id(f, "public"));
	assert_int_equal(result.epoch, 2);
}

/* Two events under one uid: who had the first must not be left to believe that it stands. */
static void a_uid_that_another_event_took_since_is_counted_as_a_conflict(void **state)
{
	struct fixture *f = *state;
	struct entry_id lost;

	publish(f, "award", "1", "");
	lost = last_id(f, "public");
	hold_all(f);
	forget(f, "public", "1", lost);
	publish(f, "award", "1", ",\"ref\":\"another\"");
	run(f);
	assert_int_equal(result.err, 0);
	assert_int_equal(result.n_conflicts, 1);
	assert_int_equal(result.n_republished, 0);
	assert_int_equal(ask(f, "XLEN", "public"), 1);
	assert_int_equal(ask(f, "XLEN", "quarantine"), 1);
}

static void what_came_in_below_our_place_is_moved_up_and_noted(void **state)
{
	struct fixture *f = *state;
	struct entry_id lost, tail;
	char below[ENTRY_ID_TEXT];
	size_t len;
	uint8_t *bytes;

	publish(f, "award", "1", "");
	publish(f, "award", "2", "");
	lost = last_id(f, "public");
	publish(f, "award", "3", "");
	tail = last_id(f, "public");
	hold_all(f);
	/* Redis comes back with the first alone; a new one gets an id that we had read past. */
	forget(f, "public", "2", lost);
	forget(f, "public", "3", tail);
	command(f, "DEL " BASE "public");
	command(f, "DEL " BASE "uid:1");
	(void)entry_id_format(below, (struct entry_id){tail.ms - 1, 77});
	bytes = event("award", "4", "", &len);
	reply_free(redisCommand(f->c, "XADD " BASE "public %s e %b", below, bytes, len));
	free(bytes);
	run(f);
	assert_int_equal(result.err, 0);
	assert_int_equal(result.n_republished, 3);
	assert_int_equal(result.n_reappended, 1);
	assert_int_equal(ask(f, "XLEN", "public"), 4);
	assert_true(entry_id_cmp(result.healed[AWARDS], tail) > 0);
	assert_healed(AWARDS, last_id(f, "public"));
}

/* The same id, other bytes: both events are owed. */
static void an_id_that_was_given_out_twice_costs_neither_event(void **state)
{
	struct fixture *f = *state;
	struct entry_id id;
	char text[ENTRY_ID_TEXT];
	size_t len;
	uint8_t *bytes;

	publish(f, "award", "old", "");
	id = last_id(f, "public");
	(void)entry_id_format(text, id);
	hold_all(f);
	command(f, "DEL " BASE "public");
	command(f, "DEL " BASE "uid:old");
	bytes = event("award", "new", "", &len);
	reply_free(redisCommand(f->c, "XADD " BASE "public %s e %b", text, bytes, len));
	free(bytes);
	run(f);
	assert_int_equal(result.err, 0);
	assert_int_equal(result.n_republished, 1);
	assert_int_equal(result.n_reappended, 1);
	assert_int_equal(ask(f, "XLEN", "public"), 2);
	assert_healed(AWARDS, last_id(f, "public"));
}

static void nothing_new_can_land_below_our_place(void **state)
{
	struct fixture *f = *state;
	struct entry_id tail;

	command(f, "XADD " BASE "public 99999999999999-5 f 1 w x");
	hold_all(f); /* it holds nothing deliverable, but that is how far we read */
	tail = history_tail(history, AWARDS);
	command(f, "DEL " BASE "public");
	run(f);
	assert_int_equal(result.err, 0);
	assert_int_equal(entry_id_cmp(last_id(f, "public"), tail), 0);
	publish(f, "award", "1", "");
	assert_true(entry_id_cmp(last_id(f, "public"), tail) > 0);
}

static void what_was_lost_from_before_the_ring_is_recorded_as_a_range(void **state)
{
	struct fixture *f = *state;
	struct entry_id from[DIBAO_CHANNEL_COUNT] = {{0}};
	char oldest[ENTRY_ID_TEXT];
	redisReply *r, *fields;

	publish(f, "award", "1", "");
	from[AWARDS] = last_id(f, "public");
	publish(f, "award", "2", "");
	hold_from(f, from);
	(void)entry_id_format(oldest, from[AWARDS]);
	command(f, "DEL " BASE "public");
	command(f, "DEL " BASE "uid:1");
	command(f, "DEL " BASE "uid:2");
	run(f);
	assert_int_equal(result.err, 0);
	assert_int_equal(result.n_lost_ranges, 1);
	assert_int_equal(result.n_republished, 1);
	r = redisCommand(f->c, "XRANGE " BASE "lost - +");
	assert_int_equal(r->elements, 1);
	fields = r->element[0]->element[1];
	assert_string_equal(fields->element[0]->str, "channel");
	assert_string_equal(fields->element[1]->str, "public");
	assert_string_equal(fields->element[2]->str, "from");
	assert_string_equal(fields->element[3]->str, "0-0");
	assert_string_equal(fields->element[4]->str, "to");
	assert_string_equal(fields->element[5]->str, oldest);
	freeReplyObject(r);
}

static void a_withdrawal_is_made_again_with_the_event_that_caused_it(void **state)
{
	struct fixture *f = *state;
	redisReply *r;

	publish(f, "award", "shown", "");
	publish(f, "award", "kept-back", ",\"private\":true,\"corrects\":\"shown\"");
	assert_int_equal(ask(f, "XLEN", "public-now"), 1); /* stands alone there */
	hold_all(f);
	command(f, "DEL " BASE "public-now");
	command(f, "DEL " BASE "private-now");
	command(f, "DEL " BASE "uid:kept-back");
	command(f, "HDEL " BASE "uid:shown w y");
	run(f);
	assert_int_equal(result.err, 0);
	assert_int_equal(result.n_republished, 1);
	assert_int_equal(ask(f, "XLEN", "public-now"), 1);
	assert_int_equal(ask(f, "XLEN", "private-now"), 1);
	r = redisCommand(f->c, "HGET " BASE "uid:shown w");
	assert_string_equal(r->str, "1");
	freeReplyObject(r);
}

static void more_than_one_range_is_compared_to_the_end(void **state)
{
	struct fixture *f = *state;
	static const struct entry_id zero[DIBAO_CHANNEL_COUNT];
	struct entry_id last;
	char uid[32];

	for (int i = 0; i < 1203; i++) {
		(void)snprintf(uid, sizeof uid, "%d", i);
		publish(f, "award", uid, "");
	}
	last = last_id(f, "public");
	history_reset(history, zero);
	for (n_filled = 0; entry_id_cmp(history_tail(history, AWARDS), last) < 0;) {
		int n = n_filled;

		assert_int_equal(reader_range(f->reader, AWARDS, history_tail(history, AWARDS),
					      last, 500, NULL, fill, f),
				 0);
		wait_until(f, n_filled > n);
	}
	forget(f, "public", "1202", last);
	run(f);
	assert_int_equal(result.err, 0);
	assert_int_equal(result.n_republished, 1);
	assert_int_equal(ask(f, "XLEN", "public"), 1203);
}

static void the_epoch_of_another_daemon_that_was_first_is_taken_over(void **state)
{
	struct fixture *f = *state;
	struct entry_id lost;

	publish(f, "award", "1", "");
	lost = last_id(f, "public");
	hold_all(f);
	forget(f, "public", "1", lost);
	command(f, "SET " BASE "epoch 7");
	run(f);
	assert_int_equal(result.err, 0);
	assert_int_equal(result.epoch, 7);
	assert_int_equal(epoch_of(f), 7);
}

static void a_run_that_breaks_off_says_so(void **state)
{
	struct fixture *f = *state;

	publish(f, "award", "1", "");
	hold_all(f);
	redis_server_stop(&f->server);
	run(f);
	assert_true(result.err < 0);
	assert_int_equal(result.epoch, 1);
}

/* What Redis refuses for now is not done: nothing may be read before it is. */
static void a_repair_that_is_refused_breaks_the_run_off_and_is_made_by_the_next(void **state)
{
	struct fixture *f = *state;
	struct dibao_error err;
	struct entry_id lost;

	assert_int_equal(log_set_level("err"), 0);
	publish(f, "award", "1", "");
	lost = last_id(f, "public");
	hold_all(f);
	forget(f, "public", "1", lost);
	command(f, "FUNCTION FLUSH");
	run(f);
	assert_int_equal(result.err, -EIO);
	assert_true(result.changed);
	assert_int_equal(result.epoch, 1);
	assert_int_equal(queue_setup(f->c, BUREAU, &err), 0);
	run(f);
	assert_int_equal(result.err, 0);
	assert_int_equal(result.n_republished, 1);
}

static void a_last_id_that_cannot_be_raised_breaks_the_run_off(void **state)
{
	struct fixture *f = *state;
	struct segment *seg;
	uint32_t first;

	publish(f, "award", "1", "");
	hold_all(f);
	assert_int_equal(history_append(history, AWARDS, NULL, 0,
					(struct entry_id){99999999999999, 0}, &seg, &first),
			 0);
	command(f, "FUNCTION FLUSH");
	run(f);
	assert_int_equal(result.err, -EIO);
}

static void an_entry_that_cannot_be_moved_up_breaks_the_run_off(void **state)
{
	struct fixture *f = *state;
	struct segment *seg;
	uint32_t first;

	add_plain(f, "public", "award", "1", "");
	assert_int_equal(
		history_append(history, AWARDS, NULL, 0, last_id(f, "public"), &seg, &first), 0);
	command(f, "FUNCTION FLUSH");
	run(f);
	assert_int_equal(result.err, -EIO);
	assert_int_equal(result.n_reappended, 0);
}

static void an_event_that_is_refused_for_good_is_told_as_lost_and_holds_nobody_up(void **state)
{
	struct fixture *f = *state;
	struct entry_id lost;
	redisReply *r;

	publish(f, "award", "1", "");
	lost = last_id(f, "public");
	hold_all(f);
	forget(f, "public", "1", lost);
	r = redisCommand(f->c, "FUNCTION LOAD REPLACE %s",
			 "#!lua name=dibao\n"
			 "redis.register_function('dibao_heal', function() return "
			 "redis.error_reply('DIBAO_INVALID no') end)\n"
			 "redis.register_function('dibao_epoch', function() return 2 end)");
	reply_free(r);
	run(f);
	assert_int_equal(result.err, 0);
	assert_int_equal(result.n_lost_ranges, 1);
	assert_int_equal(result.n_republished, 0);
	assert_int_equal(result.epoch, 2);
}

static void a_stream_that_cannot_be_looked_at_is_not_taken_for_an_empty_one(void **state)
{
	struct fixture *f = *state;

	publish(f, "award", "1", "");
	hold_all(f);
	command(f, "DEL " BASE "public");
	command(f, "SET " BASE "public text");
	run(f);
	assert_int_equal(result.err, -EIO);
	assert_int_equal(result.n_lost_ranges, 0);
	assert_int_equal(result.n_republished, 0);
}

static void after_a_broken_run_the_epoch_is_raised_though_nothing_is_left_to_do(void **state)
{
	struct fixture *f = *state;

	publish(f, "award", "1", "");
	hold_all(f);
	run_after(f, true);
	assert_int_equal(result.err, 0);
	assert_int_equal(result.epoch, 2);
	assert_true(result.changed);
}

int main(void)
{
#define RUN(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		RUN(a_redis_that_lost_nothing_is_left_as_it_is),
		RUN(a_ring_that_begins_late_finds_nothing_lost_either),
		RUN(a_repair_that_is_refused_breaks_the_run_off_and_is_made_by_the_next),
		RUN(a_last_id_that_cannot_be_raised_breaks_the_run_off),
		RUN(an_entry_that_cannot_be_moved_up_breaks_the_run_off),
		RUN(an_event_that_is_refused_for_good_is_told_as_lost_and_holds_nobody_up),
		RUN(a_stream_that_cannot_be_looked_at_is_not_taken_for_an_empty_one),
		RUN(after_a_broken_run_the_epoch_is_raised_though_nothing_is_left_to_do),
		RUN(what_redis_lost_is_published_again_and_noted),
		RUN(what_another_put_back_first_is_noted_too),
		RUN(a_uid_that_another_event_took_since_is_counted_as_a_conflict),
		RUN(what_came_in_below_our_place_is_moved_up_and_noted),
		RUN(an_id_that_was_given_out_twice_costs_neither_event),
		RUN(nothing_new_can_land_below_our_place),
		RUN(what_was_lost_from_before_the_ring_is_recorded_as_a_range),
		RUN(a_withdrawal_is_made_again_with_the_event_that_caused_it),
		RUN(more_than_one_range_is_compared_to_the_end),
		RUN(the_epoch_of_another_daemon_that_was_first_is_taken_over),
		RUN(a_run_that_breaks_off_says_so),
	};

	(void)signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
