/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a gateway's code means for us: a table in a file (config/sms/codes.tsv), so that a bureau
 * adds its carrier's codes without a new program. Columns, tab-separated: driver (or *), code (a *
 * at its end stands for any rest), retry_after (seconds; - never), does, meaning. `does` is of
 *   retry     the text may be tried again after retry_after
 *   number    the number is no good: marked until the roster changes it
 *   content   the text, signature or template is at fault: alarm
 *   stop      the gateway is at fault: it is stopped, the text waits, or goes by another
 *   other     this gateway will not have this text (its route, its carrier's register): another may
 *   final     this text is not tried again
 *   done      it arrived
 * one word, or two joined by a comma (number,final; content,other). A code not in the table is
 * `final` and told by "code not known"; it is counted, so that somebody adds it.
 */
#ifndef SMS_CODES_H
#define SMS_CODES_H

#include <stdbool.h>
#include <stddef.h>

enum { CODES_MAX = 2000, CODES_CODE_MAX = 64 };

struct code_action {
	bool retry, number, content, stop, other, final, done;
	unsigned retry_after_s; /* with retry or stop */
	const char *meaning;	/* in words, English; borrowed from the table */
	bool is_known;
};

struct codes_fault {
	unsigned line;
	char reason[160];
};

struct codes;
/* 0; -EINVAL, -ENOMEM, errors of open(), and *fault tells which line. */
int codes_load(struct codes **ret, const char *path, struct codes_fault *fault);
struct codes *codes_free(struct codes *c); /* returns NULL */
size_t codes_count(const struct codes *c);

/* The row of that driver and code: an exact code before a longest prefix, the driver's own before
 * *. Case does not matter, nor blanks at the ends. Never fails. */
struct code_action codes_find(const struct codes *c, const char *driver, const char *code,
			      size_t len);

#endif
