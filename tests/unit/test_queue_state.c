/* SPDX-License-Identifier: Apache-2.0 */
/* The queue's functions for the daemon: the tail, retention, rollback, and at full memory. */
#include "queue_fixture.h"

#define TTL "60000"

static int empty_with_board(void **state)
{
	empty_redis(state);
	assert_number(call("durable", "set", "board", "1000"), 1);
	return 0;
}

/* ---- the tail, retention ---- */

static void the_tail_never_goes_back(void **state)
{
	(void)state;
	assert_number(call("tail", "9-0", "0-0", "5-1", "5-2"), 1);
	assert_number(call("tail", "10-0", "1-0", "5-0", "5-10"), 1);
	assert_string_equal(field_of("tail", "public"), "10-0");
	assert_string_equal(field_of("tail", "private"), "1-0");
	assert_string_equal(field_of("tail", "public-now"), "5-1");
	assert_string_equal(field_of("tail", "private-now"), "5-10");
	assert_error(call("tail", "11-0", "x", "5-0", "5-10"), "DIBAO_INVALID");
}

static void trimming_removes_what_is_older_and_the_records_of_it(void **state)
{
	char ids[5][64];
	redisReply *r;

	(void)state;
	for (int i = 0; i < 5; i++) {
		char uid[8];

		snprintf(uid, sizeof uid, "u%d", i);
		publish((struct sample){.uid = uid}, "new");
		memcpy(ids[i], got_id, sizeof got_id);
	}
	publish((struct sample){.uid = "r", .retracts = "u1"}, "new");
	r = call("trim", "public", ids[4], "3");
	assert_number(r->element[0], 3);
	assert_number(r->element[1], 1);
	assert_string_equal(field_of("trimmed", "public"), ids[2]);
	assert_number(command("EXISTS", BASE "uid:u0", BASE "uid:u1", BASE "uid:u2"), 0);
	assert_number(command("ZCARD", BASE "withdrawn"), 0);
	r = call("trim", "public", ids[4], "3");
	assert_number(r->element[0], 1);
	assert_number(r->element[1], 0);
	r = call("trim", "public", ids[4], "3");
	assert_number(r->element[0], 0);
	assert_string_equal(field_of("trimmed", "public"), ids[3]);
	assert_int_equal(length_of("public"), 1);
	publish((struct sample){.uid = "u4"}, "repeat");
	publish((struct sample){.uid = "u0"}, "new");
	assert_error(call("trim", "receipts", "1-0", "3"), "DIBAO_INVALID");
	assert_array(call("trim", "private", "1-0", "3"), 2);
}

static void trimming_leaves_the_record_of_an_entry_elsewhere(void **state)
{
	char id[64];
	struct bytes b = event_of((struct sample){.uid = "a"});

	(void)state;
	publish_bytes(b, "new");
	snprintf(id, sizeof id, "%s", got_id);
	{ /* one of the same id, with the same uid, in another channel */
		const char *argv[] = {"XADD", BASE "private", id, "e", (const char *)b.p};
		size_t lens[] = {4, strlen(BASE "private"), strlen(id), 1, b.len};

		call_argv(redis, 5, argv, lens);
	}
	assert_number(call("trim", "private", "99999999999999-0", "10")->element[0], 1);
	assert_string_equal(record("a", "s"), "stored");
	call("reappend", "public", id);
	assert_string_not_equal(record("a", "i"), id);
	/* a double in the same channel that no daemon has removed yet */
	add_by_hand("public", event_of((struct sample){.uid = "b"}), id);
	publish((struct sample){.uid = "b"}, "new");
	assert_true(call("trim", "public", got_id, "10")->element[0]->integer > 0);
	publish((struct sample){.uid = "b"}, "repeat");
}

static void trimming_survives_hostile_entries(void **state)
{
	(void)state;
	command("XADD", BASE "public", "5-18446744073709551615", "e", "junk");
	command("XADD", BASE "public", "6-1", "x", "y");
	command("XADD", BASE "public", "6-2", "e", "\xc1", "e", "");
	assert_number(call("trim", "public", "6-0", "1")->element[0], 1);
	assert_number(call("trim", "public", "9-0", "10")->element[0], 2);
	assert_int_equal(length_of("public"), 0);
}

/* ---- rollback ---- */

