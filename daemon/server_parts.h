/* SPDX-License-Identifier: Apache-2.0 */
/* What server.c holds, for bringup.c, loading.c, policy.c and control.c, which fill and show it. */
#ifndef DAEMON_SERVER_PARTS_H
#define DAEMON_SERVER_PARTS_H

#include "fanout.h"
#include "lane.h"
#include "sessions.h"

#include <dibao/view.h>

struct canary;
struct control;
struct feed;
struct housekeeping;
struct limits;
struct schedule;

struct server {
	struct config *config;	 /* owned, as all below unless said */
	const char *config_path; /* borrowed */
	bool unsafe_redis;
	sd_event *event;
	sd_event_source *sigterm, *sigint, *sighup, *drain_timer, *recheck;
	struct redis_link *main, *tail, *range;
	struct reader *reader;
	struct withdrawn withdrawn;
	struct hidden hidden;
	struct queue_clock clock;
	struct schedule *schedule;
	struct history *history;
	struct lanes *lanes;
	struct fanout *fanout;
	struct router *router;
	struct limits *limits;
	struct zap *zap;
	struct sessions *sessions;
	struct access *policy;
	struct control *control;
	struct housekeeping *housekeeping;
	struct canary *canary;
	struct feed *feed; /* NULL: none */
	struct frame_context encode;
	char curve_key[DIBAO_KEY_TEXT]; /* secret; "" = none, or bound already */
	char *password;			/* secret; NULL: none, or handed to the links */
	uint8_t view_key[DIBAO_VIEW_KEY_BYTES];
	char base[64], daemon_id[128];
	uint64_t epoch, started_usec, drain_until_usec;
	bool loaded;			       /* state of Redis read once */
	bool serving;			       /* bound and READY */
	bool checked;			       /* Redis is safe, as far as this connection knows */
	bool busy;			       /* a step of bringup.c waits for Redis */
	bool reading;			       /* the tail stands */
	bool rollback_again, rollback_changed; /* the comparison broke off, with repairs made */
	bool draining, said_goodbye;
	char run_id[64]; /* of the Redis that our history is of */
	int exit_code;
};

/* loading.c: read epoch, persisted tail and withdrawals over `main`; then done(ok). */
void loading_start(struct server *s, void (*done)(struct server *s, int err,
						  const struct entry_id tail[DIBAO_CHANNEL_COUNT]));

/* server.c */
int server_reload(struct server *s, char *ret_text, size_t cap);

#endif
