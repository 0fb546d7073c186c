/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roster: who has which badge and number, for the texts. import reads a file (roster_file.h), plans
 * what it would change (roster_plan.h), tells it, and does it at once or not at all
 * (roster_store.h). What is told names badges, never a person or a number; show does, and tells the
 * whole number only with --reveal, after that is written down.
 */
#include "roster_store.h"
#include "text.h"

#include <jansson.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 20 };

struct import_options {
	struct roster_file_options file;
	bool delta, dry_run;
	long allow; /* -1: not given */
};

/* ---- import ---- */

static int take_value(struct import_options *o, const char *name, const char *value)
{
	char *end;

	if (!strcmp(name, "--headings"))
		o->file.headings = value;
	else if (!strcmp(name, "--encoding"))
		o->file.encoding = value;
	else if (!strcmp(name, "--refused"))
		o->file.refused = value;
	else if (!strcmp(name, "--format")) {
		o->file.format = value;
		if (strcmp(value, "table") != 0 && strcmp(value, "json") != 0)
			return ctl_fail(EX_USAGE,
					"roster import: --format: expected table or json");
	} else if (!strcmp(name, "--allow-removals")) {
		o->allow = strtol(value, &end, 10);
		if (end == value || *end || o->allow < 0)
			return ctl_fail(EX_USAGE, "roster import: --allow-removals: expected how "
						  "many");
	} else if (!strcmp(name, "--separator")) {
		o->file.separator = !strcmp(value, "tab")	  ? '\t'
				    : !strcmp(value, "semicolon") ? ';'
				    : !strcmp(value, "comma")	  ? ','
								  : '\0';
		if (!o->file.separator)
			return ctl_fail(EX_USAGE, "roster import: --separator: expected comma, tab "
						  "or semicolon");
	} else {
		return ctl_fail(EX_USAGE, "roster import: no such option: %s", name);
	}
	return 0;
}

static int parse_import(struct import_options *o, int argc, char **argv)
{
	*o = (struct import_options){.allow = -1};
	for (int i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "--delta")) {
			o->delta = true;
		} else if (!strcmp(argv[i], "--dry-run")) {
			o->dry_run = true;
		} else if (strncmp(argv[i], "--", 2) != 0) {
			if (o->file.path)
				return ctl_fail(EX_USAGE, "roster import: one file at a time");
			o->file.path = argv[i];
		} else if (i + 1 == argc) {
			return ctl_fail(EX_USAGE, "roster import: %s: expected a value", argv[i]);
		} else {
			int e = take_value(o, argv[i], argv[i + 1]);

			if (e)
				return e;
			i++;
		}
	}
	return o->file.path ? 0
			    : ctl_fail(EX_USAGE, "roster import: expected FILE, or - for standard "
						 "input");
}

static json_t *badges(const struct roster_badges *l)
{
	json_t *a = json_array();

	for (unsigned i = 0; i < l->n && i < ROSTER_PLAN_LIST_MAX; i++)
		json_array_append_new(a, json_string(l->at[i]));
	return a;
}

static void print_badges(const char *what, const struct roster_badges *l)
{
	if (!l->n)
		return;
	printf("  %s %u:", what, l->n);
	for (unsigned i = 0; i < l->n && i < SHOWN_MAX; i++)
		printf(" %s", l->at[i]);
	puts(l->n > SHOWN_MAX ? " ... (--json lists 1000)" : "");
}

