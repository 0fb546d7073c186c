/* SPDX-License-Identifier: Apache-2.0 */
/* Real events through a real segment into a frame, and the frame through real sockets. */
#include "../../daemon/frame.h"

#include <dibao/view.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "event_fixture.h"

static const uint8_t view_key[DIBAO_VIEW_KEY_BYTES] = {1, 2, 3};

struct fixture {
	struct withdrawn withdrawn;
	struct hidden hidden;
	struct queue_clock clock;
	struct frame_context ctx;
	struct history *history;
	struct segment *segment;
	struct lane full, board;
	uint64_t ms;
	size_t live_before; /* of a test that failed */
};

static int set_up(void **state)
{
	static struct fixture f;
	struct history_options opt = {
		.withdrawn = &f.withdrawn, .ring_bytes = 1 << 24, .slice_bytes = 1 << 24};

	f = (struct fixture){.board.filter.public_view = true};
	assert_int_equal(withdrawn_init(&f.withdrawn), 0);
	queue_clock_set(&f.clock, 1700000000000);
	f.ctx = (struct frame_context){.withdrawn = &f.withdrawn,
				       .hidden = &f.hidden,
				       .view_key = view_key,
				       .max_bytes = WIRE_PAYLOAD_MAX,
				       .clock = &f.clock};
	assert_int_equal(history_new(&f.history, &opt), 0);
	f.live_before = frame_live_bytes();
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	history_free(f->history);
	hidden_done(&f->hidden);
	withdrawn_done(&f->withdrawn);
	entries_forget();
	assert_int_equal(frame_live_bytes(), f->live_before);
	return 0;
}

/* A record, with the next id; all of a test stay in one segment. */
static void append(struct fixture *f, struct sample s)
{
	struct segment *before = f->segment;
	struct entry e;
	uint32_t first;

	s.ms = ++f->ms;
	e = make_entry(s);
	assert_int_equal(
		history_append(f->history, DIBAO_CHANNEL_PUBLIC, &e, 1, e.id, &f->segment, &first),
		0);
	assert_true(!before || before == f->segment);
}

static struct frame encode(struct fixture *f, const struct lane *lane)
{
	struct frame frame;
	uint32_t next;

	assert_int_equal(frame_encode(&frame, &f->ctx, lane, f->segment, 0, UINT32_MAX,
				      (struct entry_id){0}, &next),
			 0);
	assert_int_equal(next, f->segment->n);
	return frame;
}

/* Item i of a frame that is sound to its end. */
static struct wire_item item(struct frame *frame, uint32_t i)
{
	const uint8_t *p = zmq_msg_data(&frame->msg);
	struct wire_item it;

	assert_int_equal(wire_payload_check(p, zmq_msg_size(&frame->msg), frame->count), 0);
	assert_in_range(i, 0, frame->count - 1);
	do {
		p = wire_item_next(p, &it);
	} while (i--);
	return it;
}

static void a_full_view_holds_the_very_bytes_that_came(void **state)
{
	struct fixture *f = *state;
	struct frame frame;

	append(f, (struct sample){.type = "award"});
	append(f, (struct sample){.type = "penalty"});
	frame = encode(f, &f->full);
	assert_int_equal(frame.count, 2);
	for (uint32_t i = 0; i < 2; i++) {
		const struct record *r = &f->segment->records[i];
		struct wire_item it = item(&frame, i);

		assert_int_equal(it.kind, DIBAO_ITEM_EVENT);
		assert_int_equal(it.flags, 0);
		assert_int_equal(it.len, r->len);
		assert_memory_equal(it.bytes, record_bytes(f->segment, r), r->len);
	}
	frame_done(&frame);
}

static void a_board_gets_the_view_and_neither_uid_nor_badge(void **state)
{
	struct fixture *f = *state;
	struct frame frame;
	struct wire_item it;
	struct dibao_event ev;
	uint8_t view[DIBAO_EVENT_MAX_BYTES];
	int n;

	append(f, (struct sample){.uid = "secret-uid", .badge = "F7777"});
	frame = encode(f, &f->board);
	it = item(&frame, 0);
	assert_int_equal(it.kind, DIBAO_ITEM_VIEW);
	assert_null(memmem(it.bytes, it.len, "secret-uid", 10));
	assert_null(memmem(it.bytes, it.len, "F7777", 5));
	assert_int_equal(dibao_event_parse(&ev, f->segment->bytes, f->segment->len, NULL), 0);
	n = dibao_view_encode(&ev, view_key, false, view, sizeof view);
	assert_int_equal(it.len, n);
	assert_memory_equal(it.bytes, view, n);
	frame_done(&frame);
}

