/* SPDX-License-Identifier: Apache-2.0 */
#include "inflight.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

/* handle: 8 bits generation, 2 channel, 38 number, 16 item */
enum { ITEM_BITS = 16, NUMBER_BITS = 38 };

uint64_t inflight_handle(const struct inflight *f, enum dibao_channel c, uint64_t number,
			 uint32_t item)
{
	return (uint64_t)f->generation << 56 | (uint64_t)c << 54 |
	       (number & ((1ull << NUMBER_BITS) - 1)) << ITEM_BITS | item;
}

static unsigned handle_channel(uint64_t h)
{
	return h >> 54 & 3;
}

static uint64_t handle_number(uint64_t h)
{
	return h >> ITEM_BITS & ((1ull << NUMBER_BITS) - 1);
}

void inflight_init(struct inflight *f, bool keep_recent)
{
	*f = (struct inflight){.generation = 1, .keep_recent = keep_recent};
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		f->at[c].next_number = 1;
	randombytes_buf(f->key, sizeof f->key);
}

static struct in_frame *frame_at(const struct in_channel *c, uint32_t i)
{
	return &c->ring[(c->head + i) & (c->cap - 1)];
}

static void frame_done(struct in_frame *fr)
{
	if (fr->count)
		zmq_msg_close(&fr->payload);
	free(fr->acked);
	fr->acked = NULL;
}

static void recent_drop(struct inflight *f)
{
	zmq_msg_t *m = &f->recent.v[f->recent.head];

	f->recent.bytes -= zmq_msg_size(m);
	zmq_msg_close(m);
	f->recent.head = (f->recent.head + 1) & (f->recent.cap - 1);
	f->recent.n--;
}

/* Keeps the frame's payload for a while instead of closing it. */
static void recent_keep(struct inflight *f, uint8_t channel, struct in_frame *fr)
{
	size_t bytes = zmq_msg_size(&fr->payload);
	uint32_t at;

	if (!f->recent.v) {
		f->recent.v = calloc(INFLIGHT_RECENT_FRAMES, sizeof *f->recent.v);
		if (!f->recent.v)
			return;
		f->recent.cap = INFLIGHT_RECENT_FRAMES;
	}
	while (f->recent.n &&
	       (f->recent.n == f->recent.cap || f->recent.bytes + bytes > INFLIGHT_RECENT_BYTES))
		recent_drop(f);
	at = (f->recent.head + f->recent.n) & (f->recent.cap - 1);
	f->recent.channel[at] = channel;
	zmq_msg_init(&f->recent.v[at]);
	zmq_msg_move(&f->recent.v[at], &fr->payload);
	f->recent.bytes += bytes;
	f->recent.n++;
}

void inflight_done(struct inflight *f)
{
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		for (uint32_t i = 0; i < f->at[c].n; i++)
			frame_done(frame_at(&f->at[c], i));
		free(f->at[c].ring);
	}
	while (f->recent.n)
		recent_drop(f);
	free(f->recent.v);
	free(f->old);
	memset(f, 0, sizeof *f);
}

/* ---- items of earlier connections ---- */

static uint64_t item_hash(const struct inflight *f, const struct wire_item *it)
{
	uint64_t h;

	crypto_shorthash((unsigned char *)&h, it->bytes, it->len, f->key);
	h ^= it->kind;
	return h ? h : 1;
}

static struct old_item *old_slot(const struct inflight *f, uint64_t hash)
{
	uint32_t i = (uint32_t)hash & (f->old_cap - 1);

	while (f->old[i].hash && f->old[i].hash != hash)
		i = (i + 1) & (f->old_cap - 1);
	return &f->old[i];
}

static int old_add(struct inflight *f, uint64_t hash, uint64_t handle, uint8_t channel, bool acked)
{
	struct old_item *o;

	if (2 * (f->n_old + 1) > f->old_cap) {
		struct old_item *was = f->old;
		uint32_t was_cap = f->old_cap;
		uint32_t cap = was_cap ? 2 * was_cap : 256;

		f->old = calloc(cap, sizeof *f->old);
		if (!f->old) {
			f->old = was;
			return -ENOMEM;
		}
		f->old_cap = cap;
		for (uint32_t i = 0; i < was_cap; i++)
			if (was[i].hash)
				*old_slot(f, was[i].hash) = was[i];
		free(was);
	}
	o = old_slot(f, hash);
	if (o->hash) {
		o->alias = 0;
		return 0;
	}
	if (f->n_old == INFLIGHT_OLD_MAX)
		return -ENOBUFS;
	*o = (struct old_item){.handle = handle, .hash = hash, .channel = channel, .acked = acked};
	f->n_old++;
	return 0;
}

static struct old_item *old_by_handle(const struct inflight *f, uint64_t handle)
{
	for (uint32_t i = 0; i < f->old_cap; i++)
		if (f->old[i].hash && f->old[i].handle == handle)
			return &f->old[i];
	return NULL;
}

