/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The form of the spool's files: for people to read, and for a ferry across an isolated network.
 *
 * out/NAME.txt, NAME = <hash of the uid>-<attempt>: head lines "key: value", an empty line, the
 * text. Keys: id, attempt, to, parts, template, urgent, var-NAME.
 * in/NAME.result, written elsewhere under another name and then renamed: id, attempt, result
 * (queued, accepted, delivered, failed, expired) and code. Once it is taken it is removed; one
 * that cannot be read goes to bad/.
 *
 * in/NAME.answer: what a handset answered: from (a number), an empty line, the text.
 *
 * Pure, but for the head's reader, which borrows the text it is given.
 */
#ifndef SMS_SPOOL_H
#define SMS_SPOOL_H

#include "driver.h"

enum { SPOOL_NAME_MAX = 64, SPOOL_RESULT_MAX = 4096, SPOOL_FIELDS_MAX = 16 };

/* Without its suffix. */
void spool_name(char ret[SPOOL_NAME_MAX], const char *id, unsigned attempt);
/* The whole of an out/ file; malloc()ed, NUL-terminated, the caller's. NULL: no memory. */
char *spool_format(const struct driver_text *text, size_t *ret_len);

/* The head lines of a result. */
struct spool_fields {
	const char *name[SPOOL_FIELDS_MAX], *value[SPOOL_FIELDS_MAX];
	unsigned n;
};

/* Cuts text, which is changed, into fields. 0, -EBADMSG. */
int spool_read(struct spool_fields *ret, char *text);
const char *spool_get(const void *fields, const char *name);
int spool_parse(const char *(*get)(const void *source, const char *name), const void *source,
		struct driver_receipt *ret);

#endif
