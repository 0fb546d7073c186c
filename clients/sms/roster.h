/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The roster: who has which badge, and where a text reaches him. One row a person, written by
 * `dibaoctl roster` (Redis user roster) and read by dibao-sms, which can write none of it. This
 * file is the row's form, and what may be a number; it touches no Redis and is pure.
 *
 * Keys, all with the bureau's hash tag:
 *   roster            hash: badge -> row
 *   roster:previous   hash: the same before the last import or undo
 *   roster:next       hash: being built by an importer; gone an hour after it died
 *   roster:meta       hash: version (up by one at each import, undo or confirm), at (Unix ms), act,
 *                     who, hash (of the file, hex), rows, active, demo (numbers that are a
 *                     demonstration's); and, to undo, undo (1 once undone)
 *   roster:confirmed  hash: badge -> mark, by `roster confirm`
 *   sms:bad           hash: badge -> mark, by dibao-sms: the carrier says there is no such number
 *   sms:disputed      hash: badge -> mark, by dibao-sms: "not me"
 *
 * A row is tab-separated UTF-8, "1" and then
 *   name, phone, phone_since, org, unit, active, left_on, flags, opted_out, lacking_since
 * times in Unix ms, 0 for none; phone empty for none; active 1 or 0; flags of s (two active people
 * have that number) and m (another person had it before); opted_out type names, comma-separated;
 * lacking_since: since when the personnel system's list has not had the person. Columns behind
 * these are for later versions and are passed over.
 *
 * A mark is "<phone_since> <Unix ms of the mark>" and counts only while phone_since is the row's,
 * so a new number needs nobody to clear anything. phone_since changes with the number, and with the
 * name: a badge that another person has now. The newest of confirmed, bad and disputed holds.
 */
#ifndef SMS_ROSTER_H
#define SMS_ROSTER_H

#include <dibao/event.h>

enum {
	ROSTER_PHONE_DIGITS = 11,
	ROSTER_BADGE_MAX = 20, /* bytes, 0-9 A-Z a-z: as in an event */
	ROSTER_NAME_MAX = 120, /* bytes, as in an event */
	ROSTER_UNIT_MAX = 120,
	ROSTER_OPTED_OUT_MAX = 200,
	ROSTER_ROW_MAX = 640, /* bytes of a row, NUL included */
};

/* A row, borrowing its bytes. */
struct roster_person {
	struct dibao_str name, phone, org, unit, opted_out; /* phone.len 0: none */
	int64_t phone_since, left_on, lacking_since;	    /* Unix ms; 0: none */
	bool active;
	bool shared; /* two active people have the number */
	bool moved;  /* another person had the number before */
};

/* 0; -EBADMSG: not a row; -EPROTONOSUPPORT: of a later version. *ret untouched on failure. */
int roster_decode(struct roster_person *ret, const char *row, size_t len);
/* The row, NUL-terminated. Its length, or -EINVAL (a tab or line end in a text, a length),
 * -ENOBUFS. */
int roster_encode(const struct roster_person *p, char *buf, size_t cap);

/* Has this person asked not to be texted about events of that type? */
bool roster_is_opted_out(const struct roster_person *p, struct dibao_str type);

/* A mark's value for that person now; at most 48 bytes. Its length. */
int roster_mark_encode(const struct roster_person *p, int64_t now_ms, char *buf, size_t cap);
/* When the mark was made, if it is about the person's present number; else 0. value NULL: 0. */
int64_t roster_mark_at(const struct roster_person *p, const char *value, size_t len);

/*
 * A number as people write it ("+86 138-0013-8000", full-width, with blanks) to its 11 digits. 0;
 * -ENODATA: nothing in it; -EINVAL, and *ret_why says in words why not (borrowed, for good; it
 * holds no digit of the number).
 */
int roster_phone(const char *text, char ret[ROSTER_PHONE_DIGITS + 1], const char **ret_why);
/* "138****8000". Of anything else "(none)" or "****". */
void roster_phone_masked(struct dibao_str phone, char ret[ROSTER_PHONE_DIGITS + 1]);
/* A number that dibao-seed makes: 154, a block that no operator has. */
bool roster_phone_is_demo(struct dibao_str phone);

#endif
