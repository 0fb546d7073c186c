/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The publisher: one blocking connection to Redis and the events in flight on it, oldest first.
 *
 * Redis answers in the order of the calls, so a ring tells which answer is whose. An event that is
 * found wrong before it is sent takes a place in the ring all the same: results come in order.
 * hiredis formats calls and parses answers; the bytes are sent from here, because its write() would
 * raise SIGPIPE in a program that has no part in this connection.
 *
 * Bounds: WINDOW_MAX events in flight. Redis reads on whether or not we take its answers, so a
 * blocking send cannot wait for ourselves; it ends by the timeout.
 *
 * Through a daemon (dealer.h) it is the same, but that answers carry the number of their event, for
 * a daemon refuses at once what it need not ask Redis about: an answer waits in its place of the
 * ring.
 *
 * Failure: the connection is given up for good at its first fault, and all in flight answers
 * -ENOTCONN. It is not opened again in here: the caller makes a new publisher and publishes again
 * what was not answered; what had been stored answers `repeat`.
 */
#include "dealer.h"
#include "error.h"
#include "queue.h"
#include "wire.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { WINDOW_MAX = 4096, WINDOW_DEFAULT = 256 };

struct waiting {
	dibao_publish_done done;
	void *userdata;
	int known; /* outcome or error, ahead of its turn: wrong before it was sent, or answered */
	struct dibao_error err;
};

struct dibao_publisher {
	redisContext *redis;   /* NULL: through a daemon */
	struct dealer *dealer; /* NULL: to Redis */
	uint64_t first_id;     /* of the oldest in flight, through a daemon */
	unsigned window_max;
	char base[QUEUE_KEY_MAX];
	unsigned window;
	/* In flight, oldest first: a ring of WINDOW_MAX. */
	struct waiting *ring;
	unsigned head, n;
	bool broken; /* connection lost: everything answers -ENOTCONN */
};

const char *dibao_outcome_name(enum dibao_outcome o)
{
	static const char *const names[] = {"?", "new", "repeat", "scheduled", "conflict"};

	return names[o >= DIBAO_NEW && o <= DIBAO_CONFLICT ? o : 0];
}

/* While hiredis itself writes: SIGPIPE is held back, and taken away if it came by this. */
static bool hold_sigpipe(sigset_t *ret_before)
{
	sigset_t pipe, pending;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe, ret_before);
	return sigismember(&pending, SIGPIPE) == 1;
}

