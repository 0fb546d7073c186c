/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done with a table of options: defaults, a file, a print-out, a reload.
 *
 * inih splits the lines. Two of its habits are not taken over: it cuts a line
 * longer than its buffer in two and parses the rest as another option, and it
 * reports only the first bad line, without a reason. So the lines are read by
 * next_line(), which counts them and refuses one that does not fit, and every
 * fault is reported here.
 */
#include "option_value.h"

#include <assert.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 1024 };

/* ---- faults ---- */

/* One file being read. */
struct option_faults {
	const struct option_table *table;
	void *config;
	FILE *file, *err_out;
	const char *path;
	unsigned line;
	int error;
	bool seen[OPTIONS_MAX];
};

void options_fault(struct option_faults *p, const char *fmt, ...)
{
	va_list ap;

	if (p->error != -ENOMEM) {
		p->error = -EINVAL;
	}
	if (!p->err_out) {
		return;
	}
	if (p->path) {
		fprintf(p->err_out, "%s:", p->path);
	}
	if (p->line > 0) {
		fprintf(p->err_out, "%u:", p->line);
	}
	fputs(p->path ? " " : "", p->err_out);
	va_start(ap, fmt);
	vfprintf(p->err_out, fmt, ap);
	va_end(ap);
	fputc('\n', p->err_out);
}

/* ---- one option ---- */

static bool is_choice(const char *choices, const char *value)
{
	size_t len = strlen(value);

	for (const char *p = choices; *p;) {
		size_t n = strcspn(p, "|");

		if (n == len && memcmp(p, value, n) == 0) {
			return true;
		}
		p += n + (p[n] == '|');
	}
	return false;
}

static bool has_control_characters(const char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f) {
			return true;
		}
	}
	return false;
}

static int set_text(struct option_faults *p, const struct option_spec *o, const char *value)
{
	char *copy;
	size_t len = strlen(value);

	if (len < o->min || len > o->max) {
		options_fault(p, "%s: expected %llu to %llu bytes, got %zu", o->name,
			      (unsigned long long)o->min, (unsigned long long)o->max, len);
		return -EINVAL;
	}
	/* It could not be written back as it is read. */
	if (value[0] == ';' || has_control_characters(value)) {
		options_fault(
			p,
			"%s: expected text without control characters that does not start with ;",
			o->name);
		return -EINVAL;
	}
	if (o->choices && !is_choice(o->choices, value)) {
		options_fault(p, "%s: expected one of %s", o->name, o->choices);
		return -EINVAL;
	}
	copy = strdup(value);
	if (!copy) {
		return -ENOMEM;
	}
	free(*option_text(p->config, o));
	*option_text(p->config, o) = copy;
	return 0;
}

static void clear_list(struct option_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->at[i]);
	}
	memset(l, 0, sizeof *l);
}

static bool begins_with_one_of(const char *choices, const char *value, size_t len)
{
	for (const char *p = choices; *p;) {
		size_t n = strcspn(p, "|");

		if (n < len && memcmp(p, value, n) == 0) {
			return true;
		}
		p += n + (p[n] == '|');
	}
	return false;
}

static int set_list(struct option_faults *p, const struct option_spec *o, const char *value)
{
	struct option_list *l = option_list(p->config, o);

	clear_list(l);
	if (has_control_characters(value)) {
		options_fault(p, "%s: expected text without control characters", o->name);
		return -EINVAL;
	}
	for (const char *at = value + strspn(value, " ,"); *at; at += strspn(at, " ,")) {
		size_t len = strcspn(at, " ,");

		if (len > o->max || (o->choices && !begins_with_one_of(o->choices, at, len))) {
			options_fault(p, "%s: expected%s%s, each at most %llu bytes", o->name,
				      o->choices ? " what begins with " : " texts",
				      o->choices ? o->choices : "", (unsigned long long)o->max);
			return -EINVAL;
		}
		if (l->n == OPTION_LIST_MAX) {
			options_fault(p, "%s: expected at most %d of them", o->name,
				      OPTION_LIST_MAX);
			return -EINVAL;
		}
		l->at[l->n] = strndup(at, len);
		if (!l->at[l->n]) {
			return -ENOMEM;
		}
		l->n++;
		at += len;
	}
	if (l->n == 0 && o->min > 0) {
		options_fault(p, "%s: expected at least one", o->name);
		return -EINVAL;
	}
	return 0;
}

static int set_bool(struct option_faults *p, const struct option_spec *o, const char *value)
{
	if (is_choice("yes|true|on|1", value)) {
		*option_bool(p->config, o) = true;
	} else if (is_choice("no|false|off|0", value)) {
		*option_bool(p->config, o) = false;
	} else {
		options_fault(p, "%s: expected %s", o->name, option_expected(o->kind));
		return -EINVAL;
	}
	return 0;
}

