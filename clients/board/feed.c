/* SPDX-License-Identifier: Apache-2.0 */
#include "feed.h"

#include "item_json.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	STREAMS_MAX = 8,
	LOG_MAX = 512,
	LOG_BYTES_MAX = 256 * 1024,
	BULK = 200,
	STATE_USEC = 500000,
	BEAT_USEC = 15000000,
	BUFFER_MAX = 512 * 1024,
};

struct logged {
	uint64_t number;
	struct http_piece *piece;
	size_t len;
};

struct feed {
	struct feed_options opt;
	uint32_t run;	 /* random: ids of another process are not ours */
	uint64_t number; /* of the last event */
	struct logged log[LOG_MAX];
	unsigned log_at, log_n;
	size_t log_bytes;
	struct http_stream *streams[STREAMS_MAX]; /* oldest first */
	unsigned n_streams;
	unsigned n_in_turn;
	bool state_due; /* all streams get the state; single changes are in it */
	bool was_standing;
	char was_link[16];
	sd_event_source *state_timer, *beat_timer;
};

/* ---- pieces ---- */

/* The head of an event; its data follows, in the same buffer. */
static struct jsonbuf begin_event(const struct feed *f, const char *event)
{
	struct jsonbuf j = {0};
	char head[80];

	snprintf(head, sizeof head, "id: %08" PRIx32 "-%" PRIu64 "\nevent: %s\ndata: ", f->run,
		 f->number, event);
	jsonbuf_raw(&j, head);
	return j;
}

/* Takes the buffer: a state is megabytes, which are not copied. */
static struct http_piece *end_event(struct jsonbuf *j)
{
	struct http_piece *p = NULL;

	jsonbuf_raw(j, "\n\n");
	if (!j->failed) {
		p = http_piece_new(j->p, j->n);
		j->p = NULL;
	}
	jsonbuf_done(j);
	if (!p && log_limited("memory"))
		log_text(LOG_ERR, "no memory for an event of the page; it will ask for all");
	return p;
}

static void send_all(struct feed *f, struct http_piece *p)
{
	for (unsigned i = 0; i < f->n_streams; i++)
		http_stream_write(f->streams[i], p);
}

static void forget_log(struct feed *f)
{
	while (f->log_n) {
		http_piece_unref(f->log[f->log_at].piece);
		f->log_at = (f->log_at + 1) % LOG_MAX;
		f->log_n--;
	}
	f->log_bytes = 0;
}

static void log_event_piece(struct feed *f, struct http_piece *p, size_t len)
{
	struct logged *l;

	while (f->log_n && (f->log_n == LOG_MAX || f->log_bytes + len > LOG_BYTES_MAX)) {
		l = &f->log[f->log_at];
		f->log_bytes -= l->len;
		http_piece_unref(l->piece);
		f->log_at = (f->log_at + 1) % LOG_MAX;
		f->log_n--;
	}
	l = &f->log[(f->log_at + f->log_n++) % LOG_MAX];
	*l = (struct logged){f->number, http_piece_ref(p), len};
	f->log_bytes += len;
}

/* ---- JSON ---- */

static void write_item(const struct feed *f, struct jsonbuf *j, const struct item *i,
		       const struct feed_time *t)
{
	item_write(j, i, places_name(f->opt.places, (const char *)i->view + i->org.at, i->org.len),
		   rules_moment(f->opt.rules, i, t->now_ms, t->is_trusted));
}

static const char *area_name(const struct feed *f, const char *prefix)
{
	const char *name = *prefix ? places_name(f->opt.places, prefix, strlen(prefix)) : "";

	return name ? name : prefix;
}

static void write_board(const struct feed *f, struct jsonbuf *j)
{
	const struct board_config *c = f->opt.config;
	const struct rules *r = f->opt.rules;
	const char *own = area_name(f, r->own);

	jsonbuf_key(j, "board");
	jsonbuf_open(j, '{');
	jsonbuf_key_text(j, "name", *c->name ? c->name : own);
	jsonbuf_key_text(j, "org", r->own);
	jsonbuf_key_text(j, "area", own);
	jsonbuf_close(j, '}');
	jsonbuf_key(j, "areas");
	jsonbuf_open(j, '{');
	jsonbuf_key_text(j, "own", own);
	jsonbuf_key_text(j, "district", area_name(f, r->district));
	jsonbuf_key_text(j, "bureau", area_name(f, r->bureau));
	jsonbuf_close(j, '}');
	jsonbuf_key(j, "settings");
	jsonbuf_open(j, '{');
	jsonbuf_key_int(j, "page_s", c->page_ms / 1000);
	jsonbuf_key_int(j, "rows", c->rows);
	jsonbuf_key_int(j, "moment_s", c->moment_ms / 1000);
	jsonbuf_key_int(j, "moment_within_s", c->moment_within_ms / 1000);
	jsonbuf_key_text(j, "order", c->order);
	jsonbuf_key_bool(j, "drift", c->drift);
	jsonbuf_key_text(j, "night_from", c->night_from);
	jsonbuf_key_text(j, "night_to", c->night_to);
	jsonbuf_key_int(j, "night_dim", c->night_dim);
	jsonbuf_close(j, '}');
	jsonbuf_key(j, "ladder");
	places_ladder(f->opt.places, j);
}

