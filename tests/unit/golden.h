/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One event of each type with all its fields, as text by path. tests/data holds what the builder
 * made of them once: NAME.mp the bytes, NAME.json the same as JSON, NAME.view and NAME.masked what
 * a board gets of it with the key of golden_key(). They change when the event's form changes, and
 * then on purpose.
 */
#ifndef TESTS_UNIT_GOLDEN_H
#define TESTS_UNIT_GOLDEN_H

#include <dibao/event.h>
#include <dibao/view.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct golden_field {
	const char *path, *text;
};

enum { GOLDEN_FIELDS_MAX = 48 };

struct golden {
	const char *name, *type;
	struct golden_field fields[GOLDEN_FIELDS_MAX]; /* ends with path == NULL */
};

#define GOLDEN_ENVELOPE(n)                                                                         \
	{"uid", "demo-2026-" n}, {"at", "1795400000123"}, {"org", "320508530000"},                 \
		{"person.badge", "FJ00" n}, {"person.name", "欧阳𠮷演示"},                         \
		{"person.rank.code", "B3"}, {"person.rank.name", "三级辅司"},                      \
		{"person.unit", "巡防一中队"}, {"person.post", "路面巡防"},                        \
		{"issuer", "演示市公安局政治部"}, {"ref", "演公辅〔2026〕" n "号"},                \
		{"private", "false"}, {"urgent", "true"}, {"record", "true"},                      \
		{"not_before", "1795400100000"}, {"expires", "253402300799999"},                   \
	{                                                                                          \
		"trace", "000102030405060708090a0b0c0d0eff"                                        \
	}

#define GOLDEN_PROPOSAL                                                                            \
	{"body.state", "proposed"}, {"body.notice_until", "2028-02-29"},                           \
	{                                                                                          \
		"body.contact", "局政治部 0512-00000000"                                       \
	}

static const struct golden goldens[] = {
	{"promotion",
	 "promotion",
	 {GOLDEN_ENVELOPE("11"),
	  {"follows", "demo-2026-01"},
	  {"body.from.code", "B3"},
	  {"body.from.name", "三级辅司"},
	  {"body.to.code", "B2"},
	  {"body.to.name", "二级辅司"},
	  {"body.effective", "2026-12-01"},
	  GOLDEN_PROPOSAL}},
	{"award",
	 "award",
	 {GOLDEN_ENVELOPE("12"),
	  {"corrects", "demo-2026-02"},
	  {"follows", "demo-2026-03"},
	  {"body.kind.code", "HX"},
	  {"body.kind.name", "火线奖励"},
	  GOLDEN_PROPOSAL,
	  {"body.reason", "内部事由：\n雨夜救起落水者"},
	  {"body.public_reason", "见义勇为"},
	  {"body.amount", "100000"}}},
	{"penalty",
	 "penalty",
	 {GOLDEN_ENVELOPE("13"),
	  {"corrects", "demo-2026-04"},
	  {"body.kind.code", "JG"},
	  {"body.kind.name", "警告"},
	  {"body.reason", "迟到三次"},
	  {"body.decided_on", "2026-11-20"},
	  {"body.sign_where", "局督察支队 301 室"},
	  {"body.sign_by", "2026-11-30"},
	  {"body.appeal_until", "2026-12-31"},
	  {"body.telephone", "0512-00000001"}}},
	{"welfare_visit",
	 "welfare_visit",
	 {GOLDEN_ENVELOPE("14"),
	  {"corrects", "demo-2026-05"},
	  {"body.kind.code", "KN"},
	  {"body.kind.name", "困难慰问"},
	  {"body.by", "局工会"},
	  {"body.when", "1795500000000"},
	  {"body.where", "家中"},
	  {"body.amount", "0"},
	  {"body.gift", "米面油"}}},
	{"mailbox_reply",
	 "mailbox_reply",
	 {GOLDEN_ENVELOPE("15"),
	  {"corrects", "demo-2026-06"},
	  {"body.mailbox", "chief"},
	  {"body.ticket", "XX-2026-0007"},
	  {"body.question", "夜班餐补何时发放？"},
	  {"body.reply", "已于本月补发。\n感谢来信。"},
	  {"body.answered_by", "警务保障处"},
	  {"body.answered_at", "1795390000000"}}},
	{"retraction",
	 "award",
	 {GOLDEN_ENVELOPE("16"), {"retracts", "demo-2026-12"}, {"body.reason", "录入有误"}}},
};

enum { N_GOLDENS = sizeof goldens / sizeof goldens[0], N_GOLDEN_TYPES = N_GOLDENS - 1 };

static inline const uint8_t *golden_key(void)
{
	return (const uint8_t *)"the view key of a demonstration.";
}

/* What the builder makes of one; the caller's. */
static inline uint8_t *golden_build(const struct golden *g, size_t *ret_len,
				    struct dibao_error *err)
{
	struct dibao_builder *b = NULL;
	uint8_t *bytes = NULL;
	int r = dibao_builder_new(&b, g->type);

	for (const struct golden_field *f = g->fields; r == 0 && f->path; f++)
		r = dibao_builder_text(b, f->path, f->text, err);
	if (r == 0)
		(void)dibao_builder_encode(b, &bytes, ret_len, err);
	dibao_builder_free(b);
	return bytes;
}

/* tests/data/NAME.KIND, with a NUL after its end; the caller's. NULL if there is none. */
static inline char *golden_read(const char *name, const char *kind, size_t *ret_len)
{
	char path[128], *bytes = NULL;
	long size = -1;
	FILE *f;

	snprintf(path, sizeof path, "tests/data/%s.%s", name, kind);
	f = fopen(path, "re");
	if (f && fseek(f, 0, SEEK_END) == 0)
		size = ftell(f);
	if (size >= 0) {
		rewind(f);
		bytes = calloc(1, (size_t)size + 1);
	}
	if (bytes && fread(bytes, 1, (size_t)size, f) != (size_t)size) {
		free(bytes);
		bytes = NULL;
	}
	if (f)
		fclose(f);
	*ret_len = (size_t)size;
	return bytes;
}

#endif
