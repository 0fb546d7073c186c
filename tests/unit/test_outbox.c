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
	fenced("take", uid, s, "", "0", "100000", "5000", "bulk", ref, "400000", "2", k, of,       \
	       "No. " ref, "b", "A1", "t", "award", "e", "bytes of " uid)
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
	assert_error(fenced("open", "00", "100000"), "DIBAO_STALE");
	assert_error(fenced("mark", "bad", "A1", "x"), "DIBAO_STALE");
	assert_error(fenced("note", "u1", "1", "a", "x"), "DIBAO_STALE");
	assert_error(fenced("started", "gateway-1", "1", "0", "0", "1000"), "DIBAO_STALE");
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
	r = take("a4", "queued", "rother", "", "");
	assert_text(r->element[2], "h400000"); /* of a document that is not over it */
	assert_number(r->element[3], 4);
	r = take("a5", "queued", "rdoc", "", "");
	assert_text(r->element[2], "rdoc");
	assert_number(r->element[3], 3);
	assert_number(call("sms_release", "h400000", "me"), 1);
	assert_number(call("sms_release", "h400000", "me"), 0);
	assert_number(call("sms_release", "nothing", "me"), 0);
	r = take("a6", "queued", "", "", "");
	assert_number(r->element[3],
		      5); /* those of the document stay in it, for it waited already */
	assert_number(r->element[4], 1);
	r = call("sms_batch", "rdoc");
	assert_number(r->element[0], 3);
	assert_text(r->element[3], "No. rdoc");
	r = call("sms_released", "0");
	assert_array(r, 2);
	assert_text(r->element[0], "bh400000");
	/* Only bulk texts that wait are counted. */
	fenced("take", "x1", "queued", "", "0", "1", "1", "urgent", "rdoc", "400000", "2", "", "",
	       "", "b", "A1");
	take("x2", "dropped", "rdoc", "", "");
	assert_number(call("sms_batch", "rdoc")->element[0], 3);
}

static void a_document_that_waits_or_was_released_does_not_fill_the_hour(void **state)
{
	redisReply *r;

	(void)state;
	take("a1", "queued", "rdoc", "", "");
	take("a2", "queued", "rdoc", "", "");
	for (int i = 0; i < 3; i++) {
		r = take("a3", "queued", "rdoc", "", "");
		assert_text(r->element[2], "rdoc"); /* over its limit of 2 */
		assert_number(r->element[3], 3 + i);
		command("DEL", ROW "a3");
	}
	r = take("b1", "queued", "", "", "");
	assert_text(r->element[2], "h400000");
	assert_number(r->element[3], 1);
	assert_number(call("sms_release", "rdoc", "me"), 1);
	take("a6", "queued", "rdoc", "", "");
	r = take("b2", "queued", "", "", "");
	assert_number(r->element[3], 2);
	r = take("b3", "queued", "", "", "");
	assert_number(r->element[3], 3); /* the hour's own */
	r = take("a7", "queued", "rdoc", "", "");
	assert_text(r->element[2], "rdoc");
	assert_number(r->element[4], 1);
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
	command("ZADD", BASE "sms:twice", "1000", "long-ago");
	assert_text(fenced("open", "aa", "100000")->element[0], "aa");
	assert_text(fenced("open", "bb", "100000")->element[0], "aa");
	assert_false(is_in("twice", "long-ago"));
	take("u1", "queued", "", "", "");
	take("u2", "queued", "", "", "");
	step("u2", "queued", "0", "intent", "0", "1");
	take("u3", "dropped", "", "", "");
	r = fenced("load", "0", "10");
	assert_array(r, 2);
	assert_array(r->element[0], 15);
	r = fenced("sent", "0", "10");
	assert_array(r, 2);
	assert_text(r->element[0], "mark mark u2 1");
	fenced("step", "u2", "intent", "1", "held", "0", "100000", "6000", "mark mark u2 1", "r",
	       "retry", "n", "1");
	assert_array(fenced("sent", "0", "10"), 0);
}

