/* SPDX-License-Identifier: Apache-2.0 */
/* Where a packer of messages writes to: the caller's buffer, which never grows. */
#ifndef LIB_OUTBUF_H
#define LIB_OUTBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct outbuf {
	uint8_t *buf;
	size_t cap, n;
	bool full; /* something did not fit: what stands there is worth nothing */
};

/* A msgpack_packer's callback. 0, or -1: it did not fit. */
static inline int outbuf_write(void *data, const char *p, size_t n)
{
	struct outbuf *o = data;

	if (o->cap - o->n < n) {
		o->full = true;
		return -1;
	}
	memcpy(o->buf + o->n, p, n);
	o->n += n;
	return 0;
}

#endif
