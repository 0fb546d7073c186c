/* SPDX-License-Identifier: Apache-2.0 */
#include "router.h"
#include "clock.h"
#include "wire.h"
#include "zmq_source.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>

enum {
	MESSAGES_PER_TURN = 256,
	/* So reading junk takes a few percent of the loop at most. What comes in bursts below that
	 * rate does not pause the reading: an ACK among it would be late, and a late ACK costs the
	 * good peers more than the junk (measured). */
	JUNK_PER_MS = 32,
	JUNK_BURST_MS = 8,
	JUNK_PAUSE_USEC = 1000,
	/* Messages queued for one peer. Credit bounds bytes; this bounds the small ones. */
	SEND_HWM = 4096,
	RECEIVE_HWM = 1000,
	BACKLOG = 1024,
	HANDSHAKE_MS = 5000,
	ZMTP_BEAT_MS = 5000,
	ZMTP_TIMEOUT_MS = 15000,
	MAXRT_MS = 30000,
	ENDPOINT_MAX = 256,
	ID_BYTES = 5,
	ID_MAX = 255,
	CURVE_OVERHEAD = 33,	 /* of a message, RFC 26: command, nonce, seal, flags */
	ZAP_ENFORCE_DOMAIN = 93, /* a draft of libzmq's, for its header */
};

struct router {
	struct router_options opt;
	void *context, *socket;
	struct zmq_source *source;
	zmq_msg_t *current;	/* borrowed: the message being handed on */
	uint8_t sender[ID_MAX]; /* who sent it, */
	size_t sender_len;	/* 0 = none */
	unsigned n_junk;	/* of the messages read in this turn */
	uint64_t junk_usec;	/* CLOCK_BOOTTIME: all that was read is paid for by then */
	char endpoint[ENDPOINT_MAX];
	uint8_t tag_key[crypto_shorthash_KEYBYTES];
};

/* False: no number of libzmq's. (A peer may choose what looks like one; no API tells them apart.)
 */
static bool numbered(const struct router *r, uint32_t *ret_routing_id)
{
	if (r->sender_len != ID_BYTES || r->sender[0] != 0)
		return false;
	memcpy(ret_routing_id, r->sender + 1, sizeof *ret_routing_id);
	return true;
}

static void hand_on(struct router *r, zmq_msg_t *frame, bool more)
{
	uint32_t routing_id;

	r->current = frame;
	if (!numbered(r, &routing_id))
		r->opt.on_named(r->opt.userdata);
	else if (more)
		r->opt.on_garbage(routing_id, r->opt.userdata);
	else
		r->opt.on_message(routing_id, zmq_msg_data(frame), zmq_msg_size(frame),
				  r->opt.userdata);
	r->current = NULL;
}

/* Reads one message. 1 read, 0 none there, or -errno. */
static int receive(struct router *r)
{
	zmq_msg_t frame;
	int more = 1;

	zmq_msg_init(&frame);
	for (int i = 0; more; i++) {
		if (zmq_msg_recv(&frame, r->socket, ZMQ_DONTWAIT) < 0) {
			int e = zmq_errno();

			zmq_msg_close(&frame);
			return e == EAGAIN ? 0 : e == EINTR ? 1 : -e;
		}
		more = zmq_msg_more(&frame);
		if (i == 0) {
			r->sender_len = zmq_msg_size(&frame);
			memcpy(r->sender, zmq_msg_data(&frame), r->sender_len);
		} else if (i == 1) {
			hand_on(r, &frame, more);
		}
	}
	zmq_msg_close(&frame);
	return 1;
}

/* Is it more than may be read for now? */
static bool junk_is_over(struct router *r, unsigned n)
{
	uint64_t now = boottime_usec(), earliest = now - JUNK_BURST_MS * 1000u;

	if (r->junk_usec < earliest)
		r->junk_usec = earliest;
	r->junk_usec += n * (1000u / JUNK_PER_MS);
	if (r->junk_usec <= now)
		return false;
	if (r->junk_usec > now + JUNK_PAUSE_USEC)
		r->junk_usec = now + JUNK_PAUSE_USEC; /* it is paid for by one pause */
	return true;
}

