/* SPDX-License-Identifier: Apache-2.0 */
/* What hangs on the wall: items, rules, and the set of them, with the time passed in. */
#include "../../clients/board/day.h"
#include "../../clients/board/wall.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "board_fixture.h"

static struct fixture {
	struct rules rules;
	struct wall *wall;
	unsigned n_shown, n_hidden, n_removed;
} f;

static void on_shown(const struct item *i, void *userdata)
{
	(void)i;
	(void)userdata;
	f.n_shown++;
}

static void on_hidden(const uint8_t pid[DIBAO_PID_BYTES], void *userdata)
{
	(void)pid;
	(void)userdata;
	f.n_hidden++;
}

static void on_removed(const uint8_t pid[DIBAO_PID_BYTES], void *userdata)
{
	(void)pid;
	(void)userdata;
	f.n_removed++;
}

static void begin(unsigned items_max)
{
	struct wall_options o = {.rules = &f.rules,
				 .items_max = items_max,
				 .on_shown = on_shown,
				 .on_hidden = on_hidden,
				 .on_removed = on_removed};

	wall_free(f.wall);
	assert_int_equal(wall_new(&f.wall, &o), 0);
}

static int set_up(void **state)
{
	(void)state;
	f = (struct fixture){.rules = {.promotion_ms = 60 * DAY,
				       .award_ms = 365 * DAY,
				       .moment_ms = 15 * 60000,
				       .standing_ms = 72 * HOUR,
				       .own = STATION,
				       .district = "320508",
				       .bureau = "3205"}};
	begin(1000);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	f.wall = wall_free(f.wall);
	return 0;
}

static int put_at(const struct draft *d, int64_t published_ms)
{
	uint8_t view[DIBAO_EVENT_MAX_BYTES];
	size_t n = draft_view(d, view);

	return wall_put(f.wall, view, n, published_ms);
}

static void put(const struct draft *d)
{
	assert_int_equal(put_at(d, 0), 0);
}

static struct item *item(const char *uid)
{
	uint8_t pid[DIBAO_PID_BYTES];

	draft_pid(uid, pid);
	return wall_find(f.wall, pid);
}

static bool hangs(const char *uid, int64_t now)
{
	wall_refresh(f.wall, now, true, false);
	return item(uid) && item(uid)->is_shown;
}

/* ---- items ---- */

static void a_view_has_all_that_the_page_shows(void **state)
{
	struct draft d = {
		.type = "promotion", .unit = "户籍室", .record = true, .expires = T0 + DAY};
	struct item *i;

	(void)state;
	put(&d);
	i = item("u");
	assert_non_null(i);
	assert_true(i->is_promotion && !i->is_proposed && i->is_record);
	assert_int_equal(i->at_ms, T0 - HOUR);
	assert_int_equal(i->expires_ms, T0 + DAY);
	assert_memory_equal(item_str(i, i->name).p, "张三", 6);
	assert_memory_equal(item_str(i, i->unit).p, "户籍室", 9);
	assert_memory_equal(item_str(i, i->to.name).p, "三级辅员", 12);
	assert_memory_equal(item_str(i, i->from.code).p, "R01", 3);
	assert_null(item_str(i, i->contact).p);
}

static void a_view_cut_anywhere_or_changed_is_refused_or_harmless(void **state)
{
	struct draft d = {.type = "promotion", .state = "proposed", .unit = "户籍室"};
	uint8_t view[DIBAO_EVENT_MAX_BYTES];
	size_t n = draft_view(&d, view);
	struct item *i;

	(void)state;
	for (size_t k = 0; k < n; k++)
		assert_int_equal(item_new(&i, view, k), -EBADMSG);
	for (size_t k = 0; k < n; k++)
		for (unsigned bit = 0; bit < 8; bit++) {
			view[k] ^= (uint8_t)(1u << bit);
			if (item_new(&i, view, n) == 0)
				free(i);
			view[k] ^= (uint8_t)(1u << bit);
		}
}

static void a_view_of_a_private_type_is_not_taken(void **state)
{
	struct draft d = {0};
	uint8_t view[DIBAO_EVENT_MAX_BYTES];
	size_t n = draft_view(&d, view);
	uint8_t *type = memmem(view, n, "award", 5);

	(void)state;
	memcpy(type, "bonus", 5);
	assert_int_equal(wall_put(f.wall, view, n, 0), -ENOTSUP);
	assert_int_equal(wall_counts(f.wall).n_held, 0);
}

/* ---- rules ---- */

