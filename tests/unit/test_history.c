/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring by itself, and slices read by the real reader out of a real Redis, which holds STORED
 * entries 1-0, 2-0 ... in the public channel and none in the others.
 */
#include "../../daemon/history.h"
#include "../../lib/host/log.h"
#include "../../lib/queue.h"
#include "redis_server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "loop.h"

#include "event_fixture.h"

enum {
	STORED = 6 * HISTORY_LOAD_COUNT,
	DEADLINE_MS = 20000,
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

static int store_entries(void **state)
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

static int end_redis(void **state)
{
	(void)state;
	redis_server_done(&server);
	return 0;
}

static void on_loaded(enum dibao_channel c, void *userdata)
{
	struct fixture *f = userdata;

	(void)c;
	f->n_loaded++;
	assert_true(!f->slice_limit || history_counters(f->history)->slice_bytes <= f->slice_limit);
}

static void on_entries(struct reader *r, enum dibao_channel c, const struct entry *entries,
		       size_t n, struct entry_id upto, void *userdata)
{
	(void)r, (void)c, (void)entries, (void)n, (void)upto, (void)userdata;
}

static struct redis_link *open_link(struct fixture *f, const char *name, const char *address)
{
	struct redis_link *l = NULL;
	struct redis_link_options opt = {
		.event = f->event,
		.name = name,
		.address = address,
		.connect_timeout_ms = 2000,
		.command_timeout_ms = 5000,
		.arena = true,
	};