static int on_readable(void *socket, void *userdata)
{
	struct router *r = userdata;

	(void)socket;
	r->n_junk = 0;
	for (int i = 0; i < MESSAGES_PER_TURN; i++) {
		unsigned before = r->n_junk;
		int k = receive(r);

		if (k <= 0)
			return k;
		if (r->n_junk > before && junk_is_over(r, r->n_junk - before) &&
		    2 * r->n_junk > (unsigned)i) {
			zmq_source_pause(r->source, JUNK_PAUSE_USEC);
			return 0;
		}
	}
	return 0;
}

static int set(void *socket, int option, int value)
{
	return zmq_setsockopt(socket, option, &value, sizeof value) < 0 ? -zmq_errno() : 0;
}

/* libzmq (4.3.4) numbers peers from rand(), which it does not seed: all daemons would begin with
 * the same number. Who knows the number of a peer that just left could choose it as its own and get
 * what is sent before the end is noticed; who chooses the next one ends the daemon by an assertion.
 */
static void number_at_random(void)
{
	unsigned seed;

	randombytes_buf(&seed, sizeof seed);
	srand(seed);
}

int router_new(struct router **ret, const struct router_options *opt)
{
	const struct {
		int option, value;
	} options[] = {
		{ZMQ_ROUTER_MANDATORY, 1},
		{ZMQ_SNDHWM, SEND_HWM},
		{ZMQ_RCVHWM, RECEIVE_HWM},
		{ZMQ_HANDSHAKE_IVL, opt->handshake_ms ? (int)opt->handshake_ms : HANDSHAKE_MS},
		{ZMQ_HEARTBEAT_IVL, ZMTP_BEAT_MS},
		{ZMQ_HEARTBEAT_TIMEOUT, ZMTP_TIMEOUT_MS},
		{ZMQ_HEARTBEAT_TTL, ZMTP_TIMEOUT_MS},
		{ZMQ_TCP_MAXRT, MAXRT_MS},
		{ZMQ_BACKLOG, BACKLOG},
		{ZMQ_LINGER, 0},
	};
	/* The one option of 64 bits; what is over the limit itself is told so (wire_unpack.c). */
	const int64_t longest =
		(opt->message_bytes ? opt->message_bytes : WIRE_MESSAGE_MAX) + CURVE_OVERHEAD;
	struct router *r = calloc(1, sizeof *r);
	int e;

	if (!r)
		return -ENOMEM;
	r->opt = *opt;
	randombytes_buf(r->tag_key, sizeof r->tag_key);
	r->context = zmq_ctx_new();
	if (!r->context) {
		free(r);
		return -ENOMEM;
	}
	zmq_ctx_set(r->context, ZMQ_IO_THREADS, (int)opt->io_threads);
	zmq_ctx_set(r->context, ZMQ_MAX_SOCKETS, 64);
	number_at_random();
	r->socket = zmq_socket(r->context, ZMQ_ROUTER);
	e = r->socket ? 0 : -zmq_errno();
	for (size_t i = 0; e == 0 && i < sizeof options / sizeof options[0]; i++)
		e = set(r->socket, options[i].option, options[i].value);
	if (e == 0 && zmq_setsockopt(r->socket, ZMQ_MAXMSGSIZE, &longest, sizeof longest) < 0)
		e = -zmq_errno();
	if (e == 0)
		e = zmq_source_new(&r->source, opt->event, r->socket, on_readable, r);
	if (e < 0) {
		router_free(r, 0);
		return e;
	}
	*ret = r;
	return 0;
}

struct router *router_free(struct router *r, int linger_ms)
{
	if (!r)
		return NULL;
	zmq_source_free(r->source);
	if (r->socket) {
		set(r->socket, ZMQ_LINGER, linger_ms);
		zmq_close(r->socket);
	}
	zmq_ctx_term(r->context);
	free(r);
	return NULL;
}

