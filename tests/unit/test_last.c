/* SPDX-License-Identifier: Apache-2.0 */
/* Where a start with the last N begins: before N of one's own, whatever else stands there. */
#include "../../daemon/last.h"
#include "sessions_fixture.h"

enum { DAY_MS = 86400000, ALL_CHANNELS = 0xf };

/* Entries ms 1 to n of a channel, every so-manieth an award of 320508, all others penalties
 * elsewhere. */
static void fill(struct fixture *f, const char *channel, long long first, unsigned n,
		 unsigned every)
{
	static const char script[] = "for i = ARGV[1], ARGV[1] + ARGV[2] - 1 do\n"
				     "  local own = i % ARGV[3] == 0\n"
				     "  redis.call('XADD', KEYS[1], string.format('%.0f-0', i), "
				     "'e', cmsgpack.pack({v = 1, "
				     "uid = 'u' .. i, type = own and 'award' or 'penalty', "
				     "org = own and '320508530000' or '320506000000'}))\n"
				     "end";
	redisReply *r = redisCommand(f->c, "EVAL %s 1 " BASE "%s %lld %u %u", script, channel,
				     first, n, every);

	assert_non_null(r);
	if (r->type == REDIS_REPLY_ERROR)
		fail_msg("%s", r->str);
	freeReplyObject(r);
}

static struct {
	unsigned n;
	bool failed;
	struct entry_id start[DIBAO_CHANNEL_COUNT];
} answer;

static void on_answer(const struct entry_id *start, void *userdata)
{
	(void)userdata;
	answer.n++;
	answer.failed = !start;
	if (start)
		memcpy(answer.start, start, sizeof answer.start);
}

static void ask(struct fixture *f, const char *type, const char *org, uint8_t channels, uint32_t n)
{
	struct filter own = {0};

	memset(&answer, 0, sizeof answer);
	if (type)
		assert_int_equal(filter_add_type(&own, (struct dibao_str){type, strlen(type)}), 0);
	if (org)
		assert_int_equal(filter_add_org(&own, (struct dibao_str){org, strlen(org)}), 0);
	assert_int_equal(last_ask(f->link, BASE, &own, channels, n, on_answer, NULL), 0);
	wait_until(f, answer.n);
}

#define assert_start(c, want_ms, want_seq)                                                         \
	do {                                                                                       \
		assert_false(answer.failed);                                                       \
		assert_int_equal(answer.start[c].ms, want_ms);                                     \
		assert_int_equal(answer.start[c].seq, want_seq);                                   \
	} while (0)

/* Over several steps of Redis. */
static void it_begins_before_so_many_of_ones_own(void **state)
{
	struct fixture *f = *state;

	fill(f, "private", 1, 2400, 100);
	ask(f, NULL, NULL, ALL_CHANNELS, 3);
	assert_start(DIBAO_CHANNEL_PRIVATE, 2397, UINT64_MAX);
	assert_start(DIBAO_CHANNEL_PUBLIC, 0, 0);
	ask(f, "award", NULL, ALL_CHANNELS, 3);
	assert_start(DIBAO_CHANNEL_PRIVATE, 2199, UINT64_MAX);
	ask(f, NULL, "3205085", ALL_CHANNELS, 20);
	assert_start(DIBAO_CHANNEL_PRIVATE, 499, UINT64_MAX);
	ask(f, "award", "320508530000", ALL_CHANNELS, 24);
	assert_start(DIBAO_CHANNEL_PRIVATE, 99, UINT64_MAX);
	ask(f, "award", "320508530000", ALL_CHANNELS, 25);
	assert_start(DIBAO_CHANNEL_PRIVATE, 0, 0);
	ask(f, "penalty", "320508", ALL_CHANNELS, 1);
	assert_start(DIBAO_CHANNEL_PRIVATE, 0, 0);
}

