/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver `kannel`: a text is a POST to sendsms, its body the text in UTF-8, so that it stands
 * in no URL and no log of a proxy.
 *
 * What lies in Kannel can't be taken back or overtaken, so at most one second's parts of its rate
 * are let in: a text counts until a receipt says that the carrier has it, or has refused it. A
 * receipt that got lost would stop us for ever: so what is older than INSIDE_MS counts no more, and
 * with status_url, what is older than a look that found nothing waiting.
 *
 * Health is what its answers say ("3: Queued": no SMSC is up) and, with status_url, what
 * status.xml does, every STATUS_MS. With store_url, and if something was asked, a look at the store
 * follows: at most one in LOOK_MS, STORE_MAX bytes and GET_MS long. A bearerbox that
 * has no store on disk tells of none of its texts, and one that has just started gets those that a
 * smsbox still had only then: what they do not have counts for nothing.
 */
#include "kannel.h"
#include "credential.h"
#include "http_out.h"
#include "log.h"
#include "sms_config.h"
#include "spool.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	INSIDE_MS = 300000,
	STATUS_MS = 3000,
	GET_MS = 5000,
	LOOK_MS = 10000,
	SETTLE_MS = 20000, /* smsbox connects anew every 10 s */
	STORE_MAX = 32 << 20,
	IN_FLIGHT_MAX = 64,
	SECRET_MAX = 128,
	HEADER_MAX = 640,
	MINUTE_MS = 60000
};

/* A text in Kannel, or on its way there. */
struct inside {
	struct inside *next, *prev;
	struct kannel *k; /* NULL: given up */
	unsigned attempt, parts;
	int64_t since_ms;
	bool is_answered;
	char id[DRIVER_ID_MAX + 1];
};

struct kannel {
	struct driver driver;
	const struct gateway_config *config;
	const struct sms_config *common;
	struct http_out *http;
	struct inside *first, *last; /* oldest first */
	unsigned parts;		     /* of all of them */
	unsigned n_in_flight;
	enum driver_health health;
	sd_event_source *status;
	struct kannel_questions *questions; /* owned */
	struct kannel_store *store;	    /* owned; NULL: no look is under way */
	int64_t look_ms;		    /* when the last began */
	bool is_asking;			    /* status_url */
	int64_t asked_ms;		    /* since when it is, of CLOCK_BOOTTIME */
	char password[SECRET_MAX], status_password[SECRET_MAX];
};

static int64_t boot_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void inside_remove(struct kannel *k, struct inside *x)
{
	*(x->prev ? &x->prev->next : &k->first) = x->next;
	*(x->next ? &x->next->prev : &k->last) = x->prev;
	k->parts -= x->parts;
	free(x);
}

static struct inside *inside_find(struct kannel *k, const char *id, unsigned attempt)
{
	struct inside *x = k->first;

	while (x && (x->attempt != attempt || strcmp(x->id, id) != 0))
		x = x->next;
	return x;
}

/* Those that were answered and are older than that. */
static void forget_old(struct kannel *k, int64_t before_ms)
{
	for (struct inside *x = k->first, *next; x && x->since_ms < before_ms; x = next) {
		next = x->next;
		if (x->is_answered)
			inside_remove(k, x);
	}
}

static void set_health(struct kannel *k, enum driver_health health, const char *why)
{
	if (k->health == health)
		return;
	k->health = health;
	k->driver.opt.on_health(&k->driver, health, why, k->driver.opt.userdata);
}

void kannel_note_receipt(struct driver *d, const struct driver_receipt *receipt)
{
	struct kannel *k = (struct kannel *)d;
	struct inside *x = inside_find(k, receipt->id, receipt->attempt);

	if (receipt->news == DRIVER_NEWS_QUEUED || !x)
		return;
	/* One whose answer is still to come keeps its place, which the answer looks for. */
	k->parts -= x->parts;
	x->parts = 0;
	if (x->is_answered)
		inside_remove(k, x);
	if (receipt->news != DRIVER_NEWS_FAILED)
		set_health(k, DRIVER_UP, "the carrier takes texts");
}

/* ---- submit ---- */

static void on_answer(const struct driver_reply *reply, void *userdata)
{
	struct inside *x = userdata;
	struct kannel *k = x->k;
	struct driver_result result;
	char id[DRIVER_ID_MAX + 1];
	unsigned attempt = x->attempt;

	k->n_in_flight--;
	memcpy(id, x->id, sizeof id);
	kannel_classify(reply, &result);
	x->is_answered = true;
	if (result.outcome == DRIVER_REFUSED || x->parts == 0)
		inside_remove(k, x);
	if (result.outcome == DRIVER_ACCEPTED)
		set_health(k, result.degraded ? DRIVER_DEGRADED : DRIVER_UP,
			   result.degraded ? "no SMSC is up; texts wait in it" : "it takes texts");
	k->driver.opt.on_result(&k->driver, id, attempt, &result, k->driver.opt.userdata);
}

