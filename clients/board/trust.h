/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What time it is, without believing this machine: the queue's clock as the daemon last told it,
 * carried on by CLOCK_BOOTTIME, which nobody sets and which counts while the machine sleeps.
 *
 * After a reboot nothing ties the two together until the daemon is heard. Then the time is a lower
 * bound, "at least": what it was when last noted, and the uptime. It is not trusted.
 *
 * A frame may have waited in a socket while this process did not run; its clock is then late, and
 * is not taken for the time until the daemon's clock has been late for a minute (it was set back).
 *
 * Pure: the caller reads CLOCK_BOOTTIME (boot_ms, milliseconds).
 */
#ifndef BOARD_TRUST_H
#define BOARD_TRUST_H

#include <stdbool.h>
#include <stdint.h>

struct trust {
	bool is_trusted;
	int64_t base_ms, base_boot_ms; /* it was base_ms (or later) at that boot time */
	int64_t heard_ms;	       /* the daemon's last heartbeat; 0 = none yet */
	int64_t heartbeat_ms; /* its last while all that was published was here: the caller's to set
			       */
	int64_t late_since_ms; /* boot time since when it is late; 0 = it is not */
};

/* As it is kept on disk. */
struct trust_note {
	char boot_id[40]; /* of the boot that boot_ms counts from */
	int64_t now_ms, boot_ms, heartbeat_ms;
	bool is_trusted;
};

/* The daemon said so just now. */
void trust_hear(struct trust *t, int64_t queue_ms, int64_t boot_ms);
/* The time; 0 = nothing is known. */
int64_t trust_now(const struct trust *t, int64_t boot_ms);
struct trust_note trust_note(const struct trust *t, int64_t boot_ms, const char *boot_id);
/* Goes on from a note. */
void trust_take(struct trust *t, const struct trust_note *n, int64_t boot_ms, const char *boot_id);

#endif
