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

struct query {
	const struct ctl *ctl;
	const char *uid;
	uint8_t pid[DIBAO_PID_BYTES];
	bool has_pid;
	size_t n; /* found */
};

static bool concerns(const struct query *q, const redisReply *entry)
{
	const redisReply *key = ctl_redis_value(entry, "key");

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
	int r;

	if (!c->view_key_file) {
		ctl_fail(0, "receipts of boards are left out: no view_key_file is configured");
		return;
	}
	r = credential_open(&f, c->view_key_file);
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
			 c->view_key_file, credential_error(r));
	}
	sodium_memzero(key, sizeof key);
	sodium_memzero(hex, sizeof hex);
}

static void print_one(const struct ctl *c, const redisReply *e)
{
	int64_t at = atoll(ctl_redis_field(e, "at"));
	const char *state =
		dibao_receipt_name((enum dibao_receipt_state)atoi(ctl_redis_field(e, "state")));
	char when[CTL_TIME];
	json_t *j;

	if (c->json) {
		j = json_pack("{s:s, s:s, s:s, s:I, s:s, s:s}", "id", e->element[0]->str, "name",
			      ctl_redis_field(e, "name"), "state", state, "at", (json_int_t)at,
			      "detail", ctl_redis_field(e, "detail"), "token",
			      ctl_redis_field(e, "token"));
		ctl_put_json(j);
		return;
	}
	printf("%s  %-20s %-10s %s\n", ctl_time(when, at), ctl_redis_field(e, "name"), state,
	       ctl_redis_field(e, "detail"));
}

static void on_entry(const redisReply *entry, void *userdata)
{
	struct query *q = userdata;

	if (concerns(q, entry)) {
		q->n++;
		print_one(q->ctl, entry);
	}
}

int ctl_receipts(struct ctl *c, int argc, char **argv)
{
	struct query q = {.ctl = c, .uid = ctl_operand(&argc, argv)};
	struct ctl_redis r;
	size_t n;
	int e;

	if (!q.uid || argc > 1)
		return ctl_fail(EX_USAGE,
				"receipts: expected UID; one that begins with - behind --");
	find_pid(c, &q);
	e = ctl_redis_open(&r, c, true);
	if (e)
		return e;
	e = ctl_redis_each(&r, "receipts", "-", on_entry, &q, &n);
	if (e == 0)
		e = ctl_redis_each(&r, "receipts-public", "-", on_entry, &q, &n);
	if (e == 0 && q.has_pid) /* else not all of them were looked at, and that was said */
		ctl_none(c, q.n);
	ctl_redis_close(&r);
	return e;
}