static void the_epoch_goes_up_once_whoever_asks_and_never_back(void **state)
{
	(void)state;
	assert_number(call("epoch", "1"), 2);
	assert_number(call("epoch", "1"), 2);
	assert_number(call("epoch", "2"), 3);
	command("SET", BASE "epoch", "1"); /* Redis came back with an older one */
	assert_number(call("epoch", "3"), 4);
	command("DEL", BASE "epoch");
	assert_number(call("epoch", "4"), 5);
	assert_number(call("epoch", "4"), 5);
	assert_number(call("epoch", "1"), 5);
	assert_text(command("GET", BASE "epoch"), "5");
	assert_error(call("epoch", "x"), "DIBAO_INVALID");
}

static void heal(const char *channel, struct bytes b, int made, char ret[64])
{
	redisReply *r = call_bytes("dibao_heal", channel, b);

	assert_array(r, 2);
	assert_number(r->element[0], made);
	snprintf(ret, 64, "%s", r->element[1]->str);
}

static void what_redis_lost_is_published_again_once(void **state)
{
	struct bytes b = event_of((struct sample){.uid = "a"});
	char id[64], again[64];

	(void)state;
	publish_bytes(b, "new");
	heal("public", b, 0, id);
	assert_string_equal(id, got_id);
	/* the entry alone is lost */
	publish((struct sample){.uid = "r", .retracts = "a"}, "new");
	command("XDEL", BASE "public", id);
	heal("public", b, 1, again);
	assert_string_not_equal(again, id);
	assert_string_equal(record("a", "i"), again);
	assert_string_equal(record("a", "w"), "1");
	assert_string_equal(record("a", "y"), "r");
	heal("public", b, 0, id);
	assert_string_equal(id, again);
	/* its record too */
	command("FLUSHALL");
	heal("public", b, 1, id);
	publish_bytes(b, "repeat");
	assert_int_equal(entries_in_channels(), 1);
	assert_error(call("heal", "public", "junk"), "DIBAO_INVALID");
	assert_error(call("heal", "receipts", "junk"), "DIBAO_INVALID");
}

static void what_was_sent_and_whose_uid_is_taken_since_goes_to_the_quarantine_once(void **state)
{
	struct bytes sent = event_of((struct sample){.uid = "a", .issuer = "甲"});
	char id[64];

	(void)state;
	publish((struct sample){.uid = "a", .issuer = "乙"}, "new");
	heal("public", sent, 2, id);
	assert_string_equal(id, got_id);
	heal("public", sent, 2, id);
	assert_int_equal(entries_in_channels(), 1);
	assert_int_equal(length_of("quarantine"), 1);
	assert_int_equal(strlen(newest("quarantine", "e")),
			 strnlen((const char *)sent.p, sent.len));
	assert_string_equal(record("a", "s"), "stored");
	/* It waits for its time, with other bytes: so does it still. */
	publish((struct sample){.uid = "b", .issuer = "乙", .not_before = redis_ms() + 86400000},
		"scheduled");
	heal("public", event_of((struct sample){.uid = "b", .issuer = "甲"}), 2, id);
	assert_string_equal(id, "");
	assert_number(command("ZCARD", BASE "scheduled"), 1);
	assert_int_equal(entries_in_channels(), 1);
	assert_int_equal(length_of("quarantine"), 2);
	/* The same bytes are the event itself. */
	heal("public", event_of((struct sample){.uid = "a", .issuer = "乙"}), 0, id);
	assert_int_equal(length_of("quarantine"), 2);
}

static void an_event_that_redis_thinks_is_still_to_come_is_healed_once(void **state)
{
	int64_t due = redis_ms() + 200;
	struct bytes b = event_of((struct sample){.uid = "a", .not_before = due});
	char id[64];

	(void)state;
	publish_bytes(b, "scheduled");
	heal("public", b, 1, id);
	assert_number(command("ZCARD", BASE "scheduled"), 0);
	wait_until(redis_ms() > due);
	assert_number(call("release", "10")->element[0], 0);
	assert_int_equal(length_of("public"), 1);
	assert_string_equal(record("a", "i"), id);
}

