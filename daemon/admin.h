/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What dibaoctl asks of the daemon, over an endpoint in place of the control socket: ASK, and its
 * ANSWER in parts. For entries of kind admin with a key, and for `local`, whom the rights of the
 * ipc socket's directory let in; acts are in the audit stream under the entry's name. Never for a
 * peer without a key on tcp, whatever the policy says of [insecure], and not in a daemon for
 * boards.
 */
#ifndef DAEMON_ADMIN_H
#define DAEMON_ADMIN_H

#include <stddef.h>
#include <stdint.h>

/* sessions_options.on_ask: userdata is the server. */
void admin_on_ask(uint32_t routing_id, const void *frame, size_t len, void *userdata);

#endif
