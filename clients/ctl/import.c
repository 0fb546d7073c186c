/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import: the events of a file, published. Up to WINDOW are in flight; every CHECKPOINT_ROWS
 * nothing is, and the place is written down, so a run that is cut goes on there, and what it
 * publishes twice is a repeat by its uid. Memory is bounded by the window: of what is in flight
 * only places are kept, and a row that turns out to conflict is read again from the file.
 */
#include "conflict.h"
#include "import_report.h"

#include <jansson.h>
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 256, CHECKPOINT_ROWS = 2000, PATH_BYTES = 4096 };

static const char default_headings[] = "/etc/dibao/headings.tsv";

struct import_args {
	const char *file, *headings, *encoding, *format, *refused;
	char separator; /* 0: found out */
	bool dry_run, print, restart;
	char *owned[IMPORT_SETS_MAX + 1]; /* copies that the rules point into */
	unsigned n_owned;
};

/* What an answer told of, until it is worked off. */
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
	char state_path[PATH_BYTES], refused_path[PATH_BYTES];
	bool keeps_state;
	/* In flight, oldest first, and the answers to look into. */
	struct answer flight[WINDOW];
	unsigned first, n_flight;
	struct answer answers[WINDOW];
	unsigned n_answers;
	int broken; /* negative errno: the publisher gave up */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

/* ---- arguments ---- */

static int parse_zone(const char *text, int *ret)
{
	char sign;
	int h, m, n = 0;

	if (sscanf(text, "%c%2d:%2d%n", &sign, &h, &m, &n) != 3 || text[n] || h < 0 || h > 14 ||
	    m < 0 || m > 59 || (sign != '+' && sign != '-'))
		return -EINVAL;
	*ret = (sign == '-' ? -1 : 1) * (h * 60 + m);
	return 0;
}

static char *own(struct import_args *a, const char *text)
{
	char *copy = a->n_owned <= IMPORT_SETS_MAX ? strdup(text) : NULL;

	if (copy)
		a->owned[a->n_owned++] = copy;
	return copy;
}

static int add_set(struct import *m, const char *text)
{
	const struct heading *h;
	char *copy, *eq;

	if (m->rules.n_sets == IMPORT_SETS_MAX || !(copy = own(&m->args, text)))
		return ctl_fail(EX_USAGE, "import: too many --set");
	eq = strchr(copy, '=');
	if (!eq)
		return ctl_fail(EX_USAGE, "import: --set: expected FIELD=VALUE");
	*eq = '\0';
	h = headings_find(m->headings, copy);
	if (!h)
		return ctl_fail(EX_USAGE, "import: --set: no such field: %s (see dibaoctl types)",
				copy);
	m->rules.sets[m->rules.n_sets].path = h->path;
	m->rules.sets[m->rules.n_sets++].value = eq + 1;
	return 0;
}

static int add_uid_parts(struct import *m, const char *text)
{
	char *copy = own(&m->args, text), *save = NULL;
	unsigned n = 0;

	if (!copy)
		return EX_OSERR;
	for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		const struct heading *h = headings_find(m->headings, w);

		if (!h || n == IMPORT_UID_PARTS_MAX)
			return ctl_fail(EX_USAGE,
					"import: --uid-from: no such field, or over %d: %s",
					IMPORT_UID_PARTS_MAX, w);
		m->rules.uid_parts[n++] = h->path;
	}
	m->rules.uid_parts[n] = NULL;
	return 0;
}

static int take_separator(struct import_args *a, const char *value)
{
	if (!strcmp(value, "comma") || !strcmp(value, ","))
		a->separator = ',';
	else if (!strcmp(value, "tab"))
		a->separator = '\t';
	else if (!strcmp(value, "semicolon") || !strcmp(value, ";"))
		a->separator = ';';
	else
		return ctl_fail(EX_USAGE, "import: --separator: expected comma, tab or semicolon");
	return 0;
}

