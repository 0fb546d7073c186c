/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ROUTER socket: binds the endpoints, receives messages of subscribers, sends to one peer
 * without ever waiting for it (ROUTER_MANDATORY: a full peer is EAGAIN for itself alone).
 *
 * Routing ids are the server-generated ones (a zero byte and a number of four, the first one at
 * random); a peer that chose its own is refused, for an identity is never derived from it. A peer's
 * number is told to nobody and stands in no log (router_tag()): with it another peer could take its
 * place in the moment after it left.
 */
#ifndef DAEMON_ROUTER_H
#define DAEMON_ROUTER_H

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>
#include <zmq.h>

struct router;

struct router_options {
	sd_event *event;
	unsigned io_threads;
	unsigned handshake_ms;	/* 0 = 5000 */
	uint32_t message_bytes; /* 0 = WIRE_MESSAGE_MAX */
	void *userdata;
	/* A message of one frame. */
	void (*on_message)(uint32_t routing_id, const void *frame, size_t len, void *userdata);
	/* A message of several frames: nothing that the protocol has. */
	void (*on_garbage)(uint32_t routing_id, void *userdata);
	/* A message of a peer that chose its routing id: router_answer() gets there. */
	void (*on_named)(void *userdata);
};

int router_new(struct router **ret, const struct router_options *opt);
/* Closes the socket, giving what is queued at most linger_ms. */
struct router *router_free(struct router *r, int linger_ms);

/* For the authentication handler, which must be bound first; borrowed. */
void *router_context(struct router *r);

/* zap_domain: which of zap.h's ways in this is; secret_key: CURVE, Z85; NULL: none. */
int router_bind(struct router *r, const char *endpoint, const char *zap_domain,
		const char *secret_key);
/* The endpoint as bound, port filled in; borrowed until the next call. */
const char *router_last_endpoint(struct router *r);

/* The User-Id of the message being handed to on_message; NULL: it has none. Borrowed until that
 * returns. What it is worth zap_user() says. */
const char *router_user_id(const struct router *r);

/* The descriptor of the connection on which it came, which may be another's by now; -1: none is
 * known, as on ipc. */
int router_source(const struct router *r);

/* The message being handed on was of no use, or one of those that nobody needs so often. When most
 * of what comes is so, reading pauses: the peers whose messages are read share what is left. */
void router_note_junk(struct router *r);

/* libzmq's monitor of the socket, at an inproc endpoint; events: ZMQ_EVENT_... */
int router_monitor(struct router *r, const char *endpoint, int events);

/* What stands for a peer in a log. */
uint32_t router_tag(const struct router *r, uint32_t routing_id);

/* One frame to who sent the message being handed on. 0 or -errno. */
int router_answer(struct router *r, const void *frame, size_t len);

/* One frame, or header and payload. payload is shared, not consumed; NULL: none.
 * 0, -EAGAIN the peer's queue is full, -EHOSTUNREACH it is gone, or another error. */
int router_send(struct router *r, uint32_t routing_id, const void *header, size_t len,
		zmq_msg_t *payload);

#endif
