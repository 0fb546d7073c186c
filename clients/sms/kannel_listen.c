/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where Kannel brings receipts: GET /receipt?... on the address of the configuration, for all
 * gateways of this kind. The answer is 200, whatever the receipt says, once it is on disk; what is
 * no receipt of ours gets 200 too, for Kannel would bring it again and again; only what could not
 * be taken now gets 503, and comes again.
 *
 * There must be room for all that a smsbox asks at a time, and it keeps its connections: what found
 * none would wait there for seconds, no receipt would come, and so no text be sent (measured). They
 * are 512 where max-pending-requests is not set, 256 in config/kannel/.
 */
#include "kannel.h"

#include "httpd.h"
#include "log.h"
#include "redis_address.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DRIVERS_MAX = 8, CONNECTIONS_MAX = 640, ANSWER_MAX = 4096 };

/* One for the program: gateways come and go with the lease, all at once. */
static struct {
	struct httpd *httpd;
	struct driver *drivers[DRIVERS_MAX];
	unsigned n;
	char reply_key[KANNEL_KEY_MAX]; /* "": answers are not taken */
} listener;

static const char *get(const void *source, const char *name)
{
	return http_query(source, name);
}

static struct driver *driver_of(const char *gateway)
{
	for (unsigned i = 0; gateway && i < listener.n; i++)
		if (!strcmp(listener.drivers[i]->opt.name, gateway))
			return listener.drivers[i];
	return NULL;
}

void kannel_answer(void *ticket, bool taken)
{
	http_reply(ticket, taken ? 200 : 503, "text/plain", taken ? "ok\n" : "later\n",
		   taken ? 3 : 6);
}

static void on_request(struct http_request *r, void *userdata)
{
	struct driver *d = driver_of(http_query(r, "g"));
	struct driver_receipt receipt;

	(void)userdata;
	if (!d || kannel_parse(get, r, &receipt) < 0) {
		if (log_limited("receipt"))
			log_text(LOG_WARNING, "what came as a receipt is none of ours");
		kannel_answer(r, true);
		return;
	}
	kannel_note_receipt(d, &receipt);
	d->opt.on_receipt(d, &receipt, r, d->opt.userdata);
}

static bool is_key(const char *key)
{
	return key && listener.reply_key[0] && strlen(key) == strlen(listener.reply_key) &&
	       sodium_memcmp(key, listener.reply_key, strlen(key)) == 0;
}

/* A handset's answer, as a sms-service of Kannel brings it: the key in the address, who in a
 * header, the text as the body. */
static void on_answer(struct http_request *r, void *userdata)
{
	const char *from = http_header(r, "X-Kannel-From"), *body;
	struct driver *d = listener.n ? listener.drivers[0] : NULL;
	char text[3 * ANSWER_MAX];
	size_t len;
	int n;

	(void)userdata;
	body = http_body(r, &len);
	n = body ? kannel_text(text, sizeof text, http_header(r, "Content-Type"), body, len)
		 : -EBADMSG;
	if (!d || !from || n < 0 || !is_key(http_query(r, "k"))) {
		if (log_limited("answer"))
			log_text(LOG_WARNING, "what came as a handset's answer is none");
		kannel_answer(r, true);
		return;
	}
	d->opt.on_answer(d, from, text, (size_t)n, r, d->opt.userdata);
	explicit_bzero(text, sizeof text);
}

static int open_at(sd_event *event, const char *address)
{
	static const struct http_route routes[] = {{"GET", "/receipt", 0, on_request},
						   {"POST", "/answer", ANSWER_MAX, on_answer},
						   {0}};
	struct redis_address a;

	/* The same form: an IP address and a port. */
	if (redis_address_parse(&a, address) < 0 || a.path)
		return -EINVAL;
	return httpd_new(&listener.httpd, &(struct httpd_options){
						  .event = event,
						  .address = a.ip,
						  .port = (unsigned)a.port,
						  .connections_max = CONNECTIONS_MAX,
						  .routes = routes,
					  });
}

int kannel_listen(struct driver *d, const char *address, const char *reply_key)
{
	if (listener.n == DRIVERS_MAX)
		return -ENOBUFS;
	if (listener.n == 0) {
		int r = open_at(d->opt.event, address);

		if (r < 0) {
			log_text(LOG_ERR, "listen %s: %s", address, strerror(-r));
			return r;
		}
	}
	snprintf(listener.reply_key, sizeof listener.reply_key, "%s", reply_key);
	listener.drivers[listener.n++] = d;
	return 0;
}

void kannel_unlisten(struct driver *d)
{
	for (unsigned i = 0; i < listener.n; i++) {
		if (listener.drivers[i] != d)
			continue;
		listener.drivers[i] = listener.drivers[--listener.n];
		if (listener.n == 0)
			listener.httpd = httpd_free(listener.httpd);
		return;
	}
}
