/* SPDX-License-Identifier: Apache-2.0 */
#include "lane.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

enum { BUCKETS = 4096, ANY_TYPE = -1 };

/* One (type, organisation prefix) of one lane's filter. */
struct posting {
	struct posting *next;
	struct lane *lane;
	uint64_t hash;
};

struct lanes {
	struct lane *first;
	unsigned n;
	uint64_t next_mark, next_serial;
	unsigned lengths[DIBAO_ORG_BYTES + 1]; /* postings by length of prefix */
	unsigned n_any_type, n_named_type;
	uint8_t key[crypto_shorthash_KEYBYTES];
	struct posting *buckets[BUCKETS];
};

/* type.p == NULL: any type. */
static uint64_t posting_hash(const struct lanes *l, struct dibao_str type, const char *org,
			     size_t org_len)
{
	uint8_t buf[1 + FILTER_TYPE_MAX + DIBAO_ORG_BYTES];
	uint64_t h;
	size_t n = 0;

	buf[n++] = type.p ? (uint8_t)type.len : 0;
	if (type.p) {
		memcpy(buf + n, type.p, type.len);
		n += type.len;
	}
	memcpy(buf + n, org, org_len);
	n += org_len;
	crypto_shorthash((unsigned char *)&h, buf, n, l->key);
	return h;
}

int lanes_new(struct lanes **ret)
{
	struct lanes *l = calloc(1, sizeof *l);

	if (!l)
		return -ENOMEM;
	randombytes_buf(l->key, sizeof l->key);
	*ret = l;
	return 0;
}

struct lanes *lanes_free(struct lanes *l)
{
	while (l && l->first) {
		l->first->n_sessions = 1;
		lanes_leave(l, l->first);
	}
	free(l);
	return NULL;
}

unsigned lanes_count(const struct lanes *l)
{
	return l->n;
}

/* Calls fn for each (type, prefix) of a filter; stops at a negative return. */
static int each_posting(struct lanes *l, struct lane *lane,
			int (*fn)(struct lanes *l, struct lane *lane, struct dibao_str type,
				  const char *org, size_t org_len))
{
	const struct filter *f = &lane->filter;
	unsigned n_types = f->n_types ? f->n_types : 1, n_orgs = f->n_orgs ? f->n_orgs : 1;

	for (unsigned t = 0; t < n_types; t++)
		for (unsigned o = 0; o < n_orgs; o++) {
			struct dibao_str type = {NULL, 0};
			int r;

			if (f->n_types)
				type = (struct dibao_str){f->types[t].name, f->types[t].len};
			r = fn(l, lane, type, f->n_orgs ? f->orgs[o].code : "",
			       f->n_orgs ? f->orgs[o].len : 0);
			if (r < 0)
				return r;
		}
	return 0;
}

static int add_posting(struct lanes *l, struct lane *lane, struct dibao_str type, const char *org,
		       size_t org_len)
{
	struct posting *p = malloc(sizeof *p);

	if (!p)
		return -ENOMEM;
	p->lane = lane;
	p->hash = posting_hash(l, type, org, org_len);
	p->next = l->buckets[p->hash % BUCKETS];
	l->buckets[p->hash % BUCKETS] = p;
	l->lengths[org_len]++;
	*(type.p ? &l->n_named_type : &l->n_any_type) += 1;
	return 0;
}

static int drop_posting(struct lanes *l, struct lane *lane, struct dibao_str type, const char *org,
			size_t org_len)
{
	uint64_t hash = posting_hash(l, type, org, org_len);

	for (struct posting **at = &l->buckets[hash % BUCKETS]; *at; at = &(*at)->next)
		if ((*at)->lane == lane && (*at)->hash == hash) {
			struct posting *p = *at;

			*at = p->next;
			free(p);
			l->lengths[org_len]--;
			*(type.p ? &l->n_named_type : &l->n_any_type) -= 1;
			return 0;
		}
	return 0; /* not there: joining had failed half way */
}

static void lane_free(struct lanes *l, struct lane *lane)
{
	each_posting(l, lane, drop_posting);
	for (int c = 0; c < DIBAO_CHANNEL_COUNT; c++)
		free(lane->in_step[c].v);
	free(lane->wanted);
	free(lane);
}

int lanes_join(struct lanes *l, const struct filter *f, struct lane **ret)
{
	struct lane *lane;
	int r;

	for (lane = l->first; lane; lane = lane->next)
		if (filter_equal(&lane->filter, f)) {
			lane->n_sessions++;
			*ret = lane;
			return 0;
		}
	lane = calloc(1, sizeof *lane);
	if (!lane)
		return -ENOMEM;
	lane->filter = *f;
	r = each_posting(l, lane, add_posting);
	if (r < 0) {
		lane_free(l, lane);
		return r;
	}
	lane->n_sessions = 1;
	lane->serial = ++l->next_serial;
	lane->next = l->first;
	if (l->first)
		l->first->prev = lane;
	l->first = lane;
	l->n++;
	*ret = lane;
	return 0;
}

