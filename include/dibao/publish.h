/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publisher: hands events to the queue in Redis.
 *
 * Each event is one atomic call of a Redis function: stored once by its uid,
 * scheduled, or refused as a conflict. A publisher that got no answer (a crash,
 * a broken line) publishes the same bytes again and is told `repeat`.
 * An acknowledged event is on disk when Redis runs with `appendfsync always`.
 *
 * One thread at a time per publisher. Errors are negative errno values:
 *   -ENOTCONN  no connection; what was in flight may or may not be stored
 *   -ENOSYS    the functions are not loaded: run `dibaoctl setup`
 *   -EBADMSG, -EINVAL, -EMSGSIZE, -EPROTONOSUPPORT  as dibao_event_parse()
 *   -ENOENT    retracts/corrects an event that is not known
 *   -EPERM     retracts/corrects an event of another person
 *   -EACCES    Redis refused by its rights    -EIO  any other Redis error
 */
#ifndef DIBAO_PUBLISH_H
#define DIBAO_PUBLISH_H

#include <dibao/event.h>

#ifdef __cplusplus
extern "C" {
#endif

enum dibao_outcome {
	DIBAO_NEW = 1,	     /* stored now */
	DIBAO_REPEAT = 2,    /* this uid with these bytes was stored before */
	DIBAO_SCHEDULED = 3, /* not_before is ahead: will be released then */
	DIBAO_CONFLICT = 4,  /* this uid was stored with other bytes: nothing done */
};
const char *dibao_outcome_name(enum dibao_outcome o);

struct dibao_publisher;

struct dibao_redis_options {
	const char *address;  /* "unix:/path" or "host:port" (an IP address) */
	const char *user;     /* NULL: default user */
	const char *password; /* NULL: none */
	const char *bureau;   /* hash tag, 1..16 of [0-9a-z_-], "3205" */
	unsigned timeout_ms;  /* connect and command; 0 = 5000 */
};

/* Connects and checks that the functions of this version are loaded. -EINVAL an option, -ENOTCONN,
 * -EACCES, -ENOSYS, -EIO, -ENOMEM. */
int dibao_publisher_new(struct dibao_publisher **ret, const struct dibao_redis_options *opt,
			struct dibao_error *err);
/* Through a daemon instead, for who must not have a Redis user: kind publisher-relay of the access
 * policy, see dibao-access(7). */
struct dibao_relay_options {
	const char *endpoint;	      /* of dibaod: "tcp://address:port", "ipc:///path" */
	const char *bureau;	      /* the daemon's */
	const char *curve_server_key; /* Z85; NULL: no CURVE */
	const char *curve_key_file;   /* one's own, as `dibaoctl keygen` makes it */
	unsigned timeout_ms;	      /* of each answer; 0 = 5000 */
};
/* Connects and is told how many events may be in flight, at most 256. All that follows is as with
 * Redis; -EACCES of an event: its type or organisation is not granted. -EINVAL an option,
 * -ENOTCONN, -EACCES: not granted, the daemon's words are in err; -ENOMEM, or what dibao_key_read()
 * says. */
int dibao_publisher_new_relay(struct dibao_publisher **ret, const struct dibao_relay_options *opt,
			      struct dibao_error *err);
/* Waits for nothing: flush first. Returns NULL. */
struct dibao_publisher *dibao_publisher_free(struct dibao_publisher *p);

/* Validate, store, wait for the answer: an enum dibao_outcome or an error. */
int dibao_publish(struct dibao_publisher *p, const void *event, size_t len,
		  struct dibao_error *err);

/*
 * Pipelined: up to `window` (1..4096) events are in flight. The call validates,
 * sends and returns; it waits only while the window is full. Results arrive by
 * `done`, in order, from inside later calls of dibao_publish_async(),
 * dibao_publisher_flush() or dibao_publisher_free() (then with -ENOTCONN), each
 * exactly once. Bytes are copied. If the call itself fails (-ENOTCONN, -ENOMEM)
 * that event was not taken and `done` is not called for it; with -ENOTCONN the
 * publisher is of no more use: make a new one and publish again. `done` (NULL: nobody asks) must
 * not call the publisher.
 */
typedef void (*dibao_publish_done)(void *userdata, int outcome_or_error,
				   const struct dibao_error *err);
int dibao_publisher_window(struct dibao_publisher *p, unsigned window); /* -EINVAL; at first 256 */
int dibao_publish_async(struct dibao_publisher *p, const void *event, size_t len,
			dibao_publish_done done, void *userdata);
/* Wait until nothing is in flight. 0, -ENOTCONN. */
int dibao_publisher_flush(struct dibao_publisher *p);

#ifdef __cplusplus
}
#endif
#endif
