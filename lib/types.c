/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of types and fields. It drives validation (event.c), building
 * (builder.c), JSON (json.c), the public view (view.c), CSV and --help of
 * dibaoctl, and dibao-event(7), which a test compares with it. A new type is a
 * row in types[] with its body; nothing else knows the types by name.
 *
 * Lengths are in bytes of UTF-8: a Chinese character takes three, a rare one
 * four. Sums are in fen.
 */
#include "types.h"

#include <errno.h>
#include <string.h>

#define REQ    DIBAO_FIELD_REQUIRED
#define PUB    DIBAO_FIELD_PUBLIC
#define MS_MAX 253402300799999 /* 9999-12-31 */

#define STR(n, fl, lo, hi, z, d)                                                                   \
	{                                                                                          \
		.name = n, .kind = DIBAO_KIND_STR, .flags = fl, .min = lo, .max = hi, .zh = z,     \
		.doc = d                                                                           \
	}
#define INT(n, fl, lo, hi, z, d)                                                                   \
	{                                                                                          \
		.name = n, .kind = DIBAO_KIND_INT, .flags = fl, .min = lo, .max = hi, .zh = z,     \
		.doc = d                                                                           \
	}
#define MS(n, fl, z, d)                                                                            \
	{                                                                                          \
		.name = n, .kind = DIBAO_KIND_MS, .flags = fl, .min = 0, .max = MS_MAX, .zh = z,   \
		.doc = d                                                                           \
	}
#define DATE(n, fl, z, d)                                                                          \
	{                                                                                          \
		.name = n, .kind = DIBAO_KIND_DATE, .flags = fl, .min = 10, .max = 10, .zh = z,    \
		.doc = d                                                                           \
	}
#define BOOL(n, fl, z, d)                                                                          \
	{                                                                                          \
		.name = n, .kind = DIBAO_KIND_BOOL, .flags = fl, .zh = z, .doc = d                 \
	}
#define MAP(n, fl, fs, z, d)                                                                       \
	{                                                                                          \
		.name = n, .kind = DIBAO_KIND_MAP, .flags = fl, .fields = fs, .zh = z, .doc = d    \
	}
#define CHOICE(n, fl, c, z, d)                                                                     \
	{                                                                                          \
		.name = n, .kind = DIBAO_KIND_CHOICE, .flags = fl, .choices = c, .zh = z, .doc = d \
	}
#define END                                                                                        \
	{                                                                                          \
		.name = NULL                                                                       \
	}

/* A code of a table under config/ and the name as it was issued. */
static const struct dibao_field_spec coded[] = {
	STR("code", REQ | PUB, 1, 32, "代码", "code in the bureau's table of that year"),
	STR("name", REQ | PUB, 1, 120, "名称", "name as issued; shown when the code is unknown"),
	END,
};

static const struct dibao_field_spec person[] = {
	STR("badge", REQ, 1, 20, "辅警编号", "badge number: 1 to 20 of 0-9 A-Z a-z"),
	STR("name", REQ | PUB, 1, 120, "姓名", "full name"),
	MAP("rank", PUB, coded, "层级", "rank held when it happened"),
	STR("unit", PUB, 1, 120, "部门", "unit inside the organisation"),
	STR("post", 0, 1, 120, "岗位", "post"),
	END,
};

static const struct dibao_field_spec envelope[] = {
	INT("v", REQ, 0, 255, "版本", "version of the event's form: 1"),
	STR("uid", REQ, 1, DIBAO_UID_MAX_BYTES, "唯一编号", "producer's idempotency key"),
	STR("type", REQ, 1, 32, "类型", "type: a row of this table, or one that is to come"),
	MS("at", REQ | PUB, "发生时间", "when it happened, Unix ms"),
	{.name = "org",
	 .kind = DIBAO_KIND_DIGITS,
	 .flags = REQ | PUB,
	 .min = DIBAO_ORG_BYTES,
	 .max = DIBAO_ORG_BYTES,
	 .zh = "机构代码",
	 .doc = "organisation code (GA/T 380), 12 digits"},
	MAP("person", 0, person, "人员", "whom it is about; absent for an anonymous letter"),
	STR("issuer", REQ, 1, 120, "发布单位", "who decided or issued it"),
	STR("ref", PUB, 1, 120, "文号", "document number; a promotion of hundreds shares one"),
	BOOL("private", 0, "涉密", "true keeps a promotion or award off boards"),
	BOOL("urgent", 0, "紧急", "true goes before all others"),
	BOOL("record", PUB, "仅存档",
	     "history: stored and counted, never texted, no moment of honour"),
	MS("not_before", 0, "定时发布", "published not before this time, Unix ms"),
	MS("expires", PUB, "有效期至", "of no use after this time, Unix ms"),
	STR("retracts", 0, 1, DIBAO_UID_MAX_BYTES, "撤回",
	    "uid of the event that this one takes back"),
	STR("corrects", 0, 1, DIBAO_UID_MAX_BYTES, "更正",
	    "uid of the event that this one replaces"),
	STR("follows", 0, 1, DIBAO_UID_MAX_BYTES, "承接",
	    "uid of the proposal that this one makes final"),
	{.name = "trace",
	 .kind = DIBAO_KIND_BIN,
	 .min = DIBAO_TRACE_BYTES,
	 .max = DIBAO_TRACE_BYTES,
	 .zh = "跟踪号",
	 .doc = "trace id, 16 bytes"},
	{.name = "ext", .kind = DIBAO_KIND_ANY, .zh = "扩展", .doc = "reserved"},
	END,
};

