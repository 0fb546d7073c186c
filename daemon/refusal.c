/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is refused before there is a session: each refusal is a GOODBYE with its reason, one count
 * and one line in the log (of which ten a minute are written, the others counted: log.h). What ends
 * a session is sessions_end()'s, by the same rule.
 */
#include "clock.h"
#include "log.h"
#include "log_ids.h"
#include "sessions.h"
#include "zap.h"

#include <inttypes.h>
#include <stdio.h>

enum { GOODBYE_MAX = 512, TOLD_AGAIN_USEC = 200000, MUTED_USEC = 1000000, MUTED_AFTER = 8 };

void refusal_count(struct sessions *m, enum dibao_reason why)
{
	switch (why) {
	case DIBAO_REASON_PROTOCOL:
		m->n_protocol_errors++;
		break;
	case DIBAO_REASON_REVOKED:
		m->n_revoked++;
		break;
	case DIBAO_REASON_SUPERSEDED:
		m->n_superseded++;
		break;
	case DIBAO_REASON_NO_SESSION:
		m->n_no_session++;
		break;
	default: /* refused, version, busy, draining */
		m->n_refused++;
	}
}

static void note(struct sessions *m, const struct access_entry *e, const char *peer,
		 enum dibao_reason why, const char *text)
{
	char name[96];

	refusal_count(m, why);
	router_note_junk(m->opt.router);
	/* Who goes on speaking after its end is told once a message. */
	if (!log_limited(why == DIBAO_REASON_NO_SESSION ? "no session" : "refused"))
		return;
	snprintf(name, sizeof name, "DIBAO_NAME=%s", e ? e->name : "-");
	log_event(LOG_NOTICE, why == DIBAO_REASON_PROTOCOL ? LOG_ID_PROTOCOL : LOG_ID_REFUSED, text,
		  name, peer);
}

/* By the policy in force; NULL: nobody. */
static const struct access_entry *sender(const struct sessions *m)
{
	const char *who = zap_user(m->opt.zap, router_user_id(m->opt.router));

	return who ? access_who(m->opt.policy, who) : NULL;
}

const struct access_entry *refuse_unknown(struct sessions *m, uint32_t routing_id)
{
	const char *who = zap_user(m->opt.zap, router_user_id(m->opt.router));
	const struct access_entry *e = sender(m);
	/* A key is let in only while the policy knows it. */
	bool had = who && strcmp(who, ZAP_INSECURE) != 0;

	if (!e)
		refuse(m, routing_id, had ? DIBAO_REASON_REVOKED : DIBAO_REASON_REFUSED,
		       had   ? "not in the policy any more"
		       : who ? "nothing is granted to who has no key"
			     : "not authenticated");
	return e;
}

/* Who pours in what no session is for is told five times a second, not once a message: the answer
 * would cost more than the reading. */
static bool told_just_now(struct sessions *m, uint32_t routing_id, enum dibao_reason why)
{
	struct told *t = &m->told[routing_id % SESSIONS_TOLD];
	uint64_t now = boottime_usec();

	if (why != DIBAO_REASON_NO_SESSION)
		return false;
	if (t->routing_id == routing_id && now < t->until_usec)
		return !t->n_broken;
	*t = (struct told){routing_id, 0, now + TOLD_AGAIN_USEC};
	return false;
}

void refusal_broken(struct sessions *m, uint32_t routing_id)
{
	struct told *t = &m->told[routing_id % SESSIONS_TOLD];
	uint64_t now = boottime_usec();
	unsigned n = t->routing_id == routing_id && now < t->until_usec ? t->n_broken : 0;

	*t = (struct told){routing_id, n + 1, now + MUTED_USEC};
}

bool refusal_is_muted(struct sessions *m, uint32_t routing_id, uint64_t now)
{
	const struct told *t = &m->told[routing_id % SESSIONS_TOLD];

	if (t->n_broken < MUTED_AFTER || t->routing_id != routing_id || now >= t->until_usec)
		return false;
	m->n_muted++;
	router_note_junk(m->opt.router);
	return true;
}

void refuse(struct sessions *m, uint32_t routing_id, enum dibao_reason why, const char *text)
{
	char peer[32];

	snprintf(peer, sizeof peer, "DIBAO_PEER=%08" PRIx32, router_tag(m->opt.router, routing_id));
	note(m, sender(m), peer, why, text);
	if (!told_just_now(m, routing_id, why))
		sessions_send_goodbye(m, routing_id, why, text);
	if (why == DIBAO_REASON_PROTOCOL)
		refusal_broken(m, routing_id);
}

void sessions_on_named(struct sessions *m)
{
	static const char text[] = "a routing id of one's own is not allowed";
	struct wire_goodbye g = {.reason = DIBAO_REASON_REFUSED, .text = {text, sizeof text - 1}};
	uint8_t buf[GOODBYE_MAX];
	int n = wire_goodbye_pack(buf, sizeof buf, WIRE_GOODBYE, &g);

	note(m, sender(m), "DIBAO_PEER=-", g.reason, text);
	/* One that is gone, or full, finds out by silence. */
	if (n > 0)
		router_answer(m->opt.router, buf, (size_t)n);
}
