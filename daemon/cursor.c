/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cursors of durable names, written back at most every 100 ms, many in one call, under the fencing
 * token. One write per session is under way at a time; what is acknowledged meanwhile goes with the
 * next. A write that gets no answer is done again: the function never moves a cursor back.
 */
#include "call.h"
#include "sessions.h"

#include <errno.h>
#include <stdlib.h>

enum { FLUSH_USEC = 100000 };

struct write {
	struct sessions *m;
	unsigned n;
	struct {
		uint32_t routing_id;
		uint64_t serial;
	} of[SESSIONS_CURSORS_PER_CALL];
};

void cursor_mark(struct sessions *m, struct session *s)
{
	int enabled = 0;

	s->cursor_dirty = true;
	sd_event_source_get_enabled(m->cursor_timer, &enabled);
	if (enabled)
		return;
	sd_event_source_set_time_relative(m->cursor_timer, FLUSH_USEC);
	sd_event_source_set_enabled(m->cursor_timer, SD_EVENT_ONESHOT);
}

static void add_session(struct call *call, const struct session *s)
{
	call_text(call, s->durable);
	call_int(call, (int64_t)s->epoch);
	call_int(call, (int64_t)s->counter);
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		call_id(call, s->at[c].acked);
}

static void on_written(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct write *w = userdata;
	struct sessions *m = w->m;

	(void)l;
	m->n_outstanding--;
	for (unsigned i = 0; i < w->n; i++) {
		struct session *s = sessions_find(m, w->of[i].routing_id, w->of[i].serial);

		if (!s)
			continue;
		s->cursor_writing = false;
		if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != w->n) {
			cursor_mark(m, s); /* again, when Redis is back */
			continue;
		}
		if (reply->element[i]->integer == 0)
			sessions_end(m, s, DIBAO_REASON_SUPERSEDED, "another instance is active");
		else if (s->cursor_dirty)
			cursor_mark(m, s);
	}
	free(w);
}

/* Writes the next lot; true if there may be more. */
static bool flush_some(struct sessions *m, struct session **at)
{
	static struct call call;
	struct write *w = malloc(sizeof *w);
	struct session *s;

	if (!w)
		return false; /* still marked; the next ACK's timer tries again */
	w->m = m;
	w->n = 0;
	call_begin(&call, "dibao_cursors", m->opt.base);
	for (s = *at; s && w->n < SESSIONS_CURSORS_PER_CALL; s = s->next) {
		if (!s->cursor_dirty || s->cursor_writing || s->state != SESSION_ACTIVE)
			continue;
		add_session(&call, s);
		w->of[w->n].routing_id = s->routing_id;
		w->of[w->n++].serial = s->serial;
	}
	if (!w->n || call_send(&call, m->opt.main, on_written, w) < 0) {
		free(w);
		return false;
	}
	m->n_outstanding++;
	for (struct session *k = *at; k != s; k = k->next)
		if (k->cursor_dirty && !k->cursor_writing && k->state == SESSION_ACTIVE) {
			k->cursor_dirty = false;
			k->cursor_writing = true;
		}
	*at = s;
	return s != NULL;
}

void cursor_flush(struct sessions *m)
{
	struct session *at = m->first;

	while (at && flush_some(m, &at))
		;
	for (struct session *s = m->first; s; s = s->next)
		if (s->cursor_dirty && !s->cursor_writing && s->state == SESSION_ACTIVE) {
			cursor_mark(m, s);
			break;
		}
}

void cursor_write_last(struct sessions *m, const struct session *s)
{
	static struct call call;
	struct write *w;

	if (!s->cursor_dirty && !s->cursor_writing)
		return;
	w = calloc(1, sizeof *w);
	if (!w)
		return; /* the client gets again what it had acked: at least once */
	w->m = m;
	call_begin(&call, "dibao_cursors", m->opt.base);
	add_session(&call, s);
	if (call_send(&call, m->opt.main, on_written, w) < 0)
		free(w);
	else
		m->n_outstanding++;
}
