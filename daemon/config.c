/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "options.h"
#include "queue.h"
#include "redis_address.h"

#include <string.h>

#define KIB	   1024ull
#define MIB	   (1024ull * KIB)
#define GIB	   (1024ull * MIB)
#define SECOND	   1000ull
#define DAY	   (24 * 3600 * SECOND)
#define AT(member) offsetof(struct config, member)

/* A row here is also: a member of struct config, an entry of config/dibaod.conf and a paragraph of
 * daemon/dibaod.conf.5. tests/unit/test_config.c catches a miss. */
static const struct option_spec rows[] = {
	{"dibao", "bureau", KIND_TEXT, AT(bureau), "3205", 1, QUEUE_BUREAU_MAX, false, NULL},
	{"dibao", "endpoints", KIND_LIST, AT(endpoints), "ipc:///run/dibao/dibao.sock", 1, 256,
	 false, "tcp://|ipc://"},
	{"dibao", "audience", KIND_TEXT, AT(audience), "all", 1, 16, false, "all|public"},
	{"dibao", "control", KIND_TEXT, AT(control), "/run/dibao/control", 0, 100, false, NULL},
	{"dibao", "access", KIND_TEXT, AT(access), "", 0, 512, true, NULL},
	{"dibao", "curve_key_file", KIND_TEXT, AT(curve_key_file), "", 0, 512, false, NULL},
	{"dibao", "insecure", KIND_BOOL, AT(insecure), "no", 0, 0, false, NULL},
	{"dibao", "view_key_file", KIND_TEXT, AT(view_key_file), "", 0, 512, false, NULL},
	{"dibao", "feed", KIND_TEXT, AT(feed), "", 0, 256, false, NULL},
	{"dibao", "feed_mask_names", KIND_BOOL, AT(feed_mask_names), "yes", 0, 0, false, NULL},
	{"dibao", "canary_ms", KIND_MS, AT(canary_ms), "1h", 100, 24 * 3600 * SECOND, true, NULL},
	{"dibao", "io_threads", KIND_COUNT, AT(io_threads), "1", 1, 8, false, NULL},
	{"dibao", "max_sessions", KIND_COUNT, AT(max_sessions), "10000", 1, 100000, true, NULL},
	{"peers", "handshake_ms", KIND_MS, AT(handshake_ms), "5s", 100, 60 * SECOND, false, NULL},
	{"peers", "message_bytes", KIND_BYTES32, AT(message_bytes), "64KiB", 32 * KIB, 64 * KIB,
	 false, NULL},
	{"peers", "connections_per_address", KIND_COUNT, AT(connections_per_address), "2000", 0,
	 100000, true, NULL},
	{"peers", "connections_per_key", KIND_COUNT, AT(connections_per_key), "512", 0, 100000,
	 true, NULL},
	{"peers", "connects_per_key", KIND_COUNT, AT(connects_per_key), "600", 0, 1000000, true,
	 NULL},
	{"peers", "sessions_per_key", KIND_COUNT, AT(sessions_per_key), "256", 0, 100000, true,
	 NULL},
	{"peers", "hellos_per_key", KIND_COUNT, AT(hellos_per_key), "3000", 0, 1000000, true, NULL},
	{"peers", "replay_bytes", KIND_BYTES64, AT(replay_bytes), "1GiB", 0, 1024 * GIB, true,
	 NULL},
	{"redis", "redis", KIND_TEXT, AT(redis), "unix:/run/redis/redis-server.sock", 1, 256, false,
	 NULL},
	{"redis", "redis_user", KIND_TEXT, AT(redis_user), "", 0, 128, false, NULL},
	{"redis", "redis_password_file", KIND_TEXT, AT(redis_password_file), "", 0, 512, false,
	 NULL},
	{"redis", "connect_timeout_ms", KIND_MS, AT(connect_timeout_ms), "2s", 10, 60 * SECOND,
	 false, NULL},
	{"redis", "command_timeout_ms", KIND_MS, AT(command_timeout_ms), "5s", 100, 600 * SECOND,
	 false, NULL},
	{"redis", "unsafe_redis", KIND_BOOL, AT(unsafe_redis), "no", 0, 0, false, NULL},
	{"fanout", "ring_bytes", KIND_SIZE, AT(ring_bytes), "16MiB", 64 * KIB, 64 * GIB, false,
	 NULL},
	{"fanout", "slice_bytes", KIND_SIZE, AT(slice_bytes), "16MiB", 1 * MIB, 64 * GIB, false,
	 NULL},
	{"fanout", "budget_bytes", KIND_SIZE, AT(budget_bytes), "64MiB", 1 * MIB, 64 * GIB, true,
	 NULL},
	{"fanout", "window_bytes", KIND_BYTES32, AT(window_bytes), "1MiB", 128 * KIB, 16 * MIB,
	 true, NULL},
	{"fanout", "heartbeat_ms", KIND_MS, AT(heartbeat_ms), "15s", 100, 600 * SECOND, true, NULL},
	{"fanout", "lease_ms", KIND_MS, AT(lease_ms), "15s", 500, 600 * SECOND, true, NULL},
	{"fanout", "silence_ms", KIND_MS, AT(silence_ms), "45s", 500, 3600 * SECOND, true, NULL},
	{"fanout", "catchup_percent", KIND_COUNT, AT(catchup_percent), "20", 1, 90, true, NULL},
	{"fanout", "drain_ms", KIND_MS, AT(drain_ms), "5s", 100, 600 * SECOND, true, NULL},
	{"retention", "public_ms", KIND_MS64, AT(public_ms), "400d", 1 * SECOND, 36500 * DAY, true,
	 NULL},
	{"retention", "private_ms", KIND_MS64, AT(private_ms), "90d", 1 * SECOND, 36500 * DAY, true,
	 NULL},
	{"retention", "hold_ms", KIND_MS64, AT(hold_ms), "14d", 0, 36500 * DAY, true, NULL},
	{"retention", "cap_bytes", KIND_BYTES64, AT(cap_bytes), "0", 0, 1024 * GIB, false, NULL},
	{"log", "log_level", KIND_TEXT, AT(log_level), "info", 1, 16, true,
	 "debug|info|notice|warning|err"},
};

