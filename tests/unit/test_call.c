/* SPDX-License-Identifier: Apache-2.0 */
/* What is put together, and that a real Redis with the queue's functions takes it. */
#include "../../lib/host/call.h"
#include "../../lib/host/log.h"
#include "../../lib/queue.h"
#include "redis_server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "loop.h"

enum { DEADLINE_MS = 80000 };

#define BASE "dibao:{3205}:"

static struct redis_server server;
static struct call call; /* too large for the stack */

struct fixture {
	sd_event *event;
	struct redis_link *link;
};

static int start_redis(void **state)
{
	struct dibao_error err;
	redisContext *c;

	(void)state;
	log_open("test");
	assert_int_equal(log_set_level("err"), 0);
	redis_server_init(&server);
	redis_server_start(&server, NULL);
	c = redisConnectUnix(server.socket);
	assert_true(c && !c->err);
	if (queue_setup(c, "3205", &err) < 0) {
		fail_msg("setup: %s", err.reason);
	}
	redisFree(c);
	return 0;
}

static int end_redis(void **state)
{
	(void)state;
	redis_server_done(&server);
	return 0;
}

static int set_up(void **state)
{
	static struct fixture f;
	struct redis_link_options opt = {
		.name = "main", .connect_timeout_ms = 20000, .command_timeout_ms = 60000};

	f = (struct fixture){0};
	assert_true(sd_event_new(&f.event) >= 0);
	opt.event = f.event;
	opt.address = server.address;
	assert_int_equal(redis_link_new(&f.link, &opt), 0);
	wait_until(&f, redis_link_is_up(f.link));
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	redis_link_free(f->link);
	sd_event_unref(f->event);
	return 0;
}

/* What one call was answered. */
struct answer {
	bool is_there;
	int type;
	char text[64];
	size_t len, n;
};

static void on_answer(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct answer *a = userdata;

	(void)l;
	assert_false(a->is_there);
	a->is_there = true;
	a->type = reply->type;
	a->n = reply->elements;
	a->len = reply->len;
	if (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_ERROR) {
		(void)snprintf(a->text, sizeof a->text, "%s", reply->str);
	}
}

static void never(struct redis_link *l, const redisReply *reply, void *userdata)
{
	(void)l, (void)reply, (void)userdata;
	fail_msg("a call that was not sent was answered");
}

static void assert_argument(int i, const char *expected)
{
	assert_in_range(i, 0, call.argc - 1);
	assert_int_equal(call.lens[i], strlen(expected));
	assert_memory_equal(call.argv[i], expected, strlen(expected));
}

static void a_call_begins_with_the_function_and_its_one_key(void **state)
{
	(void)state;
	call_begin(&call, "dibao_renew", BASE);
	assert_int_equal(call.argc, 4);
	assert_argument(0, "FCALL");
	assert_argument(1, "dibao_renew");
	assert_argument(2, "1");
	assert_argument(3, BASE);
}

static void arguments_stand_as_text_each_in_its_place(void **state)
{
	(void)state;
	call_command(&call, "X");
	call_int(&call, INT64_MIN);
	call_int(&call, INT64_MAX);
	call_id(&call, (struct entry_id){UINT64_MAX, 7});
	call_key(&call, BASE, "public-now");
	call_text(&call, "");
	assert_int_equal(call.argc, 6);
	assert_argument(1, "-9223372036854775808");
	assert_argument(2, "9223372036854775807");
	assert_argument(3, "18446744073709551615-7");
	assert_argument(4, BASE "public-now");
	assert_argument(5, "");
}

static void a_function_of_the_queue_answers_it(void **state)
{
	struct fixture *f = *state;
	struct answer a = {0};

	call_begin(&call, "dibao_version", BASE);
	assert_int_equal(call_send(&call, f->link, on_answer, &a), 0);
	wait_until(f, a.is_there);
	assert_int_equal(a.type, REDIS_REPLY_STRING);
	assert_true(a.len > 2);
}

static void bytes_go_as_they_are_with_zeros_in_them(void **state)
{
	static const char bytes[] = {'a', 0, '\r', '\n', (char)0xff, 0};
	struct fixture *f = *state;
	struct answer a = {0};

	call_command(&call, "ECHO");
	call_bytes(&call, bytes, sizeof bytes);
	assert_int_equal(call_send(&call, f->link, on_answer, &a), 0);
	wait_until(f, a.is_there);
	assert_int_equal(a.len, sizeof bytes);
}

