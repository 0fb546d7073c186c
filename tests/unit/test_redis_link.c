/* SPDX-License-Identifier: Apache-2.0 */
/* Against a real redis-server; the one peer that isn't is a socket that accepts and stays silent.
 */
#include "../../lib/host/redis_arena.h"
#include "../../lib/host/redis_link.h"
#include "../../lib/host/log.h"
#include "redis_server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "loop.h"
#include <stdbool.h>

enum { DEADLINE_MS = 40000 };

struct fixture {
	sd_event *event;
	struct redis_server server;
	struct redis_link *link;
	int n_up, n_down, n_replies, n_nulls;
	bool down_after_nulls; /* at on_down all open commands had been answered */
	int n_expected_nulls;
	char text[256], texts[64]; /* the last one, and all one after the other */
	size_t n_elements, len, first_len;
	int type;
	bool free_in_reply, send_in_down;
	int sent_in_down;
};

static void on_up(struct redis_link *l, void *userdata)
{
	struct fixture *f = userdata;

	(void)l;
	f->n_up++;
}

static void on_reply(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct fixture *f = userdata;

	(void)l;
	if (!reply) {
		f->n_nulls++;
		return;
	}
	f->n_replies++;
	f->type = reply->type;
	f->n_elements = reply->elements;
	f->len = reply->len;
	if (reply->str) {
		size_t at = strlen(f->texts);

		(void)snprintf(f->text, sizeof f->text, "%s", reply->str);
		(void)snprintf(f->texts + at, sizeof f->texts - at, "%s", reply->str);
	}
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0) {
		f->first_len = reply->element[0]->len;
	}
	if (f->free_in_reply) {
		f->link = redis_link_free(f->link);
	}
}

static void on_down(struct redis_link *l, const char *why, void *userdata)
{
	struct fixture *f = userdata;
	const char *ping[] = {"PING"};

	(void)why;
	f->n_down++;
	f->down_after_nulls = f->n_nulls == f->n_expected_nulls;
	if (f->send_in_down) {
		f->sent_in_down = redis_link_command(l, on_reply, f, 1, ping, NULL, 0);
	}
}

static struct redis_link_options options(struct fixture *f)
{
	return (struct redis_link_options){
		.event = f->event,
		.name = "test",
		.address = f->server.address,
		.connect_timeout_ms = 300,
		.command_timeout_ms = 300,
		.userdata = f,
		.on_up = on_up,
		.on_down = on_down,
	};
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	log_open("test");
	assert_int_equal(log_set_level("err"), 0);
	assert_true(sd_event_new(&f->event) >= 0);
	redis_server_init(&f->server);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	redis_link_free(f->link);
	redis_server_done(&f->server);
	sd_event_unref(f->event);
	free(f);
	return 0;
}

static void open_link(struct fixture *f, const struct redis_link_options *opt)
{
	assert_int_equal(redis_link_new(&f->link, opt), 0);
	wait_until(f, f->n_up == 1);
}

static int command(struct fixture *f, int argc, ...)
{
	const char *argv[16];
	va_list ap;

	va_start(ap, argc);
	for (int i = 0; i < argc; i++) {
		argv[i] = va_arg(ap, const char *);
	}
	va_end(ap);
	return redis_link_command(f->link, on_reply, f, argc, argv, NULL, 0);
}

static void a_link_comes_up_knowing_run_id_and_role(void **state)
{
	struct fixture *f = *state;
	struct redis_link_options opt = options(f);

	redis_server_start(&f->server, NULL);
	open_link(f, &opt);
	assert_true(redis_link_is_up(f->link));
	assert_string_equal(redis_link_role(f->link), "master");
	assert_int_equal(strlen(redis_link_run_id(f->link)), 40);
}

static void commands_may_hold_any_bytes_and_are_answered_in_order(void **state)
{
	struct fixture *f = *state;
	struct redis_link_options opt = options(f);
	const char *argv[] = {"ECHO", "a\0b\r\n"};
	const size_t lens[] = {4, 5};

	redis_server_start(&f->server, NULL);
	open_link(f, &opt);
	assert_int_equal(command(f, 2, "ECHO", "first"), 0);
	assert_int_equal(redis_link_command(f->link, on_reply, f, 2, argv, lens, 0), 0);
	wait_until(f, f->n_replies == 2);
	assert_int_equal(f->len, 5);
	assert_memory_equal(f->texts, "firsta", 7);
}