void router_note_junk(struct router *r)
{
	r->n_junk++;
}

int router_monitor(struct router *r, const char *endpoint, int events)
{
	return zmq_socket_monitor(r->socket, endpoint, events) < 0 ? -zmq_errno() : 0;
}

void *router_context(struct router *r)
{
	return r->context;
}

const char *router_user_id(const struct router *r)
{
	/* Of the payload's frame: that of the id loses its properties (libzmq 4.3.4). */
	return r->current ? zmq_msg_gets(r->current, "User-Id") : NULL;
}

int router_source(const struct router *r)
{
	return r->current ? zmq_msg_get(r->current, ZMQ_SRCFD) : -1;
}

/* Options hold for the binds that follow, so each endpoint has its own. */
static int secure(struct router *r, const char *zap_domain, const char *secret_key)
{
	int e = 0;

	if (zmq_setsockopt(r->socket, ZMQ_ZAP_DOMAIN, zap_domain, strlen(zap_domain)) < 0)
		return -zmq_errno();
	/* Without it a connection passes that no handler was asked about. Not in every libzmq; what
	 * holds everywhere is zap.h's secret. */
	e = set(r->socket, ZAP_ENFORCE_DOMAIN, 1);
	if (e < 0 && e != -EINVAL)
		return e;
	e = set(r->socket, ZMQ_CURVE_SERVER, secret_key != NULL);
	if (e == 0 && secret_key &&
	    zmq_setsockopt(r->socket, ZMQ_CURVE_SECRETKEY, secret_key, strlen(secret_key)) < 0)
		e = -zmq_errno();
	return e;
}

int router_bind(struct router *r, const char *endpoint, const char *zap_domain,
		const char *secret_key)
{
	size_t n = sizeof r->endpoint;
	int e = secure(r, zap_domain, secret_key);

	if (e < 0)
		return e;
	if (zmq_bind(r->socket, endpoint) < 0)
		return -zmq_errno();
	if (zmq_getsockopt(r->socket, ZMQ_LAST_ENDPOINT, r->endpoint, &n) < 0)
		return -zmq_errno();
	return 0;
}

const char *router_last_endpoint(struct router *r)
{
	return r->endpoint;
}

uint32_t router_tag(const struct router *r, uint32_t routing_id)
{
	uint8_t hash[crypto_shorthash_BYTES];
	uint32_t tag;

	crypto_shorthash(hash, (const uint8_t *)&routing_id, sizeof routing_id, r->tag_key);
	memcpy(&tag, hash, sizeof tag);
	return tag;
}

int router_answer(struct router *r, const void *frame, size_t len)
{
	if (zmq_send(r->socket, r->sender, r->sender_len, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0 ||
	    zmq_send(r->socket, frame, len, ZMQ_DONTWAIT) < 0)
		return -zmq_errno();
	return 0;
}

int router_send(struct router *r, uint32_t routing_id, const void *header, size_t len,
		zmq_msg_t *payload)
{
	uint8_t id[ID_BYTES] = {0};
	zmq_msg_t shared;

	memcpy(id + 1, &routing_id, sizeof routing_id);
	/* EAGAIN and EHOSTUNREACH come on the id's frame; the later ones do not fail. */
	if (zmq_send(r->socket, id, sizeof id, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0)
		return -zmq_errno();
	if (zmq_send(r->socket, header, len, ZMQ_DONTWAIT | (payload ? ZMQ_SNDMORE : 0)) < 0)
		return -zmq_errno();
	if (!payload)
		return 0;
	zmq_msg_init(&shared);
	if (zmq_msg_copy(&shared, payload) < 0 ||
	    zmq_msg_send(&shared, r->socket, ZMQ_DONTWAIT) < 0) {
		int e = -zmq_errno();

		zmq_msg_close(&shared);
		return e;
	}
	return 0;
}
