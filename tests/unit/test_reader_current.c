/* SPDX-License-Identifier: Apache-2.0 */
/* Whether all is handed on is known of each channel by itself. */
#include "../../daemon/clock.h"
#include "reader_fixture.h"

enum {
	FLOOD = 600,
	COUNT_MAX = 500 /* of a channel in one reply */,
	FRESH_USEC = 1500000,
	LONG_USEC = 1600000
};

/* What the reader said of its channels at each call of on_entries(). */
struct call {
	enum dibao_channel channel;
	size_t n_before;  /* entries */
	unsigned current; /* a bit for each channel */
	unsigned n_current;
	uint64_t usec;
};

static struct call calls[64];
static size_t n_calls, n_entries;
static unsigned n_current; /* calls of on_current() */
static void (*meanwhile)(struct fixture *f);

static unsigned current(const struct reader *r)
{
	unsigned bits = 0;

	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		bits |= (unsigned)reader_is_current(r, (enum dibao_channel)c) << c;
	}
	return bits;
}

static void note_call(struct reader *r, enum dibao_channel c, const struct entry *entries, size_t n,
		      struct entry_id upto, void *userdata)
{
	struct fixture *f = userdata;

	(void)entries;
	assert_in_range(n_calls, 0, sizeof calls / sizeof calls[0] - 1);
	calls[n_calls++] = (struct call){c, n_entries, current(r), n_current, boottime_usec()};
	n_entries += n;
	f->upto[c] = upto;
	if (meanwhile) {
		meanwhile(f);
	}
}

static void on_current(struct reader *r, void *userdata)
{
	(void)r, (void)userdata;
	n_current++;
}

static void make(struct fixture *f, const char *main_user, bool public_only)
{
	struct reader_options opt = {
		.event = f->event,
		.bureau = BUREAU,
		.public_only = public_only,
		.userdata = f,
		.on_entries = note_call,
		.on_current = on_current,
	};

	n_calls = n_entries = n_current = 0;
	meanwhile = NULL;
	opt.tail_link = f->tail = open_link(f, "tail", true, NULL);
	opt.main_link = f->main = open_link(f, "main", false, main_user);
	opt.range_link = f->range = open_link(f, "range", true, NULL);
	assert_int_equal(reader_new(&f->reader, &opt), 0);
}

static bool is_public(enum dibao_channel c)
{
	return c == DIBAO_CHANNEL_PUBLIC || c == DIBAO_CHANNEL_PUBLIC_NOW;
}

static bool is_now(enum dibao_channel c)
{
	return c == DIBAO_CHANNEL_PUBLIC_NOW || c == DIBAO_CHANNEL_PRIVATE_NOW;
}

static void flood(struct fixture *f, enum dibao_channel c)
{
	char uid[32];

	for (int i = 0; i < FLOOD; i++) {
		(void)snprintf(uid, sizeof uid, "%d-%d", (int)c, i);
		publish(f, is_public(c) ? "award" : "mailbox_reply", uid,
			is_now(c) ? ",\"urgent\":true" : "");
	}
}

/* Of more than one reply holds, the others' end is known with the first, its own with the last. */
static void while_one_channel_is_flooded_the_others_are_current_and_it_is_not(void **state)
{
	struct fixture *f = *state;
	const unsigned all = (1 << DIBAO_CHANNEL_COUNT) - 1;

	make(f, NULL, false);
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		uint64_t started;

		n_calls = n_entries = n_current = 0;
		flood(f, (enum dibao_channel)c);
		started = boottime_usec();
		assert_int_equal(reader_start(f->reader, f->upto), 0);
		assert_int_equal(current(f->reader), 0);
		wait_until(f, n_current);
		assert_int_equal(n_entries, FLOOD);
		for (size_t i = 0; i < n_calls; i++) {
			assert_int_equal(calls[i].channel, c);
			assert_int_equal(calls[i].n_current, 0);
			assert_false(calls[i].current >> c & 1);
			if (calls[i].n_before < COUNT_MAX) {
				assert_int_equal(calls[i].current, 0);
			} else if (calls[i].usec - started <
				   FRESH_USEC) { /* not too slow a machine */
				assert_int_equal(calls[i].current, all & ~(1u << c));
			}
		}
		assert_in_range(calls[n_calls - 1].n_before, COUNT_MAX, FLOOD);
		reader_stop(f->reader);
	}
}

