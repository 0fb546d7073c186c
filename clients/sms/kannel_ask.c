/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked about Kannel's store: texts that may lie in it, by number and hash. One look at the
 * store answers all that were asked before it began.
 *
 * That a text is not there is said after two looks only: between leaving the store and its receipt
 * lies a moment in which nothing tells of it. While a receipt for its number lies in the store,
 * which has no id of ours, nothing is known.
 */
#include "kannel.h"
#include "text_hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOKS = 2, NUMBER_DIGITS = 11 };

struct question {
	struct question *next;
	unsigned attempt, n_looks;
	bool in_look, is_there, has_receipt;
	char id[DRIVER_ID_MAX + 1], phone[NUMBER_DIGITS + 1], hash[TEXT_HASH_MAX];
};

struct kannel_questions {
	struct driver *d;
	struct question *first;
	unsigned n;
};

struct kannel_questions *kannel_questions_new(struct driver *d)
{
	struct kannel_questions *q = calloc(1, sizeof *q);

	if (q)
		q->d = d;
	return q;
}

static void end(struct question *x)
{
	explicit_bzero(x, sizeof *x);
	free(x);
}

struct kannel_questions *kannel_questions_free(struct kannel_questions *q)
{
	while (q && q->first) {
		struct question *x = q->first;

		q->first = x->next;
		end(x);
	}
	free(q);
	return NULL;
}

int kannel_questions_add(struct kannel_questions *q, const struct driver_question *question)
{
	struct question *x;

	for (x = q->first; x; x = x->next)
		if (x->attempt == question->attempt && !strcmp(x->id, question->id))
			return 0;
	if (q->n >= KANNEL_QUESTIONS_MAX)
		return -EAGAIN;
	x = calloc(1, sizeof *x);
	if (!x)
		return -ENOMEM;
	x->attempt = question->attempt;
	snprintf(x->id, sizeof x->id, "%s", question->id);
	snprintf(x->phone, sizeof x->phone, "%s", question->phone);
	snprintf(x->hash, sizeof x->hash, "%s", question->hash);
	x->next = q->first;
	q->first = x;
	q->n++;
	return 0;
}

bool kannel_questions_any(const struct kannel_questions *q)
{
	return q->first != NULL;
}

void kannel_questions_look(struct kannel_questions *q)
{
	for (struct question *x = q->first; x; x = x->next) {
		x->in_look = true;
		x->is_there = x->has_receipt = false;
	}
}

/* Kannel may have put a country's prefix in front. */
static bool is_to(const char *receiver, const char *phone)
{
	size_t n = strlen(receiver), k = strlen(phone);

	return k == 0 || (n >= k && !strcmp(receiver + n - k, phone));
}

void kannel_questions_saw(const struct kannel_entry *e, void *questions)
{
	struct kannel_questions *q = questions;

	for (struct question *x = q->first; x; x = x->next) {
		if (!x->in_look || !is_to(e->receiver, x->phone))
			continue;
		x->has_receipt |= e->is_receipt;
		x->is_there |= !e->is_receipt &&
			       text_hash_is(x->hash, q->d->opt.text_key, e->text, e->text_len);
	}
}

void kannel_questions_answer(struct kannel_questions *q, const char *why)
{
	struct question *answered = NULL, *x;

	for (struct question **p = &q->first; (x = *p);) {
		x->n_looks += x->in_look && !why;
		if (!why &&
		    (!x->in_look || (!x->is_there && !x->has_receipt && x->n_looks < LOOKS))) {
			p = &x->next;
			continue;
		}
		*p = x->next;
		x->next = answered;
		answered = x;
		q->n--;
	}
	while ((x = answered)) {
		bool text = !why && x->is_there, receipt = !why && x->has_receipt;

		answered = x->next;
		q->d->opt.on_holds(q->d, x->id, x->attempt,
				   text		    ? DRIVER_HOLDS_TEXT
				   : why || receipt ? DRIVER_HOLDS_UNKNOWN
						    : DRIVER_HOLDS_NONE,
				   text	     ? NULL
				   : receipt ? "a receipt for its number waits there for a smsbox"
					     : why,
				   q->d->opt.userdata);
		end(x);
	}
}
