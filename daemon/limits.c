/* SPDX-License-Identifier: Apache-2.0 */
#include "limits.h"
#include "clock.h"
#include "rate.h"
#include "zap.h"
#include "zmq_source.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { ADDRESS_MAX = 46, BUCKETS = 1024, EVENTS_PER_TURN = 4096 };

/* An address from which somebody is connected. */
struct origin {
	struct origin *next;
	unsigned n;
	char address[ADDRESS_MAX];
};

struct limits {
	const struct config *config;
	sd_event *event; /* borrowed */
	struct rates *connects, *hellos;
	struct origin *origins[BUCKETS];
	struct origin **by_fd; /* owned array: whose connection a descriptor is */
	size_t n_fds;
	unsigned n_connections;
	void *monitor; /* owned */
	struct zmq_source *source;
};

static struct origin **place(struct limits *l, const char *address)
{
	uint32_t h = 5381;
	struct origin **at;

	for (const char *p = address; *p; p++)
		h = h * 33 + (uint8_t)*p;
	for (at = &l->origins[h % BUCKETS]; *at && strcmp((*at)->address, address) != 0;
	     at = &(*at)->next)
		;
	return at;
}

/* False: not on tcp, or gone already. */
static bool address_of(int fd, char ret[ADDRESS_MAX])
{
	struct sockaddr_storage a;
	socklen_t len = sizeof a;

	return getpeername(fd, (struct sockaddr *)&a, &len) == 0 && a.ss_family != AF_UNIX &&
	       getnameinfo((struct sockaddr *)&a, len, ret, ADDRESS_MAX, NULL, 0, NI_NUMERICHOST) ==
		       0;
}

static void forget(struct limits *l, size_t fd)
{
	struct origin *o = fd < l->n_fds ? l->by_fd[fd] : NULL;
	struct origin **at;

	if (!o)
		return;
	l->by_fd[fd] = NULL;
	l->n_connections--;
	if (--o->n)
		return;
	at = place(l, o->address);
	*at = o->next;
	free(o);
}

static void note(struct limits *l, size_t fd)
{
	char address[ADDRESS_MAX];
	struct origin **at;

	forget(l, fd); /* its end was not told */
	if (!address_of((int)fd, address))
		return;
	if (fd >= l->n_fds) {
		size_t n = fd < 512 ? 1024 : 2 * fd;
		struct origin **more = realloc(l->by_fd, n * sizeof(struct origin *));

		if (!more)
			return;
		memset(more + l->n_fds, 0, (n - l->n_fds) * sizeof(struct origin *));
		l->by_fd = more;
		l->n_fds = n;
	}
	at = place(l, address);
	if (!*at) {
		*at = calloc(1, sizeof **at);
		if (!*at)
			return;
		strcpy((*at)->address, address);
	}
	(*at)->n++;
	l->by_fd[fd] = *at;
	l->n_connections++;
}

/* One event of the monitor: 1 read, 0 none there, -errno. */
static int receive(struct limits *l)
{
	uint8_t frame[6], rest[256];
	uint16_t event;
	uint32_t value;
	int n = zmq_recv(l->monitor, frame, sizeof frame, ZMQ_DONTWAIT);

	if (n < 0)
		return zmq_errno() == EAGAIN ? 0 : zmq_errno() == EINTR ? 1 : -zmq_errno();
	memcpy(&event, frame, sizeof event);
	memcpy(&value, frame + sizeof event, sizeof value);
	zmq_recv(l->monitor, rest, sizeof rest, ZMQ_DONTWAIT); /* our own endpoint */
	if (event == ZMQ_EVENT_ACCEPTED)
		note(l, value);
	else
		forget(l, value);
	return 1;
}

static int on_readable(void *socket, void *userdata)
{
	(void)socket;
	for (int i = 0; i < EVENTS_PER_TURN; i++) {
		int r = receive(userdata);

		if (r <= 0)
			return r;
	}
	return 0;
}

int limits_new(struct limits **ret, sd_event *event, const struct config *config)
{
	struct limits *l = calloc(1, sizeof *l);
	int r;

	if (!l)
		return -ENOMEM;
	l->event = event;
	l->config = config;
	r = rates_new(&l->connects);
	if (r == 0)
		r = rates_new(&l->hellos);
	if (r < 0) {
		limits_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

int limits_watch(struct limits *l, struct router *r)
{
	static const char name[] = "inproc://dibaod.connections";
	/* Without a bound: libzmq's thread waits for a monitor that is full. */
	int linger = 0, unbounded = 0;
	int e = router_monitor(r, name, ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED);

	if (e < 0)
		return e;
	l->monitor = zmq_socket(router_context(r), ZMQ_PAIR);
	if (!l->monitor || zmq_setsockopt(l->monitor, ZMQ_LINGER, &linger, sizeof linger) < 0 ||
	    zmq_setsockopt(l->monitor, ZMQ_RCVHWM, &unbounded, sizeof unbounded) < 0 ||
	    zmq_connect(l->monitor, name) < 0)
		return -zmq_errno();
	return zmq_source_new(&l->source, l->event, l->monitor, on_readable, l);
}

struct limits *limits_free(struct limits *l)
{
	if (!l)
		return NULL;
	for (size_t fd = 0; fd < l->n_fds; fd++)
		forget(l, fd);
	zmq_source_free(l->source);
	if (l->monitor)
		zmq_close(l->monitor);
	rates_free(l->connects);
	rates_free(l->hellos);
	free(l->by_fd);
	free(l);
	return NULL;
}

const char *limits_connect(struct limits *l, const char *key, const char *address)
{
	unsigned most = l->config->connections_per_address;
	const struct origin *o;

	/* What came before this question. */
	if (l->monitor && on_readable(l->monitor, l) < 0)
		return "connections cannot be counted";
	o = *place(l, address);
	if (most && o && o->n > most)
		return "too many connections from its address";
	if (key && !rates_take(l->connects, key, l->config->connects_per_key, boottime_usec()))
		return "too many connections a minute by its key";
	return NULL;
}

const char *limits_hello(struct limits *l, const char *who, unsigned n_sessions)
{
	if (!strcmp(who, ZAP_LOCAL) || !strcmp(who, ZAP_INSECURE))
		return NULL;
	if (l->config->sessions_per_key && n_sessions >= l->config->sessions_per_key)
		return "as many sessions as one key may have";
	if (!rates_take(l->hellos, who, l->config->hellos_per_key, boottime_usec()))
		return "more HELLOs a minute than one key may send";
	return NULL;
}

unsigned limits_connections(const struct limits *l)
{
	return l->n_connections;
}
