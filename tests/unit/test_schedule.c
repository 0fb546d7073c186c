/* SPDX-License-Identifier: Apache-2.0 */
/* What a daemon knows of the schedule, told by a real Redis, and what it finds out when that comes
 * back with less. */
#include "../../daemon/history.h"
#include "../../daemon/rollback.h"
#include "reader_fixture.h"

#define FAR ",\"not_before\":253402300799000"

static struct withdrawn withdrawn;
static struct history *history;
static struct schedule *schedule;
static int n_done;
static struct rollback_result result;

static void on_planned(struct reader *r, const struct planned *p, void *userdata)
{
	(void)r, (void)userdata;
	schedule_note(schedule, p);
}

static int begin(void **state)
{
	struct history_options opt = {.withdrawn = &withdrawn, .ring_bytes = 1 << 20};
	struct fixture *f;

	assert_int_equal(set_up(state), 0);
	f = *state;
	make_reader_with(f, NULL, on_planned);
	assert_int_equal(withdrawn_init(&withdrawn), 0);
	opt.reader = f->reader;
	assert_int_equal(history_new(&history, &opt), 0);
	assert_int_equal(schedule_new(&schedule), 0);
	return 0;
}

static int end(void **state)
{
	history = history_free(history);
	schedule = schedule_free(schedule);
	withdrawn_done(&withdrawn);
	return tear_down(state);
}

static size_t n_known(void)
{
	size_t i = 0, n = 0;

	while (schedule_next(schedule, &i))
		n++;
	return n;
}

static const struct planned *known(const char *uid)
{
	const struct planned *p;
	size_t i = 0;

	while ((p = schedule_next(schedule, &i)) != NULL)
		if (p->uid_len == strlen(uid) && !memcmp(p->uid, uid, p->uid_len))
			return p;
	return NULL;
}

static void cancel(struct fixture *f, const char *uid)
{
	reply_free(redisCommand(f->c, "FCALL dibao_cancel 1 " BASE " %s test", uid));
}

/* Redis, as if it had never heard of it. */
static void forget(struct fixture *f, const char *uid)
{
	reply_free(redisCommand(f->c, "DEL " BASE "uid:%s", uid));
	reply_free(redisCommand(f->c, "ZREM " BASE "scheduled %s", uid));
}

static void on_done(const struct rollback_result *r, void *userdata)
{
	(void)userdata;
	result = *r;
	n_done++;
}

static void roll_back(struct fixture *f)
{
	struct rollback_options opt = {
		.main = f->main,
		.reader = f->reader,
		.history = history,
		.schedule = schedule,
		.base = BASE,
		.epoch = 1,
		.done = on_done,
	};

	n_done = 0;
	assert_int_equal(rollback_run(&opt), 0);
	redis_link_flush(f->main);
	wait_until(f, n_done == 1);
}

/* Fields of the one entry of `lost`: of `name` all values, parted by blanks. */
static const char *lost(struct fixture *f, const char *name)
{
	static char text[8192];
	redisReply *r = redisCommand(f->c, "XRANGE " BASE "lost - +"), *fields;
	size_t at = 0;

	assert_int_equal(r->elements, 1);
	fields = r->element[0]->element[1];
	text[0] = '\0';
	for (size_t i = 0; i + 1 < fields->elements; i += 2)
		if (!strcmp(fields->element[i]->str, name))
			at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", at ? " " : "",
					       fields->element[i + 1]->str);
	freeReplyObject(r);
	return text;
}

/* ---- tests ---- */

static void the_tail_tells_what_was_scheduled_and_what_was_cancelled(void **state)
{
	struct fixture *f = *state;

	publish(f, "award", "before", FAR);
	start(f);
	wait_until(f, n_known() == 1);
	publish(f, "award", "a", FAR);
	publish(f, "mailbox_reply", "b", FAR);
	publish(f, "award", "now", "");
	wait_until(f, n_known() == 3 && f->n_seen == 1);
	assert_int_equal(known("a")->due_ms, 253402300799000);
	assert_false(known("a")->is_cancelled);
	assert_true(entry_id_cmp(known("a")->id, known("b")->id) < 0);
	cancel(f, "a");
	publish(f, "mailbox_reply", "r", ",\"retracts\":\"b\"");
	wait_until(f, known("a")->is_cancelled && known("b")->is_cancelled);
	assert_int_equal(n_known(), 3);
	assert_false(known("before")->is_cancelled);
}

