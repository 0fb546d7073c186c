/* SPDX-License-Identifier: Apache-2.0 */
#include "rollback.h"
#include "call.h"
#include "log.h"
#include "log_ids.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { RANGE_COUNT = 500, PLANNED_PER_CALL = 500, UIDS_NOTED = 100 };

struct rollback {
	struct rollback_options opt;
	struct rollback_result result;
	int channel;
	struct entry_id at, tail, oldest; /* compared up to; our place; where the ring begins */
	unsigned n_pending;		  /* answers awaited, and one for a range being compared */
	size_t at_planned;		  /* of the schedule, compared up to */
	size_t n_asked;
	const struct planned *asked[PLANNED_PER_CALL];
	const struct planned *unscheduled[UIDS_NOTED], *last_unscheduled;
};

static void next_channel(struct rollback *r);
static void next_range(struct rollback *r);

static void end(struct rollback *r, int err)
{
	if (err)
		r->result.err = err;
	r->opt.done(&r->result, r->opt.userdata);
	free(r);
}

/* One of what was pending is there. The run goes on when all are. */
static void answered(struct rollback *r)
{
	if (--r->n_pending)
		return;
	if (r->result.err)
		end(r, 0);
	else if (entry_id_cmp(r->at, r->tail) < 0)
		next_range(r);
	else
		next_channel(r);
}

/* An answer that is none breaks the run off. */
static void fault(struct rollback *r, const char *what, const redisReply *reply)
{
	r->result.err = reply ? -EIO : -ENOTCONN;
	if (reply && log_limited("rollback"))
		log_text(LOG_ERR, "after a loss of Redis, cannot %s: %.200s", what,
			 redis_reply_is_error(reply, NULL) ? reply->str : "unexpected reply");
}

static void note_healed(struct rollback *r, const redisReply *id)
{
	struct entry_id healed;

	if (id && id->type == REDIS_REPLY_STRING && id->len &&
	    entry_id_parse(&healed, id->str, id->len) == 0 &&
	    entry_id_cmp(healed, r->result.healed[r->channel]) > 0)
		r->result.healed[r->channel] = healed;
}

static void on_healed(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct rollback *r = userdata;

	(void)l;
	if (redis_reply_is_error(reply, "DIBAO_INVALID")) {
		/* Not today and not tomorrow: the others must not wait for it. */
		r->result.n_lost_ranges++;
		log_event(
			LOG_ALERT, LOG_ID_LOST,
			"an event is lost: Redis came back without it and does not take it again");
	} else if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements < 2) {
		fault(r, "publish an event again", reply);
	} else {
		/* 0: its publisher or another daemon was first. It comes once more all the same. */
		r->result.n_republished += reply->element[0]->integer == 1;
		r->result.n_conflicts += reply->element[0]->integer == 2;
		note_healed(r, reply->element[1]);
	}
	answered(r);
}

static void on_reappended(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct rollback *r = userdata;

	(void)l;
	if (!reply || reply->type != REDIS_REPLY_STRING) {
		fault(r, "move an entry up", reply);
	} else if (reply->len) {
		r->result.n_reappended++;
		note_healed(r, reply);
	}
	answered(r);
}

static void call(struct rollback *r, struct call *c, redis_reply_fn fn)
{
	r->n_pending++;
	if (call_send(c, r->opt.main, fn, r) < 0) {
		r->n_pending--;
		r->result.err = -ENOTCONN;
	}
}

static void heal(struct rollback *r, const struct segment *s, const struct record *rec)
{
	static struct call c;

	/* A withdrawal that stands alone is made again with the event that caused it. */
	if (!(rec->flags & RECORD_EVENT))
		return;
	r->result.changed = true;
	call_begin(&c, "dibao_heal", r->opt.base);
	call_text(&c, dibao_channel_name(r->channel));
	call_bytes(&c, record_bytes(s, rec), rec->len);
	call(r, &c, on_healed);
}

static void reappend(struct rollback *r, const struct entry *e)
{
	static struct call c;

	r->result.changed = true;
	call_begin(&c, "dibao_reappend", r->opt.base);
	call_text(&c, dibao_channel_name(r->channel));
	call_id(&c, e->id);
	call(r, &c, on_reappended);
}

static bool same(const struct segment *s, const struct record *rec, const struct entry *e)
{
	size_t len = e->has_event ? e->ev.len : 0;

	return rec->len == len && (!len || !memcmp(record_bytes(s, rec), e->ev.bytes, len));
}

static void on_range(enum dibao_channel c, const struct entry *entries, size_t n,
		     struct entry_id upto, int err, void *userdata)
{
	struct rollback *r = userdata;
	const struct segment *s = history_ring(r->opt.history, c);
	size_t i = 0;