static unsigned limit(const struct kannel *k)
{
	return k->config->rate ? k->config->rate : UINT_MAX;
}

static unsigned room(struct driver *d)
{
	struct kannel *k = (struct kannel *)d;

	forget_old(k, boot_ms() - INSIDE_MS);
	if (k->n_in_flight >= IN_FLIGHT_MAX || k->parts >= limit(k))
		return 0;
	return limit(k) - k->parts;
}

struct headers {
	struct http_out_request *r;
	unsigned n;
	char text[HTTP_OUT_HEADERS_MAX][HEADER_MAX];
};

static void header(struct headers *h, const char *name, const char *value)
{
	snprintf(h->text[h->n], HEADER_MAX, "%s: %s", name, value);
	h->r->headers[h->n] = h->text[h->n];
	h->n++;
}

static int post(struct kannel *k, const struct driver_text *t, struct inside *x)
{
	static struct headers h;
	struct http_out_request r = {
		.url = k->config->url,
		.body = t->text,
		.body_len = t->text_len,
		.timeout_ms = k->config->timeout_ms,
	};
	char dlr[HEADER_MAX - 32], minutes[16], account[SPOOL_NAME_MAX];
	int e = kannel_dlr_url(dlr, sizeof dlr, k->common->receipt_url, k->driver.opt.name, t);

	if (e < 0)
		return e;
	snprintf(minutes, sizeof minutes, "%u", (unsigned)(k->config->validity_ms / MINUTE_MS));
	spool_name(account, t->id, t->attempt);
	h = (struct headers){.r = &r};
	header(&h, "Content-Type", "text/plain; charset=UTF-8");
	header(&h, "X-Kannel-Username", k->config->user);
	header(&h, "X-Kannel-Password", k->password);
	if (k->config->from[0])
		header(&h, "X-Kannel-From", k->config->from);
	header(&h, "X-Kannel-To", t->phone);
	header(&h, "X-Kannel-Coding", "2");
	header(&h, "X-Kannel-DLR-Mask", "31");
	header(&h, "X-Kannel-DLR-URL", dlr);
	header(&h, "X-Kannel-Validity", minutes);
	header(&h, "X-Kannel-Priority", t->urgent ? "3" : "0");
	header(&h, "X-Kannel-Account", account);
	if (k->config->smsc[0])
		header(&h, "X-Kannel-SMSC", k->config->smsc);
	header(&h, "Expect", "");
	h.r->headers[h.n - 1] = "Expect:"; /* libcurl's way to send none */
	e = http_out_send(k->http, &r, on_answer, x);
	explicit_bzero(&h, sizeof h);
	return e;
}

static int submit(struct driver *d, const struct driver_text *text)
{
	struct kannel *k = (struct kannel *)d;
	struct inside *x;
	int e;

	if (k->n_in_flight >= IN_FLIGHT_MAX)
		return -EAGAIN;
	x = calloc(1, sizeof *x);
	if (!x)
		return -ENOMEM;
	x->k = k;
	x->attempt = text->attempt;
	x->parts = text->parts;
	x->since_ms = boot_ms();
	snprintf(x->id, sizeof x->id, "%s", text->id);
	x->prev = k->last;
	*(k->last ? &k->last->next : &k->first) = x;
	k->last = x;
	k->parts += x->parts;
	e = post(k, text, x);
	if (e < 0) {
		inside_remove(k, x);
		return e;
	}
	k->n_in_flight++;
	return 0;
}

/* ---- health, and the store ---- */

/* An answer with the status-password: of status.xml, or of the store. */
static int get(struct kannel *k, const char *at, http_out_piece_fn on_piece, http_out_fn fn)
{
	char url[700];
	struct http_out_request r = {
		.url = url, .timeout_ms = GET_MS, .on_piece = on_piece, .piece_max = STORE_MAX};
	int e;

	snprintf(url, sizeof url, "%s?password=%s", at, k->status_password);
	e = http_out_send(k->http, &r, fn, k);
	explicit_bzero(url, sizeof url);
	return e;
}

static bool on_store_piece(const char *p, size_t n, void *userdata)
{
	struct kannel *k = userdata;

	return kannel_store_feed(k->store, p, n);
}

static void on_store(const struct driver_reply *reply, void *userdata)
{
	struct kannel *k = userdata;
	bool whole = kannel_store_end(k->store) == 0;

	free(k->store);
	k->store = NULL;
	if (reply->transport == -ECANCELED)
		return;
	kannel_questions_answer(k->questions,
				reply->transport == 0 && reply->status == 200 && whole
					? NULL
					: "store_url does not answer as bearerbox does");
}

