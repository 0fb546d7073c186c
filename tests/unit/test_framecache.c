/* SPDX-License-Identifier: Apache-2.0 */
#include "../../daemon/framecache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

static const enum dibao_channel PUB = DIBAO_CHANNEL_PUBLIC;
static size_t live; /* bytes of payload that are not yet freed */

static int set_up(void **state)
{
	struct framecache *c = NULL;

	live = 0;
	assert_int_equal(framecache_new(&c), 0);
	*state = c;
	return 0;
}

static int tear_down(void **state)
{
	framecache_free(*state);
	assert_int_equal(live, 0);
	return 0;
}

static void release(void *data, void *hint)
{
	live -= (size_t)hint;
	free(data);
}

static struct frame make(uint64_t after, uint32_t bytes)
{
	struct frame f = {
		.count = bytes > 0, .bytes = bytes, .after = {after, 0}, .end = {after + 1, 0}};

	if (bytes) {
		void *data = malloc(bytes);

		assert_non_null(data);
		live += bytes;
		assert_int_equal(
			zmq_msg_init_data(&f.msg, data, bytes, release, (void *)(size_t)bytes), 0);
	}
	return f;
}

static struct frame *put(struct framecache *c, const struct lane *lane, enum dibao_channel ch,
			 uint64_t after, uint32_t bytes)
{
	struct frame f = make(after, bytes);

	return framecache_put(c, lane, ch, &f);
}

static struct frame *get(struct framecache *c, const struct lane *lane, uint64_t after)
{
	return framecache_get(c, lane, PUB, (struct entry_id){after, 0});
}

static void a_frame_is_found_by_lane_channel_and_what_it_follows(void **state)
{
	struct lane a = {.serial = 1}, b = {.serial = 2};
	struct frame *f = put(*state, &a, PUB, 10, 100);

	assert_ptr_equal(get(*state, &a, 10), f);
	assert_int_equal(f->end.ms, 11);
	assert_null(get(*state, &a, 11));
	assert_null(get(*state, &b, 10));
	assert_null(framecache_get(*state, &a, DIBAO_CHANNEL_PRIVATE, (struct entry_id){10, 0}));
	assert_null(framecache_get(*state, &a, PUB, (struct entry_id){10, 1}));
}

/* Enough of them that some stand in the same place of the table. */
static void a_frame_of_another_lane_or_channel_is_never_taken_for_it(void **state)
{
	struct lane a = {.serial = 1};

	for (uint64_t i = 0; i < FRAMECACHE_FRAMES; i++) {
		put(*state, &a, PUB, i, 1);
	}
	for (uint64_t i = 0; i < FRAMECACHE_FRAMES; i++) {
		for (uint64_t serial = 2; serial < 10; serial++) {
			assert_null(get(*state, &(struct lane){.serial = serial}, i));
		}
		for (int ch = 0; ch < DIBAO_CHANNEL_COUNT; ch++) {
			assert_true(ch == PUB ||
				    !framecache_get(*state, &a, ch, (struct entry_id){i, 0}));
		}
	}
}

/* The lane is known by its serial: its address may be another's by then. */
static void a_lane_at_the_same_address_gets_no_frame_of_the_one_before(void **state)
{
	struct lane lane = {.serial = 1};

	put(*state, &lane, PUB, 10, 100);
	lane.serial = 2;
	assert_null(get(*state, &lane, 10));
}

static void a_frame_without_items_is_kept_too(void **state)
{
	struct lane a = {.serial = 1};
	struct frame *f = put(*state, &a, PUB, 10, 0);

	assert_ptr_equal(get(*state, &a, 10), f);
	assert_int_equal(f->count, 0);
}

