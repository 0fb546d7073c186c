/* SPDX-License-Identifier: Apache-2.0 */
/* A history over a real Redis, which holds STORED entries 1-0, 2-0 ... in the public channel and
 * none in the others. For tests: include it behind cmocka.h. */
#ifndef UNIT_HISTORY_FIXTURE_H
#define UNIT_HISTORY_FIXTURE_H

#include "../../daemon/history.h"
#include "../../lib/host/log.h"
#include "../../lib/queue.h"
#include "redis_server.h"
#include "loop.h"

#include "event_fixture.h"

enum {
	STORED = 6 * HISTORY_LOAD_COUNT,
	DEADLINE_MS = 80000,
	MIB = 1024 * 1024,
	ONE_BYTES = 1000, /* of an event that is appended */
};

#define BUREAU "3205"

static const enum dibao_channel PUB = DIBAO_CHANNEL_PUBLIC, PRIV = DIBAO_CHANNEL_PRIVATE;

static struct redis_server server;

struct fixture {
	sd_event *event;
	struct redis_link *main, *tail, *range;
	struct reader *reader;
	struct withdrawn withdrawn;
	struct history *history;
	uint64_t ms; /* of the last append */
	int n_loaded;
	size_t slice_limit; /* if set, never to be passed */
};

/* ---- Redis ---- */

static inline int store_entries(void **state)
{
	char key[64];
	redisContext *c;

	(void)state;
	log_open("test");
	assert_int_equal(log_set_level("err"), 0);
	assert_true(queue_key(key, sizeof key, BUREAU, "public") > 0);
	redis_server_init(&server);
	redis_server_start(&server, NULL);
	c = redisConnectUnix(server.socket);
	assert_true(c && !c->err);
	for (uint64_t i = 1; i <= STORED; i++) {
		struct entry e = make_entry((struct sample){.ms = i});

		assert_int_equal(redisAppendCommand(c, "XADD %s %llu-0 e %b f 1", key,
						    (unsigned long long)i, e.ev.bytes, e.ev.len),
				 REDIS_OK);
	}
	for (uint64_t i = 1; i <= STORED; i++) {
		redisReply *reply = NULL;

		assert_int_equal(redisGetReply(c, (void **)&reply), REDIS_OK);
		assert_int_equal(reply->type, REDIS_REPLY_STRING);
		freeReplyObject(reply);
	}
	redisFree(c);
	entries_forget();
	return 0;
}

static inline int end_redis(void **state)
{
	(void)state;
	redis_server_done(&server);
	return 0;
}

static inline void on_loaded(enum dibao_channel c, void *userdata)
{
	struct fixture *f = userdata;

	(void)c;
	f->n_loaded++;
	assert_true(!f->slice_limit || history_counters(f->history)->slice_bytes <= f->slice_limit);
}

static inline void on_entries(struct reader *r, enum dibao_channel c, const struct entry *entries,
			      size_t n, struct entry_id upto, void *userdata)
{
	(void)r, (void)c, (void)entries, (void)n, (void)upto, (void)userdata;
}

static inline struct redis_link *open_link(struct fixture *f, const char *name, const char *address)
{
	struct redis_link *l = NULL;
	struct redis_link_options opt = {
		.event = f->event,
		.name = name,
		.address = address,
		.connect_timeout_ms = 20000,
		.command_timeout_ms = 60000,
		.arena = true,
	};

	assert_int_equal(redis_link_new(&l, &opt), 0);
	return l;
}

static inline void connect_to(struct fixture *f, const char *address)
{
	struct reader_options opt = {
		.event = f->event, .bureau = BUREAU, .userdata = f, .on_entries = on_entries};

	opt.main_link = f->main = open_link(f, "main", address);
	opt.tail_link = f->tail = open_link(f, "tail", address);
	opt.range_link = f->range = open_link(f, "range", address);
	assert_int_equal(reader_new(&f->reader, &opt), 0);
}

static inline void make_history(struct fixture *f, size_t ring_bytes, size_t slice_bytes)
{
	struct history_options opt = {.reader = f->reader,
				      .withdrawn = &f->withdrawn,
				      .ring_bytes = ring_bytes,
				      .slice_bytes = slice_bytes,
				      .userdata = f,
				      .on_loaded = on_loaded};

	assert_int_equal(history_new(&f->history, &opt), 0);
}

/* All of the stored entries are before the tail, none is in the ring. */
static inline void all_is_past(struct fixture *f)
{
	static const struct entry_id at[DIBAO_CHANNEL_COUNT] = {
		{STORED, 0}, {STORED, 0}, {STORED, 0}, {STORED, 0}};

	connect_to(f, server.address);
	wait_until(f, redis_link_is_up(f->range));
	history_free(f->history);
	make_history(f, 16 * MIB, 16 * MIB);
	history_reset(f->history, at);
}

static inline int set_up(void **state)
{
	static struct fixture f;

	f = (struct fixture){0};
	assert_true(sd_event_new(&f.event) >= 0);
	assert_int_equal(withdrawn_init(&f.withdrawn), 0);
	make_history(&f, MIB, MIB);
	*state = &f;
	return 0;
}

static inline int tear_down(void **state)
{
	struct fixture *f = *state;

	redis_link_free(f->tail);
	redis_link_free(f->range);
	redis_link_free(f->main);
	history_free(f->history);
	reader_free(f->reader);
	withdrawn_done(&f->withdrawn);
	sd_event_unref(f->event);
	entries_forget();
	return 0;
}

static inline struct segment *append(struct fixture *f, enum dibao_channel c, size_t n)
{
	struct entry entries[64];
	struct segment *s = NULL;
	uint32_t first = UINT32_MAX;

	assert_in_range(n, 0, 64);
	for (size_t i = 0; i < n; i++) {
		entries[i] = make_entry((struct sample){.ms = ++f->ms, .bytes = ONE_BYTES});
	}
	assert_int_equal(
		history_append(f->history, c, entries, n, (struct entry_id){f->ms, 0}, &s, &first),
		0);
	assert_int_equal(first + n, s->n);
	entries_forget();
	return s;
}

static inline enum history_found find(struct fixture *f, uint64_t after, struct segment **ret,
				      uint32_t *ret_first)
{
	return history_find(f->history, PUB, (struct entry_id){after, 0}, ret, ret_first);
}

/* Walks over what is held after `after`; every id must follow the one before. Returns the last. */
static inline uint64_t walk(struct fixture *f, uint64_t after)
{
	struct segment *s;
	uint32_t i;
	int64_t end = now_ms() + DEADLINE_MS;

	for (;;) {
		switch (find(f, after, &s, &i)) {
		case HISTORY_AT_TAIL:
			return after;
		case HISTORY_WAIT:
			assert_true(now_ms() < end);
			assert_true(sd_event_run(f->event, 20 * 1000) >= 0);
			break;
		case HISTORY_DOWN:
			fail_msg("down");
			break;
		case HISTORY_HERE:
			assert_true(entry_id_cmp(s->from, (struct entry_id){after, 0}) <= 0);
			for (; i < s->n; i++) {
				assert_int_equal(s->records[i].id.ms, after + 1);
				after++;
			}
			assert_int_equal(s->to.ms, after);
			break;
		}
	}
}

#endif
