/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A key is the keyed hash of a number, or of a number and a text. Its times lie in a ring of the
 * last few, newest last: as many as the greatest limit can ask about. Keys are in a table of
 * buckets with chains, and in a list by last use, from which the oldest go.
 */
#include "pace.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS, DAY_MS = 24 * HOUR_MS, N_BUCKETS = 65536 };

static double capacity(const struct bucket *b)
{
	return b->rate / 10 > 1 ? b->rate / 10 : 1;
}

void bucket_init(struct bucket *b, double rate, int64_t now_ms)
{
	b->rate = rate;
	b->at_ms = now_ms;
	b->parts = capacity(b);
}

static void fill(struct bucket *b, int64_t now_ms)
{
	if (now_ms > b->at_ms)
		b->parts += b->rate * (double)(now_ms - b->at_ms) / 1000;
	b->at_ms = now_ms;
	if (b->parts > capacity(b))
		b->parts = capacity(b);
}

bool bucket_has(struct bucket *b, int64_t now_ms)
{
	if (b->rate == 0)
		return true;
	fill(b, now_ms);
	return b->parts >= 1;
}

void bucket_take(struct bucket *b, unsigned parts, int64_t now_ms)
{
	fill(b, now_ms);
	b->parts -= parts;
}

void bucket_give(struct bucket *b, unsigned parts)
{
	b->parts += parts;
}

int64_t bucket_when(const struct bucket *b, int64_t now_ms)
{
	double lacking = 1 - b->parts;

	if (b->rate == 0 || lacking <= 0)
		return now_ms;
	return now_ms + (int64_t)(lacking * 1000 / b->rate) + 1;
}

/* ---- caps ---- */

struct key {
	struct key *next;	   /* in its bucket */
	struct key *older, *newer; /* by last use */
	uint8_t hash[CAPS_HASH_BYTES];
	uint8_t n, room, first;
	int64_t *at; /* owned; a ring of `room`, which grows to ROOM_MAX */
};

struct caps {
	struct key *buckets[N_BUCKETS];
	struct key *oldest, *newest;
	size_t n;
	uint8_t secret[CAPS_SECRET_BYTES];
};

enum { ROOM_MAX = CAPS_DAY_MAX };

struct caps *caps_new(const uint8_t secret[CAPS_SECRET_BYTES])
{
	struct caps *c = calloc(1, sizeof *c);

	if (c)
		memcpy(c->secret, secret, sizeof c->secret);
	return c;
}

struct caps *caps_free(struct caps *c)
{
	for (struct key *k = c ? c->oldest : NULL, *next; k; k = next) {
		next = k->newer;
		free(k->at);
		free(k);
	}
	free(c);
	return NULL;
}

size_t caps_keys(const struct caps *c)
{
	return c->n;
}

static void hash_of(const struct caps *c, uint8_t hash[CAPS_HASH_BYTES], const char *number,
		    const char *text, size_t text_len)
{
	crypto_generichash_state s;

	crypto_generichash_init(&s, c->secret, sizeof c->secret, CAPS_HASH_BYTES);
	crypto_generichash_update(&s, (const unsigned char *)number, strlen(number) + 1);
	crypto_generichash_update(&s, (const unsigned char *)text, text_len);
	crypto_generichash_final(&s, hash, CAPS_HASH_BYTES);
}

struct caps_mark caps_mark(const struct caps *c, const char *number, const char *text,
			   size_t text_len)
{
	struct caps_mark m = {.has_text = text_len > 0};

	hash_of(c, m.number, number, "", 0);
	if (m.has_text)
		hash_of(c, m.text, number, text, text_len);
	return m;
}

void caps_mark_write(const struct caps_mark *m, char ret[CAPS_MARK_MAX])
{
	const int how = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
	size_t len;

	sodium_bin2base64(ret, CAPS_MARK_MAX, m->number, CAPS_HASH_BYTES, how);
	len = strlen(ret);
	ret[len++] = ' ';
	sodium_bin2base64(ret + len, CAPS_MARK_MAX - len, m->text, CAPS_HASH_BYTES, how);
}

