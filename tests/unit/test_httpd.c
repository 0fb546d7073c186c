/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server through real sockets, server and client in one loop. */
#include "../../lib/host/httpd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "loop.h"

enum { DEADLINE_MS = 80000, BODY_MAX = 1000, BUFFER_MAX = 100000 };

struct client {
	int fd;
	char *text; /* all it was told, NUL-terminated */
	size_t len;
	bool is_over;
};

static struct fixture {
	sd_event *event;
	struct httpd *httpd;
	struct httpd_options opt;
	struct http_request *later;
	struct http_stream *stream;
	unsigned n_handled, n_closed;
	char body[BODY_MAX + 1], query[64];
} f;

/* ---- the program that uses it ---- */

static void on_now(struct http_request *r, void *userdata)
{
	size_t len;
	const char *body = http_body(r, &len), *q = http_query(r, "q");

	(void)userdata;
	f.n_handled++;
	memcpy(f.body, body, len + 1);
	snprintf(f.query, sizeof f.query, "%s", q ? q : "(none)");
	http_reply(r, 200, "text/plain", "done", 4);
}

static void on_later(struct http_request *r, void *userdata)
{
	(void)userdata;
	f.n_handled++;
	f.later = r;
}

static void on_closed(struct http_stream *s, void *userdata)
{
	(void)userdata;
	assert_ptr_equal(s, f.stream);
	f.stream = NULL;
	f.n_closed++;
}

static void on_stream(struct http_request *r, void *userdata)
{
	(void)userdata;
	f.stream = http_stream_begin(r, "text/event-stream", BUFFER_MAX, on_closed, NULL);
	assert_non_null(f.stream);
}

static const struct http_route routes[] = {
	{"GET", "/now", 0, on_now},	{"POST", "/now", BODY_MAX, on_now},
	{"GET", "/later", 0, on_later}, {"GET", "/stream", 0, on_stream},
	{NULL, NULL, 0, NULL},
};
static const struct http_file files[] = {
	{"/", "text/html", (const unsigned char *)"<p>", 3, "\"abc\""},
	{NULL, NULL, NULL, 0, NULL},
};
static const char *const headers[] = {"X-Content-Type-Options", "nosniff", NULL};

static void start(void)
{
	assert_int_equal(httpd_new(&f.httpd, &f.opt), 0);
}

static int set_up(void **state)
{
	(void)state;
	memset(&f, 0, sizeof f);
	assert_true(sd_event_new(&f.event) >= 0);
	f.opt = (struct httpd_options){
		.event = f.event,
		.address = "127.0.0.1",
		.headers = headers,
		.routes = routes,
		.files = files,
	};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	httpd_free(f.httpd);
	sd_event_unref(f.event);
	return 0;
}

/* ---- the client ---- */

