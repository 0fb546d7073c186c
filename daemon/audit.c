/* SPDX-License-Identifier: Apache-2.0 */
#include "audit.h"
#include "call.h"
#include "log.h"
#include "queue.h"
#include "server_parts.h"

static void on_written(struct redis_link *link, const redisReply *reply, void *userdata)
{
	(void)link;
	(void)userdata;
	if (!reply || reply->type == REDIS_REPLY_ERROR)
		log_text(LOG_ERR, "an administrative act is not in the audit stream: %.100s",
			 reply ? reply->str : "the connection to Redis broke");
}

void audit_act(struct server *s, const char *who, const char *act, bool ok)
{
	static struct call call;
	char text[80];

	snprintf(text, sizeof text, "%.64s via=dibaod", who);
	/* Whoever may add to a stream may also empty it (MAXLEN), so a daemon that stands outside
	 * has no right to this one. */
	if (config_is_for_boards(s->config)) {
		log_text(LOG_NOTICE, "%s by %s: %s", act, text, ok ? "ok" : "refused");
		return;
	}
	call_command(&call, "XADD");
	call_key(&call, s->base, "audit");
	call_text(&call, "MAXLEN");
	call_text(&call, "~");
	call_int(&call, QUEUE_AUDIT_MAX);
	call_text(&call, "*");
	call_text(&call, "who");
	call_text(&call, text);
	call_text(&call, "act");
	call_text(&call, act);
	call_text(&call, "what");
	call_text(&call, s->daemon_id);
	call_text(&call, "result");
	call_text(&call, ok ? "ok" : "refused");
	if (call_send(&call, s->main, on_written, s) < 0)
		log_text(LOG_ERR, "%s by %s is not in the audit stream: no connection to Redis",
			 act, text);
}