static int set_option(struct option_faults *p, const struct option_spec *o, const char *value)
{
	uint64_t v = 0;
	int r;

	switch (o->kind) {
	case KIND_TEXT:
		return set_text(p, o, value);
	case KIND_LIST:
		return set_list(p, o, value);
	case KIND_BOOL:
		return set_bool(p, o, value);
	default:
		break;
	}
	r = option_parse_number(&v, value, option_units(o->kind));
	if (r == -EINVAL) {
		options_fault(p, "%s: expected %s", o->name, option_expected(o->kind));
		return r;
	}
	if (r < 0 || v < o->min || v > o->max) {
		options_fault(p, "%s: expected %llu to %llu%s", o->name, (unsigned long long)o->min,
			      (unsigned long long)o->max, option_unit_name(o->kind));
		return -EINVAL;
	}
	option_set_number(p->config, o, v);
	return 0;
}

/* ---- a file ---- */

/* inih's reader: one line into buf, NULL at the end. */
static char *next_line(char *buf, int size, void *userdata)
{
	struct option_faults *p = userdata;
	size_t len;

	if (p->error == -E2BIG || !fgets(buf, size, p->file)) {
		return NULL;
	}
	p->line++;
	len = strlen(buf);
	if (len == 0 || (buf[len - 1] != '\n' && !feof(p->file))) {
		/* Also a line with a NUL byte: what follows it can't be told from another line. */
		options_fault(p, "expected lines of at most %d bytes of text; the rest is not read",
			      size - 3);
		p->error = -E2BIG;
		return NULL;
	}
	return buf;
}

/* inih's handler: non-zero = go on. */
static int on_option(void *userdata, const char *section, const char *name, const char *value)
{
	struct option_faults *p = userdata;
	const struct option_table *t = p->table;
	const struct option_spec *elsewhere = NULL;

	if (t->foreign_section && strcmp(section, t->foreign_section) == 0) {
		return 1;
	}
	for (size_t i = 0; i < t->n_rows; i++) {
		const struct option_spec *o = &t->rows[i];

		if (strcmp(o->name, name) != 0) {
			continue;
		}
		if (strcmp(o->section, section) != 0) {
			elsewhere = elsewhere ? elsewhere : o;
			continue;
		}
		if (p->seen[i]) {
			options_fault(p, "%s is set twice", o->name);
		} else {
			p->seen[i] = true;
			if (set_option(p, o, value) == -ENOMEM) {
				p->error = -ENOMEM;
			}
		}
		return 1;
	}
	if (elsewhere) {
		options_fault(p, "%s belongs in section [%s]", name, elsewhere->section);
		return 1;
	}
	options_fault(p, "unknown option in section [%.32s]: %.64s", section, name);
	return 1;
}

static int parse_file(struct option_faults *p)
{
	int r;

	/* inih's settings are globals; these are ours for the whole program. */
	ini_use_stack = false;
	ini_max_line = LINE_BYTES;
	ini_initial_alloc = LINE_BYTES;
	ini_allow_multiline = false;
	r = ini_parse_stream(next_line, p, on_option, p);
	if (r == -2) {
		return -ENOMEM;
	}
	if (p->error == -E2BIG) {
		return p->error = -EINVAL;
	}
	if (r > 0 && p->error == 0) {
		p->line = (unsigned)r;
		options_fault(p, "expected [section], option = value, or a comment");
	}
	if (ferror(p->file)) {
		options_fault(p, "cannot be read");
	}
	return p->error;
}

int options_parse(void **ret, const struct option_table *t, FILE *file, const char *name,
		  FILE *err_out)
{
	struct option_faults p = {.table = t, .file = file, .err_out = err_out, .path = name};
	int r = 0;

	assert(t->n_rows <= OPTIONS_MAX);
	p.config = calloc(1, t->struct_bytes);
	if (!p.config) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < t->n_rows && r == 0; i++) {
		r = set_option(&p, &t->rows[i], t->rows[i].fallback);
	}
	if (r == 0 && file) {
		r = parse_file(&p);
	}
	if (r == 0 && t->check) {
		p.line = 0;
		t->check(p.config, &p);
		r = p.error;
	}
	if (r < 0) {
		options_free(p.config, t);
		return r;
	}
	*ret = p.config;
	return 0;
}

int options_load(void **ret, const struct option_table *t, const char *path, FILE *err_out)
{
	FILE *file;
	int r;

	if (!path) {
		return options_parse(ret, t, NULL, NULL, err_out);
	}
	file = fopen(path, "re");
	if (!file) {
		r = -errno;
		if (err_out) {
			fprintf(err_out, "%s: %s\n", path, strerror(-r));
		}
		return r;
	}
	r = options_parse(ret, t, file, path, err_out);
	fclose(file);
	return r;
}

void *options_free(void *config, const struct option_table *t)
{
	if (!config) {
		return NULL;
	}
	for (size_t i = 0; i < t->n_rows; i++) {
		if (t->rows[i].kind == KIND_TEXT) {
			free(*option_text(config, &t->rows[i]));
		} else if (t->rows[i].kind == KIND_LIST) {
			clear_list(option_list(config, &t->rows[i]));
		}
	}
	free(config);
	return NULL;
}

