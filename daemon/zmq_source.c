/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The descriptor of a ZeroMQ socket only says "ask me"; it is edge-triggered,
 * and the edge is eaten by any call on the socket, from anywhere in the
 * program. So readiness is never taken from it: before each sleep of the loop
 * the prepare callback asks the socket itself, and if it has messages a
 * deferred source keeps the loop from sleeping and runs the handler once. The
 * io source is there to end the sleep, and does nothing else.
 *
 * The deferred source is oneshot: left on, it would spin. The handler takes a
 * bounded number of messages, so other sources get their turn in between.
 *
 * sd-event switches a source off, silently, when its callback returns an
 * error. Nothing here does: an error of the handler or of the socket ends the
 * loop with that code.
 */
#include "zmq_source.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <zmq.h>

struct zmq_source {
	sd_event *event;
	void *socket; /* borrowed, outlives us */
	zmq_source_fn fn;
	void *userdata;
	sd_event_source *io, *defer;
	sd_event_source *pause; /* NULL: never paused; enabled: paused */
};

static int socket_errno(void)
{
	int e = zmq_errno();

	/* ETERM and its like are numbers of ZeroMQ's own, not errnos. */
	return e >= ZMQ_HAUSNUMERO ? -ESHUTDOWN : -e;
}

static int has_messages(void *socket)
{
	int events;
	size_t len = sizeof events;

	while (zmq_getsockopt(socket, ZMQ_EVENTS, &events, &len) < 0) {
		if (zmq_errno() != EINTR) {
			return socket_errno();
		}
	}
	return (events & ZMQ_POLLIN) != 0;
}

static int on_prepare(sd_event_source *source, void *userdata)
{
	struct zmq_source *s = userdata;
	int r, paused = SD_EVENT_OFF;

	(void)source;
	if (s->pause) {
		(void)sd_event_source_get_enabled(s->pause, &paused);
	}
	r = has_messages(s->socket);
	if (paused != SD_EVENT_OFF && r > 0) {
		return 0; /* the timer's end wakes the loop, and this is asked again */
	}
	if (r > 0) {
		r = sd_event_source_set_enabled(s->defer, SD_EVENT_ONESHOT);
	}
	if (r < 0) {
		sd_event_exit(s->event, r);
	}
	return 0;
}

static int on_wake(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	(void)source, (void)fd, (void)revents, (void)userdata;
	return 0;
}

static int on_defer(sd_event_source *source, void *userdata)
{
	struct zmq_source *s = userdata;
	sd_event *event = s->event;
	int r;

	(void)source;
	/* The handler may free this source: nothing of it is touched afterwards. */
	r = s->fn(s->socket, s->userdata);
	if (r < 0) {
		sd_event_exit(event, r);
	}
	return 0;
}

int zmq_source_new(struct zmq_source **ret, sd_event *event, void *socket, zmq_source_fn fn,
		   void *userdata)
{
	struct zmq_source *s;
	int fd, r;
	size_t len = sizeof fd;

	if (zmq_getsockopt(socket, ZMQ_FD, &fd, &len) < 0) {
		return socket_errno();
	}
	s = calloc(1, sizeof *s);
	if (!s) {
		return -ENOMEM;
	}
	s->event = sd_event_ref(event);
	s->socket = socket;
	s->fn = fn;
	s->userdata = userdata;
	r = sd_event_add_defer(event, &s->defer, on_defer, s);
	if (r >= 0) {
		r = sd_event_source_set_enabled(s->defer, SD_EVENT_OFF);
	}
	if (r >= 0) {
		r = sd_event_add_io(event, &s->io, fd, EPOLLIN, on_wake, s);
	}
	if (r >= 0) {
		r = sd_event_source_set_prepare(s->io, on_prepare);
	}
	if (r < 0) {
		zmq_source_free(s);
		return r;
	}
	(void)sd_event_source_set_description(s->io, "zmq-wake");
	(void)sd_event_source_set_description(s->defer, "zmq-handle");
	*ret = s;
	return 0;
}

static int on_pause_end(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source, (void)usec, (void)userdata;
	return 0;
}

void zmq_source_pause(struct zmq_source *s, uint64_t usec)
{
	if (!s->pause && sd_event_add_time_relative(s->event, &s->pause, CLOCK_MONOTONIC, usec, 100,
						    on_pause_end, s) < 0) {
		return;
	}
	(void)sd_event_source_set_time_relative(s->pause, usec);
	(void)sd_event_source_set_enabled(s->pause, SD_EVENT_ONESHOT);
}

struct zmq_source *zmq_source_free(struct zmq_source *s)
{
	if (!s) {
		return NULL;
	}
	sd_event_source_disable_unref(s->pause);
	sd_event_source_disable_unref(s->io);
	sd_event_source_disable_unref(s->defer);
	sd_event_unref(s->event);
	free(s);
	return NULL;
}
