/* SPDX-License-Identifier: Apache-2.0 */
#include "tty.h"
#include "day.h"

#include <curses.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

enum { TICK_USEC = 1000000, STALE_MS = 45000, LINES_A_ROW = 2, HEAD_LINES = 3, FOOT_LINES = 2 };
enum { TEXT_MAX = 1024, LINE_COLUMNS_MAX = 500 };

struct tty {
	struct tty_options opt;
	sd_event_source *tick;
	SCREEN *screen;
	unsigned page;
	int64_t turned_ms; /* CLOCK_MONOTONIC */
};

/* ---- text ---- */

/* Turns the direction of writing, or has no width, or moves the cursor. */
static bool is_unwanted(wchar_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x2069) || c == 0xfeff;
}

unsigned tty_clean(char *out, size_t cap, const char *p, size_t len, unsigned columns)
{
	static const char dots[] = "…";
	mbstate_t in = {0};
	size_t n = 0, n_whole = 0; /* n_whole: as long as dots still fit behind it */
	unsigned wide = 0, wide_whole = 0;

	while (len) {
		wchar_t c;
		size_t k = mbrtowc(&c, p, len, &in);
		int w;

		if (k == 0 || k > len)
			break; /* not UTF-8; it was checked when it came */
		w = is_unwanted(c) ? -1 : wcwidth(c);
		/* A character that the C library does not know is drawn two columns wide. */
		if (w < 0 && !is_unwanted(c))
			w = 2;
		if (w > 0) {
			if (wide + (unsigned)w > columns || n + k + sizeof dots > cap) {
				memcpy(out + n_whole, dots, sizeof dots);
				return wide_whole + 1;
			}
			memcpy(out + n, p, k);
			n += k;
			wide += (unsigned)w;
			if (wide + 1 <= columns) {
				n_whole = n;
				wide_whole = wide;
			}
		}
		p += k;
		len -= k;
	}
	out[n] = '\0';
	return wide;
}

/* Draws at most `room` columns; returns how many it took. */
static unsigned draw(int y, unsigned x, unsigned room, const char *p, size_t len)
{
	char text[TEXT_MAX];
	unsigned n;

	if (x >= (unsigned)COLS)
		return 0;
	if (room > (unsigned)COLS - x)
		room = (unsigned)COLS - x;
	n = tty_clean(text, sizeof text, p, len, room);
	mvaddstr(y, (int)x, text);
	return n;
}

static unsigned draw_text(int y, unsigned x, const char *text)
{
	return draw(y, x, LINE_COLUMNS_MAX, text, strlen(text));
}

static void draw_right(int y, const char *text)
{
	char clean[TEXT_MAX];
	unsigned n = tty_clean(clean, sizeof clean, text, strlen(text), (unsigned)COLS);

	mvaddstr(y, COLS - (int)n, clean);
}

/* ---- a page ---- */

static unsigned draw_member(int y, unsigned x, const struct item *i, struct item_text t)
{
	return draw(y, x, LINE_COLUMNS_MAX, (const char *)i->view + t.at, t.len);
}

static const char *place_of(const struct tty *t, const struct item *i)
{
	const char *name =
		places_name(t->opt.places, (const char *)i->view + i->org.at, i->org.len);

	return name ? name : "";
}

static void draw_item(const struct tty *t, int y, const struct item *i)
{
	unsigned x = 2;

	attron(A_BOLD);
	x += draw_member(y, x, i, i->name) + 2;
	attroff(A_BOLD);
	if (i->is_proposed)
		x += draw_text(y, x, i->is_promotion ? "拟晋升公示 " : "拟表彰公示 ");
	if (i->is_promotion) {
		x += draw_member(y, x, i, i->from.name);
		x += draw_text(y, x, " → ");
		x += draw_member(y, x, i, i->to.name);
	} else {
		x += draw_member(y, x, i, i->honour.name);
	}
	x = 4;
	if (i->area != AREA_OWN)
		x += draw_text(y + 1, x, place_of(t, i)) + 1;
	if (i->show_unit && i->unit.len)
		x += draw_member(y + 1, x, i, i->unit) + 1;
	if (i->is_proposed) {
		x += draw_text(y + 1, x, "公示期至 ");
		x += draw_member(y + 1, x, i, i->last_day);
		x += draw_text(y + 1, x, " 24时 异议受理：");
		draw_member(y + 1, x, i, i->contact);
	} else {
		draw_member(y + 1, x, i, i->reason);
	}
}

/* The time of day in Asia/Shanghai. */
static void time_text(int64_t ms, char ret[16])
{
	int64_t s = (ms + DAY_ZONE_MS) / 1000 % 86400;

	snprintf(ret, 16, "%02d:%02d", (int)(s / 3600), (int)(s / 60 % 60));
}