static void a_promotion_hangs_for_sixty_days_and_an_award_for_a_year(void **state)
{
	(void)state;
	put(&(struct draft){.uid = "p", .type = "promotion", .at = T0});
	put(&(struct draft){.uid = "a", .at = T0});
	assert_true(hangs("p", T0 + 60 * DAY - 1));
	assert_false(hangs("p", T0 + 60 * DAY));
	assert_true(hangs("a", T0 + 365 * DAY - 1));
	assert_false(hangs("a", T0 + 365 * DAY));
}

static void what_expires_earlier_goes_earlier(void **state)
{
	(void)state;
	put(&(struct draft){.at = T0, .expires = T0 + DAY});
	assert_true(hangs("u", T0 + DAY - 1));
	assert_int_equal(wall_next_end_ms(f.wall), T0 + DAY);
	assert_false(hangs("u", T0 + DAY));
}

static void a_proposal_disappears_at_midnight_in_shanghai_and_never_turns_final(void **state)
{
	const int64_t midnight = 1800460800000ll; /* 2027-01-20T24:00+08:00 */

	(void)state;
	put(&(struct draft){.state = "proposed", .last_day = "2027-01-20"});
	assert_true(hangs("u", midnight - 1));
	assert_true(item("u")->is_proposed);
	assert_int_equal(wall_next_end_ms(f.wall), midnight);
	assert_false(hangs("u", midnight));
	assert_int_equal(f.n_hidden, 1);
}

static void without_trusted_time_proposals_are_hidden_and_others_stay(void **state)
{
	(void)state;
	put(&(struct draft){.uid = "p", .state = "proposed"});
	put(&(struct draft){.uid = "a"});
	wall_refresh(f.wall, T0, false, false);
	assert_false(item("p")->is_shown);
	assert_true(item("a")->is_shown);
	wall_refresh(f.wall, T0, true, false);
	assert_true(item("p")->is_shown);
	wall_refresh(f.wall, T0, false, false);
	assert_false(item("p")->is_shown);
	/* A lower bound still says what is over. */
	wall_refresh(f.wall, T0 + 400 * DAY, false, false);
	assert_false(item("a")->is_shown);
}

static void a_final_one_stands_for_its_proposal_in_whatever_order_they_come(void **state)
{
	(void)state;
	for (int order = 0; order < 2; order++) {
		begin(1000);
		if (order)
			put(&(struct draft){.uid = "f", .follows = "p"});
		put(&(struct draft){.uid = "p", .state = "proposed"});
		assert_int_equal(hangs("p", T0), !order);
		put(&(struct draft){.uid = "f", .follows = "p"});
		assert_false(hangs("p", T0));
		assert_true(item("f")->is_shown);
	}
}

static void a_proposal_that_follows_another_does_not_hide_it(void **state)
{
	(void)state;
	put(&(struct draft){.uid = "p", .state = "proposed"});
	put(&(struct draft){.uid = "q", .state = "proposed", .follows = "p"});
	put(&(struct draft){.uid = "f"});
	put(&(struct draft){.uid = "g", .follows = "f"});
	assert_true(hangs("p", T0));
	assert_true(hangs("f", T0));
}

static void equal_names_of_different_units_show_them(void **state)
{
	(void)state;
	put(&(struct draft){.uid = "a", .unit = "户籍室"});
	put(&(struct draft){.uid = "b", .unit = "户籍室", .type = "promotion"});
	put(&(struct draft){.uid = "c", .name = "张三丰", .unit = "巡防队"});
	hangs("a", T0);
	assert_false(item("a")->show_unit || item("b")->show_unit || item("c")->show_unit);
	f.n_shown = 0;
	put(&(struct draft){.uid = "d", .unit = "巡防队"});
	hangs("a", T0);
	assert_true(item("a")->show_unit && item("b")->show_unit && item("d")->show_unit);
	assert_false(item("c")->show_unit);
	assert_int_equal(f.n_shown, 3); /* two are told anew, one for the first time */
}

static void areas_are_the_nearest_that_one_lies_in(void **state)
{
	(void)state;
	put(&(struct draft){.uid = "o"});
	put(&(struct draft){.uid = "d", .org = NEIGHBOUR});
	put(&(struct draft){.uid = "b", .org = FAR_AWAY});
	put(&(struct draft){.uid = "x", .org = "320100000000"});
	assert_false(hangs("x", T0));
	assert_int_equal(item("o")->area, AREA_OWN);
	assert_int_equal(item("d")->area, AREA_DISTRICT);
	assert_int_equal(item("b")->area, AREA_BUREAU);
	*f.rules.bureau = '\0';
	assert_false(hangs("b", T0));
}

