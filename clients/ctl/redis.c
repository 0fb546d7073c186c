/* SPDX-License-Identifier: Apache-2.0 */
#include "redis.h"
#include "queue.h"

#include <pwd.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

enum { ARGS_MAX = 16, PAGE = 500 };

static void describe_self(struct ctl_redis *r, const struct ctl *c)
{
	const struct passwd *p = getpwuid(getuid());

	snprintf(r->who, sizeof r->who, "uid=%u login=%.32s redis=%.32s", (unsigned)getuid(),
		 p ? p->pw_name : "-", c->redis_user ? c->redis_user : "default");
}

int ctl_redis_open(struct ctl_redis *r, const struct ctl *c, bool functions)
{
	struct dibao_redis_options o = ctl_redis_options(c);
	struct dibao_error err;

	memset(r, 0, sizeof *r);
	describe_self(r, c);
	queue_key(r->base, sizeof r->base, c->bureau, "");
	if (queue_connect(&r->context, &o, &err) < 0)
		return ctl_error(&err);
	if (functions && queue_functions_check(r->context, &err) < 0) {
		ctl_redis_close(r);
		return ctl_error(&err);
	}
	return 0;
}

void ctl_redis_close(struct ctl_redis *r)
{
	if (r->context)
		redisFree(r->context);
	r->context = NULL;
}

int ctl_redis_check(struct ctl_redis *r, redisReply *reply, redisReply **ret)
{
	int code;

	if (!reply)
		return ctl_fail(EX_UNAVAILABLE, "Redis: %s", r->context->errstr);
	if (reply->type == REDIS_REPLY_ERROR) {
		code = !strncmp(reply->str, "NOPERM", 6) ? EX_NOPERM : EX_DATAERR;
		/* The code is for programs: DIBAO_INVALID, ERR. */
		ctl_fail(code, "%s",
			 !strncmp(reply->str, "DIBAO_", 6) && strchr(reply->str, ' ')
				 ? strchr(reply->str, ' ') + 1
				 : reply->str);
		freeReplyObject(reply);
		return code;
	}
	*ret = reply;
	return 0;
}

int ctl_redis_call(struct ctl_redis *r, redisReply **ret, const char *function, ...)
{
	const char *argv[ARGS_MAX] = {"FCALL", function, "1", r->base};
	int argc = 4;
	va_list ap;

	va_start(ap, function);
	while (argc < ARGS_MAX && (argv[argc] = va_arg(ap, const char *)))
		argc++;
	va_end(ap);
	return ctl_redis_check(r, redisCommandArgv(r->context, argc, argv, NULL), ret);
}

int ctl_redis_command(struct ctl_redis *r, redisReply **ret, const char *fmt, ...)
{
	redisReply *reply;
	va_list ap;

	va_start(ap, fmt);
	reply = redisvCommand(r->context, fmt, ap);
	va_end(ap);
	return ctl_redis_check(r, reply, ret);
}

int ctl_redis_act(const struct ctl *c, struct ctl_redis *r, const char *function, const char *arg,
		  const char *what, const char *done, const char *none)
{
	redisReply *reply;
	long long n;
	int e = ctl_redis_call(r, &reply, function, arg, r->who, NULL);

	if (e)
		return e;
	n = reply->integer;
	freeReplyObject(reply);
	if (!n)
		return ctl_fail(EX_DATAERR, "%s: %s", arg, none);
	ctl_done(c, what, arg, done);
	return 0;
}

int ctl_redis_audit(struct ctl_redis *r, const char *act, const char *what, const char *result)
{
	redisReply *reply;
	int e = ctl_redis_command(
		r, &reply, "XADD %s MAXLEN ~ %d * who %s act %s what %s result %s",
		ctl_redis_key(r, "audit"), QUEUE_AUDIT_MAX, r->who, act, what, result);

	if (e == 0)
		freeReplyObject(reply);
	return e;
}

const char *ctl_redis_key(struct ctl_redis *r, const char *suffix)
{
	static char key[QUEUE_KEY_MAX];

	snprintf(key, sizeof key, "%s%s", r->base, suffix);
	return key;
}

const redisReply *ctl_redis_value(const redisReply *entry, const char *name)
{
	const redisReply *f = entry->element[1];

	for (size_t i = 0; i + 1 < f->elements; i += 2)
		if (!strcmp(f->element[i]->str, name))
			return f->element[i + 1];
	return NULL;
}

const char *ctl_redis_field(const redisReply *entry, const char *name)
{
	const redisReply *v = ctl_redis_value(entry, name);

	return v ? v->str : "";
}

int ctl_redis_each(struct ctl_redis *r, const char *stream, const char *from,
		   void (*fn)(const redisReply *entry, void *userdata), void *userdata,
		   size_t *ret_n)
{
	char at[48];
	size_t n = PAGE, all = 0;

	snprintf(at, sizeof at, "%.40s", from);
	while (n == PAGE) {
		redisReply *page;
		int e = ctl_redis_command(r, &page, "XRANGE %s %s + COUNT %d",
					  ctl_redis_key(r, stream), at, PAGE);

		if (e)
			return e;
		n = page->elements;
		all += n;
		for (size_t i = 0; i < n; i++)
			fn(page->element[i], userdata);
		if (n)
			snprintf(at, sizeof at, "(%.40s", page->element[n - 1]->element[0]->str);
		freeReplyObject(page);
	}
	*ret_n = all;
	return 0;
}

int ctl_redis_list(struct ctl_redis *r, struct ctl *c, const char *stream,
		   void (*fn)(const redisReply *entry, void *userdata))
{
	size_t n;
	int e = ctl_redis_each(r, stream, "-", fn, c, &n);

	if (e == 0)
		ctl_none(c, n);
	return e;
}

bool ctl_redis_is_id(const char *text)
{
	size_t n = strspn(text, "0123456789"),
	       k = text[n] == '-' ? strspn(text + n + 1, "0123456789") : 0;

	return n > 0 && n < 20 && k > 0 && k < 20 && !text[n + 1 + k];
}