/* Returns what stands behind the word and the blank that ends it; NULL. */
static const char *read_hash(uint8_t ret[CAPS_HASH_BYTES], const char *word)
{
	size_t len = strcspn(word, " "), n;

	if (sodium_base642bin(ret, CAPS_HASH_BYTES, word, len, NULL, &n, NULL,
			      sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
	    n != CAPS_HASH_BYTES)
		return NULL;
	return word + len + (word[len] == ' ');
}

int caps_mark_read(struct caps_mark *ret, const char *text)
{
	struct caps_mark m = {.has_text = true};

	text = read_hash(m.number, text);
	if (!text || !read_hash(m.text, text))
		return -EBADMSG;
	*ret = m;
	return 0;
}

static struct key **slot(struct caps *c, const uint8_t hash[CAPS_HASH_BYTES])
{
	struct key **p = &c->buckets[(hash[0] | hash[1] << 8) % N_BUCKETS];

	while (*p && memcmp((*p)->hash, hash, 16) != 0)
		p = &(*p)->next;
	return p;
}

static void unlink_key(struct caps *c, struct key *k)
{
	*(k->older ? &k->older->newer : &c->oldest) = k->newer;
	*(k->newer ? &k->newer->older : &c->newest) = k->older;
}

static void link_newest(struct caps *c, struct key *k)
{
	k->newer = NULL;
	k->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = k;
	c->newest = k;
}

static void forget_oldest(struct caps *c)
{
	struct key *k = c->oldest, **p = slot(c, k->hash);

	*p = k->next;
	unlink_key(c, k);
	free(k->at);
	free(k);
	c->n--;
}

/* The time of the nth last; 0 = there were fewer. */
static int64_t nth_last(const struct key *k, unsigned n)
{
	return n == 0 || n > k->n ? 0 : k->at[(k->first + k->n - n) % k->room];
}

static void wait_for(int64_t *when, const struct key *k, unsigned limit, int64_t span_ms,
		     int64_t now_ms)
{
	int64_t at = nth_last(k, limit < ROOM_MAX ? limit : ROOM_MAX);

	/* A time ahead of now was written before the clock was set back: it counts as now. */
	if (at > now_ms)
		at = now_ms;
	if (limit && at && at + span_ms > now_ms && at + span_ms > *when)
		*when = at + span_ms;
}

int64_t caps_when(struct caps *c, const struct caps_limits *l, const char *number, const char *text,
		  size_t text_len, int64_t now_ms)
{
	uint8_t hash[CAPS_HASH_BYTES];
	const struct key *k;
	int64_t when = 0;

	hash_of(c, hash, number, "", 0);
	k = *slot(c, hash);
	if (k) {
		wait_for(&when, k, l->minute, MINUTE_MS, now_ms);
		wait_for(&when, k, l->hour, HOUR_MS, now_ms);
		wait_for(&when, k, l->day, DAY_MS, now_ms);
	}
	if (text_len == 0)
		return when;
	hash_of(c, hash, number, text, text_len);
	k = *slot(c, hash);
	if (k) {
		wait_for(&when, k, l->same_minute, MINUTE_MS, now_ms);
		wait_for(&when, k, l->same_hour, HOUR_MS, now_ms);
	}
	return when;
}

static bool grow(struct key *k)
{
	unsigned room = k->room == 0 ? 2 : k->room * 2u < ROOM_MAX ? k->room * 2u : ROOM_MAX;
	int64_t *at = malloc(room * sizeof *at);

	if (!at)
		return false;
	for (unsigned i = 0; i < k->n; i++)
		at[i] = k->at[(k->first + i) % k->room];
	free(k->at);
	k->at = at;
	k->first = 0;
	k->room = (uint8_t)room;
	return true;
}

static void count(struct caps *c, const uint8_t hash[CAPS_HASH_BYTES], int64_t now_ms)
{
	struct key **p = slot(c, hash), *k = *p;

	while (c->oldest && (c->n >= CAPS_MAX || nth_last(c->oldest, 1) + DAY_MS < now_ms) &&
	       c->oldest != k) {
		forget_oldest(c);
		p = slot(c, hash);
	}
	if (!k) {
		k = calloc(1, sizeof *k);
		if (!k)
			return; /* a text more than the cap, at worst */
		memcpy(k->hash, hash, 16);
		*p = k;
		c->n++;
	} else {
		unlink_key(c, k);
	}
	link_newest(c, k);
	if (k->n == k->room && (k->room == ROOM_MAX || !grow(k))) {
		if (k->room == 0)
			return;
		k->first = (uint8_t)((k->first + 1) % k->room);
		k->n--;
	}
	k->at[(k->first + k->n++) % k->room] = now_ms;
}

void caps_count(struct caps *c, const struct caps_mark *m, int64_t at_ms)
{
	count(c, m->number, at_ms);
	if (m->has_text)
		count(c, m->text, at_ms);
}

static void uncount(struct caps *c, const uint8_t hash[CAPS_HASH_BYTES], int64_t at_ms)
{
	struct key *k = *slot(c, hash);
	unsigned i = 0;

	while (k && i < k->n && k->at[(k->first + i) % k->room] != at_ms)
		i++;
	if (!k || i == k->n)
		return;
	for (; i + 1 < k->n; i++)
		k->at[(k->first + i) % k->room] = k->at[(k->first + i + 1) % k->room];
	k->n--;
}

void caps_uncount(struct caps *c, const struct caps_mark *m, int64_t at_ms)
{
	uncount(c, m->number, at_ms);
	if (m->has_text)
		uncount(c, m->text, at_ms);
}