static void print_json(const struct import_options *o, const struct roster_file *f,
		       const struct roster_plan *p, bool changed)
{
	json_t *j = json_pack(
		"{s:b, s:b, s:b, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, "
		"s:i, s:i, s:i, s:i, s:o, s:o, s:o, s:i, s:i}",
		"changed", changed, "dry_run", o->dry_run, "delta", o->delta, "encoding",
		f->encoding, "rows", (int)f->rows, "refused", (int)f->refused, "people",
		(int)p->rows, "active", (int)p->active, "was_active", (int)p->was_active, "added",
		(int)p->added, "unchanged", (int)p->unchanged, "number_changed",
		(int)p->number_changed, "renamed", (int)p->renamed, "moved_org", (int)p->moved_org,
		"left", (int)p->left, "back", (int)p->back, "missing", (int)p->missing, "removed",
		(int)p->removed, "no_number", (int)p->no_number, "demo", (int)p->demo,
		"shared_badges", badges(&p->shared), "moved_badges", badges(&p->moved),
		"renamed_badges", badges(&p->renames), "losses", (int)p->losses, "allowed",
		(int)p->allowed);

	json_dumpf(j, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(j);
}

static void print_plan(const struct roster_file *f, const struct roster_plan *p)
{
	printf("%u rows, %s: %u refused\n", f->rows, f->encoding, f->refused);
	printf("  in service        %u (were %u)\n", p->active, p->was_active);
	printf("  new               %u\n", p->added);
	printf("  unchanged         %u\n", p->unchanged);
	printf("  other number      %u\n", p->number_changed);
	printf("  other name        %u\n", p->renamed);
	printf("  other place       %u\n", p->moved_org);
	printf("  left              %u\n", p->left);
	printf("  came back         %u\n", p->back);
	printf("  not in the file   %u\n", p->missing);
	printf("  dropped, a year after %u\n", p->removed);
	printf("  without a number  %u\n", p->no_number);
	if (p->demo)
		printf("  numbers of a demonstration  %u\n", p->demo);
	print_badges("badges with a number that two have", &p->shared);
	print_badges("badges with a number that another had before", &p->moved);
	print_badges("badges under another name", &p->renames);
}

/* A roster that shrank is a file cut short more often than a wave of leavers. */
static int check_losses(const struct import_options *o, const struct roster_plan *p)
{
	unsigned long allowed = o->allow >= 0 ? (unsigned long)o->allow : p->allowed;

	if (o->delta || p->losses <= allowed)
		return 0;
	return ctl_fail(EX_DATAERR,
			"%u people would leave, go or get another name, over %lu (%d%% of those in "
			"service): nothing was changed; if that is right, --allow-removals %u",
			p->losses, allowed, ROSTER_PERCENT, p->losses);
}

static int plan_and_apply(const struct ctl *c, const struct import_options *o,
			  const struct roster_file *f)
{
	struct roster_old *old = NULL;
	struct roster_store s;
	struct roster_plan p;
	size_t n = 0;
	int e = roster_store_open(&s, c), r;

	if (e)
		return e;
	e = roster_store_read(&s, &old, &n);
	if (e == 0) {
		r = roster_plan_make(&p, old, n, f, o->delta, s.now_ms);
		if (r < 0)
			e = ctl_fail(r == -ENOMEM ? EX_OSERR : EX_SOFTWARE, "cannot plan: %s",
				     strerror(-r));
	}
	if (e == 0) {
		bool changes = p.n_writes > 0 && !o->dry_run;

		e = check_losses(o, &p);
		if (e == 0 && changes)
			e = roster_store_apply(&s, &p, o->delta ? "roster delta" : "roster import",
					       f->hash);
		if (c->json)
			print_json(o, f, &p, e == 0 && changes);
		else
			print_plan(f, &p);
		roster_plan_done(&p);
	}
	roster_store_free(old, n);
	roster_store_close(&s);
	return e;
}

static int import(struct ctl *c, int argc, char **argv)
{
	struct import_options o;
	struct roster_file f = {0};
	int e = parse_import(&o, argc, argv);

	if (e)
		return e;
	e = roster_file_read(&f, c, &o.file);
	if (e == 0)
		e = plan_and_apply(c, &o, &f);
	if (e == 0 && f.refused)
		e = EX_DATAERR;
	roster_file_done(&f);
	return e;
}

/* ---- the others ---- */

static int undo(struct ctl *c, int argc)
{
	struct roster_store s;
	int e;

	if (argc != 2)
		return ctl_fail(EX_USAGE, "roster undo: takes no argument");
	e = roster_store_open(&s, c);
	if (e)
		return e;
	e = roster_store_undo(&s);
	roster_store_close(&s);
	if (e == 0)
		puts(c->json ? "{\"ok\":true}"
			     : "the roster before is in force again; undo again to go back");
	return e;
}

static bool is_badge(const char *s)
{
	size_t n = strlen(s);

	return n >= 1 && n <= ROSTER_BADGE_MAX && text_is_badge((const uint8_t *)s, n);
}

static void print_time(const char *what, int64_t ms)
{
	char when[CTL_TIME];

	if (ms)
		printf("  %-14s %s\n", what, ctl_time(when, ms));
}

/* What was said before a confirmation no longer holds, nor does it once more is said: person.c. */
static void print_marks(const int64_t marks[3])
{
	static const char *const what[] = {"confirmed", "number is bad", "disputed"};
	char when[CTL_TIME];

	for (size_t i = 0; i < 3; i++) {
		bool holds = i ? marks[i] >= marks[0] : marks[0] > marks[1] && marks[0] > marks[2];

		if (marks[i])
			printf("  %-14s %s%s\n", what[i], ctl_time(when, marks[i]),
			       holds ? ""
			       : i   ? ", which no longer holds: confirmed since"
				     : ", which no longer holds");
	}
}

static void show_text(const char *badge, const struct roster_person *p, const int64_t marks[3],
		      const char *phone)
{
	printf("%s\n  name           %.*s\n  phone          %s\n", badge, (int)p->name.len,
	       p->name.p, phone);
	print_time("phone since", p->phone_since);
	printf("  organisation   %.*s\n", (int)p->org.len, p->org.p);
	if (p->unit.len)
		printf("  unit           %.*s\n", (int)p->unit.len, p->unit.p);
	printf("  in service     %s\n", p->active ? "yes" : "no");
	print_time("left on", p->left_on);
	print_time("not listed since", p->lacking_since);
	if (p->opted_out.len)
		printf("  opted out of   %.*s\n", (int)p->opted_out.len, p->opted_out.p);
	if (p->shared)
		puts("  two people in service have this number");
	if (p->moved)
		puts("  another person had this number before");
	print_marks(marks);
}

static void show_json(const char *badge, const struct roster_person *p, const int64_t marks[3],
		      const char *phone)
{
	json_t *j = json_pack("{s:s, s:s#, s:s, s:I, s:s#, s:s#, s:b, s:I, s:I, s:s#, s:b, s:b, "
			      "s:I, s:I, s:I}",
			      "badge", badge, "name", p->name.p, (int)p->name.len, "phone", phone,
			      "phone_since", (json_int_t)p->phone_since, "org", p->org.p,
			      (int)p->org.len, "unit", p->unit.p, (int)p->unit.len, "active",
			      p->active, "left_on", (json_int_t)p->left_on, "lacking_since",
			      (json_int_t)p->lacking_since, "opted_out", p->opted_out.p,
			      (int)p->opted_out.len, "shared", p->shared, "moved", p->moved,
			      "confirmed", (json_int_t)marks[0], "bad", (json_int_t)marks[1],
			      "disputed", (json_int_t)marks[2]);

	json_dumpf(j, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(j);
}

static int show(struct ctl *c, int argc, char **argv)
{
	char phone[ROSTER_PHONE_DIGITS + 1], *row = NULL;
	bool reveal = argc == 4 && !strcmp(argv[3], "--reveal");
	int64_t marks[3] = {0};
	struct roster_person p;
	struct roster_store s;
	int e;

	if ((argc != 3 && !reveal) || !is_badge(argv[2]))
		return ctl_fail(EX_USAGE, "roster show: expected BADGE [--reveal]");
	e = roster_store_open(&s, c);
	if (e)
		return e;
	e = roster_store_get(&s, argv[2], &row, &p);
	if (e == 0)
		e = roster_store_marks(&s, argv[2], &p, marks);
	/* Written down before it is seen. */
	if (e == 0 && reveal)
		e = ctl_redis_audit(&s.redis, "roster reveal", argv[2], "ok");
	if (e == 0) {
		roster_phone_masked(p.phone, phone);
		if (reveal && p.phone.len)
			snprintf(phone, sizeof phone, "%.*s", (int)p.phone.len, p.phone.p);
		(c->json ? show_json : show_text)(argv[2], &p, marks, phone);
	}
	free(row);
	roster_store_close(&s);
	return e;
}

static int confirm(struct ctl *c, int argc, char **argv)
{
	struct roster_store s;
	int e;

	if (argc != 3 || !is_badge(argv[2]))
		return ctl_fail(EX_USAGE, "roster confirm: expected BADGE");
	e = roster_store_open(&s, c);
	if (e)
		return e;
	e = roster_store_confirm(&s, argv[2]);
	roster_store_close(&s);
	if (e == 0)
		puts(c->json ? "{\"ok\":true}"
			     : "the number holds as this person's until it changes; what was "
			       "parked for it goes by dibaoctl sms release --uid");
	return e;
}

int ctl_roster(struct ctl *c, int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "import"))
		return import(c, argc, argv);
	if (!strcmp(what, "undo"))
		return undo(c, argc);
	if (!strcmp(what, "show"))
		return show(c, argc, argv);
	if (!strcmp(what, "confirm"))
		return confirm(c, argc, argv);
	return ctl_fail(EX_USAGE, "roster: expected import, undo, show or confirm");
}
