/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values are kept sorted, headings as they come: they are looked up once a file, not once a row. Of
 * equal headings the one from a file counts more than one from the table of types. A value told in
 * two ways by the tables of codes (one short name of two stations) has no meaning rather than the
 * wrong one.
 */
#include "headings.h"
#include "cell.h"
#include "types.h"

#include <ctype.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = 128, LINE_MAX_BYTES = 4096, CELLS = 16 };

struct named {
	char key[KEY_MAX];
	struct heading heading;
	bool from_file, ambiguous;
};

struct value {
	char *key;     /* path, '\n', word; owned */
	char *meaning; /* owned; NULL = ambiguous */
};

struct headings {
	struct named *named; /* HEADINGS_MAX */
	size_t n_named;
	struct value *values;
	size_t n_values, cap_values;
	bool roster; /* of the roster's fields, not of events' */
};

/* false: too long to be a heading. */
static bool make_key(char key[KEY_MAX], const char *text)
{
	char buf[KEY_MAX * 3];
	size_t n = strlen(text), out = 0;

	if (n >= sizeof buf)
		return false;
	memcpy(buf, text, n + 1);
	n = cell_clean(buf, n, true);
	for (size_t i = 0; i < n; i++) {
		if (strchr(" *:\n\r\t", buf[i]))
			continue;
		if (out == KEY_MAX - 1)
			return false;
		key[out++] = (char)tolower((unsigned char)buf[i]);
	}
	key[out] = '\0';
	return out > 0;
}

static struct named *find(const struct headings *h, const char *key)
{
	for (size_t i = 0; i < h->n_named; i++)
		if (!strcmp(h->named[i].key, key))
			return &h->named[i];
	return NULL;
}

static int add_heading(struct headings *h, const char *text, const struct heading *heading,
		       bool from_file)
{
	struct named *n;
	char key[KEY_MAX];

	if (!make_key(key, text))
		return -EINVAL;
	n = find(h, key);
	if (n && !from_file) {
		n->ambiguous |= strcmp(n->heading.path, heading->path) != 0;
		return 0;
	}
	if (!n) {
		if (h->n_named == HEADINGS_MAX)
			return -ENOBUFS;
		n = &h->named[h->n_named++];
		memcpy(n->key, key, sizeof key);
	} else if (n->from_file && strcmp(n->heading.path, heading->path) != 0) {
		return -EEXIST;
	}
	n->heading = *heading;
	n->from_file = from_file;
	n->ambiguous = false;
	return 0;
}

static int value_key(char *buf, size_t cap, const char *path, const char *word)
{
	char key[KEY_MAX];

	return make_key(key, word) ? snprintf(buf, cap, "%s\n%s", path, key) : -EINVAL;
}

