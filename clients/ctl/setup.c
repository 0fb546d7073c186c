/* SPDX-License-Identifier: Apache-2.0 */
#include "queue.h"
#include "redis.h"

int ctl_setup(struct ctl *c, int argc, char **argv)
{
	struct ctl_redis r;
	struct dibao_error err;
	int e;

	if (argc > 1)
		return ctl_fail(EX_USAGE, "setup: unexpected argument: %s", argv[1]);
	e = ctl_redis_open(&r, c, false);
	if (e)
		return e;
	e = queue_setup(r.context, c->bureau, &err);
	ctl_redis_close(&r);
	if (e < 0)
		return ctl_error(&err);
	if (c->json)
		printf("{\"ok\":true,\"version\":\"%s\"}\n", queue_functions_version());
	else
		printf("functions %s loaded for bureau %s\n", queue_functions_version(), c->bureau);
	return 0;
}
