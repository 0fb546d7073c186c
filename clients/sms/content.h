/* SPDX-License-Identifier: Apache-2.0 */
/* What the configuration says of texts and of who gets them: for dibao-sms, and for `dibaoctl sms
 * preview`, which must say the same. */
#ifndef SMS_CONTENT_H
#define SMS_CONTENT_H

#include "codes.h"
#include "person.h"
#include "quiet.h"
#include "sms_config.h"
#include "template.h"

enum { CONTENT_FAULT_MAX = 700 };

/* Templates and codes; both, or neither and fault[] says which file, line, and what: -EINVAL,
 * -ENOMEM, errors of open(). */
int content_load(struct templates **ret_templates, struct codes **ret_codes,
		 const struct sms_config *config, char fault[CONTENT_FAULT_MAX]);
/* As templates_load(). */
int content_templates(struct templates **ret, const struct sms_config *config,
		      struct template_fault *fault);
struct person_rules content_rules(const struct sms_config *config);
struct quiet_hours content_quiet(const struct sms_config *config);
/* What an event calls for: a notice, the correction or the retraction of one that was sent. */
enum template_act content_act(const struct dibao_event *ev);

#endif