static void a_moment_is_for_what_was_published_just_now_and_never_for_history(void **state)
{
	(void)state;
	assert_int_equal(put_at(&(struct draft){.uid = "a"}, T0), 0);
	assert_int_equal(put_at(&(struct draft){.uid = "r", .record = true}, T0), 0);
	assert_int_equal(put_at(&(struct draft){.uid = "p", .state = "proposed"}, T0), 0);
	assert_int_equal(put_at(&(struct draft){.uid = "c", .corrects = "x"}, T0), 0);
	put(&(struct draft){.uid = "o"});
	assert_true(rules_moment(&f.rules, item("a"), T0 + 899999, true));
	assert_false(rules_moment(&f.rules, item("a"), T0 + 900000, true));
	assert_false(rules_moment(&f.rules, item("a"), T0, false));
	assert_false(rules_moment(&f.rules, item("r"), T0, true));
	assert_false(rules_moment(&f.rules, item("p"), T0, true));
	assert_false(rules_moment(&f.rules, item("c"), T0, true));
	assert_false(rules_moment(&f.rules, item("o"), T0, true));
	item("a")->shown_ms = T0;
	assert_false(rules_moment(&f.rules, item("a"), T0, true));
}

static void after_three_days_without_the_daemon_nobodys_name_is_shown(void **state)
{
	(void)state;
	assert_false(rules_standing(&f.rules, T0 + 72 * HOUR - 1, T0));
	assert_true(rules_standing(&f.rules, T0 + 72 * HOUR, T0));
	assert_false(rules_standing(&f.rules, T0, 0));
}

/* ---- the set ---- */

static void what_is_taken_back_goes_at_once_also_while_new_ones_are_held_back(void **state)
{
	uint8_t pid[DIBAO_PID_BYTES];

	(void)state;
	put(&(struct draft){.uid = "a"});
	wall_refresh(f.wall, T0, true, false);
	put(&(struct draft){.uid = "b"});
	wall_refresh(f.wall, T0, true, true);
	assert_false(item("b")->is_shown);
	draft_pid("a", pid);
	assert_true(wall_remove(f.wall, pid));
	assert_int_equal(f.n_hidden, 1);
	assert_false(wall_remove(f.wall, pid));
	assert_true(hangs("b", T0));
}

static void what_the_daemon_does_not_tell_again_is_gone_after_a_reconciliation(void **state)
{
	(void)state;
	put(&(struct draft){.uid = "a"});
	put(&(struct draft){.uid = "b"});
	wall_refresh(f.wall, T0, true, false);
	wall_reconcile_begin(f.wall);
	put(&(struct draft){.uid = "b"});
	put(&(struct draft){.uid = "c"});
	assert_int_equal(wall_reconcile_end(f.wall), 1);
	assert_null(item("a"));
	assert_true(hangs("b", T0) && hangs("c", T0));
	assert_int_equal(f.n_hidden, 1);
	assert_int_equal(f.n_removed, 1);
}

static void the_same_view_again_keeps_what_the_board_knows(void **state)
{
	(void)state;
	assert_int_equal(put_at(&(struct draft){0}, T0), 0);
	hangs("u", T0);
	item("u")->shown_ms = T0 + 5;
	put(&(struct draft){0});
	assert_int_equal(item("u")->published_ms, T0);
	assert_int_equal(item("u")->shown_ms, T0 + 5);
	hangs("u", T0);
	assert_int_equal(f.n_shown, 1);
	/* Its name is masked now. */
	put(&(struct draft){.name = "张*"});
	assert_int_equal(item("u")->shown_ms, T0 + 5);
	hangs("u", T0);
	assert_int_equal(f.n_shown, 2);
	assert_int_equal(f.n_hidden, 0);
}

static void past_its_bound_the_far_and_old_go_first(void **state)
{
	char uid[16];

	(void)state;
	begin(40);
	for (int i = 0; i < 30; i++) {
		snprintf(uid, sizeof uid, "own%d", i);
		put(&(struct draft){.uid = uid, .at = T0 - 300 * DAY + i});
	}
	for (int i = 0; i < 30; i++) {
		snprintf(uid, sizeof uid, "far%d", i);
		put(&(struct draft){.uid = uid, .org = FAR_AWAY, .at = T0 - DAY + i});
	}
	wall_refresh(f.wall, T0, true, false);
	assert_int_equal(wall_counts(f.wall).n_held, 40);
	assert_int_equal(wall_counts(f.wall).n_let_go, 20);
	assert_non_null(item("own0"));
	assert_non_null(item("far29"));
	assert_null(item("far19"));
}

