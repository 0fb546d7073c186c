/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of a subscriber, from connect to its end, and the way to the next one.
 *
 * A DEALER is connected to exactly one endpoint and thrown away when that ends: at a disconnect or
 * a connection not made (link_socket.c tells), after silence, at GOODBYE, at a protocol error. The
 * next one goes to the next endpoint in turn, after a pause of 50 ms that doubles to 5 s, with
 * jitter; a WELCOME resets it, or 10 s of calm when the last one ended by a protocol error, for
 * that may come again and again.
 */
#include "subscriber_parts.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <time.h>

enum {
	BACKOFF_MIN_USEC = 50000,
	BACKOFF_MAX_USEC = 5000000,
	HELLO_USEC = 1000000,	  /* until answered */
	HELLO_RETRY_USEC = 20000, /* while the connection is not made */
	ANSWER_USEC = 5000000,	  /* then the next endpoint */
	BEATS_OF_SILENCE = 3,
	SILENCE_SLACK_USEC = 1000000,
	STANDBY_BEAT_MS = 15000, /* until a WELCOME told better */
	TIME_MARGIN_MS =
		2000, /* the queue's clock as told lags what was read, and may be set back */
	CALM_USEC = 10000000, /* a connection that broke the protocol must last so long */
	CONTROL_MAX = 4096,
};

uint64_t link_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

bool link_send(struct dibao_subscriber *s, const void *bytes, size_t len, uint64_t now)
{
	if (!s->socket)
		return false;
	s->drained = false;
	if (zmq_send(s->socket, bytes, len, ZMQ_DONTWAIT) < 0)
		return false;
	s->sent_at = now;
	return true;
}

bool link_send_ack(struct dibao_subscriber *s, uint64_t now)
{
	uint8_t buf[WIRE_ACK_MAX];
	struct wire_ack a;

	if (!inflight_take_ack(&s->inflight, &a))
		return true;
	if (link_send(s, buf, wire_ack_pack(buf, &a), now))
		return true;
	for (unsigned i = 0; i < a.n; i++)
		s->inflight.at[a.at[i].channel].floor_sent = 0;
	return false;
}

void link_close(struct dibao_subscriber *s, bool say_goodbye)
{
	static const char why[] = "";
	struct wire_goodbye g = {.reason = DIBAO_REASON_CLOSING, .text = {why, 0}};
	uint8_t buf[64];
	uint64_t now = link_now();
	int n;

	if (!s->socket)
		return;
	if (say_goodbye && s->status.state != DIBAO_STATE_CONNECTING) {
		link_send_ack(s, now);
		n = wire_goodbye_pack(buf, sizeof buf, WIRE_BYE, &g);
		if (n > 0)
			link_send(s, buf, (size_t)n, now);
	}
	link_socket_close(s, say_goodbye);
	subscriber_end_frame(s);
}

/* The connection is over; the next attempt is due after `wait`. */
static void over(struct dibao_subscriber *s, enum dibao_state state, enum dibao_reason why,
		 const char *text, size_t len, uint64_t wait)
{
	bool was_open = s->socket != NULL;

	link_close(s, false);
	if (was_open) {
		inflight_reset(&s->inflight);
		receipts_reset(s);
		s->status.n_reconnects++;
	}
	s->broke_protocol |= why == DIBAO_REASON_PROTOCOL;
	s->connect_at = state == DIBAO_STATE_REFUSED ? UINT64_MAX : link_now() + wait;
	s->ack_due = 0;
	s->live = 0;
	s->status.caught_up = false;
	subscriber_set_state(s, state, why, text, len);
	s->endpoint = (s->endpoint + 1) % s->n_endpoints;
}

static uint64_t next_backoff(struct dibao_subscriber *s)
{
	uint64_t b = s->backoff_usec ? s->backoff_usec * 2 : BACKOFF_MIN_USEC;

	s->backoff_usec = b > BACKOFF_MAX_USEC ? BACKOFF_MAX_USEC : b;
	/* 75 to 125 %: a thousand boards must not come back in step. */
	return s->backoff_usec * 3 / 4 + randombytes_uniform((uint32_t)(s->backoff_usec / 2));
}

