/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real Redis with the queue's functions, emptied before each test, and short ways to call a
 * function and to look at what it left. Events are made from JSON by the library's own codec.
 *
 * A reply lives until the next call; an event until EVENTS_KEPT more were made.
 */
#ifndef TESTS_UNIT_QUEUE_FIXTURE_H
#define TESTS_UNIT_QUEUE_FIXTURE_H

#include "../../lib/queue.h"
#include "redis_server.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define BUREAU	"3205"
#define BASE	"dibao:{3205}:"
#define GUSU	"320508000000"
#define WUZHONG "320506000000"

enum { DEADLINE_MS = 80000, EVENTS_KEPT = 16 };

struct sample {
	const char *type; /* NULL: award, which is public */
	const char *uid;
	const char *org;    /* NULL: GUSU */
	const char *badge;  /* NULL: A1 */
	const char *issuer; /* NULL: 政治部 */
	const char *retracts, *corrects, *trace;
	int64_t not_before;
	bool urgent, is_private;
};

struct bytes {
	const uint8_t *p;
	size_t len;
};

static struct redis_server server;
static redisContext *redis;
static redisReply *last_reply;

static inline struct bytes event_of(struct sample s)
{
	static uint8_t kept[EVENTS_KEPT][DIBAO_EVENT_MAX_BYTES];
	static unsigned next;
	char json[2048], more[512] = "";
	const char *type = s.type ? s.type : "award", *body;
	uint8_t *bytes = NULL, *at = kept[next++ % EVENTS_KEPT];
	struct dibao_error err;
	size_t len = 0;

	if (s.retracts)
		body = "\"reason\":\"误发\"";
	else if (!strcmp(type, "penalty"))
		body = "\"kind\":{\"code\":\"warn\",\"name\":\"警告\"},\"decided_on\":\"2026-11-"
		       "02\","
		       "\"sign_where\":\"政工室\",\"sign_by\":\"2026-11-09\","
		       "\"appeal_until\":\"2026-12-02\",\"telephone\":\"0512-00000000\"";
	else if (!strcmp(type, "award"))
		body = "\"kind\":{\"code\":\"fire\",\"name\":\"火线奖励\"},\"state\":\"final\"";
	else
		body = "\"any\":1";
	if (s.retracts)
		snprintf(more + strlen(more), sizeof more - strlen(more), ",\"retracts\":\"%s\"",
			 s.retracts);
	if (s.corrects)
		snprintf(more + strlen(more), sizeof more - strlen(more), ",\"corrects\":\"%s\"",
			 s.corrects);
	if (s.trace)
		snprintf(more + strlen(more), sizeof more - strlen(more), ",\"trace\":\"%s\"",
			 s.trace);
	if (s.not_before)
		snprintf(more + strlen(more), sizeof more - strlen(more), ",\"not_before\":%lld",
			 (long long)s.not_before);
	snprintf(json, sizeof json,
		 "{\"v\":1,\"uid\":\"%s\",\"type\":\"%s\",\"at\":1700000000000,\"org\":\"%s\","
		 "\"person\":{\"badge\":\"%s\",\"name\":\"演示\"},\"issuer\":\"%s\"%s%s%s,\"body\":"
		 "{%s}}",
		 s.uid, type, s.org ? s.org : GUSU, s.badge ? s.badge : "A1",
		 s.issuer ? s.issuer : "政治部", s.urgent ? ",\"urgent\":true" : "",
		 s.is_private ? ",\"private\":true" : "", more, body);
	if (dibao_event_from_json(json, strlen(json), 1, &bytes, &len, &err) < 0)
		fail_msg("%s: %s", err.field, err.reason);
	memcpy(at, bytes, len);
	free(bytes);
	return (struct bytes){at, len};
}

static inline redisReply *call_argv(redisContext *c, int n, const char **argv, const size_t *lens)
{
	freeReplyObject(last_reply);
	last_reply = redisCommandArgv(c, n, argv, lens);
	assert_non_null(last_reply);
	return last_reply;
}

/* Any command; text arguments, ending with NULL. */
#define command(...) command_on(redis, __VA_ARGS__, NULL)
/* A function of the queue: call("lease", name, ...). */
#define call(fn, ...) command_on(redis, "FCALL", "dibao_" fn, "1", BASE, ##__VA_ARGS__, NULL)

static inline redisReply *command_on(redisContext *c, ...)
{
	const char *argv[64];
	int n = 0;
	va_list ap;

	va_start(ap, c);
	while ((argv[n] = va_arg(ap, const char *)) != NULL)
		assert_in_range(++n, 1, 63);
	va_end(ap);
	return call_argv(c, n, argv, NULL);
}

static inline redisReply *call_bytes(const char *fn, const char *channel, struct bytes b)
{
	const char *argv[6] = {
		"FCALL", fn, "1", BASE, channel ? channel : (const char *)b.p, (const char *)b.p};
	size_t lens[6] = {5, strlen(fn), 1, strlen(BASE), channel ? strlen(channel) : b.len, b.len};

	return call_argv(redis, channel ? 6 : 5, argv, lens);
}

/* ---- what came back ---- */

static inline void assert_error(const redisReply *r, const char *start)
{
	if (r->type != REDIS_REPLY_ERROR)
		fail_msg("expected %s, got no error", start);
	if (strncmp(r->str, start, strlen(start)) != 0)
		fail_msg("expected %s, got %s", start, r->str);
}

