/* SPDX-License-Identifier: Apache-2.0 */
#include "framecache.h"

#include <errno.h>
#include <stdlib.h>

enum { BUCKETS = 4096, NONE = -1 };

struct cached {
	struct frame frame;
	uint64_t lane;
	enum dibao_channel channel;
	int32_t next; /* in its bucket */
};

struct framecache {
	struct cached ring[FRAMECACHE_FRAMES];
	uint32_t head, n; /* oldest, number */
	size_t bytes;
	int32_t buckets[BUCKETS];
};

static uint32_t bucket_of(uint64_t lane, enum dibao_channel ch, struct entry_id after)
{
	uint64_t h = lane * 0x9e3779b97f4a7c15u ^ after.ms * 0xff51afd7ed558ccdu ^
		     (after.seq + 1) * 0xc4ceb9fe1a85ec53u ^ (uint64_t)ch << 60;

	h ^= h >> 29;
	h *= 0x9e3779b97f4a7c15u;
	return (uint32_t)(h >> 40) % BUCKETS;
}

int framecache_new(struct framecache **ret)
{
	struct framecache *c = calloc(1, sizeof *c);

	if (!c)
		return -ENOMEM;
	for (int i = 0; i < BUCKETS; i++)
		c->buckets[i] = NONE;
	*ret = c;
	return 0;
}

static void drop_oldest(struct framecache *c)
{
	struct cached *e = &c->ring[c->head];
	int32_t *at = &c->buckets[bucket_of(e->lane, e->channel, e->frame.after)];

	while (*at != (int32_t)c->head)
		at = &c->ring[*at].next;
	*at = e->next;
	c->bytes -= e->frame.bytes;
	frame_done(&e->frame);
	c->head = (c->head + 1) % FRAMECACHE_FRAMES;
	c->n--;
}

void framecache_clear(struct framecache *c)
{
	while (c->n)
		drop_oldest(c);
}

struct framecache *framecache_free(struct framecache *c)
{
	if (c) {
		framecache_clear(c);
		free(c);
	}
	return NULL;
}

struct frame *framecache_get(struct framecache *c, const struct lane *lane, enum dibao_channel ch,
			     struct entry_id after)
{
	for (int32_t i = c->buckets[bucket_of(lane->serial, ch, after)]; i != NONE;
	     i = c->ring[i].next) {
		struct cached *e = &c->ring[i];

		if (e->lane == lane->serial && e->channel == ch &&
		    entry_id_cmp(e->frame.after, after) == 0)
			return &e->frame;
	}
	return NULL;
}

struct frame *framecache_put(struct framecache *c, const struct lane *lane, enum dibao_channel ch,
			     struct frame *take)
{
	uint32_t b = bucket_of(lane->serial, ch, take->after), i;

	while (c->n == FRAMECACHE_FRAMES || (c->n && c->bytes + take->bytes > FRAMECACHE_BYTES))
		drop_oldest(c);
	i = (c->head + c->n) % FRAMECACHE_FRAMES;
	c->ring[i] = (struct cached){
		.frame = *take, .lane = lane->serial, .channel = ch, .next = c->buckets[b]};
	c->buckets[b] = (int32_t)i;
	c->bytes += take->bytes;
	c->n++;
	return &c->ring[i].frame;
}
