/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people had this daemon do, for the audit stream. It is told to Redis and not waited for;
 * when Redis cannot be told, the journal is, at level err: an act on a daemon whose Redis is down
 * must still be possible.
 */
#ifndef DAEMON_AUDIT_H
#define DAEMON_AUDIT_H

#include <stdbool.h>

struct server;

/* who: "uid=1000", "SIGHUP"; no more than 64 bytes of it count. */
void audit_act(struct server *s, const char *who, const char *act, bool ok);

#endif
