/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tail. One XREAD is on its way at any time, unless two batches are held.
 *
 * A reply is worked off from the link's arena in chunks of CHUNK entries, which
 * go to on_entries() at once while they are valid and written by a function.
 * From the first one that isn't, the rest of the reply is copied and held: its
 * calls (adopt, quarantine) go out over the main link in one pipeline, and when
 * all are answered the held entries go on in their order. So `upto` never
 * passes an entry that a crash now would leave unadopted or unquarantined, and
 * what follows an entry never overtakes it.
 *
 * When a call isn't answered (the main link is down) or is refused for the
 * moment (out of memory, a replica), it is sent again every RETRY_MS: the
 * functions are idempotent by entry id. Nothing is skipped for being
 * unanswered; the lag shows. An adoption that the function itself cannot make
 * ends in the quarantine.
 *
 * Bounds: a reply holds at most COUNT_MAX entries per channel, fewer when they
 * are large (REPLY_BYTES by their mean size), and never more than the arena's
 * limit; at most two batches are held.
 *
 * A stop or start voids what is held and what is on its way: such an answer
 * finds a request or batch without a reader and only frees it.
 */
#include "reader.h"

#include "entry_read.h"
#include "log.h"
#include "log_ids.h"
#include "queue.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	COUNT_MAX = 500,
	REPLY_BYTES = 8 * 1024 * 1024,
	CHUNK = 128,
	BLOCK_MS = 1000,
	BLOCK_GRACE_MS = 5000,
	RETRY_MS = 200,
	HELD_MAX = 2,
	RANGE_COUNT_MAX = 4096,
};

/* Withdrawals and urgent events first: a reply is worked off in this order. */
static const enum dibao_channel read_order[DIBAO_CHANNEL_COUNT] = {
	DIBAO_CHANNEL_PUBLIC_NOW,
	DIBAO_CHANNEL_PRIVATE_NOW,
	DIBAO_CHANNEL_PUBLIC,
	DIBAO_CHANNEL_PRIVATE,
};

/* An XREAD or XRANGE on its way. reader NULL: voided. */
struct request {
	struct reader *reader;
	struct request *next; /* ranges */
	unsigned count;
	/* ranges */
	enum dibao_channel channel;
	struct entry_id after, upto;
	reader_range_fn fn;
	void *userdata;
};

enum held_state { HELD_PASS, HELD_DROP, HELD_ADOPT, HELD_QUARANTINE };

struct held_entry {
	struct batch *batch;
	struct raw_entry raw; /* points into the batch's bytes */
	enum dibao_channel channel;
	enum held_state state;
	bool in_flight;
	char *reason; /* of a quarantine; owned */
};

struct batch {
	struct reader *reader; /* NULL: voided, freed with its last answer */
	struct batch *next;
	size_t n_entries, n_open /* not decided */, n_in_flight;
	char *bytes;
	struct held_entry entries[];
};

struct reader {
	sd_event *event;
	struct redis_link *tail_link, *main_link, *range_link;
	void *userdata;
	void (*on_entries)(struct reader *r, enum dibao_channel c, const struct entry *entries,
			   size_t n, struct entry_id upto, void *userdata);

	char base[QUEUE_KEY_MAX];
	char keys[DIBAO_CHANNEL_COUNT][QUEUE_KEY_MAX];
	struct entry_id read[DIBAO_CHANNEL_COUNT];  /* the next XREAD asks for what is after */
	struct entry_id taken[DIBAO_CHANNEL_COUNT]; /* handed on or held up to here */
	bool is_started;
	unsigned generation;	 /* up by one at each start and stop */
	struct request *pending; /* the XREAD on its way */
	struct batch *held, *held_last;
	unsigned n_held;
	unsigned count_limit; /* halved when a reply was too large, doubled back after */
	size_t mean_bytes;    /* of an entry, moving */
	struct request *ranges;
	sd_event_source *retry;
	struct reader_counters counters;

	struct entry chunk[CHUNK];
	struct entry *range_entries;
	size_t n_range_entries;
};

