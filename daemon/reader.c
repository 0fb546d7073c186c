/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tail. One XREAD is on its way at any time, unless two batches are held.
 *
 * A reply is worked off from the link's arena in chunks, which go to
 * on_entries() at once while their entries are valid and written by a function.
 * From the first one that isn't, the rest of the reply is copied and held
 * (reader_held.c) until the functions have answered. So `upto` never passes an
 * entry that a crash now would leave unadopted or unquarantined, and what
 * follows an entry never overtakes it.
 *
 * When a call isn't answered (the main link is down) or is refused for the
 * moment (out of memory, a replica), it is sent again every RETRY_MS: the
 * functions are idempotent by entry id. Nothing is skipped for being
 * unanswered; the lag shows. An adoption that the function itself cannot make
 * ends in the quarantine.
 *
 * Bounds: a reply holds at most READER_COUNT_MAX entries per channel, fewer
 * when they are large (REPLY_BYTES by their mean size), and never more than the
 * arena's limit; at most READER_HELD_MAX batches are held.
 *
 * A stop or start voids what is held and what is on its way: such an answer
 * finds a request or batch without a reader and only frees it.
 */
#include "reader_parts.h"

#include "clock.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	REPLY_BYTES = 8 * 1024 * 1024,
	BLOCK_MS = 500,
	BLOCK_BEHIND_MS = 20, /* not known to be at the end: an answer soon */
	BLOCK_GRACE_MS = 5000,
	CURRENT_USEC = 1500000,
	RETRY_MS = 200,
};

/* Withdrawals and urgent events first: a reply is worked off in this order. */
static const enum dibao_channel read_order[DIBAO_CHANNEL_COUNT] = {
	DIBAO_CHANNEL_PUBLIC_NOW,
	DIBAO_CHANNEL_PRIVATE_NOW,
	DIBAO_CHANNEL_PUBLIC,
	DIBAO_CHANNEL_PRIVATE,
};
/* An XREAD on its way. reader NULL: voided. */
struct tail_request {
	struct reader *reader;
	unsigned count;
	uint64_t sent_usec; /* CLOCK_BOOTTIME */
};

void reader_retry_later(struct reader *r)
{
	uint64_t now = 0;

	(void)sd_event_now(r->event, CLOCK_BOOTTIME, &now);
	(void)sd_event_source_set_time(r->retry, now + RETRY_MS * UINT64_C(1000));
	(void)sd_event_source_set_enabled(r->retry, SD_EVENT_ONESHOT);
}

void reader_log_fault(const char *what, const redisReply *reply)
{
	if (log_limited("reader-redis")) {
		log_text(LOG_ERR, "%s: %s; trying again", what,
			 redis_reply_is_error(reply, NULL) ? reply->str : "unexpected reply");
	}
}

/* ---- handing on ---- */
void chunk_flush(struct chunk *k)
{
	struct reader *r = k->reader;
	size_t n = k->n;

	if (!k->is_open) {
		return;
	}
	k->n = 0;
	k->is_open = false;
	r->on_entries(r, k->channel, r->chunk, n, k->upto, r->userdata);
}

void chunk_pass(struct chunk *k, const struct raw_entry *raw)
{
	struct reader_counters *counters = &k->reader->counters;
	const struct entry *e = &k->reader->chunk[k->n++];

	counters->n_entries++;
	counters->n_bytes += raw->e.len;
	counters->n_unknown_keys += raw->n_unknown + (e->has_event ? e->ev.n_unknown : 0);
}

void chunk_advance(struct chunk *k, struct entry_id id)
{
	k->upto = id;
	k->is_open = true;
	if (k->n == READER_CHUNK) {
		chunk_flush(k);
	}
}
/* ---- replies of the tail ---- */

static void void_pending(struct reader *r)
{
	if (r->pending) {
		r->pending->reader = NULL;
		r->pending = NULL;
	}
}

static int channel_of(const struct reader *r, const redisReply *key)
{
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		if (key->type == REDIS_REPLY_STRING && strcmp(r->keys[c], key->str) == 0) {
			return c;
		}
	}
	return -EBADMSG;
}

