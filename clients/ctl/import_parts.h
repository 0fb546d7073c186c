/* SPDX-License-Identifier: Apache-2.0 */
/* What import.c (the verb and its run), import_args.c and import_answers.c share. */
#ifndef CTL_IMPORT_PARTS_H
#define CTL_IMPORT_PARTS_H

#include "import_report.h"

#include <dibao/publish.h>

/* Publishing takes an answer when the window is full, so one more place than that is enough. */
enum { IMPORT_WINDOW = 256, IMPORT_FLIGHT_MAX = IMPORT_WINDOW + 1, IMPORT_CHECKPOINT_ROWS = 2000 };

struct import_args {
	const char *file, *encoding, *format, *refused; /* borrowed from argv */
	char separator;					/* 0: found out */
	bool dry_run, print, restart;
	char *owned[IMPORT_SETS_MAX + 1]; /* copies that the rules point into */
	unsigned n_owned;
};

/* A row in flight, and what an answer told of it until that is worked off. */
struct answer {
	int64_t offset;
	unsigned line;
	int outcome; /* or a negative errno */
	struct dibao_error err;
};

struct import {
	const struct ctl *c;
	struct import_args args;
	struct import_rules rules;
	struct textfile text;
	struct headings *headings;
	struct import_source *source;
	struct dibao_publisher *publisher; /* NULL: dry run */
	struct import_report report;
	struct import_state state;
	char state_path[4096], refused_path[4096];
	bool keeps_state;
	/* In flight, oldest first, and the answers to look into. */
	struct answer flight[IMPORT_FLIGHT_MAX];
	unsigned first, n_flight;
	struct answer answers[IMPORT_FLIGHT_MAX];
	unsigned n_answers;
	int broken; /* negative errno: nothing more can be published */
};

/* import_args.c: reads the arguments and the headings. 0 or a sysexits code, said. */
int import_args_parse(struct import *m, int argc, char **argv);
void import_args_done(struct import_args *a);
/* Of all that decides what is published: the file's bytes, the rules and headings it is read by,
 * the queue it goes to. The place of a run that was cut counts only where it is the same. */
void import_args_key(const struct import *m, uint8_t ret_key[16]);

/* import_answers.c: sends a record whose answer is awaited; sets m->broken if that cannot be. */
void import_publish(struct import *m, const struct import_record *rec);
/* Writes down a record that cannot be published, and why. 0 or a sysexits code, said. */
int import_refuse(struct import *m, const struct import_record *rec, const struct dibao_error *err);
/* Looks into the answers that were not plain, reading their rows again; the source is where it was
 * when this returns 0. Or a sysexits code, said. */
int import_work_off(struct import *m);

#endif