void lanes_leave(struct lanes *l, struct lane *lane)
{
	if (--lane->n_sessions)
		return;
	*(lane->prev ? &lane->prev->next : &l->first) = lane->next;
	if (lane->next)
		lane->next->prev = lane->prev;
	l->n--;
	lane_free(l, lane);
}

int lane_step_add(struct lane *lane, enum dibao_channel c, struct session *s)
{
	if (lane->in_step[c].n == lane->in_step[c].cap) {
		uint32_t cap = lane->in_step[c].cap ? 2 * lane->in_step[c].cap : 4;
		struct session **v = realloc(lane->in_step[c].v, cap * sizeof(struct session *));

		if (!v)
			return -ENOMEM;
		lane->in_step[c].v = v;
		lane->in_step[c].cap = cap;
	}
	lane->in_step[c].v[lane->in_step[c].n] = s;
	return (int)lane->in_step[c].n++;
}

struct session *lane_step_remove(struct lane *lane, enum dibao_channel c, uint32_t place)
{
	uint32_t last = --lane->in_step[c].n;

	if (place == last)
		return NULL;
	return lane->in_step[c].v[place] = lane->in_step[c].v[last];
}

/* The event's type by name: from the table, or out of the bytes of one that the table lacks. */
static struct dibao_str record_type(const struct segment *s, const struct record *r)
{
	struct dibao_event ev;

	if (r->type >= 0) {
		size_t n;
		const char *name = dibao_types(&n)[r->type].name;

		return (struct dibao_str){name, strlen(name)};
	}
	if (dibao_event_view(&ev, record_bytes(s, r), r->len) < 0)
		return (struct dibao_str){"", 0};
	return ev.type_name;
}

unsigned lane_wants(const struct lane *lane, const struct segment *s, const struct record *r)
{
	const struct filter *f = &lane->filter;
	unsigned wants = LANE_NOTHING;

	if ((r->flags & RECORD_HIDING) && !f->public_view)
		return LANE_NOTHING;
	if ((r->flags & RECORD_EVENT) && !(f->public_view && (r->flags & RECORD_PRIVATE)) &&
	    filter_matches(f, record_type(s, r), r->org))
		wants |= LANE_EVENT;
	/* Who gets the whole event reads in it what it takes back; a public view is told both. */
	if ((r->flags & RECORD_WITHDRAWAL) && (f->public_view || !(wants & LANE_EVENT)) &&
	    filter_matches(f, record_w_type(s, r), r->w_org))
		wants |= LANE_WITHDRAWN;
	return wants;
}

static struct lane *want(struct lane *lane, uint32_t record, struct lane *dirty)
{
	if (lane->n_wanted == lane->wanted_cap) {
		uint32_t cap = lane->wanted_cap ? 2 * lane->wanted_cap : 64;
		uint32_t *w = realloc(lane->wanted, cap * sizeof *w);

		/* A lane that cannot note what it wants would lose it silently. */
		if (!w)
			abort();
		lane->wanted = w;
		lane->wanted_cap = cap;
	}
	if (!lane->n_wanted) {
		lane->next_dirty = dirty;
		dirty = lane;
	}
	lane->wanted[lane->n_wanted++] = record;
	return dirty;
}

static struct lane *route_one(struct lanes *l, const struct segment *s, uint32_t record,
			      struct dibao_str type, const char *org, struct lane *dirty)
{
	const struct record *r = &s->records[record];
	const struct dibao_str any = {NULL, 0};

	if (type.len > FILTER_TYPE_MAX)
		type = any; /* no filter can name it */
	for (size_t len = 0; len <= DIBAO_ORG_BYTES; len++) {
		if (!l->lengths[len])
			continue;
		for (int named = 0; named < 2; named++) {
			uint64_t hash;

			if (!(named ? l->n_named_type : l->n_any_type) || (named && !type.p))
				continue;
			hash = posting_hash(l, named ? type : any, org, len);
			for (struct posting *p = l->buckets[hash % BUCKETS]; p; p = p->next)
				if (p->hash == hash && p->lane->mark != l->next_mark &&
				    lane_wants(p->lane, s, r)) {
					p->lane->mark = l->next_mark;
					dirty = want(p->lane, record, dirty);
				}
		}
	}
	return dirty;
}

struct lane *lanes_route(struct lanes *l, const struct segment *s, uint32_t first, uint32_t n)
{
	struct lane *dirty = NULL;

	if (!l->n)
		return NULL;
	for (uint32_t i = first; i < first + n; i++) {
		const struct record *r = &s->records[i];

		l->next_mark++;
		if (r->flags & RECORD_EVENT)
			dirty = route_one(l, s, i, record_type(s, r), r->org, dirty);
		if (r->flags & RECORD_WITHDRAWAL)
			dirty = route_one(l, s, i, record_w_type(s, r), r->w_org, dirty);
	}
	return dirty;
}
