/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unserved: the notices that no text served, and why, oldest first: somebody must tell these people
 * some other way. Read from the rows of the outbox, so no dibao-sms need run; a row has neither
 * name, number nor text.
 *
 * A mailbox's reply is the business of that mailbox alone: it is listed with --mailbox and nowhere
 * else, and to whom a station's list goes (--org) not even their number is told, for it would tell
 * the station that one of its own wrote a letter.
 */
#include "redis.h"

#include "../sms/notice.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 500, SHOWN = 100, COUNTS_MAX = 64, WORD = 64 };

enum { F_STATE, F_TYPE, F_ORG, F_BADGE, F_REASON, F_AT, F_MAILBOX, F_MEANING, N_FIELDS };

struct counts {
	struct {
		char what[WORD * 2];
		unsigned n;
	} at[COUNTS_MAX];
	unsigned n;
};

struct unserved {
	const struct ctl *c;
	struct ctl_redis r;
	const char *org, *type, *reason, *mailbox; /* NULL: any */
	unsigned long most;			   /* to be shown */
	unsigned listed, shown;
	struct counts reasons, mailboxes;
};

static const char *text_of(const redisReply *row, int i)
{
	return row->element[i]->type == REDIS_REPLY_STRING ? row->element[i]->str : "";
}

/* More kinds than there is room for are counted under the last. */
static void count(struct counts *c, const char *what)
{
	unsigned i = 0;

	while (i < c->n && strcmp(c->at[i].what, what) != 0)
		i++;
	if (i == COUNTS_MAX)
		i--;
	if (i == c->n)
		snprintf(c->at[c->n++].what, sizeof c->at[0].what, "%s", what);
	c->at[i].n++;
}

static bool reason_is(const char *r, const char *word)
{
	size_t n = strcspn(r, " ");

	return strlen(word) == n && !strncmp(r, word, n);
}

/* Is it for who asks? A reply that is not is counted, if all is asked for. */
static bool is_asked(struct unserved *u, const redisReply *row)
{
	bool reply = !strcmp(text_of(row, F_TYPE), "mailbox_reply");

	if ((u->reason && !reason_is(text_of(row, F_REASON), u->reason)) ||
	    (u->type && strcmp(text_of(row, F_TYPE), u->type) != 0))
		return false;
	if (u->mailbox)
		return reply && !strcmp(text_of(row, F_MAILBOX), u->mailbox);
	if (reply && !u->org)
		count(&u->mailboxes, text_of(row, F_MAILBOX));
	if (reply)
		return false;
	return !u->org || !strncmp(text_of(row, F_ORG), u->org, strlen(u->org));
}

static void show(struct unserved *u, const char *uid, int64_t ended_ms, const redisReply *row)
{
	const char *r = text_of(row, F_REASON), *code = strchr(r, ' ');
	const char *words = notice_words(r, strlen(r));
	const char *meaning = code ? text_of(row, F_MEANING) : "";
	char ended[CTL_TIME];
	json_t *j;

	u->shown++;
	if (!u->c->json) {
		printf("%s  %-14s %-20s %s  %s: %s%s%s%s%s%s\n", ctl_time(ended, ended_ms),
		       text_of(row, F_TYPE), text_of(row, F_BADGE),
		       u->mailbox ? u->mailbox : text_of(row, F_ORG), uid, words,
		       meaning[0] ? ": " : "", meaning, code ? " (" : "", code ? code + 1 : "",
		       code ? ")" : "");
		return;
	}
	j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:s}", "uid", uid, "state",
		      text_of(row, F_STATE), "type", text_of(row, F_TYPE), "org",
		      text_of(row, F_ORG), "badge", text_of(row, F_BADGE), "at",
		      (json_int_t)strtoll(text_of(row, F_AT), NULL, 10), "ended",
		      (json_int_t)ended_ms, "reason", r, "words", words, "meaning", meaning);
	if (j && u->mailbox)
		json_object_set_new(j, "mailbox", json_string(u->mailbox));
	json_dumpf(j, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(j);
}

static void take(struct unserved *u, const char *uid, int64_t ended_ms, const redisReply *row)
{
	if (row->type != REDIS_REPLY_ARRAY || row->elements != N_FIELDS ||
	    !*text_of(row, F_STATE)) /* its row is gone, by age */
		return;
	if (!is_asked(u, row))
		return;
	count(&u->reasons, notice_words(text_of(row, F_REASON), strlen(text_of(row, F_REASON))));
	if (u->listed++ < u->most)
		show(u, uid, ended_ms, row);
}

