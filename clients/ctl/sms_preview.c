/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sms preview: what the texts of events would be, to whom, when, or why not; by the very functions
 * and the configuration of dibao-sms, and nothing is sent. Of a correction or retraction the text
 * is shown that follows one that was sent; if it was not, dibao-sms sends none, or a plain notice.
 *
 * Not looked at: caps, batches, gateways, and what else waits.
 */
#include "roster_store.h"
#include "sms.h"
#include "timearg.h"

#include "../sms/content.h"

#include <jansson.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINE_BYTES = 3 * 65536, PRICE_UNIT = 10000 /* of a yuan */ };

static const char default_config[] = "/etc/dibao/sms.conf";

struct preview {
	const struct ctl *c;
	const char *what, *config_path;
	int64_t now_ms, price; /* price in PRICE_UNIT of a yuan; -1: not given */
	bool without_roster;
	struct sms_config *config;
	struct templates *templates;
	struct person_rules rules;
	struct quiet_hours quiet;
	struct roster_store store;
	bool is_open;
	unsigned events, texts, parts;
};

/* Of one event. */
struct finding {
	const struct dibao_event *ev;
	const struct template *template;
	struct template_text text;
	bool has_text;
	bool is_on_roster;
	struct roster_person person;
	struct person_answer answer;
	const char *decision, *reason, *words;
	int64_t due_ms; /* 0: not sent */
};

/* ---- one event ---- */

/* 0 or a sysexits code, said. *ret_row is what f->person borrows. */
static int look_up(struct preview *p, struct finding *f, char **ret_row)
{
	struct person_query q = {.event = f->ev, .now_ms = p->now_ms};
	char badge[ROSTER_BADGE_MAX + 1];
	int64_t marks[3] = {0};
	int e;

	*ret_row = NULL;
	if (f->ev->badge.p && f->ev->badge.len <= ROSTER_BADGE_MAX && !p->without_roster) {
		snprintf(badge, sizeof badge, "%.*s", (int)f->ev->badge.len, f->ev->badge.p);
		e = roster_store_find(&p->store, badge, ret_row, &f->person);
		if (e == 0 && *ret_row)
			e = roster_store_marks(&p->store, badge, &f->person, marks);
		if (e)
			return e;
		f->is_on_roster = *ret_row != NULL;
	}
	q.person = f->is_on_roster ? &f->person : NULL;
	q.confirmed_at = marks[0];
	q.bad_at = marks[1];
	q.disputed_at = marks[2];
	f->answer = person_check(&p->rules, &q);
	if (p->without_roster && f->answer.reason == PERSON_NOT_ON_ROSTER)
		f->answer = (struct person_answer){.decision = PERSON_SEND, .reason = PERSON_OK};
	return 0;
}

static void decide(struct preview *p, struct finding *f)
{
	static const char *const decisions[] = {"send", "drop", "unserved", "park"};
	enum template_act act = content_act(f->ev);

	f->decision = decisions[f->answer.decision];
	f->reason = person_reason_key(f->answer.reason);
	f->words = person_reason_words(f->answer.reason);
	f->template = templates_find(p->templates, f->ev, act);
	if (f->template && !template_is_none(f->template) && f->ev->badge.p)
		f->has_text = template_render(f->template, f->ev,
					      f->is_on_roster ? &f->person : NULL, &f->text) == 0;
	if (f->answer.decision != PERSON_SEND)
		return;
	if (f->template && template_is_none(f->template)) {
		f->decision = "drop";
		f->reason = "silent";
		f->words = "the bureau sends no text of this kind";
	} else if (!f->has_text) {
		f->decision = "unserved";
		f->reason = "template";
		f->words = "there is no template for it";
	} else {
		f->due_ms = quiet_due(&p->quiet, p->now_ms, f->ev->urgent);
		if (f->due_ms < quiet_deadline(f->ev))
			return;
		f->due_ms = 0;
		f->decision = "unserved";
		f->reason = "too-late";
		f->words = quiet_late_words();
	}
}

