/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields of templates: which there are for a type, how long each may become, how it is shown. All
 * but four are the table of types' rows, so a new type needs nothing here.
 */
#include "template_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DATE_UNITS = 11, TIME_UNITS = 16, SUM_UNITS = 16 };

static const int64_t zone_ms = 8 * 3600 * INT64_C(1000), day_ms = 24 * 3600 * INT64_C(1000);

/* Of the envelope. */
static const struct {
	const char *name, *path;
	unsigned max_bytes;
	bool optional;
} envelope[] = {
	{"name", "person.name", ROSTER_NAME_MAX, false},
	{"badge", "person.badge", ROSTER_BADGE_MAX, false},
	{"unit", "person.unit", ROSTER_UNIT_MAX, true},
	{"rank", "person.rank.name", 120, true},
	{"ref", "ref", 120, true},
	{"issuer", "issuer", 120, false},
};

/* Private fields that a text must have to be of use, and that tell of no matter. */
static const char *const neutral[] = {
	"penalty.sign_where", "penalty.sign_by",     "penalty.telephone",
	"welfare_visit.when", "welfare_visit.where", "mailbox_reply.ticket",
};

static const struct dibao_type_spec *type_of(const struct template_use *use)
{
	size_t n;

	return &dibao_types(&n)[use->type];
}

static bool is_neutral(const char *type, const char *field)
{
	for (size_t i = 0; i < sizeof neutral / sizeof neutral[0]; i++) {
		size_t n = strlen(type);

		if (!strncmp(neutral[i], type, n) && neutral[i][n] == '.' &&
		    !strcmp(neutral[i] + n + 1, field))
			return true;
	}
	return false;
}

static const struct dibao_field_spec *body_of(const struct template_use *use)
{
	return use->act == TEMPLATE_RETRACTION ? dibao_retraction_body() : type_of(use)->body;
}

/* What a proposal must have, the table of types says in words only. */
static bool may_lack(const struct template_use *use, const struct dibao_field_spec *f)
{
	bool of_proposal = !strcmp(f->name, "notice_until") || !strcmp(f->name, "contact");

	return !(f->flags & DIBAO_FIELD_REQUIRED) && !(use->proposed && of_proposal);
}

/* 0, -ENOENT: it cannot be shown. */
static int show_of(struct template_field *ret, const struct dibao_field_spec *f)
{
	const struct dibao_field_spec *g;

	ret->max_units = (unsigned)f->max;
	switch (f->kind) {
	case DIBAO_KIND_STR:
	case DIBAO_KIND_DIGITS:
		ret->show = SHOW_TEXT;
		return 0;
	case DIBAO_KIND_DATE:
		ret->show = SHOW_DATE;
		ret->max_units = DATE_UNITS;
		return 0;
	case DIBAO_KIND_MS:
		ret->show = SHOW_TIME;
		ret->max_units = TIME_UNITS;
		return 0;
	case DIBAO_KIND_INT:
		ret->show = strstr(f->zh, "（分）") ? SHOW_YUAN : SHOW_NUMBER;
		ret->max_units = SUM_UNITS;
		return 0;
	case DIBAO_KIND_MAP:
		for (g = f->fields; g->name && strcmp(g->name, "name") != 0; g++)
			;
		if (!g->name || g->kind != DIBAO_KIND_STR)
			return -ENOENT;
		ret->show = SHOW_TEXT;
		ret->max_units = (unsigned)g->max;
		return 0;
	default:
		return -ENOENT;
	}
}

static bool name_is(const char *s, const char *name, size_t len)
{
	return strlen(s) == len && !memcmp(s, name, len);
}

int template_field_find(struct template_field *ret, const struct template_use *use,
			const char *name, size_t len)
{
	struct template_field out = {0};

	for (size_t i = 0; i < sizeof envelope / sizeof envelope[0]; i++)
		if (name_is(envelope[i].name, name, len)) {
			snprintf(out.path, sizeof out.path, "%s", envelope[i].path);
			out.max_units = envelope[i].max_bytes;
			out.optional = envelope[i].optional;
			*ret = out;
			return 0;
		}
	for (const struct dibao_field_spec *f = body_of(use); f->name; f++) {
		if (!name_is(f->name, name, len) || show_of(&out, f) < 0)
			continue;
		snprintf(out.path, sizeof out.path, "body.%s%s", f->name,
			 f->kind == DIBAO_KIND_MAP ? ".name" : "");
		out.optional = may_lack(use, f);
		/* Of a promotion or award marked private nothing is public. */
		out.is_private = (use->is_private || !(f->flags & DIBAO_FIELD_PUBLIC)) &&
				 !is_neutral(type_of(use)->name, f->name);
		*ret = out;
		return 0;
	}
	return -ENOENT;
}