static struct client dial(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)httpd_port(f.httpd)),
				.sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct client c = {.fd = socket(AF_INET, SOCK_STREAM, 0), .text = calloc(1, 1)};

	assert_int_equal(connect(c.fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(fcntl(c.fd, F_SETFL, O_NONBLOCK), 0);
	return c;
}

static void say(struct client *c, const char *text)
{
	assert_int_equal(send(c->fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static bool hear(struct client *c)
{
	char buf[65536];
	ssize_t n = recv(c->fd, buf, sizeof buf, 0);

	if (n > 0) {
		c->text = realloc(c->text, c->len + (size_t)n + 1);
		memcpy(c->text + c->len, buf, (size_t)n);
		c->len += (size_t)n;
		c->text[c->len] = '\0';
	} else if (n == 0 || errno != EAGAIN) {
		c->is_over = true;
	}
	return true;
}

static bool heard(struct client *c, const char *what)
{
	hear(c);
	return strstr(c->text, what) != NULL;
}

static bool is_over(struct client *c)
{
	hear(c);
	return c->is_over;
}

static void hang_up(struct client *c)
{
	close(c->fd);
	free(c->text);
}

/* One request on a connection of its own; true if the answer begins with this status and has this
 * text. */
static bool answers(const char *request, const char *status, const char *text)
{
	struct client c = dial();
	char line[32];
	bool ok;

	say(&c, request);
	wait_until(&f, is_over(&c));
	snprintf(line, sizeof line, "HTTP/1.1 %s ", status);
	ok = !strncmp(c.text, line, strlen(line)) && strstr(c.text, text);
	if (!ok)
		print_message("# got: %.400s\n", c.text);
	hang_up(&c);
	return ok;
}

#define HOST "Host: localhost\r\nConnection: close\r\n"

/* ---- tests ---- */

static void a_file_has_its_type_its_tag_and_every_answers_headers(void **state)
{
	(void)state;
	start();
	assert_true(answers("GET / HTTP/1.1\r\n" HOST "\r\n", "200", "\r\n\r\n<p>"));
	assert_true(
		answers("GET / HTTP/1.1\r\n" HOST "\r\n", "200", "Content-Type: text/html\r\n"));
	assert_true(answers("GET / HTTP/1.1\r\n" HOST "\r\n", "200", "ETag: \"abc\"\r\n"));
	assert_true(answers("GET / HTTP/1.1\r\n" HOST "\r\n", "200",
			    "X-Content-Type-Options: nosniff\r\n"));
	assert_true(answers("HEAD / HTTP/1.1\r\n" HOST "\r\n", "200", "Content-Length: 3\r\n"));
}

static void a_file_that_one_has_is_not_sent_again(void **state)
{
	(void)state;
	start();
	assert_true(answers("GET / HTTP/1.1\r\n" HOST "If-None-Match: \"abc\"\r\n\r\n", "304",
			    "nosniff"));
	assert_true(
		answers("GET / HTTP/1.1\r\n" HOST "If-None-Match: \"old\"\r\n\r\n", "200", "<p>"));
}

static void what_is_not_in_the_tables_is_not_found_or_not_allowed(void **state)
{
	(void)state;
	start();
	assert_true(answers("GET /../etc HTTP/1.1\r\n" HOST "\r\n", "404", "nosniff"));
	assert_true(answers("GET /now/ HTTP/1.1\r\n" HOST "\r\n", "404", ""));
	assert_true(answers("PUT /later HTTP/1.1\r\n" HOST "\r\n", "405", "Allow: GET\r\n"));
	assert_true(answers("POST / HTTP/1.1\r\n" HOST "\r\n", "405", "Allow: GET, HEAD\r\n"));
	assert_int_equal(f.n_handled, 0);
	assert_int_equal(httpd_counters(f.httpd).n_refused, 4);
}

static void a_query_arrives_decoded_and_a_body_whole(void **state)
{
	(void)state;
	start();
	assert_true(answers("GET /now?q=a%26b+c HTTP/1.1\r\n" HOST "\r\n", "200", "\r\n\r\ndone"));
	assert_string_equal(f.query, "a&b c");
	assert_true(answers("POST /now HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello", "200",
			    "done"));
	assert_string_equal(f.body, "hello");
	assert_string_equal(f.query, "(none)");
}

static void a_body_over_the_routes_bound_is_refused_before_it_is_sent(void **state)
{
	(void)state;
	start();
	assert_true(
		answers("POST /now HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\n", "413", ""));
	assert_true(answers("GET /now HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n", "413", ""));
	assert_int_equal(f.n_handled, 0);
}

static void a_body_that_grows_over_the_bound_in_chunks_closes_the_connection(void **state)
{
	struct client c;
	char chunk[600];

	(void)state;
	start();
	c = dial();
	say(&c, "POST /now HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
	memset(chunk, 'x', sizeof chunk);
	memcpy(chunk, "200\r\n", 5);
	memcpy(chunk + 5 + 512, "\r\n", 3);
	say(&c, chunk);
	say(&c, chunk);
	wait_until(&f, is_over(&c));
	assert_int_equal(f.n_handled, 0);
	hang_up(&c);
}

static void a_request_by_another_name_than_loopbacks_is_refused(void **state)
{
	(void)state;
	start();
	assert_true(answers("GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
			    "421", ""));
	assert_true(answers("GET / HTTP/1.1\r\nHost: 127.evil.example\r\nConnection: close\r\n\r\n",
			    "421", ""));
	assert_true(answers(
		"GET / HTTP/1.1\r\nHost: localhost.evil.example\r\nConnection: close\r\n\r\n",
		"421", ""));
	assert_true(answers("GET / HTTP/1.0\r\n\r\n", "421", ""));
	assert_true(answers("GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\nConnection: close\r\n\r\n",
			    "200", "<p>"));
}

static void an_address_beyond_loopback_needs_a_word(void **state)
{
	(void)state;
	f.opt.address = "0.0.0.0";
	assert_int_equal(httpd_new(&f.httpd, &f.opt), -EACCES);
	f.opt.address = "localhost";
	assert_int_equal(httpd_new(&f.httpd, &f.opt), -EINVAL);
	f.opt.address = "0.0.0.0";
	f.opt.beyond_loopback = true;
	start();
	assert_true(answers("GET / HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n", "200",
			    "<p>"));
}

static void a_port_that_is_taken_is_told(void **state)
{
	struct httpd *other;

	(void)state;
	start();
	f.opt.port = httpd_port(f.httpd);
	assert_int_equal(httpd_new(&other, &f.opt), -EADDRINUSE);
}

static void an_answer_may_come_later_and_others_do_not_wait_for_it(void **state)
{
	struct client c;

	(void)state;
	start();
	c = dial();
	say(&c, "GET /later HTTP/1.1\r\n" HOST "\r\n");
	wait_until(&f, f.later);
	assert_true(answers("GET /now HTTP/1.1\r\n" HOST "\r\n", "200", "done"));
	assert_int_equal(c.len, 0);
	http_reply(f.later, 202, "text/plain", "at last", 7);
	wait_until(&f, is_over(&c));
	assert_non_null(strstr(c.text, "HTTP/1.1 202 "));
	assert_non_null(strstr(c.text, "at last"));
	hang_up(&c);
}

static void who_waits_for_an_answer_when_the_server_ends_is_told_503(void **state)
{
	struct client c;

	(void)state;
	start();
	c = dial();
	say(&c, "GET /later HTTP/1.1\r\n" HOST "\r\n");
	wait_until(&f, f.later);
	f.httpd = httpd_free(f.httpd);
	wait_until(&f, is_over(&c));
	assert_non_null(strstr(c.text, "HTTP/1.1 503 "));
	hang_up(&c);
}

static struct http_piece *piece(size_t len)
{
	char *bytes = malloc(len);

	memset(bytes, 'y', len);
	memcpy(bytes, "data: ", len < 6 ? len : 6);
	return http_piece_new(bytes, len);
}

static void write_piece(size_t len, int expected)
{
	struct http_piece *p = piece(len);

	assert_int_equal(http_stream_write(f.stream, p), expected);
	http_piece_unref(p);
}

static struct client listener(void)
{
	struct client c = dial();

	say(&c, "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
	wait_until(&f, f.stream && heard(&c, "text/event-stream"));
	return c;
}

static void a_stream_sends_what_is_written_when_it_is_written(void **state)
{
	struct client c;

	(void)state;
	start();
	c = listener();
	for (int i = 0; i < 3; i++) {
		size_t had = c.len;

		write_piece(10, 0);
		wait_until(&f, heard(&c, "data: ") && c.len > had);
	}
	assert_int_equal(httpd_counters(f.httpd).n_streams, 1);
	http_stream_end(f.stream);
	wait_until(&f, f.n_closed == 1 && heard(&c, "\r\n0\r\n\r\n"));
	assert_int_equal(httpd_counters(f.httpd).n_streams, 0);
	hang_up(&c);
}

static void a_stream_at_rest_does_not_spin(void **state)
{
	struct client c;
	uint64_t turns = 0;
	int64_t end;

	(void)state;
	start();
	c = listener();
	for (end = now_ms() + 400; now_ms() < end; turns++)
		assert_true(sd_event_run(f.event, 100 * 1000) >= 0);
	assert_true(turns < 40);
	hang_up(&c);
}

static void a_large_piece_goes_whole_and_many_share_one(void **state)
{
	struct client c[2];
	struct http_stream *s[2];
	struct http_piece *p = piece(3000000);

	(void)state;
	start();
	for (int i = 0; i < 2; i++) {
		f.stream = NULL;
		c[i] = listener();
		s[i] = f.stream;
	}
	assert_int_equal(http_stream_write(s[0], p), 0);
	assert_int_equal(http_stream_write(s[1], p), 0);
	http_piece_unref(p);
	wait_until(&f, (hear(&c[0]), hear(&c[1]), c[0].len > 3000000 && c[1].len > 3000000));
	f.stream = s[0];
	hang_up(&c[0]);
	for (int64_t end = now_ms() + DEADLINE_MS; !f.n_closed && now_ms() < end;) {
		write_piece(10, 0);
		assert_true(sd_event_run(f.event, 1000) >= 0);
	}
	assert_int_equal(f.n_closed, 1);
	f.stream = s[1];
	hang_up(&c[1]);
}

static void a_stream_whose_reader_is_too_slow_ends_at_its_bound(void **state)
{
	struct client c;
	int r = 0;
	size_t most = 0;

	(void)state;
	start();
	c = listener();
	/* The kernel takes some megabytes; nobody reads them. */
	for (int i = 0; i < 10000 && r == 0; i++) {
		struct http_piece *p = piece(10000);

		r = http_stream_write(f.stream, p);
		http_piece_unref(p);
		most += 10000;
		assert_true(sd_event_run(f.event, 0) >= 0);
	}
	assert_int_equal(r, -ENOBUFS);
	write_piece(10, -EPIPE);
	/* What it was given before still comes, then the end. */
	wait_until(&f, (hear(&c), f.n_closed) && heard(&c, "\r\n0\r\n\r\n"));
	assert_true(c.len > most - BUFFER_MAX);
	hang_up(&c);
}

static void a_piece_larger_than_the_bound_goes_behind_a_small_one(void **state)
{
	struct client c;
	struct http_piece *large = piece(20 * BUFFER_MAX);

	(void)state;
	start();
	c = listener();
	write_piece(10, 0); /* being sent */
	write_piece(10, 0); /* behind it */
	assert_int_equal(http_stream_write(f.stream, large), 0);
	http_piece_unref(large);
	write_piece(10, -ENOBUFS);
	wait_until(&f, (hear(&c), c.len > 20 * BUFFER_MAX));
	hang_up(&c);
}

static void a_stream_whose_reader_takes_nothing_is_closed_in_time(void **state)
{
	struct client c;

	(void)state;
	f.opt.stall_ms = 300;
	start();
	c = listener();
	write_piece(20000000, 0);
	wait_until(&f, f.n_closed);
	hang_up(&c);
}

static void a_request_that_does_not_arrive_whole_is_closed_in_time(void **state)
{
	struct client c, idle;
	int64_t last = 0;

	(void)state;
	f.opt.request_ms = 600;
	start();
	c = dial();
	idle = dial();
	say(&c, "GET /now HTTP/1.1\r\nX: ");
	/* A byte every now and then, which makes it no younger. */
	wait_until(&f, (now_ms() - last > 100 && !c.is_over
				? (void)(last = now_ms(), send(c.fd, "x", 1, MSG_NOSIGNAL))
				: (void)0,
			is_over(&c)));
	wait_until(&f, is_over(&idle));
	assert_int_equal(f.n_handled, 0);
	hang_up(&c);
	hang_up(&idle);
}

static void headers_over_their_bound_are_refused(void **state)
{
	struct client c;
	char *big = malloc(40001);

	(void)state;
	memset(big, 'x', 40000);
	big[40000] = '\0';
	start();
	c = dial();
	say(&c, "GET /now HTTP/1.1\r\nHost: localhost\r\nX: ");
	for (int i = 0; i < 40 && !is_over(&c); i++) {
		ssize_t n = send(c.fd, big + 1000 * i, 1000, MSG_NOSIGNAL);

		(void)n;
		assert_true(sd_event_run(f.event, 1000) >= 0);
	}
	wait_until(&f, is_over(&c));
	assert_int_equal(f.n_handled, 0);
	free(big);
	hang_up(&c);
}

static void more_connections_than_allowed_wait_until_one_ends(void **state)
{
	struct client a, b, c;

	(void)state;
	f.opt.connections_max = 2;
	start();
	a = dial();
	b = dial();
	wait_until(&f, httpd_counters(f.httpd).n_connections == 2);
	c = dial();
	say(&c, "GET /now HTTP/1.1\r\n" HOST "\r\n");
	for (int i = 0; i < 20; i++)
		assert_true(sd_event_run(f.event, 1000) >= 0);
	assert_int_equal(f.n_handled, 0);
	hang_up(&a);
	wait_until(&f, heard(&c, "done"));
	hang_up(&b);
	hang_up(&c);
}

static void the_server_ends_with_streams_open(void **state)
{
	struct client c;

	(void)state;
	start();
	c = listener();
	f.httpd = httpd_free(f.httpd);
	assert_int_equal(f.n_closed, 1);
	wait_until(&f, is_over(&c));
	hang_up(&c);
}

#define t(x) cmocka_unit_test_setup_teardown(x, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		t(a_file_has_its_type_its_tag_and_every_answers_headers),
		t(a_file_that_one_has_is_not_sent_again),
		t(what_is_not_in_the_tables_is_not_found_or_not_allowed),
		t(a_query_arrives_decoded_and_a_body_whole),
		t(a_body_over_the_routes_bound_is_refused_before_it_is_sent),
		t(a_body_that_grows_over_the_bound_in_chunks_closes_the_connection),
		t(a_request_by_another_name_than_loopbacks_is_refused),
		t(an_address_beyond_loopback_needs_a_word),
		t(a_port_that_is_taken_is_told),
		t(an_answer_may_come_later_and_others_do_not_wait_for_it),
		t(who_waits_for_an_answer_when_the_server_ends_is_told_503),
		t(a_stream_sends_what_is_written_when_it_is_written),
		t(a_stream_at_rest_does_not_spin),
		t(a_large_piece_goes_whole_and_many_share_one),
		t(a_stream_whose_reader_is_too_slow_ends_at_its_bound),
		t(a_piece_larger_than_the_bound_goes_behind_a_small_one),
		t(a_stream_whose_reader_takes_nothing_is_closed_in_time),
		t(a_request_that_does_not_arrive_whole_is_closed_in_time),
		t(headers_over_their_bound_are_refused),
		t(more_connections_than_allowed_wait_until_one_ends),
		t(the_server_ends_with_streams_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
