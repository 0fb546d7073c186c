/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kannel's words, as they were measured on 1.4.5. Refused means: certain that nothing was sent. A
 * connection that broke after something was written, a timeout, bytes that are no HTTP: ambiguous.
 * So are 502 and 504, which something between us and Kannel says, not Kannel.
 */
#include "kannel.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool begins(const char *body, const char *with)
{
	return !strncmp(body, with, strlen(with));
}

static void refused(struct driver_result *r, const char *code)
{
	r->outcome = DRIVER_REFUSED;
	snprintf(r->code, sizeof r->code, "%s", code);
}

static void ambiguous(struct driver_result *r, const char *code)
{
	r->outcome = DRIVER_AMBIGUOUS;
	snprintf(r->code, sizeof r->code, "%s", code);
}

static void classify_400(const char *body, struct driver_result *ret)
{
	if (begins(body, "Missing receiver") || begins(body, "Empty receiver"))
		refused(ret, "no-receiver");
	else if (begins(body, "Sender missing"))
		refused(ret, "bad-sender");
	else
		refused(ret, "http-400");
}

void kannel_classify(const struct driver_reply *reply, struct driver_result *ret)
{
	const char *body = reply->body;

	*ret = (struct driver_result){0};
	if (reply->transport < 0) {
		if (!reply->written)
			refused(ret, "refused-connection");
		else
			ambiguous(ret, reply->transport == -ETIMEDOUT	 ? "timeout"
				       : reply->transport == -ECONNRESET ? "reset"
									 : "garbage");
		return;
	}
	switch (reply->status) {
	case 202:
		ret->degraded = begins(body, "3:");
		return;
	case 400:
		classify_400(body, ret);
		return;
	case 403:
		refused(ret, begins(body, "Authorization")  ? "authorization"
			     : begins(body, "Not routable") ? "not-routable"
							    : "http-403");
		return;
	case 502:
	case 504:
		ambiguous(ret, reply->status == 502 ? "http-502" : "http-504");
		return;
	default:
		if (reply->status >= 400 && reply->status < 600) {
			char code[16];

			snprintf(code, sizeof code, "http-%d", reply->status);
			refused(ret, code);
		} else {
			refused(ret, "unknown-reply");
		}
	}
}

/* ---- receipts ---- */

/* A word of a code: up to a blank, a slash or a line's end. */
static void copy_word(char code[DRIVER_CODE_MAX], const char *from)
{
	snprintf(code, DRIVER_CODE_MAX, "%.*s", (int)strcspn(from, " /\r\n\t"), from);
}

/* "NACK/0x00000058/Throttled", "NACK/Not found", SMPP's "id:.. stat:UNDELIV err:009 text:..". */
static void code_of(char code[DRIVER_CODE_MAX], const char *words)
{
	const char *stat = strstr(words, "stat:");

	if (stat)
		copy_word(code, stat + 5);
	else if (begins(words, "NACK/"))
		snprintf(code, DRIVER_CODE_MAX, "%.*s", (int)strcspn(words + 5, "/\r\n"),
			 words + 5);
	else
		copy_word(code, words);
}

static int news_of(const char *type, const char *code, enum driver_news *ret)
{
	static const struct {
		const char *type;
		enum driver_news news;
	} types[] = {{"1", DRIVER_NEWS_DELIVERED}, {"2", DRIVER_NEWS_FAILED},
		     {"4", DRIVER_NEWS_QUEUED},	   {"8", DRIVER_NEWS_ACCEPTED},
		     {"16", DRIVER_NEWS_FAILED},   {"32", DRIVER_NEWS_QUEUED}};

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (!strcmp(types[i].type, type)) {
			*ret = types[i].news;
			if (!strcmp(type, "2") && !strcmp(code, "EXPIRED"))
				*ret = DRIVER_NEWS_EXPIRED;
			return 0;
		}
	return -EBADMSG;
}

/* What is too long, or is no word, as its hash. */
static void copy_ref(char ref[DRIVER_REF_BYTES], const char *from)
{
	unsigned char hash[(DRIVER_REF_BYTES - 1) / 2];
	size_t n = strlen(from);

	if (n < DRIVER_REF_BYTES && strspn(from, "0123456789abcdefghijklmnopqrstuvwxyz"
						 "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_.:") == n) {
		memcpy(ref, from, n + 1);
		return;
	}
	crypto_generichash(hash, sizeof hash, (const unsigned char *)from, n, NULL, 0);
	sodium_bin2hex(ref, DRIVER_REF_BYTES, hash, sizeof hash);
}

int kannel_parse(const char *(*get)(const void *source, const char *name), const void *source,
		 struct driver_receipt *ret)
{
	const char *id = get(source, "i"), *n = get(source, "n"), *token = get(source, "k"),
		   *type = get(source, "t"), *words = get(source, "a"), *ref;
	struct driver_receipt r = {0};
	unsigned long attempt;
	size_t len;
	char *end;