static void draw_head(const struct tty *t, const struct feed_time *now)
{
	const char *name = *t->opt.config->name ? t->opt.config->name
						: places_name(t->opt.places, t->opt.rules->own,
							      strlen(t->opt.rules->own));
	char day[11] = "", hour[16] = "时间未校准", line[64];

	attron(A_BOLD);
	draw_text(0, 0, name ? name : t->opt.rules->own);
	attroff(A_BOLD);
	if (now->is_trusted) {
		day_of(now->now_ms, day);
		time_text(now->now_ms, hour);
	}
	snprintf(line, sizeof line, "%s %s", day, hour);
	draw_right(0, line);
	mvhline(1, 0, ACS_HLINE, COLS);
}

static void draw_foot(const struct tty *t, const struct feed_time *now, unsigned pages)
{
	char line[128], hour[16] = "", day[11] = "";
	bool is_stale = !now->heartbeat_ms || !now->is_trusted ||
			now->now_ms - now->heartbeat_ms >= STALE_MS;

	mvhline(LINES - 2, 0, ACS_HLINE, COLS);
	if (now->heartbeat_ms) {
		time_text(now->heartbeat_ms, hour);
		day_of(now->heartbeat_ms, day);
	}
	snprintf(line, sizeof line, "%s%s%s%s%s", is_stale ? "连接中断 · 数据截至 " : "更新于 ",
		 is_stale ? day : "", is_stale ? " " : "", *hour ? hour : "尚未收到数据",
		 t->opt.is_demo ? "  演示数据" : "");
	if (is_stale)
		attron(A_REVERSE);
	draw_text(LINES - 1, 0, line);
	attroff(A_REVERSE);
	snprintf(line, sizeof line, "%u / %u", t->page + 1, pages);
	draw_right(LINES - 1, line);
}

static void draw_page(struct tty *t, const struct item **v, size_t n, unsigned rows)
{
	for (size_t k = 0; k < rows && t->page * rows + k < n; k++) {
		const struct item *i = v[t->page * rows + k];

		draw_item(t, HEAD_LINES + (int)k * LINES_A_ROW, i);
		t->opt.on_rendered(i->pid, t->opt.userdata);
	}
}

/* ---- the clockwork ---- */

static int64_t mono_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* With a page of its own the station's wall is the station's. */
static size_t cut_others(const struct item **v, size_t n, unsigned rows)
{
	size_t own = 0;

	while (own < n && v[own]->area == AREA_OWN)
		own++;
	return own >= rows ? own : n;
}

static void redraw(struct tty *t)
{
	struct feed_time now = t->opt.time(t->opt.userdata);
	unsigned room =
		LINES > HEAD_LINES + FOOT_LINES ? (unsigned)(LINES - HEAD_LINES - FOOT_LINES) : 0;
	unsigned rows = room / LINES_A_ROW, pages;
	const struct item **v = NULL;
	size_t n = 0;

	erase();
	if (!rows) {
		draw_text(0, 0, "屏幕太小");
		refresh();
		return;
	}
	if (!now.is_standing && wall_shown(t->opt.wall, &v, &n) == 0)
		n = cut_others(v, n, rows);
	pages = n ? (unsigned)((n + rows - 1) / rows) : 1;
	if (mono_ms() - t->turned_ms >= t->opt.config->page_ms) {
		t->turned_ms = mono_ms();
		t->page++;
	}
	if (t->page >= pages)
		t->page = 0;
	draw_head(t, &now);
	if (now.is_standing)
		draw_text(HEAD_LINES, 2, t->opt.config->standing_text);
	else if (!n)
		draw_text(HEAD_LINES, 2, "目前没有需要公布的晋升与表彰");
	draw_page(t, v, n, rows);
	draw_foot(t, &now, pages);
	refresh();
	free(v);
	t->opt.on_reported(t->opt.userdata);
}

static int on_tick(sd_event_source *src, uint64_t usec, void *userdata)
{
	(void)usec;
	/* Keys are taken and do nothing; a change of the window's size comes as one. */
	while (getch() != ERR)
		;
	redraw(userdata);
	sd_event_source_set_time_relative(src, TICK_USEC);
	sd_event_source_set_enabled(src, SD_EVENT_ONESHOT);
	return 0;
}

int tty_new(struct tty **ret, const struct tty_options *opt)
{
	struct tty *t;
	int r;

	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
		return -ENOTTY;
	t = calloc(1, sizeof *t);
	if (!t)
		return -ENOMEM;
	t->opt = *opt;
	/* By the text's encoding, whatever the machine's language is. */
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		setlocale(LC_CTYPE, "");
	t->screen = newterm(NULL, stdout, stdin);
	if (!t->screen) {
		free(t);
		return -ENOTTY;
	}
	noecho();
	curs_set(0);
	nodelay(stdscr, TRUE);
	keypad(stdscr, TRUE);
	t->turned_ms = mono_ms();
	r = sd_event_add_time_relative(opt->event, &t->tick, CLOCK_MONOTONIC, 0, 10000, on_tick, t);
	if (r < 0) {
		tty_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

struct tty *tty_free(struct tty *t)
{
	if (!t)
		return NULL;
	sd_event_source_disable_unref(t->tick);
	endwin();
	delscreen(t->screen);
	free(t);
	return NULL;
}
