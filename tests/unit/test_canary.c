/* SPDX-License-Identifier: Apache-2.0 */
/* The canary beside a public encoder that is sound, and several that are not (linked by --wrap). */
#include "../../daemon/canary.h"

#include <dibao/view.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static enum {
	SOUND,
	TAKES_PRIVATE,
	TAKES_PENALTIES,
	TAKES_RETRACTIONS,
	ADDS_THE_UID,
	SAYS_NOTHING
} fault;

int __real_dibao_view_encode(const struct dibao_event *ev, const uint8_t *key, bool mask, void *buf,
			     size_t cap);
int __wrap_dibao_view_encode(const struct dibao_event *ev, const uint8_t *key, bool mask, void *buf,
			     size_t cap);

int __wrap_dibao_view_encode(const struct dibao_event *ev, const uint8_t *key, bool mask, void *buf,
			     size_t cap)
{
	struct dibao_event other = *ev;
	int n;

	if (fault == TAKES_PRIVATE)
		other.is_private = false;
	if (fault == TAKES_PENALTIES && ev->type >= 0 && !strncmp(ev->type_name.p, "penalty", 7))
		other.is_private = false;
	if (fault == TAKES_RETRACTIONS)
		other.retracts = (struct dibao_str){NULL, 0};
	if (fault == SAYS_NOTHING)
		return -EACCES;
	n = __real_dibao_view_encode(&other, key, mask, buf, cap);
	if (fault == ADDS_THE_UID && n > 0) {
		memcpy((char *)buf + n, ev->uid.p, ev->uid.len);
		n += (int)ev->uid.len;
	}
	return n;
}

static void a_sound_encoder_lets_no_canary_by(void **state)
{
	char why[120] = "";

	(void)state;
	fault = SOUND;
	for (int i = 0; i < 3; i++)
		assert_int_equal(canary_fly(why, sizeof why), 0);
	assert_string_equal(why, "");
}

static void each_fault_of_the_encoder_is_found_and_named(void **state)
{
	static const char *const said[] = {
		[TAKES_PRIVATE] = "canary: a penalty gets by the public encoder",
		[TAKES_PENALTIES] = "canary: a penalty gets by the public encoder",
		[TAKES_RETRACTIONS] = "canary: a retraction gets by the public encoder",
		[ADDS_THE_UID] = "canary: a public award gets by with what is internal",
		[SAYS_NOTHING] = "canary: a public award gets by the public encoder",
	};

	(void)state;
	for (fault = TAKES_PRIVATE; fault <= SAYS_NOTHING; fault++) {
		char why[120] = "";

		assert_int_equal(canary_fly(why, sizeof why), -EACCES);
		assert_string_equal(why, said[fault]);
	}
}

static void every_private_type_of_the_table_flies(void **state)
{
	size_t n, found;
	const struct dibao_type_spec *types = dibao_types(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		found = 0;
		for (size_t k = 0; canary_type(k); k++)
			found += !strcmp(canary_type(k), types[i].name);
		if (!found)
			fail_msg("no canary of type %s: daemon/canary.c lacks it", types[i].name);
	}
}

static unsigned n_leaks;

static void on_leak(const char *why, void *userdata)
{
	assert_non_null(strstr(why, "canary: "));
	(void)userdata;
	n_leaks++;
}

static void it_flies_at_start_and_again_and_tells_the_first_leak(void **state)
{
	struct config config = {.canary_ms = 5};
	struct canary *c;
	sd_event *event;

	(void)state;
	fault = SOUND;
	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(canary_new(&c, &(struct canary_options){.event = event,
								 .config = &config,
								 .on_leak = on_leak}),
			 0);
	assert_int_equal(canary_counters(c)->n_flights, 0);
	assert_int_equal(canary_start(c), 0);
	assert_int_equal(canary_counters(c)->n_flights, 1);
	assert_true(canary_counters(c)->last_ms > 0);
	while (canary_counters(c)->n_flights < 3)
		assert_true(sd_event_run(event, UINT64_MAX) >= 0);
	assert_int_equal(n_leaks, 0);
	fault = TAKES_PRIVATE;
	while (!n_leaks)
		assert_true(sd_event_run(event, UINT64_MAX) >= 0);
	assert_int_equal(canary_start(c), -EACCES);
	assert_int_equal(n_leaks, 2);
	canary_free(c);
	sd_event_unref(event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sound_encoder_lets_no_canary_by),
		cmocka_unit_test(each_fault_of_the_encoder_is_found_and_named),
		cmocka_unit_test(every_private_type_of_the_table_flies),
		cmocka_unit_test(it_flies_at_start_and_again_and_tells_the_first_leak),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
