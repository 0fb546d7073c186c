/* SPDX-License-Identifier: Apache-2.0 */
/* status, clients, reload: what the daemon itself is asked, over its control socket, or with a key
 * of kind admin over an endpoint. */
#include "ctl.h"
#include "dealer.h"
#include "wire.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { TIMEOUT_S = 10, WATCH_S = 1 };
enum { ALARM = 1 }; /* exit code of status, for whoever watches by it */

static int connect_daemon(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct timeval t = {.tv_sec = TIMEOUT_S};
	int fd;

	if (strlen(path) >= sizeof a.sun_path)
		return -ENAMETOOLONG;
	strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
		int e = -errno;

		close(fd);
		return e;
	}
	return fd;
}

static int read_answer(const struct ctl *c, const char *verb, json_t **ret)
{
	int fd = connect_daemon(c->control);
	json_error_t where;
	FILE *f;

	if (fd < 0)
		return ctl_fail(fd == -EACCES ? EX_NOPERM : EX_UNAVAILABLE, "no daemon at %s: %s",
				c->control, strerror(-fd));
	f = fdopen(fd, "r+");
	if (!f) {
		close(fd);
		return ctl_fail(EX_OSERR, "no memory");
	}
	fprintf(f, "{\"do\":\"%s\"}\n", verb);
	if (fflush(f) == 0)
		*ret = json_loadf(f, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &where);
	fclose(f);
	return 0;
}

/* ANSWERs until the last, their parts together in *ret, the caller's. */
static int collect(struct dealer *d, char **ret, size_t *ret_len, struct dibao_error *err)
{
	struct wire_answer a = {.more = true};
	FILE *f = open_memstream(ret, ret_len);
	const uint8_t *frame;
	size_t len;
	int r = f ? 0 : -ENOMEM;

	while (r == 0 && a.more) {
		r = dealer_receive(d, &frame, &len, err);
		if (r == 0 && wire_answer_unpack(&a, frame, len) < 0)
			r = -EPROTO;
		if (r == 0 && a.json.len)
			fwrite(a.json.p, 1, a.json.len, f);
	}
	if (f)
		fclose(f);
	return r;
}

static int ask_endpoint(const struct ctl *c, const char *verb, json_t **ret)
{
	struct dealer_options o = {.endpoint = c->endpoints[0],
				   .server_key = c->server_key,
				   .key_file = c->key_file,
				   .timeout_ms = TIMEOUT_S * 1000};
	struct wire_ask ask = {.id = 1, .verb = {verb, strlen(verb)}};
	struct dibao_error err = {.code = -EPROTO, .reason = "unexpected message"};
	char *text = NULL;
	struct dealer *d;
	uint8_t buf[128];
	size_t len = 0;
	int r = dealer_open(&d, &o, &err), n = wire_ask_pack(buf, sizeof buf, &ask);

	if (r < 0)
		return ctl_error(&err);
	r = dealer_send(d, buf, (size_t)n, &err);
	if (r == 0)
		r = collect(d, &text, &len, &err);
	dealer_close(d);
	if (r == 0)
		*ret = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	return r < 0 ? ctl_fail(r == -EACCES ? EX_NOPERM : EX_UNAVAILABLE, "%s: %s",
				c->endpoints[0], err.reason)
		     : 0;
}

/* The daemon's answer, ok or not. *ret is the caller's. 0 or a code, said. */
static int ask(const struct ctl *c, const char *verb, json_t **ret)
{
	json_t *a = NULL;
	int code = c->by_endpoint ? ask_endpoint(c, verb, &a) : read_answer(c, verb, &a);

	if (code)
		return code;
	if (!a)
		return ctl_fail(EX_UNAVAILABLE, "the daemon at %s gave no answer",
				c->by_endpoint ? c->endpoints[0] : c->control);
	if (!json_is_true(json_object_get(a, "ok"))) {
		const char *why = json_string_value(json_object_get(a, "error"));

		code = ctl_fail(EX_TEMPFAIL, "the daemon refused: %s",
				why ? why : "no reason given");
		json_decref(a);
		return code;
	}
	*ret = a;
	return 0;
}

