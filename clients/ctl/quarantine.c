/* SPDX-License-Identifier: Apache-2.0 */
/* Entries that were set aside: seen, published again once mended or understood, or dropped. */
#include "redis.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void print_one(const struct ctl *c, const redisReply *e)
{
	const redisReply *bytes = ctl_redis_value(e, "e");
	size_t len = bytes ? bytes->len : 0;
	json_t *j;

	if (!c->json) {
		printf("%-20s %-12s %-20s %6zu bytes  %s\n", e->element[0]->str,
		       ctl_redis_field(e, "channel"), ctl_redis_field(e, "id"), len,
		       ctl_redis_field(e, "reason"));
		return;
	}
	j = json_pack("{s:s, s:s, s:s, s:s, s:I}", "id", e->element[0]->str, "channel",
		      ctl_redis_field(e, "channel"), "entry", ctl_redis_field(e, "id"), "reason",
		      ctl_redis_field(e, "reason"), "bytes", (json_int_t)len);
	ctl_put_json(j);
}

static void on_entry(const redisReply *entry, void *userdata)
{
	print_one(userdata, entry);
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
	const redisReply *bytes;
	char *text;
	int e = ctl_redis_command(r, &reply, "XRANGE %s %s %s", ctl_redis_key(r, "quarantine"), id,
				  id);

	if (e)
		return e;
	if (reply->elements == 0) {
		freeReplyObject(reply);
		return ctl_fail(EX_DATAERR, "%s: not in the quarantine", id);
	}
	print_one(c, reply->element[0]);
	bytes = ctl_redis_value(reply->element[0], "e");
	if (bytes && dibao_event_to_json(bytes->str, bytes->len, &text) == 0) {
		puts(text);
		free(text);
	} else if (bytes) {
		print_hex(bytes->str, bytes->len);
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
	if (argc == 3 && !ctl_redis_is_id(argv[2]))
		return ctl_fail(EX_USAGE, "quarantine: %s: expected an id as list shows it",
				argv[2]);
	e = ctl_redis_open(&r, c, true);
	if (e)
		return e;
	e = !strcmp(verb, "list")    ? ctl_redis_list(&r, c, "quarantine", on_entry)
	    : !strcmp(verb, "show")  ? show(c, &r, argv[2])
	    : !strcmp(verb, "retry") ? retry(c, &r, argv[2])
				     : ctl_redis_act(c, &r, "dibao_drop", argv[2], "id", "dropped",
						     "not in the quarantine");
	ctl_redis_close(&r);
	return e;
}
