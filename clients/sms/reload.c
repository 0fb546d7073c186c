/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reload: all is read and checked first, as it would be together with what only a restart
 * changes, and then all is taken at once, or nothing.
 *
 * Texts that are held keep the time until which they are, and are judged by the new rules then, as
 * they would be after a restart.
 */
#include "core.h"

#include "content.h"
#include "log.h"
#include "log_ids.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fresh {
	struct sms_config *config;
	struct templates *templates;
	struct codes *codes;
};

static int load(struct fresh *f, const struct sms_config *running, const char *path, FILE *kept,
		FILE *faults)
{
	char mixture[300], fault[CONTENT_FAULT_MAX];
	int r = sms_config_load(&f->config, path, faults);

	if (r < 0)
		return r;
	snprintf(mixture, sizeof mixture, "%s, with what changes at a restart only",
		 path ? path : "built-in values");
	r = options_keep(running, f->config, &sms_config_table, mixture, kept, faults);
	if (r < 0)
		return r;
	r = content_load(&f->templates, &f->codes, f->config, fault);
	if (r < 0)
		fprintf(faults, "%s\n", fault);
	return r;
}

/* The lines as one, with "; " behind each. */
static void join(char *text, size_t cap, const char *lines)
{
	text[0] = '\0';
	while (*lines) {
		size_t len = strcspn(lines, "\n"), n = strlen(text);

		snprintf(text + n, cap - n, "%.*s; ", (int)len, lines);
		lines += len + (lines[len] == '\n');
	}
}

static void take(struct core *c, struct sms_config *running, struct fresh *f)
{
	unsigned rates[SMS_GATEWAYS_MAX];

	for (unsigned i = 0; i < c->gateways.n; i++)
		rates[i] = c->gateways.at[i].config->rate;
	templates_free(c->templates);
	codes_free(c->codes);
	c->templates = f->templates;
	c->codes = f->codes;
	(void)options_reload(running, f->config, &sms_config_table, NULL);
	core_set_rules(c);
	for (unsigned i = 0; i < c->gateways.n; i++) {
		struct gateway *g = &c->gateways.at[i];

		if (g->config->rate != rates[i])
			bucket_init(&g->bucket, g->config->rate, core_now_ms());
	}
	log_set_level(running->log_level);
}

int core_reload(struct core *c, struct sms_config *running, const char *path)
{
	struct fresh f = {0};
	char *kept = NULL, *faults = NULL, said[1200], text[1300];
	size_t len = 0;
	FILE *kept_out = open_memstream(&kept, &len), *faults_out = open_memstream(&faults, &len);
	int r;

	if (!kept_out || !faults_out)
		abort();
	r = load(&f, running, path, kept_out, faults_out);
	fclose(kept_out);
	fclose(faults_out);
	join(said, sizeof said, r < 0 ? faults : kept);
	free(kept);
	free(faults);
	if (r < 0) {
		if (f.config)
			sms_config_free(f.config);
		snprintf(text, sizeof text, "%skeeping the old configuration, templates and codes",
			 said);
	} else {
		snprintf(text, sizeof text, "%sreloaded: %u templates, %zu codes", said,
			 templates_count(f.templates), codes_count(f.codes));
		take(c, running, &f);
		core_wake(c);
	}
	log_event(r < 0 ? LOG_ERR : LOG_NOTICE, LOG_ID_RELOADED, text);
	return r;
}
