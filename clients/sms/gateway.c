/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void gateways_init(struct gateways *g, const struct sms_config *c)
{
	memset(g, 0, sizeof *g);
	for (unsigned i = 0; i < SMS_GATEWAYS_MAX; i++) {
		struct gateway *x = &g->at[g->n];

		if (!c->gateways[i].driver[0])
			continue;
		snprintf(x->name, sizeof x->name, "gateway-%u", i + 1);
		x->config = &c->gateways[i];
		x->ops = driver_find(x->config->driver);
		bucket_init(&x->bucket, x->config->rate, 0);
		g->n++;
	}
}

static bool lets(struct gateway *x, int64_t now_ms)
{
	return x->driver && x->health != DRIVER_DOWN && breaker_lets(&x->breaker, now_ms) &&
	       bucket_has(&x->bucket, now_ms) && x->ops->room(x->driver) > 0;
}

unsigned gateway_bit(const struct gateway *g)
{
	return 1u << (g->name[sizeof "gateway-" - 1] - '1');
}

unsigned gateways_bits(const struct gateways *g)
{
	unsigned bits = 0;

	for (unsigned i = 0; i < g->n; i++)
		bits |= gateway_bit(&g->at[i]);
	return bits;
}

struct gateway *gateways_pick(struct gateways *g, unsigned but, int64_t now_ms)
{
	for (unsigned i = 0; i < g->n; i++)
		if (!(gateway_bit(&g->at[i]) & but) && lets(&g->at[i], now_ms))
			return &g->at[i];
	return NULL;
}

int64_t gateways_when(const struct gateways *g, int64_t now_ms)
{
	int64_t when = INT64_MAX;

	for (unsigned i = 0; i < g->n; i++) {
		const struct gateway *x = &g->at[i];
		int64_t a, b;

		if (!x->driver || x->health == DRIVER_DOWN || x->ops->room(x->driver) == 0)
			continue;
		a = breaker_when(&x->breaker, now_ms);
		b = bucket_when(&x->bucket, now_ms);
		if ((a > b ? a : b) < when)
			when = a > b ? a : b;
	}
	return when;
}

int gateways_find(const struct gateways *g, const char *name, size_t len)
{
	for (unsigned i = 0; i < g->n; i++)
		if (strlen(g->at[i].name) == len && !memcmp(g->at[i].name, name, len))
			return (int)i;
	return -ENOENT;
}
