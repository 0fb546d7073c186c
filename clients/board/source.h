/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the wall's content comes from: a subscriber of the library that asks for the public view of
 * the board's organisations, on sd-event.
 *
 * Each beginning is a reconciliation: all that is public since `history` is asked for, and once all
 * of it came (on_reconciled) what was not among it is no more. So it is when the process starts,
 * after more than ten minutes without the daemon, when history was lost, and each day. When the
 * queue's time is not known yet a first connection asks for it, for nothing may be asked for by
 * this machine's clock. A shorter interruption is the library's own to make up.
 *
 * A board that is refused what it asks for, asks for less: without the bureau, then without the
 * district. Refused even its own, it asks anew each minute: the policy may be mended.
 */
#ifndef BOARD_SOURCE_H
#define BOARD_SOURCE_H

#include "board_config.h"

#include <dibao/subscriber.h>
#include <systemd/sd-event.h>

struct source;

struct source_options {
	sd_event *event;
	const struct board_config *config; /* borrowed, as all of these */
	const struct rules *rules;
	int64_t (*now_ms)(void *userdata); /* trusted time; 0: not known */
	void *userdata;
	void (*on_begin)(void *userdata); /* a reconciliation */
	void (*on_reconciled)(void *userdata);
	/* published_ms: 0 = not known. */
	void (*on_view)(const void *view, size_t len, int64_t published_ms, void *userdata);
	void (*on_withdrawn)(const uint8_t pid[DIBAO_PID_BYTES], void *userdata);
	/* The end of a turn; then, if it returns true, all that came is acknowledged. */
	bool (*on_turn)(bool was_delivered, void *userdata);
	void (*on_confirmed)(uint64_t id, bool was_taken, void *userdata);
	void (*on_reopened)(void *userdata); /* receipts under way are forgotten */
};

/* known_until_ms: of what was published before, in an area, the cache knows all; AREA_NONE: it does
 * not. */
int source_new(struct source **ret, const struct source_options *opt, int64_t known_until_ms,
	       enum item_area known_area);
struct source *source_free(struct source *s);
/* The daemon's last heartbeat of this process; 0: none. */
int64_t source_heartbeat_ms(const struct source *s);
/* Of feed.h's beat. */
const char *source_link(const struct source *s);
/* All is there that was published. */
bool source_is_current(const struct source *s);
/* The widest area that is granted, and the daemon's words if it refused something; "" = nothing. */
enum item_area source_area(const struct source *s);
const char *source_refusal(const struct source *s);
/* -EAGAIN: not now. */
int source_receipt(struct source *s, const uint8_t pid[DIBAO_PID_BYTES], int64_t at_ms,
		   uint64_t *ret_id);

#endif