/* What Redis refuses is no end. */
static void what_was_current_is_not_once_nothing_was_heard_for_long_and_is_told_again(void **state)
{
	struct fixture *f = *state;
	uint64_t refused, started = boottime_usec();
	unsigned was;

	make(f, NULL, false);
	assert_int_equal(reader_start(f->reader, f->upto), 0);
	wait_until(f, n_current);
	publish(f, "award", "1", "");
	wait_until(f, n_calls == 1);
	publish(f, "award", "2", "");
	wait_until(f, n_calls == 2);
	if (boottime_usec() - started < FRESH_USEC) { /* not too slow a machine */
		assert_int_equal(n_current, 1);
	}
	command(f, "ACL SETUSER default -xread");
	refused = boottime_usec();
	wait_until(f, !current(f->reader));
	assert_in_range(boottime_usec() - refused, 900000, UINT64_MAX); /* 1.5 s, less one wait */
	was = n_current;
	command(f, "ACL SETUSER default +xread");
	wait_until(f, n_current > was && current(f->reader));
}

static void publish_another_and_take_long(struct fixture *f)
{
	uint64_t end = boottime_usec() + LONG_USEC;

	if (n_calls == 1) {
		publish(f, "award", "later", "");
		while (boottime_usec() < end) {
			redis_server_nap();
		}
	}
}

static void
a_channel_is_current_to_where_it_was_asked_for_and_not_to_when_it_was_handed_on(void **state)
{
	struct fixture *f = *state;

	make(f, NULL, false);
	meanwhile = publish_another_and_take_long;
	publish(f, "award", "first", "");
	assert_int_equal(reader_start(f->reader, f->upto), 0);
	wait_until(f, n_calls == 2);
	assert_int_equal(calls[1].current, 0);
	assert_int_equal(calls[1].n_current, 0);
	wait_until(f, n_current);
}

static void what_waits_for_its_adoption_is_not_handed_on(void **state)
{
	struct fixture *f = *state;
	unsigned was;

	command(f, "ACL SETUSER weak on >p ~* +@all -fcall");
	make(f, "weak", false);
	assert_int_equal(reader_start(f->reader, f->upto), 0);
	wait_until(f, n_current);
	add_plain(f, "public", "award", "1", "");
	wait_until(f, !current(f->reader));
	assert_int_equal(n_calls, 0);
	was = n_current;
	command(f, "ACL SETUSER weak +fcall");
	wait_until(f, n_current > was);
	assert_int_equal(n_entries, 1);
}

/* It has no right to the private ones. */
static void a_reader_of_public_channels_waits_for_their_ends_alone(void **state)
{
	struct fixture *f = *state;

	make(f, NULL, true);
	flood(f, DIBAO_CHANNEL_PRIVATE);
	flood(f, DIBAO_CHANNEL_PUBLIC);
	assert_int_equal(reader_start(f->reader, f->upto), 0);
	wait_until(f, n_current);
	assert_int_equal(n_entries, FLOOD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(while_one_channel_is_flooded_the_others_are_current_and_it_is_not),
		TEST(what_was_current_is_not_once_nothing_was_heard_for_long_and_is_told_again),
		TEST(a_channel_is_current_to_where_it_was_asked_for_and_not_to_when_it_was_handed_on),
		TEST(what_waits_for_its_adoption_is_not_handed_on),
		TEST(a_reader_of_public_channels_waits_for_their_ends_alone),
	};

	signal(SIGPIPE, SIG_IGN); /* as dibaod does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
