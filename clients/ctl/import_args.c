/* SPDX-License-Identifier: Apache-2.0 */
/* What import is told: which file, read how, into what. */
#include "import_parts.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static const char default_headings[] = "/etc/dibao/headings.tsv";

static int parse_zone(const char *text, int *ret)
{
	char sign;
	int h, m, n = 0;

	if (sscanf(text, "%c%2d:%2d%n", &sign, &h, &m, &n) != 3 || text[n] || h < 0 || h > 14 ||
	    m < 0 || m > 59 || (sign != '+' && sign != '-'))
		return -EINVAL;
	*ret = (sign == '-' ? -1 : 1) * (h * 60 + m);
	return 0;
}

static char *own(struct import_args *a, const char *text)
{
	char *copy = a->n_owned <= IMPORT_SETS_MAX ? strdup(text) : NULL;

	if (copy)
		a->owned[a->n_owned++] = copy;
	return copy;
}

static int add_set(struct import *m, const char *text)
{
	const struct heading *h;
	char *copy, *eq;

	if (m->rules.n_sets == IMPORT_SETS_MAX || !(copy = own(&m->args, text)))
		return ctl_fail(EX_USAGE, "import: too many --set");
	eq = strchr(copy, '=');
	if (!eq)
		return ctl_fail(EX_USAGE, "import: --set: expected FIELD=VALUE");
	*eq = '\0';
	h = headings_find(m->headings, copy);
	if (!h)
		return ctl_fail(EX_USAGE, "import: --set: no such field: %s (see dibaoctl types)",
				copy);
	m->rules.sets[m->rules.n_sets].path = h->path;
	m->rules.sets[m->rules.n_sets++].value = eq + 1;
	return 0;
}

static int add_uid_parts(struct import *m, const char *text)
{
	char *copy = own(&m->args, text), *save = NULL;
	unsigned n = 0;

	if (!copy)
		return EX_OSERR;
	for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		const struct heading *h = headings_find(m->headings, w);

		if (!h || n == IMPORT_UID_PARTS_MAX)
			return ctl_fail(EX_USAGE,
					"import: --uid-from: no such field, or over %d: %s",
					IMPORT_UID_PARTS_MAX, w);
		m->rules.uid_parts[n++] = h->path;
	}
	m->rules.uid_parts[n] = NULL;
	return 0;
}

static int take_separator(struct import_args *a, const char *value)
{
	if (!strcmp(value, "comma") || !strcmp(value, ","))
		a->separator = ',';
	else if (!strcmp(value, "tab"))
		a->separator = '\t';
	else if (!strcmp(value, "semicolon") || !strcmp(value, ";"))
		a->separator = ';';
	else
		return ctl_fail(EX_USAGE, "import: --separator: expected comma, tab or semicolon");
	return 0;
}

static int take_type(struct import *m, const char *value)
{
	const char *meaning = headings_value(m->headings, "type", value);

	m->rules.type = ctl_type_named(meaning ? meaning : value);
	return m->rules.type
		       ? 0
		       : ctl_fail(EX_USAGE, "import: no such type: %s (see dibaoctl types)", value);
}

static int take_value(struct import *m, const char *name, const char *value)
{
	struct import_args *a = &m->args;

	if (!strcmp(name, "--type"))
		return take_type(m, value);
	if (!strcmp(name, "--set"))
		return add_set(m, value);
	else if (!strcmp(name, "--uid-from"))
		return add_uid_parts(m, value);
	else if (!strcmp(name, "--encoding"))
		a->encoding = value;
	else if (!strcmp(name, "--separator"))
		return take_separator(a, value);
	else if (!strcmp(name, "--format"))
		a->format = value;
	else if (!strcmp(name, "--refused"))
		a->refused = value;
	else if (!strcmp(name, "--zone"))
		return parse_zone(value, &m->rules.zone_min) < 0
			       ? ctl_fail(EX_USAGE, "import: --zone: expected +08:00 or the like")
			       : 0;
	else
		return ctl_fail(EX_USAGE, "import: no such option: %s", name);
	return 0;
}

