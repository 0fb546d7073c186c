/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of events: publish, take back, schedule. */
#include "queue_fixture.h"

static void an_event_is_stored_in_the_channel_of_its_audience(void **state)
{
	static const struct {
		struct sample s;
		const char *channel;
	} rows[] = {
		{{.uid = "1"}, "public"},
		{{.uid = "2", .is_private = true}, "private"},
		{{.uid = "3", .urgent = true}, "public-now"},
		{{.uid = "4", .type = "penalty"}, "private"},
		{{.uid = "5", .type = "penalty", .urgent = true}, "private-now"},
		{{.uid = "6", .type = "training"}, "private"},
		{{.uid = "7", .is_private = true, .urgent = true}, "private-now"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct bytes b = event_of(rows[i].s);

		publish_bytes(b, "new");
		assert_string_equal(got_channel, rows[i].channel);
		assert_memory_equal(newest(got_channel, "e"), b.p, b.len);
		assert_string_equal(newest(got_channel, "f"), "1");
		assert_string_equal(record(rows[i].s.uid, "s"), "stored");
		assert_string_equal(record(rows[i].s.uid, "c"), got_channel);
		assert_string_equal(record(rows[i].s.uid, "i"), got_id);
	}
	assert_int_equal(entries_in_channels(), sizeof rows / sizeof rows[0]);
}

static void the_same_bytes_again_are_a_repeat_that_names_the_first_entry(void **state)
{
	char first[64];

	(void)state;
	publish((struct sample){.uid = "a"}, "new");
	snprintf(first, sizeof first, "%s", got_id);
	publish((struct sample){.uid = "a"}, "repeat");
	assert_string_equal(got_id, first);
	assert_string_equal(got_channel, "public");
	assert_int_equal(entries_in_channels(), 1);
}

static void other_bytes_under_a_uid_are_a_conflict_and_change_nothing(void **state)
{
	char hash[64];

	(void)state;
	publish((struct sample){.uid = "a"}, "new");
	snprintf(hash, sizeof hash, "%s", record("a", "h"));
	publish((struct sample){.uid = "a", .org = WUZHONG}, "conflict");
	assert_string_equal(got_channel, "public");
	assert_string_equal(record("a", "h"), hash);
	assert_string_equal(record("a", "o"), GUSU);
	assert_int_equal(entries_in_channels(), 1);
}

static void an_event_with_a_date_ahead_waits_for_it(void **state)
{
	int64_t due = redis_ms() + 300;
	struct sample s = {.uid = "a", .type = "penalty", .not_before = due};
	redisReply *r;

	(void)state;
	publish(s, "scheduled");
	assert_string_equal(got_channel, "private");
	assert_string_equal(got_id, "");
	publish(s, "repeat");
	r = call("release", "10");
	assert_array(r, 3);
	assert_number(r->element[0], 0);
	assert_number(r->element[1], due);
	assert_int_equal(entries_in_channels(), 0);
	wait_until(release("10") == 1);
	assert_true(redis_ms() >= due);
	assert_int_equal(length_of("private"), 1);
	assert_string_equal(record("a", "s"), "stored");
	assert_string_equal(record("a", "e"), "");
	assert_string_not_equal(record("a", "i"), "");
	assert_number(call("release", "10")->element[1], -1);
	publish(s, "repeat");
	assert_int_equal(entries_in_channels(), 1);
}

static void a_date_that_has_passed_does_not_hold_an_event_back(void **state)
{
	(void)state;
	publish((struct sample){.uid = "a", .not_before = redis_ms()}, "new");
}

static void release_takes_no_more_at_once_than_it_is_told(void **state)
{
	int64_t due = redis_ms() + 300;

	(void)state;
	for (int i = 0; i < 5; i++) {
		char uid[8];

		snprintf(uid, sizeof uid, "u%d", i);
		publish((struct sample){.uid = uid, .not_before = due}, "scheduled");
	}
	wait_until(redis_ms() > due);
	assert_int_equal(release("2"), 2);
	assert_int_equal(release("2"), 2);
	assert_int_equal(release("2"), 1);
	assert_int_equal(release("2"), 0);
	assert_int_equal(length_of("public"), 5);
}

static void a_cancelled_event_is_never_sent(void **state)
{
	struct sample s = {.uid = "a", .not_before = redis_ms() + 200};
	int64_t due = s.not_before;

	(void)state;
	publish(s, "scheduled");
	assert_number(call("cancel", "a"), 1);
	assert_number(command("ZCARD", BASE "scheduled"), 0);
	assert_number(call("cancel", "a"), 0);
	assert_number(call("cancel", "unknown"), 0);
	publish(s, "repeat");
	wait_until(redis_ms() > due);
	assert_int_equal(release("10"), 0);
	assert_int_equal(entries_in_channels(), 0);
	publish((struct sample){.uid = "b"}, "new");
	assert_number(call("cancel", "b"), 0);
	assert_true(command("PTTL", BASE "uid:a")->integer > 0);
	assert_number(command("PTTL", BASE "uid:b"), -1);
}

/* ---- taking back ---- */

static void a_retraction_tells_by_the_originals_type_and_organisation(void **state)
{
	(void)state;
	publish((struct sample){.uid = "a"}, "new");
	publish((struct sample){.uid = "r", .org = WUZHONG, .retracts = "a"}, "new");
	assert_string_equal(got_channel, "public-now");
	assert_int_equal(length_of("public-now"), 1);
	assert_string_equal(newest("public-now", "w"), "award " GUSU " a");
	assert_string_not_equal(newest("public-now", "e"), "");
	assert_string_equal(record("a", "w"), "1");
	assert_string_equal(record("a", "y"), "r");
	assert_string_equal(record("r", "w"), "");
	assert_string_not_equal(command("ZSCORE", BASE "withdrawn", "a")->str, "");
	assert_int_equal(entries_in_channels(), 2);
	publish((struct sample){.uid = "r", .org = WUZHONG, .retracts = "a"}, "repeat");
	assert_int_equal(entries_in_channels(), 2);
}

static void a_correction_to_another_organisation_is_one_entry_with_both(void **state)
{
	(void)state;
	publish((struct sample){.uid = "a", .type = "penalty", .org = GUSU}, "new");
	publish((struct sample){.uid = "c", .type = "penalty", .org = WUZHONG, .corrects = "a"},
		"new");
	assert_string_equal(got_channel, "private-now");
	assert_string_equal(newest("private-now", "w"), "penalty " GUSU " a");
	assert_string_equal(record("c", "o"), WUZHONG);
	assert_int_equal(length_of("private-now"), 1);
	assert_int_equal(length_of("public") + length_of("public-now"), 0);
}

static void a_correction_from_public_to_private_takes_back_in_public_and_tells_no_more(void **state)
{
	(void)state;
	publish((struct sample){.uid = "a"}, "new");
	publish((struct sample){.uid = "c", .is_private = true, .corrects = "a"}, "new");
	assert_string_equal(got_channel, "private-now");
	assert_string_equal(newest("private-now", "w"), "");
	assert_int_equal(length_of("private-now"), 1);
	assert_string_equal(newest("public-now", "w"), "award " GUSU " a");
	assert_string_equal(newest("public-now", "e"), "");
	assert_int_equal(length_of("public-now"), 1);
}

static void a_correction_from_private_to_public_takes_back_in_private(void **state)
{
	(void)state;
	publish((struct sample){.uid = "a", .is_private = true}, "new");
	publish((struct sample){.uid = "c", .corrects = "a"}, "new");
	assert_string_equal(got_channel, "public-now");
	assert_string_equal(newest("public-now", "w"), "");
	assert_string_equal(newest("private-now", "w"), "award " GUSU " a");
	assert_string_equal(newest("private-now", "e"), "");
	assert_int_equal(entries_in_channels(), 3);
}

static void retracting_a_scheduled_event_cancels_it_and_is_heard_by_nobody(void **state)
{
	int64_t due = redis_ms() + 200;

	(void)state;
	publish((struct sample){.uid = "a", .type = "penalty", .not_before = due}, "scheduled");
	publish((struct sample){.uid = "r", .type = "penalty", .retracts = "a"}, "new");
	assert_string_equal(got_channel, "");
	assert_string_equal(record("a", "s"), "cancelled");
	assert_string_equal(record("a", "e"), "");
	publish((struct sample){.uid = "r", .type = "penalty", .retracts = "a"}, "repeat");
	/* Nor is taking that back, in any channel: it would tell of a private event in a public
	 * one. */
	publish((struct sample){.uid = "rr", .type = "penalty", .retracts = "r"}, "new");
	assert_string_equal(got_channel, "");
	wait_until(redis_ms() > due);
	assert_int_equal(release("10"), 0);
	assert_int_equal(entries_in_channels(), 0);
	assert_number(command("ZCARD", BASE "withdrawn"), 0);
	assert_true(command("PTTL", BASE "uid:r")->integer > 0);
}

static void correcting_a_scheduled_event_takes_its_place(void **state)
{
	int64_t due = redis_ms() + 200;

	(void)state;
	publish((struct sample){.uid = "a", .not_before = due}, "scheduled");
	publish((struct sample){.uid = "c", .corrects = "a"}, "new");
	assert_string_equal(got_channel, "public-now");
	assert_string_equal(newest("public-now", "w"), "");
	assert_string_equal(record("a", "s"), "cancelled");
	wait_until(redis_ms() > due);
	assert_int_equal(release("10"), 0);
	assert_int_equal(entries_in_channels(), 1);
}

static void a_correction_with_a_date_replaces_the_scheduled_original_at_once(void **state)
{
	int64_t due = redis_ms() + 200;

	(void)state;
	/* Of one date: in the order of their uids the original would go first. */
	publish((struct sample){.uid = "a", .not_before = due}, "scheduled");
	publish((struct sample){.uid = "c", .not_before = due, .corrects = "a"}, "scheduled");
	assert_string_equal(record("a", "s"), "cancelled");
	wait_until(release("10") == 1);
	assert_int_equal(entries_in_channels(), 1);
	assert_string_equal(record("c", "c"), "public-now");
	assert_string_equal(newest("public-now", "w"), "");
}

static void a_retraction_with_a_date_takes_back_in_its_time(void **state)
{
	(void)state;
	publish((struct sample){.uid = "a"}, "new");
	publish((struct sample){.uid = "r", .retracts = "a", .not_before = redis_ms() + 200},
		"scheduled");
	assert_string_equal(record("a", "w"), "");
	wait_until(release("10") == 1);
	assert_string_equal(record("a", "w"), "1");
	assert_string_equal(newest("public-now", "w"), "award " GUSU " a");
}

static void an_event_of_another_person_cannot_be_taken_back(void **state)
{
	(void)state;
	publish((struct sample){.uid = "a", .badge = "A1"}, "new");
	publish_fails((struct sample){.uid = "r", .badge = "B2", .retracts = "a"}, "DIBAO_PERSON");
	publish_fails((struct sample){.uid = "r", .badge = "B2", .corrects = "a"}, "DIBAO_PERSON");
	assert_string_equal(record("a", "w"), "");
	assert_number(command("EXISTS", BASE "uid:r"), 0);
	assert_int_equal(entries_in_channels(), 1);
}

static void an_unknown_event_cannot_be_taken_back(void **state)
{
	(void)state;
	publish_fails((struct sample){.uid = "r", .retracts = "none"}, "DIBAO_NOREF");
	publish_fails((struct sample){.uid = "r", .corrects = "none"}, "DIBAO_NOREF");
	assert_number(command("EXISTS", BASE "uid:r"), 0);
}

/* ---- hiding ---- */

static void hiding_a_person_is_told_in_the_public_channel_alone(void **state)
{
	(void)state;
	assert_int_equal(call("hide", "A1", "0")->type, REDIS_REPLY_STRING);
	assert_string_equal(field_of("hidden", "A1"), "0");
	assert_string_equal(newest("public-now", "x"), "A1 0");
	assert_string_equal(newest("public-now", "f"), "1");
	assert_int_equal(call("unhide", "A1")->type, REDIS_REPLY_STRING);
	assert_string_equal(newest("public-now", "x"), "A1 -1");
	assert_string_equal(field_of("hidden", "A1"), "");
	assert_text(call("unhide", "A1"), "");
	assert_error(call("hide", "A 1", "0"), "DIBAO_INVALID");
	assert_error(call("hide", "A1", " 0x10 "), "DIBAO_INVALID");
	assert_error(call("hide", "", "0"), "DIBAO_INVALID");
	assert_int_equal(entries_in_channels(), 2);
}

#define T(f) cmocka_unit_test_setup(f, empty_redis)

int main(void)
{
	const struct CMUnitTest queue[] = {
		T(an_event_is_stored_in_the_channel_of_its_audience),
		T(the_same_bytes_again_are_a_repeat_that_names_the_first_entry),
		T(other_bytes_under_a_uid_are_a_conflict_and_change_nothing),
		T(an_event_with_a_date_ahead_waits_for_it),
		T(a_date_that_has_passed_does_not_hold_an_event_back),
		T(release_takes_no_more_at_once_than_it_is_told),
		T(a_cancelled_event_is_never_sent),
		T(a_retraction_tells_by_the_originals_type_and_organisation),
		T(a_correction_to_another_organisation_is_one_entry_with_both),
		T(a_correction_from_public_to_private_takes_back_in_public_and_tells_no_more),
		T(a_correction_from_private_to_public_takes_back_in_private),
		T(retracting_a_scheduled_event_cancels_it_and_is_heard_by_nobody),
		T(correcting_a_scheduled_event_takes_its_place),
		T(a_correction_with_a_date_replaces_the_scheduled_original_at_once),
		T(a_retraction_with_a_date_takes_back_in_its_time),
		T(an_event_of_another_person_cannot_be_taken_back),
		T(an_unknown_event_cannot_be_taken_back),
		T(hiding_a_person_is_told_in_the_public_channel_alone),
	};

	return cmocka_run_group_tests(queue, start_redis, stop_redis);
}