static void frames_are_bounded_in_number_and_the_first_in_goes_first(void **state)
{
	struct lane a = {.serial = 1};

	for (uint64_t i = 0; i < FRAMECACHE_FRAMES; i++) {
		put(*state, &a, PUB, i, 1);
	}
	assert_int_equal(live, FRAMECACHE_FRAMES);
	for (uint64_t i = 0; i < FRAMECACHE_FRAMES; i++) {
		assert_non_null(get(*state, &a, i));
	}
	put(*state, &a, PUB, FRAMECACHE_FRAMES, 1);
	assert_int_equal(live, FRAMECACHE_FRAMES);
	assert_null(get(*state, &a, 0));
	assert_non_null(get(*state, &a, 1));
	assert_non_null(get(*state, &a, FRAMECACHE_FRAMES));
}

static void frames_are_bounded_in_bytes(void **state)
{
	enum { ONE = WIRE_PAYLOAD_MAX, FIT = FRAMECACHE_BYTES / ONE };
	struct lane a = {.serial = 1};

	for (uint64_t i = 0; i < FIT; i++) {
		put(*state, &a, PUB, i, ONE);
	}
	assert_int_equal(live, FRAMECACHE_BYTES);
	assert_non_null(get(*state, &a, 0));
	put(*state, &a, PUB, FIT, 1);
	assert_int_equal(live, FRAMECACHE_BYTES - ONE + 1);
	assert_null(get(*state, &a, 0));
	assert_non_null(get(*state, &a, 1));
}

/* Many times round the ring, with frames that share a place in the table. */
static void what_was_put_last_is_found_however_often_the_ring_has_turned(void **state)
{
	struct lane lanes[4] = {{.serial = 1}, {.serial = 2}, {.serial = 3}, {.serial = 4}};
	uint64_t n = 5 * FRAMECACHE_FRAMES + 17;

	for (uint64_t i = 0; i < n; i++) {
		put(*state, &lanes[i % 4], PUB, i, 3);
	}
	for (uint64_t i = 0; i < n; i++) {
		struct frame *f = get(*state, &lanes[i % 4], i);

		assert_int_equal(f != NULL, i >= n - FRAMECACHE_FRAMES);
		assert_true(!f || f->after.ms == i);
		assert_null(get(*state, &lanes[(i + 1) % 4], i));
	}
}

static void of_two_with_one_place_the_newer_is_found(void **state)
{
	struct lane a = {.serial = 1};
	struct frame *newer;

	put(*state, &a, PUB, 10, 100);
	newer = put(*state, &a, PUB, 10, 200);
	assert_ptr_equal(get(*state, &a, 10), newer);
}

static void after_clear_nothing_is_found_and_nothing_held(void **state)
{
	struct lane a = {.serial = 1};

	for (uint64_t i = 0; i < 100; i++) {
		put(*state, &a, PUB, i, 50);
	}
	framecache_clear(*state);
	assert_int_equal(live, 0);
	for (uint64_t i = 0; i < 100; i++) {
		assert_null(get(*state, &a, i));
	}
	assert_non_null(put(*state, &a, PUB, 5, 50));
	assert_non_null(get(*state, &a, 5));
}

/* libzmq holds it too while it is on its way. */
static void a_frame_that_is_dropped_lives_on_with_who_still_has_it(void **state)
{
	struct lane a = {.serial = 1};
	struct frame *f = put(*state, &a, PUB, 10, 100);
	zmq_msg_t copy;

	zmq_msg_init(&copy);
	assert_int_equal(zmq_msg_copy(&copy, &f->msg), 0);
	framecache_clear(*state);
	assert_int_equal(live, 100);
	zmq_msg_close(&copy);
	assert_int_equal(live, 0);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_frame_is_found_by_lane_channel_and_what_it_follows),
		TEST(a_frame_of_another_lane_or_channel_is_never_taken_for_it),
		TEST(a_lane_at_the_same_address_gets_no_frame_of_the_one_before),
		TEST(a_frame_without_items_is_kept_too),
		TEST(frames_are_bounded_in_number_and_the_first_in_goes_first),
		TEST(frames_are_bounded_in_bytes),
		TEST(what_was_put_last_is_found_however_often_the_ring_has_turned),
		TEST(of_two_with_one_place_the_newer_is_found),
		TEST(after_clear_nothing_is_found_and_nothing_held),
		TEST(a_frame_that_is_dropped_lives_on_with_who_still_has_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
