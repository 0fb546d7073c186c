/* SPDX-License-Identifier: Apache-2.0 */
/* Segments are made by the real history; sessions are only pointers to a lane. */
#include "../../daemon/lane.h"
#include "../../daemon/session.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "event_fixture.h"

struct fixture {
	struct withdrawn withdrawn;
	struct history *history;
	struct lanes *lanes;
	uint64_t ms;
	struct segment *segment; /* of the last append */
	uint32_t first;
};

static int set_up(void **state)
{
	static struct fixture f;
	struct history_options opt = {
		.withdrawn = &f.withdrawn, .ring_bytes = 1 << 22, .slice_bytes = 1 << 22};

	f = (struct fixture){0};
	assert_int_equal(withdrawn_init(&f.withdrawn), 0);
	assert_int_equal(history_new(&f.history, &opt), 0);
	assert_int_equal(lanes_new(&f.lanes), 0);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	lanes_free(f->lanes);
	history_free(f->history);
	withdrawn_done(&f->withdrawn);
	entries_forget();
	return 0;
}

/* Each NULL: all. */
static struct filter filter_of(bool public_view, const char *type, const char *org)
{
	struct filter f = {.public_view = public_view};

	assert_true(!type || filter_add_type(&f, text(type)) == 0);
	assert_true(!org || filter_add_org(&f, text(org)) == 0);
	return f;
}

static struct lane *join(struct fixture *f, bool public_view, const char *type, const char *org)
{
	struct filter filter = filter_of(public_view, type, org);
	struct lane *lane = NULL;

	assert_int_equal(lanes_join(f->lanes, &filter, &lane), 0);
	return lane;
}

/* All in one append; ids follow each other. */
#define append(f, ...)                                                                             \
	append_all(f, (struct sample[]){__VA_ARGS__},                                              \
		   sizeof(struct sample[]){__VA_ARGS__} / sizeof(struct sample))

static void append_all(struct fixture *f, struct sample *samples, size_t n)
{
	struct entry entries[16];

	assert_in_range(n, 1, 16);
	for (size_t i = 0; i < n; i++) {
		samples[i].ms = ++f->ms;
		entries[i] = make_entry(samples[i]);
	}
	assert_int_equal(history_append(f->history, DIBAO_CHANNEL_PUBLIC, entries, n,
					(struct entry_id){f->ms, 0}, &f->segment, &f->first),
			 0);
}

/* What the lane's list holds of the last append, as one digit each: "023". */
static const char *routed(struct fixture *f, const struct lane *lane, uint32_t n)
{
	static char digits[32];
	struct lane *dirty = lanes_route(f->lanes, f->segment, f->first, n);

	digits[0] = '\0';
	while (dirty) {
		struct lane *next = dirty->next_dirty;

		for (uint32_t i = 0; dirty == lane && i < dirty->n_wanted; i++) {
			(void)snprintf(digits + i, sizeof digits - i, "%u",
				       dirty->wanted[i] - f->first);
		}
		dirty->n_wanted = 0;
		dirty = next;
	}
	return digits;
}

static void equal_filters_share_a_lane_and_others_do_not(void **state)
{
	struct fixture *f = *state;
	struct lane *a = join(f, false, "award", "3205"), *b = join(f, false, "award", "3205"),
		    *c = join(f, true, "award", "3205");

	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, c);
	assert_int_equal(a->n_sessions, 2);
	assert_int_equal(lanes_count(f->lanes), 2);
}

static void a_lane_goes_with_its_last_session_and_its_serial_never_comes_back(void **state)
{
	struct fixture *f = *state;
	struct lane *a = join(f, false, NULL, NULL);
	uint64_t serial = a->serial;

	assert_ptr_equal(join(f, false, NULL, NULL), a);
	lanes_leave(f->lanes, a);
	assert_int_equal(lanes_count(f->lanes), 1);
	lanes_leave(f->lanes, a);
	assert_int_equal(lanes_count(f->lanes), 0);
	assert_true(join(f, false, NULL, NULL)->serial > serial);
}