static void note(const char *uid, const char *attempt, const char *kind, const char *ref,
		 int expected)
{
	assert_number(fenced("note", uid, attempt, kind, ref), expected);
}

#define sent_once(uid)                                                                             \
	do {                                                                                       \
		take(uid, "queued", "", "", "");                                                   \
		step(uid, "queued", "0", "intent", "0", "1");                                      \
		step(uid, "intent", "1", "submitted", "0", "1");                                   \
	} while (0)

static void again(void)
{
	step("u1", "submitted", "1", "held", "0", "1");
	step("u1", "held", "1", "intent", "0", "2");
}

static void receipts_of_two_texts_are_named_and_told_and_one_twice_is_not(void **state)
{
	(void)state;
	sent_once("u1");
	note("nobody", "1", "a", "r1", 0);
	assert_int_equal(command("EXISTS", ROW "nobody")->integer, 0);
	note("u1", "2", "a", "r1", 0); /* an attempt that never was */
	note("u1", "0", "a", "r1", 0);
	note("u1", "1", "a", "r1", 1);
	note("u1", "1", "a", "r1", 1);
	note("u1", "1", "a", "", 1); /* without a ref nothing can be told */
	note("u1", "1", "d", "f1", 1);
	note("u1", "1", "d", "f1", 1);
	assert_false(is_in("twice", "u1"));
	fenced("reported", "u1", "submitted");
	assert_false(is_in("report", "u1"));
	note("u1", "1", "d", "f2", 1);
	assert_true(is_in("twice", "u1") && is_in("report", "u1"));
	assert_string_equal(field("u1", "tw"), "receipts");
	assert_text(call("sms_reports", "10")->element[0]->element[6], "receipts");
	fenced("reported", "u1", "submitted");
	assert_true(is_in("report", "u1"));
	fenced("reported", "u1", "submitted receipts");
	assert_false(is_in("report", "u1"));
	assert_string_equal(field("u1", "up"), "submitted");
}

static void two_attempts_are_two_texts_unless_one_failed(void **state)
{
	(void)state;
	sent_once("u1");
	again();
	note("u1", "2", "a", "r2", 1);
	note("u1", "1", "f", "", 1);
	note("u1", "1", "a", "r1", 1); /* accepted, and failed after */
	assert_string_equal(field("u1", "tw"), "");
	note("u1", "1", "d", "f1", 1); /* it arrived after all */
	assert_string_equal(field("u1", "tw"), "attempts");
}

static void what_is_sent_again_by_policy_may_be_twice_and_better_knowledge_stays(void **state)
{
	(void)state;
	sent_once("u1");
	command("HSET", ROW "u1", "rs", "1");
	again();
	assert_string_equal(field("u1", "tw"), "resent");
	assert_true(is_in("twice", "u1"));
	note("u1", "2", "a", "r2", 1);
	note("u1", "1", "a", "r1", 1);
	assert_string_equal(field("u1", "tw"), "attempts");
	step("u1", "intent", "2", "held", "0", "2");
	step("u1", "held", "2", "intent", "0", "3");
	assert_string_equal(field("u1", "tw"), "attempts");
}

static void started(const char *gateway, long long at, long long seen)
{
	char ms[24], seen_ms[24];

	snprintf(ms, sizeof ms, "%lld", at);
	snprintf(seen_ms, sizeof seen_ms, "%lld", seen);
	assert_number(fenced("started", gateway, ms, seen_ms, "0", "1000"), 0);
}

static void set_ms(const char *key, const char *name, long long ms)
{
	char text[24];

	snprintf(text, sizeof text, "%lld", ms);
	command("HSET", key, name, text);
}

