/* SPDX-License-Identifier: Apache-2.0 */
#include "board_config.h"

#include "queue.h"

#include <dibao/key.h>
#include <errno.h>
#include <string.h>

#define AT(member) offsetof(struct board_config, member)
#define SECOND	   1000ull
#define MINUTE	   (60 * SECOND)
#define HOUR	   (60 * MINUTE)
#define DAY	   (24 * HOUR)

enum { DISTRICT_DIGITS = 6, BUREAU_DIGITS = 4 };

/* A row here is also: a member of struct board_config, an entry of config/board.conf and a
 * paragraph of clients/board/dibao-board.8. tests/unit/test_board_config.c catches a miss. */
static const struct option_spec rows[] = {
	{"daemon", "bureau", KIND_TEXT, AT(bureau), "3205", 1, QUEUE_BUREAU_MAX, false, NULL},
	{"daemon", "endpoints", KIND_LIST, AT(endpoints), "ipc:///run/dibao/dibao.sock", 1, 256,
	 false, "tcp://|ipc://"},
	{"daemon", "server_key", KIND_TEXT, AT(server_key), "", 0, 40, false, NULL},
	{"daemon", "key_file", KIND_TEXT, AT(key_file), "", 0, 512, false, NULL},
	{"daemon", "durable", KIND_TEXT, AT(durable), "", 0, 64, false, NULL},
	{"board", "org", KIND_TEXT, AT(org), "", 0, DIBAO_ORG_BYTES, false, NULL},
	{"board", "types", KIND_LIST, AT(types), "promotion award", 1, 16, false, NULL},
	{"board", "district", KIND_TEXT, AT(district), "auto", 1, DIBAO_ORG_BYTES, false, NULL},
	{"board", "bureau_orgs", KIND_TEXT, AT(bureau_orgs), "auto", 1, DIBAO_ORG_BYTES, false,
	 NULL},
	{"board", "name", KIND_TEXT, AT(name), "", 0, 120, false, NULL},
	{"board", "orgs_table", KIND_TEXT, AT(orgs_table), "/etc/dibao/orgs.tsv", 0, 512, false,
	 NULL},
	{"board", "ranks_table", KIND_TEXT, AT(ranks_table), "/etc/dibao/ranks.tsv", 0, 512, false,
	 NULL},
	{"board", "cache", KIND_TEXT, AT(cache), "/var/lib/dibao-board/board.db", 0, 512, false,
	 NULL},
	{"board", "address", KIND_TEXT, AT(address), "127.0.0.1", 1, 64, false, NULL},
	{"board", "port", KIND_COUNT, AT(port), "7310", 0, 65535, false, NULL},
	{"show", "promotion_ms", KIND_MS64, AT(promotion_ms), "60d", 1 * HOUR, 3650 * DAY, false,
	 NULL},
	{"show", "award_ms", KIND_MS64, AT(award_ms), "365d", 1 * HOUR, 3650 * DAY, false, NULL},
	{"show", "items_max", KIND_COUNT, AT(items_max), "6000", 10, 20000, false, NULL},
	{"show", "order", KIND_TEXT, AT(order), "newest", 1, 16, false, "newest|rank"},
	{"show", "page_ms", KIND_MS, AT(page_ms), "12s", 2 * SECOND, 2 * MINUTE, false, NULL},
	{"show", "rows", KIND_COUNT, AT(rows), "6", 5, 8, false, NULL},
	{"show", "moment_ms", KIND_MS, AT(moment_ms), "20s", 3 * SECOND, 2 * MINUTE, false, NULL},
	{"show", "moment_within_ms", KIND_MS, AT(moment_within_ms), "15min", 0, 1 * DAY, false,
	 NULL},
	{"show", "standing_after_ms", KIND_MS64, AT(standing_after_ms), "3d", 1 * MINUTE,
	 3650 * DAY, false, NULL},
	{"show", "standing_text", KIND_TEXT, AT(standing_text),
	 "数据长时间未更新，人员信息暂停展示", 1, 300, false, NULL},
	{"show", "drift", KIND_BOOL, AT(drift), "yes", 0, 0, false, NULL},
	{"show", "night_from", KIND_TEXT, AT(night_from), "", 0, 5, false, NULL},
	{"show", "night_to", KIND_TEXT, AT(night_to), "", 0, 5, false, NULL},
	{"show", "night_dim", KIND_COUNT, AT(night_dim), "50", 0, 90, false, NULL},
	{"kiosk", "alive_ms", KIND_MS, AT(alive_ms), "5min", 0, 1 * DAY, false, NULL},
	{"kiosk", "restart_command", KIND_TEXT, AT(restart_command), "", 0, 512, false, NULL},
	{"log", "log_level", KIND_TEXT, AT(log_level), "info", 1, 16, false,
	 "debug|info|notice|warning|err"},
};

