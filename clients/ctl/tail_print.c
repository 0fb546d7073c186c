/* SPDX-License-Identifier: Apache-2.0 */
#include "tail_print.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TYPE_COLUMNS = 8, SHORT_BYTES = 90 };

/* A delivery's map, as far as fields are looked up in it: an event, a view, a withdrawal. */
struct item {
	const struct ctl *c;
	const struct dibao_delivery *d;
	struct dibao_event ev;		    /* only bytes and len if it is no event */
	const struct dibao_type_spec *type; /* NULL: unknown */
};

static void print_json(const struct dibao_delivery *d)
{
	static const char *const kinds[] = {"event", "view", "withdrawn"};
	char *text;

	if (dibao_event_to_json(d->bytes, d->len, &text) < 0)
		return;
	printf("{\"kind\":\"%s\",\"channel\":\"%s\",\"withdrawn\":%s,\"replay\":%s,\"event\":%s}\n",
	       kinds[d->kind], dibao_channel_name(d->channel), d->withdrawn ? "true" : "false",
	       d->replay ? "true" : "false", text);
	free(text);
}

static void put_clean(struct dibao_str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char ch = (unsigned char)s.p[i];

		if (ch == '\n')
			fputs("↵", stdout);
		else if (ch < 0x20 || ch == 0x7f)
			putchar('?');
		else if (ch == 0xc2 && i + 1 < s.len && (unsigned char)s.p[i + 1] < 0xa0)
			i++; /* C1 controls */
		else
			putchar(ch);
	}
}

/* What stands in an event as a word of the protocol, as people say it. */
static const char *in_words(struct dibao_str s)
{
	static const char *const words[][2] = {
		{"proposed", "公示中"}, {"final", "正式"}, {"chief", "局长信箱"}};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strlen(words[i][0]) == s.len && !memcmp(words[i][0], s.p, s.len))
			return words[i][1];
	return NULL;
}

static bool put_field(const struct item *it, const char *before, const char *path)
{
	struct dibao_str s;
	const char *words;

	if (dibao_event_str(&it->ev, path, &s) < 0)
		return false;
	words = in_words(s);
	fputs(before, stdout);
	if (words)
		fputs(words, stdout);
	else
		put_clean(s);
	return true;
}

static void put_time(int64_t ms)
{
	char text[CTL_TIME];

	fputs(ctl_time(text, ms), stdout);
}

/* Of a type that came later than this program's words: its short required fields by name. */
static bool put_required(const struct item *it)
{
	bool any = false;
	struct dibao_str s;
	char path[80];

	for (const struct dibao_field_spec *f = it->type ? it->type->body : NULL; f && f->name;
	     f++) {
		bool map = f->kind == DIBAO_KIND_MAP;

		snprintf(path, sizeof path, "body.%.32s%s", f->name, map ? ".name" : "");
		if (!(f->flags & DIBAO_FIELD_REQUIRED) || dibao_event_str(&it->ev, path, &s) < 0 ||
		    s.len > SHORT_BYTES)
			continue;
		printf("%s%s ", any ? " · " : "", f->zh);
		any |= put_field(it, "", path);
	}
	return any;
}

/* What there is to say in one line. */
static void put_summary(const struct item *it)
{
	static const char *const paths[][2] = {
		{"", "body.from.name"},	       {" → ", "body.to.name"},	    {"", "body.kind.name"},
		{" ", "body.state"},	       {"至", "body.notice_until"}, {"", "body.mailbox"},
		{" ", "body.ticket"},	       {" · ", "body.by"},	    {" · ", "body.where"},
		{" · ", "body.public_reason"},
	};
	struct dibao_str state = {NULL, 0};
	bool any = false, proposed;
	int64_t fen;

	dibao_event_str(&it->ev, "body.state", &state);
	proposed = state.len == strlen("proposed") && !memcmp(state.p, "proposed", state.len);
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
		/* The notice of what is final is over. */
		if (proposed || strcmp(paths[i][1], "body.notice_until") != 0)
			any |= put_field(it, paths[i][0], paths[i][1]);
	if (!any)
		put_required(it);
	if (dibao_event_int(&it->ev, "body.amount", &fen) == 0) {
		printf(" · %lld", (long long)(fen / 100));
		if (fen % 100)
			printf(".%02lld", (long long)(fen % 100));
		fputs("元", stdout);
	}
}

