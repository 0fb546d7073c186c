/* SPDX-License-Identifier: Apache-2.0 */
/* Files that hold secrets, and where they lie: a path, or the name of a systemd credential. */
#ifndef LIB_CREDENTIAL_H
#define LIB_CREDENTIAL_H

#include <stdio.h>

/* Opens for reading. A name without a slash is a file of $CREDENTIALS_DIRECTORY. 0, -ENOENT (also:
 * no such directory), -EPERM others than its owner may read it or it is another user's and we are
 * not root, -EINVAL not a plain file, ... */
int credential_open(FILE **ret, const char *name);

/* Its error in words, with the cure. */
const char *credential_error(int e);

#endif
