/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The board: source → wall → cache and feed → page, and back from the page: watch → receipts →
 * source.
 *
 * A turn begins with something that came (frames, a report of the page, time) and ends in
 * board_turn(): the wall is judged anew, what changed goes to the page and the cache, and only then
 * is what came acknowledged.
 */
#ifndef BOARD_BOARD_H
#define BOARD_BOARD_H

#include "board_config.h"

struct board;

struct board_start {
	struct board_config *config_take;
	bool is_demo;
	const char *demo_path; /* NULL: built-in */
	unsigned demo_interval_ms;
	bool has_tty; /* draw on the terminal too */
};

/* Starts all; what is wrong is logged. SIGTERM, SIGINT and SIGCHLD are blocked by the caller. */
int board_new(struct board **ret, const struct board_start *start);
/* Until SIGTERM or SIGINT: 0. */
int board_run(struct board *b);
struct board *board_free(struct board *b);

#endif
