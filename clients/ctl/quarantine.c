/* SPDX-License-Identifier: Apache-2.0 */
/* Entries that were set aside: seen, published again once mended or understood, or dropped. */
#include "redis.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 200 };

static const char *field(const redisReply *entry, const char *name, size_t *ret_len)
{
	const redisReply *f = entry->element[1];

	for (size_t i = 0; i + 1 < f->elements; i += 2)
		if (!strcmp(f->element[i]->str, name)) {
			if (ret_len)
				*ret_len = f->element[i + 1]->len;
			return f->element[i + 1]->str;
		}
	return "";
}

static void print_one(const struct ctl *c, const redisReply *e)
{
	size_t len = 0;
	json_t *j;

	field(e, "e", &len);
	if (!c->json) {
		printf("%-20s %-12s %-20s %6zu bytes  %s\n", e->element[0]->str,
		       field(e, "channel", NULL), field(e, "id", NULL), len,
		       field(e, "reason", NULL));
		return;
	}
	j = json_pack("{s:s, s:s, s:s, s:s, s:I}", "id", e->element[0]->str, "channel",
		      field(e, "channel", NULL), "entry", field(e, "id", NULL), "reason",
		      field(e, "reason", NULL), "bytes", (json_int_t)len);
	ctl_put_json(j);
}

/* A page at a time, so that memory is bounded however many there are. */
static int list(const struct ctl *c, struct ctl_redis *r)
{
	char from[48] = "-";
	size_t n = PAGE;

	while (n == PAGE) {
		redisReply *page;
		int e = ctl_redis_command(r, &page, "XRANGE %s %s + COUNT %d",
					  ctl_redis_key(r, "quarantine"), from, PAGE);

		if (e)
			return e;
		n = page->elements;
		for (size_t i = 0; i < n; i++)
			print_one(c, page->element[i]);
		if (n)
			snprintf(from, sizeof from, "(%.40s",
				 page->element[n - 1]->element[0]->str);
		freeReplyObject(page);
	}
	return 0;
}

static void print_hex(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf("%02x%s", (unsigned char)p[i], i % 32 == 31 ? "\n" : "");
	if (n % 32)
		putchar('\n');
}

static int show(const struct ctl *c, struct ctl_redis *r, const char *id)
{
	redisReply *reply;
	const char *bytes;
	char *text;
	size_t len = 0;
	int e = ctl_redis_command(r, &reply, "XRANGE %s %s %s", ctl_redis_key(r, "quarantine"), id,
				  id);

	if (e)
		return e;
	if (reply->elements == 0) {
		freeReplyObject(reply);
		return ctl_fail(EX_DATAERR, "%s: not in the quarantine", id);
	}
	print_one(c, reply->element[0]);
	bytes = field(reply->element[0], "e", &len);
	if (dibao_event_to_json(bytes, len, &text) == 0) {
		puts(text);
		free(text);
	} else {
		print_hex(bytes, len);
	}
	freeReplyObject(reply);
	return 0;
}

static int retry(const struct ctl *c, struct ctl_redis *r, const char *id)
{
	redisReply *reply;
	bool gone, conflict;
	int e = ctl_redis_call(r, &reply, "dibao_retry", id, r->who, NULL);

	if (e)
		return e;
	gone = !strcmp(reply->str, "gone");
	conflict = !strcmp(reply->str, "conflict");
	if (c->json && !gone)
		ctl_done(c, "id", id, reply->str);
	else if (!gone)
		puts(reply->str);
	freeReplyObject(reply);
	if (gone)
		return ctl_fail(EX_DATAERR, "%s: not in the quarantine", id);
	return conflict ? ctl_fail(EX_DATAERR, "%s: its uid was published with other content", id)
			: 0;
}

static int drop(const struct ctl *c, struct ctl_redis *r, const char *id)
{
	redisReply *reply;
	long long n;
	int e = ctl_redis_call(r, &reply, "dibao_drop", id, r->who, NULL);

	if (e)
		return e;
	n = reply->integer;
	freeReplyObject(reply);
	if (!n)
		return ctl_fail(EX_DATAERR, "%s: not in the quarantine", id);
	ctl_done(c, "id", id, "dropped");
	return 0;
}

/* "1795622807135-0" */
static bool is_id(const char *text)
{
	size_t n = strspn(text, "0123456789"),
	       k = text[n] == '-' ? strspn(text + n + 1, "0123456789") : 0;

	return n > 0 && n < 20 && k > 0 && k < 20 && !text[n + 1 + k];
}

int ctl_quarantine(struct ctl *c, int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	struct ctl_redis r;
	int e;

	if (!(!strcmp(verb, "list") && argc == 2) &&
	    !((!strcmp(verb, "show") || !strcmp(verb, "retry") || !strcmp(verb, "drop")) &&
	      argc == 3))
		return ctl_fail(EX_USAGE,
				"quarantine: expected list, show ID, retry ID or drop ID");
	if (argc == 3 && !is_id(argv[2]))
		return ctl_fail(EX_USAGE, "quarantine: %s: expected an id as list shows it",
				argv[2]);
	e = ctl_redis_open(&r, c, true);
	if (e)
		return e;
	e = !strcmp(verb, "list")    ? list(c, &r)
	    : !strcmp(verb, "show")  ? show(c, &r, argv[2])
	    : !strcmp(verb, "retry") ? retry(c, &r, argv[2])
				     : drop(c, &r, argv[2]);
	ctl_redis_close(&r);
	return e;
}
