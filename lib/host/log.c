/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where lines go is decided once, in log_open(): to the journal with fields if
 * stderr is the journal ($JOURNAL_STREAM names its device and inode, and a
 * redirected stderr has others), else one write(2) of one line to stderr.
 *
 * A line is at most LINE_MAX_BYTES and holds no control characters: ids of
 * clients and Redis' error texts are other people's bytes, and may not forge a
 * second line. Failure to log is ignored; there is nowhere to tell it.
 *
 * Used by the loop's thread alone, so the tables need no lock.
 */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

enum {
	LINE_MAX_BYTES = 2048,
	FIELDS_MAX = 16,
	LIMIT_KEYS = 64,
	LIMIT_LINES = 10,
	LIMIT_SECONDS = 60,
};

struct limit {
	const char *key;
	time_t since;
	unsigned n_written, n_held;
};

static struct {
	bool to_journal;
	int max_level;
	char program[32];
	struct limit limits[LIMIT_KEYS];
	size_t n_limits;
} state = {.max_level = LOG_INFO, .program = "dibaod"};

/* Index = level. */
static const char *const level_names[] = {"emerg",   "alert",  "crit", "err",
					  "warning", "notice", "info", "debug"};

static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void log_open(const char *program)
{
	(void)snprintf(state.program, sizeof state.program, "%s", program);
	state.to_journal = stderr_is_journal();
}

int log_set_level(const char *name)
{
	for (int i = LOG_ERR; i <= LOG_DEBUG; i++) {
		if (strcmp(name, level_names[i]) == 0) {
			state.max_level = i;
			return 0;
		}
	}
	return -EINVAL;
}

struct line {
	char text[LINE_MAX_BYTES];
	size_t len;
};

static void line_put(struct line *l, const char *s)
{
	for (; *s && l->len < sizeof l->text - 1; s++) {
		unsigned char c = (unsigned char)*s;

		l->text[l->len++] = c < 0x20 || c == 0x7f ? ' ' : *s;
	}
}

static void write_stderr(int level, const char *text, const char *const *fields, size_t n)
{
	struct line l = {.len = 0};
	ssize_t r;

	line_put(&l, level_names[level]);
	line_put(&l, " ");
	line_put(&l, text);
	for (size_t i = 0; i < n; i++) {
		line_put(&l, i == 0 ? "  " : " ");
		line_put(&l, fields[i]);
	}
	l.text[l.len++] = '\n';
	do {
		r = write(STDERR_FILENO, l.text, l.len);
	} while (r < 0 && errno == EINTR);
}

static void write_journal(int level, const char *message_id, const char *text,
			  const char *const *fields, size_t n)
{
	struct iovec iov[FIELDS_MAX + 4];
	char head[3][64];
	struct line message = {.len = 0};
	int n_iov = 0;

	(void)snprintf(head[0], sizeof head[0], "PRIORITY=%d", level);
	(void)snprintf(head[1], sizeof head[1], "SYSLOG_IDENTIFIER=%s", state.program);
	line_put(&message, "MESSAGE=");
	line_put(&message, text);
	iov[n_iov++] = (struct iovec){message.text, message.len};
	iov[n_iov++] = (struct iovec){head[0], strlen(head[0])};
	iov[n_iov++] = (struct iovec){head[1], strlen(head[1])};
	if (message_id) {
		(void)snprintf(head[2], sizeof head[2], "MESSAGE_ID=%s", message_id);
		iov[n_iov++] = (struct iovec){head[2], strlen(head[2])};
	}
	for (size_t i = 0; i < n; i++) {
		iov[n_iov++] = (struct iovec){(char *)(uintptr_t)fields[i], strlen(fields[i])};
	}
	(void)sd_journal_sendv(iov, n_iov);
}

static void emit(int level, const char *message_id, const char *text, const char *const *fields,
		 size_t n)
{
	if (state.to_journal) {
		write_journal(level, message_id, text, fields, n);
	} else {
		write_stderr(level, text, fields, n);
	}
}

void log_write(int level, const char *message_id, const char *text, ...)
{
	const char *fields[FIELDS_MAX];
	const char *field;
	size_t n = 0;
	va_list ap;

	if (level > state.max_level) {
		return;
	}
	va_start(ap, text);
	while (n < FIELDS_MAX && (field = va_arg(ap, const char *)) != NULL) {
		fields[n++] = field;
	}
	va_end(ap);
	emit(level, message_id, text, fields, n);
}

void log_text(int level, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES];
	va_list ap;

	if (level > state.max_level) {
		return;
	}
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	emit(level, NULL, text, NULL, 0);
}

void log_told(int level, const char *message_id, const char *field, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES];
	va_list ap;

	if (level > state.max_level) {
		return;
	}
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	emit(level, message_id, text, &field, field != NULL);
}

static struct limit *limit_find(const char *key)
{
	struct limit *l;

	for (size_t i = 0; i < state.n_limits; i++) {
		if (strcmp(state.limits[i].key, key) == 0) {
			return &state.limits[i];
		}
	}
	if (state.n_limits == LIMIT_KEYS) {
		return &state.limits[LIMIT_KEYS - 1]; /* a full table shares its last place */
	}
	l = &state.limits[state.n_limits++];
	l->key = key;
	return l;
}

bool log_limited(const char *key)
{
	struct limit *l = limit_find(key);
	struct timespec now;

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	if (l->n_written == 0 || now.tv_sec - l->since >= LIMIT_SECONDS) {
		if (l->n_held > 0) {
			log_text(LOG_NOTICE, "%u more lines of \"%s\" were held back", l->n_held,
				 l->key);
		}
		l->since = now.tv_sec;
		l->n_written = l->n_held = 0;
	}
	if (l->n_written == LIMIT_LINES) {
		l->n_held++;
		return false;
	}
	l->n_written++;
	return true;
}