void link_fail(struct dibao_subscriber *s, enum dibao_reason why, const char *text)
{
	over(s, DIBAO_STATE_CONNECTING, why, text, strlen(text), next_backoff(s));
}

static void connect_next(struct dibao_subscriber *s, uint64_t now)
{
	int r = link_socket_open(s);
	char text[96];

	s->hello_at = now;
	s->give_up_at = now + ANSWER_USEC;
	s->heard_at = now;
	if (r < 0) {
		snprintf(text, sizeof text, "cannot be opened: %s", zmq_strerror(-r));
		link_fail(s, DIBAO_REASON_NO_ANSWER, text);
	}
}

/* ---- HELLO ---- */

/* Without a durable name the daemon keeps no place for us; after an interruption we ask for what
 * came since the time at which each channel had last caught up, and know again by its bytes what we
 * had. If one never had, history is asked for anew. */
static void choose_start(const struct dibao_subscriber *s, struct wire_hello *h)
{
	int64_t oldest = INT64_MAX;

	h->from = s->opt.start;
	h->from_arg = s->opt.start_arg;
	if (!s->was_active)
		return;
	if (s->durable) {
		h->from = DIBAO_START_RESUME;
		h->from_arg = 0;
		return;
	}
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		if (s->channels >> c & 1 && s->live_ms[c] < oldest)
			oldest = s->live_ms[c];
	if (oldest == INT64_MAX || oldest <= TIME_MARGIN_MS)
		return;
	h->from_arg = oldest - TIME_MARGIN_MS;
	if (s->opt.start == DIBAO_START_TIME && s->opt.start_arg > h->from_arg)
		h->from_arg = s->opt.start_arg;
	h->from = DIBAO_START_TIME;
}

static void send_hello(struct dibao_subscriber *s, uint64_t now)
{
	struct wire_hello h = {
		.proto_min = WIRE_PROTO_MIN,
		.proto_max = WIRE_PROTO_MAX,
		.bureau = {s->bureau, strlen(s->bureau)},
		.n_types = s->n_types,
		.n_orgs = s->n_orgs,
		.public_view = s->opt.public_view,
		.window_bytes = s->window,
	};
	uint8_t buf[CONTROL_MAX];
	int n;

	if (s->durable)
		h.durable = (struct dibao_str){s->durable, strlen(s->durable)};
	memcpy(h.instance, s->instance, sizeof h.instance);
	for (unsigned i = 0; i < s->n_types; i++)
		h.types[i] = (struct dibao_str){s->types[i], strlen(s->types[i])};
	for (unsigned i = 0; i < s->n_orgs; i++)
		h.orgs[i] = (struct dibao_str){s->orgs[i], strlen(s->orgs[i])};
	choose_start(s, &h);
	n = wire_hello_pack(buf, sizeof buf, &h);
	s->hello_at =
		now + (n > 0 && link_send(s, buf, (size_t)n, now) ? HELLO_USEC : HELLO_RETRY_USEC);
}

/* ---- clockwork ---- */

static uint64_t silence(const struct dibao_subscriber *s)
{
	uint32_t beat = s->beat_ms ? s->beat_ms : STANDBY_BEAT_MS;

	return (uint64_t)beat * 1000 * BEATS_OF_SILENCE + SILENCE_SLACK_USEC;
}

static uint64_t alive_interval(const struct dibao_subscriber *s)
{
	uint64_t lease = (uint64_t)s->lease_ms * 1000 / 3, beat = (uint64_t)s->beat_ms * 1000;

	/* The daemon's patience with a silent peer is longer than a beat, its lease may not be. */
	return !s->lease_ms ? HELLO_USEC * 5 : lease < beat || !beat ? lease : beat;
}

static bool readable(void *socket)
{
	int events = 0;
	size_t n = sizeof events;

	while (zmq_getsockopt(socket, ZMQ_EVENTS, &events, &n) < 0)
		if (zmq_errno() != EINTR)
			return false;
	return events & ZMQ_POLLIN;
}

static void send_alive(struct dibao_subscriber *s, uint64_t now)
{
	static const uint8_t alive = WIRE_ALIVE;

	/* If it does not get through: not before it is due again. */
	if (!link_send(s, &alive, 1, now))
		s->sent_at = now;
}

