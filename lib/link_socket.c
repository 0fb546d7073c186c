/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket of one connection and the monitor beside it: made, watched, closed, and what the
 * monitor tells of how it ended.
 *
 * libzmq would try again by itself and never say why; so the first end that the monitor reports is
 * the connection's end (link.c takes the next endpoint then), with what libzmq knows of the reason.
 * A peer that cannot make sense of our first message closes without a word: so a wrong server key
 * looks from here, and so may one side without keys (who of the two notices first is chance), and a
 * peer that is no daemon; the words for it ask rather than say.
 */
#include "subscriber_parts.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>

enum {
	GOODBYE_LINGER_MS = 200,
	SEND_HWM = 4096,
	MONITOR_BYTES = 6, /* of a message's first frame: event, value */
};

static int set_int(void *socket, int option, int value)
{
	return zmq_setsockopt(socket, option, &value, sizeof value);
}

static int watch(struct dibao_subscriber *s, void *socket, int *ret_fd)
{
	struct epoll_event e = {.events = EPOLLIN};
	size_t n = sizeof *ret_fd;

	if (zmq_getsockopt(socket, ZMQ_FD, ret_fd, &n) < 0)
		return -zmq_errno();
	e.data.fd = *ret_fd;
	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, *ret_fd, &e) < 0 ? -errno : 0;
}

static int set_options(struct dibao_subscriber *s)
{
	static const struct {
		int option, value;
	} options[] = {
		{ZMQ_IMMEDIATE, 1},
		{ZMQ_RCVHWM, 0},
		{ZMQ_SNDHWM, SEND_HWM},
		{ZMQ_LINGER, 0},
		{ZMQ_HANDSHAKE_IVL, LINK_HANDSHAKE_MS},
		{ZMQ_HEARTBEAT_IVL, 5000},
		{ZMQ_HEARTBEAT_TIMEOUT, 15000},
		{ZMQ_RECONNECT_IVL_MAX, 5000},
		{ZMQ_TCP_KEEPALIVE, 1},
	};
	const int64_t longest = WIRE_PAYLOAD_MAX;

	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
		if (set_int(s->socket, options[i].option, options[i].value) < 0)
			return -zmq_errno();
	if (zmq_setsockopt(s->socket, ZMQ_MAXMSGSIZE, &longest, sizeof longest) < 0)
		return -zmq_errno();
	if (s->server_key && (zmq_setsockopt(s->socket, ZMQ_CURVE_SERVERKEY, s->server_key,
					     strlen(s->server_key)) < 0 ||
			      zmq_setsockopt(s->socket, ZMQ_CURVE_PUBLICKEY, s->public_key,
					     strlen(s->public_key)) < 0 ||
			      zmq_setsockopt(s->socket, ZMQ_CURVE_SECRETKEY, s->secret_key,
					     strlen(s->secret_key)) < 0))
		return -zmq_errno();
	return 0;
}

int link_socket_open(struct dibao_subscriber *s)
{
	/* Not the subscriber's address: another one may have it next while libzmq still closes. */
	static _Atomic uint64_t n_opened;
	void *zmq = context_zmq(s->context);
	char name[64];
	int r;

	s->socket_fd = s->monitor_fd = -1;
	s->shook_hands = false;
	/* A pipe of libzmq tells of what arrives once a read has found it empty, not before. */
	s->drained = false;
	s->monitor_due = true;
	s->socket = zmq_socket(zmq, ZMQ_DEALER);
	if (!s->socket)
		return -zmq_errno();
	r = set_options(s);
	if (r < 0)
		return r;
	snprintf(name, sizeof name, "inproc://dibao-monitor-%llu", (unsigned long long)++n_opened);
	if (zmq_socket_monitor(s->socket, name,
			       ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CONNECT_RETRIED |
				       ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
				       ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
				       ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
				       ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) < 0)
		return -zmq_errno();
	s->monitor = zmq_socket(zmq, ZMQ_PAIR);
	if (!s->monitor || zmq_connect(s->monitor, name) < 0)
		return -zmq_errno();
	if (zmq_connect(s->socket, s->endpoints[s->endpoint]) < 0)
		return -zmq_errno();
	r = watch(s, s->monitor, &s->monitor_fd);
	return r < 0 ? r : watch(s, s->socket, &s->socket_fd);
}

