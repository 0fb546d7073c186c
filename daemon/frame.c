/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"
#include "clock.h"

#include <dibao/view.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

static atomic_size_t live_bytes;

size_t frame_live_bytes(void)
{
	return atomic_load_explicit(&live_bytes, memory_order_relaxed);
}

/* On libzmq's I/O thread, or ours. */
static void release(void *data, void *hint)
{
	atomic_fetch_sub_explicit(&live_bytes, (size_t)hint, memory_order_relaxed);
	free(data);
}

void frame_done(struct frame *f)
{
	if (f->count)
		zmq_msg_close(&f->msg);
	f->count = 0;
}

/* Adds an item at p if it fits before end. Its end, or NULL. */
static uint8_t *add_item(uint8_t *p, const uint8_t *end, uint8_t kind, uint8_t flags,
			 const void *bytes, size_t len)
{
	if ((size_t)(end - p) < WIRE_ITEM_HEADER_BYTES + len)
		return NULL;
	p = wire_item_pack(p, kind, flags, (uint16_t)len);
	memcpy(p, bytes, len);
	return p + len;
}

static uint8_t *add_withdrawn(uint8_t *p, const uint8_t *end, const struct frame_context *ctx,
			      const struct lane *lane, const struct segment *s,
			      const struct record *r)
{
	struct dibao_str uid = record_w_uid(s, r);
	uint8_t pid[DIBAO_PID_BYTES], buf[128];
	int n;

	dibao_pid(ctx->view_key, uid.p, uid.len, pid);
	n = wire_withdrawn_pack(buf, sizeof buf, pid, uid.p,
				lane->filter.public_view ? 0 : uid.len);
	return n < 0 ? NULL : add_item(p, end, DIBAO_ITEM_WITHDRAWN, 0, buf, (size_t)n);
}

int frame_view(const struct frame_context *ctx, const struct lane *lane, const struct segment *s,
	       const struct record *r, uint8_t *buf, size_t cap)
{
	struct dibao_event ev;
	int n;

	if (withdrawn_has(ctx->withdrawn, r->uid_hash))
		return 0;
	if (dibao_event_parse(&ev, record_bytes(s, r), r->len, NULL) < 0 ||
	    hidden_has(ctx->hidden, ev.badge, queue_clock_ms(ctx->clock)))
		return 0;
	n = dibao_view_encode(&ev, ctx->view_key, lane->filter.mask_names, buf, cap);
	return n < 0 ? 0 : n;
}

static uint8_t *add_view(uint8_t *p, const uint8_t *end, const struct frame_context *ctx,
			 const struct lane *lane, const struct segment *s, const struct record *r,
			 uint32_t *count)
{
	uint8_t buf[DIBAO_EVENT_MAX_BYTES];
	int n = frame_view(ctx, lane, s, r, buf, sizeof buf);

	if (!n)
		return p;
	p = add_item(p, end, DIBAO_ITEM_VIEW, r->flags & RECORD_HIDING ? WIRE_ITEM_IS_AGAIN : 0,
		     buf, (size_t)n);
	if (p)
		++*count;
	return p;
}

/* All that the lane gets of one record, at p: its end, or NULL when it does not fit. */
static uint8_t *add_record(uint8_t *p, const uint8_t *end, const struct frame_context *ctx,
			   const struct lane *lane, const struct segment *s, const struct record *r,
			   unsigned wants, uint32_t *count)
{
	uint32_t n = *count;

	if (wants & LANE_WITHDRAWN) {
		p = add_withdrawn(p, end, ctx, lane, s, r);
		if (!p)
			return NULL;
		n++;
	}
	if ((wants & LANE_EVENT) && lane->filter.public_view) {
		p = add_view(p, end, ctx, lane, s, r, &n);
	} else if (wants & LANE_EVENT) {
		bool gone = withdrawn_has(ctx->withdrawn, r->uid_hash);

		p = add_item(p, end, DIBAO_ITEM_EVENT, gone ? WIRE_ITEM_IS_WITHDRAWN : 0,
			     record_bytes(s, r), r->len);
		n++;
	}
	if (p)
		*count = n;
	return p;
}

/* Where frames are put together before their size is known. One loop, one thread. */
static uint8_t scratch[WIRE_PAYLOAD_MAX];

/* Move what stands in scratch into the frame. */
static int finish(struct frame *f, size_t len, uint32_t count)
{
	void *data;

	f->count = 0;
	f->bytes = (uint32_t)len;
	if (!count)
		return 0;
	data = malloc(len);
	if (!data)
		return -ENOMEM;
	memcpy(data, scratch, len);
	if (zmq_msg_init_data(&f->msg, data, len, release, (void *)len) < 0) {
		free(data);
		return -ENOMEM;
	}
	atomic_fetch_add_explicit(&live_bytes, len, memory_order_relaxed);
	f->count = count;
	return 0;
}

int frame_encode(struct frame *ret, const struct frame_context *ctx, const struct lane *lane,
		 const struct segment *s, uint32_t first, uint32_t max_records,
		 struct entry_id after, uint32_t *ret_next)
{
	uint32_t i = first, stop = s->n - first > max_records ? first + max_records : s->n,
		 count = 0;
	const uint8_t *end = scratch + ctx->max_bytes;
	uint8_t *p = scratch;
	struct frame f = {.after = after};
	int r;

	for (; i < stop; i++) {
		unsigned wants = lane_wants(lane, s, &s->records[i]);
		uint8_t *q =
			wants ? add_record(p, end, ctx, lane, s, &s->records[i], wants, &count) : p;

		if (!q)
			break;
		p = q;
	}
	r = finish(&f, (size_t)(p - scratch), count);
	if (r < 0)
		return r;
	f.end = i == s->n ? s->to : i > first ? s->records[i - 1].id : after;
	*ret = f;
	*ret_next = i;
	return 0;
}

int frame_encode_list(struct frame *ret, const struct frame_context *ctx, const struct lane *lane,
		      const struct segment *s, const uint32_t *list, uint32_t n, uint32_t *ret_n)
{
	const uint8_t *end = scratch + ctx->max_bytes;
	uint8_t *p = scratch;
	struct frame f = {0};
	uint32_t i, count = 0;
	int r;

	for (i = 0; i < n; i++) {
		const struct record *rec = &s->records[list[i]];
		uint8_t *q =
			add_record(p, end, ctx, lane, s, rec, lane_wants(lane, s, rec), &count);

		if (!q)
			break;
		p = q;
	}
	r = finish(&f, (size_t)(p - scratch), count);
	if (r < 0)
		return r;
	*ret = f;
	*ret_n = i;
	return 0;
}
