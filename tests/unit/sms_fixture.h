/* SPDX-License-Identifier: Apache-2.0 */
/* Events of the SMS client's tests, as JSON, and one at a time as a view. All people are invented.
 */
#ifndef TESTS_UNIT_SMS_FIXTURE_H
#define TESTS_UNIT_SMS_FIXTURE_H

#include <dibao/event.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 2026-11-24 09:46:40 UTC */
#define AT	 "1795513600000"
#define HEAD(t)	 "{\"v\":1,\"uid\":\"u1\",\"type\":\"" t "\",\"at\":" AT ",\"org\":\"320508530000\","
#define ISSUER	 "\"issuer\":\"演示市公安局\","
#define WHO	 "\"person\":{\"badge\":\"FJ0013\",\"name\":\"欧阳𠮷\"},"
#define PROPOSED "\"state\":\"proposed\",\"notice_until\":\"2026-12-01\",\"contact\":\"政治部\""

#define PENALTY_BODY(kind, where)                                                                     \
	"\"body\":{\"kind\":{\"code\":\"" kind "\",\"name\":\"警告\"},\"reason\":\"迟到三次\"," \
	"\"decided_on\":\"2026-11-20\",\"sign_where\":\"" where "\",\"sign_by\":\"2026-11-30\","      \
	"\"appeal_until\":\"2026-12-31\",\"telephone\":\"0512-00000001\"}}"
#define PENALTY	    HEAD("penalty") WHO ISSUER "\"ref\":\"13号\"," PENALTY_BODY("JG", "督察支队 301 室")
#define PENALTY_P04 HEAD("penalty") WHO ISSUER PENALTY_BODY("P04", "政工室")
/* %s the name, %s where to sign */
#define PENALTY_FORMAT                                                                             \
	HEAD("penalty")                                                                            \
	"\"person\":{\"badge\":\"FJ0013\",\"name\":\"%s\"}," ISSUER PENALTY_BODY("JG", "%s")
#define AWARD(kind, state)                                                                         \
	HEAD("award")                                                                              \
	WHO ISSUER "\"body\":{\"kind\":{\"code\":\"" kind "\",\"name\":\"岗位能手\"}," state "}}"
#define PRIVATE_AWARD                                                                                  \
	HEAD("award")                                                                                  \
	WHO ISSUER "\"private\":true,\"body\":{\"kind\":{\"code\":\"A08\",\"name\":\"岗位能手\"}," \
		   "\"state\":\"final\"}}"
#define PRIVATE_PROPOSAL                                                                              \
	HEAD("award")                                                                                 \
	WHO ISSUER "\"private\":true,\"body\":{\"kind\":{\"code\":\"A08\",\"name\":\"岗位能手\"}" \
		   "," PROPOSED "}}"
#define PROMOTION(state)                                                                               \
	HEAD("promotion")                                                                              \
	WHO ISSUER "\"body\":{\"from\":{\"code\":\"R05\",\"name\":\"三级辅司\"},"                  \
		   "\"to\":{\"code\":\"R06\",\"name\":\"二级辅司\"},\"effective\":\"2026-12-01\"," \
		   "" state "}}"
#define RETRACTION                                                                                 \
	HEAD("award") WHO ISSUER "\"retracts\":\"u0\",\"body\":{\"reason\":\"录入有误\"}}"
#define VISIT_AT(when, what)                                                                       \
	HEAD("welfare_visit")                                                                      \
	WHO ISSUER "\"body\":{\"kind\":{\"code\":\"V02\",\"name\":\"伤病慰问\"},"              \
		   "\"by\":\"局工会\",\"when\":" when ",\"where\":\"本人家中\"," what "}}"
#define VISIT VISIT_AT("1795748400000", "\"gift\":\"米面油\"")
#define REPLY                                                                                                         \
	HEAD("mailbox_reply")                                                                                         \
	WHO ISSUER                                                                                                    \
		"\"body\":{\"mailbox\":\"chief\",\"ticket\":\"XX-2026-0007\","                                        \
		"\"question\":\"夜班餐补何时发放？\",\"reply\":\"已于本月补发。\\n感谢来信。\"," \
		"\"answered_by\":\"警务保障处\",\"answered_at\":1795390000000}}"
#define ANONYMOUS_REPLY                                                                            \
	HEAD("mailbox_reply")                                                                      \
	ISSUER "\"body\":{\"mailbox\":\"chief\",\"ticket\":\"XX-2026-0008\","                      \
	       "\"question\":\"问\",\"reply\":\"答\","                                           \
	       "\"answered_by\":\"警务保障处\",\"answered_at\":1795390000000}}"
#define UNKNOWN_TYPE HEAD("training") WHO ISSUER "\"body\":{\"course\":\"体能\"}}"

/* The view of a JSON event; good until the next call. */
static inline const struct dibao_event *event_of(const char *json)
{
	static struct dibao_event ev;
	static uint8_t *bytes;
	struct dibao_error err;
	size_t len;

	free(bytes);
	bytes = NULL;
	if (dibao_event_from_json(json, strlen(json), 1, &bytes, &len, &err) < 0) {
		printf("# %s: %s\n", err.field, err.reason);
		abort();
	}
	if (dibao_event_parse(&ev, bytes, len, &err) < 0)
		abort();
	return &ev;
}

#endif
