/* SPDX-License-Identifier: Apache-2.0 */
#include "roster_file.h"
#include "cell.h"
#include "roster_rows.h"
#include "text.h"

#include "../sms/person.h"
#include "../sms/smstext.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096 };

static const char default_headings[] = "/etc/dibao/headings.tsv";

struct reader {
	const struct ctl *c;
	const struct roster_file_options *o;
	struct roster_file *file;
	struct headings *headings;
	struct textfile text;
	struct roster_rows rows;
	struct import_report report;
	size_t cap;
	char refused_path[PATH_BYTES];
	/* Of the row at hand. */
	const struct table_row *row;
	struct dibao_error err;
	bool last_refused, last_short;
};

static int refuse(struct reader *r, const char *field, const char *reason)
{
	r->err = (struct dibao_error){.code = -EINVAL, .line = r->row->line};
	snprintf(r->err.field, sizeof r->err.field, "%s", field);
	snprintf(r->err.reason, sizeof r->err.reason, "%s", reason);
	return -EINVAL;
}

/* ---- cells ---- */

/* The cell of a field, cleaned, in buf; "" if there is none. -EINVAL: too long, spoilt or not text.
 */
static int cell(struct reader *r, const char *field, char *buf, size_t cap)
{
	int at = import_columns_find(&r->rows.columns, field), n;
	const struct table_cell *c;
	const char *why;

	*buf = '\0';
	if (at < 0 || (unsigned)at >= r->row->n)
		return 0;
	c = &r->row->cells[at];
	if (c->len >= cap)
		return refuse(r, field, "too long");
	memcpy(buf, c->p, c->len + 1);
	cell_clean(buf, c->len, r->rows.columns.at[at]->narrow);
	why = cell_spoilt(buf);
	if (why)
		return refuse(r, field, why);
	n = smstext_clean(buf, strlen(buf));
	if (n < 0)
		return refuse(r, field, "not UTF-8");
	buf[n] = '\0';
	return 0;
}

static int take_badge(struct reader *r, struct roster_item *it)
{
	char badge[256];

	if (cell(r, "badge", badge, sizeof badge) < 0)
		return -EINVAL;
	if (!*badge || strlen(badge) > ROSTER_BADGE_MAX ||
	    !text_is_badge((const uint8_t *)badge, strlen(badge)))
		return refuse(r, "badge", "expected 1 to 20 of 0-9 A-Z a-z");
	strcpy(it->badge, badge);
	return 0;
}

static int take_name(struct reader *r, struct roster_item *it)
{
	struct dibao_str name;

	if (cell(r, "name", it->name, sizeof it->name) < 0)
		return -EINVAL;
	name = (struct dibao_str){it->name, strlen(it->name)};
	return person_name_equals(name, name) ? 0 : refuse(r, "name", "missing");
}

static int take_phone(struct reader *r, struct roster_item *it)
{
	char text[256];
	const char *why;

	if (cell(r, "phone", text, sizeof text) < 0)
		return -EINVAL;
	return roster_phone(text, it->phone, &why) == -EINVAL ? refuse(r, "phone", why) : 0;
}

static int take_org(struct reader *r, struct roster_item *it)
{
	const char *code;
	char text[256];

	if (cell(r, "org", text, sizeof text) < 0)
		return -EINVAL;
	if (!*text)
		return r->file->has_org ? refuse(r, "org", "missing") : 0;
	code = headings_value(r->headings, "org", text);
	if (!code)
		code = text;
	if (strlen(code) != DIBAO_ORG_BYTES ||
	    !text_is_digits((const uint8_t *)code, DIBAO_ORG_BYTES))
		return refuse(r, "org",
			      "neither 12 digits nor the name of one organisation (orgs.tsv)");
	strcpy(it->org, code);
	return 0;
}