static void any_lane_may_leave_before_the_others(void **state)
{
	struct fixture *f = *state;
	struct lane *first = join(f, false, "award", NULL), *middle = join(f, false, NULL, "3205"),
		    *last = join(f, false, "penalty", NULL), *again;

	append(f, {.type = "award"});
	lanes_leave(f->lanes, middle);
	assert_ptr_equal(join(f, false, "penalty", NULL), last);
	lanes_leave(f->lanes, last);
	assert_string_equal(routed(f, first, 1), "0");
	lanes_leave(f->lanes, last);
	again = join(f, false, NULL, "3205");
	lanes_leave(f->lanes, first);
	assert_string_equal(routed(f, again, 1), "0");
	assert_int_equal(lanes_count(f->lanes), 1);
}

static void a_lane_that_leaves_takes_its_own_place_in_the_index_and_not_its_neighbours(void **state)
{
	struct fixture *f = *state;
	struct lane *older = join(f, false, "award", "3205"),
		    *newer = join(f, true, "award", "3205");

	append(f, {.type = "award"});
	lanes_leave(f->lanes, older);
	assert_string_equal(routed(f, newer, 1), "0");
	older = newer;
	newer = join(f, false, "award", "3205");
	lanes_leave(f->lanes, newer);
	assert_string_equal(routed(f, older, 1), "0");
}

static void a_record_goes_to_lanes_by_type_and_by_prefix_of_organisation(void **state)
{
	struct fixture *f = *state;
	const struct {
		const char *type, *org, *expected;
	} cases[] = {
		{NULL, NULL, "0123"},	    {"award", NULL, "02"},    {"penalty", NULL, "1"},
		{"of_tomorrow", NULL, "3"}, {NULL, "3205", "0123"},   {NULL, "320508", "013"},
		{NULL, GUSU, "013"},	    {NULL, WUZHONG, "2"},     {"award", WUZHONG, "2"},
		{"award", "320508", "0"},   {"penalty", WUZHONG, ""}, {NULL, "33", ""},
	};
	struct lane *lanes[sizeof cases / sizeof cases[0]];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		lanes[i] = join(f, false, cases[i].type, cases[i].org);
	}
	append(f, {.type = "award"}, {.type = "penalty"}, {.type = "award", .org = WUZHONG},
	       {.type = "of_tomorrow"});
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_string_equal(routed(f, lanes[i], 4), cases[i].expected);
	}
}

/* Who checks entries lets none such by; here it would be more than there is room for. */
static void a_type_longer_than_a_filter_can_name_goes_to_who_wants_all(void **state)
{
	static const char type[] =
		"a-type-of-tomorrow-that-has-a-name-of-more-than-two-times-32-bytes";
	struct fixture *f = *state;
	struct lane *all = join(f, false, NULL, NULL), *named = join(f, false, "award", GUSU);

	append(f, {.type = "", .w_type = type, .w_uid = "old"});
	assert_string_equal(routed(f, all, 1), "0");
	assert_string_equal(routed(f, named, 1), "");
}

/* Both the type and two prefixes, and the withdrawal beside the event, point at it. */
static void a_lane_that_is_found_by_several_ways_gets_a_record_once(void **state)
{
	struct fixture *f = *state;
	struct filter filter = filter_of(true, "award", "3205");
	struct lane *lane = NULL;

	assert_int_equal(filter_add_type(&filter, text("promotion")), 0);
	assert_int_equal(filter_add_org(&filter, text("33")), 0);
	assert_int_equal(lanes_join(f->lanes, &filter, &lane), 0);
	append(f, {.type = "award", .w_type = "promotion", .w_org = WUZHONG, .w_uid = "old"});
	assert_string_equal(routed(f, lane, 1), "0");
}

static void routing_begins_at_the_first_record_asked_for(void **state)
{
	struct fixture *f = *state;
	struct lane *lane = join(f, false, NULL, NULL);

	append(f, {.type = "award"}, {.type = "award"});
	append(f, {.type = "award"});
	assert_int_equal(f->first, 2);
	assert_string_equal(routed(f, lane, 1), "0");
}

static void a_lane_that_leaves_does_not_blind_one_with_as_long_a_prefix(void **state)
{
	struct fixture *f = *state;
	struct lane *stays = join(f, false, NULL, "320508"), *goes = join(f, false, NULL, "320506");

	append(f, {.type = "award"});
	lanes_leave(f->lanes, goes);
	assert_string_equal(routed(f, stays, 1), "0");
}

static void without_lanes_nothing_is_routed(void **state)
{
	struct fixture *f = *state;

	append(f, {.type = "award"});
	assert_null(lanes_route(f->lanes, f->segment, f->first, 1));
}