	if (err < 0) {
		r->result.err = err;
		answered(r);
		return;
	}
	for (; s; s = s->next)
		for (uint32_t k = 0; k < s->n; k++) {
			const struct record *rec = &s->records[k];

			if (entry_id_cmp(rec->id, r->at) <= 0)
				continue;
			if (entry_id_cmp(rec->id, upto) > 0)
				goto ring_done;
			while (i < n && entry_id_cmp(entries[i].id, rec->id) < 0)
				reappend(r, &entries[i++]);
			if (i < n && entry_id_cmp(entries[i].id, rec->id) == 0) {
				if (!same(s, rec, &entries[i])) {
					heal(r, s, rec);
					reappend(r, &entries[i]);
				}
				i++;
			} else {
				heal(r, s, rec);
			}
		}
ring_done:
	while (i < n)
		reappend(r, &entries[i++]);
	r->at = upto;
	answered(r);
}

static void next_range(struct rollback *r)
{
	int e;

	r->n_pending = 1;
	e = reader_range(r->opt.reader, r->channel, r->at, r->tail, RANGE_COUNT, NULL, on_range, r);
	if (e < 0)
		end(r, e);
}

static void on_raised(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct rollback *r = userdata;

	(void)l;
	if (!reply || reply->type == REDIS_REPLY_ERROR)
		fault(r, "raise a stream's last id, or note what is lost", reply);
	answered(r);
}

/* A record of what is gone, in `lost`: an operator looks there, and takes it off. */
static void record_lost(struct call *c, const struct rollback *r, const char *channel,
			struct entry_id from, struct entry_id to, const char *reason)
{
	call_command(c, "XADD");
	call_key(c, r->opt.base, "lost");
	call_text(c, "*");
	call_text(c, "channel");
	call_text(c, channel);
	call_text(c, "from");
	call_id(c, from);
	call_text(c, "to");
	call_id(c, to);
	call_text(c, "reason");
	call_text(c, reason);
}

static void note_lost(struct rollback *r, struct entry_id from)
{
	static struct call c;
	char text[200], lost_from[ENTRY_ID_TEXT], lost_to[ENTRY_ID_TEXT], channel[48];

	(void)entry_id_format(lost_from, from);
	(void)entry_id_format(lost_to, r->oldest);
	snprintf(text, sizeof text,
		 "events are lost from %s to %s: Redis came back without them and the ring does "
		 "not reach so far; noted in %slost",
		 lost_from, lost_to, r->opt.base);
	snprintf(channel, sizeof channel, "DIBAO_CHANNEL=%s", dibao_channel_name(r->channel));
	log_event(LOG_ALERT, LOG_ID_LOST, text, channel);
	r->result.changed = true;
	r->result.n_lost_ranges++;
	record_lost(&c, r, dibao_channel_name(r->channel), from, r->oldest,
		    "Redis came back without it and the ring does not reach so far");
	call(r, &c, on_raised);
}

/* The stream's last id as Redis now has it. */
static void on_info(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct rollback *r = userdata;
	struct entry_id last = {0, 0};
	static struct call c;

	(void)l;
	/* A stream that is not there at all has lost everything. */
	if (!reply ||
	    (reply->type != REDIS_REPLY_ARRAY && !redis_reply_is_error(reply, "ERR no such key"))) {
		fault(r, "look at a stream", reply);
		answered(r);
		return;
	}
	for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements; i += 2)
		if (reply->element[i]->str && !strcmp(reply->element[i]->str, "last-generated-id"))
			entry_id_parse(&last, reply->element[i + 1]->str,
				       reply->element[i + 1]->len);
	if (entry_id_cmp(last, r->oldest) < 0)
		note_lost(r, last);
	if (entry_id_cmp(last, r->tail) < 0) {
		r->result.changed = true;
		call_begin(&c, "dibao_raise", r->opt.base);
		call_text(&c, dibao_channel_name(r->channel));
		call_id(&c, r->tail);
		call(r, &c, on_raised);
	}
	answered(r);
}

static void on_epoch(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct rollback *r = userdata;

	(void)l;
	if (!reply || reply->type != REDIS_REPLY_INTEGER)
		fault(r, "raise the epoch", reply);
	else
		r->result.epoch = (uint64_t)reply->integer;
	end(r, 0);
}

static void raise_epoch(struct rollback *r)
{
	static struct call c;

	if (!r->result.changed) {
		end(r, 0);
		return;
	}
	call_begin(&c, "dibao_epoch", r->opt.base);
	call_int(&c, (int64_t)r->opt.epoch);
	if (call_send(&c, r->opt.main, on_epoch, r) < 0)
		end(r, -ENOTCONN);
}

