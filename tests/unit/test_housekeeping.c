/* SPDX-License-Identifier: Apache-2.0 */
/* Housekeeping, against a real Redis. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "housekeeping_fixture.h"

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct housekeeping_options opt = {.bureau = BUREAU};

	assert_non_null(f);
	log_open("test");
	assert_int_equal(log_set_level("err"), 0);
	assert_true(sd_event_new(&f->event) >= 0);
	assert_int_equal(config_load(&f->config, NULL, NULL), 0);
	redis_server_init(&f->server);
	start_with(f, NULL);
	load_functions(f);
	opt.event = f->event;
	opt.link = f->link;
	opt.config = f->config;
	opt.clock = &f->clock;
	opt.hidden = &f->hidden;
	assert_int_equal(schedule_new(&f->schedule), 0);
	opt.schedule = f->schedule;
	assert_int_equal(housekeeping_new(&f->keeper, &opt), 0);
	*state = f;
	return 0;
}

/* Redis is started by the test itself, with options. */

static void publish(struct fixture *f, const char *uid, int64_t not_before)
{
	char json[1024], when[64] = "";
	struct dibao_error err;
	uint8_t *bytes;
	size_t len;

	if (not_before > 0) {
		(void)snprintf(when, sizeof when, ",\"not_before\":%lld", (long long)not_before);
	}
	(void)snprintf(
		json, sizeof json,
		"{\"v\":1,\"uid\":\"%s\",\"type\":\"award\",\"at\":1,\"org\":\"320508000000\","
		"\"person\":{\"badge\":\"1\",\"name\":\"x\"},\"issuer\":\"i\"%s,\"body\":"
		"{\"kind\":{\"code\":\"1\",\"name\":\"x\"},\"state\":\"final\"}}",
		uid, when);
	if (dibao_event_from_json(json, strlen(json), 1, &bytes, &len, &err) < 0) {
		fail_msg("%s: %s", err.field, err.reason);
	}
	run(f, "FCALL dibao_publish 1 " BASE " %b", bytes, len);
	free(bytes);
}

static void start(struct fixture *f, const struct entry_id *tail)
{
	static const struct entry_id zero[DIBAO_CHANNEL_COUNT];

	housekeeping_start(f->keeper, tail ? tail : zero);
}

static const struct housekeeping_counters *counters(struct fixture *f)
{
	return housekeeping_counters(f->keeper);
}

static void scheduled_events_are_released_when_due_and_not_before(void **state)
{
	struct fixture *f = *state;
	int64_t due = now_ms(CLOCK_REALTIME) + 1500;
	char uid[16];

	publish(f, "far", due + 3600000);
	for (int i = 0; i < 1200; i++) { /* more than one step */
		(void)snprintf(uid, sizeof uid, "u%d", i);
		publish(f, uid, due);
	}
	start(f, NULL);
	while (now_ms(CLOCK_REALTIME) < due - 50) {
		assert_int_equal(run(f, "XLEN " BASE "public"), 0);
		assert_true(sd_event_run(f->event, 20 * 1000) >= 0);
	}
	wait_until(f, counters(f)->n_released == 1200);
	assert_int_equal(run(f, "XLEN " BASE "public"), 1200);
	wait_until(f, counters(f)->next_due_ms == due + 3600000);
}

/* What the reader does: those that Redis does not hide any more are off the list. */
static bool all_heard(struct fixture *f)
{
	for (size_t i = 0; i < f->hidden.n;) {
		struct hidden_badge b = f->hidden.v[i];

		if (run(f, "HEXISTS " BASE "hidden %b", b.badge, (size_t)b.len))
			i++;
		else
			hidden_set(&f->hidden, (struct dibao_str){b.badge, b.len}, -1);
	}
	return f->hidden.n == 3;
}

