/* SPDX-License-Identifier: Apache-2.0 */
/* What a subscriber holds in memory, however late its application is. */
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

static int ack_item(enum dibao_channel channel, uint64_t number, uint32_t item)
{
	return inflight_ack(given, inflight_handle(given, channel, number, item));
}

static int push_bytes(enum dibao_channel channel, uint64_t number, uint32_t bytes)
{
	struct wire_data d = {.channel = channel, .count = 2, .number = number};
	struct in_frame *frame;
	zmq_msg_t payload;
	uint8_t *p;
	int r;

	zmq_msg_init_size(&payload, bytes);
	p = wire_item_pack(zmq_msg_data(&payload), DIBAO_ITEM_EVENT, 0, 4);
	wire_item_pack(p + 4, DIBAO_ITEM_EVENT, 0, (uint16_t)(bytes - 12));
	r = inflight_push(given, &d, &payload, &frame);
	zmq_msg_close(&payload);
	if (r == 0)
		frame->n_delivered = 2;
	return r;
}

/* One item of each frame late: the frames stay, and are as many as the window holds. */
static void what_is_held_stays_within_the_window(void **unused)
{
	const enum dibao_channel pub = DIBAO_CHANNEL_PUBLIC, priv = DIBAO_CHANNEL_PRIVATE;

	(void)unused;
	given->window = 100000;
	for (unsigned i = 1; i <= 2; i++) {
		assert_int_equal(push_bytes(pub, i, 40000), 0);
		assert_int_equal(ack_item(pub, i, 1), 0);
	}
	assert_int_equal(push_bytes(pub, 3, 40000), -ENOBUFS);
	assert_int_equal(push_bytes(priv, 1, 20001), -ENOBUFS);
	assert_int_equal(push_bytes(priv, 1, 20000), 0);
	assert_int_equal(given->bytes[0], 100000);
	/* What is urgent has a window of its own, where one frame may always be. */
	assert_int_equal(push_bytes(DIBAO_CHANNEL_PRIVATE_NOW, 1, 60000), 0);
	assert_int_equal(push_bytes(DIBAO_CHANNEL_PUBLIC_NOW, 1, 60000), -ENOBUFS);
	assert_int_equal(ack_item(DIBAO_CHANNEL_PRIVATE_NOW, 1, 0), 0);
	assert_int_equal(ack_item(DIBAO_CHANNEL_PRIVATE_NOW, 1, 1), 0);
	given->window = 50000;
	assert_int_equal(push_bytes(DIBAO_CHANNEL_PUBLIC_NOW, 1, 60000), 0);
	given->window = 100000;
	/* The late ones come: there is room again. */
	assert_int_equal(ack_item(pub, 2, 0), 0);
	assert_int_equal(push_bytes(pub, 3, 40000), -ENOBUFS);
	assert_int_equal(ack_item(pub, 1, 0), 0);
	assert_int_equal(given->bytes[0], 20000);
	assert_int_equal(push_bytes(pub, 3, 40000), 0);
	inflight_reset(given);
	assert_int_equal(given->bytes[0] + given->bytes[1], 0);
}

/* A frame of `count` items whose contents are `first`, first + 1, ... */
static int push_items(uint32_t first, uint32_t count, struct in_frame **ret)
{
	struct wire_data d = {.channel = DIBAO_CHANNEL_PRIVATE, .count = count, .number = 1};
	zmq_msg_t payload;
	uint8_t *p;
	int r;

	zmq_msg_init_size(&payload, 8 * (size_t)count);
	p = zmq_msg_data(&payload);
	for (uint32_t i = 0; i < count; i++, p += 4) {
		uint32_t content = first + i;

		p = wire_item_pack(p, DIBAO_ITEM_EVENT, 0, 4);
		memcpy(p, &content, 4);
	}
	r = inflight_push(given, &d, &payload, ret);
	zmq_msg_close(&payload);
	return r;
}

static bool is_repeat(struct in_frame *frame, uint32_t i, uint32_t content)
{
	uint8_t bytes[4];
	struct wire_item item = {.kind = DIBAO_ITEM_EVENT, .len = 4, .bytes = bytes};

	memcpy(bytes, &content, 4);
	frame->n_delivered = i + 1;
	return inflight_is_repeat(given, DIBAO_CHANNEL_PRIVATE, frame, i, &item);
}

static void items_of_earlier_connections_are_remembered_up_to_a_bound(void **unused)
{
	enum { EACH = 8000 };
	struct in_frame *frame;
	unsigned n = 0;
	int r = 0;

	(void)unused;
	for (; r == 0 && n < 2 * INFLIGHT_OLD_MAX / EACH; n++) {
		assert_int_equal(push_items(n * EACH, EACH, &frame), 0);
		frame->n_delivered = EACH;
		r = inflight_reset(given);
	}
	assert_int_equal(r, -ENOBUFS);
	assert_int_equal(n, INFLIGHT_OLD_MAX / EACH + 1);
	assert_int_equal(given->n_old, INFLIGHT_OLD_MAX);
	/* The first ones are known again; what did not fit is delivered again. */
	assert_int_equal(push_items(0, 2, &frame), 0);
	assert_true(is_repeat(frame, 0, 0));
	assert_false(is_repeat(frame, 1, n * EACH - 1));
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, begin, end)
	const struct CMUnitTest tests[] = {
		T(what_is_held_stays_within_the_window),
		T(items_of_earlier_connections_are_remembered_up_to_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
