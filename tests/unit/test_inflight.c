/* SPDX-License-Identifier: Apache-2.0 */
/* Frames in the application's hands: acks in any order, the floor, handles of an earlier
 * connection. */
#include "inflight.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct inflight state, *const given = &state;

static int begin(void **unused)
{
	(void)unused;
	inflight_init(&state, false);
	return 0;
}

static int end(void **unused)
{
	(void)unused;
	inflight_done(given);
	return 0;
}

static void put_content(uint8_t p[4], unsigned content)
{
	memcpy(p, &content, 4);
}

/* Items are numbered by their content: `first`, first + 1, ... */
static int push(enum dibao_channel channel, uint64_t number, uint32_t count, unsigned first,
		struct in_frame **ret)
{
	struct wire_data d = {
		.channel = channel, .count = count, .number = number, .token = 1000 + number};
	struct in_frame *frame;
	zmq_msg_t payload;
	uint8_t *p;
	int r;

	zmq_msg_init_size(&payload, 8 * (size_t)count);
	p = zmq_msg_data(&payload);
	for (uint32_t i = 0; i < count; i++, p += 4) {
		p = wire_item_pack(p, DIBAO_ITEM_EVENT, 0, 4);
		put_content(p, first + i);
	}
	r = inflight_push(given, &d, &payload, ret ? ret : &frame);
	zmq_msg_close(&payload);
	return r;
}

/* A frame of which the application has been given all items. */
static void deliver(enum dibao_channel channel, uint64_t number, uint32_t count, unsigned first)
{
	struct in_frame *frame;

	assert_int_equal(push(channel, number, count, first, &frame), 0);
	frame->n_delivered = count;
}

static uint64_t handle(enum dibao_channel channel, uint64_t number, uint32_t item)
{
	return inflight_handle(given, channel, number, item);
}

static int ack(enum dibao_channel channel, uint64_t number, uint32_t item)
{
	return inflight_ack(given, handle(channel, number, item));
}

/* Is item `i` of the frame, whose content is `content`, a repeat? */
static bool is_repeat(enum dibao_channel channel, struct in_frame *frame, uint32_t i,
		      unsigned content)
{
	uint8_t bytes[4];
	struct wire_item item = {.kind = DIBAO_ITEM_EVENT, .len = 4, .bytes = bytes};

	put_content(bytes, content);
	frame->n_delivered = i + 1;
	return inflight_is_repeat(given, channel, frame, i, &item);
}

/* The floor that is due on a channel, 0 if none; takes all that are. */
static uint64_t take_floor(enum dibao_channel channel)
{
	struct wire_ack a;
	uint64_t floor = 0;

	if (!inflight_take_ack(given, &a))
		return 0;
	for (unsigned i = 0; i < a.n; i++)
		if (a.at[i].channel == channel) {
			floor = a.at[i].number;
			assert_int_equal(a.at[i].token, 1000 + floor);
		}
	return floor;
}

static void the_floor_moves_when_all_items_of_a_frame_are_acked(void **unused)
{
	(void)unused;
	deliver(DIBAO_CHANNEL_PRIVATE, 1, 3, 0);
	assert_int_equal(ack(DIBAO_CHANNEL_PRIVATE, 1, 0), 0);
	assert_int_equal(ack(DIBAO_CHANNEL_PRIVATE, 1, 1), 0);
	assert_false(inflight_ack_is_due(given));
	assert_int_equal(ack(DIBAO_CHANNEL_PRIVATE, 1, 2), 0);
	assert_true(inflight_ack_is_due(given));
	assert_int_equal(take_floor(DIBAO_CHANNEL_PRIVATE), 1);
	assert_false(inflight_ack_is_due(given));
	assert_int_equal(take_floor(DIBAO_CHANNEL_PRIVATE), 0);
}