static void fetch(struct reader *r);
static void deliver_held(struct reader *r);

static void schedule_retry(struct reader *r)
{
	uint64_t now = 0;

	(void)sd_event_now(r->event, CLOCK_BOOTTIME, &now);
	(void)sd_event_source_set_time(r->retry, now + RETRY_MS * UINT64_C(1000));
	(void)sd_event_source_set_enabled(r->retry, SD_EVENT_ONESHOT);
}

static void log_fault(const char *what, const redisReply *reply)
{
	if (log_limited("reader-redis")) {
		log_text(LOG_ERR, "%s: %s; trying again", what,
			 redis_reply_is_error(reply, NULL) ? reply->str : "unexpected reply");
	}
}

/* ---- handing on ---- */

struct chunk {
	struct reader *reader;
	enum dibao_channel channel;
	size_t n;
	bool is_open; /* `upto` stands for entries not yet told of */
	struct entry_id upto;
};

static void chunk_flush(struct chunk *k)
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

static void chunk_pass(struct chunk *k, const struct raw_entry *raw)
{
	struct reader_counters *counters = &k->reader->counters;
	const struct entry *e = &k->reader->chunk[k->n++];

	counters->n_entries++;
	counters->n_bytes += raw->e.len;
	counters->n_unknown_keys += raw->n_unknown + (e->has_event ? e->ev.n_unknown : 0);
}

/* All up to id is dealt with. */
static void chunk_advance(struct chunk *k, struct entry_id id)
{
	k->upto = id;
	k->is_open = true;
	if (k->n == CHUNK) {
		chunk_flush(k);
	}
}

/* ---- held batches ---- */

static void batch_free(struct batch *b)
{
	for (size_t i = 0; i < b->n_entries; i++) {
		free(b->entries[i].reason);
	}
	free(b->bytes);
	free(b);
}

static void batch_void(struct batch *b)
{
	b->reader = NULL;
	if (b->n_in_flight == 0) {
		batch_free(b);
	}
}

static void to_quarantine(struct held_entry *h, const char *reason)
{
	h->state = HELD_QUARANTINE;
	free(h->reason);
	h->reason = strdup(reason);
}

static void decide(struct held_entry *h, enum held_state state)
{
	h->state = state;
	h->batch->n_open--;
}

static void on_adopted(struct reader *r, struct held_entry *h, const redisReply *reply)
{
	const char *outcome = reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS
				      ? reply->str
				      : "";

	if (strcmp(outcome, "ok") == 0) {
		r->counters.n_adopted++;
		decide(h, HELD_PASS);
	} else if (strcmp(outcome, "quarantined") == 0) {
		r->counters.n_quarantined++;
		decide(h, HELD_DROP);
	} else if (strcmp(outcome, "repeat") == 0) {
		r->counters.n_repeats++;
		decide(h, HELD_DROP);
	} else if (strcmp(outcome, "scheduled") == 0 || strcmp(outcome, "gone") == 0) {
		decide(h, HELD_DROP);
	} else if (redis_reply_is_error(reply, "DIBAO_") ||
		   (redis_reply_is_error(reply, "ERR") && strstr(reply->str, "@user_function"))) {
		/* The function cannot take this entry, today or tomorrow. */
		to_quarantine(h, "the functions refused it");
	} else {
		log_fault("cannot adopt an entry", reply);
	}
}

static void on_quarantined(struct reader *r, struct held_entry *h, const redisReply *reply)
{
	char text[ENTRY_REASON_MAX + 64], channel[48], id[ENTRY_ID_TEXT + 16] = "DIBAO_ENTRY=";

	if (reply->type != REDIS_REPLY_INTEGER) {
		log_fault("cannot quarantine an entry", reply);
		return;
	}
	if (reply->integer == 1) {
		r->counters.n_quarantined++;
		if (log_limited("quarantine")) {
			(void)snprintf(text, sizeof text, "entry moved to the quarantine: %s",
				       h->reason ? h->reason : "");
			(void)snprintf(channel, sizeof channel, "DIBAO_CHANNEL=%s",
				       dibao_channel_name(h->channel));
			(void)entry_id_format(id + strlen(id), h->raw.id);
			log_event(LOG_WARNING, LOG_ID_QUARANTINED, text, channel, id);
		}
	}
	decide(h, HELD_DROP);
}