static void hidden_until(struct fixture *f, const char *badge, int64_t until)
{
	run(f, "HSET " BASE "hidden %s %lld", badge, (long long)until);
	assert_int_equal(hidden_set(&f->hidden, (struct dibao_str){badge, strlen(badge)}, until),
			 0);
}

static void who_was_hidden_until_a_time_is_shown_again_when_it_is_past_and_nobody_else(void **state)
{
	struct fixture *f = *state;
	int64_t due = now_ms(CLOCK_REALTIME) + 1500;
	char badge[16];

	for (int i = 0; i < 150; i++) { /* more than one step */
		(void)snprintf(badge, sizeof badge, "F%d", i);
		hidden_until(f, badge, due);
	}
	hidden_until(f, "longer", due + 3600000);
	hidden_until(f, "forgood", 0);
	run(f, "HSET " BASE "hidden F7 %lld", (long long)due + 3600000); /* not heard of yet */
	start(f, NULL);
	while (now_ms(CLOCK_REALTIME) < due - 50) {
		assert_int_equal(run(f, "XLEN " BASE "public-now"), 0);
		assert_true(sd_event_run(f->event, 20 * 1000) >= 0);
	}
	wait_until(f, all_heard(f));
	assert_int_equal(run(f, "XLEN " BASE "public-now"), 149);
	assert_int_equal(run(f, "HLEN " BASE "hidden"), 3);
	wait_until(f, counters(f)->n_unhidden == 149);
}

static void what_was_released_is_told_and_so_is_what_was_lost_until_it_is_settled(void **state)
{
	struct fixture *f = *state;
	int64_t due = now_ms(CLOCK_REALTIME) + 300;
	struct planned p = {.uid = "u", .uid_len = 1};
	size_t i = 0;

	p.due_ms = due;
	schedule_note(f->schedule, &p);
	p.due_ms = due + 3600000;
	schedule_note(f->schedule, &p);
	publish(f, "u", due);
	start(f, NULL);
	wait_until(f, counters(f)->n_released == 1);
	/* Two were known; the one that waits is left. */
	wait_until(f, (i = 0, schedule_next(f->schedule, &i)) && i == 2);
	assert_int_equal(counters(f)->n_lost, 0);
	run(f, "XADD " BASE "lost 1-1 channel public");
	run(f, "XADD " BASE "lost 2-1 channel scheduled");
	wait_until(f, counters(f)->n_lost == 2);
	run(f, "FCALL dibao_settle 1 " BASE " 1-1 test");
	wait_until(f, counters(f)->n_lost == 1);
}

static void the_tails_place_is_stored_within_its_second_and_never_goes_back(void **state)
{
	struct fixture *f = *state;

	start(f, NULL);
	housekeeping_tail(f->keeper, DIBAO_CHANNEL_PRIVATE, (struct entry_id){5, 1});
	housekeeping_tail(f->keeper, DIBAO_CHANNEL_PRIVATE, (struct entry_id){4, 9});
	wait_until(f, run(f, "HGET " BASE "tail private") == (long long)strlen("5-1"));
	housekeeping_tail(f->keeper, DIBAO_CHANNEL_PRIVATE, (struct entry_id){1234, 1});
	housekeeping_flush(f->keeper);
	wait_until(f, run(f, "HGET " BASE "tail private") == (long long)strlen("1234-1"));
}

static void a_place_that_redis_refuses_is_stored_when_it_takes_it(void **state)
{
	struct fixture *f = *state;

	start(f, NULL);
	run(f, "FUNCTION FLUSH");
	housekeeping_tail(f->keeper, DIBAO_CHANNEL_PRIVATE, (struct entry_id){5, 1});
	for (int64_t end = now_ms(CLOCK_MONOTONIC) + 2500; now_ms(CLOCK_MONOTONIC) < end;) {
		assert_true(sd_event_run(f->event, 20 * 1000) >= 0);
	}
	assert_int_equal(run(f, "EXISTS " BASE "tail"), 0);
	load_functions(f);
	wait_until(f, run(f, "HGET " BASE "tail private") == (long long)strlen("5-1"));
}

