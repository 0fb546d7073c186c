/* SPDX-License-Identifier: Apache-2.0 */
#include "../../clients/ctl/table.h"
#include "../../clients/ctl/textfile.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static FILE *file_of(const char *bytes, size_t n)
{
	FILE *f = tmpfile();

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	rewind(f);
	return f;
}

/* Rows as "line:a|b;line:c", faults as "line!;". */
static const char *rows_of(const char *bytes, size_t n, char separator)
{
	static char out[4096];
	FILE *f = file_of(bytes, n);
	const struct table_row *row;
	struct table *t;
	size_t k = 0;
	int r;

	out[0] = '\0';
	assert_int_equal(table_new(&t, f, separator, 1), 0);
	while ((r = table_next(t, &row)) != 0) {
		k += (size_t)snprintf(out + k, sizeof out - k, "%u%s", row->line,
				      r < 0 ? "!" : ":");
		for (unsigned i = 0; i < row->n; i++)
			k += (size_t)snprintf(out + k, sizeof out - k, "%s%s", i ? "|" : "",
					      row->cells[i].p);
		k += (size_t)snprintf(out + k, sizeof out - k, ";");
	}
	table_free(t);
	fclose(f);
	return out;
}

#define ROWS(text) rows_of(text, sizeof(text) - 1, 0)

static void separators_are_found_and_line_ends_of_all_kinds_taken(void **state)
{
	(void)state;
	assert_string_equal(ROWS("a,b\n1,2\n"), "1:a|b;2:1|2;");
	assert_string_equal(ROWS("a\tb,c\td\r\n1\t2\t3\r\n"), "1:a|b,c|d;2:1|2|3;");
	assert_string_equal(ROWS("a;b\r1;2"), "1:a|b;2:1|2;");
	assert_string_equal(ROWS("\"a\tb\tc\",d,e\n"), "1:a\tb\tc|d|e;");
	assert_string_equal(ROWS("one\ntwo\n"), "1:one;2:two;");
	assert_string_equal(ROWS(""), "");
}

static void quoted_cells_hold_separators_quotes_and_line_ends(void **state)
{
	(void)state;
	assert_string_equal(ROWS("a,b\n\"x,\"\"y\"\"\",\"l1\nl2\"\nz,\n"),
			    "1:a|b;2:x,\"y\"|l1\nl2;4:z|;");
	assert_string_equal(ROWS("a,b\n5\" pipe,2\n"), "1:a|b;2:5\" pipe|2;");
}

static void rows_with_nothing_in_them_are_passed_over_but_counted(void **state)
{
	(void)state;
	assert_string_equal(ROWS("a,b\n\n,,\n1,2\n"), "1:a|b;4:1|2;");
}

static void a_stray_quote_costs_one_line(void **state)
{
	(void)state;
	assert_string_equal(ROWS("a,b\n\"1,2\n3,4\n5,6\n"), "1:a|b;2!;3:3|4;4:5|6;");
	assert_string_equal(ROWS("a,b\r\n\"1\"x,2\r\n3,4\r\n"), "1:a|b;2!;3:3|4;");
	assert_string_equal(rows_of("a,b\n1,\0\n3,4\n", 12, 0), "1:a|b;2!;3:3|4;");
}

static void a_row_over_the_bound_is_a_fault_and_the_next_is_read(void **state)
{
	size_t n = TABLE_ROW_MAX + 100, k;
	char *big = malloc(n + 16);

	(void)state;
	memset(big, 'x', n);
	memcpy(big + n, "\n1,2\n", 6);
	assert_string_equal(rows_of(big, n + 5, ','), "1!;2:1|2;");
	memset(big, ',', n);
	assert_string_equal(rows_of(big, n + 5, ','), "1!;2:1|2;");
	for (k = 0; k < n; k += 2)
		memcpy(big + k, "\"\n", 2);
	assert_non_null(rows_of(big, 600, ','));
	free(big);
}

static void reading_goes_on_from_any_rows_offset(void **state)
{
	static const char text[] = "a,b\r\n\"1\n1\",2\r\n3,4\r\n";
	FILE *f = file_of(text, sizeof text - 1);
	const struct table_row *row;
	struct table *t;
	int64_t at;
	unsigned line;

	(void)state;
	assert_int_equal(table_new(&t, f, 0, 1), 0);
	assert_int_equal(table_next(t, &row), 1);
	assert_int_equal(table_next(t, &row), 1);
	at = table_offset(t);
	line = table_line(t);
	assert_int_equal(line, 4);
	assert_int_equal(table_next(t, &row), 1);
	assert_int_equal(row->offset, at);
	assert_int_equal(table_next(t, &row), 0);
	assert_int_equal(table_seek(t, at, line), 0);
	assert_int_equal(table_next(t, &row), 1);
	assert_string_equal(row->cells[0].p, "3");
	assert_int_equal(row->line, 4);
	assert_string_equal(row->raw, "3,4");
	table_free(t);
	fclose(f);
}

