/* SPDX-License-Identifier: Apache-2.0 */
/* dibao-sms: see dibao-sms(8). */
#include "core.h"
#include "log.h"
#include "service.h"

#include <errno.h>
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const char usage[] =
	"usage: dibao-sms [-c FILE] [--check-config] [--unsafe-redis]\n"
	"Tells auxiliaries by text message what concerns them, once, and reports what became of "
	"it.\n"
	"\n"
	"  -c, --config FILE   configuration, see dibao-sms(8) (default: built-in values)\n"
	"      --check-config  check configuration, templates and codes, print the first, exit\n"
	"      --unsafe-redis  start on a Redis that may forget what was sent; logged\n"
	"  -h, --help          this text\n"
	"      --version       version\n"
	"\n"
	"Signals: TERM drains and stops, HUP reloads. Manual: dibao-sms(8).\n";

enum { OPT_CHECK = 256, OPT_UNSAFE, OPT_VERSION };

static int run(const struct service_options *opt)
{
	struct service *service;
	int r = service_new(&service, opt);

	if (r < 0) {
		log_text(LOG_ERR, "cannot start: %s", strerror(-r));
		return r == -EINVAL || r == -ENOENT ? EX_CONFIG : EX_UNAVAILABLE;
	}
	r = service_run(service);
	service_free(service);
	return r;
}

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
	struct service_options opt = {0};
	struct sms_config *config;
	const char *path = NULL;
	bool check = false;
	int o, r;

	while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1)
		switch (o) {
		case 'c':
			path = optarg;
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
			puts("dibao-sms " DIBAO_VERSION);
			return 0;
		default:
			fputs(usage, stderr);
			return EX_USAGE;
		}
	if (optind < argc) {
		fprintf(stderr, "dibao-sms: unexpected argument: %s\n", argv[optind]);
		return EX_USAGE;
	}
	if (sms_config_load(&config, path, stderr) < 0)
		return EX_CONFIG;
	log_open("dibao-sms");
	log_set_level(config->log_level);
	if (sodium_init() < 0) {
		log_text(LOG_ERR, "cannot initialise libsodium");
		sms_config_free(config);
		return EX_OSERR;
	}
	opt.config = config;
	opt.path = path;
	if (check) {
		r = core_check(config) < 0 ? EX_CONFIG : 0;
		if (r == 0)
			options_print(config, &sms_config_table, stdout);
	} else {
		r = run(&opt);
	}
	sms_config_free(config);
	return r;
}
