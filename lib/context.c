/* SPDX-License-Identifier: Apache-2.0 */
#include "context.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <zmq.h>

enum { SOCKETS_MAX = 65535 };

struct dibao_context {
	void *zmq;
};

int dibao_context_new(struct dibao_context **ret, int io_threads)
{
	struct dibao_context *c;

	if (io_threads < 1 || io_threads > 64)
		return -EINVAL;
	if (sodium_init() < 0)
		return -ENOSYS;
	c = calloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	c->zmq = zmq_ctx_new();
	if (!c->zmq) {
		free(c);
		return -ENOMEM;
	}
	zmq_ctx_set(c->zmq, ZMQ_IO_THREADS, io_threads);
	zmq_ctx_set(c->zmq, ZMQ_MAX_SOCKETS, SOCKETS_MAX);
	*ret = c;
	return 0;
}

struct dibao_context *dibao_context_free(struct dibao_context *c)
{
	if (c) {
		while (zmq_ctx_term(c->zmq) < 0 && zmq_errno() == EINTR)
			;
		free(c);
	}
	return NULL;
}

void *context_zmq(struct dibao_context *c)
{
	return c->zmq;
}
