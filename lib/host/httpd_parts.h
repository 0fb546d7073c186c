/* SPDX-License-Identifier: Apache-2.0 */
/* What httpd.c and http_stream.c share. */
#ifndef HOST_HTTPD_PARTS_H
#define HOST_HTTPD_PARTS_H

#include "httpd.h"

#include <microhttpd.h>

struct http_connection {
	struct http_connection *next, *prev;
	int fd;
	uint64_t since_ms; /* begun, or last answered; of a stream: last byte taken */
	bool is_waiting;   /* for us, not we for it */
	bool is_shut;	   /* was over time */
	struct http_stream *stream;
};

struct http_request {
	struct http_request *next, *prev;
	struct httpd *httpd;
	struct MHD_Connection *mhd;
	struct http_connection *connection;
	const struct http_route *route;
	char *body; /* owned */
	size_t body_len;
	bool is_handled, is_answered, is_suspended;
	unsigned status;
	struct MHD_Response *response; /* owned until it is queued */
	struct http_stream *stream;    /* its own, while there is one */
};

struct httpd {
	struct MHD_Daemon *mhd;
	sd_event_source *io, *turn, *timer, *sweep;
	const char *const *headers;
	const struct http_route *routes;
	const struct http_file *files;
	void *userdata;
	unsigned request_ms, stall_ms, port;
	bool check_host, is_closing;
	struct http_connection *connections;
	struct http_request *requests;
	struct httpd_counters counters;
};

uint64_t httpd_now_ms(void);
/* MHD_run() at the next turn of the loop. */
void httpd_turn(struct httpd *h);
void httpd_add_headers(const struct httpd *h, struct MHD_Response *response);
/* After r->is_answered was set. */
void httpd_answered(struct http_request *r);

/* http_stream.c: the request is over, and perhaps its connection; closed() follows. */
void http_stream_detach(struct http_stream *s);

#endif
