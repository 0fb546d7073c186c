/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sms queue: what is not final, from the rows in Redis, so that it can be asked while no dibao-sms
 * runs. First how much waits and why; then the batches that wait for a release; then the notices by
 * when they are due, the first of them or all. No names, numbers or texts: rows have none.
 */
#include "sms.h"
#include "redis.h"

#include "../sms/batches.h"
#include "../sms/notice.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 500, SHOWN = 40, BATCHES_MAX = 1000, REASONS_MAX = 64 };

struct batch_line {
	char id[40];
	char document[160]; /* its number; of an hour's batch "" */
	long long n, limit, waiting;
	bool released;
};

struct queue {
	const struct ctl *c;
	struct ctl_redis r;
	bool all;
	size_t n, n_shown;
	struct {
		char what[64];
		size_t n;
	} reasons[REASONS_MAX];
	size_t n_reasons;
	struct batch_line batches[BATCHES_MAX];
	size_t n_batches;
	FILE *lines; /* what is shown of the notices; NULL: they are only counted */
};

static const char *text_of(const redisReply *row, size_t i)
{
	return row->element[i]->type == REDIS_REPLY_STRING ? row->element[i]->str : "";
}

static struct batch_line *batch_of(struct queue *q, const char *id)
{
	struct batch_line *b;
	redisReply *reply;

	for (size_t i = 0; i < q->n_batches; i++)
		if (!strcmp(q->batches[i].id, id))
			return &q->batches[i];
	if (q->n_batches == BATCHES_MAX ||
	    ctl_redis_call(&q->r, &reply, "dibao_sms_batch", id, NULL) != 0)
		return NULL;
	b = &q->batches[q->n_batches++];
	*b = (struct batch_line){0};
	snprintf(b->id, sizeof b->id, "%s", id);
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 4) {
		b->n = reply->element[0]->integer;
		b->released = reply->element[1]->integer != 0;
		b->limit = reply->element[2]->integer;
		if (reply->element[3]->type == REDIS_REPLY_STRING)
			snprintf(b->document, sizeof b->document, "%s", reply->element[3]->str);
	}
	freeReplyObject(reply);
	return b;
}

static void count(struct queue *q, const char *state, const char *words)
{
	char what[64];
	size_t i = 0;

	snprintf(what, sizeof what, "%s%s%s", state, words[0] ? ": " : "", words);
	while (i < q->n_reasons && strcmp(q->reasons[i].what, what) != 0)
		i++;
	if (i == REASONS_MAX)
		return;
	if (i == q->n_reasons)
		snprintf(q->reasons[q->n_reasons++].what, sizeof what, "%s", what);
	q->reasons[i].n++;
}

/* 0: when its batch is released. */
static void put_due(FILE *to, int64_t ms)
{
	char when[CTL_TIME];

	fprintf(to, "%-25s  ", ms ? ctl_time(when, ms) : "when released");
}

/* s t l n d r q g cw of one row. */
static void one(struct queue *q, const char *uid, const redisReply *row)
{
	const char *state = text_of(row, 0), *batch = text_of(row, 6), *reason = text_of(row, 5);
	bool waits = !strcmp(state, "queued") || !strcmp(state, "held");
	struct batch_line *b =
		waits && batch[0] && !strcmp(text_of(row, 2), "bulk") ? batch_of(q, batch) : NULL;
	bool by_batch = b && !b->released && b->n > b->limit;
	const char *words = by_batch ? notice_reason_words(NOTICE_REASON_BATCH)
				     : notice_words(reason, strlen(reason));
	int64_t due = strtoll(text_of(row, 4), NULL, 10);
	const char *code = by_batch ? NULL : strchr(reason, ' ');
	const char *meaning = code ? text_of(row, 8) : "";
	json_t *j;

	q->n++;
	count(q, state, words);
	if (by_batch)
		b->waiting++;
	if (!q->lines)
		return;
	if (q->c->json) {
		j = json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:s}", "uid", uid,
			      "state", state, "type", text_of(row, 1), "lane", text_of(row, 2),
			      "attempt", atoi(text_of(row, 3)), "reason",
			      by_batch ? "batch" : reason, "words", words, "meaning", meaning,
			      "batch", batch, "gateway", text_of(row, 7));
		json_object_set_new(j, "due", by_batch ? json_null() : json_integer(due));
		ctl_put_json(j);
		return;
	}
	if (!q->all && q->n_shown == SHOWN)
		return;
	q->n_shown++;
	put_due(q->lines, by_batch ? 0 : due);
	fprintf(q->lines, "%-9s %-14s %s%s%s%s%s%s%s%s\n", state, text_of(row, 1), uid,
		words[0] ? "  " : "", words, meaning[0] ? ": " : "", meaning, code ? " (" : "",
		code ? code + 1 : "", code ? ")" : "");
}

/* The rows of a page, each the caller's, NULL if it could not be had. All are read before one is
 * looked at, which may ask for its batch over the same connection. */