static void a_lost_withdrawal_is_healed_with_its_cause(void **state)
{
	struct bytes a = event_of((struct sample){.uid = "a"});
	struct bytes c = event_of((struct sample){.uid = "c", .is_private = true, .corrects = "a"});
	char id[64];

	(void)state;
	heal("public", a, 1, id);
	heal("private-now", c, 1, id);
	assert_string_equal(newest("public-now", "w"), "award " GUSU " a");
	assert_string_equal(record("a", "w"), "1");
	heal("private-now", c, 0, id);
	assert_int_equal(length_of("public-now"), 1);
	/* though its original be gone for good */
	command("FLUSHALL");
	heal("private-now", c, 1, id);
	assert_int_equal(entries_in_channels(), 1);
}

static void an_entry_appended_again_keeps_its_fields_and_its_record_follows(void **state)
{
	char id[64], again[64];

	(void)state;
	publish((struct sample){.uid = "a"}, "new");
	publish((struct sample){.uid = "r", .retracts = "a"}, "new");
	snprintf(id, sizeof id, "%s", got_id);
	snprintf(again, sizeof again, "%s", call("reappend", "public-now", id)->str);
	assert_string_not_equal(again, id);
	assert_string_equal(record("r", "i"), again);
	assert_string_equal(newest("public-now", "w"), "award " GUSU " a");
	assert_string_equal(newest("public-now", "f"), "1");
	assert_int_equal(length_of("public-now"), 1);
	assert_text(call("reappend", "public-now", id), "");
	add_by_hand("public", event_of((struct sample){.uid = "h"}), id);
	snprintf(again, sizeof again, "%s", call("reappend", "public", id)->str);
	assert_string_equal(newest("public", "f"), "");
	assert_text(call("adopt", "public", again), "moved");
	assert_error(call("reappend", "receipts", id), "DIBAO_INVALID");
}

static void an_entry_with_very_many_fields_does_not_stop_the_healing(void **state)
{
	static const char *argv[3 + 20000];

	(void)state;
	argv[0] = "XADD";
	argv[1] = BASE "public";
	argv[2] = "5-1";
	for (int i = 3; i < 3 + 20000; i++)
		argv[i] = "z";
	assert_text(call_argv(redis, 3 + 20000, argv, NULL), "5-1");
	assert_text(call("reappend", "public", "5-1"), "");
	assert_int_equal(length_of("public"), 0);
	assert_int_equal(length_of("quarantine"), 1);
}

static const char *last_id(const char *channel, const char *field)
{
	char key[QUEUE_KEY_MAX];
	redisReply *r;

	queue_key(key, sizeof key, BUREAU, channel);
	r = command("XINFO", "STREAM", key);
	for (size_t i = 0; i + 1 < r->elements; i += 2)
		if (!strcmp(r->element[i]->str, field))
			return r->element[i + 1]->str;
	fail_msg("no %s", field);
	return NULL;
}

static void the_last_id_is_raised_and_never_lowered(void **state)
{
	(void)state;
	assert_number(call("raise", "public", "0-0"), 0);
	assert_number(command("EXISTS", BASE "public"), 0);
	assert_number(call("raise", "public", "99999999999999-7"), 1);
	assert_string_equal(last_id("public", "last-generated-id"), "99999999999999-7");
	assert_int_equal(length_of("public"), 0);
	assert_number(call("raise", "public", "99999999999999-6"), 0);
	assert_number(call("raise", "public", "100000000000000-1"), 1);
	assert_string_equal(last_id("public", "last-generated-id"), "100000000000000-1");
	publish((struct sample){.uid = "a"}, "new");
	assert_string_equal(got_id, "100000000000000-2");
	publish((struct sample){.uid = "b", .type = "penalty"}, "new");
	assert_number(call("raise", "private", "99999999999999-0"), 1);
	assert_int_equal(length_of("private"), 1);
	assert_error(call("raise", "private", "-"), "DIBAO_INVALID");
	assert_error(call("raise", "uid:a", "1-1"), "DIBAO_INVALID");
}

/* ---- where sessions start ---- */

#define assert_step(found, id, seen, more, ...)                                                    \
	do {                                                                                       \
		redisReply *r_ = call("last", __VA_ARGS__);                                        \
		assert_array(r_, 4);                                                               \
		assert_int_equal(r_->element[0]->integer, found);                                  \
		assert_string_equal(r_->element[1]->str, id);                                      \
		assert_int_equal(r_->element[2]->integer, seen);                                   \
		assert_int_equal(r_->element[3]->integer, more);                                   \
	} while (0)

