/* SPDX-License-Identifier: Apache-2.0 */
#include "last.h"
#include "call.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>

enum {
	DAY_MS = 86400000,
	TYPES_TEXT = WIRE_TYPES_MAX * (FILTER_TYPE_MAX + 1) + 1,
	ORGS_TEXT = WIRE_ORGS_MAX * (DIBAO_ORG_BYTES + 1) + 1,
};

struct last;

struct channel {
	struct last *of;
	uint32_t n_left, n_seen; /* entries: to be found yet; looked at */
	struct entry_id before;	 /* the earliest looked at, once n_seen > 0 */
};

struct last {
	struct redis_link *link; /* borrowed */
	const char *base;
	last_fn fn;
	void *userdata;
	unsigned n_pending;
	bool failed;
	struct channel at[DIBAO_CHANNEL_COUNT];
	struct entry_id start[DIBAO_CHANNEL_COUNT];
	char types[TYPES_TEXT], orgs[ORGS_TEXT]; /* each followed by a blank */
};

static void answered(struct last *l)
{
	if (--l->n_pending)
		return;
	l->fn(l->failed ? NULL : l->start, l->userdata);
	free(l);
}

static void fail(struct last *l)
{
	l->failed = true;
	answered(l);
}

static struct entry_id id_before(struct entry_id id)
{
	return id.seq  ? (struct entry_id){id.ms, id.seq - 1}
	       : id.ms ? (struct entry_id){id.ms - 1, UINT64_MAX}
		       : (struct entry_id){0, 0};
}

static void step(struct channel *k);

/* found, the earliest looked at, how many were looked at, are there more */
static void on_step(struct redis_link *link, const redisReply *reply, void *userdata)
{
	struct channel *k = userdata;
	struct last *l = k->of;
	struct entry_id *start = &l->start[k - l->at];

	(void)link;
	if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 4 ||
	    reply->element[1]->type != REDIS_REPLY_STRING ||
	    entry_id_parse(&k->before, reply->element[1]->str, reply->element[1]->len) < 0 ||
	    reply->element[0]->integer < 0 || reply->element[0]->integer > k->n_left) {
		if (reply && log_limited("last"))
			log_text(LOG_ERR, "dibao_last: unexpected answer of Redis: %.100s",
				 reply->str ? reply->str : "not a list of four");
		fail(l);
		return;
	}
	k->n_left -= (uint32_t)reply->element[0]->integer;
	k->n_seen += (uint32_t)reply->element[2]->integer;
	if (k->n_left == 0)
		*start = id_before(k->before);
	else if (!reply->element[3]->integer)
		*start = (struct entry_id){0, 0};
	else if (k->n_seen >= LAST_LOOKED_AT)
		*start = id_before((struct entry_id){k->before.ms - k->before.ms % DAY_MS, 0});
	else {
		step(k);
		return;
	}
	answered(l);
}

static void step(struct channel *k)
{
	static struct call call;
	struct last *l = k->of;

	call_begin(&call, "dibao_last", l->base);
	call_text(&call, dibao_channel_name((enum dibao_channel)(k - l->at)));
	call_int(&call, k->n_left);
	if (k->n_seen)
		call_id(&call, k->before);
	else
		call_text(&call, "+");
	call_text(&call, l->types);
	call_text(&call, l->orgs);
	if (call_send(&call, l->link, on_step, k) < 0)
		fail(l);
}

static void write_filter(struct last *l, const struct filter *f)
{
	char *p = l->types;

	for (unsigned i = 0; i < f->n_types; i++)
		p += sprintf(p, "%.*s ", f->types[i].len, f->types[i].name);
	p = l->orgs;
	for (unsigned i = 0; i < f->n_orgs; i++)
		p += sprintf(p, "%.*s ", f->orgs[i].len, f->orgs[i].code);
}

int last_ask(struct redis_link *link, const char *base, const struct filter *f, uint8_t channels,
	     uint32_t n, last_fn fn, void *userdata)
{
	struct last *l = calloc(1, sizeof *l);

	if (!l)
		return -ENOMEM;
	l->link = link;
	l->base = base;
	l->fn = fn;
	l->userdata = userdata;
	l->n_pending = 1; /* ours, until all are asked */
	write_filter(l, f);
	for (unsigned c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		if (!(channels >> c & 1))
			continue;
		l->at[c] = (struct channel){.of = l, .n_left = n};
		l->n_pending++;
		step(&l->at[c]);
	}
	answered(l);
	return 0;
}
