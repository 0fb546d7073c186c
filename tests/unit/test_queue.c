/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of events: publish, take back, schedule, adopt, quarantine. */
#include "queue_fixture.h"

static const char *const channels[] = {"public", "private", "public-now", "private-now"};

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

static long long release(const char *max)
{
	return call("release", max)->element[0]->integer;
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

/* ---- bytes that are no event ---- */

struct raw {
	uint8_t p[20000];
	size_t len;
};

static void put(struct raw *r, const void *bytes, size_t len)
{
	memcpy(r->p + r->len, bytes, len);
	r->len += len;
}

static void put_str(struct raw *r, const char *s)
{
	uint8_t head = (uint8_t)(0xa0 + strlen(s));

	put(r, &head, 1);
	put(r, s, strlen(s));
}

/* A map of uid, type, org and one more pair, which may take another's place: the last of two equal
 * keys counts. */
static struct raw with(const char *key, const char *value, size_t value_len)
{
	static const char *const pairs[][2] = {{"uid", "a"}, {"type", "award"}, {"org", GUSU}};
	struct raw r = {.len = 0};

	put(&r, "\x84", 1);
	for (size_t i = 0; i < 3; i++) {
		put_str(&r, pairs[i][0]);
		put_str(&r, pairs[i][1]);
	}
	put_str(&r, key);
	put(&r, value, value_len);
	return r;
}

static void refused(struct raw r, const char *why)
{
	char error[96];

	snprintf(error, sizeof error, "DIBAO_INVALID %s", why);
	assert_error(call_bytes("dibao_publish", NULL, (struct bytes){r.p, r.len}), error);
}

#define WITH(key, value) with(key, value, sizeof(value) - 1)

static void bytes_that_are_no_event_are_refused_by_the_field(void **state)
{
	struct raw r = {.len = 0};

	(void)state;
	r = WITH("x", "\xc0");
	publish_bytes((struct bytes){r.p, r.len}, "new"); /* the rest differ from it by one thing */
	command("FLUSHALL");
	refused((struct raw){.len = 0}, "not a msgpack map");
	refused((struct raw){.p = "\xc1", .len = 1}, "not a msgpack map");
	refused((struct raw){.p = "\x93\x01\x02\x03", .len = 4}, "uid");
	refused((struct raw){.p = "\xdf\xff\xff\xff\xff\xa1", .len = 6}, "not a msgpack map");
	refused((struct raw){.p = "\x81\xa3uid\xdb\xff\xff\xff\xff", .len = 10},
		"not a msgpack map");
	memset(r.p, 0x91, 16384);
	r.len = 16384;
	refused(r, "not a msgpack map");
	memset(r.p, 0x81, 16384);
	refused(r, "not a msgpack map");
	r.len = 16385;
	refused(r, "over 16384 bytes");
	r = WITH("x", "\xc0");
	put(&r, "x", 1);
	refused(r, "not a msgpack map");
	r = WITH("x", "\xc4\x01z");
	put(&r, "x", 1);
	refused(r, "not a msgpack map");
	r = WITH("x", "\xc4\x01z");
	r.len--;
	refused(r, "not a msgpack map");
	refused(WITH("uid", "\xa0"), "uid");
	refused(WITH("uid", "\x01"), "uid");
	refused(WITH("uid", "\xd9\x41"
			    "00000000000000000000000000000000000000000000000000000000000000000"),
		"uid");
	refused(WITH("type", "\xa0"), "type");
	refused(WITH("type", "\xa3"
			     "a b"),
		"type");
	refused(WITH("org", "\xab"
			    "32050800000"),
		"org");
	refused(WITH("org", "\xac"
			    "32050800000x"),
		"org");
	refused(WITH("private", "\x01"), "private");
	refused(WITH("private", "\xa4true"), "private");
	refused(WITH("urgent", "\x01"), "urgent");
	refused(WITH("retracts", "\xa0"), "retracts");
	refused(WITH("corrects", "\x01"), "corrects");
	refused(WITH("not_before", "\xa1"
				   "1"),
		"not_before");
	refused(WITH("not_before", "\xff"), "not_before");
	refused(WITH("not_before", "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), "not_before");
	refused(WITH("not_before", "\xcb\x7f\xf0\0\0\0\0\0\0"), "not_before");
	refused(WITH("not_before", "\xcb\x7f\xf8\0\0\0\0\0\0"), "not_before");
	refused(WITH("retracts", "\xa1"
				 "a"),
		"an event cannot take itself back");
	assert_number(command("DBSIZE"), 0);
}

static void an_event_with_binary_in_it_is_read_too(void **state)
{
	struct sample s = {
		.uid = "a", .type = "penalty", .trace = "000102030405060708090a0b0c0d0e0f"};

	(void)state;
	s.not_before = redis_ms() + 3600000;
	publish(s, "scheduled");
	assert_string_equal(got_channel, "private");
	assert_string_equal(record("a", "o"), GUSU);
	assert_string_equal(record("a", "b"), "A1");
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
	assert_text(call("adopt", "public-now", id), "ok");
	assert_text(command_on(other, "FCALL", "dibao_adopt", "1", BASE, "public-now", id, NULL),
		    "ok");
	assert_text(call("adopt", "public-now", id), "ok");
	assert_string_equal(record("c", "i"), id);
	assert_string_equal(record("c", "s"), "stored");
	assert_string_equal(record("a", "w"), "1");
	assert_int_equal(length_of("public-now"), 2);
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
	assert_text(call("adopt", "public", first), "ok");
	assert_text(call("adopt", "public", id), "repeat");
	assert_text(call("adopt", "public", id), "gone");
	assert_int_equal(length_of("public"), 1);
	assert_string_equal(record("a", "i"), first);
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
	assert_text(call("adopt", "public", id), "ok");
	assert_string_equal(record("a", "s"), "stored");
	assert_string_equal(record("a", "i"), id);
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

/* ---- rights, loading, connecting ---- */

static void a_publisher_without_the_right_to_read_channels_can_publish(void **state)
{
	redisContext *c = connect_to(&server);

	(void)state;
	/* The rights that dibao-queue(7) gives. */
	command("ACL", "SETUSER", "hr", "reset", "on", ">secret", "~" BASE, "%RW~" BASE "uid:*",
		"%RW~" BASE "scheduled", "%RW~" BASE "withdrawn", "%RW~" BASE "shown:*", "+fcall",
		"+time", "+hgetall", "+hset", "+hdel", "+del", "+pexpire", "+sadd", "+zadd",
		"+zrem",
		"(%W~" BASE "public %W~" BASE "private %W~" BASE "public-now %W~" BASE
		"private-now +xadd)");
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
	const struct CMUnitTest queue[] = {
		T(an_event_is_stored_in_the_channel_of_its_audience),
		T(the_same_bytes_again_are_a_repeat_that_names_the_first_entry),
		T(other_bytes_under_a_uid_are_a_conflict_and_change_nothing),
		T(an_event_with_a_date_ahead_waits_for_it),
		T(a_date_that_has_passed_does_not_hold_an_event_back),
		T(release_takes_no_more_at_once_than_it_is_told),
		T(a_cancelled_event_is_never_sent),
		T(bytes_that_are_no_event_are_refused_by_the_field),
		T(an_event_with_binary_in_it_is_read_too),
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
		T(hiding_a_person_is_told_in_the_public_channel_alone),
		T(a_publisher_without_the_right_to_read_channels_can_publish),
		T(a_public_reader_cannot_read_what_is_private),
		T(functions_are_loaded_once_and_for_all_and_their_version_is_checked),
		T(a_connection_says_why_it_cannot_be_made),
		T(keys_are_of_one_bureau),
	};

	return cmocka_run_group_tests(queue, start_redis, stop_redis);
}
