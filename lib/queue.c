/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to the queue's functions: their text, loading, the check of their version, and the
 * synchronous connection that the publisher and dibaoctl use (the daemon has its own,
 * redis_link.c).
 *
 * The text is queue.lua with two things filled in: the public types of the table, so that Redis and
 * the library never differ about an audience, and a version that holds a hash of all the rest, so
 * that no change goes unnoticed for want of a new number.
 *
 * No error text holds a password or a value of an event.
 */
#include "queue.h"
#include "error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Made from queue.lua by the Makefile. */
extern const char queue_lua[];
extern const unsigned long queue_lua_size;

enum { FUNCTIONS_VERSION = 3, HASH_HEX = 2 * crypto_generichash_BYTES_MIN };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char *functions; /* for good */
static size_t functions_len;
static char version[64];

int queue_bureau_check(const char *bureau)
{
	size_t n = strspn(bureau, "0123456789abcdefghijklmnopqrstuvwxyz_-");

	return n >= 1 && n <= QUEUE_BUREAU_MAX && !bureau[n] ? 0 : -EINVAL;
}

int queue_key(char *buf, size_t cap, const char *bureau, const char *suffix)
{
	int n;

	if (queue_bureau_check(bureau) < 0)
		return -EINVAL;
	n = snprintf(buf, cap, "dibao:{%s}:%s", bureau, suffix);
	return n < 0 || (size_t)n >= cap ? -ENOBUFS : n;
}

/* Writes text with each @...@ replaced to f. */
static void expand(FILE *f, const char *version_text)
{
	const char *p = queue_lua, *end = queue_lua + queue_lua_size;
	static const char in_code[] = "'@VERSION@'", types_in_code[] = "{ @PUBLIC_TYPES@ }";

	while (p < end) {
		if (!strncmp(p, in_code, sizeof in_code - 1)) {
			fprintf(f, "'%s'", version_text);
			p += sizeof in_code - 1;
		} else if (!strncmp(p, types_in_code, sizeof types_in_code - 1)) {
			size_t n;
			const struct dibao_type_spec *t = dibao_types(&n);

			fputc('{', f);
			for (size_t i = 0; i < n; i++)
				if (t[i].audience == DIBAO_AUDIENCE_PUBLIC)
					fprintf(f, " [\"%s\"] = true,", t[i].name);
			fputs(" }", f);
			p += sizeof types_in_code - 1;
		} else {
			fputc(*p++, f);
		}
	}
}

static void make(void)
{
	unsigned char hash[HASH_HEX / 2];
	char hex[HASH_HEX + 1];
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		abort();
	expand(f, "");
	fclose(f);
	crypto_generichash(hash, sizeof hash, (const unsigned char *)text, len, NULL, 0);
	sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
	free(text);
	snprintf(version, sizeof version, "%d %s", FUNCTIONS_VERSION, hex);
	f = open_memstream(&functions, &functions_len);
	if (!f)
		abort();
	expand(f, version);
	fclose(f);
}

const char *queue_functions(size_t *ret_len)
{
	pthread_once(&once, make);
	if (ret_len)
		*ret_len = functions_len;
	return functions;
}

const char *queue_functions_version(void)
{
	pthread_once(&once, make);
	return version;
}

static int authenticate(redisContext *c, const struct dibao_redis_options *opt,
			struct dibao_error *err)
{
	redisReply *r;
	int e = 0;

	if (!opt->password)
		return 0;
	r = opt->user && *opt->user ? redisCommand(c, "AUTH %s %s", opt->user, opt->password)
				    : redisCommand(c, "AUTH %s", opt->password);
	if (!r)
		e = error_set(err, -ENOTCONN, "Redis at %s: %s", opt->address, c->errstr);
	else if (r->type == REDIS_REPLY_ERROR)
		e = error_set(err, -EACCES, "Redis at %s refuses the password", opt->address);
	freeReplyObject(r);
	return e;
}

/* "10.0.0.1:6379", "[::1]:6379": the port, or -EINVAL. Names are not looked up: that may block for
 * long. */
