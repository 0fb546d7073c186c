/* SPDX-License-Identifier: Apache-2.0 */
#include "roster_store.h"
#include "queue.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 500, NEXT_TTL_S = 3600, NEXT_MAX = QUEUE_KEY_MAX + 48 };

static int command(struct roster_store *s, const char *fmt, ...)
{
	redisReply *reply = NULL;
	va_list ap;
	int e;

	va_start(ap, fmt);
	reply = redisvCommand(s->redis.context, fmt, ap);
	va_end(ap);
	e = ctl_redis_check(&s->redis, reply, &reply);
	if (e == 0)
		freeReplyObject(reply);
	return e;
}

int roster_store_open(struct roster_store *s, const struct ctl *c)
{
	redisReply *reply;
	int e;

	memset(s, 0, sizeof *s);
	e = ctl_redis_open(&s->redis, c, false);
	if (e)
		return e;
	e = ctl_redis_command(&s->redis, &reply, "TIME");
	if (e == 0) {
		s->now_ms = strtoll(reply->element[0]->str, NULL, 10) * 1000 +
			    strtoll(reply->element[1]->str, NULL, 10) / 1000;
		freeReplyObject(reply);
	} else {
		roster_store_close(s);
	}
	return e;
}

void roster_store_close(struct roster_store *s)
{
	ctl_redis_close(&s->redis);
}

/* From here on a change by another makes EXEC fail. */
static int watch(struct roster_store *s)
{
	redisReply *reply;
	char meta[QUEUE_KEY_MAX];
	int e;

	snprintf(meta, sizeof meta, "%s", ctl_redis_key(&s->redis, "roster:meta"));
	e = command(s, "WATCH %s", meta);
	if (e == 0)
		e = command(s, "WATCH %s", ctl_redis_key(&s->redis, "roster"));
	if (e == 0)
		e = command(s, "WATCH %s", ctl_redis_key(&s->redis, "roster:previous"));
	if (e)
		return e;
	e = ctl_redis_command(&s->redis, &reply, "HGET %s version", meta);
	if (e)
		return e;
	s->version = reply->type == REDIS_REPLY_STRING ? strtoll(reply->str, NULL, 10) : 0;
	freeReplyObject(reply);
	e = ctl_redis_command(&s->redis, &reply, "EXISTS %s", ctl_redis_key(&s->redis, "roster"));
	if (e)
		return e;
	s->exists = reply->integer == 1;
	freeReplyObject(reply);
	return 0;
}

/* ---- reading ---- */

static int by_badge(const void *a, const void *b)
{
	return strcmp(((const struct roster_old *)a)->badge, ((const struct roster_old *)b)->badge);
}

static int take_row(struct roster_old *o, const redisReply *badge, const redisReply *row)
{
	if (badge->len > ROSTER_BADGE_MAX)
		return ctl_fail(EX_DATAERR, "the roster has a badge of over %d bytes",
				ROSTER_BADGE_MAX);
	strcpy(o->badge, badge->str);
	o->row = strdup(row->str);
	if (!o->row)
		return ctl_fail(EX_OSERR, "no memory");
	if (roster_decode(&o->person, o->row, strlen(o->row)) < 0)
		return ctl_fail(EX_DATAERR, "the roster's row of %s cannot be read", o->badge);
	return 0;
}

static int take_page(const redisReply *rows, struct roster_old **old, size_t *n, size_t *cap)
{
	int e = 0;

	for (size_t i = 0; i + 1 < rows->elements && e == 0; i += 2) {
		if (*n == *cap) {
			size_t more = *cap ? *cap * 2 : 1024;
			struct roster_old *p = realloc(*old, more * sizeof *p);

			if (!p)
				return ctl_fail(EX_OSERR, "no memory");
			*old = p;
			*cap = more;
		}
		memset(&(*old)[*n], 0, sizeof **old);
		e = take_row(&(*old)[*n], rows->element[i], rows->element[i + 1]);
		(*n)++;
	}
	return e;
}

/* HSCAN may tell a row twice. */
static size_t drop_doubles(struct roster_old *old, size_t n)
{
	size_t out = 0;

	qsort(old, n, sizeof *old, by_badge);
	for (size_t i = 0; i < n; i++) {
		if (out && !strcmp(old[out - 1].badge, old[i].badge))
			free(old[i].row);
		else
			old[out++] = old[i];
	}
	return out;
}

