/* SPDX-License-Identifier: Apache-2.0 */
/* A file of any bytes, as dibaoctl import reads it: what encoding, which separator, rows, cells,
 * events. Each row is an event that is valid or is refused with a reason; a row found again by its
 * place is the same row, for that is what a resumed run relies on; all that comes out is UTF-8. */
#include "../../clients/ctl/cell.h"
#include "../../clients/ctl/import_source.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { AGAIN = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static struct headings *headings(void)
{
	static struct headings *h;
	struct headings_fault fault;

	if (!h) {
		must(headings_new(&h) == 0);
		/* From the top of the tree; elsewhere what is known without it must do. */
		(void)headings_load(h, "config/headings.tsv", &fault);
	}
	return h;
}

static const char *path_of(const uint8_t *data, size_t size)
{
	static char path[64];
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("csv", MFD_CLOEXEC);
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	}
	must(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	return path;
}

static void look_at_cell(const struct table_cell *cell)
{
	static char text[TABLE_ROW_MAX + 1];
	char day[11], again[11];
	int64_t v;
	bool b;
	size_t n;

	must(strlen(cell->p) == cell->len);
	for (int narrow = 0; narrow < 2; narrow++) {
		memcpy(text, cell->p, cell->len + 1);
		n = cell_clean(text, cell->len, narrow);
		must(n <= cell->len && strlen(text) == n && utf8_is_valid((uint8_t *)text, n));
		(void)cell_spoilt(text);
		if (cell_date(text, day) == 0)
			must(text_is_date((uint8_t *)day, 10) && cell_date(day, again) == 0 &&
			     !strcmp(day, again));
		if (cell_time(text, 480, &v) == 0)
			must(v > INT64_C(-2300000000000) && v < INT64_C(253402300800000));
		if (cell_yuan(text, &v) == 0)
			must(v >= 0);
		(void)cell_bool(text, &b);
	}
}

static void read_rows(struct textfile *t)
{
	const struct table_row *row;
	struct table *table;
	int64_t before = t->start;
	int r;

	must(fseeko(t->f, t->start, SEEK_SET) == 0 && table_new(&table, t->f, 0, 1) == 0);
	while ((r = table_next(table, &row)) != 0) {
		must(r == 1 || r == -EBADMSG);
		must(row->offset >= before && table_offset(table) > row->offset);
		must(utf8_is_valid((const uint8_t *)row->raw, row->raw_len));
		must((r == 1) == (row->fault == NULL) && (r == 1) == (row->n > 0));
		for (unsigned i = 0; i < row->n; i++)
			look_at_cell(&row->cells[i]);
		before = table_offset(table);
	}
	must(table_offset(table) == t->size);
	table_free(table);
}

struct seen {
	int64_t offset;
	unsigned line;
	uint64_t hash; /* of the row and of what became of it */
};

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ ((const uint8_t *)p)[i]) * 0x100000001b3u;
	return h;
}

static uint64_t look_at_record(const struct import_record *rec)
{
	struct dibao_event ev;
	uint64_t h = mix(0xcbf29ce484222325u, rec->raw, rec->raw_len);

	must(utf8_is_valid((const uint8_t *)rec->raw, rec->raw_len));
	if (!rec->bytes) {
		must(rec->err.code < 0 && rec->err.reason[0] && rec->err.line >= rec->line);
		return mix(h, rec->err.reason, strlen(rec->err.reason));
	}
	must(dibao_event_parse(&ev, rec->bytes, rec->len, NULL) == 0);
	must(ev.uid.len == strlen(rec->uid) && !memcmp(ev.uid.p, rec->uid, ev.uid.len));
	return mix(h, rec->bytes, rec->len);
}

static void read_events(struct textfile *t, bool json)
{
	static const struct import_rules rules = {.zone_min = 480};
	struct textfile_fault fault = {.reason = ""};
	struct import_source *s = NULL;
	struct seen seen[AGAIN];
	struct import_record rec;
	unsigned n = 0;
	int r;

	must(fseeko(t->f, t->start, SEEK_SET) == 0);
	if (import_source_new(&s, t, headings(), &rules, json, 0, &fault) < 0) {
		must(fault.reason[0]);
		return;
	}
	while ((r = import_source_next(s, &rec)) == 1) {
		uint64_t hash = look_at_record(&rec);

		if (n < AGAIN)
			seen[n++] = (struct seen){rec.offset, rec.line, hash};
	}
	must(r == 0);
	while (n-- > 0) {
		must(import_source_seek(s, seen[n].offset, seen[n].line) == 0);
		must(import_source_next(s, &rec) == 1 && rec.line == seen[n].line);
		must(look_at_record(&rec) == seen[n].hash);
	}
	import_source_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct textfile_fault fault = {.reason = ""};
	struct textfile t;

	if (textfile_open(&t, path_of(data, size), NULL, &fault) < 0) {
		must(fault.reason[0]);
		return 0;
	}
	read_rows(&t);
	read_events(&t, false);
	read_events(&t, true);
	textfile_done(&t);
	return 0;
}
