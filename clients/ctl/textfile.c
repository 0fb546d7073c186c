/* SPDX-License-Identifier: Apache-2.0 */
#include "textfile.h"

#include <errno.h>
#include <iconv.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { PIECE = 65536 };

static int fail(struct textfile_fault *fault, int code, unsigned line, const char *reason)
{
	fault->line = line;
	snprintf(fault->reason, sizeof fault->reason, "%s", reason);
	return code;
}

/* UTF-8 a byte at a time: how many continuation bytes are due, and the range of the next. */
struct utf8 {
	unsigned due;
	unsigned char low, high;
};

static bool utf8_step(struct utf8 *u, unsigned char c)
{
	if (u->due) {
		if (c < u->low || c > u->high)
			return false;
		u->low = 0x80;
		u->high = 0xbf;
		u->due--;
		return true;
	}
	if (c < 0x80)
		return true;
	u->low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	u->high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	u->due = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	return c >= 0xc2 && c <= 0xf4;
}

struct scan {
	unsigned char head[3];
	size_t n_head;
	int64_t size;
	unsigned bad_line; /* first line that is not UTF-8; 0 = none */
	bool cut;	   /* UTF-8 but for its end, within a character */
};

/* Reads all of it once, copies it to `copy` unless that is NULL. */
static int scan(FILE *f, FILE *copy, struct scan *s, uint8_t hash[16])
{
	unsigned char buf[PIECE];
	crypto_generichash_state h;
	struct utf8 u = {0};
	unsigned line = 1;
	size_t n;

	memset(s, 0, sizeof *s);
	crypto_generichash_init(&h, NULL, 0, 16);
	while ((n = fread(buf, 1, sizeof buf, f)) > 0) {
		crypto_generichash_update(&h, buf, n);
		for (size_t i = 0; i < n; i++) {
			if (s->n_head < 3)
				s->head[s->n_head++] = buf[i];
			if (!s->bad_line && !utf8_step(&u, buf[i]))
				s->bad_line = line;
			line += buf[i] == '\n';
		}
		s->size += (int64_t)n;
		if (copy && fwrite(buf, 1, n, copy) != n)
			return -EIO;
	}
	if (u.due && !s->bad_line) {
		s->bad_line = line;
		s->cut = true;
	}
	crypto_generichash_final(&h, hash, 16);
	return ferror(f) ? -EIO : 0;
}

static unsigned count_lines(const char *p, const char *end)
{
	unsigned n = 0;

	for (; p < end; p++)
		n += *p == '\n';
	return n;
}

/* All of `in` to UTF-8 in `out`. */
static int convert(FILE *in, FILE *out, const char *from, struct textfile_fault *fault)
{
	iconv_t cd = iconv_open("UTF-8", from);
	char src[PIECE], dst[PIECE];
	size_t held = 0, n;
	unsigned line = 1;
	int r = 0;

	if (cd == (iconv_t)-1)
		return fail(fault, -EINVAL, 0, "this machine cannot convert that encoding (iconv)");
	while (r == 0 && (n = fread(src + held, 1, sizeof src - held, in)) > 0) {
		char *p = src;
		size_t left = held + n;

		while (r == 0 && left > 0) {
			char *q = dst;
			size_t room = sizeof dst, done = iconv(cd, &p, &left, &q, &room);
			int e = errno;
			size_t made = (size_t)(q - dst);

			line += count_lines(dst, q);
			if (fwrite(dst, 1, made, out) != made)
				r = fail(fault, -EIO, 0, "cannot write the temporary copy");
			else if (done == (size_t)-1 && e == EILSEQ)
				r = fail(fault, -EILSEQ, line, "not text in that encoding");
			else if (done == (size_t)-1 && e == EINVAL)
				break; /* the rest of a character comes with the next piece */
		}
		memmove(src, p, left);
		held = left;
	}
	if (r == 0 && held)
		r = fail(fault, -EILSEQ, line, "ends within a character");
	if (r == 0 && ferror(in))
		r = fail(fault, -EIO, 0, "cannot be read");
	iconv_close(cd);
	return r;
}

