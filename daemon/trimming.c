/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trimming by age: asks who holds what (durable names and their cursors), then channel by channel
 * has at most TRIM_STEP entries removed at a time, down to what retention.h allows. With a holder
 * or a cursor that cannot be read nothing is trimmed, and while the clocks disagree neither.
 */
#include "housekeeping_parts.h"

#include "log.h"
#include "retention.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TRIM_STEP = 1000,
	HOLDERS_MAX = 4096, /* durable names; with more nothing is trimmed, and said so */
};

static void trim_step(struct housekeeping *h);

void trimming_forget(struct housekeeping *h)
{
	for (size_t i = 0; i < h->n_holders; i++) {
		free(h->holders[i].name);
	}
	free(h->holders);
	h->holders = NULL;
	h->n_holders = 0;
}

static void on_trimmed(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct housekeeping *h = userdata;
	int64_t v[2];

	(void)l;
	if (!housekeeping_answered(h, JOB_TRIM, reply, REDIS_REPLY_ARRAY, "trim a stream") ||
	    !housekeeping_numbers(reply, 2, v)) {
		return;
	}
	h->counters.n_trimmed += (uint64_t)v[0];
	if (v[1] == 0) {
		h->trim_channel++;
	}
	trim_step(h);
}

static bool is_public(int c)
{
	return c == DIBAO_CHANNEL_PUBLIC || c == DIBAO_CHANNEL_PUBLIC_NOW;
}

static uint64_t keep_ms(const struct housekeeping *h, int c)
{
	return is_public(c) ? h->config->public_ms : h->config->private_ms;
}

static struct entry_id floor_of(const struct housekeeping *h, int c)
{
	struct retention_holder one;
	struct entry_id floor = retention_floor(h->trim_now_ms, keep_ms(h, c), h->tail[c], NULL, 0);

	for (size_t i = 0; i < h->n_holders; i++) {
		struct entry_id f;

		if (!h->holders[i].has_cursors) {
			continue; /* never came: it starts with what is new */
		}
		if (h->holders[i].is_board && !is_public(c)) {
			continue;
		}
		one = (struct retention_holder){h->holders[i].cursors[c], h->holders[i].hold_ms};
		f = retention_floor(h->trim_now_ms, keep_ms(h, c), h->tail[c], &one, 1);
		floor = entry_id_cmp(f, floor) < 0 ? f : floor;
	}
	return floor;
}

static void trim_step(struct housekeeping *h)
{
	char minid[ENTRY_ID_TEXT], max[16];
	const char *argv[] = {"FCALL", "dibao_trim", "1", h->base, NULL, minid, max};

	if (h->trim_channel == DIBAO_CHANNEL_COUNT || h->counters.clock.faults != 0) {
		return;
	}
	(void)entry_id_format(minid, floor_of(h, h->trim_channel));
	(void)snprintf(max, sizeof max, "%d", TRIM_STEP);
	argv[4] = dibao_channel_name((enum dibao_channel)h->trim_channel);
	(void)housekeeping_send(h, JOB_TRIM, on_trimmed, 7, argv);
}

/* Four of a reply's elements, as dibao_durables has them. False: nothing may be trimmed. */
static bool add_holder(struct housekeeping *h, redisReply *const *e)
{
	struct holder *d = &h->holders[h->n_holders];
	char *end = NULL;

	if (e[0]->type != REDIS_REPLY_STRING || e[1]->type != REDIS_REPLY_STRING ||
	    e[2]->type != REDIS_REPLY_STRING || e[3]->type != REDIS_REPLY_INTEGER) {
		return false;
	}
	d->name = strdup(e[0]->str);
	if (!d->name) {
		return false;
	}
	h->n_holders++;
	d->is_board = e[3]->integer == 1;
	d->hold_ms = strtoull(e[1]->str, &end, 10);
	if (end == e[1]->str) {
		d->hold_ms = h->config->hold_ms;
	}
	d->has_cursors = e[2]->len > 0;
	if (!d->has_cursors || retention_cursor_parse(d->cursors, e[2]->str, e[2]->len) == 0) {
		return true;
	}
	log_text(LOG_ERR, "cursor of a durable name cannot be read, %s: %s",
		 d->is_board ? "holding as much as its limit allows" : "not trimming", d->name);
	/* The daemon for boards alone, which is trusted least, could write that: as if it had got
	 * nothing yet (cursors are zero). */
	return d->is_board;
}

static void on_durables(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct housekeeping *h = userdata;
	size_t n;

	(void)l;
	if (!housekeeping_answered(h, JOB_TRIM, reply, REDIS_REPLY_ARRAY,
				   "read the durable names")) {
		return;
	}
	trimming_forget(h);
	n = reply->elements / 4;
	if (n > HOLDERS_MAX) {
		log_text(LOG_ERR, "%zu durable names, over %d: not trimming", n, HOLDERS_MAX);
		return;
	}
	h->holders = calloc(n + 1, sizeof *h->holders);
	if (!h->holders) {
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (!add_holder(h, reply->element + 4 * i)) {
			return; /* with a holder unknown nothing may be trimmed */
		}
	}
	h->trim_channel = 0;
	trim_step(h);
}

void trimming_start(struct housekeeping *h)
{
	const char *argv[] = {"FCALL", "dibao_durables", "1", h->base};

	if (h->counters.clock.faults == 0 && h->trim_now_ms > 0) {
		(void)housekeeping_send(h, JOB_TRIM, on_durables, 4, argv);
	}
}
