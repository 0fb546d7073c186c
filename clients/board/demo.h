/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A demonstration without a daemon: events of a file of JSON lines, or the built-in ones, made into
 * public views by the encoder that the daemon uses. All but the last few hang there at once; these
 * come one by one, so that there is something to see, and then from the beginning again.
 *
 * The events are moved in time by whole days, so that the newest happened today or yesterday.
 */
#ifndef BOARD_DEMO_H
#define BOARD_DEMO_H

#include <dibao/view.h>
#include <stdio.h>
#include <systemd/sd-event.h>

struct demo;

struct demo_options {
	sd_event *event;
	const char *path; /* NULL: the built-in events */
	int64_t now_ms;
	unsigned interval_ms; /* between two that come one by one */
	void (*on_view)(const void *view, size_t len, int64_t published_ms, void *userdata);
	void (*on_withdrawn)(const uint8_t pid[DIBAO_PID_BYTES], void *userdata);
	void (*on_turn)(void *userdata);
	int64_t (*time_ms)(void *userdata);
	void *userdata;
};

/* Faults of the file go to err_out, with its line. -ENOENT, -EINVAL, ... */
int demo_new(struct demo **ret, const struct demo_options *opt, FILE *err_out);
struct demo *demo_free(struct demo *d);

#endif
