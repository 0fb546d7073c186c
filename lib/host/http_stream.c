/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers without end. libmicrohttpd asks for bytes when the socket takes some; when there are none
 * the connection is suspended, for a reader that returns 0 unsuspended is asked again at once, for
 * ever. A write resumes it.
 */
#include "httpd_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 16 * 1024 };

struct http_piece {
	char *bytes; /* owned */
	size_t len;
	unsigned n_refs;
};

struct link {
	struct link *next;
	struct http_piece *piece; /* a reference */
};

struct http_stream {
	struct httpd *httpd;
	struct http_request *request; /* NULL: it is over */
	struct link *first, **last;
	size_t at;	/* of the first piece: sent up to here */
	size_t waiting; /* bytes behind the first piece */
	size_t buffer_max;
	bool is_suspended, is_ending;
	void (*closed)(struct http_stream *s, void *userdata);
	void *userdata;
};

/* ---- pieces ---- */

struct http_piece *http_piece_new(void *bytes_take, size_t len)
{
	struct http_piece *p = malloc(sizeof *p);

	if (!p) {
		free(bytes_take);
		return NULL;
	}
	*p = (struct http_piece){.bytes = bytes_take, .len = len, .n_refs = 1};
	return p;
}

struct http_piece *http_piece_ref(struct http_piece *p)
{
	p->n_refs++;
	return p;
}

struct http_piece *http_piece_unref(struct http_piece *p)
{
	if (p && --p->n_refs == 0) {
		free(p->bytes);
		free(p);
	}
	return NULL;
}

/* ---- libmicrohttpd's side ---- */

static void drop_first(struct http_stream *s)
{
	struct link *l = s->first;

	s->first = l->next;
	if (!s->first)
		s->last = &s->first;
	else
		s->waiting -= s->first->piece->len;
	s->at = 0;
	http_piece_unref(l->piece);
	free(l);
}

static ssize_t on_read(void *userdata, uint64_t pos, char *buf, size_t max)
{
	struct http_stream *s = userdata;
	size_t n = 0;

	(void)pos;
	/* It asks again only when what it had before is with the kernel. */
	s->request->connection->since_ms = httpd_now_ms();
	while (s->first && n < max) {
		size_t left = s->first->piece->len - s->at, take = left < max - n ? left : max - n;

		memcpy(buf + n, s->first->piece->bytes + s->at, take);
		n += take;
		s->at += take;
		if (s->at == s->first->piece->len)
			drop_first(s);
	}
	if (n)
		return (ssize_t)n;
	if (s->is_ending)
		return MHD_CONTENT_READER_END_OF_STREAM;
	s->is_suspended = true;
	s->request->connection->is_waiting = true;
	MHD_suspend_connection(s->request->mhd);
	return 0;
}

/* Whether libmicrohttpd lets go of the request or of the response first is its own affair. */
void http_stream_detach(struct http_stream *s)
{
	s->is_ending = true;
	s->is_suspended = false;
	s->request->connection->stream = NULL;
	s->request->connection->is_waiting = false;
	s->request->stream = NULL;
	s->request = NULL;
}

static void on_free(void *userdata)
{
	struct http_stream *s = userdata;

	s->closed(s, s->userdata);
	if (s->request)
		http_stream_detach(s);
	s->httpd->counters.n_streams--;
	while (s->first)
		drop_first(s);
	free(s);
}

/* ---- ours ---- */

struct http_stream *http_stream_begin(struct http_request *r, const char *type, size_t buffer_max,
				      void (*closed)(struct http_stream *s, void *userdata),
				      void *userdata)
{
	struct http_stream *s = calloc(1, sizeof *s);

	if (s)
		r->response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES,
								on_read, s, on_free);
	if (!s || !r->response) {
		free(s);
		http_reply(r, MHD_HTTP_SERVICE_UNAVAILABLE, NULL, "", 0);
		return NULL;
	}
	*s = (struct http_stream){
		.httpd = r->httpd,
		.request = r,
		.last = &s->first,
		.buffer_max = buffer_max,
		.closed = closed,
		.userdata = userdata,
	};
	httpd_add_headers(r->httpd, r->response);
	MHD_add_response_header(r->response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(r->response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	r->status = MHD_HTTP_OK;
	r->stream = s;
	r->connection->stream = s;
	r->is_answered = true;
	r->httpd->counters.n_streams++;
	httpd_answered(r);
	return s;
}

static void resume(struct http_stream *s)
{
	if (!s->is_suspended)
		return;
	s->is_suspended = false;
	s->request->connection->is_waiting = false;
	s->request->connection->since_ms = httpd_now_ms();
	MHD_resume_connection(s->request->mhd);
	httpd_turn(s->httpd);
}

int http_stream_write(struct http_stream *s, struct http_piece *p)
{
	struct link *l;
	int r = 0;

	if (s->is_ending)
		return -EPIPE;
	if (!p->len)
		return 0;
	l = malloc(sizeof *l);
	if (!l)
		r = -ENOMEM;
	else if (s->first && s->waiting > s->buffer_max)
		r = -ENOBUFS;
	if (r < 0) {
		free(l);
		http_stream_end(s);
		return r;
	}
	*l = (struct link){.piece = http_piece_ref(p)};
	if (s->first)
		s->waiting += p->len;
	*s->last = l;
	s->last = &l->next;
	resume(s);
	return 0;
}

void http_stream_end(struct http_stream *s)
{
	s->is_ending = true;
	resume(s);
}
