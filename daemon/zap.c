/* SPDX-License-Identifier: Apache-2.0 */
#include "zap.h"
#include "log.h"
#include "zmq_source.h"

#include <dibao/key.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum {
	REQUESTS_PER_TURN = 64,
	FRAMES = 7, /* version, request id, domain, address, routing id, mechanism, credentials */
	FRAME_MAX = 256,
	KEY_BYTES = 32,
	SECRET_BYTES = 16,
	SECRET_TEXT = 2 * SECRET_BYTES,
};

struct zap {
	struct zap_options opt;
	void *socket;
	struct zmq_source *source;
	char secret[SECRET_TEXT + 1];
	uint64_t n_refused, n_too_much;
};

struct request {
	unsigned n;
	struct {
		size_t len;
		char bytes[FRAME_MAX];
	} at[FRAMES];
};

/* 1 read, 0 none there, -errno. A frame too long is cut: then it equals nothing that is asked. */
static int receive(void *socket, struct request *q)
{
	int more = 1;
	size_t n = sizeof more;

	memset(q, 0, sizeof *q);
	while (more) {
		char drop[FRAME_MAX], *to = q->n < FRAMES ? q->at[q->n].bytes : drop;
		int len = zmq_recv(socket, to, FRAME_MAX, ZMQ_DONTWAIT);

		if (len < 0 && zmq_errno() == EINTR)
			continue;
		if (len < 0)
			return zmq_errno() == EAGAIN ? 0 : -zmq_errno();
		if (q->n < FRAMES)
			q->at[q->n].len = len < FRAME_MAX ? (size_t)len : FRAME_MAX;
		q->n++;
		if (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &n) < 0)
			return -zmq_errno();
	}
	return 1;
}

static bool is(const struct request *q, unsigned frame, const char *text)
{
	return q->at[frame].len == strlen(text) &&
	       !memcmp(q->at[frame].bytes, text, q->at[frame].len);
}

/* What the peer is told: the status and nothing else. 500, "an internal error", stands for too
 * much, since 300 would close the connection without a word. */
static const char status_unknown[] = "400", status_too_much[] = "500"; /* WIRE_ZAP_TOO_MUCH */

/* who, unless it takes too much. */
static const char *unless_too_much(struct zap *z, const struct request *q, const char *who,
				   const char *key, const char **ret_status)
{
	char address[FRAME_MAX];
	const char *why;

	snprintf(address, sizeof address, "%.*s", (int)q->at[3].len, q->at[3].bytes);
	why = z->opt.too_much ? z->opt.too_much(key, address, z->opt.userdata) : NULL;
	if (!why)
		return who;
	*ret_status = status_too_much;
	z->n_too_much++;
	if (log_limited("zap-limits"))
		log_text(LOG_NOTICE, "connection of %s refused: %s", key ? key : address, why);
	return NULL;
}

static const char *decide(struct zap *z, const struct request *q, char key[DIBAO_KEY_TEXT],
			  const char **ret_status)
{
	if (q->n == FRAMES - 1 && is(q, 5, "NULL")) {
		if (is(q, 2, ZAP_LOCAL))
			return ZAP_LOCAL;
		return is(q, 2, ZAP_INSECURE)
			       ? unless_too_much(z, q, ZAP_INSECURE, NULL, ret_status)
			       : NULL;
	}
	if (q->n != FRAMES || !is(q, 5, "CURVE") || !is(q, 2, ZAP_CURVE) ||
	    q->at[6].len != KEY_BYTES)
		return NULL;
	zmq_z85_encode(key, (const uint8_t *)q->at[6].bytes, KEY_BYTES);
	if (z->opt.known(key, z->opt.userdata))
		return unless_too_much(z, q, key, key, ret_status);
	if (log_limited("zap"))
		log_text(LOG_NOTICE, "unknown key refused: %s", key);
	return NULL;
}

static int reply(struct zap *z, const struct request *q)
{
	char key[DIBAO_KEY_TEXT], user[SECRET_TEXT + DIBAO_KEY_TEXT];
	const char *who = NULL, *status = status_unknown, *text = "not known here";
	struct {
		const char *p;
		size_t len;
	} frames[6];

	if (is(q, 0, "1.0"))
		who = decide(z, q, key, &status);
	if (who) {
		snprintf(user, sizeof user, "%s%s", z->secret, who);
		status = "200";
		text = "";
	} else {
		user[0] = '\0';
		z->n_refused++;
	}
	frames[0].p = "1.0";
	frames[1].p = q->at[1].bytes;
	frames[2].p = status;
	frames[3].p = text;
	frames[4].p = user;
	frames[5].p = "";
	for (unsigned i = 0; i < 6; i++) {
		size_t len = i == 1 ? q->at[1].len : strlen(frames[i].p);

		if (zmq_send(z->socket, frames[i].p, len,
			     ZMQ_DONTWAIT | (i < 5 ? ZMQ_SNDMORE : 0)) < 0)
			return -zmq_errno();
	}
	sodium_memzero(user, sizeof user);
	return 0;
}

static int on_readable(void *socket, void *userdata)
{
	struct zap *z = userdata;
	struct request q;

	for (int i = 0; i < REQUESTS_PER_TURN; i++) {
		int r = receive(socket, &q);

		if (r == 1)
			r = reply(z, &q) < 0 ? -EIO : 1;
		/* Nobody would be let in any more: the daemon ends, and is started anew. */
		if (r < 0)
			log_text(LOG_ERR, "the authentication handler failed, stopping");
		if (r <= 0)
			return r;
	}
	return 0;
}

int zap_new(struct zap **ret, const struct zap_options *opt)
{
	struct zap *z = calloc(1, sizeof *z);
	uint8_t secret[SECRET_BYTES];
	int r = 0, linger = 0;

	if (!z)
		return -ENOMEM;
	z->opt = *opt;
	randombytes_buf(secret, sizeof secret);
	sodium_bin2hex(z->secret, sizeof z->secret, secret, sizeof secret);
	z->socket = zmq_socket(opt->context, ZMQ_REP);
	if (!z->socket || zmq_setsockopt(z->socket, ZMQ_LINGER, &linger, sizeof linger) < 0 ||
	    zmq_bind(z->socket, "inproc://zeromq.zap.01") < 0)
		r = -zmq_errno();
	if (r == 0)
		r = zmq_source_new(&z->source, opt->event, z->socket, on_readable, z);
	if (r < 0) {
		zap_free(z);
		return r;
	}
	*ret = z;
	return 0;
}

struct zap *zap_free(struct zap *z)
{
	if (!z)
		return NULL;
	zmq_source_free(z->source);
	if (z->socket)
		zmq_close(z->socket);
	sodium_memzero(z->secret, sizeof z->secret);
	free(z);
	return NULL;
}

const char *zap_user(const struct zap *z, const char *user_id)
{
	if (!user_id || strlen(user_id) <= SECRET_TEXT ||
	    sodium_memcmp(user_id, z->secret, SECRET_TEXT) != 0)
		return NULL;
	return user_id + SECRET_TEXT;
}

uint64_t zap_refused_too_much(const struct zap *z)
{
	return z->n_too_much;
}

uint64_t zap_refused(const struct zap *z)
{
	return z->n_refused;
}