static void names_are_masked_where_the_lane_asks_for_it(void **state)
{
	struct fixture *f = *state;
	struct frame frame;

	append(f, (struct sample){0});
	frame = encode(f, &f->board);
	assert_non_null(memmem(item(&frame, 0).bytes, item(&frame, 0).len, "演示", 6));
	frame_done(&frame);
	f->board.filter.mask_names = true;
	frame = encode(f, &f->board);
	assert_null(memmem(item(&frame, 0).bytes, item(&frame, 0).len, "演示", 6));
	assert_non_null(memmem(item(&frame, 0).bytes, item(&frame, 0).len, "演*", 4));
	frame_done(&frame);
}

/* The full view is told by a flag; a board must not show it again. */
static void what_was_withdrawn_is_flagged_in_full_and_left_out_of_boards(void **state)
{
	struct fixture *f = *state;
	struct frame frame;

	append(f, (struct sample){.uid = "gone"});
	append(f, (struct sample){.uid = "stays"});
	assert_int_equal(withdrawn_add(&f->withdrawn, withdrawn_hash(&f->withdrawn, "gone", 4)), 0);
	frame = encode(f, &f->full);
	assert_int_equal(frame.count, 2);
	assert_int_equal(item(&frame, 0).flags, WIRE_ITEM_IS_WITHDRAWN);
	assert_int_equal(item(&frame, 1).flags, 0);
	frame_done(&frame);
	frame = encode(f, &f->board);
	assert_int_equal(frame.count, 1);
	frame_done(&frame);
}

static void a_hidden_person_is_left_out_of_boards_until_the_queues_time(void **state)
{
	struct fixture *f = *state;
	struct frame frame;

	append(f, (struct sample){.badge = "F0001"});
	assert_int_equal(hidden_set(&f->hidden, text("F0001"), 1700000500000), 0);
	frame = encode(f, &f->board);
	assert_int_equal(frame.count, 0);
	frame_done(&frame);
	frame = encode(f, &f->full);
	assert_int_equal(frame.count, 1);
	frame_done(&frame);
	queue_clock_set(&f->clock, 1700000500000);
	frame = encode(f, &f->board);
	assert_int_equal(frame.count, 1);
	frame_done(&frame);
}

static void a_withdrawal_names_the_uid_in_full_and_the_pid_alone_to_boards(void **state)
{
	struct fixture *f = *state;
	uint8_t pid[DIBAO_PID_BYTES];
	struct frame frame;

	dibao_pid(view_key, "original", 8, pid);
	append(f, (struct sample){.type = "", .w_type = "award", .w_uid = "original"});
	frame = encode(f, &f->full);
	assert_int_equal(item(&frame, 0).kind, DIBAO_ITEM_WITHDRAWN);
	assert_non_null(memmem(item(&frame, 0).bytes, item(&frame, 0).len, pid, sizeof pid));
	assert_non_null(memmem(item(&frame, 0).bytes, item(&frame, 0).len, "original", 8));
	frame_done(&frame);
	frame = encode(f, &f->board);
	assert_int_equal(item(&frame, 0).kind, DIBAO_ITEM_WITHDRAWN);
	assert_non_null(memmem(item(&frame, 0).bytes, item(&frame, 0).len, pid, sizeof pid));
	assert_null(memmem(item(&frame, 0).bytes, item(&frame, 0).len, "original", 8));
	frame_done(&frame);
}

static void a_board_learns_that_the_old_is_void_before_it_gets_the_new(void **state)
{
	struct fixture *f = *state;
	struct frame frame;

	append(f, (struct sample){.type = "award", .w_type = "award", .w_uid = "original"});
	frame = encode(f, &f->board);
	assert_int_equal(frame.count, 2);
	assert_int_equal(item(&frame, 0).kind, DIBAO_ITEM_WITHDRAWN);
	assert_int_equal(item(&frame, 1).kind, DIBAO_ITEM_VIEW);
	frame_done(&frame);
}

