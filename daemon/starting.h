/* SPDX-License-Identifier: Apache-2.0 */
/* What start.c and sessions.c hand on to starting.c. Nobody else includes this. */
#ifndef DAEMON_STARTING_H
#define DAEMON_STARTING_H

#include "sessions.h"

/* What a session asked for and may have, kept (as session->hello) while it waits. */
struct asked {
	struct filter filter;
	enum dibao_start from;
	int64_t arg;
	uint32_t window_bytes;
	uint8_t channels;
};

/* Welcome follows, or standby, or an end; or it is dropped without a word. */
void starting_ask(struct sessions *m, struct session *s, uint64_t now);
/* The lease may be free by now. */
void starting_retry_standby(struct sessions *m, struct session *s, uint64_t now);

#endif