static int print_json(json_t *a)
{
	json_dumpf(a, stdout, JSON_COMPACT);
	putchar('\n');
	return 0;
}

static json_int_t integer(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

static const char *text(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "-";
}

static void print_rate(FILE *f, const char *what, const json_t *now, const json_t *before,
		       double seconds, const char *name)
{
	json_int_t a = integer(json_object_get(now, "counters"), name);

	fprintf(f, "  %-15s %14lld", what, (long long)a);
	if (before && seconds > 0)
		fprintf(f, "  %10.0f/s",
			(double)(a - integer(json_object_get(before, "counters"), name)) / seconds);
	putc('\n', f);
}

static void print_alarms(FILE *f, const json_t *a)
{
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(a, "alarms"), i, v)
		fprintf(f, "ALARM  %s\n", json_string_value(v));
}

static void print_status(FILE *f, const json_t *a, const json_t *before, double seconds)
{
	const json_t *r = json_object_get(a, "redis");
	json_int_t up = integer(a, "uptime_ms") / 1000;

	fprintf(f, "dibaod %s, pid %lld, up %lldd %02lld:%02lld:%02lld, bureau %s, %s\n",
		text(a, "version"), (long long)integer(a, "pid"), (long long)(up / 86400),
		(long long)(up / 3600 % 24), (long long)(up / 60 % 60), (long long)(up % 60),
		text(a, "bureau"),
		json_is_true(json_object_get(a, "serving")) ? "serving" : "not serving");
	fprintf(f, "redis  %s, %s, epoch %lld\n",
		json_is_true(json_object_get(r, "up")) ? "up" : "DOWN", text(r, "role"),
		(long long)integer(r, "epoch"));
	print_alarms(f, a);
	fprintf(f, "sessions %lld (%lld active, %lld standing by), lanes %lld\n",
		(long long)integer(a, "sessions"), (long long)integer(a, "active"),
		(long long)integer(a, "standby"), (long long)integer(a, "lanes"));
	fprintf(f, "memory  ring %.1f MiB, slices %.1f MiB, payload %.1f MiB\n",
		(double)integer(a, "ring_bytes") / 1048576,
		(double)integer(a, "slice_bytes") / 1048576,
		(double)integer(a, "payload_bytes") / 1048576);
	print_rate(f, "entries in", a, before, seconds, "entries");
	print_rate(f, "items out", a, before, seconds, "items");
	print_rate(f, "frames out", a, before, seconds, "frames");
	print_rate(f, "bytes out", a, before, seconds, "bytes");
	print_rate(f, "quarantined", a, before, seconds, "quarantined");
	print_rate(f, "repeats", a, before, seconds, "repeats");
	print_rate(f, "refused", a, before, seconds, "refused");
	print_rate(f, "protocol errors", a, before, seconds, "protocol_errors");
	print_rate(f, "receipts", a, before, seconds, "receipts");
}

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

