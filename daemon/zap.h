/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is let in: answers libzmq's question (ZAP, RFC 27) about each connection before its first
 * message, in the daemon's loop. Bound before any endpoint.
 *
 * libzmq asks when a peer has shown its key: what comes before costs only libzmq, and is bounded by
 * ZMQ_HANDSHAKE_IVL alone. So the limits of connections (limits.h) are held here, and told by
 * another status (500) than that of an unknown key (400).
 *
 * A CURVE key is let in if the policy knows it; unknown ones are refused, counted and logged, the
 * key and nothing else. What a name may then do is asked at HELLO, where a refusal has words.
 *
 * The answer gives the connection a User-Id of a secret of this process and the key, so that a
 * message tells who sent it. Where no handler was asked, by a fault of ours or of libzmq, the
 * User-Id is missing or the peer's own invention; it lacks the secret, and zap_user() says NULL.
 * So this fails closed, whatever libzmq does (ZMQ_ZAP_ENFORCE_DOMAIN is set besides, router.c).
 *
 * The User-Id holds the key, not the name: a connection that was let in by a key that has since
 * been taken from its name is nobody.
 */
#ifndef DAEMON_ZAP_H
#define DAEMON_ZAP_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

/* Domains, one a way in. The last two are also who such a peer is (access.h). */
#define ZAP_CURVE    "curve"
#define ZAP_LOCAL    "local"
#define ZAP_INSECURE "insecure"

struct zap;

struct zap_options {
	sd_event *event;
	void *context; /* ZeroMQ's, borrowed: the endpoints' own */
	void *userdata;
	bool (*known)(const char *z85, void *userdata);
	/* A tcp peer that would be let in: why it is not after all, or NULL. z85 NULL: it has no
	 * key. May be NULL. */
	const char *(*too_much)(const char *z85, const char *address, void *userdata);
};

int zap_new(struct zap **ret, const struct zap_options *opt);
struct zap *zap_free(struct zap *z);

/* Who sent a message with this User-Id property (NULL: it has none): a key in Z85, ZAP_LOCAL or
 * ZAP_INSECURE, inside user_id; NULL: it was not we who let it in. */
const char *zap_user(const struct zap *z, const char *user_id);

uint64_t zap_refused(const struct zap *z);
/* Of these, those refused by too_much. */
uint64_t zap_refused_too_much(const struct zap *z);

#endif
