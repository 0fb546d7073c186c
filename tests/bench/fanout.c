/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fanout: N subscribers in one process and one thread, on the library, that acknowledge all they
 * get.
 *
 *   fanout --mode drain|live|latency --endpoint E --subscribers N --events M [--window B]
 *          [--server-key KEY --key-file FILE]    CURVE, one key for all
 *          [--apart]    each wants a unit of its own, of which there are no events
 *
 * drain: starts when a backlog of M events is in the queue, from the beginning; live: says "ready"
 * when all are active, from now on. Both print one line of JSON when each subscriber has had M
 * events: deliveries, seconds from the first delivery to the last, CPU seconds of this process.
 * latency: as live, but each event's `at` is µs-exact in its uid ("l<µs>-..."): prints p50, p99,
 * p99.9 in µs of publish to callback.
 */
#include <dibao/subscriber.h>

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>

struct bench {
	const char *endpoint, *server_key, *key_file;
	bool drain, latency, apart;
	unsigned n;
	uint32_t window; /* bytes; 0 = the library's default */
	uint64_t events; /* wanted by each */
	uint64_t deliveries, bytes;
	unsigned n_active, n_done;
	uint64_t first_usec, last_usec;
	uint32_t *samples; /* latency: µs of all deliveries */
	uint64_t n_samples;
};

struct one {
	struct bench *b;
	struct dibao_subscriber *s;
	uint64_t n;
};

static uint64_t now_usec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static int on_delivery(struct dibao_subscriber *s, const struct dibao_delivery *d, void *userdata)
{
	struct one *o = userdata;
	struct bench *b = o->b;

	if (!b->deliveries++)
		b->first_usec = now_usec();
	b->bytes += d->len;
	if (b->latency) {
		struct dibao_event ev;

		if (dibao_event_view(&ev, d->bytes, d->len) == 0 && ev.uid.len > 2)
			b->samples[b->n_samples++] =
				(uint32_t)(now_usec() - strtoull(ev.uid.p + 1, NULL, 10));
	}
	dibao_subscriber_ack(s, d->ack);
	if (++o->n == b->events) {
		b->n_done++;
		b->last_usec = now_usec();
	}
	return 0;
}

static void on_status(struct dibao_subscriber *s, const struct dibao_status *st, void *userdata)
{
	struct one *o = userdata;

	(void)s;
	if (st->state == DIBAO_STATE_ACTIVE)
		o->b->n_active++;
	else if (st->state == DIBAO_STATE_REFUSED || st->reason == DIBAO_REASON_PROTOCOL)
		fprintf(stderr, "fanout: %s: %s\n", dibao_reason_name(st->reason), st->text);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void report(struct bench *b)
{
	double s = (double)(b->last_usec - b->first_usec) / 1e6;
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	printf("{\"subscribers\":%u,\"events\":%llu,\"deliveries\":%llu,\"seconds\":%.6f,"
	       "\"per_s\":%.0f,\"cpu_s\":%.3f,\"rss_kib\":%ld",
	       b->n, (unsigned long long)b->events, (unsigned long long)b->deliveries, s,
	       (double)b->deliveries / s,
	       (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
		       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6,
	       u.ru_maxrss);
	if (b->latency && b->n_samples) {
		qsort(b->samples, b->n_samples, sizeof *b->samples, compare);
		printf(",\"p50_us\":%u,\"p99_us\":%u,\"p999_us\":%u", b->samples[b->n_samples / 2],
		       b->samples[b->n_samples * 99 / 100], b->samples[b->n_samples * 999 / 1000]);
	}
	puts("}");
	fflush(stdout);
}

static int run(struct bench *b)
{
	struct one *all = calloc(b->n, sizeof *all);
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct dibao_context *ctx;
	bool said = false;

	if (!all || ep < 0 || dibao_context_new(&ctx, 1) < 0)
		return 1;
	for (unsigned i = 0; i < b->n; i++) {
		const char *endpoints[] = {b->endpoint, NULL};
		char org[20];
		const char *const orgs[] = {org, NULL};
		struct dibao_subscriber_options o = {
			.endpoints = endpoints,
			.bureau = "3205",
			.start = b->drain ? DIBAO_START_TIME : DIBAO_START_NEW,
			.window_bytes = b->window,
			.orgs = b->apart ? orgs : NULL,
			.curve_server_key = b->server_key,
			.curve_key_file = b->key_file,
			.userdata = &all[i],
			.on_delivery = on_delivery,
			.on_status = on_status,
		};
		struct epoll_event e = {.events = EPOLLIN, .data.u32 = i};
		struct dibao_error err;

		snprintf(org, sizeof org, "320509%06u", i % 1000000);
		all[i].b = b;
		if (dibao_subscriber_new(&all[i].s, ctx, &o, &err) < 0) {
			fprintf(stderr, "fanout: %s\n", err.reason);
			return 1;
		}
		epoll_ctl(ep, EPOLL_CTL_ADD, dibao_subscriber_fd(all[i].s), &e);
	}
	while (b->n_done < b->n) {
		struct epoll_event e[64];
		int k = epoll_wait(ep, e, 64, 60000);

		if (k == 0 || (k < 0 && errno != EINTR)) {
			fprintf(stderr,
				"fanout: nothing for 60 s: %u of %u done, %llu deliveries\n",
				b->n_done, b->n, (unsigned long long)b->deliveries);
			return 1;
		}
		for (int i = 0; i < k; i++)
			if (dibao_subscriber_dispatch(all[e[i].data.u32].s, 0) < 0)
				return 1;
		if (!said && !b->drain && b->n_active == b->n) {
			said = true;
			puts("ready");
			fflush(stdout);
		}
	}
	report(b);
	for (unsigned i = 0; i < b->n; i++)
		dibao_subscriber_free(all[i].s);
	dibao_context_free(ctx);
	free(all);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"mode", required_argument, NULL, 'm'},
		{"endpoint", required_argument, NULL, 'e'},
		{"subscribers", required_argument, NULL, 's'},
		{"events", required_argument, NULL, 'n'},
		{"window", required_argument, NULL, 'w'},
		{"server-key", required_argument, NULL, 'k'},
		{"key-file", required_argument, NULL, 'f'},
		{"apart", no_argument, NULL, 'a'},
		{0},
	};
	struct rlimit files = {65536, 65536};
	struct bench b = {.n = 1, .events = 1};
	int o;

	/* What libdibao(3) advises who drains much. */
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	mallopt(M_TRIM_THRESHOLD, 16 << 20);
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 'm':
			b.drain = !strcmp(optarg, "drain");
			b.latency = !strcmp(optarg, "latency");
			break;
		case 'e':
			b.endpoint = optarg;
			break;
		case 's':
			b.n = (unsigned)atoi(optarg);
			break;
		case 'n':
			b.events = strtoull(optarg, NULL, 10);
			break;
		case 'k':
			b.server_key = optarg;
			break;
		case 'f':
			b.key_file = optarg;
			break;
		case 'a':
			b.apart = true;
			break;
		case 'w':
			b.window = (uint32_t)atoi(optarg);
			break;
		default:
			return 64;
		}
	if (!b.endpoint || !b.n || !b.events)
		return 64;
	setrlimit(RLIMIT_NOFILE, &files);
	if (b.latency)
		b.samples = malloc(b.n * b.events * sizeof *b.samples);
	return run(&b);
}
