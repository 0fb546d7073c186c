/* SPDX-License-Identifier: Apache-2.0 */
/* What Redis came back without and nobody could put back. It stands, and status alarms, until a
 * person has seen to it. */
#include "redis.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Of scheduled events, as many as were noted. */
static json_t *uids(const redisReply *entry)
{
	const redisReply *f = entry->element[1];
	json_t *list = json_array();

	for (size_t i = 0; i + 1 < f->elements; i += 2)
		if (!strcmp(f->element[i]->str, "uid"))
			json_array_append_new(
				list, json_stringn(f->element[i + 1]->str, f->element[i + 1]->len));
	return list;
}

static void print_one(const redisReply *e, void *userdata)
{
	const struct ctl *c = userdata;
	const char *id = e->element[0]->str, *channel = ctl_redis_field(e, "channel"),
		   *reason = ctl_redis_field(e, "reason");
	int64_t from = atoll(ctl_redis_field(e, "from")), to = atoll(ctl_redis_field(e, "to"));
	char a[CTL_TIME], b[CTL_TIME];
	json_t *list = uids(e), *v;
	size_t i;

	if (c->json) {
		ctl_put_json(json_pack("{s:s, s:s, s:I, s:I, s:s, s:o}", "id", id, "channel",
				       channel, "from", (json_int_t)from, "to", (json_int_t)to,
				       "reason", reason, "uids", list));
		return;
	}
	printf("%-20s %-12s %s to %s  %s\n", id, channel, ctl_time(a, from), ctl_time(b, to),
	       reason);
	json_array_foreach(list, i, v)
	{
		fputs("  ", stdout);
		ctl_put_text(json_is_string(v) ? json_string_value(v) : "?", 0);
		putchar('\n');
	}
	json_decref(list);
}

int ctl_lost(struct ctl *c, int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	struct ctl_redis r;
	int e;

	if (!(!strcmp(verb, "list") && argc == 2) &&
	    !(!strcmp(verb, "settle") && argc == 3 && ctl_redis_is_id(argv[2])))
		return ctl_fail(EX_USAGE, "lost: expected list, or settle ID as list shows it");
	e = ctl_redis_open(&r, c, true);
	if (e)
		return e;
	e = !strcmp(verb, "list") ? ctl_redis_list(&r, c, "lost", print_one)
				  : ctl_redis_act(c, &r, "dibao_settle", argv[2], "id", "settled",
						  "no such loss");
	ctl_redis_close(&r);
	return e;
}