/* Handed on at once: nothing else waits for them. What cannot be read is passed over. */
static void take_planned(struct reader *r, const redisReply *entries)
{
	for (size_t i = 0; i < entries->elements; i++) {
		const redisReply *e = entries->element[i];
		struct raw_entry raw;
		struct planned p;

		if (planned_read(&p, e) == 0) {
			r->on_planned(r, &p, r->userdata);
		}
		if (raw_entry_read(&raw, e) == 0) {
			r->scheduling_read = raw.id;
		}
	}
}

static bool is_scheduling(const struct reader *r, const redisReply *key)
{
	return key->type == REDIS_REPLY_STRING && strcmp(r->scheduling_key, key->str) == 0;
}

/* The reply's entries into r->batch, and what is to be read next. Their number, *ret_n of each
 * channel, or -EBADMSG: not what XREAD replies. */
static ssize_t collect(struct reader *r, const redisReply *reply, size_t *ret_bytes,
		       unsigned ret_n[DIBAO_CHANNEL_COUNT])
{
	struct entry_id last[DIBAO_CHANNEL_COUNT];
	size_t n = 0, bytes = 0;

	memcpy(last, r->read, sizeof last);
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 1 ||
	    reply->elements > DIBAO_CHANNEL_COUNT + 1) {
		return -EBADMSG;
	}
	for (size_t s = 0; s < reply->elements; s++) {
		const redisReply *stream = reply->element[s], *entries;
		int c;

		if (stream->type != REDIS_REPLY_ARRAY || stream->elements != 2) {
			return -EBADMSG;
		}
		c = channel_of(r, stream->element[0]);
		entries = stream->element[1];
		if (r->on_planned && is_scheduling(r, stream->element[0]) &&
		    entries->type == REDIS_REPLY_ARRAY) {
			take_planned(r, entries);
			continue;
		}
		if (c < 0 || entries->type != REDIS_REPLY_ARRAY ||
		    entries->elements > READER_COUNT_MAX) {
			return -EBADMSG;
		}
		ret_n[c] = (unsigned)entries->elements;
		for (size_t i = 0; i < entries->elements; i++) {
			struct read_entry *e = &r->batch[n++];

			if (raw_entry_read(&e->raw, entries->element[i]) < 0) {
				return -EBADMSG;
			}
			e->channel = (enum dibao_channel)c;
			bytes += e->raw.e.len;
			last[c] = e->raw.id;
		}
	}
	memcpy(r->read, last, sizeof last);
	*ret_bytes = bytes;
	return (ssize_t)n;
}

static void adapt_count(struct reader *r, size_t mean_bytes)
{
	/* Up at once, down slowly. */
	r->mean_bytes =
		mean_bytes > r->mean_bytes ? mean_bytes : (3 * r->mean_bytes + mean_bytes) / 4;
	r->count_limit *= 2;
	if (r->count_limit > READER_COUNT_MAX) {
		r->count_limit = READER_COUNT_MAX;
	}
}

static bool hold_rest(struct reader *r, size_t from, size_t n)
{
	if (from == n || held_add(r, r->batch + from, n - from) == 0) {
		return true;
	}
	/* Then it is as if it had not been read: the request on its way is void too, and the retry
	 * reads on from the last entry that was handed on or held. */
	log_text(LOG_ERR, "no memory to hold entries, reading them again");
	void_pending(r);
	memcpy(r->read, r->taken, sizeof r->read);
	reader_retry_later(r);
	return false;
}

/* False: not all of it is handed on or held, or we were stopped. */
static bool work_off(struct reader *r, size_t n)
{
	struct chunk k = {.reader = r};
	unsigned generation = r->generation;
	size_t i;

	for (i = 0; i < n && r->n_held == 0; i++) {
		const struct read_entry *e = &r->batch[i];

		if (e->channel != k.channel) {
			chunk_flush(&k);
			k.channel = e->channel;
		}
		/* on_entries() may have stopped us, or started us elsewhere. */
		if (r->generation != generation) {
			return false;
		}
		if (held_is_not_needed(&e->raw, e->channel, chunk_next(&k))) {
			chunk_pass(&k, &e->raw);
		} else if (!r->public_only) {
			break;
		}
		r->taken[e->channel] = e->raw.id;
		chunk_advance(&k, e->raw.id);
	}
	if (r->generation == generation) {
		chunk_flush(&k);
	}
	return r->generation == generation && hold_rest(r, i, n);
}

