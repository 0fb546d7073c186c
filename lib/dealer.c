/* SPDX-License-Identifier: Apache-2.0 */
#include "dealer.h"
#include "wire.h"

#include <dibao/key.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zmq.h>

enum { TIMEOUT_MS = 5000, HELLO_AGAIN_MS = 1000, LINGER_MS = 200 };

struct dealer {
	void *zmq, *socket, *monitor;
	zmq_msg_t message; /* the one lent out */
	unsigned timeout_ms;
	bool over;
};

static int fail(struct dealer *d, struct dibao_error *err, int code, const char *text, size_t len)
{
	if (d)
		d->over = true;
	if (err) {
		*err = (struct dibao_error){.code = code};
		snprintf(err->reason, sizeof err->reason, "%.*s", (int)len, text);
	}
	return code;
}

static int fail_text(struct dealer *d, struct dibao_error *err, int code, const char *text)
{
	return fail(d, err, code, text, strlen(text));
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int set_keys(struct dealer *d, const struct dealer_options *o, struct dibao_error *err)
{
	char public[DIBAO_KEY_TEXT], secret[DIBAO_KEY_TEXT];
	int r;

	if (!o->server_key && !o->key_file)
		return 0;
	if (!o->server_key || !o->key_file || !dibao_key_check(o->server_key))
		return fail_text(d, err, -EINVAL,
				 "keys: expected the server's key and a file with one's own");
	r = dibao_key_read(o->key_file, public, secret, err);
	if (r < 0)
		return r;
	r = zmq_setsockopt(d->socket, ZMQ_CURVE_SERVERKEY, o->server_key, strlen(o->server_key)) <
				    0 ||
			    zmq_setsockopt(d->socket, ZMQ_CURVE_PUBLICKEY, public, strlen(public)) <
				    0 ||
			    zmq_setsockopt(d->socket, ZMQ_CURVE_SECRETKEY, secret, strlen(secret)) <
				    0
		    ? fail_text(d, err, -EINVAL, "keys: libzmq does not take them")
		    : 0;
	sodium_memzero(secret, sizeof secret);
	return r;
}

static int connect_to(struct dealer *d, const char *endpoint)
{
	static const struct {
		int option, value;
	} options[] = {
		{ZMQ_IMMEDIATE, 1},
		{ZMQ_RCVHWM, 0},
		{ZMQ_LINGER, LINGER_MS},
		{ZMQ_TCP_KEEPALIVE, 1},
	};
	static const char monitor[] = "inproc://monitor";

	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
		if (zmq_setsockopt(d->socket, options[i].option, &options[i].value,
				   sizeof options[i].value) < 0)
			return -zmq_errno();
	d->monitor = zmq_socket(d->zmq, ZMQ_PAIR);
	if (!d->monitor ||
	    zmq_socket_monitor(d->socket, monitor,
			       ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) < 0 ||
	    zmq_connect(d->monitor, monitor) < 0 || zmq_connect(d->socket, endpoint) < 0)
		return -zmq_errno();
	return 0;
}

int dealer_open(struct dealer **ret, const struct dealer_options *opt, struct dibao_error *err)
{
	struct dealer *d = calloc(1, sizeof *d);
	int r;

	if (!d)
		return fail_text(NULL, err, -ENOMEM, "no memory");
	d->timeout_ms = opt->timeout_ms ? opt->timeout_ms : TIMEOUT_MS;
	zmq_msg_init(&d->message);
	d->zmq = zmq_ctx_new();
	d->socket = d->zmq ? zmq_socket(d->zmq, ZMQ_DEALER) : NULL;
	r = d->socket ? set_keys(d, opt, err) : fail_text(d, err, -ENOMEM, "no memory");
	if (r == 0) {
		r = connect_to(d, opt->endpoint);
		if (r < 0)
			fail_text(d, err, r,
				  r == -EINVAL ? "endpoint: expected tcp://address:port or "
						 "ipc:///path"
					       : "no connection can be opened");
	}
	if (r < 0) {
		dealer_close(d);
		return r;
	}
	*ret = d;
	return 0;
}

struct dealer *dealer_close(struct dealer *d)
{
	if (!d)
		return NULL;
	zmq_msg_close(&d->message);
	if (d->socket)
		zmq_socket_monitor(d->socket, NULL, 0);
	if (d->monitor)
		zmq_close(d->monitor);
	if (d->socket)
		zmq_close(d->socket);
	if (d->zmq)
		zmq_ctx_term(d->zmq);
	free(d);
	return NULL;
}

/* What the monitor tells, which is the end. */
static int ended(struct dealer *d, struct dibao_error *err)
{
	uint8_t event[6], address[256];
	uint16_t number = 0, n;
	uint32_t status = 0;

	while (zmq_recv(d->monitor, event, sizeof event, ZMQ_DONTWAIT) >= 0) {
		memcpy(&n, event, sizeof n);
		zmq_recv(d->monitor, address, sizeof address, ZMQ_DONTWAIT);
		if (number == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
			continue;
		number = n;
		memcpy(&status, event + sizeof n, sizeof status);
	}
	if (number == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH && status == WIRE_ZAP_TOO_MUCH)
		return fail_text(
			d, err, -ENOTCONN,
			"the daemon has too many connections with this key or from this address");
	if (number == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
		return fail_text(d, err, -EACCES, "the daemon does not know this key");
	return fail_text(d, err, -ENOTCONN, "connection to the daemon lost");
}

/* Until the socket is ready for `events`, at most timeout_ms: 1, 0 not in time, or the end. */
static int wait_for(struct dealer *d, short events, int timeout_ms, struct dibao_error *err)
{
	zmq_pollitem_t items[] = {{.socket = d->socket, .events = events},
				  {.socket = d->monitor, .events = ZMQ_POLLIN}};
	int n;

	do
		n = zmq_poll(items, 2, timeout_ms);
	while (n < 0 && zmq_errno() == EINTR);
	/* What came before the end is read before it is told. */
	if (items[0].revents & events)
		return 1;
	return items[1].revents ? ended(d, err) : 0;
}

int dealer_send(struct dealer *d, const void *bytes, size_t len, struct dibao_error *err)
{
	int r;

	if (d->over)
		return fail_text(d, err, -ENOTCONN, "connection to the daemon lost");
	while (zmq_send(d->socket, bytes, len, ZMQ_DONTWAIT) < 0) {
		if (zmq_errno() == EINTR)
			continue;
		if (zmq_errno() != EAGAIN)
			return fail_text(d, err, -ENOTCONN, zmq_strerror(zmq_errno()));
		r = wait_for(d, ZMQ_POLLOUT, (int)d->timeout_ms, err);
		if (r < 0)
			return r;
		if (r == 0)
			return fail_text(d, err, -ENOTCONN, "the daemon cannot be reached");
	}
	return 0;
}

static int on_goodbye(struct dealer *d, const uint8_t *p, size_t len, struct dibao_error *err)
{
	struct wire_goodbye g;

	if (wire_goodbye_unpack(&g, p, len) < 0)
		return fail_text(d, err, -ENOTCONN, "unexpected message");
	if (g.reason == DIBAO_REASON_REFUSED || g.reason == DIBAO_REASON_REVOKED)
		return fail(d, err, -EACCES, g.text.p, g.text.len);
	return fail(d, err, -ENOTCONN, g.text.p, g.text.len);
}

/* 1: there is one; 0: none in time. */
static int receive(struct dealer *d, int timeout_ms, const uint8_t **ret, size_t *ret_len,
		   struct dibao_error *err)
{
	int64_t end = now_ms() + timeout_ms;
	int r;

	if (d->over)
		return fail_text(d, err, -ENOTCONN, "connection to the daemon lost");
	while (zmq_msg_recv(&d->message, d->socket, ZMQ_DONTWAIT) < 0) {
		int64_t left = end - now_ms();

		if (zmq_errno() == EINTR)
			continue;
		if (zmq_errno() != EAGAIN)
			return fail_text(d, err, -ENOTCONN, zmq_strerror(zmq_errno()));
		r = wait_for(d, ZMQ_POLLIN, left > 0 ? (int)left : 0, err);
		if (r <= 0)
			return r;
	}
	*ret = zmq_msg_data(&d->message);
	*ret_len = zmq_msg_size(&d->message);
	if (zmq_msg_more(&d->message))
		return fail_text(d, err, -ENOTCONN, "unexpected message");
	if (*ret_len && (*ret)[0] == WIRE_GOODBYE)
		return on_goodbye(d, *ret, *ret_len, err);
	return 1;
}

int dealer_receive(struct dealer *d, const uint8_t **ret, size_t *ret_len, struct dibao_error *err)
{
	int r = receive(d, (int)d->timeout_ms, ret, ret_len, err);

	if (r == 0)
		return fail_text(d, err, -ENOTCONN, "the daemon gives no answer");
	return r < 0 ? r : 0;
}

int dealer_hello_publish(struct dealer *d, const char *bureau, unsigned *ret_window,
			 struct dibao_error *err)
{
	struct wire_hello h = {.proto_min = WIRE_PROTO_MIN,
			       .proto_max = WIRE_PROTO_MAX,
			       .bureau = {bureau, strlen(bureau)},
			       .from = DIBAO_START_NEW,
			       .publishes = true};
	int64_t end = now_ms() + d->timeout_ms;
	uint8_t buf[512];
	struct wire_welcome w;
	const uint8_t *p;
	size_t len;
	int n, r = 0;

	randombytes_buf(h.instance, sizeof h.instance);
	n = wire_hello_pack(buf, sizeof buf, &h);
	if (n < 0)
		return fail_text(d, err, -EINVAL, "bureau: expected 1 to 16 of 0-9 a-z _ -");
	/* A daemon that is not ready yet says nothing. */
	while (r == 0) {
		if (now_ms() >= end)
			return fail_text(d, err, -ENOTCONN, "the daemon gives no answer");
		r = dealer_send(d, buf, (size_t)n, err);
		if (r == 0)
			r = receive(d, HELLO_AGAIN_MS, &p, &len, err);
	}
	if (r < 0)
		return r;
	if (wire_welcome_unpack(&w, p, len, NULL) < 0 || !w.publishes || !w.window_bytes)
		return fail_text(d, err, -ENOTCONN, "the daemon takes no events");
	*ret_window = w.window_bytes;
	return 0;
}
