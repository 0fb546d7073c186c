/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server: its socket, the loop, routes, requests. Streams are http_stream.c's.
 *
 * libmicrohttpd without a thread of its own: its epoll descriptor is a source of the loop, and
 * MHD_get_timeout() bounds the sleep; 0 there means that something is ready that no descriptor
 * tells of (a connection resumed, input read but not worked off). A resumed connection moves at the
 * next MHD_run() only, so each resumption raises `turn`.
 *
 * Times are kept here, not by libmicrohttpd, whose one time limit counts from the last byte: who
 * sends one every nine seconds would stay for good. A connection that is over time is shut down at
 * its descriptor, and libmicrohttpd finds it closed.
 */
#include "httpd_parts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum {
	CONNECTIONS_DEFAULT = 32,
	REQUEST_MS_DEFAULT = 10000,
	STALL_MS_DEFAULT = 30000,
	CONNECTION_BYTES = 16 * 1024,
	BACKLOG_MIN = 64,
	SWEEP_USEC = 500000,
};

uint64_t httpd_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* ---- the loop ---- */

static void run(struct httpd *h)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;

	MHD_run(h->mhd);
	if (MHD_get_timeout(h->mhd, &wait_ms) != MHD_YES) {
		sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
	} else if (wait_ms == 0) {
		httpd_turn(h);
	} else {
		sd_event_source_set_time_relative(h->timer, wait_ms * 1000);
		sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT);
	}
}

void httpd_turn(struct httpd *h)
{
	sd_event_source_set_enabled(h->turn, SD_EVENT_ONESHOT);
}

static int on_turn(sd_event_source *src, void *userdata)
{
	(void)src;
	run(userdata);
	return 0;
}

static int on_io(sd_event_source *src, int fd, uint32_t events, void *userdata)
{
	(void)src;
	(void)fd;
	(void)events;
	run(userdata);
	return 0;
}

static int on_timer(sd_event_source *src, uint64_t usec, void *userdata)
{
	(void)src;
	(void)usec;
	run(userdata);
	return 0;
}

static void sweep_later(struct httpd *h)
{
	sd_event_source_set_time_relative(h->sweep, SWEEP_USEC);
	sd_event_source_set_enabled(h->sweep, SD_EVENT_ONESHOT);
}

static int on_sweep(sd_event_source *src, uint64_t usec, void *userdata)
{
	struct httpd *h = userdata;
	uint64_t now = httpd_now_ms();

	(void)src;
	(void)usec;
	for (struct http_connection *c = h->connections; c; c = c->next) {
		if (c->is_waiting || c->is_shut ||
		    now - c->since_ms <= (c->stream ? h->stall_ms : h->request_ms))
			continue;
		c->is_shut = true;
		h->counters.n_refused++;
		shutdown(c->fd, SHUT_RDWR);
	}
	if (h->connections)
		sweep_later(h);
	return 0;
}

/* ---- connections ---- */

static void on_connection(void *userdata, struct MHD_Connection *mhd, void **context,
			  enum MHD_ConnectionNotificationCode what)
{
	struct httpd *h = userdata;
	struct http_connection *c = *context;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *i =
			MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);

		c = calloc(1, sizeof *c);
		if (!c)
			return; /* its first request is then refused */
		c->fd = i->connect_fd;
		c->since_ms = httpd_now_ms();
		c->next = h->connections;
		if (c->next)
			c->next->prev = c;
		else
			sweep_later(h);
		h->connections = c;
		h->counters.n_connections++;
		*context = c;
	} else if (c) {
		if (c->prev)
			c->prev->next = c->next;
		else
			h->connections = c->next;
		if (c->next)
			c->next->prev = c->prev;
		h->counters.n_connections--;
		free(c);
		/* At its limit libmicrohttpd listens again in the run after the one that closed. */
		if (!h->is_closing)
			httpd_turn(h);
		*context = NULL;
	}
}

static struct http_connection *connection_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *i =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return i ? i->socket_context : NULL;
}

/* ---- answers ---- */

void httpd_add_headers(const struct httpd *h, struct MHD_Response *response)
{
	for (const char *const *p = h->headers; p && *p; p += 2)
		MHD_add_response_header(response, p[0], p[1]);
}