void link_timers(struct dibao_subscriber *s, uint64_t now)
{
	if (s->status.state == DIBAO_STATE_REFUSED)
		return;
	if (!s->socket) {
		if (now >= s->connect_at)
			connect_next(s, now);
		return;
	}
	if (s->status.state == DIBAO_STATE_CONNECTING) {
		if (now >= s->give_up_at && !readable(s->socket))
			link_fail(s, DIBAO_REASON_NO_ANSWER,
				  s->shook_hands ? "connected, but HELLO is not answered"
						 : "it cannot be reached, or is silent");
		else if (now >= s->hello_at)
			send_hello(s, now);
		return;
	}
	if (s->backoff_usec && now >= s->calm_at) {
		s->backoff_usec = 0;
		s->broke_protocol = false;
	}
	/* It was perhaps we who did not listen. */
	if (now >= s->heard_at + silence(s) && !readable(s->socket)) {
		link_fail(s, DIBAO_REASON_LOST, "nothing was heard for too long");
		return;
	}
	receipts_send(s, now);
	if (now >= s->sent_at + alive_interval(s))
		send_alive(s, now);
}

uint64_t link_next_due(const struct dibao_subscriber *s)
{
	uint64_t due, other;

	if (s->status.state == DIBAO_STATE_REFUSED)
		return UINT64_MAX;
	if (!s->socket)
		return s->connect_at;
	if (s->status.state == DIBAO_STATE_CONNECTING)
		return s->hello_at < s->give_up_at ? s->hello_at : s->give_up_at;
	due = s->heard_at + silence(s);
	other = s->sent_at + alive_interval(s);
	return due < other ? due : other;
}

/* ---- messages ---- */

static int on_welcome(struct dibao_subscriber *s, const void *p, size_t len)
{
	struct wire_welcome w;

	if (wire_welcome_unpack(&w, p, len, NULL) < 0 || w.proto < WIRE_PROTO_MIN ||
	    w.proto > WIRE_PROTO_MAX || w.public_view != s->opt.public_view)
		return -EPROTO;
	if (s->status.state == DIBAO_STATE_ACTIVE)
		return 0;
	s->lease_ms = w.lease_ms;
	s->beat_ms = w.beat_ms;
	s->granted = s->inflight.window = w.window_bytes;
	if (!s->broke_protocol)
		s->backoff_usec = 0;
	s->calm_at = link_now() + CALM_USEC;
	s->channels = w.channels;
	s->welcome_ms = w.clock_ms;
	if (!s->was_active)
		for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
			s->live_ms[c] = s->opt.start == DIBAO_START_LAST   ? 0
					: s->opt.start == DIBAO_START_TIME ? s->opt.start_arg
									   : w.clock_ms;
	s->was_active = true;
	s->status.token_epoch = w.epoch;
	s->status.token_counter = w.counter;
	s->status.heartbeat_ms = w.clock_ms;
	subscriber_set_state(s, DIBAO_STATE_ACTIVE, DIBAO_REASON_NONE, "", 0);
	receipts_send(s, link_now());
	return 0;
}

static int on_goodbye(struct dibao_subscriber *s, const void *p, size_t len)
{
	struct wire_goodbye g;
	char text[160];

	if (wire_goodbye_unpack(&g, p, len) < 0)
		return -EPROTO;
	/* The text dies with the socket's message. */
	snprintf(text, sizeof text, "%.*s", (int)g.text.len, g.text.p ? g.text.p : "");
	switch (g.reason) {
	case DIBAO_REASON_REFUSED:
	case DIBAO_REASON_REVOKED:
	case DIBAO_REASON_VERSION:
		over(s, DIBAO_STATE_REFUSED, g.reason, text, strlen(text), 0);
		break;
	case DIBAO_REASON_DRAINING:
	case DIBAO_REASON_NO_SESSION:
	case DIBAO_REASON_SUPERSEDED:
		over(s, DIBAO_STATE_CONNECTING, g.reason, text, strlen(text), BACKOFF_MIN_USEC);
		break;
	default:
		over(s, DIBAO_STATE_CONNECTING, g.reason, text, strlen(text), next_backoff(s));
	}
	return 0;
}

