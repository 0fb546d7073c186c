/* SPDX-License-Identifier: Apache-2.0 */
#include "history.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct load {
	struct history *h; /* NULL: the history went away before the answer */
	enum dibao_channel channel;
	struct entry_id after, upto;
	unsigned ahead; /* slices to read after this one without being asked */
	bool answered;	/* then it covers up to `end`, and is being worked off */
	struct entry_id end;
};

struct channel {
	struct segment *first, *last; /* last is live and ends at the tail */
	struct load *loads[HISTORY_LOADS_MAX];
};

struct history {
	struct history_options opt;
	struct channel channels[DIBAO_CHANNEL_COUNT];
	struct history_counters counters;
	uint64_t tick;
};

static size_t segment_size(const struct segment *s)
{
	return s->bytes_cap + s->cap * sizeof *s->records;
}

static struct segment *segment_free(struct segment *s)
{
	if (s) {
		free(s->records);
		free(s->bytes);
		free(s);
	}
	return NULL;
}

static struct segment *segment_new(struct entry_id from, struct entry_id to)
{
	struct segment *s = calloc(1, sizeof *s);

	if (s) {
		s->from = from;
		s->to = to;
	}
	return s;
}

static size_t entry_size(const struct entry *e)
{
	return (e->has_event ? e->ev.len : 0) +
	       (e->has_withdrawal ? e->w.type.len + e->w.uid.len : 0);
}

/* Twice as much each time; at first as much as is wanted. */
static size_t room(size_t cap, size_t wanted)
{
	return cap && wanted < 2 * cap ? 2 * cap : wanted;
}

/* Room for n records and `bytes` more; 0, -ENOMEM. */
static int segment_reserve(struct segment *s, size_t n, size_t bytes)
{
	if (s->n + n > s->cap) {
		size_t cap = room(s->cap, s->n + n);
		struct record *r = realloc(s->records, cap * sizeof *r);

		if (!r)
			return -ENOMEM;
		s->records = r;
		s->cap = (uint32_t)cap;
	}
	if (s->len + bytes > s->bytes_cap) {
		size_t cap = room(s->bytes_cap, s->len + bytes);
		uint8_t *b = realloc(s->bytes, cap);

		if (!b)
			return -ENOMEM;
		s->bytes = b;
		s->bytes_cap = cap;
	}
	return 0;
}

/* Nothing comes to it any more: what it has too much goes back. */
static void segment_close(struct segment *s)
{
	struct record *r = s->n ? realloc(s->records, s->n * sizeof *r) : NULL;
	uint8_t *b = s->len ? realloc(s->bytes, s->len) : NULL;

	if (r) {
		s->records = r;
		s->cap = s->n;
	}
	if (b) {
		s->bytes = b;
		s->bytes_cap = s->len;
	}
}

static uint8_t *put(uint8_t *p, const void *from, size_t n)
{
	if (n)
		memcpy(p, from, n);
	return p + n;
}

/* Room was reserved. */
static void segment_add(struct segment *s, const struct withdrawn *w, const struct entry *e)
{
	struct record *r = &s->records[s->n++];
	uint8_t *p = s->bytes + s->len;

	*r = (struct record){.id = e->id, .off = (uint32_t)s->len, .type = DIBAO_TYPE_UNKNOWN};
	if (e->hidden.p)
		r->flags |= RECORD_HIDING;
	if (e->has_event) {
		r->flags |= RECORD_EVENT | (e->ev.is_private ? RECORD_PRIVATE : 0);
		r->len = (uint16_t)e->ev.len;
		r->type = (int8_t)e->ev.type;
		r->uid_hash = withdrawn_hash(w, e->ev.uid.p, e->ev.uid.len);
		memcpy(r->org, e->ev.org.p, DIBAO_ORG_BYTES);
		p = put(p, e->ev.bytes, e->ev.len);
	}
	if (e->has_withdrawal) {
		r->flags |= RECORD_WITHDRAWAL;
		r->w_type = (int8_t)dibao_type_find(e->w.type.p, e->w.type.len);
		if (r->w_type < 0)
			r->w_type = DIBAO_TYPE_UNKNOWN;
		r->w_type_len = (uint8_t)e->w.type.len;
		r->w_uid_len = (uint8_t)e->w.uid.len;
		memcpy(r->w_org, e->w.org.p, DIBAO_ORG_BYTES);
		p = put(p, e->w.type.p, e->w.type.len);
		p = put(p, e->w.uid.p, e->w.uid.len);
	}
	s->len = (size_t)(p - s->bytes);
}

static size_t entries_size(const struct entry *entries, size_t n)
{
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += entry_size(&entries[i]);
	return bytes;
}

static void unlink_segment(struct history *h, struct channel *c, struct segment *s)
{
	*(s->prev ? &s->prev->next : &c->first) = s->next;
	*(s->next ? &s->next->prev : &c->last) = s->prev;
	*(s->live ? &h->counters.ring_bytes : &h->counters.slice_bytes) -= segment_size(s);
	h->counters.n_records -= s->n;
	segment_free(s);
}

