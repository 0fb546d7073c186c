/* SPDX-License-Identifier: Apache-2.0 */
#include "redis.h"
#include "timearg.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const int64_t default_hold_ms = 14 * 86400000LL;

static void print_one(const struct ctl *c, redisReply *const *e)
{
	const char *name = e[0]->str, *hold = e[1]->str, *cursor = e[2]->len ? e[2]->str : NULL;
	bool is_board = e[3]->integer == 1;

	if (!c->json) {
		printf("%-24s %-5s  hold %5.1f d  %s\n", name, is_board ? "board" : "-",
		       strtod(hold, NULL) / 86400000, cursor ? cursor : "-");
		return;
	}
	ctl_put_json(json_pack("{s:s, s:b, s:I, s:s?}", "name", name, "board", is_board, "hold_ms",
			       (json_int_t)atoll(hold), "cursor", cursor));
}

static int list(const struct ctl *c, struct ctl_redis *r)
{
	redisReply *all;
	int e = ctl_redis_call(r, &all, "dibao_durables", NULL);

	if (e)
		return e;
	for (size_t i = 0; i + 3 < all->elements; i += 4)
		print_one(c, all->element + i);
	ctl_none(c, all->elements);
	freeReplyObject(all);
	return 0;
}

static int set_name(const struct ctl *c, struct ctl_redis *r, bool is_board, const char *name,
		    const char *hold)
{
	int64_t ms = default_hold_ms;
	char text[24];
	redisReply *reply;
	int e;

	if (hold && timearg_duration(hold, &ms) < 0)
		return ctl_fail(EX_USAGE, "durable set: hold: expected 90s, 15m, 2h or 14d");
	snprintf(text, sizeof text, "%lld", (long long)ms);
	e = ctl_redis_call(r, &reply, "dibao_durable", is_board ? "set-board" : "set", name, text,
			   r->who, NULL);
	if (e == 0) {
		freeReplyObject(reply);
		ctl_done(c, "name", name, "set");
	}
	return e;
}

static int forget(const struct ctl *c, struct ctl_redis *r, const char *name)
{
	redisReply *reply;
	long long n;
	int e = ctl_redis_call(r, &reply, "dibao_durable", "forget", name, r->who, NULL);

	if (e)
		return e;
	n = reply->integer;
	freeReplyObject(reply);
	if (!n)
		return ctl_fail(EX_DATAERR, "%s: no such durable name", name);
	ctl_done(c, "name", name, "forgotten");
	return 0;
}

int ctl_durable(struct ctl *c, int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	bool is_set = !strcmp(verb, "set");
	bool is_board = is_set && argc > 2 && !strcmp(argv[2], "--board");
	struct ctl_redis r;
	int e;

	argc -= is_board;
	argv += is_board;

	if (!(!strcmp(verb, "list") && argc == 2) && !(is_set && (argc == 3 || argc == 4)) &&
	    !(!strcmp(verb, "forget") && argc == 3))
		return ctl_fail(EX_USAGE,
				"durable: expected list, set [--board] NAME [HOLD] or forget "
				"NAME");
	e = ctl_redis_open(&r, c, true);
	if (e)
		return e;
	e = is_set		    ? set_name(c, &r, is_board, argv[2], argc == 4 ? argv[3] : NULL)
	    : !strcmp(verb, "list") ? list(c, &r)
				    : forget(c, &r, argv[2]);
	ctl_redis_close(&r);
	return e;
}
