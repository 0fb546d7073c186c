/* SPDX-License-Identifier: Apache-2.0 */
/* The outbox's functions in a real Redis: what they write, what they refuse, what goes together. */
#include "../../clients/sms/outbox_functions.h"
#include "queue_fixture.h"

#define ROW   BASE "sms:row:"
#define LEASE BASE "lease:sms"

static int set_up(void **state)
{
	struct dibao_error err;

	empty_redis(state);
	if (outbox_functions_load(redis, &err) < 0)
		fail_msg("%s", err.reason);
	command("HSET", LEASE, "epoch", "1", "counter", "7");
	return 0;
}

#define fenced(fn, ...) call("sms_" fn, "sms", "1", "7", __VA_ARGS__)
#define take(uid, s, ref, k, of)                                                                   \
	fenced("take", uid, s, "", "0", "100000", "5000", "bulk", ref, "400000", "2", k, of, "b",  \
	       "A1", "t", "award", "e", "bytes of " uid)
#define step(uid, from, n, to, unserved, new_n)                                                    \
	fenced("step", uid, from, n, to, unserved, "100000", "6000",                               \
	       strcmp(to, "intent") ? "" : "mark mark " uid " " new_n, "r", "why", "n", new_n)

static const char *field(const char *uid, const char *name)
{
	char key[128];
	redisReply *r;

	snprintf(key, sizeof key, ROW "%s", uid);
	r = command("HGET", key, name);
	return r->type == REDIS_REPLY_STRING ? r->str : "";
}

static bool is_in(const char *zset, const char *uid)
{
	char key[128];

	snprintf(key, sizeof key, BASE "sms:%s", zset);
	return command("ZSCORE", key, uid)->type == REDIS_REPLY_STRING;
}

static void a_notice_is_taken_once(void **state)
{
	redisReply *r;

	(void)state;
	r = take("u1", "queued", "", "", "");
	assert_array(r, 11);
	assert_text(r->element[0], "new");
	assert_text(r->element[1], "queued");
	assert_text(r->element[2], "h400000");
	r = take("u1", "held", "", "", "");
	assert_array(r, 2);
	assert_text(r->element[0], "repeat");
	assert_text(r->element[1], "queued");
	assert_string_equal(field("u1", "e"), "bytes of u1");
	assert_true(is_in("open", "u1") && is_in("report", "u1"));
}

static void who_lost_the_lease_writes_nothing(void **state)
{
	(void)state;
	take("u1", "queued", "", "", "");
	command("HSET", LEASE, "counter", "8");
	assert_error(take("u2", "queued", "", "", ""), "DIBAO_STALE");
	assert_error(step("u1", "queued", "0", "intent", "0", "1"), "DIBAO_STALE");
	assert_error(fenced("withdraw", "u1", "100000"), "DIBAO_STALE");
	assert_error(fenced("reported", "u1", "queued"), "DIBAO_STALE");
	assert_error(fenced("open", "00"), "DIBAO_STALE");
	assert_error(fenced("mark", "bad", "A1", "x"), "DIBAO_STALE");
	assert_error(fenced("load", "0", "10"), "DIBAO_STALE");
	assert_string_equal(field("u1", "s"), "queued");
	assert_int_equal(command("EXISTS", ROW "u2")->integer, 0);
	command("DEL", LEASE);
	assert_error(step("u1", "queued", "0", "intent", "0", "1"), "DIBAO_STALE");
}

static void a_step_from_another_state_or_attempt_changes_nothing(void **state)
{
	redisReply *r;

	(void)state;
	take("u1", "queued", "", "", "");
	assert_number(step("u1", "queued", "0", "intent", "0", "1")->element[0], 1);
	r = step("u1", "queued", "0", "held", "0", "0");
	assert_array(r, 3);
	assert_number(r->element[0], 0);
	assert_text(r->element[1], "intent");
	assert_text(r->element[2], "1");
	assert_number(step("u1", "intent", "2", "submitted", "0", "2")->element[0], 0);
	assert_number(step("nobody", "queued", "0", "intent", "0", "1")->element[0], 0);
	assert_int_equal(command("EXISTS", ROW "nobody")->integer, 0);
	assert_string_equal(field("u1", "s"), "intent");
}

static void what_is_final_loses_its_bytes_and_is_kept_for_a_time(void **state)
{
	(void)state;
	take("u1", "queued", "", "", "");
	step("u1", "queued", "0", "intent", "0", "1");
	assert_int_equal(command("PTTL", ROW "u1")->integer, -1);
	step("u1", "intent", "1", "failed", "1", "1");
	assert_string_equal(field("u1", "e"), "");
	assert_false(is_in("open", "u1"));
	assert_true(is_in("unserved", "u1"));
	assert_in_range(command("PTTL", ROW "u1")->integer, 90000, 100000);
	step("u1", "failed", "1", "delivered", "0", "1");
	assert_false(is_in("unserved", "u1"));
}