/* ---- encodings ---- */

static int read_as(const char *bytes, size_t n, const char *encoding, const char **ret_encoding,
		   char *ret_text, size_t cap, struct textfile_fault *fault)
{
	char path[] = "/tmp/dibao-unit-text-XXXXXX";
	int fd = mkstemp(path), r;
	struct textfile t;
	size_t k;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	close(fd);
	r = textfile_open(&t, path, encoding, fault);
	unlink(path);
	if (r < 0)
		return r;
	k = fread(ret_text, 1, cap - 1, t.f);
	ret_text[k] = '\0';
	assert_int_equal(t.start + (int64_t)k, t.size);
	*ret_encoding = t.encoding;
	textfile_done(&t);
	return 0;
}

#define READ(bytes, encoding)                                                                      \
	read_as(bytes, sizeof(bytes) - 1, encoding, &said, text, sizeof text, &fault)

static void encodings_are_found_and_said(void **state)
{
	struct textfile_fault fault;
	const char *said = NULL;
	char text[400];

	(void)state;
	assert_int_equal(READ("姓名,𠮷", NULL), 0);
	assert_string_equal(said, "UTF-8");
	assert_int_equal(READ("\xef\xbb\xbf姓名", NULL), 0);
	assert_string_equal(said, "UTF-8 with BOM");
	assert_string_equal(text, "姓名");
	assert_int_equal(READ("\xd0\xd5\xc3\xfb,\x95\x34\xb2\x35", NULL), 0);
	assert_string_equal(said, "GB18030");
	assert_string_equal(text, "姓名,𠮷");
	assert_int_equal(READ("\xff\xfe\xd3\x59\x0d\x54", NULL), 0);
	assert_string_equal(said, "UTF-16");
	assert_string_equal(text, "姓名");
	assert_int_equal(READ("\xd0\xd5\xc3\xfb", "gb18030"), 0);
	assert_string_equal(text, "姓名");
	assert_int_equal(READ("", NULL), 0);
}

static void what_is_no_text_is_refused_with_its_line(void **state)
{
	struct textfile_fault fault;
	const char *said;
	char text[100];

	(void)state;
	assert_int_equal(READ("a\nb\n\xff\xff\n", NULL), -EILSEQ);
	assert_int_equal(fault.line, 3);
	assert_int_equal(READ("a\n\xd0\xd5\xc3\xfb", "utf-8"), -EILSEQ);
	assert_int_equal(fault.line, 2);
	assert_int_equal(READ("\xef\xbb\xbf\xd0\xd5", NULL), -EILSEQ);
	assert_int_equal(READ("a", "latin-9"), -EINVAL);
	assert_int_equal(READ("\xed\xa0\x80", "utf-8"), -EILSEQ);
	assert_int_equal(READ("\xe5\xa7", "utf-8"), -EILSEQ);
	assert_int_equal(textfile_open(&(struct textfile){0}, "/nonexistent", NULL, &fault),
			 -ENOENT);
	assert_int_equal(textfile_open(&(struct textfile){0}, "/tmp", NULL, &fault), -EISDIR);
}

static void a_character_over_the_edge_of_a_piece_is_whole(void **state)
{
	size_t n = 65536 * 2 + 1;
	char *gb = malloc(n), *text = malloc(n * 2);
	struct textfile_fault fault;
	const char *said;

	(void)state;
	gb[0] = 'x'; /* so that each piece ends within a character */
	for (size_t i = 1; i + 1 < n; i += 2)
		memcpy(gb + i, "\xd0\xd5", 2);
	assert_int_equal(read_as(gb, n, NULL, &said, text, n * 2, &fault), 0);
	assert_string_equal(said, "GB18030");
	assert_int_equal(strlen(text), 1 + (n - 1) / 2 * 3);
	for (size_t i = 1; i < strlen(text); i += 3)
		assert_memory_equal(text + i, "姓", 3);
	free(gb);
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(separators_are_found_and_line_ends_of_all_kinds_taken),
		cmocka_unit_test(quoted_cells_hold_separators_quotes_and_line_ends),
		cmocka_unit_test(rows_with_nothing_in_them_are_passed_over_but_counted),
		cmocka_unit_test(a_stray_quote_costs_one_line),
		cmocka_unit_test(a_row_over_the_bound_is_a_fault_and_the_next_is_read),
		cmocka_unit_test(reading_goes_on_from_any_rows_offset),
		cmocka_unit_test(encodings_are_found_and_said),
		cmocka_unit_test(what_is_no_text_is_refused_with_its_line),
		cmocka_unit_test(a_character_over_the_edge_of_a_piece_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
