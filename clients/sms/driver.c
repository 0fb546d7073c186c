/* SPDX-License-Identifier: Apache-2.0 */
#include "driver.h"

#include <string.h>

static const struct driver_ops *const all[] = {&driver_none, &driver_spool, &driver_kannel,
					       &driver_null};

const struct driver_ops *driver_find(const char *name)
{
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (!strcmp(all[i]->name, name))
			return all[i];
	return NULL;
}