static void nothing_is_queued_while_down(void **state)
{
	struct fixture *f = *state;
	struct redis_link_options opt = options(f);

	assert_int_equal(redis_link_new(&f->link, &opt), 0); /* no server */
	assert_int_equal(command(f, 1, "PING"), -ENOTCONN);
	redis_server_start(&f->server, NULL);
	wait_until(f, f->n_up == 1);
	assert_int_equal(command(f, 1, "PING"), 0);
	wait_until(f, f->n_replies == 1);
	assert_int_equal(f->n_down, 0);
}

static void a_lost_connection_answers_what_is_open_before_on_down_and_comes_back(void **state)
{
	struct fixture *f = *state;
	struct redis_link_options opt = options(f);
	char run_id[48];

	redis_server_start(&f->server, NULL);
	open_link(f, &opt);
	(void)snprintf(run_id, sizeof run_id, "%s", redis_link_run_id(f->link));
	f->n_expected_nulls = 3;
	f->send_in_down = true;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(command(f, 3, "BLPOP", "nothing", "0"), 0);
	}
	redis_link_flush(f->link);
	redis_server_stop(&f->server);
	wait_until(f, f->n_down == 1);
	assert_true(f->down_after_nulls);
	assert_int_equal(f->sent_in_down, -ENOTCONN);
	redis_server_start(&f->server, NULL);
	wait_until(f, f->n_up == 2);
	assert_string_not_equal(redis_link_run_id(f->link), run_id);
	assert_int_equal(f->n_nulls, 3);
}

static void a_server_that_stops_answering_is_left_after_the_timeout(void **state)
{
	struct fixture *f = *state;
	struct redis_link_options opt = options(f);

	redis_server_start(&f->server, NULL);
	open_link(f, &opt);
	kill(f->server.pid, SIGSTOP);
	f->n_expected_nulls = 1;
	assert_int_equal(command(f, 1, "PING"), 0);
	wait_until(f, f->n_down == 1);
	assert_true(f->down_after_nulls);
	kill(f->server.pid, SIGCONT);
	wait_until(f, f->n_up == 2);
}

static void a_timeout_works_a_second_time(void **state)
{
	struct fixture *f = *state;
	struct redis_link_options opt = options(f);

	redis_server_start(&f->server, NULL);
	open_link(f, &opt);
	for (int i = 1; i <= 2; i++) {
		kill(f->server.pid, SIGSTOP);
		assert_int_equal(command(f, 1, "PING"), 0);
		wait_until(f, f->n_down == i);
		kill(f->server.pid, SIGCONT);
		wait_until(f, f->n_up == i + 1);
	}
	assert_int_equal(f->n_nulls, 2);
}

static void an_answer_that_waited_while_we_were_stopped_is_no_timeout(void **state)
{
	struct fixture *f = *state;
	struct redis_link_options opt = options(f);

	redis_server_start(&f->server, NULL);
	open_link(f, &opt);
	assert_int_equal(command(f, 1, "PING"), 0);
	redis_link_flush(f->link);
	(void)nanosleep(&(struct timespec){.tv_nsec = 600000000}, NULL); /* twice the timeout */
	wait_until(f, f->n_replies == 1);
	assert_int_equal(command(f, 1, "PING"), 0);
	wait_until(f, f->n_replies == 2);
	assert_int_equal(f->n_down, 0);
}

static void a_blocking_command_brings_its_own_timeout(void **state)
{
	struct fixture *f = *state;
	struct redis_link_options opt = options(f);
	const char *argv[] = {"BLPOP", "nothing", "0.6"};

	redis_server_start(&f->server, NULL);
	open_link(f, &opt);
	assert_int_equal(redis_link_command(f->link, on_reply, f, 3, argv, NULL, 5000), 0);
	wait_until(f, f->n_replies == 1);
	assert_int_equal(f->type, REDIS_REPLY_NIL);
	assert_int_equal(f->n_down, 0);
}