int roster_store_read(struct roster_store *s, struct roster_old **ret, size_t *ret_n)
{
	struct roster_old *old = NULL;
	char cursor[24] = "0";
	size_t n = 0, cap = 0;
	redisReply *reply;
	int e = watch(s);

	do {
		if (e == 0)
			e = ctl_redis_command(&s->redis, &reply, "HSCAN %s %s COUNT %d",
					      ctl_redis_key(&s->redis, "roster"), cursor, PIECE);
		if (e)
			break;
		snprintf(cursor, sizeof cursor, "%s", reply->element[0]->str);
		e = take_page(reply->element[1], &old, &n, &cap);
		freeReplyObject(reply);
	} while (e == 0 && strcmp(cursor, "0") != 0);
	if (e) {
		roster_store_free(old, n);
		return e;
	}
	*ret_n = n ? drop_doubles(old, n) : 0;
	*ret = old;
	return 0;
}

void roster_store_free(struct roster_old *old, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(old[i].row);
	free(old);
}

/* ---- writing ---- */

/* Rows from..to of the plan: those that are set, or those that go. */
static int send_piece(struct roster_store *s, const char *key, const struct roster_plan *plan,
		      size_t from, size_t to, bool set)
{
	const char *argv[2 + 2 * PIECE] = {set ? "HSET" : "HDEL", key};
	redisReply *reply;
	int argc = 2, e;

	for (size_t i = from; i < to; i++) {
		if (!plan->writes[i].row != !set)
			continue;
		argv[argc++] = plan->writes[i].badge;
		if (set)
			argv[argc++] = plan->writes[i].row;
	}
	if (argc == 2)
		return 0;
	e = ctl_redis_check(&s->redis, redisCommandArgv(s->redis.context, argc, argv, NULL),
			    &reply);
	if (e == 0)
		freeReplyObject(reply);
	return e;
}

/* The next roster, beside the present one. */
static int build(struct roster_store *s, const char *next, const struct roster_plan *plan)
{
	int e = s->exists ? command(s, "COPY %s %s", ctl_redis_key(&s->redis, "roster"), next) : 0;

	if (e == 0 && s->exists)
		e = command(s, "EXPIRE %s %d", next, NEXT_TTL_S);
	for (size_t i = 0; i < plan->n_writes && e == 0; i += PIECE) {
		size_t to = i + PIECE < plan->n_writes ? i + PIECE : plan->n_writes;

		e = send_piece(s, next, plan, i, to, true);
		if (e == 0 && i == 0)
			e = command(s, "EXPIRE %s %d", next, NEXT_TTL_S);
		if (e == 0)
			e = send_piece(s, next, plan, i, to, false);
	}
	return e;
}

/* A transaction goes on past a command that fails: the copy must be there, and stay. */
static int watch_next(struct roster_store *s, const char *next)
{
	redisReply *reply;
	int e = command(s, "WATCH %s", next);

	if (e == 0)
		e = ctl_redis_command(&s->redis, &reply, "EXISTS %s", next);
	if (e)
		return e;
	e = reply->integer == 1 ? 0
				: ctl_fail(EX_TEMPFAIL, "it took too long: nothing was changed");
	freeReplyObject(reply);
	return e;
}

/* The marks of people that are there no more. */
static int forget_marks(struct roster_store *s, const struct roster_plan *plan)
{
	char confirmed[QUEUE_KEY_MAX];
	int e = 0;

	snprintf(confirmed, sizeof confirmed, "%s", ctl_redis_key(&s->redis, "roster:confirmed"));
	for (size_t i = 0; i < plan->n_writes && e == 0; i += PIECE)
		e = send_piece(s, confirmed, plan, i,
			       i + PIECE < plan->n_writes ? i + PIECE : plan->n_writes, false);
	return e;
}

static int audit(struct roster_store *s, const char *act, const char *what)
{
	return command(s, "XADD %s MAXLEN ~ %d * who %s act %s what %s result version_%lld",
		       ctl_redis_key(&s->redis, "audit"), QUEUE_AUDIT_MAX, s->redis.who, act, what,
		       (long long)s->version + 1);
}

