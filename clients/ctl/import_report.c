/* SPDX-License-Identifier: Apache-2.0 */
#include "import_report.h"

#include <jansson.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BAR = 30, DRAW_EVERY_MS = 100 };

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int open_refused(struct import_report *r, int flags)
{
	int fd = open(r->path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0600);

	r->refused = fd < 0 ? NULL : fdopen(fd, "w");
	if (!r->refused)
		return ctl_fail(EX_CANTCREAT, "%s: %s", r->path, strerror(errno));
	return 0;
}

static int put_aside(struct import_report *r)
{
	char old[4096];

	if ((size_t)snprintf(old, sizeof old, "%s.old", r->path) >= sizeof old)
		return ctl_fail(EX_CANTCREAT, "%s: %s", r->path, strerror(ENAMETOOLONG));
	if (rename(r->path, old) == 0)
		ctl_fail(0, "the refused rows of an earlier run are kept as %s", old);
	else if (errno != ENOENT)
		return ctl_fail(EX_CANTCREAT, "%s: %s", r->path, strerror(errno));
	return 0;
}

int import_report_begin(struct import_report *r, int64_t bytes)
{
	struct stat st;

	r->begun_ms = now_ms();
	r->bar = isatty(STDERR_FILENO);
	if (bytes == 0)
		return put_aside(r);
	if (stat(r->path, &st) == 0 && open_refused(r, 0))
		return EX_CANTCREAT;
	if (!r->refused || fstat(fileno(r->refused), &st) < 0 || st.st_size < bytes)
		return ctl_fail(EX_IOERR,
				"%s: changed since the run was cut; --restart begins anew",
				r->path);
	/* What was written after the place that is gone back to is written again. */
	if (ftruncate(fileno(r->refused), bytes) < 0 || fseeko(r->refused, 0, SEEK_END) < 0)
		return ctl_fail(EX_IOERR, "%s: %s", r->path, strerror(errno));
	return 0;
}

void import_report_done(struct import_report *r)
{
	if (r->refused)
		fclose(r->refused);
	r->refused = NULL;
}

static void put_cell(FILE *f, const char *p, size_t n)
{
	putc('"', f);
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '"')
			putc('"', f);
		putc(p[i], f);
	}
	putc('"', f);
}

static void put_row(struct import_report *r, const struct import_record *rec, const char *why)
{
	/* A row that is no row is one cell, so that the file can be read whatever it held. */
	if (rec->err.code == -EBADMSG && !rec->bytes)
		put_cell(r->refused, rec->raw, rec->raw_len);
	else
		fwrite(rec->raw, 1, rec->raw_len, r->refused);
	/* The two columns stand below their headings, also of a row that is too short. */
	for (unsigned i = rec->cells ? rec->cells : 1; i < r->columns; i++)
		putc(r->separator, r->refused);
	fprintf(r->refused, "%c%u%c", r->separator, rec->line, r->separator);
	put_cell(r->refused, why, strlen(why));
	fputs("\r\n", r->refused);
}

static void put_json(struct import_report *r, const struct import_record *rec, const char *why)
{
	json_t *j = json_pack("{s:i, s:s}", "line", (int)rec->line, "why", why);
	json_t *event = json_loadb(rec->raw, rec->raw_len, 0, NULL);

	json_object_set_new(j, event ? r->what : "text",
			    event ? event : json_stringn(rec->raw, rec->raw_len));
	json_dumpf(j, r->refused, JSON_COMPACT);
	putc('\n', r->refused);
	json_decref(j);
}

int import_report_refused(struct import_report *r, const struct import_record *rec, const char *why,
			  const char *said)
{
	if (!r->refused) {
		if (open_refused(r, O_CREAT | O_TRUNC))
			return EX_CANTCREAT;
		if (r->header)
			fprintf(r->refused, "\xef\xbb\xbf%s%crefused_line%crefused_why\r\n",
				r->header, r->separator, r->separator);
	}
	if (r->header)
		put_row(r, rec, why);
	else
		put_json(r, rec, why);
	if (r->shown++ < IMPORT_SHOWN_MAX) {
		if (r->bar)
			fputs("\r\033[K", stderr);
		ctl_fail(0, "line %u: %s", rec->line, said);
	} else if (r->shown == IMPORT_SHOWN_MAX + 1) {
		ctl_fail(0, "and more: see %s", r->path);
	}
	return ferror(r->refused) ? ctl_fail(EX_IOERR, "%s: cannot be written", r->path) : 0;
}

int64_t import_report_bytes(struct import_report *r)
{
	if (!r->refused)
		return 0;
	return fflush(r->refused) == 0 ? ftello(r->refused) : -errno;
}

void import_report_progress(struct import_report *r, const struct import_state *s, int64_t offset,
			    bool last)
{
	int64_t now = now_ms(), took = now - r->begun_ms;
	unsigned percent = r->size > 0 ? (unsigned)(offset * 100 / r->size) : 100, full;

	if (!r->bar || (!last && now - r->drawn_ms < DRAW_EVERY_MS))
		return;
	r->drawn_ms = now;
	full = percent * BAR / 100;
	fprintf(stderr,
		"\r\033[K[%.*s%*s] %3u%%  %llu rows, %llu/s, %llu refused, %llu conflicting",
		(int)full, "##############################", (int)(BAR - full), "", percent,
		(unsigned long long)s->rows,
		(unsigned long long)(took > 0 ? s->rows * 1000 / (uint64_t)took : 0),
		(unsigned long long)s->refused, (unsigned long long)s->conflicting);
	if (last)
		fputs("\r\033[K", stderr);
	fflush(stderr);
}
