/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seed events as JSON objects of the event's shape (dibao-event(7)): one
 * function per type, plus what may happen to an event later. Nothing here
 * knows the order of a year or of a stream; that is year.c and stream.c.
 *
 * Each returns a new object for the caller to json_decref(), or NULL when
 * memory is short or a list holds a text that does not fit.
 */
#ifndef SEEDS_EVENTS_H
#define SEEDS_EVENTS_H

#include "people.h"

#include <jansson.h>

enum { EVENTS_UID_BYTES = 64 + 1, EVENTS_REF_BYTES = 64 };

struct maker {
	const struct tables *tables; /* borrowed, as is texts */
	const struct texts *texts;
	uint64_t seed;
	uint32_t size; /* people to choose from */
	int year;
	const char *within; /* people of that organisation prefix alone; "" = all */
	bool record;	    /* events are history */
	struct random random;
};

/* What all types share. */
struct heading {
	const char *uid, *ref, *follows; /* ref and follows: NULL = none */
	int64_t at;
	const struct person *who; /* NULL: nobody, an anonymous letter */
	bool is_private;
};

/* Someone in service within the organisation; -ENOENT if 100,000 tries find nobody (told on
 * stderr). */
int events_person(struct maker *m, struct person *ret);
/* "苏公辅（演示）〔2016〕12号" */
void events_ref(char ret[EVENTS_REF_BYTES], const char *series, int year, unsigned number);

json_t *events_promotion(struct maker *m, const struct heading *h, const struct rank *from,
			 const struct rank *to, int32_t effective, int notice_days);
/* notice_days 0: final; else proposed, in public notice until so many days after `at`. */
json_t *events_award(struct maker *m, const struct heading *h, const struct award *kind,
		     int notice_days);
/* The final event after a proposal of either type: its texts, and `follows`. */
json_t *events_final(json_t *proposal, const struct heading *h);
json_t *events_penalty(struct maker *m, const struct heading *h, const struct penalty *kind);
json_t *events_visit(struct maker *m, const struct heading *h, const char *code);
json_t *events_letter(struct maker *m, const struct heading *h);
/* Take an event back, or replace it by one in which a thing or two differ. */
json_t *events_retraction(struct maker *m, json_t *of, const char *uid, int64_t at);
json_t *events_correction(json_t *of, const char *uid, int64_t at);

/* One line, checked by the library as any publisher's would be. NULL: not valid (told on
 * stderr) or no memory. To be free()d. */
char *events_line(const json_t *event);

#endif
