/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what in Redis: one table, from which setup --acl prints, which it applies, and with
 * which a test compares dibao-queue(7). Functions run with the rights of who calls them, so a row
 * has what the functions do inside as well.
 */
#ifndef CTL_ACL_H
#define CTL_ACL_H

enum { ACL_RULES_MAX = 64 };

struct acl_user {
	const char *name;
	const char *doc;
	/* One argument of ACL SETUSER each, NULL-terminated; @ stands for "dibao:{3205}:". */
	const char *rules[ACL_RULES_MAX];
};

/* Ended by name == NULL. */
extern const struct acl_user acl_users[];

#endif
