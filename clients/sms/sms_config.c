/* SPDX-License-Identifier: Apache-2.0 */
#include "sms_config.h"

#include "pace.h"
#include "queue.h"
#include "quiet.h"
#include "redis_address.h"

#include <string.h>

#define SECOND	   1000ull
#define MINUTE	   (60 * SECOND)
#define HOUR	   (60 * MINUTE)
#define DAY	   (24 * HOUR)
#define AT(member) offsetof(struct sms_config, member)

#define OF_GATEWAY(n, name, kind, member, fallback, min, max, reload)                              \
	{                                                                                          \
		"gateway-" #n, name, kind, AT(gateways[(n)-1].member), fallback, min, max, reload, \
			NULL                                                                       \
	}
#define GATEWAY(n, driver_default)                                                                 \
	OF_GATEWAY(n, "driver", KIND_TEXT, driver, driver_default, 0, 16, false),                  \
		OF_GATEWAY(n, "fake", KIND_BOOL, fake, "no", 0, 0, false),                         \
		OF_GATEWAY(n, "template_ids", KIND_BOOL, template_ids, "no", 0, 0, true),          \
		OF_GATEWAY(n, "rate", KIND_COUNT, rate, "20", 0, 10000, true),                     \
		OF_GATEWAY(n, "directory", KIND_TEXT, directory, "", 0, 512, false),               \
		OF_GATEWAY(n, "keep", KIND_MS64, keep_ms, "7d", 0, 3650 * DAY, true),              \
		OF_GATEWAY(n, "url", KIND_TEXT, url, "", 0, 512, false),                           \
		OF_GATEWAY(n, "user", KIND_TEXT, user, "", 0, 64, false),                          \
		OF_GATEWAY(n, "password_file", KIND_TEXT, password_file, "", 0, 512, false),       \
		OF_GATEWAY(n, "from", KIND_TEXT, from, "", 0, 21, true),                           \
		OF_GATEWAY(n, "smsc", KIND_TEXT, smsc, "", 0, 64, true),                           \
		OF_GATEWAY(n, "timeout", KIND_MS, timeout_ms, "30s", 100, 600 * SECOND, true),     \
		OF_GATEWAY(n, "validity", KIND_MS64, validity_ms, "24h", MINUTE, 7 * DAY, true),   \
		OF_GATEWAY(n, "status_url", KIND_TEXT, status_url, "", 0, 512, false),             \
		OF_GATEWAY(n, "status_password_file", KIND_TEXT, status_password_file, "", 0, 512, \
			   false),                                                                 \
		OF_GATEWAY(n, "store_url", KIND_TEXT, store_url, "", 0, 512, false)

#define POLICIES "park|drop|resend"

/* A row here is also: a member of struct sms_config, an entry of config/sms.conf and a paragraph of
 * dibao-sms.8. tests/unit/test_sms_config.c catches a miss. */
