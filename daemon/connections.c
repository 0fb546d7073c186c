/* SPDX-License-Identifier: Apache-2.0 */
#include "connections.h"
#include "zmq_source.h"

#include <dibao/key.h>
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { ADDRESS_MAX = 46, BUCKETS = 1024, EVENTS_PER_TURN = 4096 };

/* A key with which somebody is connected, as is told by its connections and by who was let in. */
struct holder {
	struct holder *next;
	unsigned n;
	char key[DIBAO_KEY_TEXT];
};

/* Was let in and not heard yet: which connection it is is not known. */
struct silent {
	struct silent *next; /* let in later */
	struct holder *holder;
};

/* An address from which somebody is connected. */
struct origin {
	struct origin *next;
	unsigned n, n_unheard; /* connections; those without a holder */
	unsigned n_silent;     /* at most n_unheard */
	struct silent *first, **last;
	char address[ADDRESS_MAX];
};

struct connection {
	struct origin *origin; /* NULL: none here */
	struct holder *holder; /* NULL: not heard yet */
};

struct connections {
	sd_event *event; /* borrowed */
	struct origin *origins[BUCKETS];
	struct holder *holders[BUCKETS];
	struct connection *by_fd; /* owned array */
	size_t n_fds;
	unsigned n;
	void *monitor; /* owned */
	struct zmq_source *source;
};

static unsigned bucket(const char *text)
{
	uint32_t h = 5381;

	while (*text)
		h = h * 33 + (uint8_t)*text++;
	return h % BUCKETS;
}

static struct origin *origin_find(const struct connections *c, const char *address)
{
	struct origin *o = c->origins[bucket(address)];

	while (o && strcmp(o->address, address) != 0)
		o = o->next;
	return o;
}

static struct holder *holder_find(const struct connections *c, const char *key)
{
	struct holder *h = c->holders[bucket(key)];

	while (h && strcmp(h->key, key) != 0)
		h = h->next;
	return h;
}

static struct origin *origin_take(struct connections *c, const char *address)
{
	struct origin *o = origin_find(c, address), **head = &c->origins[bucket(address)];

	if (!o) {
		o = calloc(1, sizeof *o);
		if (!o)
			return NULL;
		strcpy(o->address, address);
		o->last = &o->first;
		o->next = *head;
		*head = o;
	}
	o->n++;
	return o;
}

static struct holder *holder_take(struct connections *c, const char *key)
{
	struct holder *h = holder_find(c, key), **head = &c->holders[bucket(key)];

	if (!h) {
		h = calloc(1, sizeof *h);
		if (!h)
			return NULL;
		strcpy(h->key, key);
		h->next = *head;
		*head = h;
	}
	h->n++;
	return h;
}

static void origin_drop(struct connections *c, struct origin *o)
{
	struct origin **at = &c->origins[bucket(o->address)];

	if (--o->n)
		return;
	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
	free(o);
}

static void holder_drop(struct connections *c, struct holder *h)
{
	struct holder **at = &c->holders[bucket(h->key)];

	if (--h->n)
		return;
	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	free(h);
}

/* ---- the silent ones of an address ---- */

/* Takes the one at *at off the list; its holder is the caller's. */
static struct holder *silent_take(struct origin *o, struct silent **at)
{
	struct silent *s = *at;
	struct holder *h = s->holder;

	*at = s->next;
	if (!*at)
		o->last = at;
	o->n_silent--;
	free(s);
	return h;
}

static void silent_trim(struct connections *c, struct origin *o)
{
	while (o->n_silent > o->n_unheard)
		holder_drop(c, silent_take(o, &o->first));
}

static struct silent **silent_find(struct origin *o, const char *key)
{
	struct silent **at = &o->first;

	while (*at && strcmp((*at)->holder->key, key) != 0)
		at = &(*at)->next;
	return at;
}

int connections_let_in(struct connections *c, const char *key, const char *address)
{
	struct origin *o = origin_find(c, address);
	struct silent *s;

	/* Gone already: libzmq asked, and nobody waits for the answer. */
	if (!o)
		return 0;
	s = calloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	s->holder = holder_take(c, key);
	if (!s->holder) {
		free(s);
		return -ENOMEM;
	}
	*o->last = s;
	o->last = &s->next;
	o->n_silent++;
	silent_trim(c, o);
	return 0;
}

void connections_heard(struct connections *c, const char *key, int fd)
{
	struct connection *k = fd >= 0 && (size_t)fd < c->n_fds ? &c->by_fd[fd] : NULL;
	struct silent **at;

	if (!k || !k->origin || (k->holder && !strcmp(k->holder->key, key)))
		return;
	at = silent_find(k->origin, key);
	if (!*at)
		return; /* of the descriptor's former connection */
	if (k->holder)
		holder_drop(c, k->holder);
	else
		k->origin->n_unheard--;
	k->holder = silent_take(k->origin, at);
	silent_trim(c, k->origin);
}