static void a_peer_that_accepts_and_stays_silent_is_tried_again(void **state)
{
	struct fixture *f = *state;
	struct redis_link_options opt = options(f);
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(sun.sun_path, sizeof sun.sun_path, "%s", f->server.socket);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof sun), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(redis_link_new(&f->link, &opt), 0);
	for (int i = 0; i < 2; i++) {
		int client = -1;

		/* The next attempt comes only after the last one was given up. */
		wait_until(f, (client = accept4(fd, NULL, NULL, SOCK_NONBLOCK)) >= 0);
		wait_until(f, recv(client, &(char[512]){0}, 512, 0) == 0);
		close(client);
	}
	close(fd);
	unlink(f->server.socket);
	redis_server_start(&f->server, NULL);
	wait_until(f, f->n_up == 1);
	assert_int_equal(f->n_down, 0);
}

static void a_wrong_password_never_comes_up_and_a_right_one_does(void **state)
{
	struct fixture *f = *state;
	struct redis_link_options opt = options(f);
	const char *const extra[] = {"--requirepass", "secret", NULL};
	int64_t end;

	redis_server_start(&f->server, extra);
	opt.password = "wrong";
	assert_int_equal(redis_link_new(&f->link, &opt), 0);
	for (end = now_ms() + 400; now_ms() < end;) {
		assert_true(sd_event_run(f->event, 20000) >= 0);
	}
	assert_int_equal(f->n_up, 0);
	redis_link_free(f->link);
	opt.password = "secret";
	open_link(f, &opt);
	redis_link_free(f->link);
	opt.user = "default";
	f->n_up = 0;
	open_link(f, &opt);
}

static void a_link_may_be_freed_in_a_reply_with_others_open(void **state)
{
	struct fixture *f = *state;
	struct redis_link_options opt = options(f);

	redis_server_start(&f->server, NULL);
	open_link(f, &opt);
	f->free_in_reply = true;
	for (int i = 0; i < 10; i++) {
		assert_int_equal(command(f, 1, "PING"), 0);
	}
	wait_until(f, f->n_replies == 1);
	assert_int_equal(f->n_nulls, 9);
	assert_null(f->link);
	assert_int_equal(f->n_down, 0);
}

static void freeing_answers_what_is_open(void **state)
{
	struct fixture *f = *state;
	struct redis_link_options opt = options(f);

	redis_server_start(&f->server, NULL);
	open_link(f, &opt);
	assert_int_equal(command(f, 1, "PING"), 0);
	f->link = redis_link_free(f->link);
	assert_int_equal(f->n_nulls, 1);
}

static void a_master_that_became_a_replica_is_looked_at_anew(void **state)
{
	struct fixture *f = *state;
	struct redis_link_options opt = options(f);

	redis_server_start(&f->server, NULL);
	open_link(f, &opt);
	assert_int_equal(command(f, 3, "REPLICAOF", "127.0.0.1", "1"), 0);
	assert_int_equal(command(f, 3, "SET", "a", "b"), 0);
	wait_until(f, f->n_down == 1);
	assert_int_equal(f->n_replies, 2); /* the refusal is handed on */
	wait_until(f, f->n_up == 2);
	assert_string_equal(redis_link_role(f->link), "slave");
}

static void an_arena_reply_reads_like_any_other(void **state)
{
	struct fixture *f = *state;
	struct redis_link_options opt = options(f);

	opt.arena = true;
	redis_server_start(&f->server, NULL);
	open_link(f, &opt);
	assert_int_equal(command(f, 4, "RPUSH", "l", "one", "three"), 0);
	wait_until(f, f->n_replies == 1);
	assert_int_equal(f->type, REDIS_REPLY_INTEGER);
	assert_int_equal(command(f, 4, "LRANGE", "l", "0", "-1"), 0);
	wait_until(f, f->n_replies == 2);
	assert_int_equal(f->n_elements, 2);
	assert_int_equal(f->first_len, 3);
	assert_int_equal(command(f, 2, "GET", "none"), 0);
	assert_int_equal(command(f, 1, "NOSUCH"), 0);
	wait_until(f, f->n_replies == 4);
	assert_int_equal(f->type, REDIS_REPLY_ERROR);
}