#define sent_at(uid, gateway, ms)                                                                  \
	do {                                                                                       \
		char at[24];                                                                       \
                                                                                                   \
		sent_once(uid);                                                                    \
		set_ms(ROW uid, "ti", ms);                                                         \
		command("HSET", ROW uid, "g", gateway);                                            \
		snprintf(at, sizeof at, "%lld", ms);                                               \
		command("ZADD", BASE "sms:sent", at, "mark mark " uid " 1");                       \
	} while (0)

static void a_start_of_a_gateway_names_what_it_had_and_the_carrier_not(void **state)
{
	long long now = atoll(command("TIME")->element[0]->str) * 1000;

	(void)state;
	sent_at("waits", "gateway-1", now - 60000);
	sent_at("later", "gateway-1", now - 60000);
	sent_at("before", "gateway-1", now - 60000);
	sent_at("other", "gateway-2", now - 60000);
	sent_at("held", "gateway-1", now - 60000);
	sent_at("again", "gateway-1", now - 60000);
	sent_at("between", "gateway-1", now - 60000);
	sent_at("after", "gateway-1", now - 10000);
	step("later", "submitted", "1", "delivered", "0", "1"); /* now */
	step("before", "submitted", "1", "accepted", "0", "1");
	set_ms(ROW "before", "ta", now - 50000);
	step("between", "submitted", "1", "accepted", "0", "1");
	set_ms(ROW "between", "ta", now - 30000);
	step("held", "submitted", "1", "held", "0", "1");
	set_ms(ROW "again", "ta", now - 70000); /* of an attempt before this one */
	started("gateway-1", now - 90000, now - 100000);
	assert_int_equal(command("ZCARD", BASE "sms:twice")->integer, 0);
	started("gateway-1", now - 20000, now - 40000);
	assert_string_equal(field("waits", "tw"), "restart");
	assert_string_equal(field("later", "tw"), "restart");
	assert_string_equal(field("again", "tw"), "restart");
	assert_string_equal(field("between", "tw"), "restart"); /* there may have been two starts */
	assert_int_equal(command("ZCARD", BASE "sms:twice")->integer, 4);
	command("DEL", BASE "sms:twice");
	command("HDEL", ROW "waits", "tw");
	started("gateway-1", now - 21000, now - 40000); /* the same start */
	started("gateway-1", now - 19000, now - 40000);
	assert_int_equal(command("ZCARD", BASE "sms:twice")->integer, 0);
	started("gateway-1", now - 18000, now - 19500); /* two seconds later it started again */
	assert_string_equal(field("waits", "tw"), "restart");
}

static void a_day_of_texts_is_looked_at_page_by_page(void **state)
{
	char place[32];

	(void)state;
	sent_once("u1");
	command("HSET", ROW "u1", "g", "gateway-1");
	command("DEL", BASE "sms:sent");
	command("ZADD", BASE "sms:sent", "1000", "mark mark u1 1");
	for (int i = 0; i < 500; i++) {
		snprintf(place, sizeof place, "mark mark n%d 1", i);
		command("ZADD", BASE "sms:sent", "2000", place);
	}
	assert_number(fenced("started", "gateway-1", "99999", "0", "0", "1000"), 500);
	assert_string_equal(field("u1", "tw"), "");
	assert_number(fenced("started", "gateway-1", "99999", "0", "500", "1000"), 0);
	assert_string_equal(field("u1", "tw"), "restart");
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
		cmocka_unit_test_setup(
			receipts_of_two_texts_are_named_and_told_and_one_twice_is_not, set_up),
		cmocka_unit_test_setup(two_attempts_are_two_texts_unless_one_failed, set_up),
		cmocka_unit_test_setup(
			what_is_sent_again_by_policy_may_be_twice_and_better_knowledge_stays,
			set_up),
		cmocka_unit_test_setup(a_start_of_a_gateway_names_what_it_had_and_the_carrier_not,
				       set_up),
		cmocka_unit_test_setup(a_day_of_texts_is_looked_at_page_by_page, set_up),
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
		cmocka_unit_test_setup(a_document_that_waits_or_was_released_does_not_fill_the_hour,
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