static void on_call(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct held_entry *h = userdata;
	struct batch *b = h->batch;
	struct reader *r = b->reader;

	(void)l;
	h->in_flight = false;
	b->n_in_flight--;
	if (!r) {
		batch_void(b);
		return;
	}
	if (reply && h->state == HELD_ADOPT) {
		on_adopted(r, h, reply);
	} else if (reply) {
		on_quarantined(r, h, reply);
	}
	if (h->state == HELD_ADOPT || h->state == HELD_QUARANTINE) {
		schedule_retry(r);
	}
	deliver_held(r);
}

static int send_call(struct reader *r, struct held_entry *h)
{
	char id[ENTRY_ID_TEXT];
	bool is_adopt = h->state == HELD_ADOPT;
	const char *argv[] = {"FCALL",
			      is_adopt ? "dibao_adopt" : "dibao_quarantine",
			      "1",
			      r->base,
			      dibao_channel_name(h->channel),
			      id,
			      h->reason ? h->reason : "bad entry"};
	int k;

	(void)entry_id_format(id, h->raw.id);
	k = redis_link_command(r->main_link, on_call, h, is_adopt ? 6 : 7, argv, NULL, 0);
	if (k == 0) {
		h->in_flight = true;
		h->batch->n_in_flight++;
	}
	return k;
}

static void send_calls(struct reader *r, struct batch *b)
{
	for (size_t i = 0; i < b->n_entries; i++) {
		struct held_entry *h = &b->entries[i];

		if ((h->state == HELD_ADOPT || h->state == HELD_QUARANTINE) && !h->in_flight &&
		    send_call(r, h) < 0) {
			schedule_retry(r);
			return;
		}
	}
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct reader *r = userdata;

	(void)source, (void)usec;
	for (struct batch *b = r->held; b; b = b->next) {
		send_calls(r, b);
	}
	fetch(r);
	return 0;
}

static void deliver_batch(struct reader *r, const struct batch *b)
{
	struct chunk k = {.reader = r};
	unsigned generation = r->generation;
	char reason[ENTRY_REASON_MAX];

	for (size_t i = 0; i < b->n_entries && r->generation == generation; i++) {
		const struct held_entry *h = &b->entries[i];

		if (h->channel != k.channel) {
			chunk_flush(&k);
			if (r->generation != generation) {
				return;
			}
			k.channel = h->channel;
		}
		/* Checked before, and valid by its bytes alone: this makes the view again. */
		if (h->state == HELD_PASS &&
		    entry_check(&r->chunk[k.n], &h->raw, h->channel, reason) == 0) {
			chunk_pass(&k, &h->raw);
		}
		chunk_advance(&k, h->raw.id);
	}
	if (r->generation == generation) {
		chunk_flush(&k);
	}
}

static void deliver_held(struct reader *r)
{
	while (r->held && r->held->n_open == 0) {
		struct batch *b = r->held;

		r->held = b->next;
		if (!r->held) {
			r->held_last = NULL;
		}
		r->n_held--;
		deliver_batch(r, b);
		batch_free(b);
	}
	fetch(r);
}

