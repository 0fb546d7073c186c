/* SPDX-License-Identifier: Apache-2.0 */
/* Entries that no function wrote, and what is set aside. */
#include "queue_fixture.h"

/* ---- quarantine ---- */

static void a_quarantined_uid_may_come_again_with_other_bytes(void **state)
{
	struct bytes b = event_of((struct sample){.uid = "a"});

	(void)state;
	publish_bytes(b, "new");
	assert_number(call("quarantine", "public", got_id, "body.kind: missing"), 1);
	assert_number(call("quarantine", "public", got_id, "body.kind: missing"), 0);
	assert_int_equal(length_of("public"), 0);
	assert_int_equal(length_of("quarantine"), 1);
	assert_string_equal(newest("quarantine", "channel"), "public");
	assert_string_equal(newest("quarantine", "id"), got_id);
	assert_string_equal(newest("quarantine", "reason"), "body.kind: missing");
	assert_memory_equal(newest("quarantine", "e"), b.p, b.len);
	assert_string_equal(record("a", "s"), "quarantined");
	publish_fails((struct sample){.uid = "r", .retracts = "a"}, "DIBAO_NOREF");
	publish((struct sample){.uid = "a", .org = WUZHONG}, "new");
	assert_string_equal(record("a", "o"), WUZHONG);
	assert_number(command("PTTL", BASE "uid:a"), -1);
	publish((struct sample){.uid = "a"}, "conflict");
}

static void quarantining_one_entry_leaves_the_record_of_another_alone(void **state)
{
	char id[64];

	(void)state;
	publish((struct sample){.uid = "a"}, "new");
	add_by_hand("private", event_of((struct sample){.uid = "a"}), id);
	assert_number(call("quarantine", "private", id, "another audience"), 1);
	assert_string_equal(record("a", "s"), "stored");
	add_by_hand("private", (struct bytes){(const uint8_t *)"junk", 4}, id);
	assert_number(call("quarantine", "private", id, "not msgpack"), 1);
	assert_error(call("quarantine", "receipts", id, "x"), "DIBAO_INVALID");
}

static void a_quarantined_entry_is_tried_again_or_dropped(void **state)
{
	char id[64], again[64];
	redisReply *r;

	(void)state;
	add_by_hand("private", event_of((struct sample){.uid = "a"}), id);
	assert_text(call("adopt", "private", id), "quarantined");
	r = command("XRANGE", BASE "quarantine", "-", "+");
	snprintf(again, sizeof again, "%s", r->element[0]->element[0]->str);
	assert_text(call("retry", again), "new");
	assert_string_equal(record("a", "c"), "public");
	assert_text(call("retry", again), "gone");
	assert_int_equal(length_of("quarantine"), 0);

	add_by_hand("public", event_of((struct sample){.uid = "a", .org = WUZHONG}), id);
	assert_text(call("adopt", "public", id), "quarantined");
	r = command("XRANGE", BASE "quarantine", "-", "+");
	snprintf(again, sizeof again, "%s", r->element[0]->element[0]->str);
	assert_text(call("retry", again), "conflict");
	assert_int_equal(length_of("quarantine"), 1);
	assert_number(call("drop", again), 1);
	assert_number(call("drop", again), 0);
}

/* ---- entries added by hand ---- */

static void an_entry_added_by_hand_is_registered_once_by_any_number_of_daemons(void **state)
{
	redisContext *other = connect_to(&server);
	char id[64];

	(void)state;
	publish((struct sample){.uid = "a"}, "new");
	add_by_hand("public-now", event_of((struct sample){.uid = "c", .corrects = "a"}), id);
	assert_text(call("adopt", "public-now", id), "moved");
	assert_text(command_on(other, "FCALL", "dibao_adopt", "1", BASE, "public-now", id, NULL),
		    "gone");
	assert_text(call("adopt", "public-now", id), "gone");
	assert_string_not_equal(record("c", "i"), id);
	assert_string_equal(newest("public-now", "f"), "1");
	assert_string_equal(record("c", "s"), "stored");
	assert_string_equal(record("a", "w"), "1");
	assert_int_equal(length_of("public-now"), 1);
	assert_string_equal(newest("public-now", "w"), "award " GUSU " a");
	publish((struct sample){.uid = "c", .corrects = "a"}, "repeat");
	redisFree(other);
}

static void an_entry_of_a_function_needs_no_adoption(void **state)
{
	char id[64];

	(void)state;
	publish((struct sample){.uid = "a"}, "new");
	snprintf(id, sizeof id, "%s", got_id);
	assert_text(call("adopt", "public", id), "ok");
	assert_text(call("adopt", "public", "1-1"), "gone");
	assert_error(call("adopt", "quarantine", "1-1"), "DIBAO_INVALID");
}

