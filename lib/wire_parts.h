/* SPDX-License-Identifier: Apache-2.0 */
/* What wire_pack.c and wire_unpack.c share. */
#ifndef LIB_WIRE_PARTS_H
#define LIB_WIRE_PARTS_H

#include <dibao/event.h>

enum { WIRE_STARTS = 4 };

/* HELLO's "from", by enum dibao_start. */
extern const char *const wire_start_names[WIRE_STARTS];

/* In "feat" of HELLO and WELCOME. */
extern const struct dibao_str wire_publish_feature;

#endif
