/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules, in order; the first that holds decides:
 *   the event has nobody, or is history          nothing to do
 *   too old, of a kind that need not be served   nothing to do: nobody wants last year's award now
 *   `expires` or the visit's time is past        a person must say it some other way
 *   too old, penalty or reply                    a person decides
 *   not on the roster; another name there        never sent: it would go to the wrong one
 *   left                                         nothing, but penalty and reply for 30 days
 *   opted out                                    nothing; not of penalty and reply
 *   no number, a bad one, an invented one        a person must say it
 *   disputed; private, and shared or moved       waits until somebody confirms the number
 *
 * Names are compared by NFKC (libutf8proc): a personnel system that writes a name with another kind
 * of middle dot, a full-width letter or a compatibility ideograph means the same person; everything
 * else that differs is another one.
 */
#include "person.h"
#include "quiet.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static const int64_t day_ms = 24 * 3600 * INT64_C(1000);

static bool type_is(const struct dibao_event *ev, const char *name)
{
	return ev->type_name.len == strlen(name) &&
	       !memcmp(ev->type_name.p, name, ev->type_name.len);
}

struct person_rules person_rules_default(void)
{
	static const struct {
		const char *type;
		int days;
	} ages[] = {{"promotion", 7},
		    {"award", 7},
		    {"penalty", 7},
		    {"welfare_visit", 2},
		    {"mailbox_reply", 7}};
	struct person_rules r = {.max_age_other_ms = 2 * day_ms, .after_leaving_ms = 30 * day_ms};

	for (size_t i = 0; i < PERSON_TYPES_MAX; i++)
		r.max_age_ms[i] = r.max_age_other_ms;
	for (size_t i = 0; i < sizeof ages / sizeof ages[0]; i++) {
		int t = dibao_type_find(ages[i].type, strlen(ages[i].type));

		if (t >= 0 && t < PERSON_TYPES_MAX)
			r.max_age_ms[t] = ages[i].days * day_ms;
	}
	return r;
}

bool person_is_private(const struct dibao_event *ev)
{
	return ev->is_private;
}

bool person_must_be_served(const struct dibao_event *ev)
{
	return type_is(ev, "penalty") || type_is(ev, "mailbox_reply");
}

/* An event that was held back on purpose is no older than the day it was to be published. */
static bool is_too_old(const struct person_rules *rules, const struct person_query *q)
{
	const struct dibao_event *ev = q->event;
	int64_t from = ev->not_before > ev->at ? ev->not_before : ev->at;
	int64_t max = ev->type >= 0 && ev->type < PERSON_TYPES_MAX ? rules->max_age_ms[ev->type]
								   : rules->max_age_other_ms;

	return !q->released && max > 0 && q->now_ms - from > max;
}

static struct person_answer answer(enum person_decision d, enum person_reason r)
{
	return (struct person_answer){.decision = d, .reason = r};
}

static struct person_answer check_event(const struct person_rules *rules,
					const struct person_query *q)
{
	bool must = person_must_be_served(q->event), old = is_too_old(rules, q);

	if (!q->event->badge.p)
		return answer(PERSON_DROP, PERSON_NO_PERSON);
	if (q->event->record)
		return answer(PERSON_DROP, PERSON_RECORD);
	if (old && !must)
		return answer(PERSON_DROP, PERSON_TOO_OLD);
	if (q->now_ms >= quiet_deadline(q->event))
		return answer(PERSON_LIST, PERSON_EXPIRED);
	if (old)
		return answer(PERSON_PARK, PERSON_TOO_OLD);
	return answer(PERSON_SEND, PERSON_OK);
}

static struct person_answer check_person(const struct person_rules *rules,
					 const struct person_query *q)
{
	const struct roster_person *p = q->person;
	bool must = person_must_be_served(q->event);
	struct dibao_str name = {0};

	if (!p)
		return answer(PERSON_LIST, PERSON_NOT_ON_ROSTER);
	if (dibao_event_str(q->event, "person.name", &name) < 0 ||
	    !person_name_equals(name, p->name))
		return answer(PERSON_LIST, PERSON_NAME_DIFFERS);
	if (!p->active && !must)
		return answer(PERSON_DROP, PERSON_LEFT);
	if (!p->active && q->now_ms - p->left_on > rules->after_leaving_ms)
		return answer(PERSON_LIST, PERSON_LEFT_LONG_AGO);
	if (!must && roster_is_opted_out(p, q->event->type_name))
		return answer(PERSON_DROP, PERSON_OPTED_OUT);
	return answer(PERSON_SEND, PERSON_OK);
}

