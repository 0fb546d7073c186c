/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subscriber: receives events from dibaod, acknowledges them, reports what
 * became of them.
 *
 * Delivery is at least once. The library drops what comes again because the
 * connection broke before it was acknowledged. What remains is marked
 * `may_repeat`: what an earlier process had not acknowledged, and what Redis
 * lost and was published again. An application makes an effect once by uid. It
 * may look for the uid of marked ones only, if it can bear repeats after Redis
 * came back with less while no daemon ran: those no daemon can know.
 * Within a channel the order is the publisher's. Acknowledge an event when it
 * is durably taken over (written to your own store), in any order.
 *
 * A subscriber reconnects, changes endpoints and resumes by itself; an
 * application need only look at the states it is told of. With a durable name
 * the daemon knows what was acknowledged, and nothing is missed however long
 * one is away. Without, the library asks for what came since it had last caught
 * up, by the queue's clock and 2 s more: events may be missed if that clock
 * was set back by more than that while the connection was broken.
 *
 * Threads: a subscriber belongs to the thread that calls it. Several threads
 * may each have their own subscribers on one shared struct dibao_context.
 * Liveness: dibao_subscriber_dispatch() must be called at least every
 * `lease_ms` / 3 (the descriptor becomes readable for it): a durable name's
 * lease is renewed from there, so a hung application loses it.
 */
#ifndef DIBAO_SUBSCRIBER_H
#define DIBAO_SUBSCRIBER_H

#include <dibao/event.h>