static void close_one(void **socket, int *fd, int epoll_fd)
{
	if (!*socket)
		return;
	if (*fd >= 0)
		epoll_ctl(epoll_fd, EPOLL_CTL_DEL, *fd, NULL);
	zmq_close(*socket);
	*socket = NULL;
	*fd = -1;
}

void link_socket_close(struct dibao_subscriber *s, bool let_go_out)
{
	if (let_go_out)
		set_int(s->socket, ZMQ_LINGER, GOODBYE_LINGER_MS);
	zmq_socket_monitor(s->socket, NULL, 0);
	close_one(&s->monitor, &s->monitor_fd, s->epoll_fd);
	close_one(&s->socket, &s->socket_fd, s->epoll_fd);
}

/* ---- the monitor ---- */

static const char *mismatch(const struct dibao_subscriber *s, uint32_t detail)
{
	if (detail != ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
		return "the keys (CURVE) do not fit, or no dibaod is there";
	return s->server_key ? "it uses no keys (CURVE), and we were given some"
			     : "it wants keys (CURVE), and we were given none";
}

static enum dibao_reason unexplained(const struct dibao_subscriber *s, uint32_t error,
				     const char **ret_text)
{
	if (error == EAGAIN) {
		*ret_text = "it is silent in the handshake: is that a dibaod?";
		return DIBAO_REASON_NO_ANSWER;
	}
	*ret_text = s->server_key ? "closed in the handshake: is the server key this daemon's, and "
				    "does the endpoint use keys (CURVE)?"
				  : "closed in the handshake: does the endpoint want keys (CURVE), "
				    "or is it no dibaod?";
	return DIBAO_REASON_HANDSHAKE;
}

/* An event that ends the connection, and its value. */
static enum dibao_reason explain(struct dibao_subscriber *s, uint16_t event, uint32_t value,
				 const char **ret_text)
{
	switch (event) {
	case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
		if (value == WIRE_ZAP_TOO_MUCH) {
			*ret_text = "too many connections with this key or from this address";
			return DIBAO_REASON_BUSY;
		}
		*ret_text = "the daemon does not know this key";
		return DIBAO_REASON_REFUSED;
	case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
		*ret_text = mismatch(s, value);
		return DIBAO_REASON_HANDSHAKE;
	case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
		return unexplained(s, value, ret_text);
	case ZMQ_EVENT_CONNECT_RETRIED:
		*ret_text = "nobody listens there, or it cannot be reached";
		return DIBAO_REASON_NO_ANSWER;
	default:
		*ret_text = "the connection broke";
		return DIBAO_REASON_LOST;
	}
}

enum dibao_reason link_socket_ended(struct dibao_subscriber *s, const char **ret_text)
{
	enum dibao_reason why = DIBAO_REASON_NONE;
	uint16_t event;
	uint32_t value;
	zmq_msg_t m;

	if (!s->monitor_due)
		return why;
	s->monitor_due = false;
	zmq_msg_init(&m);
	while (zmq_msg_recv(&m, s->monitor, ZMQ_DONTWAIT) >= 0) {
		const uint8_t *p = zmq_msg_data(&m);

		if (!zmq_msg_more(&m) || zmq_msg_size(&m) != MONITOR_BYTES)
			continue; /* the second frame, an address */
		memcpy(&event, p, sizeof event);
		memcpy(&value, p + sizeof event, sizeof value);
		if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
			s->shook_hands = true;
		else if (why == DIBAO_REASON_NONE) /* the first says most */
			why = explain(s, event, value, ret_text);
	}
	zmq_msg_close(&m);
	return why;
}