static struct person_answer check_number(const struct person_rules *rules,
					 const struct person_query *q)
{
	const struct roster_person *p = q->person;
	bool unsure = person_is_private(q->event) && !q->confirmed_at;

	if (!p->phone.len)
		return answer(PERSON_LIST, PERSON_NO_NUMBER);
	if (!rules->demo && roster_phone_is_demo(p->phone))
		return answer(PERSON_LIST, PERSON_NUMBER_INVENTED);
	if (q->bad_at && q->bad_at >= q->confirmed_at)
		return answer(PERSON_LIST, PERSON_NUMBER_BAD);
	if (q->disputed_at && q->disputed_at >= q->confirmed_at)
		return answer(PERSON_PARK, PERSON_NUMBER_DISPUTED);
	if (unsure && p->shared)
		return answer(PERSON_PARK, PERSON_NUMBER_SHARED);
	if (unsure && p->moved)
		return answer(PERSON_PARK, PERSON_NUMBER_MOVED);
	return answer(PERSON_SEND, PERSON_OK);
}

struct person_answer person_check(const struct person_rules *rules, const struct person_query *q)
{
	struct person_answer a = check_event(rules, q);

	if (a.decision == PERSON_SEND)
		a = check_person(rules, q);
	if (a.decision == PERSON_SEND)
		a = check_number(rules, q);
	return a;
}

struct person_answer person_unreadable(void)
{
	return answer(PERSON_LIST, PERSON_ROW_UNREADABLE);
}

/* ---- names ---- */

/* Not part of a name's identity: blanks, and the dots between the parts of a name. */
static bool is_passed_over(utf8proc_int32_t c)
{
	static const utf8proc_int32_t dots[] = {'.',	0xb7,	0x2022, 0x2027,
						0x2219, 0x22c5, 0x2e31, 0x30fb};

	for (size_t i = 0; i < sizeof dots / sizeof dots[0]; i++)
		if (c == dots[i])
			return true;
	return c <= ' ' || c == 0x85 || c == 0x2028 || c == 0x2029 ||
	       utf8proc_category(c) == UTF8PROC_CATEGORY_ZS;
}

/* What the name is compared by, malloc()ed; NULL: not UTF-8, no memory, or nothing in it. */
static char *identity(struct dibao_str name)
{
	utf8proc_uint8_t *folded = NULL;
	utf8proc_ssize_t len, i = 0, out = 0;
	utf8proc_int32_t c;

	/* IGNORE drops what is not seen, the variation selectors among them. */
	len = utf8proc_map((const utf8proc_uint8_t *)name.p, (utf8proc_ssize_t)name.len, &folded,
			   UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_COMPOSE | UTF8PROC_IGNORE);
	if (len < 0)
		return NULL;
	while (i < len) {
		utf8proc_ssize_t n = utf8proc_iterate(folded + i, len - i, &c);

		if (n <= 0)
			break;
		if (!is_passed_over(c)) {
			memmove(folded + out, folded + i, (size_t)n);
			out += n;
		}
		i += n;
	}
	folded[out] = '\0';
	if (out == 0) {
		free(folded);
		return NULL;
	}
	return (char *)folded;
}

bool person_name_equals(struct dibao_str a, struct dibao_str b)
{
	char *x = a.len ? identity(a) : NULL, *y = b.len ? identity(b) : NULL;
	bool equal = x && y && !strcmp(x, y);

	free(x);
	free(y);
	return equal;
}

/* ---- words ---- */

static const struct {
	const char *key, *words;
} reasons[PERSON_N_REASONS] = {
	[PERSON_OK] = {"ok", "it may be sent"},
	[PERSON_NO_PERSON] = {"no-person", "the event has no person, an anonymous letter"},
	[PERSON_RECORD] = {"record", "history: stored and never texted"},
	[PERSON_EXPIRED] = {"expired", "the notice was of use only until a time that is past"},
	[PERSON_TOO_OLD] = {"too-old", "it happened too long ago to be texted as news"},
	[PERSON_NOT_ON_ROSTER] = {"not-on-roster", "the roster does not have this badge"},
	[PERSON_ROW_UNREADABLE] = {"roster-unreadable",
				   "the roster's row for this badge cannot be read: import again"},
	[PERSON_NAME_DIFFERS] = {"name-differs", "the roster has another name for this badge"},
	[PERSON_LEFT] = {"left", "the person has left, and this kind is for those in service"},
	[PERSON_LEFT_LONG_AGO] = {"left-long-ago",
				  "the person left too long ago to trust the last number"},
	[PERSON_OPTED_OUT] = {"opted-out", "the person wants no texts of this kind"},
	[PERSON_NO_NUMBER] = {"no-number", "the roster has no number for this badge"},
	[PERSON_NUMBER_INVENTED] = {"number-invented",
				    "the number is one of a demonstration's, and nobody's"},
	[PERSON_NUMBER_BAD] = {"number-bad", "the carrier said of an earlier text: no such number"},
	[PERSON_NUMBER_DISPUTED] = {"number-disputed",
				    "who has this number answered that it is not this person"},
	[PERSON_NUMBER_SHARED] = {"number-shared",
				  "two people in service have this number: confirm it first"},
	[PERSON_NUMBER_MOVED] = {"number-moved",
				 "another person had this number before: confirm it first"},
};

const char *person_reason_key(enum person_reason r)
{
	return r < PERSON_N_REASONS ? reasons[r].key : "unknown";
}

const char *person_reason_words(enum person_reason r)
{
	return r < PERSON_N_REASONS ? reasons[r].words : "unknown";
}
