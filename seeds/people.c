/* SPDX-License-Identifier: Apache-2.0 */
#include "people.h"

#include "calendar.h"

#include <stdio.h>
#include <string.h>

static void append(char *buf, size_t cap, const char *s, size_t len)
{
	size_t n = strlen(buf);

	if (n + len < cap) {
		memcpy(buf + n, s, len);
		buf[n + len] = '\0';
	}
}

static void append_piece(struct random *r, char *buf, size_t cap, const struct pieces *from)
{
	const struct piece *p = texts_pick(r, from);

	append(buf, cap, p->p, p->len);
}

static void make_name(struct person *p, struct random *r, const struct figures *f,
		      const struct texts *x)
{
	const struct pieces *given = random_below(r, 100) < 68 ? &x->male : &x->female;
	bool rare = random_permille(r, (unsigned)f->rare_permille);
	size_t cap = sizeof p->name;

	p->name[0] = '\0';
	if (random_permille(r, (unsigned)f->dotted_permille)) {
		append_piece(r, p->name, cap, &x->first);
		append(p->name, cap, "·", strlen("·"));
		append_piece(r, p->name, cap, &x->last);
		return;
	}
	append_piece(r, p->name, cap, &x->surname);
	if (random_below(r, 100) < 74)
		append_piece(r, p->name, cap, random_below(r, 3) ? given : &x->either);
	append_piece(r, p->name, cap, rare ? &x->rare : given);
}

/* The 8 digits after 154 are a permutation of the person's number: no two are equal. */
static void make_phone(struct person *p, uint64_t seed)
{
	uint64_t digits = (p->number * 48271861ull + seed % 99999989u * 7919u) % 100000000u;

	snprintf(p->phone, sizeof p->phone, "154%08u", (unsigned)digits);
}

static const struct org *make_org(struct random *r, const struct tables *t)
{
	uint64_t at = random_below(r, t->org_share);
	size_t i = 0;

	while (at >= t->orgs[i].share)
		at -= t->orgs[i++].share;
	return &t->orgs[i];
}

/* Where no post fits the kind of organisation, the first does: 通信保障 is everywhere. */
static const struct post *make_post(struct random *r, const struct tables *t, const struct org *o)
{
	const struct post *chosen = &t->posts[0];
	uint64_t seen = 0;

	for (size_t i = 0; i < t->n_posts; i++) {
		const struct post *p = &t->posts[i];

		if (!p->share || !tables_lists(p->where, ',', o->kind))
			continue;
		seen += (uint64_t)p->share;
		if (random_below(r, seen) < (uint64_t)p->share)
			chosen = p;
	}
	return chosen;
}

static void make_unit(struct person *p, struct random *r)
{
	const char *u = p->org->units;
	size_t n = 1;

	for (const char *q = u; *q; q++)
		n += *q == ' ';
	for (n = random_below(r, n); n; n--)
		u = strchr(u, ' ') + 1;
	snprintf(p->unit, sizeof p->unit, "%s%.*s", p->org->short_name, (int)strcspn(u, " "), u);
}

/* Many join and some stay: three in ten serve under four years, one in ten over fifteen. */
static int32_t make_since(struct random *r, int year)
{
	static const struct {
		unsigned percent, from, years;
	} bands[] = {{30, 0, 4}, {35, 4, 5}, {25, 9, 7}, {10, 16, 15}};
	unsigned at = (unsigned)random_below(r, 100), i = 0;

	while (at >= bands[i].percent)
		at -= bands[i++].percent;
	return calendar_day(year - 1 - (int)(bands[i].from + random_below(r, bands[i].years)), 1,
			    1) +
	       (int32_t)random_below(r, 365);
}

void people_make(struct person *ret, const struct tables *t, const struct texts *x, uint64_t seed,
		 int year, uint32_t number)
{
	struct random r = random_start(seed, "person", number);
	struct person p = {.number = number};

	snprintf(p.badge, sizeof p.badge, "YS%06u", number + 1);
	make_name(&p, &r, &t->figures, x);
	make_phone(&p, seed);
	p.org = make_org(&r, t);
	p.post = make_post(&r, t, p.org);
	make_unit(&p, &r);
	p.since = make_since(&r, year);
	p.lag = random_below(&r, 10) < 6 ? 0 : 1 + (int32_t)random_below(&r, 2);
	p.active = random_permille(&r, (unsigned)t->figures.active_permille);
	*ret = p;
}

int32_t people_promotion_day(int year, unsigned which)
{
	return calendar_day(year, which ? 10 : 4, 15);
}

static int32_t last_promotion_day(int32_t day)
{
	int year = calendar_date(day).year;

	if (day >= people_promotion_day(year, 1))
		return people_promotion_day(year, 1);
	if (day >= people_promotion_day(year, 0))
		return people_promotion_day(year, 0);
	return people_promotion_day(year - 1, 1);
}

const struct rank *people_rank(const struct tables *t, const struct person *p, int32_t day)
{
	int32_t last = last_promotion_day(day);
	int years = last < p->since ? 0 : calendar_years(p->since, last);
	size_t i = 0;

	/* Nobody waits longer for the end of the trial period. */
	while (i + 1 < t->n_ranks && years >= t->ranks[i + 1].years + (i ? p->lag : 0))
		i++;
	return &t->ranks[i];
}
