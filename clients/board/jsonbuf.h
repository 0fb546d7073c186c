/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON written straight into a growing buffer, on one line: for thousands of items a tree of them
 * would cost several times their size.
 *
 * Text is data of others. Besides what JSON asks for, < > & and the two line separators of Unicode
 * are escaped, so that it can stand in a script or a line of a stream whatever it says.
 */
#ifndef BOARD_JSONBUF_H
#define BOARD_JSONBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jsonbuf {
	char *p; /* owned; NUL-terminated once something was written */
	size_t n, cap;
	bool failed;   /* no memory: all further writes do nothing */
	bool is_first; /* in the object or array that is open */
};

void jsonbuf_done(struct jsonbuf *j);
/* As it is. */
void jsonbuf_raw(struct jsonbuf *j, const char *text);
void jsonbuf_open(struct jsonbuf *j, char bracket);  /* { or [ */
void jsonbuf_close(struct jsonbuf *j, char bracket); /* } or ] */
/* A comma if one is due; before an element of an array. */
void jsonbuf_next(struct jsonbuf *j);
/* Before a member's value; the key is plain ASCII. */
void jsonbuf_key(struct jsonbuf *j, const char *key);
/* Bytes that are UTF-8. */
void jsonbuf_text(struct jsonbuf *j, const char *p, size_t len);
void jsonbuf_int(struct jsonbuf *j, int64_t v);
void jsonbuf_hex(struct jsonbuf *j, const uint8_t *p, size_t len);
/* Key and value. */
void jsonbuf_key_text(struct jsonbuf *j, const char *key, const char *text);
void jsonbuf_key_int(struct jsonbuf *j, const char *key, int64_t v);
void jsonbuf_key_bool(struct jsonbuf *j, const char *key, bool v);

#endif
