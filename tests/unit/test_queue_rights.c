/* SPDX-License-Identifier: Apache-2.0 */
/* Redis' own rights, the functions' loading, connecting. */
#include "queue_fixture.h"

static const char *const channels[] = {"public", "private", "public-now", "private-now"};

static void a_publisher_without_the_right_to_read_channels_can_publish(void **state)
{
	redisContext *c = connect_to(&server);

	(void)state;
	/* The rights that dibao-queue(7) gives. */
	command("ACL", "SETUSER", "hr", "reset", "on", ">secret", "~" BASE, "%RW~" BASE "uid:*",
		"%RW~" BASE "scheduled", "%RW~" BASE "withdrawn", "%RW~" BASE "withdrawn-private",
		"%RW~" BASE "shown:*", "+fcall", "+time", "+hgetall", "+hset", "+hdel", "+del",
		"+pexpire", "+sadd", "+zadd", "+zrem",
		"(%W~" BASE "public %W~" BASE "private %W~" BASE "public-now %W~" BASE
		"private-now %W~" BASE "scheduling +xadd)");
	assert_int_equal(command_on(c, "AUTH", "hr", "secret", NULL)->type, REDIS_REPLY_STATUS);
	for (int i = 0; i < 4; i++) {
		char uid[8], key[QUEUE_KEY_MAX];
		struct sample s = {.type = i % 2 ? "penalty" : NULL, .uid = uid};
		const char *argv[] = {"FCALL", "dibao_publish", "1", BASE, NULL};
		size_t lens[] = {5, 13, 1, sizeof BASE - 1, 0};
		struct bytes b;

		snprintf(uid, sizeof uid, "u%d", i);
		s.not_before = i < 2 ? redis_ms() + 3600000 : 0;
		b = event_of(s);
		argv[4] = (const char *)b.p;
		lens[4] = b.len;
		assert_text(call_argv(c, 5, argv, lens)->element[0], i < 2 ? "scheduled" : "new");
		snprintf(uid, sizeof uid, "r%d", i);
		s = (struct sample){.type = s.type, .uid = uid};
		s.retracts = (char[8]){'u', (char)('0' + i), 0};
		b = event_of(s);
		argv[4] = (const char *)b.p;
		lens[4] = b.len;
		assert_text(call_argv(c, 5, argv, lens)->element[0], "new");
		queue_key(key, sizeof key, BUREAU, channels[i]);
		assert_error(command_on(c, "XRANGE", key, "-", "+", NULL), "NOPERM");
		assert_error(command_on(c, "XLEN", key, NULL), "NOPERM");
		assert_error(command_on(c, "DEL", key, NULL), "NOPERM");
	}
	redisFree(c);
	command("ACL", "DELUSER", "hr");
}

static void a_public_reader_cannot_read_what_is_private(void **state)
{
	redisContext *c = connect_to(&server);

	(void)state;
	command("ACL", "SETUSER", "outer", "reset", "on", ">secret", "%R~" BASE "public",
		"%R~" BASE "public-now", "+xrange", "+xlen");
	command_on(c, "AUTH", "outer", "secret", NULL);
	assert_int_equal(command_on(c, "XRANGE", BASE "public", "-", "+", NULL)->type,
			 REDIS_REPLY_ARRAY);
	assert_error(command_on(c, "XRANGE", BASE "private", "-", "+", NULL), "NOPERM");
	assert_error(command_on(c, "XLEN", BASE "private-now", NULL), "NOPERM");
	redisFree(c);
	command("ACL", "DELUSER", "outer");
}