	assert_int_equal(redis_link_new(&l, &opt), 0);
	return l;
}

static void connect_to(struct fixture *f, const char *address)
{
	struct reader_options opt = {
		.event = f->event, .bureau = BUREAU, .userdata = f, .on_entries = on_entries};

	opt.main_link = f->main = open_link(f, "main", address);
	opt.tail_link = f->tail = open_link(f, "tail", address);
	opt.range_link = f->range = open_link(f, "range", address);
	assert_int_equal(reader_new(&f->reader, &opt), 0);
}

static void make_history(struct fixture *f, size_t ring_bytes, size_t slice_bytes)
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
static void all_is_past(struct fixture *f)
{
	static const struct entry_id at[DIBAO_CHANNEL_COUNT] = {
		{STORED, 0}, {STORED, 0}, {STORED, 0}, {STORED, 0}};

	connect_to(f, server.address);
	wait_until(f, redis_link_is_up(f->range));
	history_free(f->history);
	make_history(f, 16 * MIB, 16 * MIB);
	history_reset(f->history, at);
}

static int set_up(void **state)
{
	static struct fixture f;

	f = (struct fixture){0};
	assert_true(sd_event_new(&f.event) >= 0);
	assert_int_equal(withdrawn_init(&f.withdrawn), 0);
	make_history(&f, MIB, MIB);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
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

/* ---- the ring ---- */

static struct segment *append(struct fixture *f, enum dibao_channel c, size_t n)
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

static enum history_found find(struct fixture *f, uint64_t after, struct segment **ret,
			       uint32_t *ret_first)
{
	return history_find(f->history, PUB, (struct entry_id){after, 0}, ret, ret_first);
}

/* Walks over what is held after `after`; every id must follow the one before. Returns the last. */
static uint64_t walk(struct fixture *f, uint64_t after)
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

static void what_is_appended_is_found_from_any_place_in_order(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 20; i++) {
		append(f, PUB, 7);
	}
	for (uint64_t after = 0; after <= 140; after++) {
		assert_int_equal(walk(f, after), 140);
	}
	assert_int_equal(history_tail(f->history, PUB).ms, 140);
	assert_int_equal(history_tail(f->history, PRIV).ms, 0);
}

static void a_record_holds_what_its_entry_held(void **state)
{
	struct fixture *f = *state;
	struct entry e = make_entry((struct sample){
		.ms = 1, .type = "penalty", .w_type = "award", .w_org = WUZHONG, .w_uid = "old"});
	struct segment *s;
	const struct record *r;
	uint32_t first;

	assert_int_equal(history_append(f->history, PRIV, &e, 1, e.id, &s, &first), 0);
	r = &s->records[first];
	assert_int_equal(r->flags, RECORD_EVENT | RECORD_WITHDRAWAL | RECORD_PRIVATE);
	assert_int_equal(r->len, e.ev.len);
	assert_memory_equal(record_bytes(s, r), e.ev.bytes, e.ev.len);
	assert_memory_equal(r->org, GUSU, DIBAO_ORG_BYTES);
	assert_memory_equal(r->w_org, WUZHONG, DIBAO_ORG_BYTES);
	assert_int_equal(r->type, dibao_type_find("penalty", 7));
	assert_int_equal(r->w_type, dibao_type_find("award", 5));
	assert_int_equal(r->uid_hash, withdrawn_hash(&f->withdrawn, "u1", 2));
	assert_int_equal(record_w_type(s, r).len, 5);
	assert_memory_equal(record_w_type(s, r).p, "award", 5);
	assert_int_equal(record_w_uid(s, r).len, 3);
	assert_memory_equal(record_w_uid(s, r).p, "old", 3);
	e = make_entry((struct sample){.ms = 2, .type = "of_tomorrow", .hidden = "F0001 0"});
	assert_int_equal(history_append(f->history, PRIV, &e, 1, e.id, &s, &first), 0);
	assert_int_equal(s->records[first].type, DIBAO_TYPE_UNKNOWN);
	assert_int_equal(s->records[first].flags, RECORD_EVENT | RECORD_PRIVATE | RECORD_HIDING);
}

static void an_append_of_nothing_moves_the_tail(void **state)
{
	struct fixture *f = *state;
	struct segment *s;
	uint32_t first;

	append(f, PUB, 1);
	assert_int_equal(
		history_append(f->history, PUB, NULL, 0, (struct entry_id){9, 0}, &s, &first), 0);
	assert_int_equal(history_tail(f->history, PUB).ms, 9);
	assert_int_equal(find(f, 1, &s, &first), HISTORY_HERE);
	assert_int_equal(first, s->n);
	assert_int_equal(find(f, 9, &s, &first), HISTORY_AT_TAIL);
}

static void a_segment_is_closed_before_it_is_longer_than_a_frame_holds(void **state)
{
	enum { FIT = HISTORY_SEGMENT_BYTES / ONE_BYTES };
	struct fixture *f = *state;
	struct segment *s = append(f, PUB, 1), *next;

	for (int i = 1; i < FIT; i++) {
		assert_ptr_equal(append(f, PUB, 1), s);
	}
	assert_int_equal(s->len, FIT * ONE_BYTES);
	next = append(f, PUB, 1);
	assert_ptr_equal(s->next, next);
	assert_int_equal(s->len, FIT * ONE_BYTES);
	assert_int_equal(entry_id_cmp(s->to, next->from), 0);
}

static void one_append_is_never_parted(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 30; i++) {
		uint64_t before = f->ms;
		struct segment *s = append(f, PUB, 50);

		assert_int_equal(s->records[s->n - 50].id.ms, before + 1);
		assert_int_equal(s->records[s->n - 1].id.ms, before + 50);
	}
}

static void the_ring_keeps_to_its_bytes_and_what_is_left_is_the_newest(void **state)
{
	struct fixture *f = *state;
	const struct history_counters *c = history_counters(f->history);
	struct segment *s;
	uint32_t first;
	uint64_t oldest;

	for (int i = 0; i < 200; i++) {
		append(f, PUB, 50);
		assert_in_range(c->ring_bytes, 1, MIB);
	}
	oldest = history_oldest(f->history, PUB).ms;
	assert_in_range(oldest, 1, f->ms - 400); /* less than 400 KiB would be too few */
	assert_int_equal(c->n_records, f->ms - oldest);
	assert_int_equal(walk(f, oldest), f->ms);
	assert_int_equal(history_ring(f->history, PUB)->from.ms, oldest);
	/* What follows one earlier is not here, and nobody is connected to read it. */
	connect_to(f, "unix:/nonexistent/socket");
	history_free(f->history);
	make_history(f, MIB, MIB);
	history_reset(f->history, (struct entry_id[DIBAO_CHANNEL_COUNT]){{oldest, 0}});
	assert_int_equal(find(f, oldest - 1, &s, &first), HISTORY_DOWN);
}

