/* SPDX-License-Identifier: Apache-2.0 */
#include "codes.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LINE_MAX_BYTES = 1024, DRIVER_MAX = 16, CELLS = 5, RETRY_MAX_S = 7 * 86400 };

struct row {
	char driver[DRIVER_MAX], code[CODES_CODE_MAX];
	bool prefix; /* the code ended in * */
	struct code_action action;
	char *meaning; /* owned */
};

struct codes {
	struct row *rows;
	size_t n, cap;
};

static int fail(struct codes_fault *fault, unsigned line, int code, const char *reason)
{
	fault->line = line;
	snprintf(fault->reason, sizeof fault->reason, "%s", reason);
	return code;
}

static bool read_does(char *words, struct code_action *a)
{
	char *save = NULL;
	unsigned n = 0;

	for (char *w = strtok_r(words, ",", &save); w; w = strtok_r(NULL, ",", &save), n++) {
		if (!strcmp(w, "retry"))
			a->retry = true;
		else if (!strcmp(w, "number"))
			a->number = true;
		else if (!strcmp(w, "content"))
			a->content = true;
		else if (!strcmp(w, "stop"))
			a->stop = true;
		else if (!strcmp(w, "other"))
			a->other = true;
		else if (!strcmp(w, "final"))
			a->final = true;
		else if (!strcmp(w, "done"))
			a->done = true;
		else
			return false;
	}
	return n > 0;
}

static const char *check_does(const struct code_action *a, bool has_time)
{
	if (a->done && (a->retry || a->number || a->content || a->stop || a->other || a->final))
		return "done stands alone";
	if (a->other && (a->retry || a->number || a->stop || a->final))
		return "other goes with nothing but content";
	if (a->final && (a->retry || a->stop))
		return "final goes with neither retry nor stop";
	if ((a->retry || a->stop) && !has_time)
		return "retry and stop need retry_after in seconds";
	if (!a->retry && !a->stop && has_time)
		return "retry_after is for retry and stop; else -";
	return NULL;
}

static const struct row *find_exact(const struct codes *c, const struct row *r)
{
	for (size_t i = 0; i < c->n; i++)
		if (!strcmp(c->rows[i].driver, r->driver) &&
		    !strcasecmp(c->rows[i].code, r->code) && c->rows[i].prefix == r->prefix)
			return &c->rows[i];
	return NULL;
}

static int add(struct codes *c, const struct row *r, const char *meaning)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 64;
		struct row *p = realloc(c->rows, cap * sizeof *p);

		if (!p)
			return -ENOMEM;
		c->rows = p;
		c->cap = cap;
	}
	c->rows[c->n] = *r;
	c->rows[c->n].meaning = strdup(meaning);
	if (!c->rows[c->n].meaning)
		return -ENOMEM;
	c->rows[c->n].action.meaning = c->rows[c->n].meaning;
	c->n++;
	return 0;
}