static int take_active(struct reader *r, struct roster_item *it)
{
	const char *meaning;
	char text[64], day[11];

	it->active = true;
	if (cell(r, "active", text, sizeof text) < 0)
		return -EINVAL;
	if (*text) {
		meaning = headings_value(r->headings, "active", text);
		if (cell_bool(meaning ? meaning : text, &it->active) < 0)
			return refuse(r, "active", "expected yes or no, 在职 or 离职");
	} else if (import_columns_find(&r->rows.columns, "active") >= 0) {
		return refuse(r, "active", "missing");
	}
	if (cell(r, "left_on", text, sizeof text) < 0)
		return -EINVAL;
	if (*text && (cell_date(text, day) < 0 ||
		      cell_time(day, CELL_CHINA_MIN, &it->left_on) < 0 || it->left_on <= 0))
		return refuse(r, "left_on",
			      "expected a day since 1970: 2017/7/5, 2017年7月5日, 20170705");
	if (it->active && it->left_on)
		return refuse(r, "left_on", "of somebody in service");
	return 0;
}

/* Types by name or in Chinese, by commas, to type names in the table's order. */
static int take_opted_out(struct reader *r, struct roster_item *it)
{
	char text[256], *save = NULL;
	bool out[64] = {false};
	const struct dibao_type_spec *types;
	size_t n_types;

	if (cell(r, "opted_out", text, sizeof text) < 0)
		return -EINVAL;
	types = dibao_types(&n_types);
	for (char *p; (p = strstr(text, "、"));) {
		*p = ',';
		memmove(p + 1, p + 3, strlen(p + 3) + 1);
	}
	for (char *w = strtok_r(text, ",; ", &save); w; w = strtok_r(NULL, ",; ", &save)) {
		const char *meaning = headings_value(r->headings, "opted_out", w);
		int t;

		meaning = meaning ? meaning : w;
		t = dibao_type_find(meaning, strlen(meaning));
		if (t < 0 || t >= 64)
			return refuse(r, "opted_out", "expected types, by commas");
		if (!strcmp(meaning, "penalty") || !strcmp(meaning, "mailbox_reply"))
			return refuse(r, "opted_out",
				      "nobody opts out of a penalty or a mailbox's reply");
		out[t] = true;
	}
	for (size_t t = 0; t < n_types && t < 64; t++)
		if (out[t] &&
		    strlen(it->opted_out) + strlen(types[t].name) + 2 < sizeof it->opted_out) {
			if (it->opted_out[0])
				strcat(it->opted_out, ",");
			strcat(it->opted_out, types[t].name);
		}
	return 0;
}

static int take_row(struct reader *r, struct roster_item *it)
{
	int e = take_badge(r, it);

	if (e < 0)
		return e;
	e = take_name(r, it);
	if (e == 0)
		e = take_phone(r, it);
	if (e == 0)
		e = take_org(r, it);
	if (e == 0)
		e = cell(r, "unit", it->unit, sizeof it->unit);
	if (e == 0)
		e = take_active(r, it);
	return e < 0 ? e : take_opted_out(r, it);
}

/* ---- the file ---- */

static int say_refused(struct reader *r, const char *field, const char *reason)
{
	struct import_record rec = {.line = r->row->line,
				    .offset = r->row->offset,
				    .raw = r->row->raw,
				    .raw_len = r->row->raw_len,
				    .cells = r->row->n,
				    .err.code = r->row->fault ? -EBADMSG : -EINVAL};
	char why[300];

	r->file->refused++;
	snprintf(why, sizeof why, "%s%s%s", field, *field ? ": " : "", reason);
	return import_report_refused(&r->report, &rec, why, why);
}

static int add(struct reader *r, const struct roster_item *it)
{
	struct roster_file *f = r->file;

	if (f->n == ROSTER_PEOPLE_MAX)
		return ctl_fail(EX_DATAERR, "over %d people", ROSTER_PEOPLE_MAX);
	if (f->n == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 1024;
		struct roster_item *p = realloc(f->items, cap * sizeof *p);

		if (!p)
			return ctl_fail(EX_OSERR, "no memory");
		f->items = p;
		r->cap = cap;
	}
	f->items[f->n++] = *it;
	return 0;
}

