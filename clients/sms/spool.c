/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver `spool`: a file per text in DIRECTORY/out, results back through DIRECTORY/in.
 *
 * A text is written to out/ under a name that begins with a dot, synced, and renamed: whoever looks
 * there sees whole files only. That it lies there says nothing of its arrival: it stays submitted
 * until a result says more. A text that is spooled again after a crash has the same name, and
 * replaces itself.
 *
 * in/ is looked at when something is moved into it (inotify), and every minute; RESULTS_PER_TURN at
 * a time, and the next when those are on disk. Files of out/ and bad/ older than `keep` are removed
 * then too. Directories are 0700, files 0600: who can read them
 * reads texts and numbers.
 */
#include "spool.h"
#include "later.h"
#include "log.h"
#include "sms_config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SWEEP_USEC = 60 * 1000000, RESULTS_PER_TURN = 200 };

struct spool {
	struct driver driver;
	struct later later;
	int out, in, bad, notify; /* owned descriptors */
	const struct gateway_config *config;
	sd_event_source *watch, *sweep, *more;
	unsigned n_reading;	/* results and answers handed on, and not done with */
	bool has_more, has_bad; /* since they were begun: others came; one was not taken */
	bool is_full;		/* the disk; told by health */
};

/* What a result's answer needs: its file, to be removed. */
struct ticket {
	char name[256];
};

static int open_directory(int at, const char *name)
{
	int fd;

	if (mkdirat(at, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (fchmod(fd, 0700) < 0) {
		int e = -errno;

		close(fd);
		return e;
	}
	return fd;
}

static int write_file(int dir, const char *tmp, const char *name, const char *text, size_t len)
{
	int fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int e = 0;

	if (fd < 0)
		return -errno;
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0) {
			e = -errno;
			break;
		}
		text += n;
		len -= (size_t)n;
	}
	if (e == 0 && fdatasync(fd) < 0)
		e = -errno;
	close(fd);
	if (e == 0 && renameat(dir, tmp, dir, name) < 0)
		e = -errno;
	if (e < 0)
		unlinkat(dir, tmp, 0);
	return e;
}

static int submit(struct driver *d, const struct driver_text *text)
{
	struct spool *s = (struct spool *)d;
	struct driver_result r = {.outcome = DRIVER_ACCEPTED};
	char name[SPOOL_NAME_MAX], tmp[SPOOL_NAME_MAX + 8], final[SPOOL_NAME_MAX + 8];
	char *file;
	size_t len = 0;
	int e;

	if (later_room(&s->later) == 0)
		return -EAGAIN;
	file = spool_format(text, &len);
	if (!file)
		return -ENOMEM;
	spool_name(name, text->id, text->attempt);
	snprintf(tmp, sizeof tmp, ".%s.tmp", name);
	snprintf(final, sizeof final, "%s.txt", name);
	e = write_file(s->out, tmp, final, file, len);
	explicit_bzero(file, len);
	free(file);
	if (e < 0) {
		r.outcome = DRIVER_REFUSED;
		snprintf(r.code, sizeof r.code, "disk");
	}
	if (s->is_full != (e < 0)) {
		s->is_full = e < 0;
		d->opt.on_health(d, e < 0 ? DRIVER_DEGRADED : DRIVER_UP,
				 e < 0 ? strerror(-e) : "its directory can be written again",
				 d->opt.userdata);
	}
	later_add(&s->later, text, &r);
	return 0;
}

/* ---- results ---- */

static int read_result(int dir, const char *name, char buf[SPOOL_RESULT_MAX + 1])
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	ssize_t n = -1;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= SPOOL_RESULT_MAX)
		n = read(fd, buf, SPOOL_RESULT_MAX);
	close(fd);
	if (n < 0)
		return -EBADMSG;
	buf[n] = '\0';
	return 0;
}

/* Its name was made elsewhere: it may hold anything, and is not logged. */
static void set_aside(struct spool *s, const char *name)
{
	if (renameat(s->in, name, s->bad, name) < 0)
		unlinkat(s->in, name, 0);
	if (log_limited("spool-bad"))
		log_text(LOG_WARNING, "%s: a result that cannot be read was moved to bad/",
			 s->driver.opt.name);
}

static void take_result(struct spool *s, const char *name)
{
	char text[SPOOL_RESULT_MAX + 1];
	struct spool_fields fields;
	struct driver_receipt receipt;
	struct ticket *t;
	int e = read_result(s->in, name, text);

	if (e == -ENOENT)
		return;
	if (e == 0)
		e = spool_read(&fields, text);
	if (e == 0)
		e = spool_parse(spool_get, &fields, &receipt);
	if (e < 0) {
		set_aside(s, name);
		return;
	}
	t = malloc(sizeof *t);
	if (!t)
		return; /* at the next sweep */
	snprintf(t->name, sizeof t->name, "%s", name);
	s->n_reading++;
	s->driver.opt.on_receipt(&s->driver, &receipt, t, s->driver.opt.userdata);
}

/* What a handset answered: "from: NUMBER", an empty line, the text. */
static void take_answer(struct spool *s, const char *name)
{
	char text[SPOOL_RESULT_MAX + 1], *body;
	struct spool_fields fields;
	const char *from = NULL;
	struct ticket *t;
	int e = read_result(s->in, name, text);

	if (e == -ENOENT)
		return;
	body = e == 0 ? strstr(text, "\n\n") : NULL;
	if (body) {
		body[1] = '\0';
		body += 2;
		if (spool_read(&fields, text) == 0)
			from = spool_get(&fields, "from");
	}
	if (!from) {
		set_aside(s, name);
		return;
	}
	t = malloc(sizeof *t);
	if (!t)
		return; /* at the next sweep */
	snprintf(t->name, sizeof t->name, "%s", name);
	s->n_reading++;
	s->driver.opt.on_answer(&s->driver, from, body, strlen(body), t, s->driver.opt.userdata);
}

