/* SPDX-License-Identifier: Apache-2.0 */
/* The ring. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "history_fixture.h"

static void what_is_appended_is_found_from_any_place_in_order(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 20; i++) {
		append(f, PUB, 7);
	}
	for (uint64_t after = 0; after <= 140; after++) {
		assert_int_equal(walk(f, after), 140);
	}
	assert_int_equal(history_tail(f->history, PUB).ms, 140);
	assert_int_equal(history_tail(f->history, PRIV).ms, 0);
}

static void a_record_holds_what_its_entry_held(void **state)
{
	struct fixture *f = *state;
	struct entry e = make_entry((struct sample){
		.ms = 1, .type = "penalty", .w_type = "award", .w_org = WUZHONG, .w_uid = "old"});
	struct segment *s;
	const struct record *r;
	uint32_t first;

	assert_int_equal(history_append(f->history, PRIV, &e, 1, e.id, &s, &first), 0);
	r = &s->records[first];
	assert_int_equal(r->flags, RECORD_EVENT | RECORD_WITHDRAWAL | RECORD_PRIVATE);
	assert_int_equal(r->len, e.ev.len);
	assert_memory_equal(record_bytes(s, r), e.ev.bytes, e.ev.len);
	assert_memory_equal(r->org, GUSU, DIBAO_ORG_BYTES);
	assert_memory_equal(r->w_org, WUZHONG, DIBAO_ORG_BYTES);
	assert_int_equal(r->type, dibao_type_find("penalty", 7));
	assert_int_equal(r->w_type, dibao_type_find("award", 5));
	assert_int_equal(r->uid_hash, withdrawn_hash(&f->withdrawn, "u1", 2));
	assert_int_equal(record_w_type(s, r).len, 5);
	assert_memory_equal(record_w_type(s, r).p, "award", 5);
	assert_int_equal(record_w_uid(s, r).len, 3);
	assert_memory_equal(record_w_uid(s, r).p, "old", 3);
	e = make_entry((struct sample){.ms = 2, .type = "of_tomorrow", .hidden = "F0001 0"});
	assert_int_equal(history_append(f->history, PRIV, &e, 1, e.id, &s, &first), 0);
	assert_int_equal(s->records[first].type, DIBAO_TYPE_UNKNOWN);
	assert_int_equal(s->records[first].flags, RECORD_EVENT | RECORD_PRIVATE | RECORD_HIDING);
}

static void an_append_of_nothing_moves_the_tail(void **state)
{
	struct fixture *f = *state;
	struct segment *s;
	uint32_t first;

	append(f, PUB, 1);
	assert_int_equal(
		history_append(f->history, PUB, NULL, 0, (struct entry_id){9, 0}, &s, &first), 0);
	assert_int_equal(history_tail(f->history, PUB).ms, 9);
	assert_int_equal(find(f, 1, &s, &first), HISTORY_HERE);
	assert_int_equal(first, s->n);
	assert_int_equal(find(f, 9, &s, &first), HISTORY_AT_TAIL);
}

static void a_segment_is_closed_before_it_is_longer_than_a_frame_holds(void **state)
{
	enum { FIT = HISTORY_SEGMENT_BYTES / ONE_BYTES };
	struct fixture *f = *state;
	struct segment *s = append(f, PUB, 1), *next;

	for (int i = 1; i < FIT; i++) {
		assert_ptr_equal(append(f, PUB, 1), s);
	}
	assert_int_equal(s->len, FIT * ONE_BYTES);
	next = append(f, PUB, 1);
	assert_ptr_equal(s->next, next);
	assert_int_equal(s->len, FIT * ONE_BYTES);
	assert_int_equal(entry_id_cmp(s->to, next->from), 0);
}

static void one_append_is_never_parted(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 30; i++) {
		uint64_t before = f->ms;
		struct segment *s = append(f, PUB, 50);

		assert_int_equal(s->records[s->n - 50].id.ms, before + 1);
		assert_int_equal(s->records[s->n - 1].id.ms, before + 50);
	}
}

static void a_full_segment_gives_its_spare_room_back(void **state)
{
	struct fixture *f = *state;
	size_t bytes = 0;
	unsigned n = 0;

	for (int i = 0; i < 200; i++)
		append(f, PUB, 35);
	for (const struct segment *s = history_ring(f->history, PUB); s; s = s->next, n++) {
		bytes += s->bytes_cap + s->cap * sizeof *s->records;
		if (s->next) {
			assert_int_equal(s->cap, s->n);
			assert_int_equal(s->bytes_cap, s->len);
		}
	}
	assert_in_range(n, 3, 10);
	assert_int_equal(history_counters(f->history)->ring_bytes, bytes);
}

static void the_ring_keeps_to_its_bytes_and_what_is_left_is_the_newest(void **state)
{
	struct fixture *f = *state;
	const struct history_counters *c = history_counters(f->history);
	struct segment *s;
	uint32_t first;
	uint64_t oldest;

	for (int i = 0; i < 200; i++) {
		append(f, PUB, 50);
		assert_in_range(c->ring_bytes, 1, MIB);
	}
	oldest = history_oldest(f->history, PUB).ms;
	assert_in_range(oldest, 1, f->ms - 400); /* less than 400 KiB would be too few */
	assert_int_equal(c->n_records, f->ms - oldest);
	assert_int_equal(walk(f, oldest), f->ms);
	assert_int_equal(history_ring(f->history, PUB)->from.ms, oldest);
	/* What follows one earlier is not here, and nobody is connected to read it. */
	connect_to(f, "unix:/nonexistent/socket");
	history_free(f->history);
	make_history(f, MIB, MIB);
	history_reset(f->history, (struct entry_id[DIBAO_CHANNEL_COUNT]){{oldest, 0}});
	assert_int_equal(find(f, oldest - 1, &s, &first), HISTORY_DOWN);
}

