/* SPDX-License-Identifier: Apache-2.0 */
/* The id of an entry of a Redis stream. */
#ifndef HOST_ENTRY_ID_H
#define HOST_ENTRY_ID_H

#include <stddef.h>
#include <stdint.h>

/* {0,0} is before all. */
struct entry_id {
	uint64_t ms, seq;
};

static inline int entry_id_cmp(struct entry_id a, struct entry_id b)
{
	return a.ms != b.ms	? (a.ms < b.ms ? -1 : 1)
	       : a.seq != b.seq ? (a.seq < b.seq ? -1 : 1)
				: 0;
}

enum { ENTRY_ID_TEXT = 42 };
/* "ms-seq" with NUL; returns its length. */
int entry_id_format(char buf[ENTRY_ID_TEXT], struct entry_id id);
/* 0, -EINVAL. "5" reads as 5-0. */
int entry_id_parse(struct entry_id *ret, const char *text, size_t len);

#endif
