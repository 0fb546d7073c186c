/* SPDX-License-Identifier: Apache-2.0 */
#include "import_state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char form[] = "dibao-import 1";

int import_state_load(struct import_state *ret, const char *path, const uint8_t key[16])
{
	struct import_state s = {0};
	char word[33] = "", want[33];
	FILE *f = fopen(path, "re");
	int n, version = 0;

	if (!f)
		return errno == ENOENT ? 0 : -errno;
	n = fscanf(f,
		   "dibao-import %d %32s offset %" SCNd64 " line %u refused_bytes %" SCNd64
		   " rows %" SCNu64 " new %" SCNu64 " repeated %" SCNu64 " scheduled %" SCNu64
		   " conflicting %" SCNu64 " refused %" SCNu64,
		   &version, word, &s.offset, &s.line, &s.refused_bytes, &s.rows, &s.n_new,
		   &s.repeated, &s.scheduled, &s.conflicting, &s.refused);
	fclose(f);
	sodium_bin2hex(want, sizeof want, key, 16);
	if (n != 11 || version != 1 || strcmp(word, want) != 0 || s.offset < 0 ||
	    s.refused_bytes < 0)
		return 0;
	memcpy(s.key, key, 16);
	*ret = s;
	return 1;
}

int import_state_save(const struct import_state *s, const char *path)
{
	char made[PATH_MAX], hex[33];
	FILE *f;
	int fd, r = 0;

	if ((size_t)snprintf(made, sizeof made, "%s.part", path) >= sizeof made)
		return -ENAMETOOLONG;
	fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	f = fdopen(fd, "w");
	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	sodium_bin2hex(hex, sizeof hex, s->key, 16);
	fprintf(f,
		"%s\n%s\noffset %" PRId64 "\nline %u\nrefused_bytes %" PRId64 "\nrows %" PRIu64
		"\nnew %" PRIu64 "\nrepeated %" PRIu64 "\nscheduled %" PRIu64
		"\nconflicting %" PRIu64 "\nrefused %" PRIu64 "\n",
		form, hex, s->offset, s->line, s->refused_bytes, s->rows, s->n_new, s->repeated,
		s->scheduled, s->conflicting, s->refused);
	if (fflush(f) != 0 || fsync(fd) < 0)
		r = -errno;
	fclose(f);
	if (r == 0 && rename(made, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(made);
	return r;
}

void import_state_forget(const char *path)
{
	unlink(path);
}