static void the_oldest_goes_first_whichever_channel_holds_it(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 6; i++) {
		append(f, PRIV, 64);
	}
	for (int i = 0; i < 40; i++) {
		append(f, PUB, 64);
	}
	/* Only the segment that is open is left of it. */
	assert_ptr_equal(history_ring(f->history, PRIV)->next, NULL);
	assert_true(history_ring(f->history, PRIV)->n > 0);
	assert_true(history_ring(f->history, PUB)->next != NULL);
}

static void the_open_segments_stay_however_small_the_ring(void **state)
{
	struct fixture *f = *state;

	history_set_limits(f->history, 0, 0);
	for (int i = 0; i < 20; i++) {
		append(f, PUB, 50);
		append(f, PRIV, 50);
		assert_null(history_ring(f->history, PUB)->next);
	}
	assert_true(history_ring(f->history, PUB)->n > 0);
	assert_true(history_ring(f->history, PRIV)->n > 0);
}

static void after_a_reset_the_tail_stands_and_nothing_is_held(void **state)
{
	struct fixture *f = *state;
	struct entry_id at[DIBAO_CHANNEL_COUNT] = {{500, 1}, {600, 0}, {0, 0}, {7, 0}};
	struct segment *s;
	uint32_t first;

	append(f, PUB, 50);
	history_reset(f->history, at);
	assert_int_equal(history_counters(f->history)->ring_bytes, 0);
	assert_int_equal(history_counters(f->history)->n_records, 0);
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		assert_int_equal(entry_id_cmp(history_tail(f->history, c), at[c]), 0);
		assert_int_equal(history_find(f->history, c, at[c], &s, &first), HISTORY_AT_TAIL);
	}
}

/* ---- slices ---- */

static void all_that_redis_holds_comes_once_and_in_order(void **state)
{
	struct fixture *f = *state;

	all_is_past(f);
	assert_int_equal(walk(f, 0), STORED);
	assert_int_equal(history_counters(f->history)->n_loads, STORED / HISTORY_LOAD_COUNT);
	assert_int_equal(history_counters(f->history)->n_loaded_records, STORED);
}

static void a_range_is_read_once_however_many_sessions_wait_for_it(void **state)
{
	struct fixture *f = *state;
	struct segment *s, *again;
	uint32_t first;

	all_is_past(f);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(find(f, i, &s, &first), HISTORY_WAIT);
	}
	assert_int_equal(history_counters(f->history)->n_loads, 1);
	wait_until(f, f->n_loaded > 0);
	assert_int_equal(find(f, 0, &s, &first), HISTORY_HERE);
	assert_int_equal(find(f, 99, &again, &first), HISTORY_HERE);
	assert_ptr_equal(s, again);
	assert_int_equal(first, 99);
}

static void a_load_ends_where_one_that_is_under_way_begins(void **state)
{
	struct fixture *f = *state;
	struct segment *s;
	uint32_t first;

	all_is_past(f);
	assert_int_equal(find(f, STORED - 300, &s, &first), HISTORY_WAIT);
	assert_int_equal(find(f, STORED - 700, &s, &first), HISTORY_WAIT);
	wait_until(f, f->n_loaded == 2);
	assert_int_equal(history_counters(f->history)->n_loaded_records, 700);
	assert_int_equal(find(f, STORED - 700, &s, &first), HISTORY_HERE);
	assert_int_equal(s->n, 400);
	assert_int_equal(find(f, STORED - 300, &s, &first), HISTORY_HERE);
	assert_int_equal(s->n, 300);
	assert_int_equal(history_counters(f->history)->n_loads, 2);
}

