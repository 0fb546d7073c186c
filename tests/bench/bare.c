/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bare: the peer. A ZeroMQ PUB that sends a message per event and N SUBs in one process and thread
 * with the same callback as fanout.c; over loopback tcp, no queue, no acks, nothing durable.
 *
 *   bare pub --bytes B --events M --subscribers N [--curve]    binds, prints its endpoint, waits
 * for N subscriptions, then sends M events bare sub --endpoint E --events M --subscribers N
 * [--curve KEY] bare latency --redis ADDR --events M --rate R --subscribers N --bytes B XADD
 * (acknowledged), XREAD BLOCK by a second connection, PUB to N SUBs; all in one process with a
 * thread each for writing, reading and receiving. Prints p50, p99, p99.9 in µs.
 *
 * NODROP, so that the comparison is of lossless runs: a full SUB makes the PUB wait.
 */
#include <errno.h>
#include <getopt.h>
#include <hiredis/hiredis.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <zmq.h>

static uint64_t now_usec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

struct options {
	const char *endpoint, *redis, *key;
	uint64_t events, rate;
	unsigned n;
	size_t bytes;
	int curve;
};

/* What fanout.c does with a delivery, less the ack. */
struct count {
	uint64_t deliveries, bytes, first_usec, last_usec;
	uint32_t *samples;
};

static void on_event(struct count *c, const void *p, size_t len)
{
	if (!c->deliveries++)
		c->first_usec = now_usec();
	c->bytes += len;
	if (c->samples)
		c->samples[c->deliveries - 1] = (uint32_t)(now_usec() - *(const uint64_t *)p);
}

static void set_server_keys(void *s, const struct options *o)
{
	char public[41], secret[41];
	int one = 1;

	if (!o->curve)
		return;
	zmq_curve_keypair(public, secret);
	zmq_setsockopt(s, ZMQ_CURVE_SERVER, &one, sizeof one);
	zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, secret, 40);
	printf("%s ", public);
}

static void *make_pub(void *ctx, const struct options *o)
{
	void *s = zmq_socket(ctx, ZMQ_XPUB);
	int nodrop = 1, hwm = 1000, verbose = 1;
	char at[128];
	size_t n = sizeof at;

	zmq_setsockopt(s, ZMQ_XPUB_NODROP, &nodrop, sizeof nodrop);
	zmq_setsockopt(s, ZMQ_XPUB_VERBOSE, &verbose, sizeof verbose);
	zmq_setsockopt(s, ZMQ_SNDHWM, &hwm, sizeof hwm);
	set_server_keys(s, o);
	if (zmq_bind(s, "tcp://127.0.0.1:*") < 0)
		exit(69);
	zmq_getsockopt(s, ZMQ_LAST_ENDPOINT, at, &n);
	printf("%s\n", at);
	fflush(stdout);
	return s;
}

static void wait_subscriptions(void *pub, unsigned n)
{
	char b[16];

	while (n)
		if (zmq_recv(pub, b, sizeof b, 0) >= 1 && b[0] == 1)
			n--;
}

