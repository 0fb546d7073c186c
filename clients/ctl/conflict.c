/* SPDX-License-Identifier: Apache-2.0 */
#include "conflict.h"
#include "types.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 96, DEPTH_MAX = 8 };

struct told {
	FILE *out;
	const struct flat *flat; /* of the event's type; NULL: unknown */
};

/* Told for each leaf that differs; either may be NULL. */
typedef void (*on_difference)(struct told *t, const char *path, const json_t *stored,
			      const json_t *offered);

static void walk(struct told *t, json_t *a, json_t *b, const char *prefix, unsigned depth,
		 on_difference tell);

static void compare(struct told *t, json_t *a, json_t *b, const char *prefix, const char *key,
		    unsigned depth, on_difference tell)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof path, "%.60s%s%.30s", prefix, *prefix ? "." : "", key);
	if (depth && (json_is_object(a) || json_is_object(b)) && (!a || json_is_object(a)) &&
	    (!b || json_is_object(b)))
		walk(t, a, b, path, depth - 1, tell);
	else if (!a || !b || !json_equal(a, b))
		tell(t, path, a, b);
}

static void walk(struct told *t, json_t *a, json_t *b, const char *prefix, unsigned depth,
		 on_difference tell)
{
	const char *key;
	json_t *v;

	json_object_foreach(a, key, v)
		compare(t, v, json_object_get(b, key), prefix, key, depth, tell);
	json_object_foreach(b, key, v) if (!json_object_get(a, key))
		compare(t, NULL, v, prefix, key, depth, tell);
}

static void put_name(struct told *t, const char *path, const json_t *stored, const json_t *offered)
{
	(void)stored;
	(void)offered;
	fprintf(t->out, "%s%s", ftell(t->out) > 0 ? ", " : "", path);
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

static void put_option(struct told *t, const char *path, const json_t *stored,
		       const json_t *offered)
{
	if (!strcmp(path, "uid"))
		return;
	/* One that is not there is false. */
	if (!offered && json_is_boolean(stored))
		fprintf(t->out, " --%s false", path);
	if (json_is_string(offered)) {
		fprintf(t->out, " --%s ", path);
		put_quoted(t->out, json_string_value(offered));
	} else if (json_is_integer(offered)) {
		fprintf(t->out, " --%s %lld", path, (long long)json_integer_value(offered));
	} else if (json_is_boolean(offered)) {
		fprintf(t->out, " --%s %s", path, json_is_true(offered) ? "true" : "false");
	}
}

/* Can it be given as an option? */
static bool fits(const struct told *t, const char *path, const json_t *stored,
		 const json_t *offered)
{
	return t->flat && flat_find(t->flat, path) >= 0 &&
	       ((!offered && json_is_boolean(stored)) || json_is_string(offered) ||
		json_is_integer(offered) || json_is_boolean(offered));
}

/* What `correct` cannot do: take a field away, set one that no table knows, change the type, or
 * make it another person's. */
static void put_hindrance(struct told *t, const char *path, const json_t *stored,
			  const json_t *offered)
{
	if (!fits(t, path, stored, offered) || !strcmp(path, "type") ||
	    !strcmp(path, "person.badge"))
		fprintf(t->out, "%s%s", ftell(t->out) > 0 ? ", " : "", path);
}

static char *told_by(json_t *a, json_t *b, on_difference tell)
{
	const char *type = json_string_value(json_object_get(b, "type"));
	int i = type ? dibao_type_find(type, strlen(type)) : -ENOENT;
	struct told t = {.flat = i >= 0 ? types_flat(i) : NULL};
	char *text = NULL;
	size_t n;

	t.out = open_memstream(&text, &n);
	if (!t.out)
		return NULL;
	walk(&t, a, b, "", DEPTH_MAX, tell);
	fclose(t.out);
	return text;
}

char *conflict_fields(json_t *stored, json_t *offered)
{
	return told_by(stored, offered, put_name);
}

static void put_uid(FILE *out, const char *uid)
{
	static const char plain[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "-_.:/@+";

	if (uid[strspn(uid, plain)])
		put_quoted(out, uid);
	else
		fputs(uid, out);
}

char *conflict_command(const char *uid, json_t *stored, json_t *offered)
{
	char *hindrance = told_by(stored, offered, put_hindrance),
	     *options = told_by(stored, offered, put_option), *text = NULL;
	size_t n;
	FILE *out = hindrance && options ? open_memstream(&text, &n) : NULL;

	if (out) {
		if (*hindrance)
			fprintf(out, "no correction can take away or change %s: ", hindrance);
		fprintf(out, "dibaoctl %s ", *hindrance ? "retract" : "correct");
		put_uid(out, uid);
		fputs(*hindrance ? " --reason TEXT, then publish it under another uid" : options,
		      out);
		fclose(out);
	}
	free(hindrance);
	free(options);
	return text;
}