static const struct dibao_field_spec retraction[] = {
	STR("reason", REQ, 1, 1500, "撤回原因", "why it is taken back; internal"),
	END,
};

#define PROPOSAL                                                                                   \
	CHOICE("state", REQ | PUB, "proposed|final", "状态",                                       \
	       "proposed (in public notice) or final"),                                            \
		DATE("notice_until", PUB, "公示截止",                                              \
		     "last day of public notice; required when proposed"),                         \
		STR("contact", PUB, 1, 300, "异议联系", "where to object; required when proposed")

static const struct dibao_field_spec promotion[] = {
	MAP("from", REQ | PUB, coded, "原层级", "rank before"),
	MAP("to", REQ | PUB, coded, "新层级", "rank after"),
	DATE("effective", REQ | PUB, "生效日期", "first day of the new rank"),
	PROPOSAL,
	END,
};

static const struct dibao_field_spec award[] = {
	MAP("kind", REQ | PUB, coded, "奖励种类",
	    "on-the-spot, model, expert, yearly hundred, ..."),
	PROPOSAL,
	STR("reason", 0, 1, 3000, "事由", "internal reason; never on a board"),
	STR("public_reason", PUB, 1, 1500, "公示事由", "the only reason that a board shows"),
	INT("amount", 0, 0, 100000000, "金额（分）", "sum in fen"),
	END,
};

static const struct dibao_field_spec penalty[] = {
	MAP("kind", REQ, coded, "处分种类", "kind of penalty"),
	STR("reason", 0, 1, 3000, "事由", "facts and grounds"),
	DATE("decided_on", REQ, "决定日期", "day of the decision"),
	STR("sign_where", REQ, 1, 300, "签收地点", "where to sign for it"),
	DATE("sign_by", REQ, "签收期限", "last day to sign for it"),
	DATE("appeal_until", REQ, "申诉期限", "last day to appeal"),
	STR("telephone", REQ, 1, 40, "联系电话", "office to ask; not the person's"),
	END,
};

static const struct dibao_field_spec welfare_visit[] = {
	MAP("kind", REQ, coded, "慰问种类", "hardship, illness, festival, ..."),
	STR("by", REQ, 1, 300, "慰问人", "who comes"),
	MS("when", REQ, "慰问时间", "when, Unix ms"),
	STR("where", REQ, 1, 300, "慰问地点", "where"),
	INT("amount", 0, 0, 100000000, "慰问金（分）", "sum in fen"),
	STR("gift", 0, 1, 300, "慰问品", "gift in kind"),
	END,
};

static const struct dibao_field_spec mailbox_reply[] = {
	STR("mailbox", REQ, 1, 120, "信箱", "chief, or the department's name"),
	STR("ticket", REQ, 1, 64, "信件编号", "number of the letter"),
	STR("question", REQ, 1, 1500, "问题摘要", "the question in short"),
	STR("reply", REQ, 1, 9000, "答复", "the answer"),
	STR("answered_by", REQ, 1, 120, "答复单位", "who answered"),
	MS("answered_at", REQ, "答复时间", "when, Unix ms"),
	END,
};

static const struct dibao_type_spec types[] = {
	{"promotion", "晋升", "a higher rank", DIBAO_AUDIENCE_PUBLIC, false, promotion},
	{"award", "奖励", "an honour", DIBAO_AUDIENCE_PUBLIC, false, award},
	{"penalty", "处分", "a disciplinary penalty", DIBAO_AUDIENCE_PRIVATE, false, penalty},
	{"welfare_visit", "慰问", "a visit to one in need", DIBAO_AUDIENCE_PRIVATE, false,
	 welfare_visit},
	{"mailbox_reply", "信箱答复", "the answer to one's letter", DIBAO_AUDIENCE_PRIVATE, true,
	 mailbox_reply},
};

const struct dibao_type_spec *dibao_types(size_t *ret_n)
{
	*ret_n = sizeof types / sizeof types[0];
	return types;
}

const struct dibao_field_spec *dibao_envelope(void)
{
	return envelope;
}

const struct dibao_field_spec *dibao_retraction_body(void)
{
	return retraction;
}

int dibao_type_find(const char *name, size_t len)
{
	for (size_t i = 0; len > 0 && i < sizeof types / sizeof types[0]; i++)
		if (types[i].name[0] == name[0] && strlen(types[i].name) == len &&
		    !memcmp(types[i].name, name, len))
			return (int)i;
	return -ENOENT;
}
