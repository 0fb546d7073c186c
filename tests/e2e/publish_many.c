/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publish_many: publishes N generated events of invented people, and loses none.
 *
 *   publish_many -a REDIS -n N -p PREFIX -f FILE [-b BUREAU] [-t TYPE ...] [-o ORG ...] [-w WINDOW]
 *                [-r PER_SECOND] [-x EVERY] [-g SECONDS]
 *   publish_many -E ENDPOINT [-K KEY_FILE -Z SERVER_KEY] -n N ...    through a daemon
 *   publish_many -a REDIS -S [-b BUREAU]    load the queue's functions, and end
 *
 * Event i has the uid PREFIX-i, the i-th type and organisation in turn, every -x'th is urgent. FILE
 * gets a line "UID OUTCOME" for each, in order of the answers, written at once. When Redis goes
 * away it connects anew, for at most -g seconds (30) without progress, and publishes again, in
 * order, all that was not answered: so what was stored without an answer is told as "repeat". Exit:
 * 0 all stored or scheduled, 1 not all.
 */
#include "queue.h"

#include <dibao/publish.h>
#include <errno.h>
#include <getopt.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LIST_MAX = 16, RETRY_MS = 20 };

struct many {
	struct dibao_redis_options redis;
	struct dibao_relay_options relay; /* endpoint NULL: to Redis */
	const char *types[LIST_MAX], *orgs[LIST_MAX], *prefix;
	unsigned n_types, n_orgs, window, urgent_every, give_up_s;
	long n, next, answered; /* answers come in order, so `answered` is also the next one due */
	double per_second;
	bool bad, broken; /* broken: one was not answered, so the later ones are published again too
			   */
	FILE *out;
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Bodies of each type with all that is required. */
static const struct {
	const char *type;
	const char *set[16];
} bodies[] = {
	{"promotion",
	 {"body.from.code", "F3", "body.from.name", "三级辅员", "body.to.code", "F2",
	  "body.to.name", "二级辅员", "body.effective", "2026-01-01", "body.state", "final"}},
	{"award",
	 {"body.kind.code", "HX", "body.kind.name", "火线奖励", "body.state", "final",
	  "body.public_reason", "演示"}},
	{"penalty",
	 {"body.kind.code", "W", "body.kind.name", "警告", "body.decided_on", "2026-01-02",
	  "body.sign_where", "演示", "body.sign_by", "2026-01-09", "body.appeal_until",
	  "2026-02-01", "body.telephone", "0512-0"}},
	{"welfare_visit",
	 {"body.kind.code", "J", "body.kind.name", "节日慰问", "body.by", "演示", "body.when",
	  "1800000000000", "body.where", "演示"}},
	{"mailbox_reply",
	 {"body.mailbox", "chief", "body.ticket", "T-1", "body.question", "演示", "body.reply",
	  "演示", "body.answered_by", "演示", "body.answered_at", "1700000000000"}},
};

static int make(const struct many *m, long i, uint8_t **ret, size_t *ret_len,
		struct dibao_error *err)
{
	const char *type = m->types[i % m->n_types];
	struct dibao_builder *b;
	char uid[DIBAO_UID_MAX_BYTES + 1], badge[21];
	int r = dibao_builder_new(&b, type);

