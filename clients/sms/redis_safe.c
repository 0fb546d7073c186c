/* SPDX-License-Identifier: Apache-2.0 */
#include "redis_safe.h"

#include "outbox_functions.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check {
	redis_safe_fn fn;
	void *userdata;
	unsigned n_open;
	struct redis_safe found;
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void fault(struct check *k, const char *fmt, ...)
{
	va_list ap;
	int n;

	k->found.ok = false;
	va_start(ap, fmt);
	n = vsnprintf(k->found.text + k->len, sizeof k->found.text - k->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		k->len += (size_t)n;
	if (k->len >= sizeof k->found.text)
		k->len = sizeof k->found.text - 1;
}

static void finish(struct check *k)
{
	if (--k->n_open > 0)
		return;
	if (k->fn)
		k->fn(&k->found, k->userdata);
	free(k);
}

static void want(struct check *k, const redisReply *reply, const char *name, const char *value)
{
	const char *is = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2
				 ? reply->element[1]->str
				 : NULL;

	if (!reply)
		k->found.is_lost = true;
	if (!is || strcmp(is, value) != 0)
		fault(k,
		      "%s is %s, not %s: a text sent could be forgotten, and sent again. Cure: "
		      "redis-cli CONFIG SET %s %s, and the same in redis.conf\n",
		      name, is ? is : "not to be seen by this user", value, name, value);
	finish(k);
}

static void on_appendonly(struct redis_link *l, const redisReply *reply, void *userdata)
{
	(void)l;
	want(userdata, reply, "appendonly", "yes");
}

static void on_fsync(struct redis_link *l, const redisReply *reply, void *userdata)
{
	(void)l;
	want(userdata, reply, "appendfsync", "always");
}

static void on_policy(struct redis_link *l, const redisReply *reply, void *userdata)
{
	(void)l;
	want(userdata, reply, "maxmemory-policy", "noeviction");
}

static void on_version(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct check *k = userdata;

	(void)l;
	k->found.functions_ok = reply && reply->type == REDIS_REPLY_STRING &&
				!strcmp(reply->str, outbox_functions_version());
	if (!reply)
		k->found.is_lost = true;
	else if (!k->found.functions_ok)
		fault(k,
		      "the outbox's functions are not loaded, or of another version (%.60s, not "
		      "%.40s). Cure: dibaoctl setup, of the newer of the two\n",
		      reply->str ? reply->str : "?", outbox_functions_version());
	finish(k);
}

int redis_safe_check(struct redis_link *l, const char *base, redis_safe_fn fn, void *userdata)
{
	const char *const appendonly[] = {"CONFIG", "GET", "appendonly"};
	const char *const fsync[] = {"CONFIG", "GET", "appendfsync"};
	const char *const policy[] = {"CONFIG", "GET", "maxmemory-policy"};
	const char *const version[] = {"FCALL", "dibao_sms_version", "1", base};
	const struct {
		redis_reply_fn fn;
		int argc;
		const char *const *argv;
	} questions[] = {{on_appendonly, 3, appendonly},
			 {on_fsync, 3, fsync},
			 {on_policy, 3, policy},
			 {on_version, 4, version}};
	struct check *k = calloc(1, sizeof *k);
	int r = 0;

	if (!k)
		return -ENOMEM;
	k->found.ok = true;
	k->n_open = 1; /* ours, until all are sent */
	for (size_t i = 0; r == 0 && i < sizeof questions / sizeof questions[0]; i++) {
		r = redis_link_command(l, questions[i].fn, k, questions[i].argc, questions[i].argv,
				       NULL, 0);
		k->n_open += r == 0;
	}
	if (r == 0) {
		k->fn = fn;
		k->userdata = userdata;
	}
	finish(k);
	return r;
}
