/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import: the events of a file, published. Up to IMPORT_WINDOW are in flight; every
 * IMPORT_CHECKPOINT_ROWS nothing is, and the place is written down, so a run that is cut goes on
 * there, and what it publishes twice is a repeat by its uid.
 */
#include "cell.h"
#include "import_parts.h"

#include <jansson.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

/* ---- opening ---- */

static int say_fault(const struct import *m, const struct textfile_fault *fault, int code)
{
	if (fault->line)
		return ctl_fail(code, "%s:%u: %s", m->args.file, fault->line, fault->reason);
	return ctl_fail(code, "%s: %s", m->args.file, fault->reason);
}

static int open_source(struct import *m)
{
	struct textfile_fault fault = {.reason = "no memory"};
	bool json;
	int r = textfile_open(&m->text, m->args.file, m->args.encoding, &fault);

	if (r < 0)
		return say_fault(m, &fault,
				 r == -EILSEQ	? EX_DATAERR
				 : r == -EINVAL ? EX_USAGE
						: EX_NOINPUT);
	json = m->args.format ? !strcmp(m->args.format, "json") : textfile_is_json(&m->text);
	r = import_source_new(&m->source, &m->text, m->headings, &m->rules, json, m->args.separator,
			      &fault);
	if (r < 0)
		return say_fault(m, &fault, r == -ENOMEM ? EX_OSERR : EX_DATAERR);
	for (unsigned i = 0; import_source_unused(m->source, i); i++)
		ctl_fail(0, "column not used: %s", import_source_unused(m->source, i));
	return 0;
}

static int open_state(struct import *m)
{
	bool json = !import_source_header(m->source), pipe = !strcmp(m->args.file, "-");
	const char *base = pipe ? "import" : m->args.file;
	int r;

	snprintf(m->state_path, sizeof m->state_path, "%s.dibao-import", base);
	snprintf(m->refused_path, sizeof m->refused_path, "%s.refused.%s", base,
		 json ? "jsonl" : "csv");
	m->report = (struct import_report){
		.c = m->c,
		.path = m->args.refused ? m->args.refused : m->refused_path,
		.header = import_source_header(m->source),
		.what = "event",
		.columns = import_source_columns(m->source),
		.separator = import_source_separator(m->source),
		.size = m->text.size,
	};
	m->keeps_state = !m->args.dry_run && !pipe;
	import_args_key(m, m->state.key);
	r = m->keeps_state && !m->args.restart
		    ? import_state_load(&m->state, m->state_path, m->state.key)
		    : 0;
	if (r == 1) {
		if (import_source_seek(m->source, m->state.offset, m->state.line) < 0)
			return ctl_fail(EX_IOERR, "%s: cannot be read", m->args.file);
		ctl_fail(0, "going on at line %u, where an earlier run was cut", m->state.line);
	}
	return import_report_begin(&m->report, m->state.refused_bytes);
}

static int open_publisher(struct import *m)
{
	struct dibao_redis_options o = ctl_redis_options(m->c);
	struct dibao_error err;

	if (m->args.dry_run)
		return 0;
	if (dibao_publisher_new(&m->publisher, &o, &err) < 0)
		return ctl_error(&err);
	dibao_publisher_window(m->publisher, IMPORT_WINDOW);
	return 0;
}

static int checkpoint(struct import *m)
{
	int r;

	if (m->publisher)
		dibao_publisher_flush(m->publisher);
	if (m->broken)
		return m->broken == -ENOTCONN ? EX_TEMPFAIL : ctl_exit_code(m->broken);
	r = import_work_off(m);
	if (r)
		return r;
	m->state.offset = import_source_offset(m->source);
	m->state.line = import_source_line(m->source);
	m->state.refused_bytes = import_report_bytes(&m->report);
	if (m->state.refused_bytes < 0)
		return ctl_fail(EX_IOERR, "%s: cannot be written", m->report.path);
	if (m->keeps_state && (r = import_state_save(&m->state, m->state_path)) < 0) {
		ctl_fail(0, "%s: %s; going on, but a cut run will begin anew", m->state_path,
			 strerror(-r));
		m->keeps_state = false;
	}
	return 0;
}

/* ---- the run ---- */

static void print_event(const struct import_record *rec)
{
	char *text;

	if (dibao_event_to_json(rec->bytes, rec->len, &text) < 0)
		return;
	puts(text);
	free(text);
}

