/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers that do harm, for the bench: each 4 of those that send garbage, forge acks, flood HELLOs,
 * ask for all history and never read; and a storm of connections. Paced: --rate messages and
 * --connects connections a second in all, until a signal. Prints one line of JSON: what was really
 * sent, CPU.
 *
 * On one machine its CPU is taken from the daemon and its good peers, which real attackers' is not.
 * So it is paced, runs at the lowest priority, and has a control: with --burn SHARE it sends
 * nothing and uses that share of a core in the same ticks.
 */
#include "wire.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

enum { EACH = 4, STORM_OPEN = 32, TICK_NS = 5000000 };
enum kind { GARBAGE, FORGED_ACKS, HELLOS, NEVER_READS, N_KINDS };

struct pace {
	double rate, connects; /* a second */
	double burn;	       /* a core's share; 0: attack */
};

static volatile sig_atomic_t stopped;
static struct {
	unsigned long sent, full, opened;
} done;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

static void *open_peer(void *zmq, const char *endpoint)
{
	void *s = zmq_socket(zmq, ZMQ_DEALER);
	int linger = 0, hwm = 16;

	zmq_setsockopt(s, ZMQ_LINGER, &linger, sizeof linger);
	zmq_setsockopt(s, ZMQ_SNDHWM, &hwm, sizeof hwm);
	zmq_setsockopt(s, ZMQ_RCVHWM, &hwm, sizeof hwm);
	if (zmq_connect(s, endpoint) < 0)
		exit(EXIT_FAILURE);
	return s;
}

static int hello(uint8_t *buf, size_t cap, bool history)
{
	struct wire_hello h = {.proto_min = 1,
			       .proto_max = 1,
			       .bureau = {"3205", 4},
			       .from = history ? DIBAO_START_TIME : DIBAO_START_NEW,
			       .from_arg = 1,
			       .window_bytes = WIRE_WINDOW_MAX};

	randombytes_buf(h.instance, sizeof h.instance);
	return wire_hello_pack(buf, cap, &h);
}

/* One more bad message of this kind. Whether it went. */
static bool harm(void *s, enum kind kind, unsigned turn)
{
	uint8_t buf[512];
	struct wire_ack a = {.n = 1, .at = {{0, 1 + turn, 7}}};
	int n = (int)sizeof buf;

	switch (kind) {
	case GARBAGE:
		randombytes_buf(buf, sizeof buf);
		if (turn % 2 && zmq_send(s, buf, 8, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0)
			return false;
		break;
	case FORGED_ACKS:
		n = turn % 8 ? (int)wire_ack_pack(buf, &a) : hello(buf, sizeof buf, false);
		break;
	case HELLOS:
		n = hello(buf, sizeof buf, false);
		break;
	default:
		n = hello(buf, sizeof buf, true);
	}
	return zmq_send(s, buf, (size_t)n, ZMQ_DONTWAIT) >= 0;
}

/* Opens one connection and drops the one opened STORM_OPEN before. */
static void storm(const struct sockaddr_in *a, unsigned turn)
{
	static int fds[STORM_OPEN];
	int *fd = &fds[turn % STORM_OPEN];

	if (*fd > 0)
		close(*fd);
	*fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (connect(*fd, (const struct sockaddr *)a, sizeof *a) == 0)
		(void)!write(*fd, "GET / HTTP/1.0\r\n\r\n", 18);
}

static double seconds_since(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - t->tv_sec) + (double)(now.tv_nsec - t->tv_nsec) / 1e9;
}

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* One tick of an attack or of its control. */
static void attack(void *const peers[], const struct sockaddr_in *a, const struct pace *p,
		   double t, unsigned turn)
{
	for (unsigned k = 0; (double)(done.sent + done.full) < t * p->rate && k < 1000; k++) {
		unsigned i = (unsigned)(done.sent + done.full) % (NEVER_READS * EACH);
		bool went = harm(peers[i], (enum kind)(i / EACH), turn + k);

		*(went ? &done.sent : &done.full) += 1;
	}
	for (; (double)done.opened < t * p->connects; done.opened++)
		storm(a, (unsigned)done.opened);
}

static void burn(double share, double t)
{
	while (!stopped && cpu_seconds() < share * t)
		;
}

static void report(double seconds)
{
	printf("{\"sent\":%lu,\"full\":%lu,\"connects\":%lu,\"seconds\":%.3f,\"cpu_s\":%.3f}\n",
	       done.sent, done.full, done.opened, seconds, cpu_seconds());
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"endpoint", required_argument, NULL, 'e'},
						{"rate", required_argument, NULL, 'r'},
						{"connects", required_argument, NULL, 'c'},
						{"burn", required_argument, NULL, 'b'},
						{0}};
	struct pace p = {.rate = 20000, .connects = 100};
	const struct timespec tick = {.tv_nsec = TICK_NS};
	struct sockaddr_in a = {.sin_family = AF_INET};
	void *zmq = zmq_ctx_new(), *peers[N_KINDS * EACH];
	const char *endpoint = NULL;
	struct timespec start;
	char host[64];
	int o, port;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (o == 'e')
			endpoint = optarg;
		else if (o == 'r')
			p.rate = atof(optarg);
		else if (o == 'c')
			p.connects = atof(optarg);
		else if (o == 'b')
			p.burn = atof(optarg);
	if (!endpoint || sscanf(endpoint, "tcp://%63[^:]:%d", host, &port) != 2 ||
	    inet_pton(AF_INET, host, &a.sin_addr) != 1)
		return EXIT_FAILURE;
	a.sin_port = htons((uint16_t)port);
	setpriority(PRIO_PROCESS, 0, 19);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	for (int i = 0; p.burn == 0 && i < N_KINDS * EACH; i++)
		peers[i] = open_peer(zmq, endpoint);
	for (int i = 0; p.burn == 0 && i < EACH; i++)
		(void)harm(peers[NEVER_READS * EACH + i], NEVER_READS, 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	puts("ready");
	fflush(stdout);
	for (unsigned turn = 0; !stopped; turn++) {
		double t = seconds_since(&start);

		if (p.burn > 0)
			burn(p.burn, t);
		else
			attack(peers, &a, &p, t, turn);
		nanosleep(&tick, NULL);
	}
	report(seconds_since(&start));
	_exit(EXIT_SUCCESS); /* the storm's connections and libzmq's are nobody's care */
}