static void functions_are_loaded_once_and_for_all_and_their_version_is_checked(void **state)
{
	struct dibao_error err;
	size_t len;
	const char *text = queue_functions(&len);
	char *other = strdup(text), *at;

	(void)state;
	assert_non_null(other);
	assert_int_equal(strlen(text), len);
	assert_null(strstr(strstr(text, "local VERSION"), "@PUBLIC_TYPES@"));
	command("FUNCTION", "FLUSH");
	assert_int_equal(queue_functions_check(redis, &err), -ENOSYS);
	assert_non_null(strstr(err.reason, "dibaoctl setup"));
	assert_int_equal(queue_setup(redis, BUREAU, &err), 0);
	assert_int_equal(queue_functions_check(redis, &err), 0);
	command("INCR", BASE "epoch");
	assert_int_equal(queue_setup(redis, BUREAU, &err), 0);
	assert_text(command("GET", BASE "epoch"), "2");
	assert_text(call("version"), queue_functions_version());
	at = strstr(other, "local VERSION = '");
	assert_non_null(at);
	at[strlen("local VERSION = '")] = '9';
	assert_text(command("FUNCTION", "LOAD", "REPLACE", other), "dibao");
	assert_int_equal(queue_functions_check(redis, &err), -ESTALE);
	assert_int_equal(queue_setup(redis, BUREAU, &err), 0);
	free(other);
}

static int try_connect(const char *address, const char *user, const char *password)
{
	struct dibao_redis_options opt = {.address = address,
					  .user = user,
					  .password = password,
					  .bureau = BUREAU,
					  .timeout_ms = 1000};
	struct dibao_error err = {0};
	redisContext *c = NULL;
	int r = queue_connect(&c, &opt, &err);

	if (r == 0)
		redisFree(c);
	else
		assert_string_not_equal(err.reason, "");
	assert_null(strstr(err.reason, "wrong"));
	return r;
}

static void a_connection_says_why_it_cannot_be_made(void **state)
{
	(void)state;
	command("ACL", "SETUSER", "hr", "reset", "on", ">secret", "+ping");
	assert_int_equal(try_connect(server.address, "hr", "secret"), 0);
	assert_int_equal(try_connect(server.address, "hr", "wrong"), -EACCES);
	assert_int_equal(try_connect("unix:/nowhere/redis.sock", NULL, NULL), -ENOTCONN);
	assert_int_equal(try_connect("127.0.0.1:1", NULL, NULL), -ENOTCONN);
	assert_int_equal(try_connect("[::1]:1", NULL, NULL), -ENOTCONN);
	assert_int_equal(try_connect("127.0.0.1:70000", NULL, NULL), -EINVAL);
	assert_int_equal(try_connect("127.0.0.1", NULL, NULL), -EINVAL);
	assert_int_equal(try_connect("example.org:6379", NULL, NULL), -EINVAL);
	command("ACL", "DELUSER", "hr");
}

static void keys_are_of_one_bureau(void **state)
{
	char key[QUEUE_KEY_MAX];

	(void)state;
	assert_int_equal(queue_key(key, sizeof key, BUREAU, "public"), sizeof BASE "public" - 1);
	assert_string_equal(key, BASE "public");
	assert_int_equal(queue_key(key, 10, BUREAU, "public"), -ENOBUFS);
	assert_int_equal(queue_key(key, sizeof key, "", "public"), -EINVAL);
	assert_int_equal(queue_bureau_check("0123456789abcdef"), 0);
	assert_int_equal(queue_bureau_check("0123456789abcdefg"), -EINVAL);
	assert_int_equal(queue_bureau_check("a}b"), -EINVAL);
	assert_int_equal(queue_bureau_check("SZ"), -EINVAL);
}

#define T(f) cmocka_unit_test_setup(f, empty_redis)

int main(void)
{
	const struct CMUnitTest rights[] = {
		T(a_publisher_without_the_right_to_read_channels_can_publish),
		T(a_public_reader_cannot_read_what_is_private),
		T(functions_are_loaded_once_and_for_all_and_their_version_is_checked),
		T(a_connection_says_why_it_cannot_be_made),
		T(keys_are_of_one_bureau),
	};

	return cmocka_run_group_tests(rights, start_redis, stop_redis);
}