static void a_step_back_ends_at_the_n_th_that_passes(void **state)
{
	char ids[3][64];

	(void)state;
	for (int i = 0; i < 3; i++) {
		publish((struct sample){.uid = (char[2]){(char)('a' + i), 0},
					.org = i == 1 ? "320506000000" : NULL},
			"new");
		memcpy(ids[i], got_id, sizeof got_id);
	}
	assert_step(2, ids[1], 2, 0, "public", "2", "+", "", "");
	assert_step(2, ids[0], 2, 0, "public", "2", ids[2], "", "");
	assert_step(3, ids[0], 3, 0, "public", "4", "+", "", "");
	assert_step(0, ids[0], 3, 0, "public", "2", "+", "promotion ", "");
	assert_step(2, ids[0], 3, 0, "public", "2", "+", "award promotion ", GUSU " ");
	assert_step(1, ids[1], 2, 0, "public", "1", "+", "award ", "330100 320506 ");
	assert_step(0, ids[0], 3, 0, "public", "1", "+", "", "330100 330200 ");
	assert_step(2, ids[1], 2, 0, "public", "2", "+", "", "33 3205");
	assert_step(0, "0-0", 0, 0, "private", "1", "+", "", "");
	assert_error(call("last", "public", "0", "+", "", ""), "DIBAO_INVALID");
	assert_error(call("last", "public", "100001", "+", "", ""), "DIBAO_INVALID");
	assert_error(call("last", "public", "x", "+", "", ""), "DIBAO_INVALID");
	assert_error(call("last", "uid:a", "1", "+", "", ""), "DIBAO_INVALID");
	assert_error(call("last", "public", "1", "-", "", ""), "DIBAO_INVALID");
	assert_error(call("last", "public", "1", "+", ""), "DIBAO_INVALID");
}

/* ---- when Redis is full ---- */

static void with_memory_at_its_end_what_frees_it_still_runs(void **state)
{
	char id[64];
	struct bytes b;

	(void)state;
	publish((struct sample){.uid = "a"}, "new");
	snprintf(id, sizeof id, "%s", got_id);
	command("CONFIG", "SET", "maxmemory", "1");
	b = event_of((struct sample){.uid = "b"});
	assert_error(call_bytes("dibao_publish", NULL, b), "OOM");
	assert_number(call("lease", "board", "aa", TTL, "d")->element[0], 1);
	assert_number(call("renew", TTL, "board", "aa", "1", "1")->element[0], 1);
	assert_number(call("cursors", "board", "1", "1", id, "0-0", "0-0", "0-0")->element[0], 1);
	assert_number(call("tail", id, "0-0", "0-0", "0-0"), 1);
	assert_number(call("trim", "public", "99999999999999-0", "10")->element[0], 1);
	assert_number(call("unlease", "board", "aa", "1", "1"), 1);
	command("CONFIG", "SET", "maxmemory", "0");
	publish_bytes(b, "new");
}

#define T(f) cmocka_unit_test_setup(f, empty_with_board)

int main(void)
{
	const struct CMUnitTest queue_state[] = {
		T(the_tail_never_goes_back),
		T(trimming_removes_what_is_older_and_the_records_of_it),
		T(trimming_leaves_the_record_of_an_entry_elsewhere),
		T(trimming_survives_hostile_entries),
		T(the_epoch_goes_up_once_whoever_asks_and_never_back),
		T(what_redis_lost_is_published_again_once),
		T(what_was_sent_and_whose_uid_is_taken_since_goes_to_the_quarantine_once),
		T(an_event_that_redis_thinks_is_still_to_come_is_healed_once),
		T(a_lost_withdrawal_is_healed_with_its_cause),
		T(an_entry_appended_again_keeps_its_fields_and_its_record_follows),
		T(an_entry_with_very_many_fields_does_not_stop_the_healing),
		T(the_last_id_is_raised_and_never_lowered),
		T(a_step_back_ends_at_the_n_th_that_passes),
		T(with_memory_at_its_end_what_frees_it_still_runs),
	};

	return cmocka_run_group_tests(queue_state, start_redis, stop_redis);
}
