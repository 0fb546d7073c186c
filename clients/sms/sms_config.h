/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dibao-sms' configuration: one table of options, which the file, --check-config and the tests use.
 * config/sms.conf and dibao-sms(8) show the same; tests/unit/test_sms_config.c compares the three.
 */
#ifndef SMS_CONFIG_H
#define SMS_CONFIG_H

#include "notice.h"
#include "options.h"

enum { SMS_GATEWAYS_MAX = 3, SMS_TYPES = 5 };

struct gateway_config {
	char *driver;	   /* "" = no such gateway */
	bool fake;	   /* sends nothing to anybody: demonstration data may go there */
	unsigned rate;	   /* parts a second; 0 = no limit */
	bool template_ids; /* its carrier wants an approved template's id with each text */
	/* spool */
	char *directory;
	uint64_t keep_ms;
	/* kannel */
	char *url, *user, *password_file, *from, *smsc;
	unsigned timeout_ms;
	uint64_t validity_ms;
	char *status_url, *status_password_file; /* "" = health by its answers alone */
	char *store_url;			 /* "" = it can't be asked what it holds */
};

struct sms_config {
	/* [sms] */
	char *bureau, *name; /* name: durable name, "sms-1" */
	char *templates, *codes;
	bool demo; /* a demonstration bureau's data */
	bool unsafe_redis;
	/* [dibaod] */
	struct option_list endpoints;
	char *server_key, *key_file;
	/* [redis] */
	char *redis, *redis_user, *redis_password_file;
	unsigned connect_timeout_ms, command_timeout_ms;
	/* [text] */
	char *signature;
	bool gateway_signs;
	struct option_list disclose;
	/* [when] */
	char *quiet;
	uint64_t age_ms[SMS_TYPES], age_other_ms, after_leaving_ms; /* in order of dibao_types() */
	/* [limits] */
	unsigned cap_minute, cap_hour, cap_day, same_minute, same_hour, batch, attempts, backlog;
	/* [after] */
	unsigned ambiguous_ms;
	uint64_t asking_ms, receipt_ms, keep_ms;
	char *policy[SMS_TYPES];
	/* [receipts] */
	char *listen, *receipt_url, *reply_key_file;
	/* [gateway-1] ... */
	struct gateway_config gateways[SMS_GATEWAYS_MAX];
	/* [log] */
	char *log_level;
};

extern const struct option_table sms_config_table;

/* As options.h's. */
int sms_config_load(struct sms_config **ret, const char *path, FILE *err_out);
struct sms_config *sms_config_free(struct sms_config *c);

#endif
