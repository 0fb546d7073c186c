/* SPDX-License-Identifier: Apache-2.0 */
#include "redis.h"
#include "timearg.h"

#include <string.h>
#include <time.h>

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
	if (nothing)
		return ctl_fail(EX_DATAERR, "%s: not hidden", badge);
	ctl_done(c, "badge", badge, until ? "hidden" : "shown");
	return 0;
}

/* A point in time ahead, or a while from now. */
static int parse_until(const char *text, char ret[24])
{
	int64_t now = (int64_t)time(NULL), ms;

	if (timearg_duration(text, &ms) == 0)
		ms += now * 1000;
	else if (timearg_parse(text, (time_t)now, &ms) < 0)
		return ctl_fail(EX_USAGE,
				"hide: --until: expected Unix ms, 2026-11-23T09:30:00+08:00, or a "
				"while from now: 12h, 14d");
	if (ms <= now * 1000)
		return ctl_fail(EX_USAGE, "hide: --until: that time is past");
	snprintf(ret, 24, "%lld", (long long)ms);
	return 0;
}

int ctl_hide(struct ctl *c, int argc, char **argv)
{
	const char *badge = NULL;
	char until[24] = "0";
	int r = 0;

	for (int i = 1; i + 1 < argc && r == 0; i += 2)
		if (!strcmp(argv[i], "--badge"))
			badge = argv[i + 1];
		else if (!strcmp(argv[i], "--until"))
			r = parse_until(argv[i + 1], until);
		else
			r = ctl_fail(EX_USAGE, "hide: no such option: %s", argv[i]);
	if (r)
		return r;
	if (!badge || argc % 2 == 0)
		return ctl_fail(EX_USAGE, "hide: expected --badge BADGE [--until TIME]");
	return call(c, badge, until);
}

int ctl_unhide(struct ctl *c, int argc, char **argv)
{
	if (argc != 3 || strcmp(argv[1], "--badge") != 0)
		return ctl_fail(EX_USAGE, "unhide: expected --badge BADGE");
	return call(c, argv[2], NULL);
}
