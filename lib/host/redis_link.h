/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One asynchronous connection to Redis on sd-event: connects, authenticates,
 * reconnects with backoff and jitter (50 ms doubling to 5 s), and times out
 * connects and commands (hiredis 0.14 does neither).
 *
 * A command sent while up is answered exactly once: by its reply, or with
 * reply == NULL when the connection is lost or its time is over (which ends
 * the connection). Nothing is queued while down: -ENOTCONN.
 *
 * Time is counted while nothing arrives: a command's runs from when it is the
 * oldest one open, and anew with each piece of a reply. READONLY, LOADING and
 * MASTERDOWN replies are handed on and end the connection: its role changed.
 * Callbacks may do anything, redis_link_free() included.
 *
 * The program must ignore SIGPIPE: hiredis write()s to a socket that Redis may
 * have closed.
 */
#ifndef HOST_REDIS_LINK_H
#define HOST_REDIS_LINK_H

#include <dibao/event.h>
#include <hiredis/hiredis.h>
#include <systemd/sd-event.h>

struct redis_link;

#define REDIS_LINK_OVERSIZE "DIBAO_OVERSIZE"

typedef void (*redis_reply_fn)(struct redis_link *l, const redisReply *reply, void *userdata);

struct redis_link_options {
	sd_event *event;
	const char *name;	     /* for the log: "tail", "main" */
	const char *address;	     /* as in redis_address.h */
	const char *user, *password; /* NULL: none */
	unsigned connect_timeout_ms, command_timeout_ms;
	/* Parse replies into an arena, freed as a whole after the callback (redis_arena.h). A reply
	 * over its limit is handed over as an error that starts with REDIS_LINK_OVERSIZE. */
	bool arena;
	void *userdata;
	/* Connected and authenticated, run id and role known. Called at each (re)connect. */
	void (*on_up)(struct redis_link *l, void *userdata);
	/* An up link was lost; all that was open has been answered. A connect that fails is only
	 * logged and tried again. May be NULL. */
	void (*on_down)(struct redis_link *l, const char *why, void *userdata);
};

/* Starts to connect. Strings are copied. -EINVAL for a bad address. */
int redis_link_new(struct redis_link **ret, const struct redis_link_options *opt);
struct redis_link *redis_link_free(struct redis_link *l); /* answers what is open with NULL */
bool redis_link_is_up(const struct redis_link *l);
const char *redis_link_run_id(const struct redis_link *l); /* "" before the first connect */
const char *redis_link_role(const struct redis_link *l);   /* "master", "slave" */

/* argv may hold binary. timeout_ms 0 = the link's; a blocking XREAD gives its own. 0, -ENOTCONN,
 * -ENOMEM. */
int redis_link_command(struct redis_link *l, redis_reply_fn fn, void *userdata, int argc,
		       const char *const *argv, const size_t *lens, unsigned timeout_ms);
/* Write what is buffered now instead of at the next turn of the loop. */
void redis_link_flush(struct redis_link *l);

/* The reply is an error, and starts with `code` unless that is NULL. False for reply == NULL. */
bool redis_reply_is_error(const redisReply *reply, const char *code);

#endif
