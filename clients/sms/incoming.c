/* SPDX-License-Identifier: Apache-2.0 */
#include "incoming.h"

#include "log.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 512, CURSOR_MAX = 24 };

struct answer {
	struct driver *d;
	void *ticket;
	char phone[ROSTER_PHONE_DIGITS + 1];
};

struct incoming {
	struct core *c;
	struct answer ring[INCOMING_MAX];
	unsigned first, n;
	bool is_looking; /* for the first of them */
	char cursor[CURSOR_MAX];
	unsigned n_marking, n_marked;
	bool failed;
	uint64_t n_other;
};

/* Blanks do not matter, nor case. */
bool incoming_is_not_me(const char *text, size_t len)
{
	static const char *const words[] = {"不是本人", "非本人", "不是我", "不是他",
					    "不是她",	"发错",	  "打错",   "错号",
					    "错了",	"不认识", "notme",  "wrongnumber"};
	char flat[TEXT_MAX + 1];
	size_t n = 0;

	for (size_t i = 0; i < len && n < TEXT_MAX; i++)
		if ((unsigned char)text[i] > ' ')
			flat[n++] = (char)tolower((unsigned char)text[i]);
	flat[n] = '\0';
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strstr(flat, words[i]))
			return true;
	return false;
}

int incoming_new(struct incoming **ret, struct core *c)
{
	struct incoming *in = calloc(1, sizeof *in);

	if (!in)
		return -ENOMEM;
	in->c = c;
	*ret = in;
	return 0;
}

struct incoming *incoming_free(struct incoming *in)
{
	free(in);
	return NULL;
}

static void pump(struct incoming *in);

/* The first of those that wait is done with. */
static void finish(struct incoming *in, bool taken)
{
	struct answer a = in->ring[in->first];

	explicit_bzero(&in->ring[in->first], sizeof in->ring[0]);
	in->first = (in->first + 1) % INCOMING_MAX;
	in->n--;
	in->is_looking = false;
	if (taken && in->n_marked)
		log_text(LOG_WARNING,
			 "the holder of a number answers that it is another's: disputed for %u of "
			 "the roster, until it is confirmed",
			 in->n_marked);
	a.d->ops->receipt_done(a.d, a.ticket, taken);
}

static void go_on(struct incoming *in);

static void on_marked(int result, const redisReply *reply, void *userdata)
{
	struct incoming *in = userdata;

	(void)reply;
	in->n_marking--;
	if (result == -ECANCELED)
		return; /* all is given up: incoming_reset() */
	in->failed |= result != 0;
	go_on(in);
}

static void mark(struct incoming *in, const char *badge, const char *row, size_t len)
{
	struct roster_person p;
	struct outbox_call *call;
	char value[64];

	if (roster_decode(&p, row, len) < 0 ||
	    roster_mark_encode(&p, core_now_ms(), value, sizeof value) < 0)
		return;
	call = outbox_begin(in->c->outbox, "dibao_sms_mark", true);
	outbox_text(call, "disputed");
	outbox_text(call, badge);
	outbox_text(call, value);
	in->n_marking++;
	in->n_marked++;
	outbox_send(in->c->outbox, call, on_marked, in);
}

static void on_page(int result, const redisReply *reply, void *userdata)
{
	struct incoming *in = userdata;

	if (result == -ECANCELED)
		return;
	in->n_marking--;
	in->failed |= result != 0;
	snprintf(in->cursor, sizeof in->cursor, "%s",
		 result == 0 ? outbox_reply_text(reply, 0, NULL) : "0");
	for (size_t k = 1; result == 0 && k + 1 < reply->elements; k += 2) {
		size_t len;
		const char *row = outbox_reply_text(reply, k + 1, &len);

		mark(in, outbox_reply_text(reply, k, NULL), row, len);
	}
	go_on(in);
}

static void ask_page(struct incoming *in)
{
	struct outbox_call *call = outbox_begin(in->c->outbox, "dibao_sms_holders", false);

	outbox_text(call, in->cursor);
	outbox_text(call, in->ring[in->first].phone);
	in->n_marking++;
	outbox_send(in->c->outbox, call, on_page, in);
}

/* The next page, when all of this one is on disk; or the next answer. */
static void go_on(struct incoming *in)
{
	if (in->n_marking)
		return;
	if (!in->failed && strcmp(in->cursor, "0") != 0) {
		ask_page(in);
		return;
	}
	finish(in, !in->failed);
	pump(in);
}

static void pump(struct incoming *in)
{
	if (in->is_looking || in->n == 0 || !in->c->active)
		return;
	in->is_looking = true;
	in->failed = false;
	in->n_marked = 0;
	strcpy(in->cursor, "0");
	ask_page(in);
}

void incoming_on_answer(struct driver *d, const char *from, const char *text, size_t len,
			void *ticket, void *userdata)
{
	struct core *c = userdata;
	struct incoming *in = c->incoming;
	char phone[ROSTER_PHONE_DIGITS + 1];
	struct answer *a;
	const char *why;

	if (!incoming_is_not_me(text, len) || roster_phone(from, phone, &why) < 0) {
		in->n_other++;
		d->ops->receipt_done(d, ticket, true);
		return;
	}
	if (in->n == INCOMING_MAX || !c->active) {
		d->ops->receipt_done(d, ticket, false);
		return;
	}
	a = &in->ring[(in->first + in->n++) % INCOMING_MAX];
	a->d = d;
	a->ticket = ticket;
	memcpy(a->phone, phone, sizeof phone);
	pump(in);
}

void incoming_reset(struct incoming *in)
{
	in->is_looking = false;
	in->n_marking = 0;
	in->n_marked = 0;
	while (in->n)
		finish(in, false);
}