/* What is no event is nobody's but his who gets all. */
static void what_cannot_be_read_counts_for_who_gets_all_alone(void **state)
{
	struct fixture *f = *state;

	fill(f, "public", 1, 10, 1);
	for (int i = 11; i <= 20; i++)
		redis(f, "XADD " BASE "public %d-0 e x", i);
	for (int i = 21; i <= 30; i++)
		redis(f, "XADD " BASE "public %d-5 other x", i);
	ask(f, NULL, NULL, ALL_CHANNELS, 5);
	assert_start(DIBAO_CHANNEL_PUBLIC, 26, 4);
	ask(f, "award", NULL, ALL_CHANNELS, 5);
	assert_start(DIBAO_CHANNEL_PUBLIC, 5, UINT64_MAX);
}

static void so_many_are_looked_at_and_then_it_is_a_whole_day(void **state)
{
	const long long begin = 1000ll * DAY_MS + 5000;
	struct fixture *f = *state;

	fill(f, "private", begin, LAST_LOOKED_AT + 2000, LAST_LOOKED_AT * 10);
	ask(f, "award", NULL, ALL_CHANNELS, 1);
	assert_start(DIBAO_CHANNEL_PRIVATE, 1000ll * DAY_MS - 1, UINT64_MAX);
	ask(f, "penalty", NULL, ALL_CHANNELS, LAST_MAX);
	assert_start(DIBAO_CHANNEL_PRIVATE, begin + 2000 - 1, UINT64_MAX);
}

/* A daemon for boards may not even ask. */
static void other_channels_are_not_asked_for(void **state)
{
	struct fixture *f = *state;

	redis(f, "ACL SETUSER default -@all +fcall resetkeys ~" BASE " ~" BASE
		 "public* +xrevrange +ping");
	ask(f, "award", NULL, 1u << DIBAO_CHANNEL_PUBLIC | 1u << DIBAO_CHANNEL_PUBLIC_NOW, 3);
	assert_false(answer.failed);
	ask(f, "award", NULL, ALL_CHANNELS, 3);
	assert_true(answer.failed);
}

static void without_redis_it_says_so_once(void **state)
{
	struct fixture *f = *state;

	redis_server_stop(&f->server);
	wait_until(f, !redis_link_is_up(f->link));
	ask(f, "award", NULL, ALL_CHANNELS, 3);
	assert_true(answer.failed);
	assert_int_equal(answer.n, 1);
}

/* The same by a session: three of its own, and no other's number. */
static void a_session_gets_so_many_of_its_own(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_new(f);
	struct session *s;

	fill(f, "private", 1, 2000, 100);
	move_tail(f, DIBAO_CHANNEL_PRIVATE, (struct entry_id){2000, 0});
	k->hello.from = DIBAO_START_LAST;
	k->hello.from_arg = 3;
	k->hello.n_types = 1;
	k->hello.types[0] = (struct dibao_str){"award", 5};
	say_hello(k);
	s = wait_active(f, k);
	assert_int_equal(s->at[DIBAO_CHANNEL_PRIVATE].acked.ms, 1799);
}

/* Its name would else hold back from retention what it never gets. */
static void a_channel_that_it_does_not_get_begins_at_the_tail(void **state)
{
	struct fixture *f = *state;
	struct client *k = client_new(f);

	fill(f, "private", 1, 20, 1);
	fill(f, "public", 1, 20, 1);
	move_tail(f, DIBAO_CHANNEL_PRIVATE, (struct entry_id){20, 0});
	move_tail(f, DIBAO_CHANNEL_PUBLIC, (struct entry_id){20, 0});
	durable(f, "gw");
	k->hello.durable = text("gw");
	k->hello.public_view = true;
	k->hello.from = DIBAO_START_LAST;
	k->hello.from_arg = 3;
	say_hello(k);
	wait_active(f, k);
	assert_string_equal(strchr(redis(f, "HGET " BASE "cursors gw"), ' '),
			    " 17-18446744073709551615 20-0 0-0 0-0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_begins_before_so_many_of_ones_own),
		TEST(what_cannot_be_read_counts_for_who_gets_all_alone),
		TEST(so_many_are_looked_at_and_then_it_is_a_whole_day),
		TEST(other_channels_are_not_asked_for),
		TEST(without_redis_it_says_so_once),
		TEST(a_session_gets_so_many_of_its_own),
		TEST(a_channel_that_it_does_not_get_begins_at_the_tail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
