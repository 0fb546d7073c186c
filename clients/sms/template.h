/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates: what a text says. Files NAME.tmpl in one directory (config/sms/zh-CN), read and
 * checked whole at load; a fault in any refuses all, with file, line and column.
 *
 * A file's name is what it is for, words joined by dots:
 *   TYPE [.correction | .retraction] [.proposed | .final] [.private] [.KIND-CODE]
 * "penalty.tmpl", "award.final.A08.tmpl". The one with the most words that fit an event is taken;
 * `private` ones are for promotions and awards marked private, and such an event takes no other.
 *
 * A file: head lines "key: value" and comments (#), a line "---", the body (one line; a line's end
 * within it is refused). Keys:
 *   text: none               no text is sent for these, and that is meant (no body then)
 *   parts: N                 allowed in the worst case, 1 to 8; 1 if not given
 *   carrier: GATEWAY ID DATE the carrier's id of this template at that gateway, and when approved
 * Body: text, {field} or {field:N} (at most N UTF-16 units, cut with …), [ ... ] a piece that is
 * left out unless every field in it is there and switched on; \ before { } [ ] \ takes it
 * literally. A field is name, badge, unit, rank, ref, issuer, or one of the body by its name (kind,
 * to, sign_by; a coded one shows its name). Sums show in yuan, dates as 11月30日, times as
 * 11月30日14:30, with the year where it is not the year of `at`.
 *
 * What would tell a private matter on a lock screen is off until switched on per type (`disclose`):
 * each private field of a body but sign_where, sign_by, telephone, when, where, ticket.
 *
 * Refused at load: a field that the type has not, one that may be absent outside of [ ], one that
 * is off outside of [ ], 【 】 or a line end in the body, no signature, a worst case (of all fields
 * at their table's maximum or stated length, all [ ] in, all edges padded) over the allowed parts,
 * no carrier line for a gateway that wants one, and there [ ] around a field that may be absent.
 */
#ifndef SMS_TEMPLATE_H
#define SMS_TEMPLATE_H

#include "roster.h"
#include "smstext.h"

enum {
	TEMPLATE_FILES_MAX = 500,
	TEMPLATE_VARS_MAX = 16,	    /* {fields} of one body */
	TEMPLATE_VERSION_BYTES = 17 /* 16 hex digits and a NUL */
};

enum template_act { TEMPLATE_NOTICE, TEMPLATE_CORRECTION, TEMPLATE_RETRACTION };

struct template_options {
	const char *signature; /* registered one, without 【】; 2 to 32 characters */
	bool gateway_signs;    /* the gateway puts it in front: counted, not in the text */
	bool demo;	       /* a demonstration bureau's: the body begins with 演示： */
	/* Gateways that want a carrier's template id; NULL-terminated, or NULL. */
	const char *const *gateways_with_ids;
	/* "penalty.kind", "mailbox_reply.*": switched on; NULL-terminated, or NULL. */
	const char *const *disclose;
};

struct template_fault {
	char file[256];	       /* the path */
	unsigned line, column; /* 1-based, column in characters; 0: of the whole */
	char reason[200];
};

struct templates;
struct template;

/* 0; -EINVAL: *fault tells; errors of opendir() and open(); -ENOMEM. Options are copied. */
int templates_load(struct templates **ret, const char *dir, const struct template_options *o,
		   struct template_fault *fault);
/* One more who has it; returns t. */
struct templates *templates_ref(struct templates *t);
struct templates *templates_free(struct templates *t); /* one less; returns NULL */
/* How they are signed: the signature without its brackets. */
const char *templates_signature(const struct templates *t, bool *ret_by_gateway);
unsigned templates_count(const struct templates *t);

/* The template for an event. Borrowed. NULL: none is there, which is a case for the list ("no
 * template"); template_is_none(): there is to be no text. */
const struct template *templates_find(const struct templates *t, const struct dibao_event *ev,
				      enum template_act act);
bool template_is_none(const struct template *t);
const char *template_name(const struct template *t);	 /* "penalty", the file's without .tmpl */
const char *template_version(const struct template *t);	 /* hash of the file */
unsigned template_worst_units(const struct template *t); /* signature included */
/* The carrier's id of it at that gateway; NULL. */
const char *template_carrier_id(const struct template *t, const char *gateway);

struct template_text {
	char text[SMSTEXT_BYTES_MAX]; /* UTF-8, NUL-terminated; signed unless gateway_signs */
	size_t len;
	unsigned units, parts; /* signature included */
	unsigned n_vars;       /* in the body's order, of [ ] that are in */
	struct {
		const char *name;  /* "name"; the template's */
		const char *value; /* into scratch; NUL-terminated */
	} vars[TEMPLATE_VARS_MAX];
	char scratch[SMSTEXT_BYTES_MAX + TEMPLATE_VARS_MAX];
};

/*
 * The text, as it is to arrive: values cleaned and cut, no character torn at a part's edge. The
 * name is the roster's (the same as the event's, but for blanks), or the event's if person is NULL.
 * 0, or -EINVAL: the event lacks what the template needs (it did not pass the library's check).
 * *ret is undefined on failure. To be wiped by the caller once it is handed on.
 */
int template_render(const struct template *t, const struct dibao_event *ev,
		    const struct roster_person *person, struct template_text *ret);

#endif