/* The place of a key in the sorted values: where it is, or where it belongs. */
static size_t place(const struct headings *h, const char *key, bool *ret_there)
{
	size_t low = 0, high = h->n_values;

	while (low < high) {
		size_t mid = (low + high) / 2;
		int c = strcmp(h->values[mid].key, key);

		if (c == 0) {
			*ret_there = true;
			return mid;
		}
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*ret_there = false;
	return low;
}

static int add_value(struct headings *h, const char *path, const char *word, const char *meaning)
{
	char key[KEY_MAX + HEADINGS_PATH_MAX + 2];
	struct value v;
	bool there;
	size_t at;

	if (value_key(key, sizeof key, path, word) < 0)
		return -EINVAL;
	at = place(h, key, &there);
	if (there) {
		if (h->values[at].meaning && strcmp(h->values[at].meaning, meaning) != 0) {
			free(h->values[at].meaning);
			h->values[at].meaning = NULL;
		}
		return 0;
	}
	if (h->n_values == HEADINGS_VALUES_MAX)
		return -ENOBUFS;
	if (h->n_values == h->cap_values) {
		size_t cap = h->cap_values ? h->cap_values * 2 : 256;
		struct value *p = realloc(h->values, cap * sizeof *p);

		if (!p)
			return -ENOMEM;
		h->values = p;
		h->cap_values = cap;
	}
	v = (struct value){.key = strdup(key), .meaning = strdup(meaning)};
	if (!v.key || !v.meaning) {
		free(v.key);
		free(v.meaning);
		return -ENOMEM;
	}
	memmove(h->values + at + 1, h->values + at, (h->n_values - at) * sizeof v);
	h->values[at] = v;
	h->n_values++;
	return 0;
}

/* ---- from the table of types ---- */

/* Short texts are identifiers, in which full width is a slip of the keyboard. */
static bool is_narrow(const struct dibao_field_spec *f)
{
	return f->kind != DIBAO_KIND_STR || f->max <= (int64_t)DIBAO_UID_MAX_BYTES;
}

static void add_field(struct headings *h, const struct dibao_field_spec *parent,
		      const struct dibao_field_spec *f, const char *path)
{
	struct heading g = {.narrow = is_narrow(f)};
	char both[KEY_MAX];

	snprintf(g.path, sizeof g.path, "%s", path);
	add_heading(h, path, &g, false);
	if (!parent) {
		add_heading(h, f->name, &g, false);
		add_heading(h, f->zh, &g, false);
		return;
	}
	/* A code and its name: 新层级代码, 新层级名称, and 新层级 alone is the name. */
	snprintf(both, sizeof both, "%s%s", parent->zh, f->zh);
	add_heading(h, both, &g, false);
	snprintf(both, sizeof both, "%s %s", parent->name, f->name);
	add_heading(h, both, &g, false);
	if (!strcmp(f->name, "name")) {
		add_heading(h, parent->zh, &g, false);
		add_heading(h, parent->name, &g, false);
	}
}

static void add_choices(struct headings *h, const struct dibao_field_spec *f, const char *path)
{
	if (f->kind == DIBAO_KIND_CHOICE && !strcmp(f->choices, "proposed|final")) {
		add_value(h, path, "公示", "proposed");
		add_value(h, path, "公示中", "proposed");
		add_value(h, path, "正式", "final");
		add_value(h, path, "已生效", "final");
	}
}

/* depth: person and body are rooms, what is a map inside them is a code with its name. */
static void add_fields(struct headings *h, const struct dibao_field_spec *parent,
		       const struct dibao_field_spec *f, const char *prefix, unsigned depth)
{
	char path[HEADINGS_PATH_MAX];

	for (; f->name; f++) {
		snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", f->name);
		if (f->kind == DIBAO_KIND_MAP) {
			add_fields(h, depth ? f : NULL, f->fields, path, depth + 1);
		} else if (f->kind != DIBAO_KIND_ANY) {
			add_field(h, parent, f, path);
			add_choices(h, f, path);
		}
	}
}

static struct headings *headings_empty(void)
{
	struct headings *h = calloc(1, sizeof *h);

	if (h)
		h->named = calloc(HEADINGS_MAX, sizeof *h->named);
	if (h && h->named)
		return h;
	free(h);
	return NULL;
}

int headings_new(struct headings **ret)
{
	struct headings *h = headings_empty();
	const struct heading skip = {0};
	const struct dibao_type_spec *t;
	size_t n;

	if (!h)
		return -ENOMEM;
	t = dibao_types(&n);
	add_fields(h, NULL, dibao_envelope(), "", 0);
	for (size_t i = 0; i < n; i++) {
		add_fields(h, NULL, t[i].body, "body", 1);
		add_value(h, "type", t[i].zh, t[i].name);
	}
	/* What import itself puts behind the rows that it refuses. */
	add_heading(h, "refused_line", &skip, true);
	add_heading(h, "refused_why", &skip, true);
	*ret = h;
	return 0;
}

/* ---- of the roster ---- */

static const struct {
	const char *path, *zh;
	const char
		*event_path; /* under which the file's headings name it; NULL: by `roster` only */
	bool narrow;
} roster_fields[] = {
	{"badge", "辅警编号", "person.badge", true}, {"name", "姓名", "person.name", false},
	{"phone", "手机号码", NULL, true},	     {"org", "机构代码", "org", true},
	{"unit", "部门", "person.unit", false},	     {"active", "状态", NULL, true},
	{"left_on", "离职日期", NULL, true},	     {"opted_out", "不接收短信", NULL, true},
};

int headings_new_roster(struct headings **ret)
{
	static const char *const words[][2] = {{"在职", "yes"}, {"在岗", "yes"}, {"离职", "no"},
					       {"离岗", "no"},	{"退休", "no"},	 {"辞职", "no"},
					       {"辞退", "no"},	{"调离", "no"},	 {"解聘", "no"}};
	struct headings *h = headings_empty();
	const struct heading skip = {0};
	const struct dibao_type_spec *t;
	size_t n;

	if (!h)
		return -ENOMEM;
	h->roster = true;
	for (size_t i = 0; i < sizeof roster_fields / sizeof roster_fields[0]; i++) {
		struct heading g = {.narrow = roster_fields[i].narrow};

		snprintf(g.path, sizeof g.path, "%s", roster_fields[i].path);
		add_heading(h, roster_fields[i].path, &g, false);
		add_heading(h, roster_fields[i].zh, &g, false);
	}
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		add_value(h, "active", words[i][0], words[i][1]);
	t = dibao_types(&n);
	for (size_t i = 0; i < n; i++)
		add_value(h, "opted_out", t[i].zh, t[i].name);
	add_heading(h, "refused_line", &skip, true);
	add_heading(h, "refused_why", &skip, true);
	*ret = h;
	return 0;
}

/* What an event's field is in a roster; NULL: nothing. */
static const char *roster_path(const char *event_path)
{
	for (size_t i = 0; i < sizeof roster_fields / sizeof roster_fields[0]; i++)
		if (roster_fields[i].event_path && !strcmp(roster_fields[i].event_path, event_path))
			return roster_fields[i].path;
	return NULL;
}

struct headings *headings_free(struct headings *h)
{
	if (h) {
		for (size_t i = 0; i < h->n_values; i++) {
			free(h->values[i].key);
			free(h->values[i].meaning);
		}
		free(h->values);
		free(h->named);
		free(h);
	}
	return NULL;
}

static void put(crypto_generichash_state *s, const char *text)
{
	crypto_generichash_update(s, (const unsigned char *)text, strlen(text) + 1);
}

void headings_hash(const struct headings *h, uint8_t ret_hash[16])
{
	crypto_generichash_state s;

	crypto_generichash_init(&s, NULL, 0, 16);
	for (size_t i = 0; i < h->n_named; i++) {
		const struct named *n = &h->named[i];

		put(&s, n->key);
		put(&s, n->ambiguous ? "?" : n->heading.path);
		put(&s, n->heading.yuan ? "yuan" : n->heading.narrow ? "narrow" : "");
	}
	for (size_t i = 0; i < h->n_values; i++) {
		put(&s, h->values[i].key);
		put(&s, h->values[i].meaning ? h->values[i].meaning : "");
	}
	crypto_generichash_final(&s, ret_hash, 16);
}

const struct heading *headings_find(const struct headings *h, const char *text)
{
	const struct named *n;
	char key[KEY_MAX];

	n = make_key(key, text) ? find(h, key) : NULL;
	return n && !n->ambiguous ? &n->heading : NULL;
}

const char *headings_value(const struct headings *h, const char *path, const char *text)
{
	char key[KEY_MAX + HEADINGS_PATH_MAX + 2];
	bool there = false;
	size_t at;

	if (value_key(key, sizeof key, path, text) < 0)
		return NULL;
	at = place(h, key, &there);
	return there ? h->values[at].meaning : NULL;
}

/* ---- from files ---- */

static unsigned split(char *line, char **cells)
{
	unsigned n = 0;

	line[strcspn(line, "\r\n")] = '\0';
	for (char *p = line; p && n < CELLS; n++) {
		char *tab = strchr(p, '\t');

		if (tab)
			*tab++ = '\0';
		cells[n] = p;
		p = tab;
	}
	for (unsigned i = n; i < CELLS; i++)
		cells[i] = (char *)(uintptr_t) "";
	return n;
}

static int fail(struct headings_fault *fault, const char *file, unsigned line, int code,
		const char *reason)
{
	snprintf(fault->file, sizeof fault->file, "%s", file);
	snprintf(fault->reason, sizeof fault->reason, "%s", reason);
	fault->line = line;
	return code;
}

static int column(char **cells, unsigned n, const char *name)
{
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(cells[i], name))
			return (int)i;
	return -1;
}