/* Every lane that lane_wants() says is found by the index, and no other. */
static void the_index_and_the_decision_agree(void **state)
{
	static const char *const types[] = {NULL, "award", "penalty", "of_tomorrow", "promotion"};
	static const char *const orgs[] = {NULL, "3", "3205", "320506", GUSU, WUZHONG, "44"};
	struct fixture *f = *state;

	for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
		for (size_t o = 0; o < sizeof orgs / sizeof orgs[0]; o++) {
			join(f, false, types[t], orgs[o]);
			join(f, true, types[t], orgs[o]);
		}
	}
	append(f, {.type = "award"}, {.type = "award", .is_private = true},
	       {.type = "penalty", .org = WUZHONG}, {.type = "of_tomorrow"},
	       {.type = "", .w_type = "award", .w_uid = "a"},
	       {.type = "", .w_type = "of_tomorrow", .w_org = WUZHONG, .w_uid = "b"},
	       {.type = "award", .w_type = "promotion", .w_org = WUZHONG, .w_uid = "c"},
	       {.type = "award", .hidden = "F0001 -1"});
	for (uint32_t i = 0; i < 8; i++) {
		const struct record *r = &f->segment->records[f->first + i];
		struct lane *dirty = lanes_route(f->lanes, f->segment, f->first + i, 1);
		unsigned n_found = 0, n_wanting = 0; /* found by the index; by asking each */

		for (; dirty; dirty = dirty->next_dirty) {
			assert_int_not_equal(lane_wants(dirty, f->segment, r), LANE_NOTHING);
			assert_int_equal(dirty->n_wanted, 1);
			n_found++;
			dirty->n_wanted = 0;
		}
		/* Each filter again: joining finds the lane that is there. */
		for (size_t k = 0; k < 2 * 5 * 7; k++) {
			struct lane *lane = join(f, k % 2, types[k / 2 / 7], orgs[k / 2 % 7]);

			n_wanting += lane_wants(lane, f->segment, r) != LANE_NOTHING;
			lanes_leave(f->lanes, lane);
		}
		assert_int_equal(n_found, n_wanting);
	}
}

static unsigned wants(struct fixture *f, bool public_view, const char *type, const char *org)
{
	struct lane lane = {.filter = filter_of(public_view, type, org)};

	return lane_wants(&lane, f->segment, &f->segment->records[f->first]);
}

static void a_public_view_never_wants_a_private_event(void **state)
{
	struct fixture *f = *state;

	append(f, {.type = "award", .is_private = true});
	assert_int_equal(wants(f, true, NULL, NULL), LANE_NOTHING);
	assert_int_equal(wants(f, true, "award", NULL), LANE_NOTHING);
	assert_int_equal(wants(f, false, NULL, NULL), LANE_EVENT);
	append(f, {.type = "penalty"});
	assert_int_equal(wants(f, true, "penalty", NULL), LANE_NOTHING);
	append(f, {.type = "of_tomorrow"});
	assert_int_equal(wants(f, true, NULL, NULL), LANE_NOTHING);
}

static void who_gets_the_whole_event_reads_in_it_what_it_takes_back(void **state)
{
	struct fixture *f = *state;

	append(f, {.type = "award", .w_type = "award", .w_uid = "old"});
	assert_int_equal(wants(f, false, NULL, NULL), LANE_EVENT);
	assert_int_equal(wants(f, true, NULL, NULL), LANE_EVENT | LANE_WITHDRAWN);
}

/* It had the original under its own type and organisation: it must learn that it is void. */
static void who_had_the_original_alone_is_told_that_it_is_withdrawn(void **state)
{
	struct fixture *f = *state;

	append(f, {.type = "award", .org = WUZHONG, .w_type = "promotion", .w_uid = "old"});
	assert_int_equal(wants(f, false, "promotion", NULL), LANE_WITHDRAWN);
	assert_int_equal(wants(f, false, NULL, GUSU), LANE_WITHDRAWN);
	assert_int_equal(wants(f, false, "award", GUSU), LANE_NOTHING);
	assert_int_equal(wants(f, false, "award", NULL), LANE_EVENT);
}