static void what_is_parked_keeps_its_bytes_and_may_be_released_or_dropped(void **state)
{
	(void)state;
	take("u1", "queued", "", "", "");
	step("u1", "queued", "0", "parked", "1", "0");
	assert_string_equal(field("u1", "e"), "bytes of u1");
	assert_false(is_in("open", "u1"));
	assert_number(call("sms_release_one", "u1", "me"), 1);
	assert_string_equal(field("u1", "s"), "queued");
	assert_string_equal(field("u1", "rs"), "");
	assert_true(is_in("open", "u1") && !is_in("unserved", "u1"));
	assert_int_equal(command("PTTL", ROW "u1")->integer, -1);
	assert_number(call("sms_release_one", "u1", "me"), 0);
	step("u1", "queued", "0", "intent", "0", "1");
	step("u1", "intent", "1", "ambiguous", "0", "1");
	step("u1", "ambiguous", "1", "parked", "1", "1");
	assert_number(call("sms_release_one", "u1", "me"), 1);
	assert_string_equal(field("u1", "rs"), "1");
	step("u1", "queued", "1", "parked", "1", "1");
	assert_number(call("sms_drop", "u1", "me"), 1);
	assert_string_equal(field("u1", "s"), "dropped");
	assert_number(call("sms_drop", "u1", "me"), 0);
	assert_int_equal(length_of("audit"), 5);
}

