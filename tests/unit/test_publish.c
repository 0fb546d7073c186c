/* SPDX-License-Identifier: Apache-2.0 */
#include "queue_fixture.h"

#include <signal.h>

enum { MANY = 5000 };

struct result {
	unsigned n_done;
	int outcome[MANY];
	unsigned order[MANY]; /* whose answer came as the k-th */
};

struct ask {
	struct result *r;
	unsigned number;
};

static struct result result;
static struct ask asks[MANY];

static void on_done(void *userdata, int outcome, const struct dibao_error *err)
{
	const struct ask *a = userdata;

	assert_true(outcome > 0 || (err && err->code == outcome && err->reason[0]));
	assert_in_range(a->r->n_done, 0, MANY - 1);
	a->r->outcome[a->number] = outcome;
	a->r->order[a->r->n_done++] = a->number;
}

static struct ask *ask(unsigned i)
{
	asks[i] = (struct ask){&result, i};
	return &asks[i];
}

static int reset(void **state)
{
	memset(&result, 0, sizeof result);
	return empty_redis(state);
}

static struct dibao_publisher *open_publisher(const struct redis_server *s)
{
	struct dibao_redis_options opt = {.address = s->address, .bureau = BUREAU};
	struct dibao_publisher *p = NULL;
	struct dibao_error err;

	if (dibao_publisher_new(&p, &opt, &err) < 0)
		fail_msg("%s", err.reason);
	return p;
}

static int publish_one(struct dibao_publisher *p, struct sample s, struct dibao_error *err)
{
	struct bytes b = event_of(s);

	return dibao_publish(p, b.p, b.len, err);
}

static int publish_later(struct dibao_publisher *p, unsigned i)
{
	char uid[16];
	struct bytes b;

	snprintf(uid, sizeof uid, "u%u", i);
	b = event_of((struct sample){.uid = uid});
	return dibao_publish_async(p, b.p, b.len, on_done, ask(i));
}

static void each_outcome_is_told(void **state)
{
	struct dibao_publisher *p = open_publisher(&server);

	(void)state;
	assert_int_equal(publish_one(p, (struct sample){.uid = "a"}, NULL), DIBAO_NEW);
	assert_int_equal(publish_one(p, (struct sample){.uid = "a"}, NULL), DIBAO_REPEAT);
	assert_int_equal(publish_one(p, (struct sample){.uid = "a", .org = WUZHONG}, NULL),
			 DIBAO_CONFLICT);
	assert_int_equal(
		publish_one(p, (struct sample){.uid = "b", .not_before = redis_ms() + 3600000},
			    NULL),
		DIBAO_SCHEDULED);
	assert_string_equal(dibao_outcome_name(DIBAO_SCHEDULED), "scheduled");
	assert_string_equal(dibao_outcome_name(0), "?");
	assert_int_equal(entries_in_channels(), 1);
	dibao_publisher_free(p);
}

static void each_refusal_has_its_code_and_no_personal_data(void **state)
{
	struct dibao_publisher *p = open_publisher(&server);
	struct dibao_error err;

	(void)state;
	publish_one(p, (struct sample){.uid = "a"}, NULL);
	assert_int_equal(publish_one(p, (struct sample){.uid = "r", .retracts = "x"}, &err),
			 -ENOENT);
	assert_null(strstr(err.reason, "A1"));
	assert_int_equal(
		publish_one(p, (struct sample){.uid = "r", .retracts = "a", .badge = "B2"}, &err),
		-EPERM);
	assert_null(strstr(err.reason, "B2"));
	assert_int_equal(publish_one(p, (struct sample){.uid = "r", .retracts = "r"}, &err),
			 -EINVAL);
	assert_int_equal(dibao_publish(p, "\xc1", 1, &err), -EBADMSG);
	assert_int_equal(publish_one(p, (struct sample){.uid = "a"}, &err), DIBAO_REPEAT);
	dibao_publisher_free(p);
}

