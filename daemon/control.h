/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket for dibaoctl: a unix stream socket, one JSON object in a line asked, one
 * answered, {"ok": true, ...} or {"ok": false, "error": "..."}; then the daemon closes.
 *
 *   {"do":"status"}   {"do":"clients"}   {"do":"reload"}
 *
 * Access by the socket's file mode (0660). What changes something is written to the audit stream
 * with the uid that the kernel tells (audit.h). Bounds: 16 connections, 4 KiB a request, 5 s a
 * connection; an answer is built whole and written as the peer takes it.
 */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include <stddef.h>

struct server;
struct control;

/* What this verb ("status", "clients", "reload") answers, as a JSON object in one line; the
 * caller's. NULL: no memory. `who` asks, for the audit stream. */
char *control_answer(struct server *s, const char *who, const char *verb, size_t len);
int control_new(struct control **ret, struct server *s, const char *path);
struct control *control_free(struct control *c); /* removes the socket's file */

#endif
