/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three questions, pipelined: INFO (what a user with few rights may ask too),
 * CONFIG GET appendfsync (which INFO doesn't tell; refused = a warning), and
 * the version of the functions. The last answer decides.
 */
#include "redis_check.h"

#include "queue.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CAP_PERCENT = 60 };

struct check {
	redis_check_fn fn;
	void *userdata;
	unsigned n_open;
	uint64_t cap_bytes;
	struct redis_check_result result;
	size_t len;
};

__attribute__((format(printf, 3, 4))) static void found(struct check *k, enum redis_fault fault,
							const char *fmt, ...)
{
	va_list ap;
	int n;

	if (k->result.found & fault) {
		return;
	}
	k->result.found |= fault;
	va_start(ap, fmt);
	n = vsnprintf(k->result.text + k->len, sizeof k->result.text - k->len, fmt, ap);
	va_end(ap);
	if (n > 0) {
		k->len += (size_t)n;
	}
	if (k->len >= sizeof k->result.text) {
		k->len = sizeof k->result.text - 1;
	}
}

static void finish(struct check *k)
{
	if (--k->n_open > 0) {
		return;
	}
	k->result.ok = (k->result.found & REDIS_FAULTS) == 0;
	if (k->fn) {
		k->fn(&k->result, k->userdata);
	}
	free(k);
}

/* The value of "\nkey:value\r\n", or NULL. */
static const char *info_value(const char *info, const char *key, char *buf, size_t cap)
{
	char needle[64];
	const char *at;

	(void)snprintf(needle, sizeof needle, "\n%s:", key);
	at = strstr(info, needle);
	if (!at) {
		return NULL;
	}
	at += strlen(needle);
	(void)snprintf(buf, cap, "%.*s", (int)strcspn(at, "\r\n"), at);
	return buf;
}

static void check_cap(struct check *k)
{
	uint64_t limit = k->result.maxmemory / 100 * CAP_PERCENT;

	k->result.cap_bytes = k->cap_bytes > 0 ? k->cap_bytes : limit;
	if (limit > 0 && k->cap_bytes > limit) {
		found(k, REDIS_FAULT_CAP,
		      "cap_bytes is %llu, over %d %% of Redis' maxmemory (%llu): publishing would "
		      "stop before trimming starts. Cure: redis-cli CONFIG SET maxmemory %llu, or "
		      "lower cap_bytes\n",
		      (unsigned long long)k->cap_bytes, CAP_PERCENT,
		      (unsigned long long)k->result.maxmemory,
		      (unsigned long long)(k->cap_bytes / CAP_PERCENT * 100 + 100));
	}
}

static void on_info(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct check *k = userdata;
	char value[64];
	const char *v;

	(void)l;
	if (!reply || reply->type != REDIS_REPLY_STRING) {
		found(k, REDIS_FAULT_UNKNOWN, "Redis did not tell its settings (INFO)%s%s\n",
		      redis_reply_is_error(reply, NULL) ? ": " : "",
		      redis_reply_is_error(reply, NULL) ? reply->str : "");
		finish(k);
		return;
	}
	v = info_value(reply->str, "redis_version", value, sizeof value);
	if (v && strtol(v, NULL, 10) < 7) {
		found(k, REDIS_FAULT_VERSION,
		      "Redis is version %s and has no functions. Cure: install Redis 7.0 or later, "
		      "or Valkey\n",
		      v);
	}
	v = info_value(reply->str, "server_time_usec", value, sizeof value);
	k->result.time_ms = v ? strtoll(v, NULL, 10) / 1000 : 0;
	v = info_value(reply->str, "aof_enabled", value, sizeof value);
	if (!v || strcmp(v, "1") != 0) {
		found(k, REDIS_FAULT_AOF,
		      "appendonly is no: a restart of Redis loses what was published. Cure: "
		      "redis-cli CONFIG SET appendonly yes, and the same in redis.conf\n");
	}
	v = info_value(reply->str, "maxmemory", value, sizeof value);
	k->result.maxmemory = v ? strtoull(v, NULL, 10) : 0;
	v = info_value(reply->str, "maxmemory_policy", value, sizeof value);
	if (!v || strcmp(v, "noeviction") != 0) {
		found(k, REDIS_FAULT_EVICTION,
		      "maxmemory-policy is %s: Redis may drop events that nobody received. Cure: "
		      "redis-cli CONFIG SET maxmemory-policy noeviction, and the same in "
		      "redis.conf\n",
		      v ? v : "unknown");
	}
	check_cap(k);
	finish(k);
}

static void on_fsync(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct check *k = userdata;
	const char *v = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2
				? reply->element[1]->str
				: NULL;

	(void)l;
	if (!v || strcmp(v, "always") != 0) {
		found(k, REDIS_WARN_FSYNC,
		      "appendfsync is %s: the last second of publishing may be lost with the "
		      "power. "
		      "To have it on disk before publishers are answered: redis-cli CONFIG SET "
		      "appendfsync always\n",
		      v ? v : "not to be seen by this user");
	}
	finish(k);
}

static void on_version(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct check *k = userdata;

	(void)l;
	if (!reply) {
		found(k, REDIS_FAULT_UNKNOWN, "the connection to Redis was lost\n");
	} else if (redis_reply_is_error(reply, "ERR Function not found")) {
		found(k, REDIS_FAULT_FUNCTIONS,
		      "the functions are not loaded. Cure: dibaoctl setup\n");
	} else if (reply->type != REDIS_REPLY_STRING) {
		found(k, REDIS_FAULT_UNKNOWN, "Redis did not tell the functions' version: %s\n",
		      redis_reply_is_error(reply, NULL) ? reply->str : "unexpected reply");
	} else if (strcmp(reply->str, queue_functions_version()) != 0) {
		found(k, REDIS_FAULT_FUNCTIONS,
		      "the functions are of another version (%.24s, this is %.24s). Cure: dibaoctl "
		      "setup, of the newer of the two\n",
		      reply->str, queue_functions_version());
	}
	finish(k);
}

int redis_check(struct redis_link *l, const char *bureau, uint64_t cap_bytes, redis_check_fn fn,
		void *userdata)
{
	static const char *const info[] = {"INFO", "server", "persistence", "memory"};
	static const char *const fsync[] = {"CONFIG", "GET", "appendfsync"};
	char base[QUEUE_KEY_MAX];
	const char *version[] = {"FCALL", "dibao_version", "1", base};
	struct check *k;
	int r;

	r = queue_key(base, sizeof base, bureau, "");
	if (r < 0) {
		return r;
	}
	if (!redis_link_is_up(l)) {
		return -ENOTCONN;
	}
	k = calloc(1, sizeof *k);
	if (!k) {
		return -ENOMEM;
	}
	k->cap_bytes = cap_bytes;
	k->n_open = 1; /* ours, until all are sent */
	if (strcmp(redis_link_role(l), "master") != 0) {
		found(k, REDIS_FAULT_ROLE,
		      "this Redis is a %s: nothing can be written to it. Cure: name the master in "
		      "dibaod.conf (redis), or redis-cli REPLICAOF NO ONE here if it is to be it\n",
		      redis_link_role(l));
	}
	r = redis_link_command(l, on_info, k, 4, info, NULL, 0);
	k->n_open += r == 0;
	if (r == 0) {
		r = redis_link_command(l, on_fsync, k, 3, fsync, NULL, 0);
		k->n_open += r == 0;
	}
	if (r == 0) {
		r = redis_link_command(l, on_version, k, 4, version, NULL, 0);
		k->n_open += r == 0;
	}
	if (r == 0) {
		k->fn = fn;
		k->userdata = userdata;
	}
	/* Answers come from the loop, so this never calls fn; on failure it frees, now or with the
	 * last answer. */
	finish(k);
	return r;
}
