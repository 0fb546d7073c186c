/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setup --acl: the users of acl.c, printed or made.
 *
 * A password is read from DIR/USER.password, or made and written there first (mode 0600), and goes
 * to Redis as its hash: it stands in no argument, output or log of Redis. A user that exists with
 * these very rules is left alone, its password too. To compare, Redis is given the rules under
 * another name, off and without a password, and asked for both: it writes rules in its own way.
 * All users are compared before the first is changed.
 *
 * Deliberately not here: removing users, and keeping them over a restart where Redis has no
 * aclfile.
 */
#include "setup_acl.h"
#include "acl.h"
#include "credential.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RANDOM_BYTES = 32, PASSWORD_MAX = 256, RULE_MAX = 1024 };

enum state { STATE_ABSENT, STATE_SAME, STATE_OTHER };

static bool is_wanted(const struct setup_acl *a, const struct acl_user *u)
{
	bool none = !a->names || !a->names[0];

	for (char **n = a->names; n && *n; n++)
		if (!strcmp(*n, u->name))
			return true;
	return none;
}

static int check_names(const struct setup_acl *a)
{
	for (char **n = a->names; n && *n; n++) {
		const struct acl_user *u = acl_users;

		while (u->name && strcmp(u->name, *n) != 0)
			u++;
		if (!u->name)
			return ctl_fail(EX_USAGE, "setup --acl: no such user: %s", *n);
	}
	return 0;
}

/* The rule with the bureau's keys for @; owned. */
static char *expand(const char *rule, const char *bureau)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		abort();
	for (; *rule; rule++)
		if (*rule == '@')
			fprintf(f, "dibao:{%s}:", bureau);
		else
			fputc(*rule, f);
	if (fclose(f) != 0)
		abort();
	return text;
}

static void print_user(const struct ctl *c, const struct acl_user *u)
{
	if (c->json)
		printf("{\"user\":\"%s\",\"rules\":[\"reset\",\"on\"", u->name);
	else
		printf("# %s\nACL SETUSER %s reset on", u->doc, u->name);
	for (const char *const *rule = u->rules; *rule; rule++) {
		char *text = expand(*rule, c->bureau);

		printf(c->json ? ",\"%s\"" : strchr(text, ' ') ? " \"%s\"" : " %s", text);
		free(text);
	}
	puts(c->json ? "]}" : "");
}

int setup_acl_print(const struct ctl *c, const struct setup_acl *a)
{
	int e = check_names(a);

	for (const struct acl_user *u = acl_users; e == 0 && u->name; u++)
		if (is_wanted(a, u))
			print_user(c, u);
	return e;
}

/* ACL SETUSER name reset how rules...; NULL-terminated `how`. */
static int set_user(struct ctl_redis *r, const struct ctl *c, const struct acl_user *u,
		    const char *name, const char *const *how)
{
	const char *argv[4 + 2 + ACL_RULES_MAX] = {"ACL", "SETUSER", name, "reset"};
	char *rules[ACL_RULES_MAX];
	int argc = 4, n = 0, e = 0;
	redisReply *reply;

	while (*how)
		argv[argc++] = *how++;
	for (; u->rules[n]; n++)
		argv[argc++] = rules[n] = expand(u->rules[n], c->bureau);
	reply = redisCommandArgv(r->context, argc, argv, NULL);
	if (!reply)
		e = ctl_fail(EX_UNAVAILABLE, "Redis: %s", r->context->errstr);
	else if (reply->type == REDIS_REPLY_ERROR)
		e = ctl_fail(!strncmp(reply->str, "NOPERM", 6) ? EX_NOPERM : EX_UNAVAILABLE,
			     "user %s: %s", u->name, reply->str);
	freeReplyObject(reply);
	while (n)
		free(rules[--n]);
	return e;
}

static const redisReply *member(const redisReply *user, const char *name)
{
	for (size_t i = 0; i + 1 < user->elements; i += 2)
		if (!strcmp(user->element[i]->str, name))
			return user->element[i + 1];
	return NULL;
}

static bool has_flag(const redisReply *user, const char *flag)
{
	const redisReply *flags = member(user, "flags");

	for (size_t i = 0; flags && i < flags->elements; i++)
		if (!strcmp(flags->element[i]->str, flag))
			return true;
	return false;
}

static bool equal(const redisReply *a, const redisReply *b)
{
	if (!a || !b || a->type != b->type || a->elements != b->elements)
		return false;
	if (a->type == REDIS_REPLY_STRING || a->type == REDIS_REPLY_STATUS)
		return a->len == b->len && !memcmp(a->str, b->str, a->len);
	for (size_t i = 0; i < a->elements; i++)
		if (!equal(a->element[i], b->element[i]))
			return false;
	return true;
}

static bool same_rights(const redisReply *is, const redisReply *should)
{
	static const char *const members[] = {"commands", "keys", "channels", "selectors"};

	if (!has_flag(is, "on") || has_flag(is, "nopass"))
		return false;
	for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
		if (!equal(member(is, members[i]), member(should, members[i])))
			return false;
	return true;
}

static int compare(struct ctl_redis *r, const struct ctl *c, const struct acl_user *u,
		   enum state *ret)
{
	static const char *const off[] = {"off", NULL};
	static const char trial[] = "dibao-setup-trial";
	redisReply *is, *should = NULL, *done;
	int e = ctl_redis_command(r, &is, "ACL GETUSER %s", u->name);