static void what_is_over_is_held_for_a_day_lest_the_queues_clock_was_wrong(void **state)
{
	(void)state;
	put(&(struct draft){.at = T0, .expires = T0 + DAY});
	assert_false(hangs("u", T0 + 2 * DAY - 1));
	assert_non_null(item("u"));
	assert_true(hangs("u", T0));
	assert_false(hangs("u", T0 + 2 * DAY));
	assert_null(item("u"));
}

static void the_table_holds_thousands_and_lets_each_go(void **state)
{
	uint8_t pid[DIBAO_PID_BYTES];
	char uid[16];

	(void)state;
	begin(20000);
	for (int i = 0; i < 5000; i++) {
		snprintf(uid, sizeof uid, "n%d", i);
		put(&(struct draft){.uid = uid});
	}
	assert_int_equal(wall_counts(f.wall).n_held, 5000);
	for (int i = 0; i < 5000; i += 2) {
		snprintf(uid, sizeof uid, "n%d", i);
		draft_pid(uid, pid);
		assert_true(wall_remove(f.wall, pid));
	}
	for (int i = 0; i < 5000; i++) {
		snprintf(uid, sizeof uid, "n%d", i);
		assert_int_equal(item(uid) != NULL, i % 2);
	}
}

static void those_shown_come_nearest_and_newest_first(void **state)
{
	const struct item **v;
	size_t n;

	(void)state;
	put(&(struct draft){.uid = "far", .org = FAR_AWAY, .at = T0});
	put(&(struct draft){.uid = "old", .at = T0 - DAY});
	put(&(struct draft){.uid = "new", .at = T0});
	put(&(struct draft){.uid = "over", .at = T0 - 400 * DAY});
	wall_refresh(f.wall, T0, false, false);
	assert_int_equal(wall_shown(f.wall, &v, &n), 0);
	assert_int_equal(n, 3);
	assert_ptr_equal(v[0], item("new"));
	assert_ptr_equal(v[1], item("old"));
	assert_ptr_equal(v[2], item("far"));
	free(v);
}

static void days_end_at_midnight_in_shanghai(void **state)
{
	int64_t ms;
	char day[11];

	(void)state;
	assert_int_equal(day_end("2024-02-29", 10, &ms), 0);
	assert_int_equal(ms, 1709222400000ll); /* 2024-02-29T16:00Z */
	assert_int_equal(day_end("2023-02-29", 10, &ms), -EINVAL);
	assert_int_equal(day_end("2023-02-2", 9, &ms), -EINVAL);
	day_of(1709222400000ll - 1, day);
	assert_string_equal(day, "2024-02-29");
	day_of(1709222400000ll, day);
	assert_string_equal(day, "2024-03-01");
}

#define t(x) cmocka_unit_test_setup_teardown(x, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		t(a_view_has_all_that_the_page_shows),
		t(a_view_cut_anywhere_or_changed_is_refused_or_harmless),
		t(a_view_of_a_private_type_is_not_taken),
		t(a_promotion_hangs_for_sixty_days_and_an_award_for_a_year),
		t(what_expires_earlier_goes_earlier),
		t(a_proposal_disappears_at_midnight_in_shanghai_and_never_turns_final),
		t(without_trusted_time_proposals_are_hidden_and_others_stay),
		t(a_final_one_stands_for_its_proposal_in_whatever_order_they_come),
		t(a_proposal_that_follows_another_does_not_hide_it),
		t(equal_names_of_different_units_show_them),
		t(areas_are_the_nearest_that_one_lies_in),
		t(a_moment_is_for_what_was_published_just_now_and_never_for_history),
		t(after_three_days_without_the_daemon_nobodys_name_is_shown),
		t(what_is_taken_back_goes_at_once_also_while_new_ones_are_held_back),
		t(what_the_daemon_does_not_tell_again_is_gone_after_a_reconciliation),
		t(the_same_view_again_keeps_what_the_board_knows),
		t(past_its_bound_the_far_and_old_go_first),
		t(what_is_over_is_held_for_a_day_lest_the_queues_clock_was_wrong),
		t(the_table_holds_thousands_and_lets_each_go),
		t(those_shown_come_nearest_and_newest_first),
		t(days_end_at_midnight_in_shanghai),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
