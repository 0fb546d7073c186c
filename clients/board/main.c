/* SPDX-License-Identifier: Apache-2.0 */
/* dibao-board: see dibao-board(8). */
#include "board.h"
#include "log.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

static const char usage[] =
	"usage: dibao-board [-c FILE] [--tty] [--check-config]\n"
	"       dibao-board [-c FILE] [--tty] --demo[=FILE]\n"
	"       dibao-board [-c FILE] --status [--json]\n"
	"Shows a station's promotions and awards to a browser on this machine.\n"
	"\n"
	"  -c, --config FILE   configuration (default: built-in values, see dibao-board(8))\n"
	"      --check-config  check the configuration, print it, exit\n"
	"      --demo[=FILE]   invented events, or those of FILE (JSON lines); no daemon\n"
	"      --interval S    seconds between two events of the demonstration (20)\n"
	"      --tty           draw on this terminal too\n"
	"      --status        ask the board that runs here how it is, exit\n"
	"      --json          that as a line of JSON\n"
	"  -h, --help          this text\n"
	"      --version       version\n";

enum { OPT_CHECK = 256, OPT_DEMO, OPT_INTERVAL, OPT_TTY, OPT_STATUS, OPT_JSON, OPT_VERSION };

/* The bureau that seeds/ and the built-in events are about. */
static const char demo_org[] = "320508530000";

/* Of the source tree that the program was built in, if it lies in one: the nearest config/ above
 * it. */
static void find_table(char **path, const char *name)
{
	char dir[PATH_MAX], found[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", dir, sizeof dir - 1);

	if (!**path || access(*path, R_OK) == 0 || n <= 0)
		return;
	dir[n] = '\0';
	for (char *slash; (slash = strrchr(dir, '/'));) {
		*slash = '\0';
		snprintf(found, sizeof found, "%s/config/%s", dir, name);
		if (access(found, R_OK) == 0) {
			char *copy = strdup(found);

			if (copy) {
				free(*path);
				*path = copy;
			}
			return;
		}
	}
	/* A demonstration does without. */
	**path = '\0';
}

static int prepare_demo(struct board_config *c)
{
	find_table(&c->orgs_table, "orgs.tsv");
	find_table(&c->ranks_table, "ranks.tsv");
	/* Nothing of a demonstration is kept. */
	c->cache[0] = '\0';
	if (*c->org)
		return 0;
	free(c->org);
	c->org = strdup(demo_org);
	return c->org ? 0 : -ENOMEM;
}

static int run(struct board_start *start)
{
	struct board *b;
	sigset_t blocked;
	int r;

	/* A state of thousands of items is one block of megabytes, and goes back when it was sent:
	 * by default the first one freed would make malloc keep the next. */
	mallopt(M_MMAP_THRESHOLD, 256 * 1024);
	log_open("dibao-board");
	log_set_level(start->config_take->log_level);
	if (sodium_init() < 0) {
		log_text(LOG_ERR, "cannot initialise libsodium");
		board_config_free(start->config_take);
		return EX_OSERR;
	}
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	if (start->has_tty && isatty(STDERR_FILENO)) {
		/* Lines would be written across the picture. */
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		log_text(LOG_NOTICE, "messages go nowhere from here on; see them with 2>FILE");
		if (null >= 0)
			dup2(null, STDERR_FILENO);
	}
	r = board_new(&b, start);
	if (r < 0) {
		log_text(LOG_ERR, "cannot start: %s", strerror(-r));
		return start->demo_path ? EX_DATAERR : EX_UNAVAILABLE;
	}
	r = board_run(b);
	board_free(b);
	return r < 0 ? EX_SOFTWARE : 0;
}

static int status(struct board_config *c, bool as_json)
{
	int r = status_ask(c->address, c->port, as_json);

	if (r < 0)
		fprintf(stderr, "dibao-board: no board answers at %s port %u: %s\n", c->address,
			c->port, strerror(-r));
	board_config_free(c);
	return r < 0 ? EX_UNAVAILABLE : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"check-config", no_argument, NULL, OPT_CHECK},
		{"demo", optional_argument, NULL, OPT_DEMO},
		{"interval", required_argument, NULL, OPT_INTERVAL},
		{"tty", no_argument, NULL, OPT_TTY},
		{"status", no_argument, NULL, OPT_STATUS},
		{"json", no_argument, NULL, OPT_JSON},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, OPT_VERSION},
		{0},
	};
	struct board_start start = {.demo_interval_ms = 20000};
	bool check = false, ask = false, as_json = false;
	const char *path = NULL;
	char *end;
	double seconds;
	int o;

	while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1)
		switch (o) {
		case 'c':
			path = optarg;
			break;
		case OPT_CHECK:
			check = true;
			break;
		case OPT_DEMO:
			start.is_demo = true;
			start.demo_path = optarg;
			break;
		case OPT_INTERVAL:
			seconds = strtod(optarg, &end);
			if (*end || end == optarg || !(seconds >= 0.05 && seconds <= 86400)) {
				fprintf(stderr, "dibao-board: --interval: expected 0.05 to 86400 "
						"seconds\n");
				return EX_USAGE;
			}
			start.demo_interval_ms = (unsigned)(seconds * 1000);
			break;
		case OPT_TTY:
			start.has_tty = true;
			break;
		case OPT_STATUS:
			ask = true;
			break;
		case OPT_JSON:
			as_json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case OPT_VERSION:
			puts("dibao-board " DIBAO_VERSION);
			return 0;
		default:
			fputs(usage, stderr);
			return EX_USAGE;
		}
	if (optind < argc) {
		fprintf(stderr, "dibao-board: unexpected argument: %s\n", argv[optind]);
		return EX_USAGE;
	}
	if (board_config_load(&start.config_take, path, start.is_demo || ask, stderr) < 0)
		return EX_CONFIG;
	if (ask)
		return status(start.config_take, as_json);
	if (check) {
		options_print(start.config_take, &board_options, stdout);
		board_config_free(start.config_take);
		return 0;
	}
	if (start.is_demo && prepare_demo(start.config_take) < 0) {
		board_config_free(start.config_take);
		return EX_OSERR;
	}
	return run(&start);
}
