/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gateway: a driver with its pace, its breaker and its health. Which one takes the next text: the
 * first in the order of the configuration that lets one pass now. The second is for when the first
 * does not, or will not have a text (codes.h: other, retry): a text goes to it only if it is
 * certain that no other has it.
 */
#ifndef SMS_GATEWAY_H
#define SMS_GATEWAY_H

#include "breaker.h"
#include "driver.h"
#include "pace.h"
#include "sms_config.h"

enum { GATEWAY_NAME_MAX = 16 };

struct gateway {
	char name[GATEWAY_NAME_MAX]; /* "gateway-1" */
	const struct gateway_config *config;
	const struct driver_ops *ops;
	struct driver *driver; /* owned; NULL: not open */
	struct bucket bucket;
	struct breaker breaker;
	enum driver_health health;
	int64_t started_ms; /* Unix; 0: not known; see twice.c */
	int64_t took_ms;    /* the answer by which that is known */
	int64_t seen_ms;    /* when that was last told; 0: not yet */
	bool is_counting;   /* twice.c is at work on its start */
	uint64_t n_sent, n_refused, n_ambiguous;
};

/* One bit for each by its number in the configuration; of a text: those that will not have it. */
unsigned gateway_bit(const struct gateway *g);

struct gateways {
	struct gateway at[SMS_GATEWAYS_MAX];
	unsigned n;
};

void gateways_init(struct gateways *g, const struct sms_config *c);
/* Not one of those bits. NULL: none takes a text now. */
struct gateway *gateways_pick(struct gateways *g, unsigned but, int64_t now_ms);
unsigned gateways_bits(const struct gateways *g);
/* When one may; INT64_MAX: not before something is heard of one. */
int64_t gateways_when(const struct gateways *g, int64_t now_ms);
/* -ENOENT */
int gateways_find(const struct gateways *g, const char *name, size_t len);

#endif