static void slices_are_read_ahead_so_far_and_no_farther(void **state)
{
	struct fixture *f = *state;
	const struct history_counters *c;
	struct segment *s;
	uint32_t first;

	all_is_past(f);
	c = history_counters(f->history);
	assert_int_equal(find(f, 0, &s, &first), HISTORY_WAIT);
	wait_until(f, f->n_loaded == 1 + HISTORY_READ_AHEAD);
	while (sd_event_run(f->event, 100 * 1000) > 0) {
	}
	assert_int_equal(c->n_loads, 1 + HISTORY_READ_AHEAD);
	assert_int_equal(c->n_loaded_records, (1 + HISTORY_READ_AHEAD) * HISTORY_LOAD_COUNT);
	/* A session in the second slice makes one more be read. */
	assert_int_equal(find(f, HISTORY_LOAD_COUNT, &s, &first), HISTORY_HERE);
	wait_until(f, f->n_loaded == 2 + HISTORY_READ_AHEAD);
	assert_int_equal(c->n_loads, 2 + HISTORY_READ_AHEAD);
}

static void so_many_loads_are_under_way_in_a_channel_and_no_more(void **state)
{
	struct fixture *f = *state;
	struct segment *s;
	uint32_t first;

	all_is_past(f);
	for (uint64_t i = 1; i <= HISTORY_LOADS_MAX + 2; i++) {
		assert_int_equal(find(f, STORED - i * 500, &s, &first), HISTORY_WAIT);
	}
	assert_int_equal(history_counters(f->history)->n_loads, HISTORY_LOADS_MAX);
	/* Another channel's are its own. */
	assert_int_equal(history_find(f->history, PRIV, (struct entry_id){1, 0}, &s, &first),
			 HISTORY_WAIT);
	assert_int_equal(history_counters(f->history)->n_loads, HISTORY_LOADS_MAX + 1);
	/* Who had to wait gets its turn. */
	assert_int_equal(walk(f, STORED - 6 * 500), STORED);
}

static void slices_keep_to_their_bytes_and_the_one_unused_for_longest_goes(void **state)
{
	struct fixture *f = *state;
	const struct history_counters *c;
	struct segment *s;
	uint32_t first;
	size_t one;

	all_is_past(f);
	c = history_counters(f->history);
	assert_int_equal(find(f, STORED - HISTORY_LOAD_COUNT, &s, &first), HISTORY_WAIT);
	wait_until(f, f->n_loaded == 1);
	one = c->slice_bytes;
	history_set_limits(f->history, MIB, 2 * one);
	assert_int_equal(find(f, STORED - 2 * HISTORY_LOAD_COUNT, &s, &first), HISTORY_WAIT);
	wait_until(f, f->n_loaded == 2);
	assert_int_equal(find(f, STORED - HISTORY_LOAD_COUNT, &s, &first), HISTORY_HERE);
	assert_int_equal(find(f, STORED - 3 * HISTORY_LOAD_COUNT, &s, &first), HISTORY_WAIT);
	wait_until(f, f->n_loaded == 3);
	assert_int_equal(find(f, STORED - HISTORY_LOAD_COUNT, &s, &first), HISTORY_HERE);
	assert_int_equal(find(f, STORED - 2 * HISTORY_LOAD_COUNT, &s, &first), HISTORY_WAIT);
	f->slice_limit = 2 * one;
	assert_int_equal(walk(f, 0), STORED);
}

/* Or nothing could ever be read. */
static void a_slice_that_has_just_come_stays_however_small_the_room(void **state)
{
	struct fixture *f = *state;

	all_is_past(f);
	history_set_limits(f->history, 0, 0);
	assert_int_equal(walk(f, 0), STORED);
}