static const struct option_spec rows[] = {
	{"sms", "bureau", KIND_TEXT, AT(bureau), "3205", 1, QUEUE_BUREAU_MAX, false, NULL},
	{"sms", "name", KIND_TEXT, AT(name), "sms-1", 1, 64, false, NULL},
	{"sms", "templates", KIND_TEXT, AT(templates), "/etc/dibao/sms/zh-CN", 1, 512, true, NULL},
	{"sms", "codes", KIND_TEXT, AT(codes), "/etc/dibao/sms/codes.tsv", 1, 512, true, NULL},
	{"sms", "demo", KIND_BOOL, AT(demo), "no", 0, 0, false, NULL},
	{"sms", "unsafe_redis", KIND_BOOL, AT(unsafe_redis), "no", 0, 0, false, NULL},
	{"dibaod", "endpoints", KIND_LIST, AT(endpoints), "ipc:///run/dibao/dibao.sock", 1, 256,
	 false, "tcp://|ipc://"},
	{"dibaod", "server_key", KIND_TEXT, AT(server_key), "", 0, 40, false, NULL},
	{"dibaod", "key_file", KIND_TEXT, AT(key_file), "", 0, 512, false, NULL},
	{"redis", "redis", KIND_TEXT, AT(redis), "unix:/run/redis/redis-server.sock", 1, 256, false,
	 NULL},
	{"redis", "redis_user", KIND_TEXT, AT(redis_user), "", 0, 128, false, NULL},
	{"redis", "redis_password_file", KIND_TEXT, AT(redis_password_file), "", 0, 512, false,
	 NULL},
	{"redis", "connect_timeout", KIND_MS, AT(connect_timeout_ms), "2s", 10, 60 * SECOND, false,
	 NULL},
	{"redis", "command_timeout", KIND_MS, AT(command_timeout_ms), "5s", 100, 600 * SECOND,
	 false, NULL},
	{"text", "signature", KIND_TEXT, AT(signature), "", 0, 96, true, NULL},
	{"text", "gateway_signs", KIND_BOOL, AT(gateway_signs), "no", 0, 0, true, NULL},
	{"text", "disclose", KIND_LIST, AT(disclose), "", 0, 64, true, NULL},
	{"when", "quiet", KIND_TEXT, AT(quiet), "21:00-08:00", 4, 16, true, NULL},
	{"when", "age_promotion", KIND_MS64, AT(age_ms[0]), "7d", 0, 3650 * DAY, true, NULL},
	{"when", "age_award", KIND_MS64, AT(age_ms[1]), "7d", 0, 3650 * DAY, true, NULL},
	{"when", "age_penalty", KIND_MS64, AT(age_ms[2]), "7d", 0, 3650 * DAY, true, NULL},
	{"when", "age_welfare_visit", KIND_MS64, AT(age_ms[3]), "2d", 0, 3650 * DAY, true, NULL},
	{"when", "age_mailbox_reply", KIND_MS64, AT(age_ms[4]), "7d", 0, 3650 * DAY, true, NULL},
	{"when", "age_other", KIND_MS64, AT(age_other_ms), "2d", 0, 3650 * DAY, true, NULL},
	{"when", "after_leaving", KIND_MS64, AT(after_leaving_ms), "30d", 0, 3650 * DAY, true,
	 NULL},
	{"limits", "cap_minute", KIND_COUNT, AT(cap_minute), "3", 0, CAPS_DAY_MAX, true, NULL},
	{"limits", "cap_hour", KIND_COUNT, AT(cap_hour), "4", 0, CAPS_DAY_MAX, true, NULL},
	{"limits", "cap_day", KIND_COUNT, AT(cap_day), "10", 0, CAPS_DAY_MAX, true, NULL},
	{"limits", "same_minute", KIND_COUNT, AT(same_minute), "1", 0, CAPS_DAY_MAX, true, NULL},
	{"limits", "same_hour", KIND_COUNT, AT(same_hour), "2", 0, CAPS_DAY_MAX, true, NULL},
	{"limits", "batch", KIND_COUNT, AT(batch), "500", 1, 1000000, true, NULL},
	{"limits", "attempts", KIND_COUNT, AT(attempts), "4", 1, 20, true, NULL},
	{"limits", "backlog", KIND_COUNT, AT(backlog), "500000", 10, 5000000, true, NULL},
	{"after", "ambiguous", KIND_MS, AT(ambiguous_ms), "2min", 100, HOUR, true, NULL},
	{"after", "asking", KIND_MS64, AT(asking_ms), "1h", 100, 7 * DAY, true, NULL},
	{"after", "receipt", KIND_MS64, AT(receipt_ms), "3d", 100, 30 * DAY, true, NULL},
	{"after", "keep", KIND_MS64, AT(keep_ms), "180d", DAY, 3650 * DAY, true, NULL},
	{"after", "policy_promotion", KIND_TEXT, AT(policy[0]), "drop", 4, 6, true, POLICIES},
	{"after", "policy_award", KIND_TEXT, AT(policy[1]), "drop", 4, 6, true, POLICIES},
	{"after", "policy_penalty", KIND_TEXT, AT(policy[2]), "park", 4, 6, true, POLICIES},
	{"after", "policy_welfare_visit", KIND_TEXT, AT(policy[3]), "park", 4, 6, true, POLICIES},
	{"after", "policy_mailbox_reply", KIND_TEXT, AT(policy[4]), "park", 4, 6, true, POLICIES},
	{"receipts", "listen", KIND_TEXT, AT(listen), "127.0.0.1:7325", 0, 64, false, NULL},
	{"receipts", "receipt_url", KIND_TEXT, AT(receipt_url), "http://127.0.0.1:7325/receipt", 8,
	 256, false, NULL},
	{"receipts", "reply_key_file", KIND_TEXT, AT(reply_key_file), "", 0, 512, false, NULL},
	GATEWAY(1, "none"),
	GATEWAY(2, ""),
	GATEWAY(3, ""),
	{"log", "log_level", KIND_TEXT, AT(log_level), "info", 1, 16, true,
	 "debug|info|notice|warning|err"},
};