static void receipt_done(struct driver *d, void *ticket, bool taken)
{
	struct spool *s = (struct spool *)d;
	struct ticket *t = ticket;

	/* One that was not taken stays, and is read again with the next sweep. */
	if (taken)
		unlinkat(s->in, t->name, 0);
	s->has_bad |= !taken;
	free(t);
	if (--s->n_reading == 0 && s->has_more && !s->has_bad)
		(void)sd_event_source_set_enabled(s->more, SD_EVENT_ON);
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), k = strlen(suffix);

	return name[0] != '.' && n > k && !strcmp(name + n - k, suffix);
}

/* True if there are more. */
static bool read_in(struct spool *s)
{
	int fd = openat(s->in, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	unsigned n = 0;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (n < RESULTS_PER_TURN && (e = readdir(dir)))
		if (has_suffix(e->d_name, ".result")) {
			take_result(s, e->d_name);
			n++;
		} else if (has_suffix(e->d_name, ".answer")) {
			take_answer(s, e->d_name);
			n++;
		}
	closedir(dir);
	return n == RESULTS_PER_TURN;
}

static void remove_old(int dirfd, uint64_t keep_ms)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	time_t before = time(NULL) - (time_t)(keep_ms / 1000);
	struct dirent *e;
	struct stat st;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(dir)))
		if (fstatat(dirfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && st.st_mtime < before)
			unlinkat(dirfd, e->d_name, 0);
	closedir(dir);
}

static int on_more(sd_event_source *source, void *userdata)
{
	struct spool *s = userdata;
	bool more = true;

	if (s->n_reading == 0) {
		s->has_more = s->has_bad = false;
		more = read_in(s);
	}
	s->has_more = more;
	return sd_event_source_set_enabled(
		source, more && !s->has_bad && s->n_reading == 0 ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int on_watch(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct spool *s = userdata;
	char buf[4096] __attribute__((aligned(8)));

	(void)source, (void)events;
	while (read(fd, buf, sizeof buf) > 0)
		;
	return sd_event_source_set_enabled(s->more, SD_EVENT_ON);
}

static int on_sweep(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct spool *s = userdata;

	remove_old(s->out, s->config->keep_ms);
	remove_old(s->bad, s->config->keep_ms);
	(void)sd_event_source_set_enabled(s->more, SD_EVENT_ON);
	(void)sd_event_source_set_time(source, usec + SWEEP_USEC);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* ---- the driver ---- */

static struct driver *destroy(struct driver *d)
{
	struct spool *s = (struct spool *)d;
	int *fds[] = {&s->out, &s->in, &s->bad, &s->notify};

	later_done(&s->later);
	sd_event_source_disable_unref(s->watch);
	sd_event_source_disable_unref(s->sweep);
	sd_event_source_disable_unref(s->more);
	for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
	free(s);
	return NULL;
}

static int open_all(struct spool *s, const char *directory)
{
	int top = open_directory(AT_FDCWD, directory);

	if (top < 0)
		return top;
	s->out = open_directory(top, "out");
	s->in = open_directory(top, "in");
	s->bad = open_directory(top, "bad");
	close(top);
	return s->out < 0 ? s->out : s->in < 0 ? s->in : s->bad < 0 ? s->bad : 0;
}

static int watch(struct spool *s, const char *directory)
{
	char path[600];
	uint64_t now = 0;
	int r;

	snprintf(path, sizeof path, "%s/in", directory);
	s->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (s->notify < 0 || inotify_add_watch(s->notify, path, IN_MOVED_TO | IN_CLOSE_WRITE) < 0)
		return -errno;
	r = sd_event_add_io(s->driver.opt.event, &s->watch, s->notify, EPOLLIN, on_watch, s);
	if (r >= 0)
		r = sd_event_add_defer(s->driver.opt.event, &s->more, on_more, s);
	(void)sd_event_now(s->driver.opt.event, CLOCK_BOOTTIME, &now);
	if (r >= 0)
		r = sd_event_add_time(s->driver.opt.event, &s->sweep, CLOCK_BOOTTIME, now, 1000000,
				      on_sweep, s);
	return r < 0 ? r : 0;
}

static int create(struct driver **ret, const struct driver_options *opt)
{
	const struct gateway_config *c = opt->settings;
	struct spool *s = calloc(1, sizeof *s);
	int r;

	if (!s)
		return -ENOMEM;
	s->driver = (struct driver){.ops = &driver_spool, .opt = *opt};
	s->out = s->in = s->bad = s->notify = -1;
	s->config = c;
	r = later_init(&s->later, &s->driver);
	if (r == 0)
		r = open_all(s, c->directory);
	if (r == 0)
		r = watch(s, c->directory);
	if (r < 0) {
		destroy(&s->driver);
		return r;
	}
	*ret = &s->driver;
	return 0;
}

static unsigned room(struct driver *d)
{
	return later_room(&((struct spool *)d)->later);
}

static enum driver_health health(struct driver *d)
{
	return ((struct spool *)d)->is_full ? DRIVER_DEGRADED : DRIVER_UP;
}

static void classify(const struct driver_reply *reply, struct driver_result *ret)
{
	*ret = (struct driver_result){.outcome = reply->transport == 0 ? DRIVER_ACCEPTED
								       : DRIVER_REFUSED};
}

const struct driver_ops driver_spool = {
	.name = "spool",
	.create = create,
	.destroy = destroy,
	.submit = submit,
	.room = room,
	.receipt_done = receipt_done,
	.health = health,
	.classify = classify,
	.parse_receipt = spool_parse,
};
