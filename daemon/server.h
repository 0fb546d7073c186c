/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon as a whole: owns the loop's parts, starts them in order, stops them in reverse.
 *
 *   links up -> Redis checked -> state loaded (epoch, tail, withdrawals) -> tail reading -> bound,
 * READY
 *
 * When a link comes back the streams are compared with what we hold (rollback.h) before the tail
 * reads on. SIGTERM drains: no new frames, acks awaited (drain_ms), cursors flushed, leases given
 * back, clients told. SIGHUP reads the configuration anew, whole or not at all.
 */
#ifndef DAEMON_SERVER_H
#define DAEMON_SERVER_H

#include "config.h"

struct server;

struct server_options {
	struct config *config;	 /* taken */
	const char *config_path; /* borrowed; NULL: defaults */
	bool unsafe_redis;
};

/* 0, EX_CONFIG: a file that the configuration names has a fault, EX_OSERR; logged. */
int server_new(struct server **ret, const struct server_options *opt);
/* Runs until stopped. 0, or a sysexits code: EX_UNAVAILABLE, EX_CONFIG, EX_OSERR. */
int server_run(struct server *s);
struct server *server_free(struct server *s);

#endif
