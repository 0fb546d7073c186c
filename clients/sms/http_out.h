/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP requests from the loop: libcurl's multi interface on sd-event. A request is answered exactly
 * once, by fn, never from within http_out_send().
 *
 * Each has a connection of its own. libcurl sends a request again by itself when a kept connection
 * is closed before the first byte of the answer (Curl_retry_request(), POST not excepted): a text
 * would go twice without a word, if the gateway died between taking and answering it.
 */
#ifndef SMS_HTTP_OUT_H
#define SMS_HTTP_OUT_H

#include "driver.h"

struct http_out;

enum { HTTP_OUT_BODY_MAX = 65536, HTTP_OUT_HEADERS_MAX = 16 };

typedef void (*http_out_fn)(const struct driver_reply *reply, void *userdata);
/* A piece of an answer's body, as it comes; nothing may be sent from within. False ends the
 * exchange, as garbage. */
typedef bool (*http_out_piece_fn)(const char *p, size_t n, void *userdata);

struct http_out_request {
	const char *url;
	const char *headers[HTTP_OUT_HEADERS_MAX + 1]; /* "Name: value"; NULL-terminated */
	const char *body;			       /* NULL: GET, else POST */
	size_t body_len;
	unsigned timeout_ms;
	/* Not NULL: the body goes there, up to piece_max bytes of it, and fn's reply has none. */
	http_out_piece_fn on_piece;
	size_t piece_max;
};

int http_out_new(struct http_out **ret, sd_event *event);
/* What is under way is answered with -ECANCELED, `written` as it is. Returns NULL. */
struct http_out *http_out_free(struct http_out *h);
/* All is copied. 0, -ENOMEM, -EINVAL. */
int http_out_send(struct http_out *h, const struct http_out_request *r, http_out_fn fn,
		  void *userdata);
unsigned http_out_open(const struct http_out *h);

#endif
