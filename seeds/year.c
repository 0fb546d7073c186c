/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts are exact, not expected values: each kind gets its share of the total
 * by rounding cumulated shares, so that 4,055 awards are 4,055 for every seed.
 */
#include "year.h"

#include "calendar.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PROMOTION_NOTICE_DAYS = 7, PROMOTION_LEAD_DAYS = 12, AWARD_LEAD_DAYS = 3 };

struct line {
	int64_t at;
	size_t number; /* equal times keep the order in which they were made */
	char *text;    /* owned */
};

struct year {
	struct maker *m;
	struct line *line; /* owned */
	size_t n, cap;
	int failed; /* negative errno of the first failure */
};

/* Takes `e`. */
static void add(struct year *y, json_t *e)
{
	char *text = y->failed ? NULL : events_line(e);

	if (!text && !y->failed)
		y->failed = -EINVAL;
	if (text && y->n == y->cap) {
		size_t cap = y->cap ? y->cap * 2 : 1024;
		struct line *line = realloc(y->line, cap * sizeof *line);

		if (!line) {
			free(text);
			text = NULL;
			y->failed = -ENOMEM;
		} else {
			y->line = line;
			y->cap = cap;
		}
	}
	if (text) {
		y->line[y->n] = (struct line){
			.at = json_integer_value(json_object_get(e, "at")),
			.number = y->n,
			.text = text,
		};
		y->n++;
	}
	json_decref(e);
}

static void make_uid(char ret[EVENTS_UID_BYTES], const struct year *y, const char *what,
		     unsigned long number, const char *suffix)
{
	snprintf(ret, EVENTS_UID_BYTES, "seed%llu-%d-%s-%06lu%s",
		 (unsigned long long)(y->m->seed % 1000000000000u), y->m->year, what, number,
		 suffix);
}

/* Takes `e`; what may happen to it later comes with it. */
static void add_with_later(struct year *y, json_t *e, const char *what, unsigned long number)
{
	const struct figures *f = &y->m->tables->figures;
	struct random *r = &y->m->random;
	int64_t at = json_integer_value(json_object_get(e, "at"));
	unsigned fate = (unsigned)random_below(r, 1000),
		 retracted = (unsigned)f->retracted_permille;
	int64_t later = at + 3600000 + (int64_t)random_below(r, 3 * 86400000ull);
	char uid[EVENTS_UID_BYTES];

	if (fate < retracted) {
		make_uid(uid, y, what, number, "-retract");
		add(y, events_retraction(y->m, e, uid, later));
	} else if (fate < retracted + (unsigned)f->corrected_permille) {
		make_uid(uid, y, what, number, "-correct");
		add(y, events_correction(e, uid, later));
	}
	add(y, e);
}

static int32_t working_day(struct year *y)
{
	int32_t day;

	do
		day = calendar_day(y->m->year, 1, 4) + (int32_t)random_below(&y->m->random, 355);
	while (calendar_is_weekend(day));
	return day;
}

static int64_t office_hours(struct year *y, int32_t day)
{
	struct random *r = &y->m->random;

	return calendar_ms(day, 9 + (unsigned)random_below(r, 8), (unsigned)random_below(r, 60),
			   (unsigned)random_below(r, 60));
}

/* A figure for the whole roster, in proportion to the people there are. */
static unsigned long scaled(const struct year *y, int figure)
{
	unsigned long roster = (unsigned long)y->m->tables->figures.roster;

	return roster ? ((unsigned long)figure * y->m->size + roster / 2) / roster : 0;
}

/* ---- promotions ---- */

