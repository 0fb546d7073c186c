/* SPDX-License-Identifier: Apache-2.0 */
#include "roster.h"

#include "calendar.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 10 };

static const char *const headings[COLUMNS] = {"badge", "name", "phone", "org",	 "unit",
					      "post",  "rank", "duty",	"since", "active"};
static const char *const headings_zh[COLUMNS] = {"辅警编号", "姓名", "手机号码", "机构代码",
						 "部门",     "岗位", "层级",	 "岗位类别",
						 "入职日期", "状态"};

static int csv_cell(const char *s, FILE *f)
{
	if (!strpbrk(s, ",\"\r\n"))
		return fputs(s, f);
	putc('"', f);
	for (; *s; s++) {
		if (*s == '"')
			putc('"', f);
		putc(*s, f);
	}
	return putc('"', f);
}

static int csv_row(const char *const *cell, FILE *f)
{
	for (size_t i = 0; i < COLUMNS; i++) {
		if (i)
			putc(',', f);
		csv_cell(cell[i], f);
	}
	return putc('\n', f) < 0 ? -errno : 0;
}

static int json_row(const char *const *cell, bool active, FILE *f)
{
	json_t *o = json_object();
	char *line = NULL;
	int r = 0;

	for (size_t i = 0; i + 1 < COLUMNS; i++)
		json_object_set_new(o, headings[i], json_string(cell[i]));
	json_object_set_new(o, headings[COLUMNS - 1], json_boolean(active));
	line = json_dumps(o, JSON_COMPACT);
	if (!line)
		r = -ENOMEM;
	else if (fputs(line, f) < 0 || putc('\n', f) < 0)
		r = -errno;
	free(line);
	json_decref(o);
	return r;
}

int roster_print(const struct tables *t, const struct texts *x, const struct roster_options *o,
		 FILE *f)
{
	int r = o->json ? 0 : csv_row(o->chinese ? headings_zh : headings, f);

	for (uint32_t i = 0; i < o->size && !r; i++) {
		char since[CALENDAR_DATE_BYTES];
		struct person p;

		people_make(&p, t, x, o->seed, o->year, i);
		calendar_text(p.since, since);
		const char *active =
			o->chinese ? (p.active ? "在职" : "离职") : (p.active ? "yes" : "no");
		const char *cell[COLUMNS] = {
			p.badge,
			p.name,
			p.phone,
			p.org->code,
			p.unit,
			p.post->name,
			people_rank(t, &p, calendar_day(o->year, 1, 1))->name,
			p.post->category,
			since,
			active,
		};
		r = o->json ? json_row(cell, p.active, f) : csv_row(cell, f);
	}
	if (!r && fflush(f))
		r = -errno;
	return r;
}