static int read_row(struct reader *r, bool faulty)
{
	struct roster_item it = {.line = r->row->line, .offset = r->row->offset};
	int e;

	r->file->rows++;
	r->last_short = r->row->n < r->rows.columns.n;
	r->last_refused = faulty || take_row(r, &it) < 0;
	if (!r->last_refused)
		return add(r, &it);
	e = faulty ? say_refused(r, "", r->row->fault)
		   : say_refused(r, r->err.field, r->err.reason);
	it.refused = true;
	if (!it.badge[0])
		r->file->unreadable++;
	return e || !it.badge[0] ? e : add(r, &it);
}

static bool ends_in_line_end(const struct reader *r)
{
	off_t here = ftello(r->text.f);
	int c = EOF;

	if (fseeko(r->text.f, -1, SEEK_END) == 0)
		c = getc(r->text.f);
	fseeko(r->text.f, here, SEEK_SET);
	return c == '\n' || c == '\r';
}

static int read_rows(struct reader *r)
{
	int e = 0, got = 0;

	while (e == 0 && ((got = roster_rows_next(&r->rows, &r->row)) == 1 || got == -EBADMSG))
		e = read_row(r, got == -EBADMSG);
	if (e == 0 && got < 0)
		return ctl_fail(EX_IOERR, "%s: cannot be read", r->o->path);
	if (e == 0 && (r->last_short || r->last_refused) && !ends_in_line_end(r))
		return ctl_fail(EX_DATAERR,
				"%s: ends within a row: it was cut short; nothing was changed",
				r->o->path);
	return e;
}

static int by_badge(const void *a, const void *b)
{
	const struct roster_item *x = a, *y = b;
	int c = strcmp(x->badge, y->badge);

	return c ? c : (x->line > y->line) - (x->line < y->line);
}

static int refuse_again(struct reader *r, const struct roster_item *it)
{
	int got;

	if (it->refused)
		return 0;
	if (roster_rows_seek(&r->rows, it->offset, it->line) < 0)
		return ctl_fail(EX_IOERR, "%s: cannot be read", r->o->path);
	got = roster_rows_next(&r->rows, &r->row);
	if (got != 1)
		return ctl_fail(EX_IOERR, "%s changed while it was read", r->o->path);
	return say_refused(r, "badge", "stands in this file more than once");
}

/* Of equal badges none counts, for nobody knows which is right; one is kept as refused. */
static int drop_doubles(struct reader *r)
{
	struct roster_file *f = r->file;
	size_t out = 0;
	int e = 0;

	if (f->n)
		qsort(f->items, f->n, sizeof *f->items, by_badge);
	for (size_t i = 0, k; i < f->n && e == 0; i = k) {
		for (k = i + 1; k < f->n && !strcmp(f->items[k].badge, f->items[i].badge); k++)
			;
		for (size_t j = i; j < k && k - i > 1 && e == 0; j++)
			e = refuse_again(r, &f->items[j]);
		f->items[out] = f->items[i];
		f->items[out++].refused |= k - i > 1;
	}
	f->n = out;
	return e;
}

static int load_headings(struct reader *r)
{
	struct headings_fault fault;
	int e;

	if (headings_new_roster(&r->headings) < 0)
		return ctl_fail(EX_OSERR, "no memory");
	e = headings_load(r->headings, r->o->headings ? r->o->headings : default_headings, &fault);
	if (e == -ENOENT && !r->o->headings && fault.line == 0)
		return 0;
	if (e < 0 && fault.line)
		return ctl_fail(EX_CONFIG, "%s:%u: %s", fault.file, fault.line, fault.reason);
	return e < 0 ? ctl_fail(EX_NOINPUT, "%s: %s", fault.file, fault.reason) : 0;
}