static void a_field_that_is_wrong_is_named_and_nothing_is_sent(void **state)
{
	struct dibao_publisher *p = open_publisher(&server);
	struct bytes b = event_of((struct sample){.uid = "a"});
	uint8_t bad[DIBAO_EVENT_MAX_BYTES];
	struct dibao_error err = {0};

	(void)state;
	memcpy(bad, b.p, b.len);
	*(uint8_t *)memmem(bad, b.len, GUSU, 12) = 'x';
	assert_int_equal(dibao_publish(p, bad, b.len, &err), -EINVAL);
	assert_string_equal(err.field, "org");
	assert_int_equal(entries_in_channels(), 0);
	assert_int_equal(dibao_publish(p, b.p, b.len, &err), DIBAO_NEW);
	dibao_publisher_free(p);
}

static void many_in_flight_are_answered_in_order_each_once(void **state)
{
	struct dibao_publisher *p = open_publisher(&server);

	(void)state;
	assert_int_equal(dibao_publisher_window(p, 100), 0);
	for (unsigned i = 0; i < MANY; i++) {
		if (i % 1000 == 500) /* wrong: answered in its turn all the same */
			assert_int_equal(dibao_publish_async(p, "x", 1, on_done, ask(i)), 0);
		else
			assert_int_equal(publish_later(p, i), 0);
		assert_true(i + 1 - result.n_done <= 100);
	}
	assert_int_equal(dibao_publisher_flush(p), 0);
	assert_int_equal(result.n_done, MANY);
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(result.order[i], i);
		assert_int_equal(result.outcome[i], i % 1000 == 500 ? -EBADMSG : DIBAO_NEW);
	}
	assert_int_equal(length_of("public"), MANY - 5);
	assert_int_equal(dibao_publisher_flush(p), 0);
	dibao_publisher_free(p);
}

static void the_window_has_its_bounds(void **state)
{
	struct dibao_publisher *p = open_publisher(&server);

	(void)state;
	assert_int_equal(dibao_publisher_window(p, 0), -EINVAL);
	assert_int_equal(dibao_publisher_window(p, 4097), -EINVAL);
	assert_int_equal(dibao_publisher_window(p, 1), 0);
	publish_later(p, 0);
	publish_later(p, 1);
	assert_int_equal(result.n_done, 1);
	assert_int_equal(dibao_publisher_window(p, 4096), 0);
	for (unsigned i = 2; i < MANY; i++)
		assert_int_equal(publish_later(p, i), 0);
	assert_int_equal(dibao_publisher_flush(p), 0);
	assert_int_equal(length_of("public"), MANY);
	dibao_publisher_free(p);
}

static void what_is_published_goes_out_at_once(void **state)
{
	struct dibao_publisher *p = open_publisher(&server);

	(void)state;
	publish_later(p, 0);
	publish_later(p, 1);
	wait_until(length_of("public") == 2);
	assert_int_equal(result.n_done, 0);
	dibao_publisher_free(p);
}

static void a_synchronous_call_takes_the_answers_before_it(void **state)
{
	struct dibao_publisher *p = open_publisher(&server);

	(void)state;
	publish_later(p, 0);
	publish_later(p, 1);
	assert_int_equal(publish_one(p, (struct sample){.uid = "z"}, NULL), DIBAO_NEW);
	assert_int_equal(result.n_done, 2);
	dibao_publisher_free(p);
}

static void freeing_answers_what_is_in_flight(void **state)
{
	struct dibao_publisher *p = open_publisher(&server);

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		publish_later(p, i);
	dibao_publisher_free(p);
	assert_int_equal(result.n_done, 10);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(result.outcome[i], -ENOTCONN);
	dibao_publisher_free(NULL);
}

