/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A payload frame: items of one channel for one lane, encoded once, at most 256 KiB (a single item
 * may not exceed it: an event is at most 16 KiB). Every session in step gets it by reference;
 * libzmq frees the bytes when the last one has been written, on whichever thread that is.
 */
#ifndef DAEMON_FRAME_H
#define DAEMON_FRAME_H

#include "clock.h"
#include "hidden.h"
#include "history.h"
#include "lane.h"

#include <zmq.h>

struct frame {
	zmq_msg_t msg; /* owned; empty when count is 0 */
	uint32_t count;
	uint32_t bytes;
	struct entry_id after, end; /* holds all that the lane wants of (after, end] */
};

/* What encoding needs to know besides the entries. */
struct frame_context {
	const struct withdrawn *withdrawn;
	const struct hidden *hidden;
	const uint8_t *view_key; /* DIBAO_VIEW_KEY_BYTES; for pids */
	size_t max_bytes;	 /* of a frame, WIRE_PAYLOAD_MAX at most */
	const struct queue_clock *clock;
};

/*
 * Encode what `lane` wants of the segment's records first..n_records, until it is full or
 * `max_records` were looked at. *ret_next: first record not looked at. The frame's end is the last
 * record looked at, or the segment's end when all were. 0 (count may be 0), -ENOMEM.
 */
int frame_encode(struct frame *ret, const struct frame_context *ctx, const struct lane *lane,
		 const struct segment *s, uint32_t first, uint32_t max_records,
		 struct entry_id after, uint32_t *ret_next);
/* The same from a list of records (indices into the segment), all of which the lane wants; encodes
 * as many as fit, *ret_n of them. The caller sets `end`. */
int frame_encode_list(struct frame *ret, const struct frame_context *ctx, const struct lane *lane,
		      const struct segment *s, const uint32_t *list, uint32_t n, uint32_t *ret_n);
/* What a board's lane is shown of a record's event, into buf: its length, or 0: nothing, for it is
 * withdrawn, hidden, or not for the public: the encoder has the last word. */
int frame_view(const struct frame_context *ctx, const struct lane *lane, const struct segment *s,
	       const struct record *r, uint8_t *buf, size_t cap);
void frame_done(struct frame *f);

/* Bytes of payload alive in this process: in the cache, in libzmq's queues, on their way. */
size_t frame_live_bytes(void);

#endif
