/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The invented auxiliaries. Number i of seed s is the same person whatever the
 * size of the roster, so a roster of 100 is the head of one of 42,000, and
 * nobody need be kept in memory.
 *
 * Phone numbers pass the roster's check (11 digits, 1[3-9]) and cannot be real:
 * all begin with 154, a block that the numbering plan gives to no operator.
 * China reserves no numbers for fiction, so look again before sending anything
 * through a real gateway; dibao-sms refuses one for the demonstration bureau.
 * Office telephones begin with 0 after the area code, which no number does.
 */
#ifndef SEEDS_PEOPLE_H
#define SEEDS_PEOPLE_H

#include "texts.h"

struct person {
	uint32_t number;
	char badge[16];
	char name[96];
	char phone[12];
	const struct org *org;
	char unit[96];
	const struct post *post;
	int32_t since; /* day of joining */
	int32_t lag;   /* years behind the ladder */
	bool active;
};

/* year: that in which the roster is looked at; all joined before it. */
void people_make(struct person *ret, const struct tables *t, const struct texts *x, uint64_t seed,
		 int year, uint32_t number);

/* Rank held on a day: what years of service gave at the last promotion day. */
const struct rank *people_rank(const struct tables *t, const struct person *p, int32_t day);

/* The two days of the year on which ranks change; which: 0 or 1. */
int32_t people_promotion_day(int year, unsigned which);

#endif
