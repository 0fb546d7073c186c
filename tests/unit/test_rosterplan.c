/* SPDX-License-Identifier: Apache-2.0 */
/* What an import does to a roster as time goes by; the rest is tests/e2e/64-roster.t. */
#include "../../clients/ctl/roster_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static const int64_t day = 86400000, t0 = 1795513600000;

static struct roster_item item(const char *badge, const char *name, const char *phone, bool active)
{
	struct roster_item it = {.active = active};

	strcpy(it.badge, badge);
	strcpy(it.name, name);
	strcpy(it.phone, phone);
	return it;
}

/* A roster of at most 8 rows, and imports into it. */
struct world {
	struct roster_old old[8];
	size_t n;
	struct roster_plan plan;
};

static void apply(struct world *w)
{
	for (size_t i = 0; i < w->plan.n_writes; i++) {
		const struct roster_write *wr = &w->plan.writes[i];
		size_t k = 0;

		while (k < w->n && strcmp(w->old[k].badge, wr->badge) != 0)
			k++;
		if (k < w->n)
			free(w->old[k].row);
		else
			w->n++;
		if (!wr->row) {
			memmove(&w->old[k], &w->old[k + 1], (w->n - k - 1) * sizeof w->old[0]);
			w->n--;
			continue;
		}
		strcpy(w->old[k].badge, wr->badge);
		w->old[k].row = strdup(wr->row);
		assert_int_equal(
			roster_decode(&w->old[k].person, w->old[k].row, strlen(w->old[k].row)), 0);
	}
}

static void import(struct world *w, struct roster_item *items, size_t n, int64_t now_ms)
{
	struct roster_file f = {.items = items, .n = n, .has_org = true};

	roster_plan_done(&w->plan);
	assert_int_equal(roster_plan_make(&w->plan, w->old, w->n, &f, false, now_ms), 0);
	apply(w);
}

static const struct roster_person *who(const struct world *w, const char *badge)
{
	for (size_t i = 0; i < w->n; i++)
		if (!strcmp(w->old[i].badge, badge))
			return &w->old[i].person;
	return NULL;
}

static void done(struct world *w)
{
	roster_plan_done(&w->plan);
	while (w->n)
		free(w->old[--w->n].row);
}

static void who_is_not_listed_has_left_keeps_a_row_for_a_year_and_is_dropped(void **state)
{
	struct roster_item both[] = {item("A1", "甲", "15400000001", true),
				     item("B1", "乙", "15400000002", true)};
	struct world w = {0};

	(void)state;
	import(&w, both, 2, t0);
	import(&w, both, 1, t0 + day);
	assert_int_equal(w.plan.missing, 1);
	assert_false(who(&w, "B1")->active);
	assert_int_equal(who(&w, "B1")->left_on, t0 + day);
	assert_int_equal(who(&w, "B1")->phone.len, 11);
	import(&w, both, 1, t0 + 366 * day);
	assert_int_equal(w.plan.missing + w.plan.removed, 0);
	assert_int_equal(who(&w, "B1")->left_on, t0 + day);
	import(&w, both, 1, t0 + 366 * day + 1);
	assert_int_equal(w.plan.removed, 1);
	assert_null(who(&w, "B1"));
	done(&w);
}

static void who_is_listed_again_is_back_with_the_number_as_old_as_it_was(void **state)
{
	struct roster_item both[] = {item("A1", "甲", "15400000001", true),
				     item("B1", "乙", "15400000002", true)};
	struct world w = {0};

	(void)state;
	import(&w, both, 2, t0);
	import(&w, both, 1, t0 + day);
	import(&w, both, 2, t0 + 2 * day);
	assert_int_equal(w.plan.back, 1);
	assert_true(who(&w, "B1")->active);
	assert_int_equal(who(&w, "B1")->left_on, 0);
	assert_int_equal(who(&w, "B1")->lacking_since, 0);
	assert_int_equal(who(&w, "B1")->phone_since, t0);
	done(&w);
}

static void a_day_of_leaving_is_the_lists_own_or_the_day_it_was_first_seen(void **state)
{
	struct roster_item a[] = {item("A1", "甲", "15400000001", true),
				  item("B1", "乙", "15400000002", false)};
	struct world w = {0};

	(void)state;
	import(&w, a, 2, t0);
	/* Of whom nothing was known before, nothing is known now. */
	assert_int_equal(who(&w, "B1")->left_on, 0);
	a[0].active = false;
	import(&w, a, 2, t0 + day);
	assert_int_equal(who(&w, "A1")->left_on, t0 + day);
	import(&w, a, 2, t0 + 2 * day);
	assert_int_equal(who(&w, "A1")->left_on, t0 + day);
	a[0].left_on = t0 - 5 * day;
	import(&w, a, 2, t0 + 3 * day);
	assert_int_equal(who(&w, "A1")->left_on, t0 - 5 * day);
	done(&w);
}

static void a_leavers_number_is_not_shared_with_who_has_it_now_but_has_moved(void **state)
{
	struct roster_item a[] = {item("A1", "甲", "15400000001", true),
				  item("B1", "乙", "15400000002", true)};
	struct world w = {0};

	(void)state;
	import(&w, a, 2, t0);
	a[0].active = false;
	strcpy(a[1].phone, "15400000001");
	import(&w, a, 2, t0 + day);
	assert_false(who(&w, "B1")->shared);
	assert_true(who(&w, "B1")->moved);
	assert_int_equal(who(&w, "B1")->phone_since, t0 + day);
	assert_int_equal(w.plan.moved.n, 1);
	/* The leaver comes back with it: now two have it. */
	a[0].active = true;
	import(&w, a, 2, t0 + 2 * day);
	assert_true(who(&w, "A1")->shared && who(&w, "B1")->shared);
	done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_not_listed_has_left_keeps_a_row_for_a_year_and_is_dropped),
		cmocka_unit_test(who_is_listed_again_is_back_with_the_number_as_old_as_it_was),
		cmocka_unit_test(a_day_of_leaving_is_the_lists_own_or_the_day_it_was_first_seen),
		cmocka_unit_test(a_leavers_number_is_not_shared_with_who_has_it_now_but_has_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
