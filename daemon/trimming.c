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

static uint64_t keep_ms(const struct housekeeping *h, int c)
{
	return c == DIBAO_CHANNEL_PUBLIC || c == DIBAO_CHANNEL_PUBLIC_NOW ? h->config->public_ms
									  : h->config->private_ms;
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

static struct holder *holder_find(struct housekeeping *h, const redisReply *name)
{
	for (size_t i = 0; i < h->n_holders; i++) {
		if (name->type == REDIS_REPLY_STRING &&
		    strcmp(h->holders[i].name, name->str) == 0) {
			return &h->holders[i];
		}
	}
	return NULL;
}

static void on_cursors(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct housekeeping *h = userdata;

	(void)l;
	if (!housekeeping_answered(h, JOB_TRIM, reply, REDIS_REPLY_ARRAY, "read the cursors")) {
		return;
	}
	for (size_t i = 0; i + 1 < reply->elements; i += 2) {
		struct holder *d = holder_find(h, reply->element[i]);
		const redisReply *v = reply->element[i + 1];

		if (!d) {
			continue;
		}
		if (v->type != REDIS_REPLY_STRING ||
		    retention_cursor_parse(d->cursors, v->str, v->len) < 0) {
			log_text(LOG_ERR,
				 "cursor of a durable name cannot be read, not trimming: %s",
				 d->name);
			return;
		}
		d->has_cursors = true;
	}
	h->trim_channel = 0;
	trim_step(h);
}

static void on_durable(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct housekeeping *h = userdata;
	const char *argv[] = {"HGETALL", h->cursors_key};
	size_t n;

	(void)l;
	if (!housekeeping_answered(h, JOB_TRIM, reply, REDIS_REPLY_ARRAY,
				   "read the durable names")) {
		return;
	}
	trimming_forget(h);
	n = reply->elements / 2;
	if (n > HOLDERS_MAX) {
		log_text(LOG_ERR, "%zu durable names, over %d: not trimming", n, HOLDERS_MAX);
		return;
	}
	h->holders = calloc(n + 1, sizeof *h->holders);
	for (size_t i = 0; h->holders && i < n; i++) {
		const redisReply *name = reply->element[2 * i], *hold = reply->element[2 * i + 1];
		struct holder *d = &h->holders[h->n_holders];
		char *end;

		d->name = name->type == REDIS_REPLY_STRING ? strdup(name->str) : NULL;
		if (!d->name) {
			return; /* with a holder unknown nothing may be trimmed */
		}
		h->n_holders++;
		d->hold_ms = hold->type == REDIS_REPLY_STRING ? strtoull(hold->str, &end, 10) : 0;
		if (hold->type != REDIS_REPLY_STRING || end == hold->str) {
			d->hold_ms = h->config->hold_ms;
		}
	}
	if (h->holders) {
		(void)housekeeping_send(h, JOB_TRIM, on_cursors, 2, argv);
	}
}

void trimming_start(struct housekeeping *h)
{
	const char *argv[] = {"HGETALL", h->durable_key};

	if (h->counters.clock.faults == 0 && h->trim_now_ms > 0) {
		(void)housekeeping_send(h, JOB_TRIM, on_durable, 2, argv);
	}
}
