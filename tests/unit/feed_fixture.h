/* SPDX-License-Identifier: Apache-2.0 */
/* A board's feed with a real server and wall, pages that are sockets of the test, and one loop. For
 * tests: include it behind cmocka.h. */
#ifndef UNIT_FEED_FIXTURE_H
#define UNIT_FEED_FIXTURE_H

#include "../../clients/board/feed.h"
#include "board_fixture.h"
#include "loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/socket.h>
#include <unistd.h>

/* Less than the 15 s between two beats, which would hide one that was not told at once. */
enum { DEADLINE_MS = 48000, BULK = 200, LOG_EVENTS = 512, STREAMS_MAX = 8 };

/* A page: all it was told. */
struct page {
	int fd;
	char *text;
	size_t len;
	bool is_over;
};

static struct fixture {
	sd_event *event;
	struct httpd *httpd;
	struct feed *feed;
	struct wall *wall;
	struct board_config config;
	struct rules rules;
	struct feed_time time;
} f;

/* ---- the board around it ---- */

static struct feed_time tell_time(void *userdata)
{
	(void)userdata;
	return f.time;
}

static void on_shown(const struct item *i, void *userdata)
{
	(void)userdata;
	feed_put(f.feed, i);
}

static void on_hidden(const uint8_t pid[DIBAO_PID_BYTES], void *userdata)
{
	(void)userdata;
	feed_drop(f.feed, pid);
}

static void on_removed(const uint8_t pid[DIBAO_PID_BYTES], void *userdata)
{
	(void)pid;
	(void)userdata;
}

static void get_events(struct http_request *r, void *userdata)
{
	(void)userdata;
	feed_attach(f.feed, r);
}

static const struct http_route routes[] = {
	{"GET", "/events", 0, get_events},
	{NULL, NULL, 0, NULL},
};

static int set_up(void **state)
{
	static char name[] = "演示所", order[] = "rank", from[] = "22:00", to[] = "06:00",
		    standing[] = "\"暂停\"\n展示";
	struct wall_options w = {.rules = &f.rules,
				 .items_max = 20000,
				 .on_shown = on_shown,
				 .on_hidden = on_hidden,
				 .on_removed = on_removed};
	struct httpd_options h = {.address = "127.0.0.1", .routes = routes};
	struct feed_options o = {.config = &f.config, .rules = &f.rules, .time = tell_time};

	(void)state;
	memset(&f, 0, sizeof f);
	f.rules = (struct rules){.promotion_ms = 60 * DAY,
				 .award_ms = 365 * DAY,
				 .moment_ms = 900000,
				 .own = STATION,
				 .district = "320508"};
	f.config = (struct board_config){.name = name,
					 .order = order,
					 .night_from = from,
					 .night_to = to,
					 .standing_text = standing,
					 .page_ms = 12000,
					 .rows = 6,
					 .moment_ms = 20000,
					 .moment_within_ms = 900000,
					 .night_dim = 50};
	f.time = (struct feed_time){
		.now_ms = T0, .is_trusted = true, .heartbeat_ms = T0 - 7, .link = "active"};
	if (sd_event_new(&f.event) < 0 || wall_new(&f.wall, &w) < 0)
		return -1;
	h.event = o.event = f.event;
	o.wall = f.wall;
	if (feed_new(&f.feed, &o) < 0 || httpd_new(&f.httpd, &h) < 0)
		return -1;
	feed_turn(f.feed); /* the link is told once */
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	httpd_free(f.httpd);
	feed_free(f.feed);
	wall_free(f.wall);
	sd_event_unref(f.event);
	return 0;
}

static void put(const char *uid, const char *name)
{
	uint8_t view[DIBAO_EVENT_MAX_BYTES];
	struct draft d = {.uid = uid, .name = name, .reason = "演示"};

	assert_int_equal(wall_put(f.wall, view, draft_view(&d, view), T0), 0);
}

static void put_many(unsigned from, unsigned to)
{
	char uid[16], name[32];

	for (unsigned i = from; i < to; i++) {
		snprintf(uid, sizeof uid, "n%u", i);
		snprintf(name, sizeof name, "人%u", i);
		put(uid, name);
	}
}