static bool is_digits(const char *s)
{
	return strspn(s, "0123456789") == strlen(s);
}

static void check_area(const char *option, const char *value, struct option_faults *f)
{
	if (strcmp(value, "auto") != 0 && strcmp(value, "none") != 0 && !is_digits(value))
		options_fault(f, "%s: expected auto, none, or a code's first digits", option);
}

static void check_time(const char *option, const char *t, struct option_faults *f)
{
	bool ok = !*t || (strlen(t) == 5 && t[2] == ':' && t[0] >= '0' && t[0] <= '2' &&
			  t[1] >= '0' && t[1] <= (t[0] == '2' ? '3' : '9') && t[3] >= '0' &&
			  t[3] <= '5' && t[4] >= '0' && t[4] <= '9');

	if (!ok)
		options_fault(f, "%s: expected a time of day, 00:00 to 23:59, or nothing", option);
}

static void check_together(const void *config, struct option_faults *f)
{
	const struct board_config *c = config;

	if (queue_bureau_check(c->bureau) < 0)
		options_fault(f, "bureau: expected 1 to %d of 0-9, a-z, _ and -", QUEUE_BUREAU_MAX);
	if (!is_digits(c->org))
		options_fault(f, "org: expected 12 digits, or the first of them");
	for (size_t i = 0; i < c->types.n; i++)
		if (strcmp(c->types.at[i], "promotion") != 0 &&
		    strcmp(c->types.at[i], "award") != 0)
			options_fault(f, "types: expected promotion, award, or both");
	check_area("district", c->district, f);
	check_area("bureau_orgs", c->bureau_orgs, f);
	check_time("night_from", c->night_from, f);
	check_time("night_to", c->night_to, f);
	if (!*c->night_from != !*c->night_to)
		options_fault(f, "night_from: expected night_to beside it, or neither");
	if (!*c->server_key != !*c->key_file)
		options_fault(f, "server_key: expected key_file beside it, or neither");
	if (*c->server_key && !dibao_key_check(c->server_key))
		options_fault(f, "server_key: expected 40 characters of Z85, as dibaoctl keygen "
				 "--server prints them");
	for (size_t i = 0; i < c->endpoints.n; i++)
		if (!strncmp(c->endpoints.at[i], "ipc://", 6) && *c->server_key)
			options_fault(f, "endpoints: %s takes no keys; server_key is for tcp alone",
				      c->endpoints.at[i]);
}

const struct option_table board_options = {
	.rows = rows,
	.n_rows = sizeof rows / sizeof rows[0],
	.struct_bytes = sizeof(struct board_config),
	.check = check_together,
};

int board_config_load(struct board_config **ret, const char *path, bool is_demo, FILE *err_out)
{
	struct board_config *c;
	void *loaded;
	int r = options_load(&loaded, &board_options, path, err_out);

	if (r < 0)
		return r;
	c = loaded;
	if (strlen(c->org) < BUREAU_DIGITS && !is_demo) {
		fprintf(err_out, "%s: org: expected the code of the board's organisation\n",
			path ? path : "configuration");
		board_config_free(c);
		return -EINVAL;
	}
	*ret = c;
	return 0;
}

struct board_config *board_config_free(struct board_config *c)
{
	return options_free(c, &board_options);
}

/* A wider area than the one before it, or "" if it is none. */
static void set_area(char ret[DIBAO_ORG_BYTES + 1], const char *value, const char *org,
		     size_t digits)
{
	if (!strcmp(value, "none"))
		return;
	if (strcmp(value, "auto") != 0)
		strncpy(ret, value, DIBAO_ORG_BYTES);
	else if (strlen(org) > digits)
		memcpy(ret, org, digits);
}

void board_config_rules(const struct board_config *c, struct rules *ret)
{
	*ret = (struct rules){
		.promotion_ms = (int64_t)c->promotion_ms,
		.award_ms = (int64_t)c->award_ms,
		.moment_ms = c->moment_within_ms,
		.standing_ms = (int64_t)c->standing_after_ms,
	};
	strncpy(ret->own, c->org, DIBAO_ORG_BYTES);
	set_area(ret->district, c->district, c->org, DISTRICT_DIGITS);
	set_area(ret->bureau, c->bureau_orgs, c->org, BUREAU_DIGITS);
}
