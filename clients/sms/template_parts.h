/* SPDX-License-Identifier: Apache-2.0 */
/* A template inside; for template*.c alone. */
#ifndef SMS_TEMPLATE_PARTS_H
#define SMS_TEMPLATE_PARTS_H

#include "template.h"

enum {
	BODY_BYTES_MAX = 4096,
	PIECES_MAX = 64,
	CARRIERS_MAX = 8,
	WORD_MAX = 33,
	NAME_MAX_BYTES = 128,
	DISCLOSE_MAX = 64
};

/* How a value is shown. */
enum show {
	SHOW_TEXT,
	SHOW_DATE, /* "2026-11-30" */
	SHOW_TIME, /* Unix ms */
	SHOW_YUAN, /* fen */
	SHOW_NUMBER,
};

struct template_field {
	char path[64]; /* in the event; "person.name" is the roster's */
	enum show show;
	unsigned max_units;
	bool optional;	 /* the event may lack it */
	bool is_private; /* to be switched on */
};

struct piece {
	bool is_field;
	const char *text; /* of a field its name; into the template's body */
	size_t len;
	struct template_field field;
	unsigned group; /* [ ]: its number; 0 = in none */
};

struct carrier {
	char gateway[WORD_MAX], id[WORD_MAX];
};

/* What a template is for. */
struct template_use {
	int type;
	enum template_act act;
	bool proposed, final; /* neither: any state */
	bool is_private;
	char kind[WORD_MAX]; /* ""; any */
};

struct template
{
	char name[NAME_MAX_BYTES], version[TEMPLATE_VERSION_BYTES];
	struct template_use use;
	bool none;
	unsigned max_parts, worst_units;
	struct carrier carriers[CARRIERS_MAX];
	unsigned n_carriers;
	char body[BODY_BYTES_MAX]; /* what the pieces point into */
	size_t n_body;
	struct piece pieces[PIECES_MAX];
	unsigned n_pieces;
	char names[TEMPLATE_VARS_MAX]
		  [WORD_MAX]; /* of fields, NUL-terminated, in the body's order */
	/* The set's, borrowed. */
	const char *front; /* "【...】" unless the gateway signs, then 演示： */
	unsigned before;   /* units that the gateway puts in front */
};

struct templates {
	struct template *at[TEMPLATE_FILES_MAX];
	unsigned n;
	unsigned n_refs; /* beyond the first */
	char signature[128];
	bool gateway_signs;
	char front[256];
	unsigned front_units; /* signature and front, wherever they come from */
	unsigned before;
	char disclose[DISCLOSE_MAX][2 * WORD_MAX];
	unsigned n_disclose;
	char gateways[CARRIERS_MAX][WORD_MAX];
	unsigned n_gateways;
};

/* template_field.c: the field of that name, for that use. 0, -ENOENT. */
int template_field_find(struct template_field *ret, const struct template_use *use,
			const char *name, size_t len);
/* Names of the fields there are, " name badge ...", for a message. */
void template_field_names(const struct template_use *use, char *buf, size_t cap);
/* The value as shown, cleaned, before any cut; buf has room for an event. Its length, -ENOENT. */
int template_field_value(const struct template_field *f, const struct dibao_event *ev,
			 const struct roster_person *person, char *buf, size_t cap);

/* template_compile.c: reads a file's text into t, whose name and use are set. 0; -EINVAL, and line,
 * column and reason of *fault are set. */
int template_compile(struct template *t, const struct templates *set, const char *text, size_t len,
		     struct template_fault *fault);

/* Sets line, column and reason; returns -EINVAL. */
int template_fail(struct template_fault *fault, unsigned line, unsigned column, const char *fmt,
		  ...) __attribute__((format(printf, 4, 5)));

#endif