static int add_code(struct headings *h, const char *path, const char *code, char *words)
{
	char *save = NULL;
	int r = 0;

	for (char *w = strtok_r(words, ",", &save); w && r == 0; w = strtok_r(NULL, ",", &save))
		r = add_value(h, path, w, code);
	return r;
}

/* A table of codes under config/: a row of headings, then code, name, and perhaps short, aliases.
 */
static int load_codes(struct headings *h, const char *path, const char *file,
		      struct headings_fault *fault)
{
	static const char *const wanted[] = {"code", "name", "short", "aliases"};
	char line[LINE_MAX_BYTES], *cells[CELLS];
	int at[4] = {-1, -1, -1, -1}, r = 0;
	FILE *f = fopen(file, "re");
	unsigned n = 0, k;

	if (!f)
		return fail(fault, file, 0, -errno, strerror(errno));
	while (r == 0 && fgets(line, sizeof line, f)) {
		n++;
		if (line[0] == '#' || line[strspn(line, " \t\r\n")] == '\0')
			continue;
		k = split(line, cells);
		if (at[0] < 0) {
			for (int i = 0; i < 4; i++)
				at[i] = column(cells, k, wanted[i]);
			if (at[0] < 0 || at[1] < 0)
				r = fail(fault, file, n, -EINVAL, "expected columns code and name");
			continue;
		}
		for (int i = 1; i < 4 && r == 0; i++)
			if (at[i] >= 0)
				r = add_code(h, path, cells[at[0]], cells[at[i]]);
		if (r < 0)
			fail(fault, file, n, r,
			     r == -ENOMEM ? "no memory" : "too many, or too long, names");
	}
	fclose(f);
	return r;
}

