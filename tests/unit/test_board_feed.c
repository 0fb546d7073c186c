/* SPDX-License-Identifier: Apache-2.0 */
/* What pages are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "feed_fixture.h"

#include <poll.h>

static void a_page_that_comes_is_told_the_time_and_then_all_there_is(void **state)
{
	struct page p;
	json_t *o, *s;

	(void)state;
	put_many(0, 3);
	turn();
	p = settled_page();
	assert_non_null(strstr(p.text, "Content-Type: text/event-stream; charset=utf-8\r\n"));
	assert_non_null(strstr(p.text, "retry: 2000\n\n"));
	assert_true(strstr(p.text, "event: beat") < strstr(p.text, "event: state"));
	assert_int_equal(n_items(&p, 0), 3);
	o = data_of(&p, "state", 0);
	assert_int_equal(json_integer_value(json_object_get(o, "v")), 1);
	assert_true(json_is_null(json_object_get(o, "standing")));
	assert_string_equal(text_of(json_object_get(o, "board"), "name"), "演示所");
	assert_string_equal(text_of(json_object_get(o, "areas"), "district"), "320508");
	assert_string_equal(text_of(json_object_get(o, "areas"), "bureau"), "");
	s = json_object_get(o, "settings");
	assert_string_equal(text_of(s, "order"), "rank");
	assert_string_equal(text_of(s, "night_from"), "22:00");
	assert_int_equal(json_integer_value(json_object_get(s, "page_s")), 12);
	o = data_of(&p, "beat", 0);
	assert_int_equal(json_integer_value(json_object_get(o, "now_ms")), T0);
	assert_int_equal(json_integer_value(json_object_get(o, "heartbeat_ms")), T0 - 7);
	assert_string_equal(text_of(o, "link"), "active");
	close_page(&p);
}

static void what_changes_is_told_to_every_page_as_it_changes(void **state)
{
	struct page a = settled_page(), b = settled_page();
	json_t *o;

	(void)state;
	put("u", "甲");
	turn();
	flush(&a), flush(&b);
	assert_int_equal(told(&a, "put"), 1);
	assert_int_equal(told(&b, "put"), 1);
	o = data_of(&b, "put", 0);
	assert_string_equal(text_of(o, "name"), "甲");
	assert_true(json_is_true(json_object_get(o, "moment")));
	take_back("u");
	turn();
	flush(&a), flush(&b);
	assert_int_equal(told(&a, "drop"), 1);
	assert_int_equal(strlen(text_of(data_of(&b, "drop", 0), "pid")), 2 * DIBAO_PID_BYTES);
	assert_int_equal(told(&b, "state"), 1);
	close_page(&a), close_page(&b);
}

static void
without_a_time_or_a_heartbeat_none_is_told_and_a_changed_link_is_told_at_once(void **state)
{
	struct page p;
	json_t *o;

	(void)state;
	f.time = (struct feed_time){.now_ms = T0, .link = "connecting"};
	turn();
	p = settled_page();
	o = data_of(&p, "beat", 0);
	assert_true(json_is_null(json_object_get(o, "now_ms")));
	assert_true(json_is_null(json_object_get(o, "heartbeat_ms")));
	assert_true(json_is_false(json_object_get(o, "trusted")));
	turn();
	f.time.link = "active";
	turn();
	turn();
	wait_until(&f, told(&p, "beat") >= 2);
	assert_string_equal(text_of(data_of(&p, "beat", 1), "link"), "active");
	flush(&p);
	assert_int_equal(told(&p, "beat"), 3);
	close_page(&p);
}

static void a_page_that_comes_back_is_told_what_it_missed_and_nothing_twice(void **state)
{
	struct page p = settled_page();
	char id[64], after[64];

	(void)state;
	publish_many(0, 1);
	flush(&p);
	last_id(&p, id);
	close_page(&p);
	publish_many(1, 4);
	take_back("n0");
	turn();
	p = open_page(id);
	wait_until(&f, told(&p, "drop") == 1);
	assert_int_equal(told(&p, "put"), 3);
	assert_string_equal(text_of(data_of(&p, "put", 0), "name"), "人1");
	flush(&p);
	last_id(&p, after);
	assert_int_equal(told(&p, "state"), 0);
	close_page(&p);
	/* That has missed nothing. */
	p = open_page(after);
	wait_until(&f, told(&p, "beat") == 1);
	flush(&p);
	assert_int_equal(told(&p, "state") + told(&p, "put") + told(&p, "drop"), 0);
	close_page(&p);
}

