/* SPDX-License-Identifier: Apache-2.0 */
#include "../../daemon/withdrawn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

enum { MANY = 5000 };

static int set_up(void **state)
{
	static struct withdrawn w;

	assert_int_equal(withdrawn_init(&w), 0);
	*state = &w;
	return 0;
}

static int tear_down(void **state)
{
	withdrawn_done(*state);
	return 0;
}

static uint64_t hash_of(const struct withdrawn *w, int i)
{
	char uid[32];

	(void)snprintf(uid, sizeof uid, "uid-%d", i);
	return withdrawn_hash(w, uid, strlen(uid));
}

static void an_empty_set_has_nobody(void **state)
{
	assert_false(withdrawn_has(*state, hash_of(*state, 1)));
}

static void it_has_what_was_added_and_nothing_else_while_it_grows(void **state)
{
	struct withdrawn *w = *state;

	for (int i = 0; i < MANY; i += 2) {
		assert_int_equal(withdrawn_add(w, hash_of(w, i)), 0);
	}
	assert_int_equal(w->n, MANY / 2);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(withdrawn_has(w, hash_of(w, i)), i % 2 == 0);
	}
}

static void the_table_stays_at_most_half_full(void **state)
{
	struct withdrawn *w = *state;

	for (int i = 0; i < MANY; i++) {
		assert_int_equal(withdrawn_add(w, hash_of(w, i)), 0);
		assert_true(2 * w->n <= w->cap);
	}
	assert_true(w->cap <= 8 * (size_t)MANY);
}

static void adding_twice_counts_once(void **state)
{
	struct withdrawn *w = *state;

	for (int i = 0; i < MANY; i++) {
		assert_int_equal(withdrawn_add(w, hash_of(w, 1)), 0);
	}
	assert_int_equal(w->n, 1);
}

/* Neighbours at the end of the table go on at its start. */
static void hashes_that_collide_at_the_tables_end_are_all_found(void **state)
{
	struct withdrawn *w = *state;
	uint64_t last = w->cap - 1;

	for (uint64_t i = 1; i <= 10; i++) {
		assert_int_equal(withdrawn_add(w, i * w->cap + last), 0);
	}
	assert_int_equal(w->cap, last + 1);
	for (uint64_t i = 1; i <= 10; i++) {
		assert_true(withdrawn_has(w, i * w->cap + last));
	}
	assert_false(withdrawn_has(w, 11 * w->cap + last));
}

static void after_clear_it_is_empty_and_takes_members_again(void **state)
{
	struct withdrawn *w = *state;

	assert_int_equal(withdrawn_add(w, hash_of(w, 1)), 0);
	withdrawn_clear(w);
	assert_int_equal(w->n, 0);
	assert_false(withdrawn_has(w, hash_of(w, 1)));
	assert_int_equal(withdrawn_add(w, hash_of(w, 2)), 0);
	assert_false(withdrawn_has(w, hash_of(w, 1)));
	assert_true(withdrawn_has(w, hash_of(w, 2)));
}

/* A producer who chose uids could otherwise make them all fall into one place. */
static void two_sets_hash_by_keys_of_their_own(void **state)
{
	struct withdrawn other;

	assert_int_equal(withdrawn_init(&other), 0);
	assert_int_not_equal(hash_of(*state, 1), hash_of(&other, 1));
	assert_int_equal(hash_of(*state, 1), hash_of(*state, 1));
	withdrawn_done(&other);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_empty_set_has_nobody),
		TEST(it_has_what_was_added_and_nothing_else_while_it_grows),
		TEST(the_table_stays_at_most_half_full),
		TEST(adding_twice_counts_once),
		TEST(hashes_that_collide_at_the_tables_end_are_all_found),
		TEST(after_clear_it_is_empty_and_takes_members_again),
		TEST(two_sets_hash_by_keys_of_their_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