static void a_lost_connection_answers_all_once_and_raises_no_signal(void **state)
{
	struct redis_server own;
	redisContext *c;
	struct dibao_publisher *p;
	struct dibao_error err;
	int r;

	(void)state;
	signal(SIGPIPE, SIG_DFL); /* would end this program */
	redis_server_init(&own);
	redis_server_start(&own, NULL);
	c = connect_to(&own);
	assert_int_equal(queue_setup(c, BUREAU, &err), 0);
	p = open_publisher(&own);
	kill(own.pid, SIGSTOP);
	for (unsigned i = 0; i < 20; i++)
		publish_later(p, i);
	assert_int_equal(result.n_done, 0);
	redis_server_stop(&own);
	for (unsigned i = 20; i < 40; i++) {
		r = publish_later(p, i);
		assert_true(r == -ENOTCONN);
		assert_int_equal(result.n_done, 20); /* told at once, not at the next flush */
	}
	assert_int_equal(dibao_publisher_flush(p), -ENOTCONN);
	assert_int_equal(publish_one(p, (struct sample){.uid = "z"}, &err), -ENOTCONN);
	assert_string_not_equal(err.reason, "");
	assert_int_equal(result.n_done, 20);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(result.outcome[i], -ENOTCONN);
	dibao_publisher_free(p);
	redisFree(c);
	redis_server_done(&own);
}

static void a_redis_that_does_not_answer_is_given_up(void **state)
{
	struct redis_server own;
	struct dibao_redis_options opt = {
		.address = own.address, .bureau = BUREAU, .timeout_ms = 200};
	redisContext *c;
	struct dibao_publisher *p = NULL;
	struct dibao_error err;

	(void)state;
	redis_server_init(&own);
	redis_server_start(&own, NULL);
	c = connect_to(&own);
	assert_int_equal(queue_setup(c, BUREAU, &err), 0);
	assert_int_equal(dibao_publisher_new(&p, &opt, &err), 0);
	kill(own.pid, SIGSTOP);
	assert_int_equal(publish_one(p, (struct sample){.uid = "z"}, &err), -ENOTCONN);
	dibao_publisher_free(p);
	redisFree(c);
	redis_server_done(&own);
}

static void missing_functions_or_rights_are_told_at_once(void **state)
{
	struct dibao_redis_options opt = {.address = server.address, .bureau = BUREAU};
	struct dibao_publisher *p = NULL;
	struct dibao_error err;

	(void)state;
	command("FUNCTION", "FLUSH");
	assert_int_equal(dibao_publisher_new(&p, &opt, &err), -ENOSYS);
	assert_null(p);
	assert_int_equal(queue_setup(redis, BUREAU, &err), 0);
	p = open_publisher(&server);
	command("FUNCTION", "FLUSH");
	assert_int_equal(publish_one(p, (struct sample){.uid = "a"}, &err), -ENOSYS);
	dibao_publisher_free(p);
	assert_int_equal(queue_setup(redis, BUREAU, &err), 0);
	command("ACL", "SETUSER", "hr", "reset", "on", ">secret", "+ping");
	opt.user = "hr";
	opt.password = "secret";
	assert_int_equal(dibao_publisher_new(&p, &opt, &err), -EACCES);
	command("ACL", "DELUSER", "hr");
	opt.bureau = "{x}";
	assert_int_equal(dibao_publisher_new(&p, &opt, &err), -EINVAL);
}

/* ---- acknowledged = on disk ---- */

#define ANSWER "$3\\r\\nnew\\r\\n" /* by write() or writev() */

static const char *const always[] = {"--appendfsync", "always", NULL};

static const char *read_file(const char *path)
{
	static char text[1024 * 1024];
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	text[fread(text, 1, sizeof text - 1, f)] = '\0';
	fclose(f);
	return text;
}