/* One struct serves for all of them: it is free again as soon as it was sent. */
static void each_of_many_calls_gets_its_own_answer(void **state)
{
	enum { CALLS = 500 };
	struct fixture *f = *state;
	static struct answer a[CALLS];

	memset(a, 0, sizeof a);
	for (int i = 0; i < CALLS; i++) {
		call_command(&call, "ECHO");
		call_int(&call, i);
		assert_int_equal(call_send(&call, f->link, on_answer, &a[i]), 0);
	}
	wait_until(f, a[CALLS - 1].is_there);
	for (int i = 0; i < CALLS; i++) {
		assert_true(a[i].is_there);
		assert_int_equal(atoi(a[i].text), i);
	}
}

static void as_many_arguments_as_there_is_room_for_are_sent_and_not_one_more(void **state)
{
	struct fixture *f = *state;
	struct answer a = {0};

	call_command(&call, "DEL");
	while (call.argc < CALL_ARGS_MAX) {
		call_text(&call, BASE "none");
	}
	assert_int_equal(call_send(&call, f->link, on_answer, &a), 0);
	wait_until(f, a.is_there);
	assert_int_equal(a.type, REDIS_REPLY_INTEGER);
	call_text(&call, BASE "none");
	assert_int_equal(call.argc, CALL_ARGS_MAX);
	assert_int_equal(call_send(&call, f->link, never, NULL), -E2BIG);
}

/* Half a call would be another call. */
static void text_that_does_not_fit_makes_the_whole_call_fail(void **state)
{
	enum { ONE = 101, FIT = CALL_TEXT_BYTES / ONE }; /* each with its NUL */
	struct fixture *f = *state;
	char suffix[ONE];

	memset(suffix, 'x', sizeof suffix);
	suffix[ONE - 1] = '\0';
	call_command(&call, "DEL");
	for (int i = 0; i < FIT; i++) {
		call_key(&call, "", suffix);
	}
	assert_int_equal(call.argc, 1 + FIT);
	assert_false(call.overflow);
	for (int i = 1; i <= FIT; i++) {
		assert_argument(i, suffix);
	}
	call_key(&call, "", suffix);
	assert_int_equal(call.argc, 1 + FIT);
	call_text(&call, "last"); /* what fits after it does not heal it */
	assert_int_equal(call_send(&call, f->link, never, NULL), -E2BIG);
}

static void the_last_byte_of_text_is_used_and_no_more(void **state)
{
	static char suffix[CALL_TEXT_BYTES + 1];

	(void)state;
	memset(suffix, 'x', CALL_TEXT_BYTES - 1);
	call_command(&call, "DEL");
	call_key(&call, "", suffix);
	assert_false(call.overflow);
	assert_argument(1, suffix);
	suffix[CALL_TEXT_BYTES - 1] = 'x';
	call_command(&call, "DEL");
	call_key(&call, "", suffix);
	assert_true(call.overflow);
	assert_int_equal(call.argc, 1);
}

static void a_call_begun_anew_knows_nothing_of_the_one_before(void **state)
{
	struct fixture *f = *state;
	struct answer a = {0};

	call_command(&call, "DEL");
	for (int i = 0; i < CALL_ARGS_MAX + 5; i++) {
		call_int(&call, i);
	}
	assert_int_equal(call_send(&call, f->link, never, NULL), -E2BIG);
	call_command(&call, "ECHO");
	call_int(&call, 5);
	assert_int_equal(call.argc, 2);
	assert_int_equal(call_send(&call, f->link, on_answer, &a), 0);
	wait_until(f, a.is_there);
	assert_string_equal(a.text, "5");
}

static void nothing_is_sent_on_a_link_that_is_down(void **state)
{
	struct fixture *f = *state;
	struct redis_link *l = NULL;
	struct redis_link_options opt = {.event = f->event,
					 .name = "down",
					 .address = "unix:/nonexistent/socket",
					 .connect_timeout_ms = 20000,
					 .command_timeout_ms = 60000};

	assert_int_equal(redis_link_new(&l, &opt), 0);
	call_begin(&call, "dibao_version", BASE);
	assert_int_equal(call_send(&call, l, never, NULL), -ENOTCONN);
	redis_link_free(l);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_call_begins_with_the_function_and_its_one_key),
		TEST(arguments_stand_as_text_each_in_its_place),
		TEST(a_function_of_the_queue_answers_it),
		TEST(bytes_go_as_they_are_with_zeros_in_them),
		TEST(each_of_many_calls_gets_its_own_answer),
		TEST(as_many_arguments_as_there_is_room_for_are_sent_and_not_one_more),
		TEST(text_that_does_not_fit_makes_the_whole_call_fail),
		TEST(the_last_byte_of_text_is_used_and_no_more),
		TEST(a_call_begun_anew_knows_nothing_of_the_one_before),
		TEST(nothing_is_sent_on_a_link_that_is_down),
	};

	return cmocka_run_group_tests(tests, start_redis, end_redis);
}
