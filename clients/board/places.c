/* SPDX-License-Identifier: Apache-2.0 */
#include "places.h"

#include "tsv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DISTRICT_DIGITS = 6, CODE_DIGITS = 12 };

struct places {
	struct tsv orgs, ranks;
	int code, name, aliases;			     /* columns of orgs */
	int rank_code, rank_name, rank_class, rank_valid_to; /* of ranks */
};

static int load(struct tsv *ret, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
	int r = dir ? tsv_load(ret, dir, slash ? slash + 1 : path) : -ENOMEM;

	free(dir);
	return r;
}

int places_load(struct places **ret, const char *orgs_path, const char *ranks_path)
{
	struct places *p = calloc(1, sizeof *p);
	int r = 0;

	if (!p)
		return -ENOMEM;
	if (*orgs_path) {
		r = load(&p->orgs, orgs_path);
		if (r == 0 && ((p->code = tsv_column(&p->orgs, "code")) < 0 ||
			       (p->name = tsv_column(&p->orgs, "name")) < 0 ||
			       (p->aliases = tsv_column(&p->orgs, "aliases")) < 0))
			r = -EINVAL;
	}
	if (r == 0 && *ranks_path) {
		r = load(&p->ranks, ranks_path);
		if (r == 0 && ((p->rank_code = tsv_column(&p->ranks, "code")) < 0 ||
			       (p->rank_name = tsv_column(&p->ranks, "name")) < 0 ||
			       (p->rank_class = tsv_column(&p->ranks, "class")) < 0 ||
			       (p->rank_valid_to = tsv_column(&p->ranks, "valid_to")) < 0))
			r = -EINVAL;
	}
	if (r < 0) {
		places_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

struct places *places_free(struct places *p)
{
	if (!p)
		return NULL;
	tsv_done(&p->orgs);
	tsv_done(&p->ranks);
	free(p);
	return NULL;
}

static bool has_alias(const char *aliases, const char *code, size_t len)
{
	for (const char *a = aliases; *a;) {
		size_t n = strcspn(a, ",");

		if (n == len && !memcmp(a, code, n))
			return true;
		a += n + (a[n] == ',');
	}
	return false;
}

static const char *find(const struct places *p, const char *code, size_t len)
{
	for (size_t i = 0; i < p->orgs.n_rows; i++) {
		const char *c = tsv_cell(&p->orgs, i, p->code);

		if ((strlen(c) == len && !memcmp(c, code, len)) ||
		    has_alias(tsv_cell(&p->orgs, i, p->aliases), code, len))
			return tsv_cell(&p->orgs, i, p->name);
	}
	return NULL;
}

const char *places_name(const struct places *p, const char *code, size_t len)
{
	char whole[CODE_DIGITS + 1] = "000000000000";
	const char *name;

	if (!p || len > CODE_DIGITS)
		return NULL;
	name = find(p, code, len);
	if (name)
		return name;
	if (len < CODE_DIGITS) {
		memcpy(whole, code, len);
		return find(p, whole, CODE_DIGITS);
	}
	/* A station that the table does not know is at least its district's. */
	return find(p, code, DISTRICT_DIGITS);
}

bool places_is_demo(const struct places *p)
{
	for (size_t i = 0; p && i < p->orgs.n_rows; i++)
		if (strstr(tsv_cell(&p->orgs, i, p->name), "演示数据"))
			return true;
	return false;
}

void places_ladder(const struct places *p, struct jsonbuf *j)
{
	jsonbuf_open(j, '[');
	for (size_t i = 0; p && i < p->ranks.n_rows; i++) {
		if (*tsv_cell(&p->ranks, i, p->rank_valid_to))
			continue;
		jsonbuf_next(j);
		jsonbuf_open(j, '{');
		jsonbuf_key_text(j, "code", tsv_cell(&p->ranks, i, p->rank_code));
		jsonbuf_key_text(j, "name", tsv_cell(&p->ranks, i, p->rank_name));
		jsonbuf_key_text(j, "class", tsv_cell(&p->ranks, i, p->rank_class));
		jsonbuf_close(j, '}');
	}
	jsonbuf_close(j, ']');
}