/* All or nothing of what was queued since MULTI. */
static int commit(struct roster_store *s)
{
	redisReply *reply;
	int e = ctl_redis_command(&s->redis, &reply, "EXEC");

	if (e)
		return e;
	if (reply->type == REDIS_REPLY_NIL)
		e = ctl_fail(EX_TEMPFAIL, "another changed the roster in the meantime: nothing was "
					  "changed, try again");
	for (size_t i = 0; e == 0 && i < reply->elements; i++)
		if (reply->element[i]->type == REDIS_REPLY_ERROR)
			e = ctl_fail(EX_SOFTWARE, "Redis: %.120s", reply->element[i]->str);
	freeReplyObject(reply);
	return e;
}

static int meta(struct roster_store *s, const char *act, const char *hash, unsigned rows,
		unsigned active, unsigned demo)
{
	return command(
		s, "HSET %s version %lld at %lld act %s who %s hash %s rows %u active %u demo %u",
		ctl_redis_key(&s->redis, "roster:meta"), (long long)s->version + 1,
		(long long)s->now_ms, act, s->redis.who, hash, rows, active, demo);
}

/* What `previous` will say of itself when it comes back. */
static int keep_sums(struct roster_store *s)
{
	static const char *const names[] = {"rows", "active", "demo", "hash"};
	char key[QUEUE_KEY_MAX];
	redisReply *reply;
	int e;

	snprintf(key, sizeof key, "%s", ctl_redis_key(&s->redis, "roster:meta"));
	e = ctl_redis_command(&s->redis, &reply, "HMGET %s rows active demo hash", key);
	if (e)
		return e;
	e = command(s, "MULTI");
	for (size_t i = 0; i < 4 && e == 0; i++)
		e = command(s, "HSET %s previous_%s %s", key, names[i],
			    reply->element[i]->str ? reply->element[i]->str : "0");
	freeReplyObject(reply);
	return e;
}

static int swap_in(struct roster_store *s, const char *next, const struct roster_plan *plan,
		   const char *act, const char *hash)
{
	char roster[QUEUE_KEY_MAX], previous[QUEUE_KEY_MAX], what[120];
	int e = keep_sums(s);

	snprintf(roster, sizeof roster, "%s", ctl_redis_key(&s->redis, "roster"));
	snprintf(previous, sizeof previous, "%s", ctl_redis_key(&s->redis, "roster:previous"));
	snprintf(what, sizeof what, "file %.32s, %zu rows changed", hash, plan->n_writes);
	if (e == 0)
		e = s->exists ? command(s, "RENAME %s %s", roster, previous)
			      : command(s, "DEL %s", previous);
	if (e == 0 && plan->rows)
		e = command(s, "RENAME %s %s", next, roster);
	if (e == 0 && plan->rows)
		e = command(s, "PERSIST %s", roster);
	if (e == 0)
		e = forget_marks(s, plan);
	if (e == 0)
		e = meta(s, act, hash, plan->rows, plan->active, plan->demo);
	if (e == 0)
		e = audit(s, act, what);
	return e ? e : commit(s);
}

int roster_store_apply(struct roster_store *s, const struct roster_plan *plan, const char *act,
		       const uint8_t hash[16])
{
	char next[NEXT_MAX], hex[33], name[33];
	unsigned char random[16];
	int e;

	sodium_bin2hex(hex, sizeof hex, hash, 16);
	randombytes_buf(random, sizeof random);
	sodium_bin2hex(name, sizeof name, random, sizeof random);
	snprintf(next, sizeof next, "%s:%s", ctl_redis_key(&s->redis, "roster:next"), name);
	e = build(s, next, plan);
	if (e == 0 && plan->rows)
		e = watch_next(s, next);
	return e ? e : swap_in(s, next, plan, act, hex);
}