static int say_fault(const struct reader *r, const struct textfile_fault *fault, int code)
{
	if (fault->line)
		return ctl_fail(code, "%s:%u: %s", r->o->path, fault->line, fault->reason);
	return ctl_fail(code, "%s: %s", r->o->path, fault->reason);
}

static int read_columns(struct reader *r)
{
	static const char *const needed[] = {"badge", "name", "phone"};
	struct textfile_fault fault = {.reason = "no memory"};
	bool json = r->o->format ? !strcmp(r->o->format, "json") : textfile_is_json(&r->text);
	int e = roster_rows_open(&r->rows, &r->text, r->headings, json, r->o->separator, &fault);

	if (e < 0)
		return e == -EIO ? ctl_fail(EX_IOERR, "%s: cannot be read", r->o->path)
				 : say_fault(r, &fault, e == -ENOMEM ? EX_OSERR : EX_DATAERR);
	for (size_t i = 0; i < 3; i++)
		if (import_columns_find(&r->rows.columns, needed[i]) < 0)
			return ctl_fail(EX_DATAERR, "%s: no column is %s (see --headings)",
					r->o->path, needed[i]);
	r->file->has_org = import_columns_find(&r->rows.columns, "org") >= 0;
	r->file->has_unit = import_columns_find(&r->rows.columns, "unit") >= 0;
	r->file->has_opted_out = import_columns_find(&r->rows.columns, "opted_out") >= 0;
	for (unsigned i = 0; r->rows.columns.unused[i]; i++)
		ctl_fail(0, "column not used: %s", r->rows.columns.unused[i]);
	return 0;
}

static int open_all(struct reader *r)
{
	const struct roster_file_options *o = r->o;
	struct textfile_fault fault = {.reason = "no memory"};
	int e = load_headings(r);

	if (e)
		return e;
	e = textfile_open(&r->text, o->path, o->encoding, &fault);
	if (e < 0)
		return say_fault(r, &fault,
				 e == -EILSEQ	? EX_DATAERR
				 : e == -EINVAL ? EX_USAGE
						: EX_NOINPUT);
	if (r->text.size <= r->text.start)
		return ctl_fail(EX_DATAERR, "%s: is empty", o->path);
	e = read_columns(r);
	if (e)
		return e;
	snprintf(r->file->encoding, sizeof r->file->encoding, "%s", r->text.encoding);
	memcpy(r->file->hash, r->text.hash, sizeof r->file->hash);
	snprintf(r->refused_path, sizeof r->refused_path, "%s.refused.%s",
		 !strcmp(o->path, "-") ? "roster" : o->path, r->rows.table ? "csv" : "jsonl");
	r->report = (struct import_report){.c = r->c,
					   .path = o->refused ? o->refused : r->refused_path,
					   .header = r->rows.columns.header,
					   .what = "person",
					   .columns = r->rows.columns.n,
					   .separator = roster_rows_separator(&r->rows)};
	return import_report_begin(&r->report, 0);
}

int roster_file_read(struct roster_file *ret, const struct ctl *c,
		     const struct roster_file_options *o)
{
	struct reader *r = calloc(1, sizeof *r);
	int e;

	memset(ret, 0, sizeof *ret);
	if (!r)
		return ctl_fail(EX_OSERR, "no memory");
	r->c = c;
	r->o = o;
	r->file = ret;
	e = open_all(r);
	if (e == 0)
		e = read_rows(r);
	if (e == 0)
		e = drop_doubles(r);
	if (e == 0 && ret->refused)
		ctl_fail(0, "%u of %u rows refused, and why: %s", ret->refused, ret->rows,
			 r->report.path);
	import_report_done(&r->report);
	roster_rows_done(&r->rows);
	textfile_done(&r->text);
	headings_free(r->headings);
	free(r);
	return e;
}

void roster_file_done(struct roster_file *f)
{
	free(f->items);
	f->items = NULL;
}