static int take_record(struct import *m, const struct import_record *rec)
{
	m->state.rows++;
	if (!rec->bytes)
		return import_refuse(m, rec, &rec->err);
	if (m->args.print)
		print_event(rec);
	if (!m->publisher)
		return 0;
	import_publish(m, rec);
	/* As many answers as were in flight may come at once: there is always room for them. */
	if (m->broken)
		return 0;
	return m->n_answers ? import_work_off(m) : 0;
}

static int run(struct import *m)
{
	struct import_record rec;
	int r = 0, e = 1;

	while (r == 0 && !m->broken && !interrupted &&
	       (e = import_source_next(m->source, &rec)) == 1) {
		r = take_record(m, &rec);
		if (r == 0 && m->state.rows % IMPORT_CHECKPOINT_ROWS == 0)
			r = checkpoint(m);
		import_report_progress(&m->report, &m->state, import_source_offset(m->source),
				       false);
	}
	if (r == 0 && e < 0)
		r = ctl_fail(e == -ENOMEM ? EX_OSERR : EX_IOERR, "%s: cannot be read",
			     m->args.file);
	if (r == 0)
		r = checkpoint(m);
	import_report_progress(&m->report, &m->state, import_source_offset(m->source), true);
	if (r == 0 && interrupted)
		r = EX_TEMPFAIL;
	return r;
}

static void print_sums(const struct import *m)
{
	static const char *const names[] = {"comma", "tab", "semicolon"};
	char sep = import_source_separator(m->source);
	const char *separator = sep ? names[sep == '\t' ? 1 : sep == ';' ? 2 : 0] : NULL;
	const struct import_state *s = &m->state;
	uint64_t valid = s->rows - s->refused;
	json_t *j;

	if (m->c->json) {
		j = json_pack("{s:s, s:s, s:s*, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s*}",
			      "file", m->args.file, "encoding", m->text.encoding, "separator",
			      separator, "dry_run", m->args.dry_run, "rows", (json_int_t)s->rows,
			      "valid", (json_int_t)valid, "new", (json_int_t)s->n_new, "repeated",
			      (json_int_t)s->repeated, "scheduled", (json_int_t)s->scheduled,
			      "conflicting", (json_int_t)s->conflicting, "refused",
			      (json_int_t)s->refused, "refused_file",
			      m->report.refused ? m->report.path : NULL);
		ctl_put_json(j);
		return;
	}
	printf("%s: %s%s%s, %llu rows\n", m->args.file, m->text.encoding,
	       separator ? ", separated by " : "", separator ? separator : ", JSON lines",
	       (unsigned long long)s->rows);
	if (m->args.dry_run)
		printf("  would be published  %llu\n", (unsigned long long)valid);
	else
		printf("  new          %llu\n  repeated     %llu\n  scheduled    %llu\n  "
		       "conflicting  %llu\n",
		       (unsigned long long)s->n_new, (unsigned long long)s->repeated,
		       (unsigned long long)s->scheduled, (unsigned long long)s->conflicting);
	printf("  refused      %llu\n", (unsigned long long)s->refused);
	if (m->report.refused)
		printf("  refused and conflicting rows, and why: %s\n", m->report.path);
}

static int import(struct import *m)
{
	int r = open_source(m);

	if (r == 0)
		r = open_publisher(m);
	if (r == 0)
		r = open_state(m);
	if (r)
		return r;
	r = run(m);
	if (r) {
		if (m->keeps_state)
			ctl_fail(0, "stopped at line %u; the same command goes on from there",
				 m->state.line);
		return r;
	}
	if (m->keeps_state)
		import_state_forget(m->state_path);
	print_sums(m);
	return m->state.refused || m->state.conflicting ? EX_DATAERR : 0;
}

int ctl_import(struct ctl *c, int argc, char **argv)
{
	struct import *m = calloc(1, sizeof *m);
	struct sigaction sa = {.sa_handler = on_signal};
	int r;

	if (!m)
		return ctl_fail(EX_OSERR, "no memory");
	m->c = c;
	m->rules.zone_min = CELL_CHINA_MIN;
	r = import_args_parse(m, argc, argv);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	if (r == 0)
		r = import(m);
	dibao_publisher_free(m->publisher);
	import_report_done(&m->report);
	import_source_free(m->source);
	textfile_done(&m->text);
	headings_free(m->headings);
	import_args_done(&m->args);
	free(m);
	return r;
}
