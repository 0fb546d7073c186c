/* SPDX-License-Identifier: Apache-2.0 */
#include "redis.h"
#include "timearg.h"

#include <string.h>
#include <time.h>

static const char *option(int argc, char **argv, const char *name)
{
	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], name))
			return argv[i + 1];
	return NULL;
}

/* until == NULL: unhide. */
static int call(const struct ctl *c, const char *badge, const char *until)
{
	struct ctl_redis r;
	redisReply *reply;
	bool nothing;
	int e = ctl_redis_open(&r, c, true);

	if (e)
		return e;
	e = until ? ctl_redis_call(&r, &reply, "dibao_hide", badge, until, r.who, NULL)
		  : ctl_redis_call(&r, &reply, "dibao_unhide", badge, r.who, NULL);
	ctl_redis_close(&r);
	if (e)
		return e;
	nothing = reply->len == 0;
	freeReplyObject(reply);
	return nothing ? ctl_fail(EX_DATAERR, "%s: not hidden", badge) : 0;
}

int ctl_hide(struct ctl *c, int argc, char **argv)
{
	const char *badge = option(argc, argv, "--badge"), *until = option(argc, argv, "--until");
	char text[24] = "0";
	int64_t ms;

	if (!badge || (argc != 3 && argc != 5))
		return ctl_fail(EX_USAGE, "hide: expected --badge BADGE [--until TIME]");
	if (until) {
		if (timearg_parse(until, time(NULL), &ms) < 0)
			return ctl_fail(
				EX_USAGE,
				"hide: --until: expected Unix ms or 2026-11-23T09:30:00+08:00");
		snprintf(text, sizeof text, "%lld", (long long)ms);
	}
	return call(c, badge, text);
}

int ctl_unhide(struct ctl *c, int argc, char **argv)
{
	const char *badge = option(argc, argv, "--badge");

	if (!badge || argc != 3)
		return ctl_fail(EX_USAGE, "unhide: expected --badge BADGE");
	return call(c, badge, NULL);
}