static void take_back(const char *uid)
{
	uint8_t pid[DIBAO_PID_BYTES];

	draft_pid(uid, pid);
	assert_true(wall_remove(f.wall, pid));
}

static void turn(void)
{
	wall_refresh(f.wall, f.time.now_ms, f.time.is_trusted, false);
	feed_turn(f.feed);
}

/* One after the other, each in a turn of its own. */
static void publish_many(unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		put_many(i, i + 1);
		turn();
	}
}

/* ---- pages ---- */

/* Of HTTP/1.0, so that what comes is not in chunks. */
static struct page open_page_with(const char *last_id, int receive_bytes)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)httpd_port(f.httpd)),
				.sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct page p = {.fd = socket(AF_INET, SOCK_STREAM, 0), .text = calloc(1, 1)};
	char ask[512];
	int n = snprintf(ask, sizeof ask, "GET /events HTTP/1.0\r\nHost: localhost\r\n%s%s%s\r\n",
			 last_id ? "Last-Event-ID: " : "", last_id ? last_id : "",
			 last_id ? "\r\n" : "");

	if (receive_bytes)
		setsockopt(p.fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
	assert_int_equal(connect(p.fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(fcntl(p.fd, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(send(p.fd, ask, (size_t)n, MSG_NOSIGNAL), n);
	return p;
}

static struct page open_page(const char *last_id)
{
	return open_page_with(last_id, 0);
}

static void close_page(struct page *p)
{
	close(p->fd);
	free(p->text);
}

static void hear(struct page *p)
{
	char buf[65536];
	ssize_t n;

	while ((n = recv(p->fd, buf, sizeof buf, 0)) > 0) {
		p->text = realloc(p->text, p->len + (size_t)n + 1);
		assert_non_null(p->text);
		memcpy(p->text + p->len, buf, (size_t)n);
		p->len += (size_t)n;
		p->text[p->len] = '\0';
	}
	p->is_over = n == 0 || errno != EAGAIN;
}

/* How often this event came. */
static unsigned told(struct page *p, const char *event)
{
	char line[32];
	unsigned n = 0;

	hear(p);
	snprintf(line, sizeof line, "\nevent: %s\ndata: ", event);
	for (const char *at = p->text; (at = strstr(at, line)); at++)
		n += strstr(at, "\n\n") != NULL;
	return n;
}

/* The nth of it, from 0. Borrowed until the next call. */
static json_t *data_of(struct page *p, const char *event, unsigned nth)
{
	static json_t *root;
	json_error_t why;
	char line[32];
	const char *at = p->text;

	snprintf(line, sizeof line, "\nevent: %s\ndata: ", event);
	for (at = strstr(at, line); nth-- > 0; at = strstr(at + 1, line))
		assert_non_null(at);
	json_decref(root);
	at += strlen(line);
	root = json_loadb(at, (size_t)(strchr(at, '\n') - at), JSON_REJECT_DUPLICATES, &why);
	if (!root)
		fail_msg("%s of %s: %s at %d", event, why.source, why.text, why.position);
	return root;
}

static size_t n_items(struct page *p, unsigned nth_state)
{
	return json_array_size(json_object_get(data_of(p, "state", nth_state), "items"));
}

static void last_id(const struct page *p, char ret[64])
{
	const char *at = p->text, *last = NULL;

	while ((at = strstr(at, "\nid: ")))
		last = ++at;
	assert_non_null(last);
	assert_int_equal(sscanf(last, "id: %63s", ret), 1);
}

/* A page that has all there is now. */
static struct page settled_page(void)
{
	struct page p = open_page(NULL);

	wait_until(&f, told(&p, "state") == 1);
	return p;
}

/* Until all that was written before this has come to the page. */
static void flush(struct page *p)
{
	unsigned n = told(p, "beat");

	feed_beat(f.feed);
	wait_until(&f, told(p, "beat") > n);
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	assert_non_null(text);
	return text;
}

#endif
