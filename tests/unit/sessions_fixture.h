/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions as a daemon has them: real router and fanout, a real Redis with the queue's functions,
 * and clients that are bare DEALERs. What a client was told last, by kind, stays with it; frames
 * are acknowledged by hand.
 *
 * The ring holds all from the beginning, so no reader is needed.
 */
#ifndef TESTS_UNIT_SESSIONS_FIXTURE_H
#define TESTS_UNIT_SESSIONS_FIXTURE_H

#include "../../daemon/clock.h"
#include "../../daemon/lane.h"
#include "../../daemon/sessions.h"
#include "../../daemon/zap.h"
#include "../../lib/host/call.h"
#include "../../lib/host/log.h"
#include "../../lib/queue.h"
#include "redis_server.h"

#include <dibao/view.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "event_fixture.h"

enum { DEADLINE_MS = 80000, CLIENTS_MAX = 4, TOLD_MAX = 2048, LONG_MS = 600000 };

#define BUREAU "3205"
#define BASE   "dibao:{3205}:"

struct client {
	void *socket;
	struct wire_hello hello;
	uint8_t told[128][TOLD_MAX]; /* the last message of a kind */
	size_t told_len[128];
	unsigned n_told[128];
	struct wire_data data[DIBAO_CHANNEL_COUNT]; /* the last frame of a channel */
	unsigned n_items, n_frames;
	uint8_t flags; /* of the last frame with items */
};

struct fixture {
	sd_event *event;
	struct redis_server server;
	redisContext *c;
	struct redis_link *link;
	struct config *config;
	struct access *policy;
	struct withdrawn withdrawn;
	struct hidden hidden;
	struct history *history;
	struct lanes *lanes;
	struct router *router;
	struct zap *zap;
	struct fanout *fanout;
	struct sessions *sessions;
	struct queue_clock clock;
	uint8_t view_key[DIBAO_VIEW_KEY_BYTES];
	void *zmq;
	struct client clients[CLIENTS_MAX];
	unsigned n_clients;
};

static inline void on_message(uint32_t routing_id, const void *frame, size_t len, void *userdata)
{
	sessions_on_message(((struct fixture *)userdata)->sessions, routing_id, frame, len);
}

static inline void on_garbage(uint32_t routing_id, void *userdata)
{
	sessions_on_garbage(((struct fixture *)userdata)->sessions, routing_id);
}

static inline void on_gone(struct session *s, void *userdata)
{
	sessions_on_gone(s, ((struct fixture *)userdata)->sessions);
}

/* ---- waiting ---- */

static inline void receive(struct client *k)
{
	uint8_t buf[TOLD_MAX];
	zmq_msg_t payload;
	int n;

	while ((n = zmq_recv(k->socket, buf, sizeof buf, ZMQ_DONTWAIT)) > 0) {
		uint8_t kind = buf[0] & 127;
		struct wire_data d;

		assert_in_range(n, 1, TOLD_MAX);
		memcpy(k->told[kind], buf, (size_t)n);
		k->told_len[kind] = (size_t)n;
		k->n_told[kind]++;
		if (kind != WIRE_DATA)
			continue;
		assert_int_equal(wire_data_unpack(&d, buf, (size_t)n), 0);
		k->data[d.channel] = d;
		if (!d.count)
			continue;
		zmq_msg_init(&payload);
		assert_true(zmq_msg_recv(&payload, k->socket, ZMQ_DONTWAIT) >= 0);
		zmq_msg_close(&payload);
		k->n_items += d.count;
		k->n_frames++;
		k->flags = d.flags;
	}
}

static inline void turn(struct fixture *f)
{
	assert_true(sd_event_run(f->event, 5 * 1000) >= 0);
	for (unsigned i = 0; i < f->n_clients; i++)
		if (f->clients[i].socket)
			receive(&f->clients[i]);
}

