/* SPDX-License-Identifier: Apache-2.0 */
/* access: asks the policy's file by the very functions that the daemon asks. */
#include "../../daemon/access.h"
#include "ctl.h"

#include <jansson.h>
#include <time.h>

struct question {
	const char *name, *type, *org, *file;
};

static int parse(struct question *q, int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		const char **at = !strcmp(argv[i], "--type")   ? &q->type
				  : !strcmp(argv[i], "--org")  ? &q->org
				  : !strcmp(argv[i], "--file") ? &q->file
							       : NULL;

		if (at && i + 1 < argc)
			*at = argv[++i];
		else if (!at && argv[i][0] != '-' && !q->name)
			q->name = argv[i];
		else
			return ctl_fail(EX_USAGE, "access: unexpected argument: %s", argv[i]);
	}
	if (!q->name)
		return ctl_fail(EX_USAGE, "access check: expected a name");
	if (!q->file)
		return ctl_fail(EX_CONFIG,
				"access: the configuration names no policy: access = FILE, "
				"or --file FILE");
	return 0;
}

static void print_channels(uint8_t channels)
{
	const char *before = " ";

	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		if (channels >> c & 1) {
			printf("%s%s", before, dibao_channel_name(c));
			before = ",";
		}
}

static void print_answer(const struct ctl *c, const struct question *q,
			 const struct access_entry *e, const struct access_answer *a)
{
	if (c->json) {
		json_t *o = json_pack("{s:s, s:b, s:s, s:i, s:s}", "name", e->name, "allowed",
				      a->yes, "file", q->file, "line", (int)a->line, "why", a->why);

		ctl_put_json(o);
		return;
	}
	printf("%s %s:%u: [%s] %s", a->yes ? "yes" : "no", q->file, a->line, e->name, a->why);
	if (a->yes) {
		printf(": %s,", access_kind_name(e->kind));
		print_channels(e->channels);
		if (e->durable[0])
			printf(", durable %s", e->durable);
	}
	putchar('\n');
}

static int check(struct ctl *c, int argc, char **argv)
{
	struct question q = {.file = c->access};
	struct dibao_str type = {NULL, 0};
	const struct access_entry *e;
	struct access_answer a;
	struct access *policy;
	int r = parse(&q, argc, argv);

	if (r)
		return r;
	if (access_load(&policy, q.file, stderr) < 0)
		return EX_CONFIG;
	e = access_find(policy, q.name);
	if (!e) {
		access_free(policy);
		return ctl_fail(EX_NOUSER, "no %s: [%s] is not there", q.file, q.name);
	}
	if (q.type)
		type = (struct dibao_str){q.type, strlen(q.type)};
	a = access_allows(e, type, q.org, q.org ? strlen(q.org) : 0, -1,
			  (int64_t)time(NULL) * 1000);
	print_answer(c, &q, e, &a);
	access_free(policy);
	return a.yes ? 0 : EX_NOPERM;
}

int ctl_access(struct ctl *c, int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "check"))
		return check(c, argc, argv);
	/* The policy is part of what the daemon reads anew, and is refused with the rest. */
	if (argc == 2 && !strcmp(argv[1], "reload"))
		return ctl_reload(c, 1, argv);
	return ctl_fail(EX_USAGE, "access: expected check NAME, or reload");
}