static int read_row(struct codes *c, char *line, unsigned n_line, struct codes_fault *fault)
{
	char *cells[CELLS], *p = line, *end;
	struct row r = {.action.is_known = true};
	const char *why;
	unsigned n = 0;
	long seconds = -1;
	size_t len;

	while (p && n < CELLS) {
		char *tab = n < CELLS - 1 ? strchr(p, '\t') : NULL;

		if (tab)
			*tab++ = '\0';
		cells[n++] = p;
		p = tab;
	}
	if (n < CELLS || !*cells[4])
		return fail(fault, n_line, -EINVAL,
			    "expected driver, code, retry_after, does, meaning, by tabs");
	if (!*cells[0] || strlen(cells[0]) >= DRIVER_MAX)
		return fail(fault, n_line, -EINVAL, "driver: expected a driver's name or *");
	len = strlen(cells[1]);
	if (len && cells[1][len - 1] == '*') {
		r.prefix = true;
		cells[1][--len] = '\0';
	}
	if ((!len && !r.prefix) || len >= CODES_CODE_MAX)
		return fail(fault, n_line, -EINVAL, "code: expected 1 to 63 bytes");
	strcpy(r.driver, cells[0]);
	strcpy(r.code, cells[1]);
	if (strcmp(cells[2], "-") != 0) {
		seconds = strtol(cells[2], &end, 10);
		if (end == cells[2] || *end || seconds < 0 || seconds > RETRY_MAX_S)
			return fail(fault, n_line, -EINVAL,
				    "retry_after: expected seconds, 0 to 604800, or -");
		r.action.retry_after_s = (unsigned)seconds;
	}
	if (!read_does(cells[3], &r.action))
		return fail(fault, n_line, -EINVAL,
			    "does: expected retry, number, content, stop, other, final or done, by "
			    "commas");
	why = check_does(&r.action, seconds >= 0);
	if (why)
		return fail(fault, n_line, -EINVAL, why);
	if (find_exact(c, &r))
		return fail(fault, n_line, -EINVAL, "this driver and code stand above already");
	if (c->n == CODES_MAX)
		return fail(fault, n_line, -EINVAL, "over 2000 codes");
	return add(c, &r, cells[4]) < 0 ? fail(fault, n_line, -ENOMEM, "no memory") : 0;
}

static int read_all(struct codes *c, FILE *f, struct codes_fault *fault)
{
	char line[LINE_MAX_BYTES];
	unsigned n = 0;
	int r = 0;

	while (r == 0 && fgets(line, sizeof line, f)) {
		size_t len = strlen(line);

		n++;
		if (len == sizeof line - 1 && line[len - 1] != '\n')
			return fail(fault, n, -EINVAL, "over 1022 bytes");
		line[strcspn(line, "\r\n")] = '\0';
		if (line[0] == '#' || line[strspn(line, " \t")] == '\0')
			continue;
		r = read_row(c, line, n, fault);
	}
	if (r == 0 && ferror(f))
		return fail(fault, 0, -EIO, "cannot be read");
	return r;
}

int codes_load(struct codes **ret, const char *path, struct codes_fault *fault)
{
	FILE *f = fopen(path, "re");
	struct codes *c;
	int r;

	if (!f)
		return fail(fault, 0, -errno, strerror(errno));
	c = calloc(1, sizeof *c);
	r = c ? read_all(c, f, fault) : fail(fault, 0, -ENOMEM, "no memory");
	fclose(f);
	if (r < 0) {
		codes_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

struct codes *codes_free(struct codes *c)
{
	if (c) {
		for (size_t i = 0; i < c->n; i++)
			free(c->rows[i].meaning);
		free(c->rows);
		free(c);
	}
	return NULL;
}

size_t codes_count(const struct codes *c)
{
	return c->n;
}

/* How well a row fits: 0 not at all; a longer code before a shorter, exact before a prefix, and of
 * equals the driver's own. */
static size_t fit(const struct row *r, const char *driver, const char *code, size_t len)
{
	size_t n = strlen(r->code);
	bool own = !strcmp(r->driver, driver);

	if ((!own && strcmp(r->driver, "*") != 0) || n > len || strncasecmp(r->code, code, n) != 0)
		return 0;
	if (!r->prefix)
		return n == len ? 4 * (size_t)CODES_CODE_MAX + own : 0;
	return 2 * n + 1 + own;
}

struct code_action codes_find(const struct codes *c, const char *driver, const char *code,
			      size_t len)
{
	const struct row *best = NULL;
	size_t most = 0;

	while (len && isspace((unsigned char)code[len - 1]))
		len--;
	for (; len && isspace((unsigned char)*code); len--)
		code++;
	for (size_t i = 0; i < c->n; i++) {
		size_t k = fit(&c->rows[i], driver, code, len);

		if (k > most) {
			most = k;
			best = &c->rows[i];
		}
	}
	return best ? best->action
		    : (struct code_action){.final = true, .meaning = "code not known"};
}