static void void_held(struct reader *r)
{
	while (r->held) {
		struct batch *b = r->held;

		r->held = b->next;
		batch_void(b);
	}
	r->held_last = NULL;
	r->n_held = 0;
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

/* Where the reply stands: stream `s`, entry `e` of it. */
struct place {
	const redisReply *reply;
	size_t s, e;
};

static bool place_is_end(const struct place *p)
{
	return p->s == p->reply->elements;
}

static const redisReply *place_entries(const struct place *p)
{
	return p->reply->element[p->s]->element[1];
}

static void place_next(struct place *p)
{
	if (++p->e == place_entries(p)->elements) {
		p->e = 0;
		p->s++;
	}
}

/* Shape of an XREAD reply, each stream ours and not empty. */
static bool reply_is_sound(const struct reader *r, const redisReply *reply)
{
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements > DIBAO_CHANNEL_COUNT) {
		return false;
	}
	for (size_t i = 0; i < reply->elements; i++) {
		const redisReply *stream = reply->element[i], *entries;
		struct raw_entry raw;

		if (stream->type != REDIS_REPLY_ARRAY || stream->elements != 2 ||
		    channel_of(r, stream->element[0]) < 0) {
			return false;
		}
		entries = stream->element[1];
		if (entries->type != REDIS_REPLY_ARRAY || entries->elements == 0) {
			return false;
		}
		for (size_t k = 0; k < entries->elements; k++) {
			if (raw_entry_read(&raw, entries->element[k]) < 0) {
				return false;
			}
		}
	}
	return true;
}

static size_t raw_bytes(const struct raw_entry *raw)
{
	return raw->e.len + raw->w.len + raw->x.len;
}

static void keep(struct dibao_str *s, char **at)
{
	if (s->p) {
		memcpy(*at, s->p, s->len);
		s->p = *at;
		*at += s->len;
	}
}

/* What must become of an entry before the next may go on. */
static enum held_state judge(const struct raw_entry *raw, enum dibao_channel c, struct entry *into,
			     char reason[ENTRY_REASON_MAX])
{
	if (entry_check(into, raw, c, reason) < 0) {
		return HELD_QUARANTINE;
	}
	return raw->by_function ? HELD_PASS : HELD_ADOPT;
}

/* Copies what is left of the reply from `from` on and sends the calls it needs. */
static int hold(struct reader *r, struct place from)
{
	struct entry scratch;
	struct raw_entry raw;
	struct batch *b;
	size_t n = 0, bytes = 0;
	char reason[ENTRY_REASON_MAX];
	char *at;

	for (struct place p = from; !place_is_end(&p); place_next(&p)) {
		(void)raw_entry_read(&raw, place_entries(&p)->element[p.e]);
		bytes += raw_bytes(&raw);
		n++;
	}
	b = calloc(1, sizeof *b + n * sizeof b->entries[0]);
	at = b ? malloc(bytes + 1) : NULL;
	if (!at) {
		free(b);
		return -ENOMEM;
	}
	b->reader = r;
	b->bytes = at;
	for (struct place p = from; !place_is_end(&p); place_next(&p)) {
		struct held_entry *h = &b->entries[b->n_entries++];

		h->batch = b;
		h->channel = (enum dibao_channel)channel_of(r, p.reply->element[p.s]->element[0]);
		(void)raw_entry_read(&h->raw, place_entries(&p)->element[p.e]);
		keep(&h->raw.e, &at);
		keep(&h->raw.w, &at);
		keep(&h->raw.x, &at);
		r->taken[h->channel] = h->raw.id;
		h->state = judge(&h->raw, h->channel, &scratch, reason);
		if (h->state == HELD_QUARANTINE) {
			to_quarantine(h, reason);
		}
		b->n_open += h->state != HELD_PASS;
	}
	if (r->held_last) {
		r->held_last->next = b;
	} else {
		r->held = b;
	}
	r->held_last = b;
	r->n_held++;
	send_calls(r, b);
	redis_link_flush(r->main_link);
	return 0;
}

static void work_off(struct reader *r, const redisReply *reply)
{
	struct place p = {.reply = reply};
	struct chunk k = {.reader = r};
	unsigned generation = r->generation;
	char reason[ENTRY_REASON_MAX];
	struct raw_entry raw;

	for (; !place_is_end(&p) && r->n_held == 0; place_next(&p)) {
		if (p.e == 0) {
			chunk_flush(&k);
			k.channel =
				(enum dibao_channel)channel_of(r, reply->element[p.s]->element[0]);
		}
		if (r->generation != generation) {
			return;
		}
		(void)raw_entry_read(&raw, place_entries(&p)->element[p.e]);
		if (judge(&raw, k.channel, &r->chunk[k.n], reason) != HELD_PASS) {
			break;
		}
		chunk_pass(&k, &raw);
		r->taken[k.channel] = raw.id;
		chunk_advance(&k, raw.id);
	}
	if (r->generation == generation) {
		chunk_flush(&k);
	}
	if (r->generation == generation && !place_is_end(&p) && hold(r, p) < 0) {
		/* Then it is as if it had not been read: the request on its way is void too, and
		 * the retry reads on from the last entry that was handed on or held. */
		log_text(LOG_ERR, "no memory to hold entries, reading them again");
		void_pending(r);
		memcpy(r->read, r->taken, sizeof r->read);
		schedule_retry(r);
	}
}