	if (e)
		return e;
	if (is->type == REDIS_REPLY_NIL) {
		*ret = STATE_ABSENT;
		freeReplyObject(is);
		return 0;
	}
	e = set_user(r, c, u, trial, off);
	if (e == 0) {
		e = ctl_redis_command(r, &should, "ACL GETUSER %s", trial);
		if (ctl_redis_command(r, &done, "ACL DELUSER %s", trial) == 0)
			freeReplyObject(done);
	}
	if (e == 0) {
		*ret = same_rights(is, should) ? STATE_SAME : STATE_OTHER;
		freeReplyObject(should);
	}
	freeReplyObject(is);
	return e;
}

static int read_password(char password[PASSWORD_MAX], const char *path)
{
	FILE *f;
	int e = credential_open(&f, path);

	if (e < 0)
		return e;
	if (!fgets(password, PASSWORD_MAX, f))
		password[0] = '\0';
	fclose(f);
	password[strcspn(password, "\r\n")] = '\0';
	return password[0] ? 0 : -ENODATA;
}

static int make_password(char password[PASSWORD_MAX], const char *path)
{
	unsigned char bytes[RANDOM_BYTES];
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), e = 0;
	char line[2 * RANDOM_BYTES + 2];
	size_t len = 2 * RANDOM_BYTES + 1;

	if (fd < 0)
		return -errno;
	randombytes_buf(bytes, sizeof bytes);
	sodium_bin2hex(password, PASSWORD_MAX, bytes, sizeof bytes);
	snprintf(line, sizeof line, "%s\n", password);
	if (write(fd, line, len) != (ssize_t)len || fsync(fd) < 0)
		e = -EIO;
	if (close(fd) < 0)
		e = -EIO;
	if (e < 0)
		unlink(path);
	sodium_memzero(bytes, sizeof bytes);
	sodium_memzero(line, sizeof line);
	return e;
}

/* "#" and the SHA-256 of the user's password in hex. */
static int password_hash(char hash[2 * crypto_hash_sha256_BYTES + 2], const struct acl_user *u,
			 const char *directory)
{
	unsigned char bytes[crypto_hash_sha256_BYTES];
	char path[4096], password[PASSWORD_MAX];
	int e;

	if (snprintf(path, sizeof path, "%s/%s.password", directory ? directory : ".", u->name) >=
	    (int)sizeof path)
		return ctl_fail(EX_USAGE, "setup --acl: the directory's name is too long");
	e = read_password(password, path);
	if (e == -ENOENT)
		e = make_password(password, path);
	if (e == -EPERM)
		return ctl_fail(EX_NOPERM, "%s: others than its owner may read it", path);
	if (e < 0)
		return ctl_fail(EX_IOERR, "%s: %s", path, strerror(-e));
	crypto_hash_sha256(bytes, (const unsigned char *)password, strlen(password));
	hash[0] = '#';
	sodium_bin2hex(hash + 1, 2 * crypto_hash_sha256_BYTES + 1, bytes, sizeof bytes);
	sodium_memzero(password, sizeof password);
	return 0;
}

static void say(const struct ctl *c, const struct acl_user *u, const char *what)
{
	printf(c->json ? "{\"user\":\"%s\",\"result\":\"%s\"}\n" : "%-14s %s\n", u->name, what);
}

static int apply_one(struct ctl_redis *r, const struct ctl *c, const struct setup_acl *a,
		     const struct acl_user *u, enum state state)
{
	char hash[2 * crypto_hash_sha256_BYTES + 2];
	const char *on[] = {"on", hash, NULL};
	int e;

	if (state == STATE_SAME) {
		say(c, u, "unchanged");
		return 0;
	}
	e = password_hash(hash, u, a->passwords);
	if (e == 0)
		e = set_user(r, c, u, u->name, on);
	if (e == 0)
		e = ctl_redis_audit(r, "setup acl", u->name,
				    state == STATE_ABSENT ? "made" : "replaced");
	if (e == 0)
		say(c, u, state == STATE_ABSENT ? "made" : "replaced");
	return e;
}

/* Only a Redis with an aclfile can. */
static void save(struct ctl_redis *r)
{
	redisReply *reply = redisCommand(r->context, "ACL SAVE");

	if (!reply || reply->type == REDIS_REPLY_ERROR)
		fprintf(stderr, "dibaoctl: Redis has no aclfile: the users last until it restarts, "
				"unless CONFIG REWRITE is called\n");
	freeReplyObject(reply);
}

int setup_acl_apply(const struct ctl *c, struct ctl_redis *r, const struct setup_acl *a)
{
	enum state states[16] = {0};
	int e = check_names(a), n = 0;

	for (const struct acl_user *u = acl_users; e == 0 && u->name; u++, n++) {
		if (!is_wanted(a, u))
			continue;
		e = compare(r, c, u, &states[n]);
		if (e == 0 && states[n] == STATE_OTHER && !a->replace)
			e = ctl_fail(EX_CANTCREAT,
				     "user %s exists with other rights: nothing was changed; see "
				     "--replace",
				     u->name);
	}
	n = 0;
	for (const struct acl_user *u = acl_users; e == 0 && u->name; u++, n++)
		if (is_wanted(a, u))
			e = apply_one(r, c, a, u, states[n]);
	if (e == 0)
		save(r);
	return e;
}
