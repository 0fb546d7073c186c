/* SPDX-License-Identifier: Apache-2.0 */
/* What board.c holds, for pages.c, which answers requests from it. */
#ifndef BOARD_BOARD_PARTS_H
#define BOARD_BOARD_PARTS_H

#include "board.h"

#include "cache.h"
#include "demo.h"
#include "feed.h"
#include "places.h"
#include "source.h"
#include "trust.h"
#include "tty.h"
#include "wall.h"
#include "watch.h"

enum { BOARD_RECEIPTS_MAX = 1000 }; /* unconfirmed; the library takes 1024 */

struct board {
	struct board_config *config;
	struct rules rules;
	struct places *places;
	sd_event *event;
	sd_event_source *sigterm, *sigint, *tick;
	struct trust trust;
	struct wall *wall;
	struct cache *cache;
	struct feed *feed;
	struct httpd *httpd;
	struct source *source; /* NULL: demonstration */
	struct demo *demo;
	struct watch *watch;
	struct tty *tty; /* NULL: none */
	char boot_id[40];
	enum item_area known; /* the area that is whole up to trust.heartbeat_ms */
	int64_t next_end_ms, noted_boot_ms;
	bool is_dirty; /* the wall has something that the cache has not */
	bool is_standing;
	bool is_reconciling;
	uint64_t n_bad, n_other; /* views that could not be read, of other types */
	struct {
		uint64_t id;
		uint8_t pid[DIBAO_PID_BYTES];
	} receipts[BOARD_RECEIPTS_MAX];
	unsigned n_receipts;
	bool has_unreported; /* an item was shown and has no receipt under way */
	uint64_t n_confirmed, n_receipts_refused;
	char status[160];
};

int64_t board_now_ms(const struct board *b);
const char *board_link(const struct board *b);

/* pages.c: listens. What is wrong is logged. */
int pages_start(struct board *b);

#endif