static void add_old(struct fixture *f, const char *channel, uint64_t age_ms, int n)
{
	for (int i = 0; i < n; i++) {
		run(f, "XADD " BASE "%s %llu-%d w x f 1", channel,
		    (unsigned long long)now_ms(CLOCK_REALTIME) - age_ms, i + 1);
	}
}

static void old_entries_are_trimmed_by_their_channels_age_in_steps(void **state)
{
	struct fixture *f = *state;
	struct entry_id tail[DIBAO_CHANNEL_COUNT];

	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		tail[c] = (struct entry_id){(uint64_t)now_ms(CLOCK_REALTIME), 0};
	}
	add_old(f, "private", 91 * DAY, 2500);
	add_old(f, "private", 89 * DAY, 10);
	add_old(f, "public", 401 * DAY, 10);
	add_old(f, "public", 91 * DAY, 10);
	add_old(f, "public-now", 401 * DAY, 10);
	add_old(f, "public-now", 91 * DAY, 10);
	add_old(f, "private-now", 91 * DAY, 10); /* comes last */
	add_old(f, "private-now", 89 * DAY, 10);
	start(f, tail);
	wait_until(f, run(f, "XLEN " BASE "private-now") == 10);
	assert_int_equal(run(f, "XLEN " BASE "private"), 10);
	assert_int_equal(run(f, "XLEN " BASE "public"), 10);
	assert_int_equal(run(f, "XLEN " BASE "public-now"), 10);
	wait_until(f, counters(f)->n_trimmed == 2530);
}

static void a_registered_name_that_is_behind_keeps_its_entries_within_its_limit(void **state)
{
	struct fixture *f = *state;
	struct entry_id tail[DIBAO_CHANNEL_COUNT];
	unsigned long long now = (unsigned long long)now_ms(CLOCK_REALTIME);

	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		tail[c] = (struct entry_id){now, 0};
	}
	add_old(f, "private", 200 * DAY, 10); /* beyond the limit */
	add_old(f, "private", 95 * DAY, 10);  /* held */
	add_old(f, "private", 92 * DAY, 10);  /* held too: comes after */
	run(f, "FCALL dibao_durable 1 " BASE " set board %llu", (unsigned long long)(14 * DAY));
	run(f, "HSET " BASE "cursors board %s", "1 0-0 0-0 0-0 0-0");
	run(f, "HSET " BASE "cursors stranger %s", "1 0-0 0-0 0-0 0-0"); /* not registered */
	start(f, tail);
	wait_until(f, counters(f)->n_trimmed == 10);
	assert_int_equal(run(f, "XLEN " BASE "private"), 20);
}

/* In whichever order they are looked at: each is the last one on one channel. */
static void of_several_names_the_one_furthest_behind_keeps_entries(void **state)
{
	struct fixture *f = *state;
	struct entry_id tail[DIBAO_CHANNEL_COUNT];
	unsigned long long now = (unsigned long long)now_ms(CLOCK_REALTIME), hold = 14 * DAY;

	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		tail[c] = (struct entry_id){now, 0};
	}
	add_old(f, "public", 405 * DAY, 10);
	add_old(f, "private", 95 * DAY, 10);
	add_old(f, "private-now", 95 * DAY, 10); /* held by none; comes last */
	run(f, "FCALL dibao_durable 1 " BASE " set one %llu", hold);
	run(f, "FCALL dibao_durable 1 " BASE " set other %llu", hold);
	run(f, "HSET " BASE "cursors one %s", "1 0-0 99999999999999-0 0-0 99999999999999-0");
	run(f, "HSET " BASE "cursors other %s", "1 99999999999999-0 0-0 0-0 99999999999999-0");
	start(f, tail);
	wait_until(f, run(f, "XLEN " BASE "private-now") == 0);
	assert_int_equal(run(f, "XLEN " BASE "public"), 10);
	assert_int_equal(run(f, "XLEN " BASE "private"), 10);
}