static void look_at_store(struct kannel *k, const struct kannel_status *s)
{
	if (k->store || !kannel_questions_any(k->questions) || boot_ms() < k->look_ms + LOOK_MS)
		return;
	if (!s->has_store || s->uptime_ms < SETTLE_MS) {
		kannel_questions_answer(k->questions, s->has_store
							      ? "bearerbox has just started"
							      : "bearerbox has no store on disk");
		return;
	}
	k->store = malloc(sizeof *k->store);
	if (!k->store)
		return;
	k->look_ms = boot_ms();
	kannel_questions_look(k->questions);
	kannel_store_begin(k->store, kannel_questions_saw, k->questions);
	if (get(k, k->config->store_url, on_store_piece, on_store) < 0) {
		free(k->store);
		k->store = NULL;
	}
}

static int ask(struct driver *d, const struct driver_question *q)
{
	struct kannel *k = (struct kannel *)d;

	return k->config->store_url[0] ? kannel_questions_add(k->questions, q) : -ENOTSUP;
}

static void on_status(const struct driver_reply *reply, void *userdata)
{
	struct kannel *k = userdata;
	struct kannel_status s;

	k->is_asking = false;
	if (reply->transport == -ECANCELED)
		return;
	if (reply->transport < 0 || reply->status != 200 ||
	    kannel_parse_status(reply->body, &s) < 0) {
		set_health(k, DRIVER_DEGRADED, "status_url does not answer as bearerbox does");
		if (!k->store)
			kannel_questions_answer(k->questions,
						"status_url does not answer as bearerbox does");
		return;
	}
	if (s.uptime_ms >= 0)
		k->driver.opt.on_running(&k->driver, (uint64_t)s.uptime_ms,
					 (uint64_t)(boot_ms() - k->asked_ms),
					 k->driver.opt.userdata);
	if (s.queued == 0)
		forget_old(k, boot_ms() - LOOK_MS);
	if (s.n_online)
		set_health(k, DRIVER_UP, "an SMSC is online");
	else
		set_health(k, DRIVER_DEGRADED, "no SMSC is online");
	look_at_store(k, &s);
}

static int on_status_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct kannel *k = userdata;

	if (!k->is_asking) {
		k->asked_ms = boot_ms();
		k->is_asking = get(k, k->config->status_url, NULL, on_status) == 0;
	}
	(void)sd_event_source_set_time(source, usec + STATUS_MS * 1000);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static enum driver_health health(struct driver *d)
{
	return ((struct kannel *)d)->health;
}

/* ---- the driver ---- */

static int read_secret(char secret[SECRET_MAX], const char *path)
{
	FILE *f;
	int r = credential_open(&f, path);

	if (r == 0 && !fgets(secret, SECRET_MAX, f))
		r = -ENODATA;
	if (r == 0 || r == -ENODATA)
		fclose(f);
	secret[strcspn(secret, "\r\n")] = '\0';
	if (r < 0)
		log_text(LOG_ERR, "%s: %s", path, strerror(-r));
	return r;
}

static struct driver *destroy(struct driver *d)
{
	struct kannel *k = (struct kannel *)d;

	sd_event_source_disable_unref(k->status);
	kannel_unlisten(d);
	k->http = http_out_free(k->http);
	k->questions = kannel_questions_free(k->questions);
	while (k->first)
		inside_remove(k, k->first);
	explicit_bzero(k, sizeof *k);
	free(k);
	return NULL;
}

static int watch_status(struct kannel *k)
{
	uint64_t now = 0;
	int r = read_secret(k->status_password, k->config->status_password_file);

	if (r < 0)
		return r;
	(void)sd_event_now(k->driver.opt.event, CLOCK_BOOTTIME, &now);
	return sd_event_add_time(k->driver.opt.event, &k->status, CLOCK_BOOTTIME, now, 100000,
				 on_status_timer, k);
}

static int create(struct driver **ret, const struct driver_options *opt)
{
	struct kannel *k = calloc(1, sizeof *k);
	char reply_key[SECRET_MAX] = "";
	int r;

	if (!k)
		return -ENOMEM;
	k->driver = (struct driver){.ops = &driver_kannel, .opt = *opt};
	k->config = opt->settings;
	k->common = opt->common;
	k->questions = kannel_questions_new(&k->driver);
	r = k->questions ? read_secret(k->password, k->config->password_file) : -ENOMEM;
	if (r == 0)
		r = http_out_new(&k->http, opt->event);
	if (r == 0 && k->common->reply_key_file[0])
		r = read_secret(reply_key, k->common->reply_key_file);
	if (r == 0)
		r = kannel_listen(&k->driver, k->common->listen, reply_key);
	explicit_bzero(reply_key, sizeof reply_key);
	if (r == 0 && k->config->status_url[0])
		r = watch_status(k);
	if (r < 0) {
		destroy(&k->driver);
		return r;
	}
	*ret = &k->driver;
	return 0;
}

static void receipt_done(struct driver *d, void *ticket, bool taken)
{
	(void)d;
	kannel_answer(ticket, taken);
}

const struct driver_ops driver_kannel = {
	.name = "kannel",
	.create = create,
	.destroy = destroy,
	.submit = submit,
	.room = room,
	.receipt_done = receipt_done,
	.ask = ask,
	.health = health,
	.classify = kannel_classify,
	.parse_receipt = kannel_parse,
};
