/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows in flight and the answers to them. Of a row in flight its place alone is kept, so memory
 * is bounded by the window; one that conflicts or is refused by Redis is read again from the file.
 */
#include "conflict.h"
#include "import_parts.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int import_refuse(struct import *m, const struct import_record *rec, const struct dibao_error *err)
{
	char why[300];

	m->state.refused++;
	snprintf(why, sizeof why, "%s%s%s", err->field, err->field[0] ? ": " : "", err->reason);
	return import_report_refused(&m->report, rec, why, why);
}

static void print_conflict(const struct import *m, const struct import_record *rec,
			   const char *fields, const char *command)
{
	json_t *j;

	if (!m->c->json) {
		printf("conflict: line %u, uid %s: %s\n  %s\n", rec->line, rec->uid, fields,
		       command);
		return;
	}
	j = json_pack("{s:s, s:i, s:s, s:s}", "conflict", rec->uid, "line", (int)rec->line,
		      "fields", fields, "command", command);
	ctl_put_json(j);
}

static int say_conflict(struct import *m, const struct import_record *rec)
{
	json_t *stored = NULL, *offered = NULL;
	char *text = NULL, *fields = NULL, *command = NULL, *why = NULL, said[400];
	int r = ctl_fetch_event(m->c, rec->uid, &stored);

	m->state.conflicting++;
	if (r == 0 && dibao_event_to_json(rec->bytes, rec->len, &text) == 0)
		offered = json_loads(text, 0, NULL);
	if (stored && offered) {
		fields = conflict_fields(stored, offered);
		command = conflict_command(rec->uid, stored, offered);
	}
	if (fields && command &&
	    asprintf(&why, "conflicts with the event published before: %s; %s", fields, command) <
		    0)
		why = NULL;
	snprintf(said, sizeof said, "conflicts with the event published before: %s",
		 fields ? fields : "it is not kept any more");
	r = import_report_refused(&m->report, rec, why ? why : said, said);
	if (fields && command && m->report.shown <= IMPORT_SHOWN_MAX)
		print_conflict(m, rec, fields, command);
	json_decref(stored);
	json_decref(offered);
	free(text);
	free(fields);
	free(command);
	free(why);
	return r;
}

static void on_done(void *userdata, int outcome, const struct dibao_error *err)
{
	struct import *m = userdata;
	struct answer *a = &m->flight[m->first];

	m->first = (m->first + 1) % IMPORT_FLIGHT_MAX;
	m->n_flight--;
	m->state.n_new += outcome == DIBAO_NEW;
	m->state.repeated += outcome == DIBAO_REPEAT;
	m->state.scheduled += outcome == DIBAO_SCHEDULED;
	if (outcome == DIBAO_NEW || outcome == DIBAO_REPEAT || outcome == DIBAO_SCHEDULED)
		return;
	a->outcome = outcome;
	if (err)
		a->err = *err;
	/* Not the row's fault: the run ends, and the next begins at the last place written down. */
	if (outcome == -ENOTCONN || outcome == -EIO || outcome == -ENOSYS || outcome == -EACCES) {
		if (!m->broken && err)
			ctl_error(err);
		m->broken = outcome;
		return;
	}
	m->answers[m->n_answers++] = *a;
}

void import_publish(struct import *m, const struct import_record *rec)
{
	int r;

	m->flight[(m->first + m->n_flight++) % IMPORT_FLIGHT_MAX] =
		(struct answer){.offset = rec->offset, .line = rec->line};
	r = dibao_publish_async(m->publisher, rec->bytes, rec->len, on_done, m);
	if (r < 0 && !m->broken) {
		/* Not taken, and nobody will answer for it. */
		ctl_fail(0, "line %u: %s", rec->line,
			 r == -ENOTCONN ? "connection to Redis lost" : strerror(-r));
		m->broken = r;
	}
}

int import_work_off(struct import *m)
{
	int64_t offset = import_source_offset(m->source);
	unsigned line = import_source_line(m->source);
	struct import_record rec;
	int r = 0;

	if (!m->n_answers)
		return 0;
	for (unsigned i = 0; i < m->n_answers && r == 0; i++) {
		const struct answer *a = &m->answers[i];

		if (import_source_seek(m->source, a->offset, a->line) < 0 ||
		    import_source_next(m->source, &rec) != 1 || !rec.bytes)
			return ctl_fail(EX_IOERR, "%s changed while it was imported", m->args.file);
		r = a->outcome == DIBAO_CONFLICT ? say_conflict(m, &rec)
						 : import_refuse(m, &rec, &a->err);
	}
	m->n_answers = 0;
	if (import_source_seek(m->source, offset, line) < 0)
		return ctl_fail(EX_IOERR, "%s: cannot be read", m->args.file);
	return r;
}