static void measure(struct reader *r, const redisReply *reply)
{
	size_t bytes = 0, n = 0, mean;
	struct raw_entry raw;

	for (struct place p = {.reply = reply}; !place_is_end(&p); place_next(&p)) {
		(void)raw_entry_read(&raw, place_entries(&p)->element[p.e]);
		bytes += raw_bytes(&raw);
		n++;
		r->read[channel_of(r, reply->element[p.s]->element[0])] = raw.id;
	}
	mean = n > 0 ? bytes / n : 0;
	/* Up at once, down slowly. */
	r->mean_bytes = mean > r->mean_bytes ? mean : (3 * r->mean_bytes + mean) / 4;
	r->count_limit = r->count_limit * 2 > COUNT_MAX ? COUNT_MAX : r->count_limit * 2;
}

static void on_tail(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct request *q = userdata;
	struct reader *r = q->reader;
	unsigned count = q->count;

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
		fetch(r);
		return;
	}
	if (reply->type != REDIS_REPLY_NIL && !reply_is_sound(r, reply)) {
		log_fault("cannot read the streams", reply);
		schedule_retry(r);
		return;
	}
	if (reply->type == REDIS_REPLY_NIL) {
		fetch(r);
		return;
	}
	measure(r, reply);
	if (r->n_held == 0) {
		fetch(r);
		redis_link_flush(r->tail_link);
	}
	work_off(r, reply);
	fetch(r);
}

static unsigned tail_count(const struct reader *r)
{
	size_t n = REPLY_BYTES / (DIBAO_CHANNEL_COUNT * (r->mean_bytes + 512));

	return n < 1 ? 1 : n > r->count_limit ? r->count_limit : (unsigned)n;
}

static void fetch(struct reader *r)
{
	enum { HEAD = 6, ARGS = HEAD + 2 * DIBAO_CHANNEL_COUNT };
	char count[16], block[16], ids[DIBAO_CHANNEL_COUNT][ENTRY_ID_TEXT];
	const char *argv[ARGS] = {"XREAD", "COUNT", count, "BLOCK", block, "STREAMS"};
	struct request *q;
	int k;

	if (!r->is_started || r->pending || r->n_held >= HELD_MAX) {
		return;
	}
	q = calloc(1, sizeof *q);
	if (!q) {
		schedule_retry(r);
		return;
	}
	q->reader = r;
	q->count = tail_count(r);
	(void)snprintf(count, sizeof count, "%u", q->count);
	(void)snprintf(block, sizeof block, "%d", BLOCK_MS);
	for (int i = 0; i < DIBAO_CHANNEL_COUNT; i++) {
		enum dibao_channel c = read_order[i];

		(void)entry_id_format(ids[i], r->read[c]);
		argv[HEAD + i] = r->keys[c];
		argv[HEAD + DIBAO_CHANNEL_COUNT + i] = ids[i];
	}
	k = redis_link_command(r->tail_link, on_tail, q, ARGS, argv, NULL,
			       BLOCK_MS + BLOCK_GRACE_MS);
	if (k == 0) {
		r->pending = q;
		return;
	}
	free(q);
	if (k == -ENOTCONN) {
		r->is_started = false;
	} else {
		schedule_retry(r);
	}
}

/* ---- ranges ---- */

static void range_unlink(struct reader *r, const struct request *q)
{
	for (struct request **at = &r->ranges; *at; at = &(*at)->next) {
		if (*at == q) {
			*at = q->next;
			return;
		}
	}
}

