/* SPDX-License-Identifier: Apache-2.0 */
/* What redis_link.c holds, for redis_handshake.c, which brings a connection up. */
#ifndef HOST_REDIS_LINK_PARTS_H
#define HOST_REDIS_LINK_PARTS_H

#include "redis_link.h"

struct redisAsyncContext;

struct command {
	struct command *next;
	redis_reply_fn fn;
	void *userdata;
	unsigned timeout_ms;
};

struct redis_link {
	sd_event *event;
	char *name, *address, *user, *password; /* owned; user, password may be NULL */
	unsigned connect_timeout_ms, command_timeout_ms;
	void *userdata;
	void (*on_up)(struct redis_link *l, void *userdata);
	void (*on_down)(struct redis_link *l, const char *why, void *userdata);

	struct redis_arena *arena;    /* NULL: hiredis' own objects */
	struct redisAsyncContext *ac; /* NULL: waiting for `retry` */
	sd_event_source *io, *deadline, *retry;
	uint32_t io_events;
	bool wants_write, in_prepare;
	struct command *head,
		*tail;		/* sent and not answered; the memory is hiredis' to hand back */
	uint64_t progress_usec; /* when the head was sent, became head, or bytes came */
	uint64_t armed_usec;	/* of `deadline`; 0 = off */
	uint64_t up_usec;
	unsigned backoff_ms;
	bool is_up, is_freed, is_loading;
	unsigned n_entered;
	char failure[160]; /* why the handshake fails; "" = it doesn't */
	char run_id[48], role[16];
};

/* redis_handshake.c: sends all that stands before the first command. 0, -ENOTCONN, -ENOMEM. */
int redis_handshake_send(struct redis_link *l);

/* redis_link.c: a command on a link that is not up yet. */
int redis_link_send(struct redis_link *l, redis_reply_fn fn, void *userdata, int argc,
		    const char *const *argv, const size_t *lens, unsigned timeout_ms);
/* The handshake is over: up, or given up for what l->failure says. */
void redis_link_shaken(struct redis_link *l);

#endif