static bool item_acked(const struct in_frame *fr, uint32_t item)
{
	return item < fr->in_order || (fr->acked && (fr->acked[item / 8] >> item % 8 & 1));
}

static int remember(struct inflight *f, uint8_t channel, const uint8_t *p, uint32_t n,
		    uint64_t first_handle, const struct in_frame *fr)
{
	struct wire_item it;
	int r = 0;

	for (uint32_t i = 0; i < n && r == 0; i++) {
		p = wire_item_next(p, &it);
		r = old_add(f, item_hash(f, &it), first_handle ? first_handle + i : 0, channel,
			    fr ? item_acked(fr, i) : true);
	}
	return r;
}

static uint32_t items_in(const uint8_t *p, size_t len)
{
	uint32_t n = 0;

	for (const uint8_t *end = p + len; p < end; n++)
		p += WIRE_ITEM_HEADER_BYTES + (p[2] << 8 | p[3]);
	return n;
}

int inflight_reset(struct inflight *f)
{
	int r = 0;

	/* Copies that came on the connection that is over are gone with it. */
	for (uint32_t i = 0; i < f->old_cap; i++)
		f->old[i].alias = 0;
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		struct in_channel *ch = &f->at[c];

		for (uint32_t i = 0; i < ch->n; i++) {
			struct in_frame *fr = frame_at(ch, i);

			if (fr->count && r == 0)
				r = remember(f, (uint8_t)c, zmq_msg_data(&fr->payload),
					     fr->n_delivered, inflight_handle(f, c, fr->number, 0),
					     fr);
			frame_done(fr);
		}
		ch->n = ch->head = 0;
		ch->next_number = 1;
		ch->floor = ch->floor_sent = ch->floor_token = 0;
	}
	while (f->recent.n) {
		zmq_msg_t *m = &f->recent.v[f->recent.head];

		if (r == 0)
			r = remember(f, f->recent.channel[f->recent.head], zmq_msg_data(m),
				     items_in(zmq_msg_data(m), zmq_msg_size(m)), 0, NULL);
		recent_drop(f);
	}
	f->floor_bytes = 0;
	memset(f->bytes, 0, sizeof f->bytes);
	f->old_settled = 0;
	f->generation++;
	if (!f->generation)
		f->generation = 1;
	return r;
}

void inflight_forget_old(struct inflight *f, enum dibao_channel c)
{
	struct old_item *was = f->old;
	uint32_t cap = f->old_cap;

	if (!f->n_old || (f->old_settled >> c & 1))
		return;
	f->old_settled |= (uint8_t)(1u << c);
	/* What still stands for a copy in flight is needed by the application's ack. */
	f->old = NULL;
	f->n_old = f->old_cap = 0;
	for (uint32_t i = 0; i < cap; i++) {
		struct old_item *o = &was[i];

		if (!o->hash || (o->channel == c && (o->acked || !o->alias)))
			continue;
		if (old_add(f, o->hash, o->handle, o->channel, o->acked) < 0)
			break;
		old_slot(f, o->hash)->alias = o->alias;
	}
	free(was);
}

/* ---- frames ---- */

static bool is_urgent(enum dibao_channel c)
{
	return c == DIBAO_CHANNEL_PUBLIC_NOW || c == DIBAO_CHANNEL_PRIVATE_NOW;
}

static int grow(struct in_channel *c)
{
	uint32_t cap = c->cap ? 2 * c->cap : 8;
	struct in_frame *ring;

	if (c->n >= INFLIGHT_FRAMES_MAX)
		return -ENOBUFS;
	ring = calloc(cap, sizeof *ring);
	if (!ring)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->n; i++) {
		struct in_frame *from = frame_at(c, i);

		ring[i] = *from;
		if (from->count) {
			zmq_msg_init(&ring[i].payload);
			zmq_msg_move(&ring[i].payload, &from->payload);
			zmq_msg_close(&from->payload);
		}
	}
	free(c->ring);
	c->ring = ring;
	c->cap = cap;
	c->head = 0;
	return 0;
}

static void advance_floor(struct inflight *f, struct in_channel *c)
{
	while (c->n) {
		struct in_frame *fr = frame_at(c, 0);

		if (fr->n_acked < fr->count)
			break;
		c->floor = fr->number;
		c->floor_token = fr->token;
		f->floor_bytes += fr->bytes;
		f->bytes[is_urgent((enum dibao_channel)(c - f->at))] -= fr->bytes;
		if (f->keep_recent && fr->count)
			recent_keep(f, (uint8_t)(c - f->at), fr);
		frame_done(fr);
		c->head = (c->head + 1) & (c->cap - 1);
		c->n--;
	}
}

int inflight_push(struct inflight *f, const struct wire_data *d, zmq_msg_t *payload,
		  struct in_frame **ret)
{
	uint32_t *held = &f->bytes[is_urgent((enum dibao_channel)d->channel)];
	size_t bytes = d->count ? zmq_msg_size(payload) : 0;
	struct in_channel *c = &f->at[d->channel];
	struct in_frame *fr;

