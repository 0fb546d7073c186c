/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim: loaded into a process (LD_PRELOAD) by a test that steps its wall clock or holds its syncs.
 *
 * The file named by DIBAO_SHIM holds a struct shim, which the test writes at any time. Only the
 * wall clock is stepped: CLOCK_MONOTONIC and CLOCK_BOOTTIME go on, as after `date -s`; or only
 * CLOCK_BOOTTIME, in whole seconds and not for timers of the kernel, as if time had gone by. While
 * syncs are held, fsync() and fdatasync() wait as on a disk that does not answer. Without the
 * variable it does nothing.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct shim {
	int64_t ahead_ms;      /* wall clock, against the machine's */
	int64_t hold_syncs;    /* not 0: syncs wait */
	int64_t n_held;	       /* syncs waiting now; written here */
	int64_t boot_ahead_ms; /* the time since boot, against the machine's: as after a sleep */
};

static volatile struct shim *shim;

__attribute__((constructor)) static void load(void)
{
	const char *path = getenv("DIBAO_SHIM");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p = MAP_FAILED;

	if (fd >= 0) {
		p = mmap(NULL, sizeof *shim, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		close(fd);
	}
	if (path && p == MAP_FAILED)
		abort();
	if (p != MAP_FAILED)
		shim = p;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, id, t);

	if (r == 0 && shim && id == CLOCK_BOOTTIME)
		t->tv_sec += shim->boot_ahead_ms / 1000;
	if (r == 0 && shim && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
		int64_t ns = t->tv_nsec + shim->ahead_ms % 1000 * 1000000;

		t->tv_sec += shim->ahead_ms / 1000 + (ns >= 1000000000) - (ns < 0);
		t->tv_nsec = (ns + 1000000000) % 1000000000;
	}
	return r;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	struct timespec ts;
	int r = clock_gettime(CLOCK_REALTIME, &ts);

	(void)zone;
	t->tv_sec = ts.tv_sec;
	t->tv_usec = ts.tv_nsec / 1000;
	return r;
}

time_t time(time_t *ret)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (ret)
		*ret = ts.tv_sec;
	return ts.tv_sec;
}

static void hold(void)
{
	if (!shim || !shim->hold_syncs)
		return;
	__atomic_add_fetch(&shim->n_held, 1, __ATOMIC_SEQ_CST);
	while (shim->hold_syncs)
		usleep(1000);
	__atomic_sub_fetch(&shim->n_held, 1, __ATOMIC_SEQ_CST);
}

int fsync(int fd)
{
	hold();
	return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	hold();
	return (int)syscall(SYS_fdatasync, fd);
}
