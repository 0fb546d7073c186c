/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A template's file to pieces: its head, then the body from left to right. What can be known to be
 * wrong is refused here, so that rendering can fail of nothing but an event that is none.
 */
#include "template_parts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	struct template *t;
	const struct templates *set;
	struct template_fault *fault;
	const char *line; /* where the current line begins */
	unsigned n_line;
	/* The body. */
	const char *at, *end;
	unsigned group, group_column; /* 0: in none */
	unsigned group_fields;
	bool group_off;	      /* a field in it is switched off: all of it is */
	unsigned group_first; /* its first piece */
	size_t group_body;
	unsigned n_groups, n_vars;
};

int template_fail(struct template_fault *fault, unsigned line, unsigned column, const char *fmt,
		  ...)
{
	va_list ap;

	fault->line = line;
	fault->column = column;
	va_start(ap, fmt);
	vsnprintf(fault->reason, sizeof fault->reason, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* Characters from the line's start to p, 1-based. */
static unsigned column(const struct reader *r, const char *p)
{
	unsigned n = 1;

	for (const char *q = r->line; q < p; q++)
		n += (*q & 0xc0) != 0x80;
	return n;
}

#define FAIL(r, p, ...) template_fail((r)->fault, (r)->n_line, column(r, p), __VA_ARGS__)

/* ---- the head ---- */

static bool is_date(const char *s)
{
	int y, m, d, n = 0;

	return sscanf(s, "%4d-%2d-%2d%n", &y, &m, &d, &n) == 3 && n == 10 && !s[n] && m >= 1 &&
	       m <= 12 && d >= 1 && d <= 31;
}

static int read_carrier(struct reader *r, const char *value)
{
	char gateway[WORD_MAX], id[WORD_MAX], date[WORD_MAX] = "";
	struct template *t = r->t;
	int n = 0, k = sscanf(value, "%32s %32s %32s %n", gateway, id, date, &n);

	if (k == 2)
		return FAIL(r, value,
			    "not approved yet: carrier needs GATEWAY ID and the day of "
			    "approval, and is left out until then");
	if (k != 3 || value[n] || !is_date(date))
		return FAIL(r, value, "expected carrier: GATEWAY ID YYYY-MM-DD");
	for (unsigned i = 0; i < t->n_carriers; i++)
		if (!strcmp(t->carriers[i].gateway, gateway))
			return FAIL(r, value, "this gateway stands above already");
	if (t->n_carriers == CARRIERS_MAX)
		return FAIL(r, value, "over %d carriers", CARRIERS_MAX);
	memcpy(t->carriers[t->n_carriers].gateway, gateway, sizeof gateway);
	memcpy(t->carriers[t->n_carriers++].id, id, sizeof id);
	return 0;
}

static int read_head_line(struct reader *r, char *line)
{
	char *colon = strchr(line, ':'), *value, *end;
	struct template *t = r->t;

	r->line = line;
	if (line[0] == '#' || line[strspn(line, " \t\r")] == '\0')
		return 0;
	if (!colon)
		return FAIL(r, line, "expected key: value, a comment (#), or --- before the body");
	value = colon + 1 + strspn(colon + 1, " \t");
	end = value + strlen(value);
	while (end > value && strchr(" \t\r", end[-1]))
		*--end = '\0';
	*colon = '\0';
	if (!strcmp(line, "carrier"))
		return read_carrier(r, value);
	if (!strcmp(line, "parts")) {
		t->max_parts = (unsigned)strtoul(value, &end, 10);
		if (end == value || *end || t->max_parts < 1 || t->max_parts > SMSTEXT_PARTS_MAX)
			return FAIL(r, value, "parts: expected 1 to %d", SMSTEXT_PARTS_MAX);
		return 0;
	}
	if (!strcmp(line, "text")) {
		if (strcmp(value, "none") != 0)
			return FAIL(r, value, "text: expected none; a text stands below ---");
		t->none = true;
		return 0;
	}
	return FAIL(r, line, "no such key: expected text, parts or carrier");
}

/* ---- the body ---- */

/* Text of at most one piece more, copied behind what the body has. */
static int add_text(struct reader *r, const char *p, size_t len)
{
	struct template *t = r->t;
	struct piece *last = t->n_pieces ? &t->pieces[t->n_pieces - 1] : NULL;

	if (t->n_body + len >= sizeof t->body)
		return FAIL(r, p, "the body is over %d bytes", BODY_BYTES_MAX);
	memcpy(t->body + t->n_body, p, len);
	if (last && !last->is_field && last->group == r->group) {
		last->len += len;
	} else {
		if (t->n_pieces == PIECES_MAX)
			return FAIL(r, p, "the body has over %d pieces", PIECES_MAX);
		t->pieces[t->n_pieces++] =
			(struct piece){.text = t->body + t->n_body, .len = len, .group = r->group};
	}
	t->n_body += len;
	return 0;
}

static bool is_switched_on(const struct reader *r, const char *name, size_t len)
{
	char word[2 * WORD_MAX], all[2 * WORD_MAX];
	const char *type;
	size_t n;

	type = dibao_types(&n)[r->t->use.type].name;
	snprintf(word, sizeof word, "%s.%.*s", type, (int)len, name);
	snprintf(all, sizeof all, "%s.*", type);
	for (unsigned i = 0; i < r->set->n_disclose; i++)
		if (!strcmp(r->set->disclose[i], word) || !strcmp(r->set->disclose[i], all))
			return true;
	return false;
}

/* "{name:20}", at the brace. */
static int read_field(struct reader *r)
{
	const char *open = r->at, *name = open + 1, *close, *stop;
	struct template *t = r->t;
	struct template_field f;
	char names[160], *end;
	unsigned long most;
	size_t len;

	close = memchr(open, '}', (size_t)(r->end - open));
	if (!close)
		return FAIL(r, open, "{ without }");
	stop = memchr(name, ':', (size_t)(close - name));
	len = (size_t)((stop ? stop : close) - name);
	if (len == 0 || len >= WORD_MAX || template_field_find(&f, &t->use, name, len) < 0) {
		template_field_names(&t->use, names, sizeof names);
		return FAIL(r, open, "no such field here; there are:%s", names);
	}
	if (stop) {
		most = strtoul(stop + 1, &end, 10);
		if (end != close || stop[1] < '1' || stop[1] > '9' || most > 500)
			return FAIL(r, stop, "expected a length of 1 to 500 behind the colon");
		if (f.show != SHOW_TEXT)
			return FAIL(r, stop, "only a text may be cut, not a day, a time or a sum");
		if (most < f.max_units)
			f.max_units = (unsigned)most;
	}
	if (f.is_private && !is_switched_on(r, name, len)) {
		if (!r->group)
			return FAIL(r, open,
				    "this field is private and not switched on: put [ ] "
				    "around its piece, or switch it on (disclose)");
		r->group_off = true;
	}
	if (f.optional && !r->group)
		return FAIL(r, open, "an event may lack this field: put [ ] around its piece");
	if (f.optional && r->set->n_gateways)
		return FAIL(r, open,
			    "an event may lack this field, and a gateway wants whole "
			    "templates: leave it out");
	if (t->n_pieces == PIECES_MAX || r->n_vars == TEMPLATE_VARS_MAX)
		return FAIL(r, open, "over %d pieces or %d fields", PIECES_MAX, TEMPLATE_VARS_MAX);
	snprintf(t->names[r->n_vars], WORD_MAX, "%.*s", (int)len, name);
	t->pieces[t->n_pieces++] = (struct piece){.is_field = true,
						  .text = t->names[r->n_vars],
						  .len = len,
						  .field = f,
						  .group = r->group};
	r->n_vars++;
	r->group_fields++;
	r->at = close + 1;
	return 0;
}

static int open_group(struct reader *r)
{
	if (r->group)
		return FAIL(r, r->at, "[ within [ ]");
	r->group = ++r->n_groups;
	r->group_column = column(r, r->at);
	r->group_fields = 0;
	r->group_off = false;
	r->group_first = r->t->n_pieces;
	r->group_body = r->t->n_body;
	r->at++;
	return 0;
}

static int close_group(struct reader *r)
{
	if (!r->group)
		return FAIL(r, r->at, "] without [");
	if (!r->group_fields)
		return FAIL(r, r->at, "no field within [ ]: it would never be left out");
	if (r->group_off) {
		r->t->n_pieces = r->group_first;
		r->t->n_body = r->group_body;
		r->n_vars -= r->group_fields;
	}
	r->group = 0;
	r->at++;
	return 0;
}

/* One character as it stands. */
static int read_literal(struct reader *r)
{
	size_t len = 1;
	int e;

	while (r->at + len < r->end && ((unsigned char)r->at[len] & 0xc0) == 0x80)
		len++;
	if (len == 3 && (!memcmp(r->at, "【", 3) || !memcmp(r->at, "】", 3)))
		return FAIL(r, r->at,
			    "【 and 】 are for the signature alone, and that is set in the "
			    "configuration");
	e = add_text(r, r->at, len);
	r->at += len;
	return e;
}

/* Blanks and unseen characters that cleaning would change: nobody sees them in an editor. */
static int check_clean(struct reader *r)
{
	size_t len = (size_t)(r->end - r->at), i = 0;
	char as_is[BODY_BYTES_MAX], cleaned[BODY_BYTES_MAX];
	int n;

	if (len >= sizeof as_is)
		return FAIL(r, r->at, "the body is over %d bytes", BODY_BYTES_MAX);
	memcpy(as_is, r->at, len);
	/* 【 and 】 are told by name, where they stand. */
	for (size_t k = 0; k + 3 <= len; k++)
		if (!memcmp(as_is + k, "【", 3) || !memcmp(as_is + k, "】", 3))
			memcpy(as_is + k, "〔", 3);
	memcpy(cleaned, as_is, len);
	n = smstext_clean(cleaned, len);
	if (n < 0)
		return FAIL(r, r->at, "not UTF-8");
	while (i < (size_t)n && cleaned[i] == as_is[i])
		i++;
	if ((size_t)n == len)
		return 0;
	while (i > 0 && i < len && ((unsigned char)as_is[i] & 0xc0) == 0x80)
		i--;
	return FAIL(r, r->at + i, "a control or invisible character, or a blank too many");
}

static int read_body(struct reader *r)
{
	int e = check_clean(r);

	while (e == 0 && r->at < r->end) {
		if (*r->at == '{')
			e = read_field(r);
		else if (*r->at == '[')
			e = open_group(r);
		else if (*r->at == ']')
			e = close_group(r);
		else if (*r->at == '}')
			e = FAIL(r, r->at, "} without {");
		else if (*r->at == '\\') {
			r->at++;
			if (r->at == r->end || !strchr("{}[]\\", *r->at))
				e = FAIL(r, r->at - 1, "\\ takes { } [ ] or \\ behind it");
			else
				e = read_literal(r);
		} else
			e = read_literal(r);
	}
	if (e == 0 && r->group)
		e = template_fail(r->fault, r->n_line, r->group_column, "[ without ]");
	if (e == 0 && r->t->n_pieces == 0)
		e = FAIL(r, r->at, "the body is empty");
	return e;
}

/* ---- the whole ---- */

/* Every edge may cost the blank that keeps a character whole. */
static int check_length(struct reader *r)
{
	struct template *t = r->t;
	unsigned units = r->set->front_units, parts;

	for (unsigned i = 0; i < t->n_pieces; i++)
		units += t->pieces[i].is_field
				 ? t->pieces[i].field.max_units
				 : (unsigned)smstext_units(t->pieces[i].text, t->pieces[i].len);
	parts = smstext_parts(units);
	if (parts > 1)
		units += smstext_parts(units + parts) - 1;
	t->worst_units = units;
	parts = smstext_parts(units);
	if (parts <= t->max_parts)
		return 0;
	return template_fail(r->fault, r->n_line, 1,
			     "in the worst case %u units with the signature, %u parts, and %u %s "
			     "allowed: state shorter lengths ({name:20}), or more parts",
			     units, parts, t->max_parts, t->max_parts == 1 ? "is" : "are");
}

static int check_carriers(struct reader *r)
{
	const struct template *t = r->t;

	for (unsigned g = 0; g < r->set->n_gateways; g++)
		if (!template_carrier_id(t, r->set->gateways[g]))
			return template_fail(r->fault, 1, 1,
					     "gateway %s wants a carrier's approved template: add "
					     "carrier: %s ID YYYY-MM-DD, or text: none",
					     r->set->gateways[g], r->set->gateways[g]);
	return 0;
}

/* Reads head lines up to ---; *ret_body is behind it, NULL if there is none. */
static int read_head(struct reader *r, const char *text, size_t len, const char **ret_body)
{
	const char *p = text, *end = text + len;
	char line[512];
	int e = 0;

	*ret_body = NULL;
	while (p < end && e == 0) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((lf ? lf : end) - p);

		r->n_line++;
		r->line = p;
		if (n && p[n - 1] == '\r')
			n--;
		if (n == 3 && !memcmp(p, "---", 3)) {
			*ret_body = lf ? lf + 1 : end;
			return 0;
		}
		if (n >= sizeof line)
			return FAIL(r, p, "a head line of over %zu bytes", sizeof line - 1);
		memcpy(line, p, n);
		line[n] = '\0';
		e = read_head_line(r, line);
		p = lf ? lf + 1 : end;
	}
	return e;
}

int template_compile(struct template *t, const struct templates *set, const char *text, size_t len,
		     struct template_fault *fault)
{
	struct reader r = {.t = t, .set = set, .fault = fault};
	const char *body, *end = text + len, *lf;
	int e;

	t->max_parts = 1;
	t->front = set->front;
	t->before = set->before;
	if (memchr(text, '\0', len))
		return template_fail(fault, 0, 0, "a NUL byte");
	e = read_head(&r, text, len, &body);
	if (e < 0)
		return e;
	r.n_line++;
	r.line = body ? body : end;
	if (t->none)
		return body && body < end ? FAIL(&r, body, "text: none, and yet a body") : 0;
	if (!body)
		return template_fail(fault, r.n_line, 1,
				     "no body: expected --- and a text below it");
	while (end > body && (end[-1] == '\n' || end[-1] == '\r'))
		end--;
	r.at = body;
	r.end = end;
	lf = memchr(body, '\n', (size_t)(end - body));
	if (!lf)
		lf = memchr(body, '\r', (size_t)(end - body));
	if (lf)
		return FAIL(&r, lf,
			    "a line's end within the body: it is one line, and carriers "
			    "refuse others");
	e = read_body(&r);
	if (e == 0)
		e = check_length(&r);
	if (e == 0)
		e = check_carriers(&r);
	return e;
}
