/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ZeroMQ socket on sd-event. ZMQ_FD is edge-triggered and any call on the
 * socket may eat the edge, so the rule "ask ZMQ_EVENTS before sleeping" lives
 * here and nowhere else: a prepare callback asks, and a oneshot deferred
 * source runs on_readable until it reports the socket empty.
 */
#ifndef DAEMON_ZMQ_SOURCE_H
#define DAEMON_ZMQ_SOURCE_H

#include <stdbool.h>
#include <systemd/sd-event.h>

struct zmq_source;

/* Handle a bounded number of messages, then return: 0 handled (called again if more are there), or
 * a negative errno, which ends the loop. */
typedef int (*zmq_source_fn)(void *socket, void *userdata);

/* The socket stays the caller's and must outlive the source. */
int zmq_source_new(struct zmq_source **ret, sd_event *event, void *socket, zmq_source_fn fn,
		   void *userdata);
/* The handler is not called for so long, whatever comes. */
void zmq_source_pause(struct zmq_source *s, uint64_t usec);
struct zmq_source *zmq_source_free(struct zmq_source *s);

#endif
