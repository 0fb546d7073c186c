/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is connected on tcp now: how many of an address, and how many with a key.
 *
 * Of an address: by libzmq's monitor, each connection from accept to disconnect, whether or not it
 * ever shook hands.
 *
 * With a key: libzmq ties none to a connection. Its question to the authentication handler names
 * key and address, not the connection; the monitor names the descriptor, not the key. So a key that
 * was let in counts as one more of its address, without a connection, until a message of it comes:
 * that has both, the key as its User-Id and the descriptor as ZMQ_SRCFD (deprecated, there in
 * libzmq 4.3.4). From then on the connection's end is the key's.
 *
 * A connection that never says anything is counted all the same. When it ends it is not known whose
 * it was, if several keys of one address are silent: then the one let in first is taken off. Never
 * more are counted at an address than it has silent connections. So who speaks, as all clients do
 * at once, is counted exactly, and who doesn't may be counted for longer than he is there, by
 * others that are silent at his own address.
 *
 * A descriptor comes again. What its former connection said last may be read after the monitor has
 * told of the new one: such a message changes nothing unless its key was let in at that very
 * address and not heard since, and the new connection's own first message sets it right.
 */
#ifndef DAEMON_CONNECTIONS_H
#define DAEMON_CONNECTIONS_H

#include "router.h"

struct connections;

int connections_new(struct connections **ret, sd_event *event);
struct connections *connections_free(struct connections *c);
/* Watch this router's connections, before it binds. */
int connections_watch(struct connections *c, struct router *r);

/* Takes in what the monitor has told. 0, or -errno: nothing is known any more. */
int connections_update(struct connections *c);
/* A key was let in from an address. -ENOMEM: it is not counted. */
int connections_let_in(struct connections *c, const char *key, const char *address);
/* A message came with this key, on this descriptor (-1: not on tcp). */
void connections_heard(struct connections *c, const char *key, int fd);

unsigned connections_n(const struct connections *c);
unsigned connections_of_address(const struct connections *c, const char *address);
unsigned connections_of_key(const struct connections *c, const char *key);

#endif
