/* SPDX-License-Identifier: Apache-2.0 */
#include "entry_read.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_string(const redisReply *r)
{
	return r->type == REDIS_REPLY_STRING;
}

/* Takes a field's value; a field may be there once. */
static void take(struct raw_entry *raw, struct dibao_str *field, const redisReply *value)
{
	if (field->p) {
		raw->fault = "a field is there twice";
	}
	*field = (struct dibao_str){value->str, value->len};
}

int raw_entry_read(struct raw_entry *ret, const redisReply *reply)
{
	struct raw_entry raw = {0};
	const redisReply *fields;
	struct dibao_str f = {0};

	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
	    !is_string(reply->element[0]) ||
	    entry_id_parse(&raw.id, reply->element[0]->str, reply->element[0]->len) < 0) {
		return -EBADMSG;
	}
	fields = reply->element[1];
	if (fields->type != REDIS_REPLY_ARRAY) {
		return -EBADMSG;
	}
	if (fields->elements > 2 * ENTRY_FIELDS_MAX) {
		raw.fault = "too many fields";
		*ret = raw;
		return 0;
	}
	for (size_t i = 0; i + 1 < fields->elements; i += 2) {
		const redisReply *name = fields->element[i], *value = fields->element[i + 1];

		if (!is_string(name) || !is_string(value)) {
			return -EBADMSG;
		}
		switch (name->len == 1 ? name->str[0] : '\0') {
		case 'e':
			take(&raw, &raw.e, value);
			break;
		case 'f':
			take(&raw, &f, value);
			break;
		case 'w':
			take(&raw, &raw.w, value);
			break;
		case 'x':
			take(&raw, &raw.x, value);
			break;
		default:
			raw.n_unknown++;
		}
	}
	raw.by_function = f.p != NULL;
	*ret = raw;
	return 0;
}

enum { ENTRY_TYPE_MAX = 32 };

/* "<type> <org> <uid>"; a uid may hold blanks. */
static int withdrawal_parse(struct withdrawal *ret, struct dibao_str w)
{
	const char *end = w.p + w.len;
	const char *org = memchr(w.p, ' ', w.len);
	const char *uid = org ? memchr(org + 1, ' ', (size_t)(end - org - 1)) : NULL;

	if (!uid || org == w.p || org - w.p > ENTRY_TYPE_MAX || uid - org - 1 != DIBAO_ORG_BYTES ||
	    uid + 1 == end || (size_t)(end - uid - 1) > DIBAO_UID_MAX_BYTES) {
		return -EBADMSG;
	}
	ret->type = (struct dibao_str){w.p, (size_t)(org - w.p)};
	ret->org = (struct dibao_str){org + 1, (size_t)(uid - org - 1)};
	ret->uid = (struct dibao_str){uid + 1, (size_t)(end - uid - 1)};
	return 0;
}

static int refuse(char reason[ENTRY_REASON_MAX], const char *text)
{
	(void)snprintf(reason, ENTRY_REASON_MAX, "%s", text);
	return -EBADMSG;
}

int entry_check(struct entry *ret, const struct raw_entry *raw, enum dibao_channel c,
		char reason[ENTRY_REASON_MAX])
{
	bool is_public = c == DIBAO_CHANNEL_PUBLIC || c == DIBAO_CHANNEL_PUBLIC_NOW;
	struct dibao_error err;

	if (raw->fault) {
		return refuse(reason, raw->fault);
	}
	if (!raw->e.p && !raw->w.p && !raw->x.p) {
		return refuse(reason, "no field e");
	}
	if (!raw->by_function && (raw->w.p || raw->x.p)) {
		return refuse(reason, "field w or x in an entry that no function wrote");
	}
	ret->id = raw->id;
	ret->by_function = raw->by_function;
	ret->hidden = raw->x;
	ret->has_withdrawal = raw->w.p != NULL;
	if (ret->has_withdrawal && withdrawal_parse(&ret->w, raw->w) < 0) {
		return refuse(reason, "w: expected type, organisation and uid");
	}
	ret->has_event = raw->e.p != NULL;
	if (!ret->has_event) {
		return 0;
	}
	if (dibao_event_parse(&ret->ev, raw->e.p, raw->e.len, &err) < 0) {
		(void)snprintf(reason, ENTRY_REASON_MAX, "%s%s%s", err.field,
			       err.field[0] ? ": " : "", err.reason);
		return -EBADMSG;
	}
	if (ret->ev.is_private == is_public) {
		return refuse(reason, is_public ? "a private event in a public channel"
						: "a public event in a private channel");
	}
	return 0;
}
