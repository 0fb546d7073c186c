/* SPDX-License-Identifier: Apache-2.0 */
/* Slices, read by the real reader out of a real Redis. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "history_fixture.h"

static void all_that_redis_holds_comes_once_and_in_order(void **state)
{
	struct fixture *f = *state;

	all_is_past(f);
	assert_int_equal(walk(f, 0), STORED);
	assert_int_equal(history_counters(f->history)->n_loads, STORED / HISTORY_LOAD_COUNT);
	assert_int_equal(history_counters(f->history)->n_loaded_records, STORED);
}

static void a_range_is_read_once_however_many_sessions_wait_for_it(void **state)
{
	struct fixture *f = *state;
	struct segment *s, *again;
	uint32_t first;

	all_is_past(f);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(find(f, i, &s, &first), HISTORY_WAIT);
	}
	assert_int_equal(history_counters(f->history)->n_loads, 1);
	wait_until(f, f->n_loaded > 0);
	assert_int_equal(find(f, 0, &s, &first), HISTORY_HERE);
	assert_int_equal(find(f, 99, &again, &first), HISTORY_HERE);
	assert_ptr_equal(s, again);
	assert_int_equal(first, 99);
}

static void a_load_ends_where_one_that_is_under_way_begins(void **state)
{
	struct fixture *f = *state;
	struct segment *s;
	uint32_t first;

	all_is_past(f);
	assert_int_equal(find(f, STORED - 300, &s, &first), HISTORY_WAIT);
	assert_int_equal(find(f, STORED - 700, &s, &first), HISTORY_WAIT);
	wait_until(f, f->n_loaded == 2);
	assert_int_equal(history_counters(f->history)->n_loaded_records, 700);
	assert_int_equal(find(f, STORED - 700, &s, &first), HISTORY_HERE);
	assert_int_equal(s->n, 400);
	assert_int_equal(find(f, STORED - 300, &s, &first), HISTORY_HERE);
	assert_int_equal(s->n, 300);
	assert_int_equal(history_counters(f->history)->n_loads, 2);
	assert_int_equal(history_counters(f->history)->n_records, 700);
}

/* By it a Redis that came back is compared: in the gaps between slices all would seem new. */
static void the_ring_begins_behind_the_slices(void **state)
{
	struct fixture *f = *state;
	struct segment *s;
	uint32_t first;

	all_is_past(f);
	assert_int_equal(find(f, STORED - 300, &s, &first), HISTORY_WAIT);
	wait_until(f, f->n_loaded == 1);
	assert_int_equal(find(f, STORED - 300, &s, &first), HISTORY_HERE);
	assert_ptr_equal(s->next, history_ring(f->history, PUB));
	assert_int_equal(history_oldest(f->history, PUB).ms, STORED);
}

static void slices_are_read_ahead_so_far_and_no_farther(void **state)
{
	struct fixture *f = *state;
	const struct history_counters *c;
	struct segment *s;
	uint32_t first;

	all_is_past(f);
	c = history_counters(f->history);
	assert_int_equal(find(f, 0, &s, &first), HISTORY_WAIT);
	wait_until(f, f->n_loaded == 1 + HISTORY_READ_AHEAD);
	while (sd_event_run(f->event, 100 * 1000) > 0) {
	}
	assert_int_equal(c->n_loads, 1 + HISTORY_READ_AHEAD);
	assert_int_equal(c->n_loaded_records, (1 + HISTORY_READ_AHEAD) * HISTORY_LOAD_COUNT);
	/* A session in the second slice makes one more be read. */
	assert_int_equal(find(f, HISTORY_LOAD_COUNT, &s, &first), HISTORY_HERE);
	wait_until(f, f->n_loaded == 2 + HISTORY_READ_AHEAD);
	assert_int_equal(c->n_loads, 2 + HISTORY_READ_AHEAD);
}

static void so_many_loads_are_under_way_in_a_channel_and_no_more(void **state)
{
	struct fixture *f = *state;
	struct segment *s;
	uint32_t first;

	all_is_past(f);
	for (uint64_t i = 1; i <= HISTORY_LOADS_MAX + 2; i++) {
		assert_int_equal(find(f, STORED - i * 500, &s, &first), HISTORY_WAIT);
	}
	assert_int_equal(history_counters(f->history)->n_loads, HISTORY_LOADS_MAX);
	/* Another channel's are its own. */
	assert_int_equal(history_find(f->history, PRIV, (struct entry_id){1, 0}, &s, &first),
			 HISTORY_WAIT);
	assert_int_equal(history_counters(f->history)->n_loads, HISTORY_LOADS_MAX + 1);
	/* Who had to wait gets its turn. */
	assert_int_equal(walk(f, STORED - 6 * 500), STORED);
}

