/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a page lives, and what it has shown: POST /alive comes each 30 s from the page that hangs
 * on the wall (feed.h).
 *
 * Public ids that it rendered while visible become receipts, each once. No report for alive_ms:
 * that is logged, told in the status, and restart_command is run, again after each further
 * alive_ms; it is no shell's, its words are parted by blanks.
 */
#ifndef BOARD_WATCH_H
#define BOARD_WATCH_H

#include "board_config.h"
#include "httpd.h"

struct watch;

struct watch_options {
	sd_event *event; /* SIGCHLD is blocked */
	const struct board_config *config;
	void (*on_rendered)(const uint8_t pid[DIBAO_PID_BYTES], void *userdata);
	void (*on_reported)(void *userdata); /* after all of one report */
	void *userdata;
};

int watch_new(struct watch **ret, const struct watch_options *opt);
struct watch *watch_free(struct watch *w);
/* Answers POST /alive: 204, or 400 with what is wrong. */
void watch_alive(struct watch *w, struct http_request *r);

/* A terminal shows the wall: as good as a page's report. */
void watch_drawn(struct watch *w);

struct watch_state {
	bool is_silent; /* for longer than alive_ms */
	int64_t ago_ms; /* the last report; -1: none yet */
	bool is_visible;
	unsigned page, pages;
	unsigned n_restarts;
};
struct watch_state watch_state(const struct watch *w);

#endif