static bool is_read(const struct reader *r, enum dibao_channel c)
{
	return !r->public_only || c == DIBAO_CHANNEL_PUBLIC || c == DIBAO_CHANNEL_PUBLIC_NOW;
}

bool reader_is_current(const struct reader *r, enum dibao_channel c)
{
	return boottime_usec() - r->end_usec[c] < CURRENT_USEC;
}

static bool is_behind(const struct reader *r)
{
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		if (is_read(r, (enum dibao_channel)c) &&
		    !reader_is_current(r, (enum dibao_channel)c)) {
			return true;
		}
	}
	return false;
}

/* The answer to what was asked then is handed on. A channel of which it has less than was asked for
 * is at its end: each by itself, so that what floods one tells nothing to those of another. */
static void note_ends(struct reader *r, uint64_t asked_usec, const unsigned n[DIBAO_CHANNEL_COUNT],
		      unsigned count)
{
	bool was_behind = r->was_behind || is_behind(r);

	for (int c = 0; c < DIBAO_CHANNEL_COUNT && r->n_held == 0; c++) {
		if (n[c] < count) {
			r->end_usec[c] = asked_usec;
		}
	}
	r->was_behind = is_behind(r);
	if (was_behind && !r->was_behind && r->on_current) {
		r->on_current(r, r->userdata);
	}
}

static void on_tail(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct tail_request *q = userdata;
	struct reader *r = q->reader;
	uint64_t sent_usec = q->sent_usec;
	unsigned count = q->count, ns[DIBAO_CHANNEL_COUNT] = {0};
	size_t bytes = 0;
	ssize_t n;

	(void)l;
	free(q);
	if (!r) {
		return;
	}
	r->pending = NULL;
	if (!reply) {
		r->is_started = false;
		return;
	}
	if (redis_reply_is_error(reply, REDIS_LINK_OVERSIZE) && count > 1) {
		r->count_limit = count / 2;
		reader_fetch(r);
		return;
	}
	if (reply->type == REDIS_REPLY_NIL) { /* nothing came while it waited */
		note_ends(r, sent_usec, ns, count);
		reader_fetch(r);
		return;
	}
	n = collect(r, reply, &bytes, ns);
	if (n < 0) {
		reader_log_fault("cannot read the streams", reply);
		reader_retry_later(r);
		return;
	}
	if (n > 0) {
		adapt_count(r, bytes / (size_t)n);
	}
	/* With more behind it, that is read by Redis while we work this off. At the end of the
	 * streams nothing is, and the write would only wake Redis before those who wait for what
	 * came. */
	if ((size_t)n >= count && r->n_held == 0) {
		reader_fetch(r);
		redis_link_flush(r->tail_link);
	}
	if (work_off(r, (size_t)n)) {
		note_ends(r, sent_usec, ns, count);
	}
	reader_fetch(r);
}

static unsigned tail_count(const struct reader *r)
{
	size_t n = REPLY_BYTES / (DIBAO_CHANNEL_COUNT * (r->mean_bytes + 512));

	return n < 1 ? 1 : n > r->count_limit ? r->count_limit : (unsigned)n;
}