static void the_oldest_goes_first_whichever_channel_holds_it(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 6; i++) {
		append(f, PRIV, 64);
	}
	for (int i = 0; i < 40; i++) {
		append(f, PUB, 64);
	}
	/* Only the segment that is open is left of it. */
	assert_ptr_equal(history_ring(f->history, PRIV)->next, NULL);
	assert_true(history_ring(f->history, PRIV)->n > 0);
	assert_true(history_ring(f->history, PUB)->next != NULL);
}

static void the_open_segments_stay_however_small_the_ring(void **state)
{
	struct fixture *f = *state;

	history_set_limits(f->history, 0, 0);
	for (int i = 0; i < 20; i++) {
		append(f, PUB, 50);
		append(f, PRIV, 50);
		assert_null(history_ring(f->history, PUB)->next);
	}
	assert_true(history_ring(f->history, PUB)->n > 0);
	assert_true(history_ring(f->history, PRIV)->n > 0);
}

static void after_a_reset_the_tail_stands_and_nothing_is_held(void **state)
{
	struct fixture *f = *state;
	struct entry_id at[DIBAO_CHANNEL_COUNT] = {{500, 1}, {600, 0}, {0, 0}, {7, 0}};
	struct segment *s;
	uint32_t first;

	append(f, PUB, 50);
	history_reset(f->history, at);
	assert_int_equal(history_counters(f->history)->ring_bytes, 0);
	assert_int_equal(history_counters(f->history)->n_records, 0);
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		assert_int_equal(entry_id_cmp(history_tail(f->history, c), at[c]), 0);
		assert_int_equal(history_find(f->history, c, at[c], &s, &first), HISTORY_AT_TAIL);
	}
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_is_appended_is_found_from_any_place_in_order),
		TEST(a_record_holds_what_its_entry_held),
		TEST(an_append_of_nothing_moves_the_tail),
		TEST(a_segment_is_closed_before_it_is_longer_than_a_frame_holds),
		TEST(one_append_is_never_parted),
		TEST(the_ring_keeps_to_its_bytes_and_what_is_left_is_the_newest),
		TEST(a_full_segment_gives_its_spare_room_back),
		TEST(the_oldest_goes_first_whichever_channel_holds_it),
		TEST(the_open_segments_stay_however_small_the_ring),
		TEST(after_a_reset_the_tail_stands_and_nothing_is_held),
	};

	return cmocka_run_group_tests(tests, store_entries, end_redis);
}
