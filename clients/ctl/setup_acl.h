/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_SETUP_ACL_H
#define CTL_SETUP_ACL_H

#include "redis.h"

struct setup_acl {
	bool apply, replace;
	const char *passwords; /* directory; NULL: the working directory */
	char **names;	       /* NULL-terminated; none: all */
};

/* Prints the users' rules. 0 or a sysexits code, said. */
int setup_acl_print(const struct ctl *c, const struct setup_acl *a);
/* Makes the users in Redis, and says of each what was done. Nothing is changed when one of them
 * exists with other rules and !a->replace. 0 or a sysexits code, said. */
int setup_acl_apply(const struct ctl *c, struct ctl_redis *r, const struct setup_acl *a);

#endif
