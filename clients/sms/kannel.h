/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver `kannel`, in its parts: what Kannel says (kannel_reply.c, pure), the listener for its
 * receipts, one for all such gateways (kannel_listen.c), and the driver itself (kannel.c).
 */
#ifndef SMS_KANNEL_H
#define SMS_KANNEL_H

#include "driver.h"

/* ---- kannel_reply.c ---- */

void kannel_classify(const struct driver_reply *reply, struct driver_result *ret);
/* Of a receipt's query: i (uid in hex), n, k (token), t (Kannel's type), a (the SMSC's words). */
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
};
/* Of status.xml. -EBADMSG. */
int kannel_parse_status(const char *xml, struct kannel_status *ret);

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
