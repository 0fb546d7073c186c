/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State is small and bounded: the last proposal of each public type, and the
 * last event, which is what a withdrawal or a correction is of.
 */
#include "stream.h"

#include "calendar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	NOTICE_DELAY_MS = 15000, /* some penalties are told later: scheduled */
	VISIT_MS = 2 * 3600000,
};

enum kind {
	PROMOTION_PROPOSED,
	AWARD,
	PENALTY,
	AWARD_PROPOSED,
	VISIT,
	LETTER,
	PROMOTION_FINAL,
	AWARD_FINAL,
	KINDS,
};

struct stream {
	struct maker *m;
	const struct stream_options *o;
	int64_t start_ms;
	uint64_t n;	       /* events so far */
	unsigned order[KINDS]; /* of this round */
	json_t *award;	       /* owned: proposed, not yet final */
	json_t *promotion;
	json_t *last; /* owned: not yet taken back or corrected */
};

static int64_t now_ms(const struct stream *s)
{
	struct timespec t;

	if (!s->o->start_now)
		return s->start_ms + (int64_t)s->n * (s->o->interval_ms ? s->o->interval_ms : 1000);
	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

/* A final event follows its proposal in the same round, so only the others are moved about. */
static void shuffle(struct stream *s)
{
	for (unsigned i = 0; i < KINDS; i++)
		s->order[i] = i;
	for (unsigned i = PROMOTION_FINAL - 1; i > 1; i--) {
		unsigned j = 1 + (unsigned)random_below(&s->m->random, i), kept = s->order[i];

		s->order[i] = s->order[j];
		s->order[j] = kept;
	}
}

static void replace(json_t **at, json_t *e)
{
	json_decref(*at);
	*at = json_incref(e);
}

static json_t *promotion(struct stream *s, struct heading *h)
{
	const struct tables *t = s->m->tables;
	int32_t day = calendar_day_of_ms(h->at);
	const struct rank *from = people_rank(t, h->who, day - 1);

	if (from + 1 == t->ranks + t->n_ranks)
		from--;
	return events_promotion(s->m, h, from, from + 1, day + 12, 7);
}

static json_t *promotion_final(struct stream *s, const struct heading *h)
{
	json_t *e = events_final(s->promotion, h);
	char day[CALENDAR_DATE_BYTES];

	calendar_text(calendar_day_of_ms(h->at), day);
	json_object_set_new(json_object_get(e, "body"), "effective", json_string(day));
	return e;
}

static const struct award *award(struct stream *s, bool proposed)
{
	const struct tables *t = s->m->tables;
	const struct award *chosen = &t->awards[0];
	uint64_t seen = 0;

	for (size_t i = 0; i < t->n_awards; i++)
		if ((t->awards[i].notice_days > 0) == proposed &&
		    !random_below(&s->m->random, ++seen))
			chosen = &t->awards[i];
	return chosen;
}

static json_t *visit(struct stream *s, const struct heading *h)
{
	const struct texts *x = s->m->texts;

	return events_visit(s->m, h, x->visits[random_below(&s->m->random, x->n_visits)].code);
}

/* A visit is no news once it is over. */
static void expire(json_t *e)
{
	json_int_t when = json_integer_value(json_object_get(json_object_get(e, "body"), "when"));

	json_object_set_new(e, "expires", json_integer(when + VISIT_MS));
}

static json_t *make(struct stream *s, enum kind kind)
{
	struct maker *m = s->m;
	const struct tables *t = m->tables;
	char uid[EVENTS_UID_BYTES], ref[EVENTS_REF_BYTES];
	struct person p;
	struct heading h = {.uid = uid, .ref = ref, .at = now_ms(s), .who = &p};
	unsigned document = (unsigned)(s->n / KINDS) + 1;
	json_t *e = NULL;

	/* The start is part of the uid: another run's events are other events. */
	snprintf(uid, sizeof uid, "live%llu-%lld-%06llu",
		 (unsigned long long)(m->seed % 1000000000000u), (long long)s->start_ms,
		 (unsigned long long)s->n % 1000000000u);
	if (events_person(m, &p) < 0)
		return NULL;
	switch (kind) {
	case PROMOTION_PROPOSED:
		events_ref(ref, "辅公示", m->year, document);
		e = promotion(s, &h);
		replace(&s->promotion, e);
		break;
	case AWARD_PROPOSED:
		events_ref(ref, "奖公示", m->year, document);
		e = events_award(m, &h, award(s, true), 7);
		replace(&s->award, e);
		break;
	case PROMOTION_FINAL:
		events_ref(ref, "辅", m->year, document);
		h.follows = json_string_value(json_object_get(s->promotion, "uid"));
		e = promotion_final(s, &h);
		break;
	case AWARD_FINAL:
		events_ref(ref, "奖", m->year, document);
		h.follows = json_string_value(json_object_get(s->award, "uid"));
		e = events_final(s->award, &h);
		break;
	case AWARD:
		events_ref(ref, "奖", m->year, document + 1000);
		h.is_private = random_permille(&m->random, (unsigned)t->figures.private_permille);
		e = events_award(m, &h, award(s, false), 0);
		break;
	case PENALTY:
		events_ref(ref, "处", m->year, document);
		e = events_penalty(m, &h, &t->penalties[random_below(&m->random, t->n_penalties)]);
		if (!random_below(&m->random, 4))
			json_object_set_new(e, "not_before", json_integer(h.at + NOTICE_DELAY_MS));
		break;
	case VISIT:
		h.ref = NULL;
		e = visit(s, &h);
		expire(e);
		break;
	case LETTER:
		h.ref = NULL;
		if (random_permille(&m->random, (unsigned)t->figures.anonymous_permille))
			h.who = NULL;
		e = events_letter(m, &h);
		break;
	case KINDS:
		break;
	}
	return e;
}

/* Once in two rounds the last event is taken back or corrected. */
static json_t *make_later(struct stream *s)
{
	char uid[EVENTS_UID_BYTES];
	json_t *e;

	snprintf(uid, sizeof uid, "live%llu-%lld-%06llu-later",
		 (unsigned long long)(s->m->seed % 1000000000000u), (long long)s->start_ms,
		 (unsigned long long)s->n % 1000000000u);
	e = random_below(&s->m->random, 2) ? events_retraction(s->m, s->last, uid, now_ms(s))
					   : events_correction(s->last, uid, now_ms(s));
	replace(&s->last, NULL);
	return e;
}

static int print(json_t *e, FILE *f)
{
	char *line = events_line(e);
	int r = 0;

	if (!line)
		return -EINVAL;
	if (fputs(line, f) < 0 || putc('\n', f) < 0 || fflush(f))
		r = -errno;
	free(line);
	return r;
}

static int pause_ms(int64_t ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	return ms ? -clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL) : 0;
}

int stream_print(struct maker *m, const struct stream_options *o, FILE *f)
{
	struct stream s = {
		.m = m, .o = o, .start_ms = calendar_ms(calendar_day(m->year, 1, 1), 9, 0, 0)};
	unsigned step = 0;
	int r = 0;

	s.start_ms = now_ms(&s);
	m->random = random_start(m->seed, "stream", 0);
	while (!r && (!o->count || s.n < o->count)) {
		bool later = s.last && step == KINDS - 2 && !random_below(&m->random, 2);
		json_t *e;

		if (!step)
			shuffle(&s);
		e = later ? make_later(&s) : make(&s, s.order[step]);
		if (!later) {
			/* A proposal that is to become final stays. */
			if (s.order[step] != PROMOTION_PROPOSED && s.order[step] != AWARD_PROPOSED)
				replace(&s.last, e);
			step = (step + 1) % KINDS;
		}
		r = print(e, f);
		json_decref(e);
		s.n++;
		if (!r && (!o->count || s.n < o->count))
			r = pause_ms(o->interval_ms);
	}
	json_decref(s.award);
	json_decref(s.promotion);
	json_decref(s.last);
	return r;
}