static int take_value(struct import *m, const char *name, const char *value)
{
	struct import_args *a = &m->args;

	if (!strcmp(name, "--type"))
		m->rules.type = value;
	else if (!strcmp(name, "--set"))
		return add_set(m, value);
	else if (!strcmp(name, "--uid-from"))
		return add_uid_parts(m, value);
	else if (!strcmp(name, "--encoding"))
		a->encoding = value;
	else if (!strcmp(name, "--separator"))
		return take_separator(a, value);
	else if (!strcmp(name, "--format"))
		a->format = value;
	else if (!strcmp(name, "--refused"))
		a->refused = value;
	else if (!strcmp(name, "--zone"))
		return parse_zone(value, &m->rules.zone_min) < 0
			       ? ctl_fail(EX_USAGE, "import: --zone: expected +08:00 or the like")
			       : 0;
	else
		return ctl_fail(EX_USAGE, "import: no such option: %s", name);
	return 0;
}

static int load_headings(struct import *m, int argc, char **argv)
{
	struct headings_fault fault;
	const char *path = NULL;
	int r;

	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], "--headings"))
			path = argv[i + 1];
	if (headings_new(&m->headings) < 0)
		return ctl_fail(EX_OSERR, "no memory");
	r = headings_load(m->headings, path ? path : default_headings, &fault);
	if (r == -ENOENT && !path && fault.line == 0)
		return 0;
	if (r < 0 && fault.line)
		return ctl_fail(EX_CONFIG, "%s:%u: %s", fault.file, fault.line, fault.reason);
	return r < 0 ? ctl_fail(EX_NOINPUT, "%s: %s", fault.file, fault.reason) : 0;
}

static int parse(struct import *m, int argc, char **argv)
{
	struct import_args *a = &m->args;
	int r = load_headings(m, argc, argv);

	for (int i = 1; i < argc && r == 0; i++) {
		if (!strcmp(argv[i], "--record"))
			m->rules.record = true;
		else if (!strcmp(argv[i], "--dry-run"))
			a->dry_run = true;
		else if (!strcmp(argv[i], "--print"))
			a->print = true;
		else if (!strcmp(argv[i], "--restart"))
			a->restart = true;
		else if (strncmp(argv[i], "--", 2) != 0) {
			if (a->file)
				r = ctl_fail(EX_USAGE, "import: one file at a time");
			a->file = argv[i];
		} else if (i + 1 == argc)
			r = ctl_fail(EX_USAGE, "import: %s: expected a value", argv[i]);
		else if (!strcmp(argv[i], "--headings"))
			i++;
		else {
			r = take_value(m, argv[i], argv[i + 1]);
			i++;
		}
	}
	if (r == 0 && !a->file)
		r = ctl_fail(EX_USAGE, "import: expected FILE, or - for standard input");
	if (r == 0 && a->format && strcmp(a->format, "table") != 0 &&
	    strcmp(a->format, "json") != 0)
		r = ctl_fail(EX_USAGE, "import: --format: expected table or json");
	return r;
}

/* ---- opening ---- */

static bool looks_like_json(struct textfile *t)
{
	int c;

	do
		c = getc(t->f);
	while (c == ' ' || c == '\t' || c == '\n' || c == '\r');
	fseeko(t->f, t->start, SEEK_SET);
	return c == '{';
}