#ifdef __cplusplus
extern "C" {
#endif

struct dibao_context; /* a ZeroMQ context; share it between subscribers */
struct dibao_subscriber;

/* io_threads: 1 to 64. -EINVAL, -ENOMEM, -ENOSYS (libsodium does not start). */
int dibao_context_new(struct dibao_context **ret, int io_threads);
/* All its subscribers must be freed before. Returns NULL. */
struct dibao_context *dibao_context_free(struct dibao_context *c);

enum dibao_start {
	DIBAO_START_RESUME = 0, /* where the durable name's acks ended; first time: as NEW */
	DIBAO_START_NEW,	/* only what comes from now on */
	DIBAO_START_TIME,	/* published at or after start_arg (Unix ms, Redis' clock) */
	DIBAO_START_LAST,	/* about the last start_arg of its events per channel (1..100000) */
};

enum dibao_channel {
	DIBAO_CHANNEL_PUBLIC = 0,
	DIBAO_CHANNEL_PRIVATE = 1,
	DIBAO_CHANNEL_PUBLIC_NOW = 2, /* urgent events and withdrawals */
	DIBAO_CHANNEL_PRIVATE_NOW = 3,
	DIBAO_CHANNEL_COUNT = 4,
};
const char *dibao_channel_name(enum dibao_channel c); /* "public-now" */

enum dibao_item_kind {
	DIBAO_ITEM_EVENT = 0,	  /* bytes are an event */
	DIBAO_ITEM_VIEW = 1,	  /* bytes are a public view (view.h) */
	DIBAO_ITEM_WITHDRAWN = 2, /* bytes are {pid, uid?}: take it back, wherever it shows */
};

/* One delivery. bytes are borrowed until the callback returns, also when it
 * acknowledges; keep a copy if you need more. */
struct dibao_delivery {
	enum dibao_item_kind kind;
	enum dibao_channel channel;
	const uint8_t *bytes;
	size_t len;
	bool withdrawn;	 /* has been retracted or corrected since it was published */
	bool again;	 /* no news: a view of one who was hidden, and is so no more */
	bool replay;	 /* caught up from history, not live */
	bool may_repeat; /* may have been delivered before, to this process or an earlier one */
	int64_t sent_ms; /* queue's clock when the frame was made, Unix ms */
	uint64_t ack;	 /* hand to dibao_subscriber_ack() */
};

enum dibao_state {
	DIBAO_STATE_CONNECTING = 0,
	DIBAO_STATE_STANDBY, /* another instance of the durable name is active */
	DIBAO_STATE_ACTIVE,
	DIBAO_STATE_REFUSED, /* final: see reason */
};

/* Why the daemon said goodbye, or what the library saw by itself (above 255). Only with the state
 * REFUSED is a reason final; with CONNECTING the next endpoint is being tried. */
enum dibao_reason {
	DIBAO_REASON_NONE = 0,
	DIBAO_REASON_REFUSED = 1,     /* asked for more than the policy allows */
	DIBAO_REASON_REVOKED = 2,     /* the policy changed */
	DIBAO_REASON_SUPERSEDED = 3,  /* another instance took the durable name over */
	DIBAO_REASON_DRAINING = 4,    /* daemon stops: go elsewhere, or come back */
	DIBAO_REASON_NO_SESSION = 5,  /* daemon does not know this connection */
	DIBAO_REASON_PROTOCOL = 6,    /* protocol error */
	DIBAO_REASON_VERSION = 7,     /* no common protocol version */
	DIBAO_REASON_BUSY = 8,	      /* limits reached: try later */
	DIBAO_REASON_CLOSING = 9,     /* client's own goodbye */
	DIBAO_REASON_NO_ANSWER = 256, /* nobody listens there, or is silent for 5 s */
	DIBAO_REASON_HANDSHAKE = 257, /* another server key, or only one side has keys */
	DIBAO_REASON_LOST = 258,      /* the connection broke, or nothing was heard for too long */
};
const char *dibao_reason_name(enum dibao_reason r);

struct dibao_status {
	enum dibao_state state;
	enum dibao_reason reason;
	char text[160];	      /* the daemon's words or the library's; "" if none */
	const char *endpoint; /* the one this is about; borrowed until the next call */
	uint64_t token_epoch, token_counter; /* fencing token of this activity; 0 = none */
	int64_t heartbeat_ms; /* queue's clock at the daemon's last frame, Unix ms; 0 = none yet */
	/* On this connection all that was published before it began has been delivered. */
	bool caught_up;
	uint64_t n_delivered, n_repeats, n_reconnects;
};

/* A stretch of history that could not be delivered (retention, lost by Redis).
 * Times are rounded outward to the hour. */
struct dibao_lost {
	enum dibao_channel channel;
	int64_t from_ms, to_ms;
	char reason[64];
};

struct dibao_subscriber_options {
	const char *const *endpoints; /* ZeroMQ endpoints, NULL-terminated; tried in turn */
	const char *bureau;	      /* must be the daemon's */
	const char *durable;	      /* NULL: not durable, starts anew each time */
	const char *const *types;     /* NULL: all that the policy allows */
	const char *const *orgs;      /* codes or prefixes; NULL: all allowed */
	enum dibao_start start;
	int64_t start_arg;
	bool public_view;      /* ask for the public view */
	bool validate;	       /* dibao_event_parse() each event before delivering it */
	uint32_t window_bytes; /* 131072 .. 16777216; 0 = 524288 */
	const char *curve_server_key, *curve_public_key,
		*curve_secret_key; /* Z85; NULL: no CURVE */
	/* In place of the two above: a file as `dibaoctl keygen` makes it, see key.h. */
	const char *curve_key_file;

	void *userdata;
	/* A delivery. Ack now or later; a non-zero return stops dispatching. */
	int (*on_delivery)(struct dibao_subscriber *s, const struct dibao_delivery *d,
			   void *userdata);
	/* State changed (may be NULL), or an endpoint failed for another reason than before: each
	 * is told once for each endpoint until there is a session again. */
	void (*on_status)(struct dibao_subscriber *s, const struct dibao_status *st,
			  void *userdata);
	/* status.caught_up became true (may be NULL). */
	void (*on_caught_up)(struct dibao_subscriber *s, void *userdata);
	/* History that is gone (may be NULL). */
	void (*on_lost)(struct dibao_subscriber *s, const struct dibao_lost *l, void *userdata);
	/* Receipt `id` is durable (err 0) or refused (may be NULL). */
	void (*on_confirmed)(struct dibao_subscriber *s, uint64_t id, int err, void *userdata);
};

/* Strings and arrays are copied. *ret is the caller's. -EINVAL an option, *err says which; -ENOMEM;
 * -EMFILE; what dibao_key_read() returns. */
int dibao_subscriber_new(struct dibao_subscriber **ret, struct dibao_context *ctx,
			 const struct dibao_subscriber_options *opt, struct dibao_error *err);
/* Sends pending acks and a goodbye; dibao_context_free() waits at most 200 ms for the wire. Not
 * from a callback. Returns NULL. */
struct dibao_subscriber *dibao_subscriber_free(struct dibao_subscriber *s);

/* A descriptor to poll for reading; the same for the subscriber's whole life,
 * through reconnects (an epoll descriptor: level-triggered, timers included). */
int dibao_subscriber_fd(struct dibao_subscriber *s);
/* As on_status is told it, and with the heartbeat as it is now; borrowed until the next call. */
const struct dibao_status *dibao_subscriber_status(const struct dibao_subscriber *s);
/* Do what is due; calls the callbacks. Handles at most `max` deliveries (0 = 1000).
 * Deliveries made, or -errno, with which the subscriber is of no more use. */
int dibao_subscriber_dispatch(struct dibao_subscriber *s, unsigned max);
/* The simple loop: wait and dispatch until on_delivery returns non-zero (that value is
 * returned), dibao_subscriber_stop() (0), a refusal (-EACCES), or an error that is final. */
int dibao_subscriber_run(struct dibao_subscriber *s);
/* Ends run(), now or when it is called next. Safe in a signal handler and from another thread. */
void dibao_subscriber_stop(struct dibao_subscriber *s);

/* Acknowledge one delivery, in any order. The floor (all up to it acked) goes out at most
 * every 20 ms or each half window. A delivery of an earlier connection counts for its
 * repetition, which is then not delivered. -EINVAL unknown or acked before; -ENOMEM. */
int dibao_subscriber_ack(struct dibao_subscriber *s, uint64_t ack);
/* Acknowledge all delivered so far. */
int dibao_subscriber_ack_all(struct dibao_subscriber *s);

enum dibao_receipt_state {
	DIBAO_RECEIPT_SHOWN = 1,
	DIBAO_RECEIPT_QUEUED = 2,
	DIBAO_RECEIPT_SUBMITTED = 3,
	DIBAO_RECEIPT_ACCEPTED = 4,
	DIBAO_RECEIPT_DELIVERED = 5,
	DIBAO_RECEIPT_FAILED = 6,
	DIBAO_RECEIPT_UNSERVED = 7,
	DIBAO_RECEIPT_DROPPED = 8,
};
const char *dibao_receipt_name(enum dibao_receipt_state s);

/*
 * Report what became of an event: `key` is its uid, or the 16-byte pid for the public view.
 * Sent again after a reconnect until confirmed; at most 1024 may be unconfirmed (-EAGAIN).
 * detail: at most 256 bytes of UTF-8, no personal data; may be NULL. Returns 0, *ret_id names it;
 * -EINVAL, -ENOMEM.
 */
int dibao_subscriber_receipt(struct dibao_subscriber *s, const void *key, size_t key_len,
			     enum dibao_receipt_state state, int64_t at_ms, const char *detail,
			     uint64_t *ret_id);
/*
 * Forget what is not confirmed: it is not sent again, and on_confirmed is not called for it. For
 * who keeps its reports itself and makes them anew when it is active again: another instance may
 * have reported later states meanwhile.
 */
void dibao_subscriber_forget_receipts(struct dibao_subscriber *s);

#ifdef __cplusplus
}
#endif
#endif