	if (r < 0)
		return r;
	snprintf(uid, sizeof uid, "%s-%ld", m->prefix, i);
	snprintf(badge, sizeof badge, "F%06ld", i);
	dibao_builder_text(b, "uid", uid, err);
	dibao_builder_text(b, "at", "1700000000000", err);
	dibao_builder_text(b, "org", m->orgs[i % m->n_orgs], err);
	dibao_builder_text(b, "person.badge", badge, err);
	dibao_builder_text(b, "person.name", "演示", err);
	dibao_builder_text(b, "issuer", "演示局", err);
	if (m->urgent_every && i % m->urgent_every == 0)
		dibao_builder_bool(b, "urgent", true);
	for (size_t k = 0; k < sizeof bodies / sizeof bodies[0]; k++)
		for (int f = 0; !strcmp(bodies[k].type, type) && f < 15 && bodies[k].set[f]; f += 2)
			dibao_builder_text(b, bodies[k].set[f], bodies[k].set[f + 1], err);
	r = dibao_builder_encode(b, ret, ret_len, err);
	dibao_builder_free(b);
	return r;
}

static void on_done(void *userdata, int outcome, const struct dibao_error *err)
{
	struct many *m = userdata;

	m->broken |=
		outcome == -ENOTCONN || outcome == -EIO; /* Redis is going, or loading its file */
	if (m->broken)
		return;
	if (outcome < 0)
		fprintf(stderr, "publish_many: %s-%ld: %s %s\n", m->prefix, m->answered,
			err ? err->field : "", err ? err->reason : strerror(-outcome));
	m->bad |= outcome < 0 || outcome == DIBAO_CONFLICT;
	fprintf(m->out, "%s-%ld %s\n", m->prefix, m->answered,
		outcome < 0 ? "error" : dibao_outcome_name(outcome));
	m->answered++;
}

/* Publishes from the first unanswered one on until the end or a broken line. */
static int session(struct many *m, struct dibao_publisher *p)
{
	double start = now_s();
	long first = m->answered;
	int r = 0;

	m->broken = false;
	for (m->next = first; r >= 0 && !m->broken && m->next < m->n; m->next++) {
		struct dibao_error err = {0};
		uint8_t *bytes;
		size_t len;

		if (m->per_second > 0) {
			double ahead =
				(double)(m->next - first) / m->per_second - (now_s() - start);

			if (ahead > 0.001) {
				r = dibao_publisher_flush(p);
				fflush(m->out);
				poll(NULL, 0, (int)(ahead * 1000));
			}
		}
		if (r < 0)
			break;
		r = make(m, m->next, &bytes, &len, &err);
		if (r < 0) {
			fprintf(stderr, "publish_many: %s: %s\n", err.field, err.reason);
			exit(1);
		}
		r = dibao_publish_async(p, bytes, len, on_done, m);
		free(bytes);
	}
	if (r >= 0)
		r = dibao_publisher_flush(p);
	fflush(m->out);
	return r;
}

static int setup(const struct many *m)
{
	struct dibao_error err = {0};
	redisContext *c;
	int r = queue_connect(&c, &m->redis, &err);

	if (r == 0) {
		r = queue_setup(c, m->redis.bureau, &err);
		redisFree(c);
	}
	if (r < 0)
		fprintf(stderr, "publish_many: %s\n", err.reason);
	return r < 0;
}

static int connect_publisher(struct many *m, struct dibao_publisher **ret)
{
	m->relay.bureau = m->redis.bureau;
	return m->relay.endpoint ? dibao_publisher_new_relay(ret, &m->relay, NULL)
				 : dibao_publisher_new(ret, &m->redis, NULL);
}

int main(int argc, char **argv)
{
	struct many m = {.redis = {.bureau = "3205"}, .prefix = "e", .window = 64, .give_up_s = 30};
	struct dibao_publisher *p;
	bool only_setup = false;
	double progress;
	int c;

	while ((c = getopt(argc, argv, "a:n:p:f:b:t:o:w:r:x:g:E:K:Z:S")) != -1)
		switch (c) {
		case 'a':
			m.redis.address = optarg;
			break;
		case 'n':
			m.n = atol(optarg);
			break;
		case 'p':
			m.prefix = optarg;
			break;
		case 'f':
			m.out = fopen(optarg, "a");
			break;
		case 'b':
			m.redis.bureau = optarg;
			break;
		case 't':
			if (m.n_types < LIST_MAX)
				m.types[m.n_types++] = optarg;
			break;
		case 'o':
			if (m.n_orgs < LIST_MAX)
				m.orgs[m.n_orgs++] = optarg;
			break;
		case 'w':
			m.window = (unsigned)atoi(optarg);
			break;
		case 'r':
			m.per_second = atof(optarg);
			break;
		case 'x':
			m.urgent_every = (unsigned)atoi(optarg);
			break;
		case 'g':
			m.give_up_s = (unsigned)atoi(optarg);
			break;
		case 'E':
			m.relay.endpoint = optarg;
			break;
		case 'K':
			m.relay.curve_key_file = optarg;
			break;
		case 'Z':
			m.relay.curve_server_key = optarg;
			break;
		case 'S':
			only_setup = true;
			break;
		default:
			return 1;
		}
	if ((!m.redis.address && !m.relay.endpoint) || (!only_setup && !m.out))
		return 1;
	if (only_setup)
		return setup(&m);
	if (!m.n_types)
		m.types[m.n_types++] = "penalty";
	if (!m.n_orgs)
		m.orgs[m.n_orgs++] = "320508530000";
	progress = now_s();
	while (m.answered < m.n && now_s() - progress < m.give_up_s) {
		long before = m.answered;

		if (connect_publisher(&m, &p) == 0) {
			dibao_publisher_window(p, m.window);
			session(&m, p);
			dibao_publisher_free(p);
		}
		if (m.answered > before)
			progress = now_s();
		if (m.answered < m.n)
			poll(NULL, 0, RETRY_MS);
	}
	fclose(m.out);
	return m.answered < m.n || m.bad;
}