	if (d->number != c->next_number)
		return -EPROTO;
	if (f->window && *held && bytes && *held + bytes > f->window)
		return -ENOBUFS;
	if (c->n == c->cap) {
		int r = grow(c);

		if (r < 0)
			return r;
	}
	c->next_number++;
	fr = frame_at(c, c->n++);
	*fr = (struct in_frame){.number = d->number, .token = d->token, .count = d->count};
	if (d->count) {
		fr->bytes = (uint32_t)bytes;
		*held += fr->bytes;
		zmq_msg_init(&fr->payload);
		zmq_msg_move(&fr->payload, payload);
	} else {
		advance_floor(f, c);
	}
	*ret = fr;
	return 0;
}

/* The frame in flight with that number, or NULL. */
static struct in_frame *find_frame(const struct in_channel *c, uint64_t number)
{
	uint64_t first;

	if (!c->n)
		return NULL;
	first = frame_at(c, 0)->number;
	if (number < first || number - first >= c->n)
		return NULL;
	return frame_at(c, (uint32_t)(number - first));
}

static int ack_item(struct inflight *f, struct in_channel *c, struct in_frame *fr, uint32_t item)
{
	if (item >= fr->count || item_acked(fr, item))
		return -EINVAL;
	if (item == fr->in_order && !fr->acked) {
		fr->in_order++;
	} else {
		if (!fr->acked) {
			fr->acked = calloc((fr->count + 7) / 8, 1);
			if (!fr->acked)
				return -ENOMEM;
		}
		fr->acked[item / 8] |= (uint8_t)(1u << item % 8);
	}
	fr->n_acked++;
	if (fr->n_acked == fr->count)
		advance_floor(f, c);
	return 0;
}

bool inflight_is_repeat(struct inflight *f, enum dibao_channel c, struct in_frame *fr,
			uint32_t item, const struct wire_item *it)
{
	struct old_item *o;

	if (!f->n_old)
		return false;
	o = old_slot(f, item_hash(f, it));
	if (!o->hash)
		return false;
	if (o->acked)
		ack_item(f, &f->at[c], fr, item);
	else
		o->alias = inflight_handle(f, c, fr->number, item);
	return true;
}

static int old_ack(struct inflight *f, struct old_item *o)
{
	struct in_channel *c = &f->at[handle_channel(o->alias)];
	struct in_frame *fr;

	o->acked = true;
	if (!o->alias)
		return 0; /* when its copy comes, it counts as acked */
	fr = find_frame(c, handle_number(o->alias));
	return fr ? ack_item(f, c, fr, o->alias & 0xffff) : 0;
}

int inflight_ack(struct inflight *f, uint64_t handle)
{
	struct in_channel *c = &f->at[handle_channel(handle)];
	struct old_item *o;
	struct in_frame *fr;

	if (handle >> 56 == f->generation) {
		fr = find_frame(c, handle_number(handle));
		if (!fr || (uint32_t)(handle & 0xffff) >= fr->n_delivered)
			return -EINVAL;
		return ack_item(f, c, fr, handle & 0xffff);
	}
	o = old_by_handle(f, handle);
	if (!o)
		return 0; /* of an earlier connection, and settled */
	return o->acked ? -EINVAL : old_ack(f, o);
}

void inflight_ack_delivered(struct inflight *f)
{
	for (uint32_t i = 0; i < f->old_cap; i++) {
		struct old_item *o = &f->old[i];

		if (o->hash && !o->acked)
			old_ack(f, o);
	}
	for (int ch = 0; ch < DIBAO_CHANNEL_COUNT; ch++) {
		struct in_channel *c = &f->at[ch];

		for (uint32_t i = 0; i < c->n; i++) {
			struct in_frame *fr = frame_at(c, i);

			if (fr->n_delivered == fr->count) {
				fr->n_acked = fr->in_order = fr->count;
				continue;
			}
			for (uint32_t k = 0; k < fr->n_delivered; k++)
				if (!item_acked(fr, k))
					ack_item(f, c, fr, k);
		}
		advance_floor(f, c);
	}
}

bool inflight_ack_is_due(const struct inflight *f)
{
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		if (f->at[c].floor > f->at[c].floor_sent)
			return true;
	return false;
}

bool inflight_take_ack(struct inflight *f, struct wire_ack *ret)
{
	ret->n = 0;
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++) {
		struct in_channel *ch = &f->at[c];

		if (ch->floor <= ch->floor_sent)
			continue;
		ret->at[ret->n].channel = (uint8_t)c;
		ret->at[ret->n].number = ch->floor;
		ret->at[ret->n++].token = ch->floor_token;
		ch->floor_sent = ch->floor;
	}
	f->floor_bytes = 0;
	return ret->n > 0;
}