static void each_start_of_the_tail_tells_it_anew(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 1200; i++) /* more than one reply */
		publish(f, "award",
			(char[]){'u', (char)('a' + i / 100), (char)('0' + i / 10 % 10),
				 (char)('0' + i % 10), '\0'},
			FAR);
	start(f);
	wait_until(f, n_known() == 1200);
	schedule_clear(schedule);
	start(f);
	wait_until(f, n_known() == 1200);
}

static void what_was_due_and_released_is_the_channels_business(void **state)
{
	struct planned p = {.due_ms = 1000, .uid = "a", .uid_len = 1};

	(void)state;
	schedule_note(schedule, &p);
	p.due_ms = 1001;
	p.uid[0] = 'b';
	schedule_note(schedule, &p);
	assert_int_equal(n_known(), 2);
	schedule_released(schedule, 1000);
	assert_int_equal(n_known(), 1);
	assert_non_null(known("b"));
	schedule_released(schedule, 500); /* a clock that went back */
	assert_int_equal(n_known(), 1);
}

static void of_too_many_the_released_and_then_the_oldest_are_forgotten_and_counted(void **state)
{
	struct planned p = {.uid_len = 5};

	(void)state;
	for (int i = 0; i < SCHEDULE_MAX; i++) {
		snprintf(p.uid, sizeof p.uid, "%05d", i);
		p.due_ms = i < 100 ? 10 : 20;
		schedule_note(schedule, &p);
	}
	schedule_released(schedule, 10);
	assert_int_equal(n_known(), SCHEDULE_MAX - 100);
	memcpy(p.uid, "newer", 5);
	schedule_note(schedule, &p);
	assert_int_equal(schedule_forgotten(schedule), 0);
	assert_int_equal(n_known(), SCHEDULE_MAX - 99);
	for (int i = 0; i < 100; i++)
		schedule_note(schedule, &p);
	assert_true(schedule_forgotten(schedule) > 0);
	assert_int_equal(n_known() + schedule_forgotten(schedule), SCHEDULE_MAX + 1);
	assert_null(known("00100"));
	assert_non_null(known("09999"));
	schedule_clear(schedule);
	assert_int_equal(schedule_forgotten(schedule), 0);
}

static void what_redis_forgot_of_the_schedule_is_noted_and_alarmed(void **state)
{
	struct fixture *f = *state;
	char id[ENTRY_ID_TEXT];

	publish(f, "award", "kept", FAR);
	publish(f, "award", "first", FAR);
	publish(f, "mailbox_reply", "second", FAR);
	publish(f, "award", "third", FAR);
	start(f);
	wait_until(f, n_known() == 4);
	forget(f, "first");
	forget(f, "third");
	roll_back(f);
	assert_int_equal(result.err, 0);
	assert_int_equal(result.n_unscheduled, 2);
	assert_int_equal(result.n_lost_ranges, 0);
	assert_int_equal(result.epoch, 2);
	assert_string_equal(lost(f, "channel"), "scheduled");
	assert_string_equal(lost(f, "uid"), "first third");
	entry_id_format(id, known("first")->id);
	assert_string_equal(lost(f, "from"), id);
	entry_id_format(id, known("third")->id);
	assert_string_equal(lost(f, "to"), id);
	assert_non_null(strstr(lost(f, "reason"), "2 scheduled events"));
	assert_null(strstr(lost(f, "reason"), "at least"));
}

static void a_redis_that_forgot_nothing_is_not_alarmed(void **state)
{
	struct fixture *f = *state;

	publish(f, "award", "kept", FAR);
	publish(f, "award", "cancelled", FAR);
	cancel(f, "cancelled");
	start(f);
	wait_until(f, n_known() == 2);
	roll_back(f);
	assert_int_equal(result.err, 0);
	assert_int_equal(result.n_unscheduled + result.n_recancelled, 0);
	assert_false(result.changed);
	assert_int_equal(ask(f, "XLEN", "lost"), 0);
}

/* Retention takes an event's record away with it. */
static void what_was_released_long_ago_and_trimmed_is_not_lost(void **state)
{
	struct fixture *f = *state;

	publish(f, "award", "old", FAR);
	publish(f, "award", "waits", ",\"not_before\":253402300799001");
	start(f);
	wait_until(f, n_known() == 2);
	forget(f, "old");
	schedule_released(schedule, 253402300799000);
	roll_back(f);
	assert_int_equal(result.n_unscheduled, 0);
	assert_int_equal(ask(f, "XLEN", "lost"), 0);
}