static void items_may_be_acked_in_any_order(void **unused)
{
	static const uint32_t orders[][10] = {
		{9, 8, 7, 6, 5, 4, 3, 2, 1, 0},
		{0, 1, 5, 2, 9, 3, 4, 8, 6, 7},
		{8, 0, 1, 2, 3, 4, 5, 6, 7, 9},
	};

	(void)unused;
	for (uint64_t k = 0; k < 3; k++) {
		deliver(DIBAO_CHANNEL_PUBLIC, k + 1, 10, 0);
		for (int i = 0; i < 10; i++) {
			assert_int_equal(take_floor(DIBAO_CHANNEL_PUBLIC), 0);
			assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, k + 1, orders[k][i]), 0);
			if (i < 9)
				assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, k + 1, orders[k][i]),
						 -EINVAL);
		}
		assert_int_equal(take_floor(DIBAO_CHANNEL_PUBLIC), k + 1);
	}
}

static void the_floor_waits_for_the_oldest_frame_and_then_jumps(void **unused)
{
	(void)unused;
	for (uint64_t number = 1; number <= 20; number++)
		deliver(DIBAO_CHANNEL_PUBLIC, number, 1, (unsigned)number);
	for (uint64_t number = 20; number > 1; number--) {
		assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, number, 0), 0);
		assert_false(inflight_ack_is_due(given));
	}
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 1, 0), 0);
	assert_int_equal(take_floor(DIBAO_CHANNEL_PUBLIC), 20);
}

static void a_position_frame_is_acked_by_itself_but_not_past_older_ones(void **unused)
{
	(void)unused;
	assert_int_equal(push(DIBAO_CHANNEL_PUBLIC, 1, 0, 0, NULL), 0);
	assert_int_equal(take_floor(DIBAO_CHANNEL_PUBLIC), 1);
	deliver(DIBAO_CHANNEL_PUBLIC, 2, 1, 0);
	assert_int_equal(push(DIBAO_CHANNEL_PUBLIC, 3, 0, 0, NULL), 0);
	assert_false(inflight_ack_is_due(given));
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 2, 0), 0);
	assert_int_equal(take_floor(DIBAO_CHANNEL_PUBLIC), 3);
}

static void channels_have_numbers_and_floors_of_their_own(void **unused)
{
	struct wire_ack a;

	(void)unused;
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		for (uint64_t number = 1; number <= (uint64_t)c + 1; number++)
			deliver((enum dibao_channel)c, number, 1, 0);
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		for (uint64_t number = 1; number <= (uint64_t)c + 1; number++)
			assert_int_equal(ack((enum dibao_channel)c, number, 0), 0);
	assert_true(inflight_take_ack(given, &a));
	assert_int_equal(a.n, DIBAO_CHANNEL_COUNT);
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		assert_int_equal(a.at[c].channel, c);
		assert_int_equal(a.at[c].number, c + 1);
		assert_int_equal(a.at[c].token, 1000 + c + 1);
	}
	assert_false(inflight_take_ack(given, &a));
}

static void what_was_not_delivered_cannot_be_acked(void **unused)
{
	struct in_frame *frame;

	(void)unused;
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 1, 0), -EINVAL);
	assert_int_equal(push(DIBAO_CHANNEL_PUBLIC, 1, 3, 0, &frame), 0);
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 1, 0), -EINVAL);
	frame->n_delivered = 2;
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 1, 2), -EINVAL);
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 0, 0), -EINVAL);
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 2, 0), -EINVAL);
	assert_int_equal(ack(DIBAO_CHANNEL_PRIVATE, 1, 0), -EINVAL);
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 1, 1), 0);
	frame->n_delivered = 3;
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 1, 3), -EINVAL);
	assert_false(inflight_ack_is_due(given));
}

static void an_ack_of_a_frame_that_is_done_is_refused(void **unused)
{
	(void)unused;
	deliver(DIBAO_CHANNEL_PUBLIC, 1, 1, 0);
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 1, 0), 0);
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 1, 0), -EINVAL);
}

static void a_frame_to_come_is_not_taken_for_one_that_lay_in_its_place(void **unused)
{
	(void)unused;
	for (uint64_t number = 1; number <= 8; number++)
		deliver(DIBAO_CHANNEL_PUBLIC, number, 2, 0);
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 1, 1), 0);
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 1, 0), 0);
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 9, 0), -EINVAL);
}

