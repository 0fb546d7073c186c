/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May this person get this notice now? One pure function that is asked before a text is queued and
 * again right before it is handed to a gateway; what it looks at is passed in. The rules, in the
 * order in which they are looked at, are person.c's. Whether it is night is quiet.h's.
 */
#ifndef SMS_PERSON_H
#define SMS_PERSON_H

#include "roster.h"

enum person_decision {
	PERSON_SEND,
	PERSON_DROP, /* final: nobody need do anything; counted, and told in the receipt */
	PERSON_LIST, /* final for the text: a person must serve the notice some other way */
	PERSON_PARK, /* a person must decide; asked again it may be PERSON_SEND */
};

enum person_reason {
	PERSON_OK,
	PERSON_NO_PERSON,	/* DROP: the event has none (an anonymous letter) */
	PERSON_RECORD,		/* DROP: history */
	PERSON_EXPIRED,		/* LIST: `expires` is past, or the visit's time */
	PERSON_TOO_OLD,		/* DROP, or PARK for penalty and reply */
	PERSON_NOT_ON_ROSTER,	/* LIST */
	PERSON_ROW_UNREADABLE,	/* LIST: see person_unreadable() */
	PERSON_NAME_DIFFERS,	/* LIST */
	PERSON_LEFT,		/* DROP */
	PERSON_LEFT_LONG_AGO,	/* LIST: penalty or reply, over 30 days after */
	PERSON_OPTED_OUT,	/* DROP */
	PERSON_NO_NUMBER,	/* LIST */
	PERSON_NUMBER_INVENTED, /* LIST: a demonstration's, in a real bureau */
	PERSON_NUMBER_BAD,	/* LIST: the carrier says there is no such number */
	PERSON_NUMBER_DISPUTED, /* PARK until confirmed, private kinds and others alike */
	PERSON_NUMBER_SHARED,	/* PARK until confirmed, private kinds only */
	PERSON_NUMBER_MOVED,	/* PARK until confirmed, private kinds only */
	PERSON_N_REASONS
};

enum { PERSON_TYPES_MAX = 16 };

struct person_rules {
	/* Greatest age of a notice by type, ms, in the order of dibao_types(); 0: none. */
	int64_t max_age_ms[PERSON_TYPES_MAX];
	int64_t max_age_other_ms; /* of types that are not in the table */
	int64_t after_leaving_ms; /* a penalty or reply still goes to the last number */
	bool demo;		  /* a demonstration bureau's: invented numbers are right */
};
/* promotion, award 7 days; visit 2; penalty, reply 7; others 2; after leaving 30. */
struct person_rules person_rules_default(void);

struct person_query {
	const struct dibao_event *event;
	const struct roster_person *person; /* NULL: not on the roster */
	/* roster_mark_at() of roster:confirmed, sms:bad, sms:disputed; 0: none */
	int64_t confirmed_at, bad_at, disputed_at;
	int64_t now_ms;
	bool released; /* a person has decided that age does not matter */
};

struct person_answer {
	enum person_decision decision;
	enum person_reason reason;
};
struct person_answer person_check(const struct person_rules *rules, const struct person_query *q);
/* For a row that roster_decode() refuses: PERSON_LIST, PERSON_ROW_UNREADABLE. */
struct person_answer person_unreadable(void);

/* Of private kinds: a penalty, a visit, a reply, an event marked private, a type not known. */
bool person_is_private(const struct dibao_event *ev);
/* Penalty and mailbox reply: never opted out of, still sent after one left, parked when old. */
bool person_must_be_served(const struct dibao_event *ev);

/* The same name: NFKC without blanks, middle dots and invisible characters. An empty name equals
 * none; what is not UTF-8 equals none. */
bool person_name_equals(struct dibao_str a, struct dibao_str b);

/* "name-differs", for scripts and receipts; stable. */
const char *person_reason_key(enum person_reason r);
/* "the roster has another name for this badge", for people. Holds no value. */
const char *person_reason_words(enum person_reason r);

#endif
