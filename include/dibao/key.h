/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys of subscribers and daemons: CURVE key pairs (libzmq), written in Z85, 40 characters.
 *
 * A key file holds one secret key on a line of its own; lines that start with # are comments.
 * It is for its owner alone: one that others can read is not read. A file's name without a slash is
 * that of a systemd credential, looked for in $CREDENTIALS_DIRECTORY (systemd.exec(5)).
 */
#ifndef DIBAO_KEY_H
#define DIBAO_KEY_H

#include <dibao/event.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DIBAO_KEY_TEXT 41u /* a key in Z85, with its NUL */

/* Reads a secret key and derives its public one. Each ret_ may be NULL. -EPERM: others than the
 * owner may read the file; -EBADMSG: there is no key in it; or the errno of opening it. */
int dibao_key_read(const char *path, char ret_public[DIBAO_KEY_TEXT],
		   char ret_secret[DIBAO_KEY_TEXT], struct dibao_error *err);

/* Makes a key pair and writes the secret key to a new file of mode 0600, on disk when this returns.
 * `name` goes into its comment. -EEXIST: there is one, which stays as it is. */
int dibao_key_generate(const char *path, const char *name, char ret_public[DIBAO_KEY_TEXT],
		       struct dibao_error *err);

/* 40 characters of Z85? */
bool dibao_key_check(const char *text);

#ifdef __cplusplus
}
#endif
#endif
