/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dibaoctl: one verb a call. main.c reads the common options and finds the verb in verbs.c's table;
 * each verb has a file named after its noun. A verb gets its own arguments, argv[0] being the verb,
 * prints to stdout what was asked for and to stderr what went wrong, and returns a sysexits code.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <dibao/publish.h>

#include <stdio.h>
#include <sysexits.h>

enum { CTL_ENDPOINTS_MAX = 8 };

struct json_t; /* of jansson */

struct ctl {
	char *redis, *redis_user, *redis_password, *bureau, *control;
	char *endpoints[CTL_ENDPOINTS_MAX + 1]; /* NULL-terminated */
	unsigned n_endpoints;
	char *server_key, *key_file; /* [client]: CURVE; NULL: none */
	char *access;		     /* the policy's file; NULL: none */
	char *view_key_file;	     /* NULL: none */
	bool by_endpoint;	     /* --endpoint was given: asked, or published, over that */
	bool json;
	bool colour; /* stdout is a terminal */
};

struct ctl_verb {
	const char *name;
	const char *args; /* "FILE [--dry-run]" */
	const char *doc;  /* one line */
	int (*run)(struct ctl *c, int argc, char **argv);
	const char *more; /* what --help says below; NULL */
};

/* The table, ended by name == NULL. */
extern const struct ctl_verb ctl_verbs[];

/* options.c: built-in values, then a file (dibaod.conf's form), then the command line. 0 or a
 * sysexits code, said. */
int ctl_options_load(struct ctl *c, const char *path);
int ctl_options_add_endpoint(struct ctl *c, const char *endpoint);
void ctl_options_done(struct ctl *c);

/* Takes --endpoint, --key and --server-key out of a verb's own arguments. 0 or a code, said. */
int ctl_options_take(struct ctl *c, int *argc, char **argv);
/* Takes the one operand of a verb out of its arguments, whose options all have a value: the word
 * that does not begin with - or that stands last, behind "--". NULL: there is none, or another. */
const char *ctl_operand(int *argc, char **argv);
/* Says "dibaoctl: ... on stderr and returns the code. */
int ctl_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The sysexits code for a negative errno of the library. */
int ctl_exit_code(int err);
/* Says an error of the library, returns its sysexits code. */
int ctl_error(const struct dibao_error *err);

/* output.c. One line; takes the object. */
void ctl_put_json(struct json_t *j);
/* A list of nothing says so, lest it be taken for a command that did nothing; as JSON it has no
 * lines. */
void ctl_none(const struct ctl *c, size_t n);
/* Unix ms for a person: by China's time whatever the machine's zone is, which is said:
 * "2026-11-25 18:30:00+08:00". */
enum { CTL_TIME = 32 };
const char *ctl_time(char buf[CTL_TIME], int64_t ms);
/* A text that others chose (a uid, who did an act), padded, and a blank: it must not steer a
 * terminal. */
void ctl_put_text(const char *s, int width);
/* An act without any output of its own: with --json {"WHAT":NAME,"result":RESULT}. */
void ctl_done(const struct ctl *c, const char *what, const char *name, const char *result);

struct dibao_redis_options ctl_redis_options(const struct ctl *c);

/* A kept event as a JSON object (jansson's json_t, the caller's), out of its stream or the
 * schedule. 0 or a sysexits code, said. */
int ctl_fetch_event(const struct ctl *c, const char *uid, struct json_t **ret);

/* ---- verbs ---- */
int ctl_setup(struct ctl *c, int argc, char **argv);
int ctl_publish(struct ctl *c, int argc, char **argv);
int ctl_import(struct ctl *c, int argc, char **argv);
int ctl_retract(struct ctl *c, int argc, char **argv);
int ctl_correct(struct ctl *c, int argc, char **argv);
int ctl_tail(struct ctl *c, int argc, char **argv);
int ctl_status(struct ctl *c, int argc, char **argv);
int ctl_clients(struct ctl *c, int argc, char **argv);
int ctl_reload(struct ctl *c, int argc, char **argv);
int ctl_durable(struct ctl *c, int argc, char **argv);
int ctl_quarantine(struct ctl *c, int argc, char **argv);
int ctl_lost(struct ctl *c, int argc, char **argv);
int ctl_schedule(struct ctl *c, int argc, char **argv);
int ctl_hide(struct ctl *c, int argc, char **argv);
int ctl_unhide(struct ctl *c, int argc, char **argv);
int ctl_receipts(struct ctl *c, int argc, char **argv);
int ctl_roster(struct ctl *c, int argc, char **argv);
int ctl_unserved(struct ctl *c, int argc, char **argv);
int ctl_sms(struct ctl *c, int argc, char **argv);
int ctl_audit(struct ctl *c, int argc, char **argv);
int ctl_keygen(struct ctl *c, int argc, char **argv);
int ctl_access(struct ctl *c, int argc, char **argv);
int ctl_types(struct ctl *c, int argc, char **argv);
/* A type's name by that or by its Chinese one; NULL: unknown here. */
const char *ctl_type_named(const char *word);
/* Fields of a type as options, after the usage of publish; NULL or unknown: the types there are. */
void ctl_types_help(const char *type);

#endif
