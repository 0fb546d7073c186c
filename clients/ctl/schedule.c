/* SPDX-License-Identifier: Apache-2.0 */
#include "redis.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 200 };

static void print_one(const struct ctl *c, const char *uid, const char *score)
{
	int64_t ms = (int64_t)strtod(score, NULL);
	char when[CTL_TIME];
	json_t *j;

	if (c->json) {
		j = json_pack("{s:s, s:I}", "uid", uid, "not_before", (json_int_t)ms);
		ctl_put_json(j);
		return;
	}
	printf("%s  %s\n", ctl_time(when, ms), uid);
}

static int list(const struct ctl *c, struct ctl_redis *r)
{
	size_t at = 0, n = PAGE;

	for (; n == PAGE; at += PAGE) {
		redisReply *page;
		int e = ctl_redis_command(r, &page, "ZRANGE %s %d %d WITHSCORES",
					  ctl_redis_key(r, "scheduled"), (int)at,
					  (int)(at + PAGE - 1));

		if (e)
			return e;
		n = page->elements / 2;
		for (size_t i = 0; i < n; i++)
			print_one(c, page->element[2 * i]->str, page->element[2 * i + 1]->str);
		ctl_none(c, at + n);
		freeReplyObject(page);
	}
	return 0;
}

int ctl_schedule(struct ctl *c, int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	struct ctl_redis r;
	int e;

	if (argc == 4 && !strcmp(argv[2], "--")) {
		argv[2] = argv[3];
		argc--;
	}
	if (!(!strcmp(verb, "list") && argc == 2) && !(!strcmp(verb, "cancel") && argc == 3))
		return ctl_fail(EX_USAGE, "schedule: expected list or cancel UID");
	e = ctl_redis_open(&r, c, true);
	if (e)
		return e;
	e = !strcmp(verb, "list") ? list(c, &r)
				  : ctl_redis_act(c, &r, "dibao_cancel", argv[2], "uid",
						  "cancelled", "not scheduled");
	ctl_redis_close(&r);
	return e;
}
