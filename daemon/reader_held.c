/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches of entries that wait: from the first entry that must be adopted or
 * quarantined on, all that came with it. The calls of a batch go out in one
 * pipeline over the main link; when all are answered, and the batches before
 * it are gone, its entries go on in their order.
 *
 * A voided batch has no reader; it is freed with the last answer to it.
 */
#include "reader_parts.h"

#include "log.h"
#include "log_ids.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

	if (strcmp(outcome, "moved") == 0) {
		/* It comes again at the channel's end, by a function. */
		r->counters.n_adopted++;
		decide(h, HELD_DROP);
	} else if (strcmp(outcome, "ok") == 0) {
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
		reader_log_fault("cannot adopt an entry", reply);
	}
}

static void on_quarantined(struct reader *r, struct held_entry *h, const redisReply *reply)
{
	char text[ENTRY_REASON_MAX + 64], channel[48], id[ENTRY_ID_TEXT + 16] = "DIBAO_ENTRY=";

	if (reply->type != REDIS_REPLY_INTEGER) {
		reader_log_fault("cannot quarantine an entry", reply);
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

static void deliver_held(struct reader *r);

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
		reader_retry_later(r);
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
			reader_retry_later(r);
			return;
		}
	}
}
void held_retry(struct reader *r)
{
	for (struct batch *b = r->held; b; b = b->next) {
		send_calls(r, b);
	}
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
		    entry_check(chunk_next(&k), &h->raw, h->channel, reason) == 0) {
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
	reader_fetch(r);
}

void held_void(struct reader *r)
{
	while (r->held) {
		struct batch *b = r->held;

		r->held = b->next;
		batch_void(b);
	}
	r->held_last = NULL;
	r->n_held = 0;
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

bool held_is_not_needed(const struct raw_entry *raw, enum dibao_channel c, struct entry *into)
{
	char reason[ENTRY_REASON_MAX];

	return judge(raw, c, into, reason) == HELD_PASS;
}

int held_add(struct reader *r, const struct read_entry *entries, size_t n)
{
	char reason[ENTRY_REASON_MAX];
	struct entry scratch;
	struct batch *b;
	size_t bytes = 0;
	char *at;

	for (size_t i = 0; i < n; i++) {
		bytes += raw_bytes(&entries[i].raw);
	}
	b = calloc(1, sizeof *b + n * sizeof b->entries[0]);
	at = b ? malloc(bytes + 1) : NULL;
	if (!at) {
		free(b);
		return -ENOMEM;
	}
	b->reader = r;
	b->bytes = at;
	b->n_entries = n;
	for (size_t i = 0; i < n; i++) {
		struct held_entry *h = &b->entries[i];

		h->batch = b;
		h->channel = entries[i].channel;
		h->raw = entries[i].raw;
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
