/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries as the reader hands them on, for tests of what comes after it: real events, made by the
 * library and parsed by it. The people are invented.
 *
 * What an entry borrows stays until entries_forget(), which a tear-down calls.
 */
#ifndef TESTS_UNIT_EVENT_FIXTURE_H
#define TESTS_UNIT_EVENT_FIXTURE_H

#include "../../daemon/entry.h"

#include <dibao/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUSU	"320508000000"
#define WUZHONG "320506000000"

struct sample {
	uint64_t ms;	  /* the entry's id: ms-0 */
	const char *type; /* NULL: award; "": no event */
	const char *org;  /* NULL: GUSU */
	const char *uid;  /* NULL: "u<ms>" */
	const char *badge;
	bool is_private;
	size_t bytes; /* the whole event padded to it, 1000 or more; 0: as it comes */
	/* what is taken back */
	const char *w_type, *w_org, *w_uid; /* w_type NULL: nothing; w_org NULL: GUSU */
	const char *hidden;
};

enum { PAD_BYTES = 300 }; /* from 256 on the head of a string is as long as it gets */

static void *made[8192];
static size_t n_made;

static inline void entries_forget(void)
{
	while (n_made) {
		free(made[--n_made]);
	}
}

static inline void *keep(void *p)
{
	if (!p || n_made == sizeof made / sizeof made[0]) {
		fail_msg("no room for what the test makes");
	}
	return made[n_made++] = p;
}

static inline struct dibao_str text(const char *s)
{
	return (struct dibao_str){s, strlen(s)};
}

static inline const char *body_of(const char *type)
{
	if (!strcmp(type, "penalty")) {
		return "\"kind\":{\"code\":\"warn\",\"name\":\"警告\"},"
		       "\"decided_on\":\"2026-11-02\",\"sign_where\":\"政工室\","
		       "\"sign_by\":\"2026-11-09\",\"appeal_until\":\"2026-12-02\","
		       "\"telephone\":\"0512-00000000\"";
	}
	if (!strcmp(type, "award")) {
		return "\"kind\":{\"code\":\"fire\",\"name\":\"火线奖励\"},\"state\":\"final\"";
	}
	return "\"any\":1";
}

/* Padded by `ext`, a key that is there for all that may come. */
static inline uint8_t *event_bytes(const struct sample *s, size_t n_pad, size_t *ret_len)
{
	const char *type = s->type ? s->type : "award";
	char uid[DIBAO_UID_MAX_BYTES + 1], *json = NULL;
	struct dibao_error err;
	uint8_t *bytes = NULL;
	int n;

	(void)snprintf(uid, sizeof uid, "u%llu", (unsigned long long)s->ms);
	n = asprintf(&json,
		     "{\"v\":1,\"uid\":\"%s\",\"type\":\"%s\",\"at\":1700000000000,\"org\":\"%s\","
		     "\"person\":{\"badge\":\"%s\",\"name\":\"演示\"},\"issuer\":\"政治部\"%s,"
		     "\"ext\":\"%0*d\",\"body\":{%s}}",
		     s->uid ? s->uid : uid, type, s->org ? s->org : GUSU,
		     s->badge ? s->badge : "F0001", s->is_private ? ",\"private\":true" : "",
		     (int)n_pad + 1, 0, body_of(type));
	if (n < 0 || dibao_event_from_json(json, (size_t)n, 1, &bytes, ret_len, &err) < 0) {
		fail_msg("%s: %s", err.field, err.reason);
	}
	free(json);
	return keep(bytes);
}

static inline struct entry make_entry(struct sample s)
{
	struct entry e = {.id = {s.ms, 0}, .by_function = true};

	if (!s.type || *s.type) {
		struct dibao_error err;
		size_t len = 0;
		uint8_t *bytes = event_bytes(&s, s.bytes ? PAD_BYTES : 0, &len);

		if (s.bytes)
			bytes = event_bytes(&s, PAD_BYTES + s.bytes - len, &len);
		e.has_event = true;
		if (dibao_event_parse(&e.ev, bytes, len, &err) < 0) {
			fail_msg("%s: %s", err.field, err.reason);
		}
	}
	if (s.w_type) {
		e.has_withdrawal = true;
		e.w = (struct withdrawal){text(s.w_type), text(s.w_org ? s.w_org : GUSU),
					  text(s.w_uid)};
	}
	if (s.hidden) {
		e.hidden = text(s.hidden);
	}
	return e;
}

#endif
