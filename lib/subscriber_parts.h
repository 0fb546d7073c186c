/* SPDX-License-Identifier: Apache-2.0 */
/* What subscriber.c, link.c, link_socket.c and receipts.c share. */
#ifndef LIB_SUBSCRIBER_PARTS_H
#define LIB_SUBSCRIBER_PARTS_H

#include "context.h"
#include "inflight.h"
#include "wire.h"

#include <zmq.h>

enum { RECEIPTS_MAX = 1024, ENDPOINTS_MAX = 16, LINK_HANDSHAKE_MS = 5000 };

struct receipt {
	struct receipt *next;
	uint64_t id;
	bool sent; /* on this connection */
	unsigned state;
	int64_t at_ms;
	uint8_t key_len;
	uint16_t detail_len;
	bool has_detail;
	char bytes[]; /* key, detail */
};

/* The frame whose items are being delivered. */
struct delivering {
	struct wire_data header;
	struct in_frame *frame; /* borrowed from inflight; nothing is pushed meanwhile */
	zmq_msg_t held;		/* a reference of our own while left > 0: acks may end inflight's */
	const uint8_t *p;
	uint32_t left, item;
	bool may_repeat;
};

struct dibao_subscriber {
	struct dibao_subscriber_options opt; /* callbacks and numbers; strings are below, owned */
	char **endpoints, **types, **orgs;
	unsigned n_endpoints, n_types, n_orgs;
	char *bureau, *durable, *server_key, *public_key, *secret_key;
	uint32_t window, granted;
	uint8_t instance[WIRE_INSTANCE_BYTES];
	struct dibao_context *context; /* borrowed */
	struct dibao_status status;
	/* Reason told last of each endpoint since there was a session: said once, not at each
	 * attempt. */
	uint16_t told[ENDPOINTS_MAX];
	_Atomic bool stopped; /* by a signal handler or another thread */
	int callback_value;
	unsigned n_dispatching;

	int epoll_fd, timer_fd, event_fd;
	uint64_t timer_set, ack_due; /* µs, CLOCK_MONOTONIC; 0 = none */

	/* link.c */
	void *socket, *monitor; /* owned; NULL: between connections */
	int socket_fd, monitor_fd;
	bool drained;	  /* nothing was left in the socket, and nobody has touched it since */
	bool monitor_due; /* the monitor has something to tell, perhaps */
	unsigned endpoint;
	uint64_t connect_at, give_up_at, hello_at, heard_at, sent_at; /* µs */
	uint64_t backoff_usec;
	uint32_t lease_ms, beat_ms;
	bool shook_hands;
	bool was_active; /* once: then a reconnect goes on where it was */
	bool broke_protocol;
	uint64_t calm_at; /* µs: then a new failure is a new story */
	uint8_t channels; /* of the WELCOME: bit i = enum dibao_channel i */
	uint8_t live;	  /* of these: those that have caught up on this connection */
	/* Daemon's clock at the channel's last frame that was not catching up: all before it is
	 * here. 0 = not caught up yet. */
	int64_t live_ms[DIBAO_CHANNEL_COUNT];
	int64_t welcome_ms; /* queue's clock at WELCOME */

	struct inflight inflight;
	struct delivering now;

	/* receipts.c */
	struct receipt *receipts, **receipts_end; /* oldest first */
	unsigned n_receipts;
	uint64_t next_receipt;
};

/* subscriber.c */
void subscriber_set_state(struct dibao_subscriber *s, enum dibao_state state,
			  enum dibao_reason reason, const char *text, size_t len);
/* 0; -EPROTO and others: the connection must be given up. Takes the payload's content. */
int subscriber_begin_frame(struct dibao_subscriber *s, const struct wire_data *h,
			   zmq_msg_t *payload);
void subscriber_end_frame(struct dibao_subscriber *s);
/* After a send outside of a dispatch, which would have looked at its end. */
void subscriber_look_again(struct dibao_subscriber *s);

/* link.c */
uint64_t link_now(void); /* µs, CLOCK_MONOTONIC */
void link_timers(struct dibao_subscriber *s, uint64_t now);
uint64_t link_next_due(const struct dibao_subscriber *s);
/* One message. 1 handled, 0 none there, -errno. */
int link_receive(struct dibao_subscriber *s, uint64_t now);
/* Must be asked before waiting: that is what makes the socket's descriptor fire again. */
bool link_has_more(struct dibao_subscriber *s);
/* True if it went out. */
bool link_send_ack(struct dibao_subscriber *s, uint64_t now);
bool link_send(struct dibao_subscriber *s, const void *bytes, size_t len, uint64_t now);
/* Give the connection up and try the next endpoint after a while. */
void link_fail(struct dibao_subscriber *s, enum dibao_reason why, const char *text);
void link_close(struct dibao_subscriber *s, bool say_goodbye);

/* link_socket.c. open: 0 or -errno, then close what there is of it. */
int link_socket_open(struct dibao_subscriber *s);
void link_socket_close(struct dibao_subscriber *s, bool let_go_out);
/* Why the connection ended, or was not made; NONE: it has not. */
enum dibao_reason link_socket_ended(struct dibao_subscriber *s, const char **ret_text);

/* receipts.c */
void receipts_send(struct dibao_subscriber *s,
		   uint64_t now); /* those not sent on this connection */
void receipts_reset(struct dibao_subscriber *s);
void receipts_confirmed(struct dibao_subscriber *s, uint64_t id, int err);

#endif
