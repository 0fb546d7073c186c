/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the page is told, and by which way: Server-Sent Events. This comment is the contract between
 * the program and clients/board/web/.
 *
 *   GET  /            the page; its files beside it (/board.js, /board.css, ...)
 *   GET  /events      a stream of events; each has an id
 *   POST /alive       application/json, each 30 s and at once when more was rendered:
 *                     {"visible": bool, "rendered": [pid...], "page": n, "pages": n}
 *   GET  /status      counts for dibao-board --status; no names
 *
 * Events, `data` is one line of JSON:
 *
 *   state
 *       All there is, at the beginning and whenever much changed at once: what the page had is
 *       void. With a Last-Event-ID that is still in the log, only what followed comes instead.
 *       {"v":1, "demo":bool,
 *        "board":{"name", "org", "area"},      name stands at the top; area: own's label
 *        "areas":{"own","district","bureau"},  names; "" = that area is not shown
 *        "settings":{"page_s", "rows", "moment_s", "moment_within_s",
 *                    "order":"newest"|"rank", "drift":bool,
 *                    "night_from":"22:00"|"", "night_to", "night_dim":percent},
 *        "ladder":[{"code","name","class"}...],  lowest first
 *        "standing":null|"text",   a text: show it and nobody's name; items is empty
 *        "items":[ITEM...]}        nearest area first, newest first
 *   put
 *       ITEM, new or changed: replaces the one of the same pid.
 *   drop
 *       {"pid"}: off the wall at once.
 *   beat
 *       Every 15 s, and at once when the link changed:
 *       {"now_ms": ms or null, "trusted":bool, "heartbeat_ms": ms or null,
 *        "link":"connecting"|"standby"|"catching-up"|"active"|"refused"|"demo"}
 *       now_ms: the time to show. heartbeat_ms: the daemon's last heartbeat while all that was
 *       published was here. The age of what hangs there is judged by it alone: stale after 45 s.
 *
 *   ITEM
 *       {"pid":hex, "type":"promotion"|"award", "state":"proposed"|"final", "at":ms,
 *        "published_ms":ms,        0: not known
 *        "area":"own"|"district"|"bureau", "org":name, "unit", "show_unit":bool, "name", "ref",
 *        "from":{"code","name"}, "to":{"code","name"},  of a promotion
 *        "honour":{"code","name"}, "reason",            of an award
 *        "last_day":"YYYY-MM-DD", "contact",            of a proposal
 *        "record":bool, "moment":bool}
 *       Texts are as they were published, and the page shows them as text; one that is absent is
 *       "". moment: published within moment_within_s, no record, no proposal, no correction, and
 *       no page has shown it.
 *
 * Bounds: 8 streams (the oldest ends for a ninth); LOG_MAX events for Last-Event-ID, not those of
 * an earlier process; more than BULK changes in one turn of the loop go as one `state`, at most two
 * a second; a stream that doesn't keep up is ended, and its page comes back (retry: 2 s) for what
 * it missed.
 */
#ifndef BOARD_FEED_H
#define BOARD_FEED_H

#include "board_config.h"
#include "httpd.h"
#include "places.h"
#include "wall.h"

struct feed;

/* What a beat tells. */
struct feed_time {
	int64_t now_ms; /* 0: not known at all */
	bool is_trusted;
	int64_t heartbeat_ms;
	const char *link;
	bool is_standing;
};

struct feed_options {
	sd_event *event;
	const struct board_config *config; /* borrowed, as all of these */
	const struct rules *rules;
	const struct places *places;
	const struct wall *wall;
	bool is_demo;
	struct feed_time (*time)(void *userdata);
	void *userdata;
};

int feed_new(struct feed **ret, const struct feed_options *opt);
/* Streams must have ended: free the httpd first. */
struct feed *feed_free(struct feed *f);

/* Answers GET /events. */
void feed_attach(struct feed *f, struct http_request *r);
/* The wall's on_shown and on_hidden. */
void feed_put(struct feed *f, const struct item *i);
void feed_drop(struct feed *f, const uint8_t pid[DIBAO_PID_BYTES]);
/* At the end of a turn in which something was put or dropped, and when time went on. */
void feed_turn(struct feed *f);
void feed_beat(struct feed *f);

unsigned feed_n_streams(const struct feed *f);

#endif
