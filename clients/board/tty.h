/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wall on a terminal (--tty): the same content as the page's, for a machine without a browser.
 * Rows of two lines, own area first, then the district's and the bureau's; a page at a time; at the
 * foot since when it is old. What was drawn counts as shown.
 *
 * Text is drawn as text: control characters, marks that turn the direction of writing and
 * characters without width are left out, so that nobody's name can move the cursor or change the
 * line it is on. Keys do nothing. One per process.
 */
#ifndef BOARD_TTY_H
#define BOARD_TTY_H

#include "feed.h"

struct tty;

struct tty_options {
	sd_event *event;
	const struct board_config *config; /* borrowed, as all of these */
	const struct rules *rules;
	const struct places *places;
	const struct wall *wall;
	bool is_demo;
	struct feed_time (*time)(void *userdata);
	void (*on_rendered)(const uint8_t pid[DIBAO_PID_BYTES], void *userdata);
	void (*on_reported)(void *userdata);
	void *userdata;
};

/* -ENOTTY: standard output is no terminal, or one that TERM doesn't know. */
int tty_new(struct tty **ret, const struct tty_options *opt);
/* The terminal is as it was. */
struct tty *tty_free(struct tty *t);

/* Copies what may be drawn of a UTF-8 text into out (cap bytes, NUL-terminated), at most so many
 * columns; what is cut ends in an ellipsis. Returns the columns. */
unsigned tty_clean(char *out, size_t cap, const char *p, size_t len, unsigned columns);

#endif