static void in_an_arena_a_long_string_is_cut_over_the_size_of_an_event(void **state)
{
	struct fixture *f = *state;
	struct redis_link_options opt = options(f);
	char *big = calloc(1, 3 * 1024 * 1024);

	memset(big, 'x', 3 * 1024 * 1024 - 1);
	opt.arena = true;
	redis_server_start(&f->server, NULL);
	open_link(f, &opt);
	assert_int_equal(command(f, 2, "ECHO", big), 0);
	wait_until(f, f->n_replies == 1);
	assert_int_equal(f->len, REDIS_ARENA_STRING_MAX);
	assert_true(f->len > DIBAO_EVENT_MAX_BYTES);
	free(big);
}

static void in_an_arena_a_reply_over_the_limit_is_an_error_and_the_next_is_whole(void **state)
{
	struct fixture *f = *state;
	struct redis_link_options opt = options(f);
	const char *script = "local e = string.rep('x', 16000) local r = {} "
			     "for i = 1, 300 do local s = {} for k = 1, 30 do s[k] = e end "
			     "r[i] = s end return r";

	opt.arena = true;
	opt.command_timeout_ms = 60000;
	redis_server_start(&f->server, NULL);
	open_link(f, &opt);
	assert_int_equal(command(f, 3, "EVAL", script, "0"), 0);
	assert_int_equal(command(f, 2, "ECHO", "whole"), 0);
	wait_until(f, f->n_replies == 2);
	assert_memory_equal(f->texts, REDIS_LINK_OVERSIZE, strlen(REDIS_LINK_OVERSIZE));
	assert_string_equal(f->text, "whole");
	assert_int_equal(f->n_down, 0);
}

static void in_an_arena_an_entry_of_a_million_fields_costs_little(void **state)
{
	struct fixture *f = *state;
	struct redis_link_options opt = options(f);
	const char *script = "local r = {} for i = 1, 1000000 do r[i] = 'field' end return r";

	opt.arena = true;
	opt.command_timeout_ms = 60000;
	redis_server_start(&f->server, NULL);
	open_link(f, &opt);
	assert_int_equal(command(f, 3, "EVAL", script, "0"), 0);
	wait_until(f, f->n_replies == 1);
	assert_int_equal(f->type, REDIS_REPLY_ARRAY);
	assert_int_equal(f->n_elements, REDIS_ARENA_ELEMENTS_MAX);
}

static void an_address_must_be_a_path_or_an_ip_and_a_port(void **state)
{
	static const char *const bad[] = {"",
					  "redis:6379",
					  "127.0.0.1",
					  "127.0.0.1:0",
					  "127.0.0.1:65536",
					  "127.0.0.1:x",
					  "127.0.0.1:1x",
					  "unix:",
					  "unix:relative",
					  ":6379",
					  "1.2.3:1"};
	struct fixture *f = *state;
	struct redis_link_options opt = options(f);

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		opt.address = bad[i];
		assert_int_equal(redis_link_new(&f->link, &opt), -EINVAL);
		assert_null(f->link);
	}
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN); /* as dibaod does */
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_link_comes_up_knowing_run_id_and_role),
		TEST(commands_may_hold_any_bytes_and_are_answered_in_order),
		TEST(nothing_is_queued_while_down),
		TEST(a_lost_connection_answers_what_is_open_before_on_down_and_comes_back),
		TEST(a_server_that_stops_answering_is_left_after_the_timeout),
		TEST(a_timeout_works_a_second_time),
		TEST(an_answer_that_waited_while_we_were_stopped_is_no_timeout),
		TEST(a_blocking_command_brings_its_own_timeout),
		TEST(a_peer_that_accepts_and_stays_silent_is_tried_again),
		TEST(a_wrong_password_never_comes_up_and_a_right_one_does),
		TEST(a_link_may_be_freed_in_a_reply_with_others_open),
		TEST(freeing_answers_what_is_open),
		TEST(a_master_that_became_a_replica_is_looked_at_anew),
		TEST(an_arena_reply_reads_like_any_other),
		TEST(in_an_arena_a_long_string_is_cut_over_the_size_of_an_event),
		TEST(in_an_arena_a_reply_over_the_limit_is_an_error_and_the_next_is_whole),
		TEST(in_an_arena_an_entry_of_a_million_fields_costs_little),
		TEST(an_address_must_be_a_path_or_an_ip_and_a_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