/* What becomes of the original u1 in each state, and of the retraction. */
static void a_retraction_drops_what_waits_and_follows_what_was_sent(void **state)
{
	static const struct {
		const char *to, *original_after, *retraction;
	} cases[] = {
		{"held", "dropped", "dropped"},		{"intent", "intent", "queued"},
		{"submitted", "submitted", "queued"},	{"delivered", "delivered", "queued"},
		{"ambiguous", "ambiguous", "queued"},	{"failed", "failed", "dropped"},
		{"no_receipt", "no_receipt", "queued"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		set_up(state);
		take("u1", "queued", "", "", "");
		if (strcmp(cases[i].to, "held") != 0) {
			step("u1", "queued", "0", "intent", "0", "1");
			step("u1", "intent", "1", cases[i].to, "0", "1");
		} else {
			step("u1", "queued", "0", "held", "0", "0");
		}
		take("r1", "queued", "", "retracts", "u1");
		assert_string_equal(field("u1", "s"), cases[i].original_after);
		assert_string_equal(field("r1", "s"), cases[i].retraction);
		assert_string_equal(field("u1", "y"), "r1");
	}
	set_up(state);
	take("r1", "queued", "", "retracts", "never-seen");
	assert_string_equal(field("r1", "s"), "dropped");
	assert_string_equal(field("r1", "r"), "not-sent");
	take("c1", "queued", "", "corrects", "never-seen");
	assert_string_equal(field("c1", "s"), "queued");
}

static void one_that_was_refused_and_waits_for_another_try_is_dropped_all_the_same(void **state)
{
	(void)state;
	take("u1", "queued", "", "", "");
	step("u1", "queued", "0", "intent", "0", "1");
	step("u1", "intent", "1", "held", "0", "1");
	take("r1", "queued", "", "retracts", "u1");
	assert_string_equal(field("u1", "s"), "dropped");
	assert_string_equal(field("r1", "s"), "dropped");
	/* One that waits to be sent again by policy may have arrived. */
	take("u2", "queued", "", "", "");
	step("u2", "queued", "0", "intent", "0", "1");
	step("u2", "intent", "1", "ambiguous", "0", "1");
	fenced("step", "u2", "ambiguous", "1", "queued", "0", "100000", "1", "", "rs", "1");
	take("r2", "queued", "", "retracts", "u2");
	assert_string_equal(field("u2", "s"), "dropped");
	assert_string_equal(field("r2", "s"), "queued");
}

static void a_batch_is_counted_by_document_or_hour_and_released_once(void **state)
{
	redisReply *r;

	(void)state;
	take("a1", "queued", "rdoc", "", "");
	take("a2", "queued", "rdoc", "", "");
	r = take("a3", "queued", "", "", "");
	assert_text(r->element[2], "h400000"); /* the third of the hour, over its limit of 2 */
	assert_number(r->element[3], 3);
	r = take("a4", "queued", "rdoc", "", "");
	assert_text(r->element[2], "h400000");
	assert_number(call("sms_release", "h400000", "me"), 1);
	assert_number(call("sms_release", "h400000", "me"), 0);
	assert_number(call("sms_release", "nothing", "me"), 0);
	r = take("a5", "queued", "", "", "");
	assert_number(r->element[4], 1);
	r = call("sms_batch", "rdoc");
	assert_number(r->element[0], 2);
	r = call("sms_released", "0");
	assert_array(r, 2);
	assert_text(r->element[0], "bh400000");
	/* Only bulk texts that wait are counted. */
	fenced("take", "x1", "queued", "", "0", "1", "1", "urgent", "rdoc", "400000", "2", "", "",
	       "b", "A1");
	take("x2", "dropped", "rdoc", "", "");
	assert_number(call("sms_batch", "rdoc")->element[0], 2);
}

static void an_hour_may_have_three_times_what_is_usual(void **state)
{
	char hour[16];
	redisReply *r;

	(void)state;
	for (int h = 400000 - 168; h < 400000; h++) {
		snprintf(hour, sizeof hour, "%d", h);
		command("HSET", BASE "sms:hours", hour, "10");
	}
	command("HSET", BASE "sms:hours", "1", "99999"); /* long ago: forgotten */
	r = take("a1", "queued", "", "", "");
	assert_number(r->element[5], 30);
	assert_int_equal(command("HEXISTS", BASE "sms:hours", "1")->integer, 0);
}

static void a_report_is_taken_off_unless_it_changed_since(void **state)
{
	redisReply *r;

	(void)state;
	take("u1", "queued", "", "", "");
	r = call("sms_reports", "10");
	assert_array(r, 1);
	assert_text(r->element[0]->element[1], "queued");
	step("u1", "queued", "0", "intent", "0", "1");
	fenced("reported", "u1", "queued");
	assert_true(is_in("report", "u1"));
	fenced("reported", "u1", "intent");
	assert_false(is_in("report", "u1"));
}

static void a_take_over_finds_all_that_is_open_and_the_key_stays(void **state)
{
	redisReply *r;

	(void)state;
	assert_text(fenced("open", "aa")->element[0], "aa");
	assert_text(fenced("open", "bb")->element[0], "aa");
	take("u1", "queued", "", "", "");
	take("u2", "queued", "", "", "");
	step("u2", "queued", "0", "intent", "0", "1");
	take("u3", "dropped", "", "", "");
	r = fenced("load", "0", "10");
	assert_array(r, 2);
	assert_array(r->element[0], 14);
	r = fenced("sent", "0", "10");
	assert_array(r, 2);
	assert_text(r->element[0], "mark mark u2 1");
	fenced("step", "u2", "intent", "1", "held", "0", "100000", "6000", "mark mark u2 1", "r",
	       "retry", "n", "1");
	assert_array(fenced("sent", "0", "10"), 0);
}

static void by_hand_without_the_right_to_write_it_down_does_nothing(void **state)
{
	(void)state;
	take("u1", "queued", "", "", "");
	step("u1", "queued", "0", "parked", "1", "0");
	command("ACL", "SETUSER", "x", "on", "nopass", "+@all", "~*", "-xadd");
	command("AUTH", "x", "any");
	assert_error(call("sms_drop", "u1", "me"), "DIBAO_AUDIT");
	command("AUTH", "default", "any");
	assert_string_equal(field("u1", "s"), "parked");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_notice_is_taken_once, set_up),
		cmocka_unit_test_setup(who_lost_the_lease_writes_nothing, set_up),
		cmocka_unit_test_setup(a_step_from_another_state_or_attempt_changes_nothing,
				       set_up),
		cmocka_unit_test_setup(what_is_final_loses_its_bytes_and_is_kept_for_a_time,
				       set_up),
		cmocka_unit_test_setup(
			what_is_parked_keeps_its_bytes_and_may_be_released_or_dropped, set_up),
		cmocka_unit_test_setup(a_retraction_drops_what_waits_and_follows_what_was_sent,
				       set_up),
		cmocka_unit_test_setup(
			one_that_was_refused_and_waits_for_another_try_is_dropped_all_the_same,
			set_up),
		cmocka_unit_test_setup(a_batch_is_counted_by_document_or_hour_and_released_once,
				       set_up),
		cmocka_unit_test_setup(an_hour_may_have_three_times_what_is_usual, set_up),
		cmocka_unit_test_setup(a_report_is_taken_off_unless_it_changed_since, set_up),
		cmocka_unit_test_setup(a_take_over_finds_all_that_is_open_and_the_key_stays,
				       set_up),
		cmocka_unit_test_setup(by_hand_without_the_right_to_write_it_down_does_nothing,
				       set_up),
	};

	return cmocka_run_group_tests(tests, start_redis, stop_redis);
}
