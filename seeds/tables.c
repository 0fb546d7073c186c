/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each load_x() turns one file into an array; tables_load() runs them in the
 * order in which they need each other, and stops at the first fault.
 */
#include "tables.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Columns of a table by name; -1 for one that is missing, told by tsv_column(). */
static int columns(const struct tsv *t, const char *const *names, int *ret, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		ret[i] = tsv_column(t, names[i]);
		if (ret[i] < 0)
			return -EINVAL;
	}
	return 0;
}
#define COLUMNS(t, ret, ...)                                                                       \
	columns(t, (const char *const[]){__VA_ARGS__}, ret,                                        \
		sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

int tables_lists(const char *list, char by, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; p && *p; p = strchr(p, by), p = p ? p + 1 : NULL)
		if (!strncmp(p, word, n) && (p[n] == by || !p[n]))
			return 1;
	return 0;
}

int tables_share(const struct tables *t, const char *of, const char *code)
{
	const struct tsv *s = &t->shares_tsv;

	for (size_t i = 0; i < s->n_rows; i++)
		if (!strcmp(tsv_cell(s, i, 0), of) && !strcmp(tsv_cell(s, i, 1), code))
			return atoi(tsv_cell(s, i, 2));
	return 0;
}

static int unique(const struct tsv *t, int column)
{
	for (size_t i = 0; i < t->n_rows; i++)
		for (size_t j = 0; j < i; j++)
			if (!strcmp(tsv_cell(t, i, column), tsv_cell(t, j, column)))
				return tsv_fault(t, i, "code that an earlier line has");
	return 0;
}

static size_t find_org(const struct tables *t, const char *code)
{
	size_t i = 0;

	while (i < t->n_orgs && strcmp(t->orgs[i].code, code))
		i++;
	return i;
}

const struct org *tables_org(const struct tables *t, const char *code)
{
	size_t i = find_org(t, code);

	return i < t->n_orgs ? &t->orgs[i] : NULL;
}

static const char *units_of(const struct tables *t, const char *kind)
{
	const struct tsv *u = &t->units_tsv;

	for (size_t i = 0; i < u->n_rows; i++)
		if (!strcmp(tsv_cell(u, i, 0), kind))
			return tsv_cell(u, i, 1);
	return NULL;
}

/* Parents stand before their children, so one pass knows every branch. */
static int load_orgs(struct tables *t)
{
	const struct tsv *s = &t->orgs_tsv;
	int c[5], r = COLUMNS(s, c, "code", "name", "short", "kind", "parent");
	unsigned districts = 0;

	if (r || (r = unique(s, c[0])))
		return r;
	t->orgs = calloc(s->n_rows, sizeof *t->orgs);
	if (!t->orgs)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_rows; i++) {
		struct org *o = &t->orgs[i];
		const char *parent = tsv_cell(s, i, c[4]);
		char prefix[7] = "";

		o->code = tsv_cell(s, i, c[0]);
		o->name = tsv_cell(s, i, c[1]);
		o->short_name = tsv_cell(s, i, c[2]);
		o->kind = tsv_cell(s, i, c[3]);
		o->units = units_of(t, o->kind);
		if (strlen(o->code) != 12 || strspn(o->code, "0123456789") != 12)
			return tsv_fault(s, i, "expected a code of 12 digits");
		if (!o->units)
			return tsv_fault(s, i, "kind that units.tsv does not have");
		o->parent = i ? find_org(t, parent) : 0;
		if (o->parent >= t->n_orgs && i)
			return tsv_fault(s, i, "parent that no earlier line has");
		o->branch = o->parent ? t->orgs[o->parent].branch : i;
		if (!strcmp(o->kind, "district"))
			o->district = ++districts;
		else
			o->district = t->orgs[o->branch].district;
		t->n_orgs++;

		memcpy(prefix, o->code, 6);
		o->share = (unsigned)(tables_share(t, "org", o->kind) *
				      tables_share(t, "district", prefix));
		t->org_share += o->share;
	}
	return t->org_share ? 0 : tsv_fault(s, 0, "no organisation has a share of the roster");
}

static int load_ranks(struct tables *t)
{
	const struct tsv *s = &t->ranks_tsv;
	int c[4], r = COLUMNS(s, c, "code", "name", "class", "years");

	if (r || (r = unique(s, c[0])))
		return r;
	t->ranks = calloc(s->n_rows, sizeof *t->ranks);
	if (!t->ranks)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_rows; i++) {
		struct rank *k = &t->ranks[i];

		k->code = tsv_cell(s, i, c[0]);
		k->name = tsv_cell(s, i, c[1]);
		k->class_name = tsv_cell(s, i, c[2]);
		k->years = tsv_number(s, i, c[3], -1);
		if (k->years < 0 || k->years < (i ? k[-1].years : 0))
			return tsv_fault(s, i, "expected years of service, not fewer than above");
	}
	t->n_ranks = s->n_rows;
	return 0;
}