static void numbers_go_up_by_one(void **unused)
{
	(void)unused;
	assert_int_equal(push(DIBAO_CHANNEL_PUBLIC, 2, 1, 0, NULL), -EPROTO);
	assert_int_equal(push(DIBAO_CHANNEL_PUBLIC, 0, 1, 0, NULL), -EPROTO);
	assert_int_equal(push(DIBAO_CHANNEL_PUBLIC, 1, 1, 0, NULL), 0);
	assert_int_equal(push(DIBAO_CHANNEL_PUBLIC, 1, 1, 0, NULL), -EPROTO);
	assert_int_equal(push(DIBAO_CHANNEL_PUBLIC, 3, 1, 0, NULL), -EPROTO);
	assert_int_equal(push(DIBAO_CHANNEL_PUBLIC, 2, 1, 0, NULL), 0);
}

static void a_channel_holds_so_many_frames_and_no_more(void **unused)
{
	uint64_t number = 1;

	(void)unused;
	for (; number <= INFLIGHT_FRAMES_MAX; number++)
		deliver(DIBAO_CHANNEL_PUBLIC, number, 1, (unsigned)number % 1000);
	assert_int_equal(push(DIBAO_CHANNEL_PUBLIC, number, 1, 0, NULL), -ENOBUFS);
	/* Another channel has room; and so has this one when its oldest frame is done. */
	deliver(DIBAO_CHANNEL_PRIVATE, 1, 1, 0);
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 1, 0), 0);
	deliver(DIBAO_CHANNEL_PUBLIC, number, 1, 0);
	/* The ring has gone round: each is where its number says. */
	for (uint64_t n = 2; n <= number; n++)
		assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, n, 0), 0);
	assert_int_equal(take_floor(DIBAO_CHANNEL_PUBLIC), number);
}

static void frames_stay_themselves_while_the_ring_grows(void **unused)
{
	uint64_t acked = 0;

	(void)unused;
	/* Two come, one goes: the head is somewhere in the middle each time it grows. */
	for (uint64_t number = 1; number <= 200; number++) {
		deliver(DIBAO_CHANNEL_PUBLIC, number, 2, (unsigned)number);
		if (number % 2) {
			acked++;
			assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, acked, 1), 0);
			assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, acked, 0), 0);
			assert_int_equal(take_floor(DIBAO_CHANNEL_PUBLIC), acked);
		}
	}
}

static void the_bytes_behind_the_floor_are_counted_until_it_is_sent(void **unused)
{
	(void)unused;
	deliver(DIBAO_CHANNEL_PUBLIC, 1, 3, 0);
	deliver(DIBAO_CHANNEL_PRIVATE, 1, 2, 0);
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 1, 0), 0);
	assert_int_equal(given->floor_bytes, 0);
	inflight_ack_delivered(given);
	assert_int_equal(given->floor_bytes, 5 * 8);
	(void)take_floor(DIBAO_CHANNEL_PUBLIC);
	assert_int_equal(given->floor_bytes, 0);
}

static void acking_all_stops_at_what_was_delivered(void **unused)
{
	struct in_frame *frame;

	(void)unused;
	deliver(DIBAO_CHANNEL_PUBLIC, 1, 3, 0);
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 1, 1), 0);
	assert_int_equal(push(DIBAO_CHANNEL_PUBLIC, 2, 3, 0, &frame), 0);
	frame->n_delivered = 2;
	inflight_ack_delivered(given);
	assert_int_equal(take_floor(DIBAO_CHANNEL_PUBLIC), 1);
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 2, 1), -EINVAL);
	frame->n_delivered = 3;
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 2, 2), 0);
	assert_int_equal(take_floor(DIBAO_CHANNEL_PUBLIC), 2);
}

/* ---- after a reconnect ---- */

