/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP server in the program's own loop: libmicrohttpd on sd-event, no thread. It has a
 * table of routes, files that lie in the program, answers that come later, and streams that stay
 * open (Server-Sent Events).
 *
 * Only loopback addresses are listened on unless the caller says otherwise, and there a request
 * whose Host is another name is refused (421): a page of some other site, brought here by a name
 * that it makes point to loopback, gets nothing.
 *
 * Bounds, and what happens at them:
 *   connections      further ones wait in the kernel until one ends
 *   headers          16 KiB: 431 or the connection is closed
 *   body             the route's body_max: 413; sent in chunks without a length, closed
 *   time             a request that has not arrived whole within request_ms, and a connection idle
 *                    so long: closed. A stream that takes nothing for stall_ms: closed
 *   a stream's queue what waits behind the piece being sent: over buffer_max the next one ends the
 *                    stream. One piece of any size may always join less
 *
 * A peer that went away while its stream had nothing to say is noticed at a write only
 * (libmicrohttpd 0.9.75, measured: at the second one): who keeps streams must write to them now and
 * then.
 */
#ifndef HOST_HTTPD_H
#define HOST_HTTPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct httpd;
struct http_request;
struct http_stream;

struct http_route {
	const char *method, *path; /* compared whole: "POST", "/alive" */
	size_t body_max;	   /* bytes; 0: no body */
	/* Must http_reply() or http_stream_begin(), now or later. */
	void (*handle)(struct http_request *r, void *userdata);
};

/* GET and HEAD, with ETag and 304. */
struct http_file {
	const char *path, *type; /* "/board.js", "text/javascript; charset=utf-8" */
	const unsigned char *bytes;
	size_t len;
	const char *etag; /* with its quotes */
};

struct httpd_options {
	sd_event *event;
	const char *address;		 /* of IPv4 or IPv6, no name */
	unsigned port;			 /* 0: any free one, see httpd_port() */
	bool beyond_loopback;		 /* other addresses too; no check of Host */
	unsigned connections_max;	 /* 0: 32 */
	unsigned request_ms;		 /* 0: 10000 */
	unsigned stall_ms;		 /* 0: 30000 */
	const char *const *headers;	 /* name, value, ..., NULL: of every answer; may be NULL */
	const struct http_route *routes; /* ends with path NULL; these are borrowed */
	const struct http_file *files;	 /* the same; may be NULL */
	void *userdata;
};

struct httpd_counters {
	uint64_t n_requests, n_refused; /* refused: by what stands at the head of this file */
	unsigned n_connections, n_streams;
};

/* -EINVAL no such address; -EACCES not loopback; -EADDRINUSE and what else socket(2), bind(2) say.
 */
int httpd_new(struct httpd **ret, const struct httpd_options *opt);
/* Ends all streams and answers 503 to who waits. Returns NULL. */
struct httpd *httpd_free(struct httpd *h);
unsigned httpd_port(const struct httpd *h);
struct httpd_counters httpd_counters(const struct httpd *h);

/* ---- a request: valid until it is answered ---- */

/* Percent-decoded, cut at a NUL. NULL: not given. */
const char *http_query(const struct http_request *r, const char *name);
const char *http_header(const struct http_request *r, const char *name);
/* NUL-terminated behind its length. */
const char *http_body(const struct http_request *r, size_t *ret_len);

/* Answers, once; in the handler or later, for instance when it is on disk. The bytes are copied;
 * type may be NULL when there are none. Never cached by who asked. Without memory the connection is
 * closed. */
void http_reply(struct http_request *r, unsigned status, const char *type, const void *bytes,
		size_t len);

/* ---- pieces: bytes that many streams may send ---- */

struct http_piece;
/* Of malloc()ed bytes, taken also when there is no memory (NULL then). */
struct http_piece *http_piece_new(void *bytes_take, size_t len);
struct http_piece *http_piece_ref(struct http_piece *p);
struct http_piece *http_piece_unref(struct http_piece *p); /* returns NULL */

/* ---- streams: an answer without end, valid until closed() ---- */

/* The request is answered by it (200). NULL: no memory, and the request is answered 503. closed()
 * is called once when it is over, whoever ended it, never from within these functions. */
struct http_stream *http_stream_begin(struct http_request *r, const char *type, size_t buffer_max,
				      void (*closed)(struct http_stream *s, void *userdata),
				      void *userdata);
/* A reference of its own is taken. -ENOBUFS over the bound, or -ENOMEM: it ends by itself now;
 * -EPIPE it was ending. */
int http_stream_write(struct http_stream *s, struct http_piece *p);
/* What waits is still sent, nothing else. */
void http_stream_end(struct http_stream *s);

#endif
