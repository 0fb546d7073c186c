/* SPDX-License-Identifier: Apache-2.0 */
#include "template_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct maker {
	const struct template *t;
	const struct dibao_event *ev;
	const struct roster_person *person;
	struct template_text *out;
	size_t n_scratch;
};

static int append(struct template_text *out, const char *p, size_t len)
{
	if (out->len + len >= sizeof out->text)
		return -EINVAL;
	memcpy(out->text + out->len, p, len);
	out->len += len;
	return 0;
}

static int append_field(struct maker *m, const struct piece *p)
{
	struct template_text *out = m->out;
	char value[DIBAO_EVENT_MAX_BYTES + 4];
	char *kept = out->scratch + m->n_scratch;
	int n = template_field_value(&p->field, m->ev, m->person, value, DIBAO_EVENT_MAX_BYTES);
	size_t len;

	if (n < 0)
		return -EINVAL;
	len = smstext_cut(value, (size_t)n, p->field.max_units);
	if (out->n_vars == TEMPLATE_VARS_MAX || len + 1 > sizeof out->scratch - m->n_scratch)
		return -EINVAL;
	memcpy(kept, value, len);
	kept[len] = '\0';
	m->n_scratch += len + 1;
	out->vars[out->n_vars].name = p->text;
	out->vars[out->n_vars++].value = kept;
	return append(out, value, len);
}

/* Every field of the group is there. */
static bool is_whole(const struct maker *m, unsigned group)
{
	char value[DIBAO_EVENT_MAX_BYTES];

	for (unsigned i = 0; i < m->t->n_pieces; i++) {
		const struct piece *p = &m->t->pieces[i];

		if (p->group == group && p->is_field &&
		    template_field_value(&p->field, m->ev, m->person, value, sizeof value) < 0)
			return false;
	}
	return true;
}

int template_render(const struct template *t, const struct dibao_event *ev,
		    const struct roster_person *person, struct template_text *ret)
{
	struct maker m = {.t = t, .ev = ev, .person = person, .out = ret};
	unsigned group = 0;
	bool is_in = true;
	int r, units;

	ret->len = 0;
	ret->n_vars = 0;
	if (t->none)
		return -EINVAL;
	r = append(ret, t->front, strlen(t->front));
	for (unsigned i = 0; i < t->n_pieces && r == 0; i++) {
		const struct piece *p = &t->pieces[i];

		if (p->group != group) {
			group = p->group;
			is_in = group == 0 || is_whole(&m, group);
		}
		if (is_in)
			r = p->is_field ? append_field(&m, p) : append(ret, p->text, p->len);
	}
	if (r == 0 && smstext_settle(ret->text, &ret->len, sizeof ret->text, t->before) < 0)
		r = -EINVAL;
	if (r < 0)
		return r;
	ret->text[ret->len] = '\0';
	units = smstext_units(ret->text, ret->len);
	if (units < 0)
		return -EINVAL;
	ret->units = (unsigned)units + t->before;
	ret->parts = smstext_parts(ret->units);
	return 0;
}
