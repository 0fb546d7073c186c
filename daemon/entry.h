/* SPDX-License-Identifier: Apache-2.0 */
/* An entry of a stream as the rest of the daemon sees it, and stream ids. */
#ifndef DAEMON_ENTRY_H
#define DAEMON_ENTRY_H

#include <dibao/subscriber.h>

/* A Redis stream id. {0,0} is before all. */
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

/* What takes an original back: field `w` of an entry. Borrowed. */
struct withdrawal {
	struct dibao_str type, org, uid;
};

/* One valid entry, borrowed for the callback that is given it. */
struct entry {
	struct entry_id id;
	bool has_event, has_withdrawal;
	bool by_function;	 /* written by a function of ours (field f) */
	struct dibao_event ev;	 /* if has_event: parsed and valid */
	struct withdrawal w;	 /* if has_withdrawal */
	struct dibao_str hidden; /* field x: "badge until"; p == NULL: none */
};

#endif