static enum MHD_Result queue(struct MHD_Connection *mhd, unsigned status,
			     struct MHD_Response *response)
{
	enum MHD_Result r = MHD_queue_response(mhd, status, response);

	MHD_destroy_response(response);
	return r;
}

/* What is said without having asked a handler. */
static enum MHD_Result refuse(struct httpd *h, struct MHD_Connection *mhd, unsigned status,
			      const char *allow)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);

	h->counters.n_refused++;
	if (!response)
		return MHD_NO;
	httpd_add_headers(h, response);
	if (allow)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allow);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	return queue(mhd, status, response);
}

static enum MHD_Result send_file(struct httpd *h, struct MHD_Connection *mhd,
				 const struct http_file *f)
{
	const char *have =
		MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_IF_NONE_MATCH);
	bool same = have && !strcmp(have, f->etag);
	struct MHD_Response *response = MHD_create_response_from_buffer(
		same ? 0 : f->len, (void *)(uintptr_t)f->bytes, MHD_RESPMEM_PERSISTENT);

	if (!response)
		return MHD_NO;
	httpd_add_headers(h, response);
	MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, f->etag);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
	if (!same)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, f->type);
	return queue(mhd, same ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, response);
}

void http_reply(struct http_request *r, unsigned status, const char *type, const void *bytes,
		size_t len)
{
	r->response = MHD_create_response_from_buffer(len, (void *)(uintptr_t)bytes,
						      MHD_RESPMEM_MUST_COPY);
	r->status = status;
	r->is_answered = true;
	if (r->response) {
		httpd_add_headers(r->httpd, r->response);
		MHD_add_response_header(r->response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
		if (type)
			MHD_add_response_header(r->response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	}
	httpd_answered(r);
}

void httpd_answered(struct http_request *r)
{
	if (!r->is_suspended)
		return;
	r->is_suspended = false;
	MHD_resume_connection(r->mhd);
	httpd_turn(r->httpd);
}

/* ---- requests ---- */

const char *http_query(const struct http_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->mhd, MHD_GET_ARGUMENT_KIND, name);
}

const char *http_header(const struct http_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->mhd, MHD_HEADER_KIND, name);
}

const char *http_body(const struct http_request *r, size_t *ret_len)
{
	*ret_len = r->body_len;
	return r->body ? r->body : "";
}

/* "name", "name:port", "[address]:port": is the name one of this machine's own? */
static bool host_is_ours(const char *host)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		size_t n = strlen(names[i]);

		if (!strncasecmp(host, names[i], n) && (!host[n] || host[n] == ':'))
			return true;
	}
	/* Others of 127.0.0.0/8 are asked for by number, which no name server can give away. */
	return !strncmp(host, "127.", 4) && strspn(host, "0123456789.:") == strlen(host);
}

/* The route, or what to refuse with. */
static const struct http_route *find(const struct httpd *h, const char *method, const char *path,
				     unsigned *ret_status, const char **ret_allow)
{
	const struct http_route *same_path = NULL;

	for (const struct http_route *r = h->routes; r->path; r++) {
		if (strcmp(r->path, path) != 0)
			continue;
		if (!strcmp(r->method, method))
			return r;
		same_path = r;
	}
	*ret_status = same_path ? MHD_HTTP_METHOD_NOT_ALLOWED : MHD_HTTP_NOT_FOUND;
	*ret_allow = same_path ? same_path->method : NULL;
	return NULL;
}

static const struct http_file *find_file(const struct httpd *h, const char *path)
{
	for (const struct http_file *f = h->files; f && f->path; f++)
		if (!strcmp(f->path, path))
			return f;
	return NULL;
}

static bool is_too_long(struct MHD_Connection *mhd, size_t most)
{
	const char *text =
		MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
	unsigned long long len;

	/* libmicrohttpd refuses one that is not a number. */
	return text && sscanf(text, "%llu", &len) == 1 && len > most;
}

