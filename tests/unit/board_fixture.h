/* SPDX-License-Identifier: Apache-2.0 */
/* Public views for tests of the board, made of events by the encoder that the daemon uses. */
#ifndef UNIT_BOARD_FIXTURE_H
#define UNIT_BOARD_FIXTURE_H

#include <dibao/view.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATION	  "320508530000"
#define NEIGHBOUR "320508540000" /* of the same district */
#define FAR_AWAY  "320506500000" /* of another one */
#define DAY	  86400000ll
#define HOUR	  3600000ll
#define T0	  1800000000000ll /* 2027-01-15 16:00 in Asia/Shanghai */

static const uint8_t board_view_key[DIBAO_VIEW_KEY_BYTES] = "test";

struct draft {
	const char *uid, *type, *org, *name, *unit, *state, *last_day, *follows, *corrects, *reason;
	int64_t at, expires;
	bool record;
};

/* The view's length; what is not given is of an award that is final. */
static inline size_t draft_view(const struct draft *d, uint8_t ret[DIBAO_EVENT_MAX_BYTES])
{
	const char *type = d->type ? d->type : "award";
	struct dibao_builder *b;
	struct dibao_event ev;
	struct dibao_error err = {0};
	uint8_t *bytes;
	size_t len;
	int n;

#define put(path, value)                                                                           \
	do {                                                                                       \
		const char *text_ = (value);                                                       \
		if (text_)                                                                         \
			assert_int_equal(dibao_builder_str(b, path, text_, strlen(text_)), 0);     \
	} while (0)
	assert_int_equal(dibao_builder_new(&b, type), 0);
	put("uid", d->uid ? d->uid : "u");
	assert_int_equal(dibao_builder_int(b, "at", d->at ? d->at : T0 - HOUR), 0);
	put("org", d->org ? d->org : STATION);
	put("person.badge", "YS000001");
	put("person.name", d->name ? d->name : "张三");
	put("person.unit", d->unit);
	put("issuer", "演示");
	put("follows", d->follows);
	put("corrects", d->corrects);
	if (d->record)
		assert_int_equal(dibao_builder_bool(b, "record", true), 0);
	if (d->expires)
		assert_int_equal(dibao_builder_int(b, "expires", d->expires), 0);
	if (!strcmp(type, "promotion")) {
		put("body.from.code", "R01");
		put("body.from.name", "实习辅警");
		put("body.to.code", "R02");
		put("body.to.name", "三级辅员");
		put("body.effective", "2027-01-20");
	} else {
		put("body.kind.code", "A02");
		put("body.kind.name", "火线奖励");
		put("body.public_reason", d->reason);
	}
	put("body.state", d->state ? d->state : "final");
	if (d->state && !strcmp(d->state, "proposed")) {
		put("body.notice_until", d->last_day ? d->last_day : "2027-01-20");
		put("body.contact", "0512-0");
	}
#undef put
	if (dibao_builder_encode(b, &bytes, &len, &err) < 0)
		fail_msg("%s: %s", err.field, err.reason);
	assert_int_equal(dibao_event_parse(&ev, bytes, len, NULL), 0);
	n = dibao_view_encode(&ev, board_view_key, false, ret, DIBAO_EVENT_MAX_BYTES);
	assert_true(n > 0);
	free(bytes);
	dibao_builder_free(b);
	return (size_t)n;
}

static inline void draft_pid(const char *uid, uint8_t ret[DIBAO_PID_BYTES])
{
	dibao_pid(board_view_key, uid, strlen(uid), ret);
}

#endif