static int split_address(char host[INET6_ADDRSTRLEN], const char *address)
{
	const char *colon = strrchr(address, ':');
	unsigned char binary[16];
	size_t len;
	char *end;
	long port;

	if (!colon || colon[1] < '0' || colon[1] > '9')
		return -EINVAL;
	port = strtol(colon + 1, &end, 10);
	len = (size_t)(colon - address);
	if (len >= 2 && address[0] == '[' && colon[-1] == ']') {
		address++;
		len -= 2;
	}
	if (*end || port < 1 || port > 65535 || len >= INET6_ADDRSTRLEN)
		return -EINVAL;
	memcpy(host, address, len);
	host[len] = '\0';
	if (inet_pton(AF_INET, host, binary) != 1 && inet_pton(AF_INET6, host, binary) != 1)
		return -EINVAL;
	return (int)port;
}

int queue_connect(struct redisContext **ret, const struct dibao_redis_options *opt,
		  struct dibao_error *err)
{
	unsigned ms = opt->timeout_ms ? opt->timeout_ms : 5000;
	struct timeval tv = {ms / 1000, (ms % 1000) * 1000};
	char host[INET6_ADDRSTRLEN];
	redisContext *c;
	int port;
	int r;

	if (queue_bureau_check(opt->bureau) < 0)
		return error_set(err, -EINVAL, "bureau: expected 1 to 16 of 0-9 a-z _ -");
	if (!strncmp(opt->address, "unix:", 5)) {
		c = redisConnectUnixWithTimeout(opt->address + 5, tv);
	} else {
		port = split_address(host, opt->address);
		if (port < 0)
			return error_set(err, -EINVAL,
					 "Redis address: expected unix:/path or ip:port");
		c = redisConnectWithTimeout(host, port, tv);
	}
	if (!c)
		return error_set(err, -ENOMEM, "no memory");
	if (c->err) {
		r = error_set(err, -ENOTCONN, "Redis at %s: %s", opt->address, c->errstr);
		redisFree(c);
		return r;
	}
	redisSetTimeout(c, tv);
	fcntl(c->fd, F_SETFD, FD_CLOEXEC);
	r = authenticate(c, opt, err);
	if (r < 0) {
		redisFree(c);
		return r;
	}
	*ret = c;
	return 0;
}

int queue_functions_check(struct redisContext *c, struct dibao_error *err)
{
	redisReply *r = redisCommand(c, "FCALL dibao_version 0");
	const char *want = queue_functions_version();
	int e = 0;

	if (!r)
		return error_set(err, -ENOTCONN, "Redis: %s", c->errstr);
	if (r->type == REDIS_REPLY_ERROR && strstr(r->str, "Function not found"))
		e = error_set(err, -ENOSYS,
			      "the queue's functions are not loaded: run dibaoctl setup");
	else if (r->type == REDIS_REPLY_ERROR &&
		 (!strncmp(r->str, "NOPERM", 6) || !strncmp(r->str, "NOAUTH", 6)))
		e = error_set(err, -EACCES, "Redis: %.120s", r->str);
	else if (r->type == REDIS_REPLY_ERROR)
		e = error_set(err, -EIO, "Redis: %.120s", r->str);
	else if (r->type != REDIS_REPLY_STRING || strcmp(r->str, want) != 0)
		e = error_set(err, -ESTALE,
			      "the queue's functions are of another version (%.40s, not %s): run "
			      "dibaoctl setup",
			      r->str ? r->str : "?", want);
	freeReplyObject(r);
	return e;
}

int queue_setup(struct redisContext *c, const char *bureau, struct dibao_error *err)
{
	size_t len;
	const char *text = queue_functions(&len);
	char key[QUEUE_KEY_MAX];
	redisReply *r;
	int e = queue_key(key, sizeof key, bureau, "epoch");

	if (e < 0)
		return error_set(err, e, "bureau: expected 1 to 16 of 0-9 a-z _ -");
	r = redisCommand(c, "FUNCTION LOAD REPLACE %b", text, len);
	if (!r)
		return error_set(err, -ENOTCONN, "Redis: %s", c->errstr);
	if (r->type == REDIS_REPLY_ERROR)
		e = error_set(err, !strncmp(r->str, "NOPERM", 6) ? -EACCES : -EIO, "Redis: %.140s",
			      r->str);
	freeReplyObject(r);
	if (e < 0)
		return e;
	r = redisCommand(c, "SET %s 1 NX", key);
	if (!r)
		return error_set(err, -ENOTCONN, "Redis: %s", c->errstr);
	if (r->type == REDIS_REPLY_ERROR)
		e = error_set(err, -EIO, "Redis: %.140s", r->str);
	freeReplyObject(r);
	return e < 0 ? e : 0;
}