static struct http_piece *make_state(struct feed *f)
{
	struct feed_time t = f->opt.time(f->opt.userdata);
	const struct item **v = NULL;
	struct jsonbuf j;
	size_t n = 0;

	if (!t.is_standing && wall_shown(f->opt.wall, &v, &n) < 0)
		return NULL;
	j = begin_event(f, "state");
	jsonbuf_open(&j, '{');
	jsonbuf_key_int(&j, "v", 1);
	jsonbuf_key_bool(&j, "demo", f->opt.is_demo);
	write_board(f, &j);
	jsonbuf_key(&j, "standing");
	if (t.is_standing)
		jsonbuf_text(&j, f->opt.config->standing_text,
			     strlen(f->opt.config->standing_text));
	else
		jsonbuf_raw(&j, "null");
	jsonbuf_key(&j, "items");
	jsonbuf_open(&j, '[');
	for (size_t i = 0; i < n; i++) {
		jsonbuf_next(&j);
		write_item(f, &j, v[i], &t);
	}
	jsonbuf_close(&j, ']');
	jsonbuf_close(&j, '}');
	free(v);
	return end_event(&j);
}

static struct http_piece *make_beat(struct feed *f)
{
	struct feed_time t = f->opt.time(f->opt.userdata);
	struct jsonbuf j = begin_event(f, "beat");

	jsonbuf_open(&j, '{');
	jsonbuf_key(&j, "now_ms");
	if (t.is_trusted)
		jsonbuf_int(&j, t.now_ms);
	else
		jsonbuf_raw(&j, "null");
	jsonbuf_key_bool(&j, "trusted", t.is_trusted);
	jsonbuf_key(&j, "heartbeat_ms");
	if (t.heartbeat_ms)
		jsonbuf_int(&j, t.heartbeat_ms);
	else
		jsonbuf_raw(&j, "null");
	jsonbuf_key_text(&j, "link", t.link);
	jsonbuf_close(&j, '}');
	return end_event(&j);
}

/* ---- streams ---- */

static void on_closed(struct http_stream *s, void *userdata)
{
	struct feed *f = userdata;

	for (unsigned i = 0; i < f->n_streams; i++)
		if (f->streams[i] == s) {
			memmove(&f->streams[i], &f->streams[i + 1],
				(f->n_streams - i - 1) * sizeof *f->streams);
			f->n_streams--;
			break;
		}
}

/* The first event after the one that the page had, or -ENOENT. */
static int find_logged(const struct feed *f, const char *last_id)
{
	uint32_t run;
	uint64_t number;

	if (!last_id || sscanf(last_id, "%8" SCNx32 "-%" SCNu64, &run, &number) != 2 ||
	    run != f->run)
		return -ENOENT;
	if (number == f->number)
		return (int)f->log_n;
	for (unsigned i = 0; i < f->log_n; i++)
		if (f->log[(f->log_at + i) % LOG_MAX].number == number + 1)
			return (int)i;
	return -ENOENT;
}

static void write_and_unref(struct http_stream *s, struct http_piece *p)
{
	if (!p) {
		http_stream_end(s);
		return;
	}
	http_stream_write(s, p);
	http_piece_unref(p);
}

void feed_attach(struct feed *f, struct http_request *r)
{
	static const char hello[] = "retry: 2000\n\n";
	int at = f->state_due ? -ENOENT : find_logged(f, http_header(r, "Last-Event-ID"));
	struct jsonbuf retry = {0};
	struct http_stream *s;

	if (f->n_streams == STREAMS_MAX) {
		struct http_stream *oldest = f->streams[0];

		on_closed(oldest, f);
		http_stream_end(oldest);
	}
	s = http_stream_begin(r, "text/event-stream; charset=utf-8", BUFFER_MAX, on_closed, f);
	if (!s)
		return;
	f->streams[f->n_streams++] = s;
	jsonbuf_raw(&retry, hello);
	write_and_unref(s, retry.failed ? NULL : http_piece_new(retry.p, retry.n));
	/* The time first: by it the page judges what follows. */
	write_and_unref(s, make_beat(f));
	for (unsigned i = (unsigned)at; at >= 0 && i < f->log_n; i++)
		http_stream_write(s, f->log[(f->log_at + i) % LOG_MAX].piece);
	if (at >= 0)
		return;
	write_and_unref(s, make_state(f));
}