static void after_a_reset_numbers_and_floors_begin_anew(void **unused)
{
	(void)unused;
	deliver(DIBAO_CHANNEL_PUBLIC, 1, 1, 0);
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 1, 0), 0);
	assert_int_equal(inflight_reset(given), 0);
	assert_false(inflight_ack_is_due(given));
	assert_int_equal(given->floor_bytes, 0);
	deliver(DIBAO_CHANNEL_PUBLIC, 1, 1, 7);
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 1, 0), 0);
	assert_int_equal(take_floor(DIBAO_CHANNEL_PUBLIC), 1);
}

static void a_handle_is_never_that_of_another_delivery(void **unused)
{
	uint64_t before = handle(DIBAO_CHANNEL_PRIVATE_NOW, 5, 65535);

	(void)unused;
	assert_int_not_equal(before, 0);
	assert_int_not_equal(before, handle(DIBAO_CHANNEL_PRIVATE_NOW, 6, 65535));
	assert_int_not_equal(before, handle(DIBAO_CHANNEL_PRIVATE_NOW, 5, 65534));
	assert_int_not_equal(before, handle(DIBAO_CHANNEL_PUBLIC_NOW, 5, 65535));
	/* The generation is one byte; 0 is left out when it comes round. */
	for (int i = 0; i < 260; i++) {
		assert_int_equal(inflight_reset(given), 0);
		if (i < 254)
			assert_int_not_equal(before, handle(DIBAO_CHANNEL_PRIVATE_NOW, 5, 65535));
		assert_int_not_equal(handle(DIBAO_CHANNEL_PUBLIC, 1, 0) >> 56, 0);
	}
}

static void the_copy_of_an_acked_item_is_a_repeat_and_counts_as_acked(void **unused)
{
	struct in_frame *frame;

	(void)unused;
	deliver(DIBAO_CHANNEL_PUBLIC, 1, 2, 10);
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 1, 1), 0);
	assert_int_equal(inflight_reset(given), 0);
	assert_int_equal(push(DIBAO_CHANNEL_PUBLIC, 1, 1, 11, &frame), 0);
	assert_true(is_repeat(DIBAO_CHANNEL_PUBLIC, frame, 0, 11));
	assert_int_equal(take_floor(DIBAO_CHANNEL_PUBLIC), 1);
}

static void an_old_handle_stands_for_its_new_copy(void **unused)
{
	struct in_frame *frame;
	uint64_t old;

	(void)unused;
	deliver(DIBAO_CHANNEL_PUBLIC, 1, 2, 10);
	old = handle(DIBAO_CHANNEL_PUBLIC, 1, 1);
	assert_int_equal(inflight_reset(given), 0);
	assert_int_equal(push(DIBAO_CHANNEL_PUBLIC, 1, 3, 9, &frame), 0);
	assert_false(is_repeat(DIBAO_CHANNEL_PUBLIC, frame, 0, 9));
	assert_true(is_repeat(DIBAO_CHANNEL_PUBLIC, frame, 1, 10));
	assert_true(is_repeat(DIBAO_CHANNEL_PUBLIC, frame, 2, 11));
	assert_int_equal(inflight_ack(given, old), 0);
	assert_int_equal(inflight_ack(given, old), -EINVAL);
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 1, 2), -EINVAL);
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 1, 0), 0);
	assert_false(inflight_ack_is_due(given));
	assert_int_equal(inflight_ack(given, old - 1), 0);
	assert_int_equal(take_floor(DIBAO_CHANNEL_PUBLIC), 1);
}

static void an_old_handle_acked_between_connections_settles_the_copy_that_comes(void **unused)
{
	struct in_frame *frame;
	uint64_t old;

	(void)unused;
	deliver(DIBAO_CHANNEL_PUBLIC, 1, 1, 10);
	old = handle(DIBAO_CHANNEL_PUBLIC, 1, 0);
	assert_int_equal(inflight_reset(given), 0);
	assert_int_equal(inflight_ack(given, old), 0);
	assert_int_equal(push(DIBAO_CHANNEL_PUBLIC, 1, 1, 10, &frame), 0);
	assert_true(is_repeat(DIBAO_CHANNEL_PUBLIC, frame, 0, 10));
	assert_int_equal(take_floor(DIBAO_CHANNEL_PUBLIC), 1);
}

