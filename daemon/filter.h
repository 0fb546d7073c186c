/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which events a session gets: types and organisations (codes or prefixes), in which view. Pure.
 * Sessions with equal filters share a lane, so a filter is kept in canonical form: sorted, without
 * doubles and without organisations that another one covers.
 */
#ifndef DAEMON_FILTER_H
#define DAEMON_FILTER_H

#include "wire.h"

enum { FILTER_TYPE_MAX = 32 };

struct filter {
	bool public_view;
	bool mask_names;  /* 张* in the public view */
	unsigned n_types; /* 0: all, unknown types included */
	unsigned n_orgs;  /* 0: all */
	struct {
		uint8_t len;
		char name[FILTER_TYPE_MAX];
	} types[WIRE_TYPES_MAX];
	struct {
		uint8_t len;
		char code[DIBAO_ORG_BYTES];
	} orgs[WIRE_ORGS_MAX];
};

/* Keep the canonical form. At most WIRE_TYPES_MAX, WIRE_ORGS_MAX: the caller's to see to.
 * -EINVAL: not 1 to 32 bytes, not 1 to 12 digits. */
int filter_add_type(struct filter *f, struct dibao_str t);
int filter_add_org(struct filter *f, struct dibao_str o);
/* From what a HELLO asks. -EINVAL: a type is empty or over 32 bytes, an organisation is not 1..12
 * digits; *ret_why (static) says which. */
int filter_init(struct filter *f, const struct wire_hello *hello, const char **ret_why);
bool filter_equal(const struct filter *a, const struct filter *b);
bool filter_matches(const struct filter *f, struct dibao_str type, const char org[DIBAO_ORG_BYTES]);
/* The channels that such a session is attached to, bit i = enum dibao_channel i. */
uint8_t filter_channels(const struct filter *f);

#endif
