/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A short message's text by the carriers' arithmetic: UTF-16 units, 70 in a message of one part, 67
 * in each part of a longer one, the signature included. Every character counts as it is encoded:
 * one unit, or two for a rare one outside the BMP, such as 𠮷 in a name. All are pure.
 *
 * Kannel cuts at 67 units without looking (measured), so a character of two units may be torn at an
 * edge; smstext_settle() moves it past the edge by a blank. Named smstext, not text: lib/text.h is
 * what the text of an event may be.
 */
#ifndef SMS_SMSTEXT_H
#define SMS_SMSTEXT_H

#include <stdbool.h>
#include <stddef.h>

enum {
	SMSTEXT_ONE_UNITS = 70,	 /* of a message of one part */
	SMSTEXT_PART_UNITS = 67, /* of each part of a longer one */
	SMSTEXT_PARTS_MAX = 8,	 /* 536 units; the gateways take 500 and more */
	SMSTEXT_BYTES_MAX = 2048 /* a text of that many units in UTF-8, and its NUL */
};

/* UTF-16 units of UTF-8 text, or -EILSEQ. */
int smstext_units(const char *text, size_t len);
/* Parts of so many units; 0 for 0. */
unsigned smstext_parts(unsigned units);
/* True if a cut at every 67 units would tear a character. `before`: units that the gateway will put
 * in front (its signature); 0. `text` is sound UTF-8. */
bool smstext_is_torn(const char *text, size_t len, unsigned before);

/*
 * Puts a blank where one is needed so that no character is torn: behind the last 。，；：、！？ of
 * that part, or right before the character if there is none. In place; *len grows by at most one
 * for each edge. 0; -EILSEQ; -ENOBUFS: cap (NUL included) is too small, *len untouched.
 */
int smstext_settle(char *text, size_t *len, size_t cap, unsigned before);

/*
 * A value on its way into a text: control characters, bidirectional and zero-width marks, and
 * unassigned-by-design code points (U+FFFE..) are dropped, line ends and runs of blanks become one
 * blank, 【 and 】 become 〔 and 〕 (only a signature may have them), blanks at both ends go. Rare
 * characters stay, and so do the variation selectors that choose their shape. In place; the new
 * length, or -EILSEQ.
 */
int smstext_clean(char *text, size_t len);

/*
 * At most max_units: what is longer is cut between characters and ends in …, which counts. In
 * place; the new length. `text` is sound UTF-8; there is room for the … (3 bytes) where text was
 * cut, unless max_units is 0, which empties it.
 */
size_t smstext_cut(char *text, size_t len, unsigned max_units);

#endif
