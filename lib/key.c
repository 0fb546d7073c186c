/* SPDX-License-Identifier: Apache-2.0 */
#include "credential.h"
#include "error.h"

#include <dibao/key.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

enum { LINE_BYTES = 256, LINES_MAX = 32 };

static int fail(struct dibao_error *err, int code, const char *path, const char *what)
{
	return error_set(err, code, "%.100s: %s", path, what);
}

bool dibao_key_check(const char *text)
{
	uint8_t bytes[32];

	return strlen(text) == DIBAO_KEY_TEXT - 1 && zmq_z85_decode(bytes, text);
}

static int find_key(FILE *f, char ret_secret[DIBAO_KEY_TEXT])
{
	char line[LINE_BYTES];
	int r = -EBADMSG;

	for (int i = 0; i < LINES_MAX && fgets(line, sizeof line, f); i++) {
		line[strcspn(line, "\r\n")] = '\0';
		/* No key begins with #: five of its characters are at most 2^32 - 1. */
		if (!line[0] || line[0] == '#')
			continue;
		if (dibao_key_check(line)) {
			memcpy(ret_secret, line, DIBAO_KEY_TEXT);
			r = 0;
		}
		break;
	}
	sodium_memzero(line, sizeof line);
	return r;
}

int dibao_key_read(const char *path, char ret_public[DIBAO_KEY_TEXT],
		   char ret_secret[DIBAO_KEY_TEXT], struct dibao_error *err)
{
	char secret[DIBAO_KEY_TEXT], public[DIBAO_KEY_TEXT];
	FILE *f;
	int r = credential_open(&f, path);

	if (r < 0)
		return fail(err, r, path, credential_error(r));
	/* No copy of the key in a buffer that is freed and forgotten. */
	setvbuf(f, NULL, _IONBF, 0);
	r = find_key(f, secret);
	fclose(f);
	if (r == 0 && zmq_curve_public(public, secret) < 0)
		r = -EBADMSG;
	if (r < 0)
		return fail(err, r, path, "expected a secret key, 40 characters of Z85, on a line");
	if (ret_public)
		memcpy(ret_public, public, sizeof public);
	if (ret_secret)
		memcpy(ret_secret, secret, sizeof secret);
	sodium_memzero(secret, sizeof secret);
	return 0;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

int dibao_key_generate(const char *path, const char *name, char ret_public[DIBAO_KEY_TEXT],
		       struct dibao_error *err)
{
	char public[DIBAO_KEY_TEXT], secret[DIBAO_KEY_TEXT], text[512], day[16];
	time_t now = time(NULL);
	struct tm tm;
	int fd, n, r;

	localtime_r(&now, &tm);
	strftime(day, sizeof day, "%Y-%m-%d", &tm);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(err, -errno, path,
			    errno == EEXIST ? "exists, and is left as it is" : strerror(errno));
	if (zmq_curve_keypair(public, secret) < 0) {
		close(fd);
		unlink(path);
		return fail(err, -ENOSYS, path, "this libzmq has no CURVE");
	}
	n = snprintf(text, sizeof text,
		     "# Secret key of %.64s for dibao, made %s. It is for its owner alone.\n"
		     "# Its public key: %s\n%s\n",
		     name, day, public, secret);
	r = write_all(fd, text, (size_t)n);
	sodium_memzero(secret, sizeof secret);
	sodium_memzero(text, sizeof text);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r < 0) {
		unlink(path);
		return fail(err, r, path, strerror(-r));
	}
	memcpy(ret_public, public, sizeof public);
	return 0;
}