/* Chinese is two columns a character. */
static void put_type(const struct item *it)
{
	struct dibao_str s = {NULL, 0};
	int columns = 0;

	if (it->type) {
		fputs(it->type->zh, stdout);
		for (const char *p = it->type->zh; *p; p++)
			columns += ((unsigned char)*p & 0xc0) != 0x80 ? 2 : 0;
	} else if (dibao_event_str(&it->ev, "type", &s) == 0) {
		put_clean(s);
		columns = (int)s.len;
	}
	printf("%*s", columns < TYPE_COLUMNS ? TYPE_COLUMNS - columns : 0, "");
}

static void put_flags(const struct item *it)
{
	static const struct {
		const char *path, *word;
	} flags[] = {{"urgent", "紧急"}, {"private", "涉密"}, {"record", "存档"}};
	bool set;

	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
		if (dibao_event_bool(&it->ev, flags[i].path, &set) == 0 && set)
			printf(" [%s]", flags[i].word);
	if (it->d->withdrawn)
		fputs(" [已撤回]", stdout);
}

/* Another event's id, or one's own: a uid; in a view or a withdrawal the public id, in hex. */
static bool put_id(const struct item *it, const char *before, const char *path)
{
	struct dibao_str s;

	if (it->d->kind == DIBAO_ITEM_EVENT || !strcmp(path, "uid"))
		return put_field(it, before, path);
	if (dibao_event_str(&it->ev, path, &s) < 0)
		return false;
	fputs(before, stdout);
	for (size_t i = 0; i < s.len && i < DIBAO_UID_MAX_BYTES; i++)
		printf("%02x", (unsigned char)s.p[i]);
	return true;
}

/* A withdrawal may tell both. */
static void put_own_id(const struct item *it)
{
	if (!put_id(it, "", "uid"))
		put_id(it, "", "pid");
}

static void put_whom(const struct item *it)
{
	struct dibao_str s;

	put_field(it, " ", "org");
	if (it->d->kind == DIBAO_ITEM_VIEW) {
		put_field(it, " ", "unit");
		put_field(it, " ", "name");
		return;
	}
	put_field(it, " ", "person.unit");
	put_field(it, " ", "person.name");
	put_field(it, " ", "person.badge");
	if (it->type && it->type->person_optional &&
	    dibao_event_str(&it->ev, "person.badge", &s) < 0)
		fputs(" 匿名", stdout);
}

static void put_event(const struct item *it)
{
	const char *off = it->c->colour ? "\033[0m" : "", *dim = it->c->colour ? "\033[2m" : "";
	const char *tint =
		it->type && it->type->audience == DIBAO_AUDIENCE_PUBLIC ? "\033[32m" : "\033[33m";
	int64_t at = 0;

	dibao_event_int(&it->ev, "at", &at);
	fputs(dim, stdout);
	put_time(at);
	printf("%s %s", off, it->c->colour ? tint : "");
	put_type(it);
	fputs(off, stdout);
	put_whom(it);
	put_flags(it);
	fputs("  ", stdout);
	if (!put_field(it, "撤回 ", "retracts")) {
		put_summary(it);
		put_id(it, " · 更正 ", "corrects");
		put_id(it, " · 承接 ", "follows");
	}
	printf("  %s", dim);
	put_own_id(it);
	printf("%s\n", off);
}

void tail_print(const struct ctl *c, const struct dibao_delivery *d)
{
	struct item it = {.c = c, .d = d, .ev = {.bytes = d->bytes, .len = d->len}};
	struct dibao_str type;
	size_t n;
	int i;

	if (c->json) {
		print_json(d);
		return;
	}
	if (d->kind == DIBAO_ITEM_WITHDRAWN) {
		put_time(d->sent_ms);
		fputs(" 已撤回  ", stdout);
		put_own_id(&it);
		putchar('\n');
		return;
	}
	if (dibao_event_str(&it.ev, "type", &type) == 0 &&
	    (i = dibao_type_find(type.p, type.len)) >= 0)
		it.type = &dibao_types(&n)[i];
	put_event(&it);
}