/* Everyone whose grade changes on that day; one document per district. */
static void add_promotions(struct year *y, unsigned which, unsigned long *number)
{
	struct maker *m = y->m;
	int32_t day = people_promotion_day(m->year, which);
	int64_t notice_at = calendar_ms(day - PROMOTION_LEAD_DAYS, 10, 0, 0);
	int64_t final_at = calendar_ms(day, 9, 30, 0);

	for (uint32_t i = 0; i < m->size && !y->failed; i++) {
		const struct rank *from, *to;
		struct person p;
		char uid[EVENTS_UID_BYTES], final_uid[EVENTS_UID_BYTES];
		char notice_ref[EVENTS_REF_BYTES], final_ref[EVENTS_REF_BYTES];
		struct heading h = {.uid = uid, .ref = notice_ref, .at = notice_at, .who = &p};
		struct heading final = {.uid = final_uid,
					.ref = final_ref,
					.follows = uid,
					.at = final_at,
					.who = &p};

		people_make(&p, m->tables, m->texts, m->seed, m->year, i);
		from = people_rank(m->tables, &p, day - 1);
		to = people_rank(m->tables, &p, day);
		if (!p.active || from == to || strncmp(p.org->code, m->within, strlen(m->within)))
			continue;
		make_uid(uid, y, "promotion", ++*number, "-notice");
		make_uid(final_uid, y, "promotion", *number, "");
		events_ref(notice_ref, "辅公示", m->year, which * 50 + p.org->district + 1);
		events_ref(final_ref, "辅", m->year, which * 50 + p.org->district + 1);
		final.is_private =
			random_permille(&m->random, (unsigned)m->tables->figures.private_permille);
		if (final.is_private)
			final.follows = NULL; /* what is secret has no public notice */
		else
			add(y, events_promotion(m, &h, from, to, day, PROMOTION_NOTICE_DAYS));
		add_with_later(y, events_promotion(m, &final, from, to, day, 0), "promotion",
			       *number);
	}
}

/* ---- awards ---- */

static void add_award(struct year *y, const struct award *kind, unsigned long number)
{
	struct maker *m = y->m;
	const struct figures *f = &m->tables->figures;
	size_t pick = kind->n_days ? random_below(&m->random, kind->n_days) : 0;
	int32_t day = kind->n_days ? calendar_day(m->year, kind->month[pick], kind->day[pick])
				   : working_day(y);
	unsigned document = (unsigned)(day - calendar_day(m->year, 1, 1)) + 1;
	char uid[EVENTS_UID_BYTES], notice_uid[EVENTS_UID_BYTES];
	char ref[EVENTS_REF_BYTES], notice_ref[EVENTS_REF_BYTES], series[32];
	struct person p;
	struct heading h = {
		.uid = uid,
		.ref = ref,
		.at = kind->n_days ? calendar_ms(day, 10, 0, 0) : office_hours(y, day),
		.who = &p,
		.is_private = random_permille(&m->random, (unsigned)f->private_permille),
	};

	y->failed = events_person(m, &p);
	if (y->failed)
		return;
	snprintf(series, sizeof series, "奖%s", kind->code + 1);
	events_ref(ref, series, m->year, document);
	make_uid(uid, y, "award", number, "");
	if (kind->notice_days && !h.is_private) {
		struct heading notice = h;
		json_t *proposal;

		make_uid(notice_uid, y, "award", number, "-notice");
		snprintf(series, sizeof series, "奖%s公示", kind->code + 1);
		events_ref(notice_ref, series, m->year, document);
		notice.uid = h.follows = notice_uid;
		notice.ref = notice_ref;
		notice.at -= (kind->notice_days + AWARD_LEAD_DAYS) * 86400000ll;
		proposal = events_award(m, &notice, kind, kind->notice_days);
		add_with_later(y, events_final(proposal, &h), "award", number);
		add(y, proposal);
		return;
	}
	add_with_later(y, events_award(m, &h, kind, 0), "award", number);
}

static void add_awards(struct year *y)
{
	const struct tables *t = y->m->tables;
	unsigned long total = scaled(y, t->figures.awards), done = 0, share = 0, shares = 0;

	for (size_t i = 0; i < t->n_awards; i++)
		shares += (unsigned long)t->awards[i].share;
	for (size_t i = 0; i < t->n_awards && shares; i++)
		for (share += (unsigned long)t->awards[i].share;
		     done < total * share / shares && !y->failed;)
			add_award(y, &t->awards[i], ++done);
}

