/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seeds' own random numbers: SplitMix64, so that a seed number gives the
 * same people and events on every machine and libc, for good. Changing this
 * file changes all seed data.
 *
 * A sequence can be started from a seed and two labels (say "person" and 17),
 * so that one person does not depend on how many were made before. Not for
 * anything secret.
 */
#ifndef SEEDS_RANDOM_H
#define SEEDS_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct random {
	uint64_t state;
};

static inline uint64_t random_next(struct random *r)
{
	uint64_t z = (r->state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* The sequence of (seed, what, which). */
static inline struct random random_start(uint64_t seed, const char *what, uint64_t which)
{
	struct random r = {.state = seed};
	uint64_t h = random_next(&r);

	for (; *what; what++)
		h = (h ^ (uint8_t)*what) * 0x100000001b3u;
	r.state = h ^ (which * 0xd6e8feb86659fd93u);
	random_next(&r);
	return r;
}

/* 0 .. n-1; n ≥ 1. The bias of the modulus is below n / 2^64. */
static inline uint64_t random_below(struct random *r, uint64_t n)
{
	return random_next(r) % n;
}

static inline bool random_permille(struct random *r, unsigned permille)
{
	return random_below(r, 1000) < permille;
}

#endif
