/* SPDX-License-Identifier: Apache-2.0 */
/* tail: a subscriber that prints. An event is acknowledged when its line is written. */
#include "tail_print.h"
#include "timearg.h"

#include <dibao/subscriber.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LIST_MAX = 32 };

struct tail {
	const struct ctl *c;
	long left; /* -1: no end */
	bool complained;
	bool failed;
	int reason;
};

static struct dibao_subscriber *running; /* for the signal handler */

static void on_signal(int sig)
{
	(void)sig;
	if (running)
		dibao_subscriber_stop(running);
}

static int on_delivery(struct dibao_subscriber *s, const struct dibao_delivery *d, void *userdata)
{
	struct tail *t = userdata;

	tail_print(t->c, d);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		t->failed = true;
		return 1;
	}
	dibao_subscriber_ack(s, d->ack);
	return t->left > 0 && --t->left == 0;
}

static void on_status(struct dibao_subscriber *s, const struct dibao_status *st, void *userdata)
{
	struct tail *t = userdata;

	(void)s;
	t->reason = st->reason;
	if (st->state == DIBAO_STATE_REFUSED)
		ctl_fail(0, "refused by %s: %s: %s", st->endpoint, dibao_reason_name(st->reason),
			 st->text);
	else if (st->state == DIBAO_STATE_STANDBY)
		ctl_fail(0, "standing by: another instance of this name is active");
	else if (st->state == DIBAO_STATE_CONNECTING && st->reason == DIBAO_REASON_NO_ANSWER)
		ctl_fail(0, "no answer from %s: %s, connecting again", st->endpoint, st->text);
	else if (st->state == DIBAO_STATE_CONNECTING)
		ctl_fail(0, "%s: %s: %s, connecting again", st->endpoint,
			 dibao_reason_name(st->reason), st->text);
	else if (st->state == DIBAO_STATE_ACTIVE && t->complained)
		ctl_fail(0, "connected to %s", st->endpoint);
	t->complained = st->state != DIBAO_STATE_ACTIVE;
}

static void on_lost(struct dibao_subscriber *s, const struct dibao_lost *l, void *userdata)
{
	(void)s;
	(void)userdata;
	ctl_fail(0, "lost on %s: from %lld to %lld (Unix ms): %s", dibao_channel_name(l->channel),
		 (long long)l->from_ms, (long long)l->to_ms, l->reason);
}

/* A type by its name or its Chinese one. The daemon may know more than we do. */
static const char *type_asked_for(const char *word)
{
	const char *name = ctl_type_named(word);

	if (name)
		return name;
	ctl_fail(0,
		 "tail: no type %s is known here (see dibaoctl types); asking for it all the same",
		 word);
	return word;
}

static int parse(int argc, char **argv, struct dibao_subscriber_options *o, const char **types,
		 const char **orgs, long *left)
{
	unsigned n_types = 0, n_orgs = 0;

	for (int i = 1; i < argc; i++) {
		const char *name = argv[i], *value;
		char *end;

		if (!strcmp(name, "--public")) {
			o->public_view = true;
			continue;
		}
		if (i + 1 == argc)
			return ctl_fail(EX_USAGE, "tail: %s: expected an option and its value",
					name);
		value = argv[++i];
		if (!strcmp(name, "--type") && n_types < LIST_MAX) {
			types[n_types++] = type_asked_for(value);
		} else if (!strcmp(name, "--org") && n_orgs < LIST_MAX) {
			orgs[n_orgs++] = value;
		} else if (!strcmp(name, "--name")) {
			o->durable = value;
			o->start = o->start == DIBAO_START_NEW ? DIBAO_START_RESUME : o->start;
		} else if (!strcmp(name, "--since")) {
			if (timearg_parse(value, time(NULL), &o->start_arg) < 0)
				return ctl_fail(
					EX_USAGE,
					"tail: --since: expected Unix ms, a time "
					"2026-11-23T09:30:00+08:00, or 90s, 15m, 2h, 3d ago");
			o->start = DIBAO_START_TIME;
		} else if (!strcmp(name, "--last")) {
			o->start_arg = strtoll(value, &end, 10);
			if (*end || o->start_arg < 1 || o->start_arg > 100000)
				return ctl_fail(EX_USAGE, "tail: --last: expected 1 to 100000");
			o->start = DIBAO_START_LAST;
		} else if (!strcmp(name, "-n")) {
			*left = strtol(value, &end, 10);
			if (*end || *left < 1)
				return ctl_fail(EX_USAGE, "tail: -n: expected a number from 1");
		} else {
			return ctl_fail(EX_USAGE, "tail: no such option, or too many: %s", name);
		}
	}
	if (n_types)
		o->types = types;
	if (n_orgs)
		o->orgs = orgs;
	return 0;
}

int ctl_tail(struct ctl *c, int argc, char **argv)
{
	const char *types[LIST_MAX + 1] = {0}, *orgs[LIST_MAX + 1] = {0};
	struct tail t = {.c = c, .left = -1};
	struct dibao_subscriber_options o = {
		.endpoints = (const char *const *)c->endpoints,
		.bureau = c->bureau,
		.start = DIBAO_START_NEW,
		.curve_server_key = c->server_key,
		.curve_key_file = c->key_file,
		.userdata = &t,
		.on_delivery = on_delivery,
		.on_status = on_status,
		.on_lost = on_lost,
	};
	struct sigaction sa = {.sa_handler = on_signal};
	struct dibao_context *ctx;
	struct dibao_error err;
	int r = parse(argc, argv, &o, types, orgs, &t.left);

	if (r)
		return r;
	if (dibao_context_new(&ctx, 1) < 0)
		return ctl_fail(EX_OSERR, "no memory");
	if (dibao_subscriber_new(&running, ctx, &o, &err) < 0) {
		dibao_context_free(ctx);
		return ctl_error(&err);
	}
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	r = dibao_subscriber_run(running);
	running = dibao_subscriber_free(running);
	dibao_context_free(ctx);
	if (t.failed)
		return EX_IOERR;
	if (r == -EACCES)
		return EX_NOPERM;
	return r < 0 ? EX_SOFTWARE : 0;
}