static void an_old_handle_outlives_two_reconnects(void **unused)
{
	struct in_frame *frame;
	uint64_t old;

	(void)unused;
	deliver(DIBAO_CHANNEL_PUBLIC, 1, 1, 10);
	old = handle(DIBAO_CHANNEL_PUBLIC, 1, 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(inflight_reset(given), 0);
		assert_int_equal(push(DIBAO_CHANNEL_PUBLIC, 1, 1, 10, &frame), 0);
		assert_true(is_repeat(DIBAO_CHANNEL_PUBLIC, frame, 0, 10));
	}
	assert_int_equal(inflight_ack(given, old), 0);
	assert_int_equal(take_floor(DIBAO_CHANNEL_PUBLIC), 1);
}

static void acking_all_covers_copies_of_old_items(void **unused)
{
	struct in_frame *frame;

	(void)unused;
	deliver(DIBAO_CHANNEL_PUBLIC, 1, 1, 10);
	assert_int_equal(inflight_reset(given), 0);
	assert_int_equal(push(DIBAO_CHANNEL_PUBLIC, 1, 2, 10, &frame), 0);
	assert_true(is_repeat(DIBAO_CHANNEL_PUBLIC, frame, 0, 10));
	inflight_ack_delivered(given);
	frame->n_delivered = 2;
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 1, 0), -EINVAL);
	assert_int_equal(ack(DIBAO_CHANNEL_PUBLIC, 1, 1), 0);
	assert_int_equal(take_floor(DIBAO_CHANNEL_PUBLIC), 1);
}

static void an_item_that_was_never_delivered_is_no_repeat(void **unused)
{
	struct in_frame *frame;

	(void)unused;
	assert_int_equal(push(DIBAO_CHANNEL_PUBLIC, 1, 2, 10, &frame), 0);
	frame->n_delivered = 1;
	assert_int_equal(inflight_reset(given), 0);
	assert_int_equal(push(DIBAO_CHANNEL_PUBLIC, 1, 2, 10, &frame), 0);
	assert_true(is_repeat(DIBAO_CHANNEL_PUBLIC, frame, 0, 10));
	assert_false(is_repeat(DIBAO_CHANNEL_PUBLIC, frame, 1, 11));
}

static void the_same_bytes_of_another_kind_are_another_item(void **unused)
{
	uint8_t bytes[4];
	struct wire_item item = {.kind = DIBAO_ITEM_WITHDRAWN, .len = 4, .bytes = bytes};
	struct in_frame *frame;

	(void)unused;
	put_content(bytes, 10);
	deliver(DIBAO_CHANNEL_PUBLIC, 1, 1, 10);
	assert_int_equal(inflight_reset(given), 0);
	assert_int_equal(push(DIBAO_CHANNEL_PUBLIC, 1, 1, 10, &frame), 0);
	assert_false(inflight_is_repeat(given, DIBAO_CHANNEL_PUBLIC, frame, 0, &item));
	assert_true(is_repeat(DIBAO_CHANNEL_PUBLIC, frame, 0, 10));
}

static void many_old_items_are_all_known_again(void **unused)
{
	struct in_frame *frame;

	(void)unused;
	for (uint64_t number = 1; number <= 9; number++)
		deliver(DIBAO_CHANNEL_PUBLIC, number, 100, (unsigned)(number - 1) * 100);
	assert_int_equal(inflight_reset(given), 0);
	assert_int_equal(push(DIBAO_CHANNEL_PUBLIC, 1, 1000, 0, &frame), 0);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(is_repeat(DIBAO_CHANNEL_PUBLIC, frame, i, i), i < 900);
}

