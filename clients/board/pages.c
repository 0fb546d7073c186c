/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the board answers on loopback: the page's files, its stream of events, its reports, the
 * status. No answer lets the browser ask anybody else (Content-Security-Policy).
 */
#include "board_parts.h"
#include "webfiles.h"

#include "log.h"

#include <errno.h>
#include <string.h>

enum { ALIVE_BODY_MAX = 128 * 1024, CONNECTIONS_MAX = 24 };

static void get_events(struct http_request *r, void *userdata)
{
	struct board *b = userdata;

	feed_attach(b->feed, r);
}

static void post_alive(struct http_request *r, void *userdata)
{
	struct board *b = userdata;

	watch_alive(b->watch, r);
}

static const char *area_word(enum item_area a)
{
	static const char *const words[] = {"none", "own", "district", "bureau"};

	return words[a];
}

/* Counts and states alone: this may be read by whoever is on this machine. */
static void get_status(struct http_request *r, void *userdata)
{
	struct board *b = userdata;
	struct wall_counts c = wall_counts(b->wall);
	struct watch_state w = watch_state(b->watch);
	struct httpd_counters h = httpd_counters(b->httpd);
	int64_t now = board_now_ms(b);
	struct jsonbuf j = {0};

	jsonbuf_open(&j, '{');
	jsonbuf_key_text(&j, "version", DIBAO_VERSION);
	jsonbuf_key_text(&j, "org", b->rules.own);
	jsonbuf_key_text(&j, "link", board_link(b));
	jsonbuf_key_bool(&j, "current", b->source ? source_is_current(b->source) : true);
	jsonbuf_key_text(&j, "area", area_word(b->source ? source_area(b->source) : AREA_BUREAU));
	jsonbuf_key_text(&j, "refusal", b->source ? source_refusal(b->source) : "");
	jsonbuf_key_bool(&j, "trusted", b->trust.is_trusted);
	jsonbuf_key_int(&j, "now_ms", now);
	jsonbuf_key_int(&j, "heard_ms", b->trust.heard_ms);
	jsonbuf_key_int(&j, "heartbeat_ms", b->trust.heartbeat_ms);
	jsonbuf_key_bool(&j, "standing", b->is_standing);
	jsonbuf_key_int(&j, "held", c.n_held);
	jsonbuf_key_int(&j, "shown", c.n_shown);
	jsonbuf_key_int(&j, "let_go", (int64_t)c.n_let_go);
	jsonbuf_key_int(&j, "unreadable", (int64_t)b->n_bad);
	jsonbuf_key_int(&j, "other_types", (int64_t)b->n_other);
	jsonbuf_key_int(&j, "receipts_confirmed", (int64_t)b->n_confirmed);
	jsonbuf_key_int(&j, "receipts_refused", (int64_t)b->n_receipts_refused);
	jsonbuf_key_int(&j, "receipts_waiting", b->n_receipts);
	jsonbuf_key_text(&j, "cache", cache_state(b->cache));
	jsonbuf_key_int(&j, "streams", h.n_streams);
	jsonbuf_key_int(&j, "http_refused", (int64_t)h.n_refused);
	jsonbuf_key_bool(&j, "page_silent", w.is_silent);
	jsonbuf_key_int(&j, "page_ago_ms", w.ago_ms);
	jsonbuf_key_bool(&j, "page_visible", w.is_visible);
	jsonbuf_key_int(&j, "page", w.page);
	jsonbuf_key_int(&j, "pages", w.pages);
	jsonbuf_key_int(&j, "kiosk_restarts", w.n_restarts);
	jsonbuf_close(&j, '}');
	if (j.failed)
		http_reply(r, 503, NULL, "", 0);
	else
		http_reply(r, 200, "application/json", j.p, j.n);
	jsonbuf_done(&j);
}

static const struct http_route routes[] = {
	{"GET", "/events", 0, get_events},
	{"POST", "/alive", ALIVE_BODY_MAX, post_alive},
	{"GET", "/status", 0, get_status},
	{NULL, NULL, 0, NULL},
};

static const char *const headers[] = {
	"Content-Security-Policy",
	"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
	"img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	"X-Content-Type-Options",
	"nosniff",
	"Referrer-Policy",
	"no-referrer",
	"Cross-Origin-Resource-Policy",
	"same-origin",
	NULL,
};

int pages_start(struct board *b)
{
	struct httpd_options h = {
		.event = b->event,
		.address = b->config->address,
		.port = b->config->port,
		.connections_max = CONNECTIONS_MAX,
		.headers = headers,
		.routes = routes,
		.files = board_files,
		.userdata = b,
	};
	int r = httpd_new(&b->httpd, &h);

	if (r == -EACCES || r == -EINVAL)
		log_text(LOG_ERR, "address: %s is not of this machine's loopback",
			 b->config->address);
	else if (r < 0)
		log_text(LOG_ERR, "cannot listen on %s port %u: %s", b->config->address,
			 b->config->port, strerror(-r));
	return r;
}
