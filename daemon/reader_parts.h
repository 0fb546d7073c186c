/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the reader's three files share: reader.c (tail and life), reader_held.c
 * (batches that wait for adoption or quarantine), reader_range.c (ranges for
 * catch-up). Nobody else includes this.
 */
#ifndef DAEMON_READER_PARTS_H
#define DAEMON_READER_PARTS_H

#include "entry_read.h"
#include "queue.h"
#include "reader.h"

enum {
	READER_COUNT_MAX = 500, /* entries of a channel in one reply of the tail */
	READER_CHUNK = 128,	/* entries handed on in one call */
	READER_HELD_MAX = 2,
};

/* An entry of the reply being worked off; borrowed from the link's arena. */
struct read_entry {
	struct raw_entry raw;
	enum dibao_channel channel;
};

struct tail_request;
struct range_request;
struct batch;

struct reader {
	sd_event *event;
	struct redis_link *tail_link, *main_link, *range_link;
	void *userdata;
	void (*on_entries)(struct reader *r, enum dibao_channel c, const struct entry *entries,
			   size_t n, struct entry_id upto, void *userdata);
	void (*on_planned)(struct reader *r, const struct planned *p, void *userdata);
	void (*on_current)(struct reader *r, void *userdata);

	char base[QUEUE_KEY_MAX];
	char keys[DIBAO_CHANNEL_COUNT][QUEUE_KEY_MAX], scheduling_key[QUEUE_KEY_MAX];
	struct entry_id scheduling_read;
	struct entry_id read[DIBAO_CHANNEL_COUNT];  /* the next XREAD asks for what is after */
	struct entry_id taken[DIBAO_CHANNEL_COUNT]; /* handed on or held up to here */
	/* CLOCK_BOOTTIME: all that was published by then is handed on */
	uint64_t end_usec[DIBAO_CHANNEL_COUNT];
	bool was_behind; /* one was not current when it was asked for */
	bool is_started;
	bool public_only;
	unsigned generation;	      /* up by one at each start and stop */
	struct tail_request *pending; /* the XREAD on its way */
	struct batch *held, *held_last;
	unsigned n_held;
	unsigned count_limit; /* halved when a reply was too large, doubled back after */
	size_t mean_bytes;    /* of an entry, moving */
	struct range_request *ranges;
	sd_event_source *retry;
	struct reader_counters counters;

	struct read_entry batch[READER_COUNT_MAX * DIBAO_CHANNEL_COUNT];
	struct entry chunk[READER_CHUNK];
	struct entry *range_entries;
	size_t n_range_entries;
};

/* ---- reader.c ---- */

/* Entries of one channel on their way to on_entries(), at most READER_CHUNK at a time. */
struct chunk {
	struct reader *reader;
	enum dibao_channel channel;
	size_t n;
	bool is_open; /* `upto` stands for entries not yet told of */
	struct entry_id upto;
};

/* The place that chunk_pass() will hand on. */
static inline struct entry *chunk_next(const struct chunk *k)
{
	return &k->reader->chunk[k->n];
}
void chunk_pass(struct chunk *k, const struct raw_entry *raw);
/* All up to id is dealt with. */
void chunk_advance(struct chunk *k, struct entry_id id);
void chunk_flush(struct chunk *k);

/* Send the next XREAD, unless one is on its way, too much is held, or the tail is stopped. */
void reader_fetch(struct reader *r);
/* Look again at what could not be sent or was refused. */
void reader_retry_later(struct reader *r);
void reader_log_fault(const char *what, const redisReply *reply);

/* ---- reader_held.c ---- */

/* Is the entry in order as it stands? `into` holds it then. */
bool held_is_not_needed(const struct raw_entry *raw, enum dibao_channel c, struct entry *into);
/* Copy and hold entries, and send the calls they need. 0, -ENOMEM (nothing held). */
int held_add(struct reader *r, const struct read_entry *entries, size_t n);
void held_retry(struct reader *r);
void held_void(struct reader *r);

/* ---- reader_range.c ---- */

void ranges_void(struct reader *r);

#endif