/* The oldest closed segment of any ring, by id; the open one of a channel stays. */
static bool evict_ring(struct history *h)
{
	struct segment *oldest = NULL;
	struct channel *of = NULL;

	for (int i = 0; i < DIBAO_CHANNEL_COUNT; i++) {
		struct segment *s = h->channels[i].first;

		while (s && !s->live)
			s = s->next;
		if (!s || s == h->channels[i].last)
			continue;
		if (!oldest || entry_id_cmp(s->to, oldest->to) < 0) {
			oldest = s;
			of = &h->channels[i];
		}
	}
	if (!oldest)
		return false;
	unlink_segment(h, of, oldest);
	return true;
}

static bool evict_slice(struct history *h, const struct segment *keep)
{
	struct segment *oldest = NULL;
	struct channel *of = NULL;

	for (int i = 0; i < DIBAO_CHANNEL_COUNT; i++)
		for (struct segment *s = h->channels[i].first; s && !s->live; s = s->next)
			if (s != keep && (!oldest || s->used < oldest->used)) {
				oldest = s;
				of = &h->channels[i];
			}
	if (!oldest)
		return false;
	unlink_segment(h, of, oldest);
	return true;
}

int history_new(struct history **ret, const struct history_options *opt)
{
	struct history *h = calloc(1, sizeof *h);
	static const struct entry_id zero[DIBAO_CHANNEL_COUNT];

	if (!h)
		return -ENOMEM;
	h->opt = *opt;
	history_reset(h, zero);
	*ret = h;
	return 0;
}

static void channel_clear(struct history *h, struct channel *c)
{
	while (c->first)
		unlink_segment(h, c, c->first);
}

struct history *history_free(struct history *h)
{
	if (!h)
		return NULL;
	for (int i = 0; i < DIBAO_CHANNEL_COUNT; i++) {
		channel_clear(h, &h->channels[i]);
		for (int k = 0; k < HISTORY_LOADS_MAX; k++)
			if (h->channels[i].loads[k])
				h->channels[i].loads[k]->h = NULL;
	}
	free(h);
	return NULL;
}

void history_set_limits(struct history *h, size_t ring_bytes, size_t slice_bytes)
{
	h->opt.ring_bytes = ring_bytes;
	h->opt.slice_bytes = slice_bytes;
}

/* A live segment behind the last one. */
static struct segment *open_segment(struct channel *c, struct entry_id from)
{
	struct segment *s = segment_new(from, from);

	if (!s)
		return NULL;
	s->live = true;
	s->prev = c->last;
	*(c->last ? &c->last->next : &c->first) = s;
	c->last = s;
	return s;
}

void history_reset(struct history *h, const struct entry_id at[DIBAO_CHANNEL_COUNT])
{
	for (int i = 0; i < DIBAO_CHANNEL_COUNT; i++) {
		struct channel *c = &h->channels[i];

		channel_clear(h, c);
		/* Loads under way are of a history that is no more. */
		for (int k = 0; k < HISTORY_LOADS_MAX; k++)
			if (c->loads[k]) {
				c->loads[k]->h = NULL;
				c->loads[k] = NULL;
			}
		if (!open_segment(c, at[i]))
			abort(); /* 100 bytes at start-up: nothing could go on without them */
	}
}

int history_append(struct history *h, enum dibao_channel ch, const struct entry *entries, size_t n,
		   struct entry_id upto, struct segment **ret_segment, uint32_t *ret_first)
{
	struct channel *c = &h->channels[ch];
	struct segment *s = c->last;
	size_t bytes = entries_size(entries, n), before;
	int r;

	if (s->len + bytes > HISTORY_SEGMENT_BYTES && s->n) {
		struct segment *full = s;

		s = open_segment(c, s->to);
		if (!s)
			return -ENOMEM;
		before = segment_size(full);
		segment_close(full);
		h->counters.ring_bytes -= before - segment_size(full);
	}
	before = segment_size(s);
	r = segment_reserve(s, n, bytes);
	if (r < 0)
		return r;
	*ret_segment = s;
	*ret_first = s->n;
	for (size_t i = 0; i < n; i++)
		segment_add(s, h->opt.withdrawn, &entries[i]);
	s->to = upto;
	h->counters.ring_bytes += segment_size(s) - before;
	h->counters.n_records += n;
	while (h->counters.ring_bytes > h->opt.ring_bytes && evict_ring(h))
		;
	return 0;
}

struct entry_id history_tail(const struct history *h, enum dibao_channel c)
{
	return h->channels[c].last->to;
}

const struct segment *history_ring(const struct history *h, enum dibao_channel c)
{
	const struct segment *s = h->channels[c].last;

	while (s->prev && s->prev->live)
		s = s->prev;
	return s;
}

struct entry_id history_oldest(const struct history *h, enum dibao_channel c)
{
	return history_ring(h, c)->from;
}

