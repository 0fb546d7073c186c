/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drivers without a gateway. `none` refuses every text, so each notice is at once on the unserved
 * list, for a bureau that prints and hands out. `null` takes every text and throws it away: for
 * measuring, and only with fake = yes.
 */
#include "later.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct none {
	struct driver driver;
	struct later later;
};

static struct driver *destroy(struct driver *d)
{
	struct none *n = (struct none *)d;

	later_done(&n->later);
	free(n);
	return NULL;
}

static int create_of(struct driver **ret, const struct driver_options *opt,
		     const struct driver_ops *ops)
{
	struct none *n = calloc(1, sizeof *n);
	int r;

	if (!n)
		return -ENOMEM;
	n->driver = (struct driver){.ops = ops, .opt = *opt};
	r = later_init(&n->later, &n->driver);
	if (r < 0) {
		destroy(&n->driver);
		return r;
	}
	*ret = &n->driver;
	return 0;
}

static int create_none(struct driver **ret, const struct driver_options *opt)
{
	return create_of(ret, opt, &driver_none);
}

static int create_null(struct driver **ret, const struct driver_options *opt)
{
	return create_of(ret, opt, &driver_null);
}

static unsigned room(struct driver *d)
{
	return later_room(&((struct none *)d)->later);
}

static int submit(struct driver *d, const struct driver_text *text)
{
	struct driver_result r = {.outcome = DRIVER_ACCEPTED};

	if (room(d) == 0)
		return -EAGAIN;
	if (d->ops == &driver_none) {
		r.outcome = DRIVER_REFUSED;
		snprintf(r.code, sizeof r.code, "no-gateway");
	}
	later_add(&((struct none *)d)->later, text, &r);
	return 0;
}

static enum driver_health health(struct driver *d)
{
	(void)d;
	return DRIVER_UP;
}

/* Nothing answers, and nothing sends receipts. */
static void classify(const struct driver_reply *reply, struct driver_result *ret)
{
	(void)reply;
	*ret = (struct driver_result){.outcome = DRIVER_AMBIGUOUS};
}

static void receipt_done(struct driver *d, void *ticket, bool taken)
{
	(void)d, (void)ticket, (void)taken;
}

static int parse_receipt(const char *(*get)(const void *source, const char *name),
			 const void *source, struct driver_receipt *ret)
{
	(void)get, (void)source, (void)ret;
	return -EBADMSG;
}

const struct driver_ops driver_none = {
	.name = "none",
	.create = create_none,
	.destroy = destroy,
	.submit = submit,
	.room = room,
	.receipt_done = receipt_done,
	.health = health,
	.classify = classify,
	.parse_receipt = parse_receipt,
};

const struct driver_ops driver_null = {
	.name = "null",
	.create = create_null,
	.destroy = destroy,
	.submit = submit,
	.room = room,
	.receipt_done = receipt_done,
	.health = health,
	.classify = classify,
	.parse_receipt = parse_receipt,
};
