/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quiet hours: when a text that could go now will go. By China's time, +08:00 the year round, no
 * matter what the machine's zone is; pure, with the time passed in. Holding, pacing and waking up
 * are the outbox's.
 */
#ifndef SMS_QUIET_H
#define SMS_QUIET_H

#include <dibao/event.h>

/* Minutes of the day, 0..1440. from > until passes midnight; from == until: never quiet. */
struct quiet_hours {
	unsigned from_min, until_min;
};

/* 21:00 to 08:00. */
struct quiet_hours quiet_default(void);
/* "21:00-08:00", or "none". 0, -EINVAL. */
int quiet_parse(struct quiet_hours *ret, const char *text);

bool quiet_is(const struct quiet_hours *q, int64_t now_ms);
/* The first moment at or after now_ms that is not quiet; now_ms itself for an urgent text. */
int64_t quiet_due(const struct quiet_hours *q, int64_t now_ms, bool urgent);

/*
 * The last moment at which a text about the event is of use: the earlier of `expires` and a visit's
 * time; INT64_MAX if there is none. A text due at or after it comes too late: it goes on the list
 * at once, with quiet_late_words().
 */
int64_t quiet_deadline(const struct dibao_event *ev);
const char *quiet_late_words(void);

#endif
