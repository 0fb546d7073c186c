/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a subscriber was given and has not acknowledged: frames per channel, their items' acks in
 * any order, the floor that goes back to the daemon.
 *
 * A handle names a delivery for good: generation of the connection, channel, number of the frame,
 * place in it. After a reconnect the daemon sends again what was not acknowledged. Such an item is
 * not delivered twice: if the application had acked it, the new copy counts as acked; if it has not
 * yet, the old handle stands for the new copy. Items are told again by the keyed hash of their
 * bytes.
 *
 * Bounds: INFLIGHT_FRAMES_MAX frames a channel (daemons send 256 at most); bytes by the window, of
 * the ordinary channels and of those for what is urgent each by itself, where one frame may always
 * be; INFLIGHT_OLD_MAX items of earlier connections, beyond which repeats are delivered. A frame is
 * kept whole until its last item is acked, so who acks one item of each frame late holds a window,
 * not more: a daemon that sends beyond it broke the protocol.
 */
#ifndef LIB_INFLIGHT_H
#define LIB_INFLIGHT_H

#include "wire.h"

#include <zmq.h>

enum {
	INFLIGHT_FRAMES_MAX = 1024,
	INFLIGHT_OLD_MAX = 256 * 1024,
	INFLIGHT_RECENT_FRAMES = 256,
	INFLIGHT_RECENT_BYTES = 256 * 1024
};

struct in_frame {
	uint64_t number, token;
	zmq_msg_t payload; /* owned; closed when count is 0 */
	uint32_t count, n_delivered;
	uint32_t n_acked;
	uint32_t in_order; /* items 0..in_order-1 are acked */
	uint8_t *acked;	   /* owned bitmap, made when an ack comes out of order */
	uint32_t bytes;
};

struct in_channel {
	struct in_frame *ring; /* owned, cap a power of two */
	uint32_t head, n, cap;
	uint64_t next_number, floor, floor_token, floor_sent;
};

/* An item of an earlier connection. */
struct old_item {
	uint64_t handle, hash;
	uint64_t alias; /* handle of its new copy; 0 = not come yet */
	uint8_t channel;
	bool acked;
};

struct inflight {
	uint8_t generation;
	struct in_channel at[DIBAO_CHANNEL_COUNT];
	struct old_item *old; /* owned: open table by hash, cap a power of two */
	uint32_t n_old, old_cap;
	uint8_t old_settled; /* channels on which live frames flow again */
	/* Acked frames kept for a while, so that a subscriber without durable name knows them
	 * again. */
	bool keep_recent;
	struct {
		zmq_msg_t *v; /* owned ring */
		uint8_t channel[INFLIGHT_RECENT_FRAMES];
		uint32_t head, n, cap;
		size_t bytes;
	} recent;
	uint32_t floor_bytes; /* moved past since the last ack went out */
	uint32_t window;      /* 0: not told yet */
	uint32_t bytes[2];    /* held in the ordinary channels; in those for what is urgent */
	uint8_t key[16];
};

void inflight_init(struct inflight *f, bool keep_recent);
void inflight_done(struct inflight *f);

/* The connection is over: what was delivered becomes old; numbers begin anew. -ENOMEM, -ENOBUFS:
 * repeats may be delivered. */
int inflight_reset(struct inflight *f);

/* A frame arrived: takes the payload's content (count > 0). 0, -EPROTO (a number skipped or
 * repeated), -ENOMEM, -ENOBUFS (beyond a bound). *ret is where it is kept, until the next push. */
int inflight_push(struct inflight *f, const struct wire_data *d, zmq_msg_t *payload,
		  struct in_frame **ret);
uint64_t inflight_handle(const struct inflight *f, enum dibao_channel c, uint64_t number,
			 uint32_t item);
/* Is this item of the frame one the application was given before? Then it is settled here. */
bool inflight_is_repeat(struct inflight *f, enum dibao_channel c, struct in_frame *fr,
			uint32_t item, const struct wire_item *it);
/* 0, -EINVAL. */
int inflight_ack(struct inflight *f, uint64_t handle);
void inflight_ack_delivered(struct inflight *f);
/* Live frames flow on this channel: nothing of the old will come again. */
void inflight_forget_old(struct inflight *f, enum dibao_channel c);
/* Floors that moved since they were last taken; false if none. */
bool inflight_take_ack(struct inflight *f, struct wire_ack *ret);
bool inflight_ack_is_due(const struct inflight *f);

#endif