static void release_sigpipe(const sigset_t *before, bool was_pending)
{
	sigset_t pipe;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	if (!was_pending)
		while (sigtimedwait(&pipe, NULL, &(struct timespec){0}) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

static int open_connection(struct dibao_publisher *p, const struct dibao_redis_options *opt,
			   struct dibao_error *err)
{
	sigset_t before;
	bool was_pending = hold_sigpipe(&before);
	int r = queue_connect(&p->redis, opt, err);

	if (r == 0)
		r = queue_functions_check(p->redis, err);
	release_sigpipe(&before, was_pending);
	return r;
}

int dibao_publisher_new(struct dibao_publisher **ret, const struct dibao_redis_options *opt,
			struct dibao_error *err)
{
	struct dibao_publisher *p = calloc(1, sizeof *p);
	int r;

	if (!p)
		return error_set(err, -ENOMEM, "no memory");
	p->window = WINDOW_DEFAULT;
	p->window_max = WINDOW_MAX;
	p->ring = calloc(WINDOW_MAX, sizeof *p->ring);
	r = p->ring ? open_connection(p, opt, err) : error_set(err, -ENOMEM, "no memory");
	if (r == 0)
		r = queue_key(p->base, sizeof p->base, opt->bureau, "");
	if (r < 0) {
		dibao_publisher_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

int dibao_publisher_new_relay(struct dibao_publisher **ret, const struct dibao_relay_options *opt,
			      struct dibao_error *err)
{
	struct dealer_options o = {.endpoint = opt->endpoint,
				   .server_key = opt->curve_server_key,
				   .key_file = opt->curve_key_file,
				   .timeout_ms = opt->timeout_ms};
	struct dibao_publisher *p = calloc(1, sizeof *p);
	int r = 0;

	if (p)
		p->ring = calloc(WINDOW_MAX, sizeof *p->ring);
	if (!p || !p->ring)
		r = error_set(err, -ENOMEM, "no memory");
	if (r == 0)
		r = dealer_open(&p->dealer, &o, err);
	if (r == 0)
		r = dealer_hello_publish(p->dealer, opt->bureau, &p->window_max, err);
	if (r < 0) {
		dibao_publisher_free(p);
		return r;
	}
	p->window_max = p->window_max < WINDOW_MAX ? p->window_max : WINDOW_MAX;
	p->window = p->window_max;
	*ret = p;
	return 0;
}

static void report(struct dibao_publisher *p, int outcome, const struct dibao_error *err)
{
	struct waiting w = p->ring[p->head];

	p->first_id++;
	p->head = (p->head + 1) % WINDOW_MAX;
	p->n--;
	if (w.done)
		w.done(w.userdata, outcome, outcome < 0 ? err : NULL);
}

static void break_off(struct dibao_publisher *p)
{
	struct dibao_error err;

	error_set(&err, -ENOTCONN, "connection lost: what was in flight may or may not be stored");
	p->broken = true;
	while (p->n) {
		struct waiting *w = &p->ring[p->head];
		struct dibao_error own = w->err;

		/* What is known is told, whatever became of the rest. */
		report(p, w->known ? w->known : -ENOTCONN, w->known ? &own : &err);
	}
}

struct dibao_publisher *dibao_publisher_free(struct dibao_publisher *p)
{
	if (!p)
		return NULL;
	if (p->ring)
		break_off(p);
	if (p->redis)
		redisFree(p->redis);
	dealer_close(p->dealer);
	free(p->ring);
	free(p);
	return NULL;
}

static int error_of(const char *text, struct dibao_error *err)
{
	static const struct {
		const char *start;
		int code;
	} codes[] = {
		{"DIBAO_INVALID", -EINVAL}, {"DIBAO_NOREF", -ENOENT},
		{"DIBAO_PERSON", -EPERM},   {"NOPERM", -EACCES},
		{"NOAUTH", -EACCES},	    {"ERR Function not found", -ENOSYS},
	};
	const char *colon = strchr(text, ':');
	size_t n = strlen("DIBAO_INVALID ");

	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		if (!strncmp(text, codes[i].start, strlen(codes[i].start))) {
			error_set(err, codes[i].code, "%s", text);
			if (err && codes[i].code == -EINVAL && colon &&
			    !memchr(text + n, ' ', (size_t)(colon - text) - n))
				snprintf(err->field, sizeof err->field, "%.*s",
					 (int)((size_t)(colon - text) - n), text + n);
			return codes[i].code;
		}
	return error_set(err, -EIO, "%s", text);
}

static int outcome_of(const redisReply *r, struct dibao_error *err)
{
	if (r->type == REDIS_REPLY_ERROR)
		return error_of(r->str, err);
	if (r->type == REDIS_REPLY_ARRAY && r->elements >= 1 && r->element[0]->str)
		for (int o = DIBAO_NEW; o <= DIBAO_CONFLICT; o++)
			if (!strcmp(r->element[0]->str, dibao_outcome_name(o)))
				return o;
	return error_set(err, -EIO, "unexpected answer of Redis");
}

/* An OUTCOME of an event in flight into its place. -ENOTCONN: it says that the queue is away. */
static int note_outcome(struct dibao_publisher *p, const uint8_t *frame, size_t len)
{
	static const int codes[] = {
		[WIRE_FAULT_INVALID] = -EINVAL, [WIRE_FAULT_NOREF] = -ENOENT,
		[WIRE_FAULT_PERSON] = -EPERM,	[WIRE_FAULT_DENIED] = -EACCES,
		[WIRE_FAULT_AWAY] = -ENOTCONN,	[WIRE_FAULT_OTHER] = -EIO,
	};
	struct wire_outcome o;
	struct waiting *w;

	if (len && frame[0] == WIRE_WELCOME) /* of a HELLO said twice */
		return 0;
	if (wire_outcome_unpack(&o, frame, len) < 0 || o.id - p->first_id >= p->n)
		return -ENOTCONN;
	w = &p->ring[(p->head + (unsigned)(o.id - p->first_id)) % WINDOW_MAX];
	if (o.outcome >= DIBAO_NEW && o.outcome <= DIBAO_CONFLICT) {
		w->known = (int)o.outcome;
		return 0;
	}
	if (o.fault == WIRE_FAULT_AWAY)
		return -ENOTCONN;
	w->known = o.fault && o.fault < sizeof codes / sizeof codes[0] ? codes[o.fault] : -EIO;
	w->err = (struct dibao_error){.code = w->known};
	snprintf(w->err.field, sizeof w->err.field, "%.*s", (int)o.field.len,
		 o.field.p ? o.field.p : "");
	snprintf(w->err.reason, sizeof w->err.reason, "%.*s", (int)o.text.len,
		 o.text.p ? o.text.p : "");
	return 0;
}

static int take_from_daemon(struct dibao_publisher *p)
{
	const uint8_t *frame;
	size_t len;
	int r = 0;

	while (r == 0 && !p->ring[p->head].known) {
		r = dealer_receive(p->dealer, &frame, &len, NULL);
		if (r == 0)
			r = note_outcome(p, frame, len);
	}
	if (r < 0)
		break_off(p);
	return r < 0 ? -ENOTCONN : 0;
}

/* Waits for the oldest answer and reports it. */
static int take_one(struct dibao_publisher *p)
{
	struct waiting *w = &p->ring[p->head];
	struct dibao_error err;
	redisReply *r = NULL;
	int outcome;

	if (p->dealer && take_from_daemon(p) < 0)
		return -ENOTCONN;
	if (w->known) {
		err = w->err;
		report(p, w->known, &err);
		return 0;
	}
	if (redisGetReply(p->redis, (void **)&r) != REDIS_OK) {
		break_off(p);
		return -ENOTCONN;
	}
	outcome = outcome_of(r, &err);
	freeReplyObject(r);
	report(p, outcome, &err);
	return 0;
}

int dibao_publisher_window(struct dibao_publisher *p, unsigned window)
{
	if (window < 1 || window > p->window_max)
		return -EINVAL;
	p->window = window;
	return 0;
}

/* 0, or -ENOTCONN: part of it may be out, so nothing may follow. */
static int send_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -ENOTCONN;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int send_event(struct dibao_publisher *p, const void *event, size_t len)
{
	const char *argv[] = {"FCALL", "dibao_publish", "1", p->base, event};
	size_t lens[] = {5, 13, 1, strlen(p->base), len};
	char *command;
	int n = redisFormatCommandArgv(&command, 5, argv, lens), r;

	if (n < 0)
		return -ENOMEM;
	r = send_all(p->redis->fd, command, (size_t)n);
	redisFreeCommand(command);
	return r;
}

static int send_to_daemon(struct dibao_publisher *p, const void *event, size_t len)
{
	struct wire_publish m = {.id = p->first_id + p->n, .event = {event, len}};
	uint8_t buf[DIBAO_EVENT_MAX_BYTES + 64];
	int n = wire_publish_pack(buf, sizeof buf, &m);

	return n < 0 || dealer_send(p->dealer, buf, (size_t)n, NULL) < 0 ? -ENOTCONN : 0;
}

int dibao_publish_async(struct dibao_publisher *p, const void *event, size_t len,
			dibao_publish_done done, void *userdata)
{
	struct dibao_event ev;
	struct waiting *w;
	int r;

	while (p->n >= p->window) {
		r = take_one(p);
		if (r < 0)
			return r;
	}
	if (p->broken)
		return -ENOTCONN;
	w = &p->ring[(p->head + p->n) % WINDOW_MAX];
	*w = (struct waiting){.done = done, .userdata = userdata};
	w->known = dibao_event_parse(&ev, event, len, &w->err);
	r = w->known ? 0 : p->dealer ? send_to_daemon(p, event, len) : send_event(p, event, len);
	if (r == -ENOTCONN)
		break_off(p);
	if (r < 0)
		return r;
	p->n++;
	return 0;
}

int dibao_publisher_flush(struct dibao_publisher *p)
{
	while (p->n) {
		int r = take_one(p);

		if (r < 0)
			return r;
	}
	return p->broken ? -ENOTCONN : 0;
}

struct one {
	int outcome;
	struct dibao_error *err;
};

static void one_done(void *userdata, int outcome, const struct dibao_error *err)
{
	struct one *one = userdata;

	one->outcome = outcome;
	if (err && one->err)
		*one->err = *err;
}

int dibao_publish(struct dibao_publisher *p, const void *event, size_t len, struct dibao_error *err)
{
	struct one one = {-ENOTCONN, err};
	int r = dibao_publish_async(p, event, len, one_done, &one);

	if (r < 0)
		return error_set(err, r, r == -ENOMEM ? "no memory" : "connection lost");
	dibao_publisher_flush(p);
	return one.outcome;
}