/* ---- what is private ---- */

static void add_penalties(struct year *y)
{
	const struct tables *t = y->m->tables;
	unsigned long total = scaled(y, t->figures.penalties), done = 0, share = 0, shares = 0;

	for (size_t i = 0; i < t->n_penalties; i++)
		shares += (unsigned long)t->penalties[i].share;
	for (size_t i = 0; i < t->n_penalties && shares; i++) {
		share += (unsigned long)t->penalties[i].share;
		while (done < total * share / shares) {
			char uid[EVENTS_UID_BYTES], ref[EVENTS_REF_BYTES];
			struct person p;
			int32_t day = working_day(y);
			struct heading h = {
				.uid = uid, .ref = ref, .at = office_hours(y, day), .who = &p};

			y->failed = events_person(y->m, &p);
			if (y->failed)
				return;
			make_uid(uid, y, "penalty", ++done, "");
			events_ref(ref, "处", y->m->year, (unsigned)done);
			add_with_later(y, events_penalty(y->m, &h, &t->penalties[i]), "penalty",
				       done);
		}
	}
}

static void add_visits(struct year *y)
{
	const struct tsv *s = &y->m->tables->shares_tsv;
	unsigned long total = scaled(y, y->m->tables->figures.visits), done = 0, share = 0;
	unsigned long shares = 0;

	for (size_t i = 0; i < s->n_rows; i++)
		if (!strcmp(tsv_cell(s, i, 0), "visit"))
			shares += strtoul(tsv_cell(s, i, 2), NULL, 10);
	for (size_t i = 0; i < s->n_rows && shares; i++) {
		if (strcmp(tsv_cell(s, i, 0), "visit"))
			continue;
		share += strtoul(tsv_cell(s, i, 2), NULL, 10);
		while (done < total * share / shares) {
			char uid[EVENTS_UID_BYTES];
			struct person p;
			struct heading h = {
				.uid = uid, .at = office_hours(y, working_day(y)), .who = &p};

			y->failed = events_person(y->m, &p);
			if (y->failed)
				return;
			make_uid(uid, y, "visit", ++done, "");
			add_with_later(y, events_visit(y->m, &h, tsv_cell(s, i, 1)), "visit", done);
		}
	}
}

static void add_letters(struct year *y)
{
	const struct figures *f = &y->m->tables->figures;
	unsigned long total = scaled(y, f->letters);

	for (unsigned long i = 1; i <= total; i++) {
		char uid[EVENTS_UID_BYTES];
		struct person p;
		struct heading h = {.uid = uid, .at = office_hours(y, working_day(y)), .who = &p};

		y->failed = events_person(y->m, &p);
		if (y->failed)
			return;
		if (random_permille(&y->m->random, (unsigned)f->anonymous_permille))
			h.who = NULL;
		make_uid(uid, y, "letter", i, "");
		add_with_later(y, events_letter(y->m, &h), "letter", i);
	}
}

/* ---- out ---- */

static int by_time(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

int year_print(struct maker *m, FILE *f)
{
	void (*const steps[])(struct year *) = {add_awards, add_penalties, add_visits, add_letters};
	struct year y = {.m = m};
	unsigned long promotions = 0;
	int r;

	m->random = random_start(m->seed, "year", (uint64_t)m->year);
	add_promotions(&y, 0, &promotions);
	add_promotions(&y, 1, &promotions);
	for (size_t i = 0; i < sizeof steps / sizeof steps[0] && !y.failed; i++)
		steps[i](&y);
	r = y.failed;
	if (y.n)
		qsort(y.line, y.n, sizeof *y.line, by_time);
	for (size_t i = 0; i < y.n; i++) {
		if (!r && (fputs(y.line[i].text, f) < 0 || putc('\n', f) < 0))
			r = -errno;
		free(y.line[i].text);
	}
	free(y.line);
	if (!r && fflush(f))
		r = -errno;
	return r;
}
