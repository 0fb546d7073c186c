/* SPDX-License-Identifier: Apache-2.0 */
/* types: the table, as a person or a script wants it. */
#include "ctl.h"

#include <jansson.h>
#include <string.h>

static const char *kind_name(enum dibao_kind k)
{
	static const char *const names[] = {"text", "integer", "time",	 "date", "bool",
					    "hex",  "choice",  "digits", "map",	 "any"};

	return names[k];
}

static void print_fields(const struct dibao_field_spec *f, const char *path)
{
	char here[64];

	for (; f->name; f++) {
		snprintf(here, sizeof here, "%s%s%s", path, *path ? "." : "", f->name);
		if (f->kind == DIBAO_KIND_MAP) {
			print_fields(f->fields, here);
			continue;
		}
		printf("  --%-26s %-8s %s %s; %s%s%s\n", here, kind_name(f->kind),
		       f->flags & DIBAO_FIELD_REQUIRED ? "required" : "        ", f->zh, f->doc,
		       f->choices ? ": " : "", f->choices ? f->choices : "");
	}
}

static json_t *fields_json(const struct dibao_field_spec *f, const char *path, json_t *list)
{
	char here[64];
	json_t *row;

	for (; f->name; f++) {
		snprintf(here, sizeof here, "%s%s%s", path, *path ? "." : "", f->name);
		if (f->kind == DIBAO_KIND_MAP) {
			fields_json(f->fields, here, list);
			continue;
		}
		row = json_pack("{s:s, s:s, s:b, s:b, s:s, s:s}", "field", here, "kind",
				kind_name(f->kind), "required", !!(f->flags & DIBAO_FIELD_REQUIRED),
				"public", !!(f->flags & DIBAO_FIELD_PUBLIC), "zh", f->zh, "doc",
				f->doc);
		if (f->choices) {
			json_object_set_new(row, "choices", json_string(f->choices));
		} else if (f->max) {
			json_object_set_new(row, "min", json_integer(f->min));
			json_object_set_new(row, "max", json_integer(f->max));
		}
		json_array_append_new(list, row);
	}
	return list;
}

static void print_type(const struct dibao_type_spec *t)
{
	printf("\n%s (%s): %s, %s\n", t->name, t->zh, t->doc,
	       t->audience == DIBAO_AUDIENCE_PUBLIC ? "public unless private" : "private");
	print_fields(t->body, "body");
}

const char *ctl_type_named(const char *word)
{
	const struct dibao_type_spec *t;
	size_t n;

	t = dibao_types(&n);
	for (size_t i = 0; i < n; i++)
		if (!strcmp(word, t[i].name) || !strcmp(word, t[i].zh))
			return t[i].name;
	return NULL;
}

void ctl_types_help(const char *type)
{
	const char *name = type ? ctl_type_named(type) : NULL;
	size_t n;
	const struct dibao_type_spec *t = dibao_types(&n);
	int one = name ? dibao_type_find(name, strlen(name)) : -1;

	if (one >= 0) {
		puts("\nevery event:");
		print_fields(dibao_envelope(), "");
		print_type(&t[one]);
		return;
	}
	puts("\nTypes; --type TYPE --help shows one's fields:");
	for (size_t i = 0; i < n; i++)
		printf("  %-16s %s, %s\n", t[i].name, t[i].zh, t[i].doc);
}

int ctl_types(struct ctl *c, int argc, char **argv)
{
	size_t n;
	const struct dibao_type_spec *t = dibao_types(&n);

	if (argc > 1)
		return ctl_fail(EX_USAGE, "types: unexpected argument: %s", argv[1]);
	if (!c->json) {
		puts("every event:");
		print_fields(dibao_envelope(), "");
	}
	for (size_t i = 0; i < n; i++) {
		json_t *j;

		if (!c->json) {
			print_type(&t[i]);
			continue;
		}
		j = json_pack("{s:s, s:s, s:s, s:b, s:o}", "type", t[i].name, "zh", t[i].zh, "doc",
			      t[i].doc, "public", t[i].audience == DIBAO_AUDIENCE_PUBLIC, "fields",
			      fields_json(t[i].body, "body",
					  fields_json(dibao_envelope(), "", json_array())));
		ctl_put_json(j);
	}
	return 0;
}
