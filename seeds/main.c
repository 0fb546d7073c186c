/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dibao-seed: the demonstration bureau's people and events. Reads argv, finds
 * and loads the tables, runs one verb.
 *
 * The tables are looked for beside the program: the nearest directory upward
 * of it that holds config/orgs.tsv and seeds/figures.tsv; --root names another.
 * Exit status: 0; 1 something failed (told on stderr); 64 wrong usage.
 */
#include "roster.h"
#include "stream.h"
#include "year.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

struct arguments {
	const char *figures, *root, *within;
	uint64_t seed, count;
	long size, year;
	double interval;
	bool json, chinese, record, start_now;
};

static const char help_text[] =
	"Usage: dibao-seed [OPTION]... VERB\n"
	"Invented people and events of a bureau marked as a demonstration (演示数据).\n"
	"\n"
	"Verbs:\n"
	"  tables [NAME]   check all tables and count them, or print one as JSON lines\n"
	"  roster          the roster\n"
	"  year            a year's events, JSON lines in the order of time\n"
	"  stream          events without end, a few seconds apart\n"
	"\n"
	"Options:\n"
	"      --seed N        seed number: the same data for the same number (1)\n"
	"      --size N        people on the roster, at most 999999 (42000)\n"
	"      --year Y        year of the roster and of the events (2016)\n"
	"      --format F      roster: csv or json (csv)\n"
	"      --headings L    roster as csv: en or zh (en)\n"
	"      --record        year: mark the events as history\n"
	"      --interval SEC  stream: seconds between two events (3)\n"
	"      --start-now     stream: events happen now, not from 1 January on\n"
	"      --count N       stream: stop after N events\n"
	"      --org PREFIX    year, stream: of people of that organisation or district\n"
	"  -c FILE             figures to use in place of those in seeds/figures.tsv\n"
	"      --root DIR      directory with config/ and seeds/\n"
	"      --help, --version\n"
	"\n"
	"See dibao-seed(1).\n";

static int usage(const char *what, const char *which)
{
	fprintf(stderr, "dibao-seed: %s%s%s; see dibao-seed --help\n", what, *which ? " " : "",
		which);
	return EX_USAGE;
}

static bool number(const char *s, long min, long max, long *ret)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(s, &end, 10);
	if (errno || end == s || *end || n < min || n > max)
		return false;
	*ret = n;
	return true;
}

/* 0, or an exit status. */
static int take_option(struct arguments *a, int option, const char *name)
{
	long n = 0;
	char *end;
	bool ok = true;

	switch (option) {
	case 'c':
		a->figures = optarg;
		break;
	case 'R':
		a->root = optarg;
		break;
	case 'o':
		a->within = optarg;
		ok = strlen(optarg) <= 12 && strspn(optarg, "0123456789") == strlen(optarg);
		break;
	case 's':
		ok = number(optarg, 0, LONG_MAX, &n);
		a->seed = (uint64_t)n;
		break;
	case 'n':
		ok = number(optarg, 1, 999999, &a->size);
		break;
	case 'y':
		ok = number(optarg, 2012, 2190, &a->year);
		break;
	case 'C':
		ok = number(optarg, 1, LONG_MAX, &n);
		a->count = (uint64_t)n;
		break;
	case 'i':
		a->interval = strtod(optarg, &end);
		ok = end != optarg && !*end && a->interval >= 0 && a->interval <= 86400;
		break;
	case 'f':
		a->json = !strcmp(optarg, "json");
		ok = a->json || !strcmp(optarg, "csv");
		break;
	case 'H':
		a->chinese = !strcmp(optarg, "zh");
		ok = a->chinese || !strcmp(optarg, "en");
		break;
	case 'r':
		a->record = true;
		break;
	case 'N':
		a->start_now = true;
		break;
	default:
		return EX_USAGE;
	}
	return ok ? 0 : usage("not a valid value of", name);
}

/* ---- where the tables are ---- */

static bool holds_tables(const char *dir)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof path, "%s/config/orgs.tsv", dir);

	if (n < 0 || (size_t)n >= sizeof path || access(path, R_OK))
		return false;
	n = snprintf(path, sizeof path, "%s/seeds/figures.tsv", dir);
	return n > 0 && (size_t)n < sizeof path && !access(path, R_OK);
}

