/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dibao-board's configuration: its table of options (lib/host/options.h). config/board.conf and
 * dibao-board(8) show the same options; tests/unit/test_board_config.c compares the three.
 */
#ifndef BOARD_CONFIG_H
#define BOARD_CONFIG_H

#include "options.h"
#include "rules.h"

struct board_config {
	/* [daemon] */
	char *bureau;
	struct option_list endpoints;
	char *server_key, *key_file; /* CURVE; "" = none */
	char *durable;		     /* "" = none */
	/* [board] */
	struct option_list types;	/* "promotion", "award" */
	char *org;			/* "320508530000"; or a prefix */
	char *district, *bureau_orgs;	/* "auto", "none", or digits */
	char *name;			/* "" = the table's */
	char *orgs_table, *ranks_table; /* "" = none */
	char *cache;			/* "" = none */
	char *address;
	unsigned port;
	/* [show] */
	uint64_t promotion_ms, award_ms;
	unsigned items_max;
	char *order; /* "newest", "rank" */
	unsigned page_ms, rows, moment_ms, moment_within_ms;
	uint64_t standing_after_ms;
	char *standing_text;
	bool drift;
	char *night_from, *night_to; /* "22:00"; "" = never */
	unsigned night_dim;
	/* [kiosk] */
	unsigned alive_ms; /* 0: nobody looks */
	char *restart_command;
	/* [log] */
	char *log_level;
};

extern const struct option_table board_options;

/* options_load() and what a board cannot be without: its organisation (not for a demonstration).
 * Faults are told to err_out. 0, -EINVAL, ... */
int board_config_load(struct board_config **ret, const char *path, bool is_demo, FILE *err_out);
struct board_config *board_config_free(struct board_config *c);
/* The rules it sets; areas that are not set are "". */
void board_config_rules(const struct board_config *c, struct rules *ret);

#endif