void template_field_names(const struct template_use *use, char *buf, size_t cap)
{
	struct template_field unused;
	size_t n = 0;

	*buf = '\0';
	for (size_t i = 0; i < sizeof envelope / sizeof envelope[0]; i++)
		n += (size_t)snprintf(buf + n, n < cap ? cap - n : 0, " %s", envelope[i].name);
	for (const struct dibao_field_spec *f = body_of(use); f->name && n < cap; f++)
		if (show_of(&unused, f) == 0)
			n += (size_t)snprintf(buf + n, cap - n, " %s", f->name);
}

/* ---- values ---- */

/* A day since 1970 to year, month, day (H. Hinnant's civil calendar). */
static void civil(int64_t z, int *y, int *m, int *d)
{
	int64_t era, doe, yoe, doy, mp;

	z += 719468;
	era = (z >= 0 ? z : z - 146096) / 146097;
	doe = z - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	*d = (int)(doy - (153 * mp + 2) / 5 + 1);
	*m = (int)(mp < 10 ? mp + 3 : mp - 9);
	*y = (int)(yoe + era * 400 + (*m <= 2));
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int year_of(int64_t ms)
{
	int y, m, d;

	civil(floor_div(ms + zone_ms, day_ms), &y, &m, &d);
	return y;
}

static int print_day(char *buf, size_t cap, int year_now, int y, int m, int d)
{
	return y == year_now ? snprintf(buf, cap, "%d月%d日", m, d)
			     : snprintf(buf, cap, "%d年%d月%d日", y, m, d);
}

static int print_time(char *buf, size_t cap, int year_now, int64_t ms)
{
	int64_t day = floor_div(ms + zone_ms, day_ms), min;
	int y, m, d, n;

	min = (ms + zone_ms - day * day_ms) / 60000;
	civil(day, &y, &m, &d);
	n = print_day(buf, cap, year_now, y, m, d);
	return n + snprintf(buf + n, cap - (size_t)n, "%d:%02d", (int)(min / 60), (int)(min % 60));
}

static int print_yuan(char *buf, size_t cap, int64_t fen)
{
	if (fen % 100)
		return snprintf(buf, cap, "%lld.%02d元", (long long)(fen / 100), (int)(fen % 100));
	return snprintf(buf, cap, "%lld元", (long long)(fen / 100));
}

static int text_value(const struct template_field *f, const struct dibao_event *ev,
		      const struct roster_person *person, char *buf, size_t cap)
{
	struct dibao_str s;

	if (person && !strcmp(f->path, "person.name"))
		s = person->name;
	else if (dibao_event_str(ev, f->path, &s) < 0)
		return -ENOENT;
	if (s.len >= cap)
		return -ENOENT;
	/* The one code in the table of types that stands for a name. */
	if (!strcmp(f->path, "body.mailbox") && s.len == 5 && !memcmp(s.p, "chief", 5))
		return snprintf(buf, cap, "局长信箱");
	memcpy(buf, s.p, s.len);
	return smstext_clean(buf, s.len);
}

int template_field_value(const struct template_field *f, const struct dibao_event *ev,
			 const struct roster_person *person, char *buf, size_t cap)
{
	struct dibao_str s;
	int64_t v;
	int y, m, d, n;

	switch (f->show) {
	case SHOW_TEXT:
		n = text_value(f, ev, person, buf, cap);
		/* Nothing left of it once cleaned: as if it were not there. */
		return n > 0 ? n : -ENOENT;
	case SHOW_DATE:
		if (dibao_event_str(ev, f->path, &s) < 0 || s.len != 10 ||
		    sscanf(s.p, "%4d-%2d-%2d", &y, &m, &d) != 3)
			return -ENOENT;
		return print_day(buf, cap, year_of(ev->at), y, m, d);
	default:
		if (dibao_event_int(ev, f->path, &v) < 0)
			return -ENOENT;
		if (f->show == SHOW_TIME)
			return print_time(buf, cap, year_of(ev->at), v);
		return f->show == SHOW_YUAN ? print_yuan(buf, cap, v)
					    : snprintf(buf, cap, "%lld", (long long)v);
	}
}