static void slices_keep_to_their_bytes_and_the_one_unused_for_longest_goes(void **state)
{
	struct fixture *f = *state;
	const struct history_counters *c;
	struct segment *s;
	uint32_t first;
	size_t one;

	all_is_past(f);
	c = history_counters(f->history);
	assert_int_equal(find(f, STORED - HISTORY_LOAD_COUNT, &s, &first), HISTORY_WAIT);
	wait_until(f, f->n_loaded == 1);
	one = c->slice_bytes;
	history_set_limits(f->history, MIB, 2 * one);
	assert_int_equal(find(f, STORED - 2 * HISTORY_LOAD_COUNT, &s, &first), HISTORY_WAIT);
	wait_until(f, f->n_loaded == 2);
	assert_int_equal(find(f, STORED - HISTORY_LOAD_COUNT, &s, &first), HISTORY_HERE);
	assert_int_equal(find(f, STORED - 3 * HISTORY_LOAD_COUNT, &s, &first), HISTORY_WAIT);
	wait_until(f, f->n_loaded == 3);
	assert_int_equal(find(f, STORED - HISTORY_LOAD_COUNT, &s, &first), HISTORY_HERE);
	assert_int_equal(find(f, STORED - 2 * HISTORY_LOAD_COUNT, &s, &first), HISTORY_WAIT);
	f->slice_limit = 2 * one;
	assert_int_equal(walk(f, 0), STORED);
}

/* Or nothing could ever be read. */
static void a_slice_that_has_just_come_stays_however_small_the_room(void **state)
{
	struct fixture *f = *state;

	all_is_past(f);
	history_set_limits(f->history, 0, 0);
	assert_int_equal(walk(f, 0), STORED);
}

static void a_range_without_entries_is_covered_too(void **state)
{
	struct fixture *f = *state;
	struct segment *s;
	uint32_t first;

	all_is_past(f);
	assert_int_equal(history_find(f->history, PRIV, (struct entry_id){0}, &s, &first),
			 HISTORY_WAIT);
	wait_until(f, f->n_loaded == 1);
	assert_int_equal(history_find(f->history, PRIV, (struct entry_id){0}, &s, &first),
			 HISTORY_HERE);
	assert_int_equal(s->n, 0);
	assert_int_equal(s->to.ms, STORED);
}

static void the_ring_goes_on_where_the_slices_end(void **state)
{
	struct fixture *f = *state;

	all_is_past(f);
	f->ms = STORED;
	append(f, PUB, 10);
	assert_int_equal(walk(f, 0), STORED + 10);
}

static void a_reset_forgets_what_is_on_its_way(void **state)
{
	struct fixture *f = *state;
	struct entry_id at[DIBAO_CHANNEL_COUNT] = {{STORED, 0}};
	struct segment *s;
	uint32_t first;

	all_is_past(f);
	assert_int_equal(find(f, 0, &s, &first), HISTORY_WAIT);
	history_reset(f->history, at);
	while (sd_event_run(f->event, 200 * 1000) > 0) {
	}
	assert_int_equal(f->n_loaded, 0);
	assert_int_equal(history_counters(f->history)->slice_bytes, 0);
	assert_int_equal(walk(f, 0), STORED);
}

static void it_may_be_freed_while_a_load_is_on_its_way(void **state)
{
	struct fixture *f = *state;
	struct segment *s;
	uint32_t first;

	all_is_past(f);
	assert_int_equal(find(f, 0, &s, &first), HISTORY_WAIT);
	f->history = history_free(f->history);
	while (sd_event_run(f->event, 200 * 1000) > 0) {
	}
	assert_int_equal(f->n_loaded, 0);
}

/* Redis went away with the request: who waits is told, and asks again. */
static void a_load_that_fails_tells_those_who_wait(void **state)
{
	struct fixture *f = *state;
	struct segment *s;
	uint32_t first;

	all_is_past(f);
	assert_int_equal(find(f, 0, &s, &first), HISTORY_WAIT);
	f->range = redis_link_free(f->range);
	assert_int_equal(f->n_loaded, 1);
	assert_int_equal(history_counters(f->history)->slice_bytes, 0);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(all_that_redis_holds_comes_once_and_in_order),
		TEST(a_range_is_read_once_however_many_sessions_wait_for_it),
		TEST(a_load_ends_where_one_that_is_under_way_begins),
		TEST(the_ring_begins_behind_the_slices),
		TEST(slices_are_read_ahead_so_far_and_no_farther),
		TEST(so_many_loads_are_under_way_in_a_channel_and_no_more),
		TEST(slices_keep_to_their_bytes_and_the_one_unused_for_longest_goes),
		TEST(a_slice_that_has_just_come_stays_however_small_the_room),
		TEST(a_range_without_entries_is_covered_too),
		TEST(the_ring_goes_on_where_the_slices_end),
		TEST(a_reset_forgets_what_is_on_its_way),
		TEST(it_may_be_freed_while_a_load_is_on_its_way),
		TEST(a_load_that_fails_tells_those_who_wait),
	};

	return cmocka_run_group_tests(tests, store_entries, end_redis);
}