static void what_is_because_of_a_hidden_badge_is_for_public_views_alone(void **state)
{
	struct fixture *f = *state;

	append(f, {.type = "award", .hidden = "F0001 -1"});
	assert_int_equal(wants(f, false, NULL, NULL), LANE_NOTHING);
	assert_int_equal(wants(f, true, NULL, NULL), LANE_EVENT);
	append(f, {.type = "", .w_type = "award", .w_uid = "old", .hidden = "F0001 0"});
	assert_int_equal(wants(f, false, NULL, NULL), LANE_NOTHING);
	assert_int_equal(wants(f, true, NULL, NULL), LANE_WITHDRAWN);
	append(f, {.type = "", .hidden = "F0001 0"});
	assert_int_equal(wants(f, true, NULL, NULL), LANE_NOTHING);
}

static void leaving_the_step_moves_the_last_one_into_the_place(void **state)
{
	struct fixture *f = *state;
	struct lane *lane = join(f, false, NULL, NULL);
	struct session s[40];

	for (int i = 0; i < 40; i++) {
		assert_int_equal(lane_step_add(lane, DIBAO_CHANNEL_PUBLIC, &s[i]), i);
	}
	assert_ptr_equal(lane_step_remove(lane, DIBAO_CHANNEL_PUBLIC, 3), &s[39]);
	assert_ptr_equal(lane->in_step[DIBAO_CHANNEL_PUBLIC].v[3], &s[39]);
	assert_null(lane_step_remove(lane, DIBAO_CHANNEL_PUBLIC, 38));
	assert_int_equal(lane->in_step[DIBAO_CHANNEL_PUBLIC].n, 38);
	assert_int_equal(lane->in_step[DIBAO_CHANNEL_PRIVATE].n, 0);
}

/* The most that one HELLO may ask: 32 types times 64 organisations. */
static void the_widest_filter_is_found_and_leaves_nothing_behind(void **state)
{
	struct fixture *f = *state;
	struct filter filter = {0};
	struct lane *lane = NULL, *all;
	char name[16];

	for (int i = 0; i < WIRE_TYPES_MAX - 1; i++) {
		(void)snprintf(name, sizeof name, "a-%d", i);
		assert_int_equal(filter_add_type(&filter, text(name)), 0);
	}
	assert_int_equal(filter_add_type(&filter, text("award")), 0);
	for (int i = 0; i < WIRE_ORGS_MAX - 1; i++) {
		(void)snprintf(name, sizeof name, "11%02d", i);
		assert_int_equal(filter_add_org(&filter, text(name)), 0);
	}
	assert_int_equal(filter_add_org(&filter, text(GUSU)), 0);
	assert_int_equal(lanes_join(f->lanes, &filter, &lane), 0);
	append(f, {.type = "award"}, {.type = "award", .org = WUZHONG},
	       {.type = "a-0", .org = "110000000000"}, {.type = "a-30", .org = "116200000000"});
	assert_string_equal(routed(f, lane, 4), "023");
	all = join(f, false, NULL, NULL);
	lanes_leave(f->lanes, lane);
	assert_string_equal(routed(f, all, 4), "0123");
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(equal_filters_share_a_lane_and_others_do_not),
		TEST(a_lane_goes_with_its_last_session_and_its_serial_never_comes_back),
		TEST(any_lane_may_leave_before_the_others),
		TEST(a_lane_that_leaves_takes_its_own_place_in_the_index_and_not_its_neighbours),
		TEST(a_record_goes_to_lanes_by_type_and_by_prefix_of_organisation),
		TEST(a_type_longer_than_a_filter_can_name_goes_to_who_wants_all),
		TEST(a_lane_that_is_found_by_several_ways_gets_a_record_once),
		TEST(routing_begins_at_the_first_record_asked_for),
		TEST(a_lane_that_leaves_does_not_blind_one_with_as_long_a_prefix),
		TEST(without_lanes_nothing_is_routed),
		TEST(the_index_and_the_decision_agree),
		TEST(a_public_view_never_wants_a_private_event),
		TEST(who_gets_the_whole_event_reads_in_it_what_it_takes_back),
		TEST(who_had_the_original_alone_is_told_that_it_is_withdrawn),
		TEST(what_is_because_of_a_hidden_badge_is_for_public_views_alone),
		TEST(leaving_the_step_moves_the_last_one_into_the_place),
		TEST(the_widest_filter_is_found_and_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
