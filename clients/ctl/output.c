/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl.h"

#include <jansson.h>

void ctl_put_json(struct json_t *j)
{
	json_dumpf(j, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(j);
}

void ctl_done(const struct ctl *c, const char *what, const char *name, const char *result)
{
	if (c->json)
		ctl_put_json(json_pack("{s:s, s:s}", what, name, "result", result));
}