	if (!id || !n || !token || !type || strlen(token) != DRIVER_TOKEN_BYTES - 1 ||
	    sodium_hex2bin((unsigned char *)r.id, DRIVER_ID_MAX, id, strlen(id), NULL, &len, NULL) <
		    0 ||
	    strlen(id) != 2 * len || len == 0 || strlen(r.id) != len)
		return -EBADMSG;
	attempt = strtoul(n, &end, 10);
	if (n[0] < '0' || n[0] > '9' || *end || attempt < 1 || attempt > UINT16_MAX)
		return -EBADMSG;
	r.attempt = (unsigned)attempt;
	snprintf(r.token, sizeof r.token, "%s", token);
	code_of(r.code, words ? words : "");
	if (news_of(type, r.code, &r.news) < 0)
		return -EBADMSG;
	if (r.news != DRIVER_NEWS_FAILED && r.news != DRIVER_NEWS_EXPIRED)
		r.code[0] = '\0';
	/* Each time that the carrier takes a text makes a report, with an id of its own, which
	 * stays when the report is brought twice; for the handset's, the carrier's id of the text
	 * tells. */
	ref = r.news == DRIVER_NEWS_ACCEPTED	? get(source, "r")
	      : r.news == DRIVER_NEWS_DELIVERED ? get(source, "f")
						: NULL;
	copy_ref(r.ref, ref ? ref : "");
	*ret = r;
	return 0;
}

int kannel_dlr_url(char *buf, size_t cap, const char *base, const char *gateway,
		   const struct driver_text *text)
{
	char id[2 * DRIVER_ID_MAX + 1];
	int n;

	sodium_bin2hex(id, sizeof id, (const unsigned char *)text->id, strlen(text->id));
	n = snprintf(buf, cap, "%s?g=%s&i=%s&n=%u&k=%s&t=%%d&a=%%A&f=%%F&r=%%I", base, gateway, id,
		     text->attempt, text->token);
	return n < 0 || (size_t)n >= cap ? -ENOBUFS : 0;
}

/* ---- answers ---- */

static size_t put_utf8(char *p, uint32_t c)
{
	if (c < 0x80) {
		p[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		p[0] = (char)(0xc0 | c >> 6);
		p[1] = (char)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		p[0] = (char)(0xe0 | c >> 12);
		p[1] = (char)(0x80 | (c >> 6 & 63));
		p[2] = (char)(0x80 | (c & 63));
		return 3;
	}
	p[0] = (char)(0xf0 | c >> 18);
	p[1] = (char)(0x80 | (c >> 12 & 63));
	p[2] = (char)(0x80 | (c >> 6 & 63));
	p[3] = (char)(0x80 | (c & 63));
	return 4;
}

int kannel_text(char *buf, size_t cap, const char *type, const char *body, size_t len)
{
	const unsigned char *p = (const unsigned char *)body;
	size_t n = 0;

	if (!type || !strcasestr(type, "UTF-16BE")) {
		if (len > cap)
			return -ENOBUFS;
		memcpy(buf, body, len);
		return (int)len;
	}
	if (len % 2)
		return -EBADMSG;
	for (size_t i = 0; i < len; i += 2) {
		uint32_t c = (uint32_t)p[i] << 8 | p[i + 1], low;

		if (n + 4 > cap)
			return -ENOBUFS;
		if (c >= 0xd800 && c <= 0xdfff) {
			low = i + 3 < len ? (uint32_t)p[i + 2] << 8 | p[i + 3] : 0;
			if (c > 0xdbff || low < 0xdc00 || low > 0xdfff)
				return -EBADMSG;
			c = 0x10000 + ((c & 0x3ff) << 10) + (low & 0x3ff);
			i += 2;
		}
		n += put_utf8(buf + n, c);
	}
	return (int)n;
}

/* ---- status.xml ---- */

static unsigned long number_in(const char *from, const char *to, const char *tag)
{
	const char *at = strstr(from, tag);

	return at && (!to || at < to) ? strtoul(at + strlen(tag), NULL, 10) : 0;
}

/* "running, uptime 0d 0h 0m 2s" */
static int64_t uptime_of(const char *xml)
{
	const char *at = strstr(xml, "uptime ");
	unsigned d, h, m, s;

	if (!at || sscanf(at, "uptime %5ud %2uh %2um %2us", &d, &h, &m, &s) != 4)
		return -1;
	return (((int64_t)d * 24 + h) * 60 + m) * 60000 + s * INT64_C(1000);
}

int kannel_parse_status(const char *xml, struct kannel_status *ret)
{
	const char *smscs = strstr(xml, "<smscs>"), *store = strstr(xml, "<storesize>");
	struct kannel_status s = {0};

	/* "Denied" stands within the element, with 200. */
	if (!strstr(xml, "<gateway>") || !smscs)
		return -EBADMSG;
	s.has_store = store && store[strlen("<storesize>")] != '-';
	s.uptime_ms = uptime_of(xml);
	s.queued = number_in(xml, smscs, "<storesize>");
	for (const char *at = smscs; at && (at = strstr(at, "<smsc>"));) {
		const char *end = strstr(at, "</smsc>"), *online = strstr(at, "<status>online");

		if (!end)
			return -EBADMSG;
		s.n_smsc++;
		s.n_online += online && online < end;
		s.queued += number_in(at, end, "<queued>");
		at = end;
	}
	*ret = s;
	return 0;
}