/* As top does: in place, without clearing first, so that it does not flicker. */
static void redraw(const struct ctl *c, const json_t *a, const json_t *before, double seconds)
{
	char *text = NULL, *line, *save = NULL;
	size_t n;
	FILE *f = c->colour ? open_memstream(&text, &n) : stdout;

	if (!f)
		return;
	print_status(f, a, before, seconds);
	if (f == stdout) {
		putchar('\n');
		return;
	}
	fclose(f);
	fputs("\033[H", stdout);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		printf("%s\033[K\n", line);
	fputs("\033[J", stdout);
	free(text);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A daemon that goes away while one looks on may come back: that is told, and waited for. */
static int watch(const struct ctl *c)
{
	struct sigaction sa = {.sa_handler = on_signal};
	json_t *before = NULL, *a;
	double asked = 0, last;
	int r = 0;

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	if (c->colour && !c->json)
		fputs("\033[H\033[J", stdout);
	while (!stopped) {
		last = asked;
		asked = now_s();
		r = ask(c, "status", &a);
		if (r && !before)
			break;
		if (r == 0 && before && integer(a, "pid") != integer(before, "pid")) {
			json_decref(before);
			before = NULL;
		}
		if (r == 0 && c->json) {
			ctl_put_json(json_incref(a));
		} else if (r == 0) {
			redraw(c, a, before, asked - last);
		} else if (c->colour && !c->json) {
			fputs("\033[H\033[J", stdout);
		}
		fflush(stdout);
		if (r == 0) {
			json_decref(before);
			before = a;
		}
		nanosleep(&(struct timespec){.tv_sec = WATCH_S}, NULL);
	}
	r = before ? 0 : r;
	json_decref(before);
	return r;
}

int ctl_status(struct ctl *c, int argc, char **argv)
{
	json_t *a;
	int r = ctl_options_take(c, &argc, argv);

	if (r)
		return r;
	if (argc == 2 && !strcmp(argv[1], "--watch"))
		return watch(c);
	if (argc > 1)
		return ctl_fail(EX_USAGE, "status: unexpected argument: %s", argv[1]);
	r = ask(c, "status", &a);
	if (r)
		return r;
	if (c->json)
		print_json(a);
	else
		print_status(stdout, a, NULL, 0);
	r = json_array_size(json_object_get(a, "alarms")) ? ALARM : 0;
	json_decref(a);
	return r;
}

static void join(char *buf, size_t cap, const json_t *list)
{
	size_t n = 0, i;
	json_t *v;

	buf[0] = '\0';
	json_array_foreach(list, i, v)
	{
		int k = snprintf(buf + n, cap - n, "%s%s", i ? "," : "", json_string_value(v));

		if (k < 0 || (size_t)k >= cap - n)
			break;
		n += (size_t)k;
	}
	if (!n)
		snprintf(buf, cap, "*");
}

static void print_client(const json_t *k)
{
	char types[64], orgs[64], since[CTL_TIME], who[80];

	/* A session without a durable name is known by its name in the policy. */
	if (json_string_length(json_object_get(k, "name")))
		snprintf(who, sizeof who, "%s", text(k, "name"));
	else
		snprintf(who, sizeof who, "(%s)", text(k, "policy"));
	join(types, sizeof types, json_object_get(k, "types"));
	join(orgs, sizeof orgs, json_object_get(k, "orgs"));
	printf("%-20s %.8s %-8s %-6s %-20s %-20s %8lld %8.1f %9lld  %s\n", who, text(k, "instance"),
	       text(k, "state"), text(k, "peer_view"), types, orgs,
	       (long long)integer(k, "lag_events"),
	       json_number_value(json_object_get(k, "lag_seconds")),
	       (long long)integer(k, "credit_bytes"), ctl_time(since, integer(k, "connected_ms")));
}

int ctl_clients(struct ctl *c, int argc, char **argv)
{
	json_t *a, *k;
	size_t i;
	int r = ctl_options_take(c, &argc, argv);

	if (r)
		return r;
	if (argc > 1)
		return ctl_fail(EX_USAGE, "clients: unexpected argument: %s", argv[1]);
	r = ask(c, "clients", &a);
	if (r)
		return r;
	if (c->json) {
		json_array_foreach(json_object_get(a, "clients"), i, k) print_json(k);
	} else {
		printf("%-20s %-8s %-8s %-6s %-20s %-20s %8s %8s %9s  %s\n", "NAME", "INSTANCE",
		       "STATE", "VIEW", "TYPES", "ORGS", "LAG", "LAG S", "CREDIT", "SINCE");
		json_array_foreach(json_object_get(a, "clients"), i, k) print_client(k);
	}
	json_decref(a);
	return 0;
}

int ctl_reload(struct ctl *c, int argc, char **argv)
{
	json_t *a;
	int r = ctl_options_take(c, &argc, argv);

	if (r)
		return r;
	if (argc > 1)
		return ctl_fail(EX_USAGE, "reload: unexpected argument: %s", argv[1]);
	r = ask(c, "reload", &a);
	if (r)
		return r;
	if (c->json)
		print_json(a);
	else
		puts(text(a, "text"));
	json_decref(a);
	return 0;
}