/* The head is there: refuse it, answer with a file, or take up a request. */
static enum MHD_Result begin(struct httpd *h, struct MHD_Connection *mhd, const char *path,
			     const char *method, void **ret)
{
	const char *host = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
	struct http_connection *c = connection_of(mhd);
	const struct http_file *file;
	const struct http_route *route;
	struct http_request *r;
	const char *allow = NULL;
	unsigned status = 0;

	h->counters.n_requests++;
	if (!c)
		return MHD_NO;
	if (h->is_closing)
		return refuse(h, mhd, MHD_HTTP_SERVICE_UNAVAILABLE, NULL);
	if (h->check_host && (!host || !host_is_ours(host)))
		return refuse(h, mhd, MHD_HTTP_MISDIRECTED_REQUEST, NULL);
	file = find_file(h, path);
	if (file && (!strcmp(method, "GET") || !strcmp(method, "HEAD")))
		return send_file(h, mhd, file);
	if (file)
		return refuse(h, mhd, MHD_HTTP_METHOD_NOT_ALLOWED, "GET, HEAD");
	route = find(h, method, path, &status, &allow);
	if (!route)
		return refuse(h, mhd, status, allow);
	if (is_too_long(mhd, route->body_max))
		return refuse(h, mhd, MHD_HTTP_CONTENT_TOO_LARGE, NULL);
	r = calloc(1, sizeof *r);
	if (!r)
		return MHD_NO;
	*r = (struct http_request){.httpd = h, .mhd = mhd, .connection = c, .route = route};
	r->next = h->requests;
	if (r->next)
		r->next->prev = r;
	h->requests = r;
	*ret = r;
	return MHD_YES;
}

static enum MHD_Result take_body(struct http_request *r, const char *bytes, size_t *len)
{
	char *body;

	if (*len > r->route->body_max - r->body_len) {
		r->httpd->counters.n_refused++;
		return MHD_NO;
	}
	body = realloc(r->body, r->body_len + *len + 1);
	if (!body)
		return MHD_NO;
	memcpy(body + r->body_len, bytes, *len);
	r->body = body;
	r->body_len += *len;
	body[r->body_len] = '\0';
	*len = 0;
	return MHD_YES;
}

/* libmicrohttpd's handler: for the head, for each piece of the body, at its end, and again after a
 * suspended request was resumed. */
static enum MHD_Result on_request(void *userdata, struct MHD_Connection *mhd, const char *path,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_len, void **context)
{
	struct http_request *r = *context;
	struct MHD_Response *response;

	(void)version;
	if (!r)
		return begin(userdata, mhd, path, method, context);
	if (*upload_len)
		return take_body(r, upload, upload_len);
	if (!r->is_handled) {
		r->is_handled = true;
		if (r->httpd->is_closing)
			http_reply(r, MHD_HTTP_SERVICE_UNAVAILABLE, NULL, "", 0);
		else
			r->route->handle(r, r->httpd->userdata);
	}
	if (!r->is_answered) {
		r->is_suspended = true;
		r->connection->is_waiting = true;
		MHD_suspend_connection(mhd);
		return MHD_YES;
	}
	r->connection->is_waiting = false;
	r->connection->since_ms = httpd_now_ms();
	response = r->response;
	r->response = NULL;
	return response ? queue(mhd, r->status, response) : MHD_NO;
}

/* The answer was sent, or the connection is over. */
static void on_completed(void *userdata, struct MHD_Connection *mhd, void **context,
			 enum MHD_RequestTerminationCode why)
{
	struct http_request *r = *context;
	struct http_connection *c = connection_of(mhd);

	(void)why;
	(void)userdata;
	if (c)
		c->since_ms = httpd_now_ms();
	if (!r)
		return;
	if (r->prev)
		r->prev->next = r->next;
	else
		r->httpd->requests = r->next;
	if (r->next)
		r->next->prev = r->prev;
	if (r->stream)
		http_stream_detach(r->stream);
	if (r->response)
		MHD_destroy_response(r->response);
	free(r->body);
	free(r);
	*context = NULL;
}

/* ---- life ---- */

static void be_silent(void *userdata, const char *fmt, va_list ap)
{
	/* Its lines tell of clients that went away, and would quote what they sent. */
	(void)userdata;
	(void)fmt;
	(void)ap;
}

static int parse_address(const struct httpd_options *opt, struct sockaddr_storage *ret,
			 socklen_t *ret_len, bool *ret_loopback)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof *ret);
	if (opt->port > 65535)
		return -EINVAL;
	if (inet_pton(AF_INET, opt->address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)opt->port);
		*ret_len = sizeof *v4;
		*ret_loopback = ntohl(v4->sin_addr.s_addr) >> 24 == 127;
		return 0;
	}
	if (inet_pton(AF_INET6, opt->address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)opt->port);
		*ret_len = sizeof *v6;
		*ret_loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
		return 0;
	}
	return -EINVAL;
}