/* Its publisher came first, or it was cancelled: nobody waits for it. */
static void what_is_there_again_or_had_been_cancelled_is_not_lost(void **state)
{
	struct fixture *f = *state;

	publish(f, "award", "again", FAR);
	publish(f, "award", "cancelled", FAR);
	cancel(f, "cancelled");
	start(f);
	wait_until(f, n_known() == 2);
	forget(f, "again");
	forget(f, "cancelled");
	publish(f, "award", "again", FAR);
	roll_back(f);
	assert_int_equal(result.n_unscheduled + result.n_recancelled, 0);
	assert_int_equal(ask(f, "XLEN", "lost"), 0);
}

static void what_had_been_cancelled_and_stands_there_again_is_cancelled_again(void **state)
{
	struct fixture *f = *state;

	publish(f, "award", "a", FAR);
	start(f);
	wait_until(f, n_known() == 1);
	cancel(f, "a");
	wait_until(f, known("a")->is_cancelled);
	forget(f, "a"); /* as Redis was before the cancelling */
	publish(f, "award", "a", FAR);
	assert_int_equal(ask(f, "ZCARD", "scheduled"), 1);
	roll_back(f);
	assert_int_equal(result.n_recancelled, 1);
	assert_int_equal(result.n_unscheduled, 0);
	assert_int_equal(result.epoch, 2);
	assert_int_equal(ask(f, "ZCARD", "scheduled"), 0);
}

static void of_many_that_were_lost_all_are_counted_and_a_hundred_named(void **state)
{
	struct fixture *f = *state;
	struct planned p = {.due_ms = 253402300799000, .uid_len = 5};
	const char *uids;
	size_t n = 1;

	for (int i = 0; i < SCHEDULE_MAX + 1; i++) {
		snprintf(p.uid, sizeof p.uid, "%05d", i);
		schedule_note(schedule, &p);
	}
	roll_back(f);
	assert_int_equal(result.err, 0);
	assert_int_equal(result.n_unscheduled, n_known());
	assert_non_null(strstr(lost(f, "reason"), "at least"));
	uids = lost(f, "uid");
	for (const char *at = uids; (at = strchr(at, ' ')) != NULL; at++)
		n++;
	assert_int_equal(n, 100);
}

static void a_redis_that_cannot_be_asked_about_the_schedule_breaks_the_run_off(void **state)
{
	struct fixture *f = *state;

	publish(f, "award", "a", FAR);
	start(f);
	wait_until(f, n_known() == 1);
	command(f, "FUNCTION FLUSH");
	roll_back(f);
	assert_int_equal(result.err, -EIO);
	assert_int_equal(ask(f, "XLEN", "lost"), 0);
}

static void what_stands_there_by_another_hand_is_passed_over(void **state)
{
	struct fixture *f = *state;

	command(f, "XADD " BASE "scheduling * nothing here");
	command(f, "XADD " BASE "scheduling * uid x act done due 1");
	command(f, "XADD " BASE "scheduling * uid x act scheduled");
	reply_free(
		redisCommand(f->c, "XADD " BASE "scheduling * uid %s act scheduled due 9",
			     "12345678901234567890123456789012345678901234567890123456789012345"));
	start(f);
	/* As long as a uid may be. */
	publish(f, "award", "1234567890123456789012345678901234567890123456789012345678901234",
		FAR);
	publish(f, "award", "now", "");
	wait_until(f, f->n_seen == 1 && n_known() == 1);
	assert_non_null(known("1234567890123456789012345678901234567890123456789012345678901234"));
}

int main(void)
{
#define RUN(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		RUN(the_tail_tells_what_was_scheduled_and_what_was_cancelled),
		RUN(each_start_of_the_tail_tells_it_anew),
		RUN(what_was_due_and_released_is_the_channels_business),
		RUN(of_too_many_the_released_and_then_the_oldest_are_forgotten_and_counted),
		RUN(what_redis_forgot_of_the_schedule_is_noted_and_alarmed),
		RUN(a_redis_that_forgot_nothing_is_not_alarmed),
		RUN(what_was_released_long_ago_and_trimmed_is_not_lost),
		RUN(what_is_there_again_or_had_been_cancelled_is_not_lost),
		RUN(what_had_been_cancelled_and_stands_there_again_is_cancelled_again),
		RUN(of_many_that_were_lost_all_are_counted_and_a_hundred_named),
		RUN(a_redis_that_cannot_be_asked_about_the_schedule_breaks_the_run_off),
		RUN(what_stands_there_by_another_hand_is_passed_over),
	};

	(void)signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
