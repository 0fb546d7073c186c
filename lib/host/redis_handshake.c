/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a connection to Redis says before it is up: AUTH, its name, and the questions for run id and
 * role. All is sent at once, before the connection stands; hiredis writes it when it does. The
 * first answer that is not as it should be is kept in l->failure, and the last answer ends it.
 */
#include "redis_link_parts.h"

#include <stdio.h>
#include <string.h>

static void note_failure(struct redis_link *l, const char *what, const redisReply *reply)
{
	if (l->failure[0] == '\0') {
		(void)snprintf(l->failure, sizeof l->failure, "%s: %s", what,
			       redis_reply_is_error(reply, NULL) ? reply->str : "unexpected reply");
	}
}

static void on_auth(struct redis_link *l, const redisReply *reply, void *userdata)
{
	(void)userdata;
	if (reply && redis_reply_is_error(reply, NULL)) {
		note_failure(l, "AUTH", reply);
	}
}

/* A connection without a name is as good. */
static void on_setname(struct redis_link *l, const redisReply *reply, void *userdata)
{
	(void)l, (void)reply, (void)userdata;
}

static void copy_line(char *buf, size_t cap, const char *text)
{
	size_t n = strcspn(text, "\r\n");

	(void)snprintf(buf, cap, "%.*s", (int)n, text);
}

static void on_info(struct redis_link *l, const redisReply *reply, void *userdata)
{
	static const char key[] = "\nrun_id:";
	const char *run_id;

	(void)userdata;
	if (!reply) {
		return;
	}
	run_id = reply->type == REDIS_REPLY_STRING ? strstr(reply->str, key) : NULL;
	if (!run_id) {
		note_failure(l, "INFO", reply);
		return;
	}
	copy_line(l->run_id, sizeof l->run_id, run_id + sizeof key - 1);
	if (strstr(reply->str, "\nloading:1")) {
		(void)snprintf(l->failure, sizeof l->failure, "Redis is loading its data");
	}
}

static void on_role(struct redis_link *l, const redisReply *reply, void *userdata)
{
	(void)userdata;
	if (!reply) {
		return;
	}
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
	    reply->element[0]->type == REDIS_REPLY_STRING) {
		copy_line(l->role, sizeof l->role, reply->element[0]->str);
	} else {
		note_failure(l, "ROLE", reply);
	}
	redis_link_shaken(l);
}

int redis_handshake_send(struct redis_link *l)
{
	char name[64];
	const char *auth[] = {"AUTH", l->user, l->password};
	const char *plain_auth[] = {"AUTH", l->password};
	const char *setname[] = {"CLIENT", "SETNAME", name};
	const char *info[] = {"INFO", "server", "persistence"};
	const char *role[] = {"ROLE"};
	unsigned ms = l->connect_timeout_ms;
	int r = 0;

	(void)snprintf(name, sizeof name, "dibaod-%s", l->name);
	if (l->user && l->password) {
		r = redis_link_send(l, on_auth, NULL, 3, auth, NULL, ms);
	} else if (l->password) {
		r = redis_link_send(l, on_auth, NULL, 2, plain_auth, NULL, ms);
	}
	if (r == 0) {
		r = redis_link_send(l, on_setname, NULL, 3, setname, NULL, ms);
	}
	if (r == 0) {
		r = redis_link_send(l, on_info, NULL, 3, info, NULL, ms);
	}
	if (r == 0) {
		r = redis_link_send(l, on_role, NULL, 1, role, NULL, ms);
	}
	return r;
}