static int run_pub(const struct options *o)
{
	void *ctx = zmq_ctx_new(), *s;
	char *event = calloc(1, o->bytes);
	struct rusage u;

	zmq_ctx_set(ctx, ZMQ_MAX_SOCKETS, 65535);
	s = make_pub(ctx, o);
	wait_subscriptions(s, o->n);
	for (uint64_t i = 0; i < o->events;) {
		if (o->rate) {
			uint64_t due = now_usec();

			memcpy(event, &due, sizeof due);
		}
		if (zmq_send(s, event, o->bytes, 0) >= 0)
			i++;
		else if (zmq_errno() != EAGAIN && zmq_errno() != EINTR)
			return 70;
	}
	zmq_close(s);
	zmq_ctx_term(ctx);
	getrusage(RUSAGE_SELF, &u);
	fprintf(stderr, "{\"cpu_s\":%.3f}\n",
		(double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
			(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
	free(event);
	return 0;
}

static void **make_subs(void *ctx, const struct options *o, zmq_pollitem_t *items)
{
	void **s = calloc(o->n, sizeof *s);
	int hwm = 1000;
	char public[41], secret[41];

	if (o->key)
		zmq_curve_keypair(public, secret);
	for (unsigned i = 0; i < o->n; i++) {
		s[i] = zmq_socket(ctx, ZMQ_SUB);
		zmq_setsockopt(s[i], ZMQ_RCVHWM, &hwm, sizeof hwm);
		if (o->key) {
			zmq_setsockopt(s[i], ZMQ_CURVE_SERVERKEY, o->key, 40);
			zmq_setsockopt(s[i], ZMQ_CURVE_PUBLICKEY, public, 40);
			zmq_setsockopt(s[i], ZMQ_CURVE_SECRETKEY, secret, 40);
		}
		zmq_setsockopt(s[i], ZMQ_SUBSCRIBE, "", 0);
		zmq_connect(s[i], o->endpoint);
		items[i] = (zmq_pollitem_t){.socket = s[i], .events = ZMQ_POLLIN};
	}
	return s;
}

/* All that is there on one socket, a bounded number at a time. */
static void drain(void *s, struct count *c)
{
	zmq_msg_t m;

	zmq_msg_init(&m);
	for (int k = 0; k < 1000 && zmq_msg_recv(&m, s, ZMQ_DONTWAIT) >= 0; k++)
		on_event(c, zmq_msg_data(&m), zmq_msg_size(&m));
	zmq_msg_close(&m);
}

static int receive_all(const struct options *o, void *ctx, struct count *c)
{
	zmq_pollitem_t *items = calloc(o->n, sizeof *items);
	void **s = make_subs(ctx, o, items);

	while (c->deliveries < o->events * o->n) {
		if (zmq_poll(items, (int)o->n, 60000) <= 0) {
			fprintf(stderr, "bare: nothing for 60 s\n");
			return 1;
		}
		for (unsigned i = 0; i < o->n; i++)
			if (items[i].revents)
				drain(s[i], c);
	}
	c->last_usec = now_usec();
	for (unsigned i = 0; i < o->n; i++)
		zmq_close(s[i]);
	free(s);
	free(items);
	return 0;
}

static int run_sub(const struct options *o)
{
	void *ctx = zmq_ctx_new();
	struct count c = {0};
	struct rusage u;
	double s;
	int r;

	zmq_ctx_set(ctx, ZMQ_MAX_SOCKETS, 65535);
	r = receive_all(o, ctx, &c);
	zmq_ctx_term(ctx);
	s = (double)(c.last_usec - c.first_usec) / 1e6;
	getrusage(RUSAGE_SELF, &u);
	printf("{\"subscribers\":%u,\"deliveries\":%llu,\"seconds\":%.6f,\"per_s\":%.0f,\"cpu_s\":%"
	       ".3f}\n",
	       o->n, (unsigned long long)c.deliveries, s, (double)c.deliveries / s,
	       (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
		       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
	return r;
}

/* ---- latency: append, fsync, read, send ---- */

struct path {
	const struct options *o;
	void *ctx, *pub;
	redisContext *writer, *reader;
};

static redisContext *redis(const char *address)
{
	redisContext *c = redisConnectUnix(address + (strncmp(address, "unix:", 5) ? 0 : 5));

	if (!c || c->err) {
		fprintf(stderr, "bare: no Redis at %s\n", address);
		exit(69);
	}
	return c;
}

static void *write_all(void *arg)
{
	struct path *p = arg;
	char *event = calloc(1, p->o->bytes);
	uint64_t start = now_usec();

	for (uint64_t i = 0; i < p->o->events; i++) {
		uint64_t at = start + i * 1000000 / p->o->rate, t;

		while ((t = now_usec()) < at)
			if (at - t > 60)
				nanosleep(&(struct timespec){.tv_nsec = (long)(at - t - 50) * 1000},
					  NULL);
		memcpy(event, &t, sizeof t);
		freeReplyObject(redisCommand(p->writer, "XADD bare * e %b", event, p->o->bytes));
	}
	free(event);
	return NULL;
}

static void *read_all(void *arg)
{
	struct path *p = arg;
	char last[64] = "$";
	uint64_t n = 0;

	while (n < p->o->events) {
		redisReply *r =
			redisCommand(p->reader, "XREAD COUNT 500 BLOCK 1000 STREAMS bare %s", last);

		if (r && r->type == REDIS_REPLY_ARRAY) {
			redisReply *list = r->element[0]->element[1];

			for (size_t i = 0; i < list->elements; i++, n++) {
				redisReply *e = list->element[i]->element[1]->element[1];

				zmq_send(p->pub, e->str, e->len, 0);
				snprintf(last, sizeof last, "%s",
					 list->element[i]->element[0]->str);
			}
		}
		if (r)
			freeReplyObject(r);
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void *receive_thread(void *arg)
{
	struct path *p = arg;
	struct count c = {.samples = calloc(p->o->events * p->o->n, sizeof *c.samples)};
	uint64_t n = p->o->events * p->o->n;

	if (receive_all(p->o, p->ctx, &c) == 0) {
		qsort(c.samples, n, sizeof *c.samples, compare);
		printf("{\"p50_us\":%u,\"p99_us\":%u,\"p999_us\":%u}\n", c.samples[n / 2],
		       c.samples[n * 99 / 100], c.samples[n * 999 / 1000]);
	}
	free(c.samples);
	return NULL;
}

static int run_latency(struct options *o)
{
	struct path p = {.o = o, .ctx = zmq_ctx_new()};
	pthread_t receiver, reader, writer;
	static char at[128];
	size_t n = sizeof at;

	p.pub = make_pub(p.ctx, o);
	zmq_getsockopt(p.pub, ZMQ_LAST_ENDPOINT, at, &n);
	o->endpoint = at;
	p.writer = redis(o->redis);
	p.reader = redis(o->redis);
	pthread_create(&receiver, NULL, receive_thread, &p);
	wait_subscriptions(p.pub, o->n);
	pthread_create(&reader, NULL, read_all, &p);
	nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL); /* the first XREAD waits at $ */
	pthread_create(&writer, NULL, write_all, &p);
	pthread_join(writer, NULL);
	pthread_join(reader, NULL);
	pthread_join(receiver, NULL);
	zmq_close(p.pub);
	zmq_ctx_term(p.ctx);
	redisFree(p.writer);
	redisFree(p.reader);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"endpoint", required_argument, NULL, 'e'},
		{"subscribers", required_argument, NULL, 's'},
		{"events", required_argument, NULL, 'n'},
		{"bytes", required_argument, NULL, 'b'},
		{"redis", required_argument, NULL, 'r'},
		{"rate", required_argument, NULL, 'R'},
		{"key", required_argument, NULL, 'k'},
		{"curve", no_argument, NULL, 'c'},
		{0},
	};
	struct rlimit files = {65536, 65536};
	struct options o = {.events = 1, .n = 1, .bytes = 200};
	int c;

	mallopt(M_MMAP_THRESHOLD, 1 << 20); /* as fanout.c does */
	mallopt(M_TRIM_THRESHOLD, 16 << 20);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'e':
			o.endpoint = optarg;
			break;
		case 's':
			o.n = (unsigned)atoi(optarg);
			break;
		case 'n':
			o.events = strtoull(optarg, NULL, 10);
			break;
		case 'b':
			o.bytes = strtoull(optarg, NULL, 10);
			break;
		case 'r':
			o.redis = optarg;
			break;
		case 'R':
			o.rate = strtoull(optarg, NULL, 10);
			break;
		case 'k':
			o.key = optarg;
			break;
		case 'c':
			o.curve = 1;
			break;
		default:
			return 64;
		}
	setrlimit(RLIMIT_NOFILE, &files);
	if (optind + 1 != argc)
		return 64;
	if (!strcmp(argv[optind], "pub"))
		return run_pub(&o);
	if (!strcmp(argv[optind], "sub"))
		return run_sub(&o);
	if (!strcmp(argv[optind], "latency"))
		return run_latency(&o);
	return 64;
}
