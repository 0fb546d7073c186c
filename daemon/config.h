/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dibaod's configuration: one table of options (name, section, kind, unit,
 * range, default, what it is, whether a reload may change it) that the file,
 * --check-config and the tests use. config/dibaod.conf and dibaod.conf(5) show
 * the same options; tests/unit/test_config.c compares the three.
 *
 * A file is parsed whole into a fresh struct and refused whole: an error names
 * file, line, option and what was expected.
 */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include "options.h"

struct config {
	/* [dibao] */
	char *bureau;		      /* "3205" */
	struct option_list endpoints; /* "tcp://0.0.0.0:7320", "ipc:///run/dibao/dibao.sock" */
	char *audience;	       /* "all", or "public": boards alone, and public channels alone */
	char *control;	       /* unix socket for dibaoctl: "/run/dibao/control"; "" = none */
	char *access;	       /* the policy's file; "" = none: nobody but who needs no key */
	char *curve_key_file;  /* secret key for tcp endpoints, or a credential's name; "" = none */
	bool insecure;	       /* tcp endpoints without CURVE */
	char *view_key_file;   /* 32 bytes, hex; "" = a random key at each start, warned of */
	char *feed;	       /* endpoint of the public feed; "" = none */
	bool feed_mask_names;  /* 张* there */
	unsigned canary_ms;    /* between two flights of the canary, 1 h */
	unsigned io_threads;   /* ZeroMQ, 1..8 */
	unsigned max_sessions; /* 1..100000 */
	/* [peers]; 0 = no limit */
	unsigned handshake_ms;		  /* a connection that has not shaken hands ends */
	uint32_t message_bytes;		  /* of one message to the daemon */
	unsigned connections_per_address; /* at one time */
	unsigned connections_per_key;	  /* at one time */
	unsigned connects_per_key;	  /* a minute */
	unsigned sessions_per_key;
	unsigned hellos_per_key; /* a minute, that would begin a session */
	uint64_t replay_bytes;	 /* of history, a session and minute */
	/* [redis] */
	char *redis; /* "unix:/run/redis/redis.sock" or "ip:port" */
	char *redis_user, *redis_password_file;
	unsigned connect_timeout_ms, command_timeout_ms;
	bool unsafe_redis; /* also --unsafe-redis */
	/* [fanout] */
	size_t ring_bytes;	  /* default 16 MiB */
	size_t slice_bytes;	  /* cache of catch-up slices, default 16 MiB */
	size_t budget_bytes;	  /* all frames in flight, default 64 MiB */
	uint32_t window_bytes;	  /* largest window granted to a session, default 1 MiB */
	unsigned heartbeat_ms;	  /* position frames, default 15000 */
	unsigned lease_ms;	  /* default 15000 */
	unsigned silence_ms;	  /* a session silent for so long ends, default 45000 */
	unsigned catchup_percent; /* least share of sends, default 20 */
	unsigned drain_ms;	  /* bound of the drain at stop, default 5000 */
	/* [retention] */
	uint64_t public_ms, private_ms; /* default 400 d, 90 d */
	uint64_t hold_ms;		/* default hold limit of a durable name, 14 d */
	uint64_t cap_bytes;		/* refused above 60 % of maxmemory; 0 = 60 % of it */
	/* [log] */
	char *log_level; /* "debug" "info" "notice" "warning" "err" */
};

static inline bool config_is_for_boards(const struct config *c)
{
	return c->audience[0] == 'p';
}

/* path NULL: all defaults. Errors are written to `err_out` (may be NULL), one a line. 0 or -EINVAL,
 * -ENOENT ... */
int config_load(struct config **ret, const char *path, FILE *err_out);
/* The same from an open file (NULL: all defaults), called `name` in errors; it stays open. */
int config_parse(struct config **ret, FILE *file, const char *name, FILE *err_out);
struct config *config_free(struct config *c);
/* Effective values in the file's own form (--check-config). */
void config_print(const struct config *c, FILE *f);
/* Copies what a reload may change from fresh to c (taking it), reports to err_out options whose
 * change needs a restart. Returns their number. */
int config_reload(struct config *c, struct config *fresh_take, FILE *err_out);

#endif
