/* SPDX-License-Identifier: Apache-2.0 */
#include "../../daemon/filter.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#define ORG "320501000000"

static struct dibao_str str(const char *s)
{
	return (struct dibao_str){s, strlen(s)};
}

/* Both lists end with NULL. */
static struct filter make(bool public_view, const char *const *types, const char *const *orgs)
{
	struct wire_hello hello = {.public_view = public_view};
	const char *why = NULL;
	struct filter f;

	for (; *types; types++) {
		hello.types[hello.n_types++] = str(*types);
	}
	for (; *orgs; orgs++) {
		hello.orgs[hello.n_orgs++] = str(*orgs);
	}
	assert_int_equal(filter_init(&f, &hello, &why), 0);
	return f;
}

#define LIST(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void without_types_and_orgs_it_matches_all_unknown_types_too(void **state)
{
	struct filter f = make(false, LIST(), LIST());

	(void)state;
	assert_true(filter_matches(&f, str("promotion"), ORG));
	assert_true(filter_matches(&f, str("of_tomorrow"), ORG));
}

static void it_matches_the_types_named_and_no_other(void **state)
{
	struct filter f = make(false, LIST("award", "promotion"), LIST());

	(void)state;
	assert_true(filter_matches(&f, str("promotion"), ORG));
	assert_true(filter_matches(&f, str("award"), ORG));
	assert_false(filter_matches(&f, str("penalty"), ORG));
	assert_false(filter_matches(&f, str("awards"), ORG));
	assert_false(filter_matches(&f, str("awar"), ORG));
	assert_false(filter_matches(&f, str(""), ORG));
}

static void a_type_of_tomorrow_can_be_named(void **state)
{
	struct filter f = make(false, LIST("of_tomorrow"), LIST());

	(void)state;
	assert_true(filter_matches(&f, str("of_tomorrow"), ORG));
	assert_false(filter_matches(&f, str("promotion"), ORG));
}

static void an_organisation_is_matched_by_prefix_or_whole(void **state)
{
	struct filter f = make(false, LIST(), LIST("3205", "320601000000"));

	(void)state;
	assert_true(filter_matches(&f, str("award"), "320501000000"));
	assert_true(filter_matches(&f, str("award"), "320599999999"));
	assert_false(filter_matches(&f, str("award"), "320600000000"));
	assert_true(filter_matches(&f, str("award"), "320601000000"));
	assert_false(filter_matches(&f, str("award"), "320601000001"));
	assert_false(filter_matches(&f, str("award"), "132050000000"));
}

static void type_and_organisation_must_both_match(void **state)
{
	struct filter f = make(false, LIST("award"), LIST("3205"));

	(void)state;
	assert_true(filter_matches(&f, str("award"), "320501000000"));
	assert_false(filter_matches(&f, str("award"), "330501000000"));
	assert_false(filter_matches(&f, str("penalty"), "320501000000"));
}

static void a_public_view_is_attached_to_the_public_channels_alone(void **state)
{
	struct filter board = make(true, LIST(), LIST()), full = make(false, LIST(), LIST());
	unsigned public = 1u << DIBAO_CHANNEL_PUBLIC | 1u << DIBAO_CHANNEL_PUBLIC_NOW;

	(void)state;
	assert_int_equal(filter_channels(&board), public);
	assert_int_equal(filter_channels(&full), (1u << DIBAO_CHANNEL_COUNT) - 1);
}

/* Those that a board may ask for are decided by their channel and by the encoder of the view. */
static void a_view_and_another_never_share_a_filter(void **state)
{
	struct filter board = make(true, LIST("award"), LIST("3205")), masked = board,
		      full = make(false, LIST("award"), LIST("3205"));

	(void)state;
	masked.mask_names = true;
	assert_false(filter_equal(&board, &full));
	assert_false(filter_equal(&board, &masked));
	assert_true(filter_equal(&board, &board));
}

static void order_and_doubles_do_not_make_another_filter(void **state)
{
	struct filter a = make(false, LIST("award", "promotion"), LIST("3205", "3301")),
		      b = make(false, LIST("promotion", "award", "promotion"),
			       LIST("3301", "3205", "3301"));

	(void)state;
	assert_true(filter_equal(&a, &b));
	assert_int_equal(b.n_types, 2);
	assert_int_equal(b.n_orgs, 2);
}

