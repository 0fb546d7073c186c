/* SPDX-License-Identifier: Apache-2.0 */
/* The tail when there is no memory to hold what must wait. Linked with malloc() and calloc() of
 * this file. */
#include "reader_fixture.h"

/* What is asked for at least is refused so many times: the smallest held batch, or its bytes,
 * and less than a block of the reply's arena. */
enum { LEAST_BYTES = 2000, MOST_BYTES = 60000 };
static unsigned n_refuse_calloc, n_refuse_malloc;
static unsigned n_refused;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

static bool refuses(unsigned *n, size_t bytes)
{
	if (!*n || bytes < LEAST_BYTES || bytes > MOST_BYTES) {
		return false;
	}
	--*n;
	n_refused++;
	return true;
}

void *__wrap_calloc(size_t n, size_t size)
{
	return refuses(&n_refuse_calloc, n * size) ? NULL : __real_calloc(n, size);
}

void *__wrap_malloc(size_t size)
{
	return refuses(&n_refuse_malloc, size) ? NULL : __real_malloc(size);
}

/* Bytes enough to be told from other allocations, whichever of the two it is. */
static const char *fill(void)
{
	static char more[2200];
	int at = snprintf(more, sizeof more, ",\"ext\":\"");

	memset(more + at, 'x', 2100);
	memcpy(more + at + 2100, "\"", 2);
	return more;
}

static void publish_numbered(struct fixture *f, int from, int n)
{
	char uid[32];

	for (int i = from; i < from + n; i++) {
		(void)snprintf(uid, sizeof uid, "%d", i);
		publish(f, "award", uid, "");
	}
}

/* All but the plain entry, in order, and then that. */
static void assert_seen(struct fixture *f, int n)
{
	wait_until(f, f->n_seen >= (size_t)n + 1);
	for (int i = 0; i < n; i++) {
		assert_int_equal(atoi(f->seen[i].uid), i);
	}
	assert_string_equal(f->seen[n].uid, "plain");
	assert_int_equal(f->n_seen, n + 1);
}

static void unheld(struct fixture *f, unsigned *n_refuse)
{
	n_refused = 0;
	make_reader(f, NULL);
	command(f, "XADD " BASE "private 5-0 e bad");
	f->upto[DIBAO_CHANNEL_PRIVATE] = (struct entry_id){5, 0}; /* it is behind us */
	publish_numbered(f, 0, 1);
	add_plain(f, "public", "award", "plain", fill());
	publish_numbered(f, 1, 20);
	*n_refuse = UINT32_MAX;
	start(f);
	wait_until(f, n_refused >= 3); /* and again, and again */
	assert_int_equal(f->n_seen, 1);
	assert_int_equal(entry_id_cmp(f->upto[DIBAO_CHANNEL_PUBLIC], f->seen[0].id), 0);
	assert_false(reader_is_current(f->reader, DIBAO_CHANNEL_PUBLIC));
	*n_refuse = 0;
	assert_seen(f, 21);
	wait_until(f, reader_is_current(f->reader, DIBAO_CHANNEL_PUBLIC));
	assert_int_equal(reader_counters(f->reader)->n_quarantined, 0);
}

static void what_could_not_be_held_is_not_taken_for_read(void **state)
{
	unheld(*state, &n_refuse_calloc);
}

static void what_could_be_held_but_for_its_bytes_is_not_taken_for_read(void **state)
{
	unheld(*state, &n_refuse_malloc);
}

/* Of a full reply the next one is on its way already: it must not be taken for what follows. */
static void what_was_asked_for_behind_what_could_not_be_held_is_void(void **state)
{
	struct fixture *f = *state;

	n_refused = 0;
	make_reader(f, NULL);
	publish_numbered(f, 0, 450);
	add_plain(f, "public", "award", "plain", fill());
	publish_numbered(f, 450, 300);
	n_refuse_calloc = 1;
	start(f);
	assert_seen(f, 750);
	assert_int_equal(n_refused, 1);
}

static bool has_refused_a_call(struct fixture *f)
{
	redisReply *r = redisCommand(f->c, "ACL LOG");
	bool yes;

	assert_non_null(r);
	yes = r->elements > 0;
	freeReplyObject(r);
	return yes;
}

/* Reading again begins behind what is held, which comes but once. */
static void what_was_held_before_is_not_read_again(void **state)
{
	struct fixture *f = *state;

	n_refused = 0;
	command(f, "ACL SETUSER weak on >p ~* +@all -fcall");
	make_reader(f, "weak");
	add_plain(f, "public", "award", "plain", fill());
	publish_numbered(f, 0, 1);
	start(f);
	wait_until(f, has_refused_a_call(f));
	n_refuse_calloc = 1;
	command(f, "MULTI"); /* they come in one reply */
	publish_numbered(f, 1, 20);
	command(f, "EXEC");
	wait_until(f, n_refused == 1);
	command(f, "ACL SETUSER weak +fcall");
	assert_seen(f, 21);
	assert_int_equal(reader_counters(f->reader)->n_adopted, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_could_not_be_held_is_not_taken_for_read),
		TEST(what_could_be_held_but_for_its_bytes_is_not_taken_for_read),
		TEST(what_was_asked_for_behind_what_could_not_be_held_is_void),
		TEST(what_was_held_before_is_not_read_again),
	};

	signal(SIGPIPE, SIG_IGN); /* as dibaod does */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