static void an_id_that_is_not_of_this_process_or_none_at_all_brings_the_whole(void **state)
{
	char id[64], ahead[128], other[128], cut[64];
	struct page p;

	(void)state;
	publish_many(0, 2);
	p = settled_page();
	last_id(&p, id);
	close_page(&p);
	snprintf(ahead, sizeof ahead, "%.9s%llu", id, strtoull(id + 9, NULL, 10) + 1);
	snprintf(other, sizeof other, "%08lx%s", strtoul(id, NULL, 16) ^ 1, id + 8);
	snprintf(cut, sizeof cut, "%.8s", id);
	for (const char *const *at =
		     (const char *const[]){ahead, other, cut, "", "-", "x", "00000000-0",
					   "99999999999999999999999-1", NULL};
	     *at; at++) {
		p = open_page(*at);
		wait_until(&f, told(&p, "state") == 1);
		assert_int_equal(n_items(&p, 0), 2);
		close_page(&p);
	}
	/* And its own, as a check of this test. */
	p = open_page(id);
	wait_until(&f, told(&p, "beat") == 1);
	flush(&p);
	assert_int_equal(told(&p, "state"), 0);
	close_page(&p);
}

static void what_fell_out_of_the_log_brings_the_whole(void **state)
{
	char ids[3][64];
	struct page p = settled_page();

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		publish_many(i, i + 1);
		flush(&p);
		last_id(&p, ids[i]);
	}
	close_page(&p);
	/* The log ends with the last 512; of these 0, 1 and 2 are not. */
	publish_many(3, LOG_EVENTS + 2);
	p = open_page(ids[1]);
	wait_until(&f, told(&p, "put") == LOG_EVENTS);
	flush(&p);
	assert_int_equal(told(&p, "state"), 0);
	close_page(&p);
	p = open_page(ids[0]);
	wait_until(&f, told(&p, "state") == 1);
	assert_int_equal(n_items(&p, 0), LOG_EVENTS + 2);
	assert_int_equal(told(&p, "put"), 0);
	close_page(&p);
}

static void the_log_is_bounded_in_bytes_too(void **state)
{
	char id[64], uid[16], *reason = calloc(1, 1501);
	uint8_t view[DIBAO_EVENT_MAX_BYTES];
	struct page p = settled_page();

	(void)state;
	assert_non_null(reason);
	memset(reason, 'x', 1500);
	flush(&p);
	last_id(&p, id);
	close_page(&p);
	for (unsigned i = 0; i < 200; i++) {
		struct draft d = {.uid = uid, .reason = reason};

		snprintf(uid, sizeof uid, "n%u", i);
		assert_int_equal(wall_put(f.wall, view, draft_view(&d, view), T0), 0);
		turn();
	}
	p = open_page(id);
	wait_until(&f, told(&p, "state") == 1);
	close_page(&p);
	free(reason);
}

static void much_at_once_comes_as_one_state_and_not_more_than_two_a_second(void **state)
{
	struct page p = settled_page();
	int64_t began;

	(void)state;
	put_many(0, BULK);
	turn();
	flush(&p);
	assert_int_equal(told(&p, "put"), BULK);
	assert_int_equal(told(&p, "state"), 1);
	put_many(BULK, 3 * BULK + 1);
	turn();
	wait_until(&f, told(&p, "state") == 2);
	assert_int_equal(n_items(&p, 1), 3 * BULK + 1);
	assert_int_equal(told(&p, "put"), 2 * BULK); /* those before it was seen to be much */
	began = now_ms();
	for (unsigned i = 0; i < 3; i++) {
		put_many(1000 + i * 300, 1300 + i * 300);
		turn();
	}
	wait_until(&f, told(&p, "state") == 3);
	assert_true(now_ms() - began >= 300);
	assert_int_equal(n_items(&p, 2), 3 * BULK + 1 + 900);
	flush(&p);
	assert_int_equal(told(&p, "put"), 3 * BULK);
	/* Afterwards what changes comes as it did. */
	put("one", "单");
	turn();
	wait_until(&f, told(&p, "put") == 3 * BULK + 1);
	assert_int_equal(told(&p, "state"), 3);
	close_page(&p);
}

/* Its connection broke between the beat and the state that was due. */
static void a_page_that_comes_back_while_a_state_is_due_gets_it(void **state)
{
	struct page p = settled_page();
	char id[64], before[64];

	(void)state;
	last_id(&p, before);
	put_many(0, BULK + 50);
	turn(); /* due, and the loop has not turned yet */
	feed_beat(f.feed);
	wait_until(&f, told(&p, "beat") == 2);
	last_id(&p, id);
	close_page(&p);
	put_many(300, 300 + BULK + 50);
	turn(); /* still due, or again */
	p = open_page(id);
	wait_until(&f, told(&p, "state") >= 1);
	assert_int_equal(n_items(&p, 0), 2 * (BULK + 50));
	close_page(&p);
	/* Of what was sent before, the state has become part. */
	p = open_page(before);
	wait_until(&f, told(&p, "state") >= 1);
	assert_int_equal(n_items(&p, 0), 2 * (BULK + 50));
	assert_int_equal(told(&p, "put"), 0);
	close_page(&p);
}

