/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit: the administrative acts, oldest first. Read with rights to the stream alone, so that an
 * auditor needs no function. Whatever is added is kept until there are over QUEUE_AUDIT_MAX, so a
 * stream with fewer from which entries are gone was tampered with, and that is said.
 */
#include "queue.h"
#include "redis.h"
#include "timearg.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct query {
	int64_t since_ms;
	int last; /* 0: all */
};

static void print_one(const struct ctl *c, const redisReply *e)
{
	int64_t ms = strtoll(e->element[0]->str, NULL, 10);
	char when[CTL_TIME];
	json_t *j;

	if (c->json) {
		/* What is not UTF-8 is null. */
		j = json_object();
		json_object_set_new(j, "id", json_string(e->element[0]->str));
		json_object_set_new(j, "at", json_integer(ms));
		for (size_t i = 0; i < 4; i++) {
			static const char *const names[] = {"who", "act", "what", "result"};
			json_t *text = json_string(ctl_redis_field(e, names[i]));

			json_object_set_new(j, names[i], text ? text : json_null());
		}
		ctl_put_json(j);
		return;
	}
	printf("%s  ", ctl_time(when, ms));
	ctl_put_text(ctl_redis_field(e, "who"), 40);
	ctl_put_text(ctl_redis_field(e, "act"), 16);
	ctl_put_text(ctl_redis_field(e, "result"), 10);
	ctl_put_text(ctl_redis_field(e, "what"), 0);
	putchar('\n');
}

static void on_entry(const redisReply *entry, void *userdata)
{
	print_one(userdata, entry);
}

static int print_since(struct ctl *c, struct ctl_redis *r, int64_t since_ms)
{
	char from[24];
	size_t n;
	int e;

	snprintf(from, sizeof from, "%lld", (long long)since_ms);
	e = ctl_redis_each(r, "audit", from, on_entry, c, &n);
	if (e == 0)
		ctl_none(c, n);
	return e;
}

static int print_last(const struct ctl *c, struct ctl_redis *r, const struct query *q)
{
	redisReply *page;
	int e = ctl_redis_command(r, &page, "XREVRANGE %s + %lld COUNT %d",
				  ctl_redis_key(r, "audit"), (long long)q->since_ms, q->last);

	if (e)
		return e;
	for (size_t i = page->elements; i > 0; i--)
		print_one(c, page->element[i - 1]);
	ctl_none(c, page->elements);
	freeReplyObject(page);
	return 0;
}

static long long number(const redisReply *info, const char *name)
{
	for (size_t i = 0; i + 1 < info->elements; i += 2)
		if (!strcmp(info->element[i]->str, name))
			return info->element[i + 1]->integer;
	return 0;
}

static void check_whole(struct ctl_redis *r)
{
	redisReply *info = redisCommand(r->context, "XINFO STREAM %s", ctl_redis_key(r, "audit"));
	long long left, gone;

	if (info && info->type == REDIS_REPLY_ARRAY) {
		left = number(info, "length");
		gone = number(info, "entries-added") - left;
		if (gone > 0 && left < QUEUE_AUDIT_MAX)
			fprintf(stderr,
				"dibaoctl: %lld entries were removed, and not to make room: "
				"somebody changed the stream\n",
				gone);
	}
	freeReplyObject(info);
}

static int parse(struct query *q, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--since") && i + 1 < argc) {
			if (timearg_parse(argv[++i], time(NULL), &q->since_ms) < 0)
				return ctl_fail(EX_USAGE, "audit: --since: expected a time");
		} else if (!strcmp(argv[i], "--last") && i + 1 < argc) {
			q->last = atoi(argv[++i]);
			if (q->last < 1 || q->last > QUEUE_AUDIT_MAX)
				return ctl_fail(EX_USAGE, "audit: --last: expected 1 to %d",
						QUEUE_AUDIT_MAX);
		} else {
			return ctl_fail(EX_USAGE, "audit: unexpected argument: %s", argv[i]);
		}
	}
	return 0;
}

int ctl_audit(struct ctl *c, int argc, char **argv)
{
	struct query q = {0};
	struct ctl_redis r;
	int e = parse(&q, argc, argv);

	if (e == 0)
		e = ctl_redis_open(&r, c, false);
	if (e)
		return e;
	e = q.last ? print_last(c, &r, &q) : print_since(c, &r, q.since_ms);
	if (e == 0)
		check_whole(&r);
	ctl_redis_close(&r);
	return e;
}