/* ---- the schedule ---- */

static void on_unscheduled_noted(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct rollback *r = userdata;

	(void)l;
	if (!reply || reply->type != REDIS_REPLY_STRING) {
		fault(r, "note what the schedule lost", reply);
		end(r, 0);
		return;
	}
	raise_epoch(r);
}

static void note_unscheduled(struct rollback *r)
{
	static struct call c;
	uint64_t n = r->result.n_unscheduled;
	bool is_floor = schedule_forgotten(r->opt.schedule) > 0;
	char text[400], reason[160], from[ENTRY_ID_TEXT], to[ENTRY_ID_TEXT];

	entry_id_format(from, r->unscheduled[0]->id);
	entry_id_format(to, r->last_unscheduled->id);
	snprintf(reason, sizeof reason,
		 "%s%" PRIu64 " scheduled events: Redis came back without them; publish them again",
		 is_floor ? "at least " : "", n);
	snprintf(text, sizeof text,
		 "%s%" PRIu64
		 " scheduled events are lost, scheduled from %s to %s: Redis came back "
		 "without them. Publish again what was scheduled since then: what is there is a "
		 "repeat. Noted in %slost, see dibaoctl lost list",
		 is_floor ? "at least " : "", n, from, to, r->opt.base);
	log_event(LOG_ALERT, LOG_ID_LOST, text);
	record_lost(&c, r, "scheduled", r->unscheduled[0]->id, r->last_unscheduled->id, reason);
	for (size_t i = 0; i < UIDS_NOTED && i < n; i++) {
		call_text(&c, "uid");
		call_bytes(&c, r->unscheduled[i]->uid, r->unscheduled[i]->uid_len);
	}
	if (call_send(&c, r->opt.main, on_unscheduled_noted, r) < 0)
		end(r, -ENOTCONN);
}

static void next_planned(struct rollback *r);

static void on_planned(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct rollback *r = userdata;

	(void)l;
	if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != r->n_asked) {
		fault(r, "compare the schedule", reply);
		end(r, 0);
		return;
	}
	for (size_t i = 0; i < r->n_asked; i++) {
		long long answer = reply->element[i]->integer;

		r->result.n_recancelled += answer == 2;
		if (answer != 0)
			continue;
		if (r->result.n_unscheduled < UIDS_NOTED)
			r->unscheduled[r->result.n_unscheduled] = r->asked[i];
		r->result.n_unscheduled++;
		r->last_unscheduled = r->asked[i];
	}
	next_planned(r);
}

static void next_planned(struct rollback *r)
{
	static struct call c;
	const struct planned *p;

	call_begin(&c, "dibao_reschedule", r->opt.base);
	for (r->n_asked = 0; r->n_asked < PLANNED_PER_CALL && r->opt.schedule; r->n_asked++) {
		p = schedule_next(r->opt.schedule, &r->at_planned);
		if (!p)
			break;
		r->asked[r->n_asked] = p;
		call_text(&c, p->is_cancelled ? "cancelled" : "scheduled");
		call_bytes(&c, p->uid, p->uid_len);
	}
	if (r->n_asked) {
		if (call_send(&c, r->opt.main, on_planned, r) < 0)
			end(r, -ENOTCONN);
		return;
	}
	r->result.changed |= r->result.n_unscheduled || r->result.n_recancelled;
	if (r->result.n_unscheduled)
		note_unscheduled(r);
	else
		raise_epoch(r);
}

/* ---- the channels ---- */

static void next_channel(struct rollback *r)
{
	static struct call c;

	if (++r->channel == DIBAO_CHANNEL_COUNT) {
		next_planned(r);
		return;
	}
	r->tail = history_tail(r->opt.history, r->channel);
	r->oldest = history_oldest(r->opt.history, r->channel);
	r->at = r->oldest;
	r->n_pending = 1;
	call_command(&c, "XINFO");
	call_text(&c, "STREAM");
	call_key(&c, r->opt.base, dibao_channel_name(r->channel));
	if (call_send(&c, r->opt.main, on_info, r) < 0)
		end(r, -ENOTCONN);
}

int rollback_run(const struct rollback_options *opt)
{
	struct rollback *r = calloc(1, sizeof *r);

	if (!r)
		return -ENOMEM;
	r->opt = *opt;
	r->result.epoch = opt->epoch;
	r->result.changed = opt->changed;
	r->channel = -1;
	next_channel(r);
	return 0;
}
