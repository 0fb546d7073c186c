/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dibao-sms' outside: the loop, the connection to Redis, the subscription and its lease, signals.
 * It says to the core when an activity begins (the lease is ours and Redis is there and safe) and
 * when it is over.
 */
#ifndef SMS_SERVICE_H
#define SMS_SERVICE_H

#include "sms_config.h"

struct service;

struct service_options {
	struct sms_config *config; /* borrowed; a reload changes it */
	const char *path;	   /* where it is from; NULL: nowhere */
	bool unsafe_redis;
};

int service_new(struct service **ret, const struct service_options *opt);
struct service *service_free(struct service *s);
/* Until SIGTERM or SIGINT, or a fault that a restart would not cure: a sysexits code. */
int service_run(struct service *s);

#endif
