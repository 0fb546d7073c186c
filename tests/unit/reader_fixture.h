/* SPDX-License-Identifier: Apache-2.0 */
/* A reader against a real Redis with the queue's functions; `c` is the producer's connection. */
#ifndef TESTS_READER_FIXTURE_H
#define TESTS_READER_FIXTURE_H

#include "../../lib/host/log.h"
#include "../../daemon/reader.h"
#include "../../lib/queue.h"
#include "redis_server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "loop.h"

enum { DEADLINE_MS = 80000, SEEN_MAX = 20000 };

#define BUREAU "3205"
#define BASE   "dibao:{3205}:"

struct seen {
	enum dibao_channel channel;
	struct entry_id id;
	char uid[32];
	bool is_withdrawal;
};

struct fixture {
	sd_event *event;
	struct redis_server server;
	struct redis_link *tail, *main, *range;
	struct reader *reader;
	redisContext *c;
	struct seen *seen;
	size_t n_seen, n_calls;
	struct entry_id upto[DIBAO_CHANNEL_COUNT];
	bool stop_in_callback;
	int n_down;
	/* ranges */
	int n_ranges, range_err;
	size_t range_n;
	struct entry_id range_end, range_first;
};

static inline void note(struct fixture *f, enum dibao_channel c, const struct entry *e)
{
	struct seen *s = &f->seen[f->n_seen++];
	struct dibao_str uid = e->has_event ? e->ev.uid : e->has_withdrawal ? e->w.uid : e->hidden;

	assert_in_range(f->n_seen, 1, SEEN_MAX - 1);
	*s = (struct seen){.channel = c, .id = e->id, .is_withdrawal = e->has_withdrawal};
	(void)snprintf(s->uid, sizeof s->uid, "%.*s", (int)uid.len, uid.p);
}

static inline void on_entries(struct reader *r, enum dibao_channel c, const struct entry *entries,
			      size_t n, struct entry_id upto, void *userdata)
{
	struct fixture *f = userdata;

	f->n_calls++;
	for (size_t i = 0; i < n; i++) {
		note(f, c, &entries[i]);
		assert_true(entry_id_cmp(entries[i].id, upto) <= 0);
		assert_true(entry_id_cmp(entries[i].id, f->upto[c]) > 0);
	}
	assert_true(entry_id_cmp(upto, f->upto[c]) > 0);
	f->upto[c] = upto;
	if (f->stop_in_callback) {
		reader_stop(r);
	}
}

static inline void on_range(enum dibao_channel c, const struct entry *entries, size_t n,
			    struct entry_id end, int err, void *userdata)
{
	struct fixture *f = userdata;

	(void)c;
	f->n_ranges++;
	f->range_err = err;
	f->range_n += n;
	f->range_end = end;
	if (n > 0) {
		f->range_first = entries[0].id;
	}
}

static inline void on_down(struct redis_link *l, const char *why, void *userdata)
{
	struct fixture *f = userdata;

	(void)l, (void)why;
	f->n_down++;
}

static inline struct redis_link *open_link(struct fixture *f, const char *name, bool arena,
					   const char *user)
{
	struct redis_link *l = NULL;
	struct redis_link_options opt = {
		.event = f->event,
		.name = name,
		.address = f->server.address,
		.user = user,
		.password = user ? "p" : NULL,
		.connect_timeout_ms = 20000,
		.command_timeout_ms = DEADLINE_MS,
		.arena = arena,
		.userdata = f,
		.on_down = on_down,
	};

	assert_int_equal(redis_link_new(&l, &opt), 0);
	wait_until(f, redis_link_is_up(l));
	return l;
}

static inline void make_reader_with(struct fixture *f, const char *main_user,
				    void (*on_planned)(struct reader *r, const struct planned *p,
						       void *userdata))
{
	struct reader_options opt = {
		.event = f->event,
		.bureau = BUREAU,
		.userdata = f,
		.on_entries = on_entries,
		.on_planned = on_planned,
	};

	opt.tail_link = f->tail = open_link(f, "tail", true, NULL);
	opt.main_link = f->main = open_link(f, "main", false, main_user);
	opt.range_link = f->range = open_link(f, "range", true, NULL);
	assert_int_equal(reader_new(&f->reader, &opt), 0);
}

static inline void make_reader(struct fixture *f, const char *main_user)
{
	make_reader_with(f, main_user, NULL);
}

static inline void start(struct fixture *f)
{
	assert_int_equal(reader_start(f->reader, f->upto), 0);
}

static inline void connect_producer(struct fixture *f)
{
	f->c = redisConnectUnix(f->server.socket);
	assert_non_null(f->c);
	assert_int_equal(f->c->err, 0);
}

