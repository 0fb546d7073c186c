/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of organisations and the ladder of ranks, from the bureau's tables (config/orgs.tsv,
 * config/ranks.tsv). Either may be missing: an organisation then shows as its code, a rank by the
 * name that its event carries.
 */
#ifndef BOARD_PLACES_H
#define BOARD_PLACES_H

#include "jsonbuf.h"

struct places;

/* Paths "" = none. Faults are told on stderr with file and line. -ENOENT, -EINVAL, ... */
int places_load(struct places **ret, const char *orgs_path, const char *ranks_path);
struct places *places_free(struct places *p);
/* Of a code, a retired one or a prefix; NULL: not known. p may be NULL. */
const char *places_name(const struct places *p, const char *code, size_t len);
/* Is it the table of a demonstration: does a name in it say 演示数据? */
bool places_is_demo(const struct places *p);
/* [{code, name, class}], lowest first. */
void places_ladder(const struct places *p, struct jsonbuf *j);

#endif
