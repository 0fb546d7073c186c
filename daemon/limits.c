/* SPDX-License-Identifier: Apache-2.0 */
#include "limits.h"
#include "clock.h"
#include "connections.h"
#include "rate.h"
#include "zap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct limits {
	const struct config *config;
	struct rates *connects, *hellos;
	struct connections *connections; /* owned */
};

int limits_new(struct limits **ret, sd_event *event, const struct config *config)
{
	struct limits *l = calloc(1, sizeof *l);
	int r;

	if (!l)
		return -ENOMEM;
	l->config = config;
	r = connections_new(&l->connections, event);
	if (r == 0)
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
	return connections_watch(l->connections, r);
}

struct limits *limits_free(struct limits *l)
{
	if (!l)
		return NULL;
	connections_free(l->connections);
	rates_free(l->connects);
	rates_free(l->hellos);
	free(l);
	return NULL;
}

const char *limits_connect(struct limits *l, const char *key, const char *address)
{
	const struct config *c = l->config;

	/* What came before this question. */
	if (connections_update(l->connections) < 0)
		return "connections cannot be counted";
	if (c->connections_per_address &&
	    connections_of_address(l->connections, address) > c->connections_per_address)
		return "too many connections from its address";
	if (!key)
		return NULL;
	if (c->connections_per_key &&
	    connections_of_key(l->connections, key) >= c->connections_per_key)
		return "too many connections with its key";
	if (!rates_take(l->connects, key, c->connects_per_key, boottime_usec()))
		return "too many connections a minute by its key";
	if (connections_let_in(l->connections, key, address) < 0)
		return "no memory";
	return NULL;
}

void limits_heard(struct limits *l, const char *key, int fd)
{
	connections_heard(l->connections, key, fd);
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
	return connections_n(l->connections);
}
