/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A real Redis for one test program: a directory of its own under /tmp, a
 * unix socket, no port; ended by its pid, directory removed.
 */
#ifndef TESTS_UNIT_REDIS_SERVER_H
#define TESTS_UNIT_REDIS_SERVER_H

#include <assert.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct redis_server {
	char dir[64], socket[96], address[104];
	char trace[96]; /* a file: run under strace, writes and syncs are noted in it; "": don't */
	pid_t pid;
};

static inline void redis_server_nap(void)
{
	(void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

static inline void redis_server_init(struct redis_server *s)
{
	(void)snprintf(s->dir, sizeof s->dir, "/tmp/dibao-unit-XXXXXX");
	assert(mkdtemp(s->dir));
	(void)snprintf(s->socket, sizeof s->socket, "%s/redis.sock", s->dir);
	(void)snprintf(s->address, sizeof s->address, "unix:%s", s->socket);
	s->trace[0] = '\0';
	s->pid = 0;
}

/* Connects and has an answer that is not about loading its data. */
static inline bool redis_server_answers(const struct sockaddr_un *sun)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char answer[16] = "";
	bool r = connect(fd, (const struct sockaddr *)sun, sizeof *sun) == 0 &&
		 write(fd, "PING\r\n", 6) == 6 && read(fd, answer, sizeof answer - 1) > 0 &&
		 strncmp(answer, "-LOADING", 8) != 0;

	close(fd);
	return r;
}

/* extra: options after redis-server's own, NULL-terminated; may be NULL. Returns when it serves. */
static inline void redis_server_start(struct redis_server *s, const char *const *extra)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	char log[96];
	const char *argv[32] = {
		"redis-server", "--port", "0", "--unixsocket", s->socket, "--dir",
		s->dir,		"--save", "",  "--logfile",    log,	  "--appendonly",
		"yes"};
	int n = 13;

	(void)snprintf(log, sizeof log, "%s/redis.log", s->dir);
	for (; extra && *extra; extra++) {
		argv[n++] = *extra;
	}
	s->pid = fork();
	if (s->pid == 0) {
		const char *traced[48] = {"strace", "-D",   "-f",
					  "-s",	    "4096", "-o",
					  s->trace, "-e",   "trace=write,writev,fsync,fdatasync"};

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that crashes leaves none behind */
		if (s->trace[0]) {			/* -D: the pid stays that of Redis */
			memcpy(traced + 9, argv, sizeof argv);
			execvp(traced[0], (char **)(uintptr_t)traced);
		}
		execvp(argv[0], (char **)(uintptr_t)argv);
		_exit(127);
	}
	(void)snprintf(sun.sun_path, sizeof sun.sun_path, "%s", s->socket);
	for (int i = 0; i < 5000; i++) {
		if (redis_server_answers(&sun)) {
			return;
		}
		redis_server_nap();
	}
	assert(!"redis-server did not start");
}

static inline void redis_server_stop(struct redis_server *s)
{
	if (s->pid > 0) {
		kill(s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
		unlink(s->socket);
		s->pid = 0;
	}
}

static inline void redis_server_done(struct redis_server *s)
{
	char command[128];

	redis_server_stop(s);
	(void)snprintf(command, sizeof command, "rm -rf '%s'", s->dir);
	assert(system(command) == 0);
}

#endif
