/* SPDX-License-Identifier: Apache-2.0 */
#include "secrets.h"
#include "credential.h"
#include "log.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static int fault(const char *option, const char *path, const char *what, int r)
{
	log_text(LOG_ERR, "%s %s: %s", option, path, what);
	return r;
}

int secrets_view_key(uint8_t ret[DIBAO_VIEW_KEY_BYTES], const char *path)
{
	uint8_t key[DIBAO_VIEW_KEY_BYTES];
	char hex[2 * DIBAO_VIEW_KEY_BYTES + 2];
	size_t n, len;
	FILE *f;
	int r;

	if (!path || !path[0]) {
		randombytes_buf(ret, DIBAO_VIEW_KEY_BYTES);
		log_text(LOG_WARNING, "no view_key_file: public ids change with every start");
		return 0;
	}
	r = credential_open(&f, path);
	if (r < 0)
		return fault("view_key_file", path, credential_error(r), r);
	n = fread(hex, 1, sizeof hex - 1, f);
	fclose(f);
	if (sodium_hex2bin(key, sizeof key, hex, n, "\n", &len, NULL) != 0 || len != sizeof key)
		return fault("view_key_file", path, "expected 64 hexadecimal digits", -EINVAL);
	memcpy(ret, key, sizeof key);
	sodium_memzero(key, sizeof key);
	sodium_memzero(hex, sizeof hex);
	return 0;
}

int secrets_password(char **ret, const char *path)
{
	char buf[SECRETS_PASSWORD_MAX + 2];
	size_t n;
	FILE *f;
	int r;

	*ret = NULL;
	if (!path || !path[0])
		return 0;
	r = credential_open(&f, path);
	if (r < 0)
		return fault("redis_password_file", path, credential_error(r), r);
	n = fread(buf, 1, sizeof buf - 1, f);
	fclose(f);
	buf[n] = '\0';
	n = strcspn(buf, "\r\n");
	buf[n] = '\0';
	if (n > 0 && n <= SECRETS_PASSWORD_MAX)
		*ret = strdup(buf);
	sodium_memzero(buf, sizeof buf);
	if (n == 0 || n > SECRETS_PASSWORD_MAX)
		return fault("redis_password_file", path, "expected a line of 1 to 254 bytes",
			     -EINVAL);
	return *ret ? 0 : -ENOMEM;
}

char *secrets_password_free(char *password)
{
	if (password)
		sodium_memzero(password, strlen(password));
	free(password);
	return NULL;
}