/* The place of a run counts only for the same file, read by the same rules, into the same queue. */
static void state_key(const struct import *m, uint8_t key[16])
{
	const char separator[] = {m->args.separator, '\0'};
	crypto_generichash_state h;
	const char *const words[] = {m->c->bureau,  m->c->redis,    m->text.encoding,
				     m->rules.type, m->args.format, m->rules.record ? "r" : "",
				     separator};

	crypto_generichash_init(&h, NULL, 0, 16);
	crypto_generichash_update(&h, m->text.hash, sizeof m->text.hash);
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		crypto_generichash_update(&h, (const unsigned char *)(words[i] ? words[i] : ""),
					  words[i] ? strlen(words[i]) + 1 : 1);
	for (unsigned i = 0; i < m->rules.n_sets; i++) {
		const char *v = m->rules.sets[i].value;

		crypto_generichash_update(&h, (const unsigned char *)m->rules.sets[i].path,
					  strlen(m->rules.sets[i].path) + 1);
		crypto_generichash_update(&h, (const unsigned char *)v, strlen(v) + 1);
	}
	for (unsigned i = 0; m->rules.uid_parts[i]; i++)
		crypto_generichash_update(&h, (const unsigned char *)m->rules.uid_parts[i],
					  strlen(m->rules.uid_parts[i]) + 1);
	crypto_generichash_update(&h, (const unsigned char *)&m->rules.zone_min, sizeof(int));
	crypto_generichash_final(&h, key, 16);
}

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
	json = m->args.format ? !strcmp(m->args.format, "json") : looks_like_json(&m->text);
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
		.separator = import_source_separator(m->source),
		.size = m->text.size,
	};
	m->keeps_state = !m->args.dry_run && !pipe;
	state_key(m, m->state.key);
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
	dibao_publisher_window(m->publisher, WINDOW);
	return 0;
}

/* ---- answers ---- */

static int say_refused(struct import *m, const struct import_record *rec,
		       const struct dibao_error *err)
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
	json_dumpf(j, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(j);
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

	m->first = (m->first + 1) % WINDOW;
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

/* Looks into the answers that were not plain, reading their rows again. */
static int work_off(struct import *m)
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
						 : say_refused(m, &rec, &a->err);
	}
	m->n_answers = 0;
	if (import_source_seek(m->source, offset, line) < 0)
		return ctl_fail(EX_IOERR, "%s: cannot be read", m->args.file);
	return r;
}

static int checkpoint(struct import *m)
{
	int r;

	if (m->publisher)
		dibao_publisher_flush(m->publisher);
	if (m->broken)
		return m->broken == -ENOTCONN ? EX_TEMPFAIL : ctl_exit_code(m->broken);
	r = work_off(m);
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
		return say_refused(m, rec, &rec->err);
	if (m->args.print)
		print_event(rec);
	if (!m->publisher)
		return 0;
	m->flight[(m->first + m->n_flight++) % WINDOW] =
		(struct answer){.offset = rec->offset, .line = rec->line};
	dibao_publish_async(m->publisher, rec->bytes, rec->len, on_done, m);
	/* As many answers as were in flight may come at once: there is always room for them. */
	if (m->broken)
		return 0;
	return m->n_answers ? work_off(m) : 0;
}

static int run(struct import *m)
{
	struct import_record rec;
	int r = 0, e = 1;

	while (r == 0 && !m->broken && !interrupted &&
	       (e = import_source_next(m->source, &rec)) == 1) {
		/* A place in flight is only free when an answer has come. */
		if (m->n_flight == WINDOW) {
			dibao_publisher_flush(m->publisher);
			if (m->broken)
				break;
		}
		r = take_record(m, &rec);
		if (r == 0 && m->state.rows % CHECKPOINT_ROWS == 0)
			r = checkpoint(m);
		import_report_progress(&m->report, &m->state, false);
	}
	if (r == 0 && e < 0)
		r = ctl_fail(e == -ENOMEM ? EX_OSERR : EX_IOERR, "%s: cannot be read",
			     m->args.file);
	if (r == 0)
		r = checkpoint(m);
	import_report_progress(&m->report, &m->state, true);
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
		json_dumpf(j, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(j);
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
	m->rules.zone_min = 480;
	r = parse(m, argc, argv);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	if (r == 0)
		r = import(m);
	dibao_publisher_free(m->publisher);
	import_report_done(&m->report);
	import_source_free(m->source);
	textfile_done(&m->text);
	headings_free(m->headings);
	while (m->args.n_owned)
		free(m->args.owned[--m->args.n_owned]);
	free(m);
	return r;
}
