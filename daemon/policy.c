/* SPDX-License-Identifier: Apache-2.0 */
#include "policy.h"
#include "access.h"
#include "call.h"
#include "limits.h"
#include "log.h"
#include "server_parts.h"
#include "zap.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

static bool is_tcp(const char *endpoint)
{
	return !strncmp(endpoint, "tcp://", 6);
}

static void log_lines(char *text)
{
	char *save = NULL;

	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		log_text(LOG_ERR, "%s", l);
}

int policy_start(struct server *s)
{
	char *errors = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&errors, &len);
	struct dibao_error err;
	int r;

	if (!f)
		return -ENOMEM;
	r = access_load(&s->policy, s->config->access, f);
	fclose(f);
	if (r < 0 && errors)
		log_lines(errors);
	free(errors);
	if (r < 0 || !s->config->curve_key_file[0])
		return r;
	r = dibao_key_read(s->config->curve_key_file, NULL, s->curve_key, &err);
	if (r < 0)
		log_text(LOG_ERR, "curve_key_file %s", err.reason);
	return r;
}

void policy_stop(struct server *s)
{
	s->policy = access_free(s->policy);
	policy_forget_key(s);
}

bool policy_knows(const char *z85, void *userdata)
{
	struct server *s = userdata;

	return access_by_key(s->policy, z85) != NULL;
}

const char *policy_too_much(const char *z85, const char *address, void *userdata)
{
	struct server *s = userdata;

	return limits_connect(s->limits, z85, address);
}

int policy_bind(struct server *s, const char *endpoint)
{
	if (!is_tcp(endpoint))
		return router_bind(s->router, endpoint, ZAP_LOCAL, NULL);
	if (s->curve_key[0])
		return router_bind(s->router, endpoint, ZAP_CURVE, s->curve_key);
	log_text(LOG_WARNING,
		 "%s is not encrypted (insecure = yes): whoever reaches it may get what the policy "
		 "grants to [%s]",
		 endpoint, ACCESS_INSECURE);
	return router_bind(s->router, endpoint, ZAP_INSECURE, NULL);
}

void policy_forget_key(struct server *s)
{
	sodium_memzero(s->curve_key, sizeof s->curve_key);
}

unsigned policy_replace(struct server *s, struct access *fresh_take)
{
	struct access *old = s->policy;
	unsigned n;

	s->policy = fresh_take;
	n = sessions_set_policy(s->sessions, fresh_take);
	access_free(old);
	policy_register_durables(s);
	return n;
}

static void on_registered(struct redis_link *l, const redisReply *reply, void *userdata)
{
	(void)l;
	(void)userdata;
	/* Without a reply the link broke; what follows its return registers them again. */
	if (reply && reply->type == REDIS_REPLY_ERROR && log_limited("durable"))
		log_text(LOG_ERR, "durable name refused by Redis: %.100s", reply->str);
}

void policy_register_durables(struct server *s)
{
	static struct call call;

	/* It has no right to; the other daemon or dibaoctl does. */
	if (config_is_for_boards(s->config))
		return;
	for (size_t i = 0; i < s->policy->n; i++) {
		const struct access_entry *e = &s->policy->entries[i];

		if (!e->durable[0])
			continue;
		call_begin(&call, "dibao_durable", s->base);
		call_text(&call, e->kind == ACCESS_BOARD ? "set-board" : "set");
		call_text(&call, e->durable);
		call_int(&call, e->hold_ms >= 0 ? e->hold_ms : (int64_t)s->config->hold_ms);
		call_text(&call, "dibaod");
		if (call_send(&call, s->main, on_registered, s) < 0)
			return;
	}
}
