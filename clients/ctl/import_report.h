/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an import tells: the file of refused and conflicting rows (mode 0600: it holds people's
 * data), each with its line and why, in a form that can be mended and imported again; a progress
 * bar on a terminal; the sums. Standard error gets lines' numbers and fields' names only.
 */
#ifndef CTL_IMPORT_REPORT_H
#define CTL_IMPORT_REPORT_H

#include "ctl.h"
#include "import_source.h"
#include "import_state.h"

struct import_report {
	const struct ctl *c;
	const char *path;   /* of the file of refused rows; borrowed */
	const char *header; /* of a table; NULL for JSON lines; borrowed */
	const char *what;   /* what a JSON line is of: "event", "person" */
	unsigned columns;   /* of the header */
	char separator;
	FILE *refused; /* owned; NULL until the first */
	int64_t size;  /* of the text, for the bar */
	bool bar;
	unsigned shown; /* complaints on stderr so far */
	int64_t begun_ms, drawn_ms;
};

enum { IMPORT_SHOWN_MAX = 20 };

/* Goes on behind `bytes` of the file that a cut run left; else one of an earlier run, in which
 * somebody may have mended rows, is put aside as NAME.old. 0 or a code, said. */
int import_report_begin(struct import_report *r, int64_t bytes);
void import_report_done(struct import_report *r);
/* `why` for the file may hold values, `said` for the terminal never does. 0 or a code, said. */
int import_report_refused(struct import_report *r, const struct import_record *rec, const char *why,
			  const char *said);
/* Length of the file, all of it handed to the system. */
int64_t import_report_bytes(struct import_report *r);
/* `offset`: how far the file is read. On a terminal only. */
void import_report_progress(struct import_report *r, const struct import_state *s, int64_t offset,
			    bool last);

#endif