static int find_root(char ret[PATH_MAX])
{
	char dir[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", dir, sizeof dir - 1);
	char *slash;

	if (n < 0)
		return -errno;
	dir[n] = '\0';
	while ((slash = strrchr(dir, '/')) && slash != dir) {
		*slash = '\0';
		if (holds_tables(dir)) {
			memcpy(ret, dir, strlen(dir) + 1);
			return 0;
		}
	}
	return -ENOENT;
}

/* ---- verbs ---- */

static int print_table(const struct tsv *s)
{
	for (size_t i = 0; i < s->n_rows; i++) {
		json_t *o = json_object();
		char *line;

		for (size_t c = 0; c < s->n_columns; c++)
			json_object_set_new(o, s->column[c], json_string(tsv_cell(s, i, (int)c)));
		line = json_dumps(o, JSON_COMPACT);
		json_decref(o);
		if (!line)
			return -ENOMEM;
		puts(line);
		free(line);
	}
	return fflush(stdout) ? -errno : 0;
}

static int verb_tables(const struct tables *t, const struct texts *x, const char *name)
{
	const struct {
		const char *name;
		const struct tsv *tsv;
	} all[] = {
		{"orgs", &t->orgs_tsv},
		{"ranks", &t->ranks_tsv},
		{"awards", &t->awards_tsv},
		{"penalties", &t->penalties_tsv},
		{"posts", &t->posts_tsv},
		{"units", &t->units_tsv},
		{"shares", &t->shares_tsv},
		{"figures", &t->figures_tsv},
		{"award-reasons", &x->awards_tsv},
		{"penalty-reasons", &x->penalties_tsv},
		{"visits", &x->visits_tsv},
		{"letters", &x->letters_tsv},
		{"takebacks", &x->takebacks_tsv},
		{"names", &x->names_tsv},
	};

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		if (!name)
			printf("%-16s %4zu rows  %s\n", all[i].name, all[i].tsv->n_rows,
			       all[i].tsv->path);
		else if (!strcmp(name, all[i].name))
			return print_table(all[i].tsv);
	}
	if (name)
		fprintf(stderr, "dibao-seed: no such table: see dibao-seed tables\n");
	return name ? -EINVAL : fflush(stdout) ? -errno : 0;
}

static int this_year(void)
{
	time_t now = time(NULL) + 8 * 3600;
	struct tm tm;

	return gmtime_r(&now, &tm) ? tm.tm_year + 1900 : 2016;
}

static int run(const struct arguments *a, const struct tables *t, const struct texts *x,
	       const char *verb, const char *name)
{
	uint32_t size = (uint32_t)(a->size ? a->size : t->figures.roster);
	int year = a->year ? (int)a->year : a->start_now ? this_year() : t->figures.year;
	struct maker m = {
		.tables = t,
		.texts = x,
		.seed = a->seed,
		.size = size,
		.year = year,
		.within = a->within,
		.record = a->record,
	};

	if (!strcmp(verb, "tables"))
		return verb_tables(t, x, name);
	if (!strcmp(verb, "roster")) {
		const struct roster_options o = {.seed = a->seed,
						 .size = size,
						 .year = year,
						 .json = a->json,
						 .chinese = a->chinese};

		return roster_print(t, x, &o, stdout);
	}
	if (!strcmp(verb, "year"))
		return year_print(&m, stdout);

	const struct stream_options o = {.interval_ms = (int64_t)(a->interval * 1000),
					 .start_now = a->start_now,
					 .count = a->count};

	return stream_print(&m, &o, stdout);
}

/* The tables live here, so that every path frees them. */
static int load_and_run(const struct arguments *a, const char *verb, const char *name)
{
	char root[PATH_MAX], config[PATH_MAX + 8], seeds[PATH_MAX + 8];
	struct tables t = {0};
	struct texts x = {0};
	int r;

	if (a->root)
		snprintf(root, sizeof root, "%s", a->root);
	else if (find_root(root) < 0) {
		fprintf(stderr,
			"dibao-seed: no config/ and seeds/ above the program; use --root\n");
		return -ENOENT;
	}
	snprintf(config, sizeof config, "%s/config", root);
	snprintf(seeds, sizeof seeds, "%s/seeds", root);
	r = tables_load(&t, config, seeds, a->figures);
	if (!r)
		r = texts_load(&x, &t, seeds);
	if (!r)
		r = run(a, &t, &x, verb, name);
	texts_done(&x);
	tables_done(&t);
	return r;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"seed", required_argument, NULL, 's'},
		{"size", required_argument, NULL, 'n'},
		{"year", required_argument, NULL, 'y'},
		{"format", required_argument, NULL, 'f'},
		{"headings", required_argument, NULL, 'H'},
		{"record", no_argument, NULL, 'r'},
		{"interval", required_argument, NULL, 'i'},
		{"start-now", no_argument, NULL, 'N'},
		{"count", required_argument, NULL, 'C'},
		{"org", required_argument, NULL, 'o'},
		{"root", required_argument, NULL, 'R'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	static const char *const verbs[] = {"tables", "roster", "year", "stream"};
	struct arguments a = {.within = "", .seed = 1, .interval = 3};
	int option, at = 0, r;
	size_t verb = 0;

	/* The reader may leave (head): that is an end like another. */
	signal(SIGPIPE, SIG_IGN);
	while ((option = getopt_long(argc, argv, "c:", options, &at)) != -1) {
		if (option == 'h') {
			fputs(help_text, stdout);
			return 0;
		}
		if (option == 'V') {
			puts("dibao-seed " DIBAO_VERSION);
			return 0;
		}
		r = take_option(&a, option, option == 'c' ? "-c" : options[at].name);
		if (r)
			return r;
	}
	if (optind == argc)
		return usage("a verb is missing", "");
	while (verb < 4 && strcmp(verbs[verb], argv[optind]))
		verb++;
	if (verb == 4)
		return usage("unknown verb", argv[optind]);
	if (argc - optind > (verb ? 1 : 2))
		return usage("too many arguments after", argv[optind]);
	r = load_and_run(&a, verbs[verb], optind + 1 < argc ? argv[optind + 1] : NULL);
	if (r == -ENOMEM || r == -EIO || r == -ENOSPC)
		fprintf(stderr, "dibao-seed: %s\n", strerror(-r));
	return r && r != -EPIPE ? EXIT_FAILURE : EXIT_SUCCESS;
}