static void filters_that_differ_in_one_name_differ(void **state)
{
	struct filter a = make(false, LIST("award"), LIST("3205")),
		      b = make(false, LIST("award2"), LIST("3205")),
		      c = make(false, LIST("award"), LIST("32051")),
		      d = make(false, LIST("award"), LIST()), e = make(false, LIST(), LIST("3205"));

	(void)state;
	assert_false(filter_equal(&a, &b));
	assert_false(filter_equal(&a, &c));
	assert_false(filter_equal(&a, &d));
	assert_false(filter_equal(&a, &e));
	assert_false(filter_equal(&d, &a));
	assert_false(filter_equal(&e, &a));
}

static void an_organisation_that_another_covers_falls_away_in_whatever_order(void **state)
{
	struct filter wide = make(false, LIST(), LIST("32", "33"));
	const char *const *const orders[] = {
		LIST("32", "3205", "320501", "33"),
		LIST("3205", "33", "320501", "32"),
		LIST("320501000000", "3299", "33", "32", "3200"),
		LIST("33", "3299", "320501", "32", "3205", "32"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
		struct filter f = make(false, LIST(), orders[i]);

		assert_true(filter_equal(&f, &wide));
	}
}

/* All the room that there is, in the order that moves most. */
static void as_many_types_and_organisations_fit_as_a_hello_may_hold(void **state)
{
	struct wire_hello hello = {.n_types = WIRE_TYPES_MAX, .n_orgs = WIRE_ORGS_MAX};
	char types[WIRE_TYPES_MAX][FILTER_TYPE_MAX + 1], orgs[WIRE_ORGS_MAX][DIBAO_ORG_BYTES + 1];
	const char *why = NULL;
	struct filter f;

	(void)state;
	for (int i = 0; i < WIRE_TYPES_MAX; i++) {
		(void)snprintf(types[i], sizeof types[i], "%032d", WIRE_TYPES_MAX - i);
		hello.types[i] = str(types[i]);
	}
	for (int i = 0; i < WIRE_ORGS_MAX; i++) {
		(void)snprintf(orgs[i], sizeof orgs[i], "%012d", WIRE_ORGS_MAX - i);
		hello.orgs[i] = str(orgs[i]);
	}
	assert_int_equal(filter_init(&f, &hello, &why), 0);
	assert_int_equal(f.n_types, WIRE_TYPES_MAX);
	assert_int_equal(f.n_orgs, WIRE_ORGS_MAX);
	for (int t = 0; t < WIRE_TYPES_MAX; t++) {
		for (int o = 0; o < WIRE_ORGS_MAX; o++) {
			assert_true(filter_matches(&f, str(types[t]), orgs[o]));
		}
	}
	assert_false(filter_matches(&f, str(types[0]), "000000000065"));
}

static void a_name_that_is_empty_too_long_or_no_digits_is_refused_with_its_reason(void **state)
{
	static const char *const types[] = {"", "123456789012345678901234567890123"};
	static const char *const orgs[] = {"", "3205010000001", "32a5", "-3205", "3205\n"};
	const char *why = NULL;
	struct filter f;

	(void)state;
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		struct wire_hello hello = {.n_types = 1, .types = {str(types[i])}};

		assert_int_equal(filter_init(&f, &hello, &why), -EINVAL);
		assert_non_null(strstr(why, "types"));
	}
	for (size_t i = 0; i < sizeof orgs / sizeof orgs[0]; i++) {
		struct wire_hello hello = {.n_orgs = 1, .orgs = {str(orgs[i])}};

		assert_int_equal(filter_init(&f, &hello, &why), -EINVAL);
		assert_non_null(strstr(why, "orgs"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_types_and_orgs_it_matches_all_unknown_types_too),
		cmocka_unit_test(it_matches_the_types_named_and_no_other),
		cmocka_unit_test(a_type_of_tomorrow_can_be_named),
		cmocka_unit_test(an_organisation_is_matched_by_prefix_or_whole),
		cmocka_unit_test(type_and_organisation_must_both_match),
		cmocka_unit_test(a_public_view_is_attached_to_the_public_channels_alone),
		cmocka_unit_test(a_view_and_another_never_share_a_filter),
		cmocka_unit_test(order_and_doubles_do_not_make_another_filter),
		cmocka_unit_test(filters_that_differ_in_one_name_differ),
		cmocka_unit_test(an_organisation_that_another_covers_falls_away_in_whatever_order),
		cmocka_unit_test(as_many_types_and_organisations_fit_as_a_hello_may_hold),
		cmocka_unit_test(
			a_name_that_is_empty_too_long_or_no_digits_is_refused_with_its_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