static int to_utf8(struct textfile *t, const char *from, struct textfile_fault *fault)
{
	FILE *out = tmpfile();
	int r;

	if (!out)
		return fail(fault, -EIO, 0, "cannot make a temporary file");
	rewind(t->f);
	r = convert(t->f, out, from, fault);
	if (r == 0 && fflush(out) != 0)
		r = fail(fault, -EIO, 0, "cannot write the temporary copy");
	if (r < 0) {
		fclose(out);
		return r;
	}
	t->size = ftello(out);
	fclose(t->f);
	t->f = out;
	return 0;
}

static int decode(struct textfile *t, const struct scan *s, const char *encoding,
		  struct textfile_fault *fault)
{
	bool mark = s->n_head == 3 && !memcmp(s->head, "\xef\xbb\xbf", 3);
	bool mark16 = s->n_head >= 2 &&
		      (!memcmp(s->head, "\xff\xfe", 2) || !memcmp(s->head, "\xfe\xff", 2));
	int r;

	t->size = s->size;
	/* Not GB18030 either, though it would often pass for it: all of it but the end is UTF-8. */
	if (s->cut && !encoding && !mark16)
		return fail(fault, -EILSEQ, s->bad_line,
			    "ends within a character of UTF-8: it was cut short");
	if (mark || (encoding ? !strcasecmp(encoding, "utf-8") : !s->bad_line)) {
		if (s->bad_line)
			return fail(fault, -EILSEQ, s->bad_line, "not UTF-8");
		t->encoding = mark ? "UTF-8 with BOM" : "UTF-8";
		t->start = mark ? 3 : 0;
		return 0;
	}
	if (encoding ? !strcasecmp(encoding, "utf-16") : mark16) {
		t->encoding = "UTF-16";
		return to_utf8(t, "UTF-16", fault);
	}
	if (encoding && strcasecmp(encoding, "gb18030") != 0)
		return fail(fault, -EINVAL, 0, "encodings are utf-8, gb18030 and utf-16");
	t->encoding = "GB18030";
	r = to_utf8(t, "GB18030", fault);
	if (r == -EILSEQ && !encoding)
		return fail(fault, r, s->bad_line, "neither UTF-8 nor GB18030");
	return r;
}

int textfile_open(struct textfile *ret, const char *path, const char *encoding,
		  struct textfile_fault *fault)
{
	struct textfile t = {.f = !strcmp(path, "-") ? fdopen(0, "r") : fopen(path, "re")};
	FILE *copy = NULL;
	struct scan s;
	struct stat st;
	int r;

	if (!t.f)
		return fail(fault, -errno, 0, strerror(errno));
	if (fstat(fileno(t.f), &st) == 0 && S_ISDIR(st.st_mode)) {
		fclose(t.f);
		return fail(fault, -EISDIR, 0, strerror(EISDIR));
	}
	if (!S_ISREG(st.st_mode))
		copy = tmpfile();
	r = scan(t.f, copy, &s, t.hash);
	if (r == 0 && copy) {
		fclose(t.f);
		t.f = copy;
		copy = NULL;
	}
	if (r < 0)
		fail(fault, r, 0, "cannot be read");
	else
		r = decode(&t, &s, encoding, fault);
	if (r == 0 && fseeko(t.f, t.start, SEEK_SET) < 0)
		r = fail(fault, -EIO, 0, "cannot be read");
	if (r < 0) {
		fclose(t.f);
		if (copy)
			fclose(copy);
		return r;
	}
	*ret = t;
	return 0;
}

void textfile_done(struct textfile *t)
{
	if (t->f)
		fclose(t->f);
	t->f = NULL;
}

size_t textfile_cut(const char *p, size_t n)
{
	size_t k = n;

	while (k && n - k < 3 && ((unsigned char)p[k - 1] & 0xc0) == 0x80)
		k--;
	if (!k || (unsigned char)p[k - 1] < 0xc0)
		return n;
	/* The last character begins at k - 1. */
	return n - k + 1 == ((unsigned char)p[k - 1] < 0xe0   ? 2u
			     : (unsigned char)p[k - 1] < 0xf0 ? 3u
							      : 4u)
		       ? n
		       : k - 1;
}

bool textfile_is_json(struct textfile *t)
{
	int c;

	do
		c = getc(t->f);
	while (c == ' ' || c == '\t' || c == '\n' || c == '\r');
	fseeko(t->f, t->start, SEEK_SET);
	return c == '{';
}
