/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All sessions: who is connected, from HELLO to GOODBYE.
 *
 * sessions.c has the registry, the messages and the clockwork (position frames, silence, standby);
 * start.c takes a HELLO or refuses it, starting.c leads from there to the first frame; lease.c has
 * the leases; cursor.c the cursors that are written back; refusal.c what gets no session. They
 * share the struct below; nobody else reads it.
 *
 * A session ends in two steps: it is marked ENDED (nothing is sent to it any more) and freed in a
 * turn of its own, so that no caller finds one freed under it.
 *
 * When Redis is away: sessions stay, nothing is lost. Durable ones whose lease runs out meanwhile
 * are not sent to until it is renewed; a renewal that is refused ends them (superseded).
 */
#ifndef DAEMON_SESSIONS_H
#define DAEMON_SESSIONS_H

#include "access.h"
#include "config.h"
#include "fanout.h"
#include "redis_link.h"

enum { SESSIONS_BUCKETS = 4096, SESSIONS_CURSORS_PER_CALL = 200, SESSIONS_TOLD = 256 };

struct limits;

struct sessions_options {
	sd_event *event;
	const struct config *config; /* borrowed, as all of these */
	const char *base;	     /* "dibao:{3205}:" */
	const char *daemon_id;	     /* for leases: "host:pid:start" */
	const struct queue_clock *clock;
	struct redis_link *main;
	struct router *router;
	struct history *history;
	struct lanes *lanes;
	struct fanout *fanout;
	const struct zap *zap;
	struct limits *limits; /* NULL: none */
	/* ASK, which needs no session. */
	void (*on_ask)(uint32_t routing_id, const void *frame, size_t len, void *userdata);
	void *userdata;
	const struct access *policy; /* until sessions_set_policy() */
};

struct relay_peer;

struct sessions {
	struct sessions_options opt;
	struct session *first;
	struct session *buckets[SESSIONS_BUCKETS];
	unsigned n, n_active, n_standby;
	struct session *ended; /* by queue_next: to be freed */
	sd_event_source *reaper, *tick, *cursor_timer;
	uint64_t next_serial, renew_due_usec;
	unsigned n_outstanding; /* writes under way to Redis, for the drain */
	bool accepting, draining;
	struct told {
		uint32_t routing_id;
		unsigned n_broken; /* protocol errors, each within a second of the last */
		uint64_t until_usec;
	} told[SESSIONS_TOLD];	   /* refusal.c: whom, lately */
	struct relay_peer *relays; /* relay.c: with events on their way, owned */
	uint64_t n_relayed, n_relay_refused;
	uint64_t n_refused, n_revoked, n_protocol_errors, n_superseded, n_no_session, n_receipts,
		n_muted, n_acks;
};

int sessions_new(struct sessions **ret, const struct sessions_options *opt);
struct sessions *sessions_free(struct sessions *m);

/* HELLOs are answered only while accepting: before the tail stands they must wait. */
void sessions_accept(struct sessions *m, bool accept);
void sessions_on_message(struct sessions *m, uint32_t routing_id, const void *frame, size_t len);
void sessions_on_garbage(struct sessions *m, uint32_t routing_id);
/* A message of a peer that chose its routing id. */
void sessions_on_named(struct sessions *m);
/* fanout's on_gone. */
void sessions_on_gone(struct session *s, void *userdata);

/* Another policy is in force. Before this returns every session that holds more than it grants has
 * ended and been told `revoked`; nothing is sent in between. Returns how many. */
unsigned sessions_set_policy(struct sessions *m, const struct access *policy);

/* Events were published again under new ids, up to these: frames up to there may hold repeats. */
void sessions_expect_repeats(struct sessions *m, const struct entry_id upto[DIBAO_CHANNEL_COUNT]);

/* What a position frame says has changed: all get theirs at the next tick. */
void sessions_beat_soon(struct sessions *m);

/* Drain, first step: no new sessions, no new frames. True when nothing is in flight any more. */
void sessions_drain_begin(struct sessions *m);
bool sessions_drained(const struct sessions *m);
/* Second step: cursors flushed, leases released, all told. Then wait for n_outstanding == 0. */
void sessions_goodbye_all(struct sessions *m, enum dibao_reason why, const char *text);

/* ---- between the files ---- */
struct session *sessions_find(struct sessions *m, uint32_t routing_id, uint64_t serial);
void sessions_register(struct sessions *m, struct session *s);
/* GOODBYE with a reason, then end. Writes its cursor and gives its lease back where that is due. */
void sessions_end(struct sessions *m, struct session *s, enum dibao_reason why, const char *text);
void sessions_send_goodbye(struct sessions *m, uint32_t routing_id, enum dibao_reason why,
			   const char *text);
/* id: of log_ids.h, or NULL. Ten a minute of a level. */
void session_log(int level, const char *id, const struct session *s, const char *text);

/* Who broke the protocol must throw the connection away. Of one that does it again and again
 * nothing more is looked at for a second. A table of SESSIONS_TOLD places: of more such connections
 * some are looked at all the same. */
void refusal_broken(struct sessions *m, uint32_t routing_id);
bool refusal_is_muted(struct sessions *m, uint32_t routing_id, uint64_t now);
/* Who sent the message being handed on, by the policy in force; or NULL, and it was refused. */
const struct access_entry *refuse_unknown(struct sessions *m, uint32_t routing_id);
void refusal_count(struct sessions *m, enum dibao_reason why);
/* Who has no session: GOODBYE, one line, one count. Inside the router's on_message or on_garbage.
 */
void refuse(struct sessions *m, uint32_t routing_id, enum dibao_reason why, const char *text);

void start_hello(struct sessions *m, uint32_t routing_id, struct session *s, const void *frame,
		 size_t len, uint64_t now);
/* What a session holds, in the policy's terms. */
struct access_request start_held(const struct session *s);

/* relay.c */
void relay_hello(struct sessions *m, uint32_t routing_id, const struct wire_hello *h);
void relay_on_publish(struct sessions *m, uint32_t routing_id, const void *frame, size_t len);
void relay_free(struct sessions *m);

/* The instance as Redis has it. */
void lease_instance_hex(char ret[2 * WIRE_INSTANCE_BYTES + 1], const struct session *s);
void lease_renew_all(struct sessions *m, uint64_t now);
void lease_release(struct sessions *m, const struct session *s);

void cursor_mark(struct sessions *m, struct session *s);
void cursor_flush(struct sessions *m);				     /* all that are marked */
void cursor_write_last(struct sessions *m, const struct session *s); /* of one that ends */

#endif
