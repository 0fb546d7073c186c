/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver `kannel`, in its parts: what Kannel says (kannel_reply.c, pure), what it says that it
 * still holds (kannel_store.c, pure) and the questions about that (kannel_ask.c), the listener for
 * its receipts, one for all such gateways (kannel_listen.c), and the driver itself (kannel.c).
 */
#ifndef SMS_KANNEL_H
#define SMS_KANNEL_H

#include "driver.h"

/* ---- kannel_reply.c ---- */

void kannel_classify(const struct driver_reply *reply, struct driver_result *ret);
/* Of a receipt's query: i (uid in hex), n, k (token), t (Kannel's type), a (the SMSC's words), and,
 * not in those that an older version asked for, f (the SMSC's id) and r (the report's). */
int kannel_parse(const char *(*get)(const void *source, const char *name), const void *source,
		 struct driver_receipt *ret);
/* What a handset answered, as UTF-8: `type` is the Content-Type, UTF-16BE or else UTF-8. Its
 * length; -EBADMSG, -ENOBUFS. Pure. */
int kannel_text(char *buf, size_t cap, const char *type, const char *body, size_t len);
/* The dlr-url for a text: in hex, for Kannel fills in escapes where it finds a %. -ENOBUFS. */
int kannel_dlr_url(char *buf, size_t cap, const char *base, const char *gateway,
		   const struct driver_text *text);

struct kannel_status {
	unsigned n_smsc, n_online;
	unsigned long queued; /* in the store and at the SMSCs */
	bool has_store;	      /* else its texts are in memory alone, and it tells of none */
	int64_t uptime_ms;    /* of whole seconds, a second off either way; -1: it does not say */
};
/* Of status.xml. -EBADMSG. */
int kannel_parse_status(const char *xml, struct kannel_status *ret);

/* ---- kannel_store.c ---- */

enum { KANNEL_ENTRY_MAX = 16384, KANNEL_NUMBER_MAX = 32 };

/* A text, or a receipt that waits for a smsbox, which has none. Borrowed for the call. */
struct kannel_entry {
	bool is_receipt;
	char receiver[KANNEL_NUMBER_MAX];
	const char *text; /* UTF-8 */
	size_t text_len;
};

typedef void (*kannel_entry_fn)(const struct kannel_entry *e, void *userdata);

struct kannel_store {
	kannel_entry_fn fn;
	void *userdata;
	bool is_open, is_closed, is_bad;
	size_t len;
	char buf[KANNEL_ENTRY_MAX];
};

void kannel_store_begin(struct kannel_store *s, kannel_entry_fn fn, void *userdata);
/* False: it is no store-status.xml, or an entry is over KANNEL_ENTRY_MAX. */
bool kannel_store_feed(struct kannel_store *s, const char *p, size_t n);
/* 0: that was all of it; -EBADMSG. Wiped. */
int kannel_store_end(struct kannel_store *s);

/* ---- kannel_ask.c ---- */

enum { KANNEL_QUESTIONS_MAX = 1024 };

struct kannel_questions;

/* Answered by opt.on_holds of the driver. NULL: no memory. */
struct kannel_questions *kannel_questions_new(struct driver *d);
/* Unanswered. Returns NULL. */
struct kannel_questions *kannel_questions_free(struct kannel_questions *q);
/* -EAGAIN: KANNEL_QUESTIONS_MAX are open. */
int kannel_questions_add(struct kannel_questions *q, const struct driver_question *question);
bool kannel_questions_any(const struct kannel_questions *q);
/* A look at the store begins: only those asked until now are answered by it. */
void kannel_questions_look(struct kannel_questions *q);
void kannel_questions_saw(const struct kannel_entry *e, void *questions);
/* The look is over; why: NULL, or why it tells nothing. */
void kannel_questions_answer(struct kannel_questions *q, const char *why);

/* ---- kannel_listen.c ---- */

enum { KANNEL_KEY_MAX = 128 };

/* Receipts that name this driver's gateway reach on_receipt from now on, and handsets' answers that
 * come with the key on_answer of one of them; the first opens the listener, at "ip:port". reply_key
 * "": no answers. -EINVAL, -EADDRINUSE, ... */
int kannel_listen(struct driver *d, const char *address, const char *reply_key);
void kannel_unlisten(struct driver *d);
void kannel_answer(void *ticket, bool taken);
/* Called before on_receipt. */
void kannel_note_receipt(struct driver *d, const struct driver_receipt *receipt);

#endif
