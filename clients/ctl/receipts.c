/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What became of one event at its clients: the receipts stream, searched from its beginning. A
 * board knows an event by its public id alone, which is told from the uid by the bureau's view key;
 * without that key boards' receipts are left out, and that is said.
 */
#include "credential.h"
#include "redis.h"

#include <dibao/subscriber.h>
#include <dibao/view.h>
#include <jansson.h>
#include <sodium.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PAGE = 500 };

struct query {
	const char *uid;
	uint8_t pid[DIBAO_PID_BYTES];
	bool has_pid;
};

static const redisReply *value(const redisReply *entry, const char *name)
{
	const redisReply *f = entry->element[1];

	for (size_t i = 0; i + 1 < f->elements; i += 2)
		if (!strcmp(f->element[i]->str, name))
			return f->element[i + 1];
	return NULL;
}

static const char *field(const redisReply *entry, const char *name)
{
	const redisReply *v = value(entry, name);

	return v ? v->str : "";
}

static bool concerns(const struct query *q, const redisReply *entry)
{
	const redisReply *key = value(entry, "key");

	if (!key)
		return false;
	return (key->len == strlen(q->uid) && !memcmp(key->str, q->uid, key->len)) ||
	       (q->has_pid && key->len == sizeof q->pid && !memcmp(key->str, q->pid, key->len));
}

static void find_pid(const struct ctl *c, struct query *q)
{
	uint8_t key[DIBAO_VIEW_KEY_BYTES];
	char hex[2 * DIBAO_VIEW_KEY_BYTES + 1] = "";
	size_t n = 0;
	FILE *f;
	int r = c->view_key_file ? credential_open(&f, c->view_key_file) : -ENOENT;

	if (r == 0) {
		if (!fgets(hex, sizeof hex, f) ||
		    sodium_hex2bin(key, sizeof key, hex, strlen(hex), NULL, &n, NULL) != 0 ||
		    n != sizeof key)
			r = -EBADMSG;
		fclose(f);
	}
	if (r == 0) {
		dibao_pid(key, q->uid, strlen(q->uid), q->pid);
		q->has_pid = true;
	} else {
		ctl_fail(0, "receipts of boards are left out: view_key_file %s: %s",
			 c->view_key_file ? c->view_key_file : "", credential_error(r));
	}
	sodium_memzero(key, sizeof key);
	sodium_memzero(hex, sizeof hex);
}

static void print_one(const struct ctl *c, const redisReply *e)
{
	int64_t at = atoll(field(e, "at"));
	const char *state = dibao_receipt_name((enum dibao_receipt_state)atoi(field(e, "state")));
	time_t t = (time_t)(at / 1000);
	char when[32];
	struct tm tm;
	json_t *j;

	if (c->json) {
		j = json_pack("{s:s, s:s, s:s, s:I, s:s, s:s}", "id", e->element[0]->str, "name",
			      field(e, "name"), "state", state, "at", (json_int_t)at, "detail",
			      field(e, "detail"), "token", field(e, "token"));
		ctl_put_json(j);
		return;
	}
	localtime_r(&t, &tm);
	strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s  %-20s %-10s %s\n", when, field(e, "name"), state, field(e, "detail"));
}

int ctl_receipts(struct ctl *c, int argc, char **argv)
{
	struct query q = {0};
	char from[48] = "-";
	struct ctl_redis r;
	size_t n = PAGE;
	int e;

	if (argc != 2)
		return ctl_fail(EX_USAGE, "receipts: expected UID");
	q.uid = argv[1];
	find_pid(c, &q);
	e = ctl_redis_open(&r, c, true);
	if (e)
		return e;
	while (n == PAGE && e == 0) {
		redisReply *page;

		e = ctl_redis_command(&r, &page, "XRANGE %s %s + COUNT %d",
				      ctl_redis_key(&r, "receipts"), from, PAGE);
		if (e)
			break;
		n = page->elements;
		for (size_t i = 0; i < n; i++)
			if (concerns(&q, page->element[i]))
				print_one(c, page->element[i]);
		if (n)
			snprintf(from, sizeof from, "(%.40s",
				 page->element[n - 1]->element[0]->str);
		freeReplyObject(page);
	}
	ctl_redis_close(&r);
	return e;
}
