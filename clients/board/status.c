/* SPDX-License-Identifier: Apache-2.0 */
#include "status.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_MAX = 16384, PATIENCE_S = 5 };

static int dial(const char *address, unsigned port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	bool is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
	struct timeval patience = {.tv_sec = PATIENCE_S};
	int fd, r;

	if (!is_v4 && inet_pton(AF_INET6, address, &v6.sin6_addr) != 1)
		return -EINVAL;
	fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	r = is_v4 ? connect(fd, (struct sockaddr *)&v4, sizeof v4)
		  : connect(fd, (struct sockaddr *)&v6, sizeof v6);
	if (r < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

int status_ask(const char *address, unsigned port, bool as_json)
{
	static const char request[] =
		"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	char answer[ANSWER_MAX + 1];
	const char *body, *key;
	size_t n = 0;
	json_t *root, *v;
	ssize_t got;
	int fd = dial(address, port), r = 0;

	if (fd < 0)
		return fd;
	if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0)
		r = -errno;
	while (r == 0 && n < ANSWER_MAX && (got = recv(fd, answer + n, ANSWER_MAX - n, 0)) != 0) {
		if (got < 0)
			r = errno == EAGAIN ? -ETIMEDOUT : -errno;
		else
			n += (size_t)got;
	}
	close(fd);
	if (r < 0)
		return r;
	answer[n] = '\0';
	body = strstr(answer, "\r\n\r\n");
	root = body ? json_loads(body + 4, 0, NULL) : NULL;
	if (strncmp(answer, "HTTP/1.1 200 ", 13) != 0 || !json_is_object(root)) {
		json_decref(root);
		return -EPROTO;
	}
	if (as_json) {
		printf("%s\n", body + 4);
	} else {
		json_object_foreach(root, key, v)
		{
			char *text = json_dumps(v, JSON_ENCODE_ANY);

			printf("%-20s %s\n", key,
			       json_is_string(v) ? json_string_value(v)
			       : text		 ? text
						 : "");
			free(text);
		}
	}
	json_decref(root);
	return 0;
}
