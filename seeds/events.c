/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON is made with jansson: it is packaged everywhere, keeps the order of
 * keys, writes UTF-8 as it is, and the library reads JSON with it too.
 */
#include "events.h"

#include "calendar.h"

#include <dibao/event.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 4096, TRIES = 100000 };

#define TELEPHONE "0512-05508110" /* no subscriber's number begins with 0 */

int events_person(struct maker *m, struct person *ret)
{
	size_t n = strlen(m->within);

	for (unsigned i = 0; i < TRIES; i++) {
		people_make(ret, m->tables, m->texts, m->seed, m->year,
			    (uint32_t)random_below(&m->random, m->size));
		if (ret->active && !strncmp(ret->org->code, m->within, n))
			return 0;
	}
	fprintf(stderr, "dibao-seed: nobody in service there: a longer roster, or another --org\n");
	return -ENOENT;
}

void events_ref(char ret[EVENTS_REF_BYTES], const char *series, int year, unsigned number)
{
	snprintf(ret, EVENTS_REF_BYTES, "苏公%s（演示）〔%d〕%u号", series, year, number);
}

/* Who issues for that organisation: its district, or the bureau. */
static const char *issuer(const struct maker *m, const struct person *p)
{
	const struct org *branch = p ? &m->tables->orgs[p->org->branch] : NULL;

	if (branch && !strcmp(branch->kind, "district"))
		return branch->name;
	return tables_bureau(m->tables)->name;
}

/* Takes `value`; a NULL value is left out. */
static int set(json_t *o, const char *key, json_t *value)
{
	return value ? json_object_set_new(o, key, value) : 0;
}

/* Takes `body`. */
static json_t *event(struct maker *m, const char *type, const struct heading *h, const char *by,
		     json_t *body)
{
	const struct person *p = h->who;
	const struct org *org = p ? p->org : tables_bureau(m->tables);
	json_t *e = json_pack("{s:i, s:s, s:s, s:I, s:s}", "v", 1, "uid", h->uid, "type", type,
			      "at", (json_int_t)h->at, "org", org->code);
	bool urgent = random_permille(&m->random, (unsigned)m->tables->figures.urgent_permille);
	int r = 0;

	if (!e || !body) {
		json_decref(e);
		json_decref(body);
		return NULL;
	}
	if (p) {
		const struct rank *rank = people_rank(m->tables, p, calendar_day_of_ms(h->at) - 1);

		r |= set(e, "person",
			 json_pack("{s:s, s:s, s:{s:s, s:s}, s:s, s:s}", "badge", p->badge, "name",
				   p->name, "rank", "code", rank->code, "name", rank->name, "unit",
				   p->unit, "post", p->post->name));
	}
	r |= set(e, "issuer", json_string(by));
	r |= set(e, "ref", h->ref ? json_string(h->ref) : NULL);
	r |= set(e, "private", h->is_private ? json_true() : NULL);
	r |= set(e, "urgent", urgent ? json_true() : NULL);
	r |= set(e, "record", m->record ? json_true() : NULL);
	r |= set(e, "follows", h->follows ? json_string(h->follows) : NULL);
	r |= set(e, "body", body);
	if (r) {
		json_decref(e);
		return NULL;
	}
	return e;
}

/* `{a|b}` and <words> of a list's text, for that person. NULL if it does not fit. */
static json_t *text(struct maker *m, const struct person *p, const char *from)
{
	const struct texts_person who = {
		.station = p ? p->org->short_name : "本单位",
		.unit = p ? p->unit : "本单位",
		.post = p ? p->post->name : "辅警",
	};
	char buf[TEXT_BYTES];

	if (texts_expand(&m->random, from, &who, buf, sizeof buf) < 0) {
		fprintf(stderr, "dibao-seed: a text of the lists is too long or ill-formed\n");
		return NULL;
	}
	return json_string(buf);
}

static json_t *date(int32_t day)
{
	char buf[CALENDAR_DATE_BYTES];

	calendar_text(day, buf);
	return json_string(buf);
}

static json_t *coded(const char *code, const char *name)
{
	return json_pack("{s:s, s:s}", "code", code, "name", name);
}

static int set_state(json_t *body, int64_t at, int notice_days)
{
	if (!notice_days)
		return set(body, "state", json_string("final"));
	return set(body, "state", json_string("proposed")) |
	       set(body, "notice_until", date(calendar_day_of_ms(at) + notice_days)) |
	       set(body, "contact", json_string("警务辅助人员管理办公室 " TELEPHONE));
}

json_t *events_promotion(struct maker *m, const struct heading *h, const struct rank *from,
			 const struct rank *to, int32_t effective, int notice_days)
{
	json_t *body = json_object();

	set(body, "from", coded(from->code, from->name));
	set(body, "to", coded(to->code, to->name));
	set(body, "effective", date(effective));
	set_state(body, h->at, notice_days);
	return event(m, "promotion", h, tables_bureau(m->tables)->name, body);
}

json_t *events_award(struct maker *m, const struct heading *h, const struct award *kind,
		     int notice_days)
{
	const struct tsv *s = &m->texts->awards_tsv;
	size_t row = texts_award(&m->random, m->texts, kind->code, h->who->post->category);
	bool high = kind->notice_days > 0;
	json_t *body = json_object();

	set(body, "kind", coded(kind->code, kind->name));
	set_state(body, h->at, notice_days);
	set(body, "reason", text(m, h->who, tsv_cell(s, row, 2)));
	set(body, "public_reason", text(m, h->who, tsv_cell(s, row, 3)));
	set(body, "amount", kind->amount_fen ? json_integer(kind->amount_fen) : NULL);
	return event(m, "award", h, high ? tables_bureau(m->tables)->name : issuer(m, h->who),
		     body);
}

