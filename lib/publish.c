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
 * Failure: the connection is given up for good at its first fault, and all in flight answers
 * -ENOTCONN. It is not opened again in here: the caller makes a new publisher and publishes again
 * what was not answered; what had been stored answers `repeat`.
 */
#include "queue.h"

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
	int refused; /* found wrong before it was sent: reported in its turn */
	struct dibao_error err;
};

struct dibao_publisher {
	redisContext *redis;
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

static int fail(struct dibao_error *err, int code, const char *text)
{
	if (err) {
		memset(err, 0, sizeof *err);
		err->code = code;
		snprintf(err->reason, sizeof err->reason, "%s", text);
	}
	return code;
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
		return fail(err, -ENOMEM, "no memory");
	p->window = WINDOW_DEFAULT;
	p->ring = calloc(WINDOW_MAX, sizeof *p->ring);
	r = p->ring ? open_connection(p, opt, err) : fail(err, -ENOMEM, "no memory");
	if (r == 0)
		r = queue_key(p->base, sizeof p->base, opt->bureau, "");
	if (r < 0) {
		dibao_publisher_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

static void report(struct dibao_publisher *p, int outcome, const struct dibao_error *err)
{
	struct waiting w = p->ring[p->head];

	p->head = (p->head + 1) % WINDOW_MAX;
	p->n--;
	if (w.done)
		w.done(w.userdata, outcome, outcome < 0 ? err : NULL);
}

static void break_off(struct dibao_publisher *p)
{
	struct dibao_error err;

	fail(&err, -ENOTCONN,
	     "connection to Redis lost: what was in flight may or may not be stored");
	p->broken = true;
	while (p->n)
		report(p, -ENOTCONN, &err);
}

struct dibao_publisher *dibao_publisher_free(struct dibao_publisher *p)
{
	if (!p)
		return NULL;
	if (p->ring)
		break_off(p);
	if (p->redis)
		redisFree(p->redis);
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
			fail(err, codes[i].code, text);
			if (err && codes[i].code == -EINVAL && colon &&
			    !memchr(text + n, ' ', (size_t)(colon - text) - n))
				snprintf(err->field, sizeof err->field, "%.*s",
					 (int)((size_t)(colon - text) - n), text + n);
			return codes[i].code;
		}
	return fail(err, -EIO, text);
}

static int outcome_of(const redisReply *r, struct dibao_error *err)
{
	if (r->type == REDIS_REPLY_ERROR)
		return error_of(r->str, err);
	if (r->type == REDIS_REPLY_ARRAY && r->elements >= 1 && r->element[0]->str)
		for (int o = DIBAO_NEW; o <= DIBAO_CONFLICT; o++)
			if (!strcmp(r->element[0]->str, dibao_outcome_name(o)))
				return o;
	return fail(err, -EIO, "unexpected answer of Redis");
}

/* Waits for the oldest answer and reports it. */
static int take_one(struct dibao_publisher *p)
{
	struct waiting *w = &p->ring[p->head];
	struct dibao_error err;
	redisReply *r = NULL;
	int outcome;

	if (w->refused) {
		err = w->err;
		report(p, w->refused, &err);
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
	if (window < 1 || window > WINDOW_MAX)
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
	w->refused = dibao_event_parse(&ev, event, len, &w->err);
	r = w->refused ? 0 : send_event(p, event, len);
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
		return fail(err, r, r == -ENOMEM ? "no memory" : "connection to Redis lost");
	dibao_publisher_flush(p);
	return one.outcome;
}
