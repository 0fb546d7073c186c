/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What bearerbox says that it still holds: /store-status.xml, read as it comes, for it may be long,
 * and forgotten entry by entry, for it has numbers and whole texts in it.
 *
 * An entry has neither our id nor the dlr-url (measured on 1.4.5): id, type, time, sender,
 * receiver, smsc-id, box-id, flags, udh-data, msg-data. So a text is known by its number and its
 * characters; two that are the same to the letter, for one number, can't be told apart. A receipt
 * that waits for a smsbox (DLR-MO) has a number and the SMSC's words, and no more.
 *
 * Strict, for what is not read is taken for not there: a wrong password is answered with 200 and
 * "Denied" within the gateway element, and an answer that was cut has no end.
 */
#include "kannel.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char open_tag[] = "<gateway>", close_tag[] = "</gateway>", entry_tag[] = "<message>",
		  entry_end[] = "</message>", prolog[] = "<?", prolog_end[] = "?>";

static void drop(struct kannel_store *s, size_t n)
{
	memmove(s->buf, s->buf + n, s->len - n);
	explicit_bzero(s->buf + s->len - n, n);
	s->len -= n;
}

/* 1: it begins with it; 0: it may yet; -1: it does not. */
static int begins(const struct kannel_store *s, const char *with)
{
	size_t n = strlen(with);

	if (s->len < n)
		return memcmp(s->buf, with, s->len) ? -1 : 0;
	return memcmp(s->buf, with, n) ? -1 : 1;
}

/* ---- an entry ---- */

/* What stands between <tag> and </tag>, in the entry that ends at `end`. */
static const char *field(const char *entry, const char *end, const char *tag, size_t *ret_len)
{
	char open[24], close[24];
	const char *from, *to;
	int n = snprintf(open, sizeof open, "<%s>", tag);

	snprintf(close, sizeof close, "</%s>", tag);
	from = memmem(entry, (size_t)(end - entry), open, (size_t)n);
	if (!from)
		return NULL;
	from += n;
	to = memmem(from, (size_t)(end - from), close, (size_t)n + 1);
	if (!to)
		return NULL;
	*ret_len = (size_t)(to - from);
	return from;
}

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

/* As Kannel encodes an URL. In place is fine. */
static int decode(char *to, const char *from, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (from[i] != '%') {
			to[n++] = from[i] == '+' ? ' ' : from[i];
			continue;
		}
		if (i + 2 >= len || hex(from[i + 1]) < 0 || hex(from[i + 2]) < 0)
			return -EBADMSG;
		to[n++] = (char)(hex(from[i + 1]) << 4 | hex(from[i + 2]));
		i += 2;
	}
	return (int)n;
}

/* "class:coding:...": 2 is UCS-2. */
static bool is_ucs2(const char *flags, size_t len)
{
	const char *colon = flags ? memchr(flags, ':', len) : NULL;

	return colon && (size_t)(colon - flags) + 1 < len && colon[1] == '2';
}

/* Its length; -EBADMSG, -ENOBUFS. */
static int read_text(char text[KANNEL_ENTRY_MAX], const char *data, size_t len, bool ucs2)
{
	int n = decode(text, data, len);

	if (n >= 0 && ucs2) {
		/* Never longer than what it stood in, encoded. */
		char utf16[KANNEL_ENTRY_MAX];

		memcpy(utf16, text, (size_t)n);
		n = kannel_text(text, KANNEL_ENTRY_MAX, "UTF-16BE", utf16, (size_t)n);
		explicit_bzero(utf16, sizeof utf16);
	}
	return n;
}

static bool is(const char *p, size_t len, const char *word)
{
	return strlen(word) == len && !memcmp(p, word, len);
}

/* False: it is none. One that can't be a text of ours is passed over. */
static bool read_entry(struct kannel_store *s, const char *end)
{
	size_t type_len, to_len, data_len, flags_len = 0;
	const char *type = field(s->buf, end, "type", &type_len),
		   *to = field(s->buf, end, "receiver", &to_len),
		   *data = field(s->buf, end, "msg-data", &data_len),
		   *flags = field(s->buf, end, "flags", &flags_len);
	struct kannel_entry e = {.is_receipt = false};
	char text[KANNEL_ENTRY_MAX];
	int n = 0;

	if (!type || !to || !data)
		return false;
	e.is_receipt = is(type, type_len, "DLR-MO");
	if (to_len >= sizeof e.receiver || (!e.is_receipt && !is(type, type_len, "MT-PUSH")))
		return true;
	memcpy(e.receiver, to, to_len);
	if (!e.is_receipt) {
		n = read_text(text, data, data_len, is_ucs2(flags, flags_len));
		e.text = text;
		e.text_len = n < 0 ? 0 : (size_t)n;
	}
	if (n >= 0)
		s->fn(&e, s->userdata);
	explicit_bzero(text, sizeof text);
	explicit_bzero(&e, sizeof e);
	return true;
}

/* ---- the document ---- */

/* What it ends with, once that is there; else false, and `bad` if it can't come any more. */
static const char *find_end(struct kannel_store *s, const char *with)
{
	const char *at = memmem(s->buf, s->len, with, strlen(with));

	if (!at && s->len == sizeof s->buf)
		s->is_bad = true;
	return at ? at + strlen(with) : NULL;
}

/* Before the gateway element. True: something was read. */
static bool read_head(struct kannel_store *s)
{
	const char *end;

	if (begins(s, open_tag) > 0) {
		s->is_open = true;
		drop(s, strlen(open_tag));
		return true;
	}
	if (begins(s, prolog) > 0 && (end = find_end(s, prolog_end))) {
		drop(s, (size_t)(end - s->buf));
		return true;
	}
	s->is_bad |= begins(s, open_tag) < 0 && begins(s, prolog) < 0;
	return false;
}

static bool read_body(struct kannel_store *s)
{
	const char *end;

	if (begins(s, close_tag) > 0) {
		s->is_closed = true;
		drop(s, strlen(close_tag));
		return true;
	}
	if (begins(s, entry_tag) > 0 && (end = find_end(s, entry_end))) {
		s->is_bad |= !read_entry(s, end);
		drop(s, (size_t)(end - s->buf));
		return true;
	}
	s->is_bad |= begins(s, close_tag) < 0 && begins(s, entry_tag) < 0;
	return false;
}

static void read_all(struct kannel_store *s)
{
	bool more = true;

	while (more && !s->is_bad) {
		size_t blank = 0;

		while (blank < s->len && isspace((unsigned char)s->buf[blank]))
			blank++;
		drop(s, blank);
		if (s->len == 0)
			return;
		if (s->is_closed)
			s->is_bad = true;
		else
			more = s->is_open ? read_body(s) : read_head(s);
	}
}

void kannel_store_begin(struct kannel_store *s, kannel_entry_fn fn, void *userdata)
{
	*s = (struct kannel_store){.fn = fn, .userdata = userdata};
}

bool kannel_store_feed(struct kannel_store *s, const char *p, size_t n)
{
	while (n && !s->is_bad) {
		size_t k = sizeof s->buf - s->len;

		k = k < n ? k : n;
		memcpy(s->buf + s->len, p, k);
		s->len += k;
		p += k;
		n -= k;
		read_all(s);
	}
	return !s->is_bad;
}

int kannel_store_end(struct kannel_store *s)
{
	int r = s->is_closed && !s->is_bad && s->len == 0 ? 0 : -EBADMSG;

	explicit_bzero(s, sizeof *s);
	return r;
}