static inline int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct dibao_error err;

	assert_non_null(f);
	f->seen = calloc(SEEN_MAX, sizeof *f->seen);
	log_open("test");
	assert_int_equal(log_set_level("err"), 0);
	assert_true(sd_event_new(&f->event) >= 0);
	redis_server_init(&f->server);
	redis_server_start(&f->server, NULL);
	connect_producer(f);
	if (queue_setup(f->c, BUREAU, &err) < 0) {
		fail_msg("setup: %s", err.reason);
	}
	*state = f;
	return 0;
}

static inline int tear_down(void **state)
{
	struct fixture *f = *state;

	reader_free(f->reader);
	redis_link_free(f->tail);
	redis_link_free(f->main);
	redis_link_free(f->range);
	redisFree(f->c);
	redis_server_done(&f->server);
	sd_event_unref(f->event);
	free(f->seen);
	free(f);
	return 0;
}

/* ---- what producers do ---- */

static inline uint8_t *event(const char *type, const char *uid, const char *more, size_t *ret_len)
{
	char json[20000];
	struct dibao_error err;
	uint8_t *bytes = NULL;
	const char *body = strcmp(type, "award") == 0
				   ? "\"kind\":{\"code\":\"1\",\"name\":\"x\"},\"state\":\"final\""
				   : "\"mailbox\":\"chief\",\"ticket\":\"1\",\"question\":\"q\","
				     "\"reply\":\"r\",\"answered_by\":\"a\",\"answered_at\":1";

	(void)snprintf(json, sizeof json,
		       "{\"v\":1,\"uid\":\"%s\",\"type\":\"%s\",\"at\":1700000000000,"
		       "\"org\":\"320508000000\",\"person\":{\"badge\":\"1\",\"name\":\"x\"},"
		       "\"issuer\":\"i\"%s,\"body\":{%s}}",
		       uid, type, more, strstr(more, "retracts") ? "\"reason\":\"r\"" : body);
	if (dibao_event_from_json(json, strlen(json), 1, &bytes, ret_len, &err) < 0) {
		fail_msg("%s: %s", err.field, err.reason);
	}
	return bytes;
}

static inline void reply_free(redisReply *r)
{
	assert_non_null(r);
	if (r->type == REDIS_REPLY_ERROR) {
		fail_msg("redis: %s", r->str);
	}
	freeReplyObject(r);
}

static inline void publish(struct fixture *f, const char *type, const char *uid, const char *more)
{
	size_t len;
	uint8_t *bytes = event(type, uid, more, &len);

	reply_free(redisCommand(f->c, "FCALL dibao_publish 1 " BASE " %b", bytes, len));
	free(bytes);
}

static inline void add_plain(struct fixture *f, const char *channel, const char *type,
			     const char *uid, const char *more)
{
	size_t len;
	uint8_t *bytes = event(type, uid, more, &len);

	reply_free(redisCommand(f->c, "XADD " BASE "%s * e %b", channel, bytes, len));
	free(bytes);
}

static inline long long ask(struct fixture *f, const char *command, const char *key)
{
	redisReply *r = redisCommand(f->c, "%s " BASE "%s", command, key);
	long long n;

	assert_non_null(r);
	assert_int_equal(r->type, REDIS_REPLY_INTEGER);
	n = r->integer;
	freeReplyObject(r);
	return n;
}

static inline void command(struct fixture *f, const char *text)
{
	reply_free(redisCommand(f->c, text));
}

static inline void add_poison(struct fixture *f)
{
	size_t len;
	uint8_t *bytes = event("mailbox_reply", "p", "", &len);
	char *big = calloc(1, 2000000);
	char *script = "local a = {} for i = 1, 3000 do a[#a + 1] = 'n' .. i a[#a + 1] = 'v' end "
		       "return redis.call('XADD', KEYS[1], '*', unpack(a))";

	memset(big, 'x', 2000000);
	command(f, "XADD " BASE "public * e notmsgpack");
	reply_free(redisCommand(f->c, "XADD " BASE "public * e %b", "\xdf\xff\xff\xff\xff",
				(size_t)5));
	reply_free(redisCommand(f->c, "XADD " BASE "public * e %b", bytes, len)); /* private */
	reply_free(redisCommand(f->c, "XADD " BASE "public * e %b f 1", bytes, len));
	reply_free(redisCommand(f->c, "XADD " BASE "public * e %b", bytes, len - 1)); /* cut */
	reply_free(redisCommand(f->c, "XADD " BASE "public * e %b", big, (size_t)2000000));
	reply_free(redisCommand(f->c, "XADD " BASE "public * e %b", big, (size_t)16385));
	reply_free(redisCommand(f->c, "EVAL %s 1 " BASE "public", script));
	command(f, "XADD " BASE "public * nothing here");
	command(f, "XADD " BASE "public * e 1 e 2");
	command(f, "XADD " BASE "public * w award-1");
	command(f, "XADD " BASE "public * f 1 w short");
	free(bytes);
	free(big);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
