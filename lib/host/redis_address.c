/* SPDX-License-Identifier: Apache-2.0 */
#include "redis_address.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

int redis_address_parse(struct redis_address *ret, const char *text)
{
	struct redis_address a = {0};
	const char *colon = strrchr(text, ':');
	unsigned char binary[16];
	size_t len;
	char *end;
	long port;

	if (strncmp(text, "unix:", 5) == 0) {
		a.path = text + 5;
		/* sun_path; hiredis would cut a longer one and connect to another */
		if (a.path[0] != '/' ||
		    strlen(a.path) >= sizeof((struct sockaddr_un *)NULL)->sun_path) {
			return -EINVAL;
		}
		*ret = a;
		return 0;
	}
	if (!colon || colon[1] < '0' || colon[1] > '9') {
		return -EINVAL;
	}
	port = strtol(colon + 1, &end, 10);
	if (*end != '\0' || port < 1 || port > 65535) {
		return -EINVAL;
	}
	len = (size_t)(colon - text);
	if (len >= 2 && text[0] == '[' && colon[-1] == ']') {
		text++;
		len -= 2;
	}
	if (len >= sizeof a.ip) {
		return -EINVAL;
	}
	memcpy(a.ip, text, len);
	if (inet_pton(AF_INET, a.ip, binary) != 1 && inet_pton(AF_INET6, a.ip, binary) != 1) {
		return -EINVAL;
	}
	a.port = (int)port;
	*ret = a;
	return 0;
}
