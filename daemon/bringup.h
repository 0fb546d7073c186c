/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From links that are up to a daemon that serves, and back to reading after each loss of Redis:
 *
 *   all links up -> Redis checked -> state loaded (once), or compared with what we hold when it is
 *   another run of Redis -> tail reading -> bound, READY (once)
 *
 * One step at a time; each begins when the one before has succeeded, and all of it is looked at
 * anew when a link comes up. A step that fails is tried again after 2 s, or when Redis is back.
 * What is found wrong with Redis stops the daemon before it serves; afterwards sessions stay,
 * nothing is read, and Redis is looked at again every 2 s.
 */
#ifndef DAEMON_BRINGUP_H
#define DAEMON_BRINGUP_H

#include "redis_link.h"

struct server;

int bringup_init(struct server *s); /* needs the loop; negative errno of sd-event */
/* For the links' options; userdata is the server. */
void bringup_on_link_up(struct redis_link *l, void *userdata);
void bringup_on_link_down(struct redis_link *l, const char *why, void *userdata);

#endif
