/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One blocking connection to a daemon for requests and their answers: the publisher through an
 * endpoint, and dibaoctl's questions. (The subscriber has its own, link.c, which never waits.)
 *
 * It ends for good at its first fault: a lost line, a key that the daemon does not know, GOODBYE,
 * silence for longer than the timeout. Whoever wants to go on opens another one.
 */
#ifndef LIB_DEALER_H
#define LIB_DEALER_H

#include <dibao/event.h>

struct dealer;

struct dealer_options {
	const char *endpoint;
	const char *server_key, *key_file; /* CURVE; both NULL: none */
	unsigned timeout_ms;		   /* of each call; 0 = 5000 */
};

/* 0; -EINVAL, -ENOMEM, or what dibao_key_read() says. Connects in the background. */
int dealer_open(struct dealer **ret, const struct dealer_options *opt, struct dibao_error *err);
struct dealer *dealer_close(struct dealer *d);

/* 0; -ENOTCONN; -EACCES: the daemon does not know the key. */
int dealer_send(struct dealer *d, const void *bytes, size_t len, struct dibao_error *err);
/* The next message, borrowed until the next call. 0; as dealer_send(), -EACCES also when the daemon
 * said goodbye because something is not granted: its words are in err. */
int dealer_receive(struct dealer *d, const uint8_t **ret, size_t *ret_len, struct dibao_error *err);
/* HELLO {feat: ["publish"]}, and its answer: how many events may be unanswered. */
int dealer_hello_publish(struct dealer *d, const char *bureau, unsigned *ret_window,
			 struct dibao_error *err);

#endif