/* uid, when, uid, when ...: the rows of a page, asked for at once. */
static int take_page(struct unserved *u, const redisReply *uids)
{
	redisReply *row;
	int e = 0;

	for (size_t i = 0; i + 1 < uids->elements; i += 2)
		redisAppendCommand(u->r.context, "HMGET %ssms:row:%b s t o b r at mb cw", u->r.base,
				   uids->element[i]->str, uids->element[i]->len);
	for (size_t i = 0; i + 1 < uids->elements; i += 2) {
		void *got = NULL;

		redisGetReply(u->r.context, &got);
		if (e) {
			freeReplyObject(got);
			continue;
		}
		e = ctl_redis_check(&u->r, got, &row);
		if (e)
			continue;
		take(u, uids->element[i]->str, strtoll(uids->element[i + 1]->str, NULL, 10), row);
		freeReplyObject(row);
	}
	return e;
}

static int take_all(struct unserved *u)
{
	long long from = 0;
	redisReply *uids;
	size_t n;
	int e;

	do {
		e = ctl_redis_command(&u->r, &uids, "ZRANGE %s %lld %lld WITHSCORES",
				      ctl_redis_key(&u->r, "sms:unserved"), from, from + PAGE - 1);
		if (e)
			return e;
		n = uids->elements / 2;
		e = take_page(u, uids);
		freeReplyObject(uids);
		from += PAGE;
	} while (e == 0 && n == PAGE);
	return e;
}

static json_t *object_of(const struct counts *c)
{
	json_t *j = json_object();

	for (unsigned i = 0; i < c->n; i++)
		json_object_set_new(j, c->at[i].what, json_integer(c->at[i].n));
	return j;
}

static void print_sums(const struct unserved *u)
{
	if (u->c->json) {
		json_t *j = json_pack("{s:i, s:i, s:o, s:o}", "unserved", (int)u->listed, "shown",
				      (int)u->shown, "by_reason", object_of(&u->reasons),
				      "mailbox_replies", object_of(&u->mailboxes));

		json_dumpf(j, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(j);
		return;
	}
	printf("%u not served%s\n", u->listed, u->shown < u->listed ? ", the first shown" : "");
	for (unsigned i = 0; i < u->reasons.n; i++)
		printf("  %6u  %s\n", u->reasons.at[i].n, u->reasons.at[i].what);
	for (unsigned i = 0; i < u->mailboxes.n; i++)
		printf("  %6u  replies of mailbox %s: --mailbox\n", u->mailboxes.at[i].n,
		       u->mailboxes.at[i].what);
}

static int parse(struct unserved *u, int argc, char **argv)
{
	const struct {
		const char *name, **to;
	} options[] = {{"--org", &u->org},
		       {"--type", &u->type},
		       {"--reason", &u->reason},
		       {"--mailbox", &u->mailbox}};
	char *end;

	u->most = SHOWN;
	for (int i = 1; i < argc; i++) {
		bool known = false;

		if (!strcmp(argv[i], "--all")) {
			u->most = ~0ul;
			continue;
		}
		if (!strcmp(argv[i], "-n") && i + 1 < argc) {
			u->most = strtoul(argv[++i], &end, 10);
			if (end == argv[i] || *end)
				return ctl_fail(EX_USAGE, "unserved: -n: expected how many");
			continue;
		}
		for (size_t k = 0; k < sizeof options / sizeof options[0] && i + 1 < argc; k++)
			if (!strcmp(argv[i], options[k].name)) {
				*options[k].to = argv[++i];
				known = true;
				break;
			}
		if (!known)
			return ctl_fail(EX_USAGE, "unserved: unexpected argument: %s", argv[i]);
	}
	if (u->mailbox && (u->org || u->type))
		return ctl_fail(EX_USAGE, "unserved: --mailbox stands without --org and --type");
	return 0;
}

int ctl_unserved(struct ctl *c, int argc, char **argv)
{
	struct unserved u = {.c = c};
	int e = parse(&u, argc, argv);

	if (e == 0)
		e = ctl_redis_open(&u.r, c, false);
	if (e)
		return e;
	e = take_all(&u);
	ctl_redis_close(&u.r);
	if (e == 0)
		print_sums(&u);
	return e;
}
