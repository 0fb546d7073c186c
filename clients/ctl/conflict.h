/* SPDX-License-Identifier: Apache-2.0 */
/* Two events of one uid: which fields differ, and how to set the stored one right. Pure. */
#ifndef CTL_CONFLICT_H
#define CTL_CONFLICT_H

#include <stddef.h>

struct json_t; /* of jansson */

/* Names of the fields that differ, parted by ", ". The caller's;
 * NULL: no memory. It holds no values. */
char *conflict_fields(struct json_t *stored, struct json_t *offered);
/* The dibaoctl command that makes the stored event what was offered, fit for a shell; or why there
 * is none. It holds values. The caller's; NULL: no memory. */
char *conflict_command(const char *uid, struct json_t *stored, struct json_t *offered);

#endif
