/* SPDX-License-Identifier: Apache-2.0 */
/* A Redis of its own, a link to it, and what keeps house there. For tests: include it behind
 * cmocka.h. */
#ifndef UNIT_HOUSEKEEPING_FIXTURE_H
#define UNIT_HOUSEKEEPING_FIXTURE_H

#include "../../daemon/housekeeping.h"
#include "../../lib/host/log.h"
#include "../../daemon/redis_check.h"
#include "../../lib/queue.h"
#include "redis_server.h"

#include <errno.h>

enum { DEADLINE_MS = 80000 };

#define BUREAU "3205"
#define BASE   "dibao:{3205}:"
#define DAY    UINT64_C(86400000)

struct fixture {
	sd_event *event;
	struct redis_server server;
	struct redis_link *link;
	struct housekeeping *keeper;
	struct config *config;
	struct queue_clock clock;
	struct hidden hidden;
	struct schedule *schedule;
	redisContext *c;
	int n_checks;
	struct redis_check_result check;
};

static int64_t now_ms(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

#define wait_until(f, condition)                                                                   \
	do {                                                                                       \
		int64_t end_ = now_ms(CLOCK_MONOTONIC) + DEADLINE_MS;                              \
		while (!(condition)) {                                                             \
			if (now_ms(CLOCK_MONOTONIC) > end_) {                                      \
				fail_msg("waited in vain for: %s", #condition);                    \
			}                                                                          \
			assert_true(sd_event_run((f)->event, 20 * 1000) >= 0);                     \
		}                                                                                  \
	} while (0)

static void start_with(struct fixture *f, const char *const *extra)
{
	struct redis_link_options opt = {
		.event = f->event,
		.name = "main",
		.address = f->server.address,
		.connect_timeout_ms = 20000,
		.command_timeout_ms = 60000,
	};

	redis_server_start(&f->server, extra);
	f->c = redisConnectUnix(f->server.socket);
	assert_non_null(f->c);
	assert_int_equal(redis_link_new(&f->link, &opt), 0);
	wait_until(f, redis_link_is_up(f->link));
}

static void load_functions(struct fixture *f)
{
	struct dibao_error err;

	if (queue_setup(f->c, BUREAU, &err) < 0) {
		fail_msg("setup: %s", err.reason);
	}
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	housekeeping_free(f->keeper);
	schedule_free(f->schedule);
	redis_link_free(f->link);
	hidden_done(&f->hidden);
	redisFree(f->c);
	config_free(f->config);
	redis_server_done(&f->server);
	sd_event_unref(f->event);
	free(f);
	return 0;
}

/* The integer that a command replies, or the length of its text or array. */
static long long run(struct fixture *f, const char *fmt, ...)
{
	redisReply *r;
	long long n;
	va_list ap;

	va_start(ap, fmt);
	r = redisvCommand(f->c, fmt, ap);
	va_end(ap);
	assert_non_null(r);
	if (r->type == REDIS_REPLY_ERROR) {
		fail_msg("redis: %s", r->str);
	}
	n = r->type == REDIS_REPLY_INTEGER ? r->integer
	    : r->type == REDIS_REPLY_ARRAY ? (long long)r->elements
					   : (long long)r->len;
	freeReplyObject(r);
	return n;
}

#endif