static void a_range_without_entries_is_covered_too(void **state)
{
	struct fixture *f = *state;
	struct segment *s;
	uint32_t first;

	all_is_past(f);
	assert_int_equal(history_find(f->history, PRIV, (struct entry_id){0}, &s, &first),
			 HISTORY_WAIT);
	wait_until(f, f->n_loaded == 1);
	assert_int_equal(history_find(f->history, PRIV, (struct entry_id){0}, &s, &first),
			 HISTORY_HERE);
	assert_int_equal(s->n, 0);
	assert_int_equal(s->to.ms, STORED);
}

static void the_ring_goes_on_where_the_slices_end(void **state)
{
	struct fixture *f = *state;

	all_is_past(f);
	f->ms = STORED;
	append(f, PUB, 10);
	assert_int_equal(walk(f, 0), STORED + 10);
}

static void a_reset_forgets_what_is_on_its_way(void **state)
{
	struct fixture *f = *state;
	struct entry_id at[DIBAO_CHANNEL_COUNT] = {{STORED, 0}};
	struct segment *s;
	uint32_t first;

	all_is_past(f);
	assert_int_equal(find(f, 0, &s, &first), HISTORY_WAIT);
	history_reset(f->history, at);
	while (sd_event_run(f->event, 200 * 1000) > 0) {
	}
	assert_int_equal(f->n_loaded, 0);
	assert_int_equal(history_counters(f->history)->slice_bytes, 0);
	assert_int_equal(walk(f, 0), STORED);
}

static void it_may_be_freed_while_a_load_is_on_its_way(void **state)
{
	struct fixture *f = *state;
	struct segment *s;
	uint32_t first;

	all_is_past(f);
	assert_int_equal(find(f, 0, &s, &first), HISTORY_WAIT);
	f->history = history_free(f->history);
	while (sd_event_run(f->event, 200 * 1000) > 0) {
	}
	assert_int_equal(f->n_loaded, 0);
}

/* Redis went away with the request: who waits is told, and asks again. */
static void a_load_that_fails_tells_those_who_wait(void **state)
{
	struct fixture *f = *state;
	struct segment *s;
	uint32_t first;

	all_is_past(f);
	assert_int_equal(find(f, 0, &s, &first), HISTORY_WAIT);
	f->range = redis_link_free(f->range);
	assert_int_equal(f->n_loaded, 1);
	assert_int_equal(history_counters(f->history)->slice_bytes, 0);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_is_appended_is_found_from_any_place_in_order),
		TEST(a_record_holds_what_its_entry_held),
		TEST(an_append_of_nothing_moves_the_tail),
		TEST(a_segment_is_closed_before_it_is_longer_than_a_frame_holds),
		TEST(one_append_is_never_parted),
		TEST(the_ring_keeps_to_its_bytes_and_what_is_left_is_the_newest),
		TEST(the_oldest_goes_first_whichever_channel_holds_it),
		TEST(the_open_segments_stay_however_small_the_ring),
		TEST(after_a_reset_the_tail_stands_and_nothing_is_held),
		TEST(all_that_redis_holds_comes_once_and_in_order),
		TEST(a_range_is_read_once_however_many_sessions_wait_for_it),
		TEST(a_load_ends_where_one_that_is_under_way_begins),
		TEST(slices_are_read_ahead_so_far_and_no_farther),
		TEST(so_many_loads_are_under_way_in_a_channel_and_no_more),
		TEST(slices_keep_to_their_bytes_and_the_one_unused_for_longest_goes),
		TEST(a_slice_that_has_just_come_stays_however_small_the_room),
		TEST(a_range_without_entries_is_covered_too),
		TEST(the_ring_goes_on_where_the_slices_end),
		TEST(a_reset_forgets_what_is_on_its_way),
		TEST(it_may_be_freed_while_a_load_is_on_its_way),
		TEST(a_load_that_fails_tells_those_who_wait),
	};

	return cmocka_run_group_tests(tests, store_entries, end_redis);
}
