/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a Redis is: "unix:/path", "ip:port" or "[ip6]:port". No host names:
 * hiredis looks one up in the connect and would block the loop for it.
 */
#ifndef HOST_REDIS_ADDRESS_H
#define HOST_REDIS_ADDRESS_H

#include <arpa/inet.h>

struct redis_address {
	const char *path; /* of a unix socket, inside the text; NULL: ip and port */
	char ip[INET6_ADDRSTRLEN];
	int port;
};

/* 0, -EINVAL. */
int redis_address_parse(struct redis_address *ret, const char *text);

#endif
