/* SPDX-License-Identifier: Apache-2.0 */
#include "later.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void hand_on(struct later *l)
{
	/* What on_result does may add more: those have their turn in the next round. */
	for (unsigned n = l->n; n > 0; n--) {
		struct later_result r = l->ring[l->first];

		l->first = (l->first + 1) % LATER_MAX;
		l->n--;
		l->driver->opt.on_result(l->driver, r.id, r.attempt, &r.result,
					 l->driver->opt.userdata);
	}
}

static int on_turn(sd_event_source *s, void *userdata)
{
	struct later *l = userdata;

	hand_on(l);
	return sd_event_source_set_enabled(s, l->n ? SD_EVENT_ON : SD_EVENT_OFF);
}

int later_init(struct later *l, struct driver *d)
{
	int r;

	*l = (struct later){.driver = d, .ring = calloc(LATER_MAX, sizeof *l->ring)};
	if (!l->ring)
		return -ENOMEM;
	r = sd_event_add_defer(d->opt.event, &l->source, on_turn, l);
	if (r >= 0)
		r = sd_event_source_set_enabled(l->source, SD_EVENT_OFF);
	return r < 0 ? r : 0;
}

void later_done(struct later *l)
{
	if (l->ring)
		hand_on(l);
	sd_event_source_disable_unref(l->source);
	free(l->ring);
	*l = (struct later){0};
}

unsigned later_room(const struct later *l)
{
	return LATER_MAX - l->n;
}

void later_add(struct later *l, const struct driver_text *text, const struct driver_result *result)
{
	struct later_result *r = &l->ring[(l->first + l->n++) % LATER_MAX];

	snprintf(r->id, sizeof r->id, "%s", text->id);
	r->attempt = text->attempt;
	r->result = *result;
	(void)sd_event_source_set_enabled(l->source, SD_EVENT_ON);
}
