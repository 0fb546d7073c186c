/* SPDX-License-Identifier: Apache-2.0 */
#include "demo.h"
#include "day.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 65536, EVENTS_MAX = 20000, LATE = 8 };

/* Of clients/board/demo.jsonl, made by the Makefile. */
extern const char board_demo[];

struct demo {
	struct demo_options opt;
	sd_event_source *timer;
	struct {
		uint8_t *bytes; /* owned: the event */
		size_t len;
	} events[EVENTS_MAX];
	size_t n, at;
	bool withdraw_last;
};

/* A demonstration's ids are nobody's: any key will do. */
static const uint8_t view_key[DIBAO_VIEW_KEY_BYTES] = "demonstration";

static int fault(FILE *err_out, const char *path, unsigned line, const char *what)
{
	if (err_out)
		fprintf(err_out, "%s:%u: %s\n", path ? path : "built-in events", line, what);
	return -EINVAL;
}

/* ---- time ---- */

static void move_day(json_t *body, const char *key, int64_t by_ms)
{
	const char *day = json_string_value(json_object_get(body, key));
	char moved[11];
	int64_t end;

	if (!day || day_end(day, strlen(day), &end) < 0)
		return;
	day_of(end - DAY_MS + by_ms, moved);
	json_object_set_new(body, key, json_string(moved));
}

static int move(json_t *event, int64_t by_ms)
{
	static const char *const times[] = {"at", "expires", "not_before"};
	json_t *body = json_object_get(event, "body");

	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		json_t *t = json_object_get(event, times[i]);

		if (json_is_integer(t))
			json_object_set_new(event, times[i],
					    json_integer(json_integer_value(t) + by_ms));
		else if (t)
			return -EINVAL; /* text: the line is fine, but not for a demonstration */
	}
	move_day(body, "notice_until", by_ms);
	move_day(body, "effective", by_ms);
	return 0;
}

/* ---- reading ---- */

static int read_lines(FILE *f, const char *path, json_t *ret, FILE *err_out)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	unsigned number = 0;
	int r = 0;

	while (r == 0 && (n = getline(&line, &cap, f)) > 0) {
		json_t *event;

		number++;
		if (n == 1)
			continue;
		if (n > LINE_MAX_BYTES)
			r = fault(err_out, path, number, "expected at most 65536 bytes");
		else if (json_array_size(ret) == EVENTS_MAX)
			r = fault(err_out, path, number, "expected at most 20000 events");
		if (r < 0)
			break;
		event = json_loadb(line, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
		if (!json_is_object(event) || !json_is_integer(json_object_get(event, "at")))
			r = fault(err_out, path, number,
				  "expected a JSON object with at in Unix milliseconds");
		else
			json_array_append(ret, event);
		json_decref(event);
	}
	if (r == 0 && ferror(f))
		r = -EIO;
	free(line);
	return r;
}

static int take(struct demo *d, json_t *event, int64_t by_ms, unsigned line, FILE *err_out)
{
	struct dibao_error err;
	char *text;
	int r = move(event, by_ms);

	if (r < 0)
		return fault(err_out, d->opt.path, line, "times: expected Unix milliseconds");
	text = json_dumps(event, JSON_COMPACT);
	if (!text)
		return -ENOMEM;
	r = dibao_event_from_json(text, strlen(text), line, &d->events[d->n].bytes,
				  &d->events[d->n].len, &err);
	free(text);
	if (r < 0) {
		if (err_out)
			fprintf(err_out, "%s:%u: %s: %s\n",
				d->opt.path ? d->opt.path : "built-in events", line, err.field,
				err.reason);
		return r;
	}
	d->n++;
	return 0;
}