static int award_days(const struct tables *t, struct award *a)
{
	const struct tsv *s = &t->shares_tsv;

	for (size_t i = 0; i < s->n_rows; i++) {
		const char *p = tsv_cell(s, i, 3);

		if (strcmp(tsv_cell(s, i, 0), "award") || strcmp(tsv_cell(s, i, 1), a->code))
			continue;
		for (; *p; p += strspn(p, " ")) {
			unsigned m, d;
			int used = 0;

			if (a->n_days == TABLES_DAYS_MAX ||
			    sscanf(p, "%2u-%2u%n", &m, &d, &used) < 2 || m < 1 || m > 12 || d < 1 ||
			    d > 28)
				return tsv_fault(s, i,
						 "expected days as MM-DD, at most 8, to DD 28");
			a->month[a->n_days] = m;
			a->day[a->n_days++] = d;
			p += used;
		}
	}
	return 0;
}

static int load_awards(struct tables *t)
{
	const struct tsv *s = &t->awards_tsv;
	int c[4], r = COLUMNS(s, c, "code", "name", "notice", "amount_fen");

	if (r || (r = unique(s, c[0])))
		return r;
	t->awards = calloc(s->n_rows, sizeof *t->awards);
	if (!t->awards)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_rows; i++) {
		struct award *a = &t->awards[i];

		a->code = tsv_cell(s, i, c[0]);
		a->name = tsv_cell(s, i, c[1]);
		a->notice_days = tsv_number(s, i, c[2], 0);
		a->amount_fen = tsv_number(s, i, c[3], 0);
		a->share = tables_share(t, "award", a->code);
		if (a->notice_days < 0 || a->amount_fen < 0)
			return -EINVAL;
		r = award_days(t, a);
		if (r)
			return r;
	}
	t->n_awards = s->n_rows;
	return 0;
}

static int load_penalties(struct tables *t)
{
	const struct tsv *s = &t->penalties_tsv;
	int c[3], r = COLUMNS(s, c, "code", "name", "appeal_days");

	if (r || (r = unique(s, c[0])))
		return r;
	t->penalties = calloc(s->n_rows, sizeof *t->penalties);
	if (!t->penalties)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_rows; i++) {
		struct penalty *p = &t->penalties[i];

		p->code = tsv_cell(s, i, c[0]);
		p->name = tsv_cell(s, i, c[1]);
		p->appeal_days = tsv_number(s, i, c[2], 30);
		p->share = tables_share(t, "penalty", p->code);
		if (p->appeal_days < 0)
			return -EINVAL;
	}
	t->n_penalties = s->n_rows;
	return 0;
}

static int load_posts(struct tables *t)
{
	const struct tsv *s = &t->posts_tsv;
	int c[5], r = COLUMNS(s, c, "code", "name", "category", "where", "share");

	if (r || (r = unique(s, c[0])))
		return r;
	if (s->n_rows != TABLES_POSTS)
		return tsv_fault(s, s->n_rows - 1, "expected 27 posts");
	t->posts = calloc(s->n_rows, sizeof *t->posts);
	if (!t->posts)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_rows; i++) {
		struct post *p = &t->posts[i];

		p->code = tsv_cell(s, i, c[0]);
		p->name = tsv_cell(s, i, c[1]);
		p->category = tsv_cell(s, i, c[2]);
		p->where = tsv_cell(s, i, c[3]);
		p->share = tsv_number(s, i, c[4], 1);
		if (p->share < 0)
			return -EINVAL;
	}
	t->n_posts = s->n_rows;
	return 0;
}

/* A share of a code that is nowhere would silently never occur. */
static int check_shares(struct tables *t)
{
	const struct tsv *s = &t->shares_tsv;

	for (size_t i = 0; i < s->n_rows; i++) {
		const char *of = tsv_cell(s, i, 0), *code = tsv_cell(s, i, 1);
		size_t n = 0;

		if (!strcmp(of, "award"))
			for (size_t j = 0; j < t->n_awards; j++)
				n += !strcmp(t->awards[j].code, code);
		else if (!strcmp(of, "penalty"))
			for (size_t j = 0; j < t->n_penalties; j++)
				n += !strcmp(t->penalties[j].code, code);
		else if (!strcmp(of, "district"))
			for (size_t j = 0; j < t->n_orgs; j++)
				n += !strncmp(t->orgs[j].code, code, 6);
		else if (!strcmp(of, "org"))
			n = units_of(t, code) != NULL;
		else
			n = !strcmp(of, "visit"); /* checked against visits.tsv by texts_load() */
		if (!n)
			return tsv_fault(s, i, "share of a code that no table has");
		if (tsv_number(s, i, 2, -1) < 0)
			return tsv_fault(s, i, "expected a share");
	}
	return 0;
}

