/* SPDX-License-Identifier: Apache-2.0 */
#include "outbox_functions.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Made from outbox.lua by the Makefile. */
extern const char outbox_lua[];
extern const unsigned long outbox_lua_size;

enum { FUNCTIONS_VERSION = 1, HASH_HEX = 2 * crypto_generichash_BYTES_MIN };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char *functions; /* for good */
static size_t functions_len;
static char version[64];

static void make(void)
{
	static const char in_code[] = "@VERSION@";
	const char *at = strstr(outbox_lua, in_code);
	unsigned char hash[HASH_HEX / 2];
	char hex[HASH_HEX + 1];
	FILE *f = open_memstream(&functions, &functions_len);

	if (!f || !at)
		abort();
	crypto_generichash(hash, sizeof hash, (const unsigned char *)outbox_lua, outbox_lua_size,
			   NULL, 0);
	sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
	snprintf(version, sizeof version, "%d %s", FUNCTIONS_VERSION, hex);
	fprintf(f, "%.*s%s%s", (int)(at - outbox_lua), outbox_lua, version,
		at + sizeof in_code - 1);
	if (fclose(f) != 0)
		abort();
}

const char *outbox_functions(size_t *ret_len)
{
	pthread_once(&once, make);
	if (ret_len)
		*ret_len = functions_len;
	return functions;
}

const char *outbox_functions_version(void)
{
	pthread_once(&once, make);
	return version;
}

int outbox_functions_load(struct redisContext *c, struct dibao_error *err)
{
	size_t len;
	const char *text = outbox_functions(&len);
	redisReply *r = redisCommand(c, "FUNCTION LOAD REPLACE %b", text, len);
	int e = 0;

	if (!r)
		e = -ENOTCONN;
	else if (r->type == REDIS_REPLY_ERROR)
		e = !strncmp(r->str, "NOPERM", 6) ? -EACCES : -EIO;
	if (e < 0 && err) {
		memset(err, 0, sizeof *err);
		err->code = e;
		snprintf(err->reason, sizeof err->reason, "Redis: %.140s", r ? r->str : c->errstr);
	}
	freeReplyObject(r);
	return e;
}