static void print_value(void *config, const struct option_spec *o, FILE *f)
{
	const struct option_list *l;

	switch (o->kind) {
	case KIND_TEXT:
		fputs(*option_text(config, o), f);
		break;
	case KIND_LIST:
		l = option_list(config, o);
		for (size_t i = 0; i < l->n; i++) {
			fprintf(f, "%s%s", i > 0 ? " " : "", l->at[i]);
		}
		break;
	case KIND_BOOL:
		fputs(*option_bool(config, o) ? "yes" : "no", f);
		break;
	default:
		option_print_number(f, option_number(config, o), option_units(o->kind));
	}
}

void options_print(const void *config, const struct option_table *t, FILE *f)
{
	const char *section = "";

	for (size_t i = 0; i < t->n_rows; i++) {
		const struct option_spec *o = &t->rows[i];

		if (strcmp(section, o->section) != 0) {
			fprintf(f, "%s[%s]\n", i > 0 ? "\n" : "", o->section);
			section = o->section;
		}
		fprintf(f, "%s = ", o->name);
		print_value((void *)(uintptr_t)config, o, f);
		fputc('\n', f);
	}
}

/* ---- reload ---- */

static bool is_same(void *a, void *b, const struct option_spec *o)
{
	const struct option_list *la, *lb;

	switch (o->kind) {
	case KIND_TEXT:
		return strcmp(*option_text(a, o), *option_text(b, o)) == 0;
	case KIND_BOOL:
		return *option_bool(a, o) == *option_bool(b, o);
	case KIND_LIST:
		la = option_list(a, o);
		lb = option_list(b, o);
		if (la->n != lb->n) {
			return false;
		}
		for (size_t i = 0; i < la->n; i++) {
			if (strcmp(la->at[i], lb->at[i]) != 0) {
				return false;
			}
		}
		return true;
	default:
		return option_number(a, o) == option_number(b, o);
	}
}

/* Both are freed later, so what was in one goes to the other. */
static void take(void *config, void *fresh, const struct option_spec *o)
{
	struct option_list l;
	char *text;

	switch (o->kind) {
	case KIND_TEXT:
		text = *option_text(config, o);
		*option_text(config, o) = *option_text(fresh, o);
		*option_text(fresh, o) = text;
		break;
	case KIND_LIST:
		l = *option_list(config, o);
		*option_list(config, o) = *option_list(fresh, o);
		*option_list(fresh, o) = l;
		break;
	case KIND_BOOL:
		*option_bool(config, o) = *option_bool(fresh, o);
		break;
	default:
		option_set_number(config, o, option_number(fresh, o));
	}
}

/* As take(), but both have it then. */
static int copy(void *config, const void *running, const struct option_spec *o)
{
	const struct option_list *l;
	struct option_list fresh = {.n = 0};
	void *from = (void *)(uintptr_t)running;
	char *text;

	switch (o->kind) {
	case KIND_TEXT:
		text = strdup(*option_text(from, o));
		if (!text) {
			return -ENOMEM;
		}
		free(*option_text(config, o));
		*option_text(config, o) = text;
		return 0;
	case KIND_LIST:
		l = option_list(from, o);
		for (; fresh.n < l->n; fresh.n++) {
			fresh.at[fresh.n] = strdup(l->at[fresh.n]);
			if (!fresh.at[fresh.n]) {
				clear_list(&fresh);
				return -ENOMEM;
			}
		}
		clear_list(option_list(config, o));
		*option_list(config, o) = fresh;
		return 0;
	default:
		take(config, from, o);
		return 0;
	}
}

/* Its section too, where the name alone does not tell which it is. */
static void tell_kept(const struct option_table *t, const struct option_spec *o, FILE *err_out)
{
	bool is_ambiguous = false;

	for (size_t i = 0; i < t->n_rows; i++) {
		is_ambiguous |= &t->rows[i] != o && strcmp(t->rows[i].name, o->name) == 0;
	}
	if (err_out) {
		fprintf(err_out, "%s%s%s: changes at the next restart only\n",
			is_ambiguous ? o->section : "", is_ambiguous ? " " : "", o->name);
	}
}

int options_keep(const void *running, void *fresh, const struct option_table *t, const char *name,
		 FILE *kept_out, FILE *err_out)
{
	struct option_faults p = {.table = t, .err_out = err_out, .path = name, .config = fresh};
	int n_kept = 0;

	for (size_t i = 0; i < t->n_rows; i++) {
		const struct option_spec *o = &t->rows[i];

		if (o->reload || is_same((void *)(uintptr_t)running, fresh, o)) {
			continue;
		}
		if (copy(fresh, running, o) < 0) {
			return -ENOMEM;
		}
		n_kept++;
		tell_kept(t, o, kept_out);
	}
	if (n_kept && t->check) {
		t->check(fresh, &p);
	}
	return p.error < 0 ? p.error : n_kept;
}

int options_reload(void *config, void *fresh_take, const struct option_table *t, FILE *err_out)
{
	int n_kept = 0;

	for (size_t i = 0; i < t->n_rows; i++) {
		const struct option_spec *o = &t->rows[i];

		if (is_same(config, fresh_take, o)) {
			continue;
		}
		if (o->reload) {
			take(config, fresh_take, o);
			continue;
		}
		n_kept++;
		tell_kept(t, o, err_out);
	}
	options_free(fresh_take, t);
	return n_kept;
}
