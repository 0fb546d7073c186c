/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The access policy in force, and what follows from it outside of access.h's decisions: who is let
 * in, with which keys the endpoints are bound, which durable names exist in Redis, and what a
 * reload takes away.
 *
 * A reload that fails leaves the old policy in force, whole. One that succeeds ends, before it
 * returns, every session that holds more than is granted now.
 */
#ifndef DAEMON_POLICY_H
#define DAEMON_POLICY_H

#include <stdbool.h>

struct access;
struct server;

/* At start: the policy, the daemon's secret key. -errno, logged. */
int policy_start(struct server *s);
void policy_stop(struct server *s);

/* zap_options.known: userdata is the server. */
bool policy_knows(const char *z85, void *userdata);
/* zap_options.too_much. */
const char *policy_too_much(const char *z85, const char *address, void *userdata);
/* Binds one endpoint with what guards it; warns of one that nothing guards. */
int policy_bind(struct server *s, const char *endpoint);
/* After the last bind: the secret key is libzmq's alone. */
void policy_forget_key(struct server *s);

/* Takes fresh in force. Returns how many sessions it ended. */
unsigned policy_replace(struct server *s, struct access *fresh_take);
/* Durable names exist by policy: sets each with its hold limit in Redis. Names that left the policy
 * stay until an operator forgets them, for their place would be lost. A daemon for boards registers
 * none. */
void policy_register_durables(struct server *s);

#endif