#define wait_until(f, condition)                                                                   \
	do {                                                                                       \
		uint64_t end_ = boottime_usec() + DEADLINE_MS * 1000ull;                           \
		while (!(condition)) {                                                             \
			if (boottime_usec() > end_)                                                \
				fail_msg("waited in vain for: %s", #condition);                    \
			turn(f);                                                                   \
		}                                                                                  \
	} while (0)

/* All that is under way to Redis has been answered. */
static inline void settle(struct fixture *f)
{
	redis_link_flush(f->link);
	wait_until(f, f->sessions->n_outstanding == 0);
}

/* ---- Redis ---- */

/* Written before it is answered, so that a killed one has it: with everysec a write may wait for
 * the sync before it. */
static const char *const redis_options[] = {"--appendfsync", "no", NULL};

/* The reply's text, "" for none; until the next call. */
static inline const char *redis(struct fixture *f, const char *format, ...)
{
	static char text[256];
	redisReply *r;
	va_list ap;

	va_start(ap, format);
	r = redisvCommand(f->c, format, ap);
	va_end(ap);
	assert_non_null(r);
	if (r->type == REDIS_REPLY_ERROR)
		fail_msg("redis: %s", r->str);
	if (r->type == REDIS_REPLY_INTEGER)
		snprintf(text, sizeof text, "%lld", r->integer);
	else
		snprintf(text, sizeof text, "%s", r->str ? r->str : "");
	freeReplyObject(r);
	return text;
}

static inline int64_t redis_ms(struct fixture *f)
{
	redisReply *r = redisCommand(f->c, "TIME");
	int64_t ms = atoll(r->element[0]->str) * 1000 + atoll(r->element[1]->str) / 1000;

	freeReplyObject(r);
	return ms;
}

static inline void load_functions(struct fixture *f)
{
	struct dibao_error err;

	if (queue_setup(f->c, BUREAU, &err) < 0)
		fail_msg("setup: %s", err.reason);
}

static inline bool redis_answers(struct fixture *f)
{
	redisReply *r = redisCommand(f->c, "PING");
	bool yes = r && r->type != REDIS_REPLY_ERROR; /* it may still be loading */

	freeReplyObject(r);
	return yes;
}

/* After redis_server_stop(): with all it had. */
static inline void redis_back(struct fixture *f)
{
	redis_server_start(&f->server, redis_options);
	redisFree(f->c);
	f->c = redisConnectUnix(f->server.socket);
	wait_until(f, redis_answers(f) && redis_link_is_up(f->link));
}

static inline void durable(struct fixture *f, const char *name)
{
	redis(f, "FCALL dibao_durable 1 " BASE " set %s 1000", name);
}

static inline int64_t lease_until(struct fixture *f, const char *name)
{
	return atoll(redis(f, "HGET " BASE "lease:%s until", name));
}

/* Another daemon's client has the name from now on. */
static inline void take_away(struct fixture *f, const char *name)
{
	redis(f, "HSET " BASE "lease:%s instance other until %lld", name,
	      (long long)redis_ms(f) + LONG_MS);
	redis(f, "HINCRBY " BASE "lease:%s counter 1", name);
}

static inline struct access *policy_of(const char *words)
{
	FILE *f = fmemopen((void *)(uintptr_t)words, strlen(words), "r");
	struct access *a = NULL;

	assert_int_equal(access_parse(&a, f, "policy", stderr), 0);
	fclose(f);
	return a;
}

/* ---- clients ---- */

static inline struct client *client_new(struct fixture *f)
{
	struct client *k = &f->clients[f->n_clients++];
	int linger = 0;

	assert_in_range(f->n_clients, 1, CLIENTS_MAX);
	memset(k, 0, sizeof *k);
	k->socket = zmq_socket(f->zmq, ZMQ_DEALER);
	assert_non_null(k->socket);
	zmq_setsockopt(k->socket, ZMQ_LINGER, &linger, sizeof linger);
	assert_int_equal(zmq_connect(k->socket, router_last_endpoint(f->router)), 0);
	k->hello = (struct wire_hello){.proto_min = 1,
				       .proto_max = 1,
				       .bureau = {BUREAU, strlen(BUREAU)},
				       .instance = {(uint8_t)f->n_clients}};
	return k;
}

static inline void client_leave(struct client *k)
{
	zmq_close(k->socket);
	k->socket = NULL;
}

static inline void say(struct client *k, const void *p, size_t len)
{
	assert_int_equal(zmq_send(k->socket, p, len, 0), len);
}

static inline void say_hello(struct client *k)
{
	uint8_t buf[4096];
	int n = wire_hello_pack(buf, sizeof buf, &k->hello);

	assert_true(n > 0);
	say(k, buf, (size_t)n);
}

static inline void say_bye(struct client *k)
{
	struct wire_goodbye g = {.reason = DIBAO_REASON_CLOSING};
	uint8_t buf[64];

	say(k, buf, (size_t)wire_goodbye_pack(buf, sizeof buf, WIRE_BYE, &g));
}

/* The last frame of a channel is taken over. */
static inline void say_ack(struct client *k, enum dibao_channel c)
{
	struct wire_ack a = {.n = 1};
	uint8_t buf[WIRE_ACK_MAX];

	a.at[0].channel = (uint8_t)c;
	a.at[0].number = k->data[c].number;
	a.at[0].token = k->data[c].token;
	say(k, buf, wire_ack_pack(buf, &a));
}

/* A frame of each channel came: at the latest the position that says it has caught up. */
static inline bool has_caught_up(const struct client *k)
{
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		if (!k->data[c].number)
			return false;
	return true;
}

/* All frames that came so far are taken over, positions too. */
static inline void say_acks(struct client *k)
{
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		say_ack(k, (enum dibao_channel)c);
}

static inline struct session *session_of(struct fixture *f, const struct client *k)
{
	for (struct session *s = f->sessions->first; s; s = s->next)
		if (!memcmp(s->instance, k->hello.instance, sizeof s->instance))
			return s;
	return NULL;
}

/* A client under a durable name that it registers; not yet answered. */
static inline struct client *client_named(struct fixture *f, const char *name)
{
	struct client *k = client_new(f);

	durable(f, name);
	k->hello.durable = text(name);
	say_hello(k);
	return k;
}

static inline struct session *wait_active(struct fixture *f, struct client *k)
{
	wait_until(f, k->n_told[WIRE_WELCOME]);
	assert_non_null(session_of(f, k));
	return session_of(f, k);
}

static inline unsigned reason_told(const struct client *k)
{
	struct wire_goodbye g;

	assert_true(k->n_told[WIRE_GOODBYE]);
	assert_int_equal(wire_goodbye_unpack(&g, k->told[WIRE_GOODBYE], k->told_len[WIRE_GOODBYE]),
			 0);
	return g.reason;
}

static inline struct wire_welcome welcome_told(const struct client *k)
{
	struct wire_welcome w;

	assert_int_equal(
		wire_welcome_unpack(&w, k->told[WIRE_WELCOME], k->told_len[WIRE_WELCOME], NULL), 0);
	return w;
}

/* What its client has just said has been read. */
static inline void wait_heard(struct fixture *f, struct session *s)
{
	uint64_t was = --s->heard_usec;

	wait_until(f, s->heard_usec != was);
}

/* ---- events ---- */

/* n awards at the tail of a channel; ids go on from the last. */
static inline void append(struct fixture *f, enum dibao_channel c, unsigned n)
{
	struct entry entries[64];
	struct entry_id before = history_tail(f->history, c);
	struct segment *s = NULL;
	uint32_t first = 0;

	assert_in_range(n, 1, 64);
	for (unsigned i = 0; i < n; i++)
		entries[i] = make_entry((struct sample){.ms = before.ms + 1 + i});
	assert_int_equal(history_append(f->history, c, entries, n, entries[n - 1].id, &s, &first),
			 0);
	fanout_live(f->fanout, c, s, first, n, before);
	entries_forget();
}

/* The tail moves on over ids that hold nothing. */
static inline void move_tail(struct fixture *f, enum dibao_channel c, struct entry_id to)
{
	struct segment *s;
	uint32_t first;

	assert_int_equal(history_append(f->history, c, NULL, 0, to, &s, &first), 0);
}

/* ---- set-up ---- */

static inline void make_sessions(struct fixture *f)
{
	struct history_options h = {
		.withdrawn = &f->withdrawn, .ring_bytes = 1 << 24, .slice_bytes = 1 << 24};
	struct router_options r = {.event = f->event,
				   .io_threads = 1,
				   .userdata = f,
				   .on_message = on_message,
				   .on_garbage = on_garbage};
	struct zap_options z = {.event = f->event};
	struct fanout_options o = {.event = f->event,
				   .budget_bytes = 1 << 26,
				   .catchup_percent = 20,
				   .clock = &f->clock,
				   .userdata = f,
				   .on_gone = on_gone,
				   .encode = {.withdrawn = &f->withdrawn,
					      .hidden = &f->hidden,
					      .view_key = f->view_key,
					      .clock = &f->clock}};
	struct sessions_options s = {.event = f->event,
				     .config = f->config,
				     .base = BASE,
				     .daemon_id = "host:1",
				     .clock = &f->clock,
				     .main = f->link,
				     .policy = f->policy};
	char endpoint[128];

	assert_int_equal(history_new(&f->history, &h), 0);
	assert_int_equal(lanes_new(&f->lanes), 0);
	assert_int_equal(router_new(&f->router, &r), 0);
	z.context = router_context(f->router);
	assert_int_equal(zap_new(&f->zap, &z), 0);
	snprintf(endpoint, sizeof endpoint, "ipc://%s/zmq", f->server.dir);
	assert_int_equal(router_bind(f->router, endpoint, ZAP_LOCAL, NULL), 0);
	o.router = f->router;
	o.history = f->history;
	o.lanes = f->lanes;
	assert_int_equal(fanout_new(&f->fanout, &o), 0);
	s.router = f->router;
	s.history = f->history;
	s.lanes = f->lanes;
	s.fanout = f->fanout;
	s.zap = f->zap;
	assert_int_equal(sessions_new(&f->sessions, &s), 0);
	sessions_accept(f->sessions, true);
}

/* Leases and cadences so long that nothing happens by itself; a test shortens what it is about. */
static inline int set_up(void **state)
{
	static struct fixture f;
	struct redis_link_options l = {
		.name = "main", .connect_timeout_ms = 20000, .command_timeout_ms = 60000};

	(void)signal(SIGPIPE, SIG_IGN);
	f = (struct fixture){0};
	log_open("test");
	assert_int_equal(log_set_level("err"), 0);
	assert_true(sd_event_new(&f.event) >= 0);
	redis_server_init(&f.server);
	redis_server_start(&f.server, redis_options);
	f.c = redisConnectUnix(f.server.socket);
	assert_non_null(f.c);
	load_functions(&f);
	assert_int_equal(config_load(&f.config, NULL, NULL), 0);
	f.config->lease_ms = f.config->heartbeat_ms = LONG_MS;
	f.config->silence_ms = 10 * LONG_MS;
	assert_int_equal(access_load(&f.policy, NULL, NULL), 0);
	assert_int_equal(withdrawn_init(&f.withdrawn), 0);
	queue_clock_set(&f.clock, redis_ms(&f));
	l.event = f.event;
	l.address = f.server.address;
	assert_int_equal(redis_link_new(&f.link, &l), 0);
	wait_until(&f, redis_link_is_up(f.link));
	make_sessions(&f);
	f.zmq = zmq_ctx_new();
	*state = &f;
	return 0;
}

static inline int tear_down(void **state)
{
	struct fixture *f = *state;

	redis_link_free(f->link);
	sessions_free(f->sessions);
	fanout_free(f->fanout);
	zap_free(f->zap);
	router_free(f->router, 0);
	lanes_free(f->lanes);
	history_free(f->history);
	for (unsigned i = 0; i < f->n_clients; i++)
		if (f->clients[i].socket)
			zmq_close(f->clients[i].socket);
	zmq_ctx_term(f->zmq);
	withdrawn_done(&f->withdrawn);
	access_free(f->policy);
	config_free(f->config);
	redisFree(f->c);
	redis_server_done(&f->server);
	sd_event_unref(f->event);
	entries_forget();
	return 0;
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

#endif