static void an_acknowledged_event_was_synced_to_disk_before_the_answer(void **state)
{
	struct redis_server own;
	redisContext *c;
	struct dibao_publisher *p;
	struct dibao_error err;
	const char *text, *written, *synced, *answered;
	int fd;

	(void)state;
	redis_server_init(&own);
	snprintf(own.trace, sizeof own.trace, "%s/trace", own.dir);
	redis_server_start(&own, always);
	c = connect_to(&own);
	assert_int_equal(queue_setup(c, BUREAU, &err), 0);
	p = open_publisher(&own);
	assert_int_equal(publish_one(p, (struct sample){.uid = "seen-on-disk"}, &err), DIBAO_NEW);
	/* strace notes a call after it returned: we may be sooner. */
	wait_until(strstr(text = read_file(own.trace), ANSWER));
	dibao_publisher_free(p);
	redisFree(c);

	written = strstr(text, "uid:seen-on-disk"); /* in the append-only file: write(FD, "... */
	assert_non_null(written);
	while (written > text && written[-1] != '\n')
		written--;
	assert_int_equal(sscanf(written, "%*d write(%d,", &fd), 1);
	synced = strstr(written, "sync(");
	assert_non_null(synced);
	assert_int_equal(atoi(synced + 5), fd);
	assert_null(memmem(synced, strcspn(synced, "\n"), "= -1", 4));
	answered = strstr(written, ANSWER);
	assert_non_null(answered);
	assert_true(synced < answered);
	redis_server_done(&own);
}

static void what_was_acknowledged_is_there_after_redis_was_killed(void **state)
{
	struct redis_server own;
	redisContext *c;
	struct dibao_publisher *p;
	struct dibao_error err;
	unsigned n_new = 0, n_repeat = 0;

	(void)state;
	redis_server_init(&own);
	redis_server_start(&own, always);
	c = connect_to(&own);
	assert_int_equal(queue_setup(c, BUREAU, &err), 0);
	redisFree(c);
	p = open_publisher(&own);
	for (unsigned i = 0; i < 3000; i++)
		if (publish_later(p, i) < 0)
			break;
		else if (i == 2900)
			kill(own.pid, SIGKILL);
	dibao_publisher_free(p);
	for (unsigned i = 0; i < result.n_done; i++)
		n_new += result.outcome[i] == DIBAO_NEW;
	assert_in_range(n_new, 2000, 2999);
	redis_server_stop(&own);

	redis_server_start(&own, always);
	c = connect_to(&own);
	wait_until(command_on(c, "PING", NULL)->type ==
		   REDIS_REPLY_STATUS); /* it has read its file */
	p = open_publisher(&own);
	for (unsigned i = 0; i < result.n_done; i++)
		if (result.outcome[i] == DIBAO_NEW) {
			char uid[16];

			snprintf(uid, sizeof uid, "u%u", i);
			n_repeat +=
				publish_one(p, (struct sample){.uid = uid}, NULL) == DIBAO_REPEAT;
		}
	assert_int_equal(n_repeat, n_new);
	dibao_publisher_free(p);
	redisFree(c);
	redis_server_done(&own);
}

#define T(f) cmocka_unit_test_setup(f, reset)

int main(void)
{
	const struct CMUnitTest publish_tests[] = {
		T(each_outcome_is_told),
		T(each_refusal_has_its_code_and_no_personal_data),
		T(a_field_that_is_wrong_is_named_and_nothing_is_sent),
		T(many_in_flight_are_answered_in_order_each_once),
		T(the_window_has_its_bounds),
		T(what_is_published_goes_out_at_once),
		T(a_synchronous_call_takes_the_answers_before_it),
		T(freeing_answers_what_is_in_flight),
		T(a_lost_connection_answers_all_once_and_raises_no_signal),
		T(a_redis_that_does_not_answer_is_given_up),
		T(missing_functions_or_rights_are_told_at_once),
		T(an_acknowledged_event_was_synced_to_disk_before_the_answer),
		T(what_was_acknowledged_is_there_after_redis_was_killed),
	};

	return cmocka_run_group_tests(publish_tests, start_redis, stop_redis);
}