void reader_fetch(struct reader *r)
{
	enum { HEAD = 6, STREAMS = DIBAO_CHANNEL_COUNT + 1, ARGS = HEAD + 2 * STREAMS };
	char count[16], block[16], ids[STREAMS][ENTRY_ID_TEXT];
	const char *argv[ARGS] = {"XREAD", "COUNT", count, "BLOCK", block, "STREAMS"};
	struct tail_request *q;
	int k, n = r->on_planned != NULL;

	if (!r->is_started || r->pending || r->n_held >= READER_HELD_MAX) {
		return;
	}
	q = calloc(1, sizeof *q);
	if (!q) {
		reader_retry_later(r);
		return;
	}
	q->reader = r;
	q->count = tail_count(r);
	(void)snprintf(count, sizeof count, "%u", q->count);
	q->sent_usec = boottime_usec();
	r->was_behind |= is_behind(r);
	(void)snprintf(block, sizeof block, "%d", r->was_behind ? BLOCK_BEHIND_MS : BLOCK_MS);
	for (int i = 0; i < DIBAO_CHANNEL_COUNT; i++) {
		n += is_read(r, read_order[i]);
	}
	for (int i = 0, at = HEAD; i < DIBAO_CHANNEL_COUNT; i++) {
		enum dibao_channel c = read_order[i];

		if (!is_read(r, c)) {
			continue;
		}
		(void)entry_id_format(ids[i], r->read[c]);
		argv[at] = r->keys[c];
		argv[at++ + n] = ids[i];
	}
	if (r->on_planned) {
		(void)entry_id_format(ids[DIBAO_CHANNEL_COUNT], r->scheduling_read);
		argv[HEAD + n - 1] = r->scheduling_key;
		argv[HEAD + 2 * n - 1] = ids[DIBAO_CHANNEL_COUNT];
	}
	k = redis_link_command(r->tail_link, on_tail, q, HEAD + 2 * n, argv, NULL,
			       BLOCK_MS + BLOCK_GRACE_MS);
	if (k == 0) {
		r->pending = q;
		return;
	}
	free(q);
	if (k == -ENOTCONN) {
		r->is_started = false;
	} else {
		reader_retry_later(r);
	}
}
static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct reader *r = userdata;

	(void)source, (void)usec;
	held_retry(r);
	reader_fetch(r);
	return 0;
}

/* ---- life ---- */

int reader_new(struct reader **ret, const struct reader_options *opt)
{
	struct reader *r = calloc(1, sizeof *r);
	int k;

	if (!r) {
		return -ENOMEM;
	}
	r->event = sd_event_ref(opt->event);
	r->public_only = opt->public_only;
	r->tail_link = opt->tail_link;
	r->main_link = opt->main_link;
	r->range_link = opt->range_link;
	r->userdata = opt->userdata;
	r->on_entries = opt->on_entries;
	r->on_planned = opt->public_only ? NULL : opt->on_planned;
	r->on_current = opt->on_current;
	r->count_limit = READER_COUNT_MAX;
	k = queue_key(r->base, sizeof r->base, opt->bureau, "");
	if (k >= 0) {
		k = queue_key(r->scheduling_key, sizeof r->scheduling_key, opt->bureau,
			      "scheduling");
	}
	for (int c = 0; k >= 0 && c < DIBAO_CHANNEL_COUNT; c++) {
		k = queue_key(r->keys[c], sizeof r->keys[c], opt->bureau,
			      dibao_channel_name((enum dibao_channel)c));
	}
	if (k >= 0) {
		k = sd_event_add_time(r->event, &r->retry, CLOCK_BOOTTIME, UINT64_MAX, 1000,
				      on_retry, r);
	}
	if (k >= 0) {
		k = sd_event_source_set_enabled(r->retry, SD_EVENT_OFF);
	}
	if (k < 0) {
		reader_free(r);
		return k;
	}
	*ret = r;
	return 0;
}

struct reader *reader_free(struct reader *r)
{
	if (!r) {
		return NULL;
	}
	reader_stop(r);
	ranges_void(r);
	sd_event_source_disable_unref(r->retry);
	sd_event_unref(r->event);
	free(r->range_entries);
	free(r);
	return NULL;
}

int reader_start(struct reader *r, const struct entry_id after[DIBAO_CHANNEL_COUNT])
{
	reader_stop(r);
	if (!redis_link_is_up(r->tail_link)) {
		return -ENOTCONN;
	}
	memcpy(r->read, after, sizeof r->read);
	memcpy(r->taken, after, sizeof r->taken);
	r->scheduling_read = (struct entry_id){0, 0};
	memset(r->end_usec, 0, sizeof r->end_usec);
	r->is_started = true;
	reader_fetch(r);
	return 0;
}

void reader_stop(struct reader *r)
{
	r->generation++;
	r->is_started = false;
	(void)sd_event_source_set_enabled(r->retry, SD_EVENT_OFF);
	void_pending(r);
	held_void(r);
}

const struct reader_counters *reader_counters(const struct reader *r)
{
	return &r->counters;
}