static void a_settled_channel_forgets_what_did_not_come_again(void **unused)
{
	uint64_t gone, kept, other;
	struct in_frame *frame;

	(void)unused;
	deliver(DIBAO_CHANNEL_PUBLIC, 1, 2, 10);
	deliver(DIBAO_CHANNEL_PRIVATE, 1, 1, 20);
	gone = handle(DIBAO_CHANNEL_PUBLIC, 1, 0);
	kept = handle(DIBAO_CHANNEL_PUBLIC, 1, 1);
	other = handle(DIBAO_CHANNEL_PRIVATE, 1, 0);
	assert_int_equal(inflight_reset(given), 0);
	assert_int_equal(push(DIBAO_CHANNEL_PUBLIC, 1, 1, 11, &frame), 0);
	assert_true(is_repeat(DIBAO_CHANNEL_PUBLIC, frame, 0, 11));
	inflight_forget_old(given, DIBAO_CHANNEL_PUBLIC);
	/* Publishing the same bytes again is a new event. */
	assert_int_equal(push(DIBAO_CHANNEL_PUBLIC, 2, 1, 10, &frame), 0);
	assert_false(is_repeat(DIBAO_CHANNEL_PUBLIC, frame, 0, 10));
	assert_int_equal(inflight_ack(given, gone), 0);
	assert_int_equal(inflight_ack(given, kept), 0);
	assert_int_equal(take_floor(DIBAO_CHANNEL_PUBLIC), 1);
	assert_int_equal(push(DIBAO_CHANNEL_PRIVATE, 1, 1, 20, &frame), 0);
	assert_true(is_repeat(DIBAO_CHANNEL_PRIVATE, frame, 0, 20));
	assert_int_equal(inflight_ack(given, other), 0);
	assert_int_equal(take_floor(DIBAO_CHANNEL_PRIVATE), 1);
}

static void a_settled_channel_forgets_what_came_again_and_was_acked(void **unused)
{
	struct in_frame *frame;
	uint64_t old;

	(void)unused;
	deliver(DIBAO_CHANNEL_PUBLIC, 1, 1, 10);
	old = handle(DIBAO_CHANNEL_PUBLIC, 1, 0);
	assert_int_equal(inflight_reset(given), 0);
	assert_int_equal(push(DIBAO_CHANNEL_PUBLIC, 1, 1, 10, &frame), 0);
	assert_true(is_repeat(DIBAO_CHANNEL_PUBLIC, frame, 0, 10));
	assert_int_equal(inflight_ack(given, old), 0);
	inflight_forget_old(given, DIBAO_CHANNEL_PUBLIC);
	assert_int_equal(push(DIBAO_CHANNEL_PUBLIC, 2, 1, 10, &frame), 0);
	assert_false(is_repeat(DIBAO_CHANNEL_PUBLIC, frame, 0, 10));
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_floor_moves_when_all_items_of_a_frame_are_acked),
		T(items_may_be_acked_in_any_order),
		T(the_floor_waits_for_the_oldest_frame_and_then_jumps),
		T(a_position_frame_is_acked_by_itself_but_not_past_older_ones),
		T(channels_have_numbers_and_floors_of_their_own),
		T(what_was_not_delivered_cannot_be_acked),
		T(an_ack_of_a_frame_that_is_done_is_refused),
		T(a_frame_to_come_is_not_taken_for_one_that_lay_in_its_place),
		T(numbers_go_up_by_one),
		T(a_channel_holds_so_many_frames_and_no_more),
		T(frames_stay_themselves_while_the_ring_grows),
		T(the_bytes_behind_the_floor_are_counted_until_it_is_sent),
		T(acking_all_stops_at_what_was_delivered),
		T(after_a_reset_numbers_and_floors_begin_anew),
		T(a_handle_is_never_that_of_another_delivery),
		T(the_copy_of_an_acked_item_is_a_repeat_and_counts_as_acked),
		T(an_old_handle_stands_for_its_new_copy),
		T(an_old_handle_acked_between_connections_settles_the_copy_that_comes),
		T(an_old_handle_outlives_two_reconnects),
		T(acking_all_covers_copies_of_old_items),
		T(an_item_that_was_never_delivered_is_no_repeat),
		T(the_same_bytes_of_another_kind_are_another_item),
		T(many_old_items_are_all_known_again),
		T(a_settled_channel_forgets_what_did_not_come_again),
		T(a_settled_channel_forgets_what_came_again_and_was_acked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
