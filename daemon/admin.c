/* SPDX-License-Identifier: Apache-2.0 */
#include "admin.h"
#include "control.h"
#include "server_parts.h"
#include "zap.h"

#include <stdlib.h>

static const struct access_entry *admin(struct server *s, uint32_t routing_id)
{
	const struct access_entry *e = refuse_unknown(s->sessions, routing_id);
	const char *why;

	if (!e)
		return NULL;
	if (config_is_for_boards(s->config))
		why = "kind: this daemon serves boards alone";
	else if (e->kind != ACCESS_ADMIN || !strcmp(e->name, ACCESS_INSECURE))
		why = "kind: only an admin with a key may ask";
	else if (unix_ms() >= e->expires_ms)
		why = "expires: the date is past";
	else
		return e;
	refuse(s->sessions, routing_id, DIBAO_REASON_REFUSED, why);
	return NULL;
}

static void send_part(struct server *s, uint32_t routing_id, const struct wire_answer *part)
{
	static uint8_t buf[WIRE_ANSWER_PART_MAX + 64];
	int n = wire_answer_pack(buf, sizeof buf, part);

	/* Who does not take it asks again. */
	if (n > 0)
		(void)router_send(s->router, routing_id, buf, (size_t)n, NULL);
}

void admin_on_ask(uint32_t routing_id, const void *frame, size_t len, void *userdata)
{
	struct server *s = userdata;
	const struct access_entry *e = admin(s, routing_id);
	const char *why = "malformed";
	char who[ACCESS_NAME_MAX + 8], text[160], *answer;
	struct wire_ask ask;
	size_t n, at = 0;

	if (!e)
		return;
	if (wire_ask_unpack(&ask, frame, len, &why) < 0) {
		snprintf(text, sizeof text, "ASK: %s", why);
		refuse(s->sessions, routing_id, DIBAO_REASON_PROTOCOL, text);
		return;
	}
	snprintf(who, sizeof who, "key=%s", e->name);
	/* A reload may take the policy's entry away: e is not looked at after this. */
	answer = control_answer(s, who, ask.verb.p, ask.verb.len);
	if (!answer)
		return;
	n = strlen(answer);
	do {
		size_t part = n - at < WIRE_ANSWER_PART_MAX ? n - at : WIRE_ANSWER_PART_MAX;

		send_part(s, routing_id,
			  &(struct wire_answer){.id = ask.id,
						.more = at + part < n,
						.json = {answer + at, part}});
		at += part;
	} while (at < n);
	free(answer);
}
