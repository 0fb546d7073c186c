/* SPDX-License-Identifier: Apache-2.0 */
/* The check of Redis, against real ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "housekeeping_fixture.h"

static int set_up_bare(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	log_open("test");
	assert_true(sd_event_new(&f->event) >= 0);
	redis_server_init(&f->server);
	*state = f;
	return 0;
}

static void on_check(const struct redis_check_result *result, void *userdata)
{
	struct fixture *f = userdata;

	f->n_checks++;
	f->check = *result;
}

static const struct redis_check_result *check(struct fixture *f, uint64_t cap_bytes)
{
	f->n_checks = 0;
	assert_int_equal(redis_check(f->link, BUREAU, cap_bytes, on_check, f), 0);
	wait_until(f, f->n_checks == 1);
	return &f->check;
}

static void a_safe_redis_passes_without_a_word(void **state)
{
	struct fixture *f = *state;
	const char *const extra[] = {"--appendfsync", "always", NULL};

	start_with(f, extra);
	load_functions(f);
	assert_true(check(f, 0)->ok);
	assert_int_equal(f->check.found, 0);
	assert_string_equal(f->check.text, "");
}

static void without_fsync_always_it_warns_and_passes(void **state)
{
	struct fixture *f = *state;

	start_with(f, NULL);
	load_functions(f);
	assert_true(check(f, 0)->ok);
	assert_int_equal(f->check.found, REDIS_WARN_FSYNC);
	assert_non_null(strstr(f->check.text, "appendfsync is everysec"));
}

static void each_fault_is_found_with_the_command_that_cures_it(void **state)
{
	struct fixture *f = *state;
	const char *const extra[] = {"--maxmemory-policy", "allkeys-lru", "--maxmemory", "100mb",
				     NULL};

	start_with(f, extra);
	run(f, "CONFIG SET appendonly no");
	assert_false(check(f, 70 * 1024 * 1024)->ok);
	assert_int_equal(f->check.found & REDIS_FAULTS, REDIS_FAULT_AOF | REDIS_FAULT_EVICTION |
								REDIS_FAULT_FUNCTIONS |
								REDIS_FAULT_CAP);
	assert_non_null(strstr(f->check.text, "redis-cli CONFIG SET appendonly yes"));
	assert_non_null(strstr(f->check.text, "redis-cli CONFIG SET maxmemory-policy noeviction"));
	assert_non_null(strstr(f->check.text, "dibaoctl setup"));
	assert_non_null(strstr(f->check.text, "cap_bytes is 73400320"));
	run(f, "CONFIG SET appendonly yes");
	run(f, "CONFIG SET maxmemory-policy noeviction");
	load_functions(f);
	assert_true(check(f, 60 * 1024 * 1024)->ok);
	assert_int_equal(check(f, 0)->cap_bytes, 62914560);
}

static void other_functions_are_not_taken_for_ours(void **state)
{
	struct fixture *f = *state;

	start_with(f, NULL);
	run(f, "FUNCTION LOAD %s",
	    "#!lua name=dibao\nredis.register_function{function_name='dibao_version',"
	    "callback=function() return '99 abc' end, flags={'no-writes'}}");
	assert_false(check(f, 0)->ok);
	assert_int_equal(f->check.found & REDIS_FAULTS, REDIS_FAULT_FUNCTIONS);
	assert_non_null(strstr(f->check.text, "another version (99 abc"));
}

static void a_replica_is_refused_by_its_role(void **state)
{
	struct fixture *f = *state;

	start_with(f, NULL);
	load_functions(f);
	run(f, "REPLICAOF 127.0.0.1 1");
	f->link = redis_link_free(f->link);
	redisFree(f->c);
	f->c = NULL;
	{
		struct redis_link_options opt = {.event = f->event,
						 .name = "main",
						 .address = f->server.address,
						 .connect_timeout_ms = 20000,
						 .command_timeout_ms = 60000};

		assert_int_equal(redis_link_new(&f->link, &opt), 0);
	}
	wait_until(f, redis_link_is_up(f->link));
	assert_false(check(f, 0)->ok);
	assert_true(f->check.found & REDIS_FAULT_ROLE);
	assert_non_null(strstr(f->check.text, "this Redis is a slave"));
}

static void a_link_lost_during_the_check_is_an_answer_too(void **state)
{
	struct fixture *f = *state;

	start_with(f, NULL);
	load_functions(f);
	assert_int_equal(redis_check(f->link, BUREAU, 0, on_check, f), 0);
	f->link = redis_link_free(f->link);
	assert_int_equal(f->n_checks, 1);
	assert_false(f->check.ok);
	assert_true(f->check.found & REDIS_FAULT_UNKNOWN);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN); /* as dibaod does */
#define BARE(name) cmocka_unit_test_setup_teardown(name, set_up_bare, tear_down)
	const struct CMUnitTest tests[] = {
		BARE(a_safe_redis_passes_without_a_word),
		BARE(without_fsync_always_it_warns_and_passes),
		BARE(each_fault_is_found_with_the_command_that_cures_it),
		BARE(other_functions_are_not_taken_for_ours),
		BARE(a_replica_is_refused_by_its_role),
		BARE(a_link_lost_during_the_check_is_an_answer_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