static int take_figures(struct figures *f, const struct tsv *s)
{
	const struct {
		const char *key;
		int *value;
	} keys[] = {
		{"year", &f->year},
		{"roster", &f->roster},
		{"awards", &f->awards},
		{"penalties", &f->penalties},
		{"visits", &f->visits},
		{"letters", &f->letters},
		{"anonymous_permille", &f->anonymous_permille},
		{"active_permille", &f->active_permille},
		{"rare_permille", &f->rare_permille},
		{"dotted_permille", &f->dotted_permille},
		{"private_permille", &f->private_permille},
		{"urgent_permille", &f->urgent_permille},
		{"retracted_permille", &f->retracted_permille},
		{"corrected_permille", &f->corrected_permille},
	};
	int c[2], r = COLUMNS(s, c, "key", "value");

	for (size_t i = 0; !r && i < s->n_rows; i++) {
		size_t k = 0;

		while (k < sizeof keys / sizeof keys[0] &&
		       strcmp(keys[k].key, tsv_cell(s, i, c[0])))
			k++;
		if (k == sizeof keys / sizeof keys[0])
			return tsv_fault(s, i, "unknown figure");
		*keys[k].value = tsv_number(s, i, c[1], -1);
		if (*keys[k].value < 0 || *keys[k].value > 1000000)
			return tsv_fault(s, i, "expected a number, at most 1000000");
	}
	return r;
}

static int load_figures(struct tables *t, const char *path)
{
	struct tsv own = {0};
	int r = take_figures(&t->figures, &t->figures_tsv);

	if (!r && path) {
		r = tsv_load(&own, "", path);
		if (!r)
			r = take_figures(&t->figures, &own);
		tsv_done(&own);
	}
	/* Before 2012 there is no ladder (config/ranks.tsv); after 2199 no valid date of an
	 * event, and notices run past the end of the year. */
	if (!r &&
	    (t->figures.year < 2012 || t->figures.year > 2190 || !t->figures.active_permille)) {
		fprintf(stderr,
			"dibao-seed: figures: year must be 2012..2190, active_permille > 0\n");
		r = -EINVAL;
	}
	return r;
}

int tables_load(struct tables *ret, const char *config, const char *seeds, const char *figures)
{
	struct tables t = {0};
	const struct {
		struct tsv *into;
		const char *dir, *name;
	} files[] = {
		{&t.figures_tsv, seeds, "figures.tsv"}, {&t.shares_tsv, seeds, "shares.tsv"},
		{&t.units_tsv, seeds, "units.tsv"},	{&t.posts_tsv, seeds, "posts.tsv"},
		{&t.orgs_tsv, config, "orgs.tsv"},	{&t.ranks_tsv, config, "ranks.tsv"},
		{&t.awards_tsv, config, "awards.tsv"},	{&t.penalties_tsv, config, "penalties.tsv"},
	};
	int (*const steps[])(struct tables *) = {load_orgs,	 load_ranks, load_awards,
						 load_penalties, load_posts, check_shares};
	int r = 0;

	for (size_t i = 0; !r && i < sizeof files / sizeof files[0]; i++)
		r = tsv_load(files[i].into, files[i].dir, files[i].name);
	if (!r)
		r = load_figures(&t, figures);
	for (size_t i = 0; !r && i < sizeof steps / sizeof steps[0]; i++)
		r = steps[i](&t);
	if (r) {
		tables_done(&t);
		return r;
	}
	*ret = t;
	return 0;
}

void tables_done(struct tables *t)
{
	free(t->posts);
	free(t->penalties);
	free(t->awards);
	free(t->ranks);
	free(t->orgs);
	tsv_done(&t->penalties_tsv);
	tsv_done(&t->awards_tsv);
	tsv_done(&t->ranks_tsv);
	tsv_done(&t->orgs_tsv);
	tsv_done(&t->posts_tsv);
	tsv_done(&t->units_tsv);
	tsv_done(&t->shares_tsv);
	tsv_done(&t->figures_tsv);
	memset(t, 0, sizeof *t);
}