/* ---- what changes ---- */

static void change(struct feed *f)
{
	f->number++;
	if (f->state_due || ++f->n_in_turn <= BULK)
		return;
	f->state_due = true;
	forget_log(f);
	/* At once if there was none for a while: the timer runs for that while after each. */
	if (sd_event_source_get_enabled(f->state_timer, NULL) == 0) {
		sd_event_source_set_time_relative(f->state_timer, 0);
		sd_event_source_set_enabled(f->state_timer, SD_EVENT_ONESHOT);
	}
}

static void tell(struct feed *f, struct jsonbuf *j)
{
	size_t len = j->n;
	struct http_piece *p = end_event(j);

	if (!p) {
		/* Its pages come back for the whole. */
		forget_log(f);
		for (unsigned i = 0; i < f->n_streams; i++)
			http_stream_end(f->streams[i]);
		return;
	}
	send_all(f, p);
	log_event_piece(f, p, len);
	http_piece_unref(p);
}

void feed_put(struct feed *f, const struct item *i)
{
	struct feed_time t = f->opt.time(f->opt.userdata);
	struct jsonbuf j;

	change(f);
	if (f->state_due || t.is_standing)
		return;
	j = begin_event(f, "put");
	write_item(f, &j, i, &t);
	tell(f, &j);
}

void feed_drop(struct feed *f, const uint8_t pid[DIBAO_PID_BYTES])
{
	struct jsonbuf j;

	change(f);
	if (f->state_due)
		return;
	j = begin_event(f, "drop");
	jsonbuf_open(&j, '{');
	jsonbuf_key(&j, "pid");
	jsonbuf_hex(&j, pid, DIBAO_PID_BYTES);
	jsonbuf_close(&j, '}');
	tell(f, &j);
}

static void send_state(struct feed *f)
{
	struct http_piece *p;

	f->state_due = false;
	f->number++;
	forget_log(f);
	if (!f->n_streams)
		return;
	p = make_state(f);
	if (!p)
		return;
	send_all(f, p);
	http_piece_unref(p);
}

static int on_state_timer(sd_event_source *src, uint64_t usec, void *userdata)
{
	struct feed *f = userdata;

	(void)usec;
	if (!f->state_due)
		return 0;
	send_state(f);
	sd_event_source_set_time_relative(src, STATE_USEC);
	sd_event_source_set_enabled(src, SD_EVENT_ONESHOT);
	return 0;
}

void feed_turn(struct feed *f)
{
	struct feed_time t = f->opt.time(f->opt.userdata);

	f->n_in_turn = 0;
	if (t.is_standing != f->was_standing) {
		f->was_standing = t.is_standing;
		send_state(f);
	}
	if (strcmp(t.link, f->was_link) != 0) {
		snprintf(f->was_link, sizeof f->was_link, "%s", t.link);
		feed_beat(f);
	}
}

void feed_beat(struct feed *f)
{
	struct http_piece *p = make_beat(f);

	if (!p)
		return;
	send_all(f, p);
	http_piece_unref(p);
}

static int on_beat_timer(sd_event_source *src, uint64_t usec, void *userdata)
{
	(void)usec;
	feed_beat(userdata);
	sd_event_source_set_time_relative(src, BEAT_USEC);
	sd_event_source_set_enabled(src, SD_EVENT_ONESHOT);
	return 0;
}

unsigned feed_n_streams(const struct feed *f)
{
	return f->n_streams;
}

/* ---- life ---- */

int feed_new(struct feed **ret, const struct feed_options *opt)
{
	struct feed *f = calloc(1, sizeof *f);
	int r;

	if (!f)
		return -ENOMEM;
	f->opt = *opt;
	f->run = randombytes_random();
	r = sd_event_add_time_relative(opt->event, &f->state_timer, CLOCK_MONOTONIC, 0, 1000,
				       on_state_timer, f);
	if (r >= 0)
		r = sd_event_source_set_enabled(f->state_timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time_relative(opt->event, &f->beat_timer, CLOCK_MONOTONIC,
					       BEAT_USEC, 100000, on_beat_timer, f);
	if (r < 0) {
		feed_free(f);
		return r;
	}
	*ret = f;
	return 0;
}

struct feed *feed_free(struct feed *f)
{
	if (!f)
		return NULL;
	forget_log(f);
	sd_event_source_disable_unref(f->state_timer);
	sd_event_source_disable_unref(f->beat_timer);
	free(f);
	return NULL;
}