static int on_lost(struct dibao_subscriber *s, const void *p, size_t len)
{
	struct dibao_lost out = {0};
	struct wire_lost l;

	if (wire_lost_unpack(&l, p, len, NULL) < 0)
		return -EPROTO;
	out.channel = l.channel;
	out.from_ms = l.from_ms;
	out.to_ms = l.to_ms;
	snprintf(out.reason, sizeof out.reason, "%.*s", (int)l.reason.len,
		 l.reason.p ? l.reason.p : "");
	if (s->opt.on_lost)
		s->opt.on_lost(s, &out, s->opt.userdata);
	return 0;
}

/* A message of one frame that is not DATA. */
static int on_control(struct dibao_subscriber *s, const uint8_t *p, size_t len)
{
	int64_t clock;
	uint64_t id;
	int err;

	switch (len ? p[0] : 0) {
	case WIRE_WELCOME:
		return on_welcome(s, p, len);
	case WIRE_STANDBY:
		if (wire_standby_unpack(&clock, p, len) < 0)
			return -EPROTO;
		s->status.heartbeat_ms = clock;
		send_alive(s, link_now());
		if (s->status.state == DIBAO_STATE_CONNECTING) {
			s->backoff_usec = 0;
			subscriber_set_state(s, DIBAO_STATE_STANDBY, DIBAO_REASON_NONE, "", 0);
		}
		return 0;
	case WIRE_LOST:
		return on_lost(s, p, len);
	case WIRE_CONFIRM:
		if (wire_confirm_unpack(&id, &err, p, len) < 0)
			return -EPROTO;
		receipts_confirmed(s, id, err);
		return 0;
	case WIRE_GOODBYE:
		return on_goodbye(s, p, len);
	default:
		return -EPROTO;
	}
}

/* The rest of a message that has more frames than it should. */
static void drop_rest(struct dibao_subscriber *s, zmq_msg_t *m)
{
	while (zmq_msg_more(m) && zmq_msg_recv(m, s->socket, ZMQ_DONTWAIT) >= 0)
		;
}

static int on_data(struct dibao_subscriber *s, zmq_msg_t *m, const struct wire_data *h)
{
	if (s->status.state != DIBAO_STATE_ACTIVE)
		return -EPROTO;
	if ((h->count > 0) != (zmq_msg_more(m) != 0))
		return -EPROTO;
	if (h->count && (zmq_msg_recv(m, s->socket, ZMQ_DONTWAIT) < 0 || zmq_msg_more(m)))
		return -EPROTO;
	return subscriber_begin_frame(s, h, m);
}

/* None of this is final, as a refusal by GOODBYE is: nobody vouches for it, anyone on the wire may
 * have done it; and the policy may know the key a minute later. */
static void on_ended(struct dibao_subscriber *s)
{
	const char *text = "";
	enum dibao_reason why = link_socket_ended(s, &text);

	if (why != DIBAO_REASON_NONE)
		link_fail(s, why, text);
}

int link_receive(struct dibao_subscriber *s, uint64_t now)
{
	struct wire_data h;
	zmq_msg_t m;
	int r;

	if (!s->socket)
		return 0;
	zmq_msg_init(&m);
	if (zmq_msg_recv(&m, s->socket, ZMQ_DONTWAIT) < 0) {
		r = zmq_errno();
		zmq_msg_close(&m);
		if (r == EINTR)
			return 1;
		if (r != EAGAIN)
			return -r;
		s->drained = true;
		/* What arrived before the break has been read; now the break itself. */
		on_ended(s);
		return 0;
	}
	s->drained = false;
	s->heard_at = now;
	if (wire_data_unpack(&h, zmq_msg_data(&m), zmq_msg_size(&m)) == 0) {
		r = on_data(s, &m, &h);
	} else if (zmq_msg_more(&m)) {
		r = -EPROTO;
	} else {
		r = on_control(s, zmq_msg_data(&m), zmq_msg_size(&m));
	}
	if (s->socket)
		drop_rest(s, &m);
	zmq_msg_close(&m);
	if (r < 0)
		link_fail(s, DIBAO_REASON_PROTOCOL,
			  r == -ENOBUFS ? "more than the window" : "unexpected message");
	return 1;
}

bool link_has_more(struct dibao_subscriber *s)
{
	return s->socket && ((!s->drained && readable(s->socket)) || s->monitor_due);
}
