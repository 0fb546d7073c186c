/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The roster as a personnel system would export it: CSV (RFC 4180, UTF-8
 * without BOM, LF) or JSON lines, with English or Chinese headings.
 */
#ifndef SEEDS_ROSTER_H
#define SEEDS_ROSTER_H

#include "people.h"

#include <stdio.h>

struct roster_options {
	uint64_t seed;
	uint32_t size;
	int year;
	bool json, chinese; /* chinese: headings of CSV, and 在职 or 离职 for `active` */
};

/* 0, -EPIPE when the reader went away, -ENOMEM. */
int roster_print(const struct tables *t, const struct texts *x, const struct roster_options *o,
		 FILE *f);

#endif