static inline void assert_text(const redisReply *r, const char *expected)
{
	if (r->type == REDIS_REPLY_ERROR)
		fail_msg("expected %s, got %s", expected, r->str);
	assert_int_equal(r->type, REDIS_REPLY_STRING);
	assert_string_equal(r->str, expected);
}

static inline void assert_number(const redisReply *r, long long expected)
{
	if (r->type == REDIS_REPLY_ERROR)
		fail_msg("expected %lld, got %s", expected, r->str);
	assert_int_equal(r->type, REDIS_REPLY_INTEGER);
	assert_int_equal(r->integer, expected);
}

static inline void assert_array(const redisReply *r, size_t n)
{
	if (r->type == REDIS_REPLY_ERROR)
		fail_msg("got %s", r->str);
	assert_int_equal(r->type, REDIS_REPLY_ARRAY);
	assert_int_equal(r->elements, n);
}

/* Where the last publish() put it. */
static char got_channel[32], got_id[64];

static inline void publish_bytes(struct bytes b, const char *outcome)
{
	redisReply *r = call_bytes("dibao_publish", NULL, b);

	assert_array(r, 3);
	assert_text(r->element[0], outcome);
	snprintf(got_channel, sizeof got_channel, "%s", r->element[1]->str);
	snprintf(got_id, sizeof got_id, "%s", r->element[2]->str);
}

static inline void publish(struct sample s, const char *outcome)
{
	publish_bytes(event_of(s), outcome);
}

static inline void publish_fails(struct sample s, const char *error)
{
	assert_error(call_bytes("dibao_publish", NULL, event_of(s)), error);
}

static inline long long release(const char *max)
{
	return call("release", max)->element[0]->integer;
}

/* XADD by hand; the id in ret. */
static inline void add_by_hand(const char *channel, struct bytes b, char ret[64])
{
	char key[QUEUE_KEY_MAX];
	const char *argv[] = {"XADD", key, "*", "e", (const char *)b.p};
	size_t lens[5] = {4, 0, 1, 1, b.len};

	lens[1] = (size_t)queue_key(key, sizeof key, BUREAU, channel);
	snprintf(ret, 64, "%s", call_argv(redis, 5, argv, lens)->str);
}

/* ---- what is in Redis ---- */

static inline long long length_of(const char *stream)
{
	char key[QUEUE_KEY_MAX];

	queue_key(key, sizeof key, BUREAU, stream);
	return command("XLEN", key)->integer;
}

static inline long long entries_in_channels(void)
{
	return length_of("public") + length_of("private") + length_of("public-now") +
	       length_of("private-now");
}

/* A field of the newest entry, "" if it has none; valid until the next call. */
static inline const char *newest(const char *stream, const char *field)
{
	char key[QUEUE_KEY_MAX];
	redisReply *r, *fields;

	queue_key(key, sizeof key, BUREAU, stream);
	r = command("XREVRANGE", key, "+", "-", "COUNT", "1");
	assert_array(r, 1);
	fields = r->element[0]->element[1];
	for (size_t i = 0; i + 1 < fields->elements; i += 2)
		if (!strcmp(fields->element[i]->str, field))
			return fields->element[i + 1]->str;
	return "";
}

static inline const char *field_of(const char *suffix, const char *field)
{
	char key[QUEUE_KEY_MAX];
	redisReply *r;

	queue_key(key, sizeof key, BUREAU, suffix);
	r = command("HGET", key, field);
	return r->type == REDIS_REPLY_STRING ? r->str : "";
}

/* A field of a uid's record. */
static inline const char *record(const char *uid, const char *field)
{
	char suffix[QUEUE_KEY_MAX];

	snprintf(suffix, sizeof suffix, "uid:%s", uid);
	return field_of(suffix, field);
}

static inline int64_t redis_ms(void)
{
	redisReply *r = command("TIME");

	return atoll(r->element[0]->str) * 1000 + atoll(r->element[1]->str) / 1000;
}

#define wait_until(condition)                                                                      \
	do {                                                                                       \
		int64_t end_ = redis_ms() + DEADLINE_MS;                                           \
		while (!(condition)) {                                                             \
			if (redis_ms() > end_)                                                     \
				fail_msg("waited in vain for: %s", #condition);                    \
			redis_server_nap();                                                        \
		}                                                                                  \
	} while (0)

static inline redisContext *connect_to(const struct redis_server *s)
{
	struct dibao_redis_options opt = {.address = s->address, .bureau = BUREAU};
	struct dibao_error err;
	redisContext *c = NULL;

	if (queue_connect(&c, &opt, &err) < 0)
		fail_msg("%s", err.reason);
	return c;
}

/* ---- set-up ---- */

static inline int start_redis(void **state)
{
	(void)state;
	redis_server_init(&server);
	redis_server_start(&server, NULL);
	redis = connect_to(&server);
	return 0;
}

static inline int stop_redis(void **state)
{
	(void)state;
	freeReplyObject(last_reply);
	last_reply = NULL;
	redisFree(redis);
	redis_server_done(&server);
	return 0;
}

static inline int empty_redis(void **state)
{
	struct dibao_error err;

	(void)state;
	command("FLUSHALL");
	if (queue_setup(redis, BUREAU, &err) < 0)
		fail_msg("%s", err.reason);
	return 0;
}

#endif
