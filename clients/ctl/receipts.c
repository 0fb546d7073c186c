/* SPDX-License-Identifier: Apache-2.0 */
/* What became of one event at its clients: the receipts stream, searched from its beginning. */
#include "redis.h"

#include <dibao/subscriber.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PAGE = 500 };

static const char *field(const redisReply *entry, const char *name)
{
	const redisReply *f = entry->element[1];

	for (size_t i = 0; i + 1 < f->elements; i += 2)
		if (!strcmp(f->element[i]->str, name))
			return f->element[i + 1]->str;
	return "";
}

static void print_one(const struct ctl *c, const redisReply *e)
{
	int64_t at = atoll(field(e, "at"));
	const char *state = dibao_receipt_name((enum dibao_receipt_state)atoi(field(e, "state")));
	time_t t = (time_t)(at / 1000);
	char when[32];
	struct tm tm;
	json_t *j;

	if (c->json) {
		j = json_pack("{s:s, s:s, s:s, s:I, s:s, s:s}", "id", e->element[0]->str, "name",
			      field(e, "name"), "state", state, "at", (json_int_t)at, "detail",
			      field(e, "detail"), "token", field(e, "token"));
		json_dumpf(j, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(j);
		return;
	}
	localtime_r(&t, &tm);
	strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s  %-20s %-10s %s\n", when, field(e, "name"), state, field(e, "detail"));
}

int ctl_receipts(struct ctl *c, int argc, char **argv)
{
	char from[48] = "-";
	struct ctl_redis r;
	size_t n = PAGE;
	int e;

	if (argc != 2)
		return ctl_fail(EX_USAGE, "receipts: expected UID");
	e = ctl_redis_open(&r, c, true);
	if (e)
		return e;
	while (n == PAGE && e == 0) {
		redisReply *page;

		e = ctl_redis_command(&r, &page, "XRANGE %s %s + COUNT %d",
				      ctl_redis_key(&r, "receipts"), from, PAGE);
		if (e)
			break;
		n = page->elements;
		for (size_t i = 0; i < n; i++)
			if (!strcmp(field(page->element[i], "key"), argv[1]))
				print_one(c, page->element[i]);
		if (n)
			snprintf(from, sizeof from, "(%.40s",
				 page->element[n - 1]->element[0]->str);
		freeReplyObject(page);
	}
	ctl_redis_close(&r);
	return e;
}
