/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A template of any bytes is compiled or refused. Whatever text it makes of whatever a penalty's
 * name and place are is UTF-8, within the parts that it was compiled for, torn nowhere, and signed
 * once. The input: the template, a NUL, the name, a NUL, the place.
 */
#include "../../clients/sms/template_parts.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The piece up to the next NUL; *data is moved behind it. */
static struct dibao_str piece(const uint8_t **data, size_t *size)
{
	const uint8_t *nul = memchr(*data, 0, *size);
	struct dibao_str s = {(const char *)*data, nul ? (size_t)(nul - *data) : *size};
	size_t taken = s.len + (nul != NULL);

	*data += taken;
	*size -= taken;
	return s;
}

static int build(uint8_t **ret, size_t *ret_len, struct dibao_str name, struct dibao_str place)
{
	static const char *const fixed[][2] = {
		{"uid", "u1"},
		{"at", "1795513600000"},
		{"org", "320508530000"},
		{"issuer", "演示市公安局"},
		{"person.badge", "FJ0013"},
		{"body.kind.code", "P04"},
		{"body.kind.name", "警告"},
		{"body.decided_on", "2026-11-20"},
		{"body.sign_by", "2027-01-30"},
		{"body.appeal_until", "2026-12-31"},
		{"body.telephone", "0512-00000001"},
	};
	struct dibao_builder *b;
	struct dibao_error err;
	int r = dibao_builder_new(&b, "penalty");

	for (size_t i = 0; r == 0 && i < sizeof fixed / sizeof fixed[0]; i++)
		r = dibao_builder_text(b, fixed[i][0], fixed[i][1], &err);
	if (r == 0)
		r = dibao_builder_str(b, "person.name", name.p, name.len);
	if (r == 0)
		r = dibao_builder_str(b, "body.sign_where", place.p, place.len);
	if (r == 0)
		r = dibao_builder_encode(b, ret, ret_len, &err);
	dibao_builder_free(b);
	return r;
}

static void check(const struct template *t, const struct template_text *x)
{
	if (smstext_units(x->text, x->len) != (int)x->units || x->units > t->worst_units ||
	    x->parts > t->max_parts || smstext_is_torn(x->text, x->len, 0) ||
	    strlen(x->text) != x->len || strstr(x->text + strlen("【演示公安】"), "【") ||
	    strchr(x->text, '\n'))
		abort();
	for (unsigned i = 0; i < x->n_vars; i++)
		if (!strstr(x->text, x->vars[i].value) && !strchr(x->text, ' '))
			abort(); /* but for the blank that keeps a character whole */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct templates set = {.front = "【演示公安】", .front_units = 6};
	struct dibao_str text = piece(&data, &size), name = piece(&data, &size),
			 place = piece(&data, &size);
	struct template *t = calloc(1, sizeof *t);
	struct template_text *x = malloc(sizeof *x);
	struct template_fault fault;
	struct dibao_event ev;
	uint8_t *bytes;
	size_t len;

	t->use.type = dibao_type_find("penalty", 7);
	set.n_disclose = text.len % 2;
	strcpy(set.disclose[0], "penalty.*");
	if (template_compile(t, &set, text.p, text.len, &fault) == 0 && !t->none &&
	    build(&bytes, &len, name, place) == 0) {
		if (dibao_event_parse(&ev, bytes, len, NULL) == 0 &&
		    template_render(t, &ev, NULL, x) == 0)
			check(t, x);
		free(bytes);
	}
	free(t);
	free(x);
	return 0;
}