static void while_nobody_is_to_be_named_nobody_is(void **state)
{
	struct page p, q;
	char before[64], during[64];

	(void)state;
	p = settled_page();
	last_id(&p, before);
	put("u", "甲");
	turn();
	flush(&p);
	f.time.is_standing = true;
	turn();
	wait_until(&f, told(&p, "state") == 2);
	assert_string_equal(text_of(data_of(&p, "state", 1), "standing"), "\"暂停\"\n展示");
	assert_int_equal(n_items(&p, 1), 0);
	put("v", "乙");
	turn();
	flush(&p);
	q = settled_page();
	assert_int_equal(told(&p, "put"), 1);
	assert_int_equal(n_items(&q, 0), 0);
	close_page(&q);
	q = open_page(before);
	wait_until(&f, told(&q, "state") == 1);
	assert_null(strstr(q.text, "甲"));
	last_id(&q, during);
	close_page(&q);
	f.time.is_standing = false;
	turn();
	q = open_page(during);
	wait_until(&f, told(&p, "state") == 3 && told(&q, "state") == 1);
	assert_int_equal(n_items(&p, 2), 2);
	assert_int_equal(n_items(&q, 0), 2);
	close_page(&p), close_page(&q);
}

static void a_ninth_page_ends_the_oldest(void **state)
{
	struct page p[STREAMS_MAX + 1];

	(void)state;
	for (unsigned i = 0; i < STREAMS_MAX; i++)
		p[i] = settled_page();
	assert_int_equal(feed_n_streams(f.feed), STREAMS_MAX);
	p[STREAMS_MAX] = settled_page();
	wait_until(&f, (hear(&p[0]), p[0].is_over));
	publish_many(0, 1);
	for (unsigned i = 1; i <= STREAMS_MAX; i++) {
		wait_until(&f, told(&p[i], "put") == 1);
		assert_false(p[i].is_over);
	}
	assert_int_equal(feed_n_streams(f.feed), STREAMS_MAX);
	for (unsigned i = 0; i <= STREAMS_MAX; i++)
		close_page(&p[i]);
}

/* It has been let go, and what lay on the way has been read; without a pause, for its window holds
 * but little. */
static bool has_read_to_its_end(struct page *p)
{
	struct pollfd d = {.fd = p->fd, .events = POLLIN};

	do {
		hear(p);
	} while (!p->is_over && poll(&d, 1, 20) == 1);
	return p->is_over;
}

static void a_page_that_does_not_read_is_let_go_and_the_others_are_told_all(void **state)
{
	struct page deaf = open_page_with(NULL, 4096), p = settled_page();
	size_t total = 0;

	(void)state;
	put_many(0, 1500);
	turn();
	wait_until(&f, told(&p, "state") == 2);
	/* Half a megabyte every other time, which the deaf one leaves lying. */
	for (unsigned i = 0; i < 80; i++) {
		total += p.len;
		p.len = 0;
		*p.text = '\0';
		f.time.is_standing = !f.time.is_standing;
		turn();
		wait_until(&f, told(&p, "state") == 1);
	}
	assert_true(total > 16 << 20);
	wait_until(&f, has_read_to_its_end(&deaf));
	wait_until(&f, feed_n_streams(f.feed) == 1);
	assert_true(deaf.len < 8 << 20); /* a socket's buffer, the bound, one piece */
	put("last", "末");
	turn();
	wait_until(&f, told(&p, "put") == 1);
	close_page(&deaf), close_page(&p);
}

#define t(x) cmocka_unit_test_setup_teardown(x, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		t(a_page_that_comes_is_told_the_time_and_then_all_there_is),
		t(what_changes_is_told_to_every_page_as_it_changes),
		t(without_a_time_or_a_heartbeat_none_is_told_and_a_changed_link_is_told_at_once),
		t(a_page_that_comes_back_is_told_what_it_missed_and_nothing_twice),
		t(an_id_that_is_not_of_this_process_or_none_at_all_brings_the_whole),
		t(what_fell_out_of_the_log_brings_the_whole),
		t(the_log_is_bounded_in_bytes_too),
		t(much_at_once_comes_as_one_state_and_not_more_than_two_a_second),
		t(a_page_that_comes_back_while_a_state_is_due_gets_it),
		t(while_nobody_is_to_be_named_nobody_is),
		t(a_ninth_page_ends_the_oldest),
		t(a_page_that_does_not_read_is_let_go_and_the_others_are_told_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
