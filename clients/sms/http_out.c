/* SPDX-License-Identifier: Apache-2.0 */
#include "http_out.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_MS = 5000 };

struct exchange {
	struct http_out *h;
	struct exchange *next, *prev;
	CURL *easy;
	struct curl_slist *headers;
	char *sent; /* owned: the body */
	size_t sent_len;
	char *body; /* owned: of the answer */
	size_t len;
	http_out_fn fn;
	http_out_piece_fn on_piece;
	size_t piece_max;
	void *userdata;
};

struct http_out {
	sd_event *event;
	CURLM *multi;
	sd_event_source *timer;
	struct exchange *first;
	unsigned n;
	bool is_inside; /* libcurl calls us: nothing is answered then */
};

static void collect(struct http_out *h);

static void act(struct http_out *h, curl_socket_t fd, int what)
{
	int running;

	h->is_inside = true;
	(void)curl_multi_socket_action(h->multi, fd, what, &running);
	h->is_inside = false;
	collect(h);
}

static int on_io(sd_event_source *s, int fd, uint32_t events, void *userdata)
{
	(void)s;
	act(userdata, fd,
	    (events & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
		    (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
		    (events & EPOLLERR ? CURL_CSELECT_ERR : 0));
	return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	(void)s, (void)usec;
	act(userdata, CURL_SOCKET_TIMEOUT, 0);
	return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *of_socket)
{
	struct http_out *h = userdata;
	sd_event_source *s = of_socket;
	uint32_t events =
		(what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		sd_event_source_disable_unref(s);
		(void)curl_multi_assign(h->multi, fd, NULL);
		return 0;
	}
	if (s)
		return sd_event_source_set_io_events(s, events) < 0 ? -1 : 0;
	if (sd_event_add_io(h->event, &s, fd, events, on_io, h) < 0)
		return -1;
	(void)curl_multi_assign(h->multi, fd, s);
	return 0;
}

static int on_timeout(CURLM *multi, long ms, void *userdata)
{
	struct http_out *h = userdata;
	uint64_t now = 0;

	(void)multi;
	if (ms < 0)
		return sd_event_source_set_enabled(h->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
	(void)sd_event_now(h->event, CLOCK_BOOTTIME, &now);
	(void)sd_event_source_set_time(h->timer, now + (uint64_t)ms * 1000);
	return sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT) < 0 ? -1 : 0;
}

static size_t on_body(char *p, size_t size, size_t n, void *userdata)
{
	struct exchange *x = userdata;
	char *body;

	n *= size;
	if (x->on_piece) {
		x->len += n;
		return x->len <= x->piece_max && x->on_piece(p, n, x->userdata) ? n : 0;
	}
	if (x->len + n > HTTP_OUT_BODY_MAX)
		return 0; /* ends it: no gateway of ours says so much */
	body = realloc(x->body, x->len + n + 1);
	if (!body)
		return 0;
	memcpy(body + x->len, p, n);
	x->body = body;
	x->len += n;
	body[x->len] = '\0';
	return n;
}

static void exchange_free(struct exchange *x)
{
	struct http_out *h = x->h;

	*(x->prev ? &x->prev->next : &h->first) = x->next;
	if (x->next)
		x->next->prev = x->prev;
	h->n--;
	if (x->easy) {
		(void)curl_multi_remove_handle(h->multi, x->easy);
		curl_easy_cleanup(x->easy);
	}
	curl_slist_free_all(x->headers);
	if (x->sent)
		explicit_bzero(x->sent, x->sent_len);
	free(x->sent);
	free(x->body);
	free(x);
}

static void answer(struct exchange *x, int transport)
{
	struct driver_reply r = {.transport = transport};
	http_out_fn fn = x->fn;
	void *userdata = x->userdata;
	long status = 0, written = 0;
	char *body;

	(void)curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(x->easy, CURLINFO_REQUEST_SIZE, &written);
	r.written = written > 0;
	r.status = (int)status;
	body = x->body;
	r.body = body ? body : "";
	r.len = body ? x->len : 0;
	x->body = NULL;
	exchange_free(x);
	fn(&r, userdata);
	free(body);
}

static int error_of(CURLcode e)
{
	switch (e) {
	case CURLE_OK:
		return 0;
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		return -ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_PARTIAL_FILE:
		return -ECONNRESET;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	default:
		return -EBADMSG;
	}
}

static void collect(struct http_out *h)
{
	CURLMsg *m;
	int left;

	while (!h->is_inside && (m = curl_multi_info_read(h->multi, &left))) {
		struct exchange *x;
		CURLcode e = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&x);
		answer(x, error_of(e));
	}
}

int http_out_new(struct http_out **ret, sd_event *event)
{
	struct http_out *h = calloc(1, sizeof *h);
	int r = -ENOMEM;

	if (!h)
		return -ENOMEM;
	h->event = event;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
		h->multi = curl_multi_init();
	if (h->multi)
		r = sd_event_add_time(event, &h->timer, CLOCK_BOOTTIME, 0, 1000, on_timer, h);
	if (r >= 0)
		r = sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
	if (r < 0) {
		http_out_free(h);
		return r;
	}
	(void)curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	(void)curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	(void)curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
	(void)curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	*ret = h;
	return 0;
}

struct http_out *http_out_free(struct http_out *h)
{
	if (!h)
		return NULL;
	while (h->first)
		answer(h->first, -ECANCELED);
	if (h->multi)
		(void)curl_multi_cleanup(h->multi);
	sd_event_source_disable_unref(h->timer);
	free(h);
	return NULL;
}

unsigned http_out_open(const struct http_out *h)
{
	return h->n;
}

static int set_up(struct exchange *x, const struct http_out_request *r)
{
	CURL *e = x->easy;

	for (const char *const *p = r->headers; *p; p++) {
		struct curl_slist *l = curl_slist_append(x->headers, *p);

		if (!l)
			return -ENOMEM;
		x->headers = l;
	}
	if (r->body) {
		x->sent = malloc(r->body_len + 1);
		if (!x->sent)
			return -ENOMEM;
		memcpy(x->sent, r->body, r->body_len);
		x->sent_len = r->body_len;
		(void)curl_easy_setopt(e, CURLOPT_POST, 1L);
		(void)curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len);
		(void)curl_easy_setopt(e, CURLOPT_POSTFIELDS, x->sent);
	}
	(void)curl_easy_setopt(e, CURLOPT_HTTPHEADER, x->headers);
	(void)curl_easy_setopt(e, CURLOPT_PRIVATE, x);
	(void)curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(e, CURLOPT_WRITEDATA, x);
	(void)curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(e, CURLOPT_NOPROXY, "*");
	(void)curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
	(void)curl_easy_setopt(e, CURLOPT_FORBID_REUSE, 1L);
	(void)curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	(void)curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
	return curl_easy_setopt(e, CURLOPT_URL, r->url) == CURLE_OK ? 0 : -EINVAL;
}

int http_out_send(struct http_out *h, const struct http_out_request *r, http_out_fn fn,
		  void *userdata)
{
	struct exchange *x = calloc(1, sizeof *x);
	int e;

	if (!x)
		return -ENOMEM;
	x->h = h;
	x->fn = fn;
	x->on_piece = r->on_piece;
	x->piece_max = r->piece_max;
	x->userdata = userdata;
	x->easy = curl_easy_init();
	x->next = h->first;
	if (x->next)
		x->next->prev = x;
	h->first = x;
	h->n++;
	e = x->easy ? set_up(x, r) : -ENOMEM;
	if (e == 0 && curl_multi_add_handle(h->multi, x->easy) != CURLM_OK)
		e = -ENOMEM;
	if (e < 0)
		exchange_free(x);
	return e;
}