/* ---- what the monitor tells ---- */

/* False: not on tcp, or gone already. */
static bool address_of(int fd, char ret[ADDRESS_MAX])
{
	struct sockaddr_storage a;
	socklen_t len = sizeof a;

	return getpeername(fd, (struct sockaddr *)&a, &len) == 0 && a.ss_family != AF_UNIX &&
	       getnameinfo((struct sockaddr *)&a, len, ret, ADDRESS_MAX, NULL, 0, NI_NUMERICHOST) ==
		       0;
}

static void forget(struct connections *c, size_t fd)
{
	struct connection *k = fd < c->n_fds ? &c->by_fd[fd] : NULL;

	if (!k || !k->origin)
		return;
	if (k->holder)
		holder_drop(c, k->holder);
	else
		k->origin->n_unheard--;
	silent_trim(c, k->origin);
	origin_drop(c, k->origin);
	*k = (struct connection){0};
	c->n--;
}

static bool make_room(struct connections *c, size_t fd)
{
	size_t n = fd < 512 ? 1024 : 2 * fd;
	struct connection *more;

	if (fd < c->n_fds)
		return true;
	more = realloc(c->by_fd, n * sizeof *more);
	if (!more)
		return false;
	memset(more + c->n_fds, 0, (n - c->n_fds) * sizeof *more);
	c->by_fd = more;
	c->n_fds = n;
	return true;
}

static void note(struct connections *c, size_t fd)
{
	char address[ADDRESS_MAX];
	struct origin *o;

	forget(c, fd); /* its end was not told */
	if (!address_of((int)fd, address) || !make_room(c, fd))
		return;
	o = origin_take(c, address);
	if (!o)
		return;
	o->n_unheard++;
	c->by_fd[fd].origin = o;
	c->n++;
}

/* One event of the monitor: 1 read, 0 none there, -errno. */
static int receive(struct connections *c)
{
	uint8_t frame[6], rest[256];
	uint16_t event;
	uint32_t value;
	int n = zmq_recv(c->monitor, frame, sizeof frame, ZMQ_DONTWAIT);

	if (n < 0)
		return zmq_errno() == EAGAIN ? 0 : zmq_errno() == EINTR ? 1 : -zmq_errno();
	memcpy(&event, frame, sizeof event);
	memcpy(&value, frame + sizeof event, sizeof value);
	zmq_recv(c->monitor, rest, sizeof rest, ZMQ_DONTWAIT); /* our own endpoint */
	if (event == ZMQ_EVENT_ACCEPTED)
		note(c, value);
	else
		forget(c, value);
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

int connections_update(struct connections *c)
{
	return c->monitor ? on_readable(c->monitor, c) : 0;
}

int connections_watch(struct connections *c, struct router *r)
{
	static const char name[] = "inproc://dibaod.connections";
	/* Without a bound: libzmq's thread waits for a monitor that is full. */
	int linger = 0, unbounded = 0;
	int e = router_monitor(r, name, ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED);

	if (e < 0)
		return e;
	c->monitor = zmq_socket(router_context(r), ZMQ_PAIR);
	if (!c->monitor || zmq_setsockopt(c->monitor, ZMQ_LINGER, &linger, sizeof linger) < 0 ||
	    zmq_setsockopt(c->monitor, ZMQ_RCVHWM, &unbounded, sizeof unbounded) < 0 ||
	    zmq_connect(c->monitor, name) < 0)
		return -zmq_errno();
	return zmq_source_new(&c->source, c->event, c->monitor, on_readable, c);
}

int connections_new(struct connections **ret, sd_event *event)
{
	struct connections *c = calloc(1, sizeof *c);

	if (!c)
		return -ENOMEM;
	c->event = event;
	*ret = c;
	return 0;
}

struct connections *connections_free(struct connections *c)
{
	if (!c)
		return NULL;
	for (size_t fd = 0; fd < c->n_fds; fd++)
		forget(c, fd);
	zmq_source_free(c->source);
	if (c->monitor)
		zmq_close(c->monitor);
	free(c->by_fd);
	free(c);
	return NULL;
}

/* ---- how many ---- */

unsigned connections_n(const struct connections *c)
{
	return c->n;
}

unsigned connections_of_address(const struct connections *c, const char *address)
{
	const struct origin *o = origin_find(c, address);

	return o ? o->n : 0;
}

unsigned connections_of_key(const struct connections *c, const char *key)
{
	const struct holder *h = holder_find(c, key);

	return h ? h->n : 0;
}
