/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_CONTEXT_H
#define LIB_CONTEXT_H

#include <dibao/subscriber.h>

void *context_zmq(struct dibao_context *c); /* borrowed */

#endif