static void a_registered_name_that_never_came_keeps_nothing(void **state)
{
	struct fixture *f = *state;
	struct entry_id tail[DIBAO_CHANNEL_COUNT];

	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		tail[c] = (struct entry_id){(uint64_t)now_ms(CLOCK_REALTIME), 0};
	}
	add_old(f, "private", 95 * DAY, 10);
	add_old(f, "private-now", 200 * DAY, 10); /* beyond any limit; comes last */
	run(f, "FCALL dibao_durable 1 " BASE " set gateway %llu", (unsigned long long)(14 * DAY));
	start(f, tail);
	wait_until(f, run(f, "XLEN " BASE "private-now") == 0);
	assert_int_equal(run(f, "XLEN " BASE "private"), 0);
}

static void a_boards_name_keeps_what_is_public_alone_whatever_stands_for_its_place(void **state)
{
	static const char *const places[] = {"1 0-0 0-0 0-0 0-0", "no place"};
	struct fixture *f = *state;
	struct entry_id tail[DIBAO_CHANNEL_COUNT];

	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		tail[c] = (struct entry_id){(uint64_t)now_ms(CLOCK_REALTIME), 0};
	}
	add_old(f, "private", 95 * DAY, 10);
	add_old(f, "public", 420 * DAY, 10); /* beyond the limit */
	add_old(f, "public", 405 * DAY, 10); /* held */
	add_old(f, "public-now", 405 * DAY, 10);
	add_old(f, "private-now", 95 * DAY, 10); /* comes last */
	for (size_t i = 0; i < 2; i++) {
		run(f, "FCALL dibao_durable 1 " BASE " set-board board-%d %llu", (int)i,
		    (unsigned long long)(14 * DAY));
		run(f, "HSET " BASE "cursors-public board-%d %s", (int)i, places[i]);
	}
	start(f, tail);
	wait_until(f, run(f, "XLEN " BASE "private-now") == 0);
	assert_int_equal(run(f, "XLEN " BASE "private"), 0);
	assert_int_equal(run(f, "XLEN " BASE "public"), 10);
	assert_int_equal(run(f, "XLEN " BASE "public-now"), 10);
}

static void nothing_is_trimmed_that_no_daemon_has_read(void **state)
{
	struct fixture *f = *state;
	struct entry_id tail[DIBAO_CHANNEL_COUNT] = {0};

	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		tail[c] = (struct entry_id){(uint64_t)now_ms(CLOCK_REALTIME), 0};
	}
	tail[DIBAO_CHANNEL_PRIVATE] = (struct entry_id){1, 0};
	add_old(f, "private", 200 * DAY, 10);
	add_old(f, "private-now", 200 * DAY, 10);
	start(f, tail);
	wait_until(f, counters(f)->n_trimmed == 10); /* private-now comes after private */
	assert_int_equal(run(f, "XLEN " BASE "private"), 10);
}

static void an_id_from_the_future_is_alarmed_and_stops_trimming(void **state)
{
	struct fixture *f = *state;
	struct entry_id tail[DIBAO_CHANNEL_COUNT] = {0};

	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		tail[c] = (struct entry_id){(uint64_t)now_ms(CLOCK_REALTIME) + 60000, 0};
	}
	add_old(f, "private", 200 * DAY, 10);
	start(f, tail);
	wait_until(f, counters(f)->clock.faults == CLOCK_FAULT_AHEAD);
	for (int64_t end = now_ms(CLOCK_MONOTONIC) + 2500; now_ms(CLOCK_MONOTONIC) < end;) {
		assert_true(sd_event_run(f->event, 20 * 1000) >= 0);
	}
	assert_int_equal(run(f, "XLEN " BASE "private"), 10);
}