static void check_together(const void *config, struct option_faults *p)
{
	const struct config *c = config;
	struct redis_address address;

	if (queue_bureau_check(c->bureau) < 0) {
		options_fault(p, "bureau: expected 1 to %d of 0-9, a-z, _ and -", QUEUE_BUREAU_MAX);
	}
	if (redis_address_parse(&address, c->redis) < 0) {
		options_fault(p, "redis: expected unix:/path or an IP address and a port, ip:port");
	}
	if (c->budget_bytes < c->window_bytes) {
		options_fault(p, "budget_bytes: expected at least window_bytes");
	}
	if (c->silence_ms <= c->heartbeat_ms) {
		options_fault(p, "silence_ms: expected more than heartbeat_ms");
	}
	for (size_t i = 0; i < c->endpoints.n; i++) {
		if (strncmp(c->endpoints.at[i], "tcp://", 6) != 0) {
			continue;
		}
		if (!c->curve_key_file[0] && !c->insecure) {
			options_fault(p, "endpoints: %s needs curve_key_file, or insecure = yes",
				      c->endpoints.at[i]);
		} else if (c->curve_key_file[0] && !c->access[0]) {
			options_fault(p,
				      "curve_key_file: expected access beside it, or nobody could "
				      "connect to %s",
				      c->endpoints.at[i]);
		}
	}
	if (c->feed[0] && strncmp(c->feed, "tcp://", 6) != 0 &&
	    strncmp(c->feed, "ipc://", 6) != 0) {
		options_fault(p, "feed: expected tcp://address:port or ipc:///path");
	}
	if (config_is_for_boards(c) && !c->redis_user[0]) {
		options_fault(p, "audience: public needs redis_user, one that can read no private "
				 "channel: dibaod-public");
	}
	if (c->redis_user[0] && !c->redis_password_file[0]) {
		options_fault(p, "redis_user: expected redis_password_file beside it");
	}
}

static const struct option_table table = {
	.rows = rows,
	.n_rows = sizeof rows / sizeof rows[0],
	.struct_bytes = sizeof(struct config),
	.foreign_section = "client", /* dibaoctl's, which reads the same file */
	.check = check_together,
};

int config_load(struct config **ret, const char *path, FILE *err_out)
{
	return options_load((void **)ret, &table, path, err_out);
}

int config_parse(struct config **ret, FILE *file, const char *name, FILE *err_out)
{
	return options_parse((void **)ret, &table, file, name, err_out);
}

struct config *config_free(struct config *c)
{
	return options_free(c, &table);
}

void config_print(const struct config *c, FILE *f)
{
	options_print(c, &table, f);
}

int config_reload(struct config *c, struct config *fresh_take, FILE *err_out)
{
	return options_reload(c, fresh_take, &table, err_out);
}
