/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done with the table of options: defaults, a file, a print-out, a reload. What involves
 * two options is in check_together().
 *
 * inih splits the lines. Two of its habits are not taken over: it cuts a line
 * longer than its buffer in two and parses the rest as another option, and it
 * reports only the first bad line, without a reason. So the lines are read by
 * next_line(), which counts them and refuses one that does not fit, and every
 * fault is reported here.
 */
#include "config_options.h"

#include "queue.h"
#include "redis_address.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 1024 };

/* ---- faults ---- */

/* One file being read. */
struct parse {
	struct config *config;
	FILE *file, *err_out;
	const char *path;
	unsigned line;
	int error;
	bool seen[CONFIG_OPTIONS_MAX];
};

__attribute__((format(printf, 2, 3))) static void fault(struct parse *p, const char *fmt, ...)
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

static int set_text(struct parse *p, const struct option *o, const char *value)
{
	char *copy;
	size_t len = strlen(value);

	if (len < o->min || len > o->max) {
		fault(p, "%s: expected %llu to %llu bytes, got %zu", o->name,
		      (unsigned long long)o->min, (unsigned long long)o->max, len);
		return -EINVAL;
	}
	/* It could not be written back as it is read. */
	if (value[0] == ';' || has_control_characters(value)) {
		fault(p, "%s: expected text without control characters that does not start with ;",
		      o->name);
		return -EINVAL;
	}
	if (o->choices && !is_choice(o->choices, value)) {
		fault(p, "%s: expected one of %s", o->name, o->choices);
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

static void clear_endpoints(struct config *c)
{
	for (size_t i = 0; i < c->n_endpoints; i++) {
		free(c->endpoints[i]);
		c->endpoints[i] = NULL;
	}
	c->n_endpoints = 0;
}

static int set_endpoints(struct parse *p, const struct option *o, const char *value)
{
	struct config *c = p->config;

	clear_endpoints(c);
	if (has_control_characters(value)) {
		fault(p, "%s: expected text without control characters", o->name);
		return -EINVAL;
	}
	for (const char *at = value + strspn(value, " ,"); *at; at += strspn(at, " ,")) {
		size_t len = strcspn(at, " ,");
		bool known = (len > 6 && memcmp(at, "tcp://", 6) == 0) ||
			     (len > 6 && memcmp(at, "ipc://", 6) == 0);

		if (!known || len > o->max) {
			fault(p,
			      "%s: expected tcp://address:port or ipc://path, each at most %llu "
			      "bytes",
			      o->name, (unsigned long long)o->max);
			return -EINVAL;
		}
		if (c->n_endpoints == CONFIG_ENDPOINTS_MAX) {
			fault(p, "%s: expected at most %d of them", o->name, CONFIG_ENDPOINTS_MAX);
			return -EINVAL;
		}
		c->endpoints[c->n_endpoints] = strndup(at, len);
		if (!c->endpoints[c->n_endpoints]) {
			return -ENOMEM;
		}
		c->n_endpoints++;
		at += len;
	}
	if (c->n_endpoints == 0) {
		fault(p, "%s: expected at least one endpoint", o->name);
		return -EINVAL;
	}
	return 0;
}

static int set_bool(struct parse *p, const struct option *o, const char *value)
{
	if (is_choice("yes|true|on|1", value)) {
		*option_bool(p->config, o) = true;
	} else if (is_choice("no|false|off|0", value)) {
		*option_bool(p->config, o) = false;
	} else {
		fault(p, "%s: expected %s", o->name, option_expected(o->kind));
		return -EINVAL;
	}
	return 0;
}

static int set_option(struct parse *p, const struct option *o, const char *value)
{
	uint64_t v = 0;
	int r;

	switch (o->kind) {
	case KIND_TEXT:
		return set_text(p, o, value);
	case KIND_LIST:
		return set_endpoints(p, o, value);
	case KIND_BOOL:
		return set_bool(p, o, value);
	default:
		break;
	}
	r = option_parse_number(&v, value, option_units(o->kind));
	if (r == -EINVAL) {
		fault(p, "%s: expected %s", o->name, option_expected(o->kind));
		return r;
	}
	if (r < 0 || v < o->min || v > o->max) {
		fault(p, "%s: expected %llu to %llu%s", o->name, (unsigned long long)o->min,
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
	struct parse *p = userdata;
	size_t len;

	if (p->error == -E2BIG || !fgets(buf, size, p->file)) {
		return NULL;
	}
	p->line++;
	len = strlen(buf);
	if (len == 0 || (buf[len - 1] != '\n' && !feof(p->file))) {
		/* Also a line with a NUL byte: what follows it can't be told from another line. */
		fault(p, "expected lines of at most %d bytes of text; the rest is not read",
		      size - 3);
		p->error = -E2BIG;
		return NULL;
	}
	return buf;
}

/* inih's handler: non-zero = go on. */
static int on_option(void *userdata, const char *section, const char *name, const char *value)
{
	struct parse *p = userdata;

	/* dibaoctl's, which reads the same file. */
	if (strcmp(section, "client") == 0) {
		return 1;
	}
	for (size_t i = 0; i < config_n_options; i++) {
		const struct option *o = &config_options[i];

		if (strcmp(o->name, name) != 0) {
			continue;
		}
		if (strcmp(o->section, section) != 0) {
			fault(p, "%s belongs in section [%s]", o->name, o->section);
		} else if (p->seen[i]) {
			fault(p, "%s is set twice", o->name);
		} else {
			p->seen[i] = true;
			if (set_option(p, o, value) == -ENOMEM) {
				p->error = -ENOMEM;
			}
		}
		return 1;
	}
	fault(p, "unknown option in section [%.32s]: %.64s", section, name);
	return 1;
}

static void check_together(struct parse *p)
{
	const struct config *c = p->config;
	struct redis_address address;

	p->line = 0;
	if (queue_bureau_check(c->bureau) < 0) {
		fault(p, "bureau: expected 1 to %d of 0-9, a-z, _ and -", QUEUE_BUREAU_MAX);
	}
	if (redis_address_parse(&address, c->redis) < 0) {
		fault(p, "redis: expected unix:/path or an IP address and a port, ip:port");
	}
	if (c->budget_bytes < c->window_bytes) {
		fault(p, "budget_bytes: expected at least window_bytes");
	}
	if (c->silence_ms <= c->heartbeat_ms) {
		fault(p, "silence_ms: expected more than heartbeat_ms");
	}
	for (size_t i = 0; i < c->n_endpoints; i++) {
		if (strncmp(c->endpoints[i], "tcp://", 6) != 0) {
			continue;
		}
		if (!c->curve_key_file[0] && !c->insecure) {
			fault(p, "endpoints: %s needs curve_key_file, or insecure = yes",
			      c->endpoints[i]);
		} else if (c->curve_key_file[0] && !c->access[0]) {
			fault(p,
			      "curve_key_file: expected access beside it, or nobody could "
			      "connect to %s",
			      c->endpoints[i]);
		}
	}
	if (c->redis_user[0] && !c->redis_password_file[0]) {
		fault(p, "redis_user: expected redis_password_file beside it");
	}
}

static int parse_file(struct parse *p)
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
		fault(p, "expected [section], option = value, or a comment");
	}
	if (ferror(p->file)) {
		fault(p, "cannot be read");
	}
	return p->error;
}

int config_parse(struct config **ret, FILE *file, const char *name, FILE *err_out)
{
	struct parse p = {.file = file, .err_out = err_out, .path = name};
	int r = 0;

	p.config = calloc(1, sizeof *p.config);
	if (!p.config) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < config_n_options && r == 0; i++) {
		r = set_option(&p, &config_options[i], config_options[i].fallback);
	}
	if (r == 0 && file) {
		r = parse_file(&p);
	}
	if (r == 0) {
		check_together(&p);
		r = p.error;
	}
	if (r < 0) {
		config_free(p.config);
		return r;
	}
	*ret = p.config;
	return 0;
}

int config_load(struct config **ret, const char *path, FILE *err_out)
{
	FILE *file;
	int r;

	if (!path) {
		return config_parse(ret, NULL, NULL, err_out);
	}
	file = fopen(path, "re");
	if (!file) {
		r = -errno;
		if (err_out) {
			fprintf(err_out, "%s: %s\n", path, strerror(-r));
		}
		return r;
	}
	r = config_parse(ret, file, path, err_out);
	fclose(file);
	return r;
}

struct config *config_free(struct config *c)
{
	if (!c) {
		return NULL;
	}
	for (size_t i = 0; i < config_n_options; i++) {
		if (config_options[i].kind == KIND_TEXT) {
			free(*option_text(c, &config_options[i]));
		}
	}
	clear_endpoints(c);
	free(c);
	return NULL;
}

static void print_value(const struct config *c, const struct option *o, FILE *f)
{
	switch (o->kind) {
	case KIND_TEXT:
		fputs(*option_text((struct config *)(uintptr_t)c, o), f);
		break;
	case KIND_LIST:
		for (size_t i = 0; i < c->n_endpoints; i++) {
			fprintf(f, "%s%s", i > 0 ? " " : "", c->endpoints[i]);
		}
		break;
	case KIND_BOOL:
		fputs(*option_bool((struct config *)(uintptr_t)c, o) ? "yes" : "no", f);
		break;
	default:
		option_print_number(f, option_number(c, o), option_units(o->kind));
	}
}

void config_print(const struct config *c, FILE *f)
{
	const char *section = "";

	for (size_t i = 0; i < config_n_options; i++) {
		const struct option *o = &config_options[i];

		if (strcmp(section, o->section) != 0) {
			fprintf(f, "%s[%s]\n", i > 0 ? "\n" : "", o->section);
			section = o->section;
		}
		fprintf(f, "%s = ", o->name);
		print_value(c, o, f);
		fputc('\n', f);
	}
}

/* ---- reload ---- */

static bool is_same(struct config *a, struct config *b, const struct option *o)
{
	switch (o->kind) {
	case KIND_TEXT:
		return strcmp(*option_text(a, o), *option_text(b, o)) == 0;
	case KIND_BOOL:
		return *option_bool(a, o) == *option_bool(b, o);
	case KIND_LIST:
		if (a->n_endpoints != b->n_endpoints) {
			return false;
		}
		for (size_t i = 0; i < a->n_endpoints; i++) {
			if (strcmp(a->endpoints[i], b->endpoints[i]) != 0) {
				return false;
			}
		}
		return true;
	default:
		return option_number(a, o) == option_number(b, o);
	}
}

int config_reload(struct config *c, struct config *fresh_take, FILE *err_out)
{
	int n_kept = 0;

	for (size_t i = 0; i < config_n_options; i++) {
		const struct option *o = &config_options[i];

		if (is_same(c, fresh_take, o)) {
			continue;
		}
		if (!o->reload) {
			n_kept++;
			if (err_out) {
				fprintf(err_out, "%s: changes at the next restart only\n", o->name);
			}
		} else if (o->kind == KIND_TEXT) {
			char *old = *option_text(c, o);

			*option_text(c, o) = *option_text(fresh_take, o);
			*option_text(fresh_take, o) = old;
		} else {
			option_set_number(c, o, option_number(fresh_take, o));
		}
	}
	config_free(fresh_take);
	return n_kept;
}
