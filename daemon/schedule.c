/* SPDX-License-Identifier: Apache-2.0 */
#include "schedule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { GROW_FROM = 64 };

struct schedule {
	struct planned *at;
	size_t n, cap;
	int64_t released_ms;
	uint64_t n_forgotten;
};

/* ---- an entry ---- */

static struct dibao_str field(const redisReply *fields, const char *name)
{
	for (size_t i = 0; i + 1 < fields->elements; i += 2) {
		const redisReply *k = fields->element[i], *v = fields->element[i + 1];

		if (k->type == REDIS_REPLY_STRING && v->type == REDIS_REPLY_STRING &&
		    !strcmp(k->str, name))
			return (struct dibao_str){v->str, v->len};
	}
	return (struct dibao_str){0};
}

static bool is(struct dibao_str s, const char *word)
{
	return s.len == strlen(word) && !memcmp(s.p, word, s.len);
}

int planned_read(struct planned *ret, const redisReply *entry)
{
	struct planned p = {0};
	struct dibao_str uid, act, due;

	if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
	    entry->element[0]->type != REDIS_REPLY_STRING ||
	    entry_id_parse(&p.id, entry->element[0]->str, entry->element[0]->len) < 0 ||
	    entry->element[1]->type != REDIS_REPLY_ARRAY)
		return -EBADMSG;
	uid = field(entry->element[1], "uid");
	act = field(entry->element[1], "act");
	due = field(entry->element[1], "due");
	p.is_cancelled = is(act, "cancelled");
	if (uid.len < 1 || uid.len > sizeof p.uid || !due.p ||
	    !(p.is_cancelled || is(act, "scheduled")))
		return -EBADMSG;
	p.due_ms = strtoll(due.p, NULL, 10);
	p.uid_len = (uint8_t)uid.len;
	memcpy(p.uid, uid.p, uid.len);
	*ret = p;
	return 0;
}

/* ---- what is known ---- */

static bool waits(const struct schedule *s, const struct planned *p)
{
	return p->due_ms > s->released_ms;
}

/* Room for one more at the end. */
static int make_room(struct schedule *s)
{
	struct planned *more;
	size_t n = 0;

	if (s->n < s->cap)
		return 0;
	if (s->cap < SCHEDULE_MAX) {
		size_t cap = s->cap ? 2 * s->cap : GROW_FROM;

		cap = cap < SCHEDULE_MAX ? cap : SCHEDULE_MAX;
		more = reallocarray(s->at, cap, sizeof *more);
		if (!more)
			return -ENOMEM;
		s->at = more;
		s->cap = cap;
		return 0;
	}
	for (size_t i = 0; i < s->n; i++)
		if (waits(s, &s->at[i]))
			s->at[n++] = s->at[i];
	s->n = n;
	if (n == s->cap) {
		size_t oldest = s->cap / 8;

		s->n -= oldest;
		memmove(s->at, s->at + oldest, s->n * sizeof *s->at);
		s->n_forgotten += oldest;
	}
	return 0;
}

/* A uid is scheduled once: what was known of it is no more so. */
static bool cancel(struct schedule *s, const struct planned *p)
{
	for (size_t i = s->n; i-- > 0;)
		if (s->at[i].uid_len == p->uid_len && !memcmp(s->at[i].uid, p->uid, p->uid_len)) {
			s->at[i] = *p;
			return true;
		}
	return false;
}

void schedule_note(struct schedule *s, const struct planned *p)
{
	if (p->is_cancelled && cancel(s, p))
		return;
	if (make_room(s) < 0)
		s->n_forgotten++;
	else
		s->at[s->n++] = *p;
}

void schedule_released(struct schedule *s, int64_t upto_ms)
{
	if (upto_ms > s->released_ms)
		s->released_ms = upto_ms;
}

const struct planned *schedule_next(const struct schedule *s, size_t *i)
{
	while (*i < s->n) {
		const struct planned *p = &s->at[(*i)++];

		if (waits(s, p))
			return p;
	}
	return NULL;
}

uint64_t schedule_forgotten(const struct schedule *s)
{
	return s->n_forgotten;
}

/* ---- life ---- */

int schedule_new(struct schedule **ret)
{
	struct schedule *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	*ret = s;
	return 0;
}

void schedule_clear(struct schedule *s)
{
	s->n = 0;
	s->n_forgotten = 0;
}

struct schedule *schedule_free(struct schedule *s)
{
	if (!s)
		return NULL;
	free(s->at);
	free(s);
	return NULL;
}
