/* SPDX-License-Identifier: Apache-2.0 */
#include "filter.h"

#include <errno.h>
#include <stdlib.h>

static int compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int c = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return c ? c : (a_len > b_len) - (a_len < b_len);
}

int filter_add_type(struct filter *f, struct dibao_str t)
{
	unsigned i = 0;

	if (t.len == 0 || t.len > FILTER_TYPE_MAX)
		return -EINVAL;
	while (i < f->n_types && compare(f->types[i].name, f->types[i].len, t.p, t.len) < 0)
		i++;
	if (i < f->n_types && !compare(f->types[i].name, f->types[i].len, t.p, t.len))
		return 0;
	memmove(&f->types[i + 1], &f->types[i], (f->n_types - i) * sizeof f->types[0]);
	memcpy(f->types[i].name, t.p, t.len);
	f->types[i].len = (uint8_t)t.len;
	f->n_types++;
	return 0;
}

/* Sorted order puts a prefix right before all that it covers. */
int filter_add_org(struct filter *f, struct dibao_str o)
{
	unsigned i = 0, n;

	if (o.len == 0 || o.len > DIBAO_ORG_BYTES)
		return -EINVAL;
	for (size_t k = 0; k < o.len; k++)
		if (o.p[k] < '0' || o.p[k] > '9')
			return -EINVAL;
	while (i < f->n_orgs && compare(f->orgs[i].code, f->orgs[i].len, o.p, o.len) < 0) {
		if (dibao_org_within(o.p, o.len, f->orgs[i].code, f->orgs[i].len))
			return 0;
		i++;
	}
	for (n = i; n < f->n_orgs && dibao_org_within(f->orgs[n].code, f->orgs[n].len, o.p, o.len);)
		n++;
	memmove(&f->orgs[i + 1], &f->orgs[n], (f->n_orgs - n) * sizeof f->orgs[0]);
	f->n_orgs -= n - i;
	memset(&f->orgs[i], 0, sizeof f->orgs[i]);
	memcpy(f->orgs[i].code, o.p, o.len);
	f->orgs[i].len = (uint8_t)o.len;
	f->n_orgs++;
	return 0;
}

int filter_init(struct filter *f, const struct wire_hello *hello, const char **ret_why)
{
	memset(f, 0, sizeof *f);
	f->public_view = hello->public_view;
	for (unsigned i = 0; i < hello->n_types; i++)
		if (filter_add_type(f, hello->types[i]) < 0) {
			*ret_why = "types: expected names of 1 to 32 bytes";
			return -EINVAL;
		}
	for (unsigned i = 0; i < hello->n_orgs; i++)
		if (filter_add_org(f, hello->orgs[i]) < 0) {
			*ret_why = "orgs: expected codes or prefixes of 1 to 12 digits";
			return -EINVAL;
		}
	return 0;
}

bool filter_equal(const struct filter *a, const struct filter *b)
{
	if (a->public_view != b->public_view || a->mask_names != b->mask_names ||
	    a->n_types != b->n_types || a->n_orgs != b->n_orgs)
		return false;
	for (unsigned i = 0; i < a->n_types; i++)
		if (compare(a->types[i].name, a->types[i].len, b->types[i].name, b->types[i].len))
			return false;
	for (unsigned i = 0; i < a->n_orgs; i++)
		if (compare(a->orgs[i].code, a->orgs[i].len, b->orgs[i].code, b->orgs[i].len))
			return false;
	return true;
}

bool filter_matches(const struct filter *f, struct dibao_str type, const char org[DIBAO_ORG_BYTES])
{
	bool hit = f->n_types == 0;

	for (unsigned i = 0; !hit && i < f->n_types; i++)
		hit = !compare(f->types[i].name, f->types[i].len, type.p, type.len);
	if (!hit)
		return false;
	hit = f->n_orgs == 0;
	for (unsigned i = 0; !hit && i < f->n_orgs; i++)
		hit = dibao_org_within(org, DIBAO_ORG_BYTES, f->orgs[i].code, f->orgs[i].len);
	return hit;
}

uint8_t filter_channels(const struct filter *f)
{
	uint8_t public = 1u << DIBAO_CHANNEL_PUBLIC | 1u << DIBAO_CHANNEL_PUBLIC_NOW;

	return f->public_view
		       ? public
		       : public | 1u << DIBAO_CHANNEL_PRIVATE | 1u << DIBAO_CHANNEL_PRIVATE_NOW;
}