static int load(struct demo *d, FILE *err_out)
{
	FILE *f = d->opt.path ? fopen(d->opt.path, "re")
			      : fmemopen((void *)(uintptr_t)board_demo, strlen(board_demo), "r");
	json_t *events = json_array(), *event;
	int64_t newest = 0, by;
	size_t i;
	int r;

	if (!f || !events) {
		r = f ? -ENOMEM : -errno;
		if (!f && err_out)
			fprintf(err_out, "%s: %s\n", d->opt.path, strerror(-r));
		json_decref(events);
		if (f)
			fclose(f);
		return r;
	}
	r = read_lines(f, d->opt.path, events, err_out);
	fclose(f);
	json_array_foreach(events, i, event)
	{
		int64_t at = json_integer_value(json_object_get(event, "at"));

		newest = at > newest ? at : newest;
	}
	by = (d->opt.now_ms - newest) / DAY_MS * DAY_MS;
	json_array_foreach(events, i, event) if (r == 0) r =
		take(d, event, by, (unsigned)i + 1, err_out);
	json_decref(events);
	return r;
}

/* ---- showing ---- */

static void show(struct demo *d, size_t i, int64_t published_ms)
{
	uint8_t view[DIBAO_EVENT_MAX_BYTES], pid[DIBAO_PID_BYTES];
	struct dibao_event ev;
	int n;

	if (dibao_event_parse(&ev, d->events[i].bytes, d->events[i].len, NULL) < 0)
		return;
	if (ev.retracts.p || ev.corrects.p) {
		struct dibao_str other = ev.retracts.p ? ev.retracts : ev.corrects;

		dibao_pid(view_key, other.p, other.len, pid);
		d->opt.on_withdrawn(pid, d->opt.userdata);
	}
	n = dibao_view_encode(&ev, view_key, false, view, sizeof view);
	if (n > 0)
		d->opt.on_view(view, (size_t)n, published_ms, d->opt.userdata);
}

static size_t first_late(const struct demo *d)
{
	return d->n > 2 * LATE ? d->n - LATE : d->n / 2;
}

static void withdraw_late(struct demo *d)
{
	for (size_t i = first_late(d); i < d->n; i++) {
		struct dibao_event ev;
		uint8_t pid[DIBAO_PID_BYTES];

		if (dibao_event_parse(&ev, d->events[i].bytes, d->events[i].len, NULL) < 0)
			continue;
		dibao_pid(view_key, ev.uid.p, ev.uid.len, pid);
		d->opt.on_withdrawn(pid, d->opt.userdata);
	}
}

static int on_timer(sd_event_source *src, uint64_t usec, void *userdata)
{
	struct demo *d = userdata;

	(void)usec;
	if (d->at == d->n) {
		withdraw_late(d);
		d->at = first_late(d);
	}
	if (d->at < d->n)
		show(d, d->at++, d->opt.time_ms(d->opt.userdata));
	d->opt.on_turn(d->opt.userdata);
	sd_event_source_set_time_relative(src, d->opt.interval_ms * 1000ull);
	sd_event_source_set_enabled(src, SD_EVENT_ONESHOT);
	return 0;
}

int demo_new(struct demo **ret, const struct demo_options *opt, FILE *err_out)
{
	struct demo *d = calloc(1, sizeof *d);
	int r;

	if (!d)
		return -ENOMEM;
	d->opt = *opt;
	r = load(d, err_out);
	if (r == 0)
		r = sd_event_add_time_relative(opt->event, &d->timer, CLOCK_MONOTONIC,
					       opt->interval_ms * 1000ull, 1000, on_timer, d);
	if (r < 0) {
		demo_free(d);
		return r;
	}
	for (; d->at < first_late(d); d->at++)
		show(d, d->at, 0);
	d->opt.on_turn(d->opt.userdata);
	*ret = d;
	return 0;
}

struct demo *demo_free(struct demo *d)
{
	if (!d)
		return NULL;
	for (size_t i = 0; i < d->n; i++)
		free(d->events[i].bytes);
	sd_event_source_disable_unref(d->timer);
	free(d);
	return NULL;
}
