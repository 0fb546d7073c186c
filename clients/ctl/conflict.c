/* SPDX-License-Identifier: Apache-2.0 */
#include "conflict.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 96, DEPTH_MAX = 8 };

/* Told for each leaf that differs; either may be NULL. */
typedef void (*on_difference)(FILE *out, const char *path, const json_t *stored,
			      const json_t *offered);

static void walk(FILE *out, json_t *a, json_t *b, const char *prefix, unsigned depth,
		 on_difference told);

static void compare(FILE *out, json_t *a, json_t *b, const char *prefix, const char *key,
		    unsigned depth, on_difference told)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof path, "%.60s%s%.30s", prefix, *prefix ? "." : "", key);
	if (depth && (json_is_object(a) || json_is_object(b)) && (!a || json_is_object(a)) &&
	    (!b || json_is_object(b)))
		walk(out, a, b, path, depth - 1, told);
	else if (!a || !b || !json_equal(a, b))
		told(out, path, a, b);
}

static void walk(FILE *out, json_t *a, json_t *b, const char *prefix, unsigned depth,
		 on_difference told)
{
	const char *key;
	json_t *v;

	json_object_foreach(a, key, v)
		compare(out, v, json_object_get(b, key), prefix, key, depth, told);
	json_object_foreach(b, key, v) if (!json_object_get(a, key))
		compare(out, NULL, v, prefix, key, depth, told);
}

static void put_name(FILE *out, const char *path, const json_t *stored, const json_t *offered)
{
	(void)stored;
	(void)offered;
	fprintf(out, "%s%s", ftell(out) > 0 ? ", " : "", path);
}

static void put_quoted(FILE *out, const char *text)
{
	putc('\'', out);
	for (; *text; text++)
		if (*text == '\'')
			fputs("'\\''", out);
		else
			putc(*text, out);
	putc('\'', out);
}

static void put_option(FILE *out, const char *path, const json_t *stored, const json_t *offered)
{
	(void)stored;
	if (!offered || !strcmp(path, "uid"))
		return;
	if (json_is_string(offered)) {
		fprintf(out, " --%s ", path);
		put_quoted(out, json_string_value(offered));
	} else if (json_is_integer(offered)) {
		fprintf(out, " --%s %lld", path, (long long)json_integer_value(offered));
	} else if (json_is_boolean(offered)) {
		fprintf(out, " --%s %s", path, json_is_true(offered) ? "true" : "false");
	}
}

/* What `correct` cannot do: take a field away, change the type, or make it another person's. */
static void put_hindrance(FILE *out, const char *path, const json_t *stored, const json_t *offered)
{
	(void)stored;
	if (!offered || !strcmp(path, "type") || !strcmp(path, "person.badge"))
		fprintf(out, "%s%s", ftell(out) > 0 ? ", " : "", path);
}

static char *told_by(json_t *a, json_t *b, const char *before, on_difference told)
{
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	if (!out)
		return NULL;
	fputs(before, out);
	walk(out, a, b, "", DEPTH_MAX, told);
	fclose(out);
	return text;
}

char *conflict_fields(json_t *stored, json_t *offered)
{
	return told_by(stored, offered, "", put_name);
}

char *conflict_command(const char *uid, json_t *stored, json_t *offered)
{
	char *hindrance = told_by(stored, offered, "", put_hindrance), *text = NULL;
	char before[128];

	if (!hindrance)
		return NULL;
	if (*hindrance) {
		if (asprintf(&text,
			     "no correction can take away or change %s: dibaoctl retract %s "
			     "--reason TEXT, "
			     "then publish it under another uid",
			     hindrance, uid) < 0)
			text = NULL;
	} else {
		snprintf(before, sizeof before, "dibaoctl correct %.64s", uid);
		text = told_by(stored, offered, before, put_option);
	}
	free(hindrance);
	return text;
}
