/* SPDX-License-Identifier: Apache-2.0 */
/* dibaoctl: see dibaoctl(1). */
#include "ctl.h"

#include <getopt.h>
#include <locale.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	OPT_REDIS = 256,
	OPT_BUREAU,
	OPT_ENDPOINT,
	OPT_CONTROL,
	OPT_KEY,
	OPT_SERVER_KEY,
	OPT_JSON,
	OPT_VERSION
};

static void usage(FILE *f)
{
	fputs("usage: dibaoctl [OPTION ...] VERB [ARGUMENT ...]\n"
	      "Publishes, imports, shows and administers personnel events.\n"
	      "\n"
	      "  -c, --config FILE    configuration, dibaod.conf's form (/etc/dibao/dibaod.conf)\n"
	      "      --redis ADDRESS  unix:/path or ip:port\n"
	      "      --bureau B       whose queue\n"
	      "      --endpoint E     a daemon's endpoint, for tail; may be repeated\n"
	      "      --control PATH   the daemon's control socket\n"
	      "      --key FILE       one's own secret key, see keygen\n"
	      "      --server-key K   the daemon's public key\n"
	      "      --json           one JSON object a line instead of text\n"
	      "  -h, --help           this text; after a verb, of that verb\n"
	      "      --version        version\n"
	      "\nVerbs:\n",
	      f);
	for (const struct ctl_verb *v = ctl_verbs; v->name; v++)
		fprintf(f, "  %-11s %s\n", v->name, v->doc);
	fputs("\nManual: dibaoctl(1).\n", f);
}

static const struct ctl_verb *find_verb(const char *name)
{
	for (const struct ctl_verb *v = ctl_verbs; v->name; v++)
		if (!strcmp(v->name, name))
			return v;
	return NULL;
}

static bool asks_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	return false;
}

/* What stands behind an option, or NULL. */
static const char *argument(int argc, char **argv, const char *name)
{
	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], name))
			return argv[i + 1];
	return NULL;
}

/* --json may stand behind the verb too. */
static int take_json(struct ctl *c, int argc, char **argv)
{
	bool ended = false;
	int n = 0;

	for (int i = 0; i < argc; i++) {
		ended |= !strcmp(argv[i], "--");
		if (!ended && !strcmp(argv[i], "--json"))
			c->json = true;
		else
			argv[n++] = argv[i];
	}
	argv[n] = NULL;
	return n;
}

static void replace(char **at, const char *value)
{
	free(*at);
	*at = strdup(value);
	if (!*at)
		abort();
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"redis", required_argument, NULL, OPT_REDIS},
		{"bureau", required_argument, NULL, OPT_BUREAU},
		{"endpoint", required_argument, NULL, OPT_ENDPOINT},
		{"control", required_argument, NULL, OPT_CONTROL},
		{"key", required_argument, NULL, OPT_KEY},
		{"server-key", required_argument, NULL, OPT_SERVER_KEY},
		{"json", no_argument, NULL, OPT_JSON},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, OPT_VERSION},
		{0},
	};
	const char *config = NULL, *redis = NULL, *bureau = NULL, *control = NULL, *key = NULL,
		   *server_key = NULL;
	const char *endpoints[CTL_ENDPOINTS_MAX];
	struct ctl c = {.colour = isatty(STDOUT_FILENO)};
	const struct ctl_verb *verb;
	unsigned n_endpoints = 0;
	int o, r;

	setlocale(LC_CTYPE, "");
	while ((o = getopt_long(argc, argv, "+c:h", options, NULL)) != -1)
		switch (o) {
		case 'c':
			config = optarg;
			break;
		case OPT_REDIS:
			redis = optarg;
			break;
		case OPT_BUREAU:
			bureau = optarg;
			break;
		case OPT_CONTROL:
			control = optarg;
			break;
		case OPT_KEY:
			key = optarg;
			break;
		case OPT_SERVER_KEY:
			server_key = optarg;
			break;
		case OPT_ENDPOINT:
			if (n_endpoints == CTL_ENDPOINTS_MAX)
				return ctl_fail(EX_USAGE, "more than %d endpoints",
						CTL_ENDPOINTS_MAX);
			endpoints[n_endpoints++] = optarg;
			break;
		case OPT_JSON:
			c.json = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		case OPT_VERSION:
			puts("dibaoctl " DIBAO_VERSION);
			return 0;
		default:
			usage(stderr);
			return EX_USAGE;
		}
	if (optind == argc) {
		usage(stderr);
		return EX_USAGE;
	}
	verb = find_verb(argv[optind]);
	if (!verb)
		return ctl_fail(EX_USAGE, "no such verb: %s (see dibaoctl --help)", argv[optind]);
	argc -= optind;
	argv += optind;
	if (asks_help(argc, argv)) {
		printf("usage: dibaoctl [OPTION ...] %s %s\n%s.\n%s", verb->name, verb->args,
		       verb->doc, verb->more ? verb->more : "");
		if (verb->run == ctl_publish)
			ctl_types_help(argument(argc, argv, "--type"));
		return 0;
	}
	if (sodium_init() < 0)
		return ctl_fail(EX_OSERR, "cannot initialise libsodium");
	r = ctl_options_load(&c, config);
	if (r == 0 && redis)
		replace(&c.redis, redis);
	if (r == 0 && bureau)
		replace(&c.bureau, bureau);
	if (r == 0 && control)
		replace(&c.control, control);
	if (r == 0 && key)
		replace(&c.key_file, key);
	if (r == 0 && server_key)
		replace(&c.server_key, server_key);
	if (r == 0 && n_endpoints) {
		while (c.n_endpoints)
			free(c.endpoints[--c.n_endpoints]);
		memset(c.endpoints, 0, sizeof c.endpoints);
	}
	c.by_endpoint = n_endpoints > 0;
	for (unsigned i = 0; r == 0 && i < n_endpoints; i++)
		r = ctl_options_add_endpoint(&c, endpoints[i]);
	argc = take_json(&c, argc, argv);
	if (r == 0)
		r = verb->run(&c, argc, argv);
	if (fflush(stdout) != 0 || ferror(stdout))
		r = r ? r : ctl_fail(EX_IOERR, "cannot write the output");
	ctl_options_done(&c);
	return r;
}
