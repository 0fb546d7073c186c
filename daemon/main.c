/* SPDX-License-Identifier: Apache-2.0 */
/* dibaod: see dibaod(8). */
#include "access.h"
#include "config.h"
#include "log.h"
#include "server.h"

#include <errno.h>
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const char usage[] =
	"usage: dibaod [-c FILE] [--check-config] [--unsafe-redis]\n"
	"Carries personnel events from the queue in Redis to subscribers.\n"
	"\n"
	"  -c, --config FILE   configuration (default: built-in values, see dibaod.conf(5))\n"
	"      --check-config  check configuration and access policy, print the former, exit\n"
	"      --unsafe-redis  start on a Redis that may lose what it acknowledged; logged\n"
	"  -h, --help          this text\n"
	"      --version       version\n"
	"\n"
	"Signals: TERM drains and stops, HUP reloads. Manual: dibaod(8).\n";

enum { OPT_CHECK = 256, OPT_UNSAFE, OPT_VERSION };

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"check-config", no_argument, NULL, OPT_CHECK},
		{"unsafe-redis", no_argument, NULL, OPT_UNSAFE},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, OPT_VERSION},
		{0},
	};
	struct server_options opt = {0};
	struct server *server;
	bool check = false;
	int o, r;

	while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1)
		switch (o) {
		case 'c':
			opt.config_path = optarg;
			break;
		case OPT_CHECK:
			check = true;
			break;
		case OPT_UNSAFE:
			opt.unsafe_redis = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case OPT_VERSION:
			puts("dibaod " DIBAO_VERSION);
			return 0;
		default:
			fputs(usage, stderr);
			return EX_USAGE;
		}
	if (optind < argc) {
		fprintf(stderr, "dibaod: unexpected argument: %s\n", argv[optind]);
		return EX_USAGE;
	}
	if (config_load(&opt.config, opt.config_path, stderr) < 0)
		return EX_CONFIG;
	if (check) {
		struct access *policy;

		if (access_load(&policy, opt.config->access, stderr) < 0) {
			config_free(opt.config);
			return EX_CONFIG;
		}
		access_free(policy);
		config_print(opt.config, stdout);
		config_free(opt.config);
		return 0;
	}
	log_open("dibaod");
	log_set_level(opt.config->log_level);
	if (sodium_init() < 0) {
		log_text(LOG_ERR, "cannot initialise libsodium");
		config_free(opt.config);
		return EX_OSERR;
	}
	r = server_new(&server, &opt);
	if (r != 0)
		return r;
	r = server_run(server);
	server_free(server);
	return r;
}
