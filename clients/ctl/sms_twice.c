/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sms twice: whose text arrived twice, or may have, and how that is known; from the rows in Redis,
 * so that it can be asked while no dibao-sms runs. As with sms queue no badge or organisation is
 * told, for among them are replies of mailboxes; dibaoctl receipts tells more of a uid.
 */
#include "sms.h"
#include "redis.h"

#include "../sms/notice.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 500, SHOWN = 100, COUNTS_MAX = 8 };

struct twice {
	const struct ctl *c;
	struct ctl_redis r;
	bool all;
	unsigned n, n_shown;
	struct {
		const char *words; /* for good */
		bool is_sure;
		unsigned n;
	} counts[COUNTS_MAX];
	unsigned n_counts;
};

static const char *text_of(const redisReply *row, size_t i)
{
	return row->element[i]->type == REDIS_REPLY_STRING ? row->element[i]->str : "";
}

static void count(struct twice *t, const char *words, bool is_sure)
{
	unsigned i = 0;

	while (i < t->n_counts && strcmp(t->counts[i].words, words) != 0)
		i++;
	if (i == COUNTS_MAX)
		return;
	if (i == t->n_counts) {
		t->counts[i].words = words;
		t->counts[i].is_sure = is_sure;
		t->n_counts++;
	}
	t->counts[i].n++;
}

/* s t n tw of one row. */
static void one(struct twice *t, const char *uid, const char *at, const redisReply *row)
{
	const char *how = text_of(row, 3), *words;
	int64_t at_ms = strtoll(at, NULL, 10);
	char when[CTL_TIME];
	bool is_sure;

	if (!how[0]) /* its row is gone, by age */
		return;
	words = notice_twice_words(how, &is_sure);
	t->n++;
	count(t, words, is_sure);
	if (t->c->json) {
		ctl_put_json(json_pack("{s:s, s:s, s:s, s:i, s:I, s:s, s:b, s:s}", "uid", uid,
				       "state", text_of(row, 0), "type", text_of(row, 1), "attempt",
				       atoi(text_of(row, 2)), "at", (json_int_t)at_ms, "twice", how,
				       "sure", is_sure, "words", words));
		return;
	}
	if (!t->all && t->n_shown == SHOWN)
		return;
	t->n_shown++;
	printf("%s  %-10s %-14s %s: %s\n", ctl_time(when, at_ms), text_of(row, 0), text_of(row, 1),
	       uid, words);
}

/* uid, when, uid, when ... */
static int take_page(struct twice *t, const redisReply *uids)
{
	int e = 0;

	for (size_t i = 0; i + 1 < uids->elements; i += 2)
		redisAppendCommand(t->r.context, "HMGET %ssms:row:%b s t n tw", t->r.base,
				   uids->element[i]->str, uids->element[i]->len);
	for (size_t i = 0; i + 1 < uids->elements; i += 2) {
		redisReply *row;
		void *got = NULL;

		redisGetReply(t->r.context, &got);
		if (e) {
			freeReplyObject(got);
			continue;
		}
		e = ctl_redis_check(&t->r, got, &row);
		if (e)
			continue;
		one(t, uids->element[i]->str, uids->element[i + 1]->str, row);
		freeReplyObject(row);
	}
	return e;
}

static int take_all(struct twice *t)
{
	size_t n = 2 * PAGE;
	int e = 0;

	for (int at = 0; e == 0 && n == 2 * PAGE; at += PAGE) {
		redisReply *uids;

		e = ctl_redis_command(&t->r, &uids, "ZRANGE %s %d %d REV WITHSCORES",
				      ctl_redis_key(&t->r, "sms:twice"), at, at + PAGE - 1);
		if (e)
			break;
		n = uids->elements;
		e = take_page(t, uids);
		freeReplyObject(uids);
	}
	return e;
}

int sms_twice(struct ctl *c, int argc, char **argv)
{
	struct twice t = {.c = c};
	int e;

	if (argc == 3 && !strcmp(argv[2], "--all"))
		t.all = true;
	else if (argc != 2)
		return ctl_fail(EX_USAGE, "sms twice: expected nothing or --all");
	e = ctl_redis_open(&t.r, c, false);
	if (e)
		return e;
	e = take_all(&t);
	ctl_redis_close(&t.r);
	if (e || c->json)
		return e;
	if (t.n == 0)
		puts("none, as far as is known");
	else if (t.n_shown < t.n)
		printf("... and %u more: --all\n", t.n - t.n_shown);
	for (unsigned i = 0; i < t.n_counts; i++)
		printf("%8u  %s: %s\n", t.counts[i].n,
		       t.counts[i].is_sure ? "arrived twice" : "may have arrived twice",
		       t.counts[i].words);
	return 0;
}