/* Valid entries of the reply into r->range_entries; their number or a negative errno. */
static ssize_t range_collect(struct reader *r, const struct request *q, const redisReply *reply,
			     struct entry_id *ret_last)
{
	char reason[ENTRY_REASON_MAX];
	size_t n = 0;

	if (reply->elements > r->n_range_entries) {
		struct entry *more = reallocarray(r->range_entries, reply->elements, sizeof *more);

		if (!more) {
			return -ENOMEM;
		}
		r->range_entries = more;
		r->n_range_entries = reply->elements;
	}
	for (size_t i = 0; i < reply->elements; i++) {
		struct raw_entry raw;

		if (raw_entry_read(&raw, reply->element[i]) < 0) {
			return -EBADMSG;
		}
		if (entry_check(&r->range_entries[n], &raw, q->channel, reason) == 0) {
			n++;
		}
		*ret_last = raw.id;
	}
	return (ssize_t)n;
}

static int range_send(struct reader *r, struct request *q);

static void on_range(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct request *q = userdata;
	struct reader *r = q->reader;
	struct entry_id end = q->upto, last = q->upto;
	ssize_t n;

	(void)l;
	if (!r) {
		free(q);
		return;
	}
	if (redis_reply_is_error(reply, REDIS_LINK_OVERSIZE) && q->count > 1) {
		q->count /= 2;
		if (range_send(r, q) == 0) {
			return;
		}
	}
	if (!reply) {
		n = -ENOTCONN;
	} else if (reply->type != REDIS_REPLY_ARRAY) {
		log_fault("cannot read a range", reply);
		n = -EIO;
	} else {
		n = range_collect(r, q, reply, &last);
		if (n >= 0 && reply->elements >= q->count) {
			end = last;
		}
	}
	range_unlink(r, q);
	q->fn(q->channel, r->range_entries, n < 0 ? 0 : (size_t)n, end, n < 0 ? (int)n : 0,
	      q->userdata);
	free(q);
}

static int range_send(struct reader *r, struct request *q)
{
	char from[ENTRY_ID_TEXT + 1] = "(", to[ENTRY_ID_TEXT], count[16];
	const char *argv[] = {"XRANGE", r->keys[q->channel], from, to, "COUNT", count};

	(void)entry_id_format(from + 1, q->after);
	(void)entry_id_format(to, q->upto);
	(void)snprintf(count, sizeof count, "%u", q->count);
	return redis_link_command(r->range_link, on_range, q, 6, argv, NULL, 0);
}

int reader_range(struct reader *r, enum dibao_channel c, struct entry_id after,
		 struct entry_id upto, unsigned count, reader_range_fn fn, void *userdata)
{
	struct request *q = calloc(1, sizeof *q);
	int k;

	if (!q) {
		return -ENOMEM;
	}
	*q = (struct request){
		.reader = r,
		.count = count < 1		   ? 1
			 : count > RANGE_COUNT_MAX ? RANGE_COUNT_MAX
						   : count,
		.channel = c,
		.after = after,
		.upto = upto,
		.fn = fn,
		.userdata = userdata,
	};
	k = range_send(r, q);
	if (k < 0) {
		free(q);
		return k;
	}
	q->next = r->ranges;
	r->ranges = q;
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
	r->tail_link = opt->tail_link;
	r->main_link = opt->main_link;
	r->range_link = opt->range_link;
	r->userdata = opt->userdata;
	r->on_entries = opt->on_entries;
	r->count_limit = COUNT_MAX;
	k = queue_key(r->base, sizeof r->base, opt->bureau, "");
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
	for (struct request *q = r->ranges; q; q = q->next) {
		q->reader = NULL;
	}
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
	r->is_started = true;
	fetch(r);
	return 0;
}

void reader_stop(struct reader *r)
{
	r->generation++;
	r->is_started = false;
	(void)sd_event_source_set_enabled(r->retry, SD_EVENT_OFF);
	void_pending(r);
	void_held(r);
}

const struct reader_counters *reader_counters(const struct reader *r)
{
	return &r->counters;
}
