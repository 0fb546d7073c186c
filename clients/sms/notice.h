/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A notice: what this client owes one event. Its state says how far it got.
 *
 *   queued ──► intent ──► submitted ──► accepted ──► delivered
 *     │  ▲        │ │          │            │
 *     ▼  │        │ └► ambiguous            └──► failed, expired, no_receipt
 *    held         └► queued again (the next attempt), failed
 *
 * `intent` is on disk before a text is handed to a gateway, so a notice found in it after a crash
 * may have been sent: it becomes ambiguous, waits for a receipt, and is then resent, parked or
 * dropped by its type's policy. parked waits for a person; dropped was never sent and need not be.
 *
 * Moves are monotone: news that come late, twice or in the wrong order change nothing, and what is
 * final stays so, but for a receipt about a parked or unreceipted notice, which knows better than
 * we. Only news of the current attempt count, and of earlier ones what says that the text arrived.
 *
 * Pure: time and news are passed in; outbox.h writes what was decided, before it is done.
 *
 * The row of a notice is the hash sms:row:<uid> (outbox.lua is its only writer):
 *   s   state            t  type          o  org         b  badge      l  urgent | bulk
 *   n   attempt          d  due, Unix ms  at event's `at`              x  too late after, Unix ms
 *   r   why it is held or ended so: a word of notice_reason or person_reason_key(), and the
 *       gateway's code after a blank
 *   cw  what the table of codes says of that code; of no meaning while `r` has none
 *   g   gateway          p  parts         v  template version          h  keyed hash of the text
 *   ng  gateways that will not have it, a bit each
 *   q   batch            mb mailbox of a mailbox_reply                 k  retracts | corrects
 *   of  uid of the event it takes back                    y  uid of the one that took this back
 *   tq ti ts ta tf  when it was queued, intended, submitted, accepted, final
 *   up  state last reported to the daemon
 *   e   the event's bytes, until the notice is final: what the text will be made of
 *   rs  1: sent again, not knowing of the first time
 *   tw  a word of notice_twice_words(): its text arrived twice, or may have
 *   fa<n> fd<n> ff<n>  of attempt n: which hand-over its first receipts told of, and that it failed
 * No phone number and no text is ever in it.
 */
#ifndef SMS_NOTICE_H
#define SMS_NOTICE_H

#include "driver.h"

enum notice_state {
	NOTICE_QUEUED,
	NOTICE_HELD, /* quiet hours, caps, a batch that waits for its release */
	NOTICE_INTENT,
	NOTICE_SUBMITTED, /* the gateway took it */
	NOTICE_ACCEPTED,  /* the carrier took it */
	NOTICE_AMBIGUOUS, /* may or may not have been sent */
	NOTICE_DELIVERED,
	NOTICE_FAILED,
	NOTICE_EXPIRED,
	NOTICE_NO_RECEIPT,
	NOTICE_PARKED,
	NOTICE_DROPPED,
	NOTICE_STATES,
};

/* Why a notice is held, or ended as it did. */
enum notice_reason {
	NOTICE_REASON_NONE,
	/* held */
	NOTICE_REASON_QUIET,   /* quiet hours */
	NOTICE_REASON_CAP,     /* so many texts to this number already */
	NOTICE_REASON_BATCH,   /* its batch waits for `dibaoctl sms release` */
	NOTICE_REASON_RETRY,   /* the gateway said: later */
	NOTICE_REASON_NEXT,    /* a gateway will not have it: by the next */
	NOTICE_REASON_GATEWAY, /* no gateway takes texts */
	/* ended, and a person should know */
	NOTICE_REASON_NO_GATEWAY,  /* this bureau has none: to be printed */
	NOTICE_REASON_NUMBER,	   /* the carrier says that it does not exist */
	NOTICE_REASON_TOO_LATE,	   /* the hold would last past the time it is of use */
	NOTICE_REASON_TEMPLATE,	   /* none, not approved, or the text cannot be made */
	NOTICE_REASON_CONTENT,	   /* the gateway or carrier minds the text */
	NOTICE_REASON_REFUSED,	   /* the gateway, for good, or too often */
	NOTICE_REASON_CARRIER,	   /* the carrier, by its receipt */
	NOTICE_REASON_UNREACHABLE, /* the handset, in all the time the carrier tried */
	NOTICE_REASON_NO_RECEIPT,
	NOTICE_REASON_UNKNOWN, /* may have been sent: nobody told */
	/* not sent, and that is right */
	NOTICE_REASON_SILENT,	 /* its template says: no text */
	NOTICE_REASON_WITHDRAWN, /* retracted or corrected before it was sent */
	NOTICE_REASON_NOT_SENT,	 /* takes back what was never sent */
	NOTICE_REASON_BY_HAND,	 /* a person served it some other way */
	NOTICE_REASONS,
};

/* "queued", "no_receipt". */
const char *notice_state_name(enum notice_state s);
/* By name; -EINVAL. */
int notice_state_find(const char *name, size_t len);
/* delivered ... dropped. A parked notice is final for us: a person, or a late receipt, moves it. */
bool notice_is_final(enum notice_state s);
/* The text may be at the gateway or further: taking it back needs a text of its own. */
bool notice_was_sent(enum notice_state s);

/* "name-differs": the word in the row. */
const char *notice_reason_name(enum notice_reason r);
int notice_reason_find(const char *name, size_t len);
/* "the gateway said: later": for people. */
const char *notice_reason_words(enum notice_reason r);
/* The same for a row's `r`, of whatever kind: its word may be person.h's; without the code. "" for
 * an empty one, "?" for a word nobody knows. */
const char *notice_words(const char *r, size_t len);
/* Those that end on the unserved list. */
bool notice_reason_is_unserved(enum notice_reason r);

/* How it may have arrived twice, by the word in the row, for people; "?" for one nobody knows.
 * *ret_sure: it has, as far as receipts can tell; else it may have. Its words are outbox.lua's. */
const char *notice_twice_words(const char *word, bool *ret_sure);

/* What to do about an ambiguous one when no receipt came. */
enum notice_policy { NOTICE_PARK, NOTICE_DROP, NOTICE_RESEND };
int notice_policy_find(const char *name);

/* What news of a text that a gateway took do to a notice in state s, at attempt `attempt`, when
 * they are of attempt `of`. Returns the new state; s itself = nothing to write. FAILED and EXPIRED
 * are proposals: codes.h may say to try again. */
enum notice_state notice_on_news(enum notice_state s, unsigned attempt, unsigned of,
				 enum driver_news news);

/* After the wait for an ambiguous one's receipt. */
enum notice_state notice_on_wait_over(enum notice_policy p);

/* True if a row in `from` may be written to `to`: outbox.c asserts it, so that no path of the
 * program can take a step that the picture above does not have. */
bool notice_may_move(enum notice_state from, enum notice_state to);

#endif