static void check_gateway(const struct sms_config *c, unsigned n, struct option_faults *p)
{
	const struct gateway_config *g = &c->gateways[n];
	const struct driver_ops *ops;

	if (!g->driver[0])
		return;
	ops = driver_find(g->driver);
	if (!ops) {
		options_fault(p, "gateway-%u: driver: expected none, spool, kannel or null", n + 1);
		return;
	}
	if (ops == &driver_spool && !g->directory[0])
		options_fault(p, "gateway-%u: spool needs directory", n + 1);
	if (ops == &driver_kannel && (!g->url[0] || !g->user[0] || !g->password_file[0]))
		options_fault(p, "gateway-%u: kannel needs url, user and password_file", n + 1);
	if (ops == &driver_kannel && strncmp(g->url, "http://", 7) != 0 &&
	    strncmp(g->url, "https://", 8) != 0)
		options_fault(p, "gateway-%u: url: expected http:// or https://", n + 1);
	if (ops == &driver_kannel && g->store_url[0] &&
	    (!g->status_url[0] || !g->status_password_file[0]))
		options_fault(p,
			      "gateway-%u: store_url: expected status_url and "
			      "status_password_file beside it",
			      n + 1);
	if (ops == &driver_kannel && g->rate == 0)
		options_fault(p,
			      "gateway-%u: rate: expected at least 1: without one all lies in the "
			      "gateway, and urgent and withdrawn mean nothing",
			      n + 1);
	if (ops == &driver_kannel && !c->listen[0])
		options_fault(p, "gateway-%u: kannel needs listen in [receipts]", n + 1);
	if (ops == &driver_null && !g->fake)
		options_fault(p, "gateway-%u: null throws all away: it needs fake = yes", n + 1);
	if (c->demo && !g->fake && ops != &driver_spool && ops != &driver_none)
		options_fault(p,
			      "gateway-%u: demo = yes: only spool, none, or a gateway with fake = "
			      "yes may get texts of invented people",
			      n + 1);
}

static void check_together(const void *config, struct option_faults *p)
{
	const struct sms_config *c = config;
	struct redis_address address;
	struct quiet_hours quiet;
	unsigned n = 0;

	if (queue_bureau_check(c->bureau) < 0)
		options_fault(p, "bureau: expected 1 to %d of 0-9, a-z, _ and -", QUEUE_BUREAU_MAX);
	if (redis_address_parse(&address, c->redis) < 0)
		options_fault(p, "redis: expected unix:/path or an IP address and a port, ip:port");
	if (c->redis_user[0] && !c->redis_password_file[0])
		options_fault(p, "redis_user: expected redis_password_file beside it");
	if (!c->server_key[0] != !c->key_file[0])
		options_fault(p, "server_key and key_file: expected both or neither");
	if (quiet_parse(&quiet, c->quiet) < 0)
		options_fault(p, "quiet: expected hh:mm-hh:mm, or none");
	for (unsigned i = 0; i < SMS_GATEWAYS_MAX; i++) {
		n += c->gateways[i].driver[0] != '\0';
		check_gateway(c, i, p);
	}
	if (n == 0)
		options_fault(p, "gateway-1: driver: expected one gateway at least, or none");
	if (n > 1)
		for (unsigned i = 0; i < SMS_GATEWAYS_MAX; i++)
			if (!strcmp(c->gateways[i].driver, "none"))
				options_fault(p,
					      "gateway-%u: none is for a bureau without another "
					      "gateway",
					      i + 1);
}

const struct option_table sms_config_table = {
	.rows = rows,
	.n_rows = sizeof rows / sizeof rows[0],
	.struct_bytes = sizeof(struct sms_config),
	.check = check_together,
};

int sms_config_load(struct sms_config **ret, const char *path, FILE *err_out)
{
	return options_load((void **)ret, &sms_config_table, path, err_out);
}

struct sms_config *sms_config_free(struct sms_config *c)
{
	return options_free(c, &sms_config_table);
}
