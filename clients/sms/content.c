/* SPDX-License-Identifier: Apache-2.0 */
#include "content.h"

#include <stdio.h>
#include <string.h>

int content_templates(struct templates **ret, const struct sms_config *config,
		      struct template_fault *fault)
{
	char names[SMS_GATEWAYS_MAX][16];
	const char *with_ids[SMS_GATEWAYS_MAX + 1] = {NULL};
	struct template_options o = {
		.signature = config->signature,
		.gateway_signs = config->gateway_signs,
		.demo = config->demo,
		.gateways_with_ids = with_ids,
		.disclose = (const char *const *)config->disclose.at,
	};
	unsigned n = 0;

	for (unsigned i = 0; i < SMS_GATEWAYS_MAX; i++)
		if (config->gateways[i].driver[0] && config->gateways[i].template_ids) {
			snprintf(names[n], sizeof names[n], "gateway-%u", i + 1);
			with_ids[n] = names[n];
			n++;
		}
	return templates_load(ret, config->templates, &o, fault);
}

int content_load(struct templates **ret_templates, struct codes **ret_codes,
		 const struct sms_config *config, char fault[CONTENT_FAULT_MAX])
{
	struct template_fault tf = {0};
	struct codes_fault cf = {0};
	struct templates *t;
	int r = content_templates(&t, config, &tf);

	if (r < 0) {
		if (tf.reason[0])
			snprintf(fault, CONTENT_FAULT_MAX, "%s:%u:%u: %s", tf.file, tf.line,
				 tf.column, tf.reason);
		else
			snprintf(fault, CONTENT_FAULT_MAX, "%s: %s", config->templates,
				 strerror(-r));
		return r;
	}
	r = codes_load(ret_codes, config->codes, &cf);
	if (r < 0) {
		snprintf(fault, CONTENT_FAULT_MAX, "%s:%u: %s", config->codes, cf.line,
			 cf.reason[0] ? cf.reason : strerror(-r));
		templates_free(t);
		return r;
	}
	*ret_templates = t;
	return 0;
}

struct person_rules content_rules(const struct sms_config *config)
{
	struct person_rules rules = person_rules_default();

	for (unsigned t = 0; t < SMS_TYPES; t++)
		rules.max_age_ms[t] = (int64_t)config->age_ms[t];
	rules.max_age_other_ms = (int64_t)config->age_other_ms;
	rules.after_leaving_ms = (int64_t)config->after_leaving_ms;
	rules.demo = config->demo;
	return rules;
}

struct quiet_hours content_quiet(const struct sms_config *config)
{
	struct quiet_hours q = quiet_default();

	(void)quiet_parse(&q, config->quiet); /* checked when it was read */
	return q;
}

enum template_act content_act(const struct dibao_event *ev)
{
	return ev->retracts.p	? TEMPLATE_RETRACTION
	       : ev->corrects.p ? TEMPLATE_CORRECTION
				: TEMPLATE_NOTICE;
}