static void a_double_added_by_hand_is_removed(void **state)
{
	char first[64], id[64];

	(void)state;
	add_by_hand("public", event_of((struct sample){.uid = "a"}), first);
	add_by_hand("public", event_of((struct sample){.uid = "a"}), id);
	assert_text(call("adopt", "public", first), "moved");
	assert_text(call("adopt", "public", id), "repeat");
	assert_text(call("adopt", "public", id), "gone");
	assert_int_equal(length_of("public"), 1);
	assert_string_equal(newest("public", "f"), "1");
}

static void what_is_wrong_with_an_entry_added_by_hand_ends_in_the_quarantine(void **state)
{
	char uid[65] = "", id[64];
	const struct {
		const char *channel;
		struct sample s;
		const char *reason;
	} rows[] = {
		{"public", {.uid = "known", .org = WUZHONG}, "uid was published before"},
		{"public", {.uid = "1", .type = "penalty"}, "stands in the channel of another"},
		{"public-now",
		 {.uid = "2", .is_private = true},
		 "stands in the channel of another"},
		{"private", {.uid = "3"}, "stands in the channel of another"},
		{"public", {.uid = "4", .retracts = "none"}, "DIBAO_NOREF"},
		{"public", {.uid = "5", .retracts = "known", .badge = "B2"}, "DIBAO_PERSON"},
	};

	(void)state;
	publish((struct sample){.uid = "known"}, "new");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		add_by_hand(rows[i].channel, event_of(rows[i].s), id);
		assert_text(call("adopt", rows[i].channel, id), "quarantined");
		assert_text(call("adopt", rows[i].channel, id), "gone");
		snprintf(uid, sizeof uid, "%s", newest("quarantine", "reason"));
		if (strncmp(uid, rows[i].reason, strlen(rows[i].reason)) != 0)
			fail_msg("row %zu: %s", i, uid);
		assert_string_equal(newest("quarantine", "id"), id);
	}
	add_by_hand("public", (struct bytes){(const uint8_t *)"\xc1", 1}, id);
	assert_text(call("adopt", "public", id), "quarantined");
	assert_int_equal(entries_in_channels(), 1);
	assert_string_equal(record("known", "w"), "");
}

static void an_entry_added_by_hand_with_a_date_ahead_moves_to_the_schedule(void **state)
{
	char id[64];
	struct sample s = {.uid = "a", .not_before = redis_ms() + 200};

	(void)state;
	add_by_hand("public", event_of(s), id);
	assert_text(call("adopt", "public", id), "scheduled");
	assert_text(call("adopt", "public", id), "gone");
	assert_int_equal(entries_in_channels(), 0);
	add_by_hand("public", event_of(s), id);
	assert_text(call("adopt", "public", id), "repeat");
	wait_until(release("10") == 1);
	assert_int_equal(length_of("public"), 1);
}

static void a_retraction_by_hand_of_a_scheduled_event_is_heard_by_nobody(void **state)
{
	char id[64];

	(void)state;
	publish((struct sample){.uid = "a", .not_before = redis_ms() + 3600000}, "scheduled");
	add_by_hand("public-now", event_of((struct sample){.uid = "r", .retracts = "a"}), id);
	assert_text(call("adopt", "public-now", id), "gone");
	assert_string_equal(record("a", "s"), "cancelled");
	assert_string_equal(record("r", "s"), "stored");
	assert_int_equal(entries_in_channels(), 0);
}

static void a_quarantined_uid_may_come_again_by_hand(void **state)
{
	char id[64];

	(void)state;
	publish((struct sample){.uid = "a"}, "new");
	call("quarantine", "public", got_id, "x");
	add_by_hand("public", event_of((struct sample){.uid = "a"}), id);
	assert_text(call("adopt", "public", id), "moved");
	assert_string_equal(record("a", "s"), "stored");
	assert_int_equal(length_of("public"), 1);
}

#define T(f) cmocka_unit_test_setup(f, empty_redis)

int main(void)
{
	const struct CMUnitTest adopt[] = {
		T(a_quarantined_uid_may_come_again_with_other_bytes),
		T(quarantining_one_entry_leaves_the_record_of_another_alone),
		T(a_quarantined_entry_is_tried_again_or_dropped),
		T(an_entry_added_by_hand_is_registered_once_by_any_number_of_daemons),
		T(an_entry_of_a_function_needs_no_adoption),
		T(a_double_added_by_hand_is_removed),
		T(what_is_wrong_with_an_entry_added_by_hand_ends_in_the_quarantine),
		T(an_entry_added_by_hand_with_a_date_ahead_moves_to_the_schedule),
		T(a_retraction_by_hand_of_a_scheduled_event_is_heard_by_nobody),
		T(a_quarantined_uid_may_come_again_by_hand),
	};

	return cmocka_run_group_tests(adopt, start_redis, stop_redis);
}
