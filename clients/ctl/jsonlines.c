/* SPDX-License-Identifier: Apache-2.0 */
#include "jsonlines.h"
#include "textfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int jsonlines_init(struct jsonlines *l, FILE *f, int64_t offset)
{
	*l = (struct jsonlines){
		.f = f, .offset = offset, .line = 1, .text = malloc(JSONLINES_LINE_MAX + 1)};
	return l->text ? 0 : -ENOMEM;
}

void jsonlines_done(struct jsonlines *l)
{
	free(l->text);
	l->text = NULL;
}

static int read_line(struct jsonlines *l, size_t *ret_len)
{
	size_t n = 0, taken = 0;
	int c;

	while ((c = getc_unlocked(l->f)) != EOF) {
		taken++;
		if (c == '\n')
			break;
		if (n < JSONLINES_LINE_MAX)
			l->text[n] = (char)c;
		n++;
	}
	if (ferror(l->f))
		return -EIO;
	l->offset += (int64_t)taken;
	l->line += taken > 0;
	*ret_len = n <= JSONLINES_LINE_MAX ? n : textfile_cut(l->text, JSONLINES_LINE_MAX);
	l->text[*ret_len] = '\0';
	return !taken ? 0 : n > JSONLINES_LINE_MAX ? -EMSGSIZE : 1;
}

int jsonlines_next(struct jsonlines *l, struct jsonline *ret)
{
	struct jsonline got = {.text = l->text};
	int r;

	do {
		got.offset = l->offset;
		got.line = l->line;
		r = read_line(l, &got.len);
		if (r == 0 || r == -EIO)
			return r;
	} while (r == 1 && strspn(l->text, " \t\r") == got.len);
	*ret = got;
	return r;
}

int jsonlines_seek(struct jsonlines *l, int64_t offset, unsigned line)
{
	if (fseeko(l->f, offset, SEEK_SET) < 0)
		return -EIO;
	l->offset = offset;
	l->line = line;
	return 0;
}
