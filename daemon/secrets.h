/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files with secrets that the configuration names: the key of the public ids, and the password for
 * Redis. Read once, at start; a path, or the name of a credential of the service manager. A fault
 * is logged with the option and the file, never with what stands in it.
 *
 * The daemon's CURVE key is policy.c's.
 */
#ifndef DAEMON_SECRETS_H
#define DAEMON_SECRETS_H

#include <dibao/view.h>

enum { SECRETS_PASSWORD_MAX = 254 };

/* "": a random key, which is warned of. 0 or negative errno; -EINVAL: not 32 bytes in hex. */
int secrets_view_key(uint8_t ret[DIBAO_VIEW_KEY_BYTES], const char *path);
/* The first line. *ret is the caller's, for secrets_password_free(); NULL and 0 without a file.
 * Negative errno; -EINVAL: empty, or over SECRETS_PASSWORD_MAX bytes. */
int secrets_password(char **ret, const char *path);
char *secrets_password_free(char *password); /* NULL; wiped */

#endif