/* A row as it is for a roster, or false: it is about events alone. */
static bool take_for_roster(char **c)
{
	const char *path;

	if (!strncmp(c[0], "roster", 6))
		return true;
	if (!strcmp(c[0], "heading") && !strcmp(c[2], "-"))
		return true;
	path = roster_path(!strcmp(c[0], "heading") ? c[2] : c[1]);
	if (!path)
		return false;
	c[!strcmp(c[0], "heading") ? 2 : 1] = (char *)(uintptr_t)path;
	return true;
}

static int load_row(struct headings *h, char **c, const char *file, unsigned line,
		    struct headings_fault *fault)
{
	struct heading g = {.narrow = !strcmp(c[3], "narrow"), .yuan = !strcmp(c[3], "yuan")};
	const char *slash = strrchr(file, '/');
	const struct heading *known;
	char path[400];
	int r;

	if (h->roster && !take_for_roster(c))
		return 0;
	if (!strcmp(c[0], "table")) {
		snprintf(path, sizeof path, "%.*s%s", slash ? (int)(slash - file + 1) : 0, file,
			 c[2]);
		return load_codes(h, c[1], path, fault);
	}
	if (!strcmp(c[0], "roster-value") || (!h->roster && !strcmp(c[0], "roster")))
		r = h->roster ? add_value(h, c[1], c[2], c[3]) : 0;
	else if (!strcmp(c[0], "value"))
		r = add_value(h, c[1], c[2], c[3]);
	else if (strcmp(c[0], "heading") != 0 && strcmp(c[0], "roster") != 0)
		return fail(fault, file, line, -EINVAL,
			    "expected heading, value, table, roster or roster-value");
	else if (!strcmp(c[2], "-"))
		r = add_heading(h, c[1], &g, true);
	else {
		known = headings_find(h, c[2]);
		if (!known || strcmp(known->path, c[2]) != 0)
			return fail(fault, file, line, -EINVAL,
				    "no such field (see dibaoctl types)");
		if (*c[3] && !g.narrow && !g.yuan)
			return fail(fault, file, line, -EINVAL, "expected narrow, yuan or nothing");
		memcpy(g.path, known->path, sizeof g.path);
		g.narrow |= known->narrow;
		r = add_heading(h, c[1], &g, true);
	}
	return r == 0 ? 0
	       : r == -EEXIST
		       ? fail(fault, file, line, r, "this heading stands above for another field")
		       : fail(fault, file, line, r, "too long, empty, or too many");
}

int headings_load(struct headings *h, const char *path, struct headings_fault *fault)
{
	char line[LINE_MAX_BYTES], *cells[CELLS];
	FILE *f = fopen(path, "re");
	unsigned n = 0;
	int r = 0;

	if (!f)
		return fail(fault, path, 0, -errno, strerror(errno));
	while (r == 0 && fgets(line, sizeof line, f)) {
		n++;
		if (line[0] == '#' || line[strspn(line, " \t\r\n")] == '\0')
			continue;
		split(line, cells);
		r = load_row(h, cells, path, n, fault);
	}
	fclose(f);
	return r;
}
