/* SPDX-License-Identifier: Apache-2.0 */
#include "redis.h"
#include "timearg.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const int64_t default_hold_ms = 14 * 86400000LL;

static void print_one(const struct ctl *c, const char *name, const char *hold, const char *cursor)
{
	json_t *j;

	if (!c->json) {
		printf("%-24s hold %5.1f d  %s\n", name, strtod(hold, NULL) / 86400000,
		       cursor ? cursor : "-");
		return;
	}
	j = json_pack("{s:s, s:I, s:s?}", "name", name, "hold_ms", (json_int_t)atoll(hold),
		      "cursor", cursor);
	ctl_put_json(j);
}

static int list(const struct ctl *c, struct ctl_redis *r)
{
	redisReply *names, *cursor;
	int e = ctl_redis_command(r, &names, "HGETALL %s", ctl_redis_key(r, "durable"));

	for (size_t i = 0; e == 0 && i + 1 < names->elements; i += 2) {
		e = ctl_redis_command(r, &cursor, "HGET %s %s", ctl_redis_key(r, "cursors"),
				      names->element[i]->str);
		if (e == 0) {
			print_one(c, names->element[i]->str, names->element[i + 1]->str,
				  cursor->str);
			freeReplyObject(cursor);
		}
	}
	if (e == 0)
		freeReplyObject(names);
	return e;
}

static int set_name(const struct ctl *c, struct ctl_redis *r, const char *name, const char *hold)
{
	int64_t ms = default_hold_ms;
	char text[24];
	redisReply *reply;
	int e;

	if (hold && timearg_duration(hold, &ms) < 0)
		return ctl_fail(EX_USAGE, "durable set: hold: expected 90s, 15m, 2h or 14d");
	snprintf(text, sizeof text, "%lld", (long long)ms);
	e = ctl_redis_call(r, &reply, "dibao_durable", "set", name, text, r->who, NULL);
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
	struct ctl_redis r;
	int e;

	if (!(!strcmp(verb, "list") && argc == 2) &&
	    !(!strcmp(verb, "set") && (argc == 3 || argc == 4)) &&
	    !(!strcmp(verb, "forget") && argc == 3))
		return ctl_fail(EX_USAGE, "durable: expected list, set NAME [HOLD] or forget NAME");
	e = ctl_redis_open(&r, c, true);
	if (e)
		return e;
	e = !strcmp(verb, "list")  ? list(c, &r)
	    : !strcmp(verb, "set") ? set_name(c, &r, argv[2], argc == 4 ? argv[3] : NULL)
				   : forget(c, &r, argv[2]);
	ctl_redis_close(&r);
	return e;
}
