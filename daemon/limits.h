/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much of the daemon one peer may take, before there is a session: connections at one time from
 * one address and with one key, new connections and HELLOs a minute of one key, sessions of one
 * key.
 *
 * Connections on tcp are counted by connections.h. Over its limit an address or a key is refused in
 * the handshake (zap.h): before that libzmq asks nobody. Keys are those that the policy knows; what
 * an ipc peer may do the rights of its directory say.
 */
#ifndef DAEMON_LIMITS_H
#define DAEMON_LIMITS_H

#include "config.h"
#include "router.h"

struct limits;

/* config: borrowed, read at each question: a reload needs no call. */
int limits_new(struct limits **ret, sd_event *event, const struct config *config);
struct limits *limits_free(struct limits *l);
/* Watch this router's connections, before it binds. */
int limits_watch(struct limits *l, struct router *r);

/* A tcp peer wants to connect: NULL, or why it may not. key NULL: it has none. */
const char *limits_connect(struct limits *l, const char *key, const char *address);
/* A message came with this key, on this descriptor (-1: not on tcp). */
void limits_heard(struct limits *l, const char *key, int fd);
/* A HELLO that would begin a session, of who has n_sessions: NULL, or why not. */
const char *limits_hello(struct limits *l, const char *who, unsigned n_sessions);

/* Connections on tcp now. */
unsigned limits_connections(const struct limits *l);

#endif