static void show_text(const struct preview *p, const struct finding *f)
{
	const struct dibao_event *ev = f->ev;
	char when[CTL_TIME], phone[ROSTER_PHONE_DIGITS + 1] = "";

	printf("%.*s  %.*s", (int)ev->uid.len, ev->uid.p, (int)ev->type_name.len, ev->type_name.p);
	if (f->template)
		printf("  %s.tmpl %s", template_name(f->template), template_version(f->template));
	putchar('\n');
	if (f->has_text)
		printf("  %s%s\n  %u characters, %u part%s\n",
		       p->config->gateway_signs ? "(signature)" : "", f->text.text, f->text.units,
		       f->text.parts, f->text.parts == 1 ? "" : "s");
	if (f->is_on_roster)
		roster_phone_masked(f->person.phone, phone);
	if (!f->due_ms) {
		printf("  not sent (%s): %s\n", f->decision, f->words);
		return;
	}
	ctl_time(when, f->due_ms);
	printf("  to %s %s%s\n", f->is_on_roster ? phone : "(roster not asked)", when,
	       f->due_ms > p->now_ms ? ", when the quiet hours end" : "");
}

static void show_json(const struct finding *f)
{
	static const char *const acts[] = {"notice", "correction", "retraction"};
	const struct dibao_event *ev = f->ev;
	char phone[ROSTER_PHONE_DIGITS + 1] = "";
	json_t *j = json_pack("{s:s#, s:s#, s:s, s:s, s:s, s:s}", "uid", ev->uid.p,
			      (int)ev->uid.len, "type", ev->type_name.p, (int)ev->type_name.len,
			      "act", acts[content_act(ev)], "decision", f->decision, "reason",
			      f->reason, "words", f->words);

	if (f->template) {
		json_object_set_new(j, "template", json_string(template_name(f->template)));
		json_object_set_new(j, "version", json_string(template_version(f->template)));
	}
	if (f->has_text) {
		json_object_set_new(j, "text", json_string(f->text.text));
		json_object_set_new(j, "units", json_integer(f->text.units));
		json_object_set_new(j, "parts", json_integer(f->text.parts));
	}
	if (f->is_on_roster) {
		roster_phone_masked(f->person.phone, phone);
		json_object_set_new(j, "phone", json_string(phone));
	}
	if (f->due_ms)
		json_object_set_new(j, "due", json_integer(f->due_ms));
	json_dumpf(j, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(j);
}

static int preview_event(struct preview *p, const struct dibao_event *ev)
{
	struct finding *f = calloc(1, sizeof *f);
	char *row;
	int e;

	if (!f)
		return ctl_fail(EX_OSERR, "no memory");
	f->ev = ev;
	e = look_up(p, f, &row);
	if (e == 0) {
		decide(p, f);
		p->events++;
		p->texts += f->due_ms != 0;
		p->parts += f->due_ms ? f->text.parts : 0;
		if (p->c->json)
			show_json(f);
		else
			show_text(p, f);
	}
	free(row);
	explicit_bzero(f, sizeof *f);
	free(f);
	return e;
}

/* ---- the events ---- */

static int preview_json(struct preview *p, const char *text, size_t len, unsigned line)
{
	struct dibao_error err;
	struct dibao_event ev;
	uint8_t *bytes;
	size_t n;
	int e;

	if (dibao_event_from_json(text, len, line, &bytes, &n, &err) < 0 ||
	    dibao_event_parse(&ev, bytes, n, &err) < 0)
		return ctl_error(&err);
	e = preview_event(p, &ev);
	free(bytes);
	return e;
}

static int preview_file(struct preview *p, FILE *f)
{
	char *line = malloc(LINE_BYTES);
	unsigned n = 0;
	int e = 0, worst = 0;

	if (!line)
		return ctl_fail(EX_OSERR, "no memory");
	/* A line that is no event is told, and the others are shown. */
	while ((e == 0 || e == EX_DATAERR) && fgets(line, LINE_BYTES, f)) {
		size_t len = strcspn(line, "\r\n");

		n++;
		if (strspn(line, " \t") == len)
			continue;
		if (line[len] == '\0' && !feof(f)) {
			e = ctl_fail(EX_DATAERR, "line %u: over %d bytes", n, LINE_BYTES);
			break;
		}
		e = preview_json(p, line, len, n);
		worst = e ? e : worst;
	}
	if (ferror(f))
		worst = ctl_fail(EX_IOERR, "%s: cannot be read", p->what);
	free(line);
	return e && e != EX_DATAERR ? e : worst;
}

static int preview_uid(struct preview *p)
{
	json_t *j;
	char *text;
	int e = ctl_fetch_event(p->c, p->what, &j);

	if (e)
		return e;
	text = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	e = text ? preview_json(p, text, strlen(text), 0) : ctl_fail(EX_OSERR, "no memory");
	free(text);
	return e;
}

static int preview_all(struct preview *p)
{
	FILE *f;
	int e;

	if (!strcmp(p->what, "-"))
		return preview_file(p, stdin);
	/* What is no file is a uid. */
	f = fopen(p->what, "re");
	if (!f && errno != ENOENT)
		return ctl_fail(EX_NOINPUT, "%s: %s", p->what, strerror(errno));
	if (!f)
		return preview_uid(p);
	e = preview_file(p, f);
	fclose(f);
	return e;
}

static void print_sum(const struct preview *p)
{
	int64_t cost = p->price >= 0 ? p->price * p->parts : -1;

	if (p->c->json) {
		printf("{\"events\":%u,\"texts\":%u,\"parts\":%u", p->events, p->texts, p->parts);
		if (cost >= 0)
			printf(",\"cost\":%lld.%04lld", (long long)(cost / PRICE_UNIT),
			       (long long)(cost % PRICE_UNIT));
		puts("}");
		return;
	}
	printf("%u event%s: %u text%s in %u part%s", p->events, p->events == 1 ? "" : "s", p->texts,
	       p->texts == 1 ? "" : "s", p->parts, p->parts == 1 ? "" : "s");
	if (cost >= 0)
		printf(", %lld.%02lld yuan", (long long)(cost / PRICE_UNIT),
		       (long long)(cost % PRICE_UNIT / 100));
	puts("");
}

/* ---- options ---- */

/* "0.045" yuan. */
static int parse_price(const char *text, int64_t *ret)
{
	int64_t v = 0;
	int after = -1;
	const char *s = text;

	for (; *s && after < 4; s++) {
		if (*s == '.' && after < 0 && s > text) {
			after = 0;
			continue;
		}
		if (*s < '0' || *s > '9' || v > 1000 * PRICE_UNIT)
			return -EINVAL;
		v = v * 10 + (*s - '0');
		after += after >= 0;
	}
	if (*s || s == text)
		return -EINVAL;
	for (; after < 4; after++, v *= 10)
		if (after < 0)
			after = 0;
	*ret = v;
	return 0;
}

static int parse(struct preview *p, int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		bool has_value = i + 1 < argc;

		if (!strcmp(argv[i], "--without-roster")) {
			p->without_roster = true;
		} else if (!strcmp(argv[i], "--sms-config") && has_value) {
			p->config_path = argv[++i];
		} else if (!strcmp(argv[i], "--at") && has_value) {
			if (timearg_parse(argv[++i], time(NULL), &p->now_ms) < 0)
				return ctl_fail(EX_USAGE, "sms preview: --at: expected Unix ms or "
							  "2026-11-23T09:30:00+08:00");
		} else if (!strcmp(argv[i], "--price") && has_value) {
			if (parse_price(argv[++i], &p->price) < 0)
				return ctl_fail(EX_USAGE, "sms preview: --price: expected yuan a "
							  "part, 0.045");
		} else if (strncmp(argv[i], "--", 2) != 0 && !p->what) {
			p->what = argv[i];
		} else {
			return ctl_fail(EX_USAGE, "sms preview: unexpected argument: %s", argv[i]);
		}
	}
	return p->what ? 0
		       : ctl_fail(EX_USAGE, "sms preview: expected a uid, a file of JSON lines, or "
					    "- for standard input");
}