static uint32_t first_after(const struct segment *s, struct entry_id after)
{
	uint32_t lo = 0, hi = s->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (entry_id_cmp(s->records[mid].id, after) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static enum history_found load(struct history *h, enum dibao_channel ch, struct entry_id after,
			       struct entry_id upto, unsigned ahead);

/* Sessions go on from a segment to the next: read on before they ask. */
static void read_ahead(struct history *h, enum dibao_channel ch, const struct segment *s,
		       unsigned ahead)
{
	for (; ahead && s->next; ahead--, s = s->next)
		if (entry_id_cmp(s->to, s->next->from) < 0) {
			load(h, ch, s->to, s->next->from, ahead - 1);
			return;
		}
}

static void on_range_end(enum dibao_channel ch, struct entry_id end, void *userdata)
{
	struct load *l = userdata;

	if (!l->h)
		return;
	l->answered = true;
	l->end = end;
	if (l->ahead && entry_id_cmp(end, l->upto) < 0)
		load(l->h, ch, end, l->upto, l->ahead - 1);
}

static void on_range(enum dibao_channel ch, const struct entry *entries, size_t n,
		     struct entry_id end, int err, void *userdata)
{
	struct load *l = userdata;
	struct history *h = l->h;
	struct channel *c;
	struct segment *s, *next;

	if (!h) {
		free(l);
		return;
	}
	c = &h->channels[ch];
	for (int k = 0; k < HISTORY_LOADS_MAX; k++)
		if (c->loads[k] == l)
			c->loads[k] = NULL;
	if (err < 0 || entry_id_cmp(end, l->after) <= 0)
		goto out;
	s = segment_new(l->after, end);
	if (!s || segment_reserve(s, n, entries_size(entries, n)) < 0) {
		segment_free(s);
		goto out;
	}
	for (size_t i = 0; i < n; i++)
		segment_add(s, h->opt.withdrawn, &entries[i]);
	s->used = ++h->tick;
	for (next = c->first; next && entry_id_cmp(next->from, s->from) < 0;)
		next = next->next;
	/* Eviction may have let another load overlap; the one that is there stays. */
	if ((next && entry_id_cmp(next->from, s->to) < 0) ||
	    (next && next->prev && entry_id_cmp(next->prev->to, s->from) > 0)) {
		segment_free(s);
		goto out;
	}
	assert(next); /* the open live segment is above every load */
	s->next = next;
	s->prev = next->prev;
	*(s->prev ? &s->prev->next : &c->first) = s;
	next->prev = s;
	h->counters.slice_bytes += segment_size(s);
	h->counters.n_records += n;
	h->counters.n_loaded_records += n;
	while (h->counters.slice_bytes > h->opt.slice_bytes && evict_slice(h, s))
		;
	read_ahead(h, ch, s, l->ahead);
out:
	free(l);
	h->opt.on_loaded(ch, h->opt.userdata);
}

static enum history_found load(struct history *h, enum dibao_channel ch, struct entry_id after,
			       struct entry_id upto, unsigned ahead)
{
	struct channel *c = &h->channels[ch];
	struct load *l, **slot = NULL;

	for (int k = 0; k < HISTORY_LOADS_MAX; k++) {
		l = c->loads[k];
		if (!l)
			slot = &c->loads[k];
		else if (entry_id_cmp(l->after, after) <= 0 &&
			 !(l->answered && entry_id_cmp(after, l->end) >= 0)) {
			/* It may well cover this; if not, we ask again. */
			if (l->ahead < ahead)
				l->ahead = ahead;
			return HISTORY_WAIT;
		} else if (entry_id_cmp(l->after, after) > 0 && entry_id_cmp(l->after, upto) < 0)
			upto = l->after;
	}
	if (!slot)
		return HISTORY_WAIT;
	l = calloc(1, sizeof *l);
	if (!l)
		return HISTORY_DOWN;
	*l = (struct load){.h = h, .channel = ch, .after = after, .upto = upto, .ahead = ahead};
	if (reader_range(h->opt.reader, ch, after, upto, HISTORY_LOAD_COUNT, on_range_end, on_range,
			 l) < 0) {
		free(l);
		return HISTORY_DOWN;
	}
	*slot = l;
	h->counters.n_loads++;
	return HISTORY_WAIT;
}

enum history_found history_find(struct history *h, enum dibao_channel ch, struct entry_id after,
				struct segment **ret_segment, uint32_t *ret_first)
{
	struct channel *c = &h->channels[ch];
	struct segment *s = c->last, *above = NULL;

	if (entry_id_cmp(after, s->to) >= 0)
		return HISTORY_AT_TAIL;
	/* From the tail down: most sessions are near it. */
	for (; s && entry_id_cmp(s->from, after) > 0; s = s->prev)
		above = s;
	if (s && entry_id_cmp(after, s->to) < 0) {
		s->used = ++h->tick;
		*ret_segment = s;
		*ret_first = first_after(s, after);
		read_ahead(h, ch, s, HISTORY_READ_AHEAD);
		return HISTORY_HERE;
	}
	assert(above); /* the live segment's to is above `after`, so some segment is */
	return load(h, ch, after, above->from, HISTORY_READ_AHEAD);
}

const struct history_counters *history_counters(const struct history *h)
{
	return &h->counters;
}
