/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program's log: to the journal with fields when stderr is the journal,
 * else one line on stderr, "<level> text  KEY=value ...". A message is logged once, where
 * the decision falls. Names, numbers and texts of people never enter it: ids only.
 *
 * Bounded: log_limited() lets through 10 lines a minute per key and then says
 * how many it held back.
 */
#ifndef HOST_LOG_H
#define HOST_LOG_H

#include <stdbool.h>
#include <syslog.h>

/* level: LOG_ERR ... LOG_DEBUG. Fields: "DIBAO_CLIENT=board-1" pairs, ended by NULL. */
#define log_event(level, message_id, text, ...)                                                    \
	log_write((level), (message_id), (text), ##__VA_ARGS__, NULL)
/* printf into the text, no fields. */
void log_text(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* message_id: NULL or one of log_ids.h's. After text: fields as char pointers, then NULL. */
void log_write(int level, const char *message_id, const char *text, ...) __attribute__((sentinel));
/* Both: an id, and one field or NULL. */
void log_told(int level, const char *message_id, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* True if a line of this key may be written now. key is a static string. */
bool log_limited(const char *key);
void log_open(const char *program);
int log_set_level(const char *name); /* 0, -EINVAL */

#endif
