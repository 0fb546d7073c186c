/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One session: a peer that said HELLO. What was numbered, what is in flight, what it may still get.
 * Accounting only: no socket, no Redis, time passed in.
 *
 * Numbers are dense per session and channel, from 1. A flight maps a number to the stream position
 * that its ACK stands for; the peer never sees a position. The credit of the ordinary channels and
 * that of the -now channels are apart, so that a withdrawal never waits behind a bulk.
 *
 * Bounds: bytes in flight by the window (with nothing in flight one frame may always go), flights
 * by SESSION_FLIGHTS_MAX per channel (each lies in libzmq's queue with two slots of 64 bytes; who
 * is at the bound is sent larger frames later), receipts under way by SESSION_RECEIPTS_MAX.
 */
#ifndef DAEMON_SESSION_H
#define DAEMON_SESSION_H

#include "entry.h"
#include "wire.h"

enum { SESSION_FLIGHTS_MAX = 256, SESSION_RECEIPTS_MAX = 1024 };

struct lane;
struct access_entry;

struct flight {
	uint64_t number, token;
	struct entry_id end; /* the position that its ACK takes */
	uint32_t bytes;
};

struct session_channel {
	uint64_t next_number;
	struct flight *flights; /* owned ring of `cap` (a power of two), `n` from `head` */
	uint32_t head, n, cap;
	bool attached;
	bool in_step; /* then the position is the tail and `step` its place in the lane */
	uint32_t step;
	struct entry_id cursor;	 /* exclusive position of what was sent, while not in step */
	struct entry_id acked;	 /* position taken over by the peer */
	struct entry_id repeats; /* frames that begin before it may hold repeats */
};

enum session_state {
	SESSION_STARTING, /* waits for Redis: lease, cursor, first ids */
	SESSION_STANDBY,  /* another instance has the lease */
	SESSION_ACTIVE,
	SESSION_ENDED, /* waits to be freed at the end of the turn */
};

struct session {
	uint32_t routing_id;
	uint32_t tag; /* stands for it in the log */
	enum session_state state;
	char who[41];			   /* its key, or ZAP_LOCAL, ZAP_INSECURE */
	const struct access_entry *access; /* borrowed from the policy in force */
	int64_t expires_ms;		   /* Unix ms: then nothing is sent any more */
	struct lane *lane;		   /* borrowed; NULL until ACTIVE */
	char durable[WIRE_NAME_MAX + 1];   /* "" = none */
	uint8_t instance[WIRE_INSTANCE_BYTES];
	uint64_t epoch, counter;   /* fencing token; 0/0 without a durable name */
	uint64_t lease_until_usec; /* CLOCK_BOOTTIME; nothing is sent after it */
	uint32_t window_bytes;
	uint32_t rate;		    /* items a second, by the policy; 0 = no limit */
	int64_t rate_left;	    /* items that may go now; negative: a frame went beyond */
	uint64_t rate_usec;	    /* CLOCK_BOOTTIME: rate_left was filled up */
	uint64_t replay_full_usec;  /* CLOCK_BOOTTIME: it may have a minute's history again */
	uint32_t inflight_bytes[2]; /* ordinary, -now */
	struct session_channel at[DIBAO_CHANNEL_COUNT];
	uint64_t heard_usec, beat_due_usec, lease_due_usec;
	int64_t connected_ms;
	uint64_t n_sent, n_acked, n_frames; /* items, items of acked frames unknown: frames */
	uint32_t n_receipts;		    /* under way to Redis */
	bool cursor_dirty, cursor_writing;
	bool queued, blocked; /* in fanout's run queue, in its retry list */
	bool lease_asked;
	struct session *queue_next, *blocked_next;
	struct session *prev, *next; /* all sessions */
	struct session *hash_next;   /* by routing id */
	uint64_t serial;	     /* tells this session from a later one at the same address */
	void *hello;		     /* owned: what it asked, while STARTING or STANDBY */
};

static inline bool channel_is_now(unsigned c)
{
	return c == DIBAO_CHANNEL_PUBLIC_NOW || c == DIBAO_CHANNEL_PRIVATE_NOW;
}

struct session *session_new(uint32_t routing_id);
struct session *session_free(struct session *s);

/* May a frame of `bytes` go on this channel, with at most `share` bytes in flight? */
bool session_has_credit(const struct session *s, enum dibao_channel c, uint32_t bytes,
			uint32_t share);
/* By the policy's rate, may a frame go now? A second's worth may go at once; a frame that begins
 * within it goes whole, and what follows waits for it. */
bool session_has_rate(struct session *s, uint64_t now_usec);
/* May a frame of history go now, of a_minute bytes (0: no limit)? A minute's worth may go at once;
 * a frame that begins within it goes whole. */
bool session_has_replay(const struct session *s, uint64_t a_minute, uint64_t now_usec);
void session_spend_replay(struct session *s, uint64_t a_minute, uint32_t bytes, uint64_t now_usec);
/* Note a frame about to go and give it its number. -ENOMEM, -ENOBUFS at the bound of flights. */
int session_flight_add(struct session *s, enum dibao_channel c, uint64_t token, struct entry_id end,
		       uint32_t bytes, uint64_t *ret_number);
/* The frame did not go after all: takes back the last flight_add. */
void session_flight_undo(struct session *s, enum dibao_channel c);
/* ACK of all up to number. Frames acknowledged (0: again), or -EPROTO: that number was not sent,
 * or its token is another. */
int session_ack(struct session *s, enum dibao_channel c, uint64_t number, uint64_t token);
/* Frames in flight, all channels. */
uint32_t session_in_flight(const struct session *s);

#endif