/* One that finds it full tries again after a second, then three, seven ... */
static int backlog_of(const struct httpd_options *opt)
{
	return opt->connections_max > BACKLOG_MIN ? (int)opt->connections_max : BACKLOG_MIN;
}

static int listen_on(const struct httpd_options *opt, bool *ret_loopback, unsigned *ret_port)
{
	struct sockaddr_storage a;
	socklen_t len;
	int one = 1, fd, r = parse_address(opt, &a, &len, ret_loopback);

	if (r < 0)
		return r;
	if (!*ret_loopback && !opt->beyond_loopback)
		return -EACCES;
	fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&a, len) < 0 || listen(fd, backlog_of(opt)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	*ret_port = ntohs(a.ss_family == AF_INET ? ((struct sockaddr_in *)&a)->sin_port
						 : ((struct sockaddr_in6 *)&a)->sin6_port);
	return fd;
}

static int add_sources(struct httpd *h, sd_event *event)
{
	const union MHD_DaemonInfo *i = MHD_get_daemon_info(h->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	int r;

	r = sd_event_add_io(event, &h->io, i->epoll_fd, EPOLLIN, on_io, h);
	if (r >= 0)
		r = sd_event_add_defer(event, &h->turn, on_turn, h);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &h->timer, CLOCK_MONOTONIC, 0, 10000,
					       on_timer, h);
	if (r >= 0)
		r = sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &h->sweep, CLOCK_MONOTONIC, 0, 50000,
					       on_sweep, h);
	if (r >= 0)
		r = sd_event_source_set_enabled(h->sweep, SD_EVENT_OFF);
	return r;
}

int httpd_new(struct httpd **ret, const struct httpd_options *opt)
{
	struct httpd *h = calloc(1, sizeof *h);
	bool is_loopback = false;
	int fd, r;

	if (!h)
		return -ENOMEM;
	h->headers = opt->headers;
	h->routes = opt->routes;
	h->files = opt->files;
	h->userdata = opt->userdata;
	h->request_ms = opt->request_ms ? opt->request_ms : REQUEST_MS_DEFAULT;
	h->stall_ms = opt->stall_ms ? opt->stall_ms : STALL_MS_DEFAULT;
	fd = listen_on(opt, &is_loopback, &h->port);
	if (fd < 0) {
		free(h);
		return fd;
	}
	h->check_host = is_loopback && !opt->beyond_loopback;
	h->mhd = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
				  NULL, NULL, on_request, h, MHD_OPTION_EXTERNAL_LOGGER, be_silent,
				  NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
				  opt->connections_max ? opt->connections_max
						       : (unsigned)CONNECTIONS_DEFAULT,
				  MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
				  MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
				  MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_END);
	if (!h->mhd) {
		close(fd);
		free(h);
		return -ENOMEM;
	}
	r = add_sources(h, opt->event);
	if (r < 0) {
		httpd_free(h);
		return r;
	}
	run(h);
	*ret = h;
	return 0;
}

struct httpd *httpd_free(struct httpd *h)
{
	if (!h)
		return NULL;
	/* libmicrohttpd aborts the process when it is stopped with suspended connections. */
	h->is_closing = true;
	for (struct http_request *r = h->requests, *next; r; r = next) {
		next = r->next;
		if (r->stream)
			http_stream_end(r->stream);
		else if (r->is_suspended)
			http_reply(r, MHD_HTTP_SERVICE_UNAVAILABLE, NULL, "", 0);
	}
	MHD_run(h->mhd);
	sd_event_source_disable_unref(h->io);
	sd_event_source_disable_unref(h->turn);
	sd_event_source_disable_unref(h->timer);
	sd_event_source_disable_unref(h->sweep);
	MHD_stop_daemon(h->mhd);
	free(h);
	return NULL;
}

unsigned httpd_port(const struct httpd *h)
{
	return h->port;
}

struct httpd_counters httpd_counters(const struct httpd *h)
{
	return h->counters;
}
