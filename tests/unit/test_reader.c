/* SPDX-License-Identifier: Apache-2.0 */
/* Against a real Redis with the queue's functions; `c` is the producer's connection. */
#include "../../daemon/log.h"
#include "../../daemon/reader.h"
#include "../../lib/queue.h"
#include "redis_server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { DEADLINE_MS = 20000, SEEN_MAX = 20000 };

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

static void note(struct fixture *f, enum dibao_channel c, const struct entry *e)
{
	struct seen *s = &f->seen[f->n_seen++];
	struct dibao_str uid = e->has_event ? e->ev.uid : e->has_withdrawal ? e->w.uid : e->hidden;

	assert_in_range(f->n_seen, 1, SEEN_MAX - 1);
	*s = (struct seen){.channel = c, .id = e->id, .is_withdrawal = e->has_withdrawal};
	(void)snprintf(s->uid, sizeof s->uid, "%.*s", (int)uid.len, uid.p);
}

static void on_entries(struct reader *r, enum dibao_channel c, const struct entry *entries,
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

static void on_range(enum dibao_channel c, const struct entry *entries, size_t n,
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

static void on_down(struct redis_link *l, const char *why, void *userdata)
{
	struct fixture *f = userdata;

	(void)l, (void)why;
	f->n_down++;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

#define wait_until(f, condition)                                                                   \
	do {                                                                                       \
		int64_t end_ = now_ms() + DEADLINE_MS;                                             \
		while (!(condition)) {                                                             \
			if (now_ms() > end_) {                                                     \
				fail_msg("waited in vain for: %s", #condition);                    \
			}                                                                          \
			assert_true(sd_event_run((f)->event, 20 * 1000) >= 0);                     \
		}                                                                                  \
	} while (0)

static struct redis_link *open_link(struct fixture *f, const char *name, bool arena,
				    const char *user)
{
	struct redis_link *l = NULL;
	struct redis_link_options opt = {
		.event = f->event,
		.name = name,
		.address = f->server.address,
		.user = user,
		.password = user ? "p" : NULL,
		.connect_timeout_ms = 2000,
		.command_timeout_ms = 5000,
		.arena = arena,
		.userdata = f,
		.on_down = on_down,
	};

	assert_int_equal(redis_link_new(&l, &opt), 0);
	wait_until(f, redis_link_is_up(l));
	return l;
}

static void make_reader(struct fixture *f, const char *main_user)
{
	struct reader_options opt = {
		.event = f->event,
		.bureau = BUREAU,
		.userdata = f,
		.on_entries = on_entries,
	};

	opt.tail_link = f->tail = open_link(f, "tail", true, NULL);
	opt.main_link = f->main = open_link(f, "main", false, main_user);
	opt.range_link = f->range = open_link(f, "range", true, NULL);
	assert_int_equal(reader_new(&f->reader, &opt), 0);
}

static void start(struct fixture *f)
{
	assert_int_equal(reader_start(f->reader, f->upto), 0);
}

static void connect_producer(struct fixture *f)
{
	f->c = redisConnectUnix(f->server.socket);
	assert_non_null(f->c);
	assert_int_equal(f->c->err, 0);
}

static int set_up(void **state)
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

static int tear_down(void **state)
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

static uint8_t *event(const char *type, const char *uid, const char *more, size_t *ret_len)
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

static void reply_free(redisReply *r)
{
	assert_non_null(r);
	if (r->type == REDIS_REPLY_ERROR) {
		fail_msg("redis: %s", r->str);
	}
	freeReplyObject(r);
}

static void publish(struct fixture *f, const char *type, const char *uid, const char *more)
{
	size_t len;
	uint8_t *bytes = event(type, uid, more, &len);

	reply_free(redisCommand(f->c, "FCALL dibao_publish 1 " BASE " %b", bytes, len));
	free(bytes);
}

static void add_plain(struct fixture *f, const char *channel, const char *type, const char *uid,
		      const char *more)
{
	size_t len;
	uint8_t *bytes = event(type, uid, more, &len);

	reply_free(redisCommand(f->c, "XADD " BASE "%s * e %b", channel, bytes, len));
	free(bytes);
}

static long long ask(struct fixture *f, const char *command, const char *key)
{
	redisReply *r = redisCommand(f->c, "%s " BASE "%s", command, key);
	long long n;

	assert_non_null(r);
	assert_int_equal(r->type, REDIS_REPLY_INTEGER);
	n = r->integer;
	freeReplyObject(r);
	return n;
}

static void command(struct fixture *f, const char *text)
{
	reply_free(redisCommand(f->c, text));
}

/* ---- tests ---- */

static void published_events_arrive_in_order_from_before_and_after_the_start(void **state)
{
	struct fixture *f = *state;
	char uid[32];

	make_reader(f, NULL);
	for (int i = 0; i < 20; i++) {
		if (i == 10) {
			start(f);
			wait_until(f, f->n_seen == 10);
		}
		(void)snprintf(uid, sizeof uid, "u%d", i);
		publish(f, "award", uid, "");
	}
	wait_until(f, f->n_seen == 20);
	for (int i = 0; i < 20; i++) {
		(void)snprintf(uid, sizeof uid, "u%d", i);
		assert_string_equal(f->seen[i].uid, uid);
		assert_int_equal(f->seen[i].channel, DIBAO_CHANNEL_PUBLIC);
	}
	assert_int_equal(entry_id_cmp(f->upto[DIBAO_CHANNEL_PUBLIC], f->seen[19].id), 0);
	assert_int_equal(reader_counters(f->reader)->n_entries, 20);
	assert_int_equal(reader_counters(f->reader)->n_adopted, 0);
}

static void each_channel_is_read_and_a_withdrawal_names_its_original(void **state)
{
	struct fixture *f = *state;

	make_reader(f, NULL);
	start(f);
	publish(f, "award", "a", "");
	publish(f, "mailbox_reply", "m", "");
	publish(f, "mailbox_reply", "mu", ",\"urgent\":true");
	publish(f, "award", "r", ",\"retracts\":\"a\"");
	wait_until(f, f->n_seen == 4);
	for (size_t i = 0; i < 4; i++) {
		if (f->seen[i].is_withdrawal) {
			assert_string_equal(f->seen[i].uid, "r");
			assert_int_equal(f->seen[i].channel, DIBAO_CHANNEL_PUBLIC_NOW);
		}
	}
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		assert_true(f->upto[c].ms > 0);
	}
}

static void a_plain_entry_is_adopted_and_nothing_overtakes_it(void **state)
{
	struct fixture *f = *state;

	make_reader(f, NULL);
	publish(f, "award", "1", "");
	add_plain(f, "public", "award", "2", "");
	publish(f, "award", "3", "");
	add_plain(f, "public", "award", "4", "");
	start(f);
	wait_until(f, f->n_seen == 4);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(f->seen[i].uid[0], '1' + i);
	}
	assert_int_equal(reader_counters(f->reader)->n_adopted, 2);
	assert_int_equal(ask(f, "EXISTS", "uid:2"), 1);
}

static void a_double_added_by_hand_is_delivered_once(void **state)
{
	struct fixture *f = *state;

	make_reader(f, NULL);
	publish(f, "award", "same", "");
	add_plain(f, "public", "award", "same", "");
	add_plain(f, "public", "award", "same", "");
	publish(f, "award", "last", "");
	start(f);
	wait_until(f, f->n_seen == 2 && f->upto[0].ms > 0 &&
			      entry_id_cmp(f->upto[0], f->seen[1].id) == 0);
	assert_string_equal(f->seen[1].uid, "last");
	assert_int_equal(reader_counters(f->reader)->n_repeats, 2);
	assert_int_equal(ask(f, "XLEN", "public"), 2);
}

static void a_future_event_added_by_hand_goes_to_the_schedule(void **state)
{
	struct fixture *f = *state;

	make_reader(f, NULL);
	add_plain(f, "public", "award", "later", ",\"not_before\":253402300799000");
	publish(f, "award", "now", "");
	start(f);
	wait_until(f, f->n_seen == 1);
	assert_string_equal(f->seen[0].uid, "now");
	assert_int_equal(ask(f, "ZCARD", "scheduled"), 1);
	assert_int_equal(ask(f, "XLEN", "public"), 1);
}

static void add_poison(struct fixture *f)
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

static void poison_goes_to_the_quarantine_and_stops_nobody(void **state)
{
	struct fixture *f = *state;
	const int n_poison = 12;

	make_reader(f, NULL);
	publish(f, "award", "1", "");
	add_poison(f); /* while no daemon ran */
	publish(f, "award", "2", "");
	start(f);
	wait_until(f, f->n_seen == 2);
	assert_int_equal(ask(f, "XLEN", "quarantine"), n_poison);
	add_poison(f); /* live */
	publish(f, "award", "3", "");
	wait_until(f, f->n_seen == 3);
	assert_int_equal(ask(f, "XLEN", "quarantine"), 2 * n_poison);
	assert_int_equal(ask(f, "XLEN", "public"), 3);
	assert_int_equal(reader_counters(f->reader)->n_quarantined, 2 * n_poison);
}

static void a_position_never_passes_an_entry_whose_adoption_is_outstanding(void **state)
{
	struct fixture *f = *state;

	/* The daemon's user may not call functions, for now. */
	command(f, "ACL SETUSER weak on >p ~* +@all -fcall");
	make_reader(f, "weak");
	publish(f, "award", "1", "");
	add_plain(f, "public", "award", "2", "");
	publish(f, "award", "3", "");
	start(f);
	wait_until(f, f->n_seen == 1);
	for (int i = 0; i < 30; i++) { /* two more batches: at most two are held */
		publish(f, "award", (char[]){'a', (char)('a' + i), '\0'}, "");
		assert_true(sd_event_run(f->event, 10 * 1000) >= 0);
	}
	assert_int_equal(f->n_seen, 1);
	assert_int_equal(entry_id_cmp(f->upto[DIBAO_CHANNEL_PUBLIC], f->seen[0].id), 0);
	command(f, "ACL SETUSER weak +fcall");
	wait_until(f, f->n_seen == 33);
	assert_string_equal(f->seen[1].uid, "2");
	assert_string_equal(f->seen[2].uid, "3");
	assert_string_equal(f->seen[32].uid, "a~");
}

static void ten_thousand_entries_by_hand_and_by_function_arrive_complete(void **state)
{
	struct fixture *f = *state;
	const int n = 10000;
	char uid[32];
	redisReply *r;
	size_t len;

	make_reader(f, NULL);
	start(f);
	for (int i = 0; i < n; i++) {
		uint8_t *bytes;

		(void)snprintf(uid, sizeof uid, "%d", i);
		bytes = event("award", uid, "", &len);
		if (i % 7 == 0) {
			redisAppendCommand(f->c, "XADD " BASE "public * e %b", bytes, len);
		} else {
			redisAppendCommand(f->c, "FCALL dibao_publish 1 " BASE " %b", bytes, len);
		}
		free(bytes);
	}
	for (int i = 0; i < n; i++) {
		assert_int_equal(redisGetReply(f->c, (void **)&r), REDIS_OK);
		reply_free(r);
		(void)sd_event_run(f->event, 0);
	}
	wait_until(f, f->n_seen == (size_t)n);
	for (int i = 0; i < n; i++) {
		assert_int_equal(atoi(f->seen[i].uid), i);
	}
}

static void large_entries_arrive_too(void **state)
{
	struct fixture *f = *state;
	char more[16000], uid[32];
	int at = snprintf(more, sizeof more, ",\"ext\":\"");

	memset(more + at, 'x', 15000);
	memcpy(more + at + 15000, "\"", 2);
	make_reader(f, NULL);
	for (int i = 0; i < 1500; i++) {
		(void)snprintf(uid, sizeof uid, "%d", i);
		publish(f, i % 2 ? "award" : "mailbox_reply", uid, more);
	}
	start(f);
	wait_until(f, f->n_seen == 1500);
	assert_int_equal(reader_range(f->reader, DIBAO_CHANNEL_PUBLIC, (struct entry_id){0, 0},
				      f->upto[DIBAO_CHANNEL_PUBLIC], 4096, NULL, on_range, f),
			 0);
	wait_until(f, f->n_ranges == 1);
	assert_int_equal(f->range_n, 750);
}

static void after_a_stop_inside_a_callback_nothing_more_comes(void **state)
{
	struct fixture *f = *state;
	char uid[32];

	make_reader(f, NULL);
	for (int i = 0; i < 300; i++) {
		(void)snprintf(uid, sizeof uid, "%d", i);
		publish(f, "award", uid, "");
	}
	f->stop_in_callback = true;
	start(f);
	wait_until(f, f->n_calls == 1);
	for (int i = 0; i < 10; i++) {
		assert_true(sd_event_run(f->event, 10 * 1000) >= 0);
	}
	assert_int_equal(f->n_calls, 1);
	f->stop_in_callback = false;
	start(f);
	wait_until(f, f->n_seen == 300);
	assert_int_equal(atoi(f->seen[299].uid), 299);
}

static void after_a_lost_link_the_tail_waits_to_be_started_and_misses_nothing(void **state)
{
	struct fixture *f = *state;

	make_reader(f, NULL);
	start(f);
	publish(f, "award", "1", "");
	wait_until(f, f->n_seen == 1);
	redis_server_stop(&f->server);
	wait_until(f, f->n_down == 3);
	assert_int_equal(reader_start(f->reader, f->upto), -ENOTCONN);
	redis_server_start(&f->server, NULL);
	redisFree(f->c);
	wait_until(f, redis_link_is_up(f->tail) && redis_link_is_up(f->main)); /* it has loaded */
	connect_producer(f);
	publish(f, "award", "2", "");
	for (int i = 0; i < 10; i++) {
		assert_true(sd_event_run(f->event, 10 * 1000) >= 0);
	}
	assert_int_equal(f->n_seen, 1);
	start(f);
	wait_until(f, f->n_seen == 2);
	assert_string_equal(f->seen[1].uid, "2");
}

static void a_range_gives_what_the_tail_gave_in_parts(void **state)
{
	struct fixture *f = *state;
	struct entry_id upto, after;
	char uid[32];

	make_reader(f, NULL);
	for (int i = 0; i < 100; i++) {
		(void)snprintf(uid, sizeof uid, "%d", i);
		publish(f, "award", uid, "");
	}
	start(f);
	wait_until(f, f->n_seen == 100);
	upto = f->seen[89].id;
	after = f->seen[9].id;
	assert_int_equal(
		reader_range(f->reader, DIBAO_CHANNEL_PUBLIC, after, upto, 50, NULL, on_range, f),
		0);
	wait_until(f, f->n_ranges == 1);
	assert_int_equal(f->range_err, 0);
	assert_int_equal(f->range_n, 50);
	assert_int_equal(entry_id_cmp(f->range_first, f->seen[10].id), 0);
	assert_int_equal(entry_id_cmp(f->range_end, f->seen[59].id), 0);
	assert_int_equal(reader_range(f->reader, DIBAO_CHANNEL_PUBLIC, f->range_end, upto, 50, NULL,
				      on_range, f),
			 0);
	wait_until(f, f->n_ranges == 2);
	assert_int_equal(f->range_n, 80);
	assert_int_equal(entry_id_cmp(f->range_end, upto), 0);
	/* An empty range is covered up to its end. */
	assert_int_equal(
		reader_range(f->reader, DIBAO_CHANNEL_PRIVATE, after, upto, 50, NULL, on_range, f),
		0);
	wait_until(f, f->n_ranges == 3);
	assert_int_equal(entry_id_cmp(f->range_end, upto), 0);
}

static void a_range_skips_what_is_not_valid(void **state)
{
	struct fixture *f = *state;
	struct entry_id all = {UINT64_MAX, UINT64_MAX};

	make_reader(f, NULL);
	publish(f, "award", "1", "");
	add_poison(f); /* and nobody tails */
	publish(f, "award", "2", "");
	assert_int_equal(reader_range(f->reader, DIBAO_CHANNEL_PUBLIC, (struct entry_id){0, 0}, all,
				      500, NULL, on_range, f),
			 0);
	wait_until(f, f->n_ranges == 1);
	assert_int_equal(f->range_err, 0);
	assert_int_equal(f->range_n, 2);
}

static void a_range_on_a_lost_link_is_answered_with_an_error(void **state)
{
	struct fixture *f = *state;
	struct entry_id all = {UINT64_MAX, UINT64_MAX};

	make_reader(f, NULL);
	assert_int_equal(reader_range(f->reader, DIBAO_CHANNEL_PUBLIC, (struct entry_id){0, 0}, all,
				      500, NULL, on_range, f),
			 0);
	redis_server_stop(&f->server);
	wait_until(f, f->n_ranges == 1);
	assert_int_equal(f->range_err, -ENOTCONN);
	assert_int_equal(reader_range(f->reader, DIBAO_CHANNEL_PUBLIC, (struct entry_id){0, 0}, all,
				      500, NULL, on_range, f),
			 -ENOTCONN);
}

static void a_reader_may_be_freed_with_everything_on_its_way(void **state)
{
	struct fixture *f = *state;
	struct entry_id all = {UINT64_MAX, UINT64_MAX};

	command(f, "ACL SETUSER weak on >p ~* +@all -fcall");
	make_reader(f, "weak");
	publish(f, "award", "1", "");
	add_plain(f, "public", "award", "2", "");
	start(f);
	wait_until(f, f->n_seen == 1);
	assert_int_equal(reader_range(f->reader, DIBAO_CHANNEL_PUBLIC, (struct entry_id){0, 0}, all,
				      500, NULL, on_range, f),
			 0);
	f->reader = reader_free(f->reader);
	for (int i = 0; i < 10; i++) {
		assert_true(sd_event_run(f->event, 10 * 1000) >= 0);
	}
	assert_int_equal(f->n_ranges, 0);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN); /* as dibaod does */
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(published_events_arrive_in_order_from_before_and_after_the_start),
		TEST(each_channel_is_read_and_a_withdrawal_names_its_original),
		TEST(a_plain_entry_is_adopted_and_nothing_overtakes_it),
		TEST(a_double_added_by_hand_is_delivered_once),
		TEST(a_future_event_added_by_hand_goes_to_the_schedule),
		TEST(poison_goes_to_the_quarantine_and_stops_nobody),
		TEST(a_position_never_passes_an_entry_whose_adoption_is_outstanding),
		TEST(ten_thousand_entries_by_hand_and_by_function_arrive_complete),
		TEST(large_entries_arrive_too),
		TEST(after_a_stop_inside_a_callback_nothing_more_comes),
		TEST(after_a_lost_link_the_tail_waits_to_be_started_and_misses_nothing),
		TEST(a_range_gives_what_the_tail_gave_in_parts),
		TEST(a_range_skips_what_is_not_valid),
		TEST(a_range_on_a_lost_link_is_answered_with_an_error),
		TEST(a_reader_may_be_freed_with_everything_on_its_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