/* Of functions, by anybody. */
static long long n_calls(struct fixture *f)
{
	redisReply *r = redisCommand(f->c, "INFO commandstats");
	const char *at = strstr(r->str, "cmdstat_fcall:calls=");
	long long n = at ? atoll(at + strlen("cmdstat_fcall:calls=")) : 0;

	freeReplyObject(r);
	return n;
}

static void a_place_of_another_that_cannot_be_read_stops_trimming(void **state)
{
	struct fixture *f = *state;
	struct entry_id tail[DIBAO_CHANNEL_COUNT];
	long long before;

	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		tail[c] = (struct entry_id){(uint64_t)now_ms(CLOCK_REALTIME), 0};
	}
	add_old(f, "private", 120 * DAY, 10);
	run(f, "FCALL dibao_durable 1 " BASE " set gateway %llu", (unsigned long long)(14 * DAY));
	run(f, "HSET " BASE "cursors gateway %s", "no place");
	before = n_calls(f);
	start(f, tail);
	wait_until(f, n_calls(f) - before >= 5); /* turns later than the one that trims */
	assert_int_equal(run(f, "XLEN " BASE "private"), 10);
}

static void the_queues_time_is_kept_turn_by_turn_and_a_turn_is_a_second(void **state)
{
	struct fixture *f = *state;
	int64_t begin = now_ms(CLOCK_MONOTONIC), passed;
	long long before = n_calls(f);

	queue_clock_set(&f->clock, 1);
	start(f, NULL);
	do {
		assert_true(sd_event_run(f->event, 20 * 1000) >= 0);
		passed = now_ms(CLOCK_MONOTONIC) - begin;
	} while (passed < 2000);
	/* One call each turn, and in the second turn one more and one for each channel. */
	assert_true(n_calls(f) - before <= DIBAO_CHANNEL_COUNT + 3 + passed / 1000);
	wait_until(f, llabs(queue_clock_ms(&f->clock) - now_ms(CLOCK_REALTIME)) < 5000);
}

static void keeping_house_may_end_with_everything_on_its_way(void **state)
{
	struct fixture *f = *state;

	publish(f, "far", now_ms(CLOCK_REALTIME) + 3600000);
	start(f, NULL);
	housekeeping_tail(f->keeper, DIBAO_CHANNEL_PRIVATE, (struct entry_id){5, 1});
	housekeeping_flush(f->keeper);
	f->keeper = housekeeping_free(f->keeper);
	for (int i = 0; i < 5; i++) {
		assert_true(sd_event_run(f->event, 10 * 1000) >= 0);
	}
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN); /* as dibaod does */
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(scheduled_events_are_released_when_due_and_not_before),
		TEST(who_was_hidden_until_a_time_is_shown_again_when_it_is_past_and_nobody_else),
		TEST(what_was_released_is_told_and_so_is_what_was_lost_until_it_is_settled),
		TEST(the_tails_place_is_stored_within_its_second_and_never_goes_back),
		TEST(a_place_that_redis_refuses_is_stored_when_it_takes_it),
		TEST(old_entries_are_trimmed_by_their_channels_age_in_steps),
		TEST(a_registered_name_that_is_behind_keeps_its_entries_within_its_limit),
		TEST(of_several_names_the_one_furthest_behind_keeps_entries),
		TEST(a_registered_name_that_never_came_keeps_nothing),
		TEST(a_boards_name_keeps_what_is_public_alone_whatever_stands_for_its_place),
		TEST(a_place_of_another_that_cannot_be_read_stops_trimming),
		TEST(nothing_is_trimmed_that_no_daemon_has_read),
		TEST(an_id_from_the_future_is_alarmed_and_stops_trimming),
		TEST(the_queues_time_is_kept_turn_by_turn_and_a_turn_is_a_second),
		TEST(keeping_house_may_end_with_everything_on_its_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