json_t *events_final(json_t *proposal, const struct heading *h)
{
	json_t *e = json_deep_copy(proposal), *body = json_object_get(e, "body");

	if (!e)
		return NULL;
	json_object_del(body, "notice_until");
	json_object_del(body, "contact");
	set(body, "state", json_string("final"));
	set(e, "uid", json_string(h->uid));
	set(e, "at", json_integer(h->at));
	set(e, "ref", json_string(h->ref));
	set(e, "follows", json_string(h->follows));
	return e;
}

json_t *events_penalty(struct maker *m, const struct heading *h, const struct penalty *kind)
{
	const struct tsv *s = &m->texts->penalties_tsv;
	size_t row = texts_penalty(&m->random, m->texts, kind->code);
	int32_t day = calendar_day_of_ms(h->at);
	json_t *body = json_object();

	set(body, "kind", coded(kind->code, kind->name));
	set(body, "reason", text(m, h->who, tsv_cell(s, row, 1)));
	set(body, "decided_on", date(day));
	set(body, "sign_where", text(m, h->who, "<station>{政工室|综合科|内勤室}"));
	set(body, "sign_by", date(day + 5 + (int32_t)random_below(&m->random, 3)));
	set(body, "appeal_until", date(day + kind->appeal_days));
	set(body, "telephone", json_string(TELEPHONE));
	return event(m, "penalty", h, issuer(m, h->who), body);
}

json_t *events_visit(struct maker *m, const struct heading *h, const char *code)
{
	const struct visit *v = texts_visit(&m->random, m->texts, code);
	int32_t day = calendar_day_of_ms(h->at) + 1 + (int32_t)random_below(&m->random, 4);
	int64_t when = calendar_ms(day, 9 + (unsigned)random_below(&m->random, 8),
				   random_below(&m->random, 2) ? 0 : 30, 0);
	json_t *body = json_object();

	set(body, "kind", coded(v->code, v->name));
	set(body, "by", text(m, h->who, v->by));
	set(body, "when", json_integer(when));
	set(body, "where", text(m, h->who, v->where));
	set(body, "amount", v->amount_fen ? json_integer(v->amount_fen) : NULL);
	set(body, "gift", *v->gift ? text(m, h->who, v->gift) : NULL);
	return event(m, "welfare_visit", h, issuer(m, h->who), body);
}

json_t *events_letter(struct maker *m, const struct heading *h)
{
	const struct tsv *s = &m->texts->letters_tsv;
	size_t row = random_below(&m->random, s->n_rows);
	struct calendar_date d = calendar_date(calendar_day_of_ms(h->at));
	json_t *body = json_object();
	char ticket[32];

	snprintf(ticket, sizeof ticket, "XX%04d%02u%02u-%04u", d.year, d.month, d.day,
		 (unsigned)random_below(&m->random, 10000));
	set(body, "mailbox", json_string(tsv_cell(s, row, 0)));
	set(body, "ticket", json_string(ticket));
	set(body, "question", text(m, h->who, tsv_cell(s, row, 1)));
	set(body, "reply", text(m, h->who, tsv_cell(s, row, 3)));
	set(body, "answered_by", json_string(tsv_cell(s, row, 2)));
	set(body, "answered_at", json_integer(h->at));
	return event(m, "mailbox_reply", h, tables_bureau(m->tables)->name, body);
}

/* A copy that stands for `of`: other uid, later, and no longer itself a successor. */
static json_t *successor(json_t *of, const char *relation, const char *uid, int64_t at)
{
	json_t *e = json_deep_copy(of);

	if (!e)
		return NULL;
	set(e, relation, json_string(json_string_value(json_object_get(of, "uid"))));
	set(e, "uid", json_string(uid));
	set(e, "at", json_integer(at));
	json_object_del(e, "follows");
	json_object_del(e, "expires");
	json_object_del(e, "not_before");
	return e;
}

json_t *events_retraction(struct maker *m, json_t *of, const char *uid, int64_t at)
{
	const char *type = json_string_value(json_object_get(of, "type"));
	size_t row = texts_takeback(&m->random, m->texts, type);
	json_t *e = successor(of, "retracts", uid, at);

	set(e, "body", json_pack("{s:s}", "reason", tsv_cell(&m->texts->takebacks_tsv, row, 1)));
	return e;
}

json_t *events_correction(json_t *of, const char *uid, int64_t at)
{
	json_t *e = successor(of, "corrects", uid, at), *body = json_object_get(e, "body");
	json_t *when = json_object_get(body, "when"), *amount = json_object_get(body, "amount");
	int32_t day = calendar_day_of_ms(at);

	if (when)
		set(body, "when", json_integer(json_integer_value(when) + 86400000));
	else if (json_object_get(body, "sign_by"))
		set(body, "sign_by", date(day + 7));
	else if (json_object_get(body, "effective"))
		set(body, "effective", date(day + 1));
	else if (json_object_get(body, "answered_at"))
		set(body, "answered_at", json_integer(at));
	else
		set(body, "amount", json_integer(json_integer_value(amount) + 20000));
	return e;
}

char *events_line(const json_t *event)
{
	char *line = event ? json_dumps(event, JSON_COMPACT) : NULL;
	struct dibao_error err;
	uint8_t *bytes = NULL;
	size_t n;

	if (line && dibao_event_from_json(line, strlen(line), 1, &bytes, &n, &err) < 0) {
		fprintf(stderr, "dibao-seed: made an event that is not valid: %s: %s\n", err.field,
			err.reason);
		free(line);
		return NULL;
	}
	free(bytes);
	return line;
}