static void a_frame_is_filled_to_its_bound_and_the_next_goes_on_after_it(void **state)
{
	struct fixture *f = *state;
	struct frame frame;
	uint32_t next;

	for (int i = 0; i < 10; i++) {
		append(f, (struct sample){.bytes = 1000});
	}
	f->ctx.max_bytes = 4 * (1000 + WIRE_ITEM_HEADER_BYTES);
	assert_int_equal(frame_encode(&frame, &f->ctx, &f->full, f->segment, 0, UINT32_MAX,
				      (struct entry_id){0}, &next),
			 0);
	assert_int_equal(frame.count, 4);
	assert_int_equal(frame.bytes, f->ctx.max_bytes);
	assert_int_equal(next, 4);
	assert_int_equal(frame.end.ms, 4);
	frame_done(&frame);
	f->ctx.max_bytes--;
	assert_int_equal(frame_encode(&frame, &f->ctx, &f->full, f->segment, 4, UINT32_MAX,
				      (struct entry_id){4, 0}, &next),
			 0);
	assert_int_equal(frame.count, 3);
	assert_int_equal(next, 7);
	assert_int_equal(frame.after.ms, 4);
	assert_int_equal(frame.end.ms, 7);
	frame_done(&frame);
}

static void a_frame_without_room_for_the_first_record_stays_where_it_was(void **state)
{
	struct fixture *f = *state;
	struct frame frame;
	uint32_t next;

	append(f, (struct sample){.bytes = 1000});
	f->ctx.max_bytes = 1000;
	assert_int_equal(frame_encode(&frame, &f->ctx, &f->full, f->segment, 0, UINT32_MAX,
				      (struct entry_id){0, 7}, &next),
			 0);
	assert_int_equal(frame.count, 0);
	assert_int_equal(next, 0);
	assert_int_equal(frame.end.ms, 0);
	assert_int_equal(frame.end.seq, 7);
}

/* Half a record would be a new event without the word that the old one is void. */
static void a_record_of_two_items_goes_whole_or_not_at_all(void **state)
{
	struct fixture *f = *state;
	struct frame frame;
	uint32_t whole, next;

	append(f, (struct sample){.type = "award"});
	append(f, (struct sample){.type = "award", .w_type = "award", .w_uid = "original"});
	frame = encode(f, &f->board);
	whole = frame.bytes;
	assert_int_equal(frame.count, 3);
	frame_done(&frame);
	f->ctx.max_bytes = whole - 1;
	assert_int_equal(frame_encode(&frame, &f->ctx, &f->board, f->segment, 0, UINT32_MAX,
				      (struct entry_id){0}, &next),
			 0);
	assert_int_equal(frame.count, 1);
	assert_int_equal(frame.end.ms, 1);
	assert_int_equal(next, 1);
	frame_done(&frame);
}

static void the_longest_events_there_may_be_fill_a_segment_and_one_frame_holds_it(void **state)
{
	struct fixture *f = *state;
	struct frame frame;

	for (int i = 0; i < 14; i++) {
		append(f, (struct sample){.bytes = DIBAO_EVENT_MAX_BYTES});
	}
	frame = encode(f, &f->full);
	assert_int_equal(frame.count, 14);
	assert_int_equal(item(&frame, 13).len, DIBAO_EVENT_MAX_BYTES);
	assert_in_range(frame.bytes, 14 * DIBAO_EVENT_MAX_BYTES, WIRE_PAYLOAD_MAX);
	frame_done(&frame);
}

static void no_more_records_are_looked_at_than_asked_for(void **state)
{
	struct fixture *f = *state;
	struct frame frame;
	uint32_t next;

	for (int i = 0; i < 10; i++) {
		append(f, (struct sample){0});
	}
	assert_int_equal(frame_encode(&frame, &f->ctx, &f->full, f->segment, 2, 3,
				      (struct entry_id){2, 0}, &next),
			 0);
	assert_int_equal(frame.count, 3);
	assert_int_equal(next, 5);
	assert_int_equal(frame.end.ms, 5);
	frame_done(&frame);
}