int roster_store_undo(struct roster_store *s)
{
	char roster[QUEUE_KEY_MAX], previous[QUEUE_KEY_MAX], next[NEXT_MAX], was[4][48];
	redisReply *reply;
	int e = watch(s);

	snprintf(roster, sizeof roster, "%s", ctl_redis_key(&s->redis, "roster"));
	snprintf(previous, sizeof previous, "%s", ctl_redis_key(&s->redis, "roster:previous"));
	snprintf(next, sizeof next, "%s", ctl_redis_key(&s->redis, "roster:next"));
	if (e == 0)
		e = ctl_redis_command(&s->redis, &reply, "EXISTS %s", previous);
	if (e)
		return e;
	e = reply->integer == 1 && s->exists
		    ? 0
		    : ctl_fail(EX_DATAERR, "there is no roster before this one");
	freeReplyObject(reply);
	if (e == 0)
		e = ctl_redis_command(&s->redis, &reply,
				      "HMGET %s previous_rows previous_active previous_demo "
				      "previous_hash",
				      ctl_redis_key(&s->redis, "roster:meta"));
	if (e)
		return e;
	for (int i = 0; i < 4; i++)
		snprintf(was[i], sizeof was[i], "%s",
			 reply->element[i]->str ? reply->element[i]->str : "0");
	freeReplyObject(reply);
	e = keep_sums(s);
	if (e == 0)
		e = command(s, "RENAME %s %s", roster, next);
	if (e == 0)
		e = command(s, "RENAME %s %s", previous, roster);
	if (e == 0)
		e = command(s, "RENAME %s %s", next, previous);
	if (e == 0)
		e = meta(s, "undo", was[3], (unsigned)strtoul(was[0], NULL, 10),
			 (unsigned)strtoul(was[1], NULL, 10), (unsigned)strtoul(was[2], NULL, 10));
	if (e == 0)
		e = audit(s, "roster undo", "-");
	return e ? e : commit(s);
}

/* ---- one person ---- */

int roster_store_find(struct roster_store *s, const char *badge, char **ret_row,
		      struct roster_person *ret)
{
	redisReply *reply;
	int e = ctl_redis_command(&s->redis, &reply, "HGET %s %s",
				  ctl_redis_key(&s->redis, "roster"), badge);

	*ret_row = NULL;
	if (e)
		return e;
	if (reply->type == REDIS_REPLY_STRING) {
		*ret_row = strdup(reply->str);
		if (!*ret_row)
			e = ctl_fail(EX_OSERR, "no memory");
		else if (roster_decode(ret, *ret_row, strlen(*ret_row)) < 0)
			e = ctl_fail(EX_DATAERR, "the roster's row of %.20s cannot be read", badge);
	}
	freeReplyObject(reply);
	if (e) {
		free(*ret_row);
		*ret_row = NULL;
	}
	return e;
}

int roster_store_get(struct roster_store *s, const char *badge, char **ret_row,
		     struct roster_person *ret)
{
	int e = roster_store_find(s, badge, ret_row, ret);

	return e == 0 && !*ret_row ? ctl_fail(EX_DATAERR, "%.20s: not on the roster", badge) : e;
}

int roster_store_marks(struct roster_store *s, const char *badge, const struct roster_person *p,
		       int64_t ret_at[3])
{
	static const char *const keys[] = {"roster:confirmed", "sms:bad", "sms:disputed"};

	for (int i = 0; i < 3; i++) {
		redisReply *reply;
		int e = ctl_redis_command(&s->redis, &reply, "HGET %s %s",
					  ctl_redis_key(&s->redis, keys[i]), badge);

		if (e)
			return e;
		ret_at[i] = roster_mark_at(p, reply->str, reply->str ? reply->len : 0);
		freeReplyObject(reply);
	}
	return 0;
}

int roster_store_confirm(struct roster_store *s, const char *badge)
{
	struct roster_person p;
	char *row = NULL, mark[48];
	int e = watch(s);

	if (e == 0)
		e = roster_store_get(s, badge, &row, &p);
	if (e)
		return e;
	if (!p.phone.len)
		e = ctl_fail(EX_DATAERR, "%.20s: has no number to confirm", badge);
	roster_mark_encode(&p, s->now_ms, mark, sizeof mark);
	free(row);
	if (e == 0)
		e = command(s, "MULTI");
	if (e == 0)
		e = command(s, "HSET %s %s %s", ctl_redis_key(&s->redis, "roster:confirmed"), badge,
			    mark);
	if (e == 0)
		e = command(s, "HINCRBY %s version 1", ctl_redis_key(&s->redis, "roster:meta"));
	if (e == 0)
		e = audit(s, "roster confirm", badge);
	return e ? e : commit(s);
}
