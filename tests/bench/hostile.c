/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Peers that do harm, for the bench: each 4 of those that send garbage, forge acks, flood HELLOs,
 * ask for all history and never read; and a storm of connections. Paced: --rate messages and
 * --connects connections a second in all, until a signal. Prints one line of JSON: what was really
 * sent, CPU.
 *
 * On one machine its CPU is taken from the daemon and its good peers, which real attackers' is not;
 * so it runs at the lowest priority and is paced.
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

static volatile sig_atomic_t stopped;

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

int main(int argc, char **argv)
{
	static const struct option options[] = {{"endpoint", required_argument, NULL, 'e'},
						{"rate", required_argument, NULL, 'r'},
						{"connects", required_argument, NULL, 'c'},
						{0}};
	const char *endpoint = NULL;
	unsigned rate = 20000, connects = 100;
	void *zmq = zmq_ctx_new(), *peers[N_KINDS * EACH];
	struct sockaddr_in a = {.sin_family = AF_INET};
	struct timespec start, now;
	unsigned long sent = 0, refused = 0, opened = 0;
	struct rusage u;
	char host[64];
	int o, port;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (o == 'e')
			endpoint = optarg;
		else if (o == 'r')
			rate = (unsigned)atoi(optarg);
		else if (o == 'c')
			connects = (unsigned)atoi(optarg);
	if (!endpoint || sscanf(endpoint, "tcp://%63[^:]:%d", host, &port) != 2 ||
	    inet_pton(AF_INET, host, &a.sin_addr) != 1)
		return EXIT_FAILURE;
	a.sin_port = htons((uint16_t)port);
	setpriority(PRIO_PROCESS, 0, 19);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	for (int i = 0; i < N_KINDS * EACH; i++)
		peers[i] = open_peer(zmq, endpoint);
	for (int i = 0; i < EACH; i++)
		(void)harm(peers[NEVER_READS * EACH + i], NEVER_READS, 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	puts("ready");
	fflush(stdout);
	for (unsigned turn = 0; !stopped; turn++) {
		struct timespec tick = {.tv_nsec = TICK_NS};
		double t;

		clock_gettime(CLOCK_MONOTONIC, &now);
		t = (double)(now.tv_sec - start.tv_sec) +
		    (double)(now.tv_nsec - start.tv_nsec) / 1e9;
		for (unsigned k = 0; (double)(sent + refused) < t * rate && k < 1000; k++) {
			unsigned i = (unsigned)(sent + refused) % (NEVER_READS * EACH);

			*(harm(peers[i], (enum kind)(i / EACH), turn + k) ? &sent : &refused) += 1;
		}
		for (; (double)opened < t * connects; opened++)
			storm(&a, (unsigned)opened);
		nanosleep(&tick, NULL);
	}
	getrusage(RUSAGE_SELF, &u);
	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("{\"sent\":%lu,\"full\":%lu,\"connects\":%lu,\"seconds\":%.3f,\"cpu_s\":%.3f}\n",
	       sent, refused, opened,
	       (double)(now.tv_sec - start.tv_sec) + (double)(now.tv_nsec - start.tv_nsec) / 1e9,
	       (double)u.ru_utime.tv_sec + (double)u.ru_utime.tv_usec / 1e6 +
		       (double)u.ru_stime.tv_sec + (double)u.ru_stime.tv_usec / 1e6);
	fflush(stdout);
	_exit(EXIT_SUCCESS); /* the storm's connections and libzmq's are nobody's care */
}
