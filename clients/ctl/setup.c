/* SPDX-License-Identifier: Apache-2.0 */
#include "../sms/outbox_functions.h"
#include "queue.h"
#include "setup_acl.h"

#include <string.h>

static int load(const struct ctl *c, struct ctl_redis *r)
{
	struct dibao_error err;
	int e;

	if (queue_setup(r->context, c->bureau, &err) < 0 ||
	    outbox_functions_load(r->context, &err) < 0)
		return ctl_error(&err);
	e = ctl_redis_audit(r, "setup", queue_functions_version(), "ok");
	if (e)
		return e;
	if (c->json)
		printf("{\"ok\":true,\"version\":\"%s\"}\n", queue_functions_version());
	else
		printf("functions %s loaded for bureau %s\n", queue_functions_version(), c->bureau);
	return 0;
}

int ctl_setup(struct ctl *c, int argc, char **argv)
{
	struct setup_acl a = {0};
	bool acl = argc > 1 && !strcmp(argv[1], "--acl");
	struct ctl_redis r;
	int i = acl ? 2 : 1, e;

	for (; acl && i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--apply"))
			a.apply = true;
		else if (!strcmp(argv[i], "--replace"))
			a.replace = true;
		else if (!strcmp(argv[i], "--passwords") && i + 1 < argc)
			a.passwords = argv[++i];
		else
			break;
	}
	if (i < argc && (!acl || argv[i][0] == '-'))
		return ctl_fail(EX_USAGE, "setup: unexpected argument: %s", argv[i]);
	if (!a.apply && (a.replace || a.passwords))
		return ctl_fail(EX_USAGE, "setup --acl: --replace and --passwords go with --apply");
	a.names = argv + i;
	if (acl && !a.apply)
		return setup_acl_print(c, &a);
	e = ctl_redis_open(&r, c, false);
	if (e)
		return e;
	e = acl ? setup_acl_apply(c, &r, &a) : load(c, &r);
	ctl_redis_close(&r);
	return e;
}