/* It takes the session on though it brings nothing. */
static void a_frame_of_what_nobody_wants_is_empty_and_ends_where_the_segment_ends(void **state)
{
	struct fixture *f = *state;
	struct segment *s;
	struct frame frame;
	uint32_t first;

	append(f, (struct sample){.type = "penalty"});
	assert_int_equal(history_append(f->history, DIBAO_CHANNEL_PUBLIC, NULL, 0,
					(struct entry_id){50, 0}, &s, &first),
			 0);
	frame = encode(f, &f->board);
	assert_int_equal(frame.count, 0);
	assert_int_equal(frame.bytes, 0);
	assert_int_equal(frame.end.ms, 50);
	frame_done(&frame);
}

static void a_list_takes_the_records_named_in_order_and_says_how_many_fitted(void **state)
{
	static const uint32_t list[] = {1, 3, 4};
	struct fixture *f = *state;
	struct frame frame;
	uint32_t n = 0;

	for (int i = 0; i < 5; i++) {
		append(f, (struct sample){.bytes = 1000 + i});
	}
	assert_int_equal(frame_encode_list(&frame, &f->ctx, &f->full, f->segment, list, 3, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(item(&frame, 0).len, 1001);
	assert_int_equal(item(&frame, 1).len, 1003);
	assert_int_equal(item(&frame, 2).len, 1004);
	frame_done(&frame);
	f->ctx.max_bytes = 2500;
	assert_int_equal(frame_encode_list(&frame, &f->ctx, &f->full, f->segment, list, 3, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(frame.count, 2);
	frame_done(&frame);
}

/* Two hundred in step cost one buffer: what arrives lies where it was encoded. */
static void all_who_are_sent_a_frame_share_its_bytes_and_the_last_frees_them(void **state)
{
	enum { PEERS = 20 };
	struct fixture *f = *state;
	void *context = zmq_ctx_new(), *out = zmq_socket(context, ZMQ_PUSH),
	     *in = zmq_socket(context, ZMQ_PULL), *data;
	struct frame frame;
	zmq_msg_t got[PEERS];
	uint32_t bytes;

	assert_int_equal(zmq_bind(in, "inproc://frame"), 0);
	assert_int_equal(zmq_connect(out, "inproc://frame"), 0);
	append(f, (struct sample){.bytes = 5000});
	frame = encode(f, &f->full);
	data = zmq_msg_data(&frame.msg);
	bytes = frame.bytes;
	assert_int_equal(frame_live_bytes() - f->live_before, bytes);
	for (int i = 0; i < PEERS; i++) {
		zmq_msg_t copy;

		zmq_msg_init(&copy);
		assert_int_equal(zmq_msg_copy(&copy, &frame.msg), 0);
		assert_int_equal(zmq_msg_send(&copy, out, 0), bytes);
	}
	frame_done(&frame);
	for (int i = 0; i < PEERS; i++) {
		zmq_msg_init(&got[i]);
		assert_int_equal(zmq_msg_recv(&got[i], in, 0), bytes);
		assert_ptr_equal(zmq_msg_data(&got[i]), data);
	}
	for (int i = 0; i < PEERS; i++) {
		assert_int_equal(frame_live_bytes() - f->live_before, bytes);
		zmq_msg_close(&got[i]);
	}
	assert_int_equal(frame_live_bytes(), f->live_before);
	zmq_close(in);
	zmq_close(out);
	zmq_ctx_term(context);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_full_view_holds_the_very_bytes_that_came),
		TEST(a_board_gets_the_view_and_neither_uid_nor_badge),
		TEST(names_are_masked_where_the_lane_asks_for_it),
		TEST(what_was_withdrawn_is_flagged_in_full_and_left_out_of_boards),
		TEST(a_hidden_person_is_left_out_of_boards_until_the_queues_time),
		TEST(a_withdrawal_names_the_uid_in_full_and_the_pid_alone_to_boards),
		TEST(a_board_learns_that_the_old_is_void_before_it_gets_the_new),
		TEST(a_frame_is_filled_to_its_bound_and_the_next_goes_on_after_it),
		TEST(a_frame_without_room_for_the_first_record_stays_where_it_was),
		TEST(a_record_of_two_items_goes_whole_or_not_at_all),
		TEST(the_longest_events_there_may_be_fill_a_segment_and_one_frame_holds_it),
		TEST(no_more_records_are_looked_at_than_asked_for),
		TEST(a_frame_of_what_nobody_wants_is_empty_and_ends_where_the_segment_ends),
		TEST(a_list_takes_the_records_named_in_order_and_says_how_many_fitted),
		TEST(all_who_are_sent_a_frame_share_its_bytes_and_the_last_frees_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
