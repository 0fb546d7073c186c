/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranges of a channel for catch-up. Everything up to where the tail has been
 * is adopted and sorted out already, so here an entry is valid or skipped.
 *
 * A voided request has no reader; it is freed with its answer.
 */
#include "reader_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { RANGE_COUNT_MAX = 4096 };

struct range_request {
	struct reader *reader;
	struct range_request *next;
	unsigned count;
	enum dibao_channel channel;
	struct entry_id after, upto;
	reader_range_end_fn early;
	reader_range_fn fn;
	void *userdata;
};

static void range_unlink(struct reader *r, const struct range_request *q)
{
	for (struct range_request **at = &r->ranges; *at; at = &(*at)->next) {
		if (*at == q) {
			*at = q->next;
			return;
		}
	}
}

/* Valid entries of the reply into r->range_entries; their number or a negative errno. */
static ssize_t range_collect(struct reader *r, const struct range_request *q,
			     const redisReply *reply)
{
	char reason[ENTRY_REASON_MAX];
	size_t n = 0;

	if (reply->elements > r->n_range_entries) {
		struct entry *more = reallocarray(r->range_entries, reply->elements, sizeof *more);

		if (!more) {
			return -ENOMEM;
		}
		r->range_entries = more;
		r->n_range_entries = reply->elements;
	}
	for (size_t i = 0; i < reply->elements; i++) {
		struct raw_entry raw;

		if (raw_entry_read(&raw, reply->element[i]) < 0) {
			return -EBADMSG;
		}
		if ((raw.by_function || !r->public_only) &&
		    entry_check(&r->range_entries[n], &raw, q->channel, reason) == 0) {
			n++;
		}
	}
	return (ssize_t)n;
}

/* What the reply covers: up to its last entry when it is full, else all that was asked. */
static int range_end(const struct range_request *q, const redisReply *reply, struct entry_id *ret)
{
	struct raw_entry raw;

	if (reply->elements < q->count) {
		*ret = q->upto;
		return 0;
	}
	if (raw_entry_read(&raw, reply->element[reply->elements - 1]) < 0) {
		return -EBADMSG;
	}
	*ret = raw.id;
	return 0;
}

static int range_send(struct reader *r, struct range_request *q);

static void on_range(struct redis_link *l, const redisReply *reply, void *userdata)
{
	struct range_request *q = userdata;
	struct reader *r = q->reader;
	struct entry_id end = q->upto;
	ssize_t n;

	(void)l;
	if (!r) {
		free(q);
		return;
	}
	if (redis_reply_is_error(reply, REDIS_LINK_OVERSIZE) && q->count > 1) {
		q->count /= 2;
		if (range_send(r, q) == 0) {
			return;
		}
	}
	if (!reply) {
		n = -ENOTCONN;
	} else if (reply->type != REDIS_REPLY_ARRAY) {
		reader_log_fault("cannot read a range", reply);
		n = -EIO;
	} else {
		n = range_end(q, reply, &end);
		if (n == 0 && q->early) {
			q->early(q->channel, end, q->userdata);
		}
		if (n == 0) {
			n = range_collect(r, q, reply);
		}
	}
	range_unlink(r, q);
	q->fn(q->channel, r->range_entries, n < 0 ? 0 : (size_t)n, end, n < 0 ? (int)n : 0,
	      q->userdata);
	free(q);
}

static int range_send(struct reader *r, struct range_request *q)
{
	char from[ENTRY_ID_TEXT + 1] = "(", to[ENTRY_ID_TEXT], count[16];
	const char *argv[] = {"XRANGE", r->keys[q->channel], from, to, "COUNT", count};

	(void)entry_id_format(from + 1, q->after);
	(void)entry_id_format(to, q->upto);
	(void)snprintf(count, sizeof count, "%u", q->count);
	return redis_link_command(r->range_link, on_range, q, 6, argv, NULL, 0);
}

int reader_range(struct reader *r, enum dibao_channel c, struct entry_id after,
		 struct entry_id upto, unsigned count, reader_range_end_fn early,
		 reader_range_fn fn, void *userdata)
{
	struct range_request *q = calloc(1, sizeof *q);
	int k;

	if (!q) {
		return -ENOMEM;
	}
	*q = (struct range_request){
		.reader = r,
		.count = count < 1		   ? 1
			 : count > RANGE_COUNT_MAX ? RANGE_COUNT_MAX
						   : count,
		.channel = c,
		.after = after,
		.upto = upto,
		.early = early,
		.fn = fn,
		.userdata = userdata,
	};
	k = range_send(r, q);
	if (k < 0) {
		free(q);
		return k;
	}
	redis_link_flush(r->range_link);
	q->next = r->ranges;
	r->ranges = q;
	return 0;
}

void ranges_void(struct reader *r)
{
	for (struct range_request *q = r->ranges; q; q = q->next) {
		q->reader = NULL;
	}
	r->ranges = NULL;
}
