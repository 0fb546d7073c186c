/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results of a driver that knows them at once, handed on from the loop, for submit() must have
 * returned before its result comes. For drivers; bounded by what they take: LATER_MAX.
 */
#ifndef SMS_LATER_H
#define SMS_LATER_H

#include "driver.h"

enum { LATER_MAX = 1024 };

struct later {
	struct driver *driver; /* borrowed */
	sd_event_source *source;
	unsigned n, first;
	struct later_result {
		char id[DRIVER_ID_MAX + 1];
		unsigned attempt;
		struct driver_result result;
	} * ring; /* LATER_MAX */
};

int later_init(struct later *l, struct driver *d);
/* What waits is handed on now. */
void later_done(struct later *l);
unsigned later_room(const struct later *l);
/* There must be room. */
void later_add(struct later *l, const struct driver_text *text, const struct driver_result *result);

#endif
