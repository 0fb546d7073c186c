/* SPDX-License-Identifier: Apache-2.0 */
/* Receipts at their bound. The gateway is the test's; Redis is away, so that nothing is written. */
#include "../../clients/sms/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct {
	unsigned n_taken, n_refused;
} told;

static void receipt_done(struct driver *d, void *ticket, bool taken)
{
	(void)d, (void)ticket;
	*(taken ? &told.n_taken : &told.n_refused) += 1;
}

static const struct driver_ops ops = {.name = "test", .receipt_done = receipt_done};

static void over_the_bound_receipts_are_refused_and_none_is_called_taken(void **state)
{
	struct driver d = {.ops = &ops};
	struct core c = {.active = true, .backlog = backlog_new()};
	const struct outbox_options away = {.base = "dibao:{3205}:", .name = "sms-1"};
	struct driver_receipt r = {.attempt = 1};
	char ticket;

	(void)state;
	assert_int_equal(outbox_new(&c.outbox, &away), 0);
	for (unsigned k = 0; k < NEWS_MAX + 7; k++) {
		struct item *i;

		snprintf(r.id, sizeof r.id, "u%u", k % 1000);
		i = backlog_find(c.backlog, r.id, strlen(r.id));
		if (!i)
			i = backlog_add(c.backlog, r.id, strlen(r.id));
		i->state = NOTICE_SUBMITTED;
		i->busy = true; /* a step of it is on its way */
		/* These wait for Redis to have noted them, those for the step. */
		r.news = k % 2 ? DRIVER_NEWS_DELIVERED : DRIVER_NEWS_QUEUED;
		news_on_receipt(&d, &r, &ticket, &c);
	}
	assert_int_equal(c.n_news, NEWS_MAX);
	assert_int_equal(told.n_refused, 7);
	assert_int_equal(told.n_taken, 0);
	outbox_cancel(c.outbox); /* as when all is given up */
	assert_int_equal(c.n_news, NEWS_MAX / 2);
	news_drop_all(&c);
	assert_int_equal(c.n_news, 0);
	assert_int_equal(told.n_refused, NEWS_MAX + 7);
	assert_int_equal(told.n_taken, 0);
	backlog_free(c.backlog);
	outbox_free(c.outbox);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(over_the_bound_receipts_are_refused_and_none_is_called_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
