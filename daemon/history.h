/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon holds of the streams: validated entries, once, shared by all lanes.
 *
 * Per channel an ordered list of disjoint segments. A segment covers the ids (from, to] completely:
 * an id in there that has no record holds nothing deliverable. The newest ones are *live*, without
 * a hole up to the tail: that is the ring. Others are *slices* that catch-up read from Redis; a
 * slice serves every session that passes through it, so a storm of sessions costs one reading.
 *
 * Bounds: the ring evicts its oldest segment, the slices the one unused for longest. A range is
 * loaded by one request however many sessions wait for it, and at most HISTORY_LOADS_MAX are under
 * way per channel; who waits is told by on_loaded.
 *
 * Records are borrowed until the loop's next turn: nothing is evicted but by append and by a load
 * that arrives.
 */
#ifndef DAEMON_HISTORY_H
#define DAEMON_HISTORY_H

#include "entry.h"
#include "reader.h"
#include "withdrawn.h"

enum {
	HISTORY_SEGMENT_BYTES = 240 * 1024, /* a live segment is closed beyond it: one frame */
	HISTORY_LOADS_MAX = 4,
	HISTORY_LOAD_COUNT = 1000, /* raw entries of one XRANGE */
	HISTORY_READ_AHEAD = 3,	   /* slices read before a session asks for them */
};

enum {
	RECORD_EVENT = 1u << 0,
	RECORD_WITHDRAWAL = 1u << 1,
	RECORD_PRIVATE = 1u << 2,
	RECORD_HIDING = 1u << 3, /* because a badge is hidden, or no more: for public views alone */
};

struct record {
	struct entry_id id;
	uint64_t uid_hash; /* withdrawn_hash() of the event's uid */
	uint32_t off;	   /* in the segment's bytes: event, then the withdrawal's type, uid */
	uint16_t len;	   /* event bytes; 0 without RECORD_EVENT */
	int8_t type;	   /* DIBAO_TYPE_UNKNOWN or index */
	uint8_t flags;
	char org[DIBAO_ORG_BYTES];
	/* with RECORD_WITHDRAWAL */
	char w_org[DIBAO_ORG_BYTES];
	uint8_t w_type_len, w_uid_len;
	int8_t w_type;
};

struct segment {
	struct segment *prev, *next; /* by id, in one channel */
	struct entry_id from, to;    /* covers (from, to] */
	struct record *records;	     /* owned, n of cap */
	uint32_t n, cap;
	uint8_t *bytes; /* owned */
	size_t len, bytes_cap;
	uint64_t used; /* for the slices' eviction */
	bool live;
};

static inline const uint8_t *record_bytes(const struct segment *s, const struct record *r)
{
	return s->bytes + r->off;
}

static inline struct dibao_str record_w_type(const struct segment *s, const struct record *r)
{
	return (struct dibao_str){(const char *)s->bytes + r->off + r->len, r->w_type_len};
}

static inline struct dibao_str record_w_uid(const struct segment *s, const struct record *r)
{
	return (struct dibao_str){(const char *)s->bytes + r->off + r->len + r->w_type_len,
				  r->w_uid_len};
}

struct history;

struct history_options {
	struct reader *reader;	     /* borrowed */
	struct withdrawn *withdrawn; /* borrowed; only hashes uids */
	size_t ring_bytes, slice_bytes;
	void *userdata;
	/* A load of this channel ended: ask again. */
	void (*on_loaded)(enum dibao_channel c, void *userdata);
};

int history_new(struct history **ret, const struct history_options *opt);
struct history *history_free(struct history *h);
void history_set_limits(struct history *h, size_t ring_bytes, size_t slice_bytes);

/* Forget everything and let the tail of each channel stand at `at`. */
void history_reset(struct history *h, const struct entry_id at[DIBAO_CHANNEL_COUNT]);

/* New entries at the tail, covering up to `upto`. *ret_segment and *ret_first: where the first of
 * the n records lies; all n are in that one segment. 0, -ENOMEM (nothing appended). */
int history_append(struct history *h, enum dibao_channel c, const struct entry *entries, size_t n,
		   struct entry_id upto, struct segment **ret_segment, uint32_t *ret_first);

/* All up to it has been read and wholly processed. */
struct entry_id history_tail(const struct history *h, enum dibao_channel c);
/* Start of the ring, exclusive. */
struct entry_id history_oldest(const struct history *h, enum dibao_channel c);
/* First segment of the ring. */
const struct segment *history_ring(const struct history *h, enum dibao_channel c);

enum history_found {
	HISTORY_HERE, /* *ret_segment covers what follows `after`; *ret_first: first record > after
		       */
	HISTORY_AT_TAIL, /* nothing follows */
	HISTORY_WAIT,	 /* being loaded: on_loaded will tell */
	HISTORY_DOWN,	 /* cannot be loaded now (no connection): try later */
};
enum history_found history_find(struct history *h, enum dibao_channel c, struct entry_id after,
				struct segment **ret_segment, uint32_t *ret_first);

struct history_counters {
	size_t ring_bytes, slice_bytes, n_records;
	uint64_t n_loads, n_loaded_records;
};
const struct history_counters *history_counters(const struct history *h);

#endif
