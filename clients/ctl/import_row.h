/* SPDX-License-Identifier: Apache-2.0 */
/* One row of cells, or one JSON object, to one event. Pure. */
#ifndef CTL_IMPORT_ROW_H
#define CTL_IMPORT_ROW_H

#include "import_columns.h"
#include "import_source.h"

/* rec->bytes (the caller's, by free()) or rec->err. Never fails otherwise. */
void import_row(const struct import_columns *columns, const struct headings *h,
		const struct import_rules *rules, const struct table_row *row,
		struct import_record *rec);
void import_json(const struct import_rules *rules, const char *text, size_t len, unsigned line,
		 struct import_record *rec);

#endif