static int load_headings(struct import *m, int argc, char **argv)
{
	struct headings_fault fault;
	const char *path = NULL;
	int r;

	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], "--headings"))
			path = argv[i + 1];
	if (headings_new(&m->headings) < 0)
		return ctl_fail(EX_OSERR, "no memory");
	r = headings_load(m->headings, path ? path : default_headings, &fault);
	if (r == -ENOENT && !path && fault.line == 0)
		return 0;
	if (r < 0 && fault.line)
		return ctl_fail(EX_CONFIG, "%s:%u: %s", fault.file, fault.line, fault.reason);
	return r < 0 ? ctl_fail(EX_NOINPUT, "%s: %s", fault.file, fault.reason) : 0;
}

int import_args_parse(struct import *m, int argc, char **argv)
{
	struct import_args *a = &m->args;
	int r = load_headings(m, argc, argv);

	for (int i = 1; i < argc && r == 0; i++) {
		if (!strcmp(argv[i], "--record"))
			m->rules.record = true;
		else if (!strcmp(argv[i], "--dry-run"))
			a->dry_run = true;
		else if (!strcmp(argv[i], "--print"))
			a->print = true;
		else if (!strcmp(argv[i], "--restart"))
			a->restart = true;
		else if (strncmp(argv[i], "--", 2) != 0) {
			if (a->file)
				r = ctl_fail(EX_USAGE, "import: one file at a time");
			a->file = argv[i];
		} else if (i + 1 == argc)
			r = ctl_fail(EX_USAGE, "import: %s: expected a value", argv[i]);
		else if (!strcmp(argv[i], "--headings"))
			i++;
		else {
			r = take_value(m, argv[i], argv[i + 1]);
			i++;
		}
	}
	if (r == 0 && !a->file)
		r = ctl_fail(EX_USAGE, "import: expected FILE, or - for standard input");
	if (r == 0 && a->format && strcmp(a->format, "table") != 0 &&
	    strcmp(a->format, "json") != 0)
		r = ctl_fail(EX_USAGE, "import: --format: expected table or json");
	return r;
}

void import_args_done(struct import_args *a)
{
	while (a->n_owned)
		free(a->owned[--a->n_owned]);
}

void import_args_key(const struct import *m, uint8_t ret_key[16])
{
	const char separator[] = {m->args.separator, '\0'};
	crypto_generichash_state h;
	uint8_t hash[16];
	const char *const words[] = {m->c->bureau,  m->c->redis,    m->text.encoding,
				     m->rules.type, m->args.format, m->rules.record ? "r" : "",
				     separator};

	crypto_generichash_init(&h, NULL, 0, 16);
	crypto_generichash_update(&h, m->text.hash, sizeof m->text.hash);
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		crypto_generichash_update(&h, (const unsigned char *)(words[i] ? words[i] : ""),
					  words[i] ? strlen(words[i]) + 1 : 1);
	for (unsigned i = 0; i < m->rules.n_sets; i++) {
		const char *v = m->rules.sets[i].value;

		crypto_generichash_update(&h, (const unsigned char *)m->rules.sets[i].path,
					  strlen(m->rules.sets[i].path) + 1);
		crypto_generichash_update(&h, (const unsigned char *)v, strlen(v) + 1);
	}
	for (unsigned i = 0; m->rules.uid_parts[i]; i++)
		crypto_generichash_update(&h, (const unsigned char *)m->rules.uid_parts[i],
					  strlen(m->rules.uid_parts[i]) + 1);
	crypto_generichash_update(&h, (const unsigned char *)&m->rules.zone_min, sizeof(int));
	headings_hash(m->headings, hash);
	crypto_generichash_update(&h, hash, sizeof hash);
	crypto_generichash_final(&h, ret_key, 16);
}