static int read_page(struct queue *q, const redisReply *uids, redisReply *rows[PAGE])
{
	int e = 0;

	for (size_t i = 0; i < uids->elements; i++)
		redisAppendCommand(q->r.context, "HMGET %s%b s t l n d r q g cw",
				   ctl_redis_key(&q->r, "sms:row:"), uids->element[i]->str,
				   uids->element[i]->len);
	for (size_t i = 0; i < uids->elements; i++) {
		if (redisGetReply(q->r.context, (void **)&rows[i]) != REDIS_OK)
			return ctl_fail(EX_UNAVAILABLE, "Redis: %s", q->r.context->errstr);
		if (rows[i]->type == REDIS_REPLY_ERROR && e == 0)
			e = ctl_fail(EX_NOPERM, "%s", rows[i]->str);
	}
	return e;
}

static int read_all(struct queue *q)
{
	size_t n = PAGE;

	for (size_t at = 0; n == PAGE; at += PAGE) {
		redisReply *uids, *rows[PAGE] = {NULL};
		int e = ctl_redis_command(&q->r, &uids, "ZRANGE %s %d %d",
					  ctl_redis_key(&q->r, "sms:open"), (int)at,
					  (int)(at + PAGE - 1));

		if (e)
			return e;
		n = uids->elements;
		e = read_page(q, uids, rows);
		for (size_t i = 0; i < n; i++) {
			if (e == 0 && rows[i]->elements == 9)
				one(q, uids->element[i]->str, rows[i]);
			freeReplyObject(rows[i]);
		}
		freeReplyObject(uids);
		if (e)
			return e;
	}
	return 0;
}

static void tell_batch(const struct batch_line *b)
{
	char when[CTL_TIME];

	printf("\nbatch %s: ", b->id);
	if (batch_is_document(b->id)) {
		fputs("document ", stdout);
		ctl_put_text(b->document, 0);
	} else {
		printf("the hour from %s ",
		       ctl_time(when, strtoll(b->id + 1, NULL, 10) * 3600 * 1000));
	}
	printf("\n%8lld of its texts wait; %lld in all, more than %lld\n"
	       "          dibaoctl sms release %s\n",
	       b->waiting, b->n, b->limit, b->id);
}

static void tell(struct queue *q, const char *lines)
{
	if (q->n == 0)
		puts("nothing waits");
	for (size_t i = 0; i < q->n_reasons; i++)
		printf("%8zu  %s\n", q->reasons[i].n, q->reasons[i].what);
	for (size_t i = 0; i < q->n_batches; i++) {
		struct batch_line *b = &q->batches[i];

		if (b->waiting)
			tell_batch(b);
	}
	if (q->n)
		printf("\n%s", lines);
	if (q->n > q->n_shown)
		printf("... and %zu more: --all\n", q->n - q->n_shown);
}

int sms_queue(struct ctl *c, int argc, char **argv)
{
	static struct queue q;
	char *lines = NULL;
	size_t len = 0;
	int e;

	q = (struct queue){.c = c};
	if (argc == 3 && !strcmp(argv[2], "--all"))
		q.all = true;
	else if (argc != 2)
		return ctl_fail(EX_USAGE, "sms queue: expected nothing or --all");
	e = ctl_redis_open(&q.r, c, true);
	if (e)
		return e;
	q.lines = open_memstream(&lines, &len);
	if (!q.lines)
		abort();
	e = read_all(&q);
	ctl_redis_close(&q.r);
	fclose(q.lines);
	if (e == 0 && !c->json)
		tell(&q, lines);
	free(lines);
	return e;
}

/* ---- by hand ---- */

static int one_by_hand(struct ctl *c, const char *function, const char *uid, const char *done,
		       const char *words)
{
	struct ctl_redis r;
	int e = ctl_redis_open(&r, c, true);

	if (e)
		return e;
	e = ctl_redis_act(c, &r, function, uid, "what", done, "no parked notice of that uid");
	if (e == 0 && !c->json)
		printf("%s: %s\n", uid, words);
	ctl_redis_close(&r);
	return e;
}

static int release_batch(struct ctl *c, const char *id)
{
	static struct queue q;
	long long n = 0;
	int e;

	q = (struct queue){.c = c};
	e = ctl_redis_open(&q.r, c, true);
	if (e)
		return e;
	e = read_all(&q);
	if (e == 0)
		e = ctl_redis_act(c, &q.r, "dibao_sms_release", id, "what", "released",
				  "no batch of that name waits; see sms queue");
	ctl_redis_close(&q.r);
	for (size_t i = 0; i < q.n_batches; i++)
		if (!strcmp(q.batches[i].id, id))
			n = q.batches[i].waiting;
	if (e == 0 && !c->json)
		printf("batch %s is released: %lld of its texts waited for that\n", id, n);
	return e;
}

int sms_release(struct ctl *c, int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[2], "--uid"))
		return one_by_hand(c, "dibao_sms_release_one", argv[3], "released",
				   "1 text is released");
	if (argc != 3 || argv[2][0] == '-')
		return ctl_fail(EX_USAGE, "sms release: expected BATCH or --uid UID");
	return release_batch(c, argv[2]);
}

int sms_drop(struct ctl *c, int argc, char **argv)
{
	if (argc != 3)
		return ctl_fail(EX_USAGE, "sms drop: expected UID");
	return one_by_hand(c, "dibao_sms_drop", argv[2], "dropped",
			   "1 text is dropped, and counts as served");
}
