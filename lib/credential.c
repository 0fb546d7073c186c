/* SPDX-License-Identifier: Apache-2.0 */
#include "credential.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The rights are those of the open file, not of a path that may change in between. systemd gives a
 * credential to the service's user by an access list, whose mask shows as the group's rights. */
static int check(int fd, bool is_credential)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_mode & (is_credential ? 007 : 077))
		return -EPERM;
	/* Root reads for others: dibaoctl the daemon's. */
	return st.st_uid == geteuid() || st.st_uid == 0 || geteuid() == 0 ? 0 : -EPERM;
}

const char *credential_error(int e)
{
	return e == -EPERM ? "others than its owner may read it: chmod 600" : strerror(-e);
}

int credential_open(FILE **ret, const char *name)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	bool is_credential = !strchr(name, '/');
	char path[PATH_MAX];
	int fd, r;
	FILE *f;

	if (is_credential && (!dir || !*dir || !strcmp(name, "..")))
		return -ENOENT;
	if (snprintf(path, sizeof path, "%s%s%s", is_credential ? dir : "",
		     is_credential ? "/" : "", name) >= (int)sizeof path)
		return -ENAMETOOLONG;
	/* Not to wait for a FIFO's writer. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	r = check(fd, is_credential);
	f = r == 0 ? fdopen(fd, "r") : NULL;
	if (!f) {
		r = r < 0 ? r : -errno;
		close(fd);
		return r;
	}
	*ret = f;
	return 0;
}