static int load(struct preview *p)
{
	struct template_fault fault;
	int r = sms_config_load(&p->config, p->config_path, stderr);

	if (r < 0)
		return ctl_fail(r == -EINVAL ? EX_CONFIG : EX_NOINPUT, "%s: cannot be used",
				p->config_path);
	if (content_templates(&p->templates, p->config, &fault) < 0)
		return ctl_fail(EX_CONFIG, "%s:%u:%u: %s", fault.file, fault.line, fault.column,
				fault.reason);
	p->rules = content_rules(p->config);
	p->quiet = content_quiet(p->config);
	if (p->without_roster)
		return 0;
	r = roster_store_open(&p->store, p->c);
	p->is_open = r == 0;
	return r;
}

int sms_preview(struct ctl *c, int argc, char **argv)
{
	struct preview p = {.c = c, .price = -1, .config_path = default_config};
	int e;

	p.now_ms = (int64_t)time(NULL) * 1000;
	e = parse(&p, argc, argv);
	if (e == 0)
		e = load(&p);
	if (e == 0) {
		e = preview_all(&p);
		if (p.events != 1 || c->json || p.price >= 0)
			print_sum(&p);
	}
	if (p.is_open)
		roster_store_close(&p.store);
	templates_free(p.templates);
	sms_config_free(p.config);
	return e;
}
