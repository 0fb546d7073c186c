/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A year's events in the proportions of seeds/figures.tsv, in the order of
 * time: promotions in two batches, each district's under one document number
 * after a public notice; awards, on the spot or on the kind's days, the higher
 * after a notice; penalties, visits, letters; and a few taken back or
 * corrected. With fewer people than the whole roster the counts shrink alike.
 *
 * About 30,000 lines for the whole roster, all held in memory (some 30 MiB)
 * until they are sorted.
 */
#ifndef SEEDS_YEAR_H
#define SEEDS_YEAR_H

#include "events.h"

#include <stdio.h>

/* 0, -EPIPE when the reader went away, -ENOMEM, -EINVAL. */
int year_print(struct maker *m, FILE *f);

#endif
